"""``reconciler drift``: how live differs from the spec; reads only."""

from __future__ import annotations

from argparse import Namespace

from reconciler import engine
from reconciler.cli.common import read_spec, report_invalid, tell_warnings
from reconciler.cli.documents import drift_document
from reconciler.cli.findings_file import tell_where_all_are
from reconciler.cli.session import Session
from reconciler.plan.plan import DIFFERENCE_CODES, Plan
from reconciler.render.view import differences

__all__ = ["exit_code", "run"]


def run(args: Namespace) -> int:
    """Read, compare, show the differences, and return the exit code."""
    with Session.of(args, taken=(*args.paths, *args.var_file)) as session:
        loaded = read_spec(args)
        if loaded.estate is None:
            session.found(loaded)
            return report_invalid(loaded, session.console, args.format)
        plan = session.run(
            engine.make_plan(
                loaded, session.settings, target=tuple(args.target), exclude=tuple(args.exclude)
            )
        )
        fresh = tell_warnings(loaded.diagnostics, plan, session.console)
        session.planned(plan, fresh)
        session.console.write(drift_document(plan, args.format, session.console, fresh))
        if args.format == "text":
            tell_where_all_are((*fresh, *plan.diagnostics), session.console)
        return exit_code(plan)


def exit_code(plan: Plan) -> int:
    """Return 1 when the spec is wrong or anything is unknown, 2 when something differs, else 0.

    What only needs words in the spec before it may be removed is a difference, not an error:
    nothing is written here.
    """
    wrong = any(d.severity == "error" and d.code not in DIFFERENCE_CODES for d in plan.diagnostics)
    if wrong or plan.unknown:
        return 1
    return 2 if differences(plan) else 0
