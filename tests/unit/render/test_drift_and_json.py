"""Drift as text, and the JSON forms."""

import json

import pytest

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.jsontext import json_text
from reconciler.plan.plan import DriftEntry, HeldEntry, load_plan
from reconciler.render.as_json import drift_json, findings_json
from reconciler.render.as_text import render_drift, render_findings, render_valid

from . import golden
from .samples import DEV, error, plan, story

FIELD = DriftEntry(address=DEV, cause="field", text="capacity differs")


def test_drift_reads_as_agreed():
    """Every difference once, with whether an apply settles it."""
    golden.check("render-drift.txt", render_drift(story()))


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (plan(), "No drift. The live state matches the spec."),
        (plan(drift=(FIELD,)), "Drift: 1 difference (1 field)."),
        (
            plan(unknown=("workspaces/X",)),
            "No drift was found where it could be looked for. 1 resource could not be read.",
        ),
        (
            plan(drift=(FIELD,), diagnostics=(error(),)),
            "Drift: 1 difference (1 field). 1 error is reported above.",
        ),
    ],
)
def test_the_last_line_of_drift_claims_no_more_than_is_known(sample, expected):
    """Unreadable is never in sync."""
    assert expected == render_drift(sample).splitlines()[-1]


def test_held_deployments_are_drift_even_when_not_classed():
    """A held deployment counts once, whether or not the drift list repeats it."""
    held = HeldEntry(address="pipelines/S/deployments/A:B", text="manual")
    once = plan(held=(held,))
    twice = plan(held=(held,), drift=(DriftEntry(address=held.address, cause="held", text="m"),))
    for sample in (once, twice):
        assert "Drift: 1 difference (1 held)." == render_drift(sample).splitlines()[-1]
        assert {"held": 1} == json.loads(drift_json(sample))["summary"]["by_class"]


def test_drift_json_has_the_documented_parts():
    """Machines find format version, drift, held, unknown, findings and a summary."""
    data = json.loads(drift_json(story()))
    parts = {"format_version", "drift", "held", "unknown", "diagnostics", "summary"}
    assert parts <= data.keys()
    assert ["workspaces/Sales Prod"] == data["unknown"]
    assert {"field": 1, "held": 1, "local": 1} == data["summary"]["by_class"]
    assert 1 == data["summary"]["planned"]
    assert not data["summary"]["in_sync"]


@pytest.mark.parametrize(
    ("sample", "in_sync"),
    [
        (plan(), True),
        (plan(drift=(FIELD,)), False),
        (plan(unknown=("x",)), False),
        (plan(diagnostics=(error(),)), False),
    ],
)
def test_in_sync_means_that_all_was_read_and_nothing_differs(sample, in_sync):
    """A machine may trust in_sync alone."""
    assert in_sync is json.loads(drift_json(sample))["summary"]["in_sync"]


def test_the_json_of_a_plan_is_its_file():
    """Show --format json gives back what plan --out wrote."""
    assert story() == load_plan(story().to_json(), name="p.json")


def test_findings_json_tells_validity_and_places():
    """A warning leaves a spec valid; an error does not."""
    warning = Diagnostic(Severity.WARNING, "w", "Hm.", span=SourceSpan("a.yaml", 2, 3))
    data = json.loads(findings_json([warning]))
    assert data["valid"] is True
    assert ("a.yaml", 2, 3) == tuple(data["diagnostics"][0][k] for k in ("file", "line", "column"))
    wrong = Diagnostic(Severity.ERROR, "e", "No.")
    assert json.loads(findings_json([warning, wrong]))["valid"] is False


def test_errors_come_after_warnings_and_no_findings_are_no_text():
    """What stops stands nearest to the end."""
    warning = Diagnostic(Severity.WARNING, "w", "Hm.", address="workspaces/A")
    wrong = Diagnostic(Severity.ERROR, "e", "No.", span=SourceSpan("a.yaml", 1))
    expected = "warning: Hm.\n  --> workspaces/A\n\nerror: No.\n  --> a.yaml:1\n"
    assert expected == render_findings([wrong, warning])
    assert "error: No.\n  --> a.yaml:1\n" == render_findings([wrong, warning], errors_only=True)
    assert "" == render_findings([])


def test_a_valid_spec_is_said_to_be_valid_with_its_warnings_counted():
    """One line, with the numbers."""
    assert "The spec sales is valid (2 files, 1 warning).\n" == render_valid("sales", ["a", "b"], 1)


def test_json_shows_no_character_that_could_turn_or_hide_text():
    """Guards that a direction override in a name is escaped in documents, and read back the same."""
    data = {"name": "a\u202egnp\ufeff\x7f\x85\U000e0001é漢"}
    text = json_text(data)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "é漢" in text
    assert data == json.loads(text)
