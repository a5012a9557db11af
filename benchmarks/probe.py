"""One measured step in a process of its own: prints JSON; ``all.py`` starts it.

``read SPEC --reads N`` reads and plans against the services of the environment and tells how long
each step took. ``planner N`` plans without any service: N actions. ``limiter N`` plans N bound
workspaces in one process with the emulator, under a limit of 10 calls a minute per API, on one
clock that jumps to the next moment something happens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import selectors
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from estate import item_files

from reconciler.cli.main import collect_seldom

ROOT = Path(__file__).resolve().parents[1]
_CALLS, _WINDOW_S = 10, 60.0


def main() -> int:
    """Run one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("read", "planner", "limiter"))
    parser.add_argument("what")
    parser.add_argument("--reads", type=int, default=16)
    args = parser.parse_args()
    collect_seldom()  # as the command line does
    if args.step == "read":
        figures = asyncio.run(read(Path(args.what), args.reads))
    elif args.step == "planner":
        figures = planner(int(args.what))
    else:
        figures = limiter(int(args.what))
    status = Path("/proc/self/status").read_text()
    figures["peak_mib"] = round(int(status.partition("VmHWM:")[2].split()[0]) / 1024, 1)
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


async def read(path: Path, reads: int) -> dict[str, Any]:
    """Load, read, plan and render, each timed by itself."""
    began_s = time.perf_counter()
    import reconciler.clients.pool  # noqa: F401, PLC0415 - the read phase would import it
    from reconciler import engine  # noqa: PLC0415 - a step pays for what it uses
    from reconciler.engine.planning import input_of  # noqa: PLC0415
    from reconciler.engine.services import services_for  # noqa: PLC0415
    from reconciler.live.read import read_estate  # noqa: PLC0415
    from reconciler.plan.build import build_plan  # noqa: PLC0415

    marks = [began_s, time.perf_counter()]
    loaded = engine.load([path])
    estate = loaded.require()
    marks.append(time.perf_counter())
    settings = engine.Settings(environ=os.environ, reads=reads, parallelism=reads)
    wanted = input_of(loaded, settings, (), ())
    cpu_s = time.process_time()
    async with services_for(settings, estate) as services:
        snapshot = await read_estate(estate, services, reads=reads)
        requests = sum(services.requests.values())
        by_api = dict(services.requests)
    cpu_s = time.process_time() - cpu_s
    marks.append(time.perf_counter())
    plan = build_plan(wanted, snapshot)
    marks.append(time.perf_counter())
    text = plan.to_json()
    marks.append(time.perf_counter())
    if snapshot.unreadable:
        raise SystemExit(f"not read: {next(iter(snapshot.unreadable.values()))}")
    import_s, load_s, read_s, plan_s, render_s = (b - a for a, b in pairwise(marks))
    return {
        "import_s": round(import_s, 3),
        "load_s": round(load_s, 3),
        "read_s": round(read_s, 3),
        "plan_s": round(plan_s, 3),
        "render_s": round(render_s, 3),
        "read_cpu_s": round(cpu_s, 3),
        "requests": requests,
        "by_api": by_api,
        "actions": len(plan.actions),
        "drift": len(plan.drift),
        "plan_mib": round(len(text) / 2**20, 1),
    }


# -- the planner alone --


def planner(actions: int) -> dict[str, Any]:
    """Plan an estate of which nothing exists: each workspace is made, placed, bound, synced."""
    from reconciler.live.models import LiveCapacity, Snapshot  # noqa: PLC0415
    from reconciler.plan.build import PlanInput, build_plan  # noqa: PLC0415
    from reconciler.render.as_text import render_plan  # noqa: PLC0415
    from reconciler.spec.load import digest_of, estate_from_resolved  # noqa: PLC0415

    def wanted_of(count: int) -> PlanInput:
        git = {"provider": "AzureDevOps", "project": "Sales", "repository": "r", "branch": "main"}
        resolved = {
            "apiVersion": "reconciler/v1",
            "kind": "Estate",
            "metadata": {"name": "large"},
            "azureDevOps": {"organization": "contoso"},
            "workspaces": [
                {
                    "name": f"W {n:06d}",
                    "create": True,
                    "capacity": "F8",
                    "git": {**git, "directory": f"/w-{n:06d}"},
                }
                for n in range(count)
            ],
        }
        return PlanInput(estate_from_resolved(resolved), resolved, digest_of(resolved))

    snapshot = Snapshot(
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
        caller="somebody",
        capacities=(LiveCapacity("c", "F8", "F8", "West Europe", "Active"),),
        connections=(),
        visible_workspaces={},
        workspaces={},
        bindings={},
        repositories={},
        pipelines={},
        definitions={},
        unreadable={},
        requests={},
    )
    each = len(build_plan(wanted_of(10), snapshot).actions) / 10
    wanted = wanted_of(round(actions / each))
    cpu_s = time.process_time()
    marks = [time.perf_counter()]
    plan = build_plan(wanted, snapshot)
    cpu_s = time.process_time() - cpu_s
    marks.append(time.perf_counter())
    text = render_plan(plan)
    marks.append(time.perf_counter())
    plan.to_json()
    marks.append(time.perf_counter())
    plan_s, text_s, json_s = (b - a for a, b in pairwise(marks))
    return {
        "actions": len(plan.actions),
        "plan_s": round(plan_s, 2),
        "plan_cpu_s": round(cpu_s, 2),
        "text_s": round(text_s, 2),
        "json_s": round(json_s, 2),
        "lines": text.count("\n"),
    }


