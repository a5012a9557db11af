"""Where all findings stand when text shows only the first of them.

Imports nothing heavy: commands that need no service start without what services need.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.console import Console
from reconciler.diagnostics import Diagnostic
from reconciler.errors import ReconcilerError
from reconciler.render.findings import MOST_FINDINGS
from reconciler.words import count

if TYPE_CHECKING:  # the models of a plan; a spec has none
    from reconciler.plan.plan import PlanDiagnostic

__all__ = ["tell_where_all_are"]

_FILE = Path(".reconciler") / "findings.json"


def tell_where_all_are(found: Sequence[Diagnostic | PlanDiagnostic], console: Console) -> None:
    """Write findings to a file in the working folder, and name it, if text cannot hold them all."""
    if len(found) <= MOST_FINDINGS:
        return
    from reconciler.cli.common import write_private  # noqa: PLC0415 - only for so many
    from reconciler.journal.write import keep_out_of_git  # noqa: PLC0415
    from reconciler.render.as_json import findings_json  # noqa: PLC0415

    many = count(len(found), "finding")
    try:
        keep_out_of_git(_FILE.parent)
        write_private(_FILE, findings_json(found))
    except (OSError, ReconcilerError):
        # Where nothing can be written, what was found still matters more than this failure.
        console.complain(f"There are {many}; --format json of validate and plan has them all.\n")
        return
    console.complain(f"All {many} stand in {_FILE.as_posix()}.\n")
