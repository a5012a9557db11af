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
from reconciler.emulator.requestlog import as_json
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.world import World

__all__ = ["ROUTES", "control_problem"]

_FURTHEST_S = 100 * 365 * 86400.0
_MOST_REQUESTS = 5_000_000
_LONGEST_MS = 60_000
_STATUS = {
    "unauthorized": 401,
    "token_invalid": 401,
    "token_expired": 401,
    "malformed_body": 400,
    "too_large": 400,
    "blocked": 429,
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


async def _requests(world: World, call: Call) -> Answer:
    """List the log; ``since`` leaves out requests up to a number."""
    since = call.query.get("since", "0")
    if not since.isdecimal():
        return _refused("since: the number of a request is expected")
    found = world.log.since(int(since))
    return Answer(200, stream=as_json(found), content_type="application/json; charset=utf-8")


async def _keep_requests(world: World, call: Call) -> Answer:
    """Change how many requests are kept."""
    most = call.fields().get("keep")
    if isinstance(most, bool) or not isinstance(most, int) or not 0 <= most <= _MOST_REQUESTS:
        return _refused(f"keep: a number of requests up to {_MOST_REQUESTS} is expected")
    world.log.keep(most)
    return Answer(200, {"keep": most})


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


async def _limits(world: World, _call: Call) -> Answer:
    return Answer(200, {"limits": world.limits.to_json()})


async def _add_limits(world: World, call: Call) -> Answer:
    try:
        added = world.limits.add(call.body)
    except ScenarioError as error:
        return _refused(str(error))
    return Answer(200, {"added": len(added)})


async def _clear_limits(world: World, _call: Call) -> Answer:
    world.limits.clear()
    return Answer(200, {"limits": []})


async def _latency(world: World, _call: Call) -> Answer:
    return Answer(200, {"latency_ms": world.latency_ms})


async def _change_latency(world: World, call: Call) -> Answer:
    """Change how long requests are on their way, from the next one on."""
    latency_ms = call.fields().get("latency_ms")
    number = isinstance(latency_ms, int | float) and not isinstance(latency_ms, bool)
    if not isinstance(latency_ms, int | float) or not number or not 0 <= latency_ms <= _LONGEST_MS:
        return _refused(f"latency_ms: a number from 0 to {_LONGEST_MS} is expected")
    world.latency_ms = float(latency_ms)
    return Answer(200, {"latency_ms": world.latency_ms})


async def _clock(world: World, call: Call) -> Answer:
    seconds = call.fields().get("advance_s")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
        return _refused("advance_s: a number of seconds is expected; the clock only moves forward")
    if world.clock.offset_s + seconds > _FURTHEST_S:
        return _refused("advance_s: the clock ends a hundred years from now")
    world.clock.advance(float(seconds))
    world.settle()
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
    Route("POST", "/requests", _keep_requests, "control.requests.keep", effect=False),
    Route("DELETE", "/requests", _clear_requests, "control.requests.clear", effect=False),
    Route("POST", "/requests/clear", _clear_requests, "control.requests.clear", effect=False),
    Route("GET", "/faults", _faults, "control.faults"),
    Route("POST", "/faults", _add_faults, "control.faults.add", effect=False),
    Route("DELETE", "/faults", _clear_faults, "control.faults.clear", effect=False),
    Route("GET", "/limits", _limits, "control.limits"),
    Route("POST", "/limits", _add_limits, "control.limits.add", effect=False),
    Route("DELETE", "/limits", _clear_limits, "control.limits.clear", effect=False),
    Route("GET", "/latency", _latency, "control.latency"),
    Route("POST", "/latency", _change_latency, "control.latency.change", effect=False),
    Route("POST", "/clock", _clock, "control.clock"),
    Route("POST", "/portal", _portal, "control.portal"),
]
