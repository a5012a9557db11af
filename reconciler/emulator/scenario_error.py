"""The one error for mistakes in what a person hands to the emulator."""

from __future__ import annotations

__all__ = ["ScenarioError"]


class ScenarioError(ValueError):
    """A scenario or a control call asks for something that can not be; says where and why."""
