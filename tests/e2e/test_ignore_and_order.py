"""What the planner promises, seen through to the services: ignored things stay, order holds."""

from __future__ import annotations

import copy

from bench import Bench
from small_estate import GIT, edit, exists, spec, workspaces, write_spec

IGNORE_CLEAN = [{"address": "**", "items": [{"type": "Notebook", "name": "Clean"}]}]
COMMITTING = {**GIT, "sync": {"direction": "commit"}}


def test_commit_beside_an_ignored_change_takes_the_others_only(bench):
    """Mode All would take everything, so the request lists its items."""
    exists(bench)
    edit(bench, item="Load")
    edit(bench, item="Clean")
    data = workspaces({"name": "Sales Dev", "capacity": "F8", "git": COMMITTING})
    file = write_spec(bench, {**data, "ignore": IGNORE_CLEAN})
    bench.apply(file)
    again = bench.plan(file)
    assert [] == again["actions"]
    assert ["Clean"] == [i["name"] for e in again["ignored"] for i in e["items"]]


def test_ignored_items_are_not_deployed(bench):
    """The deployment lists the others, and a second plan is empty."""
    exists(bench)
    for item in ("Load", "Clean"):
        edit(bench, item=item)
    data = spec(ignore=IGNORE_CLEAN)
    del data["workspaces"][0]["git"]
    file = write_spec(bench, data)
    bench.apply(file)
    again = bench.plan(file)
    assert [] == again["actions"]
    assert ["Clean"] == [i["name"] for e in again["ignored"] for i in e["items"]]


def test_ignored_path_is_no_difference(bench):
    """A file that is ignored does not make its item differ."""
    exists(bench)
    edit(bench)
    data = spec(ignore=[{"address": "pipelines/**", "path": "notebook-content.py"}])
    del data["workspaces"][0]["git"]
    found = bench.plan(write_spec(bench, data))
    assert [] == found["actions"]
    assert ["Load"] == [i["name"] for e in found["ignored"] for i in e["items"]]


def second(directory: str = "/fabric") -> dict:
    """Return a second workspace bound to the branch of the first."""
    return {
        "name": "Second",
        "create": True,
        "capacity": "F8",
        "git": {**GIT, "directory": directory},
    }


def test_a_commit_reaches_the_other_workspace_of_its_branch_in_the_same_run(bench: Bench):
    """Commit first, then the update that follows it; afterwards nothing is left to do."""
    exists(bench)
    first = {"name": "Sales Dev", "capacity": "F8", "git": COMMITTING}
    file = write_spec(bench, workspaces(first, second()))
    bench.apply(file)
    edit(bench)
    assert ["git.commit", "git.update"] == bench.kinds(file)
    bench.apply(file)
    assert [] == bench.kinds(file)


def test_two_workspaces_swap_their_stages(bench):
    """Both leave before either is put in place."""
    exists(bench)
    data = copy.deepcopy(spec())
    del data["workspaces"][0]["git"]
    pipeline = data["pipelines"][0]
    del pipeline["deployments"]
    for stage, workspace in zip(pipeline["stages"], ("Sales Test", "Sales Dev"), strict=True):
        stage.update(workspace=workspace, reassign=True)
    file = write_spec(bench, data)
    assert ["stage.unassign", "stage.unassign", "stage.assign", "stage.assign"] == bench.kinds(file)
    bench.apply(file)
    assert [] == bench.kinds(file)
