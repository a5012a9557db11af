"""Workspaces, their capacity, and the capacities there are.

Source: fabric-api.md section 8 (recorded, spec).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import (
    role_in,
    visible_workspaces,
    workspace_of,
)
from reconciler.emulator.fabric.errors import not_found, refuse
from reconciler.emulator.fabric.git import provider_details
from reconciler.emulator.fabric.identities import identity_wire
from reconciler.emulator.fabric.lro import delay_s
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.state import Capacity, RoleAssignment, Workspace
from reconciler.emulator.http import Answer, Call, Caller, Route
from reconciler.emulator.world import effect, new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "ROUTES",
    "check_workspace_name",
    "make_workspace",
    "may_use_capacity",
    "usable_capacity",
]

_NAME_LIMIT = 256


def _capacity_wire(capacity: Capacity) -> dict[str, Any]:
    return {
        "id": capacity.id,
        "displayName": capacity.name,
        "sku": capacity.sku,
        "region": capacity.region,
        "state": capacity.state,
    }


async def list_capacities(world: World, call: Call) -> Answer:
    """List all capacities."""
    return paged(world, call, [_capacity_wire(c) for c in world.fabric.capacities.values()])


async def get_capacity(world: World, call: Call) -> Answer:
    """Answer with one capacity."""
    found = world.fabric.capacities.get(call.params["capacityId"].lower())
    if found is None:
        raise not_found("CapacityNotFound", "The requested capacity could not be found")
    return Answer(200, _capacity_wire(found))


def may_use_capacity(capacity: Capacity, caller_id: str) -> bool:
    """Whether somebody may put workspaces on a capacity."""
    return capacity.contributors is None or caller_id in capacity.contributors


def usable_capacity(world: World, capacity_id: str, caller: Caller | None = None) -> Capacity:
    """Return a capacity that can take a workspace (codes: SDK constants, statuses assumed).

    A ``caller`` has to have permission on it.
    """
    found = world.fabric.capacities.get(capacity_id)
    if found is None:
        raise not_found("CapacityNotFound", "The requested capacity could not be found")
    if caller is not None and not may_use_capacity(found, caller.id):
        raise refuse(
            403,
            "InsufficientPermissionsOverCapacity",
            "The caller does not have sufficient permissions over the capacity.",
        )
    if found.state != "Active":
        raise refuse(
            400,
            "CapacityNotInActiveState",
            "The operation cannot be completed because the capacity is not in an active state.",
        )
    return found


def _wire(workspace: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": workspace.id,
        "displayName": workspace.name,
        "description": workspace.description,
        "type": "Personal" if workspace.kind == "Personal" else "Workspace",
    }
    if workspace.capacity_id is not None:
        found["capacityId"] = workspace.capacity_id
    return found


async def list_workspaces(world: World, call: Call) -> Answer:
    """List the workspaces that the caller has a role in, optionally by role."""
    wanted = {role.strip().lower() for role in call.query.get("roles", "").split(",") if role}
    found = visible_workspaces(world, call.caller)
    if wanted:
        found = [w for w in found if (role_in(w, call.caller) or "").lower() in wanted]
    return paged(world, call, found, wire=_wire)


def check_workspace_name(world: World, name: str, *, own: str | None = None) -> None:
    """Refuse a name that is too long or that any workspace has, visible or not."""
    if len(name) > _NAME_LIMIT:
        raise refuse(400, "WorkspaceNameTooLong", "The workspace name is too long")
    for other in world.fabric.workspaces.values():
        if other.id != own and other.name.lower() == name.lower():
            raise refuse(
                409,
                "WorkspaceNameAlreadyExists",
                "A workspace with this name already exists",
                retriable=False,
            )


def make_workspace(
    world: World,
    name: str,
    caller: Caller,
    *,
    description: str = "",
    capacity_id: str | None = None,
) -> Workspace:
    """Make a workspace; who makes it is its only admin."""
    found = Workspace(
        id=new_id(),
        name=name,
        description=description,
        capacity_id=capacity_id,
        capacity_progress=None if capacity_id is None else "Completed",
        roles=[RoleAssignment(caller.id, caller.kind, "Admin")],
    )
    world.fabric.workspaces[found.id] = found
    return found


async def create_workspace(world: World, call: Call) -> Answer:
    """Make a workspace: 201 with Location, an empty description left out (recorded)."""
    fields = call.fields()
    name = wire.text(fields, "displayName")
    description = wire.optional_text(fields, "description", limit=4000) or ""
    capacity_id = wire.identifier(fields, "capacityId", required=False)
    check_workspace_name(world, name)
    if capacity_id is not None:
        usable_capacity(world, capacity_id, call.caller)
    found = make_workspace(
        world, name, call.caller, description=description, capacity_id=capacity_id
    )
    body = _wire(found)
    if not description:
        del body["description"]
    location = f"{world.urls.fabric_url}/v1/workspaces/{found.id}"
    return Answer(201, body, headers={"Location": location})


async def get_workspace(world: World, call: Call) -> Answer:
    """Answer with a workspace in full."""
    workspace = workspace_of(world, call, "Viewer")
    body = _wire(workspace)
    capacity = world.fabric.capacities.get(workspace.capacity_id or "")
    if capacity is not None:
        body["capacityRegion"] = capacity.region
    if workspace.capacity_progress is not None:
        body["capacityAssignmentProgress"] = workspace.capacity_progress
    identity = identity_wire(workspace)
    if identity is not None:
        body["workspaceIdentity"] = identity
    body["oneLakeEndpoints"] = {
        "blobEndpoint": "https://onelake.blob.fabric.microsoft.com",
        "dfsEndpoint": "https://onelake.dfs.fabric.microsoft.com",
    }
    return Answer(200, body)


async def update_workspace(world: World, call: Call) -> Answer:
    """Change name or description."""
    workspace = workspace_of(world, call, "Admin")
    fields = call.fields()
    name = wire.optional_text(fields, "displayName")
    if name is not None:
        check_workspace_name(world, name, own=workspace.id)
        workspace.name = name
    description = wire.optional_text(fields, "description", limit=4000)
    if description is not None:
        workspace.description = description
    return Answer(200, _wire(workspace))


async def delete_workspace(world: World, call: Call) -> Answer:
    """Remove a workspace; refused while a pipeline stage holds it (section 7.4, field)."""
    workspace = workspace_of(world, call, "Admin")
    for pipeline in world.fabric.pipelines.values():
        if any(stage.workspace_id == workspace.id for stage in pipeline.stages):
            raise refuse(
                400,
                "ALM_InvalidRequest_CannotDisableFoldersThatAreConnectedToAnyALMPipeline",
                "The workspace is assigned to a deployment pipeline stage",
            )
    del world.fabric.workspaces[workspace.id]
    for relation in list(world.fabric.relations.values()):
        if workspace.id in {relation.branch_id, relation.base_id}:
            del world.fabric.relations[relation.id]
    return Answer(200)


async def assign_to_capacity(world: World, call: Call) -> Answer:
    """Start a capacity assignment: 202 without operation headers, seen on the workspace only.

    Source: section 2.1, recorded.
    """
    workspace = workspace_of(world, call, "Admin")
    capacity_id = str(wire.identifier(call.fields(), "capacityId"))
    usable_capacity(world, capacity_id, call.caller)
    workspace.capacity_id, workspace.capacity_progress = capacity_id, "InProgress"
    delay = delay_s(world, "workspaces.capacity")
    world.schedule("fabric.capacity", {"workspace": workspace.id}, delay_s=delay)
    return Answer(202)


@effect("fabric.capacity")
def finish_capacity(world: World, args: dict[str, Any]) -> None:
    """Complete a capacity assignment."""
    workspace = world.fabric.workspaces.get(str(args["workspace"]))
    if workspace is not None and workspace.capacity_id is not None:
        workspace.capacity_progress = "Completed"


async def unassign_from_capacity(world: World, call: Call) -> Answer:
    """Take a workspace off its capacity."""
    workspace = workspace_of(world, call, "Admin")
    workspace.capacity_id = workspace.capacity_progress = None
    return Answer(202)


async def discover_git_connections(world: World, call: Call) -> Answer:
    """List the Git connections of the tenant, for admins; 1,000 to a page.

    Source: admin/swagger.json (spec). Every caller counts as a Fabric administrator (assumed).
    """
    found = [
        {"workspaceId": workspace.id, "gitProviderDetails": provider_details(workspace.git)}
        for workspace in world.fabric.workspaces.values()
        if workspace.git is not None
    ]
    return paged(world, call, found, size=1000)


_ONE = "/v1/workspaces/{workspaceId}"
ROUTES = [
    Route("GET", "/v1/capacities", list_capacities, "capacities.list"),
    Route("GET", "/v1/capacities/{capacityId}", get_capacity, "capacities.get"),
    Route("GET", "/v1/workspaces", list_workspaces, "workspaces.list"),
    Route("POST", "/v1/workspaces", create_workspace, "workspaces.create"),
    Route("GET", _ONE, get_workspace, "workspaces.get"),
    Route("PATCH", _ONE, update_workspace, "workspaces.update"),
    Route("DELETE", _ONE, delete_workspace, "workspaces.delete"),
    Route("POST", f"{_ONE}/assignToCapacity", assign_to_capacity, "workspaces.assign"),
    Route("POST", f"{_ONE}/unassignFromCapacity", unassign_from_capacity, "workspaces.unassign"),
    Route(
        "GET",
        "/v1/admin/workspaces/discoverGitConnections",
        discover_git_connections,
        "admin.git_connections",
    ),
]
