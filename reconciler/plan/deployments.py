"""Plan deployments between neighbouring stages, from pairing and definitions."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.diff.deployments import (
    DeploymentDiff,
    compare_stages,
)
from reconciler.ids import Address, address_matches
from reconciler.live.models import LivePipeline, LiveStage
from reconciler.live.scope import StageSide, patterns_of, scope_of
from reconciler.plan.deployment_actions import (
    plan_known,
    plan_predicted,
    plan_unseen,
    settling,
    source_actions,
    verdict_items,
)
from reconciler.plan.deployment_entries import (
    DeploymentEntry,
    evidence_of,
    in_cascade_order,
    named_dependencies,
    resolve_entry,
    side_of,
)
from reconciler.plan.draft import Draft, git_of
from reconciler.plan.residual import report_residual
from reconciler.plan.workspaces import find_workspace_id
from reconciler.spec.models import StageWorkspace
from reconciler.spec.resolve import (
    deployment_address,
    pipeline_address,
    stage_workspace,
)
from reconciler.words import count

__all__ = ["plan_deployments"]


def plan_deployments(draft: Draft, targeted: Sequence[str]) -> None:
    """Plan every deployment of the spec, cascades in order.

    Args:
        targeted: the run's ``--target`` addresses; they release ``when: manual``.
    """
    entries = {
        deployment_address(p, d): (p, d)
        for p in draft.estate.pipelines
        if p.state == "present"
        for d in p.deployments
    }
    named = named_dependencies(entries)
    held: set[Address] = set()
    for where in in_cascade_order(entries, named):
        pipeline, spec = entries[where]
        if draft.skip_unknown(where, pipeline_address(pipeline)):
            continue
        found = resolve_entry(draft, pipeline, spec)
        waits_for = named[where]
        if found is None or _is_unknown(draft, found, waits_for):
            continue
        waits = [i for a in spec.depends_on for i in draft.doers_below(Address(a))]
        manual = spec.when == "manual" and not any(
            address_matches(where, t) or address_matches(t, where) for t in targeted
        )
        blocked = [a for a in waits_for if a in held]
        why = "when: manual" if manual else f"waits for {blocked[0]}" if blocked else None
        entries_before = len(draft.held)
        _plan_one(draft, found, waits, why)
        if len(draft.held) > entries_before:
            held.add(where)


def _is_unknown(draft: Draft, at: DeploymentEntry, waits_for: Sequence[Address]) -> bool:
    needs = [
        *waits_for,
        *map(Address, at.spec.depends_on),
        at.source_stage,
        at.target_stage,
        at.source_workspace,
        git_of(at.source_workspace),
    ]
    if at.target_workspace is not None:
        needs.append(at.target_workspace)
    return draft.skip_unknown(at.where, *needs)


def _plan_one(draft: Draft, at: DeploymentEntry, waits: list[str], held: str | None) -> None:
    """Plan one deployment; ``held`` is why it is only shown and not carried out, if it is not."""
    creates = _vacant_target(draft, at)
    if creates is False or not _source_is_there(draft, at):
        return
    after = [*waits, *source_actions(draft, at)]
    if at.target_workspace is not None:
        after.extend(settling(draft, at.target_workspace))
    assigning = _stage_pending(draft, at)
    if at.live is None or at.live_source is None or assigning or creates is not None:
        plan_unseen(draft, at, after, creates=creates, held=held)
        return
    if at.live_target is None:
        return
    diff = compare_stages(
        *_sides(draft, at.live, at.live_source, at.live_target),
        draft.snapshot.definitions,
        scope=scope_of(at.spec),
        exclude=patterns_of(at.spec.exclude),
        compare=at.spec.compare,
        ignore=at.ignores,
        evidence=evidence_of(draft, at),
    )
    if diff.ignored:
        text = f"{count(len(diff.ignored), 'item')} not deployed"
        draft.leave_alone(at.where, text, verdict_items(diff.ignored))
    if _clashes(draft, at, diff):
        return
    _report_orphans(draft, at, diff)
    report_residual(draft, at, diff.residual)
    if source_actions(draft, at):
        plan_predicted(draft, at, diff, after, held=held)
    else:
        plan_known(draft, at, diff, after, held=held)


def _sides(
    draft: Draft, pipeline: LivePipeline, source: LiveStage, target: LiveStage
) -> tuple[StageSide, StageSide]:
    """Return the two stages, paired in the direction of the deployment."""
    here, there = side_of(draft, pipeline, source), side_of(draft, pipeline, target)
    return (here.backward(), there.backward()) if target.order < source.order else (here, there)


def _source_is_there(draft: Draft, at: DeploymentEntry) -> bool:
    """Tell whether the source stage has a workspace by the time the deployment runs."""
    if at.live_source is None or at.live_source.workspace_id is not None:
        return True
    return bool(draft.deploys_into.get(at.source_stage)) or any(
        draft.actions[i].kind == "stage.assign" for i in draft.doers(at.source_stage)
    )


def _stage_pending(draft: Draft, at: DeploymentEntry) -> bool:
    """Tell whether an action of this plan makes the pairing first."""
    places = [
        at.source_stage,
        at.target_stage,
        at.source_workspace,
    ]
    kinds = {draft.actions[i].kind for place in places for i in draft.doers(place)}
    return bool(kinds & {"stage.assign", "stage.unassign", "workspace.create"})


def _vacant_target(draft: Draft, at: DeploymentEntry) -> StageWorkspace | bool | None:
    """Return the workspace to create, None when the target has one, False when it cannot be."""
    wanted = stage_workspace(at.target)
    pending = {draft.actions[i].kind for i in draft.doers(at.target_stage)}
    holds = at.live_target is not None and at.live_target.workspace_id is not None
    if "stage.assign" in pending or (holds and "stage.unassign" not in pending):
        return None
    if wanted is None or not wanted.create_on_deploy:
        if wanted is None or wanted.state == "absent":
            draft.error(
                "target_stage_vacant",
                f"The stage {at.target.name} has no workspace to deploy to.",
                "Name its workspace, or use workspace: {name: …, createOnDeploy: true}.",
                at.where,
            )
        return False
    if find_workspace_id(draft, wanted.name) is not None:
        return None
    return wanted


def _clashes(draft: Draft, at: DeploymentEntry, diff: DeploymentDiff) -> bool:
    if not diff.clashes:
        return False
    names = ", ".join(f"{v.type} {v.name}" for v in diff.clashes)
    draft.error(
        "unpaired_name_clash",
        f"{at.target.name} has items of the same type and name that are not paired: {names}.",
        "Deploying would make duplicates. Rename or delete the items in the target, reassign "
        "the workspace so that the service pairs by name, or exclude them.",
        at.where,
    )
    return True


def _report_orphans(draft: Draft, at: DeploymentEntry, diff: DeploymentDiff) -> None:
    if not diff.orphans:
        return
    names = ", ".join(f"{i.type} {i.name}" for i in diff.orphans)
    draft.warn(
        "orphans",
        f"{count(len(diff.orphans), 'item')} of {at.target.name} without a source: {names}.",
        "A deployment never deletes. Delete them in the target by hand if they should go.",
        at.where,
    )
