"""``reconciler drift``: how live differs from the spec; reads only."""

from __future__ import annotations

import asyncio
from argparse import Namespace

from reconciler import engine
from reconciler.cli.common import read_spec, report_invalid, settings_of, tell_warnings
from reconciler.cli.console import Console
from reconciler.plan.plan import Plan
from reconciler.render.as_json import drift_json
from reconciler.render.as_text import render_drift
from reconciler.render.view import differences

__all__ = ["exit_code", "run"]


def run(args: Namespace) -> int:
    """Read, compare, show the differences, and return the exit code."""
    console = Console.of(args)
    loaded = read_spec(args)
    as_json = args.format == "json"
    if loaded.estate is None:
        return report_invalid(loaded, console, as_json=as_json)
    plan = asyncio.run(
        engine.make_plan(
            loaded, settings_of(args), target=tuple(args.target), exclude=tuple(args.exclude)
        )
    )
    tell_warnings(loaded.diagnostics, plan, console)
    console.write(
        drift_json(plan) if as_json else render_drift(plan, paint=console.paint, quiet=args.quiet)
    )
    return exit_code(plan)


def exit_code(plan: Plan) -> int:
    """Return 1 when anything is wrong or unknown, 2 when something differs, else 0.

    Policy refuses writes; ``drift`` makes none, so a refusal counts like any other error.
    """
    if engine.exit_code_of(plan) != 0:
        return 1
    return 2 if differences(plan) else 0
