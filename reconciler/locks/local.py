"""A lock among the runs of one machine, or of one shared folder.

The operating system holds it, so it ends with its process, however that ends. A note beside it
says whose it is. The note is information only: what counts is the lock.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.clock import Clock
from reconciler.errors import LockFailed, LockHeld
from reconciler.locks.holder import LockHolder, file_name
from reconciler.locks.lock import held, lost, wait_for

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["FOLDER", "LocalLock", "find_local", "force_unlock_local"]

FOLDER = Path(".reconciler") / "locks"
"""Below the folder the command runs in."""

_LOOKS = 20
_LOOK_S = 0.05


class LocalLock:
    """The lock of one estate, as a file.

    Args:
        holder: who wants it.
        folder: where the files are; made when it is missing.
    """

    def __init__(self, holder: LockHolder, *, clock: Clock, folder: Path = FOLDER) -> None:
        self._wanted = holder
        self._clock = clock
        name = file_name(holder.estate)
        self._folder = folder
        self._path = folder / f"{name}.lock"
        self._note = folder / f"{name}.json"
        self._lock = _os_lock(self._path)
        self._identity: tuple[int, int] | None = None

    async def acquire(self, *, timeout_s: float, on_wait: Callable[[str], None]) -> None:
        """Take the lock; see :class:`~reconciler.locks.lock.Lock`."""
        await wait_for(self._attempt, self._clock, timeout_s=timeout_s, on_wait=on_wait)

    async def renew(self) -> None:
        """See that the file is still the one that is locked; a lock on a removed file is none."""
        if self._identity is None or _identity_of(self._path) != self._identity:
            raise lost(self._wanted.estate, f"{self._path} was removed or replaced")

    async def release(self) -> None:
        """Take the note away and let the file go."""
        note = _read(self._note)
        if note is not None and note.lock_id == self._wanted.lock_id:
            with contextlib.suppress(OSError):
                self._note.unlink()
        with contextlib.suppress(OSError):
            self._lock.release()
        self._identity = None

    async def holder(self) -> LockHolder | None:
        """Return who holds it, waiting a moment for a run that has only just taken it."""
        for _ in range(_LOOKS):
            found = _read(self._note)
            if found is not None and not _is_gone(found):
                return found
            await self._clock.sleep(_LOOK_S)
        return None

    async def _attempt(self) -> LockHeld | None:
        try:
            _make(self._folder)
            self._lock.acquire(timeout=0)
        except TimeoutError:  # what the library raises is one
            return held(self._wanted.estate, await self.holder(), "local")
        except (OSError, NotImplementedError) as error:
            raise _failed(self._path, error) from error
        try:
            self._identity = _identity_of(self._path)
            _write(self._note, self._wanted)
        except OSError as error:
            await self.release()
            raise _failed(self._note, error) from error
        return None


def find_local(
    lock_id: str, *, folder: Path = FOLDER
) -> tuple[LockHolder | None, list[LockHolder]]:
    """Return the holder with this id, and all that have left a note."""
    found = [note for path in sorted(folder.glob("*.json")) if (note := _read(path)) is not None]
    return next((note for note in found if note.lock_id == lock_id), None), found


def force_unlock_local(holder: LockHolder, *, folder: Path = FOLDER) -> None:
    """Remove what a run left behind.

    A lock that is held from another machine is taken by removing its file; that run sees it
    before its next write and stops.

    Raises:
        LockHeld: the process is alive on this machine.
        LockFailed: a file cannot be removed.
    """
    path = folder / f"{file_name(holder.estate)}.lock"
    note = path.with_suffix(".json")
    lock = _os_lock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except TimeoutError:  # what the library raises is one
            if holder.host == socket.gethostname():
                raise _alive(holder) from None
            path.unlink(missing_ok=True)
        now = _read(note)
        if now is not None and now.lock_id == holder.lock_id:
            note.unlink(missing_ok=True)
    except (OSError, NotImplementedError) as error:
        raise _failed(path, error) from error
    finally:
        lock.release()


def _make(folder: Path) -> None:
    """Make the folder for this user only; Git ignores ``.reconciler``, as other tools' folders."""
    if folder.parent.name == FOLDER.parent.name:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = folder.parent / ".gitignore"
        if not note.exists():
            note.write_text("*\n", encoding="ascii")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _alive(holder: LockHolder) -> LockHeld:
    return LockHeld(
        f"process {holder.pid} on this machine still runs and holds the lock of the estate "
        f"{holder.estate}: {holder.describe()}",
        remedy=f"wait for it, or stop that process; the lock ends with it (kill {holder.pid})",
    )


def _os_lock(path: Path) -> FileLock:
    from filelock import FileLock  # noqa: PLC0415 - costs start-up time, also where nothing locks

    # Without locks of the operating system the library would fall back to a file that outlives
    # its process; better none, and said so.
    return FileLock(path, mode=0o600, thread_local=False, fallback_to_soft=False)


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _read(path: Path) -> LockHolder | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict) or not all(isinstance(v, str) for v in data.values()):
        return None
    return LockHolder.of(data)


def _write(path: Path, holder: LockHolder) -> None:
    temporary = path.with_suffix(f".{holder.lock_id}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(holder.fields(), file, indent=2)
    temporary.replace(path)


def _is_gone(holder: LockHolder) -> bool:
    """Tell whether the process of a note is surely not there any more."""
    if sys.platform == "win32" or holder.host != socket.gethostname():
        return False  # on Windows, asking for a process this way would stop it
    try:
        os.kill(holder.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _failed(path: Path, error: Exception) -> LockFailed:
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSYS:
        reason = "its file system knows no locks"
    return LockFailed(
        f"cannot lock {path}: {reason}",
        remedy="run in a folder you may write to, lock in a storage account with --lock "
        "azblob://ACCOUNT/CONTAINER, or, when surely no other run is under way, use --no-lock",
    )
