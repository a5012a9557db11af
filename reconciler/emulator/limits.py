"""How often a caller may call an API before the service refuses.

The law is the recorded one: a fixed window that starts with the first call, per caller and per
operation, and neither a refused call nor waiting moves it (fabric-api.md section 4, recorded and
simulated). No limit exists until a control call adds one: the numbers are known to change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from reconciler.emulator.http import Call, Problem
from reconciler.emulator.matching import MATCH_KEYS, Match, known_keys, parse_match
from reconciler.emulator.scenario_error import ScenarioError

__all__ = ["Limit", "Limits"]

_KEYS = MATCH_KEYS | {"count", "window_s"}
_LONGEST_WINDOW_S = 86400.0


@dataclass(slots=True)
class Limit:
    """At most ``count`` calls of one caller to one operation in ``window_s`` seconds.

    Attributes:
        windows: Start of the window and calls in it, by caller and route name.
    """

    match: Match
    count: int
    window_s: float = 60.0
    windows: dict[tuple[str, str], tuple[float, int]] = field(default_factory=dict)

    def blocked_until(self, call: Call, now_s: float) -> float | None:
        """Count a call; return the end of the window if it is one too many."""
        if not self.match.fits(call):
            return None
        key = (call.caller.id, call.route.name)
        start_s, used = self.windows.get(key, (now_s, 0))
        if now_s >= start_s + self.window_s:
            start_s, used = now_s, 0
        if used >= self.count:
            return start_s + self.window_s
        self.windows[key] = (start_s, used + 1)
        return None


@dataclass(slots=True)
class Limits:
    """All limits; the one that blocks longest decides."""

    limits: list[Limit] = field(default_factory=list)

    def add(self, data: object) -> list[Limit]:
        """Add one limit or a list of them.

        Raises:
            ScenarioError: if one is malformed; then none is added.
        """
        entries = data if isinstance(data, list) else [data]
        parsed = [_parse(entry, f"[{index}]") for index, entry in enumerate(entries)]
        self.limits.extend(parsed)
        return parsed

    def clear(self) -> None:
        """Forget all limits with their windows."""
        self.limits.clear()

    def check(self, call: Call, now_s: float) -> Problem | None:
        """Count a call and return the problem of one too many."""
        ends = [limit.blocked_until(call, now_s) for limit in self.limits]
        end_s = max((end for end in ends if end is not None), default=None)
        if end_s is None:
            return None
        return Problem(
            "blocked",
            f"The operation {call.route.name} was called too often.",
            call.path,
            retry_after_s=max(1, math.ceil(end_s - now_s)),
            until=datetime.fromtimestamp(end_s, UTC),
        )

    def to_json(self) -> list[dict[str, Any]]:
        """Return the limits as the control call lists them."""
        return [
            {
                "service": limit.match.service,
                "method": limit.match.method,
                "route": limit.match.route,
                "caller": limit.match.caller,
                "count": limit.count,
                "window_s": limit.window_s,
                "windows": [
                    {"caller": caller, "route": route, "used": used}
                    for (caller, route), (_, used) in limit.windows.items()
                ],
            }
            for limit in self.limits
        ]


def _parse(data: object, where: str) -> Limit:
    if not isinstance(data, dict):
        raise ScenarioError(f"{where}: an object is expected")
    known_keys(data, _KEYS, where)
    count, window_s = data.get("count"), data.get("window_s", 60)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise ScenarioError(f"{where}.count: a number of calls is expected")
    sane = isinstance(window_s, int | float) and not isinstance(window_s, bool)
    if not sane or not 0 < window_s <= _LONGEST_WINDOW_S:
        raise ScenarioError(f"{where}.window_s: more than 0 and at most a day is expected")
    return Limit(parse_match(data, where), count, float(window_s))
