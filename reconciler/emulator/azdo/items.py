"""Files and folders of a version, with or without content. Source: git.json Items (spec)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from reconciler.emulator.azdo.errors import bad_request
from reconciler.emulator.azdo.render import listing, open_repository, repository_url
from reconciler.emulator.azdo.state import GitRepository
from reconciler.emulator.azdo.versioned import item_not_found, resolve_version
from reconciler.emulator.http import Answer, Call
from reconciler.emulator.world import World

__all__ = ["read_items"]

_TREE_MODE, _SYMLINK_MODE, _SUBMODULE_MODE = 0o040000, 0o120000, 0o160000
_RECURSIONS = {"none", "onelevel", "onelevelplusnestedemptyfolders", "full"}
_LEVELS = {"0": "none", "1": "onelevel", "4": "onelevelplusnestedemptyfolders", "120": "full"}
_Entry = tuple[str, str, int]


async def read_items(world: World, call: Call) -> Answer:
    """List what is under ``scopePath``, or return the one item at ``path``.

    Paths in answers are absolute. A listing starts with the scope itself; its children come as
    git sorts them.
    """
    repository, project = open_repository(world, call)
    given = call.query.get("recursionLevel", "none").lower()
    recursion = _LEVELS.get(given, given)
    if recursion not in _RECURSIONS:
        return bad_request(f"{given} is not a recursion level.")
    commit, label = resolve_version(world, call, repository)
    single = call.query.get("path")
    path = "/" + (call.query.get("scopePath", "/") if single is None else single).strip("/")
    entry = world.repos.entry(repository.key, commit, path)
    if entry is None:
        return item_not_found(repository, path, label, commit)
    is_file = entry[1] != _TREE_MODE
    if single is not None and is_file and _wants_content(call):
        return _content(world, repository, path, entry[0], call)
    found: list[_Entry] = [(path, *entry)]
    if not is_file and recursion != "none":
        found += _below(world, repository, commit, path, deep=recursion == "full")
    url = repository_url(world, repository, project)
    values = [_item(url, commit, item, call) for item in found]
    if single is None or recursion != "none":
        return listing(values)
    if is_file and call.query.get("includeContent", "").lower() == "true":
        values[0]["content"] = world.repos.blob(repository.key, entry[0]).decode(errors="replace")
    return Answer(200, values[0])


def _wants_content(call: Call) -> bool:
    chosen = call.query.get("$format", "").lower()
    if chosen:
        return chosen in {"octetstream", "text"}
    if call.query.get("download", "").lower() == "true":
        return True
    accept = call.headers.get("Accept", "")
    return "application/octet-stream" in accept or "text/plain" in accept


def _content(
    world: World, repository: GitRepository, path: str, blob_sha: str, call: Call
) -> Answer:
    headers = {"ETag": f'"{blob_sha}"'}
    if call.query.get("download", "").lower() == "true":
        name = quote(path.rpartition("/")[2])
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
    wanted = call.query.get("$format", "").lower()
    text = wanted == "text" if wanted else "text/plain" in call.headers.get("Accept", "")
    return Answer(
        200,
        raw=world.repos.blob(repository.key, blob_sha),
        content_type="text/plain" if text else "application/octet-stream",
        headers=headers,
    )


def _below(
    world: World, repository: GitRepository, commit: str, path: str, *, deep: bool
) -> list[_Entry]:
    found: list[_Entry] = []
    for name, object_id, mode in world.repos.children(repository.key, commit, path):
        child = f"{path.rstrip('/')}/{name}"
        found.append((child, object_id, mode))
        if deep and mode == _TREE_MODE:
            found += _below(world, repository, commit, child, deep=True)
    return found


def _item(url: str, commit: str, entry: _Entry, call: Call) -> dict[str, Any]:
    path, object_id, mode = entry
    kinds = {_TREE_MODE: "tree", _SUBMODULE_MODE: "commit"}
    body: dict[str, Any] = {
        "objectId": object_id,
        "gitObjectType": kinds.get(mode, "blob"),
        "commitId": commit,
        "path": path,
    }
    if mode == _TREE_MODE:
        body["isFolder"] = True
    if mode == _SYMLINK_MODE:
        body["isSymLink"] = True
    if call.query.get("includeContentMetadata", "").lower() == "true":
        body["contentMetadata"] = {"fileName": path.rpartition("/")[2]}
    body["url"] = (
        f"{url}/items{quote(path)}?versionType=Commit&version={commit}&versionOptions=None"
    )
    return body
