"""Deployments: what is new, different or unproven, cascades, batches, holding, targets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.live.models import Definition, LiveItem

from .world import (
    GIT,
    before,
    bound,
    change,
    codes,
    incoming,
    kinds,
    local,
    only,
    paired,
    pipeline,
    plan,
    snapshot,
    stage_item,
    text,
    workspace,
    workspaces,
)

DEPLOY = "deployment.deploy"
WHERE = "pipelines/Sales/deployments/Dev:Test"
STAGES = "[{name: Dev, workspace: A}, {name: Test, workspace: B}]"


def spec(options: str = "", *, stages: str = STAGES, more: str = "", end: str = "Dev, to: Test"):
    """Return a spec with one pipeline and one deployment."""
    deployment = f"{{from: {end}{options}}}"
    return f"pipelines: [{{name: Sales, stages: {stages}, deployments: [{deployment}{more}]}}]\n"


def live(items=None, definitions=None, *, held=("A", "B"), **parts):
    """Return a live side with the stages Dev and Test."""
    return snapshot(
        **{
            "workspaces": workspaces("A", "B"),
            "pipelines": {
                "Sales": pipeline(("Dev", held[0]), ("Test", held[1]), items=items or {})
            },
            "definitions": definitions or {},
            **parts,
        }
    )


SAME = {"a": text("1"), "a@t": text("1"), "b": text("1"), "b@t": text("2")}


def test_new_and_different_items_are_listed_and_equal_ones_are_not():
    """The request lists exactly what is new or different, with the evidence."""
    found = plan(spec(), live(paired("a", "b", new=("c",)), SAME))
    action = only(found, DEPLOY)
    assert [("b", "Different"), ("c", "New")] == [(i.name, i.change) for i in action.items]
    assert ["b", "c"] == [i.id for i in action.op.items]
    assert "notebook-content.py: line 1" == action.items[0].detail
    assert "op-1" == action.preconditions["newest_operation"]
    assert 64 == len(action.preconditions["definitions"])


def test_equal_stages_need_no_deployment():
    """Nothing to deploy is no action and no drift."""
    found = plan(spec(), live(paired("a"), SAME))
    assert ([], ()) == (kinds(found), found.drift)


def test_precondition_covers_the_content_of_what_differs_and_nothing_else():
    """An edit of either side of a listed item moves the digest; one of an equal item does not."""

    def digest(**changed: Definition) -> str:
        found = plan(spec(), live(paired("a", "b"), SAME | changed))
        return only(found, DEPLOY).preconditions["definitions"]

    assert digest() == digest(a=text("5"), **{"a@t": text("5")})
    assert digest() != digest(b=text("3"))
    assert digest() != digest(**{"b@t": text("3")})


def test_dependencies_come_first():
    """What others refer to is deployed before them."""
    items = {
        "Dev": tuple(stage_item(t, type_=t) for t in ("Report", "SemanticModel", "Lakehouse")),
        "Test": (),
    }
    found = plan(spec(), live(items))
    assert ["Lakehouse", "SemanticModel", "Report"] == [
        i.type for i in only(found, DEPLOY).op.items
    ]


def test_more_than_300_items_become_several_requests():
    """The service takes 300 a request; dependencies stay in front, parts in a row."""
    names = tuple(f"n{i:03}" for i in range(601))
    found = plan(spec(), live(paired(new=names)))
    assert [300, 300, 1] == [len(a.items) for a in found.actions]
    assert [1, 2, 3] == [a.wave for a in found.actions]
    assert 601 == len({i.id for a in found.actions for i in a.op.items})
    assert [True, False, False] == ["newest_operation" in a.preconditions for a in found.actions]


SCOPES = {
    "all": ("", ["a", "b", "c"]),
    "by name": (", items: [{name: 'a*'}]", ["a"]),
    "by type": (", items: [{type: Report}]", []),
    "excluded": (", exclude: [{name: b}]", ["a", "c"]),
}


@pytest.mark.parametrize("name", SCOPES)
def test_scope_consents_to_its_items_only(name):
    """An entry under deployments covers the items it names."""
    options, expected = SCOPES[name]
    found = plan(spec(options), live(paired(new=("a", "b", "c"))))
    assert expected == [i.name for a in found.actions for i in a.items]


COMPARE = {"definitions": ["b"], "pairing": [], "always": ["a", "b"]}


@pytest.mark.parametrize("how", COMPARE)
def test_compare_says_how_paired_items_are_judged(how):
    """Definitions prove it; pairing trusts the pair; always deploys."""
    found = plan(spec(f", compare: {how}"), live(paired("a", "b"), SAME))
    assert COMPARE[how] == [i.name for a in found.actions for i in a.items]


UNREADABLE = {"a": Definition(unavailable="OperationNotSupportedForItem"), "a@t": text("1")}


def test_unproven_items_are_reported_and_not_deployed():
    """An item nothing can prove different stays, and the plan says why."""
    found = plan(spec(), live(paired("a"), UNREADABLE))
    assert ([], ["unproven"]) == (kinds(found), codes(found))
    assert "OperationNotSupportedForItem" in found.diagnostics[0].summary


def test_unproven_items_are_deployed_where_the_spec_says_so():
    """unproven: deploy is consent."""
    found = plan(spec(", unproven: deploy"), live(paired("a"), UNREADABLE))
    assert ["Unproven"] == [i.change for i in only(found, DEPLOY).items]


def test_another_folder_is_a_difference():
    """Items move with their folder."""
    found = plan(
        spec(),
        live(
            paired("a"),
            SAME,
            workspaces={
                "A": replace(workspace("A"), items=(LiveItem("a", "Notebook", "a", "raw"),)),
                "B": replace(workspace("B"), items=(LiveItem("a@t", "Notebook", "a", ""),)),
            },
        ),
    )
    assert ["folder / becomes raw"] == [i.detail for i in only(found, DEPLOY).items]


def test_unpaired_item_of_the_same_name_in_the_target_is_an_error():
    """The service would make a duplicate."""
    items = {"Dev": (stage_item("a"),), "Test": (stage_item("a@t"),)}
    assert (["unpaired_name_clash"], []) == (
        codes(plan(spec(), live(items))),
        kinds(plan(spec(), live(items))),
    )


def test_orphans_are_reported_only():
    """A deployment never deletes."""
    items = {"Dev": (), "Test": (stage_item("a@t", source="gone"),)}
    found = plan(spec(), live(items))
    assert ([], ["orphans"]) == (kinds(found), codes(found))


def test_items_the_service_makes_itself_are_never_deployed_alone():
    """A SQL endpoint follows its lakehouse."""
    items = {"Dev": (stage_item("a", type_="SQLEndpoint"),), "Test": ()}
    assert [] == kinds(plan(spec(), live(items)))


# -- ignore --

RULES = {
    "item, different": ("items: [{name: b}]", ["c"], ["b"]),
    "item, new": ("items: [{name: c}]", ["b"], ["c"]),
    "path": ("path: notebook-content.py", ["c"], ["b"]),
    "path of another item": ("items: [{name: a}], path: notebook-content.py", ["b", "c"], []),
    "everything": ("path: null", [], ["b", "c"]),
}


@pytest.mark.parametrize("name", RULES)
def test_ignored_items_and_paths_are_left_out_and_counted(name):
    """What is ignored is neither deployed nor drift, and the plan lists it."""
    rule, deployed, counted = RULES[name]
    content = spec() + f'ignore: [{{address: "pipelines/**", {rule}}}]'
    found = plan(content, live(paired("a", "b", new=("c",)), SAME))
    assert deployed == [i.name for a in found.actions for i in a.items]
    assert counted == [i.name for e in found.ignored for i in e.items]


def test_ignored_name_clash_is_no_error():
    """What is not deployed makes no duplicate."""
    items = {"Dev": (stage_item("a"),), "Test": (stage_item("a@t"),)}
    content = spec() + 'ignore: [{address: "pipelines/**", items: [{name: a}]}]'
    assert [] == codes(plan(content, live(items)))


# -- what comes before --

CASCADE = (
    "pipelines:\n  - name: Sales\n    stages: [{name: Dev, workspace: A}, {name: Test, workspace: B}, "
    "{name: Prod, workspace: C}]\n    deployments: [{from: Test, to: Prod}, {from: Dev, to: Test}]\n"
)
THREE = pipeline(
    ("Dev", "A"),
    ("Test", "B"),
    ("Prod", "C"),
    items={"Dev": (stage_item("a"),), "Test": (), "Prod": ()},
)


def test_cascade_runs_in_the_order_of_its_stages_whatever_the_spec_says():
    """The second part waits for the first, and announces what the first brings."""
    found = plan(
        CASCADE, snapshot(workspaces=workspaces("A", "B", "C"), pipelines={"Sales": THREE})
    )
    first, second = (
        only(found, DEPLOY, WHERE),
        only(found, DEPLOY, "pipelines/Sales/deployments/Test"),
    )
    assert first.id in second.depends_on
    assert second.after_unknown
    assert (("Notebook", "a"),) == second.op.announced
    assert second.op.items is None


def test_deployment_after_an_update_of_its_source_is_predicted():
    """Incoming changes are mapped through the pairing; apply may deploy fewer, never more."""
    content = f"workspaces: [{{name: A, git: {GIT}}}}}]\n" + spec()
    found = plan(
        content,
        live(
            paired("a", "b"),
            {**SAME, "b@t": text("1")},
            bindings={"A": bound(incoming("a"), change("gone", remote="Deleted"))},
        ),
    )
    update, action = only(found, "git.update"), only(found, DEPLOY)
    assert update.id in action.depends_on
    assert [("a", "Different")] == [(i.name, i.change) for i in action.items]
    assert "definitions" not in action.preconditions


def test_deployment_waits_for_a_commit_of_its_source():
    """Both stages are settled first."""
    content = f"workspaces: [{{name: A, git: {GIT}, sync: {{direction: commit}}}}}}]\n" + spec()
    found = plan(content, live(paired(new=("n",)), bindings={"A": bound(local("n"))}))
    assert only(found, "git.commit").id in only(found, DEPLOY).depends_on


def test_unreadable_source_makes_the_deployment_unknown():
    """A source whose Git state is not known is not deployed from."""
    content = f"workspaces: [{{name: A, git: {GIT}}}}}]\n" + spec()
    found = plan(content, live(paired(new=("n",)), unreadable=("workspaces/A/git",)))
    assert ([], ("pipelines/Sales/deployments/Dev:Test", "workspaces/A/git")) == (
        kinds(found),
        found.unknown,
    )


def other(options: str = "") -> str:
    """Return a second pipeline, Late, whose deployment names the first in dependsOn."""
    stages = "[{name: Dev, workspace: C}, {name: Test, workspace: D}]"
    return (
        f"  - {{name: Late, stages: {stages}, deployments: "
        f"[{{from: Dev, to: Test, dependsOn: [{options}]}}]}}\n"
    )


def two(first: str, second: str, **parts):
    """Plan the pipelines Late and Sales, in this order."""
    late = replace(
        pipeline(("Dev", "C"), ("Test", "D"), items={"Dev": (stage_item("z"),), "Test": ()}),
        id="p-Late",
        name="Late",
    )
    found = pipeline(("Dev", "A"), ("Test", "B"), items=paired(new=("n",)))
    content = (
        "pipelines:\n" + second + "  - " + first.removeprefix("pipelines: [").rstrip("]\n") + "\n"
    )
    return plan(
        content,
        snapshot(
            workspaces=workspaces("A", "B", "C", "D"),
            pipelines={"Sales": found, "Late": late},
            **parts,
        ),
    )


@pytest.mark.parametrize("name", [WHERE, "pipelines/Sales"])
def test_depends_on_orders_deployments_across_pipelines(name):
    """An address or a prefix of one is done first."""
    found = two(spec(), other(name))
    late = only(found, DEPLOY, "pipelines/Late")
    assert only(found, DEPLOY, WHERE).id in late.depends_on


def test_depends_on_something_unknown_is_unknown():
    """What must be done first cannot be told to be done."""
    found = two(spec(), other(WHERE), unreadable=("pipelines/Sales",))
    assert [] == kinds(found)
    assert "pipelines/Late/deployments/Dev:Test" in found.unknown


def test_depends_on_something_held_is_held():
    """What must be done first is not going to be done in this run."""
    found = two(spec(", when: manual"), other(WHERE))
    assert [] == kinds(found)
    assert ["pipelines/Late/deployments/Dev:Test", WHERE] == [h.address for h in found.held]
    assert f"waits for {WHERE}" in found.held[0].text


def test_cascade_of_another_pipeline_keeps_its_order_when_only_its_end_is_named():
    """A dependency is planned with what it builds on."""
    content = (
        "pipelines:\n"
        + other("pipelines/Sales/deployments/Test:Prod").replace("C}", "E}")
        + CASCADE.removeprefix("pipelines:\n")
    )
    late = pipeline(("Dev", "E"), ("Test", "D"), items={"Dev": (stage_item("z"),), "Test": ()})
    found = plan(
        content,
        snapshot(
            workspaces=workspaces("A", "B", "C", "D", "E"),
            pipelines={"Sales": THREE, "Late": replace(late, id="p-Late")},
        ),
    )
    order = [a.address.split("/", 1)[1] for a in found.actions]
    assert ["Sales/deployments/Dev:Test", "Sales/deployments/Test:Prod"] == order[:2]
    assert [1, 2, 3] == [a.wave for a in found.actions]


# -- holding and targets --


def test_manual_deployment_is_held_and_is_no_change():
    """when: manual is shown with how to run it."""
    found = plan(spec(", when: manual"), live(paired(new=("n",))))
    assert ([], False) == (kinds(found), found.applyable)
    assert ["n"] == [i.name for i in found.held[0].items]
    assert f"--target '{WHERE}'" in found.held[0].text
    assert ["held"] == [d.cause for d in found.drift]


@pytest.mark.parametrize("target", [WHERE, "pipelines/Sales", "pipelines"])
def test_target_releases_a_manual_deployment(target):
    """An address or a prefix of it will do."""
    found = plan(spec(", when: manual"), live(paired(new=("n",))), target=(target,))
    assert ([DEPLOY], ()) == (kinds(found), found.held)


def test_target_brings_what_it_depends_on_and_nothing_else():
    """A targeted deployment brings the update of its source, not its neighbours."""
    content = f"workspaces: [{{name: A, git: {GIT}}}}}, {{name: B, description: new}}]\n" + spec()
    live_side = live(paired("a"), SAME, bindings={"A": bound(incoming("a"))})
    everything = plan(content, live_side)
    assert {"git.update", "workspace.update", DEPLOY} == set(kinds(everything))
    assert ["git.update"] == kinds(plan(content, live_side, target=("workspaces/A",)))
    targeted = plan(content, live_side, target=(WHERE,))
    assert {"git.update", "workspace.update", DEPLOY} == set(kinds(targeted))


def test_exclude_drops_what_depends_on_it():
    """Nothing runs without what it needs."""
    content = f"workspaces: [{{name: A, git: {GIT}}}}}]\n" + spec()
    live_side = live(paired("a"), SAME, bindings={"A": bound(incoming("a"))})
    assert [] == kinds(plan(content, live_side, exclude=("workspaces/A/git",)))
    assert ["git.update"] == kinds(plan(content, live_side, exclude=("pipelines",)))


# -- stages that are not there yet --

CREATING = "[{name: Dev, workspace: A}, {name: Test, workspace: {name: N, createOnDeploy: true}}]"


def test_first_deployment_creates_the_workspace_and_its_roles_and_binding_follow():
    """The deployer becomes admin; what the spec says of the workspace comes after."""
    user = "6f1c0f5e-0000-4000-8000-000000000001"
    content = (
        "workspaces:\n  - name: N\n    capacity: F8\n"
        f"    roles: [{{principal: {{id: {user}, type: User}}, role: Viewer}}]\n"
        f"    git: {GIT}, initialize: PreferWorkspace}}\n"
    ) + spec(stages=CREATING)
    found = plan(content, live(paired(new=("n",)), held=("A", None)))
    deploy = only(found, DEPLOY)
    assert "N" == deploy.op.create_workspace
    assert ["n"] == [i.name for i in deploy.items]
    for kind in ("workspace.role.add", "git.connect", "git.initialize", "git.commit"):
        assert deploy.id in before(found, only(found, kind))
    assert [] == codes(found)


def test_deployment_into_a_vacant_stage_that_is_renamed_still_creates_the_workspace():
    """A pending change of the stage's name fills no stage."""
    stages = CREATING.replace("name: Test", "name: UAT")
    found = plan(
        spec(stages=stages, end="Dev, to: UAT"), live(paired(new=("n",)), held=("A", None))
    )
    assert ["stage.update", DEPLOY] == kinds(found)
    assert "N" == only(found, DEPLOY).op.create_workspace


