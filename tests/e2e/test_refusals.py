"""What is refused is refused before anything is written, by name and with the ways out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from bench import Bench, write_item
from small_estate import (
    GIT,
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

FORBIDDEN = {
    "status": 403,
    "body": {
        "requestId": "r-1",
        "errorCode": "InsufficientPrivileges",
        "message": "The caller does not have sufficient permissions.",
    },
}
STAGES = SPEC["pipelines"][0]["stages"]
HUB = {
    "provider": "GitHub",
    "owner": "contoso",
    "repository": "source",
    "branch": "main",
    "directory": "/fabric",
}


def _elsewhere(project: str) -> dict[str, Any]:
    out = repository(name="x", create=True)
    out["azureDevOps"]["repositories"][0]["project"] = project
    return out


def _bare(git: dict[str, Any]) -> dict[str, Any]:
    return workspaces({"name": "Bare", "capacity": "F8", "git": git})


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown workspace": (
        workspaces({"name": "Sales Dve"}),
        "The workspace Sales Dve does not exist or is not visible to this caller.",
        "Set create: true",
    ),
    "repository not empty and not imported": (
        repository(name="fabric-sales", **{"import": {"url": SOURCE}}),
        f"The repository fabric-sales has content that was not imported from {SOURCE}.",
        "Set adopt: true",
    ),
    "repository missing": (
        repository(name="nope"),
        "The repository nope does not exist in Sales, or is not visible to this caller.",
        "Set create: true",
    ),
    "directory missing": (
        _bare({**GIT, "directory": "/Fabric"}),
        "There is no directory /Fabric on branch main",
        "directories are case-sensitive",
    ),
    "branch missing": (
        _bare({**GIT, "branch": "Main"}),
        "There is no branch Main in fabric-sales",
        "branches are case-sensitive",
    ),
    "bound repository missing": (
        _bare({**GIT, "repository": "nope"}),
        "There is no repository nope in Sales that this caller can see",
        "Create or import it",
    ),
    "both sides filled": (
        workspaces({"name": "Loose", "git": GIT}),
        "The workspace has 2 items and /fabric on main has 2",
        "initialize: PreferRemote or PreferWorkspace",
    ),
    "no capacity for git": (
        workspaces({"name": "Bare", "git": GIT}),
        "The workspace Bare has no capacity, and Git needs one.",
        "capacity:",
    ),
    "capacity missing": (
        workspaces({"name": "New", "create": True, "capacity": "F9"}),
        "The capacity F9 does not exist or is not visible to this caller.",
        "Visible capacities: F2-off, F8.",
    ),
    "capacity paused": (
        workspaces({"name": "New", "create": True, "capacity": "F2-off"}),
        "The capacity F2-off is inactive.",
        "Resume it in the Azure portal",
    ),
    "connection missing": (
        _bare({**GIT, "credentials": {"connection": "nope"}}),
        "The connection nope does not exist or is not shared with this caller.",
        "Share it with the caller",
    ),
    "GitHub without a connection": (
        _bare(HUB),
        "GitHub is connected through a Fabric connection, and the binding names none.",
        "credentials: {connection: NAME}",
    ),
    "stage count differs": (
        pipeline(stages=[*STAGES, {"name": "Production"}]),
        "The pipeline has 2 stages and the spec has 3.",
        "describe a new pipeline",
    ),
    "stage holds another workspace": (
        pipeline(stages=[STAGES[0], {"name": "Test", "workspace": "Loose"}]),
        "The stage Test holds Sales Test, not Loose.",
        "reassign: true",
    ),
    "default branch missing": (
        repository(name="fabric-sales", defaultBranch="trunk"),
        "The repository fabric-sales has no branch trunk.",
        "Push the branch first",
    ),
    "service endpoint missing": (
        repository(
            name="empty",
            **{"import": {"url": SOURCE, "credentials": {"serviceEndpoint": "nope"}}},
        ),
        "The service endpoint nope is not visible to this caller in Sales.",
        "Service connections",
    ),
    "project missing": (
        _elsewhere("Slaes"),
        "The project Slaes does not exist or is not visible to this caller.",
        "projects are not managed",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused_before_any_write(bench: Bench, case: str) -> None:
    """Guards exit 1, the name of the thing, the way out, and that nothing was written."""
    exists(bench)
    data, said, way_out = REFUSED[case]
    spec_file = write_spec(bench, data)
    planned, applied = bench.run("plan", spec_file, expect=1), bench.apply(spec_file, expect=1)
    for result in (planned, applied):
        assert said in result.text
        assert way_out in result.text
        assert "This plan cannot be applied: 1 error" in result.text
    assert [] == bench.writes()


@pytest.mark.parametrize(
    "data",
    [
        pipeline(state="absent"),
        workspaces({"name": "Loose", "state": "absent"}),
        workspaces({"name": "Loose", "state": "absent", "protect": True}),
    ],
    ids=["pipeline", "workspace by default", "workspace"],
)
def test_removing_what_is_protected_is_refused_by_policy(
    bench: Bench, data: dict[str, Any]
) -> None:
    """Guards exit 3 of plan and apply, that approval does not help, and that nothing is lost."""
    exists(bench)
    spec_file = write_spec(bench, data)
    for result in (bench.run("plan", spec_file, expect=3), bench.apply(spec_file, expect=3)):
        assert "is protected, and this plan would delete it." in result.text
        assert "Set protect: false beside state: absent" in result.text
        assert "DESTRUCTIVE" in result.text
    assert [] == bench.writes()


def test_unpaired_items_of_the_same_name_are_refused(bench: Bench) -> None:
    """Guards against the duplicates that the service would make of them."""
    exists(bench)
    for workspace in ("Sales Dev", "Sales Test"):
        bench.portal(action="add", workspace=workspace, type="Notebook", name="Fresh")
    data = spec()
    del data["workspaces"][0]["git"]
    text = bench.apply(write_spec(bench, data), expect=1).text
    assert "Test has items of the same type and name that are not paired: Notebook Fresh." in text
    assert "exclude" in text
    assert [] == bench.writes()


def test_every_conflict_is_listed_with_both_sides(bench: Bench) -> None:
    """Guards conflicts: fail, which must show what was changed where before anybody decides."""
    exists(bench)
    for item in ("Clean", "Load"):
        edit(bench, item=item)
        push(bench, item)
    bench.control("DELETE", "/requests")
    text = bench.apply(write_spec(bench, spec()), expect=1).text
    assert "2 items changed on both sides" in text
    assert "Notebook Clean (workspace: modified, Git: modified)" in text
    assert "Notebook Load (workspace: modified, Git: modified)" in text
    assert "PreferRemote (the workspace's changes are lost)" in text
    assert [] == bench.writes()


@pytest.mark.parametrize("policy", ["PreferRemote", "PreferWorkspace"])
def test_a_conflict_is_resolved_as_the_spec_says(bench: Bench, policy: str) -> None:
    """Guards the way out that the refusal names."""
    exists(bench)
    edit(bench)
    tip = push(bench)
    data = spec()
    data["workspaces"][0]["git"]["sync"] = {"conflicts": policy}
    data["pipelines"][0]["deployments"] = []
    bench.apply(write_spec(bench, data))
    status = bench.fabric("GET", f"/workspaces/{bench.workspace_id('Sales Dev')}/git/status")
    assert tip == status["workspaceHead"]
    left = [] if policy == "PreferRemote" else ["Load"]
    assert left == [c["itemMetadata"]["displayName"] for c in status["changes"]]


@pytest.mark.parametrize("route", ["git.status", "git.connection"])
def test_a_binding_that_may_not_be_read_is_unknown_and_the_rest_goes_on(
    bench: Bench, route: str
) -> None:
    """Guards that forbidden is never absent: nothing is planned on it, the rest is done, exit 1."""
    exists(bench)
    push(bench)
    data = spec()
    data["workspaces"][1]["description"] = "User acceptance"
    spec_file = write_spec(bench, data)
    bench.fault({"route": route, "times": None}, answer=FORBIDDEN)
    plan = bench.plan(spec_file, expect=1)
    assert ["workspace.update"] == [a["kind"] for a in plan["actions"]]
    assert [
        "pipelines/Sales/deployments/Development:Test",
        "workspaces/Sales Dev/git",
    ] == plan["unknown"]
    assert not plan["complete"]
    assert plan["applyable"]
    bench.control("DELETE", "/requests")
    result = bench.apply(spec_file, expect=1)
    assert "403 InsufficientPrivileges" in result.text
    assert "give the caller the role the resource needs" in result.text
    assert "not everything could be read" in result.text
    assert ["PATCH"] == [w["method"] for w in bench.writes()]
    assert 1 == bench.run("drift", spec_file, expect=1).code


def test_roles_that_may_not_be_listed_are_unknown_and_the_rest_goes_on(bench: Bench) -> None:
    """Guards that a role is not added twice because the list of roles is hidden."""
    exists(bench)
    data = spec()
    data["workspaces"][0]["roles"] = [
        {"principal": {"id": GROUP, "type": "Group"}, "role": "Contributor"}
    ]
    data["workspaces"][0]["description"] = "Where the team works"
    spec_file = write_spec(bench, data)
    bench.fault({"route": "workspaces.roles.list", "times": None}, answer=FORBIDDEN)
    plan = bench.plan(spec_file, expect=1)
    assert ["workspaces/Sales Dev/roles"] == plan["unknown"]
    bench.control("DELETE", "/requests")
    bench.apply(spec_file, expect=1)
    assert ["PATCH"] == [w["method"] for w in bench.writes()]


def test_workspaces_that_cannot_be_listed_are_not_created(bench: Bench) -> None:
    """Guards against the worst reading of a failed list: that everything is missing."""
    exists(bench)
    data = spec()
    for workspace in data["workspaces"]:
        workspace["create"] = True
    spec_file = write_spec(bench, data)
    bench.fault({"route": "workspaces.list", "times": None}, answer=FORBIDDEN)
    plan = bench.plan(spec_file, expect=1)
    assert [] == plan["actions"]
    assert {"workspaces/Sales Dev", "workspaces/Sales Test"} <= set(plan["unknown"])
    bench.apply(spec_file, expect=1)
    assert [] == bench.writes()


def test_a_github_directory_that_is_missing_is_explained(bench: Bench) -> None:
    """Guards the words for the service's GitProviderResourceNotFound: nobody else looks before."""
    exists(bench)
    data = _bare({**HUB, "directory": "/nope", "credentials": {"connection": "hub"}})
    text = bench.apply(write_spec(bench, data), expect=1).text
    assert "Git has no contoso/source@main:/nope" in text
    assert "404 GitProviderResourceNotFound" in text
    assert "the directory needs a file in it" in text
    assert "waits for git.connect workspaces/Bare/git, which failed" in text
    effects = [w["route"] for w in bench.writes() if w["effect"]]
    assert ["/v1/workspaces/{workspaceId}/assignToCapacity"] == effects


