"""Measure ways to keep connections, against the emulator with a network's latency; prints a table.

Requests of one list, so many at a time, each way in turn and twice over: how much longer than the
bound (requests x latency / requests at a time), and this process's processor time per request::

    python benchmarks/connections.py [--requests 600] [--latency 50]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from reconciler.clients.body import read_content
from reconciler.clients.pool import PooledNetwork

Send = Callable[[], Awaitable[None]]
Way = Callable[[str, str, int], contextlib.AbstractAsyncContextManager[Send]]


@asynccontextmanager
async def shared_pool(url: str, token: str, at_once: int) -> AsyncIterator[Send]:
    """One httpx client with its own pool."""
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    async with httpx.AsyncClient(limits=limits, headers=_signed(token)) as client:

        async def send() -> None:
            (await client.get(url)).raise_for_status()

        yield send


@asynccontextmanager
async def client_each(url: str, token: str, at_once: int) -> AsyncIterator[Send]:
    """As many httpx clients as requests at a time, one connection each."""
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    async with AsyncExitStack() as stack:
        free = [
            await stack.enter_async_context(
                httpx.AsyncClient(limits=limits, headers=_signed(token))
            )
            for _ in range(at_once)
        ]

        async def send() -> None:
            client = free.pop()
            try:
                (await client.get(url)).raise_for_status()
            finally:
                free.append(client)

        yield send


@asynccontextmanager
async def over_aiohttp(url: str, token: str, at_once: int) -> AsyncIterator[Send]:
    """One httpx client over aiohttp's connections."""
    network = PooledNetwork(at_once, secure=False)
    async with httpx.AsyncClient(transport=network, headers=_signed(token)) as client:

        async def send() -> None:
            (await client.get(url)).raise_for_status()

        yield send


@asynccontextmanager
async def ours(url: str, token: str, at_once: int) -> AsyncIterator[Send]:
    """Requests of httpx straight to aiohttp's connections, as the reconciler does it."""
    network = PooledNetwork(at_once, secure=False)
    allowed = {"connect": 10.0, "read": 60.0, "write": 60.0, "pool": 60.0}

    async def send() -> None:
        request = httpx.Request("GET", url, headers=_signed(token), extensions={"timeout": allowed})
        answer = await network.handle_async_request(request)
        try:
            content = await read_content(answer)
        finally:
            await answer.aclose()
        if answer.status_code != 200 or content.problem:
            raise SystemExit(f"{answer.status_code} {content.problem}")

    try:
        yield send
    finally:
        await network.aclose()


WAYS: dict[str, Way] = {
    "httpx, one pool": shared_pool,
    "httpx, a client per connection": client_each,
    "httpx over aiohttp": over_aiohttp,
    "straight to aiohttp": ours,
}


def main() -> int:
    """Start the emulator, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--latency", type=float, default=50.0, metavar="MS")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="connections-benchmark-") as folder:
        ready_file = Path(folder) / "ready.json"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "reconciler", "emulator", "--latency", str(args.latency)),
                *("--ready-file", str(ready_file)),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            while not ready_file.exists():
                if process.poll() is not None:
                    raise SystemExit("the emulator did not start")
                time.sleep(0.01)
            ready = json.loads(ready_file.read_text())
            asyncio.run(_measure(ready, args.requests, args.latency / 1000))
        finally:
            process.terminate()
            process.wait(10)
    return 0


async def _measure(ready: dict[str, str], requests: int, latency_s: float) -> None:
    url = f"{ready['fabric_url']}/v1/workspaces"
    for at_once in (10, 32):
        bound_s = requests * latency_s / at_once
        for name, way in [*WAYS.items()] * 2:
            async with way(url, ready["token"], at_once) as send:
                elapsed_s, cpu_s = await _timed(send, requests, at_once)
            sys.stdout.write(
                f"{at_once:>3} at a time  {name:<32} {elapsed_s / bound_s:5.2f} x the bound  "
                f"{cpu_s / requests * 1000:5.2f} ms of processor time a request\n"
            )


async def _timed(send: Send, requests: int, at_once: int) -> tuple[float, float]:
    free = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with free:
            await send()

    await one()
    began_s, cpu_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(one() for _ in range(requests)))
    return time.perf_counter() - began_s, time.process_time() - cpu_s


def _signed(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


if __name__ == "__main__":
    raise SystemExit(main())
