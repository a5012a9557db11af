"""``reconciler schema``: the JSON Schemas, for editors and for readers of what is written."""

from __future__ import annotations

from argparse import Namespace

from reconciler.cli.console import Console
from reconciler.cli.parser import SCHEMA_NAMES, nearest
from reconciler.errors import UsageError

__all__ = ["run"]


def run(args: Namespace) -> int:
    """Print one schema."""
    if args.name not in SCHEMA_NAMES:
        raise UsageError(
            f"there is no schema {args.name!r}{nearest(args.name, SCHEMA_NAMES)}",
            remedy=f"one of: {', '.join(SCHEMA_NAMES)}",
        )
    from reconciler.render.schemas import schema_text  # noqa: PLC0415 - imports every model

    Console.of(args).write(schema_text(args.name))
    return 0
