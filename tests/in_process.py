"""The reconciler and the emulator in one process and on one clock: no socket between them, no wait.

Only stock git still uses the emulator's socket, for imports; virtual time stands still meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from typing_extensions import override

from reconciler.clients.http import Service
from reconciler.clock import ManualClock
from reconciler.emulator.clock import EmulatorClock
from reconciler.emulator.dispatch import Dispatcher, Incoming
from reconciler.emulator.options import EmulatorOptions, Speed
from reconciler.emulator.server import Emulator
from reconciler.engine import Settings

__all__ = ["BEGAN", "Carrier", "InProcess", "Interceptor", "in_process"]

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

Carrier = Callable[[httpx.Request], Awaitable[httpx.Response]]
"""Brings a request to the emulator and its answer back; a cut connection is a ReadError."""

Interceptor = Callable[[httpx.Request, Carrier], Awaitable[httpx.Response]]
"""Stands between the two, to count requests and to make them go wrong."""


async def _undisturbed(request: httpx.Request, carry: Carrier) -> httpx.Response:
    return await carry(request)


class _Network(httpx.AsyncBaseTransport):
    def __init__(self, world: InProcess) -> None:
        self._world = world

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return await self._world.intercept(request, self._world.carry)


@dataclass
class InProcess:
    """A running emulator, and the settings with which the engine reaches it.

    Attributes:
        clock: drives both sides; sleeping on it advances it.
        intercept: what every request of the engine passes through.
    """

    emulator: Emulator
    clock: ManualClock
    intercept: Interceptor = _undisturbed
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def _dispatcher(self) -> Dispatcher:
        return self.emulator._dispatcher

    async def carry(self, request: httpx.Request) -> httpx.Response:
        """Let the emulator answer a request, with its effect."""
        incoming = Incoming(
            request.method, request.url.raw_path.decode(), request.headers, request.content
        )
        tasks = self.emulator.world.tasks
        if tasks:  # git fetches for an import in real time: virtual time waits for it
            await asyncio.wait([*tasks.values()])
        outcome = await self._dispatcher.handle(incoming)
        self._dispatcher.finished(outcome)  # the log has no time worth keeping here
        answer = outcome.answer
        if answer is None:
            raise httpx.ReadError("the connection was cut", request=request)
        if answer.stream is None:
            content = answer.content()
        else:
            content = b"".join([chunk async for chunk in answer.stream])
        kind = answer.content_type or ("application/json; charset=utf-8" if content else None)
        headers = {**({"Content-Type": kind} if kind else {}), **answer.headers}
        return httpx.Response(answer.status, headers=headers, content=content, request=request)

    def network(self, _: Service) -> httpx.AsyncBaseTransport:
        """Return what carries the requests to a service."""
        return _Network(self)

    def settings(self, **more: Any) -> Settings:
        """Return settings of a run against this emulator."""
        urls, token = self.emulator.urls, self.emulator.token
        return Settings(
            environ={
                "RECONCILER_FABRIC_TOKEN": token,
                "RECONCILER_DEVOPS_TOKEN": token,
                **self.environ,
            },
            fabric_url=urls.fabric_url,
            devops_url=urls.devops_url,
            clock=self.clock,
            network=self.network,
            **more,
        )

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call a control route, such as ``scenario`` or ``portal``."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        url = f"{self.emulator.urls.control_url}/{path.lstrip('/')}"
        answer = await self.carry(httpx.Request(method, url, headers=headers, content=content))
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def scenario(self, data: Mapping[str, Any], base: str) -> None:
        """Load what exists; folders are relative to ``base``."""
        await self.control("POST", "scenario", {**data, "base": base})

    async def requests(self) -> list[dict[str, Any]]:
        """Return the emulator's request log."""
        answer = await self.control("GET", "requests")
        return list(answer["requests"])


@asynccontextmanager
async def in_process(
    *,
    speed: Speed = "instant",
    seed: int | None = 1,
    data: Path | None = None,
    starts: datetime = BEGAN,
    clock: ManualClock | None = None,
) -> AsyncIterator[InProcess]:
    """Run an emulator in this event loop.

    Args:
        data: folder that keeps its state; what it holds already is there again.
        starts: the time of both sides at the start.
        clock: drives both sides in place of one that starts there.
    """
    clock = clock or ManualClock(starts)
    emulator = Emulator(EmulatorOptions(speed=speed, seed=seed, data=data))
    emulator.world.clock = EmulatorClock(real_time_s=lambda: clock.now().timestamp())
    await emulator.start()
    try:
        yield InProcess(emulator, clock)
    finally:
        await emulator.stop()
