"""One run of a command that reads or writes live state: what it tells, and to whom.

Joins the three listeners, which do not know each other: lines for people, the status of a
terminal, and the event stream.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from reconciler import engine
from reconciler.cli.common import settings_of
from reconciler.cli.console import Console
from reconciler.cli.interrupts import run_until_stopped
from reconciler.cli.live_status import LiveStatus, StatusLines, terminal_size
from reconciler.cli.progress import Progress
from reconciler.clock import Clock
from reconciler.diagnostics import Diagnostic
from reconciler.errors import UsageError
from reconciler.execute.events import ActionFinished, ApplyResult, Event
from reconciler.plan.plan import Plan
from reconciler.render.findings import render_findings
from reconciler.render.terminal import escape
from reconciler.spec.load import LoadResult

if TYPE_CHECKING:  # the stream's records cost start-up time that only --events should
    from reconciler.cli.event_stream import EventStream

__all__ = ["Session"]

T = TypeVar("T")

_REDRAW_S = 1.0


@dataclass(slots=True)
class Session:
    """A command's console, settings and listeners; a context manager around the whole run."""

    command: str
    console: Console
    settings: engine.Settings
    events: EventStream | None = None
    status: LiveStatus | None = None
    progress: Progress | None = None
    told: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, args: Namespace, *, taken: Iterable[Path] = ()) -> Session:
        """Return the session of a command line.

        Args:
            taken: files that the event stream must not overwrite.

        Raises:
            UsageError: ``--events`` makes no sense with what else was asked for.
        """
        console, settings = Console.of(args), settings_of(args)
        target = getattr(args, "events", None)
        if target == "-" and getattr(args, "format", "text") != "text":
            raise UsageError(
                f"argument --events: - and --format {args.format} both need stdout",
                remedy="give --events a file",
            )
        events = None
        if target is not None:
            from reconciler.cli.event_stream import EventStream, open_events  # noqa: PLC0415

            out = open_events(target, taken)
            events = EventStream(out, settings.clock, complain=console.complain)
        progress = None if console.quiet else Progress(console.write, paint=console.paint)
        # Lines for people would run into the status if they took another way to the terminal.
        writes_lines = args.command == "apply"
        in_place = console.in_place and (console.out.isatty() or not writes_lines)
        status = _status(console, settings.clock, progress) if in_place else None
        session = cls(args.command, console, settings, events, status, progress)
        session.settings = replace(settings, on_read=session.on_read, tell=session.tell)
        return session

    def __enter__(self) -> Session:
        if self.events is not None:
            self.events.begin(self.command)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.status is not None:
            self.status.clear()
        if self.events is not None:
            if error is not None:
                self.events.ended_by(error)
            self.events.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, keeping the status of a terminal up to date."""
        return run_until_stopped(self._with_status(work), self.settings.stop, say=self.say)

    def say(self, text: str) -> None:
        """Write to stderr, not into the status of a terminal."""
        if self.status is not None:
            self.status.clear()
        self.console.complain(text)

    def tell(self, sentence: str) -> None:
        """Tell what is waited for before a plan is made; each sentence once."""
        if sentence not in self.told and not self.console.quiet:
            self.told.add(sentence)
            self.say(f"{escape(sentence)}\n")

    async def _with_status(self, work: Coroutine[Any, Any, T]) -> T:
        if self.status is None:
            return await work
        ticks = asyncio.create_task(self._redraw_for_ever(self.status))
        try:
            return await work
        finally:
            ticks.cancel()
            await asyncio.gather(ticks, return_exceptions=True)
            self.status.clear()

    async def _redraw_for_ever(self, status: LiveStatus) -> None:
        while True:
            await self.settings.clock.sleep(_REDRAW_S)
            status.redraw()

    def on_read(self, event: engine.ReadStarted | engine.ReadFinished) -> None:
        """Tell the listeners that live is read."""
        for listener in (self.events, self.status):
            if listener is not None:
                listener.on_read(event)

    def on_action(self, event: Event) -> None:
        """Tell the listeners what an action does."""
        if self.events is not None:
            self.events.on_action(event)
        if self.status is not None:
            self.status.on_action(event)
        elif self.progress is not None:
            self.progress(event)

    def found(self, loaded: LoadResult) -> None:
        """Tell the event stream what is wrong with an invalid spec."""
        if self.events is not None:
            self.events.found(loaded.diagnostics)

    def warn(self, found: Sequence[Diagnostic]) -> None:
        """Tell people and the event stream of what is no part of the plan."""
        if self.events is not None:
            self.events.found(found)
        if found and not self.console.quiet:
            self.say(render_findings(found, paint=self.console.paint_err) + "\n")

    def planned(self, plan: Plan, fresh: Sequence[Diagnostic] = ()) -> None:
        """Tell the event stream of a plan, and of the spec's findings it does not hold."""
        if self.events is not None:
            self.events.found(fresh)
            self.events.planned(plan)

    def applied(self, result: ApplyResult, exit_code: int) -> None:
        """Tell the event stream how an apply ended."""
        if self.events is not None:
            self.events.applied(result, exit_code)


def _status(console: Console, clock: Clock, progress: Progress | None) -> LiveStatus:
    def tell(event: Event) -> None:
        if progress is not None and isinstance(event, ActionFinished):
            progress(event)

    lines = StatusLines(console.err, lambda: terminal_size(console.err))
    return LiveStatus(lines, clock, tell=tell, paint=console.paint_err)
