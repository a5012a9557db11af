"""Networks break, services fail, tokens expire: what was begun ends well, or says how it ended."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from bench import Bench, Result, write_item, write_notebooks
from small_estate import (
    DEMO,
    GROUP,
    SOURCE,
    SPEC,
    edit,
    exists,
    pipeline,
    push,
    repository,
    spec,
    workspaces,
    write_spec,
)

TOKEN = "s3cret-t0ken-value"
PAT = "hunter2-pat"
BOOM = {"status": 500, "body": {"errorCode": "InternalServerError", "message": "boom"}}
GATEWAY = {
    "status": 503,
    "headers": {"Content-Type": "text/html", "Retry-After": "0.01"},
    "body": "<html>gateway</html>",
}
MEMBER = {"principal": {"id": GROUP, "type": "Group"}, "role": "Member"}
ADMIN = {"principal": {"id": GROUP, "type": "Group"}, "role": "Admin"}
STAGES = SPEC["pipelines"][0]["stages"]


def _effects(bench: Bench) -> list[str]:
    """Return what was changed through the APIs, as "METHOD last-part-of-the-route", sorted."""
    return sorted(
        f"{r['method']} {str(r['route']).rsplit('/', 1)[-1]}"
        for r in bench.requests()
        if r["effect"] and r["method"] != "GET" and r["service"] in {"fabric", "azdo"}
    )


def _fired(bench: Bench) -> list[int]:
    return [f["fired"] for f in bench.control("GET", "/faults")["faults"]]


def _heal(bench: Bench) -> None:
    bench.control("DELETE", "/faults")


def _clean(result: Result) -> None:
    """Check that the plan made again after an apply was empty: apply says what it was not."""
    assert "Apply complete." in result.out
    assert "What remains" not in result.out
    assert "warning:" not in result.text


# -- a new estate, every write of it lost once --

NEW = {
    "POST azdo.repositories.create": "POST repositories",
    "POST azdo.imports.create": "POST importRequests",
    "PATCH azdo.repositories.update": "PATCH {repository}",
    "POST workspaces.create": "POST workspaces",
    "POST workspaces.roles.add": "POST roleAssignments",
    "POST git.connect": "POST connect",
    "POST git.initialize": "POST initializeConnection",
    "POST git.update": "POST updateFromGit",
    "POST pipelines.create": "POST deploymentPipelines",
    "POST pipelines.roles.add": "POST roleAssignments",
    "POST pipelines.stages.assign": "POST assignWorkspace",
    "POST pipelines.deploy": "POST deploy",
}
BUILT = sorted(
    [
        "POST repositories",
        "POST importRequests",
        "PATCH {repository}",
        *["POST workspaces"] * 2,
        *["POST roleAssignments"] * 2,
        "POST connect",
        "POST initializeConnection",
        "POST updateFromGit",
        "POST deploymentPipelines",
        *["POST assignWorkspace"] * 2,
        "POST deploy",
    ]
)


def _new_estate(bench: Bench) -> Path:
    """Let the source of an estate exist, and return a spec that makes every kind of thing."""
    write_notebooks(bench.folder / "items", ["Clean", "Load"])
    bench.scenario(
        {
            "capacities": [{"name": "F8-dev", "sku": "F8"}],
            "principals": [{"id": GROUP, "type": "Group", "name": "Sales team"}],
            "azureDevOps": [{"organization": "contoso", "projects": [{"name": "Sales"}]}],
            "github": [
                {
                    "owner": "contoso",
                    "repository": "fabric-sales",
                    "branch": "main",
                    "content": "items",
                    "directory": "fabric",
                }
            ],
        }
    )
    source = bench.folder / "source"
    bench.git("clone", "--quiet", f"{bench.ready['github_url']}/contoso/fabric-sales.git", "source")
    bench.git("push", "--quiet", "origin", "HEAD:refs/heads/trunk", cwd=source)
    data = yaml.safe_load((DEMO / "sales.yaml").read_text())
    data["azureDevOps"]["repositories"][0]["defaultBranch"] = "trunk"
    data["workspaces"][0]["roles"] = [MEMBER]
    data["pipelines"][0]["roles"] = [ADMIN]
    bench.control("DELETE", "/requests")
    return write_spec(bench, data)


def _match(route: str) -> dict[str, str]:
    method, name = route.split(" ")
    return {"method": method, "route": name}


def test_every_write_may_lose_its_answer_and_happens_once(bench: Bench) -> None:
    """Guards recovery by reading: each write of a new estate is found and not repeated."""
    spec_file = _new_estate(bench)
    for route in NEW:
        bench.fault(_match(route), drop="after")
    bench.apply(spec_file)
    assert [1] * len(NEW) == _fired(bench)
    assert BUILT == _effects(bench)
    _heal(bench)
    assert "No changes." in bench.run("plan", spec_file).out
    assert bench.items("Sales Dev") == bench.items("Sales Test")


@pytest.mark.parametrize("how", ["drop before", "500"])
def test_every_write_may_be_lost_on_its_way_and_is_sent_again(bench: Bench, how: str) -> None:
    """Guards that what did not arrive is seen to be missing, and sent once more."""
    spec_file = _new_estate(bench)
    for route in NEW:
        bench.fault(_match(route), **({"answer": BOOM} if how == "500" else {"drop": "before"}))
    bench.apply(spec_file)
    assert [1] * len(NEW) == _fired(bench)
    assert BUILT == _effects(bench)
    _heal(bench)
    assert "No changes." in bench.run("plan", spec_file).out


@pytest.mark.parametrize("route", NEW)
def test_a_write_that_keeps_failing_fails_cleanly_and_the_next_apply_converges(
    bench: Bench, route: str
) -> None:
    """Guards that a run ends with a table and exit 1, and that the next one finishes the work."""
    spec_file = _new_estate(bench)
    bench.fault({**_match(route), "times": None}, answer=GATEWAY)
    result = bench.apply(spec_file, expect=1)
    assert "Apply did not complete: " in result.out
    assert "503 an HTML page instead of JSON" in result.out
    # After a 503 nobody knows whether it was done, unless reading tells.
    assert {"failed", "inconclusive"} & {outcome for outcome, *_ in _table(result)}
    _heal(bench)
    _clean(bench.apply(spec_file))
    assert BUILT == _effects(bench)


# -- changes to an estate that is there --


def _nothing(bench: Bench) -> None:
    """Prepare nothing."""


def _hand_edit_in_test(bench: Bench) -> None:
    edit(bench, workspace="Sales Test")


def _has_role(bench: Bench) -> None:
    bench.portal(action="role", workspace="Sales Test", principal=GROUP, role="Viewer")


def _has_admin(bench: Bench) -> None:
    bench.portal(action="role", pipeline="Sales", principal=GROUP, role="Admin")


def _has_branch(bench: Bench) -> None:
    clone = bench.clone("Sales", "fabric-sales")
    bench.git("push", "--quiet", "origin", "HEAD:refs/heads/other", cwd=clone)


def _test_workspace(**fields: Any) -> dict[str, Any]:
    data = spec()
    data["workspaces"][1].update(fields)
    return data


def _binding(*, deploy: bool = False, **fields: Any) -> dict[str, Any]:
    data = spec()
    data["workspaces"][0]["git"].update(fields)
    if not deploy:
        data["pipelines"][0]["deployments"] = []
    return data


def _connection() -> dict[str, Any]:
    create = {"url": SOURCE, "credentials": {"key": "${env.PAT}"}}
    return spec(connections=[{"name": "c", "type": "GitHubSourceControl", "create": create}])


PRIVATE = repository(
    name="empty",
    **{"import": {"url": SOURCE, "credentials": {"username": "x", "password": "${env.PAT}"}}},
)
SWITCHED = ["POST connect", "POST disconnect", "POST initializeConnection"]

_Case = tuple[str, dict[str, Any], Callable[[Bench], Any], list[str]]
CHANGES: dict[str, _Case] = {
    "deploy again": ("pipelines.deploy", spec(), _hand_edit_in_test, ["POST deploy"]),
    "commit": (
        "git.commit",
        _binding(sync={"direction": "both"}),
        edit,
        ["POST commitToGit"],
    ),
    "update": ("git.update", _binding(), push, ["POST updateFromGit"]),
    "switch, at disconnect": (
        "git.disconnect",
        _binding(branch="other", initialize="PreferRemote"),
        _has_branch,
        SWITCHED,
    ),
    "switch, at connect": (
        "git.connect",
        _binding(branch="other", initialize="PreferRemote"),
        _has_branch,
        SWITCHED,
    ),
    "switch, at initialise": (
        "git.initialize",
        _binding(branch="other", initialize="PreferRemote"),
        _has_branch,
        SWITCHED,
    ),
    "disconnect": ("git.disconnect", _binding(state="absent"), _nothing, ["POST disconnect"]),
    "unassign": (
        "pipelines.stages.unassign",
        pipeline(stages=[STAGES[0], {"name": "Test", "workspace": "Loose", "reassign": True}]),
        _nothing,
        ["POST assignWorkspace", "POST unassignWorkspace"],
    ),
    "connection": ("connections.create", _connection(), _nothing, ["POST connections"]),
    "describe": (
        "workspaces.update",
        _test_workspace(description="UAT"),
        _nothing,
        ["PATCH {workspaceId}"],
    ),
    "capacity": (
        "workspaces.assign",
        workspaces({"name": "Bare", "capacity": "F8"}),
        _nothing,
        ["POST assignToCapacity"],
    ),
    "change a role": (
        "workspaces.roles.update",
        _test_workspace(roles=[MEMBER]),
        _has_role,
        ["PATCH {assignmentId}"],
    ),
    "remove a role": (
        "workspaces.roles.delete",
        _test_workspace(roles=[{**MEMBER, "state": "absent"}]),
        _has_role,
        ["DELETE {assignmentId}"],
    ),
    "remove a pipeline role": (
        "pipelines.roles.delete",
        pipeline(roles=[{**ADMIN, "state": "absent"}]),
        _has_admin,
        ["DELETE {principalId}"],
    ),
    "describe the pipeline": (
        "pipelines.update",
        pipeline(description="Dev to Test"),
        _nothing,
        ["PATCH {pipelineId}"],
    ),
    "describe a stage": (
        "pipelines.stages.update",
        pipeline(stages=[STAGES[0], {**STAGES[1], "description": "UAT"}]),
        _nothing,
        ["PATCH {stageId}"],
    ),
    "delete the pipeline": (
        "pipelines.delete",
        pipeline(state="absent", protect=False),
        _nothing,
        ["DELETE {pipelineId}"],
    ),
    "delete a workspace": (
        "workspaces.delete",
        workspaces({"name": "Loose", "state": "absent", "protect": False}),
        _nothing,
        ["DELETE {workspaceId}"],
    ),
}


# Where reading could take what was there before for the effect.
LOOKALIKES = ("deploy again", "commit", "update", "capacity", "unassign", "switch, at connect")


@pytest.mark.parametrize(
    ("case", "how"),
    [*((case, "drop after") for case in CHANGES), *((case, "drop before") for case in LOOKALIKES)],
)
def test_a_change_whose_answer_is_lost_takes_effect_once(bench: Bench, case: str, how: str) -> None:
    """Guards each kind of change against a lost answer, and some against a lost request."""
    route, data, prepare, effects = CHANGES[case]
    exists(bench)
    prepare(bench)
    spec_file = write_spec(bench, data)
    bench.control("DELETE", "/requests")
    bench.fault({"route": route}, drop=how.removeprefix("drop "))
    _clean(bench.apply(spec_file, PAT=PAT))
    assert [1] == _fired(bench)
    assert effects == _effects(bench)


def test_a_deployment_that_never_arrived_is_not_taken_for_done(bench: Bench) -> None:
    """Guards that pairs made by an earlier deployment prove nothing about this one."""
    exists(bench)
    edit(bench)
    spec_file = write_spec(bench, spec())
    bench.fault({"route": "pipelines.deploy", "times": None}, drop="before")
    result = bench.apply(spec_file, expect=1)
    assert "inconclusive" in result.out
    assert "Its effect is unknown" in result.out
    assert [] == _effects(bench)
    _heal(bench)
    assert ["deployment.deploy"] == bench.kinds(spec_file)


@pytest.mark.parametrize("route", ["azdo.endpoints.create", "azdo.imports.create"])
@pytest.mark.parametrize("how", ["drop after", "drop before", "500", "always"])
def test_an_endpoint_made_for_an_import_never_stays(bench: Bench, route: str, how: str) -> None:
    """Guards that the password of a private source is not left behind at the service."""
    exists(bench)
    spec_file = write_spec(bench, PRIVATE)
    match = {"route": route, "times": None if how == "always" else 1}
    if how in {"500", "always"}:
        bench.fault(match, answer=BOOM)
    else:
        bench.fault(match, drop=how.removeprefix("drop "))
    result = bench.apply(spec_file, expect=1 if how == "always" else 0, PAT=PAT)
    assert PAT not in result.text
    _heal(bench)
    left = httpx.get(
        f"{bench.ready['devops_url']}/contoso/Sales/_apis/serviceendpoint/endpoints",
        params={"api-version": "7.1"},
        headers={"Authorization": f"Bearer {bench.ready['token']}"},
        trust_env=False,
    ).json()
    assert 0 == left["count"]
    assert (0 if how == "always" else 1) == _effects(bench).count("POST importRequests")
    bench.apply(spec_file, PAT=PAT)
    assert 1 == _effects(bench).count("POST importRequests")


# -- reads --


def test_a_throttled_read_is_waited_out(bench: Bench) -> None:
    """Guards 429: Retry-After is a floor to wait, and the plan is the same afterwards."""
    exists(bench)
    spec_file = write_spec(bench, spec())
    answer = {
        "status": 429,
        "headers": {"Retry-After": "1"},
        "body": {"errorCode": "RequestBlocked", "message": "Request is blocked"},
    }
    bench.fault({"route": "git.status"}, answer=answer)
    began_s = time.monotonic()
    assert "No changes." in bench.run("plan", spec_file).out
    assert time.monotonic() - began_s >= 1
    assert [429, 200] == [r["status"] for r in bench.requests(method="GET") if _is_status(r)]


def _is_status(request: dict[str, Any]) -> bool:
    return str(request["path"]).endswith("/git/status") and request["status"] in {200, 429}


@pytest.mark.parametrize("route", ["workspaces.list", "git.connection", "pipelines.stages.items"])
def test_a_read_whose_connection_breaks_is_repeated(bench: Bench, route: str) -> None:
    """Guards that one broken connection is not even noticed by the user."""
    exists(bench)
    bench.fault({"route": route}, drop="before")
    result = bench.run("plan", write_spec(bench, spec()))
    assert "No changes. The estate matches the spec." in result.out
    assert [1] == _fired(bench)


def test_a_read_that_stays_broken_makes_its_part_unknown(bench: Bench) -> None:
    """Guards that an outage is told once per thing, with exit 1 and no plan on top of it."""
    exists(bench)
    bench.fault({"route": "git.connection", "times": None}, answer=GATEWAY)
    result = bench.run("plan", write_spec(bench, spec()), expect=1)
    assert "workspaces/Sales Dev/git: read git binding: GET" in result.out
    assert "503 an HTML page instead of JSON" in result.out
    assert 1 == result.out.count("503")
    assert "waits for workspaces/Sales Dev/git, which is unknown" in result.out


# -- operations that fail --


def test_a_failed_operation_skips_its_branch_and_the_rest_finishes(bench: Bench) -> None:
    """Guards independence: an update fails at the service, another pipeline is deployed."""
    exists(bench)
    data = spec()
    data["pipelines"].append(
        {
            "name": "Other",
            "stages": [
                {"name": "Dev", "workspace": "Loose"},
                {"name": "Test", "workspace": {"name": "Loose Test", "createOnDeploy": True}},
            ],
            "deployments": [{"from": "Dev", "to": "Test"}],
        }
    )
    spec_file = write_spec(bench, data)
    push(bench)
    clone = bench.folder / "clone-fabric-sales"
    # A report without its definition (fabric-api.md section 9): the whole sync fails on it.
    write_item(clone / "fabric", "Report", "Hollow", "00000000-0000-0000-4000-0000000000ff", {})
    bench.git("add", "-A", cwd=clone)
    bench.git("commit", "--quiet", "-m", "hollow", cwd=clone)
    bench.git("push", "--quiet", cwd=clone)
    result = bench.apply(spec_file, expect=1)
    assert "GitSyncFailed" in result.out
    assert "caused by: MissingItemDefinitionFiles" in result.out
    assert {
        ("failed", "workspaces/Sales Dev/git", "git.update"),
        ("skipped", "pipelines/Sales/deployments/Development:Test", "deployment.deploy"),
        ("done", "pipelines/Other", "pipeline.create"),
        ("done", "pipelines/Other/stages/Dev", "stage.assign"),
        ("done", "pipelines/Other/deployments/Dev:Test", "deployment.deploy"),
    } == _table(result)
    assert bench.items("Loose") == bench.items("Loose Test")
    # Half an update is a state to plan from, not a read that failed.
    plan = bench.plan(spec_file)
    reasons = [(a["kind"], a["reason"]["code"]) for a in plan["actions"]]
    assert ("git.update", "partial_update") == reasons[0]
    assert [] == plan["unknown"]
    assert "stopped half way" in bench.run("drift", spec_file, expect=2).out
    bench.git("revert", "--no-edit", "HEAD", cwd=clone)
    bench.git("push", "--quiet", cwd=clone)
    bench.apply(spec_file)
    assert [] == bench.kinds(spec_file)


def _table(result: Result) -> set[tuple[str, str, str]]:
    """Return the rows of the last table as (outcome, address, kind)."""
    table = result.out[result.out.index("Apply did not complete") :]
    row = re.compile(r"^  (\w[\w ]*?)  +(\S.*?) \(([\w.]+)\)", re.MULTILINE)
    return {(m[1], m[2], m[3]) for m in row.finditer(table)}


def _half_a_deployment(bench: Bench) -> Path:
    """Let a data pipeline wait to be deployed without the notebook it runs."""
    exists(bench)
    notebook = bench.portal(action="add", workspace="Sales Dev", type="Notebook", name="Fresh")
    content = {"properties": {"activities": [{"typeProperties": {"notebookId": notebook["id"]}}]}}
    bench.portal(
        action="add",
        workspace="Sales Dev",
        type="DataPipeline",
        name="Nightly",
        parts={"pipeline-content.json": json.dumps(content)},
    )
    bench.control("DELETE", "/requests")
    return write_spec(
        bench,
        pipeline(
            deployments=[
                {
                    "from": "Development",
                    "to": "Test",
                    "items": [{"type": "DataPipeline", "name": "*"}],
                }
            ]
        ),
    )


@pytest.mark.parametrize("answer", ["arrives", "is lost"])
def test_a_failed_deployment_names_the_item_and_is_sent_once(bench: Bench, answer: str) -> None:
    """Guards that the service's reason is passed on, also when the answer to deploy was lost."""
    spec_file = _half_a_deployment(bench)
    if answer == "is lost":
        bench.fault({"route": "pipelines.deploy"}, drop="after")
    result = bench.apply(spec_file, expect=1)
    assert "failed items: DataPipeline Nightly (MissingDependency)" in result.out
    assert "what was deployed before the failing item stays deployed" in result.out
    assert {
        ("failed", "pipelines/Sales/deployments/Development:Test", "deployment.deploy")
    } == _table(result)
    assert ["POST deploy"] == _effects(bench)


