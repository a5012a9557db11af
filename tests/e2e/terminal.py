"""A command on a terminal of its own, to be watched and answered while it runs."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import Bench

_PATIENCE_S = 60.0


class Terminal:
    """One running command and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._written = bytearray()

    @property
    def text(self) -> str:
        """What it has written, line ends as in a file."""
        return self._written.decode(errors="replace").replace("\r\n", "\n")

    def wait_for(self, text: str) -> None:
        """Read until a text has come."""
        end_s = time.monotonic() + _PATIENCE_S
        while text not in self.text:
            assert time.monotonic() < end_s, self.text
            assert self._read() or self.process.poll() is None, self.text

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._descriptor, text.encode())

    def press_ctrl_c(self) -> None:
        """Send the signal that Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for its end; returns the exit code."""
        end_s = time.monotonic() + _PATIENCE_S
        while self._read() or self.process.poll() is None:
            assert time.monotonic() < end_s, self.text
        assert "Traceback" not in self.text, self.text
        return self.process.wait()

    def _read(self) -> bool:
        if not select.select([self._descriptor], [], [], 0.02)[0]:
            return False
        with contextlib.suppress(OSError):  # the other end is closed
            if found := os.read(self._descriptor, 65_536):
                self._written += found
                return True
        return False


@contextmanager
def on_a_terminal(bench: Bench, *args: str | Path, **environ: str) -> Iterator[Terminal]:
    """Start the reconciler on a pseudo terminal; it is killed if it still runs in the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler", *map(str, args)],
        cwd=bench.folder,
        env={**bench.environ, "TERM": "dumb", **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
