"""``state: absent`` wherever it may stand: what it removes, what it leaves, and that it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from bench import Bench
from small_estate import GIT, GROUP, SCENARIO, exists, pipeline, spec, workspaces, write_spec

MEMBER = {"principal": {"id": GROUP, "type": "Group"}, "role": "Member"}
ADMIN = {"principal": {"id": GROUP, "type": "Group"}, "role": "Admin"}
ABSENT = {"state": "absent", "protect": False}


def _names(bench: Bench, kind: str) -> set[str]:
    return {found["displayName"] for found in bench.fabric("GET", f"/{kind}")["value"]}


def _pipeline(bench: Bench) -> str:
    (found,) = bench.fabric("GET", "/deploymentPipelines")["value"]
    return f"/deploymentPipelines/{found['id']}"


def _disconnected(bench: Bench) -> None:
    at = f"/workspaces/{bench.workspace_id('Sales Dev')}"
    assert "NotConnected" == bench.fabric("GET", f"{at}/git/connection")["gitConnectionState"]
    assert [("Notebook", "Clean"), ("Notebook", "Load")] == bench.items("Sales Dev")


def _no_role(bench: Bench) -> None:
    at = f"/workspaces/{bench.workspace_id('Sales Test')}/roleAssignments"
    assert GROUP not in {r["id"] for r in bench.fabric("GET", at)["value"]}


def _no_workspace(bench: Bench) -> None:
    assert {"Sales Dev", "Sales Test", "Bare"} == _names(bench, "workspaces")


def _vacant(bench: Bench) -> None:
    first, second = bench.fabric("GET", f"{_pipeline(bench)}/stages")["value"]
    assert "Sales Dev" == first["workspaceName"]
    assert "workspaceId" not in second
    assert "Sales Test" in _names(bench, "workspaces")


def _no_admin(bench: Bench) -> None:
    found = bench.fabric("GET", f"{_pipeline(bench)}/roleAssignments")["value"]
    assert GROUP not in {r["id"] for r in found}


def _no_pipeline(bench: Bench) -> None:
    assert set() == _names(bench, "deploymentPipelines")
    assert {"Sales Dev", "Sales Test"} <= _names(bench, "workspaces")


@dataclass(frozen=True)
class Tombstone:
    """A thing to remove: the spec that says so, what the plan has, what is left afterwards."""

    spec: dict[str, Any]
    kinds: tuple[str, ...]
    check: Callable[[Bench], None]
    before: dict[str, Any] | None = None


TOMBSTONES = {
    "git": Tombstone(
        workspaces({"name": "Sales Dev", "git": {**GIT, "state": "absent"}}),
        ("git.disconnect",),
        _disconnected,
    ),
    "workspace role": Tombstone(
        workspaces({"name": "Sales Test", "roles": [{**MEMBER, "state": "absent"}]}),
        ("workspace.role.remove",),
        _no_role,
        before=workspaces({"name": "Sales Test", "roles": [MEMBER]}),
    ),
    "workspace": Tombstone(
        workspaces({"name": "Loose", **ABSENT}), ("workspace.delete",), _no_workspace
    ),
    "stage workspace": Tombstone(
        pipeline(
            stages=[
                {"name": "Development", "workspace": "Sales Dev"},
                {"name": "Test", "workspace": {"name": "Sales Test", "state": "absent"}},
            ],
            deployments=[],
        ),
        ("stage.unassign",),
        _vacant,
    ),
    "pipeline role": Tombstone(
        pipeline(roles=[{**ADMIN, "state": "absent"}], deployments=[]),
        ("pipeline.role.remove",),
        _no_admin,
        before=pipeline(roles=[ADMIN], deployments=[]),
    ),
    "pipeline": Tombstone(
        spec(pipelines=[{"name": "Sales", **ABSENT}]), ("pipeline.delete",), _no_pipeline
    ),
}


@pytest.mark.parametrize("kind", TOMBSTONES)
def test_a_tombstone_removes_its_thing_once(bench: Bench, kind: str) -> None:
    """Guards that it is marked, done, seen from outside, and then nothing left to do."""
    tombstone = TOMBSTONES[kind]
    exists(bench)
    if tombstone.before is not None:
        bench.apply(write_spec(bench, tombstone.before, "before.yaml"))
    file = write_spec(bench, tombstone.spec)

    planned = bench.plan(file)
    assert [(k, True) for k in tombstone.kinds] == [
        (a["kind"], a["destructive"]) for a in planned["actions"]
    ]
    bench.apply(file)
    tombstone.check(bench)
    assert [] == bench.plan(file)["actions"]
    bench.run("drift", file)


@pytest.mark.parametrize("kind", ["workspaces", "pipelines"])
def test_what_is_protected_stays_whatever_flag_is_given(bench: Bench, kind: str) -> None:
    """Guards protect, the default: no approval and no cap of a run lifts it."""
    exists(bench)
    name = {"workspaces": "Loose", "pipelines": "Sales"}[kind]
    file = write_spec(bench, spec(**{"pipelines": [], kind: [{"name": name, "state": "absent"}]}))

    refused = bench.apply(file, "--allow-deletes", "99", "--allow-overwrites", "99", expect=3)
    assert f"{kind}/{name} is protected" in refused.text
    assert [] == bench.writes()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {
                "azureDevOps": {
                    "organization": "contoso",
                    "repositories": [
                        {"project": "Sales", "name": "fabric-sales", "state": "absent"}
                    ],
                }
            },
            "Repositories are not deleted",
        ),
        (
            {"connections": [{"name": "hub", "type": "GitHubSourceControl", "state": "absent"}]},
            "Connections are not deleted",
        ),
    ],
)
def test_what_is_never_deleted_is_refused_offline(
    bench: Bench, changes: dict[str, Any], says: str
) -> None:
    """Guards that repositories and connections, which others may use, stay."""
    result = bench.run("validate", write_spec(bench, spec(**changes)), expect=1)
    assert says in result.err


def test_an_overlay_may_lay_a_tombstone(bench: Bench) -> None:
    """Guards that one environment can give up what the others keep."""
    assert "Loose" in {w["name"] for w in SCENARIO["workspaces"]}
    exists(bench)
    estate = write_spec(bench, workspaces({"name": "Loose"}, {"name": "Bare"}))
    overlay = {
        "apiVersion": "reconciler/v1",
        "kind": "Overlay",
        "workspaces": [{"name": "Loose", **ABSENT}],
    }
    (bench.folder / "gone.yaml").write_text(yaml.safe_dump(overlay))

    assert [] == bench.plan(estate)["actions"]
    bench.apply(estate, "gone.yaml")
    _no_workspace(bench)
