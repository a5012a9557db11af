"""Workspace folders. Source: fabric-api.md section 8, platform/swagger.json (spec)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import workspace_of
from reconciler.emulator.fabric.errors import not_found, refuse, related
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.state import Folder, Workspace
from reconciler.emulator.http import Answer, Call, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "folders_below"]

_FORBIDDEN = set('~"#.%&*:<>?/\\{|}')
_DEPTH = 10


def _wire(workspace: Workspace, folder: Folder) -> dict[str, Any]:
    found = {"id": folder.id, "displayName": folder.name, "workspaceId": workspace.id}
    if folder.parent_id is not None:
        found["parentFolderId"] = folder.parent_id
    return found


def _find(workspace: Workspace, folder_id: str | None) -> Folder:
    found = workspace.folders.get((folder_id or "").lower())
    if found is None:
        raise not_found("FolderNotFound", "The requested folder could not be found")
    return found


def folders_below(workspace: Workspace, root: str | None) -> set[str | None]:
    """Return a folder (None: the root) and every folder below it."""
    found: set[str | None] = {root}
    grown = True
    while grown:
        more = {f.id for f in workspace.folders.values() if f.parent_id in found} - found
        grown = bool(more)
        found |= more
    return found


def _depth(workspace: Workspace, folder_id: str | None) -> int:
    depth = 0
    while folder_id is not None:
        depth += 1
        folder_id = workspace.folders[folder_id].parent_id
    return depth


def _check_place(workspace: Workspace, name: str, parent: str | None, own: str = "") -> None:
    if not name.strip() or name != name.strip() or _FORBIDDEN & set(name) or len(name) > 255:
        raise refuse(400, "InvalidFolderDisplayName", "The folder name is invalid")
    if _depth(workspace, parent) >= _DEPTH:
        raise refuse(400, "FolderDepthOutOfRange", "Folders can be at most 10 levels deep")
    for other in workspace.folders.values():
        same = other.parent_id == parent and other.name.lower() == name.lower()
        if same and other.id != own:
            raise refuse(409, "FolderDisplayNameAlreadyInUse", "The folder name is already in use")


async def list_folders(world: World, call: Call) -> Answer:
    """List folders below a root, all levels unless ``recursive`` is false."""
    workspace = workspace_of(world, call, "Viewer")
    root = call.query.get("rootFolderId")
    root_id = None if root is None else _find(workspace, root).id
    everything = call.query.get("recursive", "true").lower() != "false"
    above = folders_below(workspace, root_id) if everything else {root_id}
    found = [_wire(workspace, f) for f in workspace.folders.values() if f.parent_id in above]
    return paged(world, call, found)


async def create_folder(world: World, call: Call) -> Answer:
    """Make a folder: 201 with Location."""
    workspace = workspace_of(world, call, "Contributor")
    fields = call.fields()
    name = wire.text(fields, "displayName")
    parent = wire.folder(fields, "parentFolderId")
    if parent is not None:
        parent = _find(workspace, parent).id
    _check_place(workspace, name, parent)
    limit = world.fabric.settings.folder_limit
    if limit is not None and len(workspace.folders) >= limit:
        # An SDK constant; no number is published, so there is none by default (status assumed).
        raise refuse(400, "TooManyFolders", "The workspace has too many folders")
    folder = Folder(id=new_id(), name=name, parent_id=parent)
    workspace.folders[folder.id] = folder
    location = f"{world.urls.fabric_url}/v1/workspaces/{workspace.id}/folders/{folder.id}"
    return Answer(201, _wire(workspace, folder), headers={"Location": location})


async def get_folder(world: World, call: Call) -> Answer:
    """Answer with one folder."""
    workspace = workspace_of(world, call, "Viewer")
    return Answer(200, _wire(workspace, _find(workspace, call.params["folderId"])))


async def update_folder(world: World, call: Call) -> Answer:
    """Rename a folder."""
    workspace = workspace_of(world, call, "Contributor")
    folder = _find(workspace, call.params["folderId"])
    name = wire.text(call.fields(), "displayName")
    _check_place(workspace, name, folder.parent_id, folder.id)
    folder.name = name
    return Answer(200, _wire(workspace, folder))


async def move_folder(world: World, call: Call) -> Answer:
    """Move a folder below another, or to the root without ``targetFolderId``."""
    workspace = workspace_of(world, call, "Contributor")
    folder = _find(workspace, call.params["folderId"])
    target = wire.folder(call.fields(), "targetFolderId")
    if target is not None:
        target = _find(workspace, target).id
    if target in folders_below(workspace, folder.id):
        raise refuse(400, "InvalidInput", "A folder cannot be moved below itself")
    _check_place(workspace, folder.name, target, folder.id)
    folder.parent_id = target
    return Answer(200, _wire(workspace, folder))


async def delete_folder(world: World, call: Call) -> Answer:
    """Remove an empty folder (FolderNotEmpty: recorded)."""
    workspace = workspace_of(world, call, "Contributor")
    folder = _find(workspace, call.params["folderId"])
    used = any(item.folder_id == folder.id for item in workspace.items.values())
    if used or any(other.parent_id == folder.id for other in workspace.folders.values()):
        raise refuse(
            400,
            "FolderNotEmpty",
            "The requested folder was not empty.",
            resource=related("Folder", folder.id),
        )
    del workspace.folders[folder.id]
    return Answer(200)


_ALL = "/v1/workspaces/{workspaceId}/folders"
_ONE = f"{_ALL}/{{folderId}}"
ROUTES = [
    Route("GET", _ALL, list_folders, "folders.list"),
    Route("POST", _ALL, create_folder, "folders.create"),
    Route("GET", _ONE, get_folder, "folders.get"),
    Route("PATCH", _ONE, update_folder, "folders.update"),
    Route("DELETE", _ONE, delete_folder, "folders.delete"),
    Route("POST", f"{_ONE}/move", move_folder, "folders.move"),
]
