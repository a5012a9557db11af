"""How many requests a plan makes, what for, and how a limited service is called; in one process."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from generated_estate import Size, loaded, scenario, write_items
from in_process import InProcess, in_process
from virtual_clock import VirtualClock

from reconciler import engine


@asynccontextmanager
async def live(size: Size, folder: Path) -> AsyncIterator[InProcess]:
    """An emulator with an estate of a size."""
    async with in_process(clock=VirtualClock()) as world:
        write_items(folder)
        await world.scenario(scenario(size), str(folder))
        yield world


async def asked(world: InProcess, since: int = 0) -> list[str]:
    """The paths that were asked for, in order."""
    return [r["path"] for r in await world.requests() if r["n"] > since]


async def test_with_a_target_nothing_outside_its_closure_is_read(tmp_path: Path):
    """Guards --target: of forty workspaces and ten pipelines, only one pipeline's are asked for."""
    size = Size(workspaces=40, bound=20, pipelines=10, deployments=10)
    async with live(size, tmp_path) as world:
        whole = await engine.make_plan(loaded(size), world.settings())
        before = len(await world.requests())
        plan = await engine.make_plan(loaded(size), world.settings(), target=["workspaces/W0030"])
        paths = await asked(world, before)
        ids = {w for p in paths if "/workspaces/" in p for w in [p.split("/")[3]]}
    assert 0 == len([p for p in paths if "deploymentPipelines" in p])
    assert set() == ids
    assert {"workspaces.list": 1} == plan.requests
    assert sum(whole.requests.values()) > 60


async def test_a_pipeline_is_read_with_its_workspaces_only(tmp_path: Path):
    """Guards --target: the unbound workspaces of one pipeline are not even asked for."""
    size = Size(workspaces=40, pipelines=10, deployments=10)
    async with live(size, tmp_path) as world:
        plan = await engine.make_plan(loaded(size), world.settings(), target=["pipelines/P0003"])
        paths = await asked(world)
    pipelines = {p.split("/")[3] for p in paths if p.count("/") > 2 and "deploymentPip" in p}
    assert 1 == len(pipelines)
    assert plan.complete


async def test_who_holds_a_workspace_is_looked_up_in_all_pipelines(tmp_path: Path):
    """Guards --target with an assign: a workspace that another pipeline holds is not taken."""
    size = Size(workspaces=4, pipelines=2)
    async with live(size, tmp_path) as world:
        for pipeline in ("P0000", "P0001"):
            await world.control(
                "POST", "portal", {"action": "unassign", "pipeline": pipeline, "stage": "Dev"}
            )
        moved = {"pipeline": "P0001", "stage": "Dev", "workspace": "W0000"}
        await world.control("POST", "portal", {"action": "reassign", **moved})
        plan = await engine.make_plan(loaded(size), world.settings(), target=["pipelines/P0000"])
    assert [] == [a.kind for a in plan.actions]
    assert "workspace_in_other_stage" in {d.code for d in plan.diagnostics}


@pytest.mark.parametrize("latency_s", [0.0, 0.05])
async def test_a_limited_plan_takes_what_the_limit_takes(tmp_path: Path, latency_s: float):
    """Guards ten calls a minute per API: at most 1.1 of the limit's floor, few refusals."""
    size = Size(workspaces=400, bound=400)
    async with live(size, tmp_path) as world:
        await world.control("POST", "limits", {"service": "fabric", "count": 10})

        async def slowly(request, carry):
            await world.clock.sleep(latency_s)
            return await carry(request)

        world.intercept = slowly
        plan = await engine.make_plan(loaded(size), world.settings())
        statuses = [r["status"] for r in await world.requests()]
    assert plan.complete
    assert [] == list(plan.actions)
    assert world.clock.monotonic_s() <= 1.1 * (math.ceil(400 / 10) - 1) * 60
    assert statuses.count(429) <= 0.01 * len(statuses)


async def test_a_service_that_lets_nothing_through_ends_in_a_message(tmp_path: Path):
    """Guards the bad case: no endless plan, but unknown bindings with the reason and a way out."""
    size = Size(workspaces=20, bound=20)
    async with live(size, tmp_path) as world:
        await world.control("POST", "limits", {"route": "git.status", "count": 0})
        plan = await engine.make_plan(loaded(size), world.settings())
    assert 20 == len(plan.unreadable)
    assert all("git.status" in u.text or "429" in u.text for u in plan.unreadable)
    assert "--target" in plan.unreadable[-1].remedy
    assert world.clock.monotonic_s() < 600
