"""A workspace's Git integration.

Source: ``platform/definitions/gitIntegration.json`` (spec), fabric-api.md section 6.
``connect``, ``disconnect``, ``connection`` and ``myGitCredentials`` answer at once; initialise,
status, commit and update may be long-running (section 2.6).
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from reconciler.clients.fabric.models import (
    DiscoveredGitConnection,
    GitConnection,
    GitCredentials,
    GitProviderDetails,
    GitStatus,
    InitializeResult,
    ItemIdentifier,
    WorkspaceRelation,
)
from reconciler.clients.http import Transport, quote_segment
from reconciler.clients.lro import Operation, Operations, operation_from
from reconciler.clients.paging import collect
from reconciler.clients.wire import WireModel, body_of, parse, parse_all

__all__ = ["Git"]


class Git:
    """Git calls of workspaces; all but the reads change state and are not repeated blindly."""

    def __init__(self, transport: Transport, operations: Operations) -> None:
        self._transport = transport
        self._operations = operations

    async def get_connection(self, workspace_id: str) -> GitConnection:
        """Return the binding; an unbound workspace is an answer too, not an error (spec)."""
        path = _git(workspace_id, "connection")
        response = await self._transport.request("git.connection", "GET", path)
        return parse(GitConnection, response.body, what=f"GET {path}")

    async def discover_connections(self) -> builtins.list[DiscoveredGitConnection]:
        """Return the bindings of the whole tenant, 1,000 a page (preview, for administrators).

        Source: admin/swagger.json, spec: 25 calls a minute; a caller without the right gets
        ``InsufficientPrivileges``.
        """
        path = "/v1/admin/workspaces/discoverGitConnections"
        values = await collect(self._transport, "git.connections.discover", path)
        return parse_all(DiscoveredGitConnection, values, what=f"GET {path}")

    async def connect(
        self,
        workspace_id: str,
        provider: GitProviderDetails,
        credentials: GitCredentials | None,
    ) -> None:
        """Bind a workspace to a branch and directory, both of which must exist.

        The credentials go under ``myGitCredentials``; any other name is ignored by the service
        and then fails for service principals (fabric-api.md section 6.1, field).
        """
        await self._transport.request(
            "git.connect",
            "POST",
            _git(workspace_id, "connect"),
            json=body_of(
                gitProviderDetails=_wire(provider),
                myGitCredentials=None if credentials is None else _wire(credentials),
            ),
        )

    async def disconnect(self, workspace_id: str) -> None:
        """Remove the binding; items stay."""
        await self._transport.request("git.disconnect", "POST", _git(workspace_id, "disconnect"))

    async def begin_initialize(self, workspace_id: str, strategy: str | None) -> Operation:
        """Start the first comparison; ``strategy`` is required when both sides have content."""
        response = await self._transport.request(
            "git.initialize",
            "POST",
            _git(workspace_id, "initializeConnection"),
            json=body_of(initializationStrategy=strategy),
        )
        return operation_from(response)

    async def initialize(self, workspace_id: str, strategy: str | None) -> InitializeResult:
        """Run the first comparison and say what has to follow; heads are to be echoed as given."""
        return await self.finish_initialize(await self.begin_initialize(workspace_id, strategy))

    async def finish_initialize(self, operation: Operation) -> InitializeResult:
        """Wait for the end of an initialise and return what it asks for."""
        result = await self._operations.wait(operation)
        return parse(InitializeResult, result, what="POST initializeConnection")

    async def get_status(self, workspace_id: str) -> GitStatus:
        """Compare the workspace with its branch; not to be called while an update runs (spec)."""
        path = _git(workspace_id, "status")
        response = await self._transport.request("git.status", "GET", path)
        result = await self._operations.wait(operation_from(response))
        return parse(GitStatus, result, what=f"GET {path}")

    async def begin_commit(
        self,
        workspace_id: str,
        *,
        mode: str,
        workspace_head: str | None,
        comment: str | None,
        items: Sequence[ItemIdentifier] | None,
    ) -> Operation:
        """Start committing workspace changes; ``items`` only with mode ``Selective``."""
        response = await self._transport.request(
            "git.commit",
            "POST",
            _git(workspace_id, "commitToGit"),
            json=body_of(
                mode=mode,
                workspaceHead=workspace_head,
                comment=comment,
                items=None if items is None else [_wire(item) for item in items],
            ),
        )
        return operation_from(response)

    async def begin_update(
        self,
        workspace_id: str,
        *,
        remote_commit_hash: str | None,
        workspace_head: str | None,
        conflict_resolution: str | None,
        allow_override: bool,
    ) -> Operation:
        """Start updating the whole workspace to a commit.

        Two consents are needed separately: ``allow_override`` for items that incoming commits
        change, ``conflict_resolution`` (``PreferRemote`` or ``PreferWorkspace``) for conflicts
        (fabric-api.md section 6.7, field). A None ``workspace_head`` is left out.
        """
        response = await self._transport.request(
            "git.update",
            "POST",
            _git(workspace_id, "updateFromGit"),
            json=body_of(
                remoteCommitHash=remote_commit_hash,
                workspaceHead=workspace_head,
                conflictResolution=None
                if conflict_resolution is None
                else {
                    "conflictResolutionType": "Workspace",
                    "conflictResolutionPolicy": conflict_resolution,
                },
                options={"allowOverrideItems": allow_override},
            ),
        )
        return operation_from(response)

    async def get_my_credentials(self, workspace_id: str) -> GitCredentials:
        """Return how this caller signs in to Git; source ``None`` means not at all."""
        path = _git(workspace_id, "myGitCredentials")
        response = await self._transport.request("git.credentials.get", "GET", path)
        return parse(GitCredentials, response.body, what=f"GET {path}")

    async def update_my_credentials(
        self, workspace_id: str, credentials: GitCredentials
    ) -> GitCredentials:
        """Change how this caller signs in to Git; nobody else is affected (docs)."""
        path = _git(workspace_id, "myGitCredentials")
        response = await self._transport.request(
            "git.credentials.update", "PATCH", path, json=_wire(credentials)
        )
        return parse(GitCredentials, response.body, what=f"PATCH {path}")

    async def list_relations(self, workspace_id: str) -> builtins.list[WorkspaceRelation]:
        """Return branched-out relations (preview API)."""
        path = _git(workspace_id, "workspaceRelations")
        values = await collect(self._transport, "git.relations.list", path)
        return parse_all(WorkspaceRelation, values, what=f"GET {path}")

    async def create_relation(
        self, workspace_id: str, *, related_workspace_id: str, relation_type: str
    ) -> WorkspaceRelation:
        """Relate two workspaces; ``relation_type`` is the role of the related one (preview)."""
        path = _git(workspace_id, "workspaceRelations")
        response = await self._transport.request(
            "git.relations.create",
            "POST",
            path,
            json={"relatedWorkspaceId": related_workspace_id, "relationType": relation_type},
        )
        return parse(WorkspaceRelation, response.body, what=f"POST {path}")

    async def delete_relation(self, workspace_id: str, relation_id: str) -> None:
        """Remove a relation (preview API)."""
        path = f"{_git(workspace_id, 'workspaceRelations')}/{quote_segment(relation_id)}"
        await self._transport.request("git.relations.delete", "DELETE", path)


def _git(workspace_id: str, call: str) -> str:
    return f"/v1/workspaces/{quote_segment(workspace_id)}/git/{call}"


def _wire(model: WireModel) -> dict[str, object]:
    return model.model_dump(by_alias=True, exclude_none=True)
