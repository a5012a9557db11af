"""Everything that is true in the emulator, and the only place where time makes things happen.

Nothing runs in the background: an operation leaves a ``Pending`` effect, named and with plain data
as arguments, and every request first lets the effects that are due happen, in the order of their
times. That makes runs repeatable, and lets pending work survive a restart.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.emulator.azdo.state import AzdoState
from reconciler.emulator.blobs import BlobStore
from reconciler.emulator.clock import EmulatorClock
from reconciler.emulator.fabric.state import FabricState
from reconciler.emulator.faults import Faults
from reconciler.emulator.github_state import GitHubState
from reconciler.emulator.gitstore import GitStore
from reconciler.emulator.http import Caller, default_caller
from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.persist import decode, encode, read_json, write_json
from reconciler.emulator.requestlog import RequestLog

__all__ = ["Effect", "Pending", "Urls", "World", "effect", "new_id"]

_LOG = logging.getLogger("reconciler.emulator")
_STATE_VERSION = 1

Effect = Callable[["World", dict[str, Any]], None]
_EFFECTS: dict[str, Effect] = {}


def new_id() -> str:
    """Return a fresh id the way the services write them: a lower-case UUID."""
    return str(uuid.uuid4())


def effect(kind: str) -> Callable[[Effect], Effect]:
    """Register a function under the name by which ``World.schedule`` refers to it."""

    def register(function: Effect) -> Effect:
        if kind in _EFFECTS:
            raise ValueError(f"effect {kind!r} is registered twice")
        _EFFECTS[kind] = function
        return function

    return register


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the services answer; no trailing slashes.

    Attributes:
        fabric_url: ``{fabric_url}/v1/...``.
        location_url: The same service under another host name, as in ``Location`` headers of
            long-running operations (source: fabric-api.md section 2.1, recorded).
    """

    fabric_url: str = ""
    location_url: str = ""
    devops_url: str = ""
    github_url: str = ""
    control_url: str = ""


@dataclass(slots=True)
class Pending:
    """Something that will happen: a registered effect, its arguments, and when."""

    id: str
    kind: str
    due_at: float
    sequence: int
    args: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Kept:
    """The state file."""

    version: int = _STATE_VERSION
    offset_s: float = 0.0
    azdo: AzdoState = field(default_factory=AzdoState)
    github: GitHubState = field(default_factory=GitHubState)
    fabric: FabricState = field(default_factory=FabricState)
    pending: list[Pending] = field(default_factory=list)


class World:
    """The state of all services, changed on the event loop only.

    Attributes:
        clock: Time for everything.
        repos: Bare git repositories by key.
        blobs: Item content by hash.
        azdo: Azure DevOps.
        github: GitHub.
        fabric: Fabric.
        pending: Effects that have not happened yet.
        urls: Set once the server listens.
        default_caller: Who the ready file's token stands for; scenarios act as this user.
        dirty: Whether something changed since the state was last written.
        faults: What goes wrong on purpose; never kept.
        log: What was asked; never kept.
        tasks: Fetches at work for imports, by request id; never kept.
        internal_key: Marks requests that the emulator sends to itself; they are not logged.
    """

    def __init__(self, options: EmulatorOptions, clock: EmulatorClock | None = None) -> None:
        self.options = options
        self.clock = clock or EmulatorClock()
        self.urls = Urls()
        self.default_caller: Caller = default_caller()
        self._temporary = options.data is None
        self._root = options.data or Path(tempfile.mkdtemp(prefix="reconciler-emulator-"))
        self.repos = GitStore(self._root / "git")
        self.blobs = BlobStore(None if options.data is None else self._root / "blobs")
        self.azdo = AzdoState()
        self.github = GitHubState()
        self.fabric = FabricState()
        self.pending: list[Pending] = []
        self.dirty = False
        self.faults = Faults()
        self.log = RequestLog()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.internal_key = secrets.token_hex(16)
        self._sequence = itertools.count(1)

    def touch(self) -> None:
        """Note that state changed; requests other than reads do this by themselves."""
        self.dirty = True

    def schedule(self, kind: str, args: dict[str, Any], *, delay_s: float = 0.0) -> str:
        """Let a registered effect happen after a delay and return its id.

        Args:
            kind: Name given to ``effect``.
            args: JSON-able arguments.
            delay_s: From now; 0 happens before the next request.
        """
        if kind not in _EFFECTS:
            raise KeyError(kind)
        pending = Pending(
            new_id(), kind, self.clock.timestamp() + delay_s, next(self._sequence), args
        )
        self.pending.append(pending)
        self.touch()
        return pending.id

    def cancel(self, pending_id: str) -> bool:
        """Drop a pending effect; False if it already happened."""
        kept = [pending for pending in self.pending if pending.id != pending_id]
        found = len(kept) != len(self.pending)
        self.pending = kept
        if found:
            self.touch()
        return found

    def settle(self) -> int:
        """Let everything happen that is due, in time order, and return how much that was.

        Effects may schedule further ones; those happen in the same call if they are due too.
        """
        happened = 0
        now = self.clock.timestamp()
        while True:
            due = [pending for pending in self.pending if pending.due_at <= now]
            if not due:
                return happened
            first = min(due, key=lambda pending: (pending.due_at, pending.sequence))
            self.pending.remove(first)
            self.touch()
            happened += 1
            try:
                _EFFECTS[first.kind](self, first.args)
            except Exception:  # noqa: BLE001 - one broken effect must not end all requests
                _LOG.exception("the effect %s failed", first.kind)

    def cancel_task(self, name: str) -> None:
        """Cancel a task if there is one; ``close`` waits until it has ended."""
        task = self.tasks.pop(name, None)
        if task is not None:
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def reset(self) -> None:
        """Forget everything; the clock keeps its time and the request log its entries."""
        for name in list(self.tasks):
            self.cancel_task(name)
        self.faults.clear()
        self.repos.clear()
        self.azdo = AzdoState()
        self.github = GitHubState()
        self.fabric = FabricState()
        self.pending = []
        self.touch()

    def load(self) -> bool:
        """Read the state of a kept folder; False if there is none.

        Raises:
            ValueError: if there is one that can not be read; nothing was changed.
        """
        if self._temporary:
            return False
        path = self._root / "state.json"
        try:
            data = read_json(path)
            if data is None:
                return False
            kept = decode(_Kept, data)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} can not be read: {error}") from error
        if kept.version != _STATE_VERSION:
            raise ValueError(f"{path} was written by another version of the emulator")
        self.clock.offset_s = kept.offset_s
        self.azdo, self.github, self.fabric = kept.azdo, kept.github, kept.fabric
        self.pending = kept.pending
        last = max((pending.sequence for pending in self.pending), default=0)
        self._sequence = itertools.count(last + 1)
        return True

    def save(self) -> None:
        """Write the state if it changed and a folder keeps it."""
        if self.dirty and not self._temporary:
            kept = _Kept(
                offset_s=self.clock.offset_s,
                azdo=self.azdo,
                github=self.github,
                fabric=self.fabric,
                pending=self.pending,
            )
            write_json(self._root / "state.json", encode(kept))
        self.dirty = False

    async def close(self) -> None:
        """End what still runs, write what is left to write, remove what was only temporary."""
        for name in list(self.tasks):
            self.cancel_task(name)
        await asyncio.gather(*self._ending, return_exceptions=True)
        self.save()
        if self._temporary:
            shutil.rmtree(self._root, ignore_errors=True)
