"""Progress of an apply, one line per event.

Long waits are told every ten seconds at most, by the event's own clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from reconciler.execute.events import (
    ActionFinished,
    ActionOutcome,
    ActionProgress,
    ActionStarted,
    Event,
    Outcome,
)
from reconciler.render.terminal import PLAIN, Paint, escape
from reconciler.render.words import doing, elapsed

__all__ = ["Progress"]

_EVERY_S = 10.0


class Progress:
    """A listener that writes plain lines; colour is the only difference on a terminal."""

    def __init__(self, write: Callable[[str], None], *, paint: Paint = PLAIN) -> None:
        self._write = write
        self._paint = paint
        self._told_s: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write the line of an event, if it is time for one."""
        line = self._line(event)
        if line is not None:
            self._write(f"{escape(event.action.address)}: {line}\n")

    def _line(self, event: Event) -> str | None:
        match event:
            case ActionStarted(action):
                return f"{doing(action.kind)}…"
            case ActionProgress(action, text, elapsed_s):
                if elapsed_s - self._told_s.get(action.id, 0.0) < _EVERY_S:
                    return None
                self._told_s[action.id] = elapsed_s
                waiting = f", {escape(text)}" if text else ""
                return f"still {doing(action.kind)}{waiting}… ({elapsed(elapsed_s)} elapsed)"
            case ActionFinished(_, outcome):
                return self._ending(outcome)
            case _:
                assert_never(event)

    def _ending(self, outcome: ActionOutcome) -> str:
        why = f": {escape(' '.join(outcome.text.split()))}" if outcome.text else ""
        took = f" after {elapsed(outcome.elapsed_s)}"
        match outcome.outcome:
            case Outcome.DONE:
                return f"{self._paint.green('done')}{took}{why}"
            case Outcome.NOT_NEEDED:
                return f"{self._paint.green('not needed')}{why}"
            case Outcome.FAILED:
                return f"{self._paint.red('failed')}{took}{why}"
            case Outcome.INCONCLUSIVE:
                return f"{self._paint.red('outcome unknown')}{took}{why}"
            case Outcome.REFUSED:
                return f"{self._paint.red('refused')}{why}"
            case Outcome.SKIPPED:
                return f"{self._paint.yellow('skipped')}{why}"
            case _:
                assert_never(outcome.outcome)
