"""Changing what is in a workspace: items and folders, however the change is asked for.

The API, the portal, an update from Git and a deployment all come through here, so that each kind
of change has the same consequences everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.emulator.fabric.content import CONTENTS, Exchange
from reconciler.emulator.fabric.errors import refuse
from reconciler.emulator.fabric.itemformat import (
    PLATFORM,
    Platform,
    born_logical_id,
    parse_platform,
    write_platform,
)
from reconciler.emulator.fabric.state import Folder, Item, Workspace
from reconciler.emulator.fabric.support import BY_LOGICAL_ID
from reconciler.emulator.fabric.wire import moment, now
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "ITEM_LIMIT",
    "add_item",
    "check_name",
    "default_parts",
    "definition",
    "ensure_folder",
    "find_item",
    "folder_path",
    "imported_parts",
    "platform_blob",
    "recoverable_items",
    "remove_item",
    "rename_item",
]

ITEM_LIMIT = 1000
"""Items per workspace (section 6.9, docs)."""

_NAME_HELD_S = 20.0
_DEFAULTS: Mapping[str, Mapping[str, bytes]] = {
    "Notebook": {"notebook-content.py": b"# Fabric notebook source\n"},
    "Lakehouse": {"lakehouse.metadata.json": b"{}"},
    "DataPipeline": {
        "pipeline-content.json": b'{\n  "properties": {\n    "activities": []\n  }\n}'
    },
    "VariableLibrary": {
        "variables.json": b'{\n  "variables": []\n}',
        "settings.json": b'{\n  "valueSetsOrder": []\n}',
    },
    "Environment": {"Setting/Sparkcompute.yml": b"enable_native_execution_engine: false\n"},
    "Reflex": {"ReflexEntities.json": b"[]"},
}


def default_parts(world: World, item_type: str) -> dict[str, str]:
    """Return the definition of an item that was made without one (content assumed)."""
    return {
        path: world.blobs.put(content) for path, content in _DEFAULTS.get(item_type, {}).items()
    }


def folder_path(workspace: Workspace, folder_id: str | None) -> str:
    """Return a folder as the path of names from the root, "" for the root."""
    names: list[str] = []
    while folder_id is not None:
        folder = workspace.folders[folder_id]
        names.append(folder.name)
        folder_id = folder.parent_id
    return "/".join(reversed(names))


def ensure_folder(workspace: Workspace, path: str) -> str | None:
    """Return the id of the folder with this path, made with its parents where missing."""
    parent: str | None = None
    for name in filter(None, path.split("/")):
        found = next(
            (
                folder.id
                for folder in workspace.folders.values()
                if folder.parent_id == parent and folder.name == name
            ),
            None,
        )
        if found is None:
            folder = Folder(id=new_id(), name=name, parent_id=parent)
            workspace.folders[folder.id] = folder
            found = folder.id
        parent = found
    return parent


def imported_parts(
    world: World, item_type: str, definition: Mapping[str, str], exchange: Exchange
) -> dict[str, str]:
    """Return a definition in Git form as the workspace holds it: with the ids of its own items."""
    if item_type in BY_LOGICAL_ID:
        exchange = Exchange({}, exchange.workspace)
    return {
        path: CONTENTS.exchange(world.blobs, digest, exchange)
        for path, digest in definition.items()
    }


def find_item(workspace: Workspace, item_type: str, name: str) -> Item | None:
    """Return the item of this type and display name."""
    return next(
        (
            item
            for item in workspace.items.values()
            if item.type == item_type and item.name.lower() == name.lower()
        ),
        None,
    )


def check_name(world: World, workspace: Workspace, item_type: str, name: str) -> None:
    """Refuse a name that an item of this type has, or had until a moment ago.

    Source: fabric-api.md section 3.5, field: 409 for both, told apart by code and isRetriable;
    a client of 2025 expects 400 for a held name, which is a setting.
    """
    if find_item(workspace, item_type, name) is not None:
        raise refuse(
            409,
            "ItemDisplayNameAlreadyInUse",
            f"Requested '{name}' is already in use",
            retriable=False,
        )
    held = workspace.held_names.get(f"{item_type}/{name.lower()}")
    if held is not None and moment(held) > world.clock.now():
        raise refuse(
            world.fabric.settings.name_hold_status,
            "ItemDisplayNameNotAvailableYet",
            f"Requested '{name}' is not available yet and is expected to become available in the "
            "upcoming minutes.",
            retriable=True,
        )


def add_item(
    world: World,
    workspace: Workspace,
    *,
    item_type: str,
    name: str,
    parts: dict[str, str],
    description: str = "",
    folder_id: str | None = None,
    parent_id: str | None = None,
    item_id: str | None = None,
    logical_id: str | None = None,
) -> Item:
    """Add an item; a lakehouse brings its SQL endpoint (section 8, recorded).

    Without a ``logical_id`` the item counts as born here: its logical id follows from its id.
    """
    if len(workspace.items) + recoverable_items(world, workspace) >= ITEM_LIMIT:
        raise refuse(400, "WorkspaceItemsLimitExceeded", "The workspace has too many items")
    item_id = item_id or new_id()
    item = Item(
        id=item_id,
        logical_id=logical_id or born_logical_id(item_id),
        type=item_type,
        name=name,
        description=description,
        folder_id=folder_id,
        parent_id=parent_id,
        parts=parts,
    )
    workspace.items[item.id] = item
    if item_type == "Lakehouse":
        endpoint = new_id()
        workspace.items[endpoint] = Item(
            id=endpoint,
            logical_id=born_logical_id(endpoint),
            type="SQLEndpoint",
            name=name,
            folder_id=folder_id,
            parent_id=item.id,
        )
    return item


def rename_item(workspace: Workspace, item: Item, name: str) -> None:
    """Give an item another display name; its SQL endpoint follows."""
    item.name = name
    for child in workspace.items.values():
        if child.parent_id == item.id and child.type == "SQLEndpoint":
            child.name = name


def recoverable_items(world: World, workspace: Workspace) -> int:
    """Return how many deleted items count toward the item limit (section 8, spec)."""
    now_here = world.clock.now()
    return sum(moment(until) > now_here for until in workspace.deleted.values())


def remove_item(world: World, workspace: Workspace, item: Item, *, soft: bool = False) -> None:
    """Remove an item with its children, its pairings, jobs and rules; hold its name for a while.

    By default the name is held at speed ``real`` only: about 20 s were measured (section 3.5,
    field). A ``soft`` removal leaves it recoverable, which only its count tells: no call of the
    published API restores an item.
    """
    for child in [child for child in workspace.items.values() if child.parent_id == item.id]:
        remove_item(world, workspace, child)
    workspace.items.pop(item.id, None)
    settings = world.fabric.settings
    if soft and settings.soft_delete:
        until = world.clock.now() + timedelta(seconds=settings.soft_delete_s)
        workspace.deleted[item.id] = until.isoformat()
    for job in [job for job in world.fabric.jobs.values() if job.item_id == item.id]:
        del world.fabric.jobs[job.id]
    for pipeline in world.fabric.pipelines.values():
        if all(stage.workspace_id != workspace.id for stage in pipeline.stages):
            continue  # pairs belong to a stage and go with it
        pipeline.edges = [
            edge for edge in pipeline.edges if item.id not in {edge.source_id, edge.target_id}
        ]
        for stage in pipeline.stages:
            stage.deployed.pop(item.id, None)
            if any(rule.item_id == item.id for rule in stage.rules):
                stage.rules = [rule for rule in stage.rules if rule.item_id != item.id]
    hold_s = settings.name_hold_s
    if hold_s is None:
        hold_s = _NAME_HELD_S if world.options.speed == "real" else 0.0
    if hold_s > 0:
        until = moment(now(world)) + timedelta(seconds=hold_s)
        workspace.held_names[f"{item.type}/{item.name.lower()}"] = until.isoformat()


def platform_blob(world: World, item: Item, *, logical_id: str | None = None) -> str:
    """Return the blob of an item's ``.platform``.

    The file as it came from Git is used while it still says the truth, so that a round trip
    changes no byte; otherwise it is written anew.
    """
    known: Platform | None = None
    if item.platform is not None:
        known = parse_platform(world.blobs.get(item.platform))
        current = (item.type, item.name, item.description, logical_id or item.logical_id)
        if known is not None and current == (
            known.type,
            known.name,
            known.description,
            known.logical_id,
        ):
            return item.platform
    return world.blobs.put(
        write_platform(
            item_type=item.type,
            name=item.name,
            description=item.description,
            logical_id=logical_id or item.logical_id,
            known=known,
        )
    )


def definition(world: World, item: Item, *, logical_id: str | None = None) -> dict[str, str]:
    """Return all parts of an item as blobs by path, ``.platform`` last."""
    return {**item.parts, PLATFORM: platform_blob(world, item, logical_id=logical_id)}
