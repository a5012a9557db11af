"""What can go wrong with one request, and the interceptor that makes it go wrong."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import httpx
from in_process import Carrier, InProcess

from reconciler.emulator.faults import Fault, ImportFailure, OperationFailure
from reconciler.emulator.matching import Match

__all__ = ["Disturbance", "FaultKind", "Killed", "Request"]


class FaultKind(StrEnum):
    """What happens to the chosen request, once."""

    KILL_BEFORE = "kill-before"
    """The process dies before it sends the request."""
    KILL_AFTER = "kill-after"
    """The process dies after the effect, before it has the answer."""
    LOST = "lost"
    """The effect happens, and the connection breaks before the answer."""
    RESET = "reset"
    """The connection breaks before the effect; the caller cannot tell this from LOST."""
    THROTTLED = "429"
    """429 with Retry-After: 30."""
    ERROR_BEFORE = "500-before"
    """500, and nothing happened."""
    ERROR_AFTER = "500-after"
    """500, and the effect happened all the same."""
    GATEWAY = "503-html"
    """A gateway's page in place of the service."""
    STALE = "stale"
    """A read is answered from the state before the last write."""
    HANG = "hang"
    """No answer until the caller's deadline, and no effect."""
    HANG_AFTER = "hang-after"
    """No answer until the caller's deadline, and the effect happens."""
    TOKEN = "token"
    """401: the token has expired."""
    OPERATION = "operation-failed"
    """The operation or import that the request starts ends as Failed."""

    @property
    def kills(self) -> bool:
        """Whether the reconciler's process ends by it."""
        return self in (FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER)


class Killed(BaseException):
    """The process is dead: nothing that is caught by a handler."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of an undisturbed run.

    Attributes:
        stale: whether a write came before it, so that its answer could be an older one.
        begins: whether it starts an operation or an import.
    """

    method: str
    path: str
    status: int
    stale: bool
    begins: bool

    def can(self, kind: FaultKind) -> bool:
        """Whether a fault of this kind can happen to it."""
        if kind is FaultKind.STALE:
            return self.stale
        return kind is not FaultKind.OPERATION or self.begins


@dataclass
class Disturbance:
    """Counts requests, and lets the one with number ``index`` go wrong.

    Requests are answered one after the other, in the order in which they were sent, so that a
    number means the same request in every run.

    Attributes:
        seen: method and path of all requests so far.
        struck: whether the fault has happened.
        dead: whether the process has been killed; nothing is carried any more.
        journals: what a kill preserves of this folder, byte for byte, stands in ``kept``.
    """

    world: InProcess
    kind: FaultKind | None = None
    index: int = -1
    journals: Path | None = None
    kept: Path | None = None
    dead: bool = False
    struck: bool = False
    seen: list[Request] = field(default_factory=list)
    wrote: bool = False
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stale: Fault | None = None

    def __post_init__(self) -> None:
        if self.kind is FaultKind.STALE:  # from now on the emulator remembers before each write
            self._stale = Fault(match=Match(), stale=True, nth=10**9)
            self.world.emulator.world.faults.faults.append(self._stale)

    async def __call__(self, request: httpx.Request, carry: Carrier) -> httpx.Response:
        """Let a request through, or let it go wrong."""
        if self.dead:
            raise Killed
        number = len(self.seen)
        self.seen.append(Request(request.method, request.url.path, 0, self.wrote, begins=False))
        async with self._turn:
            if self.dead:
                raise Killed
            if self.kind is not None and number == self.index:
                self.struck = True
                return await self._strike(self.kind, request, carry)
            answer = await carry(request)
            self._note(number, request, answer)
            return answer

    def _note(self, number: int, request: httpx.Request, answer: httpx.Response) -> None:
        log = self.world.emulator.world.log.entries
        read = not (log and log[-1].effect)
        imports = "importrequests" in request.url.path.lower() and request.method != "GET"
        self.seen[number] = Request(
            request.method,
            request.url.path,
            answer.status_code,
            stale=self.seen[number].stale and read,
            begins=answer.status_code < 300
            and ((answer.status_code == 202 and "x-ms-operation-id" in answer.headers) or imports),
        )
        self.wrote = self.wrote or not read

    async def _strike(
        self, kind: FaultKind, request: httpx.Request, carry: Carrier
    ) -> httpx.Response:
        after = (FaultKind.KILL_AFTER, FaultKind.LOST, FaultKind.ERROR_AFTER, FaultKind.HANG_AFTER)
        if kind in after:
            await carry(request)
        match kind:
            case FaultKind.KILL_BEFORE | FaultKind.KILL_AFTER:
                self._die()
                raise Killed
            case FaultKind.LOST | FaultKind.RESET:
                raise httpx.ReadError("Connection reset by peer", request=request)
            case FaultKind.HANG | FaultKind.HANG_AFTER:
                self.world.clock.advance(request.extensions["timeout"]["read"])
                raise httpx.ReadTimeout("no answer", request=request)
            case FaultKind.STALE | FaultKind.TOKEN | FaultKind.OPERATION:
                return await self._by_the_emulator(kind, request, carry)
            case _:
                return _answer(kind, request)

    def _die(self) -> None:
        """Cut the network, and keep of the journals what is on disk at this moment."""
        self.dead = True
        if self.journals is not None and self.kept is not None and self.journals.exists():
            shutil.copytree(self.journals, self.kept)

    async def _by_the_emulator(
        self, kind: FaultKind, request: httpx.Request, carry: Carrier
    ) -> httpx.Response:
        faults = self.world.emulator.world.faults
        fault = self._stale
        if fault is None:
            fault = _FAULTS[kind]()
            faults.faults.append(fault)
        fault.match = Match(method=request.method)
        fault.nth = fault.matched + 1
        answer = await carry(request)
        faults.clear()
        return answer


def _failure() -> Fault:
    error = {"errorCode": "UnknownError", "message": "The operation failed"}
    return Fault(failing_operation=OperationFailure(error), failing_import=ImportFailure())


_FAULTS: dict[FaultKind, Callable[[], Fault]] = {
    FaultKind.TOKEN: lambda: Fault(token_expired=True),
    FaultKind.OPERATION: _failure,
}


def _answer(kind: FaultKind, request: httpx.Request) -> httpx.Response:
    """Return what stands in the way of the service's own answer."""
    if kind is FaultKind.GATEWAY:
        page = "<html><body>503 Service Unavailable</body></html>"
        return httpx.Response(503, html=page, request=request)
    if kind is FaultKind.THROTTLED:
        body = {"errorCode": "RequestBlocked", "message": "Request is blocked by the service."}
        return httpx.Response(429, json=body, headers={"Retry-After": "30"}, request=request)
    body = {"errorCode": "UnknownError", "message": "An unexpected error occurred"}
    return httpx.Response(500, json=body, request=request)
