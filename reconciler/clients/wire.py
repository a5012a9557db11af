"""What every wire model shares: the base class, tolerant field types, and parsing that cannot leak.

Wire models describe answers only. They are frozen, ignore members they do not know (the services
add some without notice) and keep enumerations as open strings, because a new value must not make
a resource unreadable. Nothing here knows a particular resource.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from reconciler.errors import ClientError

__all__ = ["UtcTime", "WireModel", "body_of", "parse", "parse_all"]


def _aware(value: datetime) -> datetime:
    """Read a time without an offset as UTC.

    Source: fabric-api.md section 2.2 (recorded: no ``Z``, up to seven fraction digits).
    """
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


UtcTime = Annotated[datetime, AfterValidator(_aware)]
"""An aware UTC time."""


class WireModel(BaseModel):
    """A frozen part of an answer; camelCase on the wire, snake_case here."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: object) -> object:
        """Treat null and absent alike; services use both (fabric-api.md section 1, recorded)."""
        if isinstance(value, dict):
            return {name: member for name, member in value.items() if member is not None}
        return value


M = TypeVar("M", bound=BaseModel)


def parse(model: type[M], body: object, *, what: str) -> M:
    """Read an answer into a model.

    Raises:
        ClientError: the answer has another shape than documented. The message names the members
            and never repeats their values.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        places = ", ".join(
            f"{'.'.join(str(p) for p in e['loc']) or 'answer'} ({e['type']})"
            for e in error.errors(include_url=False, include_context=False, include_input=False)[:5]
        )
        raise ClientError(
            f"{what}: the service's answer does not have the documented shape: {places}",
            remedy="This may be a change of the API; report it with the name of the call.",
        ) from None


def parse_all(model: type[M], values: Iterable[object], *, what: str) -> list[M]:
    """Read every element of a list answer; order is kept."""
    return [parse(model, value, what=what) for value in values]


def body_of(**members: object) -> dict[str, object]:
    """Build a request body, leaving out members that are None."""
    return {name: value for name, value in members.items() if value is not None}
