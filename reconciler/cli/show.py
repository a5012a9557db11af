"""``reconciler show``: a plan file again, in any format."""

from __future__ import annotations

from argparse import Namespace

from reconciler.cli.common import read_plan
from reconciler.cli.console import Console
from reconciler.cli.documents import plan_document
from reconciler.cli.findings_file import tell_where_all_are

__all__ = ["run"]


def run(args: Namespace) -> int:
    """Show a plan file."""
    console = Console.of(args)
    plan = read_plan(args.file)
    console.write_pieces(plan_document(plan, args.format, console))
    if args.format == "text":
        tell_where_all_are(plan.diagnostics, console)
    return 0
