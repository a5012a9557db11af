"""Whatever the estate and the live side, every plan keeps the promises of the planner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import PlanFileError, SpecError
from reconciler.ids import Address, address, address_matches
from reconciler.live.models import (
    ChangeType,
    ConflictType,
    ConnectionState,
    Definition,
    GitTarget,
    LiveBinding,
    LiveCapacity,
    LiveChange,
    LiveImport,
    LiveItem,
    LivePipeline,
    LiveRepository,
    LiveStage,
    LiveStageItem,
    LiveStatus,
    LiveWorkspace,
    Snapshot,
    TargetContent,
    Unreadable,
)
from reconciler.live.places import target_of
from reconciler.plan.actions import Action, Deploy
from reconciler.plan.build import PlanInput, build_plan
from reconciler.plan.plan import Plan, load_plan
from reconciler.plan.targets import narrowed, needs_all
from reconciler.spec.load import estate_from_resolved
from reconciler.spec.models import Estate, PipelineSpec, WorkspaceSpec
from reconciler.spec.resolve import addresses, stage_workspace

WORKSPACES = ["A", "B", "C", "D/x"]
NAMES = st.sampled_from(["n1", "n2", "n3"])
STAGES = ["Dev", "Test", "Prod"]
PRINCIPAL = "6f1c0f5e-0000-4000-8000-000000000001"


def optional(strategy: st.SearchStrategy, absent: Any = None) -> st.SearchStrategy:
    """Return a strategy for a value or none."""
    return st.just(absent) | strategy


@st.composite
def gits(draw) -> dict[str, Any]:
    """Draw a binding in its written form."""
    found: dict[str, Any] = {
        "provider": "AzureDevOps",
        "organization": "o",
        "project": "P",
        "repository": draw(st.sampled_from(["r", "R", "s"])),
        "branch": draw(st.sampled_from(["main", "dev"])),
        "directory": draw(st.sampled_from(["/", "/a", "/a/b", "/c"])),
        "sync": {
            "direction": draw(st.sampled_from(["update", "commit", "both", "none"])),
            "conflicts": draw(st.sampled_from(["fail", "PreferRemote", "PreferWorkspace"])),
            "allowOverride": draw(st.booleans()),
        },
    }
    if found["sync"]["direction"] == "update" and draw(st.booleans()):
        found["sync"]["drift"] = "resync"
    if draw(st.integers(0, 2)) == 0:
        found["createDirectory"] = True
    source = draw(st.sampled_from([None, None, "main", "dev", "old"]))
    if source not in (None, found["branch"]):
        found["createBranchFrom"] = source
    strategy = draw(optional(st.sampled_from(["PreferRemote", "PreferWorkspace"])))
    if strategy:
        found["initialize"] = strategy
    if draw(st.integers(0, 9)) == 0:
        found["state"] = "absent"
    return found


@st.composite
def specs(draw) -> dict[str, Any]:
    """Draw a spec in its written form."""
    names = draw(st.lists(st.sampled_from(WORKSPACES), unique=True, min_size=2, max_size=4))
    entries = []
    for name in names:
        entry: dict[str, Any] = {"name": name, "create": draw(st.booleans())}
        capacity = draw(optional(st.sampled_from(["F8", "F64"]), "F8"))
        entry |= {"capacity": capacity} if capacity else {}
        entry |= {"description": "new"} if draw(st.booleans()) else {}
        if draw(st.booleans()):
            role = {"principal": {"id": PRINCIPAL, "type": "Group"}, "role": "Viewer"}
            entry["roles"] = [role]
        git = draw(gits()) if draw(st.integers(0, 3)) else None
        entry |= {"git": git} if git else {}
        entries.append(entry)
    taken = draw(st.permutations(WORKSPACES))
    pipelines = [
        draw(pipeline_specs(name, taken[n * 2 : n * 2 + 2]))
        for n, name in enumerate(draw(st.lists(st.sampled_from("PQ"), unique=True, max_size=2)))
    ]
    found: dict[str, Any] = {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": "s"},
        "workspaces": entries,
        "pipelines": pipelines,
    }
    if draw(st.booleans()):
        repository = {"project": "P", "name": "r", "create": True, "defaultBranch": "main"}
        repository["import"] = {"url": "https://github.com/o/r.git"}
        found["azureDevOps"] = {"organization": "o", "repositories": [repository]}
    rule = draw(
        optional(
            st.sampled_from(
                [
                    {"address": "**", "items": [{"name": "n1"}]},
                    {"address": "pipelines/**", "path": "f.json:/a"},
                    {"address": "workspaces/A"},
                ]
            )
        )
    )
    found |= {"ignore": [rule]} if rule else {}
    return found


@st.composite
def pipeline_specs(draw, name: str, workspaces: list[str]) -> dict[str, Any]:
    """Draw a pipeline of three stages with up to two workspaces and two deployments."""
    stages: list[dict[str, Any]] = [{"name": s} for s in STAGES]
    for stage, workspace in zip(draw(st.permutations(range(3))), workspaces, strict=False):
        stages[stage]["workspace"] = draw(
            st.sampled_from(
                [
                    workspace,
                    workspace,
                    {"name": workspace, "createOnDeploy": True},
                    {"name": workspace, "state": "absent"},
                ]
            )
        )
        stages[stage]["reassign"] = draw(st.booleans())
    deployments = []
    for source, target in (("Dev", "Test"), ("Test", "Prod")):
        if draw(st.booleans()):
            deployment: dict[str, Any] = {"from": source, "to": target}
            deployment["when"] = draw(st.sampled_from(["auto", "auto", "manual"]))
            deployment["compare"] = draw(st.sampled_from(["definitions", "pairing", "always"]))
            deployments.append(deployment)
    if name == "Q" and deployments and draw(st.booleans()):
        deployments[0]["dependsOn"] = ["pipelines/P"]
    return {"name": name, "stages": stages, "deployments": deployments}


@st.composite
def bindings(draw, spec: WorkspaceSpec | None) -> LiveBinding:
    """Draw a live binding in any state, mostly to where the spec wants it."""
    mostly = st.sampled_from([True, True, True, False])
    content = draw(
        st.builds(
            TargetContent,
            readable=mostly,
            branch_exists=mostly,
            directory_exists=mostly,
            item_folders=st.integers(0, 2),
            tip=st.just("tip"),
            empty=st.booleans(),
            source_tip=st.sampled_from([None, "source"]),
        )
    )
    target = GitTarget(
        "AzureDevOps",
        draw(st.sampled_from(["r", "s"])),
        draw(st.sampled_from(["main", "dev"])),
        draw(st.sampled_from(["/", "/a", "/a/b", "/c"])),
        "O",
        "p",
    )
    if spec is not None and spec.git is not None and draw(mostly):
        target = target_of(spec.git)
    state = draw(st.sampled_from([*ConnectionState, ConnectionState.INITIALIZED]))
    if state is ConnectionState.NOT_CONNECTED:
        return LiveBinding(state, content=content)
    changes = draw(st.lists(git_changes(), unique_by=lambda c: c.name, max_size=3))
    status = LiveStatus("head", draw(st.sampled_from(["head", "tip"])), tuple(changes))
    seen = draw(st.integers(0, 4)) > 0
    return LiveBinding(
        state,
        target=target,
        head="head",
        credentials_missing=not seen,
        status=status if seen and state is ConnectionState.INITIALIZED else None,
        content=content,
    )


@st.composite
def git_changes(draw) -> LiveChange:
    """Draw a line of git status."""
    remote = draw(optional(st.sampled_from(list(ChangeType))))
    workspace = draw(optional(st.sampled_from(list(ChangeType))))
    if remote is None and workspace is None:
        remote = ChangeType.ADDED
    both = remote is not None and workspace is not None
    conflict = (
        draw(st.sampled_from([ConflictType.CONFLICT, ConflictType.SAME_CHANGES]))
        if both
        else ConflictType.NONE
    )
    return LiveChange("Notebook", draw(NAMES), "o", "l", remote, workspace, conflict)


@st.composite
def live_pipelines(draw, name: str, spec: PipelineSpec | None) -> LivePipeline:
    """Draw a live pipeline; pairs may point nowhere, workspaces may be hidden ones."""
    held = draw(st.permutations([*WORKSPACES, "hidden", None, None]))
    if spec is not None and draw(st.integers(0, 3)):
        wanted = map(stage_workspace, spec.stages)
        held = [w.name if w is not None else "hidden" + name for w in wanted]
    stages, items = [], {}
    for order, stage in enumerate(STAGES):
        workspace = held[order]
        stages.append(
            LiveStage(
                f"{name}-{order}",
                order,
                draw(st.sampled_from([stage, stage + " old"])),
                "",
                False,
                f"id-{workspace}" if workspace else None,
                workspace,
            )
        )
        if workspace:
            items[f"{name}-{order}"] = tuple(
                LiveStageItem(
                    f"{name}{order}{n}",
                    "Notebook",
                    n,
                    draw(optional(st.just(f"{name}{order - 1}{n}"))),
                    draw(optional(st.just(f"{name}{order + 1}{n}"))),
                    None,
                )
                for n in draw(st.lists(NAMES, unique=True, max_size=3))
            )
    return LivePipeline(f"id-{name}", name, "", tuple(stages), (), items, ())


@st.composite
def worlds(draw) -> tuple[Estate, dict[str, Any], Snapshot]:
    """Draw a valid estate and a live side that has little to do with it."""
    resolved = draw(specs())
    try:
        estate = estate_from_resolved(resolved)
    except SpecError:
        # What the check of a spec refuses never reaches the planner.
        resolved = {**resolved, "pipelines": [], "workspaces": resolved["workspaces"][:1]}
        resolved["workspaces"] = [
            {k: v for k, v in w.items() if k != "git"} for w in resolved["workspaces"]
        ]
        estate = estate_from_resolved(resolved)
    present = draw(st.lists(st.sampled_from(WORKSPACES), unique=True, min_size=2))
    pipeline_specs_by_name = {p.name: p for p in estate.pipelines}
    specs_by_name = {w.name: w for w in estate.workspaces}
    pipelines = {
        address("pipelines", p): draw(live_pipelines(p, pipeline_specs_by_name.get(p)))
        for p in "PQ"
        if draw(st.booleans())
    }
    definition = st.builds(
        lambda v: Definition({"f.json": b'{"a": %d}' % v}), st.integers(0, 1)
    ) | st.just(Definition(unavailable="no"))
    ids = sorted({i.id for p in pipelines.values() for found in p.items.values() for i in found})
    failed = draw(
        st.lists(
            st.sampled_from(
                [
                    "workspaces",
                    "workspaces/A",
                    "workspaces/B/git",
                    "workspaces/A/roles",
                    "capacities",
                    "pipelines",
                    "pipelines/P",
                    "repositories/P/r",
                    "workspaces/D\\/x/git",
                ]
            ),
            unique=True,
            max_size=draw(st.sampled_from([0, 0, 2])),
        )
    )
    statuses = st.sampled_from(["queued", "completed", "failed"])
    return (
        estate,
        resolved,
        Snapshot(
            read_at=datetime(2026, 1, 1, tzinfo=UTC),
            capacities=(
                LiveCapacity("f8", "F8", "F8", "x", "Active"),
                LiveCapacity(
                    "f64", "F64", "F64", "x", draw(st.sampled_from(["Active", "Inactive"]))
                ),
            ),
            visible_workspaces={n: f"id-{n}" for n in present},
            workspaces={
                address("workspaces", n): LiveWorkspace(
                    f"id-{n}",
                    n,
                    capacity_id=draw(st.sampled_from([None, "f8"])),
                    roles=(),
                    items=tuple(
                        LiveItem(i, "Notebook", i)
                        for i in draw(st.lists(NAMES, unique=True, max_size=2))
                    ),
                )
                for n in present
            },
            bindings={
                address("workspaces", n, "git"): draw(bindings(specs_by_name.get(n)))
                for n in present
                if draw(st.booleans())
            },
            repositories={
                Address("repositories/P/r"): LiveRepository(
                    "p",
                    id=draw(optional(st.just("r1"))),
                    name="r",
                    empty=draw(st.booleans()),
                    imports=tuple(
                        LiveImport(n, s, "https://github.com/o/r.git")
                        for n, s in enumerate(draw(st.lists(statuses, max_size=2)))
                    ),
                )
            },
            pipelines=pipelines,
            definitions={i: draw(definition) for i in ids},
            unreadable={Address(a): Unreadable(Address(a), "read", "forbidden") for a in failed},
        ),
    )


TARGETS = st.sampled_from(
    [
        (),
        ("workspaces",),
        ("workspaces/A",),
        ("pipelines/P",),
        ("pipelines/P/deployments/Test:Prod",),
    ]
)


def make(world: tuple[Estate, dict[str, Any], Snapshot], **options: Any) -> Plan:
    """Plan a world."""
    estate, resolved, snapshot = world
    return build_plan(PlanInput(estate=estate, resolved=resolved, digest="d", **options), snapshot)


def ancestors(plan: Plan) -> dict[str, set[str]]:
    """Return what every action waits for, directly or not; actions stand in wave order."""
    found: dict[str, set[str]] = {}
    for action in plan.actions:
        found[action.id] = set(action.depends_on).union(*(found[b] for b in action.depends_on))
    return found


def lanes(action: Action) -> Iterator[str]:
    """Yield the workspaces and pipelines an action needs for itself."""
    if action.kind in ("workspace.role.add", "workspace.role.update", "workspace.role.remove"):
        return
    if action.kind.startswith("pipeline.role"):
        return
    if isinstance(action.op, Deploy):
        yield from filter(
            None, (action.op.pipeline, action.op.source_workspace, action.op.target_workspace)
        )
    elif action.kind.startswith(("stage.", "pipeline.")):
        yield getattr(action.op, "pipeline", action.address)
    elif action.kind.startswith(("git.", "workspace.")):
        yield getattr(action.op, "workspace", action.address)
    elif action.kind.startswith("repository."):
        yield action.address


relaxed = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@relaxed
@given(worlds(), TARGETS, TARGETS)
def test_plans_are_deterministic_and_come_back_from_their_file(world, target, exclude):
    """The same two give the same bytes, and a plan file is the plan."""
    plan = make(world, target=target, exclude=exclude)
    assert plan.to_json() == make(world, target=target, exclude=exclude).to_json()
    assert plan == load_plan(plan.to_json(), name="p")


@relaxed
@given(worlds())
def test_what_is_planned_without_checking_would_pass_the_check(world):
    """Every value is of its field's very type, as the strictest reading of the models has it."""
    plan = make(world)
    for entry in (*plan.actions, *plan.drift):
        data = entry.model_dump(by_alias=True)
        assert entry == type(entry).model_validate(data, strict=True)
        assert list(data) == list(type(entry)(**data).model_dump(by_alias=True))


