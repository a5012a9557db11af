"""``--format``: which renderer writes what goes to stdout.

Markdown and HTML are imported when they are asked for: commands start without them.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.cli.console import Console
from reconciler.diagnostics import Diagnostic
from reconciler.plan.plan import Plan
from reconciler.render.as_json import drift_json, findings_json, plan_json
from reconciler.render.as_text import render_drift, render_plan
from reconciler.spec.load import LoadResult

__all__ = ["drift_document", "findings_document", "plan_document"]


def plan_document(plan: Plan, form: str, console: Console, fresh: Sequence[Diagnostic] = ()) -> str:
    """Return a plan in a format.

    Args:
        fresh: findings of the spec that the plan does not hold; a page or comment has them too,
            text has them on stderr.
    """
    match form:
        case "json":
            return plan_json(plan)
        case "markdown":
            from reconciler.render.as_markdown import plan_markdown  # noqa: PLC0415

            return plan_markdown(plan, fresh)
        case "html":
            from reconciler.render.as_html import plan_html  # noqa: PLC0415

            return plan_html(plan, fresh)
        case _:
            return render_plan(plan, paint=console.paint, quiet=console.quiet)


def drift_document(
    plan: Plan, form: str, console: Console, fresh: Sequence[Diagnostic] = ()
) -> str:
    """Return drift in a format; ``fresh`` as for a plan."""
    match form:
        case "json":
            return drift_json(plan)
        case "markdown":
            from reconciler.render.as_markdown import drift_markdown  # noqa: PLC0415

            return drift_markdown(plan, fresh)
        case "html":
            from reconciler.render.as_html import drift_html  # noqa: PLC0415

            return drift_html(plan, fresh)
        case _:
            return render_drift(plan, paint=console.paint, quiet=console.quiet)


def findings_document(loaded: LoadResult, form: str) -> str:
    """Return the findings of a spec in any format but text, which has them on stderr."""
    match form:
        case "markdown":
            from reconciler.render.as_markdown import findings_markdown  # noqa: PLC0415

            name = loaded.estate.metadata.name if loaded.estate is not None else ""
            return findings_markdown(loaded.diagnostics, name, len(loaded.files))
        case "html":
            from reconciler.render.as_html import findings_html  # noqa: PLC0415

            return findings_html(loaded.diagnostics)
        case _:
            return findings_json(loaded.diagnostics)
