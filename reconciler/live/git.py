"""Read Git bindings: connection, status, this caller's credentials, and what a branch holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.azdo.models import Repository
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
    LiveRelation,
    LiveStatus,
    TargetContent,
)
from reconciler.live.once import Once
from reconciler.live.patience import Patience
from reconciler.live.places import normal_directory
from reconciler.live.projects import read_project

__all__ = [
    "CREDENTIALS_MISSING",
    "PARTIAL_UPDATE",
    "Discovered",
    "discover",
    "is_empty",
    "is_empty_once",
    "provider_details",
    "read_binding",
    "read_content",
    "read_relations",
    "read_status",
    "read_tip",
    "tip_once",
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
    details, sync = wire.git_provider_details, wire.git_sync_details
    return LiveBinding(
        state=state,
        target=to_target(details) if details else None,
        head=sync.head or None if sync else None,
        synced=sync.last_sync_time.isoformat() if sync and sync.last_sync_time else None,
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


@dataclass(frozen=True, slots=True)
class Discovered:
    """What the admin list says of a workspace's binding; None: it has none."""

    target: GitTarget | None


async def discover(fabric: FabricClient) -> dict[str, GitTarget]:
    """List the bindings of the tenant by workspace id, in lower case.

    Raises:
        ClientError: the list cannot be read, as by most callers.
    """
    found = await fabric.git.discover_connections()
    return {c.workspace_id.lower(): to_target(c.git_provider_details) for c in found}


async def _status_at_once(fabric: FabricClient, workspace_id: str) -> LiveStatus | None:
    """Ask for status without knowing that the binding is initialised; None if it does not tell.

    Only an initialised binding has a status (fabric-api.md section 6.5, spec and client). What
    stands in the way is found out the usual way.
    """
    try:
        return await read_status(fabric, workspace_id)
    except ClientError:
        return None


async def read_binding(
    fabric: FabricClient,
    workspace_id: str,
    *,
    credentials: bool,
    status: bool = True,
    expected: GitTarget | None = None,
    patience: Patience | None = None,
    discovered: Discovered | None = None,
) -> LiveBinding:
    """Read a binding: one request, plus status where initialised, plus credentials where wanted.

    Args:
        credentials: read this caller's credentials too (also read when the binding points
            elsewhere than ``expected``, since a switch has to restore them).
        status: read git status of an initialised binding.
        patience: wait out an operation of the workspace; without it status fails meanwhile.
        discovered: what the admin list says of it; saves the first request where status answers.

    Raises:
        ClientError: a read failed.
    """
    seen: LiveStatus | None = None
    if discovered is not None and discovered.target is None:
        return LiveBinding(ConnectionState.NOT_CONNECTED)
    if discovered is not None and status:
        seen = await _status_at_once(fabric, workspace_id)
    if discovered is not None and seen is not None:
        binding = LiveBinding(
            ConnectionState.INITIALIZED, target=discovered.target, head=seen.workspace_head
        )
    else:
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
    missing = partial = False
    if status and seen is None and binding.state is ConnectionState.INITIALIZED:
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
        synced=binding.synced,
    )


async def read_relations(fabric: FabricClient, workspace_id: str) -> tuple[LiveRelation, ...]:
    """Read which workspaces this one is related to (preview API); one request and its pages."""
    found = await fabric.git.list_relations(workspace_id)
    return tuple(LiveRelation(r.id, r.related_workspace_id, r.relation_type) for r in found)


