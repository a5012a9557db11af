"""``reconciler schema``: the JSON Schema of a spec, for editors and other checkers."""

from __future__ import annotations

from argparse import Namespace

from reconciler.cli.console import Console
from reconciler.spec.schema import schema_text

__all__ = ["run"]


def run(args: Namespace) -> int:
    """Print the schema."""
    Console.of(args).write(schema_text())
    return 0
