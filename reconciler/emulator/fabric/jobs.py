"""Jobs: runs of items, started by a call or by an action of a deployment plan.

Source: platform/swagger.json, JobScheduler (spec), and fabric-api.md section 2.1 (recorded): a
started job is a 202 whose ``Location`` is the job instance, with ``Retry-After: 60`` and without an
operation id. Which job types an item has is published by no reference at hand: assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import item_of, workspace_of
from reconciler.emulator.fabric.errors import (
    OperationFailed,
    detail,
    invalid,
    not_found,
    refuse,
    related,
)
from reconciler.emulator.fabric.lro import delay_s, retry_after_s
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.state import Item, JobInstance, Workspace
from reconciler.emulator.http import Answer, Call, Route
from reconciler.emulator.world import effect, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.emulator.world import World

__all__ = ["ACTION_TYPES", "ROUTES", "run_action"]

_REAL_RETRY_AFTER_S = 60
_KEPT = 100
"""Completed instances that are kept of an item (spec)."""
_LONGEST_PARAMETER_NAME = 256
_ACTIVE = frozenset({"NotStarted", "InProgress"})

ACTION_TYPES = frozenset({"Notebook", "DataPipeline", "Dataflow", "CopyJob", "UserDataFunction"})
"""Item types that a deployment plan runs, all by a job of type Execute (docs of Sep 2026,
deployment-plan-actions)."""

_JOB_TYPES: Mapping[str, frozenset[str]] = {
    "Notebook": wire.words("RunNotebook"),
    "DataPipeline": wire.words("Pipeline"),
    "SparkJobDefinition": wire.words("sparkjob"),
    "Lakehouse": wire.words("TableMaintenance RefreshMaterializedLakeViews"),
    "Dataflow": wire.words("Refresh Publish ApplyChanges"),
}


def _wire(job: JobInstance) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": job.id,
        "itemId": job.item_id,
        "jobType": job.type,
        "invokeType": "Manual",
        "status": job.status,
        "rootActivityId": job.activity_id,
        "startTimeUtc": wire.plain_time(job.started),
    }
    if job.ended is not None:
        found["endTimeUtc"] = wire.plain_time(job.ended)
    # The official example has a null here where nothing failed (spec).
    found["failureReason"] = job.failure
    return found


def _instances(world: World, item_id: str) -> list[JobInstance]:
    return [job for job in world.fabric.jobs.values() if job.item_id == item_id]


def _checked_type(item: Item, wanted: str) -> str:
    """Return a job type in its own spelling; ``DefaultJob`` is the one of the spec's examples."""
    known: set[str] = {"DefaultJob", *_JOB_TYPES.get(item.type, ())}
    if item.type in ACTION_TYPES:
        known.add("Execute")
    for name in known:
        if name.lower() == wanted.lower():
            return name
    raise refuse(400, "InvalidJobType", "The requested job type is invalid")


def _check_parameters(fields: dict[str, Any]) -> None:
    names: set[str] = set()
    for parameter in wire.sequence(fields, "parameters") or []:
        name = wire.text(parameter, "name", limit=_LONGEST_PARAMETER_NAME).lower()
        if name in names:
            raise invalid("The names of the parameters must be unique")
        names.add(name)
        wire.text(parameter, "type")


async def run(world: World, call: Call) -> Answer:
    """Start a job: 202 with the instance as Location and no operation."""
    return _run(world, call, call.params["jobType"])


async def run_by_query(world: World, call: Call) -> Answer:
    """Start a job by the earlier URL, which names the type in its query (spec, its note)."""
    wanted = call.query.get("jobType", "")
    if not wanted:
        raise invalid("The jobType query parameter is required")
    return _run(world, call, wanted)


def _run(world: World, call: Call, wanted: str) -> Answer:
    workspace = workspace_of(world, call, "Contributor")
    item = item_of(workspace, call)
    job_type = _checked_type(item, wanted)
    fields = call.fields()
    wire.mapping(fields, "executionData")
    _check_parameters(fields)
    job = _begin(world, workspace, item, job_type)
    return _accepted(world, job)


def _begin(world: World, workspace: Workspace, item: Item, job_type: str) -> JobInstance:
    """Make an instance; one of a type that is running already is skipped (spec, Deduped)."""
    others = _instances(world, item.id)
    busy = any(job.type == job_type and job.status in _ACTIVE for job in others)
    started = wire.now(world)
    job = JobInstance(
        id=new_id(),
        workspace_id=workspace.id,
        item_id=item.id,
        type=job_type,
        status="Deduped" if busy else "InProgress",
        started=started,
        ended=started if busy else None,
        activity_id=new_id(),
    )
    world.fabric.jobs[job.id] = job
    if not busy:
        job.pending = world.schedule(
            "fabric.job", {"id": job.id}, delay_s=delay_s(world, "jobs.run")
        )
    ended = [other for other in others if other.status not in _ACTIVE]
    for other in ended[: max(0, len(ended) - _KEPT)]:
        del world.fabric.jobs[other.id]
    return job


