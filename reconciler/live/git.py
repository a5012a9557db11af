"""Read Git bindings: connection, status, this caller's credentials, and what a branch holds."""

from __future__ import annotations

from pathlib import PurePosixPath

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.fabric.client import FabricClient
from reconciler.clients.fabric.models import GitConnection, GitProviderDetails, GitStatus
from reconciler.errors import ApiError, ClientError, NotFound
from reconciler.live.models import (
    ChangeType,
    ConflictType,
    ConnectionState,
    CredentialSource,
    GitTarget,
    LiveBinding,
    LiveChange,
    LiveStatus,
    TargetContent,
)
from reconciler.live.patience import Patience
from reconciler.live.places import normal_directory

__all__ = [
    "CREDENTIALS_MISSING",
    "PARTIAL_UPDATE",
    "provider_details",
    "read_binding",
    "read_content",
    "read_status",
    "to_target",
]

# Source: fabric-api.md section 6.4, field: this caller has no credentials for the workspace.
CREDENTIALS_MISSING = "GitCredentialsNotConfigured"
# What status answers after an update that stopped half way, until one succeeds.
# Source: fabric-api.md section 6.7, docs for the error, assumed for its code.
PARTIAL_UPDATE = "GitSyncFailed"


def to_target(details: GitProviderDetails) -> GitTarget:
    """Turn provider details as the service returns them into a target."""
    return GitTarget(
        provider=details.git_provider_type,
        repository=details.repository_name,
        branch=details.branch_name,
        directory=normal_directory(details.directory_name),
        organization=details.organization_name or "",
        project=details.project_name or "",
        owner=details.owner_name or "",
        custom_domain=details.custom_domain_name or "",
    )


def provider_details(target: GitTarget) -> GitProviderDetails:
    """Turn a target into the details a connect request carries."""
    return GitProviderDetails(
        git_provider_type=target.provider,
        repository_name=target.repository,
        branch_name=target.branch,
        directory_name=target.directory,
        organization_name=target.organization or None,
        project_name=target.project or None,
        owner_name=target.owner or None,
        custom_domain_name=target.custom_domain or None,
    )


def _connection(wire: GitConnection) -> LiveBinding:
    try:
        state = ConnectionState(wire.git_connection_state)
    except ValueError as e:
        raise ClientError(
            f"the service answered an unknown git connection state {wire.git_connection_state!r}",
            remedy="upgrade this tool; until then nothing is planned for the workspace",
        ) from e
    details = wire.git_provider_details
    return LiveBinding(
        state=state,
        target=to_target(details) if details else None,
        head=wire.git_sync_details.head or None if wire.git_sync_details else None,
    )


def _change_type(value: str | None) -> ChangeType | None:
    # The enum is open (swagger x-ms-enum): what we do not know is still a change.
    if not value:
        return None
    return ChangeType(value) if value in list(ChangeType) else ChangeType.MODIFIED


def to_status(wire: GitStatus) -> LiveStatus:
    """Turn git status into its live form, in the order the service gave."""
    return LiveStatus(
        workspace_head=wire.workspace_head or None,
        remote_hash=wire.remote_commit_hash or None,
        changes=tuple(
            LiveChange(
                type=c.item_metadata.item_type,
                name=c.item_metadata.display_name,
                object_id=c.item_metadata.item_identifier.object_id,
                logical_id=c.item_metadata.item_identifier.logical_id,
                remote=_change_type(c.remote_change),
                workspace=_change_type(c.workspace_change),
                conflict=ConflictType(c.conflict_type)
                if c.conflict_type in list(ConflictType)
                else ConflictType.NONE,
            )
            for c in wire.changes
        ),
    )


async def read_status(fabric: FabricClient, workspace_id: str) -> LiveStatus | None:
    """Read git status; None when this caller has no Git credentials.

    Raises:
        ClientError: any other reason; the workspace's sync state is then unknown.
    """
    try:
        return to_status(await fabric.git.get_status(workspace_id))
    except ApiError as e:
        if CREDENTIALS_MISSING in e.codes:
            return None
        raise


async def read_binding(
    fabric: FabricClient,
    workspace_id: str,
    *,
    credentials: bool,
    status: bool = True,
    expected: GitTarget | None = None,
    patience: Patience | None = None,
) -> LiveBinding:
    """Read a binding: one request, plus status where initialised, plus credentials where wanted.

    Args:
        credentials: read this caller's credentials too (also read when the binding points
            elsewhere than ``expected``, since a switch has to restore them).
        status: read git status of an initialised binding.
        patience: wait out an operation of the workspace; without it status fails meanwhile.

    Raises:
        ClientError: a read failed.
    """
    binding = _connection(await fabric.git.get_connection(workspace_id))
    if binding.state is ConnectionState.NOT_CONNECTED:
        return binding
    elsewhere = (
        expected is not None
        and binding.target is not None
        and binding.target.key() != expected.key()
    )
    source: CredentialSource | None = None
    connection_id: str | None = None
    if credentials or elsewhere:
        mine = await fabric.git.get_my_credentials(workspace_id)
        if mine.source in list(CredentialSource):
            source = CredentialSource(mine.source)
        connection_id = mine.connection_id
    seen: LiveStatus | None = None
    missing = partial = False
    if status and binding.state is ConnectionState.INITIALIZED:
        try:
            if patience is None:
                seen = await read_status(fabric, workspace_id)
            else:
                seen = await patience.until_free(
                    "an operation of the workspace to end",
                    lambda: read_status(fabric, workspace_id),
                )
            missing = seen is None
        except ApiError as e:
            if PARTIAL_UPDATE not in e.codes:
                raise
            partial = True
    return LiveBinding(
        state=binding.state,
        target=binding.target,
        head=binding.head,
        credential_source=source,
        credential_connection_id=connection_id,
        credentials_missing=missing,
        partial=partial,
        status=seen,
    )


async def read_content(azdo: AzdoClient, target: GitTarget) -> TargetContent:
    """Look at the branch directory a binding is to be made to.

    Three requests at most: repository, branch, tree of the directory. What the caller may not
    read comes back as not readable, which is no statement about what is there.
    """
    try:
        repository = await azdo.repositories.get(target.project, target.repository)
    except NotFound:
        return TargetContent(readable=True, repository_exists=False)
    except ClientError:
        return TargetContent(readable=False)
    tip: str | None = None
    try:
        refs = await azdo.refs.list(target.project, repository.id, prefix=f"heads/{target.branch}")
        wanted = f"refs/heads/{target.branch}"
        tip = next((r.object_id for r in refs if r.name == wanted), None)
        if tip is None:
            return TargetContent(readable=True, branch_exists=False)
        items = await azdo.items.list(
            target.project,
            repository.id,
            branch=target.branch,
            path=target.directory,
            recursion="Full",
        )
    except NotFound:
        return TargetContent(readable=True, directory_exists=False, tip=tip)
    except ClientError:
        return TargetContent(readable=False)
    folders = sum(PurePosixPath(i.path).name == ".platform" for i in items if not i.is_folder)
    return TargetContent(readable=True, item_folders=folders, tip=tip)
