"""The pace: what is learned from refusals, how few of them it takes, and when it gives up."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections import Counter

import httpx
import pytest
from virtual_clock import VirtualClock

from reconciler.clients.http import Transport
from reconciler.errors import ClientError, DeadlineExceeded, Throttled

from .helpers import answer, transport_for


class FixedWindow(httpx.AsyncBaseTransport):
    """A service that takes so many calls per API in windows from the first one."""

    def __init__(
        self, clock: VirtualClock, count: int, window_s: float = 60.0, latency_s: float = 0.05
    ) -> None:
        self.clock = clock
        self.count = count
        self.window_s = window_s
        self.latency_s = latency_s
        self.windows: dict[str, tuple[float, int]] = {}
        self.statuses: Counter[int] = Counter()
        self.taken_at_s: list[float] = []
        self.under_way = self.most_under_way = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await self.clock.sleep(self.latency_s / 2)
        found = self.judge(request.url.path)
        self.statuses[found.status_code] += 1
        await self.clock.sleep(self.latency_s / 2)
        self.under_way -= 1
        return found

    def judge(self, path: str) -> httpx.Response:
        now_s = self.clock.monotonic_s()
        start_s, used = self.windows.get(path, (now_s, 0))
        if now_s >= start_s + self.window_s:
            start_s, used = now_s, 0
        if used >= self.count:
            left_s = max(1, math.ceil(start_s + self.window_s - now_s))
            return answer(429, headers={"Retry-After": str(left_s)})
        self.windows[path] = (start_s, used + 1)
        self.taken_at_s.append(now_s)
        return answer(200, {})

    @property
    def refused(self) -> int:
        return self.statuses[429]


def over(service: FixedWindow, **options) -> Transport:
    """A transport to the service."""
    return transport_for(service, clock=service.clock, **options)


async def call(transport: Transport, api: str, times: int) -> list[BaseException | object]:
    """That many calls of an API at once."""
    calls = (transport.request(api, "GET", f"/{api}") for _ in range(times))
    return await asyncio.gather(*calls, return_exceptions=True)


@pytest.mark.parametrize("count", [1, 5, 10, 25, 200])
@pytest.mark.parametrize("times", [300, 1000])
async def test_a_limited_api_is_called_about_as_fast_as_it_may_be(count, times):
    """Guards the floor: calls of one API under a limit take little longer than the limit's law."""
    clock = VirtualClock()
    service = FixedWindow(clock, count)
    answers = await call(over(service, connections=16), "things", times)
    assert [] == [a for a in answers if isinstance(a, BaseException)]
    floor_s = (math.ceil(times / count) - 1) * 60
    assert clock.monotonic_s() <= 1.1 * floor_s + 61


@pytest.mark.parametrize("connections", [10, 32])
async def test_few_of_many_calls_are_refused(connections):
    """Guards the slow start: at most one in a hundred of 3,000 calls of three APIs gets a 429."""
    clock = VirtualClock()
    service = FixedWindow(clock, 10)
    transport = over(service, connections=connections)
    await asyncio.gather(*(call(transport, api, 1000) for api in ("one", "two", "three")))
    assert 3000 == service.statuses[200]
    assert service.refused <= 30
    assert clock.monotonic_s() <= 1.1 * 99 * 60


async def test_a_call_that_only_waits_for_a_slot_sees_the_refusal_of_another():
    """Guards the slots: no more are refused at first than were on their way, and one more later."""
    clock = VirtualClock()
    service = FixedWindow(clock, 80)
    await call(over(service, connections=16), "things", 300)
    assert service.refused <= 16 + 1


async def test_calls_are_spread_once_the_limit_is_known():
    """Guards against bursts: while more wait than fit, calls of a window keep their distance."""
    clock = VirtualClock()
    service = FixedWindow(clock, 10)
    await call(over(service), "things", 200)
    # Windows 4 to 7: the limit is known, and the next trial is not yet due.
    later = [s for s in service.taken_at_s if 4 * 60 <= s < 7 * 60]
    assert all(after - before >= 5.9 for before, after in itertools.pairwise(later))


async def test_what_fits_into_a_window_is_not_kept_waiting():
    """Guards small runs: with room for all who wait, nobody is spread."""
    clock = VirtualClock()
    service = FixedWindow(clock, 10)
    transport = over(service)
    await call(transport, "things", 45)
    clock.advance(600)
    began_s = clock.monotonic_s()
    await call(transport, "things", 8)
    assert clock.monotonic_s() - began_s < 1


