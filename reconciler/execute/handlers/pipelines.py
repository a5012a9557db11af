"""Carry out pipeline, stage and pipeline role actions."""

from __future__ import annotations

from typing_extensions import override

from reconciler.clients.fabric.models import Stage, StageRequest
from reconciler.clients.lro import Operation
from reconciler.errors import ActionError, ApiError, NotFound, PreconditionMoved
from reconciler.execute.handler import Handler, NotNeeded, expect
from reconciler.execute.run import Run
from reconciler.ids import address, split_address
from reconciler.plan.actions import (
    Action,
    AssignStage,
    CreatePipeline,
    DeletePipeline,
    UnassignStage,
    UpdatePipeline,
    UpdateStage,
)

__all__ = [
    "AssignStageHandler",
    "CreatePipelineHandler",
    "DeletePipelineHandler",
    "UnassignStageHandler",
    "UpdatePipelineHandler",
    "UpdateStageHandler",
]

_PLAN_AGAIN = "make a new plan"


class CreatePipelineHandler(Handler[CreatePipeline]):
    """Names are unique in the tenant, so a repeated create is refused and makes no second one.

    Source: fabric-api.md section 7.4 (Alm_InvalidRequest_DuplicateAlmPipelineName), field note.
    """

    @override
    async def send(self, run: Run, action: Action, op: CreatePipeline) -> Operation | None:
        """POST it with its stages."""
        try:
            made = await run.fabric.pipelines.create(
                op.name,
                op.description,
                [StageRequest(s.name, s.description or "", s.public) for s in op.stages],
            )
        except ApiError as e:
            if any("DuplicateAlmPipelineName" in c for c in e.codes):
                raise ActionError(
                    f"the name {op.name} is taken by a pipeline that this caller cannot see",
                    remedy="choose another name, or have the caller made admin of that pipeline",
                ) from e
            raise
        run.bindings[action.address] = made.id
        return None

    @override
    async def verify(self, run: Run, action: Action, op: CreatePipeline) -> str:
        """Read its stages; after an unknown outcome, find it by name."""
        if action.address not in run.bindings:
            listed = await run.fabric.pipelines.list()
            found = next((p for p in listed if p.display_name == op.name), None)
            if found is None:
                raise ActionError(f"the pipeline {op.name} is not there")
            run.bindings[action.address] = found.id
        stages = await run.fabric.pipelines.list_stages(run.id_of(action.address))
        expect(len(stages) == len(op.stages), f"it has {len(stages)} stages")
        parts = split_address(action.address)
        for live, wanted in zip(sorted(stages, key=lambda s: s.order), op.stages, strict=True):
            run.bindings[address(*parts, "stages", wanted.name)] = live.id
        return f"created with {len(stages)} stages"


class UpdatePipelineHandler(Handler[UpdatePipeline]):
    """Repeatable: the same fields again change nothing."""

    @override
    async def send(self, run: Run, action: Action, op: UpdatePipeline) -> Operation | None:
        """PATCH name and description."""
        await run.fabric.pipelines.update(
            run.id_of(action.address), display_name=op.name, description=op.description
        )
        return None

    @override
    async def verify(self, run: Run, action: Action, op: UpdatePipeline) -> str:
        """Read the fields."""
        found = await run.fabric.pipelines.get(run.id_of(action.address))
        expect(op.name in (None, found.display_name), "the name is unchanged")
        expect(op.description in (None, found.description), "the description is unchanged")
        return "changed"


class DeletePipelineHandler(Handler[DeletePipeline]):
    """Repeatable: gone stays gone."""

    @override
    async def send(self, run: Run, action: Action, op: DeletePipeline) -> Operation | None:
        """DELETE it; its workspaces stay."""
        await run.fabric.pipelines.delete(run.id_of(action.address))
        return None

    @override
    async def verify(self, run: Run, action: Action, op: DeletePipeline) -> str:
        """See that it is gone."""
        try:
            await run.fabric.pipelines.get(run.id_of(action.address))
        except NotFound:
            return "deleted; its workspaces stay"
        raise ActionError("the pipeline is still there", remedy="apply again")


