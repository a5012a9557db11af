"""What callers used in the last minutes: a sliding window of units per identity."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

__all__ = ["WINDOW_S", "Ledger"]

WINDOW_S = 300.0
"""How long a call counts. Source: azure-devops-import.md section 7 (docs)."""


@dataclass(slots=True)
class Ledger:
    """Time and units of each call that still counts, by caller."""

    calls: dict[str, deque[tuple[float, float]]] = field(default_factory=dict)

    def spent(self, caller: str, now_s: float) -> deque[tuple[float, float]]:
        """Return the calls of a caller that still count, oldest first; more may be added."""
        found = self.calls.setdefault(caller, deque())
        while found and found[0][0] <= now_s - WINDOW_S:
            found.popleft()
        return found
