"""Deployment pipelines: stages, assignments, roles and history.

Source: fabric-api.md section 7, platform/definitions/deploymentPipelines.json (spec). The
published error codes are few; those used here and not named in section 3.6 are assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import (
    allows,
    pipeline_of,
    role_in,
    stage_of,
    visible_pipelines,
)
from reconciler.emulator.fabric.errors import forbidden, invalid, not_found, refuse
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.pairing import (
    deployable_items,
    drop_stage,
    pair_stage,
    partner,
)
from reconciler.emulator.fabric.roles import assignment_wire, requested_principal
from reconciler.emulator.fabric.state import Pipeline, RoleAssignment, Stage
from reconciler.emulator.http import Answer, Call, Caller, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "assign", "check_idle", "make_pipeline", "unassign"]

_MIN_STAGES, _MAX_STAGES = 2, 10


def _wire(pipeline: Pipeline) -> dict[str, Any]:
    found = {"id": pipeline.id, "displayName": pipeline.name}
    if pipeline.description:
        found["description"] = pipeline.description
    return found


def _extended(world: World, pipeline: Pipeline, caller: Caller) -> dict[str, Any]:
    return {**_wire(pipeline), "stages": _stages(world, pipeline, caller)}


def _stages(world: World, pipeline: Pipeline, caller: Caller) -> list[dict[str, Any]]:
    return [_stage(world, order, stage, caller) for order, stage in enumerate(pipeline.stages)]


def _stage(world: World, order: int, stage: Stage, caller: Caller) -> dict[str, Any]:
    """Return a stage; its workspace is only shown to who has access to it (section 7.1)."""
    found: dict[str, Any] = {"id": stage.id, "order": order, "displayName": stage.name}
    if stage.description:
        found["description"] = stage.description
    workspace = world.fabric.workspaces.get(stage.workspace_id or "")
    if workspace is not None and role_in(workspace, caller) is not None:
        found["workspaceId"], found["workspaceName"] = workspace.id, workspace.name
    found["isPublic"] = stage.public
    return found


async def list_pipelines(world: World, call: Call) -> Answer:
    """List the pipelines the caller can access, without stages."""
    return paged(world, call, [_wire(p) for p in visible_pipelines(world, call.caller)])


def _check_name(world: World, name: str, own: str | None = None) -> None:
    """Refuse a name another pipeline has: unique in the tenant (section 7.4, field notes)."""
    for other in world.fabric.pipelines.values():
        if other.id != own and other.name.lower() == name.lower():
            raise refuse(
                400,
                "Alm_InvalidRequest_DuplicateAlmPipelineName",
                "A deployment pipeline with this name already exists",
            )


def _stage_fields(fields: dict[str, Any]) -> tuple[str, str, bool]:
    name = wire.text(fields, "displayName", limit=256)
    description = wire.optional_text(fields, "description", limit=1024) or ""
    public = fields.get("isPublic")
    if public is not None and not isinstance(public, bool):
        raise invalid("The isPublic field must be a boolean")
    return name, description, bool(public)


def make_pipeline(
    world: World, name: str, description: str, stages: list[Stage], caller: Caller
) -> Pipeline:
    """Make a pipeline; who makes it is its admin."""
    found = Pipeline(
        id=new_id(),
        name=name,
        description=description,
        roles=[RoleAssignment(caller.id, caller.kind, "Admin")],
        stages=stages,
    )
    world.fabric.pipelines[found.id] = found
    return found


async def create_pipeline(world: World, call: Call) -> Answer:
    """Make a pipeline of two to ten stages: 201 with stages.

    A tenant switch keeps service principals out (section 7.1; code of section 3.4).
    """
    settings = world.fabric.settings
    if call.caller.kind == "ServicePrincipal" and not settings.service_principals_create:
        raise refuse(403, "FeatureNotAvailable", "The feature is not available")
    fields = call.fields()
    name = wire.text(fields, "displayName", limit=256)
    description = wire.optional_text(fields, "description", limit=1024) or ""
    requested = wire.sequence(fields, "stages")
    if requested is None or not _MIN_STAGES <= len(requested) <= _MAX_STAGES:
        raise invalid("A deployment pipeline has 2 to 10 stages")
    _check_name(world, name)
    stages = [Stage(new_id(), *_stage_fields(entry)) for entry in requested]
    found = make_pipeline(world, name, description, stages, call.caller)
    location = f"{world.urls.fabric_url}/v1/deploymentPipelines/{found.id}"
    body = _extended(world, found, call.caller)
    return Answer(201, body, headers={"Location": location})


async def get_pipeline(world: World, call: Call) -> Answer:
    """Answer with a pipeline and its stages."""
    return Answer(200, _extended(world, pipeline_of(world, call), call.caller))


async def update_pipeline(world: World, call: Call) -> Answer:
    """Change name or description."""
    pipeline = pipeline_of(world, call)
    fields = call.fields()
    name = wire.optional_text(fields, "displayName", limit=256)
    if name is not None:
        _check_name(world, name, pipeline.id)
        pipeline.name = name
    description = wire.optional_text(fields, "description", limit=1024)
    if description is not None:
        pipeline.description = description
    return Answer(200, _extended(world, pipeline, call.caller))


async def delete_pipeline(world: World, call: Call) -> Answer:
    """Remove a pipeline; 409 during a deployment (section 7.1, field). Workspaces stay."""
    pipeline = pipeline_of(world, call)
    check_idle(pipeline, status=409)
    del world.fabric.pipelines[pipeline.id]
    return Answer(200)


def check_idle(pipeline: Pipeline, *, status: int = 400) -> None:
    """Refuse while a deployment runs: one operation per pipeline (section 7.4, field)."""
    if pipeline.active is not None:
        raise refuse(
            status,
            "WorkspaceMigrationOperationInProgress",
            "A workspace migration operation is in progress.",
            retriable=False,
        )


async def list_stages(world: World, call: Call) -> Answer:
    """List the stages in order."""
    return paged(world, call, _stages(world, pipeline_of(world, call), call.caller))


async def get_stage(world: World, call: Call) -> Answer:
    """Answer with one stage."""
    order, stage = stage_of(pipeline_of(world, call), call.params["stageId"])
    return Answer(200, _stage(world, order, stage, call.caller))


async def update_stage(world: World, call: Call) -> Answer:
    """Change name, description or visibility; the name is required (section 7.1)."""
    order, stage = stage_of(pipeline_of(world, call), call.params["stageId"])
    fields = call.fields()
    name, description, public = _stage_fields(fields)
    stage.name = name
    if fields.get("description") is not None:
        stage.description = description
    if fields.get("isPublic") is not None:
        stage.public = public
    return Answer(200, _stage(world, order, stage, call.caller))


async def list_stage_items(world: World, call: Call) -> Answer:
    """List a stage's items with their pairs, those only where the caller contributes."""
    pipeline = pipeline_of(world, call)
    order, stage = stage_of(pipeline, call.params["stageId"])
    workspace = world.fabric.workspaces.get(stage.workspace_id or "")
    if workspace is None:
        raise refuse(
            400,
            "DeploymentPipelineStageHasNoAssignedWorkspace",
            "The deployment pipeline stage has no assigned workspace",
        )
    if not allows(workspace, call.caller, "Contributor"):
        raise forbidden()
    readable = {
        name: other
        for name, other in (("sourceItemId", order - 1), ("targetItemId", order + 1))
        if _contributes(world, pipeline, other, call.caller)
    }
    found: list[dict[str, Any]] = []
    for item in sorted(deployable_items(workspace), key=lambda item: item.id):
        entry = {"itemId": item.id, "itemDisplayName": item.name, "itemType": item.type}
        for name, other in readable.items():
            paired = partner(pipeline, order, item.id, other)
            if paired is not None:
                entry[name] = paired
        if item.id in stage.deployed:
            entry["lastDeploymentTime"] = wire.zulu_time(stage.deployed[item.id])
        found.append(entry)
    return paged(world, call, found)


