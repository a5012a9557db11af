"""Syncs: the direction matrix, conflicts, overrides, ignore rules, and workspaces on one branch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from .world import (
    GIT,
    MAIN,
    before,
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
    workspaces,
)

UPDATE, COMMIT = "git.update", "git.commit"


def sync(options: str, *changes, rules: str = ""):
    """Plan one bound workspace with these sync options and this git status."""
    text = f"workspaces: [{{name: A, git: {GIT}, sync: {{{options}}}}}}}]\n{rules}"
    return plan(text, snapshot(workspaces=workspaces("A"), bindings={"A": bound(*changes)}))


MATRIX = [
    ("update", "in", [UPDATE], []),
    ("update", "local", [], []),
    ("update", "both", [UPDATE], []),
    ("commit", "in", [], []),
    ("commit", "local", [COMMIT], []),
    ("commit", "both", [], ["incoming_blocks_commit"]),
    ("commit", "clash", [], ["incoming_blocks_commit"]),
    ("both", "in", [UPDATE], []),
    ("both", "local", [COMMIT], []),
    ("both", "both", [UPDATE, COMMIT], []),
    ("both", "clash", [], ["git_conflict"]),
    ("update", "clash", [], ["git_conflict"]),
    ("none", "both", [], []),
    ("none", "clash", [], []),
    ("both", "nothing", [], []),
    ("update", "same", [UPDATE], []),
]
STATUS = {
    "in": (incoming("i"),),
    "local": (local("l"),),
    "both": (incoming("i"), local("l")),
    "clash": (clash("c"),),
    "nothing": (),
    "same": (change("s", remote="Modified", local="Modified", conflict="SameChanges"),),
}


@pytest.mark.parametrize(("direction", "status", "expected", "errors"), MATRIX)
def test_direction_decides_what_is_done_and_what_is_reported(direction, status, expected, errors):
    """The direction matrix of the contract; what is not done is drift."""
    found = sync(f"direction: {direction}", *STATUS[status])
    assert expected == kinds(found)
    assert errors == codes(found)
    causes = {
        "in": ["incoming"],
        "local": ["local"],
        "both": ["incoming", "local"],
        "clash": ["incoming"],
        "nothing": [],
        "same": ["incoming"],
    }
    assert causes[status] == [d.cause for d in found.drift]


def test_actions_say_what_they_take_and_what_they_rely_on():
    """Items, heads and order of an update and the commit after it."""
    found = sync("direction: both", incoming("i"), local("l"))
    update, commit = only(found, UPDATE), only(found, COMMIT)
    assert ["i"] == [i.name for i in update.items]
    assert {"workspace_head": "head", "remote_commit_hash": "tip"} == update.preconditions
    assert ["l"] == [i.name for i in commit.items]
    assert {"workspace_head": "tip", "remote_commit_hash": "tip"} == commit.preconditions
    assert (update.id,) == commit.depends_on


CONFLICTS = {"PreferRemote": True, "PreferWorkspace": False}


@pytest.mark.parametrize("policy", CONFLICTS)
def test_conflict_policy_lets_an_update_run_and_marks_what_is_lost(policy):
    """Only PreferRemote loses workspace changes."""
    found = sync(f"conflicts: {policy}", clash("c"))
    assert [(UPDATE, CONFLICTS[policy])] == [(a.kind, a.destructive) for a in found.actions]
    assert ["Conflict"] == [i.conflict for i in found.actions[0].items]


def test_what_the_workspace_keeps_in_a_conflict_is_committed_after_the_update():
    """Else the commit would meet a change that nobody announced."""
    found = sync("direction: both, conflicts: PreferWorkspace", clash("c"), local("l"))
    assert [UPDATE, COMMIT] == kinds(found)
    assert ["c", "l"] == [i.name for i in only(found, COMMIT).items]


def test_update_that_deletes_is_destructive():
    """Items removed in Git go away in the workspace."""
    found = sync("direction: update", change("gone", remote="Deleted"))
    assert [True] == [a.destructive for a in found.actions]


@pytest.mark.parametrize(("remote", "expected"), [("Modified", []), ("Added", [UPDATE])])
def test_override_consent_counts_only_for_items_that_are_there(remote, expected):
    """A new item overrides nothing."""
    found = sync("allowOverride: false", change("i", remote=remote))
    assert expected == kinds(found)
    assert ([] if expected else ["override_not_allowed"]) == codes(found)


def test_selective_commit_takes_only_its_items():
    """Brackets in a pattern stand for themselves."""
    options = "direction: commit, commit: {mode: Selective, items: [{name: 'Ingest [*'}]}"
    found = sync(options, local("Ingest [a]"), local("Ingest a"))
    assert ["Ingest [a]"] == [i.name for i in only(found, COMMIT).items]
    # What the commit leaves is told apart: an apply does not settle it.
    assert [("Ingest [a]", True), ("Ingest a", False)] == [
        (i.name, d.planned) for d in found.drift for i in d.items
    ]


def test_selective_commit_without_a_matching_change_does_nothing():
    """What the pattern leaves out is reported."""
    options = "direction: commit, commit: {mode: Selective, items: [{name: x}]}"
    found = sync(options, local("l"))
    assert [] == kinds(found)
    assert [("local", False)] == [(d.cause, d.planned) for d in found.drift]


# -- ignore --


def rule(pattern: str, items: str = "", path: str = "") -> str:
    """Return one ignore rule."""
    more = (f", items: [{items}]" if items else "") + (f", path: '{path}'" if path else "")
    return f'ignore: [{{address: "{pattern}"{more}}}]'


IGNORED = rule("workspaces/*/git", "{type: Notebook, name: 'x*'}")
IGNORE_TABLE = {
    "incoming": ("update", (incoming("x1"),), [], ["x1"]),
    "incoming beside others": ("update", (incoming("x1"), incoming("i")), [UPDATE], []),
    "local": ("commit", (local("x1"),), [], ["x1"]),
    "local beside others": ("commit", (local("x1"), local("l")), [COMMIT], ["x1"]),
    "conflict": ("update", (clash("x1"),), [], ["x1"]),
    "incoming under a commit": ("both", (incoming("x1"), local("l")), [UPDATE, COMMIT], []),
    "nothing wanted": ("both", (incoming("x1"), local("x2")), [], ["x1", "x2"]),
}


@pytest.mark.parametrize("name", IGNORE_TABLE)
def test_ignored_items_start_nothing_and_are_counted(name):
    """An ignored item causes no action and no drift, unless a whole update brings it along."""
    direction, changes, expected, counted = IGNORE_TABLE[name]
    found = sync(f"direction: {direction}", *changes, rules=IGNORED)
    assert expected == kinds(found)
    assert counted == [i.name for e in found.ignored for i in e.items]
    shown = {i.name for d in found.drift for i in d.items}
    assert not shown & set(counted)
    assert [] == codes(found)


def test_commit_beside_ignored_changes_announces_only_its_own():
    """The commit of mode All must not take what is ignored."""
    found = sync("direction: commit", local("x1"), local("l"), rules=IGNORED)
    assert ["l"] == [i.name for i in only(found, COMMIT).items]


def test_conflict_on_an_ignored_item_still_stops_an_update_that_would_meet_it():
    """An update is all or nothing, so its conflicts are too."""
    found = sync("direction: update", clash("x1"), incoming("i"), rules=IGNORED)
    assert ["git_conflict"] == codes(found)


def test_rule_without_items_leaves_the_whole_binding_alone():
    """Everything at the address is ignored, fields included."""
    found = sync("direction: both", incoming("i"), local("l"), rules=rule("workspaces/A/git"))
    assert ([], (), 2) == (kinds(found), found.drift, len(found.ignored[0].items))


def test_field_changes_are_left_alone_by_a_rule_for_their_address():
    """A description somebody edits on purpose is no drift."""
    text = "workspaces: [{name: A, description: new}]\n" + rule("workspaces/*")
    found = plan(text, snapshot(workspaces=workspaces("A")))
    assert ([], (), ["workspaces/A"]) == (
        kinds(found),
        found.drift,
        [e.address for e in found.ignored],
    )


def test_rule_for_other_addresses_ignores_nothing():
    """Rules reach as far as their address pattern."""
    found = sync("direction: update", incoming("x1"), rules=rule("workspaces/B/git"))
    assert ([UPDATE], ()) == (kinds(found), found.ignored)


# -- several workspaces on one branch --


def branch(*members: tuple[str, str, str, tuple], status=None):
    """Plan workspaces (name, direction, directory, changes) on one branch."""
    entries = ", ".join(
        f"{{name: {n}, git: {GIT}, directory: {d}, sync: {{direction: {way}}}}}}}"
        for n, way, d, _ in members
    )
    return plan(
        f"workspaces: [{entries}]",
        snapshot(
            workspaces=workspaces(*(m[0] for m in members)),
            bindings={
                n: bound(*changes, target=replace(MAIN, directory=d))
                for n, _, d, changes in members
            },
        ),
    )


def test_commit_is_followed_by_an_update_of_the_others_on_its_branch():
    """A commit moves the tip for everybody who sees the directory."""
    found = branch(("A", "commit", "/f", (local("l"),)), ("B", "update", "/f", ()))
    commit, update = only(found, COMMIT), only(found, UPDATE)
    assert "workspaces/B/git" == update.address
    assert (commit.id,) == update.depends_on
    assert "follows_commit" == update.reason.code
    assert ["l"] == [i.name for i in update.items]
    assert update.after_unknown


@pytest.mark.parametrize(("way", "directory"), [("none", "/f"), ("commit", "/g"), ("update", "/g")])
def test_commit_is_not_followed_where_it_is_not_seen_or_not_wanted(way, directory):
    """Other directories see nothing of it."""
    found = branch(("A", "commit", "/f", (local("l"),)), ("B", way, directory, ()))
    assert [COMMIT] == kinds(found)


def test_planned_update_waits_for_the_commit_and_expects_its_items():
    """Both would else race for the tip; and more arrives than git status says today."""
    found = branch(("A", "commit", "/f", (local("l"),)), ("B", "update", "/f", (incoming("i"),)))
    commit, update = only(found, COMMIT), only(found, UPDATE)
    assert commit.id in update.depends_on
    assert ["i", "l"] == sorted(i.name for i in update.items)
    assert {"workspace_head": "head"} == update.preconditions


def test_update_of_another_directory_waits_too_since_the_tip_moves():
    """The precondition on the tip would else fail on our own commit."""
    found = branch(("A", "commit", "/f", (local("l"),)), ("B", "update", "/g", (incoming("i"),)))
    update = only(found, UPDATE)
    assert only(found, COMMIT).id in update.depends_on
    assert "remote_commit_hash" not in update.preconditions
    assert ["i"] == [i.name for i in update.items]


def test_two_commits_on_one_branch_go_one_after_the_other():
    """The second one does not expect the tip that the first one moves."""
    found = branch(("A", "commit", "/f", (local("l"),)), ("B", "commit", "/g", (local("m"),)))
    first, second = only(found, COMMIT, "workspaces/A"), only(found, COMMIT, "workspaces/B")
    assert (first.id,) == second.depends_on
    assert {"workspace_head": "head"} == second.preconditions


def test_nested_directories_that_both_commit_make_no_circle():
    """Each takes in what was committed before it, and the first catches up at the end."""
    found = branch(
        ("A", "both", "/", (incoming("i"), local("l"))),
        ("B", "both", "/b", (incoming("j"), local("m"))),
    )
    assert [] == codes(found)
    first, second = only(found, COMMIT, "workspaces/A"), only(found, COMMIT, "workspaces/B")
    own = only(found, UPDATE, "workspaces/B")
    assert first.id in before(found, own)
    assert own.id in before(found, second)
    assert {} == second.preconditions
    catching_up = next(a for a in found.actions if a.id.endswith("#2"))
    assert "workspaces/A/git" == catching_up.address
    assert second.id in before(found, catching_up)


def test_second_committer_updates_first_when_it_had_nothing_incoming():
    """Its own commit would else be refused for what the first one brought."""
    found = branch(("A", "both", "/", (local("l"),)), ("B", "both", "/b", (local("m"),)))
    update = only(found, UPDATE, "workspaces/B")
    assert update.id in before(found, only(found, COMMIT, "workspaces/B"))
    assert only(found, COMMIT, "workspaces/A").id in before(found, update)


def test_committer_that_may_not_update_is_told_that_another_comes_first():
    """Two workspaces that only commit, one inside the other, cannot both succeed."""
    found = branch(("A", "commit", "/", (local("l"),)), ("B", "commit", "/b", (local("m"),)))
    assert ["incoming_blocks_commit"] == codes(found)


def test_first_binding_to_a_branch_waits_for_the_commit_that_fills_it():
    """What initialise asks for depends on what the branch holds by then."""
    text = (
        f"workspaces: [{{name: A, git: {GIT}, sync: {{direction: commit}}}}}}, "
        f"{{name: B, git: {GIT}}}}}]"
    )
    live = snapshot(
        workspaces={"A": workspace("A"), "B": workspace("B", items=())},
        bindings={"A": bound(local("l")), "B": unbound(folders=1)},
    )
    found = plan(text, live)
    assert only(found, COMMIT).id in before(found, only(found, "git.initialize"))
    assert only(found, COMMIT).id in before(found, only(found, UPDATE))


def test_unknown_workspace_does_not_follow():
    """Nothing is planned on what could not be read."""
    text = (
        f"workspaces: [{{name: A, git: {GIT}, sync: {{direction: commit}}}}}}, "
        f"{{name: B, git: {GIT}}}}}]"
    )
    live = snapshot(
        workspaces=workspaces("A", "B"),
        bindings={"A": bound(local("l"))},
        unreadable=("workspaces/B/git",),
    )
    assert [COMMIT] == kinds(plan(text, live))


@pytest.mark.parametrize("more", ["", ", conflicts: PreferRemote", ", allowOverride: true"])
def test_a_new_item_of_git_never_takes_the_place_of_an_uncommitted_one(more):
    """Git status calls two items of one name no conflict; nothing made by hand may go for it."""
    by_hand = change("x", local="Added")
    from_git = replace(change("x", remote="Added"), object_id=None, logical_id="another")
    found = sync(f"direction: update{more}", by_hand, from_git)
    assert ["uncommitted_name_taken"] == codes(found)
    assert [] == kinds(found)


NEW, THEIRS = change("x", local="Added"), change("x", local="Modified")
INCOMING, OTHERS = change("x", remote="Added"), change("x", remote="Modified")


@pytest.mark.parametrize(
    ("options", "changes", "expected"),
    [
        ("sync: {direction: update}", [NEW], [COMMIT]),
        ("sync: {direction: commit}", [INCOMING], [UPDATE]),
        ("sync: {direction: none}", [NEW], []),
        ("sync: {direction: update}", [THEIRS], []),
        ("sync: {direction: update}, initialize: PreferRemote", [THEIRS], []),
        ("sync: {direction: update}, initialize: PreferWorkspace", [THEIRS], [COMMIT]),
        ("sync: {direction: commit}", [OTHERS], []),
        ("sync: {direction: commit}, initialize: PreferRemote", [OTHERS], [UPDATE]),
        ("sync: {direction: update, drift: resync}", [NEW], [COMMIT]),
        ("sync: {direction: update}", [NEW, change("y", remote="Added")], [UPDATE]),
    ],
)
def test_a_binding_that_was_never_synchronised_still_gets_its_first_sync(
    options, changes, expected
):
    """What a run cut off after initialise leaves is finished; nothing is overwritten unasked."""
    text = f"workspaces: [{{name: A, git: {GIT}, {options}}}}}]\n"
    never = bound(*changes, head=None, synced=None)
    found = plan(text, snapshot(workspaces=workspaces("A"), bindings={"A": never}))
    assert expected == kinds(found)


@pytest.mark.parametrize(("direction", "change_"), [("update", NEW), ("commit", INCOMING)])
def test_a_binding_that_was_synchronised_keeps_to_its_direction(direction, change_):
    """The same status is drift once there has been a first sync, even if its head is not known."""
    text = f"workspaces: [{{name: A, git: {GIT}, sync: {{direction: {direction}}}}}}}]\n"
    once = bound(change_, head=None, synced="2026-01-01T00:00:00+00:00")
    found = plan(text, snapshot(workspaces=workspaces("A"), bindings={"A": once}))
    assert [] == kinds(found)
    assert [False] == [entry.planned for entry in found.drift]
