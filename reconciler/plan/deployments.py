"""Plan deployments between neighbouring stages, from pairing and definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.diff.deployments import (
    DeploymentDiff,
    ItemState,
    ItemVerdict,
    compare_stages,
)
from reconciler.ids import Address, address_matches
from reconciler.live.models import LivePipeline, LiveStage
from reconciler.live.scope import StageSide, in_scope, patterns_of, scope_of
from reconciler.plan.actions import Deploy, ItemChange, ItemRef, Pattern, UpdateFromGit
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


def deploy_order(verdicts: Sequence[ItemVerdict]) -> list[ItemVerdict]:
    """Sort items so that what others refer to comes first; unknown types last."""
    return sorted(verdicts, key=lambda v: (_RANK.get(v.type, len(_ORDER)), v.type, v.name))


def side_of(draft_items: LivePipeline, stage: LiveStage, draft: Draft) -> StageSide:
    """Return one stage with its items and the folders of its workspace."""
    items = draft_items.items.get(stage.id, ())
    workspace_items = next(
        (
            w.items
            for w in draft.snapshot.workspaces.values()
            if w.id == stage.workspace_id and w.items is not None
        ),
        (),
    )
    return StageSide(stage.workspace_id, items, workspace_items)


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


def plan_deployments(draft: Draft, targeted: Sequence[str]) -> None:
    """Plan every deployment of the spec, cascades in order.

    Args:
        targeted: the run's ``--target`` addresses; they release ``when: manual``.
    """
    entries: list[tuple[PipelineSpec, DeploymentSpec]] = [
        (p, d) for p in draft.estate.pipelines if p.state == "present" for d in p.deployments
    ]
    planned: dict[Address, list[str]] = {}
    for pipeline, spec in _in_order(entries):
        found = _resolve(draft, pipeline, spec)
        if found is None or _is_unknown(draft, found):
            continue
        waits = [i for a in spec.depends_on for i in _ids_at(draft, planned, a)]
        before = set(draft.actions)
        _plan_one(draft, found, waits, targeted)
        planned[found.where] = [i for i in draft.actions if i not in before]


def _ids_at(draft: Draft, planned: dict[Address, list[str]], wanted: str) -> list[str]:
    exact = planned.get(Address(wanted))
    if exact is not None:
        return exact
    return [i for i, a in draft.actions.items() if address_matches(a.address, wanted)]


def _in_order(
    entries: list[tuple[PipelineSpec, DeploymentSpec]],
) -> list[tuple[PipelineSpec, DeploymentSpec]]:
    """Sort by cascade inside a pipeline and by ``dependsOn`` across; the spec has no circle."""

    def order(entry: tuple[PipelineSpec, DeploymentSpec]) -> int:
        names = [s.name for s in entry[0].stages]
        return names.index(entry[1].from_) if entry[1].from_ in names else 0

    by_address = {deployment_address(p, d): (p, d) for p, d in entries}
    done: dict[Address, None] = {}
    pending = [deployment_address(p, d) for p, d in sorted(entries, key=order)]
    opened: set[Address] = set()

    def visit(start: Address) -> None:
        stack = [start]
        while stack:
            at = stack[-1]
            if at in done:
                stack.pop()
                continue
            opened.add(at)
            needs = [
                a
                for a in by_address
                for d in by_address[at][1].depends_on
                if address_matches(a, d) and a not in done and a not in opened
            ]
            if needs:
                stack.extend(needs)
            else:
                done[at] = None
                stack.pop()

    for at in pending:
        visit(at)
    return [by_address[a] for a in done]


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
    )


def _workspace_of(draft: Draft, stage: StageSpec, live: LiveStage | None) -> Address | None:
    wanted = stage_workspace(stage)
    if wanted is not None and wanted.state == "present":
        return stage_workspace_address(draft, wanted.name)
    if live is not None and live.workspace_id is not None:
        return stage_workspace_address(draft, live.workspace_name or live.workspace_id)
    return None


def _is_unknown(draft: Draft, at: _Deployment) -> bool:
    needs = [
        at.pipeline,
        at.source_stage,
        at.target_stage,
        at.source_workspace,
        git_of(at.source_workspace),
    ]
    if at.target_workspace is not None:
        needs.append(at.target_workspace)
    return draft.skip_unknown(at.where, *needs)


def _plan_one(draft: Draft, at: _Deployment, waits: list[str], targeted: Sequence[str]) -> None:
    creates = _vacant_target(draft, at)
    if creates is False:
        return
    after = [*waits, *_source_actions(draft, at)]
    if at.target_workspace is not None:
        after.extend(_settling(draft, at.target_workspace))
    held = at.spec.when == "manual" and not any(
        address_matches(at.where, t) or address_matches(t, at.where) for t in targeted
    )
    assigning = _stage_pending(draft, at)
    if at.live is None or at.live_source is None or assigning or creates is not None:
        _plan_unseen(draft, at, after, creates=creates, held=held)
        return
    if at.live_target is None:
        return
    diff = compare_stages(
        side_of(at.live, at.live_source, draft),
        side_of(at.live, at.live_target, draft),
        draft.snapshot.definitions,
        scope=scope_of(at.spec),
        exclude=patterns_of(at.spec.exclude),
        compare=at.spec.compare,
    )
    if _clashes(draft, at, diff):
        return
    _report_orphans(draft, at, diff)
    if _source_actions(draft, at):
        _plan_predicted(draft, at, diff, after, held=held)
    else:
        _plan_known(draft, at, diff, after, held=held)


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
    deploys = [
        i
        for i, a in draft.actions.items()
        if isinstance(a.op, Deploy)
        and a.op.pipeline == at.pipeline
        and a.op.target == at.source_stage
    ]
    return [*_settling(draft, at.source_workspace), *deploys]


def _settling(draft: Draft, workspace: Address) -> list[str]:
    return [
        *draft.doers(workspace),
        *draft.doers(git_of(workspace)),
    ]


def _vacant_target(draft: Draft, at: _Deployment) -> StageWorkspace | bool | None:
    """Return the workspace to create, None when the target has one, False when it cannot be."""
    wanted = stage_workspace(at.target)
    if at.live_target is not None and at.live_target.workspace_id is not None:
        return None
    if draft.doers(at.target_stage):
        return None  # being assigned
    if wanted is None or not wanted.create_on_deploy:
        if wanted is None:
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
    whole: bool = False,
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
        whole=whole,
    )


def _plan_unseen(
    draft: Draft,
    at: _Deployment,
    after: list[str],
    *,
    creates: StageWorkspace | bool | None,
    held: bool,
) -> None:
    """Plan a deployment whose pairing does not exist yet."""
    why = f"{at.target.name} takes what {at.source.name} holds once both stages are set up"
    made = creates if isinstance(creates, StageWorkspace) else None
    if made is not None:
        why = f"{at.target.name} is vacant; the deployment creates the workspace {made.name}"
    known = _known_items(draft, at) if made is not None else ()
    if made is not None and not known and not after and at.live is not None:
        return  # nothing to deploy: the service refuses an empty deployment
    if held:
        _hold(draft, at, why, ())
        return
    op = _op(draft, at, creates=made, announced=None)
    if op is None:
        return
    action = draft.add(
        op,
        at.where,
        after=after,
        lane=at.pipeline,
        code="target_vacant" if made else "pairing_not_known",
        why=why,
        items=known,
        after_unknown=True,
        outcomes=(
            "deploy every item in scope that is then new or different",
            "nothing: no item in scope is new or different",
        ),
        preconditions={"newest_operation": _newest_operation(at)} if at.live else {},
        requests=8,
    )
    if made is not None and op.target_workspace is not None:
        draft.claim_lane(Address(op.target_workspace), action)


def _known_items(draft: Draft, at: _Deployment) -> tuple[ItemChange, ...]:
    """Return the source items a first deployment into a vacant stage brings, where known."""
    if at.live is None or at.live_source is None:
        return ()
    scope, exclude = scope_of(at.spec), patterns_of(at.spec.exclude)
    return tuple(
        ItemChange(type=i.type, name=i.name, change=ItemState.NEW.value)
        for i in sorted(at.live.items.get(at.live_source.id, ()), key=lambda i: (i.type, i.name))
        if in_scope(i.type, i.name, scope, exclude)
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
        f"{len(diff.orphans)} items of {at.target.name} have lost their source: {names}.",
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
            f"{len(unproven)} items cannot be proved equal or different: {listed}.",
            "They are not deployed. Set unproven: deploy to deploy them every time nothing "
            "proves them equal.",
            at.where,
        )


def _plan_known(
    draft: Draft, at: _Deployment, diff: DeploymentDiff, after: list[str], *, held: bool
) -> None:
    _report_unproven(draft, at, diff)
    needed = deploy_order(diff.needed(unproven=at.spec.unproven == "deploy"))
    if not needed:
        return
    counts = f"{sum(v.state is ItemState.NEW for v in needed)} new, " + (
        f"{sum(v.state is not ItemState.NEW for v in needed)} different"
    )
    why = f"{at.target.name} differs from {at.source.name}: {counts}"
    if held:
        _hold(draft, at, why, _verdict_items(needed))
        return
    if at.target_order < at.source_order and not _backward_allowed(draft, at):
        return
    _drift(draft, at, why, _verdict_items(needed))
    batches = [needed[i : i + MAX_ITEMS] for i in range(0, len(needed), MAX_ITEMS)]
    for number, batch in enumerate(batches, start=1):
        refs = tuple(ItemRef(id=v.source_id, type=v.type, name=v.name) for v in batch)
        op = _op(
            draft,
            at,
            items=refs,
            announced=tuple((v.type, v.name) for v in batch),
            whole=at.target_order < at.source_order,
        )
        if op is None:
            return
        draft.add(
            op,
            at.where,
            suffix=f"#{number}" if len(batches) > 1 else "",
            after=after,
            lane=at.pipeline,
            code="items_differ",
            why=why if len(batches) == 1 else f"{why} (part {number} of {len(batches)})",
            items=_verdict_items(batch),
            preconditions={"newest_operation": _newest_operation(at)} if number == 1 else {},
            requests=6,
        )


def _backward_allowed(draft: Draft, at: _Deployment) -> bool:
    """Backward only into an empty stage. Source: fabric-api.md section 7.2, spec."""
    items = at.live.items.get(at.live_target.id, ()) if at.live and at.live_target else ()
    if not items:
        return True
    draft.error(
        "backward_into_filled_stage",
        f"{at.target.name} comes before {at.source.name} and has {len(items)} items.",
        "The service deploys backward only into an empty stage. Deploy forward, or empty the "
        "stage by hand.",
        at.where,
    )
    return False


def _plan_predicted(
    draft: Draft, at: _Deployment, diff: DeploymentDiff, after: list[str], *, held: bool
) -> None:
    """Plan a deployment whose source an earlier action changes first."""
    needed = diff.needed(unproven=at.spec.unproven == "deploy")
    predicted = {(v.type, v.name): v for v in _verdict_items(needed)}
    exact = True
    scope, exclude = scope_of(at.spec), patterns_of(at.spec.exclude)
    changing = [draft.actions[i] for i in _source_actions(draft, at)]
    for action in changing:
        if isinstance(action.op, (UpdateFromGit, Deploy)):
            exact = exact and bool(action.items)
            for item in action.items:
                gone = item.change == "Deleted"
                if not gone and in_scope(item.type, item.name, scope, exclude):
                    predicted.setdefault(
                        (item.type, item.name),
                        ItemChange(
                            type=item.type,
                            name=item.name,
                            change="New" if item.change in ("Added", "New") else "Different",
                            detail=f"incoming with {action.kind}",
                        ),
                    )
    brings = any(isinstance(a.op, (UpdateFromGit, Deploy)) for a in changing)
    if not brings:
        _plan_known(draft, at, diff, after, held=held)
        return
    if exact and not predicted:
        return
    items = tuple(predicted[k] for k in sorted(predicted))
    why = f"{at.source.name} changes first; then {at.target.name} is compared again"
    if held:
        _hold(draft, at, why, items)
        return
    op = _op(draft, at, announced=tuple(sorted(predicted)) if exact else None)
    if op is None:
        return
    draft.add(
        op,
        at.where,
        after=after,
        lane=at.pipeline,
        code="source_changes",
        why=why,
        items=items,
        after_unknown=True,
        outcomes=(
            "deploy those of the listed items that then differ"
            if exact
            else "deploy every item in scope that is then new or different",
            "nothing: no item in scope is new or different",
        ),
        preconditions={"newest_operation": _newest_operation(at)},
        requests=8,
    )
    _drift(draft, at, why, items)


def _hold(draft: Draft, at: _Deployment, why: str, items: tuple[ItemChange, ...]) -> None:
    text = f"{why}; when: manual, run with --target '{at.where}'"
    draft.held.append(HeldEntry(address=at.where, text=text, items=items))
    draft.drift.append(DriftEntry(address=at.where, cause="held", text=text, items=items))


def _drift(draft: Draft, at: _Deployment, why: str, items: tuple[ItemChange, ...]) -> None:
    draft.drift.append(
        DriftEntry(address=at.where, cause="incoming", text=why, items=items, planned=True)
    )
