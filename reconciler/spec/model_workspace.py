"""Fabric workspaces as the spec declares them, with their Git bindings and connections."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from reconciler.spec.fields import (
    Branch,
    Directory,
    Guid,
    HttpUrl,
    Name,
    SecretRef,
    require,
)
from reconciler.spec.model_base import (
    GUID_EXAMPLE,
    NAME_OR_ID,
    STATE_FIELD,
    ItemPattern,
    RoleSpec,
    SpecModel,
    State,
    require_name_or_id,
)

__all__ = [
    "CommitSpec",
    "ConnectionCreate",
    "ConnectionCredentials",
    "ConnectionSpec",
    "GitCredentialsSpec",
    "GitRelationSpec",
    "GitSpec",
    "ServicePrincipalCredentials",
    "SyncSpec",
    "WorkspaceSpec",
]


class ServicePrincipalCredentials(SpecModel):
    """A service principal that signs in to Azure DevOps."""

    tenant_id: str = Field(
        min_length=1, description="Tenant of the service principal.", examples=[GUID_EXAMPLE]
    )
    client_id: str = Field(
        min_length=1,
        description="Application (client) id of the service principal.",
        examples=[GUID_EXAMPLE],
    )
    secret: SecretRef = Field(
        description="Client secret, from the environment.", examples=["${env.SP_SECRET}"]
    )


class ConnectionCredentials(SpecModel):
    """What a Fabric connection signs in with; one of the two."""

    service_principal: ServicePrincipalCredentials | None = Field(
        default=None,
        description="For AzureDevOpsSourceControl.",
        examples=[
            {"tenantId": GUID_EXAMPLE, "clientId": GUID_EXAMPLE, "secret": "${env.SP_SECRET}"}
        ],
    )
    key: SecretRef | None = Field(
        default=None,
        description="For GitHubSourceControl: a personal access token.",
        examples=["${env.GITHUB_PAT}"],
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        require(
            (self.service_principal is None) != (self.key is None),
            "choose_one",
            "Give either servicePrincipal or key",
        )
        return self


class ConnectionCreate(SpecModel):
    """How to make a connection that is missing."""

    url: HttpUrl = Field(
        description="Repository (or organization) URL the connection is for.",
        examples=["https://dev.azure.com/contoso/Sales/_git/fabric-sales"],
    )
    credentials: ConnectionCredentials = Field(
        description="What the connection signs in with.", examples=[{"key": "${env.GITHUB_PAT}"}]
    )


class ConnectionSpec(SpecModel):
    """A Fabric connection that holds Git credentials.

    Source: fabric-api.md section 6.8, docs: GitHub connections take a key, Azure DevOps ones a
    service principal; connections.json, spec: display names of at most 200 characters.
    """

    name: str = Field(
        min_length=1,
        max_length=200,
        description="Display name of the connection.",
        examples=["sales-git"],
    )
    type: Literal["AzureDevOpsSourceControl", "GitHubSourceControl"] = Field(
        description="Kind of the connection.", examples=["AzureDevOpsSourceControl"]
    )
    create: ConnectionCreate | None = Field(
        default=None,
        description="Make the connection when it is missing; without it, it must exist.",
        examples=[
            {
                "url": "https://github.com/contoso/fabric-sales",
                "credentials": {"key": "${env.GITHUB_PAT}"},
            }
        ],
    )
    state: State = STATE_FIELD

    @model_validator(mode="after")
    def _matching_credentials(self) -> Self:
        if self.create is None:
            return self
        is_github = self.type == "GitHubSourceControl"
        wanted = "key" if is_github else "servicePrincipal"
        require(
            is_github == (self.create.credentials.key is not None),
            "wrong_credentials",
            f"A connection of type {self.type} takes credentials.{wanted}",
            at="create.credentials",
        )
        return self


def _needed_by(provider: str, key: str) -> dict[str, Any]:
    return {
        "if": {"required": ["provider"], "properties": {"provider": {"const": provider}}},
        "then": {"required": [key]},
    }


class GitCredentialsSpec(SpecModel):
    """Git credentials from a Fabric connection."""

    connection: str = Field(
        min_length=1,
        description="Connection, by display name or id.",
        examples=["sales-git"],
    )


class GitRelationSpec(SpecModel):
    """The workspace this one was branched out from (preview API)."""

    base: Name = Field(
        description="Base workspace, by name or id; same repository and directory, other branch.",
        examples=["Sales Main"],
    )


class CommitSpec(SpecModel):
    """What a commit from the workspace holds.

    Source: gitIntegration.json, spec: comments of at most 300 characters.
    """

    mode: Literal["All", "Selective"] = Field(
        default="All",
        description="All commits every change, Selective those that items picks.",
        examples=["Selective"],
    )
    items: tuple[ItemPattern, ...] = Field(
        default=(),
        description="Items a Selective commit takes.",
        examples=[[{"type": "Notebook", "name": "Ingest *"}]],
    )
    comment: str | None = Field(
        default=None,
        min_length=1,
        max_length=300,
        description="Commit comment; unset lets the reconciler write one.",
        examples=["Sales Dev: ${metadata.name}"],
    )

    @model_validator(mode="after")
    def _items_fit_mode(self) -> Self:
        require(
            self.mode == "All" or self.items,
            "selective_needs_items",
            "Mode Selective commits the items listed in items, and none are listed",
            at="mode",
        )
        require(
            self.mode == "Selective" or not self.items,
            "items_need_selective",
            "Mode All commits everything; items needs mode: Selective",
            at="items",
        )
        return self


class SyncSpec(SpecModel):
    """Which side leads, and what may be overwritten."""

    direction: Literal["update", "commit", "both", "none"] = Field(
        default="update",
        description="update: Git leads; commit: the workspace leads; both: update, then commit; "
        "none: only report.",
        examples=["both"],
    )
    conflicts: Literal["fail", "PreferRemote", "PreferWorkspace"] = Field(
        default="fail",
        description="What wins when both sides changed an item differently.",
        examples=["PreferRemote"],
    )
    allow_override: bool = Field(
        default=True,
        description="Incoming commits may change existing items; never covers uncommitted changes.",
        examples=[False],
    )
    drift: Literal["report", "resync"] = Field(
        default="report",
        description="Uncommitted changes where Git leads: report them, or resync (disconnect, "
        "reconnect, full update: destructive).",
        examples=["resync"],
    )
    commit: CommitSpec = Field(
        default=CommitSpec(), description="What commits hold.", examples=[{"mode": "All"}]
    )


class GitSpec(SpecModel):
    """The binding of a workspace to a branch and directory.

    Source: gitIntegration.json and common/definitions.json, spec: lengths of names;
    fabric-api.md section 6.9, docs: branch names of at most 244 characters.
    """

    provider: Literal["AzureDevOps", "GitHub"] = Field(
        description="Where the repository lives.", examples=["AzureDevOps"]
    )
    organization: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Azure DevOps only: organization; unset takes azureDevOps.organization.",
        examples=["contoso"],
    )
    project: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="Azure DevOps only, and required there: project.",
        examples=["Sales"],
    )
    owner: str | None = Field(
        default=None,
        min_length=1,
        max_length=100,
        description="GitHub only, and required there: user or organization that owns the "
        "repository.",
        examples=["contoso"],
    )
    custom_domain: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[A-Za-z0-9-]+\.ghe\.com$",
        description="GitHub only: domain of GitHub Enterprise Cloud with data residency.",
        examples=["contoso.ghe.com"],
    )
    repository: str = Field(
        min_length=1,
        max_length=128,
        description="Repository, by name.",
        examples=["fabric-sales"],
    )
    branch: Branch = Field(description="Branch, without refs/heads/.", examples=["main"])
    directory: Directory = Field(
        default="/",
        description="Directory of the items, from the root of the repository; case-sensitive.",
        examples=["/fabric"],
    )
    create_branch_from: Branch | None = Field(
        default=None,
        description="Azure DevOps only: make a missing branch from this one.",
        examples=["main"],
    )
    create_directory: bool = Field(
        default=False,
        description="Azure DevOps only: make a missing directory, for a first commit from the "
        "workspace.",
        examples=[True],
    )
    credentials: Literal["automatic", "none"] | GitCredentialsSpec | None = Field(
        default=None,
        description="How this caller signs in to Git: automatic (Azure DevOps, users only), a "
        "connection, or none to remove the caller's credentials; unset leaves them as they are.",
        examples=[{"connection": "sales-git"}, "automatic"],
    )
    initialize: Literal["PreferRemote", "PreferWorkspace"] | None = Field(
        default=None,
        description="Which side wins the first sync when both have content (destructive); unset "
        "refuses.",
        examples=["PreferRemote"],
    )
    relation: GitRelationSpec | None = Field(
        default=None,
        description="Marks the workspace as branched out from another (preview API).",
        examples=[{"base": "Sales Main"}],
    )
    sync: SyncSpec = Field(
        default=SyncSpec(),
        description="Which side leads, and what may be overwritten.",
        examples=[{"direction": "update"}],
    )
    state: State = STATE_FIELD

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                _needed_by("AzureDevOps", "project"),
                _needed_by("GitHub", "owner"),
            ]
        }
    )

    @model_validator(mode="after")
    def _fields_fit_provider(self) -> Self:
        github = self.provider == "GitHub"
        foreign: dict[str, object] = (
            {
                "organization": self.organization,
                "project": self.project,
                "createBranchFrom": self.create_branch_from,
                "createDirectory": self.create_directory or None,
            }
            if github
            else {"owner": self.owner, "customDomain": self.custom_domain}
        )
        for key, value in foreign.items():
            require(
                value is None,
                "wrong_provider_field",
                f"The key {key} does not belong to provider {self.provider}"
                + (", which names the repository by owner" if github else ""),
                at=key,
            )
        needed = ("owner", self.owner) if github else ("project", self.project)
        require(
            needed[1] is not None,
            "missing_key",
            f"The provider {self.provider} needs {needed[0]}",
        )
        require(
            not (github and self.credentials == "automatic"),
            "automatic_needs_azure_devops",
            "Automatic credentials work only with Azure DevOps; name a connection of type "
            "GitHubSourceControl",
            at="credentials",
        )
        require(
            self.create_branch_from != self.branch,
            "branch_from_itself",
            "A branch cannot be made from itself; name the branch it comes from",
            at="createBranchFrom",
        )
        return self


class WorkspaceSpec(SpecModel):
    """A Fabric workspace.

    Source: platform.json, spec: names of at most 256, descriptions of at most 4,000 characters.
    """

    name: Name | None = Field(
        default=None,
        description="Name of the workspace; together with id it is the name it should have.",
        examples=["Sales Dev"],
    )
    id: Guid | None = Field(
        default=None,
        description="Id of an existing workspace; it is then found by id.",
        examples=[GUID_EXAMPLE],
    )
    create: bool = Field(
        default=False, description="Create the workspace when it is missing.", examples=[True]
    )
    description: str | None = Field(
        default=None,
        max_length=4000,
        description="Description; unset leaves it as it is.",
        examples=["Where the sales team works"],
    )
    capacity: str | None = Field(
        default=None,
        min_length=1,
        description="Capacity, by display name or id; unset leaves it as it is.",
        examples=["F8-dev"],
    )
    roles: tuple[RoleSpec, ...] = Field(
        default=(),
        description="Roles to grant; others are left alone.",
        examples=[
            [{"principal": {"id": GUID_EXAMPLE, "type": "Group"}, "role": "Contributor"}],
        ],
    )
    git: GitSpec | None = Field(
        default=None,
        description="Git binding; unset leaves it as it is.",
        examples=[
            {
                "provider": "AzureDevOps",
                "project": "Sales",
                "repository": "fabric-sales",
                "branch": "main",
                "directory": "/fabric",
            }
        ],
    )
    protect: bool = Field(
        default=True,
        description="Refuse any plan that would delete the workspace.",
        examples=[False],
    )
    state: State = STATE_FIELD

    model_config = ConfigDict(json_schema_extra=NAME_OR_ID)

    @model_validator(mode="after")
    def _named(self) -> Self:
        require_name_or_id(self.name, self.id, create=self.create)
        return self
