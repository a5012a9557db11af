"""What a plan takes from each workspace is counted the same way whatever takes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.plan.plan import Loss, Plan

from .world import (
    GIT,
    MAIN,
    bound,
    change,
    clash,
    incoming,
    local,
    paired,
    pipeline,
    plan,
    snapshot,
    text,
    unbound,
    workspace,
    workspaces,
)

ABC = ("a", "b", "c")
A = "workspaces/A"


def spec(more: str = "") -> str:
    """Return a spec of one bound workspace; ``more`` goes into its binding."""
    return f"workspaces: [{{name: A, git: {GIT}{more}}}}}]"


def synced(*changes, items: tuple[str, ...] | None = ABC):
    """Return a live side in which A is bound."""
    return snapshot(workspaces=workspaces("A", items=items), bindings={"A": bound(*changes)})


def lost(found: Plan) -> list[tuple[str, int | None, int, int]]:
    """Return a plan's losses in short."""
    return [(x.workspace, x.items, x.deletes, x.overwrites) for x in found.losses]


def test_what_an_update_takes_away_is_deleted():
    """Guards that deletions which come from Git are counted, and changes are not."""
    live = synced(change("a", remote="Deleted"), change("b", remote="Deleted"), incoming("c"))
    found = plan(spec(), live)

    assert [(A, 3, 2, 0)] == lost(found)
    assert (2, 0) == (found.summary.deletes, found.summary.overwrites)


@pytest.mark.parametrize(
    ("strategy", "expected"), [("PreferRemote", [(A, 3, 0, 1)]), ("PreferWorkspace", [])]
)
def test_a_conflict_that_git_wins_overwrites_the_workspaces_side(strategy, expected):
    """Guards that only the side that is lost counts, and no other incoming change."""
    live = synced(clash("a"), incoming("b"))

    assert expected == lost(plan(spec(f", sync: {{conflicts: {strategy}}}"), live))


def test_an_item_both_sides_changed_alike_is_not_overwritten():
    """Guards that the same change on both sides loses nothing."""
    same = change("a", remote="Modified", local="Modified", conflict="SameChanges")

    assert [] == lost(plan(spec(", sync: {conflicts: PreferRemote}"), synced(same)))


def test_a_conflict_that_deletes_counts_once():
    """Guards that an item is not both deleted and overwritten."""
    gone = change("a", remote="Deleted", local="Modified", conflict="Conflict")

    assert [(A, 3, 1, 0)] == lost(plan(spec(", sync: {conflicts: PreferRemote}"), synced(gone)))


def test_uncommitted_changes_that_stay_are_not_lost():
    """Guards that reported drift counts for nothing."""
    assert [] == lost(plan(spec(), synced(local("a"))))


def test_a_workspace_that_goes_takes_its_items_with_it():
    """Guards that deleting a workspace counts every item a person would miss."""
    live = snapshot(workspaces=workspaces("A", items=ABC))
    found = plan("workspaces: [{name: A, state: absent, protect: false}]", live)

    assert [(A, 3, 3, 0)] == lost(found)


@pytest.mark.parametrize("strategy", ["PreferRemote", "PreferWorkspace"])
def test_a_first_sync_is_not_counted_since_the_spec_consents_to_just_it(strategy):
    """Guards that a filled workspace can be bound with the words of the spec alone."""
    live = snapshot(workspaces=workspaces("A", items=ABC), bindings={"A": unbound(folders=2)})

    assert [] == lost(plan(spec(f", initialize: {strategy}"), live))


@pytest.mark.parametrize(
    ("strategy", "expected"), [("PreferRemote", [(A, 3, 0, 1)]), ("PreferWorkspace", [])]
)
def test_a_switch_overwrites_what_was_not_committed_before_it(strategy, expected):
    """Guards that items which the old branch holds are not counted as lost."""
    elsewhere = bound(local("b"), target=replace(MAIN, branch="old"))
    live = snapshot(
        workspaces=workspaces("A", items=ABC),
        bindings={"A": replace(elsewhere, content=unbound(folders=2).content)},
    )

    assert expected == lost(plan(spec(f", initialize: {strategy}"), live))


DEPLOY = f"""
workspaces: [{{name: A}}, {{name: B, git: {GIT}}}}}]
pipelines:
  - name: Sales
    stages: [{{name: Dev, workspace: A}}, {{name: Test, workspace: B}}]
    deployments: [{{from: Dev, to: Test}}]
"""


def deployed(*changes, items: tuple[str, ...] | None = None):
    """Return a live side in which x and y differ between A and B; ``changes`` are made in B."""
    return snapshot(
        workspaces={"A": workspace("A"), "B": workspace("B", items=items)},
        bindings={"B": bound(*changes)},
        pipelines={"Sales": pipeline(("Dev", "A"), ("Test", "B"), items=paired("x", "y"))},
        definitions={n: text(n) for n in ("x", "y", "x@t", "y@t")},
    )


def test_a_deployment_overwrites_what_git_status_proves_to_be_edited():
    """Guards that a paired item nobody is known to have edited does not count."""
    assert [("workspaces/B", 2, 0, 1)] == lost(plan(DEPLOY, deployed(local("x"))))
    assert [] == lost(plan(DEPLOY, deployed()))


def test_a_workspace_whose_items_were_not_listed_has_an_unknown_number():
    """Guards that no share is taken of a number nobody read."""
    live = synced(change("a", remote="Deleted"), items=None)

    assert (Loss(workspace=A, items=None, deletes=1),) == plan(spec(), live).losses


def test_what_a_run_leaves_out_is_not_counted():
    """Guards that --exclude is a way out of a cap."""
    live = synced(change("a", remote="Deleted"))

    assert [] == lost(plan(spec(), live, exclude=(f"{A}/git",)))


def test_the_update_that_follows_a_deleting_commit_is_counted():
    """Guards that a deletion which travels over a branch counts where it arrives."""
    live = snapshot(
        workspaces={"A": workspace("A", items=ABC), "B": workspace("B", items=ABC)},
        bindings={"A": bound(change("a", local="Deleted")), "B": bound()},
    )
    found = plan(
        f"workspaces: [{{name: A, git: {GIT}, sync: {{direction: commit}}}}}}, "
        f"{{name: B, git: {GIT}}}}}]",
        live,
    )

    assert [("workspaces/B", 3, 1, 0)] == lost(found)