def test_both_sides_filled_on_github_leave_the_workspace_as_it_was(bench: Bench) -> None:
    """Guards that a refusal only initialise can give takes the connection back."""
    exists(bench)
    data = workspaces(
        {"name": "Loose", "capacity": "F8", "git": {**HUB, "credentials": {"connection": "hub"}}}
    )
    before = bench.items("Loose")
    text = bench.apply(write_spec(bench, data), expect=1).text
    assert "both the workspace and the directory have content" in text
    assert "the connection was taken back" in text
    assert "set git.initialize to PreferRemote or PreferWorkspace" in text
    connection = bench.fabric("GET", f"/workspaces/{bench.workspace_id('Loose')}/git/connection")
    assert "NotConnected" == connection["gitConnectionState"]
    assert before == bench.items("Loose")


def test_a_secret_that_is_not_set_is_told_before_any_write(bench: Bench) -> None:
    """Guards that apply does not stop half way for want of a variable, and never shows one."""
    exists(bench)
    create = {"url": SOURCE, "credentials": {"key": "${env.HUB_PAT}"}}
    data = spec(connections=[{"name": "c", "type": "GitHubSourceControl", "create": create}])
    data["workspaces"].append({"name": "New", "create": True})
    spec_file = write_spec(bench, data)
    bench.run("plan", spec_file, "--out", "plan.json")
    for result in (
        bench.apply(spec_file, expect=1),
        bench.run("apply", "plan.json", expect=1),
        bench.apply(spec_file, expect=1, HUB_PAT=""),
    ):
        assert "environment variables are not set: HUB_PAT; nothing was written" in result.err
    assert [] == bench.writes()
    done = bench.run("apply", "plan.json", "--verbose", HUB_PAT="hunter2-pat")
    assert "hunter2" not in done.text
    assert "hunter2" not in (bench.folder / "plan.json").read_text()


