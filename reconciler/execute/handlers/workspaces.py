"""Carry out connection and workspace actions."""

from __future__ import annotations

from typing_extensions import override

from reconciler.clients.fabric.models import (
    GitCredentialKey,
    GitServicePrincipal,
    Workspace,
)
from reconciler.clients.lro import Operation
from reconciler.errors import (
    ActionError,
    ApiError,
    InternalError,
    NotFound,
    OperationTimedOut,
    PreconditionMoved,
)
from reconciler.execute.handler import Handler, NotNeeded, expect
from reconciler.execute.run import Run
from reconciler.plan.actions import (
    Action,
    AssignCapacity,
    CreateConnection,
    CreateWorkspace,
    DeleteWorkspace,
    UpdateWorkspace,
)
from reconciler.spec.models import ConnectionCreate
from reconciler.spec.resolve import find_connection

__all__ = [
    "AssignCapacityHandler",
    "CreateConnectionHandler",
    "CreateWorkspaceHandler",
    "DeleteWorkspaceHandler",
    "UpdateWorkspaceHandler",
]

_CAPACITY_POLL_S = 2.0
# How long an accepted assignment may take to show at all.
_CAPACITY_STALE_S = 60.0


class CreateConnectionHandler(Handler[CreateConnection]):
    """Display names are not unique, so the list is read first and after an unknown outcome."""

    @override
    async def check(self, run: Run, action: Action, op: CreateConnection) -> None:
        """See that the name is still free."""
        if await self._find(run, action, op):
            raise PreconditionMoved(
                f"a connection {op.name} has appeared since the plan was made",
                remedy="make a new plan",
            )

    async def _find(self, run: Run, action: Action, op: CreateConnection) -> bool:
        for connection in await run.fabric.connections.list():
            if connection.display_name == op.name:
                run.bindings[action.address] = connection.id
                return True
        return False

    @override
    async def send(self, run: Run, action: Action, op: CreateConnection) -> Operation | None:
        """POST it, with the secret from the environment."""
        create = _create_of(run, op)
        made = await run.fabric.connections.create_git(
            op.name, op.type, create.url, _git_credential(run, create)
        )
        run.bindings[action.address] = made.id
        run.made.add(action.id)
        return None

    @override
    async def verify(self, run: Run, action: Action, op: CreateConnection) -> str:
        """List connections again."""
        expect(await self._find(run, action, op), f"the connection {op.name} is not listed")
        return "created"


def _create_of(run: Run, op: CreateConnection) -> ConnectionCreate:
    spec = find_connection(run.estate, op.name)
    if spec is None or spec.create is None:
        raise InternalError(f"the plan's spec does not say how to make the connection {op.name}")
    return spec.create


def _git_credential(run: Run, create: ConnectionCreate) -> GitCredentialKey | GitServicePrincipal:
    wanted = create.credentials
    if wanted.key is not None:
        return GitCredentialKey(run.secret(wanted.key))
    principal = wanted.service_principal
    if principal is None:
        raise InternalError("a connection without credentials passed validation")
    return GitServicePrincipal(
        tenant_id=principal.tenant_id,
        client_id=principal.client_id,
        secret=run.secret(principal.secret),
    )


async def _await_capacity(
    run: Run, action: Action, workspace_id: str, capacity: str, *, accepted: bool
) -> None:
    """Wait until a capacity assignment ends.

    Args:
        accepted: the service took the request. Otherwise nothing may have arrived, and a
            workspace that is not being assigned is not waited for.

    Source: fabric-api.md section 2.1: no operation; only capacityAssignmentProgress tells;
    recorded.
    """
    began_s = run.clock.monotonic_s()
    while True:
        workspace = await run.fabric.workspaces.get(workspace_id)
        progress = (workspace.capacity_assignment_progress or "Completed").lower()
        if progress == "failed":
            raise ActionError(
                "the service could not assign the capacity",
                remedy="see that the capacity is active and in an allowed region, then apply again",
            )
        waited_s = run.clock.monotonic_s() - began_s
        if progress == "completed":
            if workspace.capacity_id == capacity:
                return
            if not accepted or waited_s >= _CAPACITY_STALE_S:
                raise ActionError("the workspace is not on the capacity", remedy="apply again")
        if waited_s >= run.timeout_s:
            raise OperationTimedOut(
                f"the capacity assignment is still {progress}",
                operation_id="",
                remedy="it goes on at the service; apply again later",
            )
        run.progress(action, f"capacity assignment {progress}")
        await run.clock.sleep(_CAPACITY_POLL_S)


