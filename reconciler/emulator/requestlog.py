"""What was asked of the services, for tests that count requests or look for writes."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

__all__ = ["KEPT", "LoggedRequest", "RequestLog", "as_json"]

KEPT = 200_000
"""How many requests are kept unless a control call says otherwise: about 70 MB of memory."""

_CHUNK = 500


@dataclass(slots=True)
class LoggedRequest:
    """One request; no header and no body, so no credential either.

    Attributes:
        at_s: When it came in, epoch seconds of the emulator's clock.
        query: None when there is none, which saves memory.
        status: HTTP status, 0 when the connection was cut.
        effect: Whether it changed something (a successful write).
    """

    n: int
    at_s: float
    service: str
    method: str
    path: str
    query: dict[str, str] | None
    route: str | None = None
    status: int = 0
    caller: str | None = None
    duration_ms: float = 0.0
    effect: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the entry as the control call lists it."""
        return {
            "n": self.n,
            "time": datetime.fromtimestamp(self.at_s, UTC).isoformat(),
            "service": self.service,
            "method": self.method,
            "path": self.path,
            "query": self.query or {},
            "route": self.route,
            "status": self.status,
            "caller": self.caller,
            "duration_ms": self.duration_ms,
            "effect": self.effect,
        }


@dataclass(slots=True)
class RequestLog:
    """The latest requests; numbers go on after ``clear``."""

    entries: deque[LoggedRequest] = field(default_factory=lambda: deque(maxlen=KEPT))
    count: int = 0

    def next_number(self) -> int:
        """Return the number of the request that starts now."""
        self.count += 1
        return self.count

    def add(self, entry: LoggedRequest) -> None:
        """Keep a finished request; the one that finished first goes when there are too many."""
        self.entries.append(entry)

    def keep(self, most: int) -> None:
        """Keep at most so many requests from now on."""
        self.entries = deque(self.entries, maxlen=most)

    def clear(self) -> None:
        """Forget what was logged so far."""
        self.entries.clear()

    def since(self, number: int) -> list[LoggedRequest]:
        """Return the requests after a number, in the order in which they came in."""
        found = [entry for entry in self.entries if entry.n > number]
        return sorted(found, key=lambda entry: entry.n)


async def as_json(entries: list[LoggedRequest]) -> AsyncGenerator[bytes]:
    """Yield ``{"requests": [...]}`` piece by piece, so that a long log is never a long text."""
    yield b'{"requests":['
    for start in range(0, len(entries), _CHUNK):
        texts = (
            json.dumps(entry.to_json(), separators=(",", ":"))
            for entry in entries[start : start + _CHUNK]
        )
        yield ((b"," if start else b"") + ",".join(texts).encode())
    yield b"]}"
