"""What is measured: each step gets the folder of the run and returns its figures."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from estate import STAGES, Server, build, commit_changes, edit_by_hand, running, write_spec
from measure import Done, Traffic, during, environ_of, probe, reconciler, run
from sequential import Script

__all__ = ["STEPS", "Size"]

T = TypeVar("T")

REPOSITORIES = 10
_SCRIPTED = 100
"""Workspaces that the scripts look at: more would take hours."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
        runs: medians of so many.
        small, workspaces, large: workspaces of the estates; the large one is measured once.
        compared: how many workspaces definitions are compared of, once each.
        updates: workspaces that lag behind; every third is the source of a deployment.
        limited: workspaces of the plan under a limit.
        actions: of the planner alone.
        latency_ms: how long a request takes.
    """

    runs: int
    small: int
    workspaces: int
    large: int
    compared: tuple[int, ...]
    updates: int
    limited: int
    actions: int
    latency_ms: float

    def estates(self) -> list[tuple[int, int]]:
        """Return how many workspaces, and how often each is measured."""
        each = [(self.small, self.runs), (self.workspaces, self.runs), (self.large, 1)]
        return [(count, runs) for count, runs in each if count]


def start(folder: Path, size: Size) -> dict[str, Any]:
    """Time commands that ask no service, as ratios to an interpreter that does nothing."""
    one = write_spec(folder / "one.yaml", 1, 1, compare="pairing")
    commands = {
        "help": reconciler("--help"),
        "validate one": reconciler("validate", str(one)),
    }
    for count in (size.workspaces, size.large):
        if count:
            spec = write_spec(folder / f"{count}.yaml", count, REPOSITORIES, compare="pairing")
            commands[f"validate {count}"] = reconciler("validate", str(spec))
    build(folder / "one", 1, 1)
    with running(folder / "one") as server:
        commands["plan one"] = reconciler("plan", str(one))
        bare, found = _in_turn(commands, environ_of(server), size.runs)
    return {"bare_interpreter_ms": round(bare.real_s * 1000, 1), **found}


def _in_turn(
    commands: Mapping[str, Sequence[str]], environ: Mapping[str, str], runs: int
) -> tuple[Done, dict[str, Any]]:
    """Run all commands in turn, so often, each after a bare interpreter; the first time is free."""
    bare_words = [sys.executable, "-c", "pass"]
    bare: list[Done] = []
    done: dict[str, list[Done]] = {name: [] for name in commands}
    ratios: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, words in commands.items():
            before, this = run(bare_words), run(words, environ)
            if number:
                bare.append(before)
                done[name].append(this)
                ratios[name].append(this.real_s / before.real_s)
    found = {
        name: {
            **_middle(each, _real_s).figures(),
            "ratio": round(statistics.median(ratios[name]), 2),
        }
        for name, each in done.items()
    }
    return _middle(bare, _real_s), found


def planner(_: Path, size: Size) -> dict[str, Any]:
    """Time the planner alone."""
    each = [probe("planner", str(size.actions)) for _ in range(size.runs)]
    return {f"{size.actions} actions": _middle(each, lambda f: f["plan_s"])}


def limiter(folder: Path, size: Size) -> dict[str, Any]:
    """Plan under a limit of 10 calls a minute per API, in virtual time."""
    found = probe("limiter", str(size.limited), environ={"PROBE_FOLDER": str(folder)})
    return {f"{size.limited} workspaces": found}


def plan(folder: Path, size: Size) -> dict[str, Any]:
    """Time plans of estates in which nothing differs."""
    found: dict[str, Any] = {}
    for count, runs in size.estates():
        found[f"{count} workspaces"] = _plans(folder, size, count, runs)
    for count in size.compared:
        where = _estate(folder, size.workspaces)
        spec = _spec(where, count, compare="definitions")
        with _slow(where, size, speed="fast") as server:
            found[f"definitions, {count} workspaces, 32 reads"] = _reads(
                server, spec, 32, count, size, runs=1
            )
    if size.large:
        found["growth"] = {
            f"{reads} reads: ms per workspace, {size.large} to {size.workspaces}": round(
                found[f"{size.large} workspaces"][f"{reads} reads"]["ms_per_workspace"]
                / found[f"{size.workspaces} workspaces"][f"{reads} reads"]["ms_per_workspace"],
                3,
            )
            for reads in (10, 32)
        }
    return found


def _plans(folder: Path, size: Size, workspaces: int, runs: int) -> dict[str, Any]:
    """Time plans of one estate with 10 and 32 reads, and the scripts that look at some of it."""
    where = _estate(folder, workspaces)
    spec = _spec(where, workspaces, compare="pairing")
    found: dict[str, Any] = {}
    with _slow(where, size) as server:
        for reads in (10, 32):
            found[f"{reads} reads"] = _reads(server, spec, reads, workspaces, size, runs=runs)
        scripted = min(_SCRIPTED, workspaces)
        found["sequential scripts"] = _scripts(server, scripted)
    each_ms = found["sequential scripts"]["s_per_workspace"] * 1000
    for reads in (10, 32):
        one = found[f"{reads} reads"]
        one["times_faster_than_scripts"] = round(each_ms / one["ms_per_workspace"], 1)
    return found


def _reads(
    server: Server, spec: Path, reads: int, workspaces: int, size: Size, *, runs: int
) -> dict[str, Any]:
    """Time the read phase, which is what the bound is about, and what comes before and after."""
    words = ("read", str(spec), "--reads", str(reads))
    each = [during(server, lambda: probe(*words, environ=environ_of(server))) for _ in range(runs)]
    middle: dict[str, Any]
    middle, traffic = _middle(each, lambda e: e[0]["read_s"])
    if traffic.requests != middle["requests"]:
        raise SystemExit(f"{middle['requests']} requests counted, {traffic.requests} logged")
    found = dict(middle)
    by_api = found.pop("by_api")
    found |= traffic.against(middle["read_s"], size.latency_ms, reads)
    if "operations.get" in by_api:
        waited_s = traffic.silent_s
        found["waited_for_operations_s"] = waited_s
        found["ratio_to_bound_without_waiting"] = round(
            (middle["read_s"] - waited_s) / found["bound_s"], 2
        )
    found["all_runs_read_s"] = [round(e[0]["read_s"], 2) for e in each]
    found["ms_per_workspace"] = round(middle["read_s"] / workspaces * 1000, 2)
    found["cpu_ms_per_request"] = round(middle["read_cpu_s"] / middle["requests"] * 1000, 2)
    found["by_api"] = by_api
    return found


def drift(folder: Path, size: Size) -> dict[str, Any]:
    """Time drift where 1 % of the workspaces were changed by hand."""
    return {
        f"{count} workspaces": _drifts(folder, size, count, runs) for count, runs in size.estates()
    }


def _drifts(folder: Path, size: Size, workspaces: int, runs: int) -> dict[str, Any]:
    where = _estate(folder, workspaces)
    spec = _spec(where, workspaces, compare="pairing")
    changed = range(0, workspaces, 100)
    words = reconciler("drift", str(spec), "--format", "json", "--reads", "10")
    with _slow(where, size) as server:
        edit_by_hand(server, changed)
        each = [
            during(server, lambda: run(words, environ_of(server), codes=(2,))) for _ in range(runs)
        ]
    done: Done
    done, traffic = _middle(each, lambda e: _real_s(e[0]))
    differences = json.loads(done.out)["summary"]["differences"]
    if differences != len(changed):
        raise SystemExit(f"{differences} differences, not {len(changed)}")
    shutil.rmtree(where)  # it is no longer what others want to measure
    return {
        "changed": len(changed),
        **done.figures(),
        **traffic.against(done.real_s, size.latency_ms, 10),
    }


def apply(folder: Path, size: Size) -> dict[str, Any]:
    """Time an apply of updates and deployments, and scripts that do the same for some of them."""
    folder = folder / "apply"
    build(folder, size.updates, REPOSITORIES, targets=True)
    spec = write_spec(
        folder / "apply.yaml", size.updates, REPOSITORIES, compare="pairing", targets=True
    )
    with running(folder) as server:
        commit_changes(folder, server, range(size.updates), REPOSITORIES)
    pipelines = range(0, size.updates - 2, 3)
    operations = size.updates + len(pipelines)
    each = []
    for number in range(size.runs):
        data = _copy(folder, number)
        with _slow(data, size) as server:
            each.append(during(server, lambda where=data: _apply(spec, where, server)))
        shutil.rmtree(data)
    done: Done
    traffic: Traffic
    done, traffic = _middle(each, lambda e: _real_s(e[0]))
    data = _copy(folder, size.runs)
    with _slow(data, size) as server:
        scripted = _write_with_scripts(server, pipelines[: max(1, len(pipelines) // 3)])
    shutil.rmtree(data)
    each_s = done.real_s / operations
    return {
        "updates": size.updates,
        "deployments": len(pipelines),
        "last line": done.out.strip().splitlines()[-1],
        **done.figures(),
        **traffic.against(done.real_s, size.latency_ms, 10),
        "s_per_operation": round(each_s, 3),
        "sequential scripts": scripted,
        "times_faster_than_scripts": round(scripted["s_per_operation"] / each_s, 1),
    }


def _copy(folder: Path, number: int) -> Path:
    copied = folder / f"run-{number}"
    shutil.copytree(folder / "data", copied / "data")
    return copied


def _apply(spec: Path, folder: Path, server: Server) -> Done:
    words = reconciler("apply", str(spec), "--auto-approve", "--no-lock", "--reads", "10")
    return run(words, environ_of(server), cwd=folder)


# -- parts --


def _estate(folder: Path, workspaces: int) -> Path:
    """Return the folder of an estate in which nothing differs; it is built when first asked for."""
    where = folder / f"estate-{workspaces}"
    if not where.exists():
        build(where, workspaces, REPOSITORIES)
    return where


def _spec(folder: Path, workspaces: int, *, compare: str) -> Path:
    path = folder / f"{workspaces}-{compare}.yaml"
    return write_spec(path, workspaces, REPOSITORIES, compare=compare)


def _slow(folder: Path, size: Size, *, speed: str = "instant") -> Any:  # noqa: ANN401
    return running(folder, "--latency", str(size.latency_ms), speed=speed)


def _middle(each: Iterable[T], key: Callable[[T], float]) -> T:
    """Return the entry whose figure is the median."""
    ordered = sorted(each, key=key)
    return ordered[len(ordered) // 2]


def _real_s(done: Done) -> float:
    return done.real_s


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


def _write_with_scripts(server: Server, pipelines: Sequence[int]) -> dict[str, Any]:
    """Update and deploy one call after another."""
    script = Script(server.ready)
    updates = pipelines[-1] + 3
    began = time.perf_counter()
    for number in range(updates):
        script.update(f"Workspace {number:04d}")
    for number in pipelines:
        script.deploy(f"Pipeline {number:04d}", *STAGES[:2])
    real_s = time.perf_counter() - began
    script.close()
    operations = updates + len(pipelines)
    return {
        "operations": operations,
        "calls": script.calls,
        "s": round(real_s, 2),
        "s_per_operation": round(real_s / operations, 3),
    }


STEPS: Mapping[str, Callable[[Path, Size], dict[str, Any]]] = {
    "start": start,
    "planner": planner,
    "limiter": limiter,
    "plan": plan,
    "drift": drift,
    "apply": apply,
}
"""By name, in the order they run."""
