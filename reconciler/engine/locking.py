"""One apply per estate: which lock, and holding it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from reconciler.clients.auth import identity_source
from reconciler.engine.settings import Settings
from reconciler.locks.choose import LockPlace
from reconciler.locks.holder import this_process

__all__ = [
    "lock_place",
    "locked",
]


def lock_place(where: str, settings: Settings) -> LockPlace:
    """Return the place of locks that ``--lock`` names."""
    make = identity_source(settings.environ, mode=settings.auth)
    return LockPlace(where, settings.environ, make)


@asynccontextmanager
async def locked(estate: str, settings: Settings) -> AsyncIterator[Settings]:
    """Hold the lock of an estate, and give the settings to write under it with.

    Raises:
        LockHeld: another run holds it, and did so until the time to wait was over.
        LockFailed: it cannot be taken for another reason.
    """
    if settings.lock is None:
        yield settings
        return
    holder = this_process(estate, run=settings.run_id, clock=settings.clock)
    lock = lock_place(settings.lock, settings).lock_for(holder, settings.clock)
    await lock.acquire(
        timeout_s=settings.lock_timeout_s, on_wait=lambda who: settings.tell(f"Waiting: {who}.")
    )
    try:
        yield replace(settings, fence=lock.renew)
    finally:
        await lock.release()
