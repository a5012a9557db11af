"""Run the benchmarks on the emulator; prints a table, or JSON with ``--json``.

::

    python benchmarks/all.py --quick            # a few minutes
    python benchmarks/all.py [--only plan,drift,apply,limiter,planner,start] [--json]
    python benchmarks/all.py --only plan --workspaces 10000 --runs 1

Everything is measured in one run against two baselines of the same run: the bound (requests made
times latency by concurrency) and scripts that call one after another (100 workspaces, scaled by
workspace). Works in a temporary folder and on loopback; an interrupt or SIGTERM ends the emulator
and removes the folder. Linux only: times and memory of processes come from ``/proc`` and wait4.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from estate import (
    STAGES,
    Server,
    build,
    commit_changes,
    edit_by_hand,
    running,
    write_spec,
)
from sequential import Script

HERE = Path(__file__).resolve().parent
REPOSITORIES = 10
NAMES = ("start", "planner", "limiter", "plan", "drift", "apply")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    runs: int
    workspaces: int
    compared: int
    updates: int
    limited: int
    actions: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Done:
    """What a finished process needed."""

    out: str
    real_s: float
    cpu_s: float
    peak_mib: float


def main() -> int:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one run of each")
    parser.add_argument("--only", default=",".join(NAMES), help=f"of {','.join(NAMES)}")
    parser.add_argument("--runs", type=int, help="medians of so many runs (default: 5)")
    parser.add_argument("--workspaces", type=int, help="of plan and drift (default: 1000)")
    parser.add_argument("--latency", type=float, default=50.0, metavar="MS")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    size = (
        Size(1, 100, 12, 30, 100, 10_000, args.latency)
        if args.quick
        else Size(5, 1000, 99, 300, 1000, 100_000, args.latency)
    )
    size = replace(size, runs=args.runs or size.runs, workspaces=args.workspaces or size.workspaces)
    wanted = args.only.split(",")
    if unknown := set(wanted) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that "finally" is carried out
    figures: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        "load_before": os.getloadavg()[0],
        "latency_ms": size.latency_ms,
    }
    steps: dict[str, Callable[[Path, Size], Mapping[str, Any]]] = {
        "start": start,
        "planner": planner,
        "limiter": limiter,
        "plan": plan,
        "drift": drift,
        "apply": apply,
    }
    for name in wanted:
        folder = Path(tempfile.mkdtemp(prefix="reconciler-benchmark-"))
        try:
            figures[name] = dict(steps[name](folder, size))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        sys.stderr.write(f"{name}: done\n")
    sys.stdout.write(json.dumps(figures, indent=2) + "\n" if args.json else _table(figures))
    return 0


# -- the steps --


def start(folder: Path, size: Size) -> dict[str, Any]:
    """Time commands that ask no service, as ratios to an interpreter that does nothing."""
    bare = _median(size, [sys.executable, "-c", "pass"])
    one = write_spec(folder / "one.yaml", 1, 1, compare="pairing")
    many = write_spec(folder / "many.yaml", size.workspaces, REPOSITORIES, compare="pairing")
    most = write_spec(folder / "most.yaml", 10 * size.workspaces, REPOSITORIES, compare="pairing")
    found: dict[str, Any] = {"bare_interpreter_ms": round(bare.real_s * 1000, 1)}
    for name, words in (
        ("help", ["--help"]),
        ("validate one", ["validate", str(one)]),
        (f"validate {size.workspaces}", ["validate", str(many)]),
        (f"validate {10 * size.workspaces}", ["validate", str(most)]),
    ):
        done = _median(size, _reconciler(*words))
        found[name] = {
            "s": round(done.real_s, 3),
            "cpu_s": round(done.cpu_s, 3),
            "ratio": round(done.real_s / bare.real_s, 2),
            "peak_mib": done.peak_mib,
        }
    build(folder, 1, 1)
    with running(folder) as server:
        done = _median(size, _reconciler("plan", str(one)), _environ(server))
    found["plan one"] = {
        "s": round(done.real_s, 3),
        "cpu_s": round(done.cpu_s, 3),
        "ratio": round(done.real_s / bare.real_s, 2),
        "peak_mib": done.peak_mib,
    }
    return found


def planner(_: Path, size: Size) -> dict[str, Any]:
    """Time the planner alone."""
    found = [_probe("planner", str(size.actions)) for _ in range(size.runs)]
    return _middle(found, "plan_s")


def limiter(folder: Path, size: Size) -> dict[str, Any]:
    """Plan under a limit of 10 calls a minute per API, in virtual time."""
    return _probe("limiter", str(size.limited), environ={"PROBE_FOLDER": str(folder)})


def plan(folder: Path, size: Size) -> dict[str, Any]:
    """Time plans of an estate in which nothing differs."""
    built = build(folder, size.workspaces, REPOSITORIES)
    spec = write_spec(folder / "pairing.yaml", size.workspaces, REPOSITORIES, compare="pairing")
    found: dict[str, Any] = {"workspaces": size.workspaces, "scenario": built}
    with running(folder, "--latency", str(size.latency_ms)) as server:
        for reads in (10, 32):
            found[f"pairing, {reads} reads"] = _reads(server, spec, reads, size)
        found["sequential scripts"] = _scripts(server, min(100, size.workspaces))
        each = found["sequential scripts"]["s_per_workspace"]
        for reads in (10, 32):
            one = found[f"pairing, {reads} reads"]
            one["times_faster_than_scripts"] = round(each / one["ms_per_workspace"] * 1000, 1)
        few = write_spec(folder / "few.yaml", size.compared, REPOSITORIES, compare="definitions")
        fewer = replace(size, runs=1, workspaces=size.compared)
        found[f"definitions, {size.compared} workspaces, 10 reads"] = _reads(server, few, 10, fewer)
    return found


def drift(folder: Path, size: Size) -> dict[str, Any]:
    """Time drift where 1 % of the workspaces were changed by hand."""
    build(folder, size.workspaces, REPOSITORIES)
    spec = write_spec(folder / "pairing.yaml", size.workspaces, REPOSITORIES, compare="pairing")
    changed = range(0, size.workspaces, 100)
    with running(folder, "--latency", str(size.latency_ms)) as server:
        edit_by_hand(server, changed)
        words = _reconciler("drift", str(spec), "--format", "json")
        runs = [
            _measured(server, lambda: _run(words, _environ(server), codes=(0, 2)))
            for _ in range(size.runs)
        ]
    middle = sorted(runs, key=lambda r: r[0].real_s)[len(runs) // 2]
    report = json.loads(middle[0].out)
    if report["summary"]["differences"] != len(changed):
        raise SystemExit(f"{report['summary']['differences']} differences, not {len(changed)}")
    return {"changed": len(changed), **_figures(middle[0], middle[1], 10, size)}


def apply(folder: Path, size: Size) -> dict[str, Any]:
    """Time an apply of updates and deployments, and scripts that do the same for some of them."""
    build(folder, size.updates, REPOSITORIES, targets=True)
    spec = write_spec(
        folder / "apply.yaml", size.updates, REPOSITORIES, compare="pairing", targets=True
    )
    with running(folder) as server:
        commit_changes(folder, server, range(size.updates), REPOSITORIES)
    shutil.copytree(folder / "data", folder / "before")
    pipelines = range(0, size.updates - 2, 3)
    found: dict[str, Any] = {"updates": size.updates, "deployments": len(pipelines)}
    with running(folder, "--latency", str(size.latency_ms)) as server:
        words = _reconciler("apply", str(spec), "--auto-approve", "--no-lock")
        done, emulator = _measured(server, lambda: _run(words, _environ(server), cwd=folder))
        found["reconciler"] = _figures(done, emulator, 10, size)
        found["reconciler"]["s_per_operation"] = round(
            done.real_s / (size.updates + len(pipelines)), 3
        )
        found["last line"] = done.out.strip().splitlines()[-1]
    shutil.rmtree(folder / "data")
    shutil.move(folder / "before", folder / "data")
    with running(folder, "--latency", str(size.latency_ms)) as server:
        script = Script(server.ready)
        some = pipelines[: max(1, len(pipelines) // 3)]
        began = time.perf_counter()
        for number in range(some[-1] + 3):
            script.update(f"Workspace {number:04d}")
        for number in some:
            script.deploy(f"Pipeline {number:04d}", *STAGES[:2])
        real_s = time.perf_counter() - began
        operations = some[-1] + 3 + len(some)
        script.close()
    found["sequential scripts"] = {
        "operations": operations,
        "calls": script.calls,
        "s": round(real_s, 2),
        "s_per_operation": round(real_s / operations, 3),
    }
    found["times_faster_than_scripts"] = round(
        real_s / operations / found["reconciler"]["s_per_operation"], 1
    )
    return found


# -- measuring --


def _reconciler(*words: str) -> list[str]:
    return [sys.executable, "-m", "reconciler", *words]


def _environ(server: Server) -> dict[str, str]:
    token = server.ready["token"]
    return {
        "RECONCILER_FABRIC_URL": server.ready["fabric_url"],
        "RECONCILER_DEVOPS_URL": server.ready["devops_url"],
        "RECONCILER_FABRIC_TOKEN": token,
        "RECONCILER_DEVOPS_TOKEN": token,
    }


def _run(
    words: Sequence[str],
    environ: Mapping[str, str] | None = None,
    *,
    codes: Sequence[int] = (0,),
    cwd: Path | None = None,
) -> Done:
    """Run a process to its end and tell what it needed; it ends with this one."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            words, stdout=out, stderr=err, env={**os.environ, **(environ or {})}, cwd=cwd
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            process.kill()
            process.wait(10)
            raise
        real_s = time.perf_counter() - began
        out.seek(0)
        err.seek(0)
        if process.returncode not in codes:
            complaint = err.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{' '.join(words)} ended with {process.returncode}\n{complaint}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Done(out.read().decode(), real_s, cpu_s, round(usage.ru_maxrss / 1024, 1))


