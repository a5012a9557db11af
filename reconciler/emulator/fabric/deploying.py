"""Deployments: what may be deployed, and the copy itself.

Source: fabric-api.md sections 7.2 to 7.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import (
    allows,
    check_principal,
    check_settled,
    pipeline_of,
    stage_of,
)
from reconciler.emulator.fabric.catalog import add_item, ensure_folder, find_item, folder_path
from reconciler.emulator.fabric.content import Exchange
from reconciler.emulator.fabric.deployplans import (
    Actions,
    requested_plan,
)
from reconciler.emulator.fabric.errors import (
    OperationFailed,
    detail,
    forbidden,
    invalid,
    refuse,
    related,
)
from reconciler.emulator.fabric.history import deployment_wire
from reconciler.emulator.fabric.lro import begin, operation, release
from reconciler.emulator.fabric.pairing import (
    deployable_items,
    pair,
)
from reconciler.emulator.fabric.pipelines import check_idle
from reconciler.emulator.fabric.rules import copied_parts
from reconciler.emulator.fabric.stageroute import (
    AttachedPlan,
    StageRoute,
    bound_ids,
    references,
)
from reconciler.emulator.fabric.state import (
    Deployment,
    DeploymentStep,
    Item,
    Operation,
    Pipeline,
    Workspace,
)
from reconciler.emulator.fabric.support import BY_LOGICAL_ID, PIPELINE_UNSUPPORTED
from reconciler.emulator.fabric.updating import type_rank
from reconciler.emulator.fabric.workspaces import (
    check_workspace_name,
    make_workspace,
    may_use_capacity,
    usable_capacity,
)
from reconciler.emulator.http import Answer, Call, Caller, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES"]

_ITEM_LIMIT = 300
_HISTORY = 20
_POWER_BI = frozenset({"Report", "SemanticModel", "Dashboard", "PaginatedReport", "Datamart"})
_STEP_NAMES = {"SemanticModel": "Dataset"}


def _bad_request(message: str) -> Exception:
    return refuse(400, "InvalidDeploymentOperationRequest", message)


async def deploy(world: World, call: Call) -> Answer:
    """Start a deployment: 202 with a ``deployment-id`` besides the operation's headers."""
    pipeline = pipeline_of(world, call)
    fields = call.fields()
    route = _route(world, pipeline, fields)
    note = wire.optional_text(fields, "note", limit=1024)
    check_idle(pipeline)
    for workspace in (route.source, route.target):
        if workspace is not None and not allows(workspace, call.caller, "Contributor"):
            raise forbidden()
        if workspace is not None:
            check_settled(workspace)
    _check_warm(world, route)
    created = _created_workspace(world, route, fields, call.caller)
    chosen = _chosen(route, wire.sequence(fields, "items"))
    check_principal(world, call.caller, [item.type for item in chosen])
    _check_direction(route, fields)
    options = wire.mapping(fields, "options") or {}
    _check_regions(world, route, created, options)
    plan_id = requested_plan(call, options, "ByItemId")
    started = wire.now(world)
    deployment = Deployment(
        id=new_id(),
        operation_id=new_id(),
        source_stage_id=pipeline.stages[route.source_order].id,
        target_stage_id=pipeline.stages[route.target_order].id,
        performed_by=call.caller.id,
        performed_by_type=call.caller.kind,
        created=started,
        updated=started,
        started=started,
        status="Running",
        note=note,
        steps=_steps(world, route, chosen, AttachedPlan.to(world, route, plan_id)),
    )
    pipeline.history = [*pipeline.history, deployment][-_HISTORY:]
    pipeline.active = deployment.id
    return begin(
        world,
        call,
        "pipelines.deploy",
        {
            "pipeline": pipeline.id,
            "deployment": deployment.id,
            "created": created,
            "plan": plan_id,
        },
        operation_id=deployment.operation_id,
        headers={"deployment-id": deployment.id},
    )


def _check_warm(world: World, route: StageRoute) -> None:
    """Refuse for a while after an assignment, if a setting says so (section 7.4, field notes)."""
    wait_s = world.fabric.settings.workload_unavailable_s
    for order in (route.source_order, route.target_order):
        assigned = route.pipeline.stages[order].assigned
        if assigned is None or wait_s <= 0:
            continue
        if (world.clock.now() - wire.moment(assigned)).total_seconds() < wait_s:
            raise refuse(
                400,
                "Alm_InvalidRequest_WorkloadUnavailable",
                "The workload is not available for the workspace yet. Try again later.",
                retriable=True,
            )


