"""Write a run's journal: append, flush to disk, and only then let the effect happen."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from reconciler.clock import Clock
from reconciler.errors import JournalError
from reconciler.journal.records import (
    EndRecord,
    IntentRecord,
    OperationRecord,
    OutcomeRecord,
    PlanRecord,
    Record,
    ResumedRecord,
    RunRecord,
    RunResult,
)
from reconciler.journal.runids import new_run_id

__all__ = ["FileJournal", "Journal", "NoJournal", "estate_folder", "keep_out_of_git", "new_run_id"]

_log = logging.getLogger(__name__)
_OWN = 0o700
_OWN_FILE = 0o600
_OURS = ".reconciler"


def estate_folder(directory: Path, estate: str) -> Path:
    """Return the folder of an estate's journals; no name can leave ``directory``."""
    name = quote(estate, safe=" ")
    return directory / (f"%2E{name[1:]}" if name.startswith(".") else name)


class Journal(Protocol):
    """What a run notes while it goes.

    ``plan``, ``intent`` and ``operation`` are on disk when they return.

    Raises:
        JournalError: what must be on disk before an effect could not be written.
    """

    @property
    def run_id(self) -> str:
        """The id of this run."""
        ...

    def plan(
        self, *, fingerprint: str, created_at: str, digest: str, caller: str, actions: int
    ) -> None:
        """Note which plan is carried out."""
        ...

    def intent(self, *, action: str, kind: str, address: str, attempt: int) -> None:
        """Note that a write is about to be sent."""
        ...

    def operation(
        self, *, action: str, operation_id: str, deployment_id: str | None = None
    ) -> None:
        """Note the id of a long-running operation."""
        ...

    def import_request(self, *, action: str, request_id: int) -> None:
        """Note the id of an import request."""
        ...

    def outcome(self, *, action: str, kind: str, address: str, outcome: str, text: str) -> None:
        """Note how an action ended; what it did stays done even if this cannot be written."""
        ...

    def resumed(self, record: ResumedRecord) -> None:
        """Note what came of an operation of an earlier run."""
        ...

    def end(self, result: RunResult) -> None:
        """Note that the run has ended by itself."""
        ...


@dataclass(slots=True)
class NoJournal:
    """Keeps nothing; a run without it converges from live state all the same."""

    run_id: str = field(default_factory=new_run_id)

    def plan(
        self, *, fingerprint: str, created_at: str, digest: str, caller: str, actions: int
    ) -> None:
        """Note nothing."""

    def intent(self, *, action: str, kind: str, address: str, attempt: int) -> None:
        """Note nothing."""

    def operation(
        self, *, action: str, operation_id: str, deployment_id: str | None = None
    ) -> None:
        """Note nothing."""

    def import_request(self, *, action: str, request_id: int) -> None:
        """Note nothing."""

    def outcome(self, *, action: str, kind: str, address: str, outcome: str, text: str) -> None:
        """Note nothing."""

    def resumed(self, record: ResumedRecord) -> None:
        """Note nothing."""

    def end(self, result: RunResult) -> None:
        """Note nothing."""


