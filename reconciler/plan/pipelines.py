"""Plan deployment pipelines, their stages and roles."""

from __future__ import annotations

from reconciler.diff.changes import FieldDiff, diff_fields
from reconciler.ids import Address, address, split_address
from reconciler.live.models import LivePipeline, LiveRole, LiveStage
from reconciler.plan.actions import (
    AddPipelineRole,
    AssignStage,
    CreatePipeline,
    DeletePipeline,
    FieldChange,
    NewStage,
    RemovePipelineRole,
    UnassignStage,
    UpdatePipeline,
    UpdateStage,
)
from reconciler.plan.draft import Draft, field_changes, git_of, roles_of
from reconciler.plan.plan import DriftEntry
from reconciler.plan.workspaces import find_workspace_id
from reconciler.spec.models import PipelineSpec, RoleSpec, StageSpec
from reconciler.spec.resolve import (
    find_workspace,
    pipeline_address,
    role_address,
    stage_address,
    stage_workspace,
    workspace_address,
)

__all__ = [
    "made_by_deployment",
    "plan_pipelines",
    "stage_workspace_address",
]


def made_by_deployment(draft: Draft) -> frozenset[str]:
    """Return the names of workspaces that a first deployment may create."""
    return frozenset(
        w.name
        for pipeline in draft.estate.pipelines
        for w in map(stage_workspace, pipeline.stages)
        if w is not None and w.create_on_deploy
    )


def stage_workspace_address(draft: Draft, name: str) -> Address:
    """Return the address of a stage's workspace, the spec's own where it is in the spec."""
    spec = find_workspace(draft.estate, name)
    return workspace_address(spec) if spec else address("workspaces", name)


def plan_pipelines(draft: Draft) -> None:
    """Plan every pipeline of the spec, one lane each."""
    for spec in draft.estate.pipelines:
        where = pipeline_address(spec)
        if draft.skip_unknown(where):
            continue
        live = draft.snapshot.pipelines.get(where)
        if live is None:
            _plan_missing(draft, spec, where)
        elif spec.state == "absent":
            draft.bindings[where] = live.id
            draft.add(
                DeletePipeline(),
                where,
                lane=where,
                code="tombstone",
                why="state: absent and protect: false",
                destructive=True,
                requests=2,
            )
        else:
            _plan_existing(draft, spec, where, live)


def _plan_missing(draft: Draft, spec: PipelineSpec, where: Address) -> None:
    if spec.state == "absent":
        return
    if spec.name is None:
        draft.error(
            "pipeline_missing",
            f"The pipeline {spec.id} does not exist or is not visible to this caller.",
            "Correct the id, or give a name so that a pipeline is made.",
            where,
        )
        return
    draft.add(
        CreatePipeline(
            name=spec.name,
            description=spec.description,
            stages=tuple(
                NewStage(name=s.name, description=s.description, public=bool(s.public))
                for s in spec.stages
            ),
        ),
        where,
        lane=where,
        code="pipeline_missing",
        why=f"no pipeline {spec.name} is visible to this caller",
        changes=(FieldChange(path="stages", after=[s.name for s in spec.stages]),),
        requests=2,
    )
    for stage in spec.stages:
        _plan_assignment(draft, spec, stage, where, None)
    for role in spec.roles:
        if role.state == "present":
            _add_role(draft, where, role_address(spec, role), role.principal.id, role)


