"""A clock for tasks that sleep side by side, and what the tests of locks share."""

from __future__ import annotations

import asyncio

from typing_extensions import override

from reconciler.clock import ManualClock
from reconciler.locks.holder import LockHolder, this_process


class SteppedClock(ManualClock):
    """Time that moves only when the test says so; whoever sleeps wakes when it has passed."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    @override
    async def sleep(self, seconds: float) -> None:
        """Wait until the test has moved the time that far."""
        self.slept_s.append(seconds)
        woken = asyncio.Event()
        self._sleepers.append((self.monotonic_s() + seconds, woken))
        await woken.wait()

    @property
    def asleep(self) -> int:
        """How many sleep now."""
        return sum(not woken.is_set() for _, woken in self._sleepers)

    async def step(self, seconds: float) -> None:
        """Move the time, and let who is woken by it run until it sleeps again."""
        await asyncio.sleep(0)  # a task just made goes to sleep first
        self.advance(seconds)
        due = [woken for until_s, woken in self._sleepers if until_s <= self.monotonic_s()]
        self._sleepers = [s for s in self._sleepers if s[1] not in due]
        before = self.asleep + len(due)
        for woken in due:
            woken.set()
        async with asyncio.timeout(30):
            while self.asleep < before:  # noqa: ASYNC110 - many may have to go to sleep
                await asyncio.sleep(0)


def a_holder(estate: str = "sales", run: str = "run1") -> LockHolder:
    """Return this process as a holder."""
    return this_process(estate, run=run, clock=ManualClock())


def nobody_told(text: str) -> None:
    """Fail: nothing may be waited for."""
    raise AssertionError(text)
