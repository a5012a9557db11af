"""The live snapshot: what the services reported, normalised, with no opinion about it.

Plain values only: no I/O, so that the pure stages above may import this module. A part that was
not needed is None; a part that could not be read is in ``Snapshot.unreadable`` under the address
it belongs to, and is never mistaken for absence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.diagnostics import Diagnostic
from reconciler.ids import Address

__all__ = [
    "ChangeType",
    "ConflictType",
    "ConnectionState",
    "CredentialSource",
    "Definition",
    "GitTarget",
    "LiveBinding",
    "LiveCapacity",
    "LiveChange",
    "LiveConnection",
    "LiveImport",
    "LiveItem",
    "LiveOperation",
    "LivePipeline",
    "LiveRelation",
    "LiveRepository",
    "LiveRole",
    "LiveStage",
    "LiveStageItem",
    "LiveStatus",
    "LiveWorkspace",
    "Preview",
    "Snapshot",
    "TargetContent",
    "Unreadable",
]


class ConnectionState(StrEnum):
    """``gitConnectionState``. Source: gitIntegration.json GitConnectionState, spec."""

    NOT_CONNECTED = "NotConnected"
    CONNECTED = "Connected"
    INITIALIZED = "ConnectedAndInitialized"


class CredentialSource(StrEnum):
    """``GitCredentialsSource``. Source: gitIntegration.json, spec."""

    AUTOMATIC = "Automatic"
    CONFIGURED = "ConfiguredConnection"
    NONE = "None"


class ChangeType(StrEnum):
    """``ChangeType`` of one side. Source: gitIntegration.json, spec."""

    ADDED = "Added"
    MODIFIED = "Modified"
    DELETED = "Deleted"


class ConflictType(StrEnum):
    """``ConflictType``. Source: gitIntegration.json, spec."""

    NONE = "None"
    CONFLICT = "Conflict"
    SAME_CHANGES = "SameChanges"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A read that failed or was forbidden: the resource is unknown, not absent."""

    address: Address
    what: str
    message: str
    status: int | None = None
    code: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class LiveCapacity:
    """A capacity the caller may see; ``state`` is Active or Inactive (paused)."""

    id: str
    name: str
    sku: str
    region: str
    state: str


@dataclass(frozen=True, slots=True)
class LiveConnection:
    """A Fabric connection; ``path`` is the URL it was made for, "" when not told."""

    id: str
    name: str
    type: str
    path: str


@dataclass(frozen=True, slots=True)
class LiveRole:
    """A role assignment; its id equals the principal's id (fabric-api.md section 8, recorded).

    ``name`` is what people call the principal, where the service tells it.
    """

    id: str
    principal_id: str
    principal_type: str
    role: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class LiveItem:
    """An item of a workspace; ``folder`` is the path of its folder, "" at the root."""

    id: str
    type: str
    name: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class LiveWorkspace:
    """A workspace; ``roles`` and ``items`` are None where they were not needed."""

    id: str
    name: str
    description: str = ""
    capacity_id: str | None = None
    roles: tuple[LiveRole, ...] | None = None
    items: tuple[LiveItem, ...] | None = None


@dataclass(frozen=True, slots=True)
class GitTarget:
    """Where a binding points. ``directory`` starts with ``/`` and has no trailing one.

    ``organization`` and ``project`` are "" for GitHub, ``owner`` is "" for Azure DevOps.
    """

    provider: str
    repository: str
    branch: str
    directory: str = "/"
    organization: str = ""
    project: str = ""
    owner: str = ""
    custom_domain: str = ""

    def repository_key(self) -> tuple[str, ...]:
        """Identify the repository as the provider compares names (case-insensitively)."""
        return (
            self.provider,
            self.custom_domain.casefold(),
            (self.organization or self.owner).casefold(),
            self.project.casefold(),
            self.repository.casefold(),
        )

    def branch_key(self) -> tuple[str, ...]:
        """Identify repository and branch; branches are case-sensitive."""
        return (*self.repository_key(), self.branch)

    def key(self) -> tuple[str, ...]:
        """Identify repository, branch and directory; directories are case-sensitive."""
        return (*self.branch_key(), self.directory)

    def describe(self) -> str:
        """Write the target for people: ``contoso/Sales/fabric-sales@main:/fabric``."""
        where = [p for p in (self.organization, self.owner, self.project, self.repository) if p]
        return f"{'/'.join(where)}@{self.branch}:{self.directory}"


@dataclass(frozen=True, slots=True)
class LiveChange:
    """One item of git status. The side that did not change is None.

    ``object_id`` is None for an item that is not in the workspace, ``logical_id`` for one that
    is not in Git yet. ``word`` and ``detail`` say more of the remote side than git status does,
    where a merge preview has looked at the files.
    """

    type: str
    name: str
    object_id: str | None
    logical_id: str | None
    remote: ChangeType | None
    workspace: ChangeType | None
    conflict: ConflictType = ConflictType.NONE
    word: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """Git status of an initialised workspace; ``remote_hash`` is the branch tip."""

    workspace_head: str | None
    remote_hash: str | None
    changes: tuple[LiveChange, ...] = ()


