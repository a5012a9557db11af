"""Turn what is known of two stages into a deployment: listed, predicted, or not seen yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.diff.deployments import (
    DeploymentDiff,
    ItemState,
    ItemVerdict,
    definitions_hash,
)
from reconciler.ids import Address
from reconciler.live.scope import in_scope, patterns_of, scope_of
from reconciler.plan.actions import (
    Deploy,
    ItemChange,
    ItemRef,
    Pattern,
    ResyncGit,
    UpdateFromGit,
)
from reconciler.plan.deploy_order import MAX_ITEMS, deploy_order
from reconciler.plan.deployment_entries import DeploymentEntry, evidence_of
from reconciler.plan.draft import Draft, git_of, item_change
from reconciler.plan.plan import DriftEntry, HeldEntry
from reconciler.plan.steps import Step
from reconciler.plan.workspaces import capacity_id
from reconciler.provenance import NOTE_LIMIT, fit, length
from reconciler.spec.models import StageWorkspace
from reconciler.words import count

__all__ = [
    "plan_known",
    "plan_predicted",
    "plan_unseen",
    "settling",
    "source_actions",
    "verdict_items",
]

# Actions that bring items into a source stage, which a deployment then compares again.
_BRINGS = (UpdateFromGit, ResyncGit, Deploy)


def _crosses_regions(draft: Draft, at: DeploymentEntry) -> bool:
    """Refuse what the service would refuse: another region without consent.

    Source: deploymentPipelines.json allowCrossRegionDeployment, spec. Regions are compared only
    where both capacities are visible.
    """
    if at.spec.allow_cross_region or at.live_source is None or at.live_target is None:
        return False
    stages = (at.live_source, at.live_target)
    regions = [draft.region_of(s.workspace_id) for s in stages]
    if None in regions or regions[0] == regions[1]:
        return False
    draft.error(
        "cross_region",
        f"{at.source.name} is in {regions[0]} and {at.target.name} in {regions[1]}.",
        "A deployment would move content to another region. Set allowCrossRegion: true to allow "
        "it, or give both workspaces capacities of one region.",
        at.where,
    )
    return True


def _op(
    draft: Draft,
    at: DeploymentEntry,
    *,
    items: tuple[ItemRef, ...] | None = None,
    announced: tuple[tuple[str, str], ...] | None = None,
    creates: StageWorkspace | None = None,
) -> Deploy | None:
    if _crosses_regions(draft, at):
        return None
    capacity = None
    if creates is not None and creates.capacity is not None:
        capacity = capacity_id(draft, creates.capacity, at.where)
        if capacity is None:
            return None
    scope = scope_of(at.spec)
    return Deploy(
        pipeline=at.pipeline,
        source=at.source_stage,
        target=at.target_stage,
        source_order=at.source_order,
        target_order=at.target_order,
        source_workspace=at.source_workspace,
        target_workspace=at.target_workspace,
        items=items,
        announced=announced,
        scope=None if scope is None else tuple(Pattern(type=p.type, name=p.name) for p in scope),
        exclude=tuple(Pattern(type=p.type, name=p.name) for p in patterns_of(at.spec.exclude)),
        compare=at.spec.compare,
        unproven=at.spec.unproven,
        note=_note(draft, at),
        allow_cross_region=at.spec.allow_cross_region,
        create_workspace=creates.name if creates else None,
        create_capacity_id=capacity,
        whole=_is_backward(at),
    )


def _note(draft: Draft, at: DeploymentEntry) -> str | None:
    """Return the note, cut to what the trailer of the apply leaves of the service's limit."""
    if at.spec.note is None:
        return None
    note, cut = fit(at.spec.note, draft.estate.metadata.name, NOTE_LIMIT)
    if cut:
        draft.warn_once(
            "note_cut",
            f"The note is cut to {length(note)} characters.",
            f"The service takes {NOTE_LIMIT:,}, and the end says which estate, run and commit the "
            "deployment came from. Shorten the note.",
            at.where,
        )
    return note


def _is_backward(at: DeploymentEntry) -> bool:
    return at.target_order < at.source_order


