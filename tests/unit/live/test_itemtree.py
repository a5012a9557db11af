"""Items in trees: reading, comparing by logicalId, and merging file by file."""

from __future__ import annotations

import json

import pytest

from reconciler.live.itemtree import (
    born_logical_id,
    compare_trees,
    merge_files,
    named,
    platform_blobs,
    read_tree,
)


def platform(name: str, logical_id: str, kind: str = "Notebook") -> bytes:
    """Return a ``.platform`` file."""
    return json.dumps(
        {
            "metadata": {"type": kind, "displayName": name},
            "config": {"version": "2.0", "logicalId": logical_id},
        }
    ).encode()


def tree(**files: bytes | str):
    """Return the items of files by path, ``__`` for ``/``; a text is a blob's id as it is."""
    return tree_of({path.replace("__", "/"): content for path, content in files.items()})


def tree_of(files):
    """Return the items of files by path."""
    contents = {f"b{n}": c for n, c in enumerate(files.values()) if isinstance(c, bytes)}
    ids = {c: blob for blob, c in contents.items()}
    return read_tree({p: ids.get(c, c) for p, c in files.items()}, contents)


def one(place: str, name: str = "A", logical_id: str = "L", **files: str):
    """Return a tree with one item."""
    return tree_of(
        {
            f"{place}/.platform": platform(name, logical_id),
            **{f"{place}/{p.replace('_', '.')}": blob for p, blob in files.items()},
        }
    )


def test_items_are_found_wherever_they_lie_and_own_the_files_below_them():
    """Folders above an item are the workspace's; loose files belong to nobody."""
    found = tree_of(
        {
            "readme.md": "x",
            ".platform": platform("root", "r"),
            "etl/A.Notebook/.platform": platform("A", "AA"),
            "etl/A.Notebook/deep/x.py": "x1",
            "E.Eventhouse/.platform": platform("E", "e", "Eventhouse"),
            "E.Eventhouse/.children/K.KQLDatabase/.platform": platform("K", "k", "KQLDatabase"),
            "E.Eventhouse/.children/K.KQLDatabase/s.kql": "s1",
        }
    )
    assert () == found.problems
    assert {"aa", "e", "k"} == set(found.items)
    item, child = found.items["aa"], found.items["k"]
    assert ("Notebook", "A", "etl", None) == (item.type, item.name, item.folder, item.parent)
    assert {".platform", "deep/x.py"} == set(item.files)
    assert ("", "e") == (child.folder, child.parent)
    assert {".platform"} == set(found.items["e"].files)


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b"\xff",
        b"",
        b"{}",
        b'{"metadata": {"type": "N", "displayName": 1}, "config": {"logicalId": "x"}}',
        b'{"metadata": {"type": "N", "displayName": ""}, "config": {"logicalId": "x"}}',
        b"[" * 100_000,
    ],
)
def test_a_system_file_that_cannot_be_read_is_a_problem_with_its_place(content):
    """The service refuses the whole directory for it."""
    found = tree_of({"A.Notebook/.platform": content})
    assert {} == found.items
    assert [("InvalidSystemFiles", True)] == [
        (p.code, "A.Notebook/.platform" in p.text) for p in found.problems
    ]


def test_two_items_of_one_id_or_one_name_are_problems():
    """Codes of the service, and both places."""
    found = tree_of(
        {
            "A.Notebook/.platform": platform("A", "l1"),
            "B.Notebook/.platform": platform("B", "L1"),
            "C/A.Notebook/.platform": platform("A", "l2"),
        }
    )
    assert ["DuplicateLogicalId", "DuplicateDisplayNameAndType"] == [p.code for p in found.problems]
    assert "A.Notebook and C/A.Notebook" in found.problems[1].text


def test_a_name_that_no_file_could_hold_is_made_one():
    """A lone surrogate is valid JSON and would break every output."""
    content = platform("A", "l").replace(b'"A"', b'"\\ud800"')
    assert "?" == tree_of({"A/.platform": content}).items["l"].name


