"""Definitions: what a deployment rewrites or a serialiser shuffles is no difference."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diff.definitions import IdMap, compare_definitions, logical_id_in, logical_id_of
from reconciler.diff.ignore import IgnoredPath
from reconciler.live.models import Definition

OBJECT = "347a2755-b988-4c18-8fbc-d167a80d71a1"
LOGICAL = "a80d71a1-d167-8fbc-4c18-b988347a2755"  # fabric-api.md section 9, recorded
TWIN = "b51d4be3-0000-4000-8000-00000000abcd"
NOBODY = IdMap({})


def compare(source: bytes, target: bytes, path: str = "f.py", **options):
    """Compare one part of two definitions."""
    return compare_definitions(
        Definition({path: source}), Definition({path: target}), NOBODY, NOBODY, **options
    )


def platform(logical_id: str = LOGICAL, name: str = "Orders", **more: object) -> bytes:
    """Return a .platform part."""
    return json.dumps(
        {
            "metadata": {"displayName": name},
            "config": {"version": "2.0", "logicalId": logical_id} | more,
        }
    ).encode()


EQUAL = {
    "same bytes": ("f.py", b"a\n", b"a\n"),
    "line endings": ("f.py", b"a\r\nb\r\n", b"a\nb\n"),
    "final newline": ("f.py", b"a", b"a\n"),
    "byte order mark": ("f.py", b"\xef\xbb\xbfa", b"a"),
    "JSON key order": ("f.json", b'{"a": 1, "b": 2}', b'{"b": 2, "a": 1}'),
    "JSON indent": ("f.json", b'{"a": [1]}', b'{\n  "a": [\n 1]}'),
    "JSON line endings and mark": ("f.json", b'\xef\xbb\xbf{"a":\r\n1}', b'{"a": 1}'),
    "JSON NaN": ("f.json", b'{"a": NaN, "b": 1}', b'{"b": 1, "a": NaN}'),
    "YAML key order": ("f.yml", b"a: 1\nb: 2", b"b: 2\na: 1"),
    "YAML dates": ("f.yaml", b"a: 2026-01-01\nb: 2", b"b: 2\na: 2026-01-01"),
    "logicalId of .platform": (".platform", platform(LOGICAL), platform(TWIN)),
    "logicalId in a nested .platform": ("X/.platform", platform(LOGICAL), platform(TWIN)),
    "binary": ("f.bin", b"\0\r\n", b"\0\r\n"),
}
DIFFERENT = {
    "text": ("f.py", b"a\nx\nc", b"a\nb\nc", "line 2"),
    "one line more": ("f.py", b"a\nb", b"a", "line 2"),
    "JSON value": ("f.json", b'{"a": {"b": 1}}', b'{"a": {"b": 2}}', "/a/b"),
    "JSON list": ("f.json", b'{"a": [1, 2]}', b'{"a": [1, 3]}', "/a/1"),
    "JSON key": ("f.json", b'{"a": 1, "b": 2}', b'{"a": 1}', "/b"),
    "JSON key with a slash": ("f.json", b'{"a/b~": 1}', b'{"a/b~": 2}', "/a~1b~0"),
    "JSON order of a list": ("f.json", b"[1, 2]", b"[2, 1]", "/0"),
    "JSON true is not 1": ("f.json", b'{"a": true}', b'{"a": 1}', "/a"),
    "JSON null is not missing": ("f.json", b'{"a": null}', b"{}", "/a"),
    "broken JSON": ("f.json", b'{"a": ', b'{"a": 1}', "line 1"),
    "name in .platform": (
        ".platform",
        platform(name="A"),
        platform(name="B"),
        "/metadata/displayName",
    ),
    "version in .platform": (".platform", platform(version="3.0"), platform(), "/config/version"),
    "binary": ("f.bin", b"\0\r\n", b"\0\n", "binary, 2 and 3 bytes"),
    "YAML": ("f.yml", b"a: 1", b"a: 2", "/a"),
}


@pytest.mark.parametrize("name", EQUAL)
def test_what_serialisers_disagree_on_is_no_difference(name):
    """The list of the contract: ids, line endings, final newline, key order."""
    path, source, target = EQUAL[name]
    assert () == compare(source, target, path).differences


@pytest.mark.parametrize("name", DIFFERENT)
def test_differences_are_told_with_their_place(name):
    """A person sees the file and where in it, and can paste that into an ignore rule."""
    path, source, target, where = DIFFERENT[name]
    (found,) = compare(source, target, path).differences
    assert (path, where) == (found.path, found.paths[0])


def test_parts_on_one_side_only_are_differences():
    """A file that came or went is told as such."""
    found = compare_definitions(
        Definition({"a": b"", "b": b""}), Definition({"b": b"", "c": b""}), NOBODY, NOBODY
    )
    assert ["a: only in source", "c: only in target"] == [d.describe() for d in found.differences]


def test_many_differences_are_cut_short():
    """Three places and a count."""
    source = json.dumps({str(n): 1 for n in range(9)}).encode()
    (found,) = compare(source, b"{}", "f.json").differences
    assert ("/0", "/1", "/2", "and 6 more") == found.paths


def test_deeply_nested_json_is_compared_as_text():
    """A hostile definition cannot end the run."""
    source, target = (b'{"a":' * 3000 + v + b"}" * 3000 for v in (b"1", b"2"))
    (found,) = compare(source, target, "f.json").differences
    assert ("line 1",) == found.paths


# -- ids --


def test_logical_id_law_on_the_recorded_example():
    """The bytes of the objectId, reversed by group."""
    assert LOGICAL == logical_id_of(OBJECT.upper())
    assert OBJECT == logical_id_of(LOGICAL)


@pytest.mark.parametrize("source", [OBJECT, LOGICAL, OBJECT.upper()])
@pytest.mark.parametrize("target", [TWIN, logical_id_of(TWIN)])
def test_ids_of_a_pair_mean_the_same_on_both_sides(source, target):
    """References move from a source item to its twin in either spelling."""
    found = compare_definitions(
        Definition({"f.json": json.dumps({"ref": source}).encode()}),
        Definition({"f.json": json.dumps({"ref": target}).encode()}),
        IdMap({OBJECT: "item 0"}),
        IdMap({TWIN: "item 0"}),
    )
    assert () == found.differences


def test_ids_of_different_items_differ():
    """A reference to another item is a change."""
    found = compare_definitions(
        Definition({"f": OBJECT.encode()}),
        Definition({"f": TWIN.encode()}),
        IdMap({OBJECT: "item 0"}),
        IdMap({TWIN: "item 1"}),
    )
    assert 1 == len(found.differences)


def test_unknown_ids_stay_as_they_are():
    """Ids of things outside the two stages are content."""
    assert TWIN.encode() == IdMap({OBJECT: "x"}).apply(TWIN.encode())


STATED = {
    "stated": (platform(TWIN), TWIN),
    "zero id": (platform("00000000-0000-0000-0000-000000000000"), None),
    "no config": (b"{}", None),
    "broken": (b"{", None),
    "not a map": (b"[]", None),
}


@pytest.mark.parametrize("name", STATED)
def test_logical_id_is_read_from_platform_where_it_stands(name):
    """Items that came from Git keep Git's logicalId."""
    content, expected = STATED[name]
    assert expected == logical_id_in(Definition({".platform": content}))


