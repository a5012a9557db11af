"""Merge previews from a real checkout, and applies that are held to a reviewed plan."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, Result, write_item, write_notebooks
from small_estate import GIT, SCENARIO, edit, exists, pipeline, push, spec, workspaces, write_spec

from reconciler import engine
from reconciler.errors import PlanRefused
from reconciler.execute.events import ApplyResult, Outcome
from reconciler.plan.plan import Plan

GIT_DEV = "workspaces/Sales Dev/git"
DEPLOY = "pipelines/Sales/deployments/Development:Test"
ITEMS = ["Clean", "Load", "Old", "Far"]


@pytest.fixture
def clone(bench: Bench) -> Path:
    """Give the estate two more notebooks, write its spec, and check its repository out."""
    write_notebooks(bench.folder / "items", ITEMS)
    exists(bench)
    write_spec(bench, spec())
    return bench.clone("Sales", "fabric-sales")


def notebook(clone: Path, name: str) -> Path:
    """Return the content of a notebook in the checkout."""
    return clone / "fabric" / f"{name}.Notebook" / "notebook-content.py"


def commit(bench: Bench, clone: Path, message: str) -> str:
    """Commit everything in the checkout; returns the commit."""
    bench.git("add", "-A", cwd=clone)
    bench.git("commit", "--quiet", "-m", message, cwd=clone)
    return bench.git("rev-parse", "HEAD", cwd=clone).strip()


def feature(bench: Bench, clone: Path) -> None:
    """Check out a branch that edits, renames, moves, adds and deletes one notebook each."""
    bench.git("switch", "--quiet", "-c", "feature", cwd=clone)
    clean = notebook(clone, "Clean")
    clean.write_text(clean.read_text() + "print('clean')\n")
    load = clone / "fabric" / "Load.Notebook"
    platform = load / ".platform"
    platform.write_text(platform.read_text().replace('"Load"', '"Load v2"'))
    load.rename(clone / "fabric" / "Load v2.Notebook")
    shutil.rmtree(clone / "fabric" / "Old.Notebook")
    (clone / "fabric" / "etl").mkdir()
    (clone / "fabric" / "Far.Notebook").rename(clone / "fabric" / "etl" / "Far.Notebook")
    write_item(
        clone / "fabric",
        "Notebook",
        "New",
        "00000000-0000-0000-4000-00000000ffff",
        {"notebook-content.py": "# Fabric notebook source\n\n# CELL\n\nprint('new')\n"},
    )
    commit(bench, clone, "feature")


def in_clone(
    bench: Bench, clone: Path, *words: str, expect: int | None = 0, **environ: str
) -> Result:
    """Run the reconciler in the checkout."""
    return Bench(clone, bench.ready, bench.environ).run(*words, expect=expect, **environ)


def preview(
    bench: Bench, clone: Path, *flags: str, expect: int | None = 0, **environ: str
) -> dict[str, Any]:
    """Return the preview of merging HEAD into main; also saved as ``reviewed.json``."""
    words = ("plan", "../spec.yaml", "--merge-preview", "--merge-into", "main")
    out = ("--format", "json", "--out", "../reviewed.json")
    result = in_clone(bench, clone, *words, *flags, *out, expect=expect, **environ)
    return json.loads(result.out)  # type: ignore[no-any-return]


def merge(bench: Bench, clone: Path) -> None:
    """Merge the feature into main and push it."""
    bench.git("switch", "--quiet", "main", cwd=clone)
    bench.git("pull", "--quiet", "--no-edit", cwd=clone)
    bench.git("merge", "--quiet", "--no-ff", "--no-edit", "feature", cwd=clone)
    bench.git("push", "--quiet", cwd=clone)


def told(plan: dict[str, Any], kind: str) -> list[tuple[str, str, str | None]]:
    """Return name, change and detail of the items of the one action of a kind."""
    (action,) = (a for a in plan["actions"] if a["kind"] == kind)
    return [(i["name"], i["change"], i["detail"]) for i in action["items"]]


def announced(plan: dict[str, Any]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Return kind, address and items of every action."""
    return [
        (a["kind"], a["address"], [(i["type"], i["name"]) for i in a["items"]])
        for a in plan["actions"]
    ]