CHANGES = [
    (one("A"), one("A"), None, None),
    (one("A", x_py="1"), one("B", x_py="1"), None, None),
    (tree(), one("A"), "Added", None),
    (one("A"), tree(), "Deleted", None),
    (one("A", x_py="1"), one("A", x_py="2"), "Modified", "x.py"),
    (one("A", x_py="1"), one("A", y_py="1"), "Modified", "x.py, y.py"),
    (one("A"), one("A", name="B"), "Renamed", "becomes B"),
    (one("A"), one("f/A"), "Moved", "folder / becomes f"),
    (
        one("f/A", x_py="1"),
        one("A", name="B", x_py="2"),
        "Renamed",
        "becomes B; folder f becomes /; x.py",
    ),
    (
        one("A", a="1", b="1", c="1", d="1", e="1"),
        one("A", a="2", b="2", c="2", d="2", e="2"),
        "Modified",
        "a, b, c and 2 more",
    ),
]


@pytest.mark.parametrize(("before", "after", "word", "detail"), CHANGES)
def test_changes_are_told_by_logical_id(before, after, word, detail):
    """The name of the directory is no part of an item; its folder is."""
    found = compare_trees(before, after)
    assert [(word, detail)] * (word is not None) == [(c.word, c.detail) for c in found.values()]


def test_a_child_moves_with_its_parents_id_and_not_with_its_directory():
    """Renaming a parent's directory changes nothing of the child."""

    def house(place: str, parent: str):
        return tree_of(
            {
                f"{place}/.platform": platform("E", parent, "Eventhouse"),
                f"{place}/.children/K/.platform": platform("K", "k", "KQLDatabase"),
            }
        )

    assert {} == compare_trees(house("E.Eventhouse", "e"), house("F.Eventhouse", "e"))
    assert "Moved" == compare_trees(house("E", "e"), house("E", "other"))["k"].word


MERGES = [
    ({}, {}, {"a": "1"}, {"a": "1"}, ()),
    ({"a": "1"}, {"a": "1"}, {}, {}, ()),
    ({"a": "1"}, {"a": "2"}, {"a": "1"}, {"a": "2"}, ()),
    ({"a": "1"}, {"a": "2"}, {"a": "2"}, {"a": "2"}, ()),
    ({"a": "1"}, {"a": "2"}, {"a": "3"}, {"a": "3"}, ("a",)),
    ({"a": "1"}, {"a": "2"}, {}, {}, ("a",)),
    ({"a": "1"}, {}, {"a": "3"}, {"a": "3"}, ("a",)),
    ({"a": "1"}, {}, {"a": "1"}, {}, ()),
    ({}, {"a": "1"}, {"b": "1"}, {"a": "1", "b": "1"}, ()),
]


@pytest.mark.parametrize(("base", "ours", "theirs", "merged", "both"), MERGES)
def test_two_sides_merge_file_by_file(base, ours, theirs, merged, both):
    """What one side left alone is taken from the other; a clash is named."""
    assert (merged, both) == merge_files(base, ours, theirs)


def test_only_system_files_below_a_directory_are_read():
    """One of the root itself is no item."""
    files = {".platform": "r", "A/.platform": "a", "A/x.platform": "x", "A/b/.platform": "b"}
    assert {"a", "b"} == platform_blobs(files)


def test_an_item_born_in_a_workspace_has_its_id_turned_round():
    """The recorded example of the reference."""
    assert "a80d71a1-d167-8fbc-4c18-b988347a2755" == born_logical_id(
        "347A2755-b988-4c18-8fbc-d167a80d71a1"
    )
    assert isinstance(born_logical_id("no-guid"), str)


def test_long_lists_are_cut_and_counted():
    """Three names and a number."""
    assert ("", "a", "a, b, c and 1 more") == (named([]), named(["a"]), named("abcd"))
