"""Deployment pipelines as the spec declares them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from reconciler.spec.fields import (
    Guid,
    Name,
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
    "DeploymentSpec",
    "PipelineSpec",
    "StageSpec",
    "StageWorkspace",
]


class StageWorkspace(SpecModel):
    """The workspace of a pipeline stage, with what deploying may do."""

    name: Name = Field(description="Workspace, by name or id.", examples=["Sales Prod"])
    create_on_deploy: bool = Field(
        default=False,
        description="Let the first deployment into the empty stage create the workspace.",
        examples=[True],
    )
    capacity: str | None = Field(
        default=None,
        min_length=1,
        description="Capacity for the workspace that the deployment creates.",
        examples=["F64-prod"],
    )
    state: State = Field(
        default="present",
        description="absent takes the workspace off the stage (destructive: history, rules and "
        "pairing are lost).",
        examples=["absent"],
    )

    @model_validator(mode="after")
    def _capacity_is_used(self) -> Self:
        require(
            self.capacity is None or self.create_on_deploy,
            "capacity_needs_create",
            "The capacity here is for the workspace that createOnDeploy makes; set createOnDeploy: "
            "true, or give the capacity under workspaces",
            at="capacity",
        )
        return self


class StageSpec(SpecModel):
    """A stage of a deployment pipeline; stages match live ones by their order.

    Source: deploymentPipelines.json, spec: names of at most 256, descriptions of at most 1,024.
    """

    name: Name = Field(
        description="Name of the stage; another live name is a rename.", examples=["Development"]
    )
    description: str | None = Field(
        default=None,
        max_length=1024,
        description="Description; unset leaves it as it is.",
        examples=["UAT"],
    )
    workspace: Name | StageWorkspace | None = Field(
        default=None,
        description="Workspace of the stage, by name or id; unset leaves it as it is.",
        examples=["Sales Dev", {"name": "Sales Prod", "createOnDeploy": True}],
    )
    public: bool | None = Field(
        default=None,
        description="Whether consumers see the stage's content; unset leaves it as it is.",
        examples=[True],
    )
    reassign: bool = Field(
        default=False,
        description="Consent to take the stage from another workspace (destructive: history, "
        "rules and pairing are lost).",
        examples=[True],
    )
    state: State = Field(
        default="present",
        description="Only present: the service offers no call that removes a stage.",
        examples=["present"],
    )


class DeploymentSpec(SpecModel):
    """Consent to bring one stage's items to the stage next to it.

    Source: deploymentPipelines.json, spec: notes of at most 1,024 characters.
    """

    from_: Name = Field(alias="from", description="Source stage.", examples=["Development"])
    to: Name = Field(description="Target stage, next to the source.", examples=["Test"])
    items: Literal["all"] | tuple[ItemPattern, ...] = Field(
        default="all",
        description="Items to deploy: all, or patterns.",
        examples=["all", [{"type": "Report", "name": "Sales *"}]],
    )
    exclude: tuple[ItemPattern, ...] = Field(
        default=(),
        description="Items to leave out of items.",
        examples=[[{"type": "Notebook", "name": "Scratch *"}]],
    )
    compare: Literal["definitions", "pairing", "always"] = Field(
        default="definitions",
        description="How to tell whether an item needs deploying: compare definitions, deploy "
        "only unpaired items, or deploy always.",
        examples=["always"],
    )
    unproven: Literal["report", "deploy"] = Field(
        default="report",
        description="Items that nothing can prove different: report or deploy them.",
        examples=["deploy"],
    )
    orphans: Literal["report"] = Field(
        default="report",
        description="Target items whose source is gone; the service never deletes them.",
        examples=["report"],
    )
    note: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Note of the deployment.",
        examples=["release ${var.env}"],
    )
    allow_cross_region: bool = Field(
        default=False,
        description="Allow deploying between capacities in different regions.",
        examples=[True],
    )
    when: Literal["auto", "manual"] = Field(
        default="auto",
        description="manual: planned, but carried out only when targeted.",
        examples=["manual"],
    )
    depends_on: tuple[str, ...] = Field(
        default=(),
        description="Addresses that must be done first.",
        examples=[["pipelines/Shared/deployments/Development:Test"]],
    )

    @model_validator(mode="after")
    def _has_items(self) -> Self:
        require(
            self.items == "all" or self.items,
            "no_items",
            "An empty list of items deploys nothing; write items: all, or name some",
            at="items",
        )
        return self


class PipelineSpec(SpecModel):
    """A deployment pipeline.

    Source: deploymentPipelines.json, spec: names of at most 256, descriptions of at most 1,024;
    fabric-api.md section 7.1, docs: 2 to 10 stages.
    """

    name: Name | None = Field(
        default=None,
        description="Name of the pipeline; together with id it is the name it should have.",
        examples=["Sales"],
    )
    id: Guid | None = Field(
        default=None,
        description="Id of an existing pipeline; it is then found by id.",
        examples=[GUID_EXAMPLE],
    )
    description: str | None = Field(
        default=None,
        max_length=1024,
        description="Description; unset leaves it as it is.",
        examples=["Dev → Test → Prod"],
    )
    roles: tuple[RoleSpec, ...] = Field(
        default=(),
        description="Admins of the pipeline; others are left alone.",
        examples=[
            [{"principal": {"id": GUID_EXAMPLE, "type": "ServicePrincipal"}, "role": "Admin"}]
        ],
    )
    stages: tuple[StageSpec, ...] = Field(
        default=(),
        max_length=10,
        description="The 2 to 10 stages, in order.",
        examples=[[{"name": "Development", "workspace": "Sales Dev"}, {"name": "Test"}]],
    )
    deployments: tuple[DeploymentSpec, ...] = Field(
        default=(),
        description="Deployments between neighbouring stages.",
        examples=[[{"from": "Development", "to": "Test"}]],
    )
    protect: bool = Field(
        default=True,
        description="Refuse any plan that would delete the pipeline.",
        examples=[False],
    )
    state: State = STATE_FIELD

    model_config = ConfigDict(json_schema_extra=NAME_OR_ID)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        require_name_or_id(self.name, self.id, create=False)
        require(
            len(self.stages) >= 2 or self.state == "absent",
            "too_few_stages",
            "A deployment pipeline has 2 to 10 stages",
            at="stages" if self.stages else "",
        )
        for index, role in enumerate(self.roles):
            require(
                role.role == "Admin",
                "pipeline_role",
                "Deployment pipelines know only the role Admin",
                at=f"roles.{index}.role",
            )
        return self
