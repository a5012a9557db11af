"""Every output of the real command line: true to its schema, readable, and free of secrets."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from bench import REPOSITORY, Bench
from jsonschema import Draft202012Validator
from small_estate import GROUP, OTHER, SCENARIO, edit, exists, push, spec, workspaces, write_spec

SECRET = "s3cr3t-of-the-principal"
HOSTILE = "Sales <b>@team `x` | #12"


def fits(name: str, text: str) -> Any:
    """Return JSON that was checked against the published schema."""
    schema = json.loads((REPOSITORY / "schemas" / f"{name}.schema.json").read_text())
    data = json.loads(text)
    Draft202012Validator(schema).validate(data)
    return data


def events(text: str) -> list[dict[str, Any]]:
    """Return the events of a stream, each checked against the published schema."""
    return [fits("events", line) for line in text.splitlines()]


def types(stream: list[dict[str, Any]]) -> list[str]:
    """Return the types in order, repeated ones once."""
    found: list[str] = []
    for event in stream:
        if not found or found[-1] != event["type"]:
            found.append(event["type"])
    return found


def drifted(bench: Bench) -> Path:
    """Let somebody push a commit and somebody else edit by hand; returns the spec."""
    exists(bench)
    push(bench)
    edit(bench, item="Clean")
    return write_spec(bench, spec())


def test_plan_and_drift_as_json_fit_their_schemas(bench: Bench) -> None:
    """Guards the promise of plan-format.md with a real plan of a real estate."""
    path = drifted(bench)
    plan = fits("plan", bench.run("plan", path, "--format", "json", "--out", "p.json").out)
    assert plan == fits("plan", (bench.folder / "p.json").read_text())
    drift = fits("drift", bench.run("drift", path, "--format", "json", expect=2).out)
    assert {"incoming", "local"} <= drift["summary"]["by_class"].keys()
    assert fits("findings", bench.run("validate", path, "--format", "json").out)["valid"]


def test_the_same_plan_in_every_format(bench: Bench) -> None:
    """Guards that no format forgets an action or an item that another one shows."""
    path = drifted(bench)
    plan = json.loads(bench.run("plan", path, "--format", "json", "--out", "p.json").out)
    addresses = {a["address"] for a in plan["actions"]}
    items = {i["name"] for a in plan["actions"] for i in a["items"]}
    assert addresses
    assert items
    for form in ("text", "markdown", "html"):
        shown = bench.run("plan", path, "--format", form).out
        assert all(name in shown for name in addresses | items), form
        if form != "text":
            again = bench.run("show", "p.json", "--format", form).out
            assert all(name in again for name in addresses | items), form
    for form in ("mermaid", "dot"):
        drawn = bench.run("graph", "p.json", "--format", form).out
        assert drawn == bench.run("graph", path, "--format", form).out
        assert len(plan["actions"]) == drawn.count("Sales/") + drawn.count("Sales Dev/git")
    drift = bench.run("drift", path, "--format", "markdown", expect=2).out
    assert "## Drift of `sales`" in drift
    assert "Clean" in drift


def test_an_apply_tells_its_story_as_events(bench: Bench) -> None:
    """Guards the order of the stream: version, read, plan, actions, verification, summary."""
    path = drifted(bench)
    bench.run("apply", path, "--auto-approve", "--events", "e.jsonl", expect=None)
    stream = events((bench.folder / "e.jsonl").read_text())
    told = types(stream)
    assert ["version", "read_start", "read_complete"] == told[:3]
    assert told.index("planned_action") < told.index("change_summary") < told.index("action_start")
    assert "apply_summary" == told[-1]
    planned = {e["action"]["id"] for e in stream if e["type"] == "planned_action"}
    ended = ("action_complete", "action_errored", "action_skipped")
    assert planned == {e["action"]["id"] for e in stream if e["type"] in ended}
    assert sorted(e["@timestamp"] for e in stream) == [e["@timestamp"] for e in stream]


def test_events_on_stdout_leave_the_text_on_stderr(bench: Bench) -> None:
    """Guards that a program can read the one while a person reads the other."""
    path = drifted(bench)
    result = bench.run("plan", path, "--events", "-")
    assert "change_summary" == types(events(result.out))[-1]
    assert "Plan: " in result.err.splitlines()[-1]
    result = bench.run("drift", path, "--events", "-", expect=2)
    summary = events(result.out)[-1]
    assert not summary["drift"]["in_sync"]
    assert "Drift: " in result.err.splitlines()[-1]


def test_an_invalid_spec_and_a_refusal_are_in_the_stream(bench: Bench) -> None:
    """Guards that a reader of the stream alone learns why nothing happened."""
    exists(bench)
    bad = write_spec(bench, workspaces({"name": "A", "creat": True}), "bad.yaml")
    stream = events(bench.run("plan", bad, "--events", "-", expect=1).out)
    assert ["version", "diagnostic"] == types(stream)
    assert "unknown_key" == stream[-1]["diagnostic"]["code"]
    fits("findings", bench.run("plan", bad, "--format", "json", expect=1).out)
    good = write_spec(bench, workspaces({"name": "New", "create": True}))
    stream = events(bench.run("apply", good, "--events", "-", expect=3).out)
    assert "plan_refused" == stream[-1]["diagnostic"]["code"]
    assert "apply_summary" not in types(stream)


def test_a_failed_action_and_what_waits_for_it_are_in_the_stream(bench: Bench) -> None:
    """Guards that errored and skipped are told apart, with exit code and remedy."""
    exists(bench)
    match = {"service": "fabric", "method": "POST", "route": "/v1/workspaces", "times": None}
    bench.fault(match, answer={"status": 400, "body": {"errorCode": "No", "message": "not today"}})
    member = {
        "principal": {"id": SCENARIO["principals"][0]["id"], "type": "Group"},
        "role": "Viewer",
    }
    path = write_spec(bench, workspaces({"name": "New", "create": True, "roles": [member]}))
    result = bench.run("apply", path, "--auto-approve", "--events", "-", expect=1)
    stream = events(result.out)
    (failed,) = (e for e in stream if e["type"] == "action_errored")
    assert "not today" in failed["text"]
    assert 1 == sum(e["type"] == "action_skipped" for e in stream)
    assert ({"failed": 1, "skipped": 1}, 1) == (stream[-1]["outcomes"], stream[-1]["exit_code"])
    assert "Apply did not complete" in result.err


@pytest.mark.parametrize("form", ["text", "json", "markdown", "html"])
def test_no_output_holds_a_secret(bench: Bench, form: str) -> None:
    """Guards that neither a token nor a secret of the spec is in any output or stream."""
    exists(bench)
    data = workspaces({"name": "Sales Dev", "capacity": "F8"})
    principal = {"tenantId": GROUP, "clientId": OTHER, "secret": "${env.SP_SECRET}"}
    data["connections"] = [
        {
            "name": "sales-git",
            "type": "AzureDevOpsSourceControl",
            "create": {
                "url": "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
                "credentials": {"servicePrincipal": principal},
            },
        }
    ]
    path = write_spec(bench, data)
    plan = bench.run("plan", path, "--format", form, "--events", "e.jsonl", SP_SECRET=SECRET)
    drift = bench.run("drift", path, "--format", form, expect=2, SP_SECRET=SECRET)
    applied = bench.run(
        "apply", path, "--auto-approve", "--events", "a.jsonl", expect=None, SP_SECRET=SECRET
    )
    assert "sales-git" in plan.out
    written = [(bench.folder / name).read_text() for name in ("e.jsonl", "a.jsonl")]
    for text in (plan.text, drift.text, applied.text, *written):
        assert SECRET not in text
        assert bench.ready["token"] not in text


def test_a_hostile_workspace_name_stays_a_name_in_every_output(bench: Bench) -> None:
    """Guards the path from a real service's answer to a comment and a page."""
    scenario = copy.deepcopy(SCENARIO["workspaces"])
    exists(bench, workspaces=[*scenario, {"name": HOSTILE, "capacity": "F8"}])
    path = write_spec(bench, workspaces({"name": HOSTILE, "description": "x"}))
    comment = bench.run("plan", path, "--format", "markdown").out
    assert f"``workspaces/{HOSTILE}``" in comment
    page = bench.run("plan", path, "--format", "html").out
    assert "<b>@team" not in page
    assert "&lt;b&gt;@team `x`" in page
    graph = bench.run("graph", path).out
    assert "@" not in graph
    assert "<b>" not in graph
