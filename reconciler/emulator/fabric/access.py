"""Who may do what: workspace and pipeline roles, and finding what a path names.

Source: the "Permissions" paragraphs of platform/swagger.json (spec). What a caller without any
role gets for a workspace is unproven (fabric-api.md section 3.4); it is a setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from reconciler.emulator.fabric.errors import detail, forbidden, not_found, refuse
from reconciler.emulator.fabric.state import (
    Connection,
    Item,
    Pipeline,
    RoleAssignment,
    Stage,
    Workspace,
)
from reconciler.emulator.http import Caller

if TYPE_CHECKING:
    from reconciler.emulator.http import Call
    from reconciler.emulator.world import World

__all__ = [
    "ROLES",
    "allows",
    "check_principal",
    "check_settled",
    "connection_for",
    "item_of",
    "pipeline_of",
    "role_in",
    "stage_of",
    "usable_by",
    "visible_pipelines",
    "visible_workspaces",
    "workspace_of",
]

ROLES: tuple[str, ...] = ("Viewer", "Contributor", "Member", "Admin")
"""Workspace roles, weakest first."""


def _own(assignments: Sequence[RoleAssignment], caller: Caller) -> RoleAssignment | None:
    for entry in assignments:
        if entry.principal_id == caller.id:
            return entry
    return None


def role_in(workspace: Workspace, caller: Caller) -> str | None:
    """Return the caller's role in a workspace, None for a stranger."""
    own = _own(workspace.roles, caller)
    if own is not None:
        return own.role
    return "Admin" if workspace.open else None


def allows(workspace: Workspace, caller: Caller, needed: str) -> bool:
    """Whether the caller holds at least a role."""
    role = role_in(workspace, caller)
    return role is not None and ROLES.index(role) >= ROLES.index(needed)


def visible_workspaces(world: World, caller: Caller) -> list[Workspace]:
    """Return the workspaces that the caller has a role in."""
    return [
        found
        for found in world.fabric.workspaces.values()
        if found.open or _own(found.roles, caller) is not None
    ]


def workspace_of(world: World, call: Call, needed: str) -> Workspace:
    """Return the workspace a path names, for a caller with at least the role ``needed``."""
    found = world.fabric.workspaces.get(call.params["workspaceId"].lower())
    if found is None:
        raise not_found("WorkspaceNotFound", "The requested workspace could not be found")
    if allows(found, call.caller, needed):
        return found
    if role_in(found, call.caller) is None and world.fabric.settings.hidden_workspace_status == 404:
        raise not_found("WorkspaceNotFound", "The requested workspace could not be found")
    raise forbidden()


def item_of(workspace: Workspace, call: Call) -> Item:
    """Return the item a path names."""
    found = workspace.items.get(call.params["itemId"].lower())
    if found is None:
        raise not_found("ItemNotFound", "The requested item could not be found")
    return found


def visible_pipelines(world: World, caller: Caller) -> list[Pipeline]:
    """Return the pipelines that the caller administers."""
    return [
        found
        for found in world.fabric.pipelines.values()
        if found.open or _own(found.roles, caller) is not None
    ]


def pipeline_of(world: World, call: Call) -> Pipeline:
    """Return the pipeline a path names, for one of its admins."""
    found = world.fabric.pipelines.get(call.params["pipelineId"].lower())
    if found is None:
        raise not_found("EntityNotFound")
    if found.open or _own(found.roles, call.caller) is not None:
        return found
    raise forbidden()


def stage_of(pipeline: Pipeline, stage_id: str) -> tuple[int, Stage]:
    """Return the order and the stage of an id."""
    for order, found in enumerate(pipeline.stages):
        if found.id == stage_id.lower():
            return order, found
    raise not_found("EntityNotFound")


def check_principal(world: World, caller: Caller, item_types: Iterable[str]) -> None:
    """Refuse a service principal where some item type excludes it.

    Source: fabric-api.md sections 3.3 and 6.1: wrapped in BadRequest (field); which types those
    are is a setting, since no list of them is published (assumed).
    """
    if caller.kind != "ServicePrincipal":
        return
    if not set(item_types).isdisjoint(world.fabric.settings.service_principal_excluded_types):
        message = "The operation is not supported for the principal type"
        raise refuse(
            400,
            "BadRequest",
            "The request could not be processed due to missing or invalid information",
            more=[detail("PrincipalTypeNotSupported", message)],
        )


def check_settled(workspace: Workspace) -> None:
    """Refuse while the workspace moves to another capacity (section 6.6 and 10 point 10, field)."""
    if workspace.capacity_progress == "InProgress":
        raise refuse(
            400,
            "WorkspaceMigrationOperationInProgress",
            "A workspace migration operation is in progress.",
            retriable=False,
        )


def usable_by(connection: Connection, caller: Caller) -> bool:
    """Whether the caller may use a connection."""
    return connection.open or _own(connection.roles, caller) is not None


def connection_for(world: World, connection_id: str, caller: Caller) -> Connection:
    """Return a connection that the caller may use.

    An unknown one and one that is not shared are the same error (section 6.3, field; the status
    is assumed).
    """
    found = world.fabric.connections.get(connection_id)
    if found is None or not usable_by(found, caller):
        raise refuse(404, "ConnectionNotFound", "The requested connection could not be found")
    return found
