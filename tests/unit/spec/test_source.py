"""YAML text into data with places: what is accepted, what is refused, and where it points."""

from __future__ import annotations

import time

import pytest

from reconciler.spec.places import find_place, locate, path_text
from reconciler.spec.source import MAX_FILE_BYTES, read_source

REFUSED = [
    pytest.param(b"a: b\n\tc: 1\n", "tab_indentation", 2, 1, "only spaces", id="tab"),
    pytest.param(b"a:\n  - x\n \t- y\n", "tab_indentation", 3, 2, "only spaces", id="late tab"),
    pytest.param(b"a: 1\nb: 2\na: 3\n", "duplicate_key", 3, 1, "line 1", id="duplicate"),
    pytest.param(b"a: {b: 1, b: 2}", "duplicate_key", 1, 11, '"b"', id="duplicate in flow"),
    pytest.param(b"", "empty_file", 1, 1, "empty", id="empty"),
    pytest.param(b"# only a comment\n", "empty_file", 1, 1, "empty", id="comment"),
    pytest.param(b"a: 1\n---\nb: 2\n", "several_documents", 2, 1, "second", id="documents"),
    pytest.param(b"a: \xff\n", "not_utf8", 1, 4, "0xff", id="latin"),
    pytest.param(b"a: 1\nb: \xc3\xa9\xc3\n", "not_utf8", 2, 5, "0xc3", id="cut off utf-8"),
    pytest.param("a: é".encode("utf-16"), "not_utf8", 1, 1, "UTF-16", id="utf-16"),
    pytest.param(b"a: 1\nb\0: 2", "binary_file", 2, 2, "NUL", id="nul"),
    pytest.param(b"a: \x07", "bad_character", 1, 4, "U+0007", id="control character"),
    pytest.param(b"a: [x, y\nb: 1", "yaml_syntax", 2, 2, "not closed", id="open list"),
    pytest.param(b"a: b: c", "yaml_syntax", 1, 5, "second colon", id="two colons"),
    pytest.param(b'a: "x', "yaml_syntax", 1, 6, "quote", id="open quote"),
    pytest.param(b"a: @x", "yaml_syntax", 1, 4, "may not start", id="reserved character"),
    pytest.param(b"a: *b", "unknown_alias", 1, 4, "nothing above", id="unknown alias"),
    pytest.param(b"a: &a [*a]", "recursive_alias", 1, 8, "inside", id="self-reference"),
    pytest.param(b"a: &a {b: {c: *a}}", "recursive_alias", 1, 15, "inside", id="deep self"),
    pytest.param(b"a: !!python/name:os.system x", "bad_tag", 1, 4, "not supported", id="tag"),
    pytest.param(b"a: !include x", "bad_tag", 1, 4, "not supported", id="own tag"),
    pytest.param(b"a: !!int x", "bad_tag", 1, 4, "is not one", id="tag that does not fit"),
    pytest.param(b"a: !!set {x}", "bad_tag", 1, 4, "not supported", id="tag on a mapping"),
    pytest.param(b"{a: 1}: 2", "bad_key", 1, 1, "key", id="mapping as key"),
    pytest.param(b"a: &l [1]\n*l : 2", "bad_key", 2, 1, "text", id="list alias as key"),
    pytest.param(b"<<: 3", "bad_merge", 1, 1, "<<", id="merge of a number"),
    pytest.param(b"[" * 200, "too_deep", 1, 101, "100 levels", id="brackets"),
]


@pytest.mark.parametrize(("raw", "code", "line", "column", "phrase"), REFUSED)
def test_what_is_no_plain_yaml_is_one_clean_finding_with_its_place(raw, code, line, column, phrase):
    """Every way a file can be wrong as YAML has a code, a plain sentence and a place."""
    (found,) = read_source(raw, "s.yaml").diagnostics

    assert (code, "s.yaml", line, column) == (
        found.code,
        found.span.file,
        found.span.line,
        found.span.column,
    )
    assert phrase in found.summary


