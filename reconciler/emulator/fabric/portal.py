"""What a person does by hand in the portal, at once and without an API call.

Every action takes the JSON of ``POST {control_url}/portal``. Workspaces, pipelines, stages and
items are named by display name or id; an item also by ``type`` where its name alone is not enough.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric.access import ROLES
from reconciler.emulator.fabric.catalog import (
    add_item,
    check_name,
    default_parts,
    ensure_folder,
    remove_item,
    rename_item,
)
from reconciler.emulator.fabric.pipelines import assign, unassign
from reconciler.emulator.fabric.rules import RULE_TYPES
from reconciler.emulator.fabric.state import (
    Item,
    Pipeline,
    RoleAssignment,
    Rule,
    Workspace,
)
from reconciler.emulator.fabric.support import ITEM_TYPES
from reconciler.emulator.http import Refused
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.settings import change_settings

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ACTIONS", "PORTAL", "find_pipeline", "find_workspace"]

_Action = Callable[["World", dict[str, Any]], dict[str, Any] | None]


def find_workspace(world: World, wanted: object) -> Workspace:
    """Return a workspace by name or id."""
    for found in world.fabric.workspaces.values():
        if wanted in (found.id, found.name):
            return found
    raise ScenarioError(f"workspace: there is none called {wanted!r}")


def find_pipeline(world: World, wanted: object) -> Pipeline:
    """Return a pipeline by name or id."""
    for found in world.fabric.pipelines.values():
        if wanted in (found.id, found.name):
            return found
    raise ScenarioError(f"pipeline: there is none called {wanted!r}")


def _item(workspace: Workspace, data: Mapping[str, Any]) -> Item:
    wanted, kind = data.get("item"), data.get("type")
    found = [
        item
        for item in workspace.items.values()
        if wanted in (item.id, item.name)
        and (kind == item.type if kind is not None else item.type != "SQLEndpoint")
    ]
    if len(found) != 1:
        count = "no item" if not found else f"{len(found)} items"
        raise ScenarioError(f"item: {workspace.name} has {count} called {wanted!r}")
    return found[0]


def _text(data: Mapping[str, Any], key: str, default: str | None = None) -> str:
    found = data.get(key, default)
    if not isinstance(found, str) or (not found and default is None):
        raise ScenarioError(f"{key}: a text is expected")
    return found


def _content(data: Mapping[str, Any]) -> bytes:
    if "contentBase64" in data:
        try:
            return base64.b64decode(_text(data, "contentBase64", ""), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ScenarioError("contentBase64: base64 is expected") from error
    return _text(data, "content", "").encode()


def edit(world: World, data: dict[str, Any]) -> dict[str, Any]:
    """Change a definition part: ``content`` replaces it, ``append`` adds to its end.

    Without ``path`` it is the item's first part.
    """
    item = _item(find_workspace(world, data.get("workspace")), data)
    path = _text(data, "path", next(iter(item.parts), ""))
    if not path:
        raise ScenarioError(f"path: {item.name} has no definition parts yet")
    if "append" in data:
        before = world.blobs.get(item.parts[path]) if path in item.parts else b""
        content = before + _text(data, "append").encode()
    elif "content" in data or "contentBase64" in data:
        content = _content(data)
    else:
        raise ScenarioError("content: content or append is expected")
    item.parts[path] = world.blobs.put(content)
    return {"id": item.id, "path": path}


def add(world: World, data: dict[str, Any]) -> dict[str, Any]:
    """Add an item; ``parts`` maps paths to texts, ``folder`` is a path of folder names."""
    workspace = find_workspace(world, data.get("workspace"))
    item_type, name = _text(data, "type"), _text(data, "name")
    if item_type not in ITEM_TYPES:
        raise ScenarioError(f"type: {item_type!r} is no item type")
    given = data.get("parts")
    if given is None:
        parts = default_parts(world, item_type)
    elif isinstance(given, dict):
        parts = {path: world.blobs.put(_text(given, path, "").encode()) for path in given}
    else:
        raise ScenarioError("parts: an object of path to text is expected")
    check_name(world, workspace, item_type, name)
    item = add_item(
        world,
        workspace,
        item_type=item_type,
        name=name,
        description=_text(data, "description", ""),
        parts=parts,
        folder_id=ensure_folder(workspace, _text(data, "folder", "")),
    )
    return {"id": item.id, "logicalId": item.logical_id}


def rename(world: World, data: dict[str, Any]) -> dict[str, Any]:
    """Give an item another ``name``, another ``description``, or both."""
    workspace = find_workspace(world, data.get("workspace"))
    item = _item(workspace, data)
    if "description" in data:
        item.description = _text(data, "description", "")
    if "name" in data or "description" not in data:
        name = _text(data, "name")
        if name.lower() != item.name.lower():
            check_name(world, workspace, item.type, name)
        rename_item(workspace, item, name)
    return {"id": item.id}


def move(world: World, data: dict[str, Any]) -> dict[str, Any]:
    """Move an item to a ``folder``, made if needed; "" is the workspace's root."""
    workspace = find_workspace(world, data.get("workspace"))
    item = _item(workspace, data)
    item.folder_id = ensure_folder(workspace, _text(data, "folder", ""))
    return {"id": item.id}