def _add_deploy(
    draft: Draft,
    at: DeploymentEntry,
    op: Deploy,
    *,
    after: list[str],
    code: str,
    why: str,
    items: tuple[ItemChange, ...],
    preconditions: Mapping[str, object],
    outcomes: tuple[str, ...] = (),
    suffix: str = "",
    requests: int = 8,
) -> None:
    """Add the action; it takes the lanes of the pipeline and of both workspaces."""
    workspaces = [w for w in (at.source_workspace, at.target_workspace) if w is not None]
    action = draft.add(
        op,
        at.where,
        after=[*after, *(t for w in workspaces for t in draft.lane_tail(w))],
        lane=at.pipeline,
        suffix=suffix,
        code=code,
        why=why,
        items=items,
        preconditions=preconditions,
        after_unknown=bool(outcomes),
        outcomes=outcomes,
        requests=requests,
    )
    draft.deploys_into.setdefault(at.target_stage, []).append(action)
    for workspace in workspaces:
        draft.claim_lane(workspace, action)


def plan_unseen(
    draft: Draft,
    at: DeploymentEntry,
    after: list[str],
    *,
    creates: StageWorkspace | bool | None,
    held: str | None,
) -> None:
    """Plan a deployment whose pairing does not exist yet."""
    why = f"{at.target.name} takes what {at.source.name} holds once both stages are set up"
    made = creates if isinstance(creates, StageWorkspace) else None
    if made is not None:
        why = f"{at.target.name} is vacant; the deployment creates the workspace {made.name}"
    known = _known_items(draft, at) if made is not None else ()
    filled = after or any(
        draft.actions[i].kind == "stage.assign" for i in draft.doers(at.source_stage)
    )
    if made is not None and not known and not filled and at.live is not None:
        return  # nothing to deploy: the service refuses an empty deployment
    if held is not None:
        _hold(draft, at, why, (), held)
        return
    if _is_backward(at) and not _backward_allowed(draft, at):
        return
    op = _op(draft, at, creates=made, announced=None)
    if op is None:
        return
    _add_deploy(
        draft,
        at,
        op,
        after=after,
        code="target_vacant" if made else "pairing_not_known",
        why=why,
        items=known,
        outcomes=(
            "deploy every item in scope that is then new or different",
            "nothing: no item in scope is new or different",
        ),
        preconditions={"newest_operation": _newest_operation(at)} if at.live else {},
    )


def _known_items(draft: Draft, at: DeploymentEntry) -> tuple[ItemChange, ...]:
    """Return the source items a first deployment into a vacant stage brings, where known."""
    if at.live is None or at.live_source is None:
        return ()
    scope, exclude = scope_of(at.spec), patterns_of(at.spec.exclude)
    return tuple(
        item_change(i, ItemState.NEW.value)
        for i in sorted(at.live.items.get(at.live_source.id, ()), key=lambda i: (i.type, i.name))
        if in_scope(i.type, i.name, scope, exclude) and not at.ignores.item(i.type, i.name)
    )


def _newest_operation(at: DeploymentEntry) -> str | None:
    operations = at.live.operations if at.live else None
    return operations[0].id if operations else None


def verdict_items(verdicts: Sequence[ItemVerdict]) -> tuple[ItemChange, ...]:
    """Write verdicts as a plan's items, each with the evidence."""
    return tuple(
        item_change(v, v.state.value, detail=v.evidence or None, paths=v.paths) for v in verdicts
    )


def _report_unproven(draft: Draft, at: DeploymentEntry, diff: DeploymentDiff) -> None:
    unproven = [v for v in diff.verdicts if v.state is ItemState.UNPROVEN]
    if unproven and at.spec.unproven == "report":
        listed = "; ".join(f"{v.type} {v.name} ({v.evidence})" for v in unproven)
        draft.warn(
            "unproven",
            f"{count(len(unproven), 'item')} cannot be proved equal or different: {listed}.",
            "They are not deployed. Set unproven: deploy to deploy them every time nothing "
            "proves them equal.",
            at.where,
        )


