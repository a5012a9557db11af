"""Resync: when it is planned, what it lists, and what it is refused for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.live.models import ConnectionState, CredentialSource, LiveBinding, LiveRelation

from .world import (
    GIT,
    MAIN,
    bound,
    change,
    clash,
    codes,
    incoming,
    kinds,
    local,
    only,
    plan,
    snapshot,
    unbound,
    workspace,
)

RESYNC = "git.resync"


def resync(live: LiveBinding, git: str = "", head: str = "", *, sync: str = "", beta: bool = True):
    """Plan a workspace whose spec wants drift dropped."""
    text = f"{head}workspaces: [{{name: A, git: {GIT}{git}, sync: {{drift: resync{sync}}}}}}}]"
    found = workspace("A", items=("n",))
    if beta and live.relations is None:
        live = replace(live, relations=())
    return plan(text, snapshot(workspaces={"A": found}, bindings={"A": live}), beta=beta)


def test_uncommitted_changes_are_dropped_and_each_is_listed():
    """What happens to every item stands in the plan, told from what Git has."""
    live = bound(
        change("new", local="Added"), change("gone", local="Deleted"), local("n"), incoming("i")
    )
    found = resync(live)
    assert [RESYNC] == kinds(found)
    action = only(found, RESYNC)
    assert action.destructive
    assert {"workspace_head": "head", "remote_commit_hash": "tip"} == action.preconditions
    shown = {i.name: (i.change, bool(i.detail and "lost" in i.detail)) for i in action.items}
    assert {
        "new": ("Deleted", True),
        "gone": ("Added", True),
        "n": ("Modified", True),
        "i": ("Modified", False),
    } == shown
    assert [("incoming", True), ("local", True)] == [(d.cause, d.planned) for d in found.drift]


def test_conflict_is_resolved_by_a_resync():
    """The consent covers uncommitted changes, those that clash included."""
    found = resync(bound(clash("n")))
    assert ([RESYNC], []) == (kinds(found), codes(found))


def test_incoming_commits_alone_are_a_plain_update():
    """Nothing is bound anew where nothing is to be dropped."""
    assert ["git.update"] == kinds(resync(bound(incoming("n"))))


def test_ignored_changes_alone_cause_no_resync_and_are_listed_when_another_does():
    """A rule is the way out for items that always differ; a resync still takes them along."""
    rule = "ignore: [{address: '**', items: [{name: odd}]}]\n"
    assert [] == kinds(resync(bound(local("odd")), head=rule))
    items = only(resync(bound(local("odd"), local("n")), head=rule), RESYNC).items
    details = {i.name: i.detail or "" for i in items}
    assert (True, False) == ("although ignored" in details["odd"], "ignored" in details["n"])


@pytest.mark.parametrize("direction", ["commit", "both", "none"])
def test_resync_is_for_workspaces_where_git_leads(direction):
    """Elsewhere the word has no effect, and that is said."""
    found = resync(bound(local("n")), sync=f", direction: {direction}")
    assert RESYNC not in kinds(found)
    assert ["resync_needs_update"] == codes(found)


def test_workspace_that_would_win_the_next_first_sync_is_not_unbound():
    """A resync that broke off would otherwise commit what it was to drop."""
    found = resync(bound(local("n")), ", initialize: PreferWorkspace")
    assert (["resync_needs_remote"], []) == (codes(found), kinds(found))
    assert [("local", False)] == [(d.cause, d.planned) for d in found.drift]


@pytest.mark.parametrize(
    ("live", "first"),
    [
        (unbound(folders=1), ["git.connect"]),
        (replace(unbound(folders=1), state=ConnectionState.CONNECTED, target=MAIN), []),
    ],
    ids=["disconnected", "not initialised"],
)
def test_resync_that_broke_off_is_finished_by_the_next_plan(live, first):
    """Git wins the first sync too, destructively, though initialize is unset."""
    found = resync(live)
    assert [*first, "git.initialize", "git.update"] == kinds(found)
    assert "PreferRemote" == only(found, "git.initialize").op.strategy
    assert only(found, "git.update").destructive
    assert [] == codes(found)


def test_credentials_and_relations_are_carried_along():
    """What a disconnect takes is put back, also where the spec does not speak of it."""
    live = replace(
        bound(local("n")),
        credential_source=CredentialSource.CONFIGURED,
        credential_connection_id="id-x",
        relations=(
            LiveRelation("r", "ws-B", "Base"),
            LiveRelation("s", "ws-C", "RelatedWorkspace"),
        ),
    )
    found = resync(live)
    op = only(found, RESYNC).op
    assert "id-x" == found.bindings[op.credentials.connection]
    assert [("ws-B", "Base")] == [(r.workspace_id, r.kind) for r in op.relations]


def test_relations_that_are_not_looked_at_are_warned_of():
    """Without --beta nobody knows whether there are any."""
    found = resync(bound(local("n")), beta=False)
    assert (["relations_not_seen"], [RESYNC]) == (codes(found), kinds(found))