def delete(world: World, data: dict[str, Any]) -> dict[str, Any]:
    """Delete an item with its children; it stays recoverable."""
    workspace = find_workspace(world, data.get("workspace"))
    item = _item(workspace, data)
    remove_item(world, workspace, item, soft=True)
    return {"id": item.id}


def _stage(pipeline: Pipeline, wanted: object) -> int:
    for order, stage in enumerate(pipeline.stages):
        if wanted in (stage.id, stage.name) or (wanted == order and not isinstance(wanted, bool)):
            return order
    raise ScenarioError(f"stage: {pipeline.name} has none called {wanted!r}")


def reassign(world: World, data: dict[str, Any]) -> None:
    """Assign a workspace to a stage, in place of the one that is there."""
    pipeline = find_pipeline(world, data.get("pipeline"))
    order = _stage(pipeline, data.get("stage"))
    workspace = find_workspace(world, data.get("workspace"))
    if pipeline.stages[order].workspace_id is not None:
        unassign(pipeline, order)
    assign(world, pipeline, order, workspace.id)


def unassign_stage(world: World, data: dict[str, Any]) -> None:
    """Take the workspace out of a stage."""
    pipeline = find_pipeline(world, data.get("pipeline"))
    unassign(pipeline, _stage(pipeline, data.get("stage")))


def change_rule(world: World, data: dict[str, Any]) -> None:
    """Set a deployment rule of an item in a ``stage``; a ``value`` of null takes it away.

    ``kind`` is dataSource, parameter or defaultLakehouse; ``name`` is the data source or the
    parameter. Not in the first stage, and only for some types (create-rules, docs).
    """
    pipeline = find_pipeline(world, data.get("pipeline"))
    order = _stage(pipeline, data.get("stage"))
    stage = pipeline.stages[order]
    workspace = world.fabric.workspaces.get(stage.workspace_id or "")
    if order == 0 or workspace is None:
        raise ScenarioError("stage: rules belong to a stage with a workspace, not to the first one")
    item, kind = _item(workspace, data), data.get("kind")
    if kind not in RULE_TYPES or item.type not in RULE_TYPES[str(kind)]:
        kinds = [name for name, types in RULE_TYPES.items() if item.type in types]
        raise ScenarioError(f"kind: {item.type} has {', '.join(kinds) or 'no rules'}")
    name = "" if kind == "defaultLakehouse" else _text(data, "name")
    kept = [
        rule for rule in stage.rules if (rule.item_id, rule.kind, rule.old) != (item.id, kind, name)
    ]
    if data.get("value") is not None:
        kept.append(Rule(item.id, str(kind), name, _text(data, "value")))
    stage.rules = kept


def change_role(world: World, data: dict[str, Any]) -> None:
    """Set a principal's ``role`` in a workspace or pipeline; null takes it away."""
    roles: list[RoleAssignment]
    allowed = ROLES
    if "pipeline" in data:
        roles, allowed = find_pipeline(world, data["pipeline"]).roles, ("Admin",)
    else:
        roles = find_workspace(world, data.get("workspace")).roles
    principal, role = _text(data, "principal").lower(), data.get("role")
    if role is not None and role not in allowed:
        raise ScenarioError(f"role: one of {', '.join(allowed)} or null is expected")
    known = world.fabric.principals.get(principal)
    kind = _text(data, "type", "User") if known is None else known.type
    roles[:] = [entry for entry in roles if entry.principal_id != principal]
    if role is not None:
        roles.append(RoleAssignment(principal, kind, role))


def change_capacity(world: World, data: dict[str, Any]) -> None:
    """Pause or resume a ``capacity``: ``state`` is Active or Inactive."""
    state = data.get("state")
    if state not in ("Active", "Inactive"):
        raise ScenarioError("state: Active or Inactive is expected")
    for capacity in world.fabric.capacities.values():
        if data.get("capacity") in (capacity.id, capacity.name):
            capacity.state = state
            return
    raise ScenarioError(f"capacity: there is none called {data.get('capacity')!r}")


def _worded(action: _Action) -> _Action:
    """Return the action with the service's refusals as scenario errors."""

    def run(world: World, data: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return action(world, data)
        except Refused as refusal:
            message = refusal.answer.body["message"]
            more = refusal.answer.body.get("moreDetails") or [{"message": message}]
            raise ScenarioError(more[0].get("message", message)) from refusal

    return run


def _nothing(action: Callable[[World, dict[str, Any]], None]) -> _Action:
    def run(world: World, data: dict[str, Any]) -> dict[str, Any] | None:
        action(world, data)
        return None

    return run


PORTAL: dict[str, _Action] = {
    "edit": _worded(edit),
    "add": _worded(add),
    "rename": _worded(rename),
    "move": _worded(move),
    "delete": _worded(delete),
    "reassign": _worded(_nothing(reassign)),
    "unassign": _worded(_nothing(unassign_stage)),
    "rule": _worded(_nothing(change_rule)),
    "role": _worded(_nothing(change_role)),
    "capacity": _worded(_nothing(change_capacity)),
    "settings": _worded(_nothing(change_settings)),
}
"""Actions by name."""

ACTIONS = PORTAL
