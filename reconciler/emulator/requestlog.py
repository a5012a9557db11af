"""What was asked of the services, for tests that count requests or look for writes."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["LoggedRequest", "RequestLog"]

_LONGEST = 200_000


@dataclass(slots=True)
class LoggedRequest:
    """One request; no header and no body, so no credential either.

    Attributes:
        status: HTTP status, 0 when the connection was cut.
        effect: Whether it changed something (a successful write).
    """

    n: int
    time: str
    service: str
    method: str
    path: str
    query: dict[str, str]
    route: str | None
    status: int
    caller: str | None
    duration_ms: float
    effect: bool


@dataclass(slots=True)
class RequestLog:
    """The latest requests, oldest first; numbers go on after ``clear``."""

    entries: deque[LoggedRequest] = field(default_factory=lambda: deque(maxlen=_LONGEST))
    count: int = 0

    def next_number(self) -> int:
        """Return the number of the request that starts now."""
        self.count += 1
        return self.count

    def add(self, entry: LoggedRequest) -> None:
        """Keep a finished request."""
        self.entries.append(entry)

    def clear(self) -> None:
        """Forget what was logged so far."""
        self.entries.clear()

    def to_json(self) -> dict[str, Any]:
        """Return the log as the control call answers it, in the order the requests came in."""
        return {"requests": [asdict(entry) for entry in sorted(self.entries, key=lambda e: e.n)]}
