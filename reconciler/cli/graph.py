"""``reconciler graph``: what waits for what, for Mermaid or Graphviz."""

from __future__ import annotations

from argparse import Namespace

from reconciler import engine
from reconciler.cli.common import (
    plan_file_of,
    read_plan,
    read_spec,
    report_invalid,
    tell_warnings,
)
from reconciler.cli.session import Session
from reconciler.plan.plan import Plan
from reconciler.render.graph import build_graph, to_dot, to_mermaid

__all__ = ["run"]


def run(args: Namespace) -> int:
    """Print the graph of a plan file, or of the plan of a spec, and return the exit code.

    Errors and refusals of a plan made here count, those of a file do not: it is only shown.
    """
    with Session.of(args) as session:
        file = plan_file_of(args)
        if file is not None:
            session.console.write(_written(read_plan(file), args.format))
            return 0
        loaded = read_spec(args)
        if loaded.estate is None:
            return report_invalid(loaded, session.console)
        plan = session.run(
            engine.make_plan(
                loaded, session.settings, target=tuple(args.target), exclude=tuple(args.exclude)
            )
        )
        tell_warnings(loaded.diagnostics, plan, session.console)
        session.console.write(_written(plan, args.format))
        return engine.exit_code_of(plan)


def _written(plan: Plan, form: str) -> str:
    graph = build_graph(plan)
    return to_dot(graph) if form == "dot" else to_mermaid(graph)
