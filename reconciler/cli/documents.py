"""``--format``: which renderer writes what goes to stdout.

Each is imported when it is asked for: commands start without the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from reconciler.cli.console import Console
from reconciler.diagnostics import Diagnostic
from reconciler.spec.load import LoadResult

if TYPE_CHECKING:  # the models of a plan, which findings do without
    from reconciler.plan.plan import Plan

__all__ = ["drift_document", "findings_document", "plan_document"]


def plan_document(
    plan: Plan, form: str, console: Console, fresh: Sequence[Diagnostic] = ()
) -> Iterator[str]:
    """Yield a plan in a format, in pieces: a large one is not held as text as a whole.

    Args:
        fresh: findings of the spec that the plan does not hold; a page or comment has them too,
            text has them on stderr.
    """
    match form:
        case "json":
            yield from plan.json_pieces()
        case "markdown":
            from reconciler.render.as_markdown import plan_markdown  # noqa: PLC0415

            yield plan_markdown(plan, fresh)
        case "html":
            from reconciler.render.as_html import plan_html  # noqa: PLC0415

            yield plan_html(plan, fresh)
        case _:
            from reconciler.render.as_text import plan_lines  # noqa: PLC0415

            for line in plan_lines(plan, paint=console.paint, quiet=console.quiet):
                yield f"{line}\n"


def drift_document(
    plan: Plan, form: str, console: Console, fresh: Sequence[Diagnostic] = ()
) -> str:
    """Return drift in a format; ``fresh`` as for a plan."""
    match form:
        case "json":
            from reconciler.render.as_json import drift_json  # noqa: PLC0415

            return drift_json(plan)
        case "markdown":
            from reconciler.render.as_markdown import drift_markdown  # noqa: PLC0415

            return drift_markdown(plan, fresh)
        case "html":
            from reconciler.render.as_html import drift_html  # noqa: PLC0415

            return drift_html(plan, fresh)
        case _:
            from reconciler.render.as_text import render_drift  # noqa: PLC0415

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
            from reconciler.render.as_json import findings_json  # noqa: PLC0415

            return findings_json(loaded.diagnostics)
