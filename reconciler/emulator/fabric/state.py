"""What the Fabric half of the emulator remembers, as plain data.

Only facts that the real service must store are here: items with their definition parts, logical
ids, the synced commit of every workspace, pairings as edges, operations, notes, and credentials
per caller. Everything else (git status, stage pairing as seen by a stage, progress) is derived
when it is asked for. Every class survives a JSON round trip, since ``--data`` writes what changed
to a file; bytes live in the blob store beside it and appear here by their hash only.

Times are ISO 8601 text in UTC with a trailing ``Z``; each answer formats them as its route does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from reconciler.emulator.journal import Section
from reconciler.emulator.tracking import Divided, Tracked

__all__ = [
    "Capacity",
    "Connection",
    "Deployment",
    "DeploymentStep",
    "Edge",
    "FabricSettings",
    "FabricState",
    "Folder",
    "GitBinding",
    "GitCredential",
    "Item",
    "JobInstance",
    "NetworkPolicy",
    "Operation",
    "Pipeline",
    "Principal",
    "Relation",
    "RoleAssignment",
    "Rule",
    "Stage",
    "Workspace",
]


@dataclass(slots=True)
class FabricSettings(Tracked):
    """Choices where the evidence allows more than one answer, and sizes that tests shrink.

    Source: fabric-api.md sections 2.2, 3.4, 5, 6.1 and 10 name each disputed point.
    """

    page_size: int = field(default=100, metadata={"least": 1})
    long_operation_keys: bool = False
    """Whether operation states carry the two extra null keys that field reports saw."""
    inline_git: bool = False
    """Whether commitToGit and updateFromGit finish with 200 instead of 202."""
    slow_git_reads: bool = False
    """Whether initializeConnection and git/status answer 202 instead of 200."""
    hidden_workspace_status: int = field(default=403, metadata={"choices": (403, 404)})
    """Answer for a workspace the caller has no role in: 403 or 404."""
    operation_retention_s: float = 86400.0
    note_returned: bool = True
    """Whether the history of a pipeline shows notes (section 10 point 7)."""
    name_hold_s: float | None = None
    """How long the name of a deleted item is held; None: 20 s at speed ``real``, else not."""
    name_hold_status: int = field(default=409, metadata={"choices": (409, 400)})
    """Answer for a held name (section 10 point 4)."""
    workload_unavailable_s: float = 0.0
    """How long after an assignment to a stage deployments are refused (section 7.4, field)."""
    github_enabled: bool = True
    """The tenant switch for GitHub; off by default in the service (section 6.3, field)."""
    service_principals_create: bool = True
    """The tenant switch that lets service principals make pipelines (section 7.1)."""
    service_principal_excluded_types: list[str] = field(default_factory=list)
    """Item types that a service principal can neither commit, update nor deploy. No list of them
    is published, so there are none by default (assumed)."""
    git_file_bytes: int = 25 * 1024 * 1024
    """Largest file of a commit (section 6.6, docs)."""
    git_commit_bytes: int | None = field(default=None, metadata={"least": 1})
    """Largest commit; None: 50 MB to GitHub, 125 MB to Azure DevOps, 25 MB by connection."""
    operation_limit_s: float | None = None
    """How long an operation may take before it ends as OperationFailedOnTimeout; None: for ever
    (section 2.3 knows the code only)."""
    failing_jobs: list[str] = field(default_factory=list)
    """Names or ids of items whose jobs end as Failed."""
    offline_connections: list[str] = field(default_factory=list)
    """Names or ids of connections that a test finds offline."""
    automatic_git_fails: list[str] = field(default_factory=list)
    """Ids of users whose single sign-on to Git fails, ``*`` for all (section 6.8, docs)."""
    cross_geo_git: bool = False
    """The tenant switch for repositories in another region; off by default (section 6.9, docs)."""
    reserialize_content: bool = False
    """Whether an update writes definitions its own way, without CRLF and last line feeds, so that
    items show as changed afterwards (section 6.5, docs)."""
    folder_limit: int | None = field(default=None, metadata={"least": 0})
    """Folders a workspace can have; None: no limit is published."""
    soft_delete: bool = True
    """Whether deleted items stay recoverable unless a hard delete was asked for (section 8)."""
    soft_delete_s: float = 7 * 86400.0
    """How long a deleted item counts toward the item limit (assumed; nothing is published)."""


@dataclass(slots=True)
class Capacity(Tracked):
    """One capacity that workspaces can be assigned to."""

    id: str
    name: str
    sku: str = "F2"
    region: str = "West Europe"
    state: str = "Active"
    contributors: list[str] | None = None
    """Ids of those who may put workspaces on it; None: everybody."""


@dataclass(slots=True)
class Principal(Tracked):
    """One entry of the directory: the real type of an identity, whatever a request claims."""

    id: str
    type: str = "User"
    name: str = ""
    app_id: str | None = None
    guest: bool = False
    """Whether this is a guest of the tenant (B2B)."""


@dataclass(slots=True)
class RoleAssignment(Tracked):
    """A role that a principal holds; its id equals the principal id."""

    principal_id: str
    principal_type: str
    role: str


@dataclass(slots=True)
class Connection(Tracked):
    """A cloud connection; of its credentials only the kind is kept."""

    id: str
    name: str
    type: str
    path: str
    credential_type: str
    created: str
    connectivity_type: str = "ShareableCloud"
    privacy_level: str = "None"
    single_sign_on_type: str = "None"
    encryption: str = "NotEncrypted"
    skip_test: bool = False
    roles: list[RoleAssignment] = field(default_factory=list)
    open: bool = False
    """Whether every caller may use it, as for those a scenario declares."""


@dataclass(slots=True)
class Folder(Tracked):
    """A workspace folder; ``parent_id`` is None at the root."""

    id: str
    name: str
    parent_id: str | None = None


@dataclass(slots=True)
class Item(Tracked):
    """An item: identity, metadata, and definition parts without ``.platform``.

    ``parts`` maps a path to the blob of its bytes in *workspace form*: references to items
    of the same workspace are object ids and the own workspace id stands in full.
    """

    id: str
    logical_id: str
    type: str
    name: str
    description: str = ""
    folder_id: str | None = None
    parent_id: str | None = None
    """The item this one is a child of (KQL database of an eventhouse, SQL endpoint)."""
    parts: dict[str, str] = field(default_factory=dict)
    platform: str | None = None
    """Blob of the ``.platform`` as it came from Git, kept while it still says the truth."""
    leaf: str | None = None
    """Name of the item's directory in Git, which never changes once it exists."""
    properties: dict[str, str] | None = None
    """What calls of its type set and is no definition: active value set, state of a publish."""


