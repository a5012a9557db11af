"""The spec as typed, frozen values: what a user may write, with its defaults and limits.

``schemas/spec.schema.json`` is generated from these models, so every field carries a
description, and examples; a field with a default is optional, and one whose default is
``None`` may also be written as an empty key. Rules between fields of one object stand here;
rules between objects stand in ``check``. Nothing here reads a file or knows a live resource.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from reconciler.spec.fields import (
    Name,
    Percentage,
    SecretRef,
    VariableName,
)
from reconciler.spec.model_base import (
    ItemPattern,
    PrincipalSpec,
    RoleSpec,
    Scalar,
    SpecModel,
    State,
)
from reconciler.spec.model_devops import (
    AzureDevOps,
    ImportCredentials,
    ImportSpec,
    RepositorySpec,
)
from reconciler.spec.model_pipeline import (
    DeploymentSpec,
    PipelineSpec,
    StageSpec,
    StageWorkspace,
)
from reconciler.spec.model_workspace import (
    CommitSpec,
    ConnectionCreate,
    ConnectionCredentials,
    ConnectionSpec,
    GitCredentialsSpec,
    GitRelationSpec,
    GitSpec,
    ServicePrincipalCredentials,
    SyncSpec,
    WorkspaceSpec,
)

__all__ = [
    "AzureDevOps",
    "CommitSpec",
    "ConnectionCreate",
    "ConnectionCredentials",
    "ConnectionSpec",
    "DeploymentSpec",
    "Estate",
    "GitCredentialsSpec",
    "GitRelationSpec",
    "GitSpec",
    "IgnoreRule",
    "ImportCredentials",
    "ImportSpec",
    "ItemPattern",
    "Metadata",
    "PipelineSpec",
    "Policies",
    "PrincipalSpec",
    "RepositorySpec",
    "RoleSpec",
    "Scalar",
    "SecretRef",
    "ServicePrincipalCredentials",
    "StageSpec",
    "StageWorkspace",
    "State",
    "SyncSpec",
    "Variable",
    "WorkspaceSpec",
]


class Metadata(SpecModel):
    """What names the estate."""

    name: Name = Field(
        description="Name of the estate; shown in plans, readable as ${metadata.name}.",
        examples=["sales"],
    )


class Variable(SpecModel):
    """A value given from outside, read as ${var.NAME}."""

    default: Scalar | None = Field(
        default=None,
        description="Value when none is given; without it --var or --var-file must give one.",
        examples=["dev"],
    )
    allowed: tuple[Scalar, ...] = Field(
        default=(),
        description="The only values accepted; empty accepts any.",
        examples=[["dev", "test", "prod"]],
    )
    description: str | None = Field(
        default=None, description="What the variable is for.", examples=["Which estate"]
    )


class IgnoreRule(SpecModel):
    """Differences to leave alone; they are counted, and can be listed."""

    address: str = Field(
        min_length=1,
        description="Address pattern: * within one part, ** across parts.",
        examples=["workspaces/*/git"],
    )
    items: tuple[ItemPattern, ...] = Field(
        default=(),
        description="Only these items; empty means all.",
        examples=[[{"type": "Report", "name": "*"}]],
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Only this file of the definition, with an optional JSON pointer after a "
        "colon.",
        examples=["report.json:/config"],
    )


class Policies(SpecModel):
    """How large a share of a workspace's items one plan may delete or overwrite."""

    max_delete: Percentage = Field(
        default="30%",
        description="Largest share of a workspace's items that a plan may delete.",
        examples=["10%"],
    )
    max_overwrite: Percentage = Field(
        default="30%",
        description="Largest share of a workspace's items whose uncommitted or hand-made content "
        "a plan may overwrite.",
        examples=["10%"],
    )
    above: int = Field(
        default=10,
        ge=0,
        le=1_000_000,
        description="The shares count only in workspaces with more items than this.",
        examples=[0],
    )

    @property
    def max_delete_share(self) -> float:
        """``max_delete`` as a number between 0 and 1."""
        return int(self.max_delete.removesuffix("%")) / 100

    @property
    def max_overwrite_share(self) -> float:
        """``max_overwrite`` as a number between 0 and 1."""
        return int(self.max_overwrite.removesuffix("%")) / 100


class Estate(SpecModel):
    """Everything one spec declares."""

    api_version: Literal["reconciler/v1"] = Field(
        description="Version of the spec language.", examples=["reconciler/v1"]
    )
    kind: Literal["Estate"] = Field(description="What the file declares.", examples=["Estate"])
    metadata: Metadata = Field(description="What names the estate.", examples=[{"name": "sales"}])
    variables: dict[VariableName, Variable] = Field(
        default={},
        description="Values given from outside, by name.",
        examples=[{"env": {"default": "dev", "allowed": ["dev", "test", "prod"]}}],
    )
    azure_devops: AzureDevOps | None = Field(
        default=None,
        alias="azureDevOps",
        description="Azure DevOps organization and its repositories.",
        examples=[{"organization": "contoso"}],
    )
    connections: tuple[ConnectionSpec, ...] = Field(
        default=(),
        description="Fabric connections that hold Git credentials.",
        examples=[[{"name": "sales-git", "type": "AzureDevOpsSourceControl"}]],
    )
    workspaces: tuple[WorkspaceSpec, ...] = Field(
        default=(),
        description="Fabric workspaces.",
        examples=[[{"name": "Sales Dev", "create": True, "capacity": "F8-dev"}]],
    )
    pipelines: tuple[PipelineSpec, ...] = Field(
        default=(),
        description="Deployment pipelines.",
        examples=[[{"name": "Sales", "stages": [{"name": "Development"}, {"name": "Test"}]}]],
    )
    ignore: tuple[IgnoreRule, ...] = Field(
        default=(),
        description="Differences to leave alone.",
        examples=[[{"address": "pipelines/**", "path": "report.json:/config"}]],
    )
    policies: Policies = Field(
        default=Policies(),
        description="How much one plan may delete or overwrite.",
        examples=[{"maxDelete": "10%"}],
    )

    def to_json(self) -> dict[str, Any]:
        """Return the spec in its written form, without what is at its default.

        Source: own format; the opposite of ``load.estate_from_resolved``.
        """
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
