"""Time as a value that is passed in, so that no test ever sleeps.

``SystemClock`` is the real thing; ``ManualClock`` advances only when told to, or when
something sleeps on it.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """What the reconciler may ask of time."""

    def now(self) -> datetime:
        """Return the aware UTC wall-clock time."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds that never run backwards; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long; zero or less only yields to other tasks."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the aware UTC wall-clock time."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return the monotonic clock in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(max(0.0, seconds))


class ManualClock:
    """A clock that jumps: sleeping advances it at once and yields to other tasks."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._elapsed_s = 0.0
        self.slept_s: list[float] = []

    def now(self) -> datetime:
        """Return the time the clock was advanced to."""
        return self._now + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        """Return the seconds this clock was advanced by."""
        return self._elapsed_s

    def advance(self, seconds: float) -> None:
        """Move time forward."""
        self._elapsed_s += seconds

    async def sleep(self, seconds: float) -> None:
        """Advance by ``seconds`` and let other tasks run."""
        self.slept_s.append(seconds)
        self._elapsed_s += max(0.0, seconds)
        await asyncio.sleep(0)