@dataclass(slots=True)
class GitCredential(Tracked):
    """How one caller authenticates to Git in one workspace."""

    source: str
    connection_id: str | None = None


@dataclass(slots=True)
class GitBinding(Tracked):
    """The connection of a workspace to a directory of a branch, and how far it is synced."""

    provider: str
    repository: str
    branch: str
    directory: str
    repo_key: str
    organization: str = ""
    project: str = ""
    owner: str = ""
    custom_domain: str | None = None
    state: str = "Connected"
    head: str | None = None
    """Commit the workspace is synced to; None before a first update and after a partial one."""
    base: str | None = None
    """Commit whose tree "unchanged" is measured against. None after initialising with Git
    leading: then nothing in the workspace counts as changed."""
    synced_at: str | None = None
    partial: bool = False
    """Whether the last update stopped after some items: synced to no commit."""
    operation_id: str | None = None
    credentials: dict[str, GitCredential] = field(default_factory=dict)
    """By caller id; ``*`` stands for every caller without an own entry."""


@dataclass(slots=True)
class NetworkPolicy(Tracked):
    """What a workspace may reach and be reached from; Git only matters if outbound is denied.

    The tags are the ETags of the two policies: another one after every change.
    """

    tag: str
    git_tag: str
    inbound: str = "Allow"
    outbound: str = "Allow"
    git: str = "Deny"


@dataclass(slots=True)
class Workspace(Divided):
    """A workspace with everything in it."""

    PART: ClassVar[frozenset[str]] = frozenset({"folders", "items", "held_names", "deleted"})

    id: str
    name: str
    kind: str = "Workspace"
    """``Personal`` for somebody's "My workspace", ``TemplateApp`` for one a template app made."""
    description: str = ""
    capacity_id: str | None = None
    capacity_progress: str | None = None
    roles: list[RoleAssignment] = field(default_factory=list)
    open: bool = False
    """Whether callers without an own role act as admins, as in a scenario's workspaces."""
    folders: dict[str, Folder] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    git: GitBinding | None = None
    application_id: str | None = None
    service_principal_id: str | None = None
    held_names: dict[str, str] = field(default_factory=dict)
    """``type/name`` of deleted items to the time at which the name is free again."""
    deleted: dict[str, str] = field(default_factory=dict)
    """Ids of soft-deleted items to the time until which they count toward the item limit."""
    network: NetworkPolicy | None = None
    """None as long as nobody restricted anything."""


