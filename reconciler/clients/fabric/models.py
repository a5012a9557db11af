"""Fabric's answers and the values its calls take, as far as the reconciler uses them.

Field names follow the official swagger (``platform/definitions/*.json`` and
``common/definitions.json``, spec); enumerations stay open strings. Answers are pydantic models,
values we send are frozen dataclasses. No I/O here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import Field, SecretStr

from reconciler.clients.wire import UtcTime, WireModel

__all__ = [
    "BulkExport",
    "Capacity",
    "Connection",
    "ConnectionDetails",
    "CreatedWorkspace",
    "CredentialDetails",
    "DefinitionPart",
    "DeployItem",
    "DeployRequest",
    "DeploymentNote",
    "DeploymentOperation",
    "DiscoveredGitConnection",
    "ErrorDetail",
    "ExecutionPlan",
    "ExecutionStep",
    "ExportedItem",
    "Folder",
    "GitConnection",
    "GitCredentialKey",
    "GitCredentials",
    "GitProviderDetails",
    "GitServicePrincipal",
    "GitStatus",
    "GitSyncDetails",
    "InitializeResult",
    "Item",
    "ItemChange",
    "ItemDefinition",
    "ItemIdentifier",
    "ItemMetadata",
    "Pipeline",
    "PreDeploymentDiff",
    "Principal",
    "RoleAssignment",
    "SourceAndTarget",
    "Stage",
    "StageItem",
    "StageRequest",
    "Workspace",
    "WorkspaceRelation",
]


# --- capacities, connections ------------------------------------------------------------------


class Capacity(WireModel):
    """A capacity the caller may see; ``state`` is Active or Inactive (recorded)."""

    id: str
    display_name: str = ""
    sku: str = ""
    region: str = ""
    state: str = ""


class ConnectionDetails(WireModel):
    """What a connection leads to, such as type ``AzureDevOpsSourceControl`` and a URL."""

    type: str = ""
    path: str = ""


class CredentialDetails(WireModel):
    """How a connection signs in; secrets are never returned (fabric-api.md section 6.8, docs)."""

    credential_type: str = ""
    single_sign_on_type: str = ""
    connection_encryption: str = ""
    skip_test_connection: bool | None = None


class Connection(WireModel):
    """A connection the caller may use."""

    id: str
    display_name: str = ""
    connectivity_type: str = ""
    connection_details: ConnectionDetails = Field(default_factory=ConnectionDetails)
    credential_details: CredentialDetails | None = None


@dataclass(frozen=True, slots=True)
class GitCredentialKey:
    """A personal access token, for GitHub connections."""

    key: SecretStr


@dataclass(frozen=True, slots=True)
class GitServicePrincipal:
    """An application that signs in to Azure DevOps."""

    tenant_id: str
    client_id: str
    secret: SecretStr


# --- workspaces, items ------------------------------------------------------------------------


class Principal(WireModel):
    """A user, group or service principal; ``display_name`` only where the service gives it."""

    id: str
    type: str = ""
    display_name: str | None = None


class RoleAssignment(WireModel):
    """One principal's role; the id equals the principal's id (recorded for workspaces)."""

    id: str
    role: str
    principal: Principal


class Workspace(WireModel):
    """A workspace; list answers lack ``capacity_assignment_progress``."""

    id: str
    display_name: str = ""
    description: str = ""
    type: str = ""
    capacity_id: str | None = None
    capacity_assignment_progress: str | None = None


class Item(WireModel):
    """An item of a workspace."""

    id: str
    type: str
    display_name: str = ""
    description: str = ""
    workspace_id: str = ""
    folder_id: str | None = None


class Folder(WireModel):
    """A workspace folder; without ``parent_folder_id`` it lies at the root."""

    id: str
    display_name: str = ""
    parent_folder_id: str | None = None


@dataclass(frozen=True, slots=True)
class DefinitionPart:
    """One file of an item's definition, decoded."""

    path: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ItemDefinition:
    """An item's files in the order the service gave them; ``.platform`` is among them."""

    parts: tuple[DefinitionPart, ...]
    format: str | None = None


@dataclass(frozen=True, slots=True)
class ExportedItem:
    """Where an exported item's files start, such as ``/folder/Name.Notebook``."""

    id: str
    root_path: str


@dataclass(frozen=True, slots=True)
class BulkExport:
    """Definitions of many items at once; part paths begin with an item's ``root_path``."""

    items: tuple[ExportedItem, ...]
    parts: tuple[DefinitionPart, ...]


# --- git --------------------------------------------------------------------------------------


class GitProviderDetails(WireModel):
    """Where a workspace is bound; organization and project for Azure DevOps, owner for GitHub."""

    git_provider_type: str
    repository_name: str
    branch_name: str
    directory_name: str = ""
    organization_name: str | None = None
    project_name: str | None = None
    owner_name: str | None = None
    custom_domain_name: str | None = None


class GitSyncDetails(WireModel):
    """The commit a workspace was last synchronised to, and when."""

    head: str = ""
    last_sync_time: UtcTime | None = None


