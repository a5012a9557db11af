"""``reconciler runs``: the journals of past applies, and the state of one operation."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

from reconciler import engine
from reconciler.cli.console import Console
from reconciler.cli.session import Session
from reconciler.clients.lro import OperationState
from reconciler.errors import JournalDamaged, JournalError, UsageError
from reconciler.journal.read import JournalFile, find_run, list_journals, read_journal
from reconciler.jsontext import json_text
from reconciler.render.terminal import escape
from reconciler.render.words import count

__all__ = ["run"]

FORMAT_VERSION = "1.0"


def run(args: Namespace) -> int:
    """List runs, or show one run or one operation, and return the exit code."""
    words: list[str] = args.what
    if not words and args.operation is None:
        return _list(args)
    if words[:1] != ["show"] or len(words) > 2 or (len(words) == 2) == (args.operation is not None):
        raise UsageError(
            "expected: runs, runs show ID, or runs show --operation ID",
            remedy="run: reconciler runs --help",
        )
    return _operation(args) if args.operation is not None else _show(args, words[1])


def _list(args: Namespace) -> int:
    console = Console.of(args)
    rows: list[dict[str, Any]] = []
    damaged = 0
    for path in list_journals(args.journal):
        try:
            journal = read_journal(path)
        except JournalDamaged as error:
            damaged += 1
            console.complain(f"error: {escape(error.message)}\n")
            continue
        if journal is not None:
            rows.append(_row(journal))
    if args.format == "json":
        document = {"format_version": FORMAT_VERSION, "runs": rows}
        console.write(json_text(document) + "\n")
    elif not rows:
        console.write(f"No runs in {escape(str(args.journal))}.\n")
    else:
        console.write("".join(_line(row) for row in rows))
    return 1 if damaged else 0


def _row(journal: JournalFile) -> dict[str, Any]:
    first = journal.run
    return {
        "run": first.run,
        "estate": first.estate,
        "started_at": first.at.isoformat(),
        "last_at": journal.last_at.isoformat(),
        "result": _result(journal),
        "outcomes": dict(Counter(o.outcome for o in journal.outcomes.values())),
        "open_operations": len(journal.open_operations()),
        "resumes": list(first.resumes),
        "file": str(journal.path),
    }


def _result(journal: JournalFile) -> str:
    return journal.end.result if journal.end else "unfinished"


def _line(row: dict[str, Any]) -> str:
    did = ", ".join(f"{n} {word}" for word, n in row["outcomes"].items()) or "nothing written"
    return (
        f"{row['run']}  {row['started_at'][:19]}Z  {row['result']:<11}  "
        f"{escape(row['estate'])}: {did}\n"
    )


def _found(directory: Path, run_id: str) -> JournalFile:
    path = find_run(directory, run_id)
    journal = read_journal(path) if path is not None else None
    if journal is None:
        raise JournalError(
            f"there is no run {run_id} in {directory}",
            remedy="list them with: reconciler runs; journals stay on the machine of the run",
        )
    return journal


def _show(args: Namespace, run_id: str) -> int:
    console, journal = Console.of(args), _found(args.journal, run_id)
    if args.format == "json":
        document = {
            "format_version": FORMAT_VERSION,
            **_row(journal),
            "records": [r.model_dump(mode="json") for r in journal.records],
        }
        console.write(json_text(document) + "\n")
        return 0
    first, row = journal.run, _row(journal)
    out = [
        f"Run {first.run} of {escape(first.estate)}: {row['result']}",
        f"  started  {first.at:%Y-%m-%d %H:%M:%S} UTC on {escape(first.host)}, "
        f"process {first.pid}, reconciler {escape(first.reconciler_version)}",
        f"  last     {journal.last_at:%Y-%m-%d %H:%M:%S} UTC",
    ]
    out += [f"  resumes  {', '.join(first.resumes)}"] if first.resumes else []
    out += ["  the last line was cut off"] if journal.torn else []
    out += _actions(journal)
    console.write("\n".join(out) + "\n")
    return 0


def _actions(journal: JournalFile) -> list[str]:
    open_ids = {o.action: o.operation_id for o in journal.open_operations()}
    out = []
    for outcome in journal.outcomes.values():
        why = f": {' '.join(outcome.text.split())}" if outcome.text else ""
        out.append(f"  {outcome.outcome:<12} {escape(f'{outcome.kind} {outcome.address}{why}')}")
    for intent in journal.undecided():
        operation = open_ids.get(intent.action)
        known = f", operation {operation}" if operation else ""
        out.append(f"  {'begun':<12} {escape(f'{intent.kind} {intent.address}{known}')}")
    if open_ids:
        out.append(
            f"{count(len(open_ids), 'operation')} may still be under way; the next apply of this "
            "estate waits for them, and: reconciler runs show --operation ID"
        )
    return out


def _operation(args: Namespace) -> int:
    with Session.of(args) as session:
        state = session.run(engine.look_at_operation(args.operation, session.settings))
        console = session.console
        if args.format == "json":
            console.write(json_text(_state(state)) + "\n")
        else:
            console.write(_sentences(state))
    return 0


def _state(state: OperationState) -> dict[str, Any]:
    return {
        "format_version": FORMAT_VERSION,
        "operation_id": state.operation_id,
        "status": state.status,
        "percent_complete": state.percent_complete,
        "created": state.created.isoformat() if state.created else None,
        "last_updated": state.last_updated.isoformat() if state.last_updated else None,
        "causes": [
            {"code": c.code, "message": c.message, "resource": c.resource} for c in state.causes
        ],
    }


def _sentences(state: OperationState) -> str:
    done = f" ({state.percent_complete:.0f} %)" if state.percent_complete is not None else ""
    out = [f"Operation {escape(state.operation_id)}: {escape(state.status)}{done}"]
    if state.created is not None:
        out.append(f"  created  {state.created:%Y-%m-%d %H:%M:%S} UTC")
    if state.last_updated is not None:
        out.append(f"  updated  {state.last_updated:%Y-%m-%d %H:%M:%S} UTC")
    out += [
        "  " + escape(": ".join(p for p in (c.code, c.message, c.resource) if p))
        for c in state.causes
    ]
    return "\n".join(out) + "\n"