@dataclass(slots=True)
class FileJournal:
    """A journal in a file of its own, made with the first record, for this user only.

    Args:
        directory: where journals are kept; the estate has a folder in it.
        estate: the spec's name.
        endpoints: base URLs in force.
        version: of this tool.
        resumes: ids of the runs this one takes over.
        run_id: the id of this run.
        sync: flushes a file descriptor to disk.

    Attributes:
        path: the file, None until there is one.
    """

    directory: Path
    estate: str
    endpoints: dict[str, str]
    version: str
    clock: Clock
    resumes: Sequence[str] = ()
    run_id: str = field(default_factory=new_run_id)
    sync: Callable[[int], None] = os.fsync
    path: Path | None = None
    _handle: int | None = None
    _ended: bool = False

    def plan(
        self, *, fingerprint: str, created_at: str, digest: str, caller: str, actions: int
    ) -> None:
        """Note which plan is carried out."""
        self._append(
            PlanRecord(
                at=self.clock.now(),
                fingerprint=fingerprint,
                created_at=created_at,
                digest=digest,
                caller=caller,
                actions=actions,
            )
        )

    def intent(self, *, action: str, kind: str, address: str, attempt: int) -> None:
        """Note that a write is about to be sent."""
        self._append(
            IntentRecord(
                at=self.clock.now(), action=action, kind=kind, address=address, attempt=attempt
            )
        )

    def operation(
        self, *, action: str, operation_id: str, deployment_id: str | None = None
    ) -> None:
        """Note the id of a long-running operation."""
        self._append(
            OperationRecord(
                at=self.clock.now(),
                action=action,
                operation_id=operation_id,
                deployment_id=deployment_id,
            )
        )

    def import_request(self, *, action: str, request_id: int) -> None:
        """Note the id of an import request."""
        self._append(
            OperationRecord(
                at=self.clock.now(), action=action, service="import", operation_id=str(request_id)
            )
        )

    def outcome(self, *, action: str, kind: str, address: str, outcome: str, text: str) -> None:
        """Note how an action ended."""
        record = OutcomeRecord(
            at=self.clock.now(),
            action=action,
            kind=kind,
            address=address,
            outcome=outcome,
            text=text,
        )
        self._append_afterwards(record)

    def resumed(self, record: ResumedRecord) -> None:
        """Note what came of an operation of an earlier run."""
        self._append(record)

    def end(self, result: RunResult) -> None:
        """Note the end, where there is something to end, and close the file."""
        if self._ended or (self._handle is None and not self.resumes):
            return
        self._ended = True
        self._append_afterwards(EndRecord(at=self.clock.now(), result=result))
        self.close()

    def close(self) -> None:
        """Close the file; a journal without an end is unfinished."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _append_afterwards(self, record: Record) -> None:
        try:
            self._append(record)
        except JournalError as error:
            # The effect is there already; a journal that lacks it makes the next run look.
            _log.warning("%s", error.message)

    def _append(self, record: Record) -> None:
        try:
            if self._handle is None:
                self._handle = self._open()
            self._write(record)
        except OSError as error:
            raise JournalError(
                f"cannot write the journal {self.path or self.directory}: "
                f"{error.strerror or error}; nothing more is sent",
                remedy="make room or give --journal a folder that can be written, then apply again",
            ) from error

    def _write(self, record: Record) -> None:
        handle = self._handle
        if handle is None:
            return
        line = memoryview(record.model_dump_json().encode() + b"\n")
        while line:
            line = line[os.write(handle, line) :]
        self.sync(handle)

    def _open(self) -> int:
        folder = estate_folder(self.directory, self.estate)
        if _OURS in {self.directory.name, self.directory.parent.name}:
            keep_out_of_git(self.directory)
        folder.mkdir(mode=_OWN, parents=True, exist_ok=True)
        began = self.clock.now()
        self.path = folder / f"{began:%Y%m%dT%H%M%S.%fZ}-{self.run_id}.jsonl"
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, _OWN_FILE)
        self._handle = handle
        self._write(
            RunRecord(
                at=began,
                run=self.run_id,
                estate=self.estate,
                reconciler_version=self.version,
                endpoints=self.endpoints,
                host=platform.node(),
                pid=os.getpid(),
                resumes=tuple(self.resumes),
            )
        )
        _sync_folder(folder)
        return handle


def keep_out_of_git(directory: Path) -> None:
    """Let Git ignore ``.reconciler``, as other tools do for their own folders."""
    ours = directory if directory.name == _OURS else directory.parent
    ours.mkdir(mode=_OWN, parents=True, exist_ok=True)
    note = ours / ".gitignore"
    if not note.exists():
        note.write_text("*\n", encoding="ascii")


def _sync_folder(folder: Path) -> None:
    """Put the file's name on disk too; not every system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