def _route(world: World, pipeline: Pipeline, fields: dict[str, Any]) -> StageRoute:
    source_id = str(wire.identifier(fields, "sourceStageId"))
    target_id = str(wire.identifier(fields, "targetStageId"))
    source_order, source_stage = stage_of(pipeline, source_id)
    target_order, target_stage = stage_of(pipeline, target_id)
    if abs(source_order - target_order) != 1:
        raise _bad_request("The source and target stages must be consecutive")
    source = world.fabric.workspaces.get(source_stage.workspace_id or "")
    if source is None:
        raise refuse(
            400,
            "DeploymentPipelineStageHasNoAssignedWorkspace",
            "The source stage has no assigned workspace",
        )
    target = world.fabric.workspaces.get(target_stage.workspace_id or "")
    return StageRoute(pipeline, source_order, target_order, source, target)


def _created_workspace(
    world: World, route: StageRoute, fields: dict[str, Any], caller: Caller
) -> dict[str, Any] | None:
    """Return what to make for a vacant stage; ignored for others (section 7.2, spec).

    A workspace without a capacity takes no content (section 7.4, docs; code from the field).
    """
    if route.target is not None and route.target.capacity_id is None:
        raise refuse(
            400,
            "Alm_InvalidRequest_WorkspaceHasNoCapacity",
            "The workspace of the target stage is not assigned to a capacity",
        )
    if route.target is not None:
        return None
    details = wire.mapping(fields, "createdWorkspaceDetails")
    if details is None:
        raise refuse(
            400,
            "DeploymentPipelineStageHasNoAssignedWorkspace",
            "The target stage has no assigned workspace and no details of a new one were given",
        )
    name = wire.text(details, "name")
    check_workspace_name(world, name)
    capacity_id = wire.identifier(details, "capacityId", required=False)
    capacity_id = capacity_id or route.source.capacity_id
    permitted = True
    if capacity_id is not None:
        permitted = may_use_capacity(usable_capacity(world, capacity_id), caller.id)
    return {"name": name, "capacity": capacity_id, "permitted": permitted}


def _check_direction(route: StageRoute, fields: dict[str, Any]) -> None:
    """Let content go backward only as a whole and into an empty stage (section 7.2)."""
    if not route.backward:
        return
    if route.target is not None and deployable_items(route.target):
        raise _bad_request("Deploying to a previous stage is possible only if it is empty")
    if fields.get("items") is not None:
        raise _bad_request("Deploying to a previous stage takes no list of items")


def _check_regions(
    world: World, route: StageRoute, created: dict[str, Any] | None, options: dict[str, Any]
) -> None:
    target_id = created["capacity"] if created is not None else None
    if route.target is not None:
        target_id = route.target.capacity_id
    capacities = [
        world.fabric.capacities.get(found or "") for found in (route.source.capacity_id, target_id)
    ]
    regions = {capacity.region for capacity in capacities if capacity is not None}
    if len(regions) > 1 and not wire.flag(options, "allowCrossRegionDeployment"):
        raise _bad_request("The stages are in different regions and that was not allowed")


def _chosen(route: StageRoute, requested: list[dict[str, Any]] | None) -> list[Item]:
    """Return the items to deploy, at most 300 (section 7.2)."""
    if requested is None:
        found = deployable_items(route.source)
    else:
        ids = [str(wire.identifier(entry, "sourceItemId")) for entry in requested]
        if len(set(ids)) != len(ids):
            raise refuse(400, "DuplicateSourceObjectIds", "An item is listed more than once")
        found = [_requested(route, entry) for entry in requested]
    if len(found) > _ITEM_LIMIT:
        raise refuse(
            400,
            "NumberOfItemsInDeployRequestExceededLimit",
            f"A request can deploy at most {_ITEM_LIMIT} items",
        )
    if not found:
        raise refuse(400, "NoItemsToDeploy", "There are no items to deploy")
    return found


def _requested(route: StageRoute, entry: dict[str, Any]) -> Item:
    item = route.source.items.get(str(wire.identifier(entry, "sourceItemId")))
    item_type = wire.text(entry, "itemType")
    if item is None:
        raise refuse(400, "ItemNotFound", "A requested item is not in the source stage")
    if item.type in PIPELINE_UNSUPPORTED:
        raise refuse(400, "UnsupportedItemType", f"Items of type {item.type} are not deployed")
    if item.type != item_type:
        raise invalid(f"Item {item.id} is of type {item.type}")
    return item