@relaxed
@given(worlds(), TARGETS, TARGETS)
def test_every_dependency_stands_in_an_earlier_wave(world, target, exclude):
    """The executor can walk the waves, and ids are unique."""
    plan = make(world, target=target, exclude=exclude)
    waves = {a.id: a.wave for a in plan.actions}
    assert len(plan.actions) == len(waves)
    assert [a.wave for a in plan.actions] == sorted(waves.values())
    for action in plan.actions:
        assert len(set(action.depends_on)) == len(action.depends_on)
        assert all(waves[b] < action.wave for b in action.depends_on)
        assert 1 == action.wave or any(waves[b] == action.wave - 1 for b in action.depends_on)


@relaxed
@given(worlds())
def test_one_operation_at_a_time_per_workspace_and_pipeline(world):
    """Of any two actions on one resource, one waits for the other."""
    plan = make(world)
    waits = ancestors(plan)
    holders: dict[str, list[str]] = {}
    for action in plan.actions:
        for lane in set(lanes(action)):
            holders.setdefault(lane, []).append(action.id)
    for lane, ids in holders.items():
        for n, first in enumerate(ids):
            for second in ids[n + 1 :]:
                assert first in waits[second], f"{lane}: {first} and {second} may run at once"


@relaxed
@given(worlds())
def test_commits_to_one_branch_go_one_after_the_other(world):
    """A branch has one tip; who reads it for an update waits for the commits it is told of."""
    plan = make(world)
    waits = ancestors(plan)
    estate = world[0]
    places = {
        str(address("workspaces", w.name or "", "git")): (w.git.repository.lower(), w.git.branch)
        for w in estate.workspaces
        if w.git
    }
    late = {a.id for a in plan.actions if any(b.startswith("deployment") for b in waits[a.id])}
    commits = [a for a in plan.actions if a.kind == "git.commit" and a.id not in late]
    for n, first in enumerate(commits):
        for second in commits[n + 1 :]:
            if places[first.address] == places[second.address]:
                assert first.id in waits[second.id]