def _contributes(world: World, pipeline: Pipeline, order: int, caller: Caller) -> bool:
    if not 0 <= order < len(pipeline.stages):
        return False
    workspace = world.fabric.workspaces.get(pipeline.stages[order].workspace_id or "")
    return workspace is not None and allows(workspace, caller, "Contributor")


async def assign_workspace(world: World, call: Call) -> Answer:
    """Assign a workspace to a vacant stage and pair its items. Source: section 7.1."""
    pipeline = pipeline_of(world, call)
    order, _ = stage_of(pipeline, call.params["stageId"])
    check_idle(pipeline)
    workspace_id = str(wire.identifier(call.fields(), "workspaceId"))
    workspace = world.fabric.workspaces.get(workspace_id)
    if workspace is None:
        raise not_found("WorkspaceNotFound", "The requested workspace could not be found")
    if not allows(workspace, call.caller, "Admin"):
        raise forbidden()
    for other in (order - 1, order + 1):
        occupied = 0 <= other < len(pipeline.stages) and pipeline.stages[other].workspace_id
        if occupied and not _contributes(world, pipeline, other, call.caller):
            raise forbidden()
    assign(world, pipeline, order, workspace_id)
    return Answer(200)


def assign(world: World, pipeline: Pipeline, order: int, workspace_id: str) -> None:
    """Put a workspace into a vacant stage.

    Raises:
        Refused: if the stage is taken, the workspace is in some stage or has no capacity.
    """
    workspace = world.fabric.workspaces[workspace_id]
    stage = pipeline.stages[order]
    if stage.workspace_id is not None:
        raise invalid("The stage already has an assigned workspace")
    for other in world.fabric.pipelines.values():
        if any(entry.workspace_id == workspace_id for entry in other.stages):
            raise invalid("The workspace is already assigned to a deployment pipeline stage")
    if workspace.capacity_id is None:
        raise refuse(
            400,
            "Alm_InvalidRequest_WorkspaceHasNoCapacity",
            "The workspace is not assigned to a capacity",
        )
    stage.workspace_id, stage.assigned = workspace_id, wire.now(world)
    try:
        pair_stage(world, pipeline, order)
    except Exception:
        stage.workspace_id = stage.assigned = None
        raise


