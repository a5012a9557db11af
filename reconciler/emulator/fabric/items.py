"""Items and their definitions.

Source: fabric-api.md sections 2.6 and 8 (recorded): which calls are long-running depends on the
item type alone.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import item_of, workspace_of
from reconciler.emulator.fabric.catalog import (
    add_item,
    check_name,
    default_parts,
    definition,
    remove_item,
    rename_item,
)
from reconciler.emulator.fabric.content import ZERO_ID
from reconciler.emulator.fabric.errors import OperationFailed, invalid, not_found, refuse
from reconciler.emulator.fabric.folders import folders_below
from reconciler.emulator.fabric.itemformat import PLATFORM, parse_platform
from reconciler.emulator.fabric.lro import begin, operation
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.state import Item, Operation, Workspace
from reconciler.emulator.fabric.support import ITEM_TYPES
from reconciler.emulator.http import Answer, Call, Route

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "ROUTES",
    "change_item",
    "create_item_of",
    "decode_parts",
    "delete_item",
    "existing_item",
    "get_definition",
    "item_wire",
    "parts_wire",
    "update_definition",
]

_GET_INLINE = wire.words(
    "CopyJob DataPipeline Dataflow Eventstream KQLDashboard KQLQueryset Lakehouse "
    "MirroredDatabase MountedDataFactory Reflex SparkJobDefinition"
)
_UPDATE_INLINE = wire.words(
    "DataPipeline Eventstream KQLDashboard KQLQueryset MirroredDatabase Reflex SparkJobDefinition"
)
_CREATE_INLINE = wire.words(
    "DataPipeline KQLDashboard KQLQueryset MirroredDatabase Reflex SparkJobDefinition"
)
_CREATE_EMPTY_SLOW = wire.words(
    "Eventstream KQLDatabase MLExperiment MLModel SQLDatabase CosmosDBDatabase "
    "DigitalTwinBuilder Warehouse"
)
"""Section 2.6, recorded; types that were not recorded are long-running."""

_NO_DEFINITION = frozenset({"Dashboard", "Datamart", "SQLEndpoint", "MirroredWarehouse"})
_NEEDS_DEFINITION = frozenset({"Report", "SemanticModel"})


def item_wire(workspace: Workspace, item: Item) -> dict[str, Any]:
    """Return an item as most calls show it."""
    found: dict[str, Any] = {"id": item.id, "type": item.type, "displayName": item.name}
    # An empty description is sent or left out depending on the type (section 1, recorded).
    if item.description or item.type in _CREATE_INLINE:
        found["description"] = item.description
    found["workspaceId"] = workspace.id
    if item.folder_id is not None:
        found["folderId"] = item.folder_id
    return found


async def list_items(world: World, call: Call) -> Answer:
    """List items; the order is not the one in which they were made (recorded).

    Every entry has a description, if only an empty one: fabric-cicd takes it without a look whether
    it is there (client behaviour).
    """
    workspace = workspace_of(world, call, "Viewer")
    kind = call.query.get("type", "").lower()
    root = call.query.get("rootFolderId")
    if root is not None and root.lower() not in workspace.folders:
        raise not_found("FolderNotFound", "The requested folder could not be found")
    root_id = None if root is None else root.lower()
    everything = call.query.get("recursive", "true").lower() != "false"
    inside = folders_below(workspace, root_id) if everything else {root_id}
    found = [
        {**item_wire(workspace, item), "description": item.description}
        for _, item in sorted(workspace.items.items())
        if item.folder_id in inside and kind in {"", item.type.lower()}
    ]
    return paged(world, call, found)


def decode_parts(world: World, fields: dict[str, Any]) -> dict[str, str]:
    """Return the parts of a ``definition`` member as blobs by path.

    Raises:
        Refused: 400 InvalidDefinitionParts (SDK constant) for bad payloads.
    """
    parts = wire.sequence(fields, "parts")
    if not parts:
        raise refuse(400, "MissingDefinitionParts", "The definition has no parts")
    found: dict[str, str] = {}
    for part in parts:
        path = wire.text(part, "path")
        payload = part.get("payload")
        if part.get("payloadType") != "InlineBase64" or not isinstance(payload, str):
            raise _bad_part(path)
        if path.startswith("/") or ".." in path.split("/") or path in found:
            raise _bad_part(path)
        try:
            found[path] = world.blobs.put(base64.b64decode(payload, validate=True))
        except (binascii.Error, ValueError):
            raise _bad_part(path) from None
    return found


def _bad_part(path: str) -> Exception:
    return refuse(400, "InvalidDefinitionParts", f"The definition part {path} is invalid")


async def create_item(world: World, call: Call) -> Answer:
    """Make an item, at once or as an operation; 201 and 202 carry an empty ETag (recorded)."""
    workspace_of(world, call, "Contributor")
    return create_item_of(world, call, wire.text(call.fields(), "type"))


def create_item_of(world: World, call: Call, item_type: str) -> Answer:
    """Make an item of a type, which the body or the path names."""
    workspace = workspace_of(world, call, "Contributor")
    fields = call.fields()
    name = wire.text(fields, "displayName", limit=256)
    if item_type not in ITEM_TYPES or item_type == "SQLEndpoint":
        raise refuse(400, "InvalidItemType", "The item type is invalid")
    folder_id = wire.folder(fields, "folderId")
    if folder_id is not None and folder_id not in workspace.folders:
        raise not_found("FolderNotFound", "The requested folder could not be found")
    given = wire.mapping(fields, "definition")
    if given is None and item_type in _NEEDS_DEFINITION:
        raise refuse(400, "MissingDefinitionParts", "The item type needs a definition")
    parts = default_parts(world, item_type) if given is None else decode_parts(world, given)
    parts.pop(PLATFORM, None)
    check_name(world, workspace, item_type, name)
    args = {
        "workspace": workspace.id,
        "type": item_type,
        "name": name,
        "description": wire.optional_text(fields, "description", limit=256) or "",
        "folder": folder_id,
        "parts": parts,
    }
    slow = item_type in _CREATE_EMPTY_SLOW if given is None else item_type not in _CREATE_INLINE
    if slow:
        return begin(world, call, "items.create", args, headers={"ETag": '""'})
    return Answer(201, _create(world, args), headers={"ETag": '""'})


def _create(world: World, args: dict[str, Any]) -> dict[str, Any]:
    workspace = world.fabric.workspaces.get(args["workspace"])
    if workspace is None:
        raise OperationFailed("WorkspaceNotFound", "The workspace could not be found")
    check_name(world, workspace, args["type"], args["name"])
    item = add_item(
        world,
        workspace,
        item_type=args["type"],
        name=args["name"],
        description=args["description"],
        folder_id=args["folder"],
        parts=args["parts"],
    )
    return item_wire(workspace, item)


@operation("items.create")
def run_create(world: World, found: Operation) -> dict[str, Any]:
    """Make the item that the request described."""
    return _create(world, found.args)


async def get_item(world: World, call: Call) -> Answer:
    """Answer with one item."""
    workspace = workspace_of(world, call, "Viewer")
    return Answer(200, item_wire(workspace, item_of(workspace, call)))


async def update_item(world: World, call: Call) -> Answer:
    """Change name or description."""
    workspace = workspace_of(world, call, "Contributor")
    item = item_of(workspace, call)
    change_item(world, workspace, item, call.fields())
    return Answer(200, item_wire(workspace, item))


def change_item(world: World, workspace: Workspace, item: Item, fields: dict[str, Any]) -> None:
    """Change name and description if they are given."""
    name = wire.optional_text(fields, "displayName", limit=256)
    if name is not None and name != item.name:
        if name.lower() != item.name.lower():
            check_name(world, workspace, item.type, name)
        rename_item(workspace, item, name)
    description = wire.optional_text(fields, "description", limit=256)
    if description is not None:
        item.description = description


async def delete_item(world: World, call: Call) -> Answer:
    """Remove an item, to stay recoverable unless ``hardDelete`` says not; that needs an admin.

    Source: section 8, spec; that all types but those of children are soft-deleted is assumed.
    """
    hard = call.query.get("hardDelete", "").lower() == "true"
    workspace = workspace_of(world, call, "Admin" if hard else "Contributor")
    remove_item(world, workspace, item_of(workspace, call), soft=not hard)
    return Answer(200)


async def move_item(world: World, call: Call) -> Answer:
    """Move an item to a folder, or to the root without ``targetFolderId``."""
    workspace = workspace_of(world, call, "Contributor")
    item = item_of(workspace, call)
    target = wire.folder(call.fields(), "targetFolderId")
    if target is not None and target not in workspace.folders:
        raise not_found("FolderNotFound", "The requested folder could not be found")
    item.folder_id = target
    return Answer(200, {"value": [item_wire(workspace, item)]})


def parts_wire(world: World, parts: dict[str, str], prefix: str = "") -> list[dict[str, Any]]:
    """Return blobs by path as the parts of a definition."""
    return [
        {
            "path": f"{prefix}{path}",
            "payload": base64.b64encode(world.blobs.get(digest)).decode(),
            "payloadType": "InlineBase64",
        }
        for path, digest in parts.items()
    ]


async def get_definition(world: World, call: Call) -> Answer:
    """Answer with a definition; its ``.platform`` has a zero logical id (recorded 277/277)."""
    workspace = workspace_of(world, call, "Contributor")
    item = item_of(workspace, call)
    if item.type in _NO_DEFINITION:
        raise refuse(
            400, "OperationNotSupportedForItem", "Operation not supported for requested item"
        )
    args = {"workspace": workspace.id, "item": item.id}
    if item.type in _GET_INLINE:
        return Answer(200, _definition(world, args))
    return begin(world, call, "items.get_definition", args)


def _definition(world: World, args: dict[str, Any]) -> dict[str, Any]:
    item = existing_item(world, args)[1]
    return {"definition": {"parts": parts_wire(world, definition(world, item, logical_id=ZERO_ID))}}


def existing_item(world: World, args: dict[str, Any]) -> tuple[Workspace, Item]:
    """Return the workspace and the item of an operation that is due."""
    workspace = world.fabric.workspaces.get(args["workspace"])
    item = None if workspace is None else workspace.items.get(args["item"])
    if workspace is None or item is None:
        raise OperationFailed("ItemNotFound", "The requested item could not be found")
    return workspace, item


@operation("items.get_definition")
def run_get_definition(world: World, found: Operation) -> dict[str, Any]:
    """Read the definition as it is when the operation ends."""
    return _definition(world, found.args)


async def update_definition(world: World, call: Call) -> Answer:
    """Replace a definition; ``updateMetadata=True`` takes name and description over (recorded).

    A synchronous success is an empty 200 (section 1, recorded).
    """
    workspace = workspace_of(world, call, "Contributor")
    item = item_of(workspace, call)
    if item.type in _NO_DEFINITION:
        raise refuse(
            400, "OperationNotSupportedForItem", "Operation not supported for requested item"
        )
    given = wire.mapping(call.fields(), "definition")
    if given is None:
        raise invalid("The definition field is required")
    parts = decode_parts(world, given)
    metadata = call.query.get("updateMetadata", "").lower() == "true"
    platform = parts.pop(PLATFORM, None)
    if platform is not None and parse_platform(world.blobs.get(platform)) is None:
        raise refuse(400, "InvalidPlatformFile", "The .platform file is invalid")
    args = {
        "workspace": workspace.id,
        "item": item.id,
        "parts": parts,
        "platform": platform if metadata else None,
    }
    if item.type in _UPDATE_INLINE:
        _update(world, args)
        return Answer(200)
    return begin(world, call, "items.update_definition", args)


def _update(world: World, args: dict[str, Any]) -> dict[str, Any]:
    workspace, item = existing_item(world, args)
    item.parts = args["parts"]
    if args["platform"] is not None:
        platform = parse_platform(world.blobs.get(args["platform"]))
        if platform is not None:
            if platform.name != item.name:
                check_name(world, workspace, item.type, platform.name)
                rename_item(workspace, item, platform.name)
            item.description = platform.description
    return item_wire(workspace, item)


@operation("items.update_definition")
def run_update_definition(world: World, found: Operation) -> dict[str, Any]:
    """Replace the definition; the result is the item (18 of 19 recorded)."""
    return _update(world, found.args)


_ALL = "/v1/workspaces/{workspaceId}/items"
_ONE = f"{_ALL}/{{itemId}}"
ROUTES = [
    Route("GET", _ALL, list_items, "items.list"),
    Route("POST", _ALL, create_item, "items.create"),
    Route("GET", _ONE, get_item, "items.get"),
    Route("PATCH", _ONE, update_item, "items.update"),
    Route("DELETE", _ONE, delete_item, "items.delete"),
    Route("POST", f"{_ONE}/move", move_item, "items.move"),
    Route("POST", f"{_ONE}/getDefinition", get_definition, "items.get_definition", effect=False),
    Route("POST", f"{_ONE}/updateDefinition", update_definition, "items.update_definition"),
]
