"""Frozen models from values that this package has made itself, without checking them again."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel

__all__ = ["trusted"]

M = TypeVar("M", bound=BaseModel)

_new, _set = object.__new__, object.__setattr__


def trusted(model: type[M], values: dict[str, Any]) -> M:
    """Return the model that checking these values would give.

    For what a plan has by the hundred thousand. Checking takes four times as long, and a set of
    field names for each model takes more memory than most of what it says. It is safe where the
    values come from typed code of the planner, never from a file or a service; a test checks
    plans built this way as strictly as plan files are.

    Args:
        values: every field by its name, in the order of the model, each of its field's type; the
            model keeps this very dict.
    """
    made = _new(model)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", _fields(model))
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", None)
    return made


@cache
def _fields(model: type[BaseModel]) -> AbstractSet[str]:
    """Return the names of all fields: one set for all models, since a frozen one never changes it.

    It is a plain set, as pydantic copies and updates it when it copies a model.
    """
    return set(model.model_fields)
