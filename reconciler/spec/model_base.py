"""What the models of the spec share: their manners, and the values used in several places."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from reconciler.spec.fields import Guid, require

__all__ = [
    "GUID_EXAMPLE",
    "NAME_OR_ID",
    "STATE_FIELD",
    "ItemPattern",
    "PrincipalSpec",
    "RoleSpec",
    "Scalar",
    "SpecModel",
    "State",
    "require_name_or_id",
]


State = Literal["present", "absent"]
Scalar = bool | int | float | str
STATE_FIELD: Any = Field(
    default="present",
    description="absent removes it; leaving it out of the spec means it is not managed.",
    examples=["absent"],
)
GUID_EXAMPLE = "6f1c0f5e-0000-4000-8000-000000000001"
NAME_OR_ID: dict[str, Any] = {"anyOf": [{"required": ["name"]}, {"required": ["id"]}]}


class SpecModel(BaseModel):
    """Frozen, camelCase outside, snake_case inside, and silent about the input in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


def require_name_or_id(name: str | None, id_: str | None, *, create: bool) -> None:
    """Refuse a resource without name and id, and the creation of one with a given id."""
    require(name is not None or id_ is not None, "missing_key", "Give a name or an id")
    require(
        not (create and id_ is not None),
        "create_with_id",
        "With create: true a new one is made, which cannot have a given id; remove create or id",
        at="create",
    )


class PrincipalSpec(SpecModel):
    """A user, group or application in Microsoft Entra ID."""

    id: Guid = Field(
        description="Object id of the principal (of a service principal: not the client id).",
        examples=[GUID_EXAMPLE],
    )
    type: Literal[
        "User", "Group", "ServicePrincipal", "ServicePrincipalProfile", "EntireTenant"
    ] = Field(description="Kind of the principal.", examples=["Group"])


class RoleSpec(SpecModel):
    """A role of a principal; on a pipeline only Admin exists."""

    principal: PrincipalSpec = Field(
        description="Who has the role.", examples=[{"id": GUID_EXAMPLE, "type": "Group"}]
    )
    role: Literal["Admin", "Member", "Contributor", "Viewer"] = Field(
        description="The role; pipelines know only Admin.", examples=["Contributor"]
    )
    state: State = STATE_FIELD


class ItemPattern(SpecModel):
    """Picks items by type and name."""

    type: str | None = Field(
        default=None,
        min_length=1,
        description="Item type as Fabric names it; unset picks every type.",
        examples=["Notebook"],
    )
    name: str = Field(
        default="*",
        min_length=1,
        description="Item name; * stands for any characters and ? for one.",
        examples=["Ingest *"],
    )
