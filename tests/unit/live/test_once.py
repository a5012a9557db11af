"""What a run reads once: who asks for it gets the same, and nobody takes it from the others."""

import asyncio

import pytest

from reconciler.errors import ClientError
from reconciler.live.once import Once


class Source:
    """Counts how often it is read."""

    def __init__(self, *results):
        self.results = list(results)
        self.read_times = 0
        self.go_on = asyncio.Event()

    async def read(self):
        self.read_times += 1
        await self.go_on.wait()
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result


async def test_all_who_ask_at_once_share_one_read():
    """Guards requests: a hundred bindings to a branch look at it once."""
    once, source = Once(), Source("found")
    asking = [asyncio.ensure_future(once.read("key", source.read)) for _ in range(100)]
    await asyncio.sleep(0)
    source.go_on.set()
    assert ["found"] * 100 == await asyncio.gather(*asking)
    assert "found" == await once.read("key", source.read)
    assert 1 == source.read_times


async def test_a_failure_is_everybodys():
    """Guards "unreadable is not absent": who asks later is not told that there is nothing."""
    once, source = Once(), Source(ClientError("no answer"))
    source.go_on.set()
    for _ in range(2):
        with pytest.raises(ClientError, match="no answer"):
            await once.read("key", source.read)
    assert 1 == source.read_times
    assert once.kept("key") is None


async def test_who_gives_up_does_not_take_the_read_from_the_others():
    """Guards interruptions: a cancelled reader leaves the answer to those who still wait."""
    once, source = Once(), Source("found")
    leaving, staying = (asyncio.ensure_future(once.read("key", source.read)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    assert once.kept("key") is None
    source.go_on.set()
    assert "found" == await staying
    assert leaving.cancelled()
    assert "found" == once.kept("key")


async def test_keys_are_read_apart_and_what_was_read_otherwise_is_kept():
    """Guards identity: another thing is another read."""
    once, source = Once(), Source("one", "two")
    source.go_on.set()
    assert ["one", "two"] == [await once.read(key, source.read) for key in ("a", "b")]
    once.keep("c", "three")
    assert "three" == await once.read("c", source.read)
    assert 2 == source.read_times
