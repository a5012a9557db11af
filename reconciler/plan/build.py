"""Build a plan from a spec and a snapshot. Pure: the same two give the same plan, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.diagnostics import Diagnostic, Severity, sort_diagnostics
from reconciler.ids import address_matches
from reconciler.live.models import Preview, Snapshot
from reconciler.plan.actions import Action
from reconciler.plan.bindings import plan_bindings
from reconciler.plan.branches import order_places
from reconciler.plan.deployments import plan_deployments
from reconciler.plan.draft import Draft
from reconciler.plan.followers import plan_followers
from reconciler.plan.graph import closure
from reconciler.plan.losses import count_losses
from reconciler.plan.pipelines import made_by_deployment, plan_pipelines
from reconciler.plan.plan import (
    DIFFERENCE_CODES,
    Allowed,
    DriftEntry,
    Plan,
    PlanDiagnostic,
    PlanPreview,
    PlanSpec,
    finish,
    summarise,
)
from reconciler.plan.preflight import check_item_limit
from reconciler.plan.relations import plan_relations
from reconciler.plan.repositories import plan_repositories
from reconciler.plan.trusted import trusted
from reconciler.plan.workspaces import (
    plan_connections,
    plan_roles_after_deployment,
    plan_workspaces,
)
from reconciler.spec.models import Estate

__all__ = ["PlanInput", "build_plan", "with_diagnostics"]


@dataclass(frozen=True, slots=True)
class PlanInput:
    """What a plan is computed from besides the snapshot.

    ``target`` and ``exclude`` are addresses or prefixes; a target brings what it depends on.
    ``allowed`` are caps for this run; they change no action, only what policies say of the plan.
    ``beta`` allows preview APIs.
    """

    estate: Estate
    resolved: Mapping[str, Any]
    digest: str
    files: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)
    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    beta: bool = False
    version: str = "0"
    allowed: Allowed = field(default_factory=Allowed)


def build_plan(wanted: PlanInput, snapshot: Snapshot) -> Plan:
    """Compute the plan.

    Raises:
        DependencyCycle: actions wait for each other in a circle.
    """
    draft = Draft(wanted.estate, snapshot, beta=wanted.beta)
    preview = snapshot.preview
    draft.diagnostics.extend(preview.diagnostics if preview else ())
    made = made_by_deployment(draft)
    plan_connections(draft)
    plan_repositories(draft)
    plan_workspaces(draft, made)
    plan_bindings(draft, made, late=False)
    plan_followers(draft)
    order_places(draft)
    plan_relations(draft, made, late=False)
    plan_pipelines(draft)
    plan_deployments(draft, wanted.target)
    plan_roles_after_deployment(draft, made)
    plan_bindings(draft, made, late=True)
    check_item_limit(draft)
    plan_relations(draft, made, late=True)
    actions = draft.ordered_actions(_kept(draft, wanted.target, wanted.exclude))
    losses = count_losses(draft, actions)
    diagnostics = sort_diagnostics(draft.diagnostics)
    blocked = any(d.severity is Severity.ERROR for d in diagnostics)
    plan = Plan(
        reconciler_version=wanted.version,
        created_at=snapshot.read_at.isoformat().replace("+00:00", "Z"),
        spec=PlanSpec(
            name=wanted.estate.metadata.name,
            digest=wanted.digest,
            files=wanted.files,
            sources=dict(wanted.sources),
            resolved=dict(wanted.resolved),
        ),
        endpoints=dict(wanted.endpoints),
        summary=summarise(actions, losses),
        actions=actions,
        drift=_all_drift(draft, actions),
        diagnostics=tuple(_to_plan(d) for d in diagnostics),
        unknown=tuple(sorted(draft.unknown)),
        unreadable=tuple(draft.unknown[a] for a in sorted(draft.unknown)),
        held=tuple(sorted(draft.held, key=lambda h: h.address)),
        ignored=tuple(sorted(draft.ignored, key=lambda i: (i.address, i.text))),
        caller=snapshot.caller,
        complete=not draft.unknown,
        applyable=bool(actions) and not blocked and preview is None,
        preview=_to_plan_preview(preview) if preview else None,
        bindings=dict(sorted(draft.bindings.items())),
        target=wanted.target,
        exclude=wanted.exclude,
        losses=losses,
        allowed=wanted.allowed,
        beta=wanted.beta,
        requests=dict(sorted(snapshot.requests.items())),
    )
    return finish(plan)


def _to_plan_preview(preview: Preview) -> PlanPreview:
    return PlanPreview(
        revision=preview.revision,
        commit=preview.commit,
        into=preview.into,
        bindings=preview.bindings,
    )


def _to_plan(diagnostic: Diagnostic) -> PlanDiagnostic:
    return PlanDiagnostic.model_validate(diagnostic.to_json())


def with_diagnostics(plan: Plan, found: Sequence[Diagnostic]) -> Plan:
    """Return the plan with more findings; an error makes it not applyable."""
    if not found:
        return plan
    blocked = any(d.severity is Severity.ERROR for d in found)
    return finish(
        plan.model_copy(
            update={
                "diagnostics": (*plan.diagnostics, *(_to_plan(d) for d in found)),
                "applyable": plan.applyable and not blocked,
            }
        )
    )


def _kept(draft: Draft, target: Sequence[str], exclude: Sequence[str]) -> set[str] | None:
    """Pick the actions of a run: targets with what they need, without what is excluded.

    What depends on an excluded action is excluded with it. None: a run of everything.
    """
    if not target and not exclude:
        return None
    dropped: set[str] = set()
    if exclude:
        followers: dict[str, list[str]] = {}
        for action_id, before in draft.edges.items():
            for b in before:
                followers.setdefault(b, []).append(action_id)
        out = [i for i, a in draft.actions.items() if _any_match(a.address, exclude)]
        dropped = closure(out, followers)
    kept = draft.actions.keys() - dropped
    if target:
        # What only a dropped action needs is not brought.
        kept = closure(
            (i for i in kept if _any_match(draft.actions[i].address, target)), draft.edges
        )
    return kept


def _any_match(address: str, prefixes: Sequence[str]) -> bool:
    return any(address_matches(address, p) for p in prefixes)


def _missing(action: Action) -> DriftEntry:
    """Return the difference that an action removes, where no area has classed one."""
    return trusted(
        DriftEntry,
        {
            "address": action.address,
            "cause": "field",
            "text": action.reason.text,
            "items": action.items,
            "changes": action.changes,
            "planned": True,
        },
    )


def _all_drift(draft: Draft, actions: Sequence[Action]) -> tuple[DriftEntry, ...]:
    """Return every difference: the ones classed while planning, and what is simply missing."""
    left_alone = {i.address for i in draft.ignored} - {a.address for a in actions}
    entries = [d for d in draft.drift if d.cause != "field" or d.address not in left_alone]
    classed = {d.address for d in entries}
    for action in actions:
        if action.address not in classed:
            classed.add(action.address)
            entries.append(_missing(action))
    for found in draft.diagnostics:
        if found.code in DIFFERENCE_CODES and found.address and found.address not in classed:
            classed.add(found.address)
            entries.append(DriftEntry(address=found.address, cause="field", text=found.summary))
    kept = {a.address for a in actions}
    return tuple(
        sorted(
            (
                e if e.address in kept or not e.planned else e.model_copy(update={"planned": False})
                for e in entries
            ),
            key=lambda e: (e.address, e.cause, e.text),
        )
    )
