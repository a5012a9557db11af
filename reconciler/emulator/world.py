"""Everything that is true in the emulator, and the only place where time makes things happen.

Nothing runs in the background: an operation leaves a ``Pending`` effect, named and with plain data
as arguments, and every request first lets the effects that are due happen, in the order of their
times. That makes runs repeatable, and lets pending work survive a restart.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import logging
import secrets
import shutil
import sqlite3
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.emulator.azdo.state import AzdoState
from reconciler.emulator.blobs import BlobStore
from reconciler.emulator.clock import EmulatorClock
from reconciler.emulator.entra.tokens import Issuer
from reconciler.emulator.fabric.state import FabricState
from reconciler.emulator.faults import Faults
from reconciler.emulator.github_state import GitHubState
from reconciler.emulator.gitstore import GitStore
from reconciler.emulator.http import Caller, default_caller
from reconciler.emulator.ids import Ids, drawing_from, new_id
from reconciler.emulator.journal import Journal, Section
from reconciler.emulator.ledger import Ledger
from reconciler.emulator.limits import Limits
from reconciler.emulator.lru import Lru
from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.past import Moment
from reconciler.emulator.requestlog import RequestLog
from reconciler.emulator.store import Store
from reconciler.emulator.tracking import Tracked
from reconciler.emulator.urls import Urls, handed_out

if TYPE_CHECKING:
    from reconciler.emulator.fabric.syncing import Change

__all__ = ["Effect", "Pending", "Urls", "World", "effect", "new_id"]

_LOG = logging.getLogger("reconciler.emulator")

Effect = Callable[["World", dict[str, Any]], None]
_EFFECTS: dict[str, Effect] = {}
_CACHED_CHANGES = 20_000
_COMPARED_CHANGES = 1_000


def effect(kind: str) -> Callable[[Effect], Effect]:
    """Register a function under the name by which ``World.schedule`` refers to it."""

    def register(function: Effect) -> Effect:
        if kind in _EFFECTS:
            raise ValueError(f"effect {kind!r} is registered twice")
        _EFFECTS[kind] = function
        return function

    return register


@dataclass(slots=True)
class Pending(Tracked):
    """Something that will happen: a registered effect, its arguments, and when."""

    id: str
    kind: str
    due_at: float
    sequence: int
    args: dict[str, Any] = field(default_factory=dict)


class World:
    """The state of all services, changed on the event loop only.

    Attributes:
        clock: Time for everything.
        repos: Bare git repositories by key.
        blobs: Item content by hash.
        azdo: Azure DevOps.
        github: GitHub.
        fabric: Fabric.
        pending: Effects that have not happened yet, by id.
        own_urls: Where this process listens; set once it does.
        ca_file: Certificate authority of the own URLs and of the proxy, if there is TLS.
        ids: Where ids come from.
        issuer: Signs the tokens of the emulator's Entra.
        root: Folder of everything that is kept; removed at the end if it is only temporary.
        default_caller: Who the ready file's token stands for; scenarios act as this user.
        faults: What goes wrong on purpose; never kept.
        limits: How often callers may ask; never kept.
        latency_ms: How long every request is on its way, in real time; never kept.
        earlier: The state before the last write, while a fault may need it; never kept.
        tstu: What callers of Azure DevOps used lately; never kept.
        log: What was asked; never kept.
        statuses: Answers of ``git/status`` by version of the workspace and the trees compared.
        comparisons: The comparisons behind the latest of them.
        tasks: Fetches at work for imports, by request id; never kept.
        internal_key: Marks requests that the emulator sends to itself; they are not logged.
    """

    def __init__(self, options: EmulatorOptions, clock: EmulatorClock | None = None) -> None:
        self.options = options
        self.clock = clock or EmulatorClock()
        self.own_urls = Urls()
        self.ca_file: Path | None = None
        self.ids = Ids(options.seed)
        self.issuer = Issuer(None if options.data is None else options.data / "entra")
        self.default_caller: Caller = default_caller()
        self._temporary = options.data is None
        self._root = options.data or Path(tempfile.mkdtemp(prefix="reconciler-emulator-"))
        self.repos = GitStore(self._root / "git")
        self._store = Store(self._root, kept=not self._temporary)
        self._journal = Journal(self._store)
        self._begin_anew()
        self._discarded = False
        self.faults = Faults()
        self.limits = Limits()
        self.latency_ms = options.latency_ms
        self.earlier: Moment | None = None
        self.tstu = Ledger()
        self.log = RequestLog()
        self.statuses: Lru[tuple[int, str], list[dict[str, Any]]] = Lru(
            _CACHED_CHANGES, size=lambda changes: len(changes) + 1
        )
        self.comparisons: Lru[tuple[int, str], list[Change]] = Lru(
            _COMPARED_CHANGES, size=lambda changes: len(changes) + 1
        )
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self.internal_key = secrets.token_hex(16)

    def _begin_anew(self) -> None:
        """Start with nothing."""
        self.blobs = BlobStore(self._store)
        self.azdo = AzdoState()
        self.github = GitHubState()
        self.fabric = FabricState()
        for name, section in self._sections():
            self._journal.adopt(name, section)
        self._plan_pending(self._journal.shelf("pending", {}))
        self._kept_meta: dict[str, float] = {}

    def _sections(self) -> tuple[tuple[str, Section], ...]:
        return (("azdo", self.azdo), ("github", self.github), ("fabric", self.fabric))

    def _plan_pending(self, pending: dict[str, Pending]) -> None:
        self.pending = pending
        self._due = [(entry.due_at, entry.sequence, entry.id) for entry in pending.values()]
        heapq.heapify(self._due)
        self._sequence = itertools.count(max((entry[1] for entry in self._due), default=0) + 1)

    @property
    def urls(self) -> Urls:
        """The URLs that answers name: those of the host that was asked."""
        return handed_out() or self.own_urls

    @property
    def root(self) -> Path:
        """Folder of everything that is kept."""
        return self._root

    def schedule(self, kind: str, args: dict[str, Any], *, delay_s: float = 0.0) -> str:
        """Let a registered effect happen after a delay and return its id.

        Args:
            kind: Name given to ``effect``.
            args: JSON-able arguments.
            delay_s: From now; 0 happens before the next request.
        """
        if kind not in _EFFECTS:
            raise KeyError(kind)
        # Nobody outside sees this id, and imports schedule at times of their own: no seed for it.
        pending = Pending(
            str(uuid.uuid4()), kind, self.clock.timestamp() + delay_s, next(self._sequence), args
        )
        self.pending[pending.id] = pending
        heapq.heappush(self._due, (pending.due_at, pending.sequence, pending.id))
        return pending.id

    def cancel(self, pending_id: str) -> bool:
        """Drop a pending effect; False if it already happened."""
        return self.pending.pop(pending_id, None) is not None

    def settle(self) -> int:
        """Let everything happen that is due, in time order, and return how much that was.

        Effects may schedule further ones; those happen in the same call if they are due too.
        """
        with drawing_from(self.ids):
            return self._settle()

    def _settle(self) -> int:
        happened = 0
        now = self.clock.timestamp()
        while self._due and self._due[0][0] <= now:
            _, _, pending_id = heapq.heappop(self._due)
            first = self.pending.pop(pending_id, None)
            if first is None:
                continue  # it was cancelled
            happened += 1
            try:
                _EFFECTS[first.kind](self, first.args)
            except Exception:  # noqa: BLE001 - one broken effect must not end all requests
                _LOG.exception("the effect %s failed", first.kind)
        return happened

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
        self.limits.clear()
        self.tstu.calls.clear()
        self.earlier = None
        self.repos.clear()
        self.ids.drawn = 0
        self._store.clear()
        self._journal.clear()
        self._begin_anew()

    def open(self) -> None:
        """Take a kept folder; nobody else can then.

        Raises:
            ValueError: if another emulator has it, or its state can not be read.
        """
        if not self._temporary:
            self._store.open()

    def load(self) -> bool:
        """Read the state of a kept folder; False if there is none.

        Raises:
            ValueError: if there is one that can not be read; nothing was changed.
        """
        if self._temporary:
            return False
        kept = self._store.meta().get("world")
        if kept is None:
            return False
        try:
            self._kept_meta = json.loads(kept)
            self._load(self._kept_meta)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{self._store.path} can not be read: {error}") from error
        return True

    def _load(self, meta: dict[str, Any]) -> None:
        journal = self._journal
        journal.clear()
        self.azdo = journal.read("azdo", AzdoState)
        self.github = journal.read("github", GitHubState)
        self.fabric = journal.read("fabric", FabricState)
        self._plan_pending(journal.read_shelf("pending", Pending))
        self.clock.offset_s = meta["offset_s"]
        self.ids.drawn = meta["ids_drawn"]

    def save(self) -> None:
        """Make final what changed since the last time, if a folder keeps it.

        Raises:
            OSError: if it can not be written; the next call tries again.
        """
        if self._discarded:
            return
        try:
            self._journal.write()
            if not self._temporary:
                meta = {"offset_s": self.clock.offset_s, "ids_drawn": self.ids.drawn}
                if meta != self._kept_meta:
                    self._store.put_meta("world", json.dumps(meta))
                    self._kept_meta = meta
            self._store.commit()
        except sqlite3.Error as error:
            raise OSError(f"{self._store.path}: {error}") from error

    def discard(self) -> None:
        """Keep nothing of what changed since the last ``save``, and nothing that comes."""
        self._discarded = True
        self._journal.forget()
        self._store.rollback()

    async def close(self) -> None:
        """End what still runs, write what is left to write, remove what was only temporary."""
        for name in list(self.tasks):
            self.cancel_task(name)
        await asyncio.gather(*self._ending, return_exceptions=True)
        try:
            self.save()
        finally:
            self._store.close()
        if self._temporary:
            shutil.rmtree(self._root, ignore_errors=True)