def _plan_existing(draft: Draft, spec: PipelineSpec, where: Address, live: LivePipeline) -> None:
    draft.bindings[where] = live.id
    fields = diff_fields(
        ("name", live.name, spec.name if spec.id else None),
        ("description", live.description, spec.description),
    )
    if fields:
        wanted = {f.path: f.after for f in fields}
        draft.add(
            UpdatePipeline(name=wanted.get("name"), description=wanted.get("description")),
            where,
            lane=where,
            code="fields_differ",
            why=f"{', '.join(f.path for f in fields)} differ" + ("s" if len(fields) == 1 else ""),
            changes=field_changes(*fields),
            requests=2,
        )
        _drift(draft, where, fields)
    stages = sorted(live.stages, key=lambda s: s.order)
    if len(stages) != len(spec.stages):
        draft.error(
            "stage_count_differs",
            f"The pipeline has {len(stages)} stages and the spec has {len(spec.stages)}.",
            "The service offers no call that adds or removes a stage. List the stages the "
            "pipeline has, or describe a new pipeline under another name.",
            where,
        )
        return
    for stage, live_stage in zip(spec.stages, stages, strict=True):
        _plan_stage(draft, spec, stage, where, live_stage)
    if spec.roles:
        _plan_roles(draft, spec, where, live.roles or ())


def _plan_stage(
    draft: Draft, spec: PipelineSpec, stage: StageSpec, pipeline: Address, live: LiveStage
) -> None:
    where = stage_address(spec, stage)
    draft.bindings[where] = live.id
    fields = diff_fields(
        ("name", live.name, stage.name),
        ("description", live.description, stage.description),
        ("public", live.public, stage.public),
    )
    if fields:
        draft.add(
            UpdateStage(
                pipeline=pipeline,
                name=stage.name,
                description=stage.description,
                public=stage.public,
            ),
            where,
            lane=pipeline,
            code="fields_differ",
            why=f"{', '.join(f.path for f in fields)} differ" + ("s" if len(fields) == 1 else ""),
            changes=field_changes(*fields),
            requests=2,
        )
        _drift(draft, where, fields)
    _plan_assignment(draft, spec, stage, pipeline, live)


def _plan_assignment(
    draft: Draft, spec: PipelineSpec, stage: StageSpec, pipeline: Address, live: LiveStage | None
) -> None:
    wanted = stage_workspace(stage)
    if wanted is None:
        return
    where = stage_address(spec, stage)
    held_by = live.workspace_id if live else None
    if wanted.state == "absent":
        if held_by is not None and held_by == find_workspace_id(draft, wanted.name):
            _add_unassign(draft, where, pipeline, live, None, "tombstone", "state: absent")
        return
    workspace = stage_workspace_address(draft, wanted.name)
    if draft.skip_unknown(where, workspace):
        return
    workspace_id = find_workspace_id(draft, wanted.name)
    if workspace_id is not None:
        draft.bindings[workspace] = workspace_id
        if workspace_id == held_by:
            return
    made_by = draft.doers(workspace)
    if workspace_id is None and not made_by:
        if not wanted.create_on_deploy:
            _missing_workspace(draft, wanted.name, where)
        elif held_by is not None:
            _refuse_reassign(draft, stage, where, live, wanted.name)
    elif _can_assign(draft, wanted.name, where):
        # The service pairs by name when it assigns, so the workspace gets its items first.
        after = [*made_by, *draft.doers(git_of(workspace))]
        _add_assign(draft, stage, where, pipeline, live, workspace, after)


def _add_assign(
    draft: Draft,
    stage: StageSpec,
    where: Address,
    pipeline: Address,
    live: LiveStage | None,
    workspace: Address,
    after: list[str],
) -> None:
    wanted = split_address(workspace)[-1]
    holder = (live.workspace_name or live.workspace_id) if live else None
    if holder is not None and not stage.reassign:
        _refuse_reassign(draft, stage, where, live, wanted)
        return
    if holder is not None:
        why = f"the stage holds {holder}; reassign: true"
        _add_unassign(draft, where, pipeline, live, wanted, "stage_holds_other_workspace", why)
    change = FieldDiff("workspace", holder, wanted)
    draft.add(
        AssignStage(pipeline=pipeline, workspace=workspace),
        where,
        after=after,
        lane=pipeline,
        code="stage_vacant",
        why="the stage has no workspace" if holder is None else "takes the vacated stage",
        changes=field_changes(change),
        preconditions={"stage_workspace_id": None},
        requests=2,
    )
    if live is not None:
        _drift(draft, where, (change,))


