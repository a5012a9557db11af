"""``reconciler validate``: schema and references, offline."""

from __future__ import annotations

from argparse import Namespace

from reconciler.cli.console import Console
from reconciler.cli.documents import findings_document
from reconciler.cli.findings_file import tell_where_all_are
from reconciler.diagnostics import Severity
from reconciler.render.findings import render_findings, render_valid
from reconciler.spec.load import load_spec

__all__ = ["run"]


def run(args: Namespace) -> int:
    """Check the spec and return 0 when it is valid, 1 when not; all findings at once."""
    console = Console.of(args)
    loaded = load_spec(args.paths, variables=dict(args.var), var_files=args.var_file)
    valid = loaded.estate is not None
    if args.format != "text":
        console.write(findings_document(loaded, args.format))
        return 0 if valid else 1
    found = render_findings(loaded.diagnostics, paint=console.paint_err, errors_only=console.quiet)
    if found:
        console.complain(found + "\n")
        tell_where_all_are(loaded.diagnostics, console)
    errors = sum(d.severity is Severity.ERROR for d in loaded.diagnostics)
    if loaded.estate is None:
        console.complain(f"The spec is invalid: {errors} {'error' if errors == 1 else 'errors'}.\n")
        return 1
    warnings = len(loaded.diagnostics) - errors
    console.write(
        render_valid(loaded.estate.metadata.name, loaded.files, warnings, paint=console.paint)
    )
    return 0