def codes(plan: dict[str, Any]) -> list[str]:
    """Return the codes of a plan's findings."""
    return [d["code"] for d in plan["diagnostics"]]


# -- what a preview shows --


def test_a_preview_shows_what_the_merge_brings_and_where_it_goes_on_to(
    bench: Bench, clone: Path
) -> None:
    """Guards renames and moves by logicalId, the deployment that follows, and that nothing moves."""
    feature(bench, clone)
    before = bench.git("status", "--porcelain", "--branch", cwd=clone)
    head = bench.git("rev-parse", "HEAD", cwd=clone).strip()
    seen = preview(bench, clone)
    assert [("git.update", GIT_DEV), ("deployment.deploy", DEPLOY)] == [
        (a["kind"], a["address"]) for a in seen["actions"]
    ]
    assert [
        ("Clean", "Modified", "notebook-content.py"),
        ("Far", "Moved", "folder / becomes etl"),
        ("Load", "Renamed", "becomes Load v2"),
        ("New", "Added", None),
        ("Old", "Deleted", None),
    ] == told(seen, "git.update")
    assert ["Different", "Different", "Different", "New"] == [
        change for _, change, _ in told(seen, "deployment.deploy")
    ]
    update, deploy = seen["actions"]
    assert ("once_merged", True, True) == (
        update["reason"]["code"],
        update["after_unknown"],
        update["destructive"],
    )
    assert [update["id"]] == deploy["depends_on"]
    assert "remote_commit_hash" not in update["preconditions"]
    assert {"revision": "HEAD", "commit": head, "into": "main", "bindings": [GIT_DEV]} == seen[
        "preview"
    ]
    assert seen["applyable"] is False
    assert [] == codes(seen)
    assert before == bench.git("status", "--porcelain", "--branch", cwd=clone)
    assert [] == bench.writes()


def test_the_plan_after_the_merge_is_what_the_preview_announced(bench: Bench, clone: Path) -> None:
    """Guards the promise of a preview, and that an apply held to it goes through."""
    feature(bench, clone)
    seen = preview(bench, clone)
    merge(bench, clone)
    assert announced(seen) == announced(bench.plan("spec.yaml"))
    bench.control("DELETE", "/requests")
    result = bench.apply("spec.yaml", "--expect", "reviewed.json")
    assert "Apply complete." in result.out
    assert ["updateFromGit", "deploy"] == [w["path"].rsplit("/", 1)[-1] for w in bench.writes()]
    names = [name for _, name in bench.items("Sales Dev")]
    assert ["Clean", "Far", "Load v2", "New"] == names
    again = bench.apply("spec.yaml", "--expect", "reviewed.json")
    assert "No changes." in again.out


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_every_format_says_that_it_is_a_preview(bench: Bench, clone: Path, form: str) -> None:
    """Guards readers against taking it for what an apply would do now."""
    feature(bench, clone)
    preview(bench, clone)
    shown = bench.run("show", "reviewed.json", "--format", form).out
    assert "Preview of merging HEAD" in shown
    assert "into main" in shown
    assert "Preview of merging" in bench.run("graph", "reviewed.json", "--format", "dot").out


def test_a_preview_cannot_be_applied(bench: Bench, clone: Path) -> None:
    """Guards exit 3 with the way out, even for one that has nothing to do."""
    feature(bench, clone)
    preview(bench, clone)
    refused = bench.apply("reviewed.json", expect=3)
    assert "is a preview of merging HEAD into main" in refused.err
    assert "--expect FILE" in refused.err
    bench.git("switch", "--quiet", "main", cwd=clone)
    nothing = preview(bench, clone)
    assert [] == nothing["actions"]
    assert ["preview_already_merged"] == codes(nothing)
    bench.apply("reviewed.json", expect=3)
    assert [] == bench.writes()


