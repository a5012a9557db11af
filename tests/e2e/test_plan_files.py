"""Plan files: what they hold, that they are the same every time, and what they refuse."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from bench import Bench
from small_estate import (
    DEMO,
    GIT,
    GROUP,
    edit,
    exists,
    pipeline,
    push,
    spec,
    workspaces,
    write_spec,
)

# design: section 5
TOP = {
    *("format_version", "reconciler_version", "created_at", "spec", "endpoints", "summary"),
    *("actions", "drift", "diagnostics", "unknown", "held", "caller", "complete", "applyable"),
    "fingerprint",
}
ACTION = {
    *("id", "kind", "address", "wave", "depends_on", "reason", "changes", "items"),
    *("preconditions", "after_unknown", "destructive", "estimated_requests"),
}
LOOSE = {"name": "Loose", "git": {**GIT, "initialize": "PreferRemote"}}


def _demo(bench: Bench) -> Path:
    bench.scenario(DEMO / "scenario.yaml")
    bench.control("DELETE", "/requests")
    spec_file = bench.folder / "sales.yaml"
    shutil.copy(DEMO / "sales.yaml", spec_file)
    return spec_file


def _without_times(plan: dict[str, Any]) -> str:
    kept = {k: v for k, v in plan.items() if k not in {"created_at", "requests"}}
    return json.dumps(kept, indent=2)


def _saved(bench: Bench, data: dict[str, Any], *flags: str) -> dict[str, Any]:
    bench.run("plan", write_spec(bench, data), "--out", "plan.json", *flags)
    bench.control("DELETE", "/requests")
    text = (bench.folder / "plan.json").read_text()
    return json.loads(text)  # type: ignore[no-any-return]


def test_a_plan_file_is_private_and_holds_what_is_documented(bench: Bench) -> None:
    """Guards the contract with whoever reads plans by machine."""
    spec_file = _demo(bench)
    before = os.umask(0)
    try:
        bench.run("plan", spec_file, "--out", "plan.json")
    finally:
        os.umask(before)
    file = bench.folder / "plan.json"
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    plan = json.loads(file.read_text())
    assert set() == TOP - set(plan)
    assert "1.0" == plan["format_version"]
    assert {"name", "digest", "files"} <= set(plan["spec"])
    assert {"fabric", "devops"} == set(plan["endpoints"])
    assert len(plan["actions"]) == plan["summary"]["actions"] == 12
    assert plan["summary"]["actions"] == sum(plan["summary"]["by_kind"].values())
    assert plan["summary"]["destructive"] == sum(a["destructive"] for a in plan["actions"])
    waves = {a["id"]: a["wave"] for a in plan["actions"]}
    for action in plan["actions"]:
        assert set() == ACTION - set(action), action["id"]
        assert {"code", "text"} == set(action["reason"])
        assert all(action["wave"] > waves[before] for before in action["depends_on"])
        assert action["estimated_requests"] > 0
        assert all({"path", "before", "after"} == set(c) for c in action["changes"])
    assert [1, 1, 1, 1] == [w for w in waves.values() if w == 1]
    assert bench.ready["token"] not in file.read_text()
    assert [] == bench.writes()


def test_the_plan_file_and_the_printed_json_and_show_are_the_same(bench: Bench) -> None:
    """Guards that the three ways to see a plan cannot differ."""
    spec_file = _demo(bench)
    printed = bench.run("plan", spec_file, "--format", "json", "--out", "plan.json").out
    assert printed == (bench.folder / "plan.json").read_text()
    assert printed == bench.run("show", "plan.json", "--format", "json").out
    text = bench.run("plan", spec_file, "--out", "plan.json").out
    saved_line = text.index("Saved the plan to")
    assert text[:saved_line].strip() == bench.run("show", "plan.json").out.strip()
    assert [] == bench.writes()


@pytest.mark.parametrize("estate", ["new", "live"])
def test_two_plans_of_the_same_state_are_the_same_byte_for_byte(bench: Bench, estate: str) -> None:
    """Guards that a plan depends on spec and live state alone."""
    if estate == "new":
        spec_file = _demo(bench)
    else:
        exists(bench)
        push(bench)
        edit(bench, item="Clean")
        spec_file = write_spec(bench, spec())
    first, second = bench.plan(spec_file), bench.plan(spec_file, "--parallelism", "1")
    assert _without_times(first) == _without_times(second)
    assert first["fingerprint"] == second["fingerprint"]
    assert first["actions"]


def test_a_plan_file_is_carried_out_exactly_and_once(bench: Bench) -> None:
    """Guards plan, review, apply: the same actions, then no second time."""
    exists(bench)
    push(bench)
    plan = _saved(bench, spec())
    result = bench.run("apply", "plan.json")
    assert "Apply complete." in result.out
    assert ["git.update", "deployment.deploy"] == [a["kind"] for a in plan["actions"]]
    assert ["updateFromGit", "deploy"] == [w["path"].rsplit("/", 1)[-1] for w in bench.writes()]
    bench.control("DELETE", "/requests")
    assert "has used it already" in bench.run("apply", "plan.json", expect=3).err
    again = bench.run("apply", "plan.json", "--journal", "another-machine", expect=3)
    assert "git.update workspaces/Sales Dev/git is not needed any more" in again.err
    assert [] == bench.writes()


def test_a_plan_file_is_applied_after_the_spec_is_gone(bench: Bench) -> None:
    """Guards that a plan carries its spec: in a pipeline it travels alone."""
    exists(bench)
    push(bench)
    _saved(bench, spec())
    (bench.folder / "spec.yaml").unlink()
    assert "Apply complete." in bench.run("apply", "plan.json").out


def test_a_spec_that_was_edited_makes_its_plan_stale(bench: Bench) -> None:
    """Guards exit 3, naming the file."""
    exists(bench)
    push(bench)
    _saved(bench, spec())
    path = bench.folder / "spec.yaml"
    path.write_text(path.read_text() + "# a word\n")
    result = bench.run("apply", "plan.json", expect=3)
    assert "spec.yaml has changed" in result.err
    assert [] == bench.writes()


def test_a_plan_of_another_caller_is_stale(bench: Bench) -> None:
    """Guards that nobody applies what another identity was shown."""
    exists(bench)
    push(bench)
    _saved(bench, spec())
    result = bench.run("apply", "plan.json", expect=3, RECONCILER_FABRIC_TOKEN="another-caller")
    assert "it was made by another caller" in result.err
    assert "another-caller" not in result.text
    assert [] == bench.writes()


def test_a_plan_for_another_service_is_stale_and_the_other_one_is_not_asked(bench: Bench) -> None:
    """Guards that test's plan is never applied to prod, and prod gets no request."""
    exists(bench)
    push(bench)
    _saved(bench, spec())
    result = bench.run("apply", "plan.json", "--fabric-url", "http://127.0.0.1:9", expect=3)
    assert "the fabric URL is now http://127.0.0.1:9" in result.err
    assert [] == bench.requests()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text.replace("Sales Dev", "Sales Dex"), "was changed after it was written"),
        (lambda text: text[: len(text) // 2], "may be cut off"),
        (lambda text: text.replace(': "1.0"', ': "2.0"', 1), "format version 2.0; this tool reads"),
        (lambda _: "{}", "is not a plan file"),
        (lambda _: '{"format_version": "1.0"}', "is damaged at reconciler_version"),
        (lambda text: text.replace('"destructive": false', '"destructive": 7'), "is damaged at"),
    ],
    ids=["edited", "cut off", "other version", "no plan", "empty", "wrong type"],
)
def test_a_damaged_plan_file_is_refused(bench: Bench, damage: Any, said: str) -> None:
    """Guards exit 1 with a plain sentence and what to do, before any request."""
    exists(bench)
    push(bench)
    _saved(bench, spec())
    file = bench.folder / "plan.json"
    file.write_text(damage(file.read_text()))
    for command in ("apply", "show"):
        result = bench.run(command, "plan.json", expect=1)
        assert said in result.err
        assert "make a new plan with: reconciler plan SPEC --out FILE" in result.err
    assert [] == bench.requests()