# -- who calls --

SIGN_IN: dict[str, dict[str, Any]] = {
    "203": {"status": 203, "headers": {"Content-Type": "text/html"}, "body": "<html>Sign in"},
    "302": {
        "status": 302,
        "headers": {"Location": "https://login.example/signin?code=abc123", "X": "y"},
        "body": "<html>Object moved",
    },
    "200 with a page": {"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<html>"},
    "401": {"status": 401, "body": {"errorCode": "TokenExpired", "message": f"{TOKEN} expired"}},
}


@pytest.mark.parametrize("case", SIGN_IN)
@pytest.mark.parametrize("service", ["fabric", "azdo"])
def test_a_caller_who_is_not_signed_in_is_told_once(bench: Bench, service: str, case: str) -> None:
    """Guards exit 1 with one message about signing in, whatever the service answers."""
    exists(bench)
    data = spec(azureDevOps=repository(name="fabric-sales")["azureDevOps"])
    spec_file = write_spec(bench, data)
    bench.fault({"service": service, "times": None}, answer=SIGN_IN[case])
    result = bench.run(
        "plan",
        spec_file,
        "--verbose",
        expect=1,
        RECONCILER_FABRIC_TOKEN=TOKEN,
        RECONCILER_DEVOPS_TOKEN=TOKEN,
    )
    hint = "the token must be valid" if case == "401" else "The token was not accepted"
    assert 1 == result.text.count(hint)
    assert TOKEN not in result.text
    assert "abc123" not in result.text
    assert [] == bench.writes()