def test_nobody_to_ask_and_no_approval_is_refused(bench: Bench) -> None:
    """Guards that a pipeline without --auto-approve stops instead of waiting or going on."""
    exists(bench)
    data = spec()
    data["workspaces"].append({"name": "New", "create": True})
    result = bench.run("apply", write_spec(bench, data), expect=3)
    assert "create the workspace" in result.out
    assert "approval is missing" in result.err
    assert "--auto-approve" in result.err
    assert [] == bench.writes()


# -- what moves between plan and apply --


def _commit_spec() -> dict[str, Any]:
    data = spec()
    data["workspaces"][0]["git"]["sync"] = {"direction": "commit"}
    data["pipelines"][0]["deployments"] = []
    return data


def _add(bench: Bench) -> None:
    bench.portal(action="add", workspace="Sales Dev", type="Notebook", name="Sneak")


MOVES: dict[str, tuple[dict[str, Any], Callable[[Bench], Any], Callable[[Bench], Any], str]] = {
    "the branch moves": (spec(), push, push, "git.update workspaces/Sales Dev/git: remote_commit"),
    "an item is edited": (
        spec(),
        push,
        lambda bench: edit(bench, item="Clean"),
        "Development:Test: it would also take Notebook Clean",
    ),
    "the branch moves before a commit": (
        _commit_spec(),
        edit,
        lambda bench: push(bench, "Clean"),
        "workspaces/Sales Dev/git: The branch has 1 incoming change",
    ),
    "another item is edited before a commit": (
        _commit_spec(),
        edit,
        lambda bench: edit(bench, item="Clean"),
        "git.commit workspaces/Sales Dev/git: it would also take Notebook Clean",
    ),
    "an item is added before a commit": (
        _commit_spec(),
        edit,
        _add,
        "git.commit workspaces/Sales Dev/git: it would also take Notebook Sneak",
    ),
}