def test_a_later_minor_version_with_unknown_fields_is_read(bench: Bench) -> None:
    """Guards that readers ignore what they do not know within a major version."""
    exists(bench)
    plan = _saved(bench, spec(workspaces=[*spec()["workspaces"], {"name": "New", "create": True}]))
    plan.update(format_version="1.9", future={"a": 1})
    plan["actions"][0]["future"] = True
    plan["fingerprint"] = _fingerprint(plan)
    (bench.folder / "plan.json").write_text(json.dumps(plan))
    assert "create the workspace" in bench.run("show", "plan.json").out


def _fingerprint(plan: dict[str, Any]) -> str:
    left_out = {"created_at", "requests", "request_reasons", "fingerprint"}
    kept = {k: v for k, v in plan.items() if k not in left_out}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_destructive_plan_file_needs_approval(bench: Bench) -> None:
    """Guards exit 3 without --auto-approve, and that nothing was written until it was given."""
    exists(bench)
    plan = _saved(bench, workspaces(LOOSE))
    assert 1 == plan["summary"]["destructive"]
    result = bench.run("apply", "plan.json", expect=3)
    assert "the plan is destructive (1 action)" in result.err
    assert "--auto-approve" in result.err
    assert [] == bench.requests()
    assert "Apply complete." in bench.apply("plan.json").out