def test_a_conflict_with_an_uncommitted_change_is_foreseen(bench: Bench, clone: Path) -> None:
    """Guards the author of a pull request against somebody's work in the workspace."""
    feature(bench, clone)
    edit(bench, item="Clean")
    seen = preview(bench, clone, expect=1)
    assert ["git_conflict"] == codes(seen)
    assert (
        "Notebook Clean (workspace: modified, Git: modified)" in seen["diagnostics"][0]["summary"]
    )
    merge(bench, clone)
    assert ["git_conflict"] == codes(bench.plan("spec.yaml", expect=1))


def test_a_conflict_that_git_wins_is_marked_destructive(bench: Bench, clone: Path) -> None:
    """Guards that consent in the spec does not hide what is lost."""
    data = spec()
    data["workspaces"][0]["git"] = {**GIT, "sync": {"conflicts": "PreferRemote"}}
    write_spec(bench, data)
    bench.git("switch", "--quiet", "-c", "feature", cwd=clone)
    clean = notebook(clone, "Clean")
    clean.write_text(clean.read_text() + "print('clean')\n")
    commit(bench, clone, "feature")
    edit(bench, item="Clean")
    (update,) = (a for a in preview(bench, clone)["actions"] if a["kind"] == "git.update")
    assert ["Conflict"] == [i["conflict"] for i in update["items"]]
    assert update["destructive"]


def test_an_uncommitted_namesake_of_a_new_item_is_told(bench: Bench, clone: Path) -> None:
    """Guards work in the workspace that an item of the same name would take the place of."""
    feature(bench, clone)
    bench.portal(action="add", workspace="Sales Dev", type="Notebook", name="New")
    found = codes(preview(bench, clone, expect=1))
    assert {"preview_namesake", "uncommitted_name_taken"} == set(found)


def test_a_branch_that_moved_on_is_merged_and_said(bench: Bench, clone: Path) -> None:
    """Guards that commits of the target do not read as taken back by the pull request."""
    feature(bench, clone)
    bench.git("switch", "--quiet", "main", cwd=clone)
    bench.push_file(clone, "fabric/readme.txt", "x")
    clean = notebook(clone, "Clean")
    bench.push_file(clone, "fabric/Clean.Notebook/notebook-content.py", clean.read_text() + "1\n")
    write_item(
        clone / "fabric", "Notebook", "Main only", "00000000-0000-0000-4000-00000000eeee", {}
    )
    bench.push_file(clone, "fabric/Main only.Notebook/notebook-content.py", "# Fabric\n")
    bench.git("switch", "--quiet", "feature", cwd=clone)
    seen = preview(bench, clone)
    assert ["preview_branch_moved"] == codes(seen)
    assert "Clean.Notebook/notebook-content.py" in seen["diagnostics"][0]["detail"]
    assert [
        ("Clean", "Modified"),
        ("Far", "Moved"),
        ("Load", "Renamed"),
        ("Main only", "Added"),
        ("New", "Added"),
        ("Old", "Deleted"),
    ] == [(name, change) for name, change, _ in told(seen, "git.update")]


def test_a_tip_that_is_not_fetched_is_said_and_what_it_brings_is_kept(
    bench: Bench, clone: Path
) -> None:
    """Guards a check that ran on an old merge commit: incoming is incoming all the same."""
    feature(bench, clone)
    other = bench.folder / "other"
    bench.git(
        "clone", "--quiet", bench.git("remote", "get-url", "origin", cwd=clone).strip(), "other"
    )
    write_item(
        other / "fabric", "Notebook", "Main only", "00000000-0000-0000-4000-00000000eeee", {}
    )
    bench.push_file(other, "fabric/Main only.Notebook/notebook-content.py", "# Fabric\n")
    seen = preview(bench, clone)
    assert ["preview_without_tip"] == codes(seen)
    names = {name for name, _, _ in told(seen, "git.update")}
    assert {"Clean", "Far", "Load", "Main only", "New", "Old"} == names