def test_a_token_that_expires_during_an_apply_fails_cleanly(bench: Bench) -> None:
    """Guards that a run whose token dies ends with a table, and the next one goes on."""
    exists(bench)
    push(bench)
    spec_file = write_spec(bench, spec())
    bench.control("DELETE", "/requests")
    bench.fault({"route": "pipelines.deploy", "times": None}, answer=SIGN_IN["401"])
    result = bench.apply(
        spec_file,
        "--verbose",
        expect=1,
        RECONCILER_FABRIC_TOKEN=TOKEN,
        RECONCILER_DEVOPS_TOKEN=TOKEN,
    )
    assert "Check RECONCILER_FABRIC_TOKEN" in result.out
    assert TOKEN not in result.text
    assert ["POST updateFromGit"] == _effects(bench)
    _heal(bench)
    bench.apply(spec_file)
    assert ["POST deploy", "POST updateFromGit"] == _effects(bench)


def test_verbose_logs_every_request_and_no_secret(bench: Bench) -> None:
    """Guards the request log: method, path and status are there, header and body are not."""
    spec_file = _new_estate(bench)
    result = bench.apply(
        spec_file, "--verbose", RECONCILER_FABRIC_TOKEN=TOKEN, RECONCILER_DEVOPS_TOKEN=TOKEN
    )
    asked = [r for r in bench.requests() if r["service"] in {"fabric", "azdo"}]
    assert len(asked) == result.err.count(" reconciler.http ")
    assert "POST /v1/workspaces -> 201" in result.err
    assert TOKEN not in result.text
    assert "Bearer" not in result.text