def test_plain_words_mean_what_an_editor_thinks_they_mean():
    """Only true, false, null and numbers are typed; the surprises of YAML 1.1 are text."""
    source = read_source(
        b"a: no\nb: on\nc: 2024-01-01\nd: 12:30\ne: 1_000\nf: 7.1\ng: true\nh: ~\ni: 0x10\n"
        b"j: '1'\nk: 1e999\nl: .inf\nm: 010\nn: -5\n",
        "s.yaml",
    )

    assert {
        "a": "no",
        "b": "on",
        "c": "2024-01-01",
        "d": "12:30",
        "e": "1_000",
        "f": 7.1,
        "g": True,
        "h": None,
        "i": 16,
        "j": "1",
        "k": "1e999",
        "l": ".inf",
        "m": 10,
        "n": -5,
    } == source.data
    assert () == source.diagnostics


def test_a_number_too_long_for_the_machine_stays_text():
    """A number of thousands of digits is no crash."""
    digits = "9" * 10_000

    assert {"a": digits} == read_source(f"a: {digits}".encode(), "s").data


def test_aliases_and_merge_keys_give_plain_data():
    """A merge fills what the mapping does not say itself, first source first."""
    source = read_source(
        b"x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 9\nl: [*x]\n", "s"
    )

    assert {"a": 9, "b": 1, "c": 2} == source.data["z"]
    assert [{"a": 1, "b": 1}] == source.data["l"]


def test_aliases_that_multiply_stop_before_they_cost_anything():
    """A billion laughs is refused within the blink of an eye."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 40)]
    start = time.perf_counter()
    (found,) = read_source("\n".join(lines).encode(), "s").diagnostics

    assert "alias_expansion" == found.code
    assert 1.0 > time.perf_counter() - start


def test_an_alias_that_is_large_once_is_refused_too():
    """Expansion counts bytes, not nesting."""
    text = f"a: &a {'x' * 700_000}\nb: [*a, *a]\n"

    assert ["alias_expansion"] == [d.code for d in read_source(text.encode(), "s").diagnostics]


def test_aliases_cannot_hide_depth():
    """Lists that nest through aliases count as deep as they are."""
    text = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 120))

    assert ["too_deep"] == [d.code for d in read_source(text.encode(), "s").diagnostics]


def test_more_than_ten_mebibytes_are_refused_unread():
    """A file over the limit is not parsed."""
    raw = b"a: 1\n" + b"#" * MAX_FILE_BYTES

    assert ["file_too_large"] == [d.code for d in read_source(raw, "s").diagnostics]


def test_places_point_to_keys_and_values():
    """A plain value is shown itself; of mappings, lists and empty values the key is shown."""
    place = read_source("é: {b: [1, {c: x}]}\ne:\n".encode(), "s.yaml").place

    def at(*path: str | int) -> tuple[int | None, int | None]:
        span = locate(place, path)
        assert span is not None
        return span.line, span.column

    assert (1, 1) == at("é")
    assert (1, 5) == at("é", "b")
    assert (1, 9) == at("é", "b", 0)
    assert (1, 12) == at("é", "b", 1)
    assert (1, 16) == at("é", "b", 1, "c")
    assert (1, 12) == at("é", "b", 1, "missing")
    assert (2, 1) == at("e")
    assert 13 == find_place(place, ("é", "b", 1, "c")).key_column


def test_a_byte_order_mark_is_no_part_of_the_text():
    """Files saved by Windows editors read like others."""
    assert {"a": 1} == read_source(b"\xef\xbb\xbfa: 1", "s").data


def test_paths_are_written_as_people_write_them():
    """Odd keys are quoted and cut, so that a path stays one line."""
    assert "workspaces[0].git.branch" == path_text(("workspaces", 0, "git", "branch"))
    assert 'variables["a b"]' == path_text(("variables", "a b"))
    assert 70 > len(path_text(("x" * 20 + " " * 1000,)))