@pytest.mark.parametrize("case", MOVES)
def test_a_plan_file_is_refused_when_something_moved_since(bench: Bench, case: str) -> None:
    """Guards that apply FILE does what was reviewed or nothing, and names what moved."""
    data, before, moved, said = MOVES[case]
    exists(bench)
    before(bench)
    bench.run("plan", write_spec(bench, data), "--out", "plan.json")
    moved(bench)
    bench.control("DELETE", "/requests")
    result = bench.run("apply", "plan.json", "--auto-approve", expect=3)
    assert "the plan is stale: " in result.err
    assert said in result.err
    assert "make a new plan; nothing was written" in result.err
    assert [] == bench.writes()


def test_what_can_no_longer_be_read_makes_a_plan_file_stale(bench: Bench) -> None:
    """Guards that a failed read is named as such and not taken for "not needed any more"."""
    exists(bench)
    push(bench)
    bench.run("plan", write_spec(bench, spec()), "--out", "plan.json")
    bench.control("DELETE", "/requests")
    bench.fault({"route": "git.status", "times": None}, answer=FORBIDDEN)
    result = bench.run("apply", "plan.json", expect=3)
    assert "workspaces/Sales Dev/git cannot be read now" in result.err
    assert "git.update workspaces/Sales Dev/git is not needed" not in result.err
    assert [] == bench.writes()


