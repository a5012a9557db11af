"""Each thing is read once in a run, however many parts of the spec ask for it.

A hundred feature workspaces that are to be bound to one branch need one look at that branch, and
a plan that has to widen its targets has already read what they depend on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

__all__ = ["Once"]

T = TypeVar("T")


class Once:
    """Keeps what was read, and the failure of what could not be, by a key for each thing.

    Lives for one run: what an apply checks just before it writes never goes through here.
    """

    def __init__(self) -> None:
        self._reads: dict[Hashable, asyncio.Future[Any]] = {}

    async def read(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """Return what ``read`` gives, or gave to whoever asked under this key before.

        Raises:
            Exception: what ``read`` raised, to everybody who asks for it.
        """
        found = self._reads.get(key)
        if found is None:
            found = self._reads[key] = asyncio.ensure_future(read())
            # Nobody may be left to take a failure from it once the run gives up.
            found.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Whoever gives up waiting must not take the read away from the others.
        value: T = await asyncio.shield(found)
        return value

    def kept(self, key: Hashable) -> Any | None:  # noqa: ANN401 - what it is, the key says
        """Return what was read under a key; None when nothing was, or it failed or goes on."""
        found = self._reads.get(key)
        if found is None or not found.done() or found.cancelled() or found.exception():
            return None
        return found.result()

    def keep(self, key: Hashable, value: object) -> None:
        """Note what was read by other means."""
        kept: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        kept.set_result(value)
        self._reads[key] = kept
