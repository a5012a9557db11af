"""What every renderer needs to know of a plan, free of layout.

Which differences stay, what an action waits for: questions whose answers must not differ between
text, JSON and whatever format comes next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import groupby

from reconciler.diagnostics import Severity
from reconciler.plan.actions import Action
from reconciler.plan.plan import DriftEntry, Plan, UnknownEntry
from reconciler.render.findings import findings_of

__all__ = [
    "differences",
    "drift_counts",
    "errors_in",
    "left_alone",
    "unreadable",
    "waits_for",
    "waves",
]


def errors_in(plan: Plan) -> int:
    """Count the errors of a plan."""
    return sum(f.severity is Severity.ERROR for f in findings_of(plan.diagnostics))


def waves(plan: Plan) -> tuple[tuple[int, tuple[Action, ...]], ...]:
    """Return the actions by wave, in order."""
    ordered = sorted(plan.actions, key=lambda a: a.wave)
    return tuple((n, tuple(group)) for n, group in groupby(ordered, key=lambda a: a.wave))


def waits_for(plan: Plan) -> Mapping[str, tuple[str, ...]]:
    """Return what each action waits for, by action id, as addresses people know.

    Where several actions share an address, the kind is added; an id that is not in the plan
    stands as it is.
    """
    by_id = {a.id: a for a in plan.actions}
    sharing = Counter(a.address for a in plan.actions)

    def name(action_id: str) -> str:
        before = by_id.get(action_id)
        if before is None:
            return action_id
        shared = sharing[before.address] > 1
        return f"{before.address} ({before.kind})" if shared else before.address

    return {
        a.id: tuple(dict.fromkeys(name(before) for before in a.depends_on)) for a in plan.actions
    }


def left_alone(plan: Plan) -> tuple[DriftEntry, ...]:
    """Return the differences that no action of the plan removes, held deployments left out.

    Held deployments are drift too; they stand in ``plan.held`` with what to do about them.
    """
    held = {h.address for h in plan.held}
    return tuple(
        d for d in plan.drift if not d.planned and not (d.cause == "held" and d.address in held)
    )


def differences(plan: Plan) -> tuple[DriftEntry, ...]:
    """Return every difference between spec and live, held deployments included, once each."""
    told = {d.address for d in plan.drift if d.cause == "held"}
    missing = (
        DriftEntry(address=h.address, cause="held", text=h.text, items=h.items)
        for h in plan.held
        if h.address not in told
    )
    return (*plan.drift, *missing)


def drift_counts(plan: Plan) -> dict[str, int]:
    """Count the differences by class, classes sorted."""
    return dict(sorted(Counter(d.cause for d in differences(plan)).items()))


def unreadable(plan: Plan) -> tuple[UnknownEntry, ...]:
    """Return what could not be read, with the reasons where the plan has them."""
    reasons = {u.address: u for u in plan.unreadable}
    return tuple(
        reasons.get(address) or UnknownEntry(address=address, text="could not be read")
        for address in dict.fromkeys((*plan.unknown, *reasons))
    )