def _steps(
    world: World, route: StageRoute, chosen: Sequence[Item], attached: AttachedPlan
) -> list[DeploymentStep]:
    """Return the execution plan: dependencies first, with the state before the deployment."""
    exchange = bound_ids(world, route)
    found: list[DeploymentStep] = []
    for index, item in enumerate(attached.in_order(world, _ordered(world, route, chosen))):
        there = route.counterpart(item)
        found.append(
            DeploymentStep(
                index=index,
                description=f"{_STEP_NAMES.get(item.type, item.type)}Deployment",
                status="NotStarted",
                diff=_difference(world, route, item, there, exchange),
                item_type=item.type,
                source_id=item.id,
                source_name=item.name,
                target_id=None if there is None else there.id,
                target_name=None if there is None else there.name,
            )
        )
    return found


def _difference(
    world: World, route: StageRoute, item: Item, there: Item | None, exchange: Exchange
) -> str:
    """Compare an item with its pair as a deployment would leave it.

    Another name or another folder counts as different.
    """
    if there is None or route.target is None:
        return "New"
    try:
        parts = copied_parts(world, item, exchange, route.rules(there))
    except OperationFailed:
        return "Different"  # the deployment will say what is wrong with its rules
    same = (
        parts == there.parts
        and (item.name, item.description) == (there.name, there.description)
        and folder_path(route.source, item.folder_id) == folder_path(route.target, there.folder_id)
    )
    return "NoDifference" if same else "Different"


def _ordered(world: World, route: StageRoute, chosen: Sequence[Item]) -> list[Item]:
    """Sort items so that what others depend on comes first; cycles end up last."""
    waiting = sorted(chosen, key=lambda item: (type_rank(item.type), item.name, item.id))
    ids: set[str | None] = {item.id for item in waiting}
    late: set[str | None] = {item.id for item in waiting if item.type in BY_LOGICAL_ID}
    needs = {
        item.id: (references(world, route.source, item) | {item.parent_id}) & ids - {item.id}
        for item in waiting
    }
    # What names others by logical id comes last: then all have the ids of the target (assumed).
    needs |= {item.id: ids - late for item in waiting if item.id in late}
    done: list[Item] = []
    placed: set[str | None] = set()
    while waiting:
        ready = [item for item in waiting if needs[item.id] <= placed]
        if not ready:
            return done + waiting
        done += ready
        placed |= {item.id for item in ready}
        waiting = [item for item in waiting if item.id not in placed]
    return done


@release("pipelines.deploy")
def abandon(world: World, found: Operation) -> None:
    """Close a deployment that ended before its first step."""
    pipeline = world.fabric.pipelines.get(str(found.args["pipeline"]))
    if pipeline is None:
        return
    pipeline.active = None
    for deployment in pipeline.history:
        if deployment.id == found.args["deployment"]:
            deployment.status = "Failed"
            deployment.updated = deployment.ended = wire.now(world)


@operation("pipelines.deploy")
def run_deploy(world: World, found: Operation) -> dict[str, Any]:
    """Copy item after item; those before a failure stay applied (section 7.4)."""
    pipeline = world.fabric.pipelines.get(str(found.args["pipeline"]))
    if pipeline is None:
        raise OperationFailed("DeploymentOperationFailed", "The pipeline is gone")
    pipeline.active = None
    deployment = next(e for e in pipeline.history if e.id == found.args["deployment"])
    deployment.status = "Failed"
    try:
        route = _settled_route(world, pipeline, deployment, found)
        attached = AttachedPlan.to(world, route, found.args.get("plan"))
        actions = Actions(world, route.into, attached.plan, attached.find)
        for step in deployment.steps:
            item = route.source.items.get(step.source_id)
            key = step.source_id if item is None else attached.key(item)
            actions.before(key)
            _run_step(world, route, deployment, step)
            actions.after(key)
        deployment.status = "Succeeded"
    finally:
        deployment.updated = deployment.ended = wire.now(world)
    return deployment_wire(world, deployment, extended=True)


def _settled_route(
    world: World, pipeline: Pipeline, deployment: Deployment, found: Operation
) -> StageRoute:
    """Return the route with a target workspace, made now if the stage is vacant.

    The deployer becomes the new workspace's only admin (section 7.4, docs).
    """
    source_order, source_stage = stage_of(pipeline, deployment.source_stage_id)
    target_order, target_stage = stage_of(pipeline, deployment.target_stage_id)
    created = found.args["created"]
    if target_stage.workspace_id is None and created is not None:
        check_workspace_name(world, created["name"])
        caller = Caller(
            found.caller_id,
            "ServicePrincipal" if found.caller_kind == "ServicePrincipal" else "User",
        )
        permitted = created["permitted"]
        capacity_id = created["capacity"] if permitted else None
        made = make_workspace(world, created["name"], caller, capacity_id=capacity_id)
        made.open = pipeline.open
        target_stage.workspace_id = made.id
        if not permitted:
            raise _no_capacity()
    source = world.fabric.workspaces.get(source_stage.workspace_id or "")
    target = world.fabric.workspaces.get(target_stage.workspace_id or "")
    if source is None or target is None:
        raise OperationFailed(
            "DeploymentOperationFailed", "A stage lost its workspace during the deployment"
        )
    return StageRoute(pipeline, source_order, target_order, source, target)


