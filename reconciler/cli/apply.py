"""``reconciler apply``: carry out a plan, of a spec after approval or of a plan file as it is.

Nothing is written before every question is settled: findings, policy, approval, staleness.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from reconciler.cli.common import (
    blocked,
    plan_file_of,
    read_plan,
    read_spec,
    report_invalid,
    tell_warnings,
)
from reconciler.cli.console import Console
from reconciler.cli.findings_file import tell_where_all_are
from reconciler.cli.session import Session
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.engine import (  # all now: a run may wait for hours, while another version comes
    Settings,
    apply_plan,
    apply_spec,
    check_plan_file,
    estate_of,
    exit_code_of,
    locked,
    make_plan,
    take_over,
)
from reconciler.errors import PlanRefused, UsageError
from reconciler.execute.events import ApplyResult, Outcome
from reconciler.journal.write import Journal
from reconciler.plan.plan import Plan
from reconciler.policies.reviewed import check_expected, refuse_preview
from reconciler.render.as_text import render_plan
from reconciler.render.result_text import is_verified, render_result
from reconciler.render.words import count
from reconciler.spec.load import LoadResult
from reconciler.spec.models import Estate

__all__ = ["exit_code", "run"]

_PROMPT = """
Do you want to carry out these actions?
  Only 'yes' is accepted to approve.

  Enter a value: """


def run(args: Namespace) -> int:
    """Apply a spec or a plan file, and return the exit code."""
    file = plan_file_of(args)
    if file is not None and args.expect is not None:
        raise UsageError(
            "argument --expect: a plan file is carried out exactly as it is",
            remedy="give --expect beside the spec, or apply the plan file alone",
        )
    reviewed = [args.expect] if args.expect is not None else []
    with Session.of(args, taken=(*args.paths, *args.var_file, *reviewed)) as session:
        return _apply_spec(args, session) if file is None else _apply_file(args, file, session)


def _apply_spec(args: Namespace, session: Session) -> int:
    # Before minutes of reading: a file that says nothing would stop the run at their end.
    reviewed = read_plan(args.expect) if args.expect is not None else None
    loaded = read_spec(args)
    if loaded.estate is None:
        session.found(loaded)
        return report_invalid(loaded, session.console)
    done = session.run(_plan_and_apply(args, loaded, loaded.estate, reviewed, session))
    if isinstance(done, int):
        return done
    plan, result, journal = done
    return _finish(plan, result, session, journal)


async def _plan_and_apply(
    args: Namespace,
    loaded: LoadResult,
    estate: Estate,
    reviewed: Plan | None,
    session: Session,
) -> int | tuple[Plan, ApplyResult, Journal]:
    """Plan, ask and carry out under one lock, so that what is approved is what is there.

    Returns:
        An exit code when there was nothing to carry out, or nothing may be.
    """
    console = session.console
    target, exclude = tuple(args.target), tuple(args.exclude)
    async with locked(estate.metadata.name, session.settings) as settings:
        journal = await _take_over(estate, settings, session)
        plan = await make_plan(loaded, settings, target=target, exclude=exclude, patient=True)
        fresh = tell_warnings(loaded.diagnostics, plan, console)
        session.planned(plan, fresh)
        # Who is asked must see what for, however quiet it was meant to be.
        quiet = console.quiet and (args.auto_approve or not plan.actions)
        console.write(render_plan(plan, paint=console.paint, quiet=quiet))
        tell_where_all_are((*fresh, *plan.diagnostics), console)
        if (code := _settled(plan, reviewed)) is not None:
            _close(journal, plan, code)
            return code
        if not args.auto_approve:
            await _approve(console)
        _leave_a_line(console)
        result = await apply_spec(
            loaded,
            plan,
            settings,
            listener=session.on_action,
            target=target,
            exclude=exclude,
            journal=journal,
            reviewed=reviewed,
        )
        return plan, result, journal


def _apply_file(args: Namespace, path: Path, session: Session) -> int:
    console = session.console
    plan = read_plan(path)
    session.planned(plan)
    refuse_preview(plan)
    console.write(render_plan(plan, paint=console.paint, quiet=console.quiet))
    tell_where_all_are(plan.diagnostics, console)
    if (code := _settled(plan)) is not None:
        return code
    destructive = sum(a.destructive for a in plan.actions)
    if destructive and not args.auto_approve:
        raise PlanRefused(
            f"the plan is destructive ({count(destructive, 'action')}), and a plan "
            "file is applied without asking",
            remedy="review it with: reconciler show, then approve it with --auto-approve",
        )
    _leave_a_line(console)
    result, journal = session.run(_check_and_apply(plan, session))
    return _finish(plan, result, session, journal)


async def _check_and_apply(plan: Plan, session: Session) -> tuple[ApplyResult, Journal]:
    async with locked(plan.spec.name, session.settings) as settings:
        journal = await _take_over(estate_of(plan), settings, session)
        await check_plan_file(plan, settings)
        result = await apply_plan(plan, settings, listener=session.on_action, journal=journal)
        return result, journal


async def _take_over(estate: Estate, settings: Settings, session: Session) -> Journal:
    """Wait for what earlier applies left under way, and tell of it."""
    taken = await take_over(estate, settings)
    found = [
        Diagnostic(
            Severity.WARNING,
            "run_taken_over",
            f"Run {run.run} of {run.at:%Y-%m-%d %H:%M} UTC was cut off; this one takes over.",
            f"See what it did with: reconciler runs show {run.run}",
        )
        for run in taken.unfinished
    ]
    found += [
        Diagnostic(
            Severity.WARNING,
            "operation_taken_over",
            f"{r.operation.kind} {r.operation.address} of run {r.operation.run}: {r.outcome}.",
            r.text,
        )
        for r in taken.reattached
    ]
    if taken.damaged:
        found.append(
            Diagnostic(
                Severity.WARNING,
                "journal_damaged",
                f"An earlier journal cannot be used: {taken.damaged}.",
                "The live state is read in any case. Move the file away to end this warning.",
            )
        )
    session.warn(found)
    return taken.journal


def _close(journal: Journal, plan: Plan, code: int) -> None:
    """End a run that had nothing to carry out."""
    journal.end("complete" if code == 0 and not plan.actions else "failed")


def _settled(plan: Plan, reviewed: Plan | None = None) -> int | None:
    """Return the exit code when there is nothing to carry out, or nothing may be.

    Raises:
        PlanRefused: the plan goes beyond the reviewed one.
    """
    if code := blocked(plan):
        return code
    if reviewed is not None:
        check_expected(reviewed, plan)
    return None if plan.actions else exit_code_of(plan)


async def _approve(console: Console) -> None:
    """Ask for approval.

    Raises:
        PlanRefused: it was not given, or there is nobody to ask.
    """
    if not console.can_ask():
        raise PlanRefused(
            "approval is missing: the input is no terminal, so nobody can be asked",
            remedy="use --auto-approve, or save a plan with plan --out FILE and apply the file",
        )
    if await console.ask_meanwhile(_PROMPT) != "yes":
        raise PlanRefused("the plan was not approved; nothing was changed")


def _leave_a_line(console: Console) -> None:
    if not console.quiet:
        console.write("\n")


def _finish(plan: Plan, result: ApplyResult, session: Session, journal: Journal) -> int:
    console, code = session.console, exit_code(plan, result)
    if result.interrupted:
        journal.end("interrupted")
    else:
        journal.end("complete" if code == 0 else "failed")
    _leave_a_line(console)
    console.write(render_result(result, paint=console.paint, quiet=console.quiet))
    session.applied(result, code)
    return code


def exit_code(plan: Plan, result: ApplyResult) -> int:
    """Return the exit code of an apply.

    130 when it was asked to stop; 3 only when every action that ran was refused before it was
    sent, so that nothing was written; 0 only when all is done, verified by a complete second
    plan, and nothing of the first plan was unknown.
    """
    if result.interrupted:
        return 130
    if is_verified(result) and not plan.unknown:
        return 0
    ran = {o.outcome for o in result.outcomes} - {Outcome.SKIPPED, Outcome.NOT_NEEDED}
    return 3 if ran == {Outcome.REFUSED} and not plan.unknown else 1
