"""Who holds a lock: what is written beside it, and what a refusal tells of it."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from reconciler.clock import Clock

__all__ = ["LockHolder", "file_name", "this_process"]

_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The run that holds a lock.

    Attributes:
        lock_id: names this hold of the lock and no other; what ``force-unlock`` takes. Of a blob
            it is the id of the lease as well.
        owner: the user and the machine, ``ada@build-7``.
        run: the id of the run.
        pid: its process, on that machine.
    """

    lock_id: str
    estate: str
    owner: str
    run: str
    pid: int
    started_at: datetime

    @property
    def host(self) -> str:
        """The machine the run is on."""
        return self.owner.rpartition("@")[2]

    def describe(self) -> str:
        """Say who it is in a few words."""
        return (
            f"{self.owner} (run {self.run}, process {self.pid}) "
            f"since {self.started_at:%Y-%m-%d %H:%M:%S} UTC"
        )

    def fields(self) -> dict[str, str]:
        """Return it as plain text fields, to be written where others can read them."""
        return {
            "id": self.lock_id,
            "estate": self.estate,
            "owner": self.owner,
            "run": self.run,
            "pid": str(self.pid),
            "started_at": self.started_at.isoformat(),
        }

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> LockHolder | None:
        """Return the holder that was written, None when that is no holder."""
        try:
            return cls(
                lock_id=str(uuid.UUID(fields["id"])),
                estate=fields["estate"],
                owner=fields["owner"],
                run=fields["run"],
                pid=int(fields["pid"]),
                started_at=datetime.fromisoformat(fields["started_at"]).astimezone(UTC),
            )
        except (KeyError, ValueError, OverflowError):
            return None


def this_process(estate: str, *, run: str, clock: Clock) -> LockHolder:
    """Return this process as a holder, under an id of its own."""
    return LockHolder(
        lock_id=str(uuid.uuid4()),
        estate=estate,
        owner=f"{_user()}@{socket.gethostname()}",
        run=run,
        pid=os.getpid(),
        started_at=clock.now(),
    )


def file_name(estate: str) -> str:
    """Return a name for an estate that is safe for files and blobs, and its own.

    What is cut off a long name, or would be hidden or special, is told apart by a digest.
    """
    name = quote(estate, safe=" ").replace(" ", "_")
    if name == estate and len(name) <= _LONGEST_NAME and not name.startswith("."):
        return name
    digest = hashlib.sha256(estate.encode()).hexdigest()[:12]
    return f"{name.lstrip('.')[:_LONGEST_NAME]}-{digest}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number that has no name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