def _accepted(world: World, job: JobInstance) -> Answer:
    wait_s = _REAL_RETRY_AFTER_S if world.options.speed == "real" else retry_after_s(world)
    place = f"/v1/workspaces/{job.workspace_id}/items/{job.item_id}/jobs/instances/{job.id}"
    headers = {
        "Location": f"{world.urls.fabric_url}{place}",
        "Retry-After": str(wait_s),
        "Access-Control-Expose-Headers": "RequestId,Location,Retry-After",
    }
    return Answer(202, headers=headers)


@effect("fabric.job")
def finish_job(world: World, args: dict[str, Any]) -> None:
    """End a job as it was asked for: done, failed or cancelled."""
    job = world.fabric.jobs.get(str(args["id"]))
    if job is None or job.status not in _ACTIVE:
        return
    job.pending, job.ended = None, wire.now(world)
    workspace = world.fabric.workspaces.get(job.workspace_id)
    item = None if workspace is None else workspace.items.get(job.item_id)
    if args.get("cancelled"):
        job.status = "Cancelled"
    elif item is None or _fails(world, item):
        _fail(job)
    else:
        job.status = "Completed"


def _fails(world: World, item: Item) -> bool:
    return not {item.id, item.name}.isdisjoint(world.fabric.settings.failing_jobs)


def _fail(job: JobInstance) -> None:
    """End a job as failed; the code is assumed."""
    job.status = "Failed"
    job.failure = {
        "requestId": job.activity_id,
        "errorCode": "JobInstanceFailed",
        "message": "The job failed",
    }


def run_action(world: World, workspace: Workspace, item: Item) -> None:
    """Run an item as an action of a deployment plan, to its end.

    Source: docs of Sep 2026 (deployment-plan-actions): an action is a normal run of the item, and
    its failure stops the deployment. That the run is over at once is the emulator's own.

    Raises:
        OperationFailed: if the item cannot be run, or its run failed (codes assumed).
    """
    resource = related(item.type, item.id)
    if item.type not in ACTION_TYPES:
        code, why = "OperationNotSupportedForItem", f"{item.name} cannot be run as an action"
        raise OperationFailed(code, why, [detail(code, why, resource)])
    job = _begin(world, workspace, item, "Execute")
    if job.pending is not None:
        world.cancel(job.pending)
        finish_job(world, {"id": job.id})
    if job.status != "Completed":
        code, why = "JobInstanceFailed", f"The action {item.name} ended as {job.status}"
        raise OperationFailed(code, why, [detail(code, why, resource)])


def _job(world: World, call: Call, needed: str) -> JobInstance:
    workspace = workspace_of(world, call, needed)
    item = item_of(workspace, call)
    found = world.fabric.jobs.get(call.params["jobInstanceId"].lower())
    if found is None or found.item_id != item.id:
        raise not_found("EntityNotFound")
    return found


async def get_job(world: World, call: Call) -> Answer:
    """Answer with one instance; one that runs says when to ask again (spec)."""
    found = _job(world, call, "Viewer")
    answer = Answer(200, _wire(found))
    if found.status in _ACTIVE:
        answer.headers["Retry-After"] = _accepted(world, found).headers["Retry-After"]
    return answer


async def list_jobs(world: World, call: Call) -> Answer:
    """List the instances of an item, the latest first (order assumed)."""
    item = item_of(workspace_of(world, call, "Viewer"), call)
    return paged(world, call, _instances(world, item.id)[::-1], wire=_wire)


async def cancel(world: World, call: Call) -> Answer:
    """Start to cancel a job: 202 like the start of one (spec; the refusal's status is assumed)."""
    found = _job(world, call, "Contributor")
    if found.status not in _ACTIVE:
        raise refuse(
            400, "JobAlreadyCompleted", "The job instance has completed and cannot be cancelled"
        )
    if found.pending is not None:
        world.cancel(found.pending)
    args = {"id": found.id, "cancelled": True}
    found.pending = world.schedule("fabric.job", args, delay_s=delay_s(world, "jobs.cancel"))
    return _accepted(world, found)


_ITEM = "/v1/workspaces/{workspaceId}/items/{itemId}/jobs"
_ONE = f"{_ITEM}/instances/{{jobInstanceId}}"
ROUTES = [
    Route("POST", f"{_ITEM}/{{jobType}}/instances", run, "jobs.run"),
    Route("POST", f"{_ITEM}/instances", run_by_query, "jobs.run_by_query"),
    Route("GET", f"{_ITEM}/instances", list_jobs, "jobs.list"),
    Route("GET", _ONE, get_job, "jobs.get"),
    Route("POST", f"{_ONE}/cancel", cancel, "jobs.cancel"),
]
