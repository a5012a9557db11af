"""What an Azure DevOps server remembers, apart from what git itself knows.

Refs, sizes and emptiness are never stored: they are read from the repositories, so a push through
git and a call through the API can not disagree. Only values that survive JSON belong here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from reconciler.emulator.journal import Section
from reconciler.emulator.tracking import Tracked

__all__ = [
    "AGILE",
    "AzdoSettings",
    "AzdoState",
    "ForkSync",
    "GitRepository",
    "ImportRequest",
    "Operation",
    "Organization",
    "Project",
    "PushRecord",
    "ServiceEndpoint",
]


# The process that a project has if nothing else was chosen.
AGILE = "adcc42ab-9882-485e-a3ed-7678f01f66bc"


@dataclass(slots=True)
class AzdoSettings(Tracked):
    """Switches of azure-devops-import.md section 10, items 3, 6, 7 and 10."""

    endpoint_lag_s: float = 0.0
    """How long a new service endpoint is invisible."""
    size_lag_s: float = 0.0
    """How long ``size`` stays 0 after a repository got its first content."""
    import_step_s: float | None = None
    """How long each step of an import takes; None leaves that to the speed."""
    refuse_loopback_sources: bool = False
    """Whether imports from loopback hosts other than the emulator are refused."""
    missing_project_id_status: int = field(default=400, metadata={"choices": (400, 404)})
    """Status of VS800075, the answer to a project id that nothing has (section 4)."""
    tstu_limit: float | None = None
    """Throughput units of one identity in five minutes before it is delayed; None counts nothing.

    Documented: 200 (section 7).
    """
    tstu_per_read: float = 1.0
    """What a read costs; assumed, the service gives no formula."""
    tstu_per_write: float = 5.0
    """What a write costs; assumed as above."""
    tstu_block: float | None = None
    """Units from which calls are blocked; None takes twice the limit (assumed)."""


@dataclass(slots=True)
class GitRepository(Tracked):
    """A repository of a project; its content lives under the git store's ``key``.

    Attributes:
        default_branch: "refs/heads/x", or None while nobody has chosen one.
        deleted_at: Epoch seconds when it went to the recycle bin, None while it is live.
        filled_at: Epoch seconds when it got its first branch.
        parent_id: The repository it is a fork of.
    """

    id: str
    name: str
    project_id: str
    default_branch: str | None = None
    is_disabled: bool = False
    created_at: float = 0.0
    deleted_at: float | None = None
    filled_at: float = 0.0
    parent_id: str | None = None

    @property
    def key(self) -> str:
        """The repository's key in the git store."""
        return f"azdo/{self.id}"


@dataclass(slots=True)
class Project(Tracked):
    """A project of an organization.

    Attributes:
        state: createPending until its creation is over, then wellFormed.
        source_control: Git or Tfvc, as chosen when it was made.
        template_id: The process it was made with.
        tfvc: Whether it has TFVC content; that lives under the git store's ``tfvc_key``.
    """

    id: str
    name: str
    organization: str
    description: str = ""
    visibility: str = "private"
    revision: int = 1
    updated_at: float = 0.0
    state: str = "wellFormed"
    source_control: str = "Git"
    template_id: str = AGILE
    tfvc: bool = False

    @property
    def tfvc_key(self) -> str:
        """The key of its TFVC content: a commit per changeset, below no folder of its own."""
        return f"tfvc/{self.id}"


@dataclass(slots=True)
class Organization(Tracked):
    """An organization (or a collection of a server)."""

    id: str
    name: str
    region: str | None = None
    """Where its repositories are; None: where the asking capacity is."""


@dataclass(slots=True)
class ImportRequest(Tracked):
    """One import and how far it got.

    Attributes:
        url: Of a git source; "" for one from TFVC.
        tfvc: A TFVC source as the request shows it, {} for one from git.
        started_at: Epoch seconds when the current try was queued.
        fetched: None while the fetch runs, then "" or the reason why it failed.
        due: Whether the time that an import takes has passed.
        fail_step: Step at which a test lets this try fail (or hang, if ``hangs``).
    """

    id: int
    repository_id: str
    url: str
    status: str = "queued"
    step: int = 1
    error: str | None = None
    tfvc: dict[str, Any] = field(default_factory=dict)
    endpoint_id: str | None = None
    delete_endpoint: bool = False
    overwrite: bool = False
    started_at: float = 0.0
    fetched: str | None = None
    due: bool = False
    attempt: int = 0
    fail_step: int | None = None
    fail_error: str = ""
    hangs: bool = False


