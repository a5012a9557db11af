"""All policies over one plan: what they refuse stops an apply with exit code 3."""

from __future__ import annotations

from reconciler.diagnostics import Diagnostic
from reconciler.plan.plan import Plan
from reconciler.policies import caps, protect
from reconciler.spec.models import Estate

__all__ = ["POLICY_CODES", "judge"]

POLICY_CODES = frozenset({protect.CODE, *caps.CODES})
"""Codes of errors that say: the plan is valid, and refused."""


def judge(plan: Plan, estate: Estate) -> list[Diagnostic]:
    """Return one error for everything a policy refuses."""
    return [
        *protect.protected_destroys(plan, estate),
        *caps.exceeded_caps(plan, estate.policies),
    ]