def plan_known(
    draft: Draft, at: DeploymentEntry, diff: DeploymentDiff, after: list[str], *, held: str | None
) -> None:
    """Plan a deployment whose items are known, in batches of what one request takes."""
    _report_unproven(draft, at, diff)
    needed = deploy_order(diff.needed(unproven=at.spec.unproven == "deploy"))
    if not needed:
        return
    counts = f"{sum(v.state is ItemState.NEW for v in needed)} new, " + (
        f"{sum(v.state is not ItemState.NEW for v in needed)} different"
    )
    why = f"{at.target.name} differs from {at.source.name}: {counts}"
    if held is not None:
        _hold(draft, at, why, verdict_items(needed), held)
        return
    if _is_backward(at) and not _backward_allowed(draft, at):
        return
    _classed_drift(draft, at, why, needed)
    size = len(needed) if _is_backward(at) else MAX_ITEMS  # a backward one sends no list
    batches = [needed[i : i + size] for i in range(0, len(needed), size)]
    for number, batch in enumerate(batches, start=1):
        refs = tuple(ItemRef(id=v.source_id, type=v.type, name=v.name) for v in batch)
        op = _op(
            draft,
            at,
            items=refs,
            announced=tuple((v.type, v.name) for v in batch),
        )
        if op is None:
            return
        _add_deploy(
            draft,
            at,
            op,
            suffix=f"#{number}" if len(batches) > 1 else "",
            after=after,
            code="items_differ",
            why=why if len(batches) == 1 else f"{why} (part {number} of {len(batches)})",
            items=verdict_items(batch),
            preconditions={
                **({"newest_operation": _newest_operation(at)} if number == 1 else {}),
                **_seen_definitions(draft, at, batch),
            },
            requests=6,
        )


def _seen_definitions(
    draft: Draft, at: DeploymentEntry, batch: Sequence[ItemVerdict]
) -> dict[str, str]:
    """Return the digest of what was compared, unless an action before it moves the stages."""
    settled = at.target_workspace is None or not settling(draft, at.target_workspace)
    if at.spec.compare != "definitions" or source_actions(draft, at) or not settled:
        return {}
    digest = definitions_hash(batch, draft.snapshot.definitions)
    return {"definitions": digest} if digest else {}


def _backward_allowed(draft: Draft, at: DeploymentEntry) -> bool:
    """Backward only as a whole, and only into an empty stage.

    Source: fabric-api.md section 7.2, spec (empty) and docs (whole).
    """
    if at.spec.items != "all" or at.spec.exclude or at.ignores.everything or at.ignores.items:
        draft.error(
            "backward_takes_everything",
            f"A deployment backward, from {at.source.name} to {at.target.name}, takes every item.",
            "The service accepts no list of items here. Write items: all, without exclude and "
            "without ignore rules for items of this deployment.",
            at.where,
        )
        return False
    items = at.live.items.get(at.live_target.id, ()) if at.live and at.live_target else ()
    if not items:
        return True
    draft.error(
        "backward_into_filled_stage",
        f"{at.target.name} comes before {at.source.name} and has {count(len(items), 'item')}.",
        "The service deploys backward only into an empty stage. Deploy forward, or empty the "
        "stage by hand.",
        at.where,
    )
    return False


def _predicted(
    at: DeploymentEntry, diff: DeploymentDiff, bringing: Sequence[Step]
) -> dict[tuple[str, str], ItemChange]:
    """Return what differs now, and what the actions before may make differ, by type and name."""
    needed = diff.needed(unproven=at.spec.unproven == "deploy")
    predicted = {(v.type, v.name): v for v in verdict_items(needed)}
    scope, exclude = scope_of(at.spec), patterns_of(at.spec.exclude)
    for action in bringing:
        for item in action.items:
            left = item.change == "Deleted" or at.ignores.item(item.type, item.name)
            if left or not in_scope(item.type, item.name, scope, exclude):
                continue
            change = ItemState.NEW if item.change in ("Added", "New") else ItemState.DIFFERENT
            found = item_change(item, change.value, detail=f"incoming with {action.kind}")
            predicted.setdefault((item.type, item.name), found)
    if any(a.op.kind != "deployment.deploy" for a in bringing):
        for verdict in diff.verdicts:
            if verdict.on_record:
                # The sync moves the commit, and no record tells which items it changed.
                found = item_change(
                    verdict,
                    ItemState.DIFFERENT.value,
                    detail="judged by commits alone, and another one is incoming",
                )
                predicted.setdefault((verdict.type, verdict.name), found)
    return predicted


