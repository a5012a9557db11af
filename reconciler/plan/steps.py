"""Steps: actions in the making, light and open to change, and the actions they end as.

The areas add steps and alter them when they learn of each other; waves and edges are known last.
So the immutable :class:`~reconciler.plan.actions.Action` is made once, of what is known then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.ids import Address
from reconciler.plan.actions import Action, FieldChange, ItemChange, Op, Reason
from reconciler.plan.trusted import trusted

__all__ = ["Step"]


@dataclass(slots=True)
class Step:
    """What an action will say, but for its wave and what it waits for; fields as there."""

    id: str
    kind: str
    address: Address
    op: Op
    code: str
    why: str
    changes: tuple[FieldChange, ...]
    items: tuple[ItemChange, ...]
    preconditions: Mapping[str, Any]
    after_unknown: bool
    outcomes: tuple[str, ...]
    destructive: bool
    requests: int

    def to_action(self, wave: int, depends_on: tuple[str, ...]) -> Action:
        """Return the finished action."""
        return trusted(
            Action,
            {
                "id": self.id,
                "kind": self.kind,
                "address": self.address,
                "wave": wave,
                "depends_on": depends_on,
                "reason": trusted(Reason, {"code": self.code, "text": self.why}),
                "changes": self.changes,
                "items": self.items,
                "preconditions": dict(self.preconditions),
                "after_unknown": self.after_unknown,
                "outcomes": self.outcomes,
                "destructive": self.destructive,
                "estimated_requests": self.requests,
                "op": self.op,
            },
        )
