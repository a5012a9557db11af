"""A typed difference of one field, and the helper that finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["FieldDiff", "diff_fields"]


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """One field: ``before`` is live, ``after`` is desired."""

    path: str
    before: Any
    after: Any


def diff_fields(*fields: tuple[str, Any, Any]) -> tuple[FieldDiff, ...]:
    """Return the fields (path, live, desired) that differ; a desired None is not managed."""
    return tuple(FieldDiff(p, live, want) for p, live, want in fields if want not in (None, live))
