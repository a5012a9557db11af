"""Plans that look ahead to a merge: marked, and decided by the same rules as any other."""

from __future__ import annotations

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.ids import Address
from reconciler.live.models import Preview, Snapshot, Unreadable
from reconciler.live.preview import with_preview

from .world import (
    GIT,
    before,
    bound,
    clash,
    codes,
    incoming,
    kinds,
    local,
    only,
    paired,
    pipeline,
    plan,
    snapshot,
    workspaces,
)

AT = Address("workspaces/A/git")
TEXT = f"""
workspaces: [{{name: A, git: {GIT}}}}}, {{name: B}}]
pipelines:
  - name: Sales
    stages: [{{name: Dev, workspace: A}}, {{name: Test, workspace: B}}]
    deployments: [{{from: Dev, to: Test, compare: pairing}}]
"""


def ahead(*changes, now=(), **fields) -> Snapshot:
    """Return a live side whose branch will bring changes once merged; ``now`` is Git status."""
    live = snapshot(
        workspaces=workspaces("A", "B"),
        bindings={"A": bound(*now)},
        pipelines={"Sales": pipeline(("Dev", "A"), ("Test", "B"), items=paired("i", "x"))},
    )
    statuses = {AT: bound(*changes).status} if changes else {}
    base = {"revision": "HEAD", "commit": "c" * 40, "into": "main", "bindings": (AT,)}
    return with_preview(live, Preview(**{**base, "statuses": statuses, **fields}))


def text(direction: str) -> str:
    """Return the spec with a direction."""
    return TEXT.replace("branch: main", f"branch: main, sync: {{direction: {direction}}}")


def test_the_update_and_what_follows_are_planned_for_after_the_merge():
    """The same rules as for a commit that is there, without a tip to check."""
    found = plan(TEXT, ahead(incoming("i")))
    update, deploy = only(found, "git.update"), only(found, "deployment.deploy")
    assert ("once_merged", True) == (update.reason.code, update.after_unknown)
    assert {"workspace_head": "head"} == update.preconditions
    assert ["i"] == [i.name for i in update.items] == [i.name for i in deploy.items]
    assert update.id in before(found, deploy)
    assert ("HEAD", "main", (AT,)) == (
        found.preview.revision,
        found.preview.into,
        found.preview.bindings,
    )
    assert not found.applyable
    assert "once merged" in next(d.text for d in found.drift if d.address == AT)


def test_a_merge_that_changes_nothing_here_leaves_the_plan_as_it_is():
    """What is pending anyway reads as it would without the merge."""
    found = plan(TEXT, ahead(now=(incoming("i"),)))
    assert "branch_moved" == only(found, "git.update").reason.code
    assert not found.applyable


def test_conflicts_consents_and_directions_hold_as_ever():
    """Foreseen conflicts stop, commits wait for the update, none only reports."""
    assert ["git_conflict"] == codes(plan(TEXT, ahead(clash("i"))))
    assert ["incoming_blocks_commit"] == codes(
        plan(text("commit"), ahead(incoming("i"), local("l")))
    )
    both = plan(text("both"), ahead(incoming("i"), local("l")))
    assert ["git.update", "git.commit", "deployment.deploy"] == kinds(both)
    assert {} == only(both, "git.commit").preconditions
    assert [] == kinds(plan(text("none"), ahead(incoming("i"))))


def test_what_the_checkout_cannot_tell_is_unknown_and_its_findings_stand_in_the_plan():
    """Nothing is planned on top of it, the deployment from it included."""
    lacking = Unreadable(AT, "look ahead", "the checkout lacks a commit")
    told = Diagnostic(Severity.ERROR, "preview_commit_missing", "It is not here.", address=AT)
    found = plan(TEXT, ahead(unreadable={AT: lacking}, diagnostics=(told,)))
    assert [] == kinds(found)
    assert ["preview_commit_missing"] == codes(found)
    assert AT in found.unknown
    assert "pipelines/Sales/deployments/Dev:Test" in found.unknown


def test_an_item_that_the_update_renames_stays_announced_by_its_id():
    """Git status names it as the workspace does; the source stage holds it under the same id."""
    deploy = only(plan(TEXT, ahead(incoming("i"))), "deployment.deploy")
    assert (("Notebook", "i"),) == deploy.op.announced
    assert ("i",) == deploy.op.announced_ids
