"""Runs one case under a watch, and says whether its end was a clean one."""

from __future__ import annotations

import contextlib
import io
import resource
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType

from reconciler.cli.main import main

__all__ = ["Tally", "run_command", "unclean_text"]

_EXITS = frozenset({0, 1, 2, 3, 64})
HANG_S = 20.0


class Hung(BaseException):
    """A case did not end in time; no handler of the product may catch it."""


@dataclass
class Tally:
    """What came of the cases so far."""

    name: str
    cases: int = 0
    clean: int = 0
    hangs: int = 0
    tracebacks: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def judge(self, label: str, case: Callable[[], str]) -> None:
        """Run a case; it returns what was unclean about it, "" for nothing."""
        self.cases += 1
        try:
            with _watch(HANG_S):
                told = case()
        except Hung:
            self.hangs += 1
            told = f"no end within {HANG_S:g} s"
        except Exception:  # noqa: BLE001 - that is what is looked for
            self.tracebacks += 1
            told = traceback.format_exc(limit=-6)
        if told:
            self.wrong.append(f"{self.name} {label}: {told}")
        else:
            self.clean += 1

    def line(self) -> str:
        """Return the figures as a row."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        other = self.cases - self.clean - self.hangs - self.tracebacks
        return (
            f"{self.name:<18} {self.cases:>7,} cases {self.clean:>7,} clean "
            f"{self.tracebacks:>4} tracebacks {self.hangs:>4} hangs {other:>4} otherwise wrong "
            f"  peak {peak:,.0f} MiB"
            f"{''.join(f'  {count:,} {what}' for what, count in self.reached.items())}"
        )


@contextlib.contextmanager
def _watch(seconds: float) -> Iterator[None]:
    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def unclean_text(text: str) -> str:
    """Say what may not stand in anything that is printed."""
    if "Traceback" in text or "This is a bug" in text or "a bug in this tool" in text:
        return f"a bug: {text[-3000:]}"
    odd = {c for c in text if not c.isprintable() and c != "\n"}
    return f"unescaped {sorted(odd)!r}" if odd else ""


def run_command(words: Sequence[str]) -> str:
    """Run a command in this process; returns what was unclean about it."""
    streams = [
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace", newline="\n")
        for _ in range(2)
    ]
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams
    try:
        code = main([*words, "--verbose"])
    finally:
        sys.stdout, sys.stderr = kept
    texts = []
    for stream in streams:
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    if code not in _EXITS:
        return f"exit {code}: {texts[1][-3000:]}"
    if code and "error" not in "".join(texts):
        return f"exit 1 without a message: {texts[0][-300:]} {texts[1][-300:]}"
    return unclean_text("".join(texts))
