"""Branches, directories, relations and resyncs through the real command line."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from bench import Bench
from example_witness import azure_url, definition, git_connection, my_credentials, refs
from small_estate import GIT, edit, exists, push, write_spec
from small_estate import workspaces as spec_of

DEV = {"name": "Sales Dev", "git": GIT}
BOOM = {"status": 503, "headers": {"Retry-After": "0.01"}, "body": "<html>gateway</html>"}


def _feature(**git: Any) -> dict[str, Any]:
    """Return a spec of Sales Dev on main, and of Loose on a branch made from it."""
    bound = {**GIT, "branch": "feature/x", "createBranchFrom": "main", "initialize": "PreferRemote"}
    return spec_of(DEV, {"name": "Loose", "git": {**bound, **git}})


def _resync(**git: Any) -> dict[str, Any]:
    return spec_of({"name": "Sales Dev", "git": {**GIT, "sync": {"drift": "resync"}, **git}})


def _relations(bench: Bench, workspace: str) -> list[tuple[str, str]]:
    at = f"/workspaces/{bench.workspace_id(workspace)}/git/workspaceRelations"
    found = bench.fabric("GET", at)["value"]
    return [(r["relationType"], r["relatedWorkspaceId"]) for r in found]


def _relate(bench: Bench, workspace: str, base: str) -> None:
    body = {"relatedWorkspaceId": bench.workspace_id(base), "relationType": "Base"}
    at = f"/workspaces/{bench.workspace_id(workspace)}/git/workspaceRelations"
    bench.fabric("POST", at, body)


def _content(bench: Bench, item: str = "Load") -> str:
    return definition(bench, "Sales Dev", "Notebook", item)["notebook-content.py"]


def _heads(bench: Bench) -> dict[str, str]:
    lines = refs(bench, azure_url(bench)).splitlines()
    found = [line.split("\t") for line in lines if not line.startswith("ref:")]
    return {name: commit for commit, name in found}


# -- branches and directories --


def test_a_branch_is_made_at_the_tip_of_its_source_and_never_again(bench: Bench) -> None:
    """Guards a feature workspace: one ref more, at the same commit, and a second plan is empty."""
    exists(bench)
    spec_file = write_spec(bench, _feature())
    bench.apply(spec_file)
    heads = _heads(bench)
    assert heads["refs/heads/main"] == heads["refs/heads/feature/x"]
    bench.control("DELETE", "/requests")
    assert "No changes." in bench.apply(spec_file).out
    assert [] == bench.writes()


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("route", ["azdo.refs.update", "azdo.pushes.create"])
def test_a_branch_or_directory_whose_answer_is_lost_is_made_once(
    bench: Bench, route: str, how: str
) -> None:
    """Guards recovery by reading: the ref and the commit are found, or sent once more."""
    exists(bench)
    data = _feature(directory="/own", createDirectory=True)
    bench.fault({"route": route}, drop=how)
    bench.apply(write_spec(bench, data))
    made = [
        r["route"].rsplit("/", 1)[-1]
        for r in bench.requests(service="azdo")
        if r["effect"] and r["method"] == "POST"
    ]
    assert ["refs", "pushes"] == made
    heads = _heads(bench)
    assert heads["refs/heads/main"] != heads["refs/heads/feature/x"]


def test_a_branch_somebody_else_has_made_meanwhile_is_not_taken_for_ours(bench: Bench) -> None:
    """Guards the condition of the write: a plan file is stale when the branch is there."""
    exists(bench)
    spec_file = write_spec(bench, _feature())
    bench.run("plan", spec_file, "--out", "p.json")
    clone = bench.clone("Sales", "fabric-sales")
    bench.git("commit", "--quiet", "--allow-empty", "-m", "theirs", cwd=clone)
    bench.git("push", "--quiet", "origin", "HEAD:refs/heads/feature/x", cwd=clone)
    theirs = _heads(bench)["refs/heads/feature/x"]
    bench.control("DELETE", "/requests")
    result = bench.apply("p.json", expect=3)
    assert "repository.branch.create" in result.text
    assert theirs == _heads(bench)["refs/heads/feature/x"]
    assert [] == bench.writes()


def test_a_source_that_moves_under_the_run_is_planned_again(bench: Bench) -> None:
    """Guards that a branch is never made from another commit than the plan showed."""
    exists(bench)
    spec_file = write_spec(bench, _feature())
    bench.run("plan", spec_file, "--out", "p.json")
    push(bench)
    bench.apply("p.json", expect=3)
    bench.apply(spec_file)
    heads = _heads(bench)
    assert heads["refs/heads/main"] == heads["refs/heads/feature/x"]


def test_a_refused_branch_names_the_permission(bench: Bench) -> None:
    """Guards that a 200 whose item failed is a failure, with what to do about it."""
    exists(bench)
    refused = {"updateStatus": "createBranchPermissionRequired", "success": False}
    body = {"value": [{"name": "refs/heads/feature/x", **refused}], "count": 1}
    bench.fault({"route": "azdo.refs.update"}, answer={"status": 200, "body": body})
    result = bench.apply(write_spec(bench, _feature()), expect=1)
    assert "createBranchPermissionRequired" in result.text
    assert "give the caller Contribute and Create branch on fabric-sales" in result.text
    assert "waits for repository.branch.create" in result.text


def test_the_first_commit_of_a_workspace_makes_repository_branch_and_directory(
    bench: Bench,
) -> None:
    """Guards an empty repository: placeholder first, then the items, both on main."""
    exists(bench)
    data = spec_of(
        {"name": "Loose", "git": {**GIT, "repository": "empty", "createDirectory": True}}
    )
    bench.apply(write_spec(bench, data))
    clone = bench.clone("Sales", "empty")
    assert "2" == bench.git("rev-list", "--count", "main", cwd=clone).strip()
    assert (clone / "fabric" / ".gitkeep").is_file()
    assert (clone / "fabric" / "Load.Notebook" / ".platform").is_file()


# -- relations --


def test_a_relation_is_set_with_beta_and_only_then(bench: Bench) -> None:
    """Guards the preview API: not even read without the flag, then set, replaced, and at rest."""
    exists(bench)
    spec_file = write_spec(bench, _feature(relation={"base": "Sales Dev"}))
    result = bench.apply(spec_file)
    assert "The relation to Sales Dev needs --beta" in result.text
    assert [] == [r for r in bench.requests() if "workspaceRelations" in r["path"]]

    assert 2 == bench.run("drift", spec_file, "--beta", expect=2).code
    text = bench.apply(spec_file, "--beta").out
    assert 'relation: (none) -> "Sales Dev"' in text
    assert [("Base", bench.workspace_id("Sales Dev"))] == _relations(bench, "Loose")
    bench.control("DELETE", "/requests")
    assert "No changes." in bench.apply(spec_file, "--beta").out
    assert [] == bench.writes()


def test_a_plan_file_remembers_that_preview_apis_may_be_used(bench: Bench) -> None:
    """Guards apply FILE: the flag is part of the plan, and refused beside it."""
    exists(bench)
    spec_file = write_spec(bench, _feature(relation={"base": "Sales Dev"}))
    bench.run("plan", spec_file, "--beta", "--out", "p.json")
    refused = bench.apply("p.json", "--beta", expect=64)
    assert "--beta" in refused.text
    bench.apply("p.json")
    assert [("Base", bench.workspace_id("Sales Dev"))] == _relations(bench, "Loose")


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_relation_to_another_base_is_replaced_once(bench: Bench, drop: str) -> None:
    """Guards the pair of writes against a lost answer: one relation, to the right base."""
    exists(bench)
    other = {"name": "Other", "create": True, "capacity": "F8"}
    third = {**other, "git": {**GIT, "branch": "third", "createBranchFrom": "main"}}
    data = _feature()
    data["workspaces"].append(third)
    bench.apply(write_spec(bench, data))
    _relate(bench, "Loose", "Other")
    data["workspaces"][1]["git"]["relation"] = {"base": "Sales Dev"}
    spec_file = write_spec(bench, data)
    assert 'relation: "Other" -> "Sales Dev"' in bench.run("plan", spec_file, "--beta").out
    bench.fault({"route": "git.relations.create"}, drop=drop)
    bench.apply(spec_file, "--beta")
    assert ("Base", bench.workspace_id("Sales Dev")) in _relations(bench, "Loose")
    assert [] == [r for r in _relations(bench, "Other") if r[0] == "Branch"]


def test_relations_that_may_not_be_read_leave_the_rest_alone(bench: Bench) -> None:
    """Guards unknown: exit 1, the binding is synced all the same, nothing is related."""
    exists(bench)
    spec_file = write_spec(bench, _feature(relation={"base": "Sales Dev"}))
    bench.apply(spec_file)
    push(bench)
    bench.fault(
        {"route": "git.relations.list", "times": None},
        answer={"status": 403, "body": {"errorCode": "InsufficientPrivileges", "message": "No."}},
    )
    plan = bench.plan(spec_file, "--beta", expect=1)
    assert ["workspaces/Loose/git/relation"] == plan["unknown"]
    assert ["git.update"] == [a["kind"] for a in plan["actions"]]


# -- resync --


def _hand_work(bench: Bench) -> None:
    edit(bench)
    bench.portal(action="add", workspace="Sales Dev", type="Notebook", name="Mine")


def test_a_resync_drops_what_was_done_by_hand_and_takes_what_is_new(bench: Bench) -> None:
    """Guards the whole way: listed, destructive, then exactly what Git has."""
    exists(bench)
    _hand_work(bench)
    commit = push(bench, item="Clean")
    bench.control("DELETE", "/requests")
    spec_file = write_spec(bench, _resync())
    text = bench.run("plan", spec_file).out
    assert "DESTRUCTIVE" in text
    assert "Notebook Mine  (Deleted; added by hand and not committed: lost)" in text
    refused = bench.run("apply", spec_file, expect=3)
    assert "approval is missing" in refused.text
    assert [] == bench.writes()
    bench.apply(spec_file)
    assert [("Notebook", "Clean"), ("Notebook", "Load")] == bench.items("Sales Dev")
    assert "by hand" not in _content(bench)
    assert commit == git_connection(bench, "Sales Dev")["gitSyncDetails"]["head"]
    assert "No drift." in bench.run("drift", spec_file).out


def test_a_resync_signs_in_as_before_and_puts_relations_back(bench: Bench) -> None:
    """Guards what a disconnect takes: credentials the spec does not name, and both relations."""
    exists(
        bench,
        connections=[{"name": "g", "type": "AzureDevOpsSourceControl", "url": "https://x.example"}],
    )
    feature = _feature(relation={"base": "Sales Dev"})
    feature["workspaces"][0]["git"] = {**GIT, "credentials": {"connection": "g"}}
    bench.apply(write_spec(bench, feature), "--beta")
    before = my_credentials(bench)
    assert "ConfiguredConnection" == before["source"]
    _hand_work(bench)
    related = _relations(bench, "Sales Dev")
    spec_file = write_spec(bench, _resync())
    bench.apply(spec_file, "--beta")
    assert before == my_credentials(bench)
    assert related == _relations(bench, "Sales Dev")
    assert [("Branch", bench.workspace_id("Loose"))] == related


_STEPS = ["git.disconnect", "git.connect", "git.initialize", "git.update"]


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("route", _STEPS)
def test_a_step_of_a_resync_whose_answer_is_lost_is_taken_once(
    bench: Bench, route: str, how: str
) -> None:
    """Guards recovery by reading at each of the four steps."""
    exists(bench)
    _hand_work(bench)
    bench.fault({"route": route}, drop=how)
    bench.apply(write_spec(bench, _resync()))
    assert "by hand" not in _content(bench)


@pytest.mark.parametrize(
    ("route", "then"),
    [
        ("git.disconnect", ["git.resync"]),
        ("git.connect", ["git.connect", "git.initialize", "git.update"]),
        ("git.initialize", ["git.initialize", "git.update"]),
        ("git.update", ["git.update"]),
    ],
)
def test_a_resync_that_breaks_off_is_finished_by_the_next_run(
    bench: Bench, route: str, then: list[str]
) -> None:
    """Guards every state it can leave: the next plan goes on from there, to the same end."""
    exists(bench)
    _hand_work(bench)
    spec_file = write_spec(bench, _resync())
    bench.fault({"route": route, "times": None}, answer=BOOM)
    bench.apply(spec_file, expect=1)
    bench.control("DELETE", "/faults")
    assert then == bench.kinds(spec_file)
    bench.apply(spec_file)
    assert [("Notebook", "Clean"), ("Notebook", "Load")] == bench.items("Sales Dev")
    assert "by hand" not in _content(bench)


def test_what_differs_again_after_a_resync_is_told_with_the_rule_to_paste(bench: Bench) -> None:
    """Guards against resyncing for ever: exit 1, residual, and the rule makes the plan empty."""
    exists(bench)
    edit(bench)
    at = f"/workspaces/{bench.workspace_id('Sales Dev')}/git/status"
    status = bench.fabric("GET", at)
    data = _resync()
    # Plan, check, verify: the third answer is the one after the update.
    bench.fault({"route": "git.status", "nth": 3}, answer={"status": 200, "body": status})
    result = bench.apply(write_spec(bench, data), expect=1)
    text = " ".join(result.text.split())
    assert "residual: 1 item differs straight after everything was taken from Git" in text
    rule = (
        'ignore: [{address: "workspaces/Sales Dev/git", items: [{type: Notebook, name: "Load"}]}]'
    )
    assert rule in text
    bench.control("DELETE", "/faults")
    edit(bench)
    address = "workspaces/Sales Dev/git"
    data["ignore"] = [{"address": address, "items": [{"type": "Notebook", "name": "Load"}]}]
    assert [] == bench.kinds(write_spec(bench, data))


def test_what_is_done_by_hand_after_the_plan_is_not_dropped(bench: Bench) -> None:
    """Guards the check just before the disconnect: only what the plan listed may go."""
    exists(bench)
    edit(bench)
    spec_file = write_spec(bench, _resync())
    bench.run("plan", spec_file, "--out", "p.json")
    bench.portal(action="add", workspace="Sales Dev", type="Notebook", name="Mine")
    result = bench.apply("p.json", expect=3)
    assert "it would also take Notebook Mine" in result.text
    assert [] == bench.writes()


# -- switching, and who calls --


def test_a_switch_to_a_branch_it_makes_shows_what_is_lost_first(bench: Bench) -> None:
    """Guards the preview: the uncommitted item is named before anything is disconnected."""
    exists(bench)
    edit(bench)
    git = {**GIT, "branch": "next", "createBranchFrom": "main", "initialize": "PreferRemote"}
    spec_file = write_spec(bench, spec_of({"name": "Sales Dev", "git": git}))
    text = bench.run("plan", spec_file).out
    assert "Notebook Load  (Modified; uncommitted, lost)" in text
    assert "1 other item of the workspace is overwritten where the target differs" in text
    bench.apply(spec_file)
    assert "next" == git_connection(bench, "Sales Dev")["gitProviderDetails"]["branchName"]
    assert "by hand" not in _content(bench)


def test_a_github_target_of_a_switch_is_refused_with_a_way_in_two_steps(bench: Bench) -> None:
    """Guards that the way out which the refusal names works."""
    exists(bench)
    hub = {
        "provider": "GitHub",
        "owner": "contoso",
        "repository": "source",
        "branch": "main",
        "directory": "/fabric",
        "credentials": {"connection": "hub"},
        "initialize": "PreferRemote",
    }
    there = write_spec(bench, spec_of({"name": "Sales Dev", "git": hub}), "there.yaml")
    refused = bench.apply(there, expect=1)
    assert "Fabric has no call that reads GitHub" in refused.text
    assert [] == bench.writes()
    off = spec_of({"name": "Sales Dev", "git": {**GIT, "state": "absent"}})
    bench.apply(write_spec(bench, off, "off.yaml"))
    bench.apply(there)
    details = git_connection(bench, "Sales Dev")["gitProviderDetails"]
    assert "GitHub" == details["gitProviderType"]


def _token(**claims: str) -> str:
    def part(data: dict[str, str]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.x"


@pytest.mark.parametrize("kind", ["app", "user"])
def test_a_service_principal_is_told_of_automatic_credentials_before_any_write(
    bench: Bench, kind: str
) -> None:
    """Guards preflight by the token's own claims; a person may use them."""
    exists(bench)
    token = _token(oid="6f1c0f5e-0000-4000-8000-00000000000a", idtyp=kind)
    git = {**GIT, "credentials": "automatic", "initialize": "PreferRemote"}
    spec_file = write_spec(bench, spec_of({"name": "Loose", "git": git}))
    expect = 1 if kind == "app" else 0
    result = bench.run("plan", spec_file, expect=expect, RECONCILER_FABRIC_TOKEN=token)
    told = "This caller is a service principal" in result.text
    assert (kind == "app") is told
