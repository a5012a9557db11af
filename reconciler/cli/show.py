"""``reconciler show``: a plan file again, in any format."""

from __future__ import annotations

from argparse import Namespace

from reconciler.cli.common import read_plan
from reconciler.cli.console import Console
from reconciler.render.as_json import plan_json
from reconciler.render.as_text import render_plan

__all__ = ["run"]


def run(args: Namespace) -> int:
    """Show a plan file."""
    console = Console.of(args)
    plan = read_plan(args.file)
    if args.format == "json":
        console.write(plan_json(plan))
    else:
        console.write(render_plan(plan, paint=console.paint, quiet=args.quiet))
    return 0