class GitConnection(WireModel):
    """A workspace's binding; ``git_connection_state`` decides, both details may be null."""

    git_provider_details: GitProviderDetails | None = None
    git_sync_details: GitSyncDetails | None = None
    git_connection_state: str


class DiscoveredGitConnection(WireModel):
    """A binding as the admin API lists it: where it points, and not whether it is initialised.

    Source: admin/swagger.json (spec) for the call; the members are assumed, since the published
    description of the answer is not at hand.
    """

    workspace_id: str
    git_provider_details: GitProviderDetails


class GitCredentials(WireModel):
    """How this caller signs in to Git for a workspace."""

    source: str
    connection_id: str | None = None


class InitializeResult(WireModel):
    """What has to follow an initialisation: nothing, an update or a commit."""

    required_action: str
    workspace_head: str | None = None
    remote_commit_hash: str | None = None


class ItemIdentifier(WireModel):
    """An item by its id in the workspace, its id in Git, or both."""

    object_id: str | None = None
    logical_id: str | None = None


class ItemMetadata(WireModel):
    """Which item a change is about."""

    item_identifier: ItemIdentifier
    item_type: str
    display_name: str = ""


class ItemChange(WireModel):
    """One difference; the side that did not change has no ``*_change``.

    Source: fabric-api.md section 6.2 (spec).
    """

    item_metadata: ItemMetadata
    remote_change: str | None = None
    workspace_change: str | None = None
    conflict_type: str = ""


class GitStatus(WireModel):
    """A workspace compared with its branch; heads are null where there is none."""

    workspace_head: str | None = None
    remote_commit_hash: str | None = None
    changes: tuple[ItemChange, ...]


class WorkspaceRelation(WireModel):
    """A branched-out workspace and its base; ``relation_type`` is the role of the related one."""

    id: str
    workspace_id: str = ""
    related_workspace_id: str
    relation_type: str


# --- deployment pipelines ---------------------------------------------------------------------


class Stage(WireModel):
    """A deployment-pipeline stage; ``workspace_name`` only if the caller may see the workspace."""

    id: str
    order: int
    display_name: str = ""
    description: str = ""
    workspace_id: str | None = None
    workspace_name: str | None = None
    is_public: bool = False


class Pipeline(WireModel):
    """A deployment pipeline; ``stages`` is None in list answers, which do not carry them."""

    id: str
    display_name: str = ""
    description: str = ""
    stages: tuple[Stage, ...] | None = None


class StageItem(WireModel):
    """An item of a stage with its pairing, as far as this caller may see the neighbours."""

    item_id: str
    item_type: str = ""
    item_display_name: str = ""
    source_item_id: str | None = None
    target_item_id: str | None = None
    last_deployment_time: UtcTime | None = None


class ErrorDetail(WireModel):
    """An error inside an answer."""

    error_code: str = ""
    message: str = ""


class SourceAndTarget(WireModel):
    """The pair a deployment step works on; no target for a new item."""

    source_item_id: str = ""
    source_item_display_name: str = ""
    target_item_id: str | None = None
    target_item_display_name: str | None = None
    item_type: str = ""


class ExecutionStep(WireModel):
    """One item's deployment."""

    index: int = 0
    description: str = ""
    status: str = ""
    pre_deployment_diff_state: str = ""
    source_and_target: SourceAndTarget | None = None
    error: ErrorDetail | None = None


class ExecutionPlan(WireModel):
    """A deployment's steps, in the service's order."""

    steps: tuple[ExecutionStep, ...] = ()


class PreDeploymentDiff(WireModel):
    """How many items differed before a deployment."""

    new_items_count: int = 0
    different_items_count: int = 0
    no_difference_items_count: int = 0


class DeploymentNote(WireModel):
    """The note given with a deployment; whether it is returned is disputed (fabric-api.md 7.3)."""

    content: str = ""
    is_truncated: bool = False


class DeploymentOperation(WireModel):
    """One operation in a pipeline's history; ``id`` is the deployment id."""

    id: str
    type: str = ""
    status: str = ""
    last_updated_time: UtcTime | None = None
    execution_start_time: UtcTime | None = None
    execution_end_time: UtcTime | None = None
    source_stage_id: str | None = None
    target_stage_id: str | None = None
    performed_by: Principal | None = None
    pre_deployment_diff: PreDeploymentDiff | None = Field(
        default=None, alias="preDeploymentDiffInformation"
    )
    note: DeploymentNote | None = None
    execution_plan: ExecutionPlan | None = None


@dataclass(frozen=True, slots=True)
class StageRequest:
    """A stage of a pipeline to be created."""

    display_name: str
    description: str = ""
    is_public: bool = False


@dataclass(frozen=True, slots=True)
class DeployItem:
    """An item to deploy, by its id in the source stage."""

    source_item_id: str
    item_type: str


@dataclass(frozen=True, slots=True)
class CreatedWorkspace:
    """The workspace a deployment into a vacant stage makes."""

    name: str
    capacity_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """A deployment between adjacent stages; ``items`` None means every supported item."""

    source_stage_id: str
    target_stage_id: str
    items: tuple[DeployItem, ...] | None = None
    note: str | None = None
    allow_cross_region: bool = False
    created_workspace: CreatedWorkspace | None = None
