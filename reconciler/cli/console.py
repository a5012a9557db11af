"""Where a command writes: results on stdout, errors and prompts on stderr.

With ``--events -`` stdout belongs to the event stream, and results go to stderr as well. A reader
that goes away (``reconciler apply … | head``) must not stop an apply half way, so a broken pipe
only ends the output.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from reconciler.render.terminal import Paint

__all__ = ["Console", "wants_colour"]

_PART = 65_536


def wants_colour(stream: TextIO, *, no_color: bool, environ: Mapping[str, str]) -> bool:
    """Decide on colour: the flag, then ``NO_COLOR`` (any value but empty), then the terminal."""
    if no_color or environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def _can_redraw(stream: TextIO, environ: Mapping[str, str]) -> bool:
    return stream.isatty() and environ.get("TERM", "dumb") != "dumb"


@dataclass(slots=True)
class Console:
    """The streams of one run, and how much is written to them."""

    out: TextIO
    err: TextIO
    source: TextIO
    paint: Paint = field(default_factory=Paint)
    paint_err: Paint = field(default_factory=Paint)
    quiet: bool = False
    in_place: bool = False
    """Whether what is under way may be redrawn on stderr."""

    _deaf: bool = False

    @classmethod
    def of(cls, args: Namespace) -> Console:
        """Return the console of this process; starts the request log when asked for it."""
        no_color = getattr(args, "no_color", False)
        verbose, quiet = getattr(args, "verbose", False), getattr(args, "quiet", False)
        if verbose:
            _log_requests()
        out = sys.stderr if getattr(args, "events", None) == "-" else sys.stdout
        return cls(
            out=out,
            err=sys.stderr,
            source=sys.stdin,
            paint=Paint(wants_colour(out, no_color=no_color, environ=os.environ)),
            paint_err=Paint(wants_colour(sys.stderr, no_color=no_color, environ=os.environ)),
            quiet=quiet,
            # The request log writes to the same lines.
            in_place=not (quiet or verbose) and _can_redraw(sys.stderr, os.environ),
        )

    def write(self, text: str) -> None:
        """Write a result; silent once the reader is gone."""
        self.write_pieces((text,))

    def write_pieces(self, pieces: Iterable[str]) -> None:
        """Write a result as it is made; no more of it is made once the reader is gone."""
        if self._deaf:
            return
        try:
            for part in _in_parts(pieces):
                self.out.write(part)
            self.out.flush()
        except BrokenPipeError:
            self._deaf = True

    def complain(self, text: str) -> None:
        """Write to stderr."""
        if text:
            self.err.write(text)
            self.err.flush()

    def can_ask(self) -> bool:
        """Tell whether there is a person to ask."""
        return self.source.isatty()

    def ask(self, prompt: str) -> str:
        """Ask, and return the answer without its line end; ``""`` when input has ended."""
        self.complain(prompt)
        return self._answer()

    async def ask_meanwhile(self, prompt: str) -> str:
        """Ask as ``ask`` does, while what else is under way goes on.

        Ctrl-C ends the question at once. Where a terminal cannot be waited for this way, on
        Windows, everything waits for the answer.
        """
        import asyncio  # noqa: PLC0415 - commands that never ask should not load it

        self.complain(prompt)
        loop, answered = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_reader(self.source, answered.set)
        except (NotImplementedError, OSError, ValueError):
            return self._answer()
        try:
            await answered.wait()
        finally:
            loop.remove_reader(self.source)
        return self._answer()

    def _answer(self) -> str:
        return self.source.readline().rstrip("\r\n")


def _in_parts(pieces: Iterable[str]) -> Iterator[str]:
    """Join pieces until they are worth a system call, which a stream may make for each."""
    waiting: list[str] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PART:
            yield "".join(waiting)
            waiting, size = [], 0
    if size:
        yield "".join(waiting)


def _log_requests() -> None:
    """Log the requests to stderr: method, path, status and time, never bodies or headers."""
    import logging  # noqa: PLC0415 - only for --verbose

    logger = logging.getLogger("reconciler.http")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
