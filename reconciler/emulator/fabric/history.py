"""The history of a deployment pipeline. Source: fabric-api.md section 7.3 (spec)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import pipeline_of
from reconciler.emulator.fabric.errors import not_found
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.state import Deployment, DeploymentStep
from reconciler.emulator.http import Answer, Call, Route

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "deployment_wire"]


def deployment_wire(world: World, deployment: Deployment, *, extended: bool) -> dict[str, Any]:
    """Return an operation of the history; ``extended`` adds the execution plan (section 7.3).

    Whether notes come back is disputed (section 10 point 7); they do unless a setting says no.
    """
    diffs = [step.diff for step in deployment.steps]
    found: dict[str, Any] = {
        "id": deployment.id,
        "type": "Deploy",
        "status": deployment.status,
        "lastUpdatedTime": wire.plain_time(deployment.updated),
        "sourceStageId": deployment.source_stage_id,
        "targetStageId": deployment.target_stage_id,
        "performedBy": {"id": deployment.performed_by, "type": deployment.performed_by_type},
        "preDeploymentDiffInformation": {
            "newItemsCount": diffs.count("New"),
            "differentItemsCount": diffs.count("Different"),
            "noDifferenceItemsCount": diffs.count("NoDifference"),
        },
    }
    if deployment.started is not None:
        found["executionStartTime"] = wire.zulu_time(deployment.started)
    if deployment.ended is not None:
        found["executionEndTime"] = wire.zulu_time(deployment.ended)
    if deployment.note is not None and world.fabric.settings.note_returned:
        found["note"] = {"content": deployment.note, "isTruncated": False}
    if extended:
        found["executionPlan"] = {"steps": [_step_wire(step) for step in deployment.steps]}
    return found


def _step_wire(step: DeploymentStep) -> dict[str, Any]:
    ends = {
        "sourceItemId": step.source_id,
        "sourceItemDisplayName": step.source_name,
        "itemType": step.item_type,
    }
    if step.target_id is not None:
        ends["targetItemId"] = step.target_id
        ends["targetItemDisplayName"] = step.target_name or ""
    found: dict[str, Any] = {
        "index": step.index,
        "description": step.description,
        "status": step.status,
        "preDeploymentDiffState": step.diff,
        "sourceAndTarget": ends,
    }
    if step.error is not None:
        found["error"] = step.error
    return found


async def list_operations(world: World, call: Call) -> Answer:
    """List the 20 most recent deployments, newest first (the order is assumed)."""
    pipeline = pipeline_of(world, call)
    entries = [
        deployment_wire(world, entry, extended=False) for entry in reversed(pipeline.history)
    ]
    return paged(world, call, entries)


async def get_operation(world: World, call: Call) -> Answer:
    """Answer with one deployment by its deployment-id, with the execution plan."""
    pipeline = pipeline_of(world, call)
    for entry in pipeline.history:
        if entry.id == call.params["operationId"].lower():
            return Answer(200, deployment_wire(world, entry, extended=True))
    raise not_found("EntityNotFound")


_ALL = "/v1/deploymentPipelines/{pipelineId}/operations"
ROUTES = [
    Route("GET", _ALL, list_operations, "pipelines.operations.list"),
    Route("GET", f"{_ALL}/{{operationId}}", get_operation, "pipelines.operations.get"),
]
