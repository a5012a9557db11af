"""Members of a request body that have to be of their type; the 400 for others is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.emulator.azdo.errors import bad_request
from reconciler.emulator.http import Refused

__all__ = ["flag", "text"]


def text(data: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return a text; a missing, null or empty one is the default.

    Raises:
        Refused: 400 if it is no text.
    """
    found = data.get(name)
    if found is not None and not isinstance(found, str):
        raise Refused(bad_request(f"{name} must be a text."))
    return found or default


def flag(data: Mapping[str, Any], name: str) -> bool:
    """Return true or false; a missing or null one is false.

    Raises:
        Refused: 400 if it is neither.
    """
    found = data.get(name)
    if found is not None and not isinstance(found, bool):
        raise Refused(bad_request(f"{name} must be true or false."))
    return found is True
