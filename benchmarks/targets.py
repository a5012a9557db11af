"""What is aimed at, held against what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["judged"]

_LIMITED = ("limiter", "1000 workspaces")
_PLAN = ("plan", "1000 workspaces", "10 reads")

_TARGETS: tuple[tuple[str, tuple[str, ...], str, float], ...] = (
    ("plan, read phase to bound, 10 reads", (*_PLAN, "ratio_to_bound"), "<=", 1.2),
    (
        "plan, read phase to bound, 32 reads",
        ("plan", "1000 workspaces", "32 reads", "ratio_to_bound"),
        "<=",
        1.5,
    ),
    (
        "plan, times faster than sequential scripts",
        (*_PLAN, "times_faster_than_scripts"),
        ">=",
        10,
    ),
    *(
        (
            f"growth per workspace from 1,000 to 10,000, {reads} reads",
            ("plan", "growth", f"{reads} reads: ms per workspace, 10000 to 1000"),
            "<=",
            1.15,
        )
        for reads in (10, 32)
    ),
    ("plan of 1,000, peak MiB", (*_PLAN, "peak_mib"), "<=", 300),
    ("plan of 10,000, peak MiB", ("plan", "10000 workspaces", "10 reads", "peak_mib"), "<=", 1024),
    ("under the limiter, time to floor", (*_LIMITED, "ratio_to_floor"), "<=", 1.1),
    ("under the limiter, share answered 429", (*_LIMITED, "share_429"), "<=", 0.01),
    ("planner, 100,000 actions, s", ("planner", "100000 actions", "plan_s"), "<", 5),
    ("validate 1,000 workspaces, s", ("start", "validate 1000", "s"), "<", 1.5),
    ("--help, ratio to a bare interpreter", ("start", "help", "ratio"), "<=", 3),
)


def judged(figures: Mapping[str, Any]) -> dict[str, str]:
    """Say of each target that was measured whether it was reached."""
    found = {}
    for what, path, how, aim in _TARGETS:
        value: Any = figures
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not isinstance(value, int | float):
            continue
        reached = {"<=": value <= aim, "<": value < aim, ">=": value >= aim}[how]
        found[what] = f"{value} {how} {aim}: {'reached' if reached else 'MISSED'}"
    return found
