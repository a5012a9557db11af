"""Read journals back: what a run intended, what is still open, and which runs are unfinished.

A last line that was cut off is what a crash leaves, and is tolerated. Any other damage is named
with its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from reconciler.errors import JournalDamaged, JournalError
from reconciler.journal.records import (
    FORMAT_VERSION,
    EndRecord,
    IntentRecord,
    OperationRecord,
    OutcomeRecord,
    PlanRecord,
    Record,
    ResumedRecord,
    RunRecord,
    record_of,
)
from reconciler.journal.write import estate_folder

__all__ = [
    "JournalFile",
    "OpenOperation",
    "find_run",
    "journals_of",
    "list_journals",
    "read_journal",
    "still_open",
    "unfinished",
]

_MOST_BYTES = 64 * 1024 * 1024
_CONCLUSIVE = frozenset({"done", "not needed", "failed", "refused", "skipped"})


@dataclass(frozen=True, slots=True)
class OpenOperation:
    """An operation whose end no journal knows.

    Attributes:
        run: id of the run that began it.
        action, kind, address: what it was for.
        service: ``fabric``, or ``import`` for an import request.
    """

    run: str
    action: str
    kind: str
    address: str
    service: str
    operation_id: str
    deployment_id: str | None = None


@dataclass(frozen=True, slots=True)
class JournalFile:
    """One run's journal.

    Attributes:
        torn: the last line was cut off.
    """

    path: Path
    records: tuple[Record, ...]
    torn: bool = False

    @property
    def run(self) -> RunRecord:
        """The first record."""
        first = self.records[0]
        if not isinstance(first, RunRecord):
            raise JournalDamaged(f"{self.path}:1: the first line does not say which run this is")
        return first

    @property
    def end(self) -> EndRecord | None:
        """The last record, None for a run that was cut off."""
        last = self.records[-1]
        return last if isinstance(last, EndRecord) else None

    @property
    def last_at(self) -> datetime:
        """When the last thing was noted."""
        return self.records[-1].at

    @property
    def plans(self) -> tuple[PlanRecord, ...]:
        """The plans that were carried out, in order."""
        return tuple(r for r in self.records if isinstance(r, PlanRecord))

    @property
    def intents(self) -> tuple[IntentRecord, ...]:
        """What was about to be sent, in order."""
        return tuple(r for r in self.records if isinstance(r, IntentRecord))

    @property
    def outcomes(self) -> dict[str, OutcomeRecord]:
        """The last outcome of each action, by action id."""
        return {r.action: r for r in self.records if isinstance(r, OutcomeRecord)}

    def open_operations(self) -> tuple[OpenOperation, ...]:
        """Return the newest operation of every action whose outcome is not known."""
        intents = {i.action: i for i in self.intents}
        newest: dict[str, OperationRecord] = {}
        for record in self.records:
            if isinstance(record, IntentRecord):
                newest.pop(record.action, None)  # sent anew: the earlier one has ended
            elif isinstance(record, OperationRecord):
                newest[record.action] = record
            elif isinstance(record, OutcomeRecord) and record.outcome in _CONCLUSIVE:
                newest.pop(record.action, None)
        return tuple(
            OpenOperation(
                run=self.run.run,
                action=action,
                kind=intents[action].kind if action in intents else action.partition(":")[0],
                address=intents[action].address if action in intents else action.partition(":")[2],
                service=found.service,
                operation_id=found.operation_id,
                deployment_id=found.deployment_id,
            )
            for action, found in newest.items()
        )

    def undecided(self) -> tuple[IntentRecord, ...]:
        """Return the intents of actions whose outcome is not known, newest attempt each."""
        known = {a for a, o in self.outcomes.items() if o.outcome in _CONCLUSIVE}
        latest = {i.action: i for i in self.intents if i.action not in known}
        return tuple(latest.values())


def read_journal(path: Path) -> JournalFile | None:
    """Read one journal; None when the run was cut off before its first line was whole.

    Raises:
        JournalDamaged: a line other than the last is no record, or the version is not ours.
        JournalError: it cannot be read.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise JournalDamaged(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise JournalError(f"cannot read {path}: {error.strerror or error}") from error
    lines = content.split(b"\n")
    torn = bool(lines[-1])  # what follows the last line end was never finished
    records: list[Record] = []
    for number, line in enumerate(lines[:-1], start=1):
        try:
            records.append(record_of(line.decode()))
        except (ValidationError, UnicodeDecodeError) as error:
            raise JournalDamaged(
                f"{path}:{number}: this line is no record of a journal",
                remedy="move the file away to go on without it; live state is read in any case",
            ) from error
    if not records:
        return None
    _check_version(path, records[0])
    return JournalFile(path, tuple(records), torn)


def _check_version(path: Path, first: Record) -> None:
    if not isinstance(first, RunRecord):
        raise JournalDamaged(
            f"{path}:1: the first line does not say which run this is",
            remedy="move the file away to go on without it; live state is read in any case",
        )
    if first.format_version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        raise JournalDamaged(
            f"{path}:1: format version {first.format_version}; this tool reads "
            f"{FORMAT_VERSION.partition('.')[0]}.x",
            remedy="use the version of the tool that wrote it, or move the file away",
        )


def journals_of(directory: Path, estate: str) -> list[Path]:
    """Return the files of an estate's journals, newest first; names begin with their start."""
    return sorted(estate_folder(directory, estate).glob("*.jsonl"), reverse=True)


def list_journals(directory: Path) -> list[Path]:
    """Return the files of all journals, newest first."""
    return sorted(directory.glob("*/*.jsonl"), key=lambda p: p.name, reverse=True)


def find_run(directory: Path, run: str) -> Path | None:
    """Return the file of a run, by its id or the beginning of it.

    Raises:
        JournalError: several runs begin like that.
    """
    found = [p for p in list_journals(directory) if p.stem.rpartition("-")[2].startswith(run)]
    if len(found) > 1:
        raise JournalError(
            f"{run} is the beginning of {len(found)} runs", remedy="give more of the id"
        )
    return found[0] if found else None


def unfinished(directory: Path, estate: str) -> Iterator[JournalFile]:
    """Yield the runs of an estate that were cut off or left something open, newest first.

    Every run takes over all that were unfinished when it began, so the search ends at the first
    one that came to its own end.

    Raises:
        JournalDamaged: one of them cannot be read; those before it were yielded.
    """
    for path in journals_of(directory, estate):
        journal = read_journal(path)
        if journal is None:
            continue
        if journal.end is None or journal.open_operations():
            yield journal
        if journal.end is not None:
            return


def still_open(journals: Sequence[JournalFile]) -> tuple[OpenOperation, ...]:
    """Return the open operations of unfinished runs, without those a later run saw the end of."""
    ended = {
        r.operation_id
        for j in journals
        for r in j.records
        if isinstance(r, ResumedRecord) and r.outcome in ("succeeded", "failed")
    }
    return tuple(o for j in journals for o in j.open_operations() if o.operation_id not in ended)