@relaxed
@given(worlds())
def test_nothing_is_planned_on_what_could_not_be_read(world):
    """Unreadable is never absent."""
    plan = make(world)
    for unknown in plan.unknown:
        assert [] == [a.id for a in plan.actions if address_matches(a.address, unknown)]
    assert plan.complete is not bool(plan.unknown)
    assert {u.address for u in plan.unreadable} == set(plan.unknown)


@relaxed
@given(worlds(), TARGETS)
def test_targets_bring_what_they_need_and_nothing_else(world, target):
    """Every action of a targeted run is a target or is needed by one."""
    everything, plan = make(world), make(world, target=target)
    kept = {a.id for a in plan.actions}
    if not target:
        assert plan == everything
        return
    hit = {a.id for a in plan.actions if any(address_matches(a.address, t) for t in target)}
    waits = ancestors(plan)
    assert kept == hit.union(*(waits[i] for i in hit))
    assert {a.id: set(a.depends_on) <= kept for a in plan.actions} == dict.fromkeys(kept, True)


@relaxed
@given(worlds(), TARGETS)
def test_exclusion_takes_what_depends_on_it_along(world, exclude):
    """Nothing of an excluded address runs, and no action loses a dependency."""
    everything, plan = make(world), make(world, exclude=exclude)
    whole = {a.id: set(a.depends_on) for a in everything.actions}
    for action in plan.actions:
        assert not any(address_matches(action.address, e) for e in exclude)
        assert whole[action.id] == set(action.depends_on)


