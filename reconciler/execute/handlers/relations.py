"""Set the relation of a branched-out workspace to its base (preview API)."""

from __future__ import annotations

from typing_extensions import override

from reconciler.clients.lro import Operation
from reconciler.errors import ActionError, ApiError, PreconditionMoved
from reconciler.execute.handler import Handler, NotNeeded, expect
from reconciler.execute.handlers.git_common import PLAN_AGAIN
from reconciler.execute.run import Run
from reconciler.live.git import read_relations
from reconciler.live.models import LiveRelation
from reconciler.plan.actions import Action, Related, SetGitRelation

__all__ = ["SetRelationHandler", "restore_relations"]

_RELATED = "WorkspaceRelation"
_REMEDIES = {
    f"{_RELATED}RootDirectoryMismatch": "bind both to the same repository and directory, on "
    "different branches",
    f"{_RELATED}BaseIsBranch": "the base is branched out itself; name its base",
    f"{_RELATED}TargetHasBranches": "the workspace is a base itself; remove the relations to it "
    "first",
    f"{_RELATED}BidirectionalExists": "the two are related the other way round; remove that first",
}


async def _base_of(run: Run, workspace: str) -> LiveRelation | None:
    found = await read_relations(run.fabric, run.id_of(workspace))
    return next((r for r in found if r.kind == "Base"), None)


def _refused(error: ApiError) -> ActionError:
    """Say what a refused relation means. Source: fabric-api.md section 6.2, spec for the codes."""
    remedy = next((text for code, text in _REMEDIES.items() if code in error.codes), "")
    if error.status == 403:
        remedy = "the caller must be admin of the workspace and contributor of its base"
    return ActionError(
        f"the workspaces were not related: {error.message}",
        remedy=remedy or error.remedy or "correct it and apply again",
    )


async def _relate(run: Run, workspace: str, other_id: str, kind: str) -> None:
    try:
        await run.fabric.git.create_relation(
            run.id_of(workspace), related_workspace_id=other_id, relation_type=kind
        )
    except ApiError as e:
        if e.status >= 500:
            raise
        raise _refused(e) from e


async def restore_relations(run: Run, workspace: str, wanted: tuple[Related, ...]) -> None:
    """Put back the relations that are gone; one request where none is."""
    if not wanted:
        return
    there = {(r.other_id, r.kind) for r in await read_relations(run.fabric, run.id_of(workspace))}
    for relation in wanted:
        if (relation.workspace_id, relation.kind) not in there:
            await _relate(run, workspace, relation.workspace_id, relation.kind)


class SetRelationHandler(Handler[SetGitRelation]):
    """The relations are read first, and again after an unknown outcome."""

    @override
    async def check(self, run: Run, action: Action, op: SetGitRelation) -> None:
        """See that the base is still another one, or none."""
        now = await _base_of(run, op.workspace)
        if now is not None and now.other_id == run.id_of(op.base):
            raise NotNeeded("related already")
        if now is not None and now.id != op.replaces:
            raise PreconditionMoved(
                "somebody has related the workspace to another base", remedy=PLAN_AGAIN
            )

    @override
    async def send(self, run: Run, action: Action, op: SetGitRelation) -> Operation | None:
        """DELETE the relation to another base, where there is one, and POST this one."""
        now = await _base_of(run, op.workspace)
        if now is not None:
            await run.fabric.git.delete_relation(run.id_of(op.workspace), now.id)
        await _relate(run, op.workspace, run.id_of(op.base), "Base")
        return None

    @override
    async def verify(self, run: Run, action: Action, op: SetGitRelation) -> str:
        """Read the relations."""
        now = await _base_of(run, op.workspace)
        expect(
            now is not None and now.other_id == run.id_of(op.base),
            "the workspace is not related to its base",
        )
        return f"branched out from {run.name_of(op.base)}"
