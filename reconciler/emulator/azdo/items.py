"""Files and folders of a version: listed, as content, as a zip. Source: git.json Items (spec)."""

from __future__ import annotations

import io
import zipfile
from typing import Any
from urllib.parse import quote

from reconciler.emulator.azdo.commits import commit_json
from reconciler.emulator.azdo.errors import bad_request
from reconciler.emulator.azdo.render import listing, open_repository, repository_url
from reconciler.emulator.azdo.state import GitRepository, Project
from reconciler.emulator.azdo.versioned import history, item_not_found, resolve_version
from reconciler.emulator.http import Answer, Call
from reconciler.emulator.world import World

__all__ = ["read_items"]

_TREE_MODE, _SYMLINK_MODE, _SUBMODULE_MODE = 0o040000, 0o120000, 0o160000
_RECURSIONS = {"none", "onelevel", "onelevelplusnestedemptyfolders", "full"}
_LEVELS = {"0": "none", "1": "onelevel", "4": "onelevelplusnestedemptyfolders", "120": "full"}
# As zip files name the system whose permissions they hold.
_UNIX = 3
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
    single = call.query.get("path")
    path = "/" + (call.query.get("scopePath", "/") if single is None else single).strip("/")
    commit, label = resolve_version(world, call, repository, path=path)
    entry = world.repos.entry(repository.key, commit, path)
    if entry is None:
        return item_not_found(repository, path, label, commit)
    is_file = entry[1] != _TREE_MODE
    if _wants(call, "zip", "application/zip"):
        return _zip(world, repository, commit, path, unix=_flag(call, "zipForUnix"))
    if single is not None and is_file and _wants_content(call):
        return _content(world, repository, path, entry[0], call)
    found: list[_Entry] = [(path, *entry)]
    if not is_file and recursion != "none":
        found += _below(world, repository, commit, path, deep=recursion == "full")
    url = repository_url(world, repository, project)
    values = [_item(url, commit, item, call) for item in found]
    if _flag(call, "latestProcessedChange"):
        for value in values:
            _add_latest(world, repository, project, commit, value)
    if single is None or recursion != "none":
        return listing(values)
    if is_file and _flag(call, "includeContent"):
        values[0]["content"] = world.repos.blob(repository.key, entry[0]).decode(errors="replace")
    return Answer(200, values[0])


def _flag(call: Call, name: str) -> bool:
    return call.query.get(name, "").lower() == "true"


def _wants(call: Call, name: str, media_type: str) -> bool:
    """Whether a form is asked for: ``$format`` overrides the Accept header."""
    chosen = call.query.get("$format", "").lower()
    return chosen == name if chosen else media_type in call.headers.get("Accept", "")


def _wants_content(call: Call) -> bool:
    return (
        _wants(call, "octetstream", "application/octet-stream")
        or _wants(call, "text", "text/plain")
        or ("$format" not in call.query and _flag(call, "download"))
    )


def _attachment(path: str, ending: str = "") -> str:
    name = quote((path.rpartition("/")[2] or "root") + ending)
    return f"attachment; filename*=UTF-8''{name}"


def _zip(world: World, repository: GitRepository, commit: str, path: str, *, unix: bool) -> Answer:
    """Return an item as a zip, always as a download.

    Names are relative to the folder that holds the item, so that a folder is one in the zip too
    (assumed). ``zipForUnix`` keeps executables and symbolic links (spec).
    """
    scope = path.strip("/")
    above = scope.rpartition("/")[0]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, entry in sorted(world.repos.files(repository.key, commit).items()):
            if scope and name != scope and not name.startswith(f"{scope}/"):
                continue
            member = zipfile.ZipInfo(name.removeprefix(f"{above}/") if above else name)
            member.compress_type = zipfile.ZIP_DEFLATED
            if unix:
                member.create_system = _UNIX
                member.external_attr = entry.mode << 16
            archive.writestr(member, world.repos.blob(repository.key, entry.blob_sha))
    return Answer(
        200,
        raw=content.getvalue(),
        content_type="application/zip",
        headers={"Content-Disposition": _attachment(path, ".zip")},
    )


def _add_latest(
    world: World, repository: GitRepository, project: Project, commit: str, value: dict[str, Any]
) -> None:
    change = next(history(world, repository, commit, value["path"]), None)
    if change is not None:
        value["latestProcessedChange"] = commit_json(world, repository, project, change)


def _content(
    world: World, repository: GitRepository, path: str, blob_sha: str, call: Call
) -> Answer:
    headers = {"ETag": f'"{blob_sha}"'}
    if _flag(call, "download"):
        headers["Content-Disposition"] = _attachment(path)
    text = _wants(call, "text", "text/plain")
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
    if _flag(call, "includeContentMetadata"):
        body["contentMetadata"] = {"fileName": path.rpartition("/")[2]}
    body["url"] = (
        f"{url}/items{quote(path)}?versionType=Commit&version={commit}&versionOptions=None"
    )
    return body