# -- under a limit, in virtual time --


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Never waits: when nothing is ready, time jumps to the next timer."""

    elapsed_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return what is ready now, or let the time pass that the loop would have waited."""
        found = super().select(0)
        if not found and timeout is None:
            return super().select(None)
        if not found and timeout:
            self.elapsed_s += timeout
        return found


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual."""

    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        """Return virtual seconds."""
        return self.jumping.elapsed_s


class _LoopClock:
    """The loop's virtual time as the reconciler's clock."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """Return the virtual wall-clock time."""
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self._loop.time())

    def monotonic_s(self) -> float:
        """Return virtual seconds."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(max(0.0, seconds))


def limiter(workspaces: int) -> dict[str, Any]:
    """Plan under the limit and compare with the shortest time the limit allows."""
    loop = _Loop()
    try:
        return loop.run_until_complete(_limited(_LoopClock(loop), workspaces))
    finally:
        loop.close()


async def _limited(clock: _LoopClock, workspaces: int) -> dict[str, Any]:
    sys.path.insert(0, str(ROOT))
    from reconciler import engine  # noqa: PLC0415
    from reconciler.emulator.clock import EmulatorClock  # noqa: PLC0415
    from tests.in_process import in_process  # noqa: PLC0415

    names = [f"Workspace {n:04d}" for n in range(workspaces)]
    git = {
        "provider": "AzureDevOps",
        "organization": "contoso",
        "project": "Sales",
        "repository": "r",
        "branch": "main",
        "directory": "/",
    }
    folder = Path(os.environ["PROBE_FOLDER"])
    item = folder / "content" / "Landing.Lakehouse"
    item.mkdir(parents=True, exist_ok=True)
    for path, content in item_files("limited"):
        if path.startswith("Landing.Lakehouse/"):
            (item / Path(path).name).write_bytes(content)
    async with in_process() as world:
        world.clock = clock  # type: ignore[assignment]
        world.emulator.world.clock = EmulatorClock(real_time_s=lambda: clock.now().timestamp())
        repository = {"name": "r", "branch": "main", "content": "content"}
        project = {"name": "Sales", "repositories": [repository]}
        bound = [{"name": n, "capacity": "F8", "git": {**git, "synced": True}} for n in names]
        await world.scenario(
            {
                "capacities": [{"name": "F8", "sku": "F8", "region": "West Europe"}],
                "azureDevOps": [{"organization": "contoso", "projects": [project]}],
                "workspaces": bound,
            },
            str(folder),
        )
        limit = {"service": "fabric", "count": _CALLS, "window_s": _WINDOW_S}
        await world.control("POST", "limits", limit)
        await world.control("DELETE", "requests")
        own = {k: v for k, v in git.items() if k != "organization"}
        resolved = {
            "apiVersion": "reconciler/v1",
            "kind": "Estate",
            "metadata": {"name": "limited"},
            "azureDevOps": {"organization": "contoso"},
            "workspaces": [{"name": n, "git": own} for n in names],
        }
        spec = folder / "limited.yaml"
        spec.write_text(json.dumps(resolved))
        began_s, real_s = clock.monotonic_s(), time.perf_counter()
        plan = await engine.make_plan(engine.load([spec]), world.settings())
        took_s = clock.monotonic_s() - began_s
        real_s = time.perf_counter() - real_s
        log = [r for r in await world.requests() if r["service"] == "fabric"]
    refused = sum(r["status"] == 429 for r in log)
    calls = Counter(r["route"] for r in log if r["status"] != 429)
    # The window starts with the first call: calls 1-10 at once, 11-20 a window later, and so on.
    floor_s = max(-(-n // _CALLS) - 1 for n in calls.values()) * _WINDOW_S
    return {
        "workspaces": workspaces,
        "calls": sum(calls.values()),
        "by_route": dict(calls),
        "virtual_s": round(took_s, 1),
        "floor_s": floor_s,
        "ratio_to_floor": round(took_s / floor_s, 3) if floor_s else None,
        "answered_429": refused,
        "share_429": round(refused / len(log), 4),
        "real_s": round(real_s, 1),
        "unreadable": len(plan.unreadable),
    }


if __name__ == "__main__":
    sys.exit(main())