async def _stage(run: Run, pipeline: str, stage: str) -> Stage:
    return await run.fabric.pipelines.get_stage(run.id_of(pipeline), run.id_of(stage))


class UpdateStageHandler(Handler[UpdateStage]):
    """Repeatable: the same fields again change nothing."""

    @override
    async def send(self, run: Run, action: Action, op: UpdateStage) -> Operation | None:
        """PATCH the stage; the service wants all its fields."""
        live = await _stage(run, op.pipeline, action.address)
        await run.fabric.pipelines.update_stage(
            run.id_of(op.pipeline),
            run.id_of(action.address),
            display_name=op.name,
            description=live.description if op.description is None else op.description,
            is_public=live.is_public if op.public is None else op.public,
        )
        return None

    @override
    async def verify(self, run: Run, action: Action, op: UpdateStage) -> str:
        """Read the fields."""
        live = await _stage(run, op.pipeline, action.address)
        expect(live.display_name == op.name, "the name is unchanged")
        expect(op.description in (None, live.description), "the description is unchanged")
        expect(op.public in (None, live.is_public), "public is unchanged")
        return "changed"


class AssignStageHandler(Handler[AssignStage]):
    """The stage is read first, and again after an unknown outcome."""

    @override
    async def check(self, run: Run, action: Action, op: AssignStage) -> None:
        """See that the stage is vacant."""
        live = await _stage(run, op.pipeline, action.address)
        if live.workspace_id == run.id_of(op.workspace):
            raise NotNeeded("assigned already")
        if live.workspace_id is not None:
            raise PreconditionMoved(
                f"the stage holds {live.workspace_name or live.workspace_id} now",
                remedy=_PLAN_AGAIN,
            )

    @override
    async def send(self, run: Run, action: Action, op: AssignStage) -> Operation | None:
        """POST assignWorkspace."""
        try:
            await run.fabric.pipelines.assign_workspace(
                run.id_of(op.pipeline), run.id_of(action.address), run.id_of(op.workspace)
            )
        except ApiError as e:
            if e.status >= 500:
                raise
            raise ActionError(
                e.message,
                remedy="the workspace must have a capacity, stand in no other stage, and the "
                "caller must be admin of pipeline and workspace",
            ) from e
        return None

    @override
    async def verify(self, run: Run, action: Action, op: AssignStage) -> str:
        """Read the stage."""
        live = await _stage(run, op.pipeline, action.address)
        expect(live.workspace_id == run.id_of(op.workspace), "the stage does not hold it")
        return "assigned"


class UnassignStageHandler(Handler[UnassignStage]):
    """Repeatable: vacant stays vacant."""

    @override
    async def check(self, run: Run, action: Action, op: UnassignStage) -> None:
        """See that the stage holds what the plan saw."""
        live = await _stage(run, op.pipeline, action.address)
        if live.workspace_id is None:
            raise NotNeeded("the stage is vacant")
        if live.workspace_id != action.preconditions.get("stage_workspace_id"):
            raise PreconditionMoved(
                f"the stage holds {live.workspace_name or live.workspace_id} now",
                remedy=_PLAN_AGAIN,
            )

    @override
    async def send(self, run: Run, action: Action, op: UnassignStage) -> Operation | None:
        """POST unassignWorkspace."""
        await run.fabric.pipelines.unassign_workspace(
            run.id_of(op.pipeline), run.id_of(action.address)
        )
        return None

    @override
    async def verify(self, run: Run, action: Action, op: UnassignStage) -> str:
        """Read the stage."""
        live = await _stage(run, op.pipeline, action.address)
        expect(live.workspace_id is None, "the stage still holds a workspace")
        return "vacated"
