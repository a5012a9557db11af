"""Plan files: round trip, versions, damage, and that any edit is noticed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.errors import PlanFileError
from reconciler.jsontext import json_text
from reconciler.plan import fingerprint
from reconciler.plan import plan as plan_module
from reconciler.plan.actions import Action
from reconciler.plan.build import with_diagnostics
from reconciler.plan.plan import Plan, finish, load_plan

from .world import GIT, bound, clash, incoming, local, paired, pipeline, plan, snapshot, workspaces

TEXT = f"""
workspaces:
  - {{name: A, description: new, git: {GIT}, sync: {{direction: both}}}}}}
  - {{name: C, git: {GIT}}}}}
pipelines:
  - name: Sales
    stages: [{{name: Dev, workspace: A}}, {{name: Test, workspace: B}}]
    deployments: [{{from: Dev, to: Test, when: manual}}]
ignore: [{{address: "workspaces/A/git", items: [{{name: x}}]}}]
"""


def example() -> Plan:
    """Return a plan that uses every list of the format."""
    return plan(
        TEXT,
        snapshot(
            workspaces=workspaces("A", "B", "C"),
            bindings={"A": bound(incoming("i"), local("l"), local("x")), "C": bound(clash("c"))},
            pipelines={"Sales": pipeline(("Dev", "A"), ("Test", "B"), items=paired(new=("n",)))},
            unreadable=("workspaces/C/roles",),
        ),
    )


def test_a_plan_comes_back_as_it_was_written():
    """load(to_json(x)) == x, with every list filled."""
    written = example()
    for part in ("actions", "drift", "diagnostics", "held", "ignored", "bindings"):
        assert getattr(written, part), part
    assert written == load_plan(written.to_json(), name="p.json")


def test_the_same_spec_and_snapshot_give_the_same_bytes():
    """The planner is pure."""
    assert example().to_json() == example().to_json()


def paths(data: Any, at: tuple = ()):
    """Yield the place of every value of a document."""
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield (*at, key), value
        if isinstance(value, dict | list):
            yield from paths(value, (*at, key))


def test_any_edit_of_a_plan_is_noticed():
    """Every single value is covered, but for when it was made and how many requests that took."""
    data = json.loads(example().to_json())
    tried = 0
    for path, value in paths(data):
        if path[0] in {"created_at", "requests"}:
            continue
        copy = json.loads(json.dumps(data))
        at = copy
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = f"{value}x" if isinstance(value, str) else "edited"
        tried += 1
        with pytest.raises(PlanFileError):
            load_plan(json.dumps(copy), name="p.json")
    assert tried > 100


def test_added_and_removed_values_are_noticed():
    """An unknown field is ignored only in a file written that way."""
    data = json.loads(example().to_json())
    with pytest.raises(PlanFileError, match="was changed"):
        load_plan(json.dumps(data | {"note": 1}), name="p.json")
    data["actions"].pop()
    with pytest.raises(PlanFileError, match="was changed"):
        load_plan(json.dumps(data), name="p.json")


DAMAGED = {
    "cut off": (lambda t: t[:-30], "may be cut off"),
    "empty": (lambda t: "", "may be cut off"),
    "a list": (lambda t: "[]", "not a plan file"),
    "no version": (lambda t: "{}", "not a plan file"),
    "another version": (lambda t: t.replace('"1.0"', '"2.0"', 1), "format version 2.0"),
    "missing parts": (lambda t: '{"format_version": "1.0"}', "damaged at"),
    "nested for ever": (lambda t: "[" * 100_000, "may be cut off"),
    "half a character": (lambda t: t.replace('"new"', r'"\ud800"', 1), "p.json"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_are_told_in_a_sentence(name):
    """Whatever a file holds, it is a clean error with the way out."""
    damage, message = DAMAGED[name]
    with pytest.raises(PlanFileError, match=message) as caught:
        load_plan(damage(example().to_json()), name="p.json")
    assert "reconciler plan" in caught.value.remedy


def test_minor_versions_and_unknown_fields_are_read():
    """A newer tool may add fields without shutting older ones out."""
    newer = example().model_copy(update={"format_version": "1.7"})
    assert "1.7" == load_plan(finish(newer).to_json(), name="p.json").format_version


def test_findings_of_policies_are_part_of_the_plan():
    """An error makes it not applyable, a warning does not, and both are in the fingerprint."""
    written = plan(
        "workspaces: [{name: A, description: new}]", snapshot(workspaces=workspaces("A"))
    )
    warned = with_diagnostics(written, [Diagnostic(Severity.WARNING, "w", "W.")])
    refused = with_diagnostics(written, [Diagnostic(Severity.ERROR, "e", "E.")])
    assert (True, True, False) == (written.applyable, warned.applyable, refused.applyable)
    assert 3 == len({written.fingerprint, warned.fingerprint, refused.fingerprint})
    assert written is with_diagnostics(written, [])
    assert refused == load_plan(refused.to_json(), name="p.json")


def test_summary_counts_by_kind():
    """Counts are over actions only."""
    summary = example().summary
    assert {"git.commit": 1, "git.update": 2, "workspace.update": 1} == summary.by_kind
    assert 4 == summary.actions


@pytest.mark.parametrize("text", ["ä😀\u2028\x7f\n", "half a pair: \ud800", "1e22"])
def test_a_plan_file_is_written_as_json_writes_it(text: str) -> None:
    """The quick writer and the one for what it cannot write give the same document."""
    made = plan("workspaces: [{name: A, create: true, capacity: F8}]")
    resolved = {**made.spec.resolved, "x": [text, 1e22, 0.1, 1e16, None, [], {}]}
    made = made.model_copy(update={"spec": made.spec.model_copy(update={"resolved": resolved})})
    written = made.to_json()
    assert f"{json_text(made.to_data())}\n" == written
    assert json.loads(written) == made.to_data()
    assert all(c.isprintable() or c == "\n" for c in written)


@pytest.mark.parametrize("at_once", [1, 2, 1000])
@pytest.mark.parametrize("name", ["new", "ä😀\u2028\x7f", "half a pair: \ud800"])
def test_pieces_are_the_whole(monkeypatch, at_once: int, name: str) -> None:
    """However many entries are written at once, document and fingerprint are the same."""
    monkeypatch.setattr(plan_module, "_AT_ONCE", at_once)
    monkeypatch.setattr(fingerprint, "_AT_ONCE", at_once)
    one, *others = example().actions
    one = one.model_copy(
        update={
            "reason": one.reason.model_copy(update={"text": name}),
            "preconditions": {"of": ("a", "tuple"), "at": 1e22, "deep": {"b": 1, "a": [None]}},
        }
    )
    for made in (
        example(),
        example().model_copy(update={"actions": (one, *others)}),
        example().model_copy(update={"actions": (), "drift": ()}),
    ):
        finished = finish(made)
        data = finished.to_data()
        assert f"{json_text(data)}\n" == "".join(finished.json_pieces()) == finished.to_json()
        left_out = {"created_at", "requests", "request_reasons", "fingerprint"}
        kept = {k: v for k, v in data.items() if k not in left_out}
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        printed = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        assert printed == finished.fingerprint
        assert printed == fingerprint.fingerprint_of(kept)


def test_a_copy_of_an_unchecked_action_leaves_the_others_as_they_are() -> None:
    """What the planner makes without checking shares the names of its fields."""
    one, other, *_ = example().actions
    copied = one.model_copy(update={"wave": 7})
    assert (7, set(Action.model_fields)) == (copied.wave, copied.model_fields_set)
    assert set(Action.model_fields) == other.model_fields_set
    assert other == Action.model_validate(other.model_dump())
