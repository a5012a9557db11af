"""How many requests a plan makes, what for, and how a limited service is called; in one process."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx
import pytest
from generated_estate import Size, as_loaded, loaded, scenario, spec, write_items
from in_process import Carrier, InProcess, Interceptor, in_process
from virtual_clock import VirtualClock

from reconciler import engine
from reconciler.emulator.options import Speed
from reconciler.plan.requests import REASONS


@asynccontextmanager
async def live(size: Size, folder: Path, *, speed: Speed = "instant") -> AsyncIterator[InProcess]:
    """An emulator with an estate of a size."""
    async with in_process(clock=VirtualClock(), speed=speed) as world:
        write_items(folder)
        await world.scenario(scenario(size), str(folder))
        yield world


def slowly(world: InProcess, latency_s: float) -> Interceptor:
    """Each request takes so long on its way."""

    async def carried(request: httpx.Request, carry: Carrier) -> httpx.Response:
        await world.clock.sleep(latency_s)
        return await carry(request)

    return carried


async def asked(world: InProcess, since: int = 0) -> list[str]:
    """The paths that were asked for, in order."""
    return [r["path"] for r in await world.requests() if r["n"] > since]


def repeated(log: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The requests that were sent more than once."""
    reads = Counter((r["method"], r["path"], str(r["query"])) for r in log)
    return [what for what, times in reads.items() if times > 1]


def budget(size: Size, page: int) -> dict[str, int]:
    """The formula of docs/performance.md: requests of a plan by API, for a live estate."""
    found = {
        "workspaces.list": math.ceil(size.workspaces / page) if size.workspaces else 0,
        "workspaces.roles.list": size.roles,
        "git.connection": size.bound,
        "git.status": size.bound,
        "git.credentials.get": size.credentials,
        "pipelines.list": math.ceil(size.pipelines / page),
        "pipelines.get": size.pipelines,
        "pipelines.roles.list": size.pipeline_roles,
        "pipelines.operations.list": size.deployments,
        "pipelines.stages.items": 2 * size.deployments,
        "items.list": 2 * size.compared,
        "folders.list": 2 * size.compared,
        "items.get_definition": 4 * size.compared,
        "azdo.repositories.list": 1 if size.repositories else 0,
        "azdo.refs.list": size.repositories,
        "azdo.imports.list": size.imports,
    }
    return {api: n for api, n in found.items() if n}


@pytest.mark.parametrize(
    "size",
    [
        Size(workspaces=1),
        Size(workspaces=30, bound=20, credentials=7, roles=5),
        Size(workspaces=230, bound=3),
        Size(workspaces=24, bound=24, pipelines=12, deployments=9, pipeline_roles=4),
        Size(workspaces=8, bound=8, pipelines=4, deployments=4, compared=3),
        Size(workspaces=2, repositories=5, imports=2),
    ],
    ids=["one", "bindings", "pages", "pipelines", "definitions", "repositories"],
)
async def test_a_plan_makes_the_requests_of_the_formula(tmp_path: Path, size: Size):
    """Guards the request budget: so many per workspace, binding, pipeline, import, and no more."""
    async with live(size, tmp_path) as world:
        plan = await engine.make_plan(loaded(size), world.settings())
        log = await world.requests()
        page = world.emulator.world.fabric.settings.page_size
    assert plan.complete
    assert [] == [a.id for a in plan.actions]
    assert budget(size, page) == {
        api: n for api, n in plan.requests.items() if not api.startswith("operations.")
    }
    assert len(log) == sum(plan.requests.values())
    assert [] == repeated(log)
    assert set() == plan.requests.keys() - REASONS.keys()


async def test_bindings_to_one_branch_need_one_look_at_it(tmp_path: Path):
    """Guards "nothing is read twice": ten bindings to make, five of them on new workspaces."""
    size = Size(workspaces=8, bound=2)
    async with live(size, tmp_path) as world:
        plan = await engine.make_plan(loaded(size, create=5), world.settings())
        log = await world.requests()
    assert 5 == sum(a.kind == "git.connect" for a in plan.actions)
    assert 5 == sum(d.code == "workspace_without_capacity" for d in plan.diagnostics)
    assert {"azdo.repositories.get": 1, "azdo.refs.list": 1, "azdo.items.list": 1} == {
        api: n for api, n in plan.requests.items() if api.startswith("azdo.")
    }
    assert [] == repeated(log)


async def test_a_listed_project_is_not_asked_for_each_repository(tmp_path: Path):
    """Guards lists before single gets: bindings to make, in a project the spec has a list of."""
    size = Size(workspaces=4, bound=1, repositories=1)
    async with live(size, tmp_path) as world:
        plan = await engine.make_plan(loaded(size, create=2), world.settings())
        log = await world.requests()
    assert 2 == sum(a.kind == "git.connect" for a in plan.actions)
    assert 1 == plan.requests["azdo.repositories.list"]
    assert "azdo.repositories.get" not in plan.requests
    assert [] == repeated(log)


async def test_endpoints_of_a_project_are_listed_once(tmp_path: Path):
    """Guards "nothing is read twice": three imports that name one service endpoint."""
    size = Size(repositories=4, imports=3)
    wanted = spec(size)
    for repository in wanted["azureDevOps"]["repositories"][:3]:
        repository["import"]["credentials"] = {"serviceEndpoint": "sales-import"}
    async with live(size, tmp_path) as world:
        plan = await engine.make_plan(as_loaded(wanted), world.settings())
        log = await world.requests()
    assert 1 == plan.requests["azdo.endpoints.list"]
    assert [] == repeated(log)


