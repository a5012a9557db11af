"""Writing a spec: what is written reads back as the same data, whatever the names are."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.spec.load import load_spec
from reconciler.spec.write import Noted, plain, write_yaml

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
TRICKY = st.sampled_from(
    ["true", "No", "0x1f", "1e3", "null", "~", "${var.a}", "$${b}", "a: b", "- c", "# d", "1:30",
     "2026-01-02", " x ", "e\n\n f", "\t", '"', "'", "\\", "=", "<<", "*g", "&h", "!i", "%j", "@k",
     "`l`", "x\u2028y", "a\u202eb", "\ufeff", "\x85", "a #b", "Größe", "/fabric", "6f1c0f5e-0000-4000-8000-1"]
)  # fmt: skip


def estate(names: list[str]) -> dict[str, object]:
    """Return a spec with these names and descriptions."""
    return {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": "adopted"},
        "workspaces": [
            Noted({"name": n, "description": Noted(n, behind=n)}, above=(n,), below=(n,))
            for n in dict.fromkeys(names)
        ],
    }


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(names=st.lists(TEXTS | TRICKY, min_size=1, max_size=6))
def test_any_name_reads_back_as_it_is(tmp_path: Path, names: list[str]) -> None:
    """Guards names and comments of any characters, with our reader of specs."""
    document = estate(names)
    path = tmp_path / "spec.yaml"
    path.write_text(write_yaml(document, head=names, remarks=names), encoding="utf-8")
    loaded = load_spec([path])
    assert plain(document) == loaded.resolved, loaded.diagnostics


@settings(deadline=None)
@given(names=st.lists(TEXTS | TRICKY, min_size=1, max_size=6))
def test_another_yaml_reader_sees_the_same(names: list[str]) -> None:
    """Guards against values that only our reader takes for text; references stay escaped."""
    document = estate(names)
    found = yaml.safe_load(write_yaml(document, head=names, remarks=names))
    wanted = [n.replace("${", "$${") for n in dict.fromkeys(names)]
    assert wanted == [w["name"] for w in found["workspaces"]]
    assert wanted == [w["description"] for w in found["workspaces"]]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("Sales Dev", "a: Sales Dev"),
        ("none", "a: none"),
        ("No", 'a: "No"'),
        ("2 fast", 'a: "2 fast"'),
        ("6f1c0f5e-0000-4000-8000-000000000001", "a: 6f1c0f5e-0000-4000-8000-000000000001"),
        (True, "a: true"),
        ([], "a: []"),
        ({}, "a: {}"),
        (Noted({"b": ["c", 1]}, inline=True, behind="why\nnot"), "a: {b: [c, 1]}  # why not"),
        ([Noted("b", behind="c")], "a:\n  - b  # c"),
        ([{"b": {"c": "d"}, "e": "f"}], "a:\n  - b:\n      c: d\n    e: f"),
        (Noted(["b"], below=("left out",)), "a:\n  - b\n  # left out"),
    ],
)
def test_values_are_written_the_way_people_write_them(value: object, line: str) -> None:
    """Guards the layout: plain where that is safe, quoted where it is not."""
    assert f"{line}\n" == write_yaml({"a": value})


def test_long_comments_are_wrapped_and_stay_comments() -> None:
    """Guards a comment of several lines: none of them may become YAML."""
    text = write_yaml({"a": 1}, remarks=["word " * 60])
    *comments, last = text.splitlines()
    assert "a: 1" == last
    assert 4 == len(comments)
    assert all(c.startswith("# ") and len(c) <= 96 for c in comments)


def test_no_name_turns_the_direction_of_what_adopt_prints(tmp_path: Path) -> None:
    """Guards a terminal and a reader against names of what is live."""
    text = write_yaml(estate(["a\u202egnp", "b\u200fc\u2066d"]))
    assert all(c.isprintable() or c == "\n" for c in text)
