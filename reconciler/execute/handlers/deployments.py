"""Carry out deployments: compare once more, send exactly what still differs, see it arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from typing_extensions import override

from reconciler.clients.fabric.models import CreatedWorkspace, DeployItem, DeployRequest
from reconciler.clients.lro import Operation, OperationState
from reconciler.diff.deployments import (
    DeploymentDiff,
    ItemVerdict,
    compare_stages,
    definitions_hash,
)
from reconciler.diff.evidence import StageEvidence
from reconciler.diff.ignore import IgnoreRules
from reconciler.errors import (
    ActionError,
    ApiError,
    OperationFailed,
    OperationTimedOut,
    PreconditionMoved,
)
from reconciler.execute.handler import Handler, NotNeeded, expect
from reconciler.execute.handlers.stages_now import (
    history_for,
    pairs_of_op,
    read_pairs,
    read_sides,
    scope_of_op,
    source_binding,
    with_folders,
)
from reconciler.execute.run import Run
from reconciler.live.evidence import unread_sources
from reconciler.live.models import (
    Definition,
    LiveOperation,
)
from reconciler.live.pipelines import read_operations, read_stage_items
from reconciler.plan.actions import Action, Deploy
from reconciler.plan.deploy_order import MAX_ITEMS, deploy_order
from reconciler.provenance import NOTE_LIMIT, with_trailer
from reconciler.words import count

__all__ = ["DeployHandler"]

_PLAN_AGAIN = "make a new plan"
_POLL_S = 2.0
_ENDED = frozenset({"succeeded", "failed"})
_FAILED_REMEDY = (
    "what was deployed before the failing item stays deployed; correct the cause and apply again"
)
# The first deployment after an assignment may find the workload not ready for 60 to 120 s.
# Source: fabric-api.md section 7.4 (Alm_InvalidRequest_WorkloadUnavailable), field note.
_NOT_READY = "WorkloadUnavailable"
_NOT_READY_TRIES = 5
_NOT_READY_WAIT_S = 30.0


class DeployHandler(Handler[Deploy]):
    """Not repeatable: the pipeline's newest operation tells whether a request arrived.

    Items stay paired afterwards, so deploying the same content again changes nothing.
    """

    @override
    async def check(self, run: Run, action: Action, op: Deploy) -> None:
        """Compare the stages again; what no longer differs is left out, nothing is added."""
        operations = await _check_history(run, action, op)
        source, target = await read_sides(run, op)
        binding = await source_binding(run, action, source)
        if op.whole:
            if target.items:
                raise PreconditionMoved("the target stage has items now", remedy=_PLAN_AGAIN)
            return
        definitions = await read_pairs(run, op, source, target)
        if op.compare == "definitions":
            source, target = await with_folders(run, source), await with_folders(run, target)
        unread = unread_sources(pairs_of_op(op, source, target), definitions)
        diff = compare_stages(
            source,
            target,
            definitions,
            scope=scope_of_op(op.scope),
            exclude=scope_of_op(op.exclude) or (),
            compare=op.compare,
            ignore=IgnoreRules(run.estate.ignore).at(action.address),
            evidence=StageEvidence.of(
                (run.id_of(op.source), run.id_of(op.target)),
                await history_for(run, op, operations, unread),
                source=binding,
                target=None,
            ),
        )
        wanted = _wanted(op, diff)
        clashes = [v for v in diff.clashes if v in wanted]
        if clashes:
            names = ", ".join(f"{v.type} {v.name}" for v in clashes)
            raise ActionError(
                f"the target stage has unpaired items of the same type and name: {names}",
                remedy="rename or delete them in the target, or exclude them",
            )
        if not wanted:
            raise NotNeeded("no announced item is new or different any more")
        _check_definitions(action, wanted, definitions)
        run.deployed[action.id] = tuple(v.source_id for v in deploy_order(wanted))
        run.compared[action.id] = frozenset(p for v in (*wanted, *diff.residual) for p in v.places)
        run.progress(action, f"{count(len(wanted), 'item')} to deploy")

    @override
    async def send(self, run: Run, action: Action, op: Deploy) -> Operation | None:
        """POST deploy; more than 300 items go in parts, and only the last part is left to wait."""
        types = {
            i.id: i.type
            for i in await read_stage_items(
                run.fabric, run.id_of(op.pipeline), run.id_of(op.source)
            )
        }
        if op.whole:
            return await self._begin(run, action, op, None)
        ids = [i for i in run.deployed[action.id] if i in types]
        if not ids:
            raise PreconditionMoved(
                "none of the items to deploy is in the source stage any more",
                remedy=_PLAN_AGAIN,
            )
        parts = [ids[n : n + MAX_ITEMS] for n in range(0, len(ids), MAX_ITEMS)]
        for part in parts[:-1]:
            operation = await self._begin(
                run, action, op, tuple(DeployItem(i, types[i]) for i in part)
            )
            run.note(action, operation)
            await self.settle(run, action, op, operation)
        return await self._begin(run, action, op, tuple(DeployItem(i, types[i]) for i in parts[-1]))

    async def _begin(
        self, run: Run, action: Action, op: Deploy, items: tuple[DeployItem, ...] | None
    ) -> Operation:
        vacant = op.create_workspace is not None and op.target_workspace not in run.bindings
        request = DeployRequest(
            source_stage_id=run.id_of(op.source),
            target_stage_id=run.id_of(op.target),
            items=items,
            note=with_trailer(
                op.note or "",
                run.trailer(
                    run.source_commits.get(action.id), run.compared.get(action.id, frozenset())
                ),
                NOTE_LIMIT,
            ),
            allow_cross_region=op.allow_cross_region,
            created_workspace=CreatedWorkspace(op.create_workspace or "", op.create_capacity_id)
            if vacant
            else None,
        )
        for attempt in range(1, _NOT_READY_TRIES + 1):
            try:
                operation = await run.fabric.pipelines.begin_deploy(run.id_of(op.pipeline), request)
            except ApiError as e:
                not_ready = any(_NOT_READY in c for c in e.codes)
                if not not_ready or attempt == _NOT_READY_TRIES:
                    raise
                run.progress(action, "the workload is not ready for deployments yet")
                await run.clock.sleep(_NOT_READY_WAIT_S)
            else:
                if operation.deployment_id:
                    run.newest_operation[op.pipeline] = operation.deployment_id
                return operation
        raise ActionError("the workload is not ready for deployments", remedy="apply again later")

    @override
    async def settle(
        self, run: Run, action: Action, op: Deploy, operation: Operation | None
    ) -> None:
        """Poll; a failure names the items whose steps failed."""
        if operation is None:
            await self._find_and_follow(run, action, op)
            return

        def report(state: OperationState) -> None:
            run.progress(action, f"deployment {state.status.lower()}")

        try:
            await run.fabric.operations.wait(operation, timeout_s=run.timeout_s, on_poll=report)
        except OperationFailed as e:
            failed = await _failed_steps(run, op, operation.deployment_id)
            raise ActionError(
                f"the deployment failed: {e.message}{failed}", remedy=_FAILED_REMEDY
            ) from e

    async def _find_and_follow(self, run: Run, action: Action, op: Deploy) -> None:
        """After an unknown outcome, find the deployment that did arrive and wait for its end.

        That the items have pairs proves nothing: they may have had them before.

        Raises:
            ActionError: none has arrived, or not all of it.
            OperationFailed: it has arrived and failed, so it is not sent again.
            OperationTimedOut: it is still running.
        """
        pipeline = run.id_of(op.pipeline)
        end_s = run.clock.monotonic_s() + run.timeout_s
        while True:
            operations = await read_operations(run.fabric, pipeline)
            newest = operations[0] if operations else None
            if (
                newest is None
                or newest.id == _seen(run, action, op)
                or newest.source_stage_id != run.id_of(op.source)
                or newest.target_stage_id != run.id_of(op.target)
            ):
                raise ActionError("no deployment has arrived", remedy="apply again")
            if newest.status.lower() in _ENDED:
                break
            run.progress(action, f"deployment {newest.status.lower()}")
            if run.clock.monotonic_s() >= end_s:
                raise OperationTimedOut(
                    f"deployment {newest.id} is still {newest.status}",
                    operation_id=newest.id,
                    remedy="it goes on at the service; apply again when it has ended",
                )
            await run.clock.sleep(_POLL_S)
        run.newest_operation[op.pipeline] = newest.id
        if newest.status.lower() == "failed":
            steps = await _failed_steps(run, op, newest.id)
            raise OperationFailed(
                f"the deployment arrived and failed{steps}",
                operation_id=newest.id,
                remedy=_FAILED_REMEDY,
            )
        if len(run.deployed.get(action.id, ())) > MAX_ITEMS:
            raise ActionError("not every part has been sent", remedy="apply again")

    @override
    async def verify(self, run: Run, action: Action, op: Deploy) -> str:
        """See that every item sent has its pair in the target stage."""
        source, target = await read_sides(run, op)
        if target.workspace_id is not None and op.target_workspace is not None:
            run.bindings[op.target_workspace] = target.workspace_id
        if op.whole:
            expect(target.items, "the target stage is still empty")
            return f"{count(len(target.items), 'item')} deployed"
        there = {i.id for i in target.items}
        sent = run.deployed.get(action.id, ())
        pairs = {i.id: i.target_id for i in source.items}
        missing = [i for i in sent if pairs.get(i) not in there]
        names = {i.id: f"{i.type} {i.name}" for i in source.items}
        expect(
            sent and not missing,
            f"{count(len(missing), 'item')} without a pair in the target: "
            + ", ".join(names.get(i, i) for i in missing),
        )
        await _refresh_history(run, op)
        return f"{count(len(sent), 'item')} deployed"


def _wanted(op: Deploy, diff: DeploymentDiff) -> list[ItemVerdict]:
    needed = diff.needed(unproven=op.unproven == "deploy")
    if op.items is not None:
        announced_ids = {i.id for i in op.items}
        return [v for v in needed if v.source_id in announced_ids]
    if op.announced is not None:
        announced = set(op.announced)
        return [
            v for v in needed if (v.type, v.name) in announced or v.source_id in op.announced_ids
        ]
    return list(needed)


def _check_definitions(
    action: Action, wanted: Sequence[ItemVerdict], definitions: Mapping[str, Definition]
) -> None:
    """Refuse to deploy content that nobody has seen in the plan."""
    seen = action.preconditions.get("definitions")
    if seen is not None and seen != definitions_hash(wanted, definitions):
        raise PreconditionMoved(
            "an item was edited in one of the two stages since the plan was made",
            remedy=_PLAN_AGAIN,
        )


async def _check_history(run: Run, action: Action, op: Deploy) -> tuple[LiveOperation, ...] | None:
    """Refuse when somebody else has deployed since the plan, or is deploying now.

    Returns:
        The history, or None where it was not needed.
    """
    if op.pipeline not in run.newest_operation and "newest_operation" not in action.preconditions:
        return None
    seen = _seen(run, action, op)
    operations = await read_operations(run.fabric, run.id_of(op.pipeline))
    newest = operations[0].id if operations else None
    if newest != seen:
        raise PreconditionMoved(
            f"somebody has deployed in this pipeline since the plan was made (operation {newest})",
            remedy=_PLAN_AGAIN,
        )
    return operations


def _seen(run: Run, action: Action, op: Deploy) -> str | None:
    """Return the newest operation known: of this run, or of the plan."""
    seen = run.newest_operation.get(op.pipeline, action.preconditions.get("newest_operation"))
    return None if seen is None else str(seen)


async def _refresh_history(run: Run, op: Deploy) -> None:
    """Remember our own operation, so that the next part of the cascade expects it."""
    operations = await read_operations(run.fabric, run.id_of(op.pipeline))
    if operations:
        run.newest_operation[op.pipeline] = operations[0].id


async def _failed_steps(run: Run, op: Deploy, deployment_id: str | None) -> str:
    """Name the steps that failed, from the deployment's execution plan.

    Source: fabric-api.md section 7.3, spec.
    """
    if deployment_id is None:
        return ""
    try:
        found = await run.fabric.pipelines.get_operation(run.id_of(op.pipeline), deployment_id)
    except ApiError:
        return ""
    steps = found.execution_plan.steps if found.execution_plan else ()
    failed = [
        f"{s.source_and_target.item_type} {s.source_and_target.source_item_display_name}"
        + (f" ({s.error.error_code})" if s.error else "")
        for s in steps
        if s.status == "Failed" and s.source_and_target is not None
    ]
    return f"; failed items: {', '.join(failed)}" if failed else ""