class Racing:
    """An apply that is held at one request, so that a test can act in the meantime."""

    def __init__(self, bench: Bench, *args: Any, at: str, nth: int) -> None:
        bench.fault({"route": at, "nth": nth}, delay_s=2)
        self._bench = bench
        self._process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "apply", *map(str, args)],
            cwd=bench.folder,
            env=bench.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        while not bench.control("GET", "/faults")["faults"][0]["fired"]:
            assert self._process.poll() is None, self._process.communicate()[0].decode()

    def end(self) -> tuple[int, str]:
        """Return the exit code and what was printed."""
        out, _ = self._process.communicate(timeout=60)
        assert b"Traceback" not in out, out.decode()
        return self._process.returncode, out.decode()


def test_apply_of_a_spec_plans_again_when_the_branch_moves_under_it(bench: Bench) -> None:
    """Guards that the newest commit is deployed, by a new plan and not by a blind update."""
    exists(bench)
    push(bench)
    spec_file = write_spec(bench, spec())
    # The first status is the plan's, the second the check just before the update.
    race = Racing(bench, spec_file, "--auto-approve", at="git.status", nth=2)
    tip = push(bench, "Clean")
    code, text = race.end()
    assert 0 == code, text
    assert "Apply complete." in text
    status = bench.fabric("GET", f"/workspaces/{bench.workspace_id('Sales Dev')}/git/status")
    assert (tip, []) == (status["workspaceHead"], status["changes"])
    assert [] == bench.kinds(spec_file)
    updates = [w for w in bench.writes() if w["path"].endswith("updateFromGit") and w["effect"]]
    assert 1 == len(updates)


def test_apply_of_a_file_refuses_when_the_branch_moves_after_its_checks(bench: Bench) -> None:
    """Guards the re-check just before a write: a plan file is never planned again."""
    exists(bench)
    push(bench)
    bench.run("plan", write_spec(bench, spec()), "--out", "plan.json")
    bench.control("DELETE", "/requests")
    race = Racing(bench, "plan.json", at="git.status", nth=2)
    push(bench, "Clean")
    code, text = race.end()
    assert 3 == code, text
    assert "the branch moved from" in text
    assert [] == [w for w in bench.writes() if w["service"] != "git"]


def test_a_commit_takes_in_nothing_that_was_added_after_the_plan(bench: Bench) -> None:
    """Guards commit mode All: an item added under the plan is not committed unseen."""
    exists(bench)
    edit(bench)
    bench.run("plan", write_spec(bench, _commit_spec()), "--out", "plan.json")
    bench.control("DELETE", "/requests")
    race = Racing(bench, "plan.json", at="git.status", nth=2)
    _add(bench)
    code, text = race.end()
    assert 3 == code, text
    assert "changes the plan did not announce: Notebook Sneak" in text
    assert [] == bench.writes()


def test_a_token_never_goes_over_plain_http_to_another_machine(bench: Bench) -> None:
    """Guards that an address that is no loopback is refused before anything is sent."""
    exists(bench)
    result = bench.run(
        "plan", write_spec(bench, spec()), "--devops-url", "http://dev.example", expect=64
    )
    assert "plain http would send the token readable to dev.example" in result.err
    assert bench.ready["token"] not in result.text
    assert [] == bench.requests()


def test_a_new_item_of_git_does_not_replace_one_that_is_not_committed(bench: Bench) -> None:
    """Guards hand-made work: an item of the same name from Git is refused, and nothing is sent."""
    exists(bench)
    content = {"notebook-content.py": "print('by hand')\n"}
    bench.portal(action="add", workspace="Sales Dev", type="Notebook", name="Fresh", parts=content)
    clone = bench.clone("Sales", "fabric-sales")
    made = write_item(
        clone / "fabric",
        "Notebook",
        "Fresh",
        "00000000-0000-4000-8000-00000000f4e5",
        {"notebook-content.py": "print('from Git')\n"},
    )
    bench.push_file(clone, str((made / "more.py").relative_to(clone)), "2\n")
    bench.control("DELETE", "/requests")
    result = bench.apply(write_spec(bench, spec()), expect=1)
    assert "under the name of an item that was made in the workspace" in result.text
    assert "Notebook Fresh" in result.text
    assert [] == bench.writes()
