"""The main job from an outside repository to a deployed estate."""

from pathlib import Path

from bench import REPOSITORY, Bench

ESTATE = REPOSITORY / "reconciler" / "cli" / "demo_estate"


def _start(bench: Bench) -> Path:
    bench.scenario(ESTATE / "scenario.yaml")
    return ESTATE / "sales.yaml"


def test_the_first_apply_builds_the_estate_and_the_second_plan_is_empty(bench: Bench) -> None:
    """Guards the main job: import, bind, update, deploy, and then no changes."""
    spec = _start(bench)
    bench.apply(spec)
    assert bench.items("Sales Dev") == bench.items("Sales Test")
    assert 4 == len(bench.items("Sales Test"))
    assert "No changes." in bench.run("plan", spec).out
    bench.run("drift", spec)


def test_a_hand_edit_is_drift_and_direction_both_commits_it(bench: Bench) -> None:
    """Guards that a person's edit reaches the real repository as a commit of that item only."""
    spec = _start(bench)
    bench.apply(spec)
    bench.portal(
        action="edit",
        workspace="Sales Dev",
        item="Ingest orders",
        type="Notebook",
        path="notebook-content.py",
        append="\nprint(1)\n",
    )
    drift = bench.run("drift", spec, expect=2)
    assert "Ingest orders" in drift.out
    bench.apply(spec)
    clone = bench.clone("Sales", "fabric-sales")
    changed = bench.git("show", "--name-only", "--format=%s", "HEAD", cwd=clone).split("\n\n")
    assert "fabric/Ingest orders.Notebook/notebook-content.py" == changed[1].strip()
    bench.run("drift", spec)