def _no_capacity() -> OperationFailed:
    """Return what ends a deployment whose new workspace got no capacity.

    That the workspace is made and its content not copied is documented (section 7.4); that the
    operation ends as Failed, and the codes, are assumed.
    """
    message = "The caller does not have sufficient permissions over the capacity."
    return OperationFailed(
        "DeploymentOperationFailed",
        "The workspace was created without a capacity, so the content was not deployed",
        [detail("InsufficientPermissionsOverCapacity", message)],
    )


def _run_step(
    world: World, route: StageRoute, deployment: Deployment, step: DeploymentStep
) -> None:
    item = route.source.items.get(step.source_id)
    try:
        target = _copy(world, route, deployment, item, step.source_name)
    except OperationFailed as failure:
        step.status = "Failed"
        step.error = failure.wire()
        resource = related(step.item_type, step.source_id)
        raise OperationFailed(
            "DeploymentOperationFailed",
            "The deployment operation failed",
            [detail(failure.code, failure.message, resource)],
        ) from failure
    step.status = "Succeeded"
    if step.diff != "New":
        step.target_id, step.target_name = target.id, target.name


def _copy(
    world: World, route: StageRoute, deployment: Deployment, item: Item | None, name: str
) -> Item:
    if item is None:
        raise OperationFailed("ItemNotFound", f"{name} is gone")
    target = route.into
    planned = {step.source_id for step in deployment.steps}
    for needed in sorted(references(world, route.source, item)):
        dependency = route.source.items[needed]
        if route.counterpart(dependency) is None:
            code = "CyclicDependencyDetected" if needed in planned else "MissingDependency"
            raise OperationFailed(
                code, f"{item.name} depends on {dependency.name}, which is not in the target"
            )
    there = route.counterpart(item)
    parts = copied_parts(world, item, bound_ids(world, route), route.rules(there))
    folder_id = ensure_folder(target, folder_path(route.source, item.folder_id))
    if there is None:
        there = _new_item(world, route, target, item, parts, folder_id)
    else:
        _rename(target, there, item.name)
        there.parts, there.description, there.folder_id = parts, item.description, folder_id
    # Members of the metadata that are not ours to know travel with the item.
    there.platform = item.platform
    route.pipeline.stages[route.target_order].deployed[there.id] = wire.now(world)
    return there


def _rename(target: Workspace, there: Item, name: str) -> None:
    """Give a paired item its source's name.

    Source: Learn, deployment-pipelines/compare-pipeline-content, docs: a deployed item overrides
    its pair's metadata, including its name; that a namesake stops it is assumed.
    """
    if there.name == name:
        return
    if find_item(target, there.type, name) is not None:
        raise OperationFailed(
            "DuplicateDisplayNameAndType",
            f"The target already has an item of type {there.type} named {name}",
        )
    there.name = name


def _new_item(
    world: World,
    route: StageRoute,
    target: Workspace,
    item: Item,
    parts: dict[str, str],
    folder_id: str | None,
) -> Item:
    """Make and pair the copy of an unpaired item.

    A namesake in the target makes the first deployment of a Power BI item fail; of others there
    are two afterwards (section 7.4, docs).
    """
    if item.type in _POWER_BI and find_item(target, item.type, item.name) is not None:
        raise OperationFailed(
            "DuplicateDisplayNameAndType",
            f"The target already has an item of type {item.type} named {item.name}",
        )
    parent = route.source.items.get(item.parent_id or "")
    parent_there = None if parent is None else route.counterpart(parent)
    made = add_item(
        world,
        target,
        item_type=item.type,
        name=item.name,
        description=item.description,
        parts=parts,
        folder_id=folder_id,
        parent_id=None if parent_there is None else parent_there.id,
    )
    pair(route.pipeline, route.source_order, item.id, route.target_order, made.id)
    return made


ROUTES = [Route("POST", "/v1/deploymentPipelines/{pipelineId}/deploy", deploy, "pipelines.deploy")]