def plan_predicted(
    draft: Draft, at: DeploymentEntry, diff: DeploymentDiff, after: list[str], *, held: str | None
) -> None:
    """Plan a deployment whose source an earlier action changes first."""
    changing = [draft.actions[i] for i in source_actions(draft, at)]
    bringing = [a for a in changing if isinstance(a.op, _BRINGS)]
    if not bringing:
        plan_known(draft, at, diff, after, held=held)
        return
    predicted = _predicted(at, diff, bringing)
    exact = all(a.items for a in bringing)
    if exact and not predicted:
        return
    items = tuple(predicted[k] for k in sorted(predicted))
    why = f"{at.source.name} changes first; then {at.target.name} is compared again"
    if held is not None:
        _hold(draft, at, why, items, held)
        return
    if _is_backward(at) and not _backward_allowed(draft, at):
        return
    op = _op(draft, at, announced=tuple(sorted(predicted)) if exact else None)
    if op is None:
        return
    held_now = at.live.items.get(at.live_source.id, ()) if at.live and at.live_source else ()
    known = tuple(i.id for i in held_now if (i.type, i.name) in predicted)
    op = op.model_copy(update={"announced_ids": known if exact else ()})
    _add_deploy(
        draft,
        at,
        op,
        after=after,
        code="source_changes",
        why=why,
        items=items,
        outcomes=(
            "deploy those of the listed items that then differ"
            if exact
            else "deploy every item in scope that is then new or different",
            "nothing: no item in scope is new or different",
        ),
        preconditions={"newest_operation": _newest_operation(at)},
    )
    _drift(draft, at, why, items)


def _hold(
    draft: Draft, at: DeploymentEntry, why: str, items: tuple[ItemChange, ...], held: str
) -> None:
    text = f"{why}; {held}, run with --target '{at.where}'"
    draft.held.append(HeldEntry(address=at.where, text=text, items=items))
    draft.drift.append(DriftEntry(address=at.where, cause="held", text=text, items=items))


def _classed_drift(
    draft: Draft, at: DeploymentEntry, why: str, needed: Sequence[ItemVerdict]
) -> None:
    """Class what differs by its cause: the target is only blamed where something proves it."""
    by_proof: dict[str, list[ItemVerdict]] = {}
    for verdict in needed:
        by_proof.setdefault(verdict.edited, []).append(verdict)
    for proof, verdicts in by_proof.items():
        items = verdict_items(verdicts)
        if proof:
            text = (
                f"{count(len(items), 'item')} of {at.target.name} changed there after their "
                f"deployment, by hand or in how the service writes them; shown by {proof}"
            )
            draft.drift.append(
                DriftEntry(address=at.where, cause="local", text=text, items=items, planned=True)
            )
            continue
        moved = evidence_of(draft, at).source_moved()
        if not moved and any(v.state is not ItemState.NEW for v in verdicts):
            moved = "cause unknown: nothing tells which of the two stages changed"
        _drift(draft, at, f"{why}; {moved}" if moved else why, items)


def _drift(draft: Draft, at: DeploymentEntry, why: str, items: tuple[ItemChange, ...]) -> None:
    draft.drift.append(
        DriftEntry(address=at.where, cause="incoming", text=why, items=items, planned=True)
    )


def source_actions(draft: Draft, at: DeploymentEntry) -> list[str]:
    """Return the actions that change what the source stage holds, or settle its workspace."""
    return [
        *settling(draft, at.source_workspace),
        *draft.deploys_into.get(at.source_stage, ()),
    ]


def settling(draft: Draft, workspace: Address) -> list[str]:
    """Return the actions that settle a workspace: its own and those of its binding."""
    return [
        *draft.doers(workspace),
        *draft.doers(git_of(workspace)),
    ]
