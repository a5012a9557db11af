"""Refs: listed with prefix filter and paging, updated one by one.

Source: azure-devops-import.md section 3 ("Refs") and git.json (spec).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pygit2

from reconciler.emulator.azdo.branches import settle_default
from reconciler.emulator.azdo.errors import bad_request
from reconciler.emulator.azdo.render import identity, listing, open_repository, repository_url
from reconciler.emulator.azdo.state import GitRepository
from reconciler.emulator.gitstore import RefMoved
from reconciler.emulator.http import Answer, Call, MalformedBody
from reconciler.emulator.world import World

__all__ = ["ZERO_ID", "list_refs", "update_refs"]

ZERO_ID = "0" * 40
_LARGEST_PAGE = 1000
_UPDATE = ("name", "oldObjectId", "newObjectId")
_HEX = frozenset("0123456789abcdef")


async def list_refs(world: World, call: Call) -> Answer:
    """List refs by name; ``filter`` is a prefix without ``refs/``."""
    repository, project = open_repository(world, call)
    prefix = call.query.get("filter", "")
    if prefix and call.query.get("includeMyBranches", "").lower() == "true":
        return bad_request("includeMyBranches can not be combined with filter.")
    contains = call.query.get("filterContains", "")
    found = [
        (name, object_id)
        for name, object_id in world.repos.refs(repository.key, f"refs/{prefix}").items()
        if contains in name
    ]
    token = call.query.get("continuationToken")
    if token is not None:
        found = [(name, object_id) for name, object_id in found if name >= token]
    headers: dict[str, str] = {}
    if "$top" in call.query or token is not None:
        try:
            top = int(call.query.get("$top", _LARGEST_PAGE))
        except ValueError:
            top = 0
        if not 1 <= top <= _LARGEST_PAGE:
            return bad_request(f"$top must be between 1 and {_LARGEST_PAGE}.")
        if len(found) > top:
            headers["x-ms-continuationtoken"] = found[top][0]
            found = found[:top]
    peel = call.query.get("peelTags", "").lower() == "true"
    url = repository_url(world, repository, project)
    values = []
    for name, object_id in found:
        value: dict[str, Any] = {"name": name, "objectId": object_id}
        if peel and world.repos.object_type(repository.key, object_id) == "tag":
            value["peeledObjectId"] = world.repos.peel(repository.key, object_id)
        value["creator"] = identity(call.caller.id)
        value["url"] = f"{url}/refs?filter={quote(name.removeprefix('refs/'), safe='')}"
        values.append(value)
    return listing(values, headers)


async def update_refs(world: World, call: Call) -> Answer:
    """Make, move and delete refs; each item says for itself whether it succeeded.

    The answer is 200 even when every item failed.

    Raises:
        MalformedBody: if the body is not a list of objects.
    """
    repository, _ = open_repository(world, call)
    body = call.body
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise MalformedBody("a list of ref updates is expected")
    members = [item.get(key, "") for item in body for key in _UPDATE]
    if not all(isinstance(member, str) for member in members):
        raise MalformedBody("name, oldObjectId and newObjectId are texts")
    values = []
    for item in body:
        name, old, new = (item.get(key, "") for key in _UPDATE)
        status = _update(world, repository, name, old.lower(), new.lower())
        values.append(
            {
                "repositoryId": repository.id,
                "name": name,
                "oldObjectId": old,
                "newObjectId": new,
                "isLocked": False,
                "updateStatus": status,
                "success": status.startswith("succeeded"),
            }
        )
    settle_default(world, repository)
    return listing(values)


def _update(world: World, repository: GitRepository, name: str, old: str, new: str) -> str:
    """Carry one update out and return its ``updateStatus``."""
    if not name.startswith(("refs/heads/", "refs/tags/")) or not pygit2.reference_is_valid_name(
        name
    ):
        return "invalidRefName"
    if not _is_id(old) or not _is_id(new):
        return "unprocessed"
    refs = world.repos.refs(repository.key)
    current = refs.get(name, ZERO_ID)
    if new == ZERO_ID and current == ZERO_ID:
        return "succeededNonExistentRef"
    if current != old:
        return "staleOldObjectId"
    if new != ZERO_ID:
        if world.repos.peel(repository.key, new) is None:
            return "unresolvableToCommit"
        if any(_clash(name, other) for other in refs):
            return "refNameConflict"
    try:
        world.repos.update_ref(
            repository.key,
            name,
            None if old == ZERO_ID else old,
            None if new == ZERO_ID else new,
        )
    except RefMoved:
        return "staleOldObjectId"
    return "succeeded"


def _is_id(text: str) -> bool:
    return len(text) == 40 and _HEX.issuperset(text)


def _clash(one: str, other: str) -> bool:
    """Whether one name would have to be a folder of the other."""
    return one.startswith(f"{other}/") or other.startswith(f"{one}/")
