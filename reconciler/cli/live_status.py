"""What is under way, redrawn in place at the bottom of a terminal.

Changes no mode of the terminal and leaves the cursor visible, so that nothing has to be restored
but the lines themselves, and even a killed process leaves a usable terminal behind. Lines are cut
to the width: one that wraps could not be erased again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TextIO

from reconciler.clock import Clock
from reconciler.engine import ReadFinished, ReadStarted
from reconciler.execute.events import ActionProgress, ActionStarted, Event
from reconciler.plan.actions import Action, verb_of
from reconciler.render.terminal import PLAIN, Paint, columns, escape, fit_columns
from reconciler.render.words import SYMBOLS, count, doing, elapsed

__all__ = ["LiveStatus", "StatusLines", "terminal_size"]

_MOST_LINES = 8


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Return columns and lines of the terminal behind a stream."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        return (80, 24)
    # A terminal that does not know its size says 0.
    return (size.columns or 80, size.lines or 24)


class StatusLines:
    """Lines that can be taken back."""

    def __init__(self, stream: TextIO, size: Callable[[], tuple[int, int]]) -> None:
        self._stream = stream
        self._size = size
        self._shown = 0

    def show(self, lines: Sequence[tuple[str, str]], paint: Paint = PLAIN) -> None:
        """Show these lines in place of those shown before.

        Args:
            lines: each as what may be cut and what may not; escaped, without colour.
        """
        width, height = self._size()
        kept = [_fitted(line, width - 1) for line in lines[: max(1, height - 2)]]
        self._write(self._back() + "".join(f"{paint.dim(line)}\n" for line in kept))
        self._shown = len(kept)

    def clear(self) -> None:
        """Take the lines back; what is written next starts where they did."""
        if self._shown:
            self._write(self._back())
            self._shown = 0

    def _back(self) -> str:
        return f"\x1b[{self._shown}A\r\x1b[J" if self._shown else ""

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # a terminal that is gone must not stop an apply
            self._stream.write(text)
            self._stream.flush()


@dataclass(slots=True)
class _Running:
    action: Action
    began_s: float
    text: str = ""


def _fitted(line: tuple[str, str], width: int) -> str:
    head, tail = line
    return fit_columns(fit_columns(head, max(1, width - columns(tail))) + tail, width)


class LiveStatus:
    """Follows a run and shows what is under way with its elapsed time.

    ``tell`` writes the permanent line of an event, such as that an action is done; starts and
    waits have none, since they show in place.
    """

    def __init__(
        self, lines: StatusLines, clock: Clock, *, tell: Callable[[Event], None], paint: Paint
    ) -> None:
        self._lines = lines
        self._clock = clock
        self._tell = tell
        self._paint = paint
        self._running: dict[str, _Running] = {}
        self._reading_s: float | None = None
        self._done = 0

    def on_read(self, event: ReadStarted | ReadFinished) -> None:
        """Follow the reads."""
        self._reading_s = self._clock.monotonic_s() if isinstance(event, ReadStarted) else None
        self.redraw()

    def on_action(self, event: Event) -> None:
        """Follow the actions."""
        key = event.action.id
        if isinstance(event, ActionStarted):
            self._running[key] = _Running(event.action, self._clock.monotonic_s())
        elif isinstance(event, ActionProgress):
            if key in self._running:
                self._running[key].text = event.text
        else:
            self._running.pop(key, None)
            self._done += 1
            self._lines.clear()
            self._tell(event)
        self.redraw()

    def redraw(self) -> None:
        """Show the elapsed times as they are now."""
        lines = self._under_way()
        if lines:
            self._lines.show(lines, self._paint)
        else:
            self._lines.clear()

    def clear(self) -> None:
        """Take everything back that is no permanent line."""
        self._lines.clear()

    def _under_way(self) -> list[tuple[str, str]]:
        now_s = self._clock.monotonic_s()
        if self._reading_s is not None:
            return [("Reading the live state…", f" ({elapsed(now_s - self._reading_s)})")]
        lines = []
        for one in list(self._running.values())[:_MOST_LINES]:
            symbol, waiting = SYMBOLS[verb_of(one.action.kind)], f", {one.text}" if one.text else ""
            what = f"{one.action.address}: {doing(one.action.kind)}{waiting}…"
            lines.append((f"{symbol} {escape(what)}", f" ({elapsed(now_s - one.began_s)})"))
        if lines:
            hidden = len(self._running) - len(lines)
            more = f", {count(hidden, 'more', 'more')} not shown" if hidden else ""
            lines.append((f"{len(self._running):,} under way{more}, {self._done:,} ended", ""))
        return lines
