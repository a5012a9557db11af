"""Definitions of many items at once (beta): export and import.

Source: fabric-api.md section 8 (export recorded, import spec), platform/definitions/platform.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import workspace_of
from reconciler.emulator.fabric.catalog import (
    add_item,
    definition,
    ensure_folder,
    find_item,
    folder_path,
    imported_parts,
    rename_item,
)
from reconciler.emulator.fabric.content import CONTENTS, ZERO_ID, Exchange
from reconciler.emulator.fabric.deployplans import (
    PLAN_FILE,
    PLAN_TYPE,
    Actions,
    DeploymentPlan,
    parse_plan,
    requested_plan,
    sort_by_needs,
)
from reconciler.emulator.fabric.errors import OperationFailed, invalid, not_found, refuse
from reconciler.emulator.fabric.itemformat import (
    PLATFORM,
    ItemTree,
    TreeItem,
    directory_leaf,
    model_directory,
    read_tree,
)
from reconciler.emulator.fabric.items import decode_parts, existing_item, parts_wire
from reconciler.emulator.fabric.lro import begin, operation
from reconciler.emulator.fabric.state import Item, Operation, Workspace
from reconciler.emulator.fabric.syncing import supported_items
from reconciler.emulator.fabric.updating import type_rank
from reconciler.emulator.http import Answer, Call, Refused, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES"]


def _check_beta(call: Call) -> None:
    if call.query.get("beta", "").lower() != "true":
        raise invalid("The beta query parameter must be true")


async def bulk_export(world: World, call: Call) -> Answer:
    """Start the export of many definitions (preview).

    Source: section 8, recorded: real logical ids, absolute part paths, an index of roots.
    """
    workspace = workspace_of(world, call, "Contributor")
    _check_beta(call)
    fields = call.fields()
    mode = wire.choice(fields, "mode", ("All", "Selective"))
    if mode is None:
        raise invalid("The mode field is required")
    chosen = [item.id for item in supported_items(workspace)]
    if mode == "Selective":
        chosen = [
            str(wire.identifier(entry, "id")) for entry in wire.sequence(fields, "items") or []
        ]
    for item_id in chosen:
        if item_id not in workspace.items:
            raise not_found("ItemNotFound", "The requested item could not be found")
    args = {"workspace": workspace.id, "items": chosen}
    return begin(world, call, "items.bulk_export", args)


@operation("items.bulk_export")
def run_bulk_export(world: World, found: Operation) -> dict[str, Any]:
    """Read the definitions as they are when the operation ends."""
    index: list[dict[str, str]] = []
    parts: list[dict[str, Any]] = []
    for item_id in found.args["items"]:
        args = {"workspace": found.args["workspace"], "item": item_id}
        workspace, item = existing_item(world, args)
        root = f"/{'/'.join(filter(None, _export_path(workspace, item)))}"
        index.append({"id": item.id, "rootPath": root})
        parts += parts_wire(world, definition(world, item), f"{root}/")
    return {"itemDefinitionsIndex": index, "definitionParts": parts}


def _export_path(workspace: Workspace, item: Item) -> tuple[str, ...]:
    parent = workspace.items.get(item.parent_id or "")
    leaf = directory_leaf(item.name, item.type, item.logical_id)
    if parent is not None:
        return (*_export_path(workspace, parent), ".children", leaf)
    return folder_path(workspace, item.folder_id), leaf


async def bulk_import(world: World, call: Call) -> Answer:
    """Start the import of many definitions: new items are made, known ones overwritten (spec)."""
    workspace = workspace_of(world, call, "Contributor")
    _check_beta(call)
    fields = call.fields()
    options = wire.mapping(fields, "options") or {}
    plan = requested_plan(call, options, "ByLogicalId")
    args = {
        "workspace": workspace.id,
        "parts": _decoded(world, fields),
        "by_name": options.get("allowPairingByName") is True,
        "plan": plan,
    }
    _prepared(world, workspace, args)
    return begin(world, call, "items.bulk_import", args)


def _decoded(world: World, fields: dict[str, Any]) -> dict[str, str]:
    """Return the parts as blobs by relative path; the paths of an export are absolute."""
    parts = wire.sequence(fields, "definitionParts") or []
    relative = [{**part, "path": wire.text(part, "path").removeprefix("/")} for part in parts]
    for part in relative:
        pieces = part["path"].split("/")
        if len(pieces) < 2 or {"", ".", ".."} & set(pieces):
            raise _bad_path(part["path"])
    return decode_parts(world, {"parts": relative})


def _bad_path(path: str) -> Exception:
    message = f"The request contains definition parts with invalid paths: {path}"
    return refuse(400, "InvalidFilesPath", message)


@dataclass(slots=True)
class _Import:
    """What an import will do, in order; ``ids`` gives the object id of every logical id."""

    tree: ItemTree
    order: list[TreeItem]
    ids: dict[str, str]
    nameless: set[str]
    plan: DeploymentPlan | None


def _prepared(world: World, workspace: Workspace, args: dict[str, Any]) -> _Import:
    """Return what an import does.

    Raises:
        Refused: 400 with the codes that the swagger names (spec).
    """
    parts, nameless = _named(world, args["parts"])
    tree = read_tree(parts, world.blobs.get)
    for code, place in tree.problems:
        raise refuse(400, code, f"The definitions cannot be imported because of {place}")
    owned = {f"{item.directory}/{path}" for item in tree.items.values() for path in item.files}
    for path in parts:
        if path not in owned:
            raise _bad_path(path)
    ids = {item.logical_id: item.id for item in workspace.items.values()}
    for item in tree.items.values():
        _pair(workspace, item, ids, nameless=nameless, by_name=args["by_name"])
    _check_dependencies(world, workspace, tree)
    plan = _plan(world, workspace, tree, args["plan"])
    order = sorted(tree.items.values(), key=lambda item: (type_rank(item.type), item.name))
    if plan is not None:
        needs = {
            item.logical_id: plan.needs(item.logical_id) | _lineage(world, tree, item)
            for item in order
        }
        order = sort_by_needs(order, lambda item: item.logical_id, needs)
    return _Import(tree, order, ids, nameless, plan)


def _named(world: World, parts: dict[str, str]) -> tuple[dict[str, str], set[str]]:
    """Give items without a logical id one for the time of the import.

    ``getDefinition`` hands out zeros and a file by hand may have none (section 8, recorded; spec).
    """
    found, nameless = dict(parts), set[str]()
    for path, digest in parts.items():
        if path.rpartition("/")[2] != PLATFORM:
            continue
        try:
            document = json.loads(world.blobs.get(digest).decode("utf-8-sig"))
            config = document.get("config") or {}
            missing = config.get("logicalId") in {None, "", ZERO_ID}
        except (ValueError, AttributeError, TypeError):
            continue  # reading the tree says so
        if missing:
            logical_id = new_id()
            nameless.add(logical_id)
            document["config"] = {**config, "logicalId": logical_id}
            found[path] = world.blobs.put(json.dumps(document, indent=2).encode())
    return found, nameless


def _pair(
    workspace: Workspace,
    item: TreeItem,
    ids: dict[str, str],
    *,
    nameless: set[str],
    by_name: bool,
) -> None:
    """Find the workspace item of an imported one, by logical id or, if allowed, by name (spec)."""
    if item.logical_id in ids and item.logical_id not in nameless:
        return
    namesake = find_item(workspace, item.type, item.name)
    if namesake is not None:
        if item.logical_id not in nameless or not by_name:
            raise refuse(
                400,
                "DuplicateDisplayNameAndType",
                f"The workspace has an item of type {item.type} named {item.name} already",
            )
        ids[item.logical_id] = namesake.id
    ids.setdefault(item.logical_id, new_id())


def _check_dependencies(world: World, workspace: Workspace, tree: ItemTree) -> None:
    """Refuse a report whose model is neither imported nor in the workspace (spec)."""
    there = {item.directory for item in tree.items.values()}
    there |= {
        "/".join(filter(None, _export_path(workspace, item))) for item in workspace.items.values()
    }
    for item in tree.items.values():
        model = _model(world, item)
        if model is not None and model not in there:
            raise refuse(
                400,
                "DependenciesCouldNotBeResolved",
                f"{item.name} depends on {model}, which could not be resolved",
            )


def _model(world: World, item: TreeItem) -> str | None:
    blob = item.files.get("definition.pbir")
    return None if blob is None else model_directory(item.directory, world.blobs.get(blob))


def _lineage(world: World, tree: ItemTree, item: TreeItem) -> set[str]:
    found: set[str] = set()
    for digest in item.definition.values():
        found |= CONTENTS.guids(world.blobs, digest) & tree.items.keys()
    model = _model(world, item)
    found |= {other.logical_id for other in tree.items.values() if other.directory == model}
    return found - {item.logical_id}


def _plan(
    world: World, workspace: Workspace, tree: ItemTree, logical_id: str | None
) -> DeploymentPlan | None:
    """Return the attached plan, from the request or else from the workspace."""
    if logical_id is None:
        return None
    incoming = tree.items.get(logical_id)
    blob = None if incoming is None else incoming.files.get(PLAN_FILE)
    if blob is None:
        for item in workspace.items.values():
            if item.logical_id == logical_id and item.type == PLAN_TYPE:
                blob = item.parts.get(PLAN_FILE)
    if blob is None:
        raise refuse(400, "ItemNotFound", "The deployment plan could not be found")
    return parse_plan(world.blobs.get(blob))


@operation("items.bulk_import")
def run_bulk_import(world: World, found: Operation) -> dict[str, Any]:
    """Write item after item; one that fails is told apart in the result (spec: operationStatus).

    With a deployment plan the first failure ends the operation (docs of Sep 2026).
    """
    workspace = world.fabric.workspaces.get(str(found.args["workspace"]))
    if workspace is None:
        raise OperationFailed("WorkspaceNotFound", "The workspace could not be found")
    prepared = _prepared(world, workspace, found.args)

    def find(logical_id: str) -> Item | None:
        return workspace.items.get(prepared.ids.get(logical_id, ""))

    actions = Actions(world, workspace, prepared.plan, find)
    exchange = Exchange(prepared.ids, (ZERO_ID, workspace.id))
    details: list[dict[str, Any]] = []
    for item in prepared.order:
        actions.before(item.logical_id)
        details.append(_imported(world, workspace, prepared, item, exchange))
        if prepared.plan is not None and details[-1]["operationStatus"] == "Failed":
            raise OperationFailed("UnknownError", f"{item.name} could not be imported")
        actions.after(item.logical_id)
    return {"importItemDefinitionsDetails": details}


def _imported(
    world: World, workspace: Workspace, prepared: _Import, item: TreeItem, exchange: Exchange
) -> dict[str, Any]:
    item_id = prepared.ids[item.logical_id]
    known = item_id in workspace.items
    status = "Succeeded"
    try:
        _write(world, workspace, prepared, item, exchange)
    except (OperationFailed, Refused):
        status = "Failed"
    details = {
        "itemId": item_id,
        "itemDisplayName": item.name,
        "itemType": item.type,
        "itemLogicalId": item.logical_id,
        "operationType": "Update" if known else "Create",
        "operationStatus": status,
    }
    if item.logical_id in prepared.nameless:
        there = workspace.items.get(item_id)
        del details["itemLogicalId"]
        if there is not None:
            details["itemLogicalId"] = there.logical_id
    return details


def _write(
    world: World, workspace: Workspace, prepared: _Import, item: TreeItem, exchange: Exchange
) -> None:
    if item.lacks_files:
        raise OperationFailed("MissingItemDefinitionFiles", "Definition files are missing")
    parts = imported_parts(world, item.type, item.definition, exchange)
    folder_id = ensure_folder(workspace, item.folder)
    parent_id = None if item.parent is None else prepared.ids.get(item.parent)
    current = workspace.items.get(prepared.ids[item.logical_id])
    if current is None:
        add_item(
            world,
            workspace,
            item_type=item.type,
            name=item.name,
            description=item.platform.description,
            parts=parts,
            folder_id=folder_id,
            parent_id=parent_id,
            item_id=prepared.ids[item.logical_id],
            logical_id=None if item.logical_id in prepared.nameless else item.logical_id,
        )
        return
    if current.name != item.name:
        rename_item(workspace, current, item.name)
    current.parts, current.description = parts, item.platform.description
    current.folder_id, current.parent_id = folder_id, parent_id


_ALL = "/v1/workspaces/{workspaceId}/items"
ROUTES = [
    Route("POST", f"{_ALL}/bulkExportDefinitions", bulk_export, "items.bulk_export", effect=False),
    Route("POST", f"{_ALL}/bulkImportDefinitions", bulk_import, "items.bulk_import"),
]
