"""Pushes made through the API. Source: git.json Pushes_Create (spec); error keys assumed."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import pygit2

from reconciler.emulator.azdo.branches import settle_default
from reconciler.emulator.azdo.errors import bad_request, error
from reconciler.emulator.azdo.members import text
from reconciler.emulator.azdo.refs import ZERO_ID
from reconciler.emulator.azdo.render import (
    identity,
    moment,
    open_repository,
    repository_json,
    repository_url,
)
from reconciler.emulator.azdo.state import GitRepository, PushRecord
from reconciler.emulator.gitstore import RefMoved
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.world import World

__all__ = ["create_push"]

_HEADS = "refs/heads/"
_UNUSABLE = frozenset({"", ".", "..", ".git"})
_Changes = dict[str, bytes | None]


async def create_push(world: World, call: Call) -> Answer:
    """Write commits and move one branch to the last of them: 201."""
    repository, project = open_repository(world, call)
    body = call.fields()
    name, old = _ref_update(body)
    commits = body.get("commits")
    if not isinstance(commits, list) or not commits:
        return bad_request("At least one commit is needed.")
    tip = world.repos.tip(repository.key, name.removeprefix(_HEADS))
    if (tip or ZERO_ID) != old:
        return _stale(name)
    parent = tip
    written: list[str] = []
    for commit in commits:
        if not isinstance(commit, dict):
            return bad_request("A commit must be an object.")
        if parent is None and not written:
            parent = _given_parent(world, repository, commit)
        parent = _write(world, repository, parent, commit, call)
        written.append(parent)
    try:
        world.repos.update_ref(repository.key, name, tip, written[-1])
    except RefMoved:
        return _stale(name)
    settle_default(world, repository)
    update = {"name": name, "oldObjectId": old, "newObjectId": written[-1]}
    record = PushRecord(
        id=world.azdo.next_push_id,
        repository_id=repository.id,
        caller=call.caller.id,
        pushed_at=world.clock.timestamp(),
        ref_updates=[update],
        commits=written,
    )
    world.azdo.next_push_id += 1
    world.azdo.pushes[str(record.id)] = record
    url = repository_url(world, repository, project)
    return Answer(
        201,
        {
            "commits": [{"commitId": sha, "url": f"{url}/commits/{sha}"} for sha in written],
            "refUpdates": [{"repositoryId": repository.id, **update}],
            "repository": repository_json(world, repository, project),
            "pushedBy": identity(call.caller.id),
            "pushId": record.id,
            "date": moment(record.pushed_at),
            "url": f"{url}/pushes/{record.id}",
        },
    )


def _ref_update(body: dict[str, Any]) -> tuple[str, str]:
    updates = body.get("refUpdates")
    if not isinstance(updates, list) or len(updates) != 1 or not isinstance(updates[0], dict):
        raise Refused(bad_request("Exactly one ref update is needed."))
    name = text(updates[0], "name")
    if not name.startswith(_HEADS) or not pygit2.reference_is_valid_name(name):
        raise Refused(bad_request(f"'{name}' is not the full name of a branch."))
    return name, text(updates[0], "oldObjectId").lower()


def _stale(name: str) -> Answer:
    return error(
        409,
        "GitReferenceStaleException",
        f"TF401028: The reference '{name}' has already been updated by another client, so you "
        "cannot update it. Please try again.",
    )


def _given_parent(world: World, repository: GitRepository, commit: dict[str, Any]) -> str | None:
    """Return the parent that the first commit of a new branch names, None for a root commit."""
    parents = commit.get("parents")
    if not isinstance(parents, list) or not parents:
        return None
    found = world.repos.peel(repository.key, str(parents[0]))
    if found is None:
        raise Refused(bad_request(f"The parent commit {parents[0]} does not exist."))
    return found


def _write(
    world: World, repository: GitRepository, parent: str | None, commit: dict[str, Any], call: Call
) -> str:
    author = commit.get("author")
    author = author if isinstance(author, dict) else {}
    return world.repos.write_commit(
        repository.key,
        parent=parent,
        changes=_changes(world, repository, parent, commit.get("changes")),
        message=_comment(commit),
        author_name=_signed(author, "name", identity(call.caller.id)["displayName"]),
        author_email=_signed(author, "email", f"{call.caller.id}@emulator.invalid"),
        when=world.clock.now(),
    )


def _comment(commit: dict[str, Any]) -> str:
    """Return the message of a commit; git can store any text but one with a zero byte."""
    comment = text(commit, "comment")
    if "\0" in comment:
        raise Refused(bad_request("The comment of a commit can not hold a zero byte."))
    return comment


def _signed(author: dict[str, Any], name: str, default: str) -> str:
    """Return a name or an address as git can store it: a line that no bracket ends early."""
    given = text(author, name, default)
    if not given.strip(" .,:;<>\"'\\") or not given.isprintable() or set(given) & set("<>"):
        raise Refused(bad_request(f"The {name} of the author is not usable."))
    return given


def _changes(
    world: World, repository: GitRepository, parent: str | None, given: object
) -> _Changes:
    if not isinstance(given, list) or not given:
        raise Refused(bad_request("A commit needs at least one change."))
    files = {} if parent is None else world.repos.files(repository.key, parent)
    changes: _Changes = {}
    for change in given:
        if not isinstance(change, dict) or not isinstance(change.get("item"), dict):
            raise Refused(bad_request("A change needs changeType and item."))
        path = text(change["item"], "path").strip("/")
        _check_path(path)
        exists = path in files if path not in changes else changes[path] is not None
        match text(change, "changeType").lower():
            case "add":
                if exists:
                    raise Refused(
                        bad_request(
                            f"TF401197: A change of type add can not be made to '/{path}': the "
                            "item exists already."
                        )
                    )
                changes[path] = _content(change)
            case "edit":
                _need(exists, path)
                changes[path] = _content(change)
            case "delete":
                _need(exists, path)
                changes[path] = None
            case "rename":
                source = text(change, "sourceServerItem").strip("/")
                _need(source in files, source)
                old = world.repos.blob(repository.key, files[source].blob_sha)
                changes[source] = None
                changes[path] = _content(change) if "newContent" in change else old
            case other:
                raise Refused(bad_request(f"'{other}' is not a change type for a push."))
    return changes


def _check_path(path: str) -> None:
    pieces = path.split("/")
    if not path or "\0" in path or any(piece in _UNUSABLE for piece in pieces):
        raise Refused(bad_request(f"'/{path}' is not a usable path."))


def _need(exists: bool, path: str) -> None:
    if not exists:
        raise Refused(
            error(
                404, "GitItemNotFoundException", f"TF401174: The item '/{path}' could not be found."
            )
        )


def _content(change: dict[str, Any]) -> bytes:
    given = change.get("newContent")
    if not isinstance(given, dict) or not isinstance(given.get("content"), str):
        raise Refused(bad_request("newContent needs content and contentType."))
    content: str = given["content"]
    if text(given, "contentType", "rawText").lower() == "base64encoded":
        try:
            return base64.b64decode(content, validate=True)
        except binascii.Error as failure:
            raise Refused(bad_request("The content is not valid base64.")) from failure
    return content.encode()
