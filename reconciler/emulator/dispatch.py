"""From an HTTP request to a handler's answer: the same steps for every service.

Settle what is due, know the caller, find the route, apply faults, call the handler, keep the
state. The web server is only asked for the request and told what to send.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl

from multidict import CIMultiDict

from reconciler.emulator.entra.admission import admit
from reconciler.emulator.faults import Fault
from reconciler.emulator.http import (
    Answer,
    Call,
    Caller,
    MalformedBody,
    Problem,
    ProblemKind,
    Refused,
    Service,
    path_segments,
)
from reconciler.emulator.ids import drawing_from
from reconciler.emulator.past import remember, world_at
from reconciler.emulator.recorder import Recorder
from reconciler.emulator.requestlog import LoggedRequest
from reconciler.emulator.router import Router
from reconciler.emulator.world import World

__all__ = ["Dispatcher", "Incoming", "Outcome", "Way"]

_LOG = logging.getLogger("reconciler.emulator")
_ANONYMOUS = Caller(id="anonymous", kind="User")
# Git pushes are exempt: a repository comes in one body. The number is assumed.
_LARGEST_CALL = 64 * 1024 * 1024
_CONTROL = "/_control/"
_LIMITED = frozenset({"fabric", "azdo", "control", "entra"})


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the web server got it; ``target`` is the raw path with its query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to send, or nothing: ``answer=None`` cuts the connection."""

    answer: Answer | None
    logged: LoggedRequest | None = None
    started_s: float = 0.0


@dataclass(slots=True)
class Way:
    """How long an answer was on its way back."""

    back_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A request whose service is known; ``segments`` is its path below the service's root."""

    incoming: Incoming
    service: Service
    router: Router
    segments: list[str]
    query: CIMultiDict[str]
    logged: LoggedRequest


