"""Workspaces and their roles. Source: ``platform/swagger.json`` (spec), fabric-api.md section 8."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator

from reconciler.clients.fabric.models import RoleAssignment, Workspace
from reconciler.clients.http import Transport, quote_segment
from reconciler.clients.paging import collect, pages
from reconciler.clients.wire import body_of, parse, parse_all

__all__ = ["Workspaces"]

_PATH = "/v1/workspaces"


class Workspaces:
    """The workspaces this caller has a role in."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> builtins.list[Workspace]:
        """Return every workspace visible to the caller; others may exist."""
        return [found async for page in self.pages() for found in page]

    async def pages(self) -> AsyncIterator[builtins.list[Workspace]]:
        """Yield every workspace visible to the caller; others may exist, page by page."""
        async for page in pages(self._transport, "workspaces.list", _PATH):
            yield parse_all(Workspace, page, what=f"GET {_PATH}")

    async def get(self, workspace_id: str) -> Workspace:
        """Return one workspace with the progress of its capacity assignment."""
        path = _workspace(workspace_id)
        response = await self._transport.request("workspaces.get", "GET", path)
        return parse(Workspace, response.body, what=f"GET {path}")

    async def create(
        self, display_name: str, *, description: str | None = None, capacity_id: str | None = None
    ) -> Workspace:
        """Create a workspace.

        The name is unique in the tenant: repeating after an unknown outcome gives
        ``WorkspaceNameAlreadyExists`` (409), also for a workspace the caller cannot see.
        """
        response = await self._transport.request(
            "workspaces.create",
            "POST",
            _PATH,
            json=body_of(displayName=display_name, description=description, capacityId=capacity_id),
        )
        return parse(Workspace, response.body, what=f"POST {_PATH}")

    async def update(
        self, workspace_id: str, *, display_name: str | None = None, description: str | None = None
    ) -> Workspace:
        """Change the name, the description or both."""
        path = _workspace(workspace_id)
        response = await self._transport.request(
            "workspaces.update",
            "PATCH",
            path,
            json=body_of(displayName=display_name, description=description),
        )
        return parse(Workspace, response.body, what=f"PATCH {path}")

    async def delete(self, workspace_id: str) -> None:
        """Delete a workspace and its items; refused while a pipeline stage holds it (field)."""
        await self._transport.request("workspaces.delete", "DELETE", _workspace(workspace_id))

    async def assign_to_capacity(self, workspace_id: str, capacity_id: str) -> None:
        """Ask for a capacity; ``get`` shows the progress, there is no operation (recorded)."""
        await self._transport.request(
            "workspaces.assign_to_capacity",
            "POST",
            f"{_workspace(workspace_id)}/assignToCapacity",
            json={"capacityId": capacity_id},
        )

    async def unassign_from_capacity(self, workspace_id: str) -> None:
        """Ask to leave the capacity; ``get`` shows the progress."""
        await self._transport.request(
            "workspaces.unassign_from_capacity",
            "POST",
            f"{_workspace(workspace_id)}/unassignFromCapacity",
        )

    async def list_role_assignments(self, workspace_id: str) -> builtins.list[RoleAssignment]:
        """Return every role given in a workspace."""
        path = f"{_workspace(workspace_id)}/roleAssignments"
        values = await collect(self._transport, "workspaces.roles.list", path)
        return parse_all(RoleAssignment, values, what=f"GET {path}")

    async def add_role_assignment(
        self, workspace_id: str, *, principal_id: str, principal_type: str, role: str
    ) -> RoleAssignment:
        """Give a principal its one role."""
        path = f"{_workspace(workspace_id)}/roleAssignments"
        response = await self._transport.request(
            "workspaces.roles.add",
            "POST",
            path,
            json={"principal": {"id": principal_id, "type": principal_type}, "role": role},
        )
        return parse(RoleAssignment, response.body, what=f"POST {path}")

    async def update_role_assignment(
        self, workspace_id: str, assignment_id: str, role: str
    ) -> RoleAssignment:
        """Change a principal's role."""
        path = f"{_workspace(workspace_id)}/roleAssignments/{quote_segment(assignment_id)}"
        response = await self._transport.request(
            "workspaces.roles.update", "PATCH", path, json={"role": role}
        )
        return parse(RoleAssignment, response.body, what=f"PATCH {path}")

    async def delete_role_assignment(self, workspace_id: str, assignment_id: str) -> None:
        """Take a principal's role away; the last admin cannot be removed (spec)."""
        path = f"{_workspace(workspace_id)}/roleAssignments/{quote_segment(assignment_id)}"
        await self._transport.request("workspaces.roles.delete", "DELETE", path)


def _workspace(workspace_id: str) -> str:
    return f"{_PATH}/{quote_segment(workspace_id)}"
