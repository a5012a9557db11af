"""What earlier applies of an estate left under way, found by their journals."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler._version import __version__
from reconciler.engine.services import services_for
from reconciler.engine.settings import Settings
from reconciler.errors import JournalError, OperationTimedOut
from reconciler.execute.resume import Reattached, reattach
from reconciler.journal.read import (
    JournalFile,
    journals_of,
    read_journal,
    still_open,
    unfinished,
)
from reconciler.journal.records import ResumedRecord, RunRecord
from reconciler.journal.write import FileJournal, Journal, NoJournal
from reconciler.plan.plan import Plan
from reconciler.spec.models import Estate

__all__ = [
    "Takeover",
    "take_over",
    "used_by",
]


@dataclass(frozen=True, slots=True)
class Takeover:
    """What an apply found of earlier runs, and where it notes its own steps.

    Attributes:
        unfinished: the runs that were cut off, newest first.
        reattached: what came of the operations they had left under way.
        damaged: why an earlier journal could not be used; the live state is read in any case.
    """

    journal: Journal
    unfinished: tuple[RunRecord, ...] = ()
    reattached: tuple[Reattached, ...] = ()
    damaged: str = ""


async def take_over(estate: Estate, settings: Settings) -> Takeover:
    """Find what earlier applies of this estate left under way, and wait for its end.

    Raises:
        OperationTimedOut: an operation of an earlier run still runs when the time is over.
        JournalError: a journal cannot be written.
        ClientError: the service cannot be reached. In all three nothing was written there.
    """
    if settings.journals is None:
        return Takeover(NoJournal())
    found: list[JournalFile] = []
    damaged = ""
    try:
        found.extend(unfinished(settings.journals, estate.metadata.name))
    except JournalError as error:
        damaged = error.message
    endpoints = settings.endpoints(estate)
    journal = FileJournal(
        directory=settings.journals,
        estate=estate.metadata.name,
        endpoints=endpoints,
        version=__version__,
        clock=settings.clock,
        run_id=settings.run_id,
        resumes=tuple(j.run.run for j in found),
    )
    here = [j for j in found if j.run.endpoints.get("fabric") == endpoints["fabric"]]
    waiting = [o for o in still_open(here) if o.service == "fabric"]
    results: tuple[Reattached, ...] = ()
    if waiting:
        async with services_for(settings, estate) as services:
            results = await reattach(
                services,
                waiting,
                timeout_s=settings.timeout_s,
                tell=lambda o, state: settings.tell(
                    f"Waiting for {o.kind} {o.address} of run {o.run} ({state})."
                ),
            )
    for one in results:
        journal.resumed(
            ResumedRecord(
                at=settings.clock.now(),
                run=one.operation.run,
                action=one.operation.action,
                operation_id=one.operation.operation_id,
                outcome=one.outcome,
                text=one.text,
            )
        )
    running = [r for r in results if r.outcome == "running"]
    if running:
        raise OperationTimedOut(
            f"{running[0].operation.kind} {running[0].operation.address} of run "
            f"{running[0].operation.run} is still running: {running[0].text}",
            operation_id=running[0].operation.operation_id,
            remedy="apply again later, or with a longer --timeout; nothing was written",
        )
    return Takeover(journal, tuple(j.run for j in found), results, damaged)


def used_by(plan: Plan, settings: Settings) -> str | None:
    """Return the run that has already begun to carry out a plan file, if a journal tells."""
    if settings.journals is None or not plan.actions:
        return None
    for path in journals_of(settings.journals, plan.spec.name):
        try:
            journal = read_journal(path)
        except JournalError:
            continue  # live state is compared in any case
        if journal is None or not journal.intents:
            continue
        used = {(p.fingerprint, p.created_at) for p in journal.plans}
        if (plan.fingerprint, plan.created_at) in used:  # the same plan may be made anew later
            return journal.run.run
    return None
