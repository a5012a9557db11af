"""Carry out role actions of workspaces and pipelines; both have the same three calls."""

from __future__ import annotations

from typing_extensions import override

from reconciler.clients.fabric.models import RoleAssignment
from reconciler.clients.fabric.pipelines import Pipelines
from reconciler.clients.fabric.workspaces import Workspaces
from reconciler.clients.lro import Operation
from reconciler.errors import PreconditionMoved
from reconciler.execute.handler import Handler, NotNeeded, expect
from reconciler.execute.run import Run
from reconciler.plan.actions import (
    Action,
    AddPipelineRole,
    AddWorkspaceRole,
    RemovePipelineRole,
    RemoveWorkspaceRole,
    UpdateWorkspaceRole,
)

__all__ = ["AddRoleHandler", "RemoveRoleHandler", "UpdateRoleHandler"]

_RoleOp = (
    AddWorkspaceRole
    | AddPipelineRole
    | UpdateWorkspaceRole
    | RemoveWorkspaceRole
    | RemovePipelineRole
)


def _owner(run: Run, op: _RoleOp) -> tuple[Workspaces | Pipelines, str]:
    """Return the API that holds the role, and the id of the workspace or pipeline."""
    if isinstance(op, (AddPipelineRole, RemovePipelineRole)):
        return run.fabric.pipelines, run.id_of(op.pipeline)
    return run.fabric.workspaces, run.id_of(op.workspace)


async def _role_of(run: Run, op: _RoleOp) -> RoleAssignment | None:
    api, owner = _owner(run, op)
    wanted = op.principal_id.lower()
    listed = await api.list_role_assignments(owner)
    return next((r for r in listed if r.principal.id.lower() == wanted), None)


async def _expect_role(
    run: Run, op: AddWorkspaceRole | AddPipelineRole | UpdateWorkspaceRole
) -> None:
    found = await _role_of(run, op)
    expect(found and found.role == op.role, "the principal does not have the role")


class AddRoleHandler(Handler[AddWorkspaceRole | AddPipelineRole]):
    """Assignments are listed first; a principal has one."""

    @override
    async def check(self, run: Run, action: Action, op: AddWorkspaceRole | AddPipelineRole) -> None:
        """See which role the principal has."""
        found = await _role_of(run, op)
        if found is None:
            return
        if found.role == op.role:
            raise NotNeeded(f"already {op.role}")
        raise PreconditionMoved(
            f"the principal has become {found.role} since the plan was made",
            remedy="make a new plan",
        )

    @override
    async def send(
        self, run: Run, action: Action, op: AddWorkspaceRole | AddPipelineRole
    ) -> Operation | None:
        """POST the assignment."""
        api, owner = _owner(run, op)
        await api.add_role_assignment(
            owner,
            principal_id=op.principal_id,
            principal_type=op.principal_type,
            role=op.role,
        )
        return None

    @override
    async def verify(self, run: Run, action: Action, op: AddWorkspaceRole | AddPipelineRole) -> str:
        """List assignments again."""
        await _expect_role(run, op)
        return f"{op.role} granted"


class UpdateRoleHandler(Handler[UpdateWorkspaceRole]):
    """Repeatable: the same role again changes nothing."""

    @override
    async def check(self, run: Run, action: Action, op: UpdateWorkspaceRole) -> None:
        """See which role the principal has."""
        found = await _role_of(run, op)
        if found is not None and found.role == op.role:
            raise NotNeeded(f"already {op.role}")
        if found is None or found.role != action.preconditions.get("role"):
            raise PreconditionMoved(
                f"the principal is {found.role if found else 'without a role'} now, the plan saw "
                f"{action.preconditions.get('role')}",
                remedy="make a new plan",
            )

    @override
    async def send(self, run: Run, action: Action, op: UpdateWorkspaceRole) -> Operation | None:
        """PATCH the assignment; its id is the principal's."""
        await run.fabric.workspaces.update_role_assignment(
            run.id_of(op.workspace), op.principal_id, op.role
        )
        return None

    @override
    async def verify(self, run: Run, action: Action, op: UpdateWorkspaceRole) -> str:
        """List assignments again."""
        await _expect_role(run, op)
        return f"role {op.role}"


class RemoveRoleHandler(Handler[RemoveWorkspaceRole | RemovePipelineRole]):
    """Repeatable: gone stays gone."""

    @override
    async def check(
        self, run: Run, action: Action, op: RemoveWorkspaceRole | RemovePipelineRole
    ) -> None:
        """See whether there is anything to remove."""
        if await _role_of(run, op) is None:
            raise NotNeeded("the principal has no role")

    @override
    async def send(
        self, run: Run, action: Action, op: RemoveWorkspaceRole | RemovePipelineRole
    ) -> Operation | None:
        """DELETE the assignment."""
        api, owner = _owner(run, op)
        await api.delete_role_assignment(owner, op.principal_id)
        return None

    @override
    async def verify(
        self, run: Run, action: Action, op: RemoveWorkspaceRole | RemovePipelineRole
    ) -> str:
        """List assignments again."""
        expect(await _role_of(run, op) is None, "the principal still has a role")
        return "role removed"
