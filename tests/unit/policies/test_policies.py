"""Policies: what the spec protects is not destroyed."""

from __future__ import annotations

import pytest

from reconciler.plan.actions import (
    Action,
    DeletePipeline,
    DeleteWorkspace,
    Reason,
)
from reconciler.plan.plan import Plan, PlanSpec, summarise
from reconciler.policies.protect import protected_destroys
from reconciler.spec.models import Estate


def action(op, where: str) -> Action:
    """Return an action."""
    return Action(
        id=f"{op.kind}:{where}",
        kind=op.kind,
        address=where,
        reason=Reason(code="c", text="t"),
        op=op,
    )


def plan(*actions: Action) -> Plan:
    """Return a plan of these actions."""
    return Plan(
        reconciler_version="0",
        created_at="",
        spec=PlanSpec(name="s", digest=""),
        endpoints={},
        summary=summarise(actions),
        actions=actions,
    )


def estate(**parts) -> Estate:
    """Return an estate."""
    header = {"apiVersion": "reconciler/v1", "kind": "Estate", "metadata": {"name": "s"}}
    return Estate.model_validate({**header, **parts})


DELETES = [
    (DeleteWorkspace(), "workspaces/A", {"workspaces": [{"name": "A", "state": "absent"}]}),
    (DeletePipeline(), "pipelines/P", {"pipelines": [{"name": "P", "state": "absent"}]}),
]


@pytest.mark.parametrize(("op", "where", "parts"), DELETES)
@pytest.mark.parametrize("protect", [None, True, False])
def test_deleting_needs_protect_false(op, where, parts, protect):
    """Workspaces and pipelines are protected unless the spec says otherwise."""
    (key, (entry,)) = next(iter(parts.items()))
    entry = entry if protect is None else {**entry, "protect": protect}
    found = protected_destroys(plan(action(op, where)), estate(**{key: [entry]}))
    assert ([] if protect is False else ["protected"]) == [d.code for d in found]