@dataclass(slots=True)
class Relation(Tracked):
    """A branched-out workspace (``branch_id``) of a base workspace (preview API)."""

    id: str
    branch_id: str
    base_id: str


@dataclass(slots=True)
class Rule(Tracked):
    """A deployment rule of a stage: what an item has there, whatever its source has.

    ``old`` is the data source or the parameter's name, "" for a default lakehouse.
    """

    item_id: str
    kind: str
    old: str
    new: str


@dataclass(slots=True)
class Stage(Tracked):
    """One stage of a pipeline, in the order of the list that holds it."""

    id: str
    name: str
    description: str = ""
    public: bool = False
    workspace_id: str | None = None
    assigned: str | None = None
    """Time at which the workspace was assigned by a person or a call."""
    deployed: dict[str, str] = field(default_factory=dict)
    """Item id to the time it was last deployed into this stage."""
    rules: list[Rule] = field(default_factory=list)


@dataclass(slots=True)
class Edge(Tracked):
    """A pairing of two items in adjacent stages; ``stage`` is the order of the earlier one."""

    stage: int
    source_id: str
    target_id: str


@dataclass(slots=True)
class DeploymentStep(Tracked):
    """One item of a deployment's execution plan."""

    index: int
    description: str
    status: str
    diff: str
    item_type: str
    source_id: str
    source_name: str
    target_id: str | None = None
    target_name: str | None = None
    error: dict[str, Any] | None = None


@dataclass(slots=True)
class Deployment(Tracked):
    """One deployment as the pipeline's history keeps it; ``id`` is the deployment-id header."""

    id: str
    operation_id: str
    source_stage_id: str
    target_stage_id: str
    performed_by: str
    performed_by_type: str
    created: str
    status: str = "NotStarted"
    updated: str = ""
    started: str | None = None
    ended: str | None = None
    note: str | None = None
    steps: list[DeploymentStep] = field(default_factory=list)


@dataclass(slots=True)
class Pipeline(Divided):
    """A deployment pipeline, its pairings and its history (newest last)."""

    PART: ClassVar[frozenset[str]] = frozenset({"edges", "history"})

    id: str
    name: str
    description: str = ""
    roles: list[RoleAssignment] = field(default_factory=list)
    open: bool = False
    stages: list[Stage] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    history: list[Deployment] = field(default_factory=list)
    active: str | None = None
    """Id of the deployment that is running."""


@dataclass(slots=True)
class Operation(Tracked):
    """A long-running operation: what to do when it is due, then what came of it.

    ``kind`` and ``args`` name the effect as data, so that a pending one survives a restart.
    """

    id: str
    kind: str
    args: dict[str, Any]
    caller_id: str
    caller_kind: str
    created: str
    status: str = "Running"
    updated: str = ""
    retry_after: int = 20
    error: dict[str, Any] | None = None
    result: str | None = None
    """Blob id of the JSON result; None when there is none."""
    fate: dict[str, Any] | None = None
    """The error it ends with instead of having its effect; None: nothing goes wrong on purpose."""


@dataclass(slots=True)
class JobInstance(Tracked):
    """One run of an item. ``pending`` is the effect that ends it."""

    id: str
    workspace_id: str
    item_id: str
    type: str
    status: str
    started: str
    activity_id: str
    ended: str | None = None
    failure: dict[str, Any] | None = None
    pending: str | None = None


@dataclass(slots=True)
class FabricState(Section):
    """Everything in the emulated tenant."""

    settings: FabricSettings = field(default_factory=FabricSettings)
    capacities: dict[str, Capacity] = field(default_factory=dict)
    principals: dict[str, Principal] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    relations: dict[str, Relation] = field(default_factory=dict)
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    jobs: dict[str, JobInstance] = field(default_factory=dict)
    last_pages: int = field(default=0, metadata={"persist": False})
    """Number of last pages answered; rotates the three spellings of the end of a list."""