@dataclass(frozen=True, slots=True)
class TargetContent:
    """What a branch directory holds, as far as the provider let us look.

    ``readable`` is False where the caller has no way to look (GitHub, another organisation
    without access); then nothing else means anything. ``empty``: the repository has no ref at
    all. Where the branch is missing and the spec names one to make it from, ``source_tip`` is
    that one's tip, None when it is missing too, and the directory is looked at there.
    ``folder_names`` are the names of the item folders, ``Sales.Report``.
    """

    readable: bool
    repository_exists: bool = True
    branch_exists: bool = True
    directory_exists: bool = True
    item_folders: int = 0
    tip: str | None = None
    empty: bool = False
    source_tip: str | None = None
    folder_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveRelation:
    """A branched-out relation (preview); ``kind`` is the role of the *other* workspace.

    Source: fabric-api.md section 6.2, spec: Base, Branch or RelatedWorkspace.
    """

    id: str
    other_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class LiveBinding:
    """A workspace's Git connection as this caller sees it.

    ``credentials_missing``: the service answered GitCredentialsNotConfigured, so ``status`` is
    None although the binding is initialised. ``partial``: the last update stopped half way, so
    the workspace is synced to no commit and has no ``status`` until an update succeeds.
    ``content`` is read only where the binding in the spec is still to be made, or is partial.
    ``relations`` is None where they were not read: a preview API, read with ``--beta`` only.
    ``synced`` is when the workspace was last synchronised, in ISO form and UTC.
    """

    state: ConnectionState
    target: GitTarget | None = None
    head: str | None = None
    credential_source: CredentialSource | None = None
    credential_connection_id: str | None = None
    credentials_missing: bool = False
    partial: bool = False
    status: LiveStatus | None = None
    content: TargetContent | None = None
    relations: tuple[LiveRelation, ...] | None = None
    synced: str | None = None


@dataclass(frozen=True, slots=True)
class LiveImport:
    """An import request. ``status`` is lower case: queued, inprogress, completed, failed."""

    id: int
    status: str
    source_url: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class LiveRepository:
    """A repository named in the spec, and its project.

    ``id`` is None when the repository is not visible. ``default_branch`` is without
    ``refs/heads/``. ``wanted_branch_exists`` answers for the spec's ``defaultBranch`` only.
    """

    project_id: str | None
    project_exists: bool = True
    id: str | None = None
    name: str = ""
    disabled: bool = False
    empty: bool = True
    default_branch: str | None = None
    wanted_branch_exists: bool | None = None
    imports: tuple[LiveImport, ...] = ()
    endpoint_id: str | None = None


@dataclass(frozen=True, slots=True)
class LiveStage:
    """A stage; ``order`` counts from 0."""

    id: str
    order: int
    name: str
    description: str
    public: bool
    workspace_id: str | None
    workspace_name: str | None


@dataclass(frozen=True, slots=True)
class LiveStageItem:
    """An item of a stage with its stored pairs in the stages before and after."""

    id: str
    type: str
    name: str
    source_id: str | None
    target_id: str | None
    last_deployed: str | None


@dataclass(frozen=True, slots=True)
class LiveOperation:
    """A deployment operation from the pipeline's history (20 at most).

    ``steps`` is the status of each item's step by source item id; None where it was not needed.
    """

    id: str
    status: str
    source_stage_id: str | None
    target_stage_id: str | None
    note: str | None
    ended: str | None
    started: str | None = None
    steps: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class LivePipeline:
    """A deployment pipeline. ``items`` is keyed by stage id; a stage not needed is missing.

    ``operations`` is newest first; None where it was not needed.
    """

    id: str
    name: str
    description: str
    stages: tuple[LiveStage, ...]
    roles: tuple[LiveRole, ...] | None = None
    items: Mapping[str, tuple[LiveStageItem, ...]] = field(default_factory=dict)
    operations: tuple[LiveOperation, ...] | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """An item's definition by part path, or the reason why it has none to read."""

    parts: Mapping[str, bytes] = field(default_factory=dict)
    unavailable: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What merging a revision into a branch will make of the bindings that follow it.

    Attributes:
        revision: as it was named.
        commit: the commit that meant.
        into: the branch, without ``refs/heads/``.
        bindings: addresses of the bindings that follow this branch of this checkout.
        statuses: git status once merged, where the merge makes a difference.
        contents: what the branch will hold, for bindings still to be made.
        unreadable: bindings of which the checkout cannot tell it.
        diagnostics: what is wrong with the merge, or with looking at it.
    """

    revision: str
    commit: str
    into: str
    bindings: tuple[Address, ...] = ()
    statuses: Mapping[Address, LiveStatus] = field(default_factory=dict)
    contents: Mapping[Address, TargetContent] = field(default_factory=dict)
    unreadable: Mapping[Address, Unreadable] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything one plan needs to know of the live estate.

    ``workspaces``, ``bindings``, ``repositories`` and ``pipelines`` are keyed by the spec's
    addresses; a missing key means: looked for and not visible to this caller. ``caller_is_app``
    tells a service principal or managed identity from a person; None: the token does not say.
    ``visible_workspaces`` maps every visible workspace name to its id; ``without_capacity`` holds
    the ids of those that stand on none, ``capacity_ids`` the capacity of each of the others.
    ``definitions`` is keyed by item id, ``source_bindings`` by workspace id: bindings that were
    read only as evidence.
    With a ``preview`` the bindings it names are as they will be once merged, all else is as it is.
    """

    read_at: datetime
    caller: str = ""
    caller_is_app: bool | None = None
    capacities: tuple[LiveCapacity, ...] | None = None
    connections: tuple[LiveConnection, ...] | None = None
    visible_workspaces: Mapping[str, str] = field(default_factory=dict)
    without_capacity: frozenset[str] = frozenset()
    capacity_ids: Mapping[str, str] = field(default_factory=dict)
    workspaces: Mapping[Address, LiveWorkspace] = field(default_factory=dict)
    bindings: Mapping[Address, LiveBinding] = field(default_factory=dict)
    repositories: Mapping[Address, LiveRepository] = field(default_factory=dict)
    pipelines: Mapping[Address, LivePipeline] = field(default_factory=dict)
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    source_bindings: Mapping[str, LiveBinding] = field(default_factory=dict)
    unreadable: Mapping[Address, Unreadable] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    preview: Preview | None = None