async def test_a_target_that_turns_out_to_need_all_reads_nothing_again(tmp_path: Path):
    """Guards --target with an assign: what was read for the target is not read anew for the rest."""
    size = Size(workspaces=6, bound=6, pipelines=3, deployments=3, compared=2)
    async with live(size, tmp_path) as world:
        gone = {"action": "unassign", "pipeline": "P0000", "stage": "Test"}
        await world.control("POST", "portal", gone)
        plan = await engine.make_plan(loaded(size), world.settings(), target=["pipelines/P0000"])
        log = await world.requests()
    assert ["stage.assign"] == [a.kind for a in plan.actions if a.address.endswith("stages/Test")]
    assert 3 == plan.requests["pipelines.get"]
    assert [] == repeated(log)


async def test_what_a_page_brings_is_read_while_the_next_page_is_on_its_way(tmp_path: Path):
    """Guards concurrency: bindings of the first page do not wait for the end of the list."""
    size = Size(workspaces=230, bound=3)
    async with live(size, tmp_path) as world:
        world.intercept = slowly(world, 0.05)
        plan = await engine.make_plan(loaded(size), world.settings())
        paths = await asked(world)
    lists = [n for n, path in enumerate(paths) if path.endswith("/workspaces")]
    assert 3 <= len(lists)
    assert min(n for n, path in enumerate(paths) if path.endswith("/git/connection")) < lists[-1]
    assert plan.complete


async def test_operations_that_wait_take_no_place_among_the_reads(tmp_path: Path):
    """Guards definitions: forty that each take a second at the service take seconds, not twenty."""
    size = Size(workspaces=20, bound=20, pipelines=10, deployments=10, compared=10)
    async with live(size, tmp_path, speed="fast") as world:
        plan = await engine.make_plan(loaded(size), world.settings(reads=2))
    assert plan.complete
    assert 40 == plan.requests["items.get_definition"]
    assert 40 == plan.requests["operations.result"]
    assert 1 <= world.clock.monotonic_s() <= 4


async def test_a_list_that_breaks_off_tells_nothing(tmp_path: Path):
    """Guards "unreadable is not absent": what the first page brought is not planned on."""
    size = Size(workspaces=230, bound=3)
    async with live(size, tmp_path) as world:
        refusal = {"status": 403, "body": {"errorCode": "InsufficientPrivileges", "message": "no"}}
        fault = {"match": {"route": "/v1/workspaces", "nth": 2}, "answer": refusal}
        await world.control("POST", "faults", fault)
        plan = await engine.make_plan(loaded(size, create=2), world.settings())
    assert {"workspaces/W0000", "workspaces/W0000/git", "workspaces/W0229"} <= set(plan.unknown)
    assert [] == list(plan.actions)
    assert not plan.complete


@pytest.mark.parametrize(
    "size",
    [
        Size(workspaces=30, bound=20, credentials=7, roles=5),
        Size(workspaces=12, bound=12, pipelines=4, deployments=2, compared=1),
    ],
    ids=["bindings", "deployments"],
)
async def test_the_list_for_administrators_gives_the_same_plan(tmp_path: Path, size: Size):
    """Guards --admin: one request for all bindings, and nothing is planned otherwise."""
    wanted = loaded(size, create=2)
    async with live(size, tmp_path) as world:
        await _edit_by_hand(world)
        plain = await engine.make_plan(wanted, world.settings())
        plan = await engine.make_plan(wanted, world.settings(admin=True))
    assert [] != list(plan.drift)
    assert plain.fingerprint == plan.fingerprint
    assert 1 == plan.requests["git.connections.discover"]
    assert 2 * size.deployments == plan.requests.get("git.connection", 0)
    assert plain.requests["git.status"] == plan.requests["git.status"]
    assert set() == plan.requests.keys() - REASONS.keys()


async def test_a_caller_who_is_no_administrator_is_told_and_reads_each_binding(tmp_path: Path):
    """Guards --admin without the right: one sentence, and the plan of one without the flag."""
    size = Size(workspaces=5, bound=5)
    told: list[str] = []
    async with live(size, tmp_path) as world:
        refusal = {"status": 403, "body": {"errorCode": "InsufficientPrivileges", "message": "no"}}
        match = {"route": "/v1/admin/workspaces/discoverGitConnections"}
        await world.control("POST", "faults", {"match": match, "answer": refusal})
        plan = await engine.make_plan(loaded(size), world.settings(admin=True, tell=told.append))
    assert 5 == plan.requests["git.connection"]
    assert plan.complete
    assert 1 == len(told)
    assert "list of all for administrators" in told[0]


async def _edit_by_hand(world: InProcess) -> None:
    """Change a notebook in the workspace of the first binding."""
    content = {"workspace": "W0000", "item": "Ingest", "type": "Notebook"}
    change = {"action": "edit", "path": "notebook-content.py", "append": "# by hand\n"}
    await world.control("POST", "portal", {**change, **content})


def test_the_page_on_performance_has_the_formula():
    """Guards the table that people read: every API of the formula stands in it."""
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    everything = Size(*[2] * len(fields(Size)))
    assert [] == [api for api in budget(everything, 100) if f"`{api}`" not in text]


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
        world.intercept = slowly(world, latency_s)
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
