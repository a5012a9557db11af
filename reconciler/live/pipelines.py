"""Read deployment pipelines: stages, stage items with pairing, roles, operations."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from reconciler.clients.fabric.client import FabricClient
from reconciler.clients.fabric.models import DeploymentOperation, RoleAssignment, Stage
from reconciler.live.models import (
    LiveOperation,
    LivePipeline,
    LiveRole,
    LiveStage,
    LiveStageItem,
)
from reconciler.live.patience import Patience

__all__ = [
    "is_running",
    "read_operations",
    "read_pipeline",
    "read_stage_items",
    "read_steps",
    "to_role",
    "to_stage",
]


# Source: deploymentPipelines.json (DeploymentPipelineOperationStatus), spec; the enum is open.
_ENDED = frozenset({"succeeded", "failed"})


def is_running(operations: Sequence[LiveOperation]) -> bool:
    """Tell whether a pipeline's newest operation is still under way; it runs one at a time."""
    return bool(operations) and operations[0].status.lower() not in _ENDED


# How far back the history is opened for the deployment that brought an item: requests are dear,
# and what was deployed long ago proves nothing that a newer sync has not overtaken.
_MOST_OPENED = 5


def to_role(wire: RoleAssignment) -> LiveRole:
    """Turn a role assignment into its live form."""
    principal = wire.principal
    return LiveRole(wire.id, principal.id, principal.type, wire.role, principal.display_name or "")


def to_stage(wire: Stage) -> LiveStage:
    """Turn a stage into its live form."""
    return LiveStage(
        id=wire.id,
        order=wire.order,
        name=wire.display_name,
        description=wire.description,
        public=wire.is_public,
        workspace_id=wire.workspace_id,
        workspace_name=wire.workspace_name,
    )


def _to_operation(wire: DeploymentOperation) -> LiveOperation:
    return LiveOperation(
        id=wire.id,
        status=wire.status,
        source_stage_id=wire.source_stage_id,
        target_stage_id=wire.target_stage_id,
        note=wire.note.content if wire.note else None,
        ended=wire.execution_end_time.isoformat() if wire.execution_end_time else None,
        started=wire.execution_start_time.isoformat() if wire.execution_start_time else None,
        steps=None
        if wire.execution_plan is None
        else {
            s.source_and_target.source_item_id: s.status
            for s in wire.execution_plan.steps
            if s.source_and_target is not None
        },
    )


async def read_stage_items(
    fabric: FabricClient, pipeline_id: str, stage_id: str
) -> tuple[LiveStageItem, ...]:
    """List a stage's items with their pairs; one request, pages aside."""
    return tuple(
        LiveStageItem(
            id=i.item_id,
            type=i.item_type,
            name=i.item_display_name,
            source_id=i.source_item_id,
            target_id=i.target_item_id,
            last_deployed=i.last_deployment_time.isoformat() if i.last_deployment_time else None,
        )
        for i in await fabric.pipelines.list_stage_items(pipeline_id, stage_id)
    )


async def read_operations(fabric: FabricClient, pipeline_id: str) -> tuple[LiveOperation, ...]:
    """List a pipeline's operations, newest first.

    The order of the answer is not documented, so it is made by start time; what has none yet
    is newest. Source: deploymentPipelines.json, spec.
    """
    wire = await fabric.pipelines.list_operations(pipeline_id)
    newest = sorted(
        wire,
        key=lambda o: (
            o.execution_start_time is None,
            o.execution_start_time.timestamp() if o.execution_start_time else 0.0,
        ),
        reverse=True,
    )
    return tuple(_to_operation(o) for o in newest)


async def read_steps(
    fabric: FabricClient,
    pipeline_id: str,
    operations: Sequence[LiveOperation],
    stages: tuple[str, str],
    wanted: Collection[str],
) -> tuple[LiveOperation, ...]:
    """Open the newest operations between two stages until each wanted item is found in one.

    Args:
        stages: ids of the stages deployed from and to.
        wanted: source item ids.

    Returns:
        All operations; those that were opened have their steps, and their note where only the
        single operation tells it (fabric-api.md section 10 point 7, disputed).

    Raises:
        ClientError: a read failed.
    """
    out = list(operations)
    missing = set(wanted)
    opened = 0
    for number, operation in enumerate(operations):
        if (operation.source_stage_id, operation.target_stage_id) != stages:
            continue
        if not missing or opened == _MOST_OPENED:
            break
        opened += 1
        if operation.steps is None:
            found = _to_operation(await fabric.pipelines.get_operation(pipeline_id, operation.id))
            out[number] = replace(
                operation, steps=found.steps or {}, note=operation.note or found.note
            )
        missing -= (out[number].steps or {}).keys()
    return tuple(out)


async def read_pipeline(
    fabric: FabricClient,
    pipeline_id: str,
    *,
    item_orders: Collection[int] = (),
    roles: bool = False,
    operations: bool = False,
    patience: Patience | None = None,
) -> LivePipeline:
    """Read a pipeline: one request, one per stage in ``item_orders``, and what else is asked.

    Args:
        item_orders: orders (from 0) of the stages whose items are needed; vacant ones are skipped.
        patience: wait for the end of a running deployment before anything else is read.

    Raises:
        ClientError: a read failed.
    """
    awaited: tuple[LiveOperation, ...] | None = None
    if operations and patience is not None:
        awaited = await patience.until_ended(
            "a running deployment to end",
            lambda: read_operations(fabric, pipeline_id),
            is_running,
        )
    wire = await fabric.pipelines.get(pipeline_id)
    stages = tuple(sorted(map(to_stage, wire.stages or ()), key=lambda s: s.order))
    if wire.stages is None:
        stages = tuple(
            sorted(
                map(to_stage, await fabric.pipelines.list_stages(pipeline_id)),
                key=lambda s: s.order,
            )
        )
    wanted = [s for n, s in enumerate(stages) if n in item_orders and s.workspace_id is not None]
    items, assignments, history = await asyncio.gather(
        asyncio.gather(*(read_stage_items(fabric, pipeline_id, s.id) for s in wanted)),
        _roles(fabric, pipeline_id, wanted=roles),
        _operations(fabric, pipeline_id, wanted=operations and awaited is None),
    )
    return LivePipeline(
        id=wire.id,
        name=wire.display_name,
        description=wire.description,
        stages=stages,
        roles=assignments,
        items={s.id: found for s, found in zip(wanted, items, strict=True)},
        operations=history if awaited is None else awaited,
    )


async def _roles(
    fabric: FabricClient, pipeline_id: str, *, wanted: bool
) -> tuple[LiveRole, ...] | None:
    if not wanted:
        return None
    return tuple(map(to_role, await fabric.pipelines.list_role_assignments(pipeline_id)))


async def _operations(
    fabric: FabricClient, pipeline_id: str, *, wanted: bool
) -> tuple[LiveOperation, ...] | None:
    return await read_operations(fabric, pipeline_id) if wanted else None