# -- operations that go on after their answer was lost --


@pytest.fixture(scope="module")
def slow_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start an emulator whose operations take a moment."""
    folder = tmp_path_factory.mktemp("slow")
    ready = folder / "ready.json"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "reconciler", "emulator"),
            *("--ready-file", str(ready), "--speed", "fast"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end_s = time.monotonic() + 30
    while not ready.exists():
        assert process.poll() is None
        assert time.monotonic() < end_s
        time.sleep(0.02)
    yield json.loads(ready.read_text())
    process.terminate()
    process.wait(10)


def test_what_still_runs_when_its_answer_is_lost_is_waited_for(
    bench: Bench, slow_emulator: dict[str, str]
) -> None:
    """Guards the case between done and lost: the service is still at it, nothing is sent twice."""
    slow = Bench(
        bench.folder,
        slow_emulator,
        {
            **bench.environ,
            "RECONCILER_FABRIC_URL": slow_emulator["fabric_url"],
            "RECONCILER_DEVOPS_URL": slow_emulator["devops_url"],
            "RECONCILER_FABRIC_TOKEN": slow_emulator["token"],
            "RECONCILER_DEVOPS_TOKEN": slow_emulator["token"],
            "GIT_CONFIG_VALUE_0": f"Authorization: Bearer {slow_emulator['token']}",
        },
    )
    exists(slow)
    push(slow)
    spec_file = write_spec(slow, spec())
    slow.control("DELETE", "/requests")
    for route in ("git.update", "pipelines.deploy"):
        slow.fault({"route": route}, drop="after")
    slow.apply(spec_file)
    assert [1, 1] == _fired(slow)
    assert ["POST deploy", "POST updateFromGit"] == _effects(slow)
    assert [] == slow.kinds(spec_file)
