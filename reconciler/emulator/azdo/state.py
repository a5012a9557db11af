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
    "AzdoSettings",
    "AzdoState",
    "GitRepository",
    "ImportRequest",
    "Organization",
    "Project",
    "PushRecord",
    "ServiceEndpoint",
]


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


@dataclass(slots=True)
class GitRepository(Tracked):
    """A repository of a project; its content lives under the git store's ``key``.

    Attributes:
        default_branch: "refs/heads/x", or None while nobody has chosen one.
        deleted_at: Epoch seconds when it went to the recycle bin, None while it is live.
        filled_at: Epoch seconds when it got its first branch.
    """

    id: str
    name: str
    project_id: str
    default_branch: str | None = None
    is_disabled: bool = False
    created_at: float = 0.0
    deleted_at: float | None = None
    filled_at: float = 0.0

    @property
    def key(self) -> str:
        """The repository's key in the git store."""
        return f"azdo/{self.id}"


@dataclass(slots=True)
class Project(Tracked):
    """A project of an organization."""

    id: str
    name: str
    organization: str
    description: str = ""
    visibility: str = "private"
    revision: int = 1
    updated_at: float = 0.0


@dataclass(slots=True)
class Organization(Tracked):
    """An organization (or a collection of a server)."""

    id: str
    name: str
    region: str | None = None
    """Where its repositories are; None: where the asking capacity is."""


@dataclass(slots=True)
class ImportRequest(Tracked):
    """One git import and how far it got.

    Attributes:
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
    # How often the import of a source still has to fail, by the source's key in the git store.
    failing_sources: dict[str, int] = field(default_factory=dict)
    next_import_id: int = 1
    next_push_id: int = 1

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
