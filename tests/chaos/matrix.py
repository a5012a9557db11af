"""One case of the fault matrix: a scenario, a request of its apply, and what happens to it.

A scenario is loaded once into a folder that an emulator keeps. A case copies the folder, opens an
emulator on it in this process, applies with one request disturbed, applies again until nothing is
left to do, and compares the world with that of an undisturbed run.
"""

from __future__ import annotations

import difflib
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import yaml
from chaos.dump import dump
from chaos.faults import Disturbance, FaultKind, Killed, Request
from chaos.runs import Run, apply, load, quiet
from in_process import BEGAN, InProcess, in_process

from reconciler.emulator.options import Speed
from reconciler.engine import Settings
from reconciler.spec.load import LoadResult

__all__ = [
    "RERUNS",
    "Case",
    "Prepared",
    "Scenario",
    "Verdict",
    "copied",
    "differences",
    "effects_of",
    "prepared",
    "run_case",
]

RERUNS = 4
_LOADED_FOR = timedelta(hours=1)
_TO_THE_END_S = 600.0
# A kill may leave the endpoint of an import behind; the next run removes it and makes another.
_MAY_REPEAT = ("/serviceendpoint/endpoints", "/distributedtask/serviceendpoints")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What exists, and the spec that is applied to it."""

    name: str
    spec: Path
    exists: Path
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A scenario with its undisturbed run.

    Attributes:
        data: the folder of an emulator that has loaded it.
        requests: what the undisturbed apply asks, in order.
        final: the world after it.
        effects: how often each write took effect in it.
    """

    scenario: Scenario
    speed: Speed
    data: Path
    loaded: LoadResult
    requests: Sequence[Request]
    final: str
    effects: Counter[str]

    def cases(self) -> Iterator[Case]:
        """Return every fault at every request that it can happen to."""
        for index, request in enumerate(self.requests):
            for kind in FaultKind:
                if request.can(kind):
                    yield Case(self.scenario.name, kind, index)
                    yield Case(self.scenario.name, kind, index, journal=False)


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """A fault at a request of a scenario's apply.

    Attributes:
        journal: whether the later applies find the journal of the first; a fresh CI runner has
            none.
    """

    scenario: str
    fault: FaultKind
    index: int
    journal: bool = True

    @property
    def id(self) -> str:
        """A name that says all of it."""
        return f"{self.scenario}/{self.fault}/{self.index}{'' if self.journal else '/fresh'}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a case.

    Attributes:
        request: which request went wrong.
        applies: how many applies it took, the disturbed one included.
        restless: why it did not come to rest; "" when it did.
        duplicates: writes that took effect more often than without the fault.
        lost: how the world differs from that of the undisturbed run.
        astray: the disturbed run had asked for something else before the fault.
    """

    case: Case
    request: str
    applies: int
    restless: str = ""
    duplicates: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    astray: bool = False
    told: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.restless or self.duplicates or self.lost or self.astray)


@asynccontextmanager
async def prepared(
    scenario: Scenario, folder: Path, speed: Speed = "real"
) -> AsyncIterator[Prepared]:
    """Load a scenario and run it once without a fault; its folder goes with the context."""
    data = Path(tempfile.mkdtemp(prefix="scenario-", dir=folder))
    try:
        async with in_process(speed=speed, data=data) as world:
            exists = yaml.safe_load(scenario.exists.read_text())
            await world.scenario(exists, str(scenario.exists.parent))
        loaded = load(scenario.spec)
        async with copied(scenario, data, speed) as world:
            world.intercept = watch = Disturbance(world)
            run = await apply(loaded, world.settings())
            requests = tuple(watch.seen)
            left = await quiet(loaded, world.settings())
            assert (0, "") == (run.code, left), f"{scenario.name}: {run.text} {left}"
            effects = effects_of(world)
            world.clock.advance(_TO_THE_END_S)
            final = dump(world.emulator.world)
        yield Prepared(scenario, speed, data, loaded, requests, final, effects)
    finally:
        shutil.rmtree(data)


@asynccontextmanager
async def copied(scenario: Scenario, data: Path, speed: Speed) -> AsyncIterator[InProcess]:
    """Open an emulator on a copy of a folder, an hour after it was written."""
    with tempfile.TemporaryDirectory(prefix="case-", dir=data.parent) as name:
        copy = Path(name) / "data"
        shutil.copytree(data, copy)
        async with in_process(speed=speed, data=copy, starts=BEGAN + _LOADED_FOR) as world:
            world.environ.update(scenario.environ)
            yield world


def effects_of(world: InProcess) -> Counter[str]:
    """Count the writes by POST that took effect."""
    return Counter(
        f"{r.method} {r.route}"
        for r in world.emulator.world.log.entries
        if r.effect and r.method == "POST" and not str(r.route).endswith(_MAY_REPEAT)
    )


async def run_case(prepared: Prepared, case: Case) -> Verdict:
    """Apply with the fault, apply until quiet, and judge."""
    async with copied(prepared.scenario, prepared.data, prepared.speed) as world:
        folder = world.emulator.world.root.parent
        first, kept = folder / "journals", folder / "kept"
        fault = Disturbance(world, case.fault, case.index, first, kept)
        world.intercept = fault
        runs = [await _until_dead(prepared.loaded, world.settings(journals=first), fault)]
        sent = len(fault.seen)
        world.intercept = Disturbance(world)
        later = (kept if fault.dead else first) if case.journal else folder / "nothing"
        settings = world.settings(journals=later)
        left = await _again(prepared.loaded, settings, runs)
        assert sent == len(fault.seen), "a dead process has sent something"
        effects = effects_of(world)
        world.clock.advance(_TO_THE_END_S)  # what a killed run has begun ends by itself
        return Verdict(
            case,
            _place(fault, case),
            len(runs),
            restless=left if left or runs[-1].code == 0 else runs[-1].text,
            duplicates=_repeated(prepared, case, effects),
            lost=differences(prepared.final, dump(world.emulator.world)),
            astray=_is_astray(prepared, case, fault),
            told=tuple(r.text for r in runs),
        )


def _place(fault: Disturbance, case: Case) -> str:
    if case.index >= len(fault.seen):
        return "never sent"
    request = fault.seen[case.index]
    return f"{request.method} {request.path}"


def _is_astray(prepared: Prepared, case: Case, fault: Disturbance) -> bool:
    expected = [(r.method, r.path) for r in prepared.requests[: case.index + 1]]
    return expected != [(r.method, r.path) for r in fault.seen[: case.index + 1]]


async def _until_dead(loaded: LoadResult, settings: Settings, fault: Disturbance) -> Run:
    """Apply; a killed process leaves the world and its journal, and nothing else."""
    try:
        run = await apply(loaded, settings)
    except Killed:
        return Run(137, "killed")
    assert not fault.dead, "a handler has swallowed the kill"
    return run


async def _again(loaded: LoadResult, settings: Settings, runs: list[Run]) -> str:
    """Apply until an apply succeeds and a plan finds nothing to do; return what is wrong."""
    left, hasty = "not planned", ""
    while left and len(runs) <= RERUNS:
        if runs[-1].code == 0:
            left = await quiet(loaded, settings)
            if not left:
                break
            if len(runs) > 1:
                hasty = f"apply {len(runs)} claimed to be complete, with left: {left}"
        runs.append(await apply(loaded, settings))
    else:
        left = await quiet(loaded, settings)
    return left or hasty


def _repeated(prepared: Prepared, case: Case, effects: Counter[str]) -> tuple[str, ...]:
    """Name the writes that took effect too often.

    What an operation that failed should have done is done again, once.
    """
    more = effects - prepared.effects
    if case.fault is FaultKind.OPERATION:
        failed = [name for name, count in more.items() if count == 1]
        if len(failed) == 1:
            more.clear()
    return tuple(f"{count} x {name}" for name, count in sorted(more.items()))


def differences(wanted: str, found: str) -> tuple[str, ...]:
    """Return the lines in which two dumps differ."""
    lines = difflib.unified_diff(wanted.splitlines(), found.splitlines(), lineterm="", n=0)
    return tuple(line for line in lines if line[:2] not in {"--", "++", "@@"})