@relaxed
@given(worlds())
def test_what_is_planned_is_drift_and_what_is_ignored_is_not(world):
    """Every action's address stands in the drift; a plan without errors and actions may apply."""
    plan = make(world)
    drifted = {d.address for d in plan.drift}
    assert {a.address for a in plan.actions} <= drifted
    blocked = any(d.severity == "error" for d in plan.diagnostics)
    assert plan.applyable is (bool(plan.actions) and not blocked)
    assert all(e.items for e in plan.ignored if "git" in e.address or "deployments" in e.address)


@relaxed
@given(worlds(), st.data())
def test_edits_of_a_plan_file_are_noticed(world, data):
    """Any character that is changed into another one makes the file unusable or says the same."""
    plan = make(world)
    text = plan.to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    edited = text[:at] + data.draw(st.sampled_from('09aZ"}],')) + text[at + 1 :]
    try:
        found = load_plan(edited, name="p")
    except PlanFileError:
        return
    outside = {"created_at", "requests"}
    assert found.model_dump(exclude=outside) == plan.model_dump(exclude=outside)


def test_the_generator_reaches_the_kinds_the_promises_are_about():
    """Properties of empty plans prove nothing."""
    seen: set[str] = set()

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(worlds())
    def collect(world):
        seen.update(a.kind for a in make(world).actions)

    collect()
    wanted = {"git.update", "git.commit", "git.connect", "git.initialize", "deployment.deploy"}
    wanted |= {"repository.branch.create", "repository.directory.create"}
    wanted |= {"stage.assign", "stage.unassign", "workspace.create", "repository.import"}
    assert set() == wanted - seen