async def unassign_workspace(world: World, call: Call) -> Answer:
    """Take the workspace out of a stage."""
    pipeline = pipeline_of(world, call)
    order, stage = stage_of(pipeline, call.params["stageId"])
    check_idle(pipeline)
    if stage.workspace_id is None:
        raise refuse(
            400,
            "DeploymentPipelineStageHasNoAssignedWorkspace",
            "The deployment pipeline stage has no assigned workspace",
        )
    unassign(pipeline, order)
    return Answer(200)


def unassign(pipeline: Pipeline, order: int) -> None:
    """Empty a stage: its history, rules and pairing are lost (section 7.1, docs)."""
    stage = pipeline.stages[order]
    stage.workspace_id, stage.assigned, stage.deployed = None, None, {}
    stage.rules = []
    drop_stage(pipeline, order)
    pipeline.history = [
        entry
        for entry in pipeline.history
        if stage.id not in {entry.source_stage_id, entry.target_stage_id}
    ]


async def list_roles(world: World, call: Call) -> Answer:
    """List the admins of a pipeline."""
    pipeline = pipeline_of(world, call)
    entries = [assignment_wire(world, entry, full=False) for entry in pipeline.roles]
    return paged(world, call, entries)


async def add_role(world: World, call: Call) -> Answer:
    """Make a principal an admin: 200, unlike workspaces (section 7.1)."""
    pipeline = pipeline_of(world, call)
    fields = call.fields()
    assignment = requested_principal(world, fields, pipeline.id)
    assignment.role = wire.choice(fields, "role", ("Admin",)) or wire.text(fields, "role")
    if all(entry.principal_id != assignment.principal_id for entry in pipeline.roles):
        pipeline.roles.append(assignment)
    return Answer(200, assignment_wire(world, assignment, full=False))


async def delete_role(world: World, call: Call) -> Answer:
    """Take an admin's role away; the last one stays (assumed)."""
    pipeline = pipeline_of(world, call)
    wanted = call.params["principalId"].lower()
    kept = [entry for entry in pipeline.roles if entry.principal_id != wanted]
    if len(kept) == len(pipeline.roles):
        raise not_found("EntityNotFound")
    if not kept:
        raise invalid("The last admin of a deployment pipeline cannot be removed")
    pipeline.roles = kept
    return Answer(200)


_ALL = "/v1/deploymentPipelines"
_ONE = f"{_ALL}/{{pipelineId}}"
_STAGE = f"{_ONE}/stages/{{stageId}}"
ROUTES = [
    Route("GET", _ALL, list_pipelines, "pipelines.list"),
    Route("POST", _ALL, create_pipeline, "pipelines.create"),
    Route("GET", _ONE, get_pipeline, "pipelines.get"),
    Route("PATCH", _ONE, update_pipeline, "pipelines.update"),
    Route("DELETE", _ONE, delete_pipeline, "pipelines.delete"),
    Route("GET", f"{_ONE}/stages", list_stages, "pipelines.stages.list"),
    Route("GET", _STAGE, get_stage, "pipelines.stages.get"),
    Route("PATCH", _STAGE, update_stage, "pipelines.stages.update"),
    Route("GET", f"{_STAGE}/items", list_stage_items, "pipelines.stages.items"),
    Route("POST", f"{_STAGE}/assignWorkspace", assign_workspace, "pipelines.stages.assign"),
    Route("POST", f"{_STAGE}/unassignWorkspace", unassign_workspace, "pipelines.stages.unassign"),
    Route("GET", f"{_ONE}/roleAssignments", list_roles, "pipelines.roles.list"),
    Route("POST", f"{_ONE}/roleAssignments", add_role, "pipelines.roles.add"),
    Route(
        "DELETE",
        f"{_ONE}/roleAssignments/{{principalId}}",
        delete_role,
        "pipelines.roles.delete",
    ),
]
