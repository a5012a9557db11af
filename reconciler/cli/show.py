"""``reconciler show``: a plan file again, in any format."""

from __future__ import annotations

from argparse import Namespace

from reconciler.cli.common import read_plan
from reconciler.cli.console import Console
from reconciler.cli.documents import plan_document

__all__ = ["run"]


def run(args: Namespace) -> int:
    """Show a plan file."""
    console = Console.of(args)
    console.write(plan_document(read_plan(args.file), args.format, console))
    return 0
