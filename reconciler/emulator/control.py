"""The control routes: what a test or a person may do to the emulator itself.

None of this exists in the real services, and nothing here is part of what they remember.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reconciler.emulator import scenario
from reconciler.emulator.fabric.portal import PORTAL
from reconciler.emulator.http import Answer, Call, Problem, Route
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.world import World

__all__ = ["ROUTES", "control_problem"]

_STATUS = {
    "unauthorized": 401,
    "malformed_body": 400,
    "no_route": 404,
    "wrong_method": 405,
    "unexpected": 500,
}


def control_problem(_world: World, problem: Problem, _headers: Mapping[str, str]) -> Answer:
    """Word a problem as ``{"error": ...}``."""
    return Answer(_STATUS[problem.kind], {"error": problem.message})


async def _reset(world: World, _call: Call) -> Answer:
    world.reset()
    return Answer(200, {"reset": True})


async def _scenario(world: World, call: Call) -> Answer:
    data = call.fields()
    base = data.pop("base", None)
    if base is not None and not isinstance(base, str):
        return _refused("base: a folder is expected")
    try:
        scenario.load(world, data, Path(base or "."))
    except ScenarioError as error:
        return _refused(str(error))
    return Answer(200, {"loaded": True})


async def _requests(world: World, _call: Call) -> Answer:
    return Answer(200, world.log.to_json())


async def _clear_requests(world: World, _call: Call) -> Answer:
    world.log.clear()
    return Answer(200, {"requests": []})


async def _faults(world: World, _call: Call) -> Answer:
    return Answer(200, {"faults": [asdict(fault) for fault in world.faults.faults]})


async def _add_faults(world: World, call: Call) -> Answer:
    try:
        added = world.faults.add(call.body)
    except ScenarioError as error:
        return _refused(str(error))
    return Answer(200, {"added": len(added)})


async def _clear_faults(world: World, _call: Call) -> Answer:
    world.faults.clear()
    return Answer(200, {"faults": []})


async def _clock(world: World, call: Call) -> Answer:
    seconds = call.fields().get("advance_s")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
        return _refused("advance_s: a number of seconds is expected; the clock only moves forward")
    world.clock.advance(float(seconds))
    world.settle()
    world.touch()
    return Answer(200, {"now": world.clock.now().isoformat()})


async def _portal(world: World, call: Call) -> Answer:
    data = call.fields()
    action = data.get("action")
    known = PORTAL.get(action) if isinstance(action, str) else None
    if known is None:
        return _refused(f"action: one of {', '.join(sorted(PORTAL))} is expected")
    try:
        result: dict[str, Any] | None = known(world, data)
    except ScenarioError as error:
        return _refused(str(error))
    return Answer(200, result or {"done": action})


def _refused(message: str) -> Answer:
    return Answer(400, {"error": message})


ROUTES = [
    Route("POST", "/reset", _reset, "control.reset"),
    Route("POST", "/scenario", _scenario, "control.scenario"),
    Route("GET", "/requests", _requests, "control.requests"),
    Route("DELETE", "/requests", _clear_requests, "control.requests.clear", effect=False),
    Route("POST", "/requests/clear", _clear_requests, "control.requests.clear", effect=False),
    Route("GET", "/faults", _faults, "control.faults"),
    Route("POST", "/faults", _add_faults, "control.faults.add", effect=False),
    Route("DELETE", "/faults", _clear_faults, "control.faults.clear", effect=False),
    Route("POST", "/clock", _clock, "control.clock"),
    Route("POST", "/portal", _portal, "control.portal"),
]