@dataclass(slots=True)
class ForkSync(Tracked):
    """One copy of refs from a repository into its fork (or the other way round).

    Attributes:
        refs: Pairs of ``sourceRef`` and ``targetRef``; empty for all branches and tags.
        first: Whether it fills a new fork, whose default branch is then its parent's.
    """

    id: int
    repository_id: str
    source_id: str
    refs: list[dict[str, str]] = field(default_factory=list)
    status: str = "queued"
    error: str | None = None
    first: bool = False


@dataclass(slots=True)
class Operation(Tracked):
    """Something that takes its time, such as making a project."""

    id: str
    organization: str
    status: str = "notSet"


@dataclass(slots=True)
class ServiceEndpoint(Tracked):
    """A stored credential for a source; the password never leaves it."""

    id: str
    name: str
    type: str
    url: str
    description: str = ""
    scheme: str = "UsernamePassword"
    username: str = ""
    password: str = field(default="", repr=False)
    owner: str = "library"
    is_shared: bool = False
    data: dict[str, str] = field(default_factory=dict)
    created_at: float = 0.0
    created_by: str = ""
    organization: str = ""
    project_references: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class PushRecord(Tracked):
    """A push made through the API."""

    id: int
    repository_id: str
    caller: str
    pushed_at: float
    ref_updates: list[dict[str, str]] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)


@dataclass(slots=True)
class AzdoState(Section):
    """Everything, by id. Names are compared by ``find_*``, the way the service compares them."""

    settings: AzdoSettings = field(default_factory=AzdoSettings)
    organizations: dict[str, Organization] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    repositories: dict[str, GitRepository] = field(default_factory=dict)
    imports: dict[str, ImportRequest] = field(default_factory=dict)
    endpoints: dict[str, ServiceEndpoint] = field(default_factory=dict)
    pushes: dict[str, PushRecord] = field(default_factory=dict)
    fork_syncs: dict[str, ForkSync] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    # How often the import of a source still has to fail, by the source's key in the git store.
    failing_sources: dict[str, int] = field(default_factory=dict)
    next_import_id: int = 1
    next_push_id: int = 1
    next_fork_sync_id: int = 1

    def find_organization(self, name: str) -> Organization | None:
        """Return an organization by name, compared case-insensitively."""
        wanted = name.lower()
        return next((o for o in self.organizations.values() if o.name.lower() == wanted), None)

    def find_project(self, organization: str, name_or_id: str) -> Project | None:
        """Return a project by organization name and name or id, case-insensitively."""
        owner, wanted = organization.lower(), name_or_id.lower()
        for project in self.projects.values():
            if project.organization.lower() == owner and wanted in {
                project.id,
                project.name.lower(),
            }:
                return project
        return None

    def project_by_id(self, organization: str, project_id: object) -> Project | None:
        """Return a project of an organization by its id only."""
        found = self.projects.get(str(project_id).lower())
        same = found is not None and found.organization.lower() == organization.lower()
        return found if same else None

    def find_repository(self, project_id: str, name_or_id: str) -> GitRepository | None:
        """Return a live repository (a disabled one too) of a project by name or id."""
        wanted = name_or_id.lower()
        for repository in self.repositories.values():
            if (
                repository.project_id == project_id
                and repository.deleted_at is None
                and wanted in {repository.id, repository.name.lower()}
            ):
                return repository
        return None

    def locate(self, organization: str, project: str, repository: str) -> GitRepository | None:
        """Return a live, enabled repository by its three names, case-insensitively."""
        owner = self.find_project(organization, project)
        found = None if owner is None else self.find_repository(owner.id, repository)
        return None if found is None or found.is_disabled else found
