"""``reconciler plan``: read the live state and show what an apply would do."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler import engine
from reconciler.cli.common import (
    read_spec,
    report_invalid,
    tell_warnings,
    write_private,
)
from reconciler.cli.documents import plan_document
from reconciler.cli.findings_file import tell_where_all_are
from reconciler.cli.merge import merge_request_of
from reconciler.cli.session import Session
from reconciler.errors import UsageError
from reconciler.plan.plan import Plan
from reconciler.plan.requests import explained
from reconciler.render.terminal import escape

if TYPE_CHECKING:  # only a preview looks at a checkout
    from reconciler.live.checkout import MergeRequest

__all__ = ["exit_code", "run"]


def run(args: Namespace) -> int:
    """Plan, show the plan, save it if asked, and return the exit code."""
    out = [args.out] if args.out is not None else []
    merge = merge_request_of(args, os.environ)
    with Session.of(args, taken=(*args.paths, *args.var_file, *out)) as session:
        return _plan(args, session, merge)


def _plan(args: Namespace, session: Session, merge: MergeRequest | None) -> int:
    console, form = session.console, args.format
    loaded = read_spec(args)
    if args.out is not None:
        _check_out(args.out, (*args.paths, *(Path(f) for f in loaded.files)))
    if loaded.estate is None:
        session.found(loaded)
        return report_invalid(loaded, console, form)
    plan = session.run(
        engine.make_plan(
            loaded,
            session.settings,
            target=tuple(args.target),
            exclude=tuple(args.exclude),
            merge=merge,
        )
    )
    if args.explain_requests:
        plan = plan.model_copy(update={"request_reasons": explained(plan.requests)})
    fresh = tell_warnings(loaded.diagnostics, plan, console)
    session.planned(plan, fresh)
    console.write_pieces(plan_document(plan, form, console, fresh))
    if form == "text":
        tell_where_all_are((*fresh, *plan.diagnostics), console)
    if args.out is not None:
        write_private(args.out, plan.json_pieces())
        # A format other than text promises one document on stdout and nothing else.
        (console.write if form == "text" else console.complain)(_saved(args.out, plan))
    return exit_code(plan, detailed=args.detailed_exitcode)


def exit_code(plan: Plan, *, detailed: bool) -> int:
    """Return the exit code of a plan; errors and refusals win over "there are changes"."""
    code = engine.exit_code_of(plan)
    if code == 0 and detailed and plan.actions:
        return 2
    return code


def _saved(path: Path, plan: Plan) -> str:
    name = escape(str(path))
    if plan.preview is not None and not engine.exit_code_of(plan):
        return (
            f"Saved the preview to {name}. After the merge, hold the apply to it with: reconciler "
            f"apply SPEC --expect {name}\n"
        )
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
