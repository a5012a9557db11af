"""The lease on a blob, against Azurite: who gets it, how it is kept, and how a run loses it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from azurite_process import Azurite, connection_string

from reconciler.clock import Clock, ManualClock
from reconciler.errors import LockFailed, LockHeld, LockLost
from reconciler.locks.choose import LockPlace
from reconciler.locks.holder import LockHolder
from reconciler.locks.lock import Lock

from .stepped import SteppedClock, a_holder, nobody_told


def _no_credential():
    raise AssertionError("the connection string is to be used")


class Storage:
    """One container of its own, and locks in it; what was taken is given back."""

    def __init__(self, azurite: Azurite) -> None:
        self.azurite = azurite
        self.name = f"c{uuid.uuid4().hex}"
        self.where = azurite.container(self.name)
        self.locks: list[Lock] = []

    def place(self, port: int | None = None) -> LockPlace:
        """Return the place, reached through ``port``."""
        text = connection_string(port or self.azurite.port)
        return LockPlace(self.where, {"AZURE_STORAGE_CONNECTION_STRING": text}, _no_credential)

    def lock(
        self, holder: LockHolder | None = None, clock: Clock | None = None, port: int | None = None
    ) -> Lock:
        """Return a lock, not yet taken."""
        lock = self.place(port).lock_for(holder or a_holder(), clock or SteppedClock())
        self.locks.append(lock)
        return lock

    async def taken(
        self, holder: LockHolder | None = None, clock: Clock | None = None, port: int | None = None
    ) -> Lock:
        """Return a lock that is held."""
        lock = self.lock(holder, clock, port)
        await lock.acquire(timeout_s=0, on_wait=nobody_told)
        return lock


@pytest.fixture
async def storage(azurite: Azurite) -> AsyncIterator[Storage]:
    """Return an empty container."""
    found = Storage(azurite)
    yield found
    for lock in found.locks:
        await lock.release()


class Gate:
    """Stands between a lock and its storage, and can be shut."""

    def __init__(self, azurite: Azurite) -> None:
        self._target = f"http://127.0.0.1:{azurite.port}"
        self.shut: int | None = None
        """The status that everything is answered with."""
        self.times: int | None = None
        """How often, before it opens again; None for good."""
        self.seen: list[str] = []
        self.port = 0

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Forward a request, or answer it."""
        action = request.headers.get("x-ms-lease-action", "")
        self.seen.append(f"{request.method} {action}".strip())
        if self.shut is not None and self.times != 0:
            self.times = None if self.times is None else self.times - 1
            return web.Response(status=self.shut, headers={"x-ms-error-code": "ServerBusy"})
        async with (
            # What the client would add by itself is not in the signature.
            aiohttp.ClientSession(
                auto_decompress=False, skip_auto_headers=("Content-Type", "Accept", "User-Agent")
            ) as session,
            session.request(
                request.method,
                self._target + request.raw_path,
                headers=request.headers,
                data=await request.read() or None,
            ) as answer,
        ):
            hops = {"transfer-encoding", "content-length", "connection", "keep-alive"}
            headers = {k: v for k, v in answer.headers.items() if k.lower() not in hops}
            return web.Response(status=answer.status, headers=headers, body=await answer.read())


@pytest.fixture
async def gate(azurite: Azurite) -> AsyncIterator[Gate]:
    """Run a gate on a port of its own."""
    found = Gate(azurite)
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", found.pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.port = runner.addresses[0][1]
    yield found
    await runner.cleanup()


async def test_the_second_is_refused_and_told_who_the_first_is(storage: Storage) -> None:
    """Guards mutual exclusion, and a refusal whose command can be pasted."""
    first = a_holder(run="nightly")
    await storage.taken(first)
    with pytest.raises(LockHeld) as refused:
        await storage.lock(clock=ManualClock()).acquire(timeout_s=0, on_wait=nobody_told)
    assert f"the estate sales is locked by {first.describe()}" == str(refused.value)
    command = f"reconciler force-unlock {first.lock_id} --lock {storage.where}"
    assert refused.value.remedy.endswith(command)


async def test_many_at_once_exactly_one_proceeds(storage: Storage) -> None:
    """Guards the race for a blob that is not there yet."""
    clock = ManualClock()
    locks = [storage.lock(a_holder(run=str(n)), clock) for n in range(8)]
    ended = await asyncio.gather(
        *(lock.acquire(timeout_s=0, on_wait=nobody_told) for lock in locks), return_exceptions=True
    )
    assert 1 == ended.count(None)
    winner = locks[ended.index(None)]
    others = [e for e in ended if e is not None]
    assert {LockHeld} == {type(e) for e in others}
    assert {f"(run {ended.index(None)}, process"} == {
        f"(run {str(e).partition('(run ')[2].partition(',')[0]}, process" for e in others
    }
    await winner.release()
    await storage.taken(clock=clock)


