"""Plan deployments between neighbouring stages, from pairing and definitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.diff.deployments import (
    DeploymentDiff,
    ItemState,
    ItemVerdict,
    compare_stages,
    definitions_hash,
)
from reconciler.diff.ignore import Ignores
from reconciler.ids import Address, address, address_matches, split_address
from reconciler.live.models import LivePipeline, LiveStage
from reconciler.live.scope import StageSide, in_scope, patterns_of, scope_of
from reconciler.plan.actions import (
    Deploy,
    ItemChange,
    ItemRef,
    Pattern,
    ResyncGit,
    UpdateFromGit,
)
from reconciler.plan.draft import Draft, git_of
from reconciler.plan.pipelines import stage_workspace_address
from reconciler.plan.plan import DriftEntry, HeldEntry
from reconciler.plan.workspaces import capacity_id, find_workspace_id
from reconciler.spec.models import DeploymentSpec, PipelineSpec, StageSpec, StageWorkspace
from reconciler.spec.resolve import (
    deployment_address,
    pipeline_address,
    stage_address,
    stage_workspace,
)
from reconciler.words import count

__all__ = ["MAX_ITEMS", "deploy_order", "plan_deployments", "side_of"]

# Source: fabric-api.md section 7.2, spec (NumberOfItemsInDeployRequestExceededLimit).
MAX_ITEMS = 300

# What an item may refer to is deployed before it.
# Source: fabric-api.md section 7.3 (dataflow, datamart, model, report, dashboard), spec.
_ORDER = (
    "VariableLibrary",
    "Environment",
    "Lakehouse",
    "Warehouse",
    "SQLDatabase",
    "MirroredDatabase",
    "CosmosDBDatabase",
    "Eventhouse",
    "KQLDatabase",
    "Dataflow",
    "Datamart",
    "SemanticModel",
    "UserDataFunction",
    "Notebook",
    "SparkJobDefinition",
    "KQLQueryset",
    "Eventstream",
    "CopyJob",
    "DataPipeline",
    "Report",
    "PaginatedReport",
    "KQLDashboard",
    "Dashboard",
)
_RANK = {name: n for n, name in enumerate(_ORDER)}

# Actions that bring items into a source stage, which a deployment then compares again.
_BRINGS = (UpdateFromGit, ResyncGit, Deploy)


def deploy_order(verdicts: Sequence[ItemVerdict]) -> list[ItemVerdict]:
    """Sort items so that what others refer to comes first; unknown types last."""
    return sorted(verdicts, key=lambda v: (_RANK.get(v.type, len(_ORDER)), v.type, v.name))


def side_of(draft: Draft, pipeline: LivePipeline, stage: LiveStage) -> StageSide:
    """Return one stage with its items and the folders of its workspace."""
    return StageSide(
        stage.workspace_id,
        pipeline.items.get(stage.id, ()),
        draft.workspace_items(stage.workspace_id),
    )


@dataclass(frozen=True, slots=True)
class _Deployment:
    """One entry under ``deployments`` with what it stands between."""

    spec: DeploymentSpec
    pipeline: Address
    where: Address
    source_stage: Address
    target_stage: Address
    source: StageSpec
    target: StageSpec
    source_order: int
    target_order: int
    source_workspace: Address
    target_workspace: Address | None
    live: LivePipeline | None
    live_source: LiveStage | None
    live_target: LiveStage | None
    ignores: Ignores


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
    named = _named_dependencies(entries)
    held: set[Address] = set()
    for where in _in_order(entries, named):
        pipeline, spec = entries[where]
        if draft.skip_unknown(where, pipeline_address(pipeline)):
            continue
        found = _resolve(draft, pipeline, spec)
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


_Entries = Mapping[Address, tuple[PipelineSpec, DeploymentSpec]]


def _named_dependencies(entries: _Entries) -> dict[Address, list[Address]]:
    """Return the deployments that each one names in ``dependsOn``, prefixes spelt out."""
    below: dict[str, list[Address]] = {}
    for where in entries:
        parts = split_address(where)
        for n in range(1, len(parts) + 1):
            below.setdefault(address(*parts[:n]), []).append(where)
    return {
        where: [a for d in spec.depends_on for a in below.get(d, ()) if a != where]
        for where, (_, spec) in entries.items()
    }


def _in_order(entries: _Entries, named: Mapping[Address, list[Address]]) -> list[Address]:
    """Sort by cascade inside a pipeline and by ``dependsOn`` across; the spec has no circle."""
    into: dict[tuple[Address, str], list[Address]] = {}
    for where, (pipeline, spec) in entries.items():
        if _is_forward(pipeline, spec):
            into.setdefault((pipeline_address(pipeline), spec.to), []).append(where)

    def needs(where: Address) -> list[Address]:
        pipeline, spec = entries[where]
        cascade: list[Address] = []
        if _is_forward(pipeline, spec):
            cascade = into.get((pipeline_address(pipeline), spec.from_), [])
        return [*cascade, *named[where]]

    done: dict[Address, None] = {}
    opened: set[Address] = set()
    for start in entries:
        stack = [start]
        while stack:
            at = stack[-1]
            opened.add(at)
            open_needs = [a for a in needs(at) if a not in done and a not in opened]
            if at not in done and open_needs:
                stack.extend(reversed(open_needs))
            else:
                done[at] = None
                stack.pop()
    return list(done)


def _is_forward(pipeline: PipelineSpec, spec: DeploymentSpec) -> bool:
    order = {s.name: n for n, s in enumerate(pipeline.stages)}
    return order.get(spec.from_, -1) < order.get(spec.to, -1)


def _resolve(draft: Draft, pipeline: PipelineSpec, spec: DeploymentSpec) -> _Deployment | None:
    names = [s.name for s in pipeline.stages]
    if spec.from_ not in names or spec.to not in names:
        return None  # reported when the spec was checked
    where = pipeline_address(pipeline)
    source, target = pipeline.stages[names.index(spec.from_)], pipeline.stages[names.index(spec.to)]
    source_order, target_order = names.index(spec.from_), names.index(spec.to)
    live = draft.snapshot.pipelines.get(where)
    stages = sorted(live.stages, key=lambda s: s.order) if live else []
    matched = len(stages) == len(names)
    at = deployment_address(pipeline, spec)
    source_workspace = _workspace_of(draft, source, stages[source_order] if matched else None)
    if source_workspace is None:
        draft.error(
            "source_stage_vacant",
            f"The stage {source.name} has no workspace, so there is nothing to deploy from it.",
            "Name its workspace in the spec.",
            at,
        )
        return None
    return _Deployment(
        spec=spec,
        pipeline=where,
        where=at,
        source_stage=stage_address(pipeline, source),
        target_stage=stage_address(pipeline, target),
        source=source,
        target=target,
        source_order=source_order,
        target_order=target_order,
        source_workspace=source_workspace,
        target_workspace=_workspace_of(draft, target, stages[target_order] if matched else None),
        live=live if matched else None,
        live_source=stages[source_order] if matched else None,
        live_target=stages[target_order] if matched else None,
        ignores=draft.ignores(at),
    )


def _workspace_of(draft: Draft, stage: StageSpec, live: LiveStage | None) -> Address | None:
    wanted = stage_workspace(stage)
    if wanted is not None:
        absent = wanted.state == "absent"
        return None if absent else stage_workspace_address(draft, wanted.name)
    if live is not None and live.workspace_id is not None:
        return stage_workspace_address(draft, live.workspace_name or live.workspace_id)
    return None


def _is_unknown(draft: Draft, at: _Deployment, waits_for: Sequence[Address]) -> bool:
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


def _plan_one(draft: Draft, at: _Deployment, waits: list[str], held: str | None) -> None:
    """Plan one deployment; ``held`` is why it is only shown and not carried out, if it is not."""
    creates = _vacant_target(draft, at)
    if creates is False or not _source_is_there(draft, at):
        return
    after = [*waits, *_source_actions(draft, at)]
    if at.target_workspace is not None:
        after.extend(_settling(draft, at.target_workspace))
    assigning = _stage_pending(draft, at)
    if at.live is None or at.live_source is None or assigning or creates is not None:
        _plan_unseen(draft, at, after, creates=creates, held=held)
        return
    if at.live_target is None:
        return
    diff = compare_stages(
        side_of(draft, at.live, at.live_source),
        side_of(draft, at.live, at.live_target),
        draft.snapshot.definitions,
        scope=scope_of(at.spec),
        exclude=patterns_of(at.spec.exclude),
        compare=at.spec.compare,
        ignore=at.ignores,
    )
    if diff.ignored:
        text = f"{count(len(diff.ignored), 'item')} not deployed"
        draft.leave_alone(at.where, text, _verdict_items(diff.ignored))
    if _clashes(draft, at, diff):
        return
    _report_orphans(draft, at, diff)
    if _source_actions(draft, at):
        _plan_predicted(draft, at, diff, after, held=held)
    else:
        _plan_known(draft, at, diff, after, held=held)


def _source_is_there(draft: Draft, at: _Deployment) -> bool:
    """Tell whether the source stage has a workspace by the time the deployment runs."""
    if at.live_source is None or at.live_source.workspace_id is not None:
        return True
    return bool(draft.deploys_into.get(at.source_stage)) or any(
        draft.actions[i].kind == "stage.assign" for i in draft.doers(at.source_stage)
    )


def _stage_pending(draft: Draft, at: _Deployment) -> bool:
    """Tell whether an action of this plan makes the pairing first."""
    places = [
        at.source_stage,
        at.target_stage,
        at.source_workspace,
    ]
    kinds = {draft.actions[i].kind for place in places for i in draft.doers(place)}
    return bool(kinds & {"stage.assign", "stage.unassign", "workspace.create"})


def _source_actions(draft: Draft, at: _Deployment) -> list[str]:
    """Return the actions that change what the source stage holds, or settle its workspace."""
    return [
        *_settling(draft, at.source_workspace),
        *draft.deploys_into.get(at.source_stage, ()),
    ]


def _settling(draft: Draft, workspace: Address) -> list[str]:
    return [
        *draft.doers(workspace),
        *draft.doers(git_of(workspace)),
    ]


def _vacant_target(draft: Draft, at: _Deployment) -> StageWorkspace | bool | None:
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


def _op(
    draft: Draft,
    at: _Deployment,
    *,
    items: tuple[ItemRef, ...] | None = None,
    announced: tuple[tuple[str, str], ...] | None = None,
    creates: StageWorkspace | None = None,
) -> Deploy | None:
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
        note=at.spec.note,
        allow_cross_region=at.spec.allow_cross_region,
        create_workspace=creates.name if creates else None,
        create_capacity_id=capacity,
        whole=_is_backward(at),
    )


def _is_backward(at: _Deployment) -> bool:
    return at.target_order < at.source_order


def _add_deploy(
    draft: Draft,
    at: _Deployment,
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


def _plan_unseen(
    draft: Draft,
    at: _Deployment,
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
    if made is not None and not known and not after and at.live is not None:
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


def _known_items(draft: Draft, at: _Deployment) -> tuple[ItemChange, ...]:
    """Return the source items a first deployment into a vacant stage brings, where known."""
    if at.live is None or at.live_source is None:
        return ()
    scope, exclude = scope_of(at.spec), patterns_of(at.spec.exclude)
    return tuple(
        ItemChange(type=i.type, name=i.name, change=ItemState.NEW.value)
        for i in sorted(at.live.items.get(at.live_source.id, ()), key=lambda i: (i.type, i.name))
        if in_scope(i.type, i.name, scope, exclude) and not at.ignores.item(i.type, i.name)
    )


def _newest_operation(at: _Deployment) -> str | None:
    operations = at.live.operations if at.live else None
    return operations[0].id if operations else None


def _clashes(draft: Draft, at: _Deployment, diff: DeploymentDiff) -> bool:
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


def _report_orphans(draft: Draft, at: _Deployment, diff: DeploymentDiff) -> None:
    if not diff.orphans:
        return
    names = ", ".join(f"{i.type} {i.name}" for i in diff.orphans)
    draft.warn(
        "orphans",
        f"{count(len(diff.orphans), 'item')} of {at.target.name} without a source: {names}.",
        "A deployment never deletes. Delete them in the target by hand if they should go.",
        at.where,
    )


def _verdict_items(verdicts: Sequence[ItemVerdict]) -> tuple[ItemChange, ...]:
    return tuple(
        ItemChange(type=v.type, name=v.name, change=v.state.value, detail=v.evidence or None)
        for v in verdicts
    )


def _report_unproven(draft: Draft, at: _Deployment, diff: DeploymentDiff) -> None:
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


def _plan_known(
    draft: Draft, at: _Deployment, diff: DeploymentDiff, after: list[str], *, held: str | None
) -> None:
    _report_unproven(draft, at, diff)
    needed = deploy_order(diff.needed(unproven=at.spec.unproven == "deploy"))
    if not needed:
        return
    counts = f"{sum(v.state is ItemState.NEW for v in needed)} new, " + (
        f"{sum(v.state is not ItemState.NEW for v in needed)} different"
    )
    why = f"{at.target.name} differs from {at.source.name}: {counts}"
    if held is not None:
        _hold(draft, at, why, _verdict_items(needed), held)
        return
    if _is_backward(at) and not _backward_allowed(draft, at):
        return
    _drift(draft, at, why, _verdict_items(needed))
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
            items=_verdict_items(batch),
            preconditions={
                **({"newest_operation": _newest_operation(at)} if number == 1 else {}),
                **_seen_definitions(draft, at, batch),
            },
            requests=6,
        )


def _seen_definitions(
    draft: Draft, at: _Deployment, batch: Sequence[ItemVerdict]
) -> dict[str, str]:
    """Return the digest of what was compared, unless an action before it moves the stages."""
    settled = at.target_workspace is None or not _settling(draft, at.target_workspace)
    if at.spec.compare != "definitions" or _source_actions(draft, at) or not settled:
        return {}
    digest = definitions_hash(batch, draft.snapshot.definitions)
    return {"definitions": digest} if digest else {}


def _backward_allowed(draft: Draft, at: _Deployment) -> bool:
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


def _plan_predicted(
    draft: Draft, at: _Deployment, diff: DeploymentDiff, after: list[str], *, held: str | None
) -> None:
    """Plan a deployment whose source an earlier action changes first."""
    needed = diff.needed(unproven=at.spec.unproven == "deploy")
    predicted = {(v.type, v.name): v for v in _verdict_items(needed)}
    exact = True
    scope, exclude = scope_of(at.spec), patterns_of(at.spec.exclude)
    changing = [draft.actions[i] for i in _source_actions(draft, at)]
    for action in changing:
        if isinstance(action.op, _BRINGS):
            exact = exact and bool(action.items)
            for item in action.items:
                left = item.change == "Deleted" or at.ignores.item(item.type, item.name)
                if not left and in_scope(item.type, item.name, scope, exclude):
                    predicted.setdefault(
                        (item.type, item.name),
                        ItemChange(
                            type=item.type,
                            name=item.name,
                            change="New" if item.change in ("Added", "New") else "Different",
                            detail=f"incoming with {action.kind}",
                        ),
                    )
    brings = any(isinstance(a.op, _BRINGS) for a in changing)
    if not brings:
        _plan_known(draft, at, diff, after, held=held)
        return
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
    draft: Draft, at: _Deployment, why: str, items: tuple[ItemChange, ...], held: str
) -> None:
    text = f"{why}; {held}, run with --target '{at.where}'"
    draft.held.append(HeldEntry(address=at.where, text=text, items=items))
    draft.drift.append(DriftEntry(address=at.where, cause="held", text=text, items=items))


def _drift(draft: Draft, at: _Deployment, why: str, items: tuple[ItemChange, ...]) -> None:
    draft.drift.append(
        DriftEntry(address=at.where, cause="incoming", text=why, items=items, planned=True)
    )
