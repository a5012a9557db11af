"""What every kind of lock offers, and the words of their refusals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from reconciler.clock import Clock
from reconciler.errors import LockHeld, LockLost
from reconciler.locks.holder import LockHolder

__all__ = ["Lock", "held", "lost", "wait_for"]

_AGAIN_S = 1.0


class Lock(Protocol):
    """One apply per estate: whoever holds it may write."""

    async def acquire(self, *, timeout_s: float, on_wait: Callable[[str], None]) -> None:
        """Take the lock.

        Args:
            timeout_s: how long to wait for another run; 0 refuses at once.
            on_wait: is told whom is waited for, once for each.

        Raises:
            LockHeld: another run holds it; the message names that run.
            LockFailed: whether it is held could not be found out.
        """
        ...

    async def renew(self) -> None:
        """See that the lock is still held, and make it last where it would end by itself.

        Called before every write.

        Raises:
            LockLost: it is not held any more, or nobody can tell.
        """
        ...

    async def release(self) -> None:
        """Give the lock back; never fails, since what was done stays done."""
        ...

    async def holder(self) -> LockHolder | None:
        """Return who holds the lock, None when nobody does or it is not told."""
        ...


async def wait_for(
    attempt: Callable[[], Awaitable[LockHeld | None]],
    clock: Clock,
    *,
    timeout_s: float,
    on_wait: Callable[[str], None],
) -> None:
    """Try until it succeeds or the time is over.

    Args:
        attempt: returns None when it succeeded, else the refusal.

    Raises:
        LockHeld: the last refusal.
    """
    end_s = clock.monotonic_s() + timeout_s
    told = ""
    while (refusal := await attempt()) is not None:
        left_s = end_s - clock.monotonic_s()
        if left_s <= 0:
            raise refusal
        if told != refusal.message:
            told = refusal.message
            on_wait(told)
        await clock.sleep(min(_AGAIN_S, left_s))


def held(estate: str, holder: LockHolder | None, place: str) -> LockHeld:
    """Return the refusal of a run because of another one.

    Args:
        place: the value of ``--lock``.
    """
    if holder is None:
        return LockHeld(
            f"the estate {estate} is locked by a run that has not said who it is",
            remedy="try again in a minute, or wait for it with --lock-timeout 5m",
        )
    flag = "" if place == "local" else f" --lock {place}"
    return LockHeld(
        f"the estate {estate} is locked by {holder.describe()}",
        remedy="wait for that run with --lock-timeout 5m, or, if it is gone: "
        f"reconciler force-unlock {holder.lock_id}{flag}",
    )


def lost(estate: str, why: str) -> LockLost:
    """Return what stops a run that may not write any more."""
    return LockLost(
        f"the lock of the estate {estate} was lost: {why}; nothing more is sent",
        remedy="what was sent goes on at the service; see what is left with reconciler plan, then "
        "apply again",
    )
