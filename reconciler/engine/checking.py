"""Whether a plan that was made earlier still holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reconciler.engine.planning import digest_of_file, input_of_plan, plan_with
from reconciler.engine.resuming import used_by
from reconciler.engine.services import services_for
from reconciler.engine.settings import Settings
from reconciler.errors import PlanStale
from reconciler.plan.actions import Action
from reconciler.plan.plan import Plan
from reconciler.policies.reviewed import made_for_another

__all__ = [
    "check_plan_file",
]


async def check_plan_file(plan: Plan, settings: Settings) -> None:
    """See that a plan from a file still holds, before anything is written.

    Raises:
        PlanStale: spec, endpoints, caller, tool version or live state moved; the message names
            what.
    """
    estate = input_of_plan(plan).estate
    # Another tool or another service: what is there says nothing about this plan.
    _refuse_stale(made_for_another(plan, settings.endpoints(estate)))
    used = used_by(plan, settings)
    if used is not None:
        raise PlanStale(
            f"the plan is stale: run {used} has used it already, and a plan file is applied once",
            remedy=f"see what it did with: reconciler runs show {used}; then make a new plan",
        )
    moved = _edited(plan)
    async with services_for(settings, estate) as services:
        now = await plan_with(services, input_of_plan(plan), settings, "check")
    if plan.caller != now.caller:
        moved.append(f"it was made by another caller ({plan.caller}), this is {now.caller}")
    moved.extend(_differences(plan, now))
    _refuse_stale(moved)


def _refuse_stale(moved: Sequence[str]) -> None:
    if moved:
        raise PlanStale(
            "the plan is stale: " + "; ".join(moved[:8]) + ("; …" if len(moved) > 8 else ""),
            remedy="make a new plan; nothing was written",
        )


def _edited(plan: Plan) -> list[str]:
    """Name the spec's files that are at hand and have changed."""
    moved: list[str] = []
    for name, digest in plan.spec.sources.items():
        if Path(name).is_file() and digest_of_file(Path(name)) != digest:
            moved.append(f"{name} has changed")
    return moved


def _essence(action: Action) -> dict[str, object]:
    return action.model_dump(exclude={"reason", "wave", "estimated_requests"})


def _differences(plan: Plan, now: Plan) -> list[str]:
    """Name what a plan made now would do differently, and why where the plan made now knows."""
    then = {a.id: a for a in plan.actions}
    present = {a.id: a for a in now.actions}
    out = [
        f"{u.address} cannot be read now: {u.text}"
        for u in now.unreadable
        if u.address not in plan.unknown
    ]
    errors = [d for d in now.diagnostics if d.severity == "error" and d not in plan.diagnostics]
    out.extend(f"{d.address}: {d.summary}" if d.address else d.summary for d in errors)
    explained = {u.address for u in now.unreadable} | {d.address for d in errors}
    out.extend(
        f"{a.kind} {a.address} is not needed any more"
        for i, a in then.items()
        if i not in present and a.address not in explained
    )
    out.extend(f"{a.kind} {a.address} is needed now" for i, a in present.items() if i not in then)
    out.extend(
        f"{a.kind} {a.address}: {_difference(a, present[i])}"
        for i, a in then.items()
        if i in present and _essence(a) != _essence(present[i])
    )
    if plan.bindings != now.bindings and not out:
        out.append("a resource was removed and made anew")
    return out


def _difference(then: Action, now: Action) -> str:
    """Say how an action of the plan differs from the same one of a plan made now."""
    keys = sorted(
        k
        for k in then.preconditions.keys() | now.preconditions.keys()
        if then.preconditions.get(k) != now.preconditions.get(k)
    )
    found = [f"{k} was {then.preconditions.get(k)} and is {now.preconditions.get(k)}" for k in keys]
    before, after = ({(i.type, i.name): i for i in a.items} for a in (then, now))
    for text, names in (
        ("it would also take", after.keys() - before.keys()),
        ("it would no longer take", before.keys() - after.keys()),
        ("it would change otherwise", {k for k in before.keys() & after if before[k] != after[k]}),
    ):
        if names:
            found.append(f"{text} {', '.join(' '.join(n) for n in sorted(names))}")
    return "; ".join(found) or "what it would change is different"