class Dispatcher:
    """Knows all services by the first segment of the path.

    ``mounts`` gives the services below a segment; the first whose ``marker`` segment occurs in
    the path answers, a marker of None always does.
    """

    def __init__(
        self, world: World, mounts: Mapping[str, Sequence[tuple[str | None, Service]]]
    ) -> None:
        self.world = world
        self._mounts = {
            mount: [(marker, service, Router(service.routes)) for marker, service in services]
            for mount, services in mounts.items()
        }
        self._recorder = Recorder.from_environment()

    async def handle(self, incoming: Incoming) -> Outcome:
        """Carry a request out and return what to send."""
        with drawing_from(self.world.ids):
            return await self._handle(incoming)

    async def _handle(self, incoming: Incoming) -> Outcome:
        started_s = time.perf_counter()
        path, _, query_text = incoming.target.partition("?")
        segments = path_segments(path)
        chosen = self._choose(segments)
        if chosen is None:
            return Outcome(Answer(404, {"error": "nothing answers here"}))
        service, router = chosen
        unseen = service.name == "control" or self._is_internal(incoming)
        query = CIMultiDict(parse_qsl(query_text, keep_blank_values=True))
        logged = LoggedRequest(
            n=0 if unseen else self.world.log.next_number(),
            at_s=self.world.clock.timestamp(),
            service=service.name,
            method=incoming.method,
            path="/" + "/".join(segments[1:]),
            query=dict(query) or None,
        )
        self.world.settle()
        arrived = _Arrived(incoming, service, router, segments[1:], query, logged)
        answer = await self._answer(arrived)
        self._keep()
        if answer is not None:
            logged.status = answer.status
        return Outcome(answer, None if unseen else logged, started_s)

    @asynccontextmanager
    async def on_its_way(self, incoming: Incoming) -> AsyncIterator[Way]:
        """Take the latency: half of it before the block, the rest after it.

        What the block itself takes is part of it, so that a client measures the latency it asked
        for and not how busy this process is. The emulator's own requests have no way to go.
        """
        way = Way()
        latency_s = self.world.latency_ms / 1000
        own = incoming.target.startswith(_CONTROL) or self._is_internal(incoming)
        if not latency_s or own:
            yield way
            return
        loop = asyncio.get_running_loop()
        answered_s = loop.time() + latency_s
        await asyncio.sleep(latency_s / 2)
        yield way
        left_s = loop.time()
        await asyncio.sleep(max(0.0, answered_s - left_s))
        way.back_s = loop.time() - left_s

    def _is_internal(self, incoming: Incoming) -> bool:
        """Whether the emulator itself asks, as an import that reads one of our repositories."""
        return incoming.headers.get("X-Emulator-Internal") == self.world.internal_key

    def finished(self, outcome: Outcome, way: Way | None = None) -> None:
        """Log a request whose answer was sent (or whose connection was cut)."""
        if outcome.logged is not None:
            elapsed_s = time.perf_counter() - outcome.started_s
            elapsed_s -= 0.0 if way is None else way.back_s
            outcome.logged.duration_ms = round(elapsed_s * 1000, 3)
            self.world.log.add(outcome.logged)

    def _choose(self, segments: list[str]) -> tuple[Service, Router] | None:
        for marker, service, router in self._mounts.get(segments[0] if segments else "", []):
            if marker is None or marker in (segment.lower() for segment in segments):
                return service, router
        return None

    def _keep(self) -> None:
        try:
            self.world.save()
        except OSError:
            _LOG.exception("the state could not be written")

    async def _answer(self, arrived: _Arrived) -> Answer | None:
        """Return the finished answer, None to cut the connection."""
        service = arrived.service
        found = self._to_call(arrived)
        if isinstance(found, Answer):
            return service.finish(self.world, None, found)
        call = found
        spared = service.name == "control" or self._is_internal(arrived.incoming)
        refused = None if spared else self._over_limit(service, call)
        if refused is not None:
            return self._finished(service, call, refused)
        toll = None if spared else service.charge(self.world, call)
        if toll is not None and toll.refusal is not None:
            return self._finished(service, call, toll.refusal)
        call.fault = fault = None if spared else self.world.faults.fire(call)
        replaced = await self._before(service, call, fault)
        if fault is not None and await self._gone(fault, "before"):
            return None
        answer = replaced or await self._carry_out(service, call, arrived.logged)
        if fault is not None and await self._gone(fault, "after"):
            return None
        if toll is not None:
            answer.headers |= toll.headers
            if toll.delay_s and self.world.options.speed == "real":
                await asyncio.sleep(toll.delay_s)
        finished = self._finished(service, call, answer)
        if fault is not None:
            finished.headers.update(fault.headers)
        return finished

    def _over_limit(self, service: Service, call: Call) -> Answer | None:
        problem = self.world.limits.check(call, self.world.clock.timestamp())
        return None if problem is None else service.problem(self.world, problem, call.headers)

    async def _gone(self, fault: Fault, moment: Literal["before", "after"]) -> bool:
        """Whether nothing is to be answered; a request that hangs never comes back."""
        if fault.hang == moment:
            await asyncio.Event().wait()
        return fault.drop == moment

    async def _carry_out(self, service: Service, call: Call, logged: LoggedRequest) -> Answer:
        """Call the handler, on the past if a fault says so, and note what it changed."""
        world = self.world
        if call.fault is not None and call.fault.stale and world.earlier is not None:
            return await self._call(service, call, world_at(world, world.earlier))
        writes = call.route.changes and world.faults.need_the_past
        before = remember(world) if writes else None
        answer = await self._call(service, call, world)
        if call.route.changes and answer.status < 400:
            logged.effect = True
            world.earlier = before
        return answer

    def _finished(self, service: Service, call: Call, answer: Answer) -> Answer:
        content = b"" if self._recorder is None or answer.stream else answer.content()
        finished = service.finish(self.world, call, answer)
        if self._recorder is not None:
            headers = {**finished.headers}
            if finished.content_type is not None:
                headers["Content-Type"] = finished.content_type
            self._recorder.note(call, finished.status, headers, content)
        return finished

    def _to_call(self, arrived: _Arrived) -> Call | Answer:
        """Return the call for a handler, or the answer if it does not get that far."""
        incoming, service, logged = arrived.incoming, arrived.service, arrived.logged

        def refuse(kind: ProblemKind, message: str) -> Answer:
            problem = Problem(kind, message, logged.path)
            return service.problem(self.world, problem, incoming.headers)

        caller = admit(self.world, service.name, incoming.headers.get("Authorization"))
        if isinstance(caller, str):
            if not service.anonymous:
                return refuse(caller, "valid credentials are missing")
            caller = _ANONYMOUS
        logged.caller = caller.id
        if len(incoming.body) > _LARGEST_CALL and service.name in _LIMITED:
            return refuse("too_large", "the body is too large")
        try:
            found, rest = service.locate(self.world, arrived.segments)
        except Refused as refused:
            return refused.answer
        matched = arrived.router.match(incoming.method, rest)
        if matched is None:
            kind: ProblemKind = "wrong_method" if arrived.router.knows(rest) else "no_route"
            return refuse(kind, f"{incoming.method} is not answered here")
        route, params = matched
        logged.route = route.pattern
        return Call(
            service=service.name,
            method=incoming.method,
            path=logged.path,
            params={**found, **params},
            query=arrived.query,
            headers=incoming.headers,
            raw=incoming.body,
            caller=caller,
            route=route,
            url=incoming.target,
        )

    async def _before(self, service: Service, call: Call, fault: Fault | None) -> Answer | None:
        """Wait as the fault says and return the answer it puts in the handler's place."""
        if fault is None:
            return None
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
            self.world.settle()
        if fault.token_expired:
            problem = Problem("token_expired", "the token has expired", call.path)
            return service.problem(self.world, problem, call.headers)
        return fault.to_answer()

    async def _call(self, service: Service, call: Call, world: World) -> Answer:
        """Call the handler; whatever it raises becomes the service's own error."""
        try:
            return await call.route.handler(world, call)
        except Refused as refused:
            return refused.answer
        except MalformedBody as error:
            problem = Problem("malformed_body", str(error), call.path)
        except Exception:  # noqa: BLE001 - a client gets a service error, never a traceback
            _LOG.exception("%s %s failed", call.method, call.route.pattern)
            problem = Problem("unexpected", "an unexpected error occurred", call.path)
        return service.problem(self.world, problem, call.headers)