def test_nothing_is_deployed_from_nothing():
    """The service refuses an empty deployment."""
    assert [] == kinds(plan(spec(stages=CREATING), live(held=("A", None))))


def test_what_a_planned_assignment_brings_is_deployed_in_the_same_plan():
    """A pipeline that a run was cut off after making is filled and deployed by one apply."""
    found = plan(spec(stages=CREATING), live(held=(None, None)))
    assert ["stage.assign", DEPLOY] == kinds(found)
    assert only(found, "stage.assign").id in before(found, only(found, DEPLOY))


def test_vacant_target_without_a_workspace_is_an_error():
    """A vacant target stage needs createOnDeploy."""
    stages = "[{name: Dev, workspace: A}, {name: Test}]"
    found = plan(spec(stages=stages), live(paired(new=("n",)), held=("A", None)))
    assert ["target_stage_vacant"] == codes(found)


def test_vacant_source_is_an_error():
    """There is nothing to deploy from."""
    stages = "[{name: Dev}, {name: Test, workspace: B}]"
    found = plan(spec(stages=stages), live(held=(None, "B")))
    assert ["source_stage_vacant"] == codes(found)


def test_deployment_in_a_new_pipeline_waits_for_both_assignments():
    """Pairing exists only once the stages are filled."""
    found = plan(spec(), snapshot(workspaces=workspaces("A", "B")))
    assert ["pipeline.create", "stage.assign", "stage.assign", DEPLOY] == kinds(found)
    assert "pairing_not_known" == only(found, DEPLOY).reason.code
    assert 4 == only(found, DEPLOY).wave


# -- backward --

BACK = spec(end="Test, to: Dev")


def test_backward_deployment_is_one_whole_request_into_an_empty_stage():
    """It lists no items, however many there are."""
    names = tuple(f"n{i:03}" for i in range(301))
    items = {"Dev": (), "Test": tuple(stage_item(n) for n in names)}
    action = only(plan(BACK, live(items)), DEPLOY)
    assert action.op.whole
    assert 301 == len(action.items)


def test_backward_deployment_into_a_filled_stage_is_refused():
    """The service deploys backward only into an empty stage."""
    items = {"Dev": (stage_item("x"),), "Test": (stage_item("n"),)}
    assert ["backward_into_filled_stage"] == codes(plan(BACK, live(items)))


@pytest.mark.parametrize("options", [", items: [{name: n}]", ", exclude: [{name: x}]"])
def test_backward_deployment_cannot_leave_items_out(options):
    """It takes everything, so a narrower consent is refused."""
    items = {"Dev": (), "Test": (stage_item("n"),)}
    found = plan(spec(options, end="Test, to: Dev"), live(items))
    assert ["backward_takes_everything"] == codes(found)
