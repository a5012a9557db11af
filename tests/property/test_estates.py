"""Whatever exists and whatever people did to it: what applying, adopting and targeting promise.

Each example is a real plan and a real apply against an emulator in this process.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from estates import Estate, estates, live_state, running
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from in_process import InProcess

from reconciler import engine
from reconciler.adopt.found import Selection
from reconciler.cli.apply import exit_code
from reconciler.execute.events import Outcome
from reconciler.ids import address_matches
from reconciler.plan.actions import Action, CommitToGit, Deploy
from reconciler.plan.plan import Plan
from reconciler.spec.load import LoadResult
from reconciler.spec.models import AzureDevOps


def _examples(number: int) -> settings:
    """Return the same examples in every run; an emulator each is slow by Hypothesis' measure."""
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )


def _errors(plan: Plan) -> list[str]:
    return [f"{d.code}: {d.address}" for d in plan.diagnostics if d.severity == "error"]


def _effects(world: InProcess) -> int:
    return sum(entry.effect for entry in world.emulator.world.log.entries)


async def _planned(loaded: LoadResult, world: InProcess, target: Iterable[str] = ()) -> Plan:
    """Plan twice: both say the same, and neither writes."""
    before = _effects(world)
    first, second = [
        await engine.make_plan(loaded, world.settings(), target=tuple(target)) for _ in range(2)
    ]
    assert before == _effects(world)
    assert first.fingerprint == second.fingerprint
    return first


async def _applied(
    loaded: LoadResult, plan: Plan, world: InProcess, target: Iterable[str] = ()
) -> bool:
    """Apply; tell whether all was done. What was not says why, and what to do."""
    result = await engine.apply_spec(
        loaded, plan, world.settings(), listener=lambda _: None, target=tuple(target)
    )
    if exit_code(plan, result) == 0:
        return True
    ends = [o for o in result.outcomes if not o.ok]
    assert ends, [(o.action_id, o.text) for o in result.outcomes]
    for end in ends:
        # Clashes that only an update of this apply brings about are seen when it is done.
        known = (
            end.outcome is Outcome.SKIPPED or "unpaired items of the same type and name" in end.text
        )
        assert known, [f"{o.action_id} {o.outcome}: {o.text}" for o in result.outcomes]
        assert end.text
    return False


def test_after_an_apply_there_is_nothing_left_to_do() -> None:
    """Guards that one apply is enough, and that a second one writes nothing."""
    seen: Counter[str] = Counter()

    async def check(estate: Estate) -> str:
        async with running(estate, "apply") as (world, loaded):
            plan = await _planned(loaded, world)
            if _errors(plan):
                assert not plan.applyable
                return "errors"
            if not await _applied(loaded, plan, world):
                return "refused"
            again = await _planned(loaded, world)
            assert ([], []) == ([a.id for a in again.actions], _errors(again))
            before = _effects(world)
            assert await _applied(loaded, again, world)
            assert before == _effects(world)
            return "applied" if plan.actions else "in sync"

    @_examples(60)
    @given(estates())
    def generated(estate: Estate) -> None:
        seen[asyncio.run(check(estate))] += 1

    generated()
    assert seen["applied"] > 30, seen


def test_what_was_adopted_gives_an_empty_plan() -> None:
    """Guards that adopting reads only, names every workspace, and asks for no change."""

    async def check(estate: Estate) -> None:
        everything = Selection(
            workspaces=(None,),
            pipelines=(None,),
            repositories=((None, None),),
            azure_devops=AzureDevOps(organization="contoso"),
        )
        async with running(estate, "adopt") as (world, _):
            before = _effects(world), live_state(world)
            adopted = await engine.adopt(everything, world.settings())
            assert before == (_effects(world), live_state(world))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "adopted.yaml"
                path.write_text(adopted.text)
                loaded = engine.load([path])
            assert loaded.estate is not None, loaded.diagnostics
            assert set(estate.names) == {w.name for w in loaded.estate.workspaces}
            assert set(estate.pipelines) == {p.name for p in loaded.estate.pipelines}
            plan = await _planned(loaded, world)
            assert ([], [], ()) == ([a.id for a in plan.actions], _errors(plan), plan.unknown)

    @_examples(40)
    @given(estates())
    def generated(estate: Estate) -> None:
        asyncio.run(check(estate))

    generated()


def _concerned(actions: Iterable[Action]) -> set[str]:
    """Return the workspaces, pipelines and repositories that actions are about."""
    found: set[str] = set()
    for action in actions:
        kind, *rest = action.address.split("/")
        found.add("/".join([kind, *rest[: 2 if kind == "repositories" else 1]]))
        if isinstance(action.op, Deploy) and action.op.target_workspace is not None:
            found.add(action.op.target_workspace)
        if isinstance(action.op, CommitToGit):
            found |= {f"repositories/Sales/{name}" for name in ("one", "two")}
    return found


def _with_prerequisites(plan: Plan, target: str) -> list[Action]:
    """Return the actions that a target names, and all that these wait for."""
    by_id = {action.id: action for action in plan.actions}
    left = [a.id for a in plan.actions if address_matches(a.address, target)]
    found: dict[str, Action] = {}
    while left:
        action = by_id[left.pop()]
        if action.id not in found:
            found[action.id] = action
            left.extend(action.depends_on)
    return list(found.values())


def test_a_target_touches_itself_and_its_prerequisites_only() -> None:
    """Guards that --target leaves every other workspace, pipeline and repository as it was."""
    seen: Counter[str] = Counter()

    async def check(estate: Estate, number: int) -> str:
        targets = [
            f"{kind}/{n}" for kind in ("workspaces", "pipelines") for n in _names(estate, kind)
        ]
        target = targets[number % len(targets)]
        async with running(estate, "target") as (world, loaded):
            whole = await _planned(loaded, world)
            plan = await _planned(loaded, world, [target])
            allowed = _with_prerequisites(whole, target)
            assert {a.id for a in plan.actions} <= {a.id for a in allowed}
            before = live_state(world)
            if _errors(plan) or not await _applied(loaded, plan, world, [target]):
                return "not applied"
            after = live_state(world)
            touched = {place for place in after if before.get(place) != after[place]}
            assert touched <= _concerned(allowed), target
            return "left something" if len(whole.actions) > len(plan.actions) else "was all"

    @_examples(40)
    @given(estates(), st.integers(0, 9))
    def generated(estate: Estate, number: int) -> None:
        seen[asyncio.run(check(estate, number))] += 1

    generated()
    assert seen["left something"] > 10, seen


def _names(estate: Estate, kind: str) -> list[str]:
    return estate.names if kind == "workspaces" else sorted(estate.pipelines)
