"""A plan held to a reviewed one: less is fine, anything beyond is named."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.plan import actions as a
from reconciler.plan.actions import Action, ItemChange, ItemRef, Reason
from reconciler.plan.expect import beyond_reviewed
from reconciler.plan.plan import Plan, PlanSpec, summarise

GIT = "workspaces/W/git"
DEPLOY = "pipelines/P/deployments/A:B"


def plan(*actions: Action) -> Plan:
    """Return a plan of these actions."""
    return Plan(
        reconciler_version="1",
        created_at="",
        spec=PlanSpec(name="s", digest=""),
        endpoints={},
        summary=summarise(actions),
        actions=actions,
    )


def item(name: str, change: str = "Modified", conflict: str | None = None) -> ItemChange:
    """Return a notebook."""
    return ItemChange(type="Notebook", name=name, change=change, conflict=conflict)


def action(op: Any, address: str, *items: ItemChange, suffix: str = "", **fields: Any) -> Action:
    """Return an action."""
    return Action(
        id=f"{op.kind}:{address}{suffix}",
        kind=op.kind,
        address=address,
        reason=Reason(code="c", text="t"),
        items=items,
        op=op,
        **fields,
    )


def update(*items: ItemChange, op: dict[str, Any] | None = None, **fields: Any) -> Action:
    """Return an update from Git."""
    return action(a.UpdateFromGit(workspace="workspaces/W", **(op or {})), GIT, *items, **fields)


def deploy(*items: ItemChange, op: dict[str, Any] | None = None, **fields: Any) -> Action:
    """Return a deployment."""
    base = {
        **{"pipeline": "pipelines/P", "source": "s", "target": "t"},
        **{"source_order": 0, "target_order": 1},
        **{"source_workspace": "workspaces/W", "target_workspace": "workspaces/V"},
    }
    return action(a.Deploy(**{**base, **(op or {})}), DEPLOY, *items, **fields)


def describe(text: str, before: str = "old", **fields: Any) -> Action:
    """Return an update of a workspace's description."""
    changes = (a.FieldChange(path="description", before=before, after=text),)
    return action(a.UpdateWorkspace(description=text), "workspaces/W", changes=changes, **fields)


def unassign(before: str) -> Action:
    """Return the loss of a stage's workspace."""
    changes = (a.FieldChange(path="workspace", before=before),)
    op = a.UnassignStage(pipeline="pipelines/P")
    return action(op, "pipelines/P/stages/S", changes=changes, destructive=True)


def refs(*names: str) -> dict[str, Any]:
    """Return a deployment's exact items; ids are in lower case."""
    return {"items": tuple(ItemRef(id=n.lower(), type="Notebook", name=n) for n in names)}


OPEN = {"after_unknown": True}

FINE = {
    "the same": ([update(item("A"))], [update(item("A"))]),
    "nothing": ([update(item("A"))], []),
    "fewer actions": ([update(item("A")), deploy(item("A"))], [deploy(item("A"))]),
    "fewer items": ([update(item("A"), item("B"))], [update(item("B"))]),
    "a rename that git status calls a change": (
        [update(item("A", "Renamed"))],
        [update(item("A"))],
    ),
    "exact where it was open about when": (
        [deploy(item("A", "New"), op={"announced": (("Notebook", "A"),)}, **OPEN)],
        [deploy(item("A", "New"), op=refs("A"))],
    ),
    "a new name of an item that is known": (
        [
            deploy(
                item("A"), op={"announced": (("Notebook", "A"),), "announced_ids": ("x",)}, **OPEN
            )
        ],
        [deploy(item("X", "Different"), op=refs("X"))],
    ),
    "still open": ([update(**OPEN)], [update(**OPEN)]),
    "in parts": (
        [deploy(item("A"), item("B"))],
        [deploy(item("A"), suffix="#1"), deploy(item("B"), suffix="#2")],
    ),
    "another note": ([deploy(item("A"), op={"note": "1"})], [deploy(item("A"), op={"note": "2"})]),
    "destructive as announced": (
        [update(item("A", "Deleted"), destructive=True)],
        [update(item("A", "Deleted"), destructive=True)],
    ),
    "another value before": ([describe("x", "old")], [describe("x", "older")]),
}


@pytest.mark.parametrize("case", FINE)
def test_what_was_announced_may_be_done(case):
    """The reviewed plan is an upper bound."""
    reviewed, now = FINE[case]
    assert () == beyond_reviewed(plan(*reviewed), plan(*now))


BEYOND = {
    "another kind": ([update(item("A"))], [deploy(item("A"))], DEPLOY, "was not announced (Note"),
    "another address": (
        [update(item("A"))],
        [update(item("A")).model_copy(update={"address": "workspaces/X/git"})],
        "workspaces/X/git",
        "git.update was not announced (Notebook A)",
    ),
    "another item": (
        [update(item("A"))],
        [update(item("A"), item("B"))],
        GIT,
        "git.update would also take Notebook B",
    ),
    "a deletion": (
        [update(item("A"))],
        [update(item("A", "Deleted"))],
        GIT,
        "git.update would also delete Notebook A",
    ),
    "a change of what was to be deleted": (
        [update(item("A", "Deleted"))],
        [update(item("A"))],
        GIT,
        "would also take Notebook A",
    ),
    "a conflict": (
        [update(item("A"), op={"conflicts": "PreferRemote"})],
        [update(item("A", conflict="Conflict"), op={"conflicts": "PreferRemote"})],
        GIT,
        "would decide a conflict over Notebook A",
    ),
    "destruction": (
        [update(item("A"))],
        [update(item("A"), destructive=True)],
        GIT,
        "would be destructive",
    ),
    "items where the list was open": (
        [update(**OPEN)],
        [update(item("A"))],
        GIT,
        "would also take Notebook A",
    ),
    "an open list where items were named": (
        [update(item("A"))],
        [update(**OPEN)],
        GIT,
        "would take items that it cannot name yet",
    ),
    "an open deployment": (
        [deploy(item("A"), op={"announced": (("Notebook", "A"),)}, **OPEN)],
        [deploy(item("A"), **OPEN)],
        DEPLOY,
        "would take items that it cannot name yet",
    ),
    "another value": (
        [describe("x")],
        [describe("y")],
        "workspaces/W",
        'would set description to "y"',
    ),
    "the loss of something else": (
        [unassign("Seen")],
        [unassign("Unseen")],
        "pipelines/P/stages/S",
        'would replace "Unseen" in workspace',
    ),
    "another way to settle conflicts": (
        [update(item("A"))],
        [update(item("A"), op={"conflicts": "PreferRemote"})],
        GIT,
        "would be carried out otherwise (conflicts)",
    ),
}


@pytest.mark.parametrize("case", BEYOND)
def test_what_was_not_announced_is_named(case):
    """Kind, address, items, what happens to them, and how."""
    reviewed, now, address, text = BEYOND[case]
    found = beyond_reviewed(plan(*reviewed), plan(*now))
    assert address == found[0].address
    assert any(text in b.text for b in found), found


def test_many_items_are_counted():
    """A message stays readable whatever was pushed."""
    (found,) = beyond_reviewed(plan(update()), plan(update(*(item(f"i{n:02}") for n in range(30)))))
    assert "Notebook i09 and 20 more" in found.text
