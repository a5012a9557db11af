"""A request to stop, from whoever holds the terminal to whoever walks the plan."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Stop"]


@dataclass(slots=True)
class Stop:
    """Shared by a command and its run.

    Attributes:
        requested: start nothing more; what is under way is waited for.
        executing: actions may be under way, so that stopping has to wait for them.
        under_way: how many are.
    """

    requested: bool = False
    executing: bool = False
    under_way: int = 0
