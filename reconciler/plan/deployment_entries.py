"""Entries under ``deployments``: what each stands between, and which is planned before which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.diff.evidence import NO_EVIDENCE, StageEvidence
from reconciler.diff.ignore import Ignores
from reconciler.ids import Address, address, split_address
from reconciler.live.models import LivePipeline, LiveStage
from reconciler.live.scope import StageSide
from reconciler.plan.draft import Draft, git_of
from reconciler.plan.pipelines import stage_workspace_address
from reconciler.spec.models import DeploymentSpec, PipelineSpec, StageSpec
from reconciler.spec.resolve import (
    deployment_address,
    pipeline_address,
    stage_address,
    stage_workspace,
)

__all__ = [
    "DeploymentEntry",
    "Entries",
    "evidence_of",
    "in_cascade_order",
    "named_dependencies",
    "resolve_entry",
    "side_of",
]


def evidence_of(draft: Draft, entry: DeploymentEntry) -> StageEvidence:
    """Return what is known of an entry's two stages besides their definitions."""
    snapshot, source, target = draft.snapshot, entry.live_source, entry.live_target
    if entry.live is None or source is None or target is None:
        return NO_EVIDENCE
    own = snapshot.bindings.get(git_of(entry.source_workspace))
    there = entry.target_workspace
    return StageEvidence.of(
        (source.id, target.id),
        entry.live.operations or (),
        source=own or snapshot.source_bindings.get(source.workspace_id or ""),
        target=snapshot.bindings.get(git_of(there)) if there is not None else None,
    )


@dataclass(frozen=True, slots=True)
class DeploymentEntry:
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


Entries = Mapping[Address, tuple[PipelineSpec, DeploymentSpec]]


def named_dependencies(entries: Entries) -> dict[Address, list[Address]]:
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


def in_cascade_order(entries: Entries, named: Mapping[Address, list[Address]]) -> list[Address]:
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


def resolve_entry(
    draft: Draft, pipeline: PipelineSpec, spec: DeploymentSpec
) -> DeploymentEntry | None:
    """Put an entry beside the live stages it names; None when that was found impossible."""
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
    return DeploymentEntry(
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


def side_of(draft: Draft, pipeline: LivePipeline, stage: LiveStage) -> StageSide:
    """Return one stage with its items and the folders of its workspace."""
    return StageSide(
        stage.workspace_id,
        pipeline.items.get(stage.id, ()),
        draft.workspace_items(stage.workspace_id),
    )