def test_planning_flags_are_refused_together_with_a_plan_file(bench: Bench) -> None:
    """Guards that nobody believes to have narrowed a plan that is applied as it is."""
    exists(bench)
    push(bench)
    _saved(bench, spec())
    for flags in (
        ("--target", "workspaces"),
        ("--exclude", "workspaces"),
        ("--var", "a=b"),
        ("--var-file", "x.yaml"),
    ):
        assert flags[0] in bench.run("apply", "plan.json", *flags, expect=64).err
    assert [] == bench.requests()


def test_a_plan_with_nothing_to_do_is_saved_and_applied_as_such(bench: Bench) -> None:
    """Guards that a pipeline may apply an empty plan."""
    exists(bench)
    plan = _saved(bench, spec())
    assert [] == plan["actions"]
    assert not plan["applyable"]
    assert "No changes." in bench.run("apply", "plan.json").out
    assert [] == bench.writes()


# -- what a plan holds --


def test_a_target_brings_what_it_depends_on(bench: Bench) -> None:
    """Guards that a target is never planned without what it needs, and nothing else is."""
    spec_file = _demo(bench)
    kinds = bench.kinds(spec_file, "--target", "workspaces/Sales Dev/git")
    assert [
        *("repository.create", "workspace.create", "repository.import", "repository.update"),
        *("git.connect", "git.initialize", "git.update"),
    ] == kinds
    assert ["workspace.create"] == bench.kinds(spec_file, "--target", "workspaces/Sales Test")
    assert [] == bench.kinds(spec_file, "--target", "workspaces/Sales")
    bench.apply(spec_file, "--target", "workspaces/Sales Test")
    assert 1 == len(bench.writes())


def test_an_exclusion_drops_what_depends_on_it(bench: Bench) -> None:
    """Guards that nothing is planned on top of what was excluded."""
    spec_file = _demo(bench)
    kinds = bench.kinds(spec_file, "--exclude", "repositories")
    assert ["pipeline.create", "workspace.create", "workspace.create"] == sorted(kinds[:3])
    assert not {"git.connect", "git.update", "deployment.deploy"} & set(kinds)
    assert ["workspace.create"] == bench.kinds(
        spec_file, "--target", "workspaces", "--exclude", "workspaces/Sales Dev"
    )


def test_a_selected_plan_stays_selected_in_its_file(bench: Bench) -> None:
    """Guards that apply FILE compares with, and carries out, the same selection."""
    spec_file = _demo(bench)
    bench.run("plan", spec_file, "--target", "workspaces/Sales Test", "--out", "plan.json")
    bench.control("DELETE", "/requests")
    bench.run("apply", "plan.json")
    assert 1 == len(bench.writes())
    assert ["Sales Test"] == [w["displayName"] for w in bench.fabric("GET", "/workspaces")["value"]]


def test_a_manual_deployment_is_held_until_it_is_targeted(bench: Bench) -> None:
    """Guards when: manual in plan, drift and apply."""
    exists(bench)
    edit(bench)
    data = pipeline(deployments=[{"from": "Development", "to": "Test", "when": "manual"}])
    del data["workspaces"][0]["git"]
    spec_file = write_spec(bench, data)
    address = "pipelines/Sales/deployments/Development:Test"
    plan = bench.plan(spec_file, "--detailed-exitcode")
    assert [] == plan["actions"]
    assert [address] == [h["address"] for h in plan["held"]]
    assert [("Notebook", "Load")] == [(i["type"], i["name"]) for i in plan["held"][0]["items"]]
    assert f"--target '{address}'" in plan["held"][0]["text"]
    drift = json.loads(bench.run("drift", spec_file, "--format", "json", expect=2).out)
    assert {"held": 1} == drift["summary"]["by_class"]
    bench.control("DELETE", "/requests")
    bench.apply(spec_file)
    assert [] == bench.writes()
    bench.apply(spec_file, "--target", address)
    assert ["POST"] == [w["method"] for w in bench.writes()]
    bench.run("drift", spec_file)