class CreateWorkspaceHandler(Handler[CreateWorkspace]):
    """Names are unique in the tenant, so a repeated create answers 409 and makes no second one.

    Source: fabric-api.md section 8 (WorkspaceNameAlreadyExists), spec.
    """

    @override
    async def send(self, run: Run, action: Action, op: CreateWorkspace) -> Operation | None:
        """POST the workspace with its capacity."""
        try:
            made = await run.fabric.workspaces.create(
                op.name, description=op.description, capacity_id=op.capacity_id
            )
        except ApiError as e:
            if "WorkspaceNameAlreadyExists" in e.codes or e.status == 409:
                raise ActionError(
                    f"the name {op.name} is taken by a workspace that this caller cannot see",
                    remedy="choose another name, or have the caller added to that workspace",
                ) from e
            raise
        run.bindings[action.address] = made.id
        run.made.add(action.id)
        return None

    @override
    async def settle(
        self, run: Run, action: Action, op: CreateWorkspace, operation: Operation | None
    ) -> None:
        """Find it by name after an unknown outcome; wait for the capacity."""
        if action.address not in run.bindings:
            listed = await run.fabric.workspaces.list()
            found = next((w for w in listed if w.display_name == op.name), None)
            if found is None:
                raise ActionError(f"the workspace {op.name} is not there", remedy="apply again")
            run.bindings[action.address] = found.id
        if op.capacity_id is not None:
            await _await_capacity(
                run, action, run.id_of(action.address), op.capacity_id, accepted=True
            )

    @override
    async def verify(self, run: Run, action: Action, op: CreateWorkspace) -> str:
        """Read it."""
        workspace = await run.fabric.workspaces.get(run.id_of(action.address))
        expect(workspace.display_name == op.name, f"it is called {workspace.display_name}")
        return "created"


class UpdateWorkspaceHandler(Handler[UpdateWorkspace]):
    """Repeatable: the same fields again change nothing."""

    @override
    async def send(self, run: Run, action: Action, op: UpdateWorkspace) -> Operation | None:
        """PATCH name and description."""
        await run.fabric.workspaces.update(
            run.id_of(action.address), display_name=op.name, description=op.description
        )
        return None

    @override
    async def verify(self, run: Run, action: Action, op: UpdateWorkspace) -> str:
        """Read the fields."""
        found: Workspace = await run.fabric.workspaces.get(run.id_of(action.address))
        expect(op.name in (None, found.display_name), "the name is unchanged")
        expect(op.description in (None, found.description), "the description is unchanged")
        return "changed"


class AssignCapacityHandler(Handler[AssignCapacity]):
    """Repeatable: assigning the same capacity again changes nothing."""

    @override
    async def check(self, run: Run, action: Action, op: AssignCapacity) -> None:
        """See which capacity it has."""
        found = await run.fabric.workspaces.get(run.id_of(action.address))
        if found.capacity_id == op.capacity_id:
            raise NotNeeded("on this capacity already")
        seen = action.preconditions.get("capacity_id")
        if found.capacity_id != seen:
            raise PreconditionMoved(
                f"the workspace is on capacity {found.capacity_id or 'none'}, the plan saw "
                f"{seen or 'none'}",
                remedy="make a new plan",
            )

    @override
    async def send(self, run: Run, action: Action, op: AssignCapacity) -> Operation | None:
        """POST the assignment."""
        await run.fabric.workspaces.assign_to_capacity(run.id_of(action.address), op.capacity_id)
        run.made.add(action.id)
        return None

    @override
    async def settle(
        self, run: Run, action: Action, op: AssignCapacity, operation: Operation | None
    ) -> None:
        """Wait until it is assigned."""
        await _await_capacity(
            run,
            action,
            run.id_of(action.address),
            op.capacity_id,
            accepted=action.id in run.made,
        )

    @override
    async def verify(self, run: Run, action: Action, op: AssignCapacity) -> str:
        """Read the workspace."""
        found = await run.fabric.workspaces.get(run.id_of(action.address))
        expect(found.capacity_id == op.capacity_id, "the workspace is on another capacity")
        return "capacity assigned"


class DeleteWorkspaceHandler(Handler[DeleteWorkspace]):
    """Repeatable: gone stays gone."""

    @override
    async def send(self, run: Run, action: Action, op: DeleteWorkspace) -> Operation | None:
        """DELETE it."""
        await run.fabric.workspaces.delete(run.id_of(action.address))
        return None

    @override
    async def verify(self, run: Run, action: Action, op: DeleteWorkspace) -> str:
        """See that it is gone from the list of what the caller may see."""
        wanted = run.id_of(action.address)
        try:
            await run.fabric.workspaces.get(wanted)
        except NotFound:
            return "deleted"
        except ApiError as e:
            # Which of 403 and 404 an absent workspace answers is unproven
            # (fabric-api.md section 3.4), so the list decides.
            if e.status != 403:
                raise
        listed = await run.fabric.workspaces.list()
        expect(all(w.id != wanted for w in listed), "the workspace is still there")
        return "deleted"