def test_the_merge_commit_of_a_pull_request_is_taken_as_it_is(bench: Bench, clone: Path) -> None:
    """Guards the usual case in CI: HEAD is the merge, two commits deep, and the target is known."""
    feature(bench, clone)
    bench.git("push", "--quiet", "origin", "feature", cwd=clone)
    bench.git("switch", "--quiet", "--detach", "main", cwd=clone)
    bench.git("merge", "--quiet", "--no-ff", "--no-edit", "feature", cwd=clone)
    bench.git("push", "--quiet", "origin", "HEAD:refs/heads/merged", cwd=clone)
    url = bench.git("remote", "get-url", "origin", cwd=clone).strip()
    bench.git("clone", "--quiet", "--depth", "2", "--branch", "merged", url, "ci")
    words = ("plan", "../spec.yaml", "--merge-preview", "--format", "json")
    for name, value in (
        ("GITHUB_BASE_REF", "main"),
        ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main"),
    ):
        seen = json.loads(in_clone(bench, bench.folder / "ci", *words, **{name: value}).out)
        assert "main" == seen["preview"]["into"]
        assert 5 == len(told(seen, "git.update"))
        assert [] == codes(seen)


def test_a_shallow_checkout_names_the_fetch_depth(bench: Bench, clone: Path) -> None:
    """Guards against a preview that takes history it has not got for no change."""
    feature(bench, clone)
    bench.git("push", "--quiet", "origin", "feature", cwd=clone)
    url = bench.git("remote", "get-url", "origin", cwd=clone).strip()
    bench.git("clone", "--quiet", "--depth", "1", "--branch", "feature", url, "ci")
    result = in_clone(
        bench,
        bench.folder / "ci",
        *("plan", "../spec.yaml", "--merge-preview", "--merge-into", "main"),
        expect=1,
    )
    assert "to which the workspace is synced, is not in this checkout." in result.out
    assert "fetch-depth: 0" in result.out
    assert "git fetch --unshallow" in result.out
    assert f"? {GIT_DEV}" in result.out
    assert "update from Git" not in result.out


def test_items_that_cannot_be_synced_are_an_error_before_the_merge(
    bench: Bench, clone: Path
) -> None:
    """Guards the branch: the service refuses the whole directory for one such file."""
    bench.git("switch", "--quiet", "-c", "feature", cwd=clone)
    (clone / "fabric" / "Load.Notebook" / ".platform").write_text("{")
    clean = clone / "fabric" / "Clean.Notebook"
    shutil.copytree(clean, clone / "fabric" / "Copy.Notebook")
    commit(bench, clone, "broken")
    seen = preview(bench, clone, expect=1)
    found = {d["detail"].partition("with ")[2].partition(".")[0] for d in seen["diagnostics"]}
    assert {"preview_invalid_items"} == set(codes(seen))
    assert {"InvalidSystemFiles", "DuplicateLogicalId"} == found


def test_a_merge_into_a_branch_that_nothing_follows_says_so(bench: Bench, clone: Path) -> None:
    """Guards a branch name that was mistyped: no items is not the same as nothing to do."""
    feature(bench, clone)
    words = ("plan", "../spec.yaml", "--merge-preview", "--merge-into", "Main", "--format", "json")
    seen = json.loads(in_clone(bench, clone, *words).out)
    assert ["preview_covers_nothing"] == codes(seen)
    assert "contoso/sales/fabric-sales" in seen["diagnostics"][0]["summary"]
    assert [] == seen["actions"]


def test_a_workspace_still_to_be_bound_takes_what_the_merge_leaves(
    bench: Bench, clone: Path
) -> None:
    """Guards a first sync: the directory that only the pull request has is no missing target."""
    bare = {"name": "New", "create": True, "capacity": "F8", "git": {**GIT, "directory": "/next"}}
    write_spec(bench, workspaces(bare))
    bench.git("switch", "--quiet", "-c", "feature", cwd=clone)
    write_item(clone / "next", "Notebook", "N", "00000000-0000-0000-4000-00000000dddd", {})
    commit(bench, clone, "a directory")
    assert ["git_target_missing"] == codes(bench.plan("spec.yaml", expect=1))
    seen = preview(bench, clone)
    assert ["workspace.create", "git.connect", "git.initialize", "git.update"] == [
        a["kind"] for a in seen["actions"]
    ]
    assert "1 item from" in seen["actions"][-1]["reason"]["text"]


