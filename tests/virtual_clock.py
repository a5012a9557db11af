"""A clock for many sleepers: time moves on to the next of them when nobody has anything to do."""

from __future__ import annotations

import asyncio
import heapq
import itertools

from typing_extensions import override

from reconciler.clock import ManualClock

__all__ = ["VirtualClock"]


class VirtualClock(ManualClock):
    """Sleeps side by side, as on a real clock, and without real time.

    ``ManualClock`` moves on by every sleep, so two that sleep a minute together take two. Here a
    sleeper waits until the event loop has nothing else to run; then the first one wakes up.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()
        self._watching = False

    @override
    async def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        wake_s = self.monotonic_s() + max(0.0, seconds)
        heapq.heappush(self._sleepers, (wake_s, next(self._count), woken))
        if not self._watching:
            self._watching = True
            loop.call_soon(self._watch, loop)
        await woken

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if not loop._ready:  # type: ignore[attr-defined] # what is about to run comes first
            while self._sleepers:
                wake_s, _, woken = heapq.heappop(self._sleepers)
                if not woken.done():
                    self.advance(max(0.0, wake_s - self.monotonic_s()))
                    woken.set_result(None)
                    break
        self._watching = bool(self._sleepers)
        if self._watching:
            loop.call_soon(self._watch, loop)
