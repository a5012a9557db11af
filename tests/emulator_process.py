"""An emulator as a process of its own, for the tests that reach it as a user would."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_emulator(folder: Path, *flags: str) -> Iterator[Mapping[str, str]]:
    """Run one at speed ``instant`` with these flags; gives its ready file."""
    ready_file = folder / "ready.json"
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "reconciler", "emulator", "--speed", "instant"),
            *("--ready-file", str(ready_file), *flags),
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    end = time.monotonic() + 30
    while not ready_file.exists():
        assert process.poll() is None, (folder / "log").read_text()
        assert time.monotonic() < end, "the emulator did not become ready"
        time.sleep(0.02)
    yield json.loads(ready_file.read_text())
    process.terminate()
    process.wait(10)
    log.close()
    assert "Traceback" not in (folder / "log").read_text(), (folder / "log").read_text()
