"""``--events``: what happens, as JSON lines, while it happens.

Every line is flushed, so that a reader sees it at once. A reader that goes away, or a disk that
is full, ends the stream and never the run.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO, assert_never

from reconciler._version import __version__
from reconciler.clock import Clock
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.engine import ReadFinished, ReadStarted
from reconciler.errors import PlanError, ReconcilerError, SpecError, UsageError
from reconciler.execute.events import (
    ActionFinished,
    ActionOutcome,
    ActionProgress,
    ActionStarted,
    ApplyResult,
    Event,
    Outcome,
)
from reconciler.plan.plan import Plan
from reconciler.render import stream as records
from reconciler.render.result_text import is_verified
from reconciler.render.stream import ActionRef, Record
from reconciler.render.words import count, doing, elapsed

__all__ = ["EventStream", "open_events"]

_READING = {
    "plan": "Reading the live state",
    "check": "Reading the live state to check the plan",
    "verify": "Reading the live state to verify the result",
}


def open_events(target: str, taken: Iterable[Path]) -> TextIO:
    """Open where the stream goes: a file that only this user may read, or stdout for ``-``.

    Args:
        taken: files of this run that must not be overwritten, and directories of a spec.

    Raises:
        UsageError: it is a directory or one of the files taken.
        ReconcilerError: it cannot be written.
    """
    if target == "-":
        return sys.stdout
    path = Path(target)
    if path.is_dir() or not path.name:
        raise UsageError(f"argument --events: {target} is a directory", remedy="name a file in it")
    used = {other.resolve() for other in taken}
    in_spec = path.resolve().parent in used and path.suffix in {".yaml", ".yml"}
    if in_spec or path.resolve() in used:
        raise UsageError(
            f"argument --events: {target} is used by this command", remedy="name another file"
        )
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise ReconcilerError(f"cannot write {path}: {error.strerror or error}") from error
    return os.fdopen(handle, "w", encoding="ascii", newline="\n")


class EventStream:
    """Writes records, and turns what the engine and the executor report into records."""

    def __init__(self, out: TextIO, clock: Clock, *, complain: Callable[[str], None]) -> None:
        self._out = out
        self._clock = clock
        self._complain = complain
        self._deaf = False

    def emit(self, record: Record) -> None:
        """Write one record as a line; silent once that has failed."""
        if self._deaf:
            return
        timestamp = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        try:
            self._out.write(records.line_of(record, timestamp))
            self._out.flush()
        except OSError as error:
            self._deaf = True
            if not isinstance(error, BrokenPipeError):
                self._complain(f"The event stream ended: {error.strerror or error}\n")

    def close(self) -> None:
        """Close the file, if it is one of our own."""
        if self._out is not sys.stdout:
            with contextlib.suppress(OSError):
                self._out.close()

    def begin(self, command: str) -> None:
        """Write the first line."""
        message = f"reconciler {__version__} {command}"
        self.emit(records.Version(message=message, reconciler=__version__, command=command))

    def found(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Write findings of the spec."""
        for diagnostic in diagnostics:
            self.emit(records.diagnostic_record(diagnostic))

    def planned(self, plan: Plan) -> None:
        """Write a plan: findings, actions, summary."""
        for record in records.planned_records(plan):
            self.emit(record)

    def on_read(self, event: ReadStarted | ReadFinished) -> None:
        """Write the start or the end of a read."""
        reading = _READING[event.purpose]
        if isinstance(event, ReadStarted):
            self.emit(records.ReadStart(message=f"{reading}…", purpose=event.purpose))
            return
        made = sum(event.plan.requests.values())
        unknown = event.plan.unknown
        self.emit(
            records.ReadComplete(
                level="warn" if unknown else "info",
                message=f"Read in {elapsed(event.elapsed_s)}; {count(made, 'request')} so far",
                purpose=event.purpose,
                elapsed_s=_seconds(event.elapsed_s),
                requests=event.plan.requests,
                unknown=unknown,
            )
        )

    def on_action(self, event: Event) -> None:
        """Write what an action does."""
        action = ActionRef.of(event.action)
        prefix = f"{action.address}:"
        match event:
            case ActionStarted():
                message = f"{prefix} {doing(action.kind)}…"
                self.emit(records.ActionStart(message=message, action=action))
            case ActionProgress(_, text, elapsed_s):
                waiting = f", {text}" if text else ""
                took = elapsed(elapsed_s)
                message = f"{prefix} still {doing(action.kind)}{waiting}… ({took} elapsed)"
                self.emit(
                    records.ActionProgressed(
                        message=message, action=action, text=text, elapsed_s=_seconds(elapsed_s)
                    )
                )
            case ActionFinished(_, outcome):
                self.emit(_ending(action, outcome))
            case _:
                assert_never(event)

    def applied(self, result: ApplyResult, exit_code: int) -> None:
        """Write the last line of an apply."""
        outcomes = Counter(o.outcome.value for o in result.outcomes)
        complete = is_verified(result)
        told = ", ".join(f"{n:,} {word}" for word, n in outcomes.items())
        self.emit(
            records.ApplySummary(
                level="info" if exit_code == 0 else "error",
                message=f"Apply {'complete' if complete else 'did not complete'}: {told}.",
                outcomes=outcomes,
                complete=complete,
                still_needed=result.still_needed,
                residual=result.residual,
                exit_code=exit_code,
            )
        )

    def ended_by(self, error: BaseException) -> None:
        """Write what ended the run as diagnostics; of a bug only its type, never its text."""
        if isinstance(error, (SpecError, PlanError)):
            self.found(error.diagnostics)
        if isinstance(error, ReconcilerError):
            code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
            self._failed(code, error.message, error.remedy)
        elif isinstance(error, KeyboardInterrupt):
            self._failed(
                "interrupted", "Interrupted.", "What a service has accepted goes on there."
            )
        elif isinstance(error, Exception):
            self._failed("internal_error", f"unexpected {type(error).__name__}", "")

    def _failed(self, code: str, summary: str, detail: str) -> None:
        self.found([Diagnostic(Severity.ERROR, code, summary, detail)])


def _ending(action: ActionRef, outcome: ActionOutcome) -> Record:
    why = f": {' '.join(outcome.text.split())}" if outcome.text else ""
    took = elapsed(outcome.elapsed_s)
    message = f"{action.address}: {outcome.outcome.value} after {took}{why}"
    match outcome.outcome:
        case Outcome.DONE | Outcome.NOT_NEEDED:
            return records.ActionComplete(
                message=message,
                action=action,
                outcome="done" if outcome.outcome is Outcome.DONE else "not needed",
                text=outcome.text,
                elapsed_s=_seconds(outcome.elapsed_s),
            )
        case Outcome.SKIPPED:
            return records.ActionSkipped(
                level="warn",
                message=f"{action.address}: skipped{why}",
                action=action,
                text=outcome.text,
            )
        case Outcome.FAILED | Outcome.INCONCLUSIVE | Outcome.REFUSED:
            return records.ActionErrored(
                level="error",
                message=message,
                action=action,
                outcome=outcome.outcome.value,
                text=outcome.text,
                remedy=outcome.remedy,
                elapsed_s=_seconds(outcome.elapsed_s),
            )
        case _:
            assert_never(outcome.outcome)


def _seconds(value: float) -> float:
    return round(value, 3)