def test_the_detailed_exit_code_tells_changes_from_none_and_from_errors(bench: Bench) -> None:
    """Guards 0, 2 and 1 for pipelines that branch on it."""
    exists(bench)
    spec_file = write_spec(bench, spec())
    bench.run("plan", spec_file, "--detailed-exitcode", expect=0)
    push(bench)
    bench.run("plan", spec_file, "--detailed-exitcode", expect=2)
    bench.run("plan", spec_file, expect=0)
    broken = write_spec(bench, workspaces({"name": "Nope"}), "broken.yaml")
    bench.run("plan", broken, "--detailed-exitcode", expect=1)


def test_an_apply_one_action_at_a_time_does_the_same(bench: Bench) -> None:
    """Guards --parallelism 1 against a walk that needs a second worker to go on."""
    spec_file = _demo(bench)
    result = bench.apply(spec_file, "--parallelism", "1")
    assert "Apply complete." in result.out
    assert "No changes." in bench.run("plan", spec_file).out
    assert bench.items("Sales Dev") == bench.items("Sales Test")


# -- drift --


def test_drift_tells_commits_hand_edits_and_fields_apart(bench: Bench) -> None:
    """Guards the classes and exit 2, in text and JSON, and that drift writes nothing."""
    exists(bench)
    data = spec()
    data["workspaces"][1]["description"] = "User acceptance"
    data["workspaces"][1]["roles"] = [
        {"principal": {"id": GROUP, "type": "Group"}, "role": "Viewer"}
    ]
    data["pipelines"][0]["deployments"] = []
    spec_file = write_spec(bench, data)
    bench.apply(spec_file)
    clean = json.loads(bench.run("drift", spec_file, "--format", "json").out)
    assert clean["summary"]["in_sync"]
    assert [] == clean["drift"]
    assert "No drift." in bench.run("drift", spec_file).out

    push(bench)
    edit(bench, item="Clean")
    bench.portal(action="role", workspace="Sales Test", principal=GROUP, role="Admin")
    bench.portal(action="reassign", pipeline="Sales", stage="Test", workspace="Loose")
    bench.control("DELETE", "/requests")
    result = bench.run("drift", spec_file, "--format", "json", expect=2)
    found = json.loads(result.out)
    classes = {(d["class"], d["address"]) for d in found["drift"]}
    git = "workspaces/Sales Dev/git"
    assert {("incoming", git), ("local", git)} <= classes
    assert ("field", f"workspaces/Sales Test/roles/{GROUP}") in classes
    local = next(d for d in found["drift"] if d["class"] == "local")
    assert [("Notebook", "Clean", "Modified")] == [
        (i["type"], i["name"], i["change"]) for i in local["items"]
    ]
    assert not local["planned"]
    # A stage taken by another workspace needs words in the spec: drift says so as an error.
    assert ["stage_holds_other_workspace"] == [d["code"] for d in found["diagnostics"]]
    assert [] == bench.writes()

    bench.portal(action="unassign", pipeline="Sales", stage="Test")
    text = bench.run("drift", spec_file, expect=2).out
    assert "[incoming]" in text
    assert "[local]" in text
    assert "[field]" in text
    assert "pipelines/Sales/stages/Test" in text


def test_an_item_that_was_deleted_by_hand_is_drift(bench: Bench) -> None:
    """Guards that a deletion in the workspace is reported and not undone by an update."""
    exists(bench)
    bench.portal(action="delete", workspace="Sales Dev", item="Load", type="Notebook")
    data = spec()
    data["pipelines"][0]["deployments"] = []
    result = bench.run("drift", write_spec(bench, data), expect=2)
    assert "Notebook Load  (Deleted" in result.out
    assert [("Notebook", "Clean")] == bench.items("Sales Dev")


def test_a_hand_edit_in_the_target_stage_is_drift(bench: Bench) -> None:
    """Guards that somebody's change in Test is seen although no Git is bound there."""
    exists(bench)
    edit(bench, workspace="Sales Test")
    found = json.loads(
        bench.run("drift", write_spec(bench, spec()), "--format", "json", expect=2).out
    )
    assert ["pipelines/Sales/deployments/Development:Test"] == [
        d["address"] for d in found["drift"]
    ]
    items = found["drift"][0]["items"]
    assert [("Load", "Different")] == [(i["name"], i["change"]) for i in items]
