"""The lock that ``--lock`` names, and ending one that was left behind.

The SDK for storage accounts is an extra, and costs start-up time: it is loaded only for
``azblob://``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.clock import Clock
from reconciler.errors import LockFailed, UsageError
from reconciler.locks.blob_container import TokenSource, open_container
from reconciler.locks.holder import LockHolder
from reconciler.locks.local import LocalLock, find_local, force_unlock_local
from reconciler.locks.target import BlobTarget, blob_target

if TYPE_CHECKING:
    from reconciler.locks.lock import Lock

__all__ = ["LockPlace"]


@dataclass(frozen=True, slots=True)
class LockPlace:
    """Where locks are, and how to get there.

    Attributes:
        where: the value of ``--lock``.
        environ: may hold a connection string.
        credential: makes a credential of azure-identity when there is none.
    """

    where: str
    environ: Mapping[str, str]
    credential: Callable[[], TokenSource]

    def lock_for(self, holder: LockHolder, clock: Clock) -> Lock:
        """Return the lock of the holder's estate, not yet taken.

        Raises:
            UsageError: ``where`` names no place, or the connection string is for another.
            LockFailed: the SDK is missing.
        """
        target = self._target()
        if target is None:
            return LocalLock(holder, clock=clock)
        container = open_container(target, environ=self.environ, credential=self.credential)
        from reconciler.locks.azblob import BlobLock  # noqa: PLC0415 - an extra

        return BlobLock(holder, container=container, target=target, clock=clock)

    async def find(self, lock_id: str) -> LockHolder:
        """Return who holds the lock with this id.

        Raises:
            LockFailed: nobody does, or it cannot be found out.
        """
        target = self._target()
        if target is None:
            found, others = find_local(lock_id)
        else:
            from reconciler.locks.azblob import find_blob  # noqa: PLC0415 - an extra

            async with open_container(
                target, environ=self.environ, credential=self.credential
            ) as container:
                found, others = await find_blob(lock_id, container, target)
        if found is None:
            raise self._unknown(lock_id, others)
        return found

    async def force_unlock(self, holder: LockHolder) -> bool:
        """End the lock of this holder.

        Returns:
            False when it had ended by itself.

        Raises:
            LockHeld: its process is alive on this machine.
            LockFailed: it cannot be ended.
        """
        target = self._target()
        if target is None:
            force_unlock_local(holder)
            return True
        from reconciler.locks.azblob import force_unlock_blob  # noqa: PLC0415 - an extra

        async with open_container(
            target, environ=self.environ, credential=self.credential
        ) as container:
            return await force_unlock_blob(holder, container, target)

    def _target(self) -> BlobTarget | None:
        try:
            return blob_target(self.where)
        except ValueError as error:
            raise UsageError(f"argument --lock: {error}") from error

    def _unknown(self, lock_id: str, others: list[LockHolder]) -> LockFailed:
        flag = "" if self.where == "local" else f" --lock {self.where}"
        listed = "; ".join(f"{h.lock_id} of the estate {h.estate}" for h in others)
        return LockFailed(
            f"no lock with the id {lock_id} is here (--lock {self.where})",
            remedy=f"those that are: {listed}"
            if listed
            else "it may have ended by itself; a local lock is looked for in the folder the "
            "command runs in"
            + ("" if flag else ", and a lock in a storage account needs --lock azblob://…"),
        )
