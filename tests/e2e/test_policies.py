"""Caps on deletions and overwrites, as a user meets them: refused, allowed for a run, applied."""

from __future__ import annotations

from typing import Any

from bench import Bench
from small_estate import GIT, edit, exists, push, workspaces, write_spec

STRICT = {"maxDelete": "30%", "maxOverwrite": "30%", "above": 0}


def _spec(bench: Bench, git: dict[str, Any] | None = None) -> Any:
    data = workspaces({"name": "Sales Dev", "capacity": "F8", "git": {**GIT, **(git or {})}})
    return write_spec(bench, {**data, "policies": STRICT})


def _remove(bench: Bench, item: str = "Load") -> None:
    """Delete a notebook by a commit."""
    clone = bench.clone("Sales", "fabric-sales")
    bench.git("rm", "-r", "--quiet", f"fabric/{item}.Notebook", cwd=clone)
    bench.git("commit", "--quiet", "-m", "remove", cwd=clone)
    bench.git("push", "--quiet", cwd=clone)
    bench.control("DELETE", "/requests")


def test_a_commit_that_deletes_too_much_is_refused_until_the_run_allows_it(bench: Bench) -> None:
    """Guards that nothing is written over the cap, with exit 3, and that N items may go with N."""
    exists(bench)
    spec = _spec(bench)
    _remove(bench)

    for command in ("plan", "apply"):
        refused = bench.run(command, spec, expect=3)
        assert "delete 1 of the 2 items of Sales Dev (50%)" in refused.text
        assert "--allow-deletes 1" in refused.text
    assert [] == bench.writes()
    zero = bench.run("plan", spec, "--allow-deletes", "0", expect=3)
    assert "--allow-deletes allows 0" in zero.text

    planned = bench.plan(spec, "--allow-deletes", "1")
    assert 1 == planned["summary"]["deletes"]
    assert [
        {"workspace": "workspaces/Sales Dev", "items": 2, "deletes": 1, "overwrites": 0}
    ] == planned["losses"]
    bench.apply(spec, "--allow-deletes", "1")
    assert [("Notebook", "Clean")] == bench.items("Sales Dev")


def test_a_saved_plan_keeps_the_cap_it_was_made_with(bench: Bench) -> None:
    """Guards that a file needs no flag to be applied, takes none, and a refused one stays so."""
    exists(bench)
    spec = _spec(bench)
    _remove(bench)

    bench.run("plan", spec, "--out", "refused.json", expect=3)
    bench.apply("refused.json", expect=3)
    late = bench.apply("refused.json", "--allow-deletes", "1", expect=64)
    assert "argument --allow-deletes: the plan is already made" in late.err
    bench.apply("refused.json", "--allow-deletes", "0", expect=64)
    assert [] == bench.writes()

    bench.run("plan", spec, "--allow-deletes", "1", "--out", "allowed.json")
    bench.apply("allowed.json")
    assert [("Notebook", "Clean")] == bench.items("Sales Dev")


def test_overwriting_uncommitted_changes_has_a_cap_of_its_own(bench: Bench) -> None:
    """Guards that consent to a conflict is not consent to any number of them."""
    exists(bench)
    spec = _spec(bench, {"sync": {"conflicts": "PreferRemote"}})
    push(bench)
    edit(bench)
    bench.control("DELETE", "/requests")

    refused = bench.apply(spec, "--allow-deletes", "9", expect=3)
    assert "content of 1 of the 2 items of Sales Dev (50%)" in refused.text
    assert [] == bench.writes()
    bench.apply(spec, "--allow-overwrites", "1")
    assert [] == bench.plan(spec)["actions"]


def test_deleting_a_workspace_counts_its_items(bench: Bench) -> None:
    """Guards that state: absent and protect: false do not lift the cap on what is inside."""
    exists(bench)
    data = workspaces({"name": "Loose", "state": "absent", "protect": False})
    spec = write_spec(bench, {**data, "policies": STRICT})

    refused = bench.apply(spec, expect=3)
    assert "delete 2 of the 2 items of Loose (100%)" in refused.text
    bench.apply(spec, "--allow-deletes", "2")
    listed = bench.fabric("GET", "/workspaces")["value"]
    assert "Loose" not in {w["displayName"] for w in listed}


def test_drift_tells_what_differs_and_leaves_the_caps_to_apply(bench: Bench) -> None:
    """Guards that a cap does not turn drift into a failure: nothing is written there."""
    exists(bench)
    spec = _spec(bench)
    _remove(bench)

    assert "1 incoming" in bench.run("drift", spec, expect=2).out
