"""Guard: documented limits the planner can count, checked before the first write.

Lengths of names, comments and notes are limits of the spec's schema; here stand those that
depend on the live estate.
"""

from __future__ import annotations

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.ids import Address
from reconciler.plan.actions import AssignStage, Deploy
from reconciler.plan.plan import Plan

__all__ = ["limit_findings"]


def limit_findings(plan: Plan) -> list[Diagnostic]:
    """Return an error for every plan action the service is documented to refuse."""
    found: list[Diagnostic] = []
    stages: dict[str, str] = {}
    for action in plan.actions:
        at = Address(action.address)
        if isinstance(action.op, Deploy):
            # Source: fabric-api.md section 7.2: stages must be adjacent; spec.
            if abs(action.op.source_order - action.op.target_order) != 1:
                found.append(
                    Diagnostic(
                        Severity.ERROR,
                        "stages_not_adjacent",
                        f"{action.address} skips a stage.",
                        "The service deploys between neighbouring stages only; deploy through "
                        "the stages between.",
                        at,
                    )
                )
        elif isinstance(action.op, AssignStage):
            # Source: fabric-api.md section 7.1: a workspace in no other stage or pipeline; spec.
            other = stages.setdefault(action.op.workspace, action.address)
            if other != action.address:
                found.append(
                    Diagnostic(
                        Severity.ERROR,
                        "workspace_in_two_stages",
                        f"{action.op.workspace} would stand in {other} and {action.address}.",
                        "A workspace belongs to one stage of one pipeline; use another workspace.",
                        at,
                    )
                )
    return found