# -- ignored places --

JSON = (b'{"a": {"b": 1, "c": 1}}', b'{"a": {"b": 2, "c": 1}}')
RULES = [
    ("f.json:/a/b", 0, 1),
    ("f.json:/a", 0, 1),
    ("f.json", 0, 1),
    ("*.json:/a/b", 0, 1),
    ("f.json:/a/c", 1, 0),
    ("f.json:/x", 1, 0),
    ("g.json", 1, 0),
]


@pytest.mark.parametrize(("rule", "differences", "ignored"), RULES)
def test_rules_leave_out_a_file_or_a_place_in_it(rule, differences, ignored):
    """What is ignored is counted; what is beside it still differs."""
    found = compare(*JSON, "f.json", ignore=[IgnoredPath.parse(rule)])
    assert (differences, ignored) == (len(found.differences), len(found.ignored))


def test_place_in_a_list_is_left_out():
    """A pointer may go through lists."""
    source, target = b'[{"a": 1, "b": 1}, 2]', b'[{"a": 9, "b": 1}, 2]'
    found = compare(source, target, "f.json", ignore=[IgnoredPath.parse("f.json:/0/a")])
    assert () == found.differences


def test_ignored_file_may_be_missing_on_one_side():
    """A whole file that is ignored does not have to be there."""
    found = compare_definitions(
        Definition({"a": b"1"}), Definition(), NOBODY, NOBODY, ignore=[IgnoredPath("a")]
    )
    assert ((), 1) == (found.differences, len(found.ignored))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PARTS = st.dictionaries(st.sampled_from(["a.json", "b.py", ".platform", "c.yml"]), st.binary())


@given(PARTS)
def test_nothing_differs_from_itself(parts):
    """diff(x, x) is empty, whatever the bytes."""
    same = Definition(parts)
    assert () == compare_definitions(same, same, NOBODY, NOBODY).differences


@given(VALUES)
def test_json_differs_by_value_and_not_by_layout(value):
    """Two ways to write one value are equal."""
    one = json.dumps(value, indent=2, sort_keys=True).replace("\n", "\r\n").encode()
    assert () == compare(one, json.dumps(value).encode(), "f.json").differences


@given(VALUES, VALUES)
def test_json_comparison_is_symmetric(one, two):
    """Which side is the source does not decide whether they differ."""
    here, there = json.dumps(one).encode(), json.dumps(two).encode()
    forward = compare(here, there, "f.json").differences
    assert bool(forward) == bool(compare(there, here, "f.json").differences)
    assert bool(forward) == (json.dumps(one, sort_keys=True) != json.dumps(two, sort_keys=True))
