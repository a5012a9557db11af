"""The emulator's time: real time plus an offset that only a control call moves.

Everything that takes time in the emulator compares against this clock when a request comes in, so
a test that wants an hour to pass advances it instead of sleeping.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["EmulatorClock"]


class EmulatorClock:
    """Aware UTC time that can be advanced, never turned back."""

    def __init__(
        self, offset_s: float = 0.0, *, real_time_s: Callable[[], float] = time.time
    ) -> None:
        self.offset_s = offset_s
        self._real_time_s = real_time_s

    def timestamp(self) -> float:
        """Return seconds since the Unix epoch, offset included."""
        return self._real_time_s() + self.offset_s

    def now(self) -> datetime:
        """Return the aware UTC time, offset included."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def advance(self, seconds: float) -> None:
        """Move time forward.

        Raises:
            ValueError: if ``seconds`` is negative; operations that ended cannot un-end.
        """
        if seconds < 0:
            raise ValueError("the clock only moves forward")
        self.offset_s += seconds
