"""Workspace role assignments; an assignment's id is the principal's id.

Source: fabric-api.md section 8 (recorded).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import ROLES, workspace_of
from reconciler.emulator.fabric.errors import not_found, refuse
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.state import RoleAssignment, Workspace
from reconciler.emulator.http import Answer, Call, Route

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "assignment_wire", "requested_principal"]

_ROLE_KINDS = ("User", "Group", "ServicePrincipal", "ServicePrincipalProfile", "EntireTenant")


def principal_wire(world: World, assignment: RoleAssignment, *, full: bool) -> dict[str, Any]:
    """Return a ``principal`` member; names only where the recorded answers have them."""
    found: dict[str, Any] = {"id": assignment.principal_id, "type": assignment.principal_type}
    known = world.fabric.principals.get(assignment.principal_id)
    if full and known is not None:
        found = {"id": known.id, "displayName": known.name, "type": assignment.principal_type}
        if known.app_id is not None:
            found["servicePrincipalDetails"] = {"aadAppId": known.app_id}
    return found


def requested_principal(world: World, fields: dict[str, Any], resource: str) -> RoleAssignment:
    """Return the principal of a request, with its real type and no role yet.

    A directory that was declared is complete: others are not found (section 3.2, recorded); the
    type in the request does not count (section 8, recorded).
    """
    principal = wire.mapping(fields, "principal") or {}
    principal_id = str(wire.identifier(principal, "id"))
    kind = wire.choice(principal, "type", _ROLE_KINDS)
    if kind is None:
        kind = wire.text(principal, "type")
    known = world.fabric.principals.get(principal_id)
    strict = bool(world.fabric.principals) and principal_id != world.default_caller.id
    if known is None and (strict or set(principal_id) <= {"0", "-"}):
        raise refuse(
            400,
            "PrincipalNotFound",
            "The provided principal was not found",
            more=[{"relatedResource": {"resourceId": principal_id, "resourceType": "Principal"}}],
            resource={"resourceId": resource, "resourceType": "Workspace"},
        )
    return RoleAssignment(principal_id, kind if known is None else known.type, "")


def assignment_wire(world: World, assignment: RoleAssignment, *, full: bool) -> dict[str, Any]:
    """Return a role assignment; ``full`` adds what the directory knows of the principal."""
    return {
        "id": assignment.principal_id,
        "principal": principal_wire(world, assignment, full=full),
        "role": assignment.role,
    }


def _find_assignment(workspace: Workspace, call: Call) -> RoleAssignment:
    wanted = call.params["assignmentId"].lower()
    for found in workspace.roles:
        if found.principal_id == wanted:
            return found
    raise not_found("EntityNotFound")


async def list_roles(world: World, call: Call) -> Answer:
    """List role assignments."""
    workspace = workspace_of(world, call, "Member")
    entries = [assignment_wire(world, entry, full=True) for entry in workspace.roles]
    return paged(world, call, entries)


async def add_role(world: World, call: Call) -> Answer:
    """Give a principal a role: 201 with Location and a minimal body (recorded)."""
    workspace = workspace_of(world, call, "Member")
    fields = call.fields()
    assignment = requested_principal(world, fields, workspace.id)
    role = wire.choice(fields, "role", ROLES)
    assignment.role = role if role is not None else wire.text(fields, "role")
    if any(entry.principal_id == assignment.principal_id for entry in workspace.roles):
        raise refuse(
            409,
            "PrincipalAlreadyHasWorkspaceRolePermissions",
            "The principal already has a role in the workspace",
        )
    workspace.roles.append(assignment)
    location = (
        f"{world.urls.fabric_url}/v1/workspaces/{workspace.id}"
        f"/roleAssignments/{assignment.principal_id}"
    )
    body = assignment_wire(world, assignment, full=False)
    return Answer(201, body, headers={"Location": location})


async def get_role(world: World, call: Call) -> Answer:
    """Answer with one role assignment."""
    workspace = workspace_of(world, call, "Member")
    found = _find_assignment(workspace, call)
    return Answer(200, assignment_wire(world, found, full=True))


def _check_last_admin(workspace: Workspace, leaving: RoleAssignment) -> None:
    """Refuse to leave a workspace without an admin (section 8, spec; the code is assumed)."""
    admins = [entry for entry in workspace.roles if entry.role == "Admin"]
    if admins == [leaving]:
        raise refuse(400, "BadRequest", "The last admin of a workspace cannot be removed")


async def update_role(world: World, call: Call) -> Answer:
    """Change the role of a principal."""
    workspace = workspace_of(world, call, "Admin")
    found = _find_assignment(workspace, call)
    fields = call.fields()
    role = wire.choice(fields, "role", ROLES) or wire.text(fields, "role")
    if role != "Admin":
        _check_last_admin(workspace, found)
    found.role = role
    return Answer(200, assignment_wire(world, found, full=True))


async def delete_role(world: World, call: Call) -> Answer:
    """Take the role of a principal away."""
    workspace = workspace_of(world, call, "Admin")
    found = _find_assignment(workspace, call)
    _check_last_admin(workspace, found)
    workspace.roles.remove(found)
    return Answer(200)


_ROLE = "/v1/workspaces/{workspaceId}/roleAssignments"
ROUTES = [
    Route("GET", _ROLE, list_roles, "workspaces.roles.list"),
    Route("POST", _ROLE, add_role, "workspaces.roles.add"),
    Route("GET", f"{_ROLE}/{{assignmentId}}", get_role, "workspaces.roles.get"),
    Route("PATCH", f"{_ROLE}/{{assignmentId}}", update_role, "workspaces.roles.update"),
    Route("DELETE", f"{_ROLE}/{{assignmentId}}", delete_role, "workspaces.roles.delete"),
]
