"""Running one process and telling what it needed, and what the emulator did meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from estate import CLIENT_CORE, Server, keep_to_core

__all__ = ["Done", "Traffic", "during", "environ_of", "probe", "reconciler", "run"]

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Done:
    """What a finished process needed; the memory is the highest it had."""

    out: str
    real_s: float
    cpu_s: float
    peak_mib: float

    def figures(self) -> dict[str, Any]:
        """Return the figures of a whole command."""
        return {
            "s": round(self.real_s, 3),
            "cpu_s": round(self.cpu_s, 3),
            "peak_mib": self.peak_mib,
        }


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the emulator's log says of one measured step.

    Attributes:
        requests: how many were made.
        emulator_cpu_ms: the emulator's own processor time per request.
        silent_s: time between the first and the last request with none on its way: with
            operations it is what was waited for them.
    """

    requests: int
    emulator_cpu_ms: float
    silent_s: float

    def against(self, took_s: float, latency_ms: float, at_once: int) -> dict[str, Any]:
        """Compare a time with the bound: requests x latency / requests at a time."""
        bound_s = self.requests * latency_ms / 1000 / at_once
        return {
            "requests": self.requests,
            "bound_s": round(bound_s, 2),
            "ratio_to_bound": round(took_s / bound_s, 2),
            "emulator_cpu_ms_per_request": self.emulator_cpu_ms,
        }


def reconciler(*words: str) -> list[str]:
    """Return the command line of a command."""
    return [sys.executable, "-m", "reconciler", *words]


def environ_of(server: Server) -> dict[str, str]:
    """Return what a command needs to reach the emulator."""
    token = server.ready["token"]
    return {
        "RECONCILER_FABRIC_URL": server.ready["fabric_url"],
        "RECONCILER_DEVOPS_URL": server.ready["devops_url"],
        "RECONCILER_FABRIC_TOKEN": token,
        "RECONCILER_DEVOPS_TOKEN": token,
    }


def run(
    words: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    codes: Sequence[int] = (0,),
    cwd: Path | None = None,
) -> Done:
    """Run a process to its end and tell what it needed; it ends with this one.

    Bytecode is cached, as after any installation, whatever the environment says.
    """
    everything = {**os.environ, **(environ or {}), "PYTHONDONTWRITEBYTECODE": ""}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(words, stdout=out, stderr=err, env=everything, cwd=cwd)
        try:
            keep_to_core(process.pid, CLIENT_CORE)
            with _watched(process.pid) as memory:
                _, status, usage = os.wait4(process.pid, 0)
                real_s = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.kill()
            process.wait(10)
            raise
        out.seek(0)
        err.seek(0)
        if process.returncode not in codes:
            complaint = err.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}\n{complaint}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Done(out.read().decode(), real_s, cpu_s, round(max(memory) / 1024, 1))


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """Look at the highest memory of a process, in KiB, while the block waits for its end.

    What wait4 tells would count the memory of this process too, which the other was forked from.
    """
    seen = [0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:  # it has ended
                return
            seen.extend(int(n) for n in re.findall(r"VmHWM:\s+(\d+)", status))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def probe(*words: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run one step in a process of its own."""
    done = run([sys.executable, str(HERE / "probe.py"), *words], environ)
    found: dict[str, Any] = json.loads(done.out)
    return found


def during(server: Server, action: Callable[[], Any]) -> tuple[Any, Traffic]:
    """Do something and tell what the emulator did meanwhile, by its own log and processor time."""
    log = f"{server.ready['control_url']}/requests"
    server.must("DELETE", log)
    before_s = server.cpu_s()
    done = action()
    cpu_s = server.cpu_s() - before_s
    logged = [r for r in json.loads(server.must("GET", log))["requests"] if _counts(r)]
    server.must("DELETE", log)
    share_ms = cpu_s / max(1, len(logged)) * 1000
    return done, Traffic(len(logged), round(share_ms, 2), round(_silent_s(server, logged), 2))


def _counts(request: Mapping[str, Any]) -> bool:
    return bool(request["service"] != "control")


def _silent_s(server: Server, logged: Sequence[Mapping[str, Any]]) -> float:
    """Return how long nothing was on its way; a request is known by when it was carried out."""
    latency_s = json.loads(server.must("GET", f"{server.ready['control_url']}/latency"))
    half_s = float(latency_s["latency_ms"]) / 2000
    silent_s, until_s = 0.0, None
    for at_s in sorted(datetime.fromisoformat(r["time"]).timestamp() for r in logged):
        if until_s is not None:
            silent_s += max(0.0, at_s - half_s - until_s)
        until_s = at_s + half_s
    return silent_s
