"""Git status once merged: what the workspace did stays, what the branch does comes from trees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.live.itemtree import ItemTree, TreeItem, born_logical_id
from reconciler.live.models import ChangeType, ConflictType, LiveChange, LiveStatus
from reconciler.live.preview import status_once_merged

NOTHING = ItemTree({})
OBJECT = "347a2755-b988-4c18-8fbc-d167a80d71a1"


def tree(**items: str) -> ItemTree:
    """Return notebooks by logicalId; the value is ``name`` or ``name=content``."""
    out = {}
    for key, text in items.items():
        name, _, content = text.partition("=")
        out[key] = TreeItem(key, "Notebook", name, "", None, {"x.py": content})
    return ItemTree(out)


def line(
    remote: str | None = None,
    local: str | None = None,
    conflict: str = "None",
    *,
    key: str | None = "a",
    name: str = "A",
    object_id: str | None = "o",
) -> LiveChange:
    """Return a line of git status."""
    return LiveChange(
        "Notebook",
        name,
        object_id,
        key,
        ChangeType(remote) if remote else None,
        ChangeType(local) if local else None,
        ConflictType(conflict),
    )


ONE, TWO, THREE = tree(a="A=1"), tree(a="A=2"), tree(a="A=3")

CASES = {
    "nothing changes": ((), ONE, ONE, ONE, []),
    "the merge changes it": ((), ONE, TWO, ONE, [("A", "Modified", None, "None")]),
    "it comes": ((), NOTHING, ONE, NOTHING, [("A", "Added", None, "None")]),
    "it goes": ((), ONE, NOTHING, ONE, [("A", "Deleted", None, "None")]),
    "it is renamed": ((), ONE, tree(a="B=1"), ONE, [("A", "Modified", None, "None")]),
    "the branch had it already": (
        (line("Modified"),),
        ONE,
        TWO,
        TWO,
        [("A", "Modified", None, "None")],
    ),
    "both sides, foreseen": (
        (line(None, "Modified"),),
        ONE,
        TWO,
        ONE,
        [("A", "Modified", "Modified", "Conflict")],
    ),
    "both sides deleted it": (
        (line(None, "Deleted", object_id=None),),
        ONE,
        NOTHING,
        ONE,
        [("A", "Deleted", "Deleted", "SameChanges")],
    ),
    "the service's verdict stands where the merge adds nothing": (
        (line("Modified", "Modified", "SameChanges"),),
        ONE,
        TWO,
        TWO,
        [("A", "Modified", "Modified", "SameChanges")],
    ),
    "the verdict falls where the merge goes on": (
        (line("Modified", "Modified", "SameChanges"),),
        ONE,
        THREE,
        TWO,
        [("A", "Modified", "Modified", "Conflict")],
    ),
    "the merge takes back what the branch brought": ((line("Modified"),), ONE, ONE, TWO, []),
    "the same, and the workspace changed it": (
        (line("Modified", "Modified", "Conflict"),),
        ONE,
        ONE,
        TWO,
        [("A", None, "Modified", "None")],
    ),
    "local changes of others stay": (
        (line(None, "Modified", key="b", name="B"), line(None, "Added", key=None, name="C")),
        ONE,
        TWO,
        ONE,
        [
            ("A", "Modified", None, "None"),
            ("B", None, "Modified", "None"),
            ("C", None, "Added", "None"),
        ],
    ),
    "an unknown tip keeps what is incoming": (
        (line("Added", key="b", name="B", object_id=None), line("Modified")),
        ONE,
        ONE,
        None,
        [("A", "Modified", None, "None"), ("B", "Added", None, "None")],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_status_once_merged(case):
    """Remote, workspace and conflict of every item, by logicalId."""
    changes, synced, merged, tip, expected = CASES[case]
    status = LiveStatus("head", "tip", changes)
    found = status_once_merged(status, synced, merged, tip, "rev")
    assert ("head", "rev") == (found.workspace_head, found.remote_hash)
    assert expected == [
        (
            c.name,
            c.remote.value if c.remote else None,
            c.workspace.value if c.workspace else None,
            c.conflict.value,
        )
        for c in found.changes
    ]


def test_the_workspaces_own_name_of_an_item_is_kept():
    """Git status names an item as the workspace does; so does what is announced."""
    status = LiveStatus("head", "tip", (line(None, "Modified", name="Mine"),))
    (found,) = status_once_merged(status, ONE, tree(a="Theirs=1"), ONE, "rev").changes
    assert ("Mine", "Renamed", "becomes Theirs") == (found.name, found.word, found.detail)


def test_an_uncommitted_item_that_comes_back_from_git_is_one_item():
    """Its logicalId is known from its object id before git status tells it."""
    key = born_logical_id(OBJECT)
    mine = replace(line(None, "Added", key=None), object_id=OBJECT)
    merged = ItemTree({key: TreeItem(key, "Notebook", "A", "", None, {})})
    status = LiveStatus("head", "tip", (mine,))
    (found,) = status_once_merged(status, NOTHING, merged, NOTHING, "rev").changes
    assert (ChangeType.ADDED, ChangeType.ADDED, ConflictType.CONFLICT) == (
        found.remote,
        found.workspace,
        found.conflict,
    )