def test_a_checkout_of_github_is_recognised(bench: Bench) -> None:
    """Guards bindings to GitHub: Git status and the checkout tell all that is needed."""
    hub = {
        **{"provider": "GitHub", "owner": "contoso", "repository": "source"},
        **{"branch": "main", "directory": "/fabric"},
    }
    made = {"name": "Hub Dev", "capacity": "F8", "git": {**hub, "synced": True}}
    exists(bench, workspaces=[*SCENARIO["workspaces"], made])
    write_spec(bench, workspaces({"name": "Hub Dev", "git": hub}))
    url = f"{bench.ready['github_url']}/Contoso/source.git"
    bench.git("clone", "--quiet", url, "hub")
    clone = bench.folder / "hub"
    load = notebook(clone, "Load")
    load.write_text(load.read_text() + "1\n")
    commit(bench, clone, "change")
    seen = preview(bench, clone)
    assert [("Load", "Modified", "notebook-content.py")] == told(seen, "git.update")


def test_outside_a_checkout_it_says_what_is_missing(bench: Bench, clone: Path) -> None:
    """Guards exit 1 with a way out, before any service is asked."""
    bench.control("DELETE", "/requests")
    flags = ("plan", "spec.yaml", "--merge-into", "main")
    nowhere = bench.run(*flags, "--merge-preview", expect=1)
    assert "no Git checkout can be read here: fatal: not a git repository" in nowhere.err
    unknown = in_clone(
        bench,
        clone,
        "plan",
        "../spec.yaml",
        "--merge-into",
        "main",
        "--merge-preview",
        "no/such",
        expect=1,
    )
    assert "no/such names no commit of this checkout" in unknown.err
    no_git = bench.run(*flags, "--merge-preview", expect=1, PATH=str(bench.folder))
    assert "there is no git program on PATH" in no_git.err
    assert [] == bench.requests()


# -- what an apply is held to --


def test_a_commit_that_sneaks_in_after_the_review_is_refused(bench: Bench, clone: Path) -> None:
    """Guards exit 3 that names the item and writes nothing."""
    feature(bench, clone)
    preview(bench, clone)
    merge(bench, clone)
    write_item(clone / "fabric", "Notebook", "Sneaky", "00000000-0000-0000-4000-00000000cccc", {})
    bench.push_file(clone, "fabric/Sneaky.Notebook/notebook-content.py", "# Fabric\n")
    bench.control("DELETE", "/requests")
    refused = bench.apply("spec.yaml", "--expect", "reviewed.json", expect=3)
    assert "error: git.update would also take Notebook Sneaky." in refused.err
    assert f"--> {GIT_DEV}" in refused.err
    assert "error: deployment.deploy would also take Notebook Sneaky." in refused.err
    assert "the plan does more than the reviewed one announced" in refused.err
    assert [] == bench.writes()
    less = bench.apply(
        "spec.yaml", "--expect", "reviewed.json", "--exclude", "workspaces", expect=0
    )
    assert "Nothing" in less.out or "No changes" in less.out
    assert [] == bench.writes()


def test_a_deletion_that_was_reviewed_as_a_change_is_refused(bench: Bench, clone: Path) -> None:
    """Guards that the name of an item alone does not announce what happens to it."""
    bench.git("switch", "--quiet", "-c", "feature", cwd=clone)
    clean = notebook(clone, "Clean")
    clean.write_text(clean.read_text() + "1\n")
    commit(bench, clone, "edit")
    preview(bench, clone)
    merge(bench, clone)
    shutil.rmtree(clean.parent)
    commit(bench, clone, "gone")
    bench.git("push", "--quiet", cwd=clone)
    refused = bench.apply("spec.yaml", "--expect", "reviewed.json", expect=3)
    assert "git.update would also delete Notebook Clean." in refused.err
    assert "git.update would be destructive." in refused.err


