"""``reconciler apply``: carry out a plan, of a spec after approval or of a plan file as it is.

Nothing is written before every question is settled: findings, policy, approval, staleness.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from pathlib import Path

from reconciler import engine
from reconciler.cli.common import (
    blocked,
    is_plan_file,
    read_plan,
    read_spec,
    report_invalid,
    settings_of,
    tell_warnings,
)
from reconciler.cli.console import Console
from reconciler.cli.parser import PLANNING_FLAGS
from reconciler.cli.progress import Progress
from reconciler.errors import PlanRefused, UsageError
from reconciler.execute.events import ApplyResult, Listener, Outcome
from reconciler.plan.plan import Plan
from reconciler.render.as_text import render_plan
from reconciler.render.result_text import is_verified, render_result
from reconciler.render.words import count

__all__ = ["exit_code", "run"]

_PROMPT = """
Do you want to carry out these actions?
  Only 'yes' is accepted to approve.

  Enter a value: """


def run(args: Namespace) -> int:
    """Apply a spec or a plan file, and return the exit code."""
    plan_files = [path for path in args.paths if is_plan_file(path)]
    if not plan_files:
        return _apply_spec(args)
    if len(args.paths) > 1:
        raise UsageError(
            f"{plan_files[0]} is a plan file, and a plan file is applied alone",
            remedy=f"run: reconciler apply {plan_files[0]}",
        )
    for attribute, flag in PLANNING_FLAGS.items():
        if getattr(args, attribute):
            raise UsageError(
                f"argument {flag}: the plan is already made and is applied as it is",
                remedy=f"give {flag} to reconciler plan, or apply the spec instead",
            )
    return _apply_file(args, plan_files[0])


def _apply_spec(args: Namespace) -> int:
    console = Console.of(args)
    loaded = read_spec(args)
    if loaded.estate is None:
        return report_invalid(loaded, console, as_json=False)
    settings = settings_of(args)
    target, exclude = tuple(args.target), tuple(args.exclude)
    plan = asyncio.run(engine.make_plan(loaded, settings, target=target, exclude=exclude))
    tell_warnings(loaded.diagnostics, plan, console)
    # Who is asked must see what for, however quiet it was meant to be.
    quiet = console.quiet and (args.auto_approve or not plan.actions)
    console.write(render_plan(plan, paint=console.paint, quiet=quiet))
    if (code := _settled(plan)) is not None:
        return code
    if not args.auto_approve:
        _approve(console)
    _leave_a_line(console)
    result = asyncio.run(
        engine.apply_spec(
            loaded, plan, settings, listener=_listener(console), target=target, exclude=exclude
        )
    )
    return _finish(plan, result, console)


def _apply_file(args: Namespace, path: Path) -> int:
    console = Console.of(args)
    plan = read_plan(path)
    console.write(render_plan(plan, paint=console.paint, quiet=console.quiet))
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
    result = asyncio.run(_check_and_apply(plan, settings_of(args), _listener(console)))
    return _finish(plan, result, console)


async def _check_and_apply(
    plan: Plan, settings: engine.Settings, listener: Listener
) -> ApplyResult:
    await engine.check_plan_file(plan, settings)
    return await engine.apply_plan(plan, settings, listener=listener)


def _settled(plan: Plan) -> int | None:
    """Return the exit code when there is nothing to carry out, or nothing may be."""
    if code := blocked(plan):
        return code
    return None if plan.actions else engine.exit_code_of(plan)


def _approve(console: Console) -> None:
    """Ask for approval.

    Raises:
        PlanRefused: it was not given, or there is nobody to ask.
    """
    if not console.can_ask():
        raise PlanRefused(
            "approval is missing: the input is no terminal, so nobody can be asked",
            remedy="use --auto-approve, or save a plan with plan --out FILE and apply the file",
        )
    if console.ask(_PROMPT) != "yes":
        raise PlanRefused("the plan was not approved; nothing was changed")


def _listener(console: Console) -> Listener:
    return (lambda _: None) if console.quiet else Progress(console.write, paint=console.paint)


def _leave_a_line(console: Console) -> None:
    if not console.quiet:
        console.write("\n")


def _finish(plan: Plan, result: ApplyResult, console: Console) -> int:
    _leave_a_line(console)
    console.write(render_result(result, paint=console.paint, quiet=console.quiet))
    return exit_code(plan, result)


def exit_code(plan: Plan, result: ApplyResult) -> int:
    """Return the exit code of an apply.

    3 only when every action that ran was refused before it was sent, so that nothing was
    written; 0 only when all is done, verified by a complete second plan, and nothing of the first
    plan was unknown.
    """
    if is_verified(result) and not plan.unknown:
        return 0
    ran = {o.outcome for o in result.outcomes} - {Outcome.SKIPPED, Outcome.NOT_NEEDED}
    return 3 if ran == {Outcome.REFUSED} and not plan.unknown else 1
