"""Choosing between answers that the evidence allows, by name and while the emulator runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from reconciler.emulator.scenario_error import ScenarioError

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["change_settings"]

_Field = dataclasses.Field[Any]


def change_settings(world: World, data: Mapping[str, Any]) -> None:
    """Change members of ``FabricSettings`` and ``AzdoSettings``, given in camel case.

    Raises:
        ScenarioError: for an unknown name or a value that does not fit; then nothing changes.
    """
    known: dict[str, tuple[Any, _Field]] = {
        _camel(field.name): (owner, field)
        for owner in (world.fabric.settings, world.azdo.settings)
        for field in dataclasses.fields(owner)
    }
    chosen: list[tuple[Any, str, Any]] = []
    for key, value in data.items():
        if key == "action":
            continue
        if key not in known:
            raise ScenarioError(f"{key}: known settings are {', '.join(sorted(known))}")
        owner, field = known[key]
        chosen.append((owner, field.name, _checked(key, field, value)))
    for owner, name, value in chosen:
        setattr(owner, name, value)


def _checked(key: str, field: _Field, value: object) -> object:
    choices = field.metadata.get("choices")
    if choices is not None:
        if value not in choices or isinstance(value, bool):
            raise ScenarioError(f"{key}: one of {', '.join(map(str, choices))} is expected")
        return value
    if value is None and field.default is None:
        return None
    if isinstance(field.default, bool):
        if not isinstance(value, bool):
            raise ScenarioError(f"{key}: a boolean is expected")
        return value
    if field.default is dataclasses.MISSING:
        if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
            raise ScenarioError(f"{key}: a list of texts is expected")
        return list(value)
    least = field.metadata.get("least", 0)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, int | float) or not number or not least <= value < math.inf:
        raise ScenarioError(f"{key}: a number from {least} is expected")
    return int(value) if isinstance(field.default, int) else float(value)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(piece.capitalize() for piece in rest)
