"""Plan deployment pipelines, their stages and roles."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    spec = draft.workspace_spec(name)
    return workspace_address(spec) if spec else address("workspaces", name)


@dataclass(frozen=True, slots=True)
class _Move:
    """A workspace that goes into a stage once every stage that is to be vacated is vacant."""

    where: Address
    pipeline: Address
    live: LiveStage | None
    workspace: Address
    workspace_id: str | None
    after: list[str]


@dataclass(slots=True)
class _Seats:
    """Who sits where. A workspace stands in one stage of one pipeline only.

    So it leaves one before it takes another, and before it is deleted.
    Source: fabric-api.md sections 7.1 (assign), spec, and 7.4 (delete refused), field.
    """

    holders: dict[str, Address] = field(default_factory=dict)
    vacated_by: dict[str, str] = field(default_factory=dict)
    moves: list[_Move] = field(default_factory=list)


def plan_pipelines(draft: Draft) -> None:
    """Plan every pipeline of the spec, one lane each; workspaces leave stages, then take them."""
    seats = _Seats()
    for spec in draft.estate.pipelines:
        _plan_pipeline(draft, spec, seats)
    for move in seats.moves:
        _add_assign(draft, move, seats)
    for action_id, action in draft.actions.items():
        if action.kind == "workspace.delete":
            _leave_before_delete(draft, action_id, Address(action.address), seats)


def _leave_before_delete(draft: Draft, action_id: str, workspace: Address, seats: _Seats) -> None:
    """Let a workspace leave its stage before it is deleted; the service refuses it otherwise."""
    workspace_id = draft.bindings[workspace]
    vacated, held_in = seats.vacated_by.get(workspace_id), seats.holders.get(workspace_id)
    if vacated is not None:
        draft.edges[action_id].append(vacated)
    elif held_in is not None:
        pipeline, number = split_address(held_in)[-2:]
        draft.error(
            "workspace_in_stage",
            f"The workspace {split_address(workspace)[-1]} stands in stage {int(number) + 1} of "
            f"the pipeline {pipeline}, so it cannot be deleted.",
            "Take it off the stage in the same spec, with workspace: {name: …, state: absent} "
            "there, or give the stage another workspace with reassign: true.",
            workspace,
        )


def _plan_pipeline(draft: Draft, spec: PipelineSpec, seats: _Seats) -> None:
    where = pipeline_address(spec)
    if draft.skip_unknown(where):
        return
    live = draft.snapshot.pipelines.get(where)
    for live_stage in live.stages if live else ():
        if live_stage.workspace_id is not None:
            seats.holders[live_stage.workspace_id] = Address(f"{where}/{live_stage.order}")
    if live is None:
        _plan_missing(draft, spec, where, seats)
    elif spec.state == "absent":
        draft.bindings[where] = live.id
        deleted = draft.add(
            DeletePipeline(),
            where,
            lane=where,
            code="tombstone",
            why="state: absent",
            destructive=True,
            requests=2,
        )
        seats.vacated_by |= {s.workspace_id: deleted for s in live.stages if s.workspace_id}
    else:
        _plan_existing(draft, spec, where, live, seats)


def _plan_missing(draft: Draft, spec: PipelineSpec, where: Address, seats: _Seats) -> None:
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
        _plan_seat(draft, spec, stage, where, None, seats)
    for role in spec.roles:
        if role.state == "present":
            _add_role(draft, where, role_address(spec, role), role.principal.id, role)


def _plan_existing(
    draft: Draft, spec: PipelineSpec, where: Address, live: LivePipeline, seats: _Seats
) -> None:
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
        _plan_stage(draft, spec, stage, where, live_stage, seats)
    if spec.roles:
        _plan_roles(draft, spec, where, live.roles or ())


def _plan_stage(
    draft: Draft,
    spec: PipelineSpec,
    stage: StageSpec,
    pipeline: Address,
    live: LiveStage,
    seats: _Seats,
) -> None:
    where = stage_address(spec, stage)
    draft.bindings[where] = live.id
    wanted = stage_workspace(stage)
    if wanted is not None and draft.skip_unknown(
        where, stage_workspace_address(draft, wanted.name)
    ):
        return
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
    _plan_seat(draft, spec, stage, pipeline, live, seats)


def _held_as(live: LiveStage | None, name: str) -> str | None:
    """Return the id of the workspace a stage holds, if it has this name.

    A deployment that ended after workspaces were listed has made one that only its stage knows.
    """
    return live.workspace_id if live is not None and live.workspace_name == name else None


def _plan_seat(
    draft: Draft,
    spec: PipelineSpec,
    stage: StageSpec,
    pipeline: Address,
    live: LiveStage | None,
    seats: _Seats,
) -> None:
    """Vacate a stage that is to hold another workspace or none, and note who takes it."""
    wanted = stage_workspace(stage)
    if wanted is None:
        return
    where = stage_address(spec, stage)
    held_by = live.workspace_id if live else None
    if wanted.state == "absent":
        if held_by is not None and held_by == find_workspace_id(draft, wanted.name):
            _add_unassign(draft, where, pipeline, live, "tombstone", "state: absent", seats)
            _drift(draft, where, (FieldDiff("workspace", _holder(live), None),))
        return
    workspace = stage_workspace_address(draft, wanted.name)
    if draft.skip_unknown(where, workspace):
        return
    workspace_id = find_workspace_id(draft, wanted.name) or _held_as(live, wanted.name)
    if workspace_id is not None:
        draft.bindings[workspace] = workspace_id
        if workspace_id == held_by:
            return
    made_by = draft.doers(workspace)
    made_later = workspace_id is None and not made_by
    if made_later and not wanted.create_on_deploy:
        _missing_workspace(draft, wanted.name, where)
        return
    if not made_later and not _can_assign(draft, wanted.name, where):
        return
    if held_by is not None:
        if not stage.reassign:
            _refuse_reassign(draft, stage, where, live, wanted.name)
            return
        why = f"the stage holds {_holder(live)}; reassign: true"
        _add_unassign(draft, where, pipeline, live, "stage_holds_other_workspace", why, seats)
    if not made_later:
        # The service pairs by name when it assigns, so the workspace gets its items first.
        after = [*made_by, *draft.doers(git_of(workspace))]
        seats.moves.append(_Move(where, pipeline, live, workspace, workspace_id, after))


def _holder(live: LiveStage | None) -> str | None:
    return (live.workspace_name or live.workspace_id) if live else None


def _add_assign(draft: Draft, move: _Move, seats: _Seats) -> None:
    vacated = seats.vacated_by.get(move.workspace_id or "")
    held_in = seats.holders.get(move.workspace_id or "")
    wanted = split_address(move.workspace)[-1]
    if held_in is not None and vacated is None:
        pipeline, number = split_address(held_in)[-2:]
        draft.error(
            "workspace_in_other_stage",
            f"The workspace {wanted} stands in stage {int(number) + 1} of the pipeline {pipeline}.",
            "A workspace belongs to one stage of one pipeline. Give that stage another workspace "
            "(with reassign: true), or workspace: {name: …, state: absent}.",
            move.where,
        )
        return
    change = FieldDiff("workspace", _holder(move.live), wanted)
    draft.add(
        AssignStage(pipeline=move.pipeline, workspace=move.workspace),
        move.where,
        after=[*move.after, *([vacated] if vacated else [])],
        lane=move.pipeline,
        code="stage_vacant",
        why="takes the vacated stage" if change.before else "the stage has no workspace",
        changes=field_changes(change),
        preconditions={"stage_workspace_id": None},
        requests=2,
    )
    if move.live is not None:
        _drift(draft, move.where, (change,))


def _can_assign(draft: Draft, name: str, where: Address) -> bool:
    """A workspace needs a capacity. Source: fabric-api.md section 7.1, docs."""
    spec = draft.workspace_spec(name)
    if spec is None:
        if draft.visible_workspace_id(name) not in draft.snapshot.without_capacity:
            return True
    elif spec.capacity is not None:
        return True
    else:
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
    if draft.workspace_spec(name) is not None:
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
    holder = _holder(live) or "another workspace"
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
    code: str,
    why: str,
    seats: _Seats,
) -> None:
    workspace_id = live.workspace_id if live else None
    unassigned = draft.add(
        UnassignStage(pipeline=pipeline),
        where,
        lane=pipeline,
        code=code,
        why=f"{why}; its deployment history, rules and pairing are lost",
        changes=field_changes(FieldDiff("workspace", _holder(live), None)),
        preconditions={"stage_workspace_id": workspace_id},
        destructive=True,
        requests=2,
    )
    if workspace_id is not None:
        seats.vacated_by[workspace_id] = unassigned


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