async def test_the_lease_is_short_renewed_and_given_back(storage: Storage) -> None:
    """Guards that the lease lasts a minute, is renewed every twenty seconds, and ends."""
    clock = SteppedClock()
    lock = await storage.taken(clock=clock)
    with storage.azurite.client(storage.name) as client:
        (blob,) = client.list_blobs()
        assert ("leased", "fixed") == (blob.lease.state, blob.lease.duration)
        for _ in range(6):
            await clock.step(20)
            await lock.renew()
        assert [20.0] * 7 == clock.slept_s
        await lock.release()
        (blob,) = client.list_blobs()
        assert "available" == blob.lease.state


async def test_estates_do_not_lock_each_other(storage: Storage) -> None:
    """Guards one blob for each estate, whatever its name is made of."""
    for name in ("sales", "Sales EU", "Sales/EU", "Verkäufe"):
        await storage.taken(a_holder(name))
    with storage.azurite.client(storage.name) as client:
        assert 4 == len(list(client.list_blobs()))


async def test_a_holder_with_any_name_is_told_as_it_is(storage: Storage) -> None:
    """Guards metadata, which takes ASCII only."""
    first = a_holder("Verkäufe EU", run="Lauf ü; x=1")
    await storage.taken(first)
    with pytest.raises(LockHeld) as refused:
        await storage.lock(a_holder("Verkäufe EU"), ManualClock()).acquire(
            timeout_s=0, on_wait=nobody_told
        )
    assert f"the estate Verkäufe EU is locked by {first.describe()}" == str(refused.value)


async def test_the_name_a_killed_run_left_is_not_taken_for_the_holder(storage: Storage) -> None:
    """Guards the moment between taking a lease and saying whose it is."""
    dead = await storage.taken(a_holder(run="dead"))
    storage.azurite.break_lease(storage.name)
    await dead.release()
    with storage.azurite.client(storage.name) as client:
        (name,) = client.list_blob_names()
        lease = client.get_blob_client(name).acquire_lease(lease_duration=60)
        with pytest.raises(LockHeld) as refused:
            await storage.lock(clock=ManualClock()).acquire(timeout_s=0, on_wait=nobody_told)
        lease.release()
    assert "by a run that has not said who it is" in str(refused.value)


@pytest.mark.parametrize("how", ["broken", "released", "taken by another", "deleted"])
async def test_a_lost_lease_stops_the_next_write(storage: Storage, how: str) -> None:
    """Guards the fence: every way to lose a lease is noticed before the next write."""
    holder, clock = a_holder(), SteppedClock()
    lock = await storage.taken(holder, clock)
    await lock.renew()
    storage.azurite.break_lease(storage.name)
    if how == "taken by another":
        await storage.taken(clock=clock)
    with storage.azurite.client(storage.name) as client:
        (name,) = client.list_blob_names()
        if how == "deleted":
            client.get_blob_client(name).delete_blob()
        if how == "released":
            lease = client.get_blob_client(name).acquire_lease(lease_id=holder.lock_id)
            lease.release()
    for _ in range(2):
        with pytest.raises(LockLost) as stopped:
            await lock.renew()
    why = {
        "broken": "somebody broke its lease",
        "deleted": "its blob was deleted",
    }.get(how, "somebody released its lease (force-unlock), or another run has taken it")
    expected = f"the lock of the estate sales was lost: {why}; nothing more is sent"
    assert expected == str(stopped.value)
    assert "what was sent goes on" in stopped.value.remedy


async def test_an_outage_of_the_storage_is_survived_as_long_as_the_lease_lasts(
    storage: Storage, gate: Gate
) -> None:
    """Guards that one failed renewal stops nobody, and that it is tried again soon."""
    clock = SteppedClock()
    lock = await storage.taken(clock=clock, port=gate.port)
    gate.shut = 503
    await clock.step(20)
    await lock.renew()
    for _ in range(6):
        await clock.step(5)
        await lock.renew()
    gate.shut = None
    await clock.step(5)
    await clock.step(20)
    await lock.renew()
    assert [20.0, *[5.0] * 7, 20.0, 20.0] == clock.slept_s


