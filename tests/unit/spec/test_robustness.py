"""Whatever a file holds, loading it answers with findings or an estate, quickly."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.diagnostics import has_errors
from reconciler.spec.load import LoadResult, digest_of, estate_from_resolved, load_spec
from reconciler.spec.models import Estate
from reconciler.spec.places import Place
from reconciler.spec.schema import build_schema
from reconciler.spec.validate import validate

from .helpers import FULL, GUID, full

QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["${var.env}", "${", "${env.X}", "$${", "absent", "/a", "refs/heads/x", "*"]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
)


def paths_in(node: Any, above: tuple = ()) -> list[tuple]:
    """Return the path of every value in ``node``."""
    found = [above] if above else []
    items = node.items() if isinstance(node, dict) else ()
    for key, value in enumerate(node) if isinstance(node, list) else items:
        found += paths_in(value, (*above, key))
    return found


PATHS = paths_in(FULL)


@st.composite
def mutated(draw) -> dict:
    """Draw the full spec with one to three values replaced, removed, renamed or doubled."""
    data = copy.deepcopy(FULL)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(PATHS))
        owner: Any = data
        try:
            for part in path[:-1]:
                owner = owner[part]
            match draw(st.sampled_from(["replace", "remove", "rename", "double"])):
                case "replace":
                    owner[path[-1]] = draw(ODD)
                case "remove":
                    del owner[path[-1]]
                case "rename":
                    owner[draw(st.text(max_size=6))] = owner.pop(path[-1])
                case _:
                    owner.insert(0, copy.deepcopy(owner[path[-1]]))
        except (KeyError, IndexError, TypeError, AttributeError):
            continue  # an earlier change took this path away, or the change does not fit it
    return data


def check(result: LoadResult) -> None:
    """Check what holds for every result."""
    assert has_errors(result.diagnostics) == (result.estate is None)
    assert all(d.summary and d.span is not None and d.span.line for d in result.diagnostics)
    assert json.dumps([d.to_json() for d in result.diagnostics])
    if result.estate is not None:
        assert result.estate == estate_from_resolved(json.loads(json.dumps(result.resolved)))
        assert digest_of(result.resolved) == result.digest


@QUICK
@given(data=mutated())
def test_a_changed_spec_gives_an_estate_or_findings_with_places(tmp_path, data):
    """No mutation of a valid spec raises; every finding has a line."""
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")

    check(load_spec([file]))


@QUICK
@given(raw=st.binary(max_size=200))
def test_any_bytes_give_findings(tmp_path, raw):
    """Binary and half-written files are answered cleanly."""
    file = tmp_path / "s.yaml"
    file.write_bytes(raw)

    assert load_spec([file]).estate is None


@QUICK
@given(data=st.data())
def test_a_spec_cut_or_changed_at_any_byte_is_answered(tmp_path, data):
    """What a broken download or a stray key stroke leaves."""
    raw = bytearray(yaml.safe_dump(FULL).encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    insert = data.draw(st.sampled_from([b"", b"\t", b"{", b"&a ", b"*a", b"'", b"\xff", b"- "]))
    tail = raw[at:] if insert else b""
    file = tmp_path / "s.yaml"
    file.write_bytes(bytes(raw[:at]) + insert + bytes(tail))
    result = load_spec([file])

    assert has_errors(result.diagnostics) == (result.estate is None)


@QUICK
@given(data=mutated())
def test_schema_and_models_agree_on_structure(data):
    """What the models refuse for its shape the schema refuses too, so it gets a sentence."""
    try:
        Estate.model_validate(data)
    except ValidationError as error:
        shapes = [e for e in error.errors() if e["type"] != "finding"]
        if shapes and len(shapes) == len(error.errors()):
            assert not SCHEMA.is_valid(data)


SCHEMA = jsonschema.Draft202012Validator(build_schema())


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_each_value_can_be_of_any_type(path):
    """For every value of the spec, every JSON type gives findings or an estate."""
    for odd in (None, True, 0, 1.5, "x", [], {}, [[]], [{}], {"x": {}}):
        data = full()
        owner: Any = data
        for part in path[:-1]:
            owner = owner[part]
        owner[path[-1]] = odd
        result = validate(data, Place("s.yaml", 1, 1), lambda _: None)

        assert has_errors(f.placed(lambda _: None) for f in result.findings) == (
            result.estate is None
        )
        assert not any(f.code == "invalid" for f in result.findings), result.findings


def test_a_thousand_workspaces_load_in_time(tmp_path):
    """Every one bound, every third in a pipeline: well under the 1.5 s that are promised."""
    data = {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": "large"},
        "workspaces": [
            {
                "name": f"W{i}",
                "create": True,
                "description": "A workspace",
                "capacity": "F8",
                "roles": [{"principal": {"id": GUID, "type": "Group"}, "role": "Admin"}],
                "git": {
                    "provider": "AzureDevOps",
                    "organization": "contoso",
                    "project": "Sales",
                    "repository": "r",
                    "branch": f"b{i}",
                    "directory": "/fabric",
                    "credentials": {"connection": "c"},
                    "sync": {"direction": "both"},
                },
            }
            for i in range(1000)
        ],
        "pipelines": [
            {
                "name": f"P{i}",
                "stages": [{"name": "Dev", "workspace": f"W{3 * i}"}, {"name": "Test"}],
                "deployments": [{"from": "Dev", "to": "Test"}],
            }
            for i in range(333)
        ],
    }
    file = tmp_path / "s.yaml"
    file.write_text(yaml.dump(data, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
    start = time.process_time()
    result = load_spec([file])
    spent_s = time.process_time() - start

    assert 1000 == len(result.require().workspaces)
    assert 1.5 > spent_s