async def test_without_a_limit_calls_double_with_each_round_trip():
    """Guards the unthrottled plan: within a fifth of requests x latency / calls at a time."""
    for connections in (10, 32):
        clock = VirtualClock()
        service = FixedWindow(clock, 10**9)
        await call(over(service, connections=connections), "things", 1000)
        assert connections == service.most_under_way
        assert clock.monotonic_s() <= 1.2 * 1000 * 0.05 / connections


async def test_a_limit_that_rises_is_found_out():
    """Guards against staying slow for ever: a call too many asks now and then."""
    clock = VirtualClock()
    service = FixedWindow(clock, 10)
    transport = over(service)
    await call(transport, "things", 100)
    service.count = 100
    began_s = clock.monotonic_s()
    await call(transport, "things", 1000)
    assert clock.monotonic_s() - began_s < 25 * 60


async def test_a_limit_that_falls_is_obeyed_at_once():
    """Guards a shared caller: when others use the limit too, refusals stay few."""
    clock = VirtualClock()
    service = FixedWindow(clock, 20)
    transport = over(service)
    await call(transport, "things", 200)
    service.count = 5
    before = service.refused
    await call(transport, "things", 300)
    assert service.refused - before <= 8


async def test_a_window_that_others_had_begun_is_not_taken_for_the_limit():
    """Guards the first guess: calls of an earlier run do not make the limit look small."""
    clock = VirtualClock()
    service = FixedWindow(clock, 100)
    service.windows["/things"] = (0.0, 95)
    clock.advance(30)
    await call(over(service), "things", 1000)
    assert clock.monotonic_s() <= 1.1 * 10 * 60 + 61


async def test_waiting_for_ones_turn_is_no_failure():
    """Guards the long plan: a call may wait an hour for its turn, with a deadline of minutes."""
    clock = VirtualClock()
    service = FixedWindow(clock, 2)
    answers = await call(over(service, deadline_s=120), "things", 130)
    assert [] == [a for a in answers if isinstance(a, BaseException)]
    assert clock.monotonic_s() > 3600


async def test_a_limiter_that_never_frees_ends_in_a_message():
    """Guards the bad case: after the deadline every waiting call is told, and nothing is sent."""
    clock = VirtualClock()
    service = FixedWindow(clock, 0)
    answers = await call(over(service, deadline_s=300), "git.status", 50)
    assert 50 == sum(isinstance(a, DeadlineExceeded | Throttled) for a in answers)
    told = [a for a in answers if isinstance(a, DeadlineExceeded)]
    assert not any(a.sent for a in told)
    assert "git.status" in told[-1].message
    assert "has refused every one for" in told[-1].message
    assert 300 <= clock.monotonic_s() <= 420
    assert service.refused <= 12


async def test_an_api_that_was_shut_is_asked_again_when_its_time_has_come():
    """Guards recovery: once the wait is over the next call goes out, and what it says holds."""
    clock = VirtualClock()
    service = FixedWindow(clock, 0)
    transport = over(service, deadline_s=100)
    with pytest.raises(ClientError):
        await transport.request("things", "GET", "/things")
    service.count = 10
    clock.advance(61)
    assert 200 == (await transport.request("things", "GET", "/things")).status


async def test_one_api_does_not_wait_for_another():
    """Guards that limits are per API: a call of a free one goes at once."""
    clock = VirtualClock()
    service = FixedWindow(clock, 1)
    transport = over(service)
    slow = asyncio.create_task(call(transport, "slow", 20))
    await clock.sleep(1)
    assert 0 < service.refused
    began_s = clock.monotonic_s()
    await transport.request("free", "GET", "/free")
    assert clock.monotonic_s() - began_s < 1
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow


async def test_a_known_limit_is_told_once():
    """Guards the message: people learn why it takes long, and not again with each window."""
    said: list[str] = []
    clock = VirtualClock()
    await call(over(FixedWindow(clock, 10), tell=said.append), "git.status", 100)
    assert 1 == len(said)
    assert said[0].startswith("The service takes 10 git.status calls in 6")


async def test_a_cancelled_call_leaves_the_line():
    """Guards an interrupted run: those behind a cancelled caller still get their turn."""
    clock = VirtualClock()
    service = FixedWindow(clock, 1)
    transport = over(service)
    await transport.request("things", "GET", "/things")
    first = asyncio.create_task(transport.request("things", "GET", "/things"))
    second = asyncio.create_task(transport.request("things", "GET", "/things"))
    await clock.sleep(1)
    assert 0 < service.refused
    first.cancel()
    assert 200 == (await second).status
    with pytest.raises(asyncio.CancelledError):
        await first
