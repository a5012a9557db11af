"""How many calls of an API may go out, and when: learned from what the service says.

The services limit each caller per API: so many calls in a fixed window that begins with the first
of them, and then 429 with the seconds until the window ends. Source: fabric-api.md section 4,
recorded. How many differs and changes, so no number is built in. An API starts with a few calls
at once and doubles them with each round trip. Its first 429 tells when the window ends; the next
window is then known from its first call on, and the 429 that ends that one tells exactly how many
calls it takes. From then on no more are sent than it takes, spread over the window while more
wait than fit. Now and then one call too many asks whether the limit has grown.

Everybody who calls an API stands in one line, so what one call learned holds for all of them.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from reconciler.clock import Clock
from reconciler.errors import DeadlineExceeded

__all__ = ["Pace", "Window"]

# The smallest published limit is 10 calls (fabric-api.md section 4, docs): until more than that
# went well, few are on their way at once, since each of them could be refused.
_FEW = 4
_CAREFUL = 12
# Windows of a minute and of an hour are documented (fabric-api.md section 4).
_WINDOWS_S = (60.0, 3600.0)
_REMEMBERED = 4096
# How many windows pass before a known limit is tried, and by how much that grows each time.
_FIRST_TRIAL = 8
_LATER_TRIALS = 4


@dataclass(slots=True)
class Window:
    """A stretch of time in which the service counts.

    Attributes:
        trial: calls beyond the known limit go out too, one at a time.
        sent: calls that went out.
        counted: calls that were not refused.
        began_s: when the first call was answered, which is not before the service began it.
        ends_s: when it ends, once that is known.
        refused: a call was one too many.
    """

    trial: bool = False
    sent: int = 0
    counted: int = 0
    began_s: float | None = None
    ends_s: float | None = None
    refused: bool = False


@dataclass(slots=True)
class _Line:
    """The callers of one API, and what is known of its limit.

    Attributes:
        limit: calls a window takes; None while nothing was ever refused.
        window_s: how long a window is; a guess until ``proven``.
        proven: both were seen in a window known from its first call.
        trial_in: windows until the limit is tried; 0 for the next one.
        refused_since_s: when a call was refused with none let through since.
        told_s: how long to wait, as that refusal said.
        passed_at_s: when calls went well, as long as nothing was refused.
    """

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: int = 0
    under_way: int = 0
    at_once: int = _FEW
    passed: int = 0
    last_s: float = -math.inf
    not_before_s: float = -math.inf
    limit: int | None = None
    window_s: float = _WINDOWS_S[0]
    proven: bool = False
    trial_in: int = 0
    trial_gap: int = _FIRST_TRIAL
    refused_since_s: float | None = None
    told_s: float = 0.0
    window: Window = field(default_factory=Window)
    passed_at_s: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class Pace:
    """Lets calls go, API by API.

    Args:
        clock: what is waited by.
        at_once: the most calls under way, of all APIs together.
        tell: is told in a sentence when the limit of an API is known.
    """

    def __init__(
        self, clock: Clock, *, at_once: int, tell: Callable[[str], None] = lambda _: None
    ) -> None:
        self._clock = clock
        self._slots = asyncio.Semaphore(at_once)
        self._tell = tell
        self._lines: dict[str, _Line] = {}

    @asynccontextmanager
    async def turn(self, api: str, *, name: str, longest_s: float) -> AsyncIterator[Window]:
        """Wait for this call's turn; inside the block it is under way.

        Args:
            api: what the service limits by.
            name: the call, for messages.
            longest_s: how long the service may let nothing through, or ask to wait.

        Raises:
            DeadlineExceeded: it does not let calls of this API through.
        """
        line = self._line(api)
        line.waiting += 1
        try:
            async with line.turn:
                await self._stand_first(line, api, name, longest_s)
                line.under_way += 1
                line.last_s = self._clock.monotonic_s()
                window = line.window
                window.sent += 1
        finally:
            line.waiting -= 1
        try:
            yield window
        finally:
            self._slots.release()
            line.under_way -= 1
            line.moved.set()

    def passed(self, api: str, window: Window) -> None:
        """Note that a call was not refused for being one too many."""
        line, now_s = self._line(api), self._clock.monotonic_s()
        line.refused_since_s = None
        line.passed += 1
        if line.passed > _CAREFUL or line.limit is not None:
            line.at_once += 1
        window.counted += 1
        if line.limit is None:
            line.passed_at_s.append(now_s)
        elif window.began_s is None:
            window.began_s = now_s
            if window.ends_s is None:
                window.ends_s = now_s + line.window_s

    def refused(self, api: str, window: Window, wait_s: float) -> None:
        """Note a 429, and how long to wait after it."""
        line, now_s = self._line(api), self._clock.monotonic_s()
        if line.refused_since_s is None:
            line.refused_since_s, line.told_s = now_s, wait_s
        line.at_once = 1
        window.refused = True
        window.ends_s = now_s + wait_s
        self.hold(api, wait_s)

    def hold(self, api: str, seconds: float) -> None:
        """Let no call start for that long; never shortens an earlier hold."""
        line = self._line(api)
        line.not_before_s = max(line.not_before_s, self._clock.monotonic_s() + seconds)

    def _line(self, api: str) -> _Line:
        line = self._lines.get(api)
        if line is None:
            line = self._lines[api] = _Line()
        return line

    async def _stand_first(self, line: _Line, api: str, name: str, longest_s: float) -> None:
        """Return when the next call may go, with a slot taken; one caller of an API waits here."""
        while True:
            await self._wait_for_window(line, api, name, longest_s)
            await self._slots.acquire()
            # While all slots were taken, a call before this one may have been refused.
            if line.not_before_s <= self._clock.monotonic_s() and self._free_s(line, api) == 0:
                return
            self._slots.release()

    async def _wait_for_window(self, line: _Line, api: str, name: str, longest_s: float) -> None:
        while True:
            now_s = self._clock.monotonic_s()
            hold_s = line.not_before_s - now_s
            if hold_s > 0:
                _refuse_endless(line, now_s, api, name, longest_s)
                await self._clock.sleep(hold_s)
                continue
            wait_s = self._free_s(line, api)
            if wait_s is None:
                line.moved.clear()
                await line.moved.wait()
            elif wait_s > 0:
                await self._clock.sleep(wait_s)
            else:
                return

    def _free_s(self, line: _Line, api: str) -> float | None:
        """Return how long the window has no room for a call; None: until an answer has come."""
        now_s = self._clock.monotonic_s()
        if line.window.ends_s is not None and now_s >= line.window.ends_s:
            self._close_window(line, api)
        return _wait_s(line, now_s)

    def _close_window(self, line: _Line, api: str) -> None:
        """Learn from the window that has ended, and open the next one."""
        window = line.window
        if line.limit is None:
            _guess(line)
        elif window.refused and window.counted and window.began_s is not None:
            grown = window.counted > line.limit
            lowered = window.counted < line.limit
            line.limit = window.counted
            line.window_s = (window.ends_s or window.began_s) - window.began_s
            if not line.proven:
                self._tell(
                    f"The service takes {line.limit} {api} calls in {line.window_s:.0f} s; "
                    "the others wait for their turn."
                )
            if lowered or not line.proven:
                line.trial_gap = _FIRST_TRIAL
            elif not grown:
                line.trial_gap *= _LATER_TRIALS
            line.proven = True
            line.trial_in = line.trial_gap
        elif not window.refused:
            line.limit = max(line.limit, window.counted)
            line.trial_in = max(0, line.trial_in - 1)
        line.window = Window(trial=line.trial_in == 0)


def _guess(line: _Line) -> None:
    """Guess the limit from the first refusal: calls of other programs may have been counted."""
    end_s = line.window.ends_s or 0.0
    line.window_s = next((w for w in _WINDOWS_S if line.told_s <= w), line.told_s)
    line.limit = max(1, sum(at_s >= end_s - line.window_s for at_s in line.passed_at_s))
    line.passed_at_s.clear()


def _wait_s(line: _Line, now_s: float) -> float | None:
    """Return how long the next call has to wait; None until an answer has come."""
    if line.limit is None:
        return 0.0 if line.under_way < line.at_once else None
    window, room = line.window, line.limit - line.window.sent
    if room <= 0 and not window.trial:
        if window.ends_s is None and line.under_way:
            return None
        # Without any answer the service may have begun to count as late as with the last call.
        end_s = line.last_s + line.window_s if window.ends_s is None else window.ends_s
        if end_s <= now_s:
            line.window = Window(trial=window.trial)
        return max(0.0, end_s - now_s)
    few = min(line.at_once, _FEW) if window.trial else line.at_once
    if line.under_way >= (few if room > 0 else 1):
        return None
    if window.trial or line.waiting <= room:
        return 0.0
    return max(0.0, line.last_s + line.window_s / line.limit - now_s)


def _refuse_endless(line: _Line, now_s: float, api: str, name: str, longest_s: float) -> None:
    hold_s = line.not_before_s - now_s
    since_s = now_s if line.refused_since_s is None else line.refused_since_s
    if hold_s <= longest_s and now_s - since_s < longest_s:
        return
    for_s = f", and has refused every one for {now_s - since_s:.0f} s" if now_s > since_s else ""
    raise DeadlineExceeded(
        f"{name}: not sent: the service asks to wait {hold_s:.0f} s more before the next {api} "
        f"call{for_s}; {longest_s:g} s are allowed",
        sent=False,
        remedy="Wait until the limit is free and run it again, ask for less with --target, or use "
        "a caller of its own for this.",
    )
