"""``reconciler plan``: read the live state and show what an apply would do."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from reconciler import engine
from reconciler.cli.common import (
    read_spec,
    report_invalid,
    settings_of,
    tell_warnings,
    write_private,
)
from reconciler.cli.console import Console
from reconciler.errors import UsageError
from reconciler.plan.plan import Plan
from reconciler.render.as_json import plan_json
from reconciler.render.as_text import render_plan
from reconciler.render.terminal import escape

__all__ = ["exit_code", "run"]


def run(args: Namespace) -> int:
    """Plan, show the plan, save it if asked, and return the exit code."""
    console = Console.of(args)
    loaded = read_spec(args)
    if args.out is not None:
        _check_out(args.out, (*args.paths, *(Path(f) for f in loaded.files)))
    if loaded.estate is None:
        return report_invalid(loaded, console, as_json=args.format == "json")
    plan = asyncio.run(
        engine.make_plan(
            loaded, settings_of(args), target=tuple(args.target), exclude=tuple(args.exclude)
        )
    )
    as_json = args.format == "json"
    tell_warnings(loaded.diagnostics, plan, console)
    console.write(
        plan_json(plan) if as_json else render_plan(plan, paint=console.paint, quiet=args.quiet)
    )
    if args.out is not None:
        write_private(args.out, plan_json(plan))
        # In JSON, stdout holds one document and nothing else.
        (console.complain if as_json else console.write)(_saved(args.out, plan))
    return exit_code(plan, detailed=args.detailed_exitcode)


def exit_code(plan: Plan, *, detailed: bool) -> int:
    """Return the exit code of a plan; errors and refusals win over "there are changes"."""
    code = engine.exit_code_of(plan)
    if code == 0 and detailed and plan.actions:
        return 2
    return code


def _saved(path: Path, plan: Plan) -> str:
    name = escape(str(path))
    if plan.applyable:
        return f"Saved the plan to {name}. Apply it with: reconciler apply {name}\n"
    return f"Saved the plan to {name}.\n"


def _check_out(path: Path, specs: Iterable[Path]) -> None:
    """Refuse a place that would lose the spec, or that fails only after minutes of reading."""
    if path.resolve() in {spec.resolve() for spec in specs}:
        raise UsageError(
            f"argument --out: {path} is the spec", remedy="give the plan another file name"
        )
    if path.is_dir() or not path.name:
        raise UsageError(f"argument --out: {path} is a directory", remedy="name a file in it")
    if not path.parent.is_dir():
        raise UsageError(
            f"argument --out: there is no directory {path.parent}", remedy="make it first"
        )
