"""Workspace identities: the one operation with a result that is undone by one without.

Source: fabric-api.md sections 2.1, 2.3 and 2.5 (recorded), platform/definitions/platform.json
(spec). What a second request of the same kind gets is assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric.access import workspace_of
from reconciler.emulator.fabric.errors import OperationFailed, invalid
from reconciler.emulator.fabric.lro import begin, operation
from reconciler.emulator.fabric.state import Operation, Workspace
from reconciler.emulator.http import Answer, Call, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "identity_wire"]

_RETRY_AFTER_S = 5


def identity_wire(workspace: Workspace) -> dict[str, str] | None:
    """Return a workspace's identity as its answers show it, None if it has none."""
    if workspace.application_id is None or workspace.service_principal_id is None:
        return None
    return {
        "applicationId": workspace.application_id,
        "servicePrincipalId": workspace.service_principal_id,
    }


async def provision(world: World, call: Call) -> Answer:
    """Start giving a workspace an identity."""
    workspace = workspace_of(world, call, "Admin")
    if identity_wire(workspace) is not None:
        raise invalid("The workspace has an identity already")
    return _begin(world, call, "identities.provision", workspace)


async def deprovision(world: World, call: Call) -> Answer:
    """Start taking the identity away."""
    workspace = workspace_of(world, call, "Admin")
    if identity_wire(workspace) is None:
        raise invalid("The workspace has no identity")
    return _begin(world, call, "identities.deprovision", workspace)


def _begin(world: World, call: Call, kind: str, workspace: Workspace) -> Answer:
    args = {"workspace": workspace.id}
    return begin(world, call, kind, args, real_retry_after_s=_RETRY_AFTER_S)


def _workspace(world: World, found: Operation) -> Workspace:
    workspace = world.fabric.workspaces.get(str(found.args["workspace"]))
    if workspace is None:
        raise OperationFailed("WorkspaceNotFound", "The workspace could not be found")
    return workspace


@operation("identities.provision")
def run_provision(world: World, found: Operation) -> dict[str, Any] | None:
    """Make the identity; it is the operation's result (recorded)."""
    workspace = _workspace(world, found)
    workspace.application_id, workspace.service_principal_id = new_id(), new_id()
    return identity_wire(workspace)


@operation("identities.deprovision")
def run_deprovision(world: World, found: Operation) -> None:
    """Take the identity away; there is no result (recorded)."""
    workspace = _workspace(world, found)
    workspace.application_id = workspace.service_principal_id = None


_ONE = "/v1/workspaces/{workspaceId}"
ROUTES = [
    Route("POST", f"{_ONE}/provisionIdentity", provision, "workspaces.identity.provision"),
    Route("POST", f"{_ONE}/deprovisionIdentity", deprovision, "workspaces.identity.deprovision"),
]
