"""Pipelines: stages by order, assignments, moves between stages, roles, tombstones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.live.models import LiveRole

from .world import (
    GIT,
    before,
    bound,
    codes,
    incoming,
    kinds,
    only,
    pipeline,
    plan,
    snapshot,
    workspace,
    workspaces,
)

USER = "6f1c0f5e-0000-4000-8000-000000000001"
ASSIGN, UNASSIGN = "stage.assign", "stage.unassign"


def spec(dev: str = "", test: str = "", more: str = "", name: str = "Sales") -> str:
    """Return one pipeline with the stages Dev and Test."""
    return f"{{name: {name}, stages: [{{name: Dev{dev}}}, {{name: Test{test}}}]{more}}}"


def planned(*pipelines: str, **live):
    """Plan pipelines against a live side with the workspaces A, B and C."""
    live.setdefault("workspaces", workspaces("A", "B", "C"))
    return plan(f"pipelines: [{', '.join(pipelines)}]", snapshot(**live))


def test_missing_pipeline_is_created_and_its_stages_filled():
    """A new pipeline is one call, then one assignment a stage, one at a time."""
    found = planned(spec(", workspace: A", ", workspace: B"))
    assert ["pipeline.create", ASSIGN, ASSIGN] == kinds(found)
    assert [1, 2, 3] == [a.wave for a in found.actions]
    assert ["Dev", "Test"] == [s.name for s in only(found, "pipeline.create").op.stages]


def test_pipeline_by_id_that_is_not_there_is_an_error():
    """An id cannot be created."""
    entry = spec().replace("name: Sales", f"id: {USER}")
    assert ["pipeline_missing"] == codes(planned(entry))


def test_a_workspace_that_appeared_while_live_was_read_is_the_one_its_stage_names():
    """A deployment that ended after workspaces were listed has made what the spec wants."""
    live = {"Sales": pipeline(("Dev", "A"), ("Test", "N"))}
    found = planned(
        spec(", workspace: A", ", workspace: {name: N, createOnDeploy: true}"), pipelines=live
    )
    assert ([], []) == (kinds(found), codes(found))


def test_equal_pipeline_needs_nothing():
    """Names, descriptions and workspaces that match give no action."""
    live = {"Sales": pipeline(("Dev", "A"), ("Test", None))}
    found = planned(spec(", workspace: A"), pipelines=live)
    assert ([], ()) == (kinds(found), found.drift)


FIELDS = {
    "pipeline description": (spec(more=", description: new"), "pipeline.update"),
    "stage description": (spec(", description: new"), "stage.update"),
    "stage public": (spec(", public: true"), "stage.update"),
    "stage name, by order": (spec().replace("Dev", "Development"), "stage.update"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_that_differ_are_changed(name):
    """Stages match by their order, so another name is a rename."""
    entry, kind = FIELDS[name]
    found = planned(entry, pipelines={"Sales": pipeline(("Dev", None), ("Test", None))})
    assert [kind] == kinds(found)
    assert ["field"] == [d.cause for d in found.drift]


def test_unset_fields_are_not_managed():
    """What the spec does not say is left as it is."""
    live = pipeline(("Dev", None), ("Test", None))
    live = replace(
        live, description="by hand", stages=tuple(replace(s, public=True) for s in live.stages)
    )
    assert [] == kinds(planned(spec(), pipelines={"Sales": live}))


def test_another_number_of_stages_is_refused():
    """The service offers no call that adds or removes a stage."""
    live = {"Sales": pipeline(("Dev", None), ("Test", None), ("Prod", None))}
    found = planned(spec(), pipelines=live)
    assert ["stage_count_differs"] == codes(found)


def test_vacant_stage_is_filled_and_the_stage_must_still_be_vacant():
    """Assigning is conditional on what the plan saw."""
    live = {"Sales": pipeline(("Dev", None), ("Test", None))}
    action = only(planned(spec(", workspace: A"), pipelines=live), ASSIGN)
    assert {"stage_workspace_id": None} == action.preconditions


def test_stage_with_another_workspace_needs_consent():
    """Unassigning loses history, rules and pairing."""
    live = {"Sales": pipeline(("Dev", "A"), ("Test", None))}
    found = planned(spec(", workspace: B"), pipelines=live)
    assert (["stage_holds_other_workspace"], []) == (codes(found), kinds(found))


def test_reassign_vacates_and_fills_in_place():
    """Never by recreating the pipeline; and the loss is marked."""
    live = {"Sales": pipeline(("Dev", "A"), ("Test", None))}
    found = planned(spec(", workspace: B, reassign: true"), pipelines=live)
    assert [(UNASSIGN, True), (ASSIGN, False)] == [(a.kind, a.destructive) for a in found.actions]
    assert {"stage_workspace_id": "ws-A"} == found.actions[0].preconditions


def test_two_stages_may_swap_their_workspaces():
    """Both are vacated before either is filled: a workspace stands in one stage only."""
    live = {"Sales": pipeline(("Dev", "A"), ("Test", "B"))}
    entry = spec(", workspace: B, reassign: true", ", workspace: A, reassign: true")
    found = planned(entry, pipelines=live)
    assert [UNASSIGN, UNASSIGN, ASSIGN, ASSIGN] == kinds(found)


def test_workspace_moves_between_pipelines_after_it_has_left():
    """The second pipeline waits for the first to let go."""
    live = {
        "Sales": pipeline(("Dev", "A"), ("Test", None)),
        "Other": replace(pipeline(("Dev", None), ("Test", None)), id="p2", name="Other"),
    }
    found = planned(
        spec(", workspace: A", name="Other"),
        spec(", workspace: B, reassign: true"),
        pipelines=live,
    )
    taken = only(found, ASSIGN, "pipelines/Other")
    assert only(found, UNASSIGN, "pipelines/Sales").id in before(found, taken)


def test_workspace_that_stays_in_another_stage_cannot_be_assigned():
    """A workspace belongs to one stage of one pipeline, and the plan says which one it is in."""
    live = {
        "Sales": pipeline(("Dev", "A"), ("Test", None)),
        "Other": replace(pipeline(("Dev", None), ("Test", None)), id="p2", name="Other"),
    }
    found = planned(spec(name="Sales"), spec(", workspace: A", name="Other"), pipelines=live)
    assert ["workspace_in_other_stage"] == codes(found)
    assert "stage 1 of the pipeline Sales" in found.diagnostics[0].summary


def test_tombstone_of_a_stage_workspace_vacates_the_stage():
    """state: absent on the workspace of a stage takes it off."""
    live = {"Sales": pipeline(("Dev", "A"), ("Test", None))}
    found = planned(spec(", workspace: {name: A, state: absent}"), pipelines=live)
    assert [(UNASSIGN, "tombstone", True)] == [
        (a.kind, a.reason.code, a.destructive) for a in found.actions
    ]


@pytest.mark.parametrize("held", ["B", None])
def test_tombstone_of_another_workspace_vacates_nothing(held):
    """Only the workspace that is named is taken off."""
    live = {"Sales": pipeline(("Dev", held), ("Test", None))}
    assert [] == kinds(planned(spec(", workspace: {name: A, state: absent}"), pipelines=live))


def test_tombstone_of_a_pipeline_deletes_it():
    """The workspaces stay."""
    live = {"Sales": pipeline(("Dev", "A"), ("Test", None))}
    found = planned("{name: Sales, state: absent, protect: false}", pipelines=live)
    assert [("pipeline.delete", True)] == [(a.kind, a.destructive) for a in found.actions]


def test_assignment_waits_for_the_items_of_the_workspace():
    """The service pairs by name when it assigns, so the items come first."""
    text = f"workspaces: [{{name: A, git: {GIT}}}}}]\npipelines: [{spec(', workspace: A')}]"
    live = snapshot(
        workspaces=workspaces("A"),
        bindings={"A": bound(incoming("i"))},
        pipelines={"Sales": pipeline(("Dev", None), ("Test", None))},
    )
    found = plan(text, live)
    assert only(found, "git.update").id in before(found, only(found, ASSIGN))


def test_missing_workspace_of_a_stage_is_an_error():
    """A dangling reference is an error before any write."""
    live = {"Sales": pipeline(("Dev", None), ("Test", None))}
    assert ["workspace_missing"] == codes(planned(spec(", workspace: Nowhere"), pipelines=live))


def test_workspace_named_like_another_in_lower_case_is_another():
    """Names of workspaces are compared with case, ids without."""
    live = {"Sales": pipeline(("Dev", None), ("Test", None))}
    found = planned(
        spec(", workspace: SALES"), pipelines=live, workspaces={"sales": workspace("sales")}
    )
    assert ["workspace_missing"] == codes(found)


def test_workspace_without_capacity_cannot_be_assigned():
    """A deployment pipeline needs one."""
    text = f"workspaces: [{{name: A}}]\npipelines: [{spec(', workspace: A')}]"
    live = snapshot(
        workspaces=workspaces("A", capacity_id=None),
        pipelines={"Sales": pipeline(("Dev", None), ("Test", None))},
    )
    assert ["workspace_without_capacity"] == codes(plan(text, live))


ROLE = f", roles: [{{principal: {{id: {USER}, type: User}}, role: Admin}}]"


def test_roles_of_a_pipeline_are_added_and_removed():
    """Pipelines know only Admin, so there is nothing to change about one."""
    live = pipeline(("Dev", None), ("Test", None))
    has = replace(live, roles=(LiveRole(USER, USER, "User", "Admin"),))
    assert ["pipeline.role.add"] == kinds(planned(spec(more=ROLE), pipelines={"Sales": live}))
    assert [] == kinds(planned(spec(more=ROLE), pipelines={"Sales": has}))
    gone = ROLE.replace("Admin", "Admin, state: absent")
    assert ["pipeline.role.remove"] == kinds(planned(spec(more=gone), pipelines={"Sales": has}))


@pytest.mark.parametrize("at", ["pipelines", "pipelines/Sales"])
def test_unreadable_pipeline_is_unknown_and_nothing_is_said_about_its_stages(at):
    """A pipeline that cannot be read is neither created nor faulted."""
    entry = spec(more=", deployments: [{from: Dev, to: Test}]")
    found = planned(entry, unreadable=(at,))
    assert ([], []) == (kinds(found), codes(found))
    assert ("pipelines/Sales", "pipelines/Sales/deployments/Dev:Test") == found.unknown


def test_unreadable_workspaces_leave_the_stages_that_name_them():
    """The pipeline is readable, its workspaces are not: nothing is assigned."""
    live = {"Sales": pipeline(("Dev", None), ("Test", None))}
    found = planned(
        spec(", workspace: A", more=", description: new"),
        pipelines=live,
        workspaces={},
        unreadable=("workspaces",),
    )
    assert ["pipeline.update"] == kinds(found)
    assert ("pipelines/Sales/stages/Dev",) == found.unknown
