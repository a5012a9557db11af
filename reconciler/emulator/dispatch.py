"""From an HTTP request to a handler's answer: the same steps for every service.

Settle what is due, know the caller, find the route, apply faults, call the handler, keep the
state. The web server is only asked for the request and told what to send.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from multidict import CIMultiDict

from reconciler.emulator.faults import Fault
from reconciler.emulator.http import (
    Answer,
    Call,
    Caller,
    MalformedBody,
    Problem,
    ProblemKind,
    Refused,
    Router,
    Service,
    caller_of,
    path_segments,
)
from reconciler.emulator.requestlog import LoggedRequest
from reconciler.emulator.world import World

__all__ = ["Dispatcher", "Incoming", "Outcome"]

_LOG = logging.getLogger("reconciler.emulator")
_ANONYMOUS = Caller(id="anonymous", kind="User")


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

    async def handle(self, incoming: Incoming) -> Outcome:
        """Carry a request out and return what to send."""
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
            time=self.world.clock.now().isoformat(),
            service=service.name,
            method=incoming.method,
            path="/" + "/".join(segments[1:]),
            query=dict(query),
            route=None,
            status=0,
            caller=None,
            duration_ms=0.0,
            effect=False,
        )
        self.world.settle()
        arrived = _Arrived(incoming, service, router, segments[1:], query, logged)
        answer = await self._answer(arrived)
        self._keep()
        if answer is not None:
            logged.status = answer.status
        return Outcome(answer, None if unseen else logged, started_s)

    def _is_internal(self, incoming: Incoming) -> bool:
        """Whether the emulator itself asks, as an import that reads one of our repositories."""
        return incoming.headers.get("X-Emulator-Internal") == self.world.internal_key

    def finished(self, outcome: Outcome) -> None:
        """Log a request whose answer was sent (or whose connection was cut)."""
        if outcome.logged is not None:
            elapsed_s = time.perf_counter() - outcome.started_s
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
        service, logged = arrived.service, arrived.logged
        found = self._to_call(arrived)
        if isinstance(found, Answer):
            return service.finish(self.world, None, found)
        call = found
        spared = service.name == "control" or self._is_internal(arrived.incoming)
        fault = None if spared else self.world.faults.fire(call)
        replaced = await self._before(fault)
        if fault is not None and fault.drop == "before":
            return None
        answer = replaced or await self._call(service, call)
        if replaced is None and call.route.changes and answer.status < 400:
            logged.effect = True
            self.world.touch()
        if fault is not None and fault.drop == "after":
            return None
        return service.finish(self.world, call, answer)

    def _to_call(self, arrived: _Arrived) -> Call | Answer:
        """Return the call for a handler, or the answer if it does not get that far."""
        incoming, service, logged = arrived.incoming, arrived.service, arrived.logged

        def refuse(kind: ProblemKind, message: str) -> Answer:
            problem = Problem(kind, message, logged.path)
            return service.problem(self.world, problem, incoming.headers)

        caller = caller_of(incoming.headers.get("Authorization"))
        if caller is None:
            if not service.anonymous:
                return refuse("unauthorized", "credentials are missing")
            caller = _ANONYMOUS
        logged.caller = caller.id
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

    async def _before(self, fault: Fault | None) -> Answer | None:
        """Wait as the fault says and return the answer it puts in the handler's place."""
        if fault is None:
            return None
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
            self.world.settle()
        return fault.to_answer()

    async def _call(self, service: Service, call: Call) -> Answer:
        """Call the handler; whatever it raises becomes the service's own error."""
        try:
            return await call.route.handler(self.world, call)
        except Refused as refused:
            return refused.answer
        except MalformedBody as error:
            problem = Problem("malformed_body", str(error), call.path)
        except Exception:  # noqa: BLE001 - a client gets a service error, never a traceback
            _LOG.exception("%s %s failed", call.method, call.route.pattern)
            problem = Problem("unexpected", "an unexpected error occurred", call.path)
        return service.problem(self.world, problem, call.headers)