def _can_assign(draft: Draft, name: str, where: Address) -> bool:
    """A workspace needs a capacity. Source: fabric-api.md section 7.1, docs."""
    spec = find_workspace(draft.estate, name)
    if spec is None or spec.capacity is not None:
        return True
    live = draft.snapshot.workspaces.get(workspace_address(spec))
    if live is not None and live.capacity_id is not None:
        return True
    draft.error(
        "workspace_without_capacity",
        f"The workspace {name} has no capacity, and a deployment pipeline needs one.",
        "Name one with capacity:, or assign one in the workspace settings.",
        where,
    )
    return False


def _missing_workspace(draft: Draft, name: str, where: Address) -> None:
    if find_workspace(draft.estate, name) is not None:
        return  # the workspace itself has the finding
    draft.error(
        "workspace_missing",
        f"The workspace {name} does not exist or is not visible to this caller.",
        "Add it under workspaces with create: true, set createOnDeploy: true, or correct the name.",
        where,
    )


def _refuse_reassign(
    draft: Draft, stage: StageSpec, where: Address, live: LiveStage | None, wanted: str
) -> None:
    holder = (live.workspace_name or live.workspace_id) if live else "another workspace"
    draft.error(
        "stage_holds_other_workspace",
        f"The stage {stage.name} holds {holder}, not {wanted}.",
        "Taking it away loses the stage's deployment history, rules and pairing. Set "
        "reassign: true to consent, or correct the stage's workspace.",
        where,
    )


def _add_unassign(
    draft: Draft,
    where: Address,
    pipeline: Address,
    live: LiveStage | None,
    wanted: str | None,
    code: str,
    why: str,
) -> None:
    before = live.workspace_name or live.workspace_id if live else None
    draft.add(
        UnassignStage(pipeline=pipeline),
        where,
        lane=pipeline,
        code=code,
        why=f"{why}; its deployment history, rules and pairing are lost",
        changes=field_changes(FieldDiff("workspace", before, None)),
        preconditions={"stage_workspace_id": live.workspace_id if live else None},
        destructive=True,
        requests=2,
    )
    if wanted is None:
        _drift(draft, where, (FieldDiff("workspace", before, None),))


def _plan_roles(
    draft: Draft, spec: PipelineSpec, where: Address, live_roles: tuple[LiveRole, ...]
) -> None:
    if draft.skip_unknown(roles_of(where)):
        return
    live = {r.principal_id.lower(): r for r in live_roles}
    for role in spec.roles:
        at = role_address(spec, role)
        has = live.get(role.principal.id.lower())
        if role.state == "absent" and has is not None:
            change = FieldDiff("role", has.role, None)
            draft.add(
                RemovePipelineRole(pipeline=where, principal_id=role.principal.id),
                at,
                after=draft.lane_tail(where),
                code="tombstone",
                why="state: absent",
                changes=field_changes(change),
                destructive=True,
                requests=2,
            )
            _drift(draft, at, (change,))
        elif role.state == "present" and has is None:
            _add_role(draft, where, at, role.principal.id, role)
            _drift(draft, at, (FieldDiff("role", None, role.role),))


def _add_role(draft: Draft, where: Address, at: Address, principal_id: str, role: RoleSpec) -> None:
    draft.add(
        AddPipelineRole(
            pipeline=where,
            principal_id=principal_id,
            principal_type=role.principal.type,
            role=role.role,
        ),
        at,
        after=draft.lane_tail(where),
        code="role_missing",
        why="the principal has no role in the pipeline",
        changes=(FieldChange(path="role", after=role.role),),
        requests=2,
    )


def _drift(draft: Draft, where: Address, fields: tuple[FieldDiff, ...]) -> None:
    draft.drift.append(
        DriftEntry(
            address=where,
            cause="field",
            text=", ".join(f"{f.path} is {f.before}" for f in fields),
            changes=field_changes(*fields),
            planned=True,
        )
    )