async def test_an_outage_longer_than_the_lease_stops_the_run(storage: Storage, gate: Gate) -> None:
    """Guards that nobody writes on a lease which may have ended."""
    clock = SteppedClock()
    lock = await storage.taken(clock=clock, port=gate.port)
    gate.shut = 503
    clock.advance(54)
    await lock.renew()
    clock.advance(1)
    with pytest.raises(LockLost) as stopped:
        await lock.renew()
    assert "could not be renewed for 55 s (503 ServerBusy)" in str(stopped.value)
    gate.shut = None
    with pytest.raises(LockLost):
        await lock.renew()


async def test_a_lease_that_ran_out_unnoticed_is_taken_up_again(storage: Storage) -> None:
    """Guards a process that was stopped for long while nobody else came: the service knows."""
    clock = SteppedClock()
    lock = await storage.taken(clock=clock)
    clock.advance(3600)
    await lock.renew()


async def test_writes_that_ask_at_once_share_a_renewal(storage: Storage, gate: Gate) -> None:
    """Guards the storage account against a request for each of many parallel writes."""
    lock = await storage.taken(port=gate.port)
    gate.seen.clear()
    await asyncio.gather(*(lock.renew() for _ in range(20)))
    # The first one's, and one more for all that asked while it was under way.
    assert ["PUT renew"] * 2 == gate.seen
    await lock.renew()
    assert ["PUT renew"] * 3 == gate.seen


async def test_a_moment_of_outage_does_not_fail_the_start(storage: Storage, gate: Gate) -> None:
    """Guards the first requests of a run, which repeat."""
    gate.shut, gate.times = 503, 2
    clock = ManualClock()
    lock = storage.lock(clock=clock, port=gate.port)
    await lock.acquire(timeout_s=0, on_wait=nobody_told)
    assert [1.0, 2.0] == clock.slept_s[:2]
    await lock.release()


@pytest.mark.parametrize(
    ("status", "phrase", "remedy"),
    [
        (503, "503 ServerBusy", "check the name of the account"),
        (403, "403 ServerBusy", "Storage Blob Data Contributor"),
    ],
)
async def test_a_storage_that_refuses_says_what_to_do(
    storage: Storage, gate: Gate, status: int, phrase: str, remedy: str
) -> None:
    """Guards that not knowing whether another run is under way is an error, not a go-ahead."""
    gate.shut = status
    with pytest.raises(LockFailed) as failed:
        await storage.lock(clock=ManualClock(), port=gate.port).acquire(
            timeout_s=0, on_wait=nobody_told
        )
    assert f"cannot lock in {storage.where}: {phrase}" == str(failed.value)
    assert remedy in failed.value.remedy
    assert 1 == failed.value.exit_code


async def test_a_missing_container_is_not_made_but_named(storage: Storage) -> None:
    """Guards that a typing mistake does not end in a lock nobody else looks at."""
    storage.where += "x"
    with pytest.raises(LockFailed) as failed:
        await storage.lock(clock=ManualClock()).acquire(timeout_s=0, on_wait=nobody_told)
    assert "404 ContainerNotFound" in str(failed.value)
    assert f"az storage container create --name {storage.name}x" in failed.value.remedy


async def test_waiting_ends_when_the_other_run_does(storage: Storage) -> None:
    """Guards --lock-timeout."""
    first = await storage.taken()

    class LetsGo(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await first.release()
            await super().sleep(seconds)

    told: list[str] = []
    second = storage.lock(clock=LetsGo())
    await second.acquire(timeout_s=30, on_wait=told.append)
    assert 1 == len(told)
    await second.release()


async def test_a_lock_is_found_by_its_id_and_ended(storage: Storage) -> None:
    """Guards force-unlock: it ends this hold, says when it had ended, and no other's."""
    holder = a_holder("Sales EU")
    lock = await storage.taken(holder)
    await storage.taken(a_holder("other"))
    place = storage.place()
    found = await place.find(holder.lock_id)
    assert holder == found
    assert await place.force_unlock(found)
    with pytest.raises(LockLost):
        await lock.renew()
    successor = await storage.taken(a_holder("Sales EU"))
    assert not await place.force_unlock(found)
    await successor.renew()


async def test_an_id_that_is_not_there_names_those_that_are(storage: Storage) -> None:
    """Guards the message for a lock that ended by itself, or a wrong --lock."""
    with pytest.raises(LockFailed) as nothing:
        await storage.place().find(a_holder().lock_id)
    assert "it may have ended by itself" in nothing.value.remedy
    holder = a_holder()
    await storage.taken(holder)
    with pytest.raises(LockFailed) as failed:
        await storage.place().find(a_holder().lock_id)
    assert f"is here (--lock {storage.where})" in str(failed.value)
    assert f"those that are: {holder.lock_id} of the estate sales" == failed.value.remedy