def _median(size: Size, words: Sequence[str], environ: Mapping[str, str] | None = None) -> Done:
    runs = sorted((_run(words, environ) for _ in range(size.runs)), key=lambda d: d.real_s)
    return runs[len(runs) // 2]


def _probe(*words: str, environ: Mapping[str, str] | None = None) -> dict[str, Any]:
    done = _run([sys.executable, str(HERE / "probe.py"), *words], environ)
    found: dict[str, Any] = json.loads(done.out)
    return found


def _middle(found: list[dict[str, Any]], key: str) -> dict[str, Any]:
    return sorted(found, key=lambda f: f[key])[len(found) // 2]


def _measured(server: Server, action: Callable[[], Done]) -> tuple[Done, dict[str, float]]:
    """Run and tell what the emulator did meanwhile, by its own log and processor time."""
    log = f"{server.ready['control_url']}/requests"
    server.must("DELETE", log)
    before_s = server.cpu_s()
    done = action()
    cpu_s = server.cpu_s() - before_s
    logged = json.loads(server.must("GET", log))["requests"]
    count = sum(r["service"] != "control" for r in logged)
    return done, {"requests": count, "emulator_cpu_ms": round(cpu_s / max(1, count) * 1000, 2)}


def _figures(done: Done, seen: Mapping[str, float], concurrency: int, size: Size) -> dict[str, Any]:
    bound_s = seen["requests"] * size.latency_ms / 1000 / concurrency
    return {
        "s": round(done.real_s, 2),
        "cpu_s": round(done.cpu_s, 2),
        "peak_mib": done.peak_mib,
        **seen,
        "bound_s": round(bound_s, 2),
        "ratio_to_bound": round(done.real_s / bound_s, 2),
    }


def _reads(server: Server, spec: Path, reads: int, size: Size) -> dict[str, Any]:
    """Read and plan in a process of its own, some times."""
    runs = []
    for _ in range(size.runs):
        words = [sys.executable, str(HERE / "probe.py"), "read", str(spec), "--reads", str(reads)]
        done, seen = _measured(server, lambda w=words: _run(w, _environ(server)))  # type: ignore[misc]
        runs.append({**json.loads(done.out), **seen, "peak_mib": done.peak_mib})
    found = _middle(runs, "read_s")
    if found["actions"]:
        raise SystemExit("something differs where nothing should")
    bound_s = found["requests"] * size.latency_ms / 1000 / reads
    found["bound_s"] = round(bound_s, 2)
    found["ratio_to_bound"] = round(found["read_s"] / bound_s, 2)
    found["spread_s"] = [r["read_s"] for r in runs]
    found["ms_per_workspace"] = round(found["read_s"] / size.workspaces * 1000, 2)
    found["cpu_ms_per_request"] = round(found["read_cpu_s"] / found["requests"] * 1000, 2)
    return found


def _scripts(server: Server, workspaces: int) -> dict[str, Any]:
    """Look at everything one call after another."""
    script = Script(server.ready)
    began = time.perf_counter()
    for number in range(workspaces):
        script.look_at_workspace(f"Workspace {number:04d}")
    for number in range(0, workspaces - 2, 3):
        script.look_at_pipeline(f"Pipeline {number:04d}", STAGES)
    real_s = time.perf_counter() - began
    script.close()
    return {
        "workspaces": workspaces,
        "calls": script.calls,
        "s": round(real_s, 2),
        "s_per_workspace": round(real_s / workspaces, 4),
    }


def _table(figures: Mapping[str, Any]) -> str:
    rows: list[tuple[str, str]] = []

    def walk(value: object, name: str) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(inner, f"{name}: {key}" if name else key)
        else:
            rows.append((name, str(value)))

    walk(figures, "")
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
