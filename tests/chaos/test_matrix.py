"""A sample of the fault matrix, the honesty of its kills, and the harness itself."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from chaos.__main__ import table
from chaos.dump import dump
from chaos.faults import FaultKind, Request
from chaos.matrix import (
    RERUNS,
    Case,
    Prepared,
    copied,
    differences,
    effects_of,
    prepared,
    run_case,
)
from chaos.scenarios import SCENARIOS
from in_process import InProcess

from reconciler.emulator.faults import Fault

_SEED = 20_261_122
_CASES = 8
_WAIT_S = 60


@pytest.mark.parametrize("name", SCENARIOS)
async def test_an_apply_that_one_fault_disturbs_is_finished_by_the_next(
    name: str, tmp_path: Path
) -> None:
    """Guards convergence: the same world as without the fault, nothing twice, nothing left."""
    chance = random.Random(f"{_SEED} {name}")  # noqa: S311 - repeatable
    async with prepared(SCENARIOS[name], tmp_path) as ready:
        for case in chance.sample(list(ready.cases()), _CASES):
            verdict = await run_case(ready, case)
            assert verdict.well, (case.id, verdict)


@pytest.mark.parametrize(
    ("name", "fault", "path"),
    [
        ("12-new-pipeline-new-workspace", FaultKind.KILL_AFTER, "/deploymentPipelines"),
        ("12-new-pipeline-new-workspace", FaultKind.KILL_AFTER, "/deploy"),
        ("15-import-through-endpoint", FaultKind.HANG, "/importRequests"),
        ("21-cascade-to-production", FaultKind.KILL_AFTER, "/deploy"),
        ("26-first-commit", FaultKind.KILL_BEFORE, "/commitToGit"),
        ("27-drop-hand-edits", FaultKind.LOST, "/initializeConnection"),
    ],
)
async def test_what_the_matrix_once_found_stays_repaired(
    name: str, fault: FaultKind, path: str, tmp_path: Path
) -> None:
    """Guards the places where an apply did not converge, claimed to, or did something twice."""
    async with prepared(SCENARIOS[name], tmp_path) as ready:
        writes = [r.method == "POST" and r.path.endswith(path) for r in ready.requests]
        for journal in (True, False):
            verdict = await run_case(ready, Case(name, fault, writes.index(True), journal))
            assert verdict.well, verdict
            assert verdict.applies <= 2


async def test_every_fault_happens_to_the_request_it_was_meant_for(tmp_path: Path) -> None:
    """Guards the harness: each kind can happen, does, and is seen as what it is."""
    async with prepared(SCENARIOS["13-import-public"], tmp_path) as ready:
        cases = {case.fault: case for case in ready.cases()}
        assert set(FaultKind) == cases.keys()
        for case in cases.values():
            verdict = await run_case(ready, case)
            request = ready.requests[case.index]
            assert f"{request.method} {request.path}" == verdict.request
            assert ("killed" == verdict.told[0]) is case.fault.kills
            assert verdict.applies <= 1 + RERUNS


async def test_a_difference_and_a_duplicate_are_found(tmp_path: Path) -> None:
    """Guards the judge: what another run has done more, or otherwise, is named."""
    async with prepared(SCENARIOS["05-store-credentials-azure-devops"], tmp_path) as ready:
        less = Prepared(
            ready.scenario,
            ready.speed,
            ready.data,
            ready.loaded,
            ready.requests,
            ready.final.replace("sales-git", "another"),
            Counter(),
        )
        verdict = await run_case(less, Case(ready.scenario.name, FaultKind.THROTTLED, 0))
        assert ("1 x POST /v1/connections",) == verdict.duplicates
        assert any("sales-git" in line for line in verdict.lost)
        assert not verdict.well


def test_a_fault_is_tried_only_where_it_can_happen() -> None:
    """Guards the count of cases: no stale read before a write, no failing operation of a read."""
    read = Request("GET", "/", 200, stale=False, begins=False)
    assert not read.can(FaultKind.STALE)
    assert not read.can(FaultKind.OPERATION)
    assert read.can(FaultKind.LOST)


def test_the_table_counts_cases_by_fault() -> None:
    """Guards the summary: a case that is not well is counted as what it is."""
    entry = {"case": {"fault": "lost"}, "restless": "", "duplicates": [], "lost": []}
    bad = {**entry, "restless": "x", "duplicates": ["1 x POST /"], "lost": ["-a"]}
    last = table([entry, entry, bad]).splitlines()[-1]
    assert "| all | 3 | 2 | 1 | 1 |" == last


async def _command(world: InProcess, spec: Path, folder: Path) -> asyncio.subprocess.Process:
    """Start the real command against the emulator of this process."""
    settings = world.settings()
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "reconciler", "apply", str(spec), "--auto-approve"),
        cwd=folder,
        env={
            **{k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")},
            **settings.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "RECONCILER_FABRIC_URL": str(settings.fabric_url),
            "RECONCILER_DEVOPS_URL": str(settings.devops_url),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _killed(world: InProcess, ready: Prepared, fault: Fault, folder: Path) -> None:
    """Apply, and kill the process while the request of the fault is not answered."""
    world.emulator.world.faults.faults.append(fault)
    process = await _command(world, ready.scenario.spec, folder)
    try:
        async with asyncio.timeout(_WAIT_S):
            while not fault.fired:  # noqa: ASYNC110 - the emulator offers no event
                await asyncio.sleep(0.01)
    finally:
        process.kill()
        await process.communicate()
    assert -signal.SIGKILL == process.returncode
    world.emulator.world.faults.clear()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    "name", ["04-connect-and-update", "14-import-private", "21-cascade-to-production"]
)
async def test_a_process_killed_by_the_system_is_finished_by_the_next(
    name: str, moment: str, tmp_path: Path
) -> None:
    """Guards that simulated kills tell the truth: SIGKILL of the real command ends as well."""
    chance = random.Random(f"{_SEED} {name} {moment}")  # noqa: S311 - repeatable
    async with prepared(SCENARIOS[name], tmp_path, "instant") as ready:
        writes = [n for n, r in enumerate(ready.requests) if r.method == "POST"]
        number = chance.choice(writes[-3:]) + 1
        async with copied(ready.scenario, ready.data, ready.speed) as world:
            fault = Fault(nth=number, hang="before" if moment == "before" else "after")
            await _killed(world, ready, fault, tmp_path)
            for _ in range(RERUNS):
                process = await _command(world, ready.scenario.spec, tmp_path)
                out, _ = await process.communicate()
                if process.returncode == 0:
                    break
            assert 0 == process.returncode, out.decode()
            assert not effects_of(world) - ready.effects
            assert () == differences(ready.final, dump(world.emulator.world))
