"""Azure DevOps' answers and the values its calls take, as far as the reconciler uses them.

Field names follow the official swagger (git, core and serviceEndpoint 7.1, spec) and the recorded
traffic described in azure-devops-import.md. Enumerations stay open strings. No I/O here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field

from reconciler.clients.wire import WireModel

__all__ = [
    "ZERO_OBJECT_ID",
    "FileChange",
    "GitItem",
    "GitRef",
    "GitSource",
    "ImportParameters",
    "ImportRequest",
    "ImportStatusDetail",
    "Project",
    "ProjectRef",
    "Push",
    "RefUpdate",
    "RefUpdateResult",
    "Repository",
    "ServiceEndpoint",
    "TfvcSource",
]

ZERO_OBJECT_ID = "0" * 40
"""The object id that stands for "does not exist" in ref updates (azure-devops-import.md 3)."""


class ProjectRef(WireModel):
    """A project as other answers mention it."""

    id: str = ""
    name: str = ""


class Project(WireModel):
    """A team project; ``state`` is ``wellFormed`` once it can be used."""

    id: str
    name: str = ""
    state: str = ""
    description: str = ""
    visibility: str = ""


class Repository(WireModel):
    """A Git repository.

    ``default_branch`` (``refs/heads/x``) is absent while the repository is empty, and ``size`` can
    lag behind at 0, so neither proves emptiness; refs do (azure-devops-import.md section 3,
    recorded).
    """

    id: str
    name: str = ""
    default_branch: str | None = None
    size: int | None = None
    is_disabled: bool = False
    remote_url: str = ""
    web_url: str = ""
    project: ProjectRef = Field(default_factory=ProjectRef)


class GitRef(WireModel):
    """A ref; for an annotated tag ``peeled_object_id`` is the commit it points at."""

    name: str
    object_id: str
    peeled_object_id: str | None = None


class GitItem(WireModel):
    """A file or folder of a repository; ``path`` begins with a slash."""

    path: str = ""
    object_id: str = ""
    is_folder: bool = False


class RefUpdateResult(WireModel):
    """What became of one ref update; the HTTP status says nothing about it (spec)."""

    name: str = ""
    old_object_id: str = ""
    new_object_id: str = ""
    success: bool = False
    update_status: str = ""
    custom_message: str = ""


class Push(WireModel):
    """A push that was accepted; ``ref_updates`` carry the new tips."""

    push_id: int | None = None
    ref_updates: tuple[RefUpdateResult, ...] = ()


class GitSource(WireModel):
    """The repository an import reads from."""

    url: str = ""


class TfvcSource(WireModel):
    """The TFVC path an import reads from."""

    path: str = ""


class ImportParameters(WireModel):
    """What an import was asked to do; the service endpoint is never echoed (recorded)."""

    git_source: GitSource | None = None
    tfvc_source: TfvcSource | None = None


class ImportStatusDetail(WireModel):
    """How far an import is; ``current_step`` counts from 1 into ``all_steps``."""

    current_step: int = 0
    all_steps: tuple[str, ...] = ()
    error_message: str = ""


class ImportRequest(WireModel):
    """One import request; ``status`` compares case-insensitively and is an open enumeration."""

    import_request_id: int
    status: str = ""
    url: str = ""
    detailed_status: ImportStatusDetail | None = None
    parameters: ImportParameters = Field(default_factory=ImportParameters)


class ServiceEndpoint(WireModel):
    """A service connection of a project; passwords are never returned (spec)."""

    id: str
    name: str = ""
    type: str = ""
    url: str = ""
    description: str = ""
    is_ready: bool | None = None
    is_shared: bool = False


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """A ref to create (old is zero), move, or delete (new is zero)."""

    name: str
    old_object_id: str
    new_object_id: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file to write in a push; ``change_type`` is ``add`` or ``edit``."""

    path: str
    content: bytes = field(repr=False)
    change_type: str = "add"
