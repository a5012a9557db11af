"""Guard: what the spec protects is not destroyed."""

from __future__ import annotations

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.ids import Address
from reconciler.plan.plan import Plan
from reconciler.spec.models import Estate
from reconciler.spec.resolve import pipeline_address, workspace_address

__all__ = ["CODE", "protected_destroys"]

CODE = "protected"


def protected_destroys(plan: Plan, estate: Estate) -> list[Diagnostic]:
    """Return one error for every action that would delete a protected resource."""
    protected = {workspace_address(w) for w in estate.workspaces if w.protect} | {
        pipeline_address(p) for p in estate.pipelines if p.protect
    }
    return [
        Diagnostic(
            Severity.ERROR,
            CODE,
            f"{action.address} is protected, and this plan would delete it.",
            "Set protect: false beside state: absent if it should really go, or take "
            "state: absent out.",
            Address(action.address),
        )
        for action in plan.actions
        if action.kind in ("workspace.delete", "pipeline.delete") and action.address in protected
    ]
