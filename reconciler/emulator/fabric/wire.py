"""Reading request members and writing the values that many answers share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric.errors import invalid

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "choice",
    "flag",
    "folder",
    "identifier",
    "is_guid",
    "mapping",
    "moment",
    "now",
    "optional_text",
    "ordered_words",
    "plain_time",
    "sequence",
    "text",
    "words",
    "zulu_time",
]

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def is_guid(value: object) -> bool:
    """Whether a value is a UUID written with dashes."""
    return isinstance(value, str) and _GUID.fullmatch(value) is not None


def text(fields: Mapping[str, Any], name: str, *, limit: int | None = None) -> str:
    """Return a required, non-blank string member.

    Raises:
        Refused: 400, as for everything in this module.
    """
    found = optional_text(fields, name, limit=limit)
    if found is None or not found.strip():
        raise invalid(f"The {name} field is required")
    return found


def optional_text(fields: Mapping[str, Any], name: str, *, limit: int | None = None) -> str | None:
    """Return a string member, None if it is absent or null."""
    found = fields.get(name)
    if found is None:
        return None
    if not isinstance(found, str):
        raise invalid(f"The {name} field must be a string")
    if limit is not None and len(found) > limit:
        raise invalid(f"The {name} field must not be longer than {limit} characters")
    return found


def identifier(fields: Mapping[str, Any], name: str, *, required: bool = True) -> str | None:
    """Return a UUID member in lower case, None if it is absent and not required."""
    found = optional_text(fields, name)
    if found is None:
        if required:
            raise invalid(f"The {name} field is required")
        return None
    if not is_guid(found):
        raise invalid(f"The {name} field must be a UUID")
    return found.lower()


def folder(fields: Mapping[str, Any], name: str) -> str | None:
    """Return the id of a folder, None for the root.

    An empty text means the root too: fabric-cicd sends it for every item outside folders, on
    creation and on a move (client behaviour).
    """
    return None if fields.get(name) == "" else identifier(fields, name, required=False)


def mapping(fields: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """Return an object member, None if it is absent or null."""
    found = fields.get(name)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise invalid(f"The {name} field must be an object")
    return found


def sequence(fields: Mapping[str, Any], name: str) -> list[dict[str, Any]] | None:
    """Return a member that is a list of objects, None if it is absent or null."""
    found = fields.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise invalid(f"The {name} field must be a list of objects")
    return found


def flag(fields: Mapping[str, Any], name: str) -> bool:
    """Return a boolean member; an absent or null one is false."""
    found = fields.get(name)
    if found is not None and not isinstance(found, bool):
        raise invalid(f"The {name} field must be true or false")
    return found is True


def choice(fields: Mapping[str, Any], name: str, allowed: tuple[str, ...]) -> str | None:
    """Return one of the allowed values in its own spelling, None if the member is absent.

    Enum values are accepted in any case (source: fabric-api.md section 8, recorded for roles).
    """
    found = optional_text(fields, name)
    if found is None:
        return None
    for value in allowed:
        if value.lower() == found.lower():
            return value
    raise invalid(f"The {name} field must be one of {', '.join(allowed)}")


def now(world: World) -> str:
    """Return the emulator's time as the state keeps it."""
    return world.clock.now().isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment(stored: str) -> datetime:
    """Return a stored time as an aware datetime."""
    return datetime.fromisoformat(stored)


def plain_time(stored: str) -> str:
    """Write a time without ``Z``, trailing zeros of the fraction trimmed.

    Source: fabric-api.md section 2.2, recorded.
    """
    found = stored.removesuffix("Z")
    return found.rstrip("0").rstrip(".") if "." in found else found


def zulu_time(stored: str) -> str:
    """Write a time with milliseconds and ``Z``, as start and end times of a deployment.

    Source: platform examples of deploymentPipelines, spec.
    """
    return moment(stored).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ordered_words(text: str) -> tuple[str, ...]:
    """Return the words of a text, for tables of names."""
    return tuple(text.split())


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())
