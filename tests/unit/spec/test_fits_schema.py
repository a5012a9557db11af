"""The question whether data is valid at all: never yes where the schema's library says no."""

from __future__ import annotations

import copy
import json

import jsonschema
import pytest
import yaml

from reconciler.spec.findings import Hints
from reconciler.spec.schema import compiled_schema, compiled_text
from reconciler.spec.validate import fits_schema

from .helpers import FULL, HEADER
from .test_validation import TABLE

LIBRARY = jsonschema.Draft202012Validator(compiled_schema())
STRANGE = (
    None,
    True,
    0,
    1,
    -1,
    1.0,
    1.5,
    "",
    "x",
    "main",
    "x" * 5000,
    [],
    ["x"],
    {},
    {"x": 1},
    10**30,
)


def places(node, path=()):
    """Yield the path of every value in some data."""
    yield path
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from places(value, (*path, key))


def changed(data, path, value):
    """Return a copy with another value in one place."""
    out = copy.deepcopy(data)
    node = out
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return out


def test_it_agrees_with_the_library_wherever_a_full_spec_is_changed():
    """Every value of a spec that uses every field is replaced, taken away and added to."""
    assert fits_schema(FULL)
    differ, no = [], 0
    for path in [p for p in places(FULL) if p]:
        for value in STRANGE:
            data = changed(FULL, path, value)
            expected = LIBRARY.is_valid(data)
            no += not expected
            if fits_schema(data) is not expected:
                differ.append((path, value))
        gone = copy.deepcopy(FULL)
        node = gone
        for part in path[:-1]:
            node = node[part]
        del node[path[-1]]
        if fits_schema(gone) is not LIBRARY.is_valid(gone):
            differ.append((path, "gone"))
    assert [] == differ
    assert no > 1000


@pytest.mark.parametrize("text", [row[0] for row in TABLE])
def test_it_agrees_with_the_library_on_what_validation_reports(text):
    """The specs of the other tests, most of them invalid in one place."""
    data = yaml.safe_load(HEADER + text.replace("§", ""))
    assert LIBRARY.is_valid(data) is fits_schema(data)


@pytest.mark.parametrize("data", [None, True, 1, "x", [], object(), {"x": object()}, {1: 2}])
def test_it_takes_any_data(data):
    """What is no mapping of JSON's values is not valid, and no error."""
    assert not fits_schema(data)


def test_data_deeper_than_it_goes_is_left_to_the_other_library():
    """Guards deep specs: no crash, and no yes."""
    deep: object = []
    for _ in range(2000):
        deep = [deep]
    assert not fits_schema({**FULL, "ignore": deep})


def test_the_compiled_schema_is_the_generated_one():
    """After a change to the models, run `make schema`."""
    assert compiled_schema() == json.loads(compiled_text())
    assert json.dumps(compiled_schema()) == json.dumps(json.loads(compiled_text()))  # order too


def test_hints_end_when_comparing_has_taken_long():
    """Ten thousand misspelt names in a long spec take seconds, not minutes."""
    known = [f"workspaces/Sales {i}" for i in range(1000)]
    hints = Hints()
    found = [hints.hint("workspaces/Sale 7", known) for _ in range(102)]
    assert ['; did you mean "workspaces/Sales 7"?'] * 100 + [".", "."] == found
