"""Actions: the closed set of typed steps a plan is made of.

An :class:`Action` carries what people and machines read (kind, address, reason, order,
consequence); its ``op`` carries what the executor needs to do it. Live ids are not repeated in
ops: they are in the plan's ``bindings`` by address, so that an id made by an earlier action is
found in the same way as one that existed before.

Every op says in its docstring what makes it safe to repeat. No POST is repeated blindly: after an
unknown outcome the executor reads what the docstring names, and sends again, once, only if that
shows that nothing arrived.

Secrets never stand here: an op names the resource of the spec that refers to them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler.ids import split_address

__all__ = [
    "AbandonImport",
    "Action",
    "AddPipelineRole",
    "AddWorkspaceRole",
    "AssignCapacity",
    "AssignStage",
    "BranchTarget",
    "CommitToGit",
    "ConnectGit",
    "CreateBranch",
    "CreateConnection",
    "CreateDirectory",
    "CreatePipeline",
    "CreateRepository",
    "CreateWorkspace",
    "DeletePipeline",
    "DeleteWorkspace",
    "Deploy",
    "DisconnectGit",
    "FieldChange",
    "GitCredentialChoice",
    "ImportRepository",
    "InitializeGit",
    "ItemChange",
    "ItemRef",
    "NewStage",
    "Op",
    "Pattern",
    "Reason",
    "Related",
    "RemovePipelineRole",
    "RemoveWorkspaceRole",
    "ResyncGit",
    "RetryImport",
    "SetGitCredentials",
    "SetGitRelation",
    "SwitchGit",
    "UnassignStage",
    "UpdateFromGit",
    "UpdatePipeline",
    "UpdateRepository",
    "UpdateStage",
    "UpdateWorkspace",
    "UpdateWorkspaceRole",
    "Verb",
    "verb_of",
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Reason(_Model):
    """Why an action stands in the plan: a stable code and a sentence with the evidence."""

    code: str
    text: str


class FieldChange(_Model):
    """One field that will differ afterwards. Secrets appear as ``"(sensitive)"``."""

    path: str
    before: Any = None
    after: Any = None


class ItemChange(_Model):
    """One item an action touches.

    ``change`` is Added, Modified or Deleted for git actions, and in a merge preview also Renamed
    or Moved; New or Different for deployments. ``conflict`` is set where both sides changed.
    ``detail`` names the first differing paths; ``paths`` are the differing places in the form a
    spec's ``ignore`` takes.
    """

    type: str
    name: str
    change: str
    conflict: str | None = None
    detail: str | None = None
    paths: tuple[str, ...] = ()


class Pattern(_Model):
    """Items by type and name; None matches every type, ``*`` and ``?`` work in names."""

    type: str | None = None
    name: str = "*"


class ItemRef(_Model):
    """A source item of a deployment."""

    id: str
    type: str
    name: str


class BranchTarget(_Model):
    """Where a binding points; see ``reconciler.live.models.GitTarget``."""

    provider: str
    repository: str
    branch: str
    directory: str
    organization: str = ""
    project: str = ""
    owner: str = ""
    custom_domain: str = ""


class GitCredentialChoice(_Model):
    """The caller's Git credentials; ``connection`` is a connection's address."""

    source: Literal["Automatic", "ConfiguredConnection", "None"]
    connection: str | None = None


class Related(_Model):
    """Another workspace and its role in a branched-out relation: ``Base`` or ``Branch``."""

    workspace_id: str
    kind: str


class CreateRepository(_Model):
    """POST a repository. Repeating is safe: names are unique in a project, looked up first."""

    kind: Literal["repository.create"] = "repository.create"
    project: str
    name: str


class ImportRepository(_Model):
    """Ask Azure Repos to import. Not repeatable: existing requests are listed first.

    ``credentials`` is ``endpoint`` (a named service endpoint), ``inline`` (an endpoint is made
    from the spec's user name and secret, and removed afterwards) or None (public source).
    """

    kind: Literal["repository.import"] = "repository.import"
    project: str
    url: str
    credentials: Literal["endpoint", "inline"] | None = None
    endpoint: str | None = None
    remove_endpoint: bool = False
    attach: bool = False


class RetryImport(_Model):
    """Queue a failed import again. Repeatable after reading its status."""

    kind: Literal["repository.import.retry"] = "repository.import.retry"
    project: str
    url: str
    import_request_id: int
    endpoint: str | None = None
    remove_endpoint: bool = False


class AbandonImport(_Model):
    """Make a failed import inactive. Repeatable: abandoned stays abandoned."""

    kind: Literal["repository.import.abandon"] = "repository.import.abandon"
    project: str
    import_request_id: int


class UpdateRepository(_Model):
    """Set the default branch. Repeatable: setting it twice is setting it once."""

    kind: Literal["repository.update"] = "repository.update"
    project: str
    default_branch: str


class CreateBranch(_Model):
    """Make a branch from another one. Conditional: only while there is none of that name."""

    kind: Literal["repository.branch.create"] = "repository.branch.create"
    target: BranchTarget
    source: str


class CreateDirectory(_Model):
    """Push a commit with a placeholder file in the directory. Conditional on the branch's tip.

    In a repository without any commit it makes the branch too.
    """

    kind: Literal["repository.directory.create"] = "repository.directory.create"
    target: BranchTarget


class CreateConnection(_Model):
    """Create a Fabric connection from the spec's entry. Conditional: looked up first."""

    kind: Literal["connection.create"] = "connection.create"
    name: str
    type: str


class CreateWorkspace(_Model):
    """Create a workspace. Names are unique in the tenant and looked up first."""

    kind: Literal["workspace.create"] = "workspace.create"
    name: str
    description: str | None = None
    capacity_id: str | None = None


class UpdateWorkspace(_Model):
    """Rename or describe. Repeatable: it sets the same values again."""

    kind: Literal["workspace.update"] = "workspace.update"
    name: str | None = None
    description: str | None = None


class AssignCapacity(_Model):
    """Assign a capacity and wait for it. Repeatable: the workspace is read first."""

    kind: Literal["workspace.assign_capacity"] = "workspace.assign_capacity"
    capacity_id: str


class DeleteWorkspace(_Model):
    """Delete a workspace and everything in it. Repeatable by id: gone stays gone."""

    kind: Literal["workspace.delete"] = "workspace.delete"


class AddWorkspaceRole(_Model):
    """Give a principal a role. Not repeatable (a second one is refused): listed first."""

    kind: Literal["workspace.role.add"] = "workspace.role.add"
    workspace: str
    principal_id: str
    principal_type: str
    role: str


class UpdateWorkspaceRole(_Model):
    """Change a principal's role. Repeatable: it sets the same role again."""

    kind: Literal["workspace.role.update"] = "workspace.role.update"
    workspace: str
    principal_id: str
    role: str


class RemoveWorkspaceRole(_Model):
    """Take a principal's role away. Repeatable: gone stays gone."""

    kind: Literal["workspace.role.remove"] = "workspace.role.remove"
    workspace: str
    principal_id: str


class ConnectGit(_Model):
    """Connect a workspace to a branch. Not repeatable: the connection is read first."""

    kind: Literal["git.connect"] = "git.connect"
    workspace: str
    target: BranchTarget
    credentials: GitCredentialChoice | None = None


class InitializeGit(_Model):
    """Initialise a connection. Not repeatable; the connection state tells whether it happened."""

    kind: Literal["git.initialize"] = "git.initialize"
    workspace: str
    strategy: Literal["PreferRemote", "PreferWorkspace"] | None = None


class SwitchGit(_Model):
    """Bind elsewhere: disconnect, connect, initialise. Each step reads the connection first."""

    kind: Literal["git.switch"] = "git.switch"
    workspace: str
    before: BranchTarget
    target: BranchTarget
    credentials: GitCredentialChoice | None = None
    strategy: Literal["PreferRemote", "PreferWorkspace"]


class ResyncGit(_Model):
    """Drop uncommitted changes: disconnect, connect, initialise with PreferRemote, full update.

    Each step reads the connection first. ``relations`` are put back where disconnecting took
    them.
    """

    kind: Literal["git.resync"] = "git.resync"
    workspace: str
    target: BranchTarget
    credentials: GitCredentialChoice | None = None
    relations: tuple[Related, ...] = ()


class SetGitRelation(_Model):
    """Mark a workspace as branched out from ``base`` (preview). The relations are read first.

    ``replaces`` is the id of its relation to another base.
    """

    kind: Literal["git.relation"] = "git.relation"
    workspace: str
    base: str
    replaces: str | None = None


class DisconnectGit(_Model):
    """Unbind a workspace from its branch; its items stay. The connection is read first."""

    kind: Literal["git.disconnect"] = "git.disconnect"
    workspace: str


class SetGitCredentials(_Model):
    """Choose this caller's Git credentials. Repeatable: it makes the same choice again."""

    kind: Literal["git.credentials"] = "git.credentials"
    workspace: str
    credentials: GitCredentialChoice


class UpdateFromGit(_Model):
    """Bring the branch tip into the workspace.

    Conditional on workspace head and branch tip. ``initial`` when initialise decides whether
    it is needed. ``resume`` is set when an earlier update stopped half way: there is no status
    to read then, and the branch is looked at instead.
    """

    kind: Literal["git.update"] = "git.update"
    workspace: str
    conflicts: Literal["fail", "PreferRemote", "PreferWorkspace"] = "fail"
    allow_override: bool = True
    initial: bool = False
    resume: BranchTarget | None = None


class CommitToGit(_Model):
    """Commit workspace changes. Conditional on workspace head.

    ``patterns`` is None to commit all; ``initial`` when initialise decides.
    """

    kind: Literal["git.commit"] = "git.commit"
    workspace: str
    comment: str | None = None
    patterns: tuple[Pattern, ...] | None = None
    initial: bool = False


class NewStage(_Model):
    """A stage of a pipeline to be created."""

    name: str
    description: str | None = None
    public: bool = False


class CreatePipeline(_Model):
    """Create a deployment pipeline. Names are unique in the tenant and looked up first."""

    kind: Literal["pipeline.create"] = "pipeline.create"
    name: str
    description: str | None = None
    stages: tuple[NewStage, ...]


class UpdatePipeline(_Model):
    """Rename or describe. Repeatable: it sets the same values again."""

    kind: Literal["pipeline.update"] = "pipeline.update"
    name: str | None = None
    description: str | None = None


class DeletePipeline(_Model):
    """Delete a pipeline; its workspaces stay. Repeatable by id: gone stays gone."""

    kind: Literal["pipeline.delete"] = "pipeline.delete"


class AddPipelineRole(_Model):
    """Make a principal pipeline admin. Not repeatable: assignments are listed first."""

    kind: Literal["pipeline.role.add"] = "pipeline.role.add"
    pipeline: str
    principal_id: str
    principal_type: str
    role: str


class RemovePipelineRole(_Model):
    """Take a principal's pipeline role away. Repeatable: gone stays gone."""

    kind: Literal["pipeline.role.remove"] = "pipeline.role.remove"
    pipeline: str
    principal_id: str


class UpdateStage(_Model):
    """Rename, describe or publish a stage. Repeatable: it sets the same values again."""

    kind: Literal["stage.update"] = "stage.update"
    pipeline: str
    name: str
    description: str | None = None
    public: bool | None = None


class AssignStage(_Model):
    """Put a workspace into a vacant stage. Not repeatable: the stage is read first."""

    kind: Literal["stage.assign"] = "stage.assign"
    pipeline: str
    workspace: str


class UnassignStage(_Model):
    """Take the workspace out of a stage; history, rules and pairing of the stage are lost.

    Repeatable after reading the stage: vacant stays vacant.
    """

    kind: Literal["stage.unassign"] = "stage.unassign"
    pipeline: str


class Deploy(_Model):
    """Copy items along the pairing from one stage to the next.

    Not repeatable: the pipeline's newest operation is read first, and compared with what the plan
    saw; after an unknown outcome the new one is looked for and followed.

    ``items`` are the exact source items, in dependency order; None when they are decided just
    before sending (``after_unknown``), never beyond ``scope``, ``exclude`` and ``announced``.
    ``announced_ids`` are the announced items that the source holds already: what an earlier action
    renames stays announced.
    ``whole`` sends no item list (a backward deployment into an empty stage).
    """

    kind: Literal["deployment.deploy"] = "deployment.deploy"
    pipeline: str
    source: str
    target: str
    source_order: int
    target_order: int
    source_workspace: str
    target_workspace: str | None
    items: tuple[ItemRef, ...] | None = None
    announced: tuple[tuple[str, str], ...] | None = None
    announced_ids: tuple[str, ...] = ()
    scope: tuple[Pattern, ...] | None = None
    exclude: tuple[Pattern, ...] = ()
    compare: Literal["definitions", "pairing", "always"] = "definitions"
    unproven: Literal["report", "deploy"] = "report"
    note: str | None = None
    allow_cross_region: bool = False
    create_workspace: str | None = None
    create_capacity_id: str | None = None
    whole: bool = False

    @property
    def source_stage(self) -> str:
        """Name of the stage deployed from."""
        return split_address(self.source)[-1]

    @property
    def target_stage(self) -> str:
        """Name of the stage deployed to."""
        return split_address(self.target)[-1]


Op = Annotated[
    CreateRepository
    | ImportRepository
    | RetryImport
    | AbandonImport
    | UpdateRepository
    | CreateBranch
    | CreateDirectory
    | CreateConnection
    | CreateWorkspace
    | UpdateWorkspace
    | AssignCapacity
    | DeleteWorkspace
    | AddWorkspaceRole
    | UpdateWorkspaceRole
    | RemoveWorkspaceRole
    | ConnectGit
    | InitializeGit
    | SwitchGit
    | ResyncGit
    | SetGitRelation
    | DisconnectGit
    | SetGitCredentials
    | UpdateFromGit
    | CommitToGit
    | CreatePipeline
    | UpdatePipeline
    | DeletePipeline
    | AddPipelineRole
    | RemovePipelineRole
    | UpdateStage
    | AssignStage
    | UnassignStage
    | Deploy,
    Field(discriminator="kind"),
]


class Action(_Model):
    """One step of a plan.

    Attributes:
        id: ``<kind>:<address>``, unique in a plan (a batch adds ``#n``).
        wave: 1-based; an action waits for actions of earlier waves only.
        depends_on: ids of the actions that must have succeeded before.
        after: what it waits for, as addresses people know; same order as ``depends_on``.
        preconditions: what the plan saw and the executor checks again just before sending.
        after_unknown: the exact effect is known only once earlier actions are done; ``outcomes``
            names what may come of it.
        destructive: something a person made may be lost.
        estimated_requests: requests this action makes, polls counted once.
    """

    id: str
    kind: str
    address: str
    wave: int = 1
    depends_on: tuple[str, ...] = ()
    reason: Reason
    changes: tuple[FieldChange, ...] = ()
    items: tuple[ItemChange, ...] = ()
    preconditions: dict[str, Any] = Field(default_factory=dict)
    after_unknown: bool = False
    outcomes: tuple[str, ...] = ()
    destructive: bool = False
    estimated_requests: int = 1
    op: Op


class Verb(StrEnum):
    """The families a person counts in a plan."""

    CREATE = "create"
    CHANGE = "change"
    DESTROY = "destroy"
    UPDATE = "update"
    COMMIT = "commit"
    DEPLOY = "deploy"
    IMPORT = "import"


_VERBS = {
    "repository.create": Verb.CREATE,
    "repository.import": Verb.IMPORT,
    "repository.import.retry": Verb.IMPORT,
    "repository.import.abandon": Verb.CHANGE,
    "repository.branch.create": Verb.CREATE,
    "repository.directory.create": Verb.CREATE,
    "connection.create": Verb.CREATE,
    "workspace.create": Verb.CREATE,
    "workspace.delete": Verb.DESTROY,
    "workspace.role.add": Verb.CREATE,
    "workspace.role.remove": Verb.DESTROY,
    "git.connect": Verb.CREATE,
    "git.disconnect": Verb.DESTROY,
    "git.update": Verb.UPDATE,
    "git.commit": Verb.COMMIT,
    "pipeline.create": Verb.CREATE,
    "pipeline.delete": Verb.DESTROY,
    "pipeline.role.add": Verb.CREATE,
    "pipeline.role.remove": Verb.DESTROY,
    "stage.unassign": Verb.DESTROY,
    "deployment.deploy": Verb.DEPLOY,
}


def verb_of(kind: str) -> Verb:
    """Return the family of an action kind; kinds that alter something in place are changes."""
    return _VERBS.get(kind, Verb.CHANGE)
