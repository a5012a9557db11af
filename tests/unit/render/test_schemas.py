"""Published schemas: generated from the models, and true of everything that is written."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from reconciler.cli.parser import SCHEMA_NAMES
from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.plan.plan import Plan
from reconciler.render import stream
from reconciler.render.as_json import drift_json, findings_json
from reconciler.render.schemas import SCHEMAS, schema_text

from .hostile import NAMES, full_plan
from .samples import action, error, plan, story

FOLDER = Path(__file__).parents[3] / "schemas"
PLANS = (story(), plan(), plan(diagnostics=(error(path="a.b", line=3),)), full_plan(NAMES[0]))


def validator(name):
    """Return the validator of a published schema."""
    return Draft202012Validator(json.loads((FOLDER / f"{name}.schema.json").read_text()))


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_what_is_published_is_what_the_models_say(name):
    """A change of a model shows as a change of a published file: scripts/write-schemas."""
    text = schema_text(name)
    assert (FOLDER / f"{name}.schema.json").read_text(encoding="utf-8") == text
    Draft202012Validator.check_schema(json.loads(text))


def test_the_command_line_offers_every_schema():
    """They are named twice so that help need not import the models."""
    assert tuple(SCHEMAS) == SCHEMA_NAMES


@pytest.mark.parametrize("sample", PLANS)
def test_plans_and_drift_fit_their_schemas(sample):
    """Whatever a plan holds."""
    validator("plan").validate(json.loads(sample.to_json()))
    validator("drift").validate(json.loads(drift_json(sample)))


def test_findings_fit_their_schema():
    """With and without a place."""
    found = [
        Diagnostic(Severity.ERROR, "e", "No."),
        Diagnostic(Severity.WARNING, "w", "Hm.", "d", "a", "p", SourceSpan("f", 1, 2)),
    ]
    validator("findings").validate(json.loads(findings_json(found)))
    validator("findings").validate(json.loads(findings_json([])))


@pytest.mark.parametrize("sample", PLANS)
def test_the_records_of_a_plan_fit_the_schema_of_events(sample):
    """Each line by itself; one summary at the end."""
    records = list(stream.planned_records(sample))
    lines = [stream.line_of(r, "2026-01-01T00:00:00.000Z") for r in records]
    for line in lines:
        assert line.isascii()
        assert line.endswith("}\n")
        validator("events").validate(json.loads(line))
    assert "change_summary" == records[-1].type
    assert len(sample.actions) == sum(r.type == "planned_action" for r in records)


@pytest.mark.parametrize(
    ("name", "data", "broken"),
    [
        ("plan", Plan.to_json, lambda d: d["actions"][0].pop("reason")),
        ("plan", Plan.to_json, lambda d: d["actions"][0].update(wave="1")),
        ("plan", Plan.to_json, lambda d: d["actions"][0]["op"].pop("kind")),
        ("drift", drift_json, lambda d: d["summary"].pop("in_sync")),
        ("drift", drift_json, lambda d: d["drift"][0].update(planned="yes")),
    ],
)
def test_the_schemas_refuse_what_is_not_written(name, data, broken):
    """A schema that everything fits would guard nothing."""
    sample = json.loads(data(story()))
    validator(name).validate(sample)
    broken(sample)
    with pytest.raises(ValidationError):
        validator(name).validate(sample)


def test_an_event_of_an_unknown_type_is_refused():
    """The types are a closed list within a major version."""
    record = next(stream.planned_records(plan(action("workspace.create"))))
    data = json.loads(stream.line_of(record, "t"))
    validator("events").validate(data)
    with pytest.raises(ValidationError):
        validator("events").validate({**data, "type": "surprise"})
    with pytest.raises(ValidationError):
        validator("events").validate({k: v for k, v in data.items() if k != "@timestamp"})


def test_members_are_described_in_the_words_of_the_models():
    """A reader of the schema need not read the code."""
    schema = json.loads(schema_text("plan"))
    assert "nothing was unknown." == schema["properties"]["complete"]["description"]
    deps = schema["$defs"]["Action"]["properties"]["depends_on"]
    assert deps["description"].startswith("ids of the actions")
