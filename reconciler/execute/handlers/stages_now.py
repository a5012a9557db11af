"""Read the two stages of a deployment again, just before it is sent and after it."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.execute.run import Run
from reconciler.live.definitions import operations_at_once, read_definitions
from reconciler.live.evidence import open_history, read_source_binding
from reconciler.live.items import read_items
from reconciler.live.models import (
    Definition,
    LiveBinding,
    LiveItem,
    LiveOperation,
    LiveStageItem,
)
from reconciler.live.pipelines import read_operations, read_stage_items
from reconciler.live.scope import ScopePattern, StageSide, pairs_to_read
from reconciler.plan.actions import Action, Deploy, Pattern

__all__ = [
    "history_for",
    "pairs_of_op",
    "read_pairs",
    "read_sides",
    "scope_of_op",
    "source_binding",
    "with_folders",
]


def scope_of_op(patterns: Sequence[Pattern] | None) -> tuple[ScopePattern, ...] | None:
    """Turn an op's patterns into scope patterns; None covers all."""
    return None if patterns is None else tuple(ScopePattern(p.type, p.name) for p in patterns)


async def read_sides(run: Run, op: Deploy) -> tuple[StageSide, StageSide]:
    """Read both stages: their workspaces and their items with pairing."""
    pipeline = run.id_of(op.pipeline)
    stages = {s.id: s for s in await run.fabric.pipelines.list_stages(pipeline)}
    sides: list[StageSide] = []
    for at in (op.source, op.target):
        stage = stages.get(run.id_of(at))
        workspace_id = stage.workspace_id if stage else None
        items: tuple[LiveStageItem, ...] = ()
        if stage is not None and workspace_id is not None:
            items = await read_stage_items(run.fabric, pipeline, stage.id)
        sides.append(StageSide(workspace_id, items))
    return sides[0], sides[1]


def pairs_of_op(op: Deploy, source: StageSide, target: StageSide) -> list[tuple[str, str]]:
    """Return the pairs whose definitions a comparison needs."""
    if op.compare != "definitions" or source.workspace_id is None or target.workspace_id is None:
        return []
    pairs = pairs_to_read(source, target, scope_of_op(op.scope), scope_of_op(op.exclude) or ())
    if op.items is None:
        return pairs
    announced = {i.id for i in op.items}
    return [p for p in pairs if p[0] in announced]


async def read_pairs(
    run: Run, op: Deploy, source: StageSide, target: StageSide
) -> dict[str, Definition]:
    """Read the definitions a comparison needs, in the way the plan did."""
    workspaces = (str(source.workspace_id), str(target.workspace_id))
    wanted = {
        item_id: workspace_id
        for pair in pairs_of_op(op, source, target)
        for item_id, workspace_id in zip(pair, workspaces, strict=True)
    }
    return await read_definitions(
        run.fabric, wanted, bound=operations_at_once(run.reads), beta=run.plan.beta
    )


async def history_for(
    run: Run, op: Deploy, operations: tuple[LiveOperation, ...] | None, unread: Sequence[str]
) -> tuple[LiveOperation, ...]:
    """Return the history, opened as far as items without a definition need it."""
    if not unread:
        return operations or ()
    pipeline = run.id_of(op.pipeline)
    if operations is None:
        operations = await read_operations(run.fabric, pipeline)
    stages = (run.id_of(op.source), run.id_of(op.target))
    return await open_history(run.fabric, pipeline, operations, stages, unread)


async def source_binding(run: Run, action: Action, source: StageSide) -> LiveBinding | None:
    """Read the source workspace's binding, and keep the commit its content is.

    With uncommitted changes the content is that of no commit, and the note names none.
    """
    if source.workspace_id is None:
        return None
    binding = await read_source_binding(run.fabric, source.workspace_id)
    status = binding.status if binding else None
    clean = status is not None and not any(c.workspace is not None for c in status.changes)
    if clean and status is not None and status.workspace_head is not None:
        run.source_commits[action.id] = status.workspace_head
    return binding


async def with_folders(run: Run, side: StageSide) -> StageSide:
    """Add the workspace's items, which know their folders."""
    items: tuple[LiveItem, ...] = ()
    if side.workspace_id is not None:
        items = await read_items(run.fabric, side.workspace_id)
    return StageSide(side.workspace_id, side.items, items)
