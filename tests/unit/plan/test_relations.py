"""Branched-out relations: planned with --beta only, after both workspaces are bound."""

from __future__ import annotations

from dataclasses import replace

from reconciler.live.models import LiveBinding, LiveRelation

from .world import (
    MAIN,
    before,
    bound,
    codes,
    incoming,
    kinds,
    only,
    plan,
    snapshot,
    unbound,
    workspaces,
)

RELATION = "git.relation"
PLACE = "provider: AzureDevOps, organization: contoso, project: Sales, repository: r"
A = f"{{name: A, git: {{{PLACE}, branch: f, initialize: PreferRemote, relation: {{base: B}}}}}}"
B = f"{{name: B, git: {{{PLACE}, branch: main}}}}"
FEATURE = replace(MAIN, branch="f")


def related(
    *relations: LiveRelation,
    live: LiveBinding | None = None,
    beta: bool = True,
    text: str = f"{A}, {B}",
    **parts,
):
    """Plan A, branched out from B, with these relations read."""
    mine = live or replace(bound(target=FEATURE), relations=relations)
    present = snapshot(
        workspaces=workspaces("A", "B", items=()), bindings={"A": mine, "B": bound()}, **parts
    )
    return plan(f"workspaces: [{text}]", present, beta=beta)


def base(workspace: str) -> LiveRelation:
    """Return a relation to a base."""
    return LiveRelation("r1", f"ws-{workspace}", "Base")


def test_missing_relation_is_set():
    """The change names the base, and drift knows of it."""
    found = related()
    assert [RELATION] == kinds(found)
    assert [("relation", None, "B")] == [
        (c.path, c.before, c.after) for c in only(found, RELATION).changes
    ]
    assert [("field", True)] == [(d.cause, d.planned) for d in found.drift]


def test_relation_that_is_there_is_left_alone():
    """Relations of other kinds are nobody's base."""
    assert [] == kinds(related(base("B"), LiveRelation("r2", "ws-X", "Branch")))


def test_relation_to_another_base_is_replaced():
    """The old one is named by what it points at, and removed by its id."""
    found = related(base("X"), visible={"X": "ws-X"})
    action = only(found, RELATION)
    assert "r1" == action.op.replaces
    assert [("X", "B")] == [(c.before, c.after) for c in action.changes]


def test_without_beta_nothing_is_planned_and_it_is_said():
    """A preview API is used on request only."""
    found = related(beta=False)
    assert (["needs_beta"], []) == (codes(found), kinds(found))


def test_relation_waits_until_both_are_bound():
    """The service refuses to relate workspaces that are not bound."""
    present = snapshot(
        workspaces=workspaces("A", "B", items=()),
        bindings={"A": unbound(folders=1), "B": unbound(folders=1)},
    )
    found = plan(f"workspaces: [{A}, {B}]", present, beta=True)
    waited = before(found, only(found, RELATION))
    assert {"git.update:workspaces/A/git", "git.update:workspaces/B/git"} <= waited


def test_relation_that_a_switch_may_take_is_looked_at_after_it():
    """A disconnect takes relations, as far as is known."""
    live = replace(
        bound(incoming("n"), target=replace(MAIN, branch="old")),
        content=unbound(folders=1).content,
        relations=(base("B"),),
    )
    found = related(live=live)
    action = only(found, RELATION)
    assert action.after_unknown
    assert "git.switch:workspaces/A/git" in before(found, action)


def test_base_outside_the_spec_is_found_live_or_refused():
    """A name that nobody sees is an error before any write."""
    seen = related(text=A, visible={"B": "ws-B"})
    assert [RELATION] == kinds(seen)
    assert "ws-B" == seen.bindings["workspaces/B"]
    unseen = related(text=A.replace("base: B", "base: Nowhere"))
    assert (["relation_base_missing"], []) == (codes(unseen), kinds(unseen))


def test_relations_that_cannot_be_read_are_unknown():
    """Unreadable is never absent; the binding itself goes on."""
    found = related(
        live=replace(bound(incoming("n"), target=FEATURE), relations=None),
        unreadable=("workspaces/A/git/relation",),
    )
    assert (["git.update"], ("workspaces/A/git/relation",)) == (kinds(found), found.unknown)


def test_ignored_binding_keeps_its_relation():
    """A rule without items covers fields of a binding."""
    present = snapshot(
        workspaces=workspaces("A", "B", items=()),
        bindings={"A": replace(bound(target=FEATURE), relations=()), "B": bound()},
    )
    text = f"ignore: [{{address: workspaces/A/git}}]\nworkspaces: [{A}, {B}]"
    assert [] == kinds(plan(text, present, beta=True))
