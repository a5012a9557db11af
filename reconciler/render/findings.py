"""Findings as text, of a spec or of a plan.

Imports none of the plan's models: a spec is validated, and an error told, without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.render.terminal import PLAIN, Paint, escape
from reconciler.words import count

if TYPE_CHECKING:  # see above
    from reconciler.plan.plan import PlanDiagnostic

__all__ = [
    "MOST_FINDINGS",
    "Finding",
    "finding_of",
    "findings_lines",
    "findings_of",
    "render_findings",
    "render_valid",
]

MOST_FINDINGS = 50
"""Findings that text shows; what writes it also says where all of them are."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A diagnostic, with its place as people write it; ``place`` is empty when it has none."""

    severity: Severity
    code: str
    summary: str
    detail: str
    place: str


def finding_of(found: Diagnostic | PlanDiagnostic) -> Finding:
    """Return a diagnostic of either form as a finding."""
    if isinstance(found, Diagnostic):
        span = found.span
        file, line, column = (span.file, span.line, span.column) if span else (None, None, None)
        severity = found.severity
    else:
        file, line, column = found.file, found.line, found.column
        # A newer minor version may know more severities; what is no warning must stop a reader.
        severity = Severity.WARNING if found.severity == "warning" else Severity.ERROR
    place = ":".join(str(part) for part in (file, line, column) if part is not None)
    inner = found.path or found.address or ""
    if place and inner:
        place = f"{place} ({inner})"
    return Finding(severity, found.code, found.summary, found.detail, place or inner)


def findings_of(found: Iterable[Diagnostic | PlanDiagnostic]) -> tuple[Finding, ...]:
    """Return the findings, warnings first: what stops is nearest to the last line."""
    listed = [finding_of(d) for d in found]
    return tuple(sorted(listed, key=lambda f: f.severity is Severity.ERROR))


def render_findings(
    found: Iterable[Diagnostic | PlanDiagnostic], *, paint: Paint = PLAIN, errors_only: bool = False
) -> str:
    """Return findings as text, errors last; ``""`` when there are none."""
    lines = findings_lines(found, paint, errors_only=errors_only)
    return "\n".join(lines[:-1]) + "\n" if lines else ""


def render_valid(name: str, files: Sequence[str], warnings: int, *, paint: Paint = PLAIN) -> str:
    """Return the line that says a spec is valid."""
    noted = f", {count(warnings, 'warning')}" if warnings else ""
    return (
        paint.bold(f"The spec {escape(name)} is valid ({count(len(files), 'file')}{noted}).") + "\n"
    )


def findings_lines(
    found: Iterable[Diagnostic | PlanDiagnostic], paint: Paint, *, errors_only: bool
) -> list[str]:
    """Return findings as lines, each followed by an empty one; errors before all else."""
    lines: list[str] = []
    listed = [f for f in findings_of(found) if not errors_only or f.severity is Severity.ERROR]
    errors = [f for f in listed if f.severity is Severity.ERROR]
    warnings = [f for f in listed if f.severity is not Severity.ERROR]
    shown = [*warnings[: max(MOST_FINDINGS - len(errors), 0)], *errors[:MOST_FINDINGS]]
    for finding in shown:
        stops = finding.severity is Severity.ERROR
        label = (paint.red if stops else paint.yellow)(f"{finding.severity.value}:")
        lines.append(f"{label} {escape(finding.summary)}")
        if finding.place:
            lines.append(f"  --> {escape(finding.place)}")
        lines += [f"  {escape(line)}" for line in finding.detail.splitlines()]
        lines.append("")
    if len(listed) > len(shown):
        more_errors = max(len(errors) - MOST_FINDINGS, 0)
        more_warnings = len(listed) - len(shown) - more_errors
        more = ((more_errors, "more error"), (more_warnings, "more warning"))
        lines += [f"… and {' and '.join(count(n, noun) for n, noun in more if n)}", ""]
    return lines
