"""Commits, newest first, and the filters on them. Source: git.json Commits (spec)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from reconciler.emulator.azdo.errors import bad_request, error
from reconciler.emulator.azdo.render import (
    identity,
    listing,
    moment,
    open_repository,
    repository_url,
    web_url,
)
from reconciler.emulator.azdo.state import GitRepository, Project, PushRecord
from reconciler.emulator.azdo.versioned import history, resolve_version
from reconciler.emulator.gitstore import CommitInfo, FileEntry
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.world import World

__all__ = ["commit_json", "get_commit", "list_commits"]

_DEFAULT_TOP = 100
_LARGEST_TOP, _LARGEST_SKIP = 50_000, 3_000_000
_PREFIX = "searchCriteria."
_MODES = frozenset({"simplifiedhistory", "firstparent", "fullhistory", "fullhistorysimplifymerges"})
_Keep = Callable[[CommitInfo], bool]


def _given(call: Call, name: str) -> str | None:
    """Return a criterion; it may stand without its prefix (git.json, spec)."""
    return call.query.get(f"{_PREFIX}{name}", call.query.get(name)) or None


def _flag(call: Call, name: str) -> bool:
    return (_given(call, name) or "").lower() == "true"


def _number(call: Call, names: tuple[str, ...], default: int, largest: int) -> int:
    text = next((found for name in names if (found := _given(call, name))), None)
    number = int(text) if text is not None and text.isdecimal() and len(text) < 10 else default
    if text is not None and (not text.isdecimal() or len(text) >= 10 or number > largest):
        raise Refused(bad_request(f"{names[0]} must be a number from 0 to {largest}."))
    return number


async def list_commits(world: World, call: Call) -> Answer:
    """List commits: those of a version, a push, or given by their ids.

    Criteria filter before ``$skip`` and ``$top`` count. ``author`` and ``user`` are parts of a name
    or e-mail address in any case (assumed); ``fromCommitId`` and ``toCommitId`` bound the ids
    alphabetically, as the swagger says; with ``compareVersion`` the commits are those that it has
    and ``itemVersion`` has not (assumed).
    """
    repository, project = open_repository(world, call)
    top = _number(call, ("$top", "top"), _DEFAULT_TOP, _LARGEST_TOP)
    skip = _number(call, ("$skip", "skip"), 0, _LARGEST_SKIP)
    found: Iterable[CommitInfo] = _chosen(world, call, repository)
    keeps = _filters(world, call, repository)
    found = (commit for commit in found if all(keep(commit) for keep in keeps))
    if _flag(call, "showOldestCommitsFirst"):
        found = reversed(list(found))
    pushes = _pushes(world, repository) if _flag(call, "includePushData") else None
    links, work_items = _flag(call, "includeLinks"), _flag(call, "includeWorkItems")
    values = []
    for commit in itertools.islice(found, skip, skip + top):
        body = commit_json(world, repository, project, commit, links=links)
        if pushes is not None and commit.sha in pushes:
            body["push"] = _push_json(world, repository, project, pushes[commit.sha])
        if work_items:
            body["workItems"] = []
        values.append(body)
    return listing(values)


def _chosen(world: World, call: Call, repository: GitRepository) -> Iterator[CommitInfo]:
    """Return the commits that are asked for, before any filter."""
    ids = [text.strip() for text in (_given(call, "ids") or "").split(",") if text.strip()]
    push = call.query.get("pushId")
    if push is not None:
        record = world.azdo.pushes.get(push)
        known = record is not None and record.repository_id == repository.id
        ids = list(reversed(record.commits)) if record is not None and known else []
    if ids or push is not None:
        return iter([_one(world, repository, text) for text in ids])
    version = f"{_PREFIX}itemVersion."
    if repository.default_branch is None and f"{version}version" not in call.query:
        return iter(())
    path = _given(call, "itemPath") or "/"
    mode = (_given(call, "historyMode") or "simplifiedHistory").lower()
    if mode not in _MODES:
        raise Refused(bad_request(f"{mode} is not a history mode."))
    tip, _ = resolve_version(world, call, repository, version, path=path)
    without = None
    compared = f"{_PREFIX}compareVersion."
    if call.query.get(f"{compared}version"):
        without, (tip, _) = tip, resolve_version(world, call, repository, compared, path=path)
    return history(world, repository, tip, path, without=without, mode=mode)


def _filters(world: World, call: Call, repository: GitRepository) -> list[_Keep]:
    """Return what a commit has to satisfy.

    Raises:
        Refused: 400 for a date that is none.
    """
    keeps: list[_Keep] = []
    author, user = _given(call, "author"), _given(call, "user")
    if author is not None:
        keeps.append(lambda commit: _is_by(author, commit.author_name, commit.author_email))
    if user is not None:
        keeps.append(lambda commit: _is_by(user, commit.committer_name, commit.committer_email))
    since, until = _date(call, "fromDate"), _date(call, "toDate")
    if since is not None:
        keeps.append(lambda commit: commit.time_s >= since)
    if until is not None:
        keeps.append(lambda commit: commit.time_s <= until)
    lowest, highest = _given(call, "fromCommitId"), _given(call, "toCommitId")
    if lowest is not None:
        keeps.append(lambda commit: commit.sha >= lowest.lower())
    if highest is not None:
        keeps.append(lambda commit: commit.sha <= highest.lower())
    path = _given(call, "itemPath")
    if path is not None and _flag(call, "excludeDeletes"):
        keeps.append(lambda commit: world.repos.entry(repository.key, commit.sha, path) is not None)
    return keeps


def _is_by(wanted: str, name: str, email: str) -> bool:
    return wanted.lower() in f"{name} <{email}>".lower()


def _date(call: Call, name: str) -> float | None:
    text = _given(call, name)
    if text is None:
        return None
    for form in ("iso", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y"):
        try:
            found = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007 - the zone is added below
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            continue
    raise Refused(bad_request(f"{name} must be a date, not {text}."))


def _one(world: World, repository: GitRepository, text: str) -> CommitInfo:
    """Return a commit by its full id.

    Raises:
        Refused: 404 if there is none.
    """
    sha = world.repos.peel(repository.key, text.lower())
    if sha is None:
        raise Refused(
            error(
                404,
                "GitCommitDoesNotExistException",
                f"TF401175: The commit {text} does not exist in the repository {repository.name}.",
            )
        )
    return world.repos.log(repository.key, sha, 1)[0]


async def get_commit(world: World, call: Call) -> Answer:
    """Return one commit by its full id, with ``changeCount`` changes of its files."""
    repository, project = open_repository(world, call)
    commit = _one(world, repository, call.params["commit"])
    body = commit_json(world, repository, project, commit, links=True)
    body["treeId"] = commit.tree_id
    body["remoteUrl"] = f"{web_url(world, repository, project)}/commit/{commit.sha}"
    push = _pushes(world, repository).get(commit.sha)
    if push is not None:
        body["push"] = _push_json(world, repository, project, push)
    count = _number(call, ("changeCount",), 0, _LARGEST_TOP)
    if count:
        changes = _changes(world, repository, commit)
        kinds = [kind for _, kind in changes]
        body["changeCounts"] = {
            name.capitalize(): kinds.count(name)
            for name in ("add", "edit", "delete")
            if name in kinds
        }
        url = repository_url(world, repository, project)
        body["changes"] = [
            {
                "item": {
                    "gitObjectType": "blob",
                    "path": f"/{path}",
                    "url": f"{url}/items/{path}?versionType=Commit&version={commit.sha}",
                },
                "changeType": kind,
            }
            for path, kind in changes[:count]
        ]
    return Answer(200, body)


def _changes(world: World, repository: GitRepository, commit: CommitInfo) -> list[tuple[str, str]]:
    """Return path and kind of what a commit changed against its first parent."""
    after = world.repos.files(repository.key, commit.sha)
    before: dict[str, FileEntry] = {}
    if commit.parents:
        before = dict(world.repos.files(repository.key, commit.parents[0]))
    found = []
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            kind = "add" if path not in before else "edit" if path in after else "delete"
            found.append((path, kind))
    return found


def _pushes(world: World, repository: GitRepository) -> dict[str, PushRecord]:
    """Return the pushes of a repository by the commits that they brought."""
    return {
        sha: record
        for record in world.azdo.pushes.values()
        if record.repository_id == repository.id
        for sha in record.commits
    }


def _push_json(
    world: World, repository: GitRepository, project: Project, record: PushRecord
) -> dict[str, Any]:
    return {
        "pushedBy": identity(record.caller),
        "pushId": record.id,
        "date": moment(record.pushed_at),
        "url": f"{repository_url(world, repository, project)}/pushes/{record.id}",
    }


def commit_json(
    world: World,
    repository: GitRepository,
    project: Project,
    commit: CommitInfo,
    *,
    links: bool = False,
) -> dict[str, Any]:
    """Return a GitCommitRef."""
    base = repository_url(world, repository, project)
    url = f"{base}/commits/{commit.sha}"
    body: dict[str, Any] = {
        "commitId": commit.sha,
        "author": {
            "name": commit.author_name,
            "email": commit.author_email,
            "date": moment(commit.authored_s),
        },
        "committer": {
            "name": commit.committer_name,
            "email": commit.committer_email,
            "date": moment(commit.time_s),
        },
        "comment": commit.message.rstrip("\n"),
        "parents": list(commit.parents),
        "url": url,
    }
    if links:
        web = f"{web_url(world, repository, project)}/commit/{commit.sha}"
        body["_links"] = {
            "self": {"href": url},
            "repository": {"href": base},
            "changes": {"href": f"{url}/changes"},
            "web": {"href": web},
            "tree": {"href": f"{base}/trees/{commit.tree_id}"},
        }
    return body
