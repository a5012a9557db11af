"""The benchmarks run, measure what they say, and clean up after themselves when interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="times of processes come from /proc"
)


def command(*words: str) -> list[str]:
    """The command line of the benchmarks at their smallest."""
    small = ("--quick", "--workspaces", "6", "--latency", "1", "--actions", "100")
    return [sys.executable, str(BENCHMARKS / "all.py"), *small, *words]


def environ(folder: Path) -> dict[str, str]:
    """Temporary folders are made here."""
    return {**os.environ, "TMPDIR": str(folder)}


def test_every_step_measures_and_prints_json(tmp_path: Path):
    """Guards the commands of docs/performance.md: each step runs, and leaves no folder."""
    out = tmp_path / "figures.json"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        command("--out", str(out), "--only", "start,planner,limiter,plan,drift"),
        env=environ(temporary),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    figures = json.loads(out.read_text())
    assert {"start", "planner", "limiter", "plan", "drift"} <= figures.keys()
    read = figures["plan"]["6 workspaces"]["10 reads"]
    assert 2 * 6 + 2 + 2 * (1 + 1 + 3) == read["requests"]
    assert 1 < read["ratio_to_bound"]
    assert 0 == figures["limiter"]["100 workspaces"]["unreadable"]
    assert "ratio_to_bound" in done.stdout
    assert [] == list(temporary.iterdir())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_benchmark_leaves_nothing_behind(tmp_path: Path, how: signal.Signals):
    """Guards the bad case: no emulator goes on and no folder stays."""
    process = subprocess.Popen(
        command("--only", "plan", "--latency", "5000"),
        env=environ(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _until(lambda: len(_mentioning(tmp_path)) >= 2 and _slow(tmp_path), process)
        process.send_signal(how)
        _, complaint = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert {signal.SIGTERM: 143, signal.SIGINT: 130}[how] == process.returncode, complaint
    assert "Traceback" not in complaint
    assert [] == list(tmp_path.iterdir())
    assert [] == _mentioning(tmp_path)


def _slow(folder: Path) -> bool:
    """Whether the emulator that is measured is up, and no longer the one that builds."""
    return any(b"5000" in words for words in _mentioning(folder) if b"emulator" in words)


def _mentioning(folder: Path) -> list[bytes]:
    """The command lines of running processes that have to do with a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:  # it has just ended
                continue
            if str(folder).encode() in words:
                found.append(words)
    return found


def _until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end_s = time.monotonic() + 60
    while not true():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end_s
        time.sleep(0.02)