def test_an_ordinary_plan_can_be_held_to_as_well(bench: Bench, clone: Path) -> None:
    """Guards that a reviewed plan file serves where the plan itself went stale."""
    push(bench)
    bench.run("plan", "spec.yaml", "--out", "reviewed.json")
    text = notebook(clone, "Load").read_text()
    bench.git("pull", "--quiet", cwd=clone)
    bench.push_file(clone, "fabric/Load.Notebook/notebook-content.py", text + "2\n")
    bench.apply("reviewed.json", expect=3)
    assert "Apply complete." in bench.apply("spec.yaml", "--expect", "reviewed.json").out


def test_a_reviewed_file_of_something_else_is_refused(bench: Bench, clone: Path) -> None:
    """Guards against the wrong artifact, a cut off one, and one beside a plan file."""
    preview(bench, clone)
    reviewed = bench.folder / "reviewed.json"
    write_spec(bench, {**spec(), "metadata": {"name": "other"}}, "other.yaml")
    other = bench.apply("other.yaml", "--expect", "reviewed.json", expect=3)
    assert "it is of the estate sales, this is other" in other.err
    elsewhere = bench.ready["devops_url"].replace("127.0.0.1", "localhost")
    moved = bench.apply(
        "spec.yaml", "--expect", "reviewed.json", expect=3, RECONCILER_DEVOPS_URL=elsewhere
    )
    assert "the devops URL is now" in moved.err
    both = bench.apply("reviewed.json", "--expect", "reviewed.json", expect=64)
    assert "argument --expect" in both.err
    bench.control("DELETE", "/requests")
    newer = json.loads(reviewed.read_text())
    (bench.folder / "newer.json").write_text(json.dumps({**newer, "format_version": "2.0"}))
    assert "format version 2.0" in bench.apply("spec.yaml", "--expect", "newer.json", expect=1).err
    reviewed.write_text(reviewed.read_text()[:200])
    cut = bench.apply("spec.yaml", "--expect", "reviewed.json", expect=1)
    assert "is not valid JSON" in cut.err
    missing = bench.apply("spec.yaml", "--expect", "nowhere.json", expect=1)
    assert "cannot read nowhere.json" in missing.err
    assert [] == bench.requests()


def applied(bench: Bench, spec_file: Path, plan: Plan, settings: engine.Settings) -> ApplyResult:
    """Apply a plan that was made before, held to itself."""
    loaded = engine.load([spec_file])
    return asyncio.run(
        engine.apply_spec(loaded, plan, settings, listener=lambda _: None, reviewed=plan)
    )


def test_a_plan_made_anew_during_the_apply_is_held_to_the_review(bench: Bench, clone: Path) -> None:
    """Guards the time between plan and write: what moved is planned again, never beyond."""
    settings = engine.Settings(environ=bench.environ)
    spec_file = bench.folder / "spec.yaml"
    push(bench)
    plan = asyncio.run(engine.make_plan(engine.load([spec_file]), settings))
    push(bench, text="print('the same item again')\n")
    assert applied(bench, spec_file, plan, settings).ok
    push(bench)
    plan = asyncio.run(engine.make_plan(engine.load([spec_file]), settings))
    push(bench, item="Clean")
    bench.control("DELETE", "/requests")
    with pytest.raises(PlanRefused) as refused:
        applied(bench, spec_file, plan, settings)
    assert "git.update would also take Notebook Clean." == refused.value.diagnostics[0].summary
    assert [] == bench.writes()


def test_after_something_was_done_the_run_ends_and_says_why(bench: Bench, clone: Path) -> None:
    """Guards exit 3's promise: once anything is written, a refusal is told as an outcome."""
    data = pipeline(description="reviewed")
    spec_file = write_spec(bench, data)
    settings = engine.Settings(environ=bench.environ)
    push(bench)
    plan = asyncio.run(engine.make_plan(engine.load([spec_file]), settings))
    push(bench, item="Clean")
    result = applied(bench, spec_file, plan, settings)
    ends = {o.kind: o for o in result.outcomes}
    assert Outcome.DONE is ends["pipeline.update"].outcome
    assert Outcome.REFUSED is ends["git.update"].outcome
    assert "would also take Notebook Clean" in ends["git.update"].text
    assert Outcome.SKIPPED is ends["deployment.deploy"].outcome