WIDER_TARGETS = TARGETS | st.sampled_from(
    [
        ("workspaces/B/git",),
        ("workspaces/D\\/x",),
        ("pipelines/Q",),
        ("pipelines/Q/stages/Dev", "workspaces/C"),
        ("repositories",),
        ("nothing/like/it",),
    ]
)


def part_of(snapshot: Snapshot, whole: Estate, part: Estate) -> Snapshot:
    """Return what reading a part of a spec gives: nothing of the resources left out."""
    kept, left_out = (set(addresses(e)) for e in (part, whole))
    left_out -= kept

    def known(found: Mapping[Address, Any]) -> dict[Address, Any]:
        return {a: v for a, v in found.items() if not any(address_matches(a, o) for o in left_out)}

    return replace(
        snapshot,
        workspaces=known(snapshot.workspaces),
        bindings=known(snapshot.bindings),
        repositories=known(snapshot.repositories),
        pipelines=known(snapshot.pipelines),
        unreadable=known(snapshot.unreadable),
    )


@relaxed
@given(worlds(), WIDER_TARGETS)
def test_a_target_is_planned_the_same_without_what_it_does_not_depend_on(world, target):
    """Guards the narrowed reading: same actions in the same waves, and no finding of its own."""
    estate, resolved, snapshot = world
    whole = make(world, target=target)
    part = narrowed(estate, target)
    plan = make((part, resolved, part_of(snapshot, estate, part)), target=target)
    if part is not estate and needs_all(plan):
        return
    assert whole.actions == plan.actions
    assert set(plan.diagnostics) <= set(whole.diagnostics)
    assert set(plan.unknown) <= set(whole.unknown)