async def read_content(
    azdo: AzdoClient,
    target: GitTarget,
    *,
    source: str | None = None,
    once: Once | None = None,
    listed: bool = False,
) -> TargetContent:
    """Look at the branch directory a binding is to be made to.

    Three requests, and up to two more where the branch is missing. What the caller may not read
    comes back as not readable, which is no statement about what is there.

    Args:
        source: the branch that a missing one is to be made from; its directory is looked at then.
        once: bindings to one repository or branch share what was read of it.
        listed: the run lists the repositories of the project anyway.
    """
    look = _Look(azdo, target, once or Once())
    try:
        repository = await (look.listed() if listed else look.repository())
    except ClientError:
        return TargetContent(readable=False)
    if repository is None:
        return TargetContent(readable=True, repository_exists=False)
    try:
        tip = await tip_once(azdo, target.project, repository.id, target.branch, look.once)
        if tip is not None:
            seen = TargetContent(readable=True, tip=tip)
            return await look.directory(repository.id, target.branch, seen)
        empty = await is_empty_once(azdo, target.project, repository.id, look.once)
        seen = TargetContent(readable=True, branch_exists=False, empty=empty)
        if source is not None and not empty:
            source_tip = await tip_once(azdo, target.project, repository.id, source, look.once)
            if source_tip is not None:
                seen = replace(seen, source_tip=source_tip)
                return await look.directory(repository.id, source, seen)
        return replace(seen, directory_exists=False)
    except ClientError:
        return TargetContent(readable=False)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a target; each part of it is read once for all targets that share it."""

    azdo: AzdoClient
    target: GitTarget
    once: Once

    async def repository(self) -> Repository | None:
        project, name = self.target.project, self.target.repository
        try:
            return await self.once.read(
                ("repository", self.azdo, project.casefold(), name.casefold()),
                lambda: self.azdo.repositories.get(project, name),
            )
        except NotFound:
            return None

    async def listed(self) -> Repository | None:
        """Return the repository from its project's list; a disabled one cannot be bound to."""
        project = await read_project(self.azdo, self.target.project, self.once)
        found = project.find(id=None, name=self.target.repository) if project else None
        return None if found is None or found.is_disabled else found

    async def directory(
        self, repository_id: str, branch: str, seen: TargetContent
    ) -> TargetContent:
        try:
            names = await self.once.read(
                ("directory", self.azdo, repository_id, branch, self.target.directory),
                lambda: self._item_folders(repository_id, branch),
            )
        except NotFound:
            return replace(seen, directory_exists=False)
        return replace(seen, item_folders=len(names), folder_names=names)

    async def _item_folders(self, repository_id: str, branch: str) -> tuple[str, ...]:
        items = await self.azdo.items.list(
            self.target.project,
            repository_id,
            branch=branch,
            path=self.target.directory,
            recursion="Full",
        )
        paths = (PurePosixPath(i.path) for i in items if not i.is_folder)
        return tuple(sorted(p.parent.name for p in paths if p.name == ".platform"))


async def read_tip(azdo: AzdoClient, project: str, repository: str, branch: str) -> str | None:
    """Return the commit a branch points at, None when there is no such branch.

    The filter is a prefix, so names are compared.
    Source: azure-devops-import.md section 3, Refs, spec.
    """
    wanted = f"refs/heads/{branch}"
    refs = await azdo.refs.list(project, repository, prefix=f"heads/{branch}")
    return next((r.object_id for r in refs if r.name == wanted), None)


async def tip_once(
    azdo: AzdoClient, project: str, repository_id: str, branch: str, once: Once
) -> str | None:
    """Return what ``read_tip`` does, asked once in a run."""
    return await once.read(
        ("tip", azdo, repository_id, branch),
        lambda: read_tip(azdo, project, repository_id, branch),
    )


async def is_empty(azdo: AzdoClient, project: str, repository_id: str) -> bool:
    """Tell whether a repository has no ref at all.

    Neither size nor default branch tell it.
    Source: azure-devops-import.md section 3, "Empty?", recorded.
    """
    return not await azdo.refs.list(project, repository_id, top=1)


async def is_empty_once(azdo: AzdoClient, project: str, repository_id: str, once: Once) -> bool:
    """Tell what ``is_empty`` does, asked once in a run."""
    return await once.read(
        ("empty", azdo, repository_id), lambda: is_empty(azdo, project, repository_id)
    )
