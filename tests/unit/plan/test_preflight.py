"""Every documented limit is found before the first write: offline where it can be, else planned."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from reconciler.live.models import Snapshot
from reconciler.spec.load import load_spec

from .world import (
    GIT,
    MAIN,
    bound,
    change,
    codes,
    kinds,
    paired,
    pipeline,
    plan,
    snapshot,
    stage_item,
    unbound,
    workspace,
    workspaces,
)

HEADER = "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: sales}\n"
HUB = "{provider: GitHub, owner: o, repository: r, branch: main"
STAGES = "stages: [{name: Dev, workspace: A}, {name: Test, workspace: B}]"


def spread(number: int) -> str:
    """Return so many stages."""
    return ", ".join(f"{{name: S{n}}}" for n in range(number))


def deployment(fields: str, *, to: str = "Test") -> str:
    """Return a pipeline with one deployment."""
    return (
        "pipelines: [{name: P, stages: [{name: Dev}, {name: Test}, {name: Prod}], "
        f"deployments: [{{from: Dev, to: {to}{fields}}}]}}]"
    )


OFFLINE = {
    "a workspace's name": (f"workspaces: [{{name: {'x' * 257}}}]", "too_long"),
    "a reserved name": ("workspaces: [{name: Admin Monitoring, create: true}]", "reserved_name"),
    "a reserved name in a stage": (
        "pipelines: [{name: P, stages: [{name: Dev}, {name: Test, workspace: "
        "{name: Admin monitoring, createOnDeploy: true}}]}]",
        "reserved_name",
    ),
    "a workspace's description": (
        f"workspaces: [{{name: A, description: {'x' * 4001}}}]",
        "too_long",
    ),
    "a pipeline's name": (
        f"pipelines: [{{name: {'x' * 257}, stages: [{spread(2)}]}}]",
        "too_long",
    ),
    "a pipeline's description": (
        f"pipelines: [{{name: P, description: {'x' * 1025}, stages: [{spread(2)}]}}]",
        "too_long",
    ),
    "a stage's name": (
        f"pipelines: [{{name: P, stages: [{{name: {'x' * 257}}}, {{name: B}}]}}]",
        "too_long",
    ),
    "one stage": (f"pipelines: [{{name: P, stages: [{spread(1)}]}}]", "too_few_stages"),
    "eleven stages": (f"pipelines: [{{name: P, stages: [{spread(11)}]}}]", "too_long"),
    "stages that are no neighbours": (deployment("", to="Prod"), "stages_not_adjacent"),
    "a workspace in two stages": (
        "pipelines: [{name: P, stages: [{name: Dev, workspace: A}, {name: Test, workspace: A}]}]",
        "workspace_in_two_stages",
    ),
    "a deployment's note": (deployment(f", note: {'x' * 1025}"), "too_long"),
    "a note that variables make long": (
        f"variables: {{v: {{default: {'x' * 1020}}}}}\n" + deployment(", note: 'v1.0 ${var.v}'"),
        "too_long",
    ),
    "a commit's comment": (
        f"workspaces: [{{name: A, git: {GIT}, sync: {{commit: {{comment: {'x' * 301}}}}}}}}}]",
        "too_long",
    ),
    "a branch": (
        f"workspaces: [{{name: A, git: {GIT.replace('main', 'b' * 245)}}}}}]",
        "too_long",
    ),
    "a directory": (
        f"workspaces: [{{name: A, git: {GIT}, directory: /{'d' * 256}}}}}]",
        "too_long",
    ),
    "characters of a directory": (
        f"workspaces: [{{name: A, git: {GIT}, directory: '/a:b'}}}}]",
        "bad_directory",
    ),
    "a repository's name": (
        f"workspaces: [{{name: A, git: {HUB.replace('repository: r', 'repository: ' + 'r' * 129)}"
        "}}]",
        "too_long",
    ),
    "a connection's name": (
        f"connections: [{{name: {'x' * 201}, type: GitHubSourceControl}}]",
        "too_long",
    ),
    "automatic credentials with GitHub": (
        f"workspaces: [{{name: A, git: {HUB}, credentials: automatic}}}}]",
        "automatic_needs_azure_devops",
    ),
    "a pipeline role other than Admin": (
        f"pipelines: [{{name: P, stages: [{spread(2)}], roles: [{{principal: "
        "{id: 6f1c0f5e-0000-4000-8000-000000000001, type: Group}, role: Viewer}]}]",
        "pipeline_role",
    ),
}


@pytest.mark.parametrize("limit", OFFLINE)
def test_what_can_be_known_offline_is_found_by_validate(tmp_path: Path, limit: str) -> None:
    """Guards that no such spec gets as far as a service."""
    text, code = OFFLINE[limit]
    (tmp_path / "s.yaml").write_text(HEADER + dedent(text) + "\n")
    result = load_spec([tmp_path / "s.yaml"])

    assert result.estate is None
    assert {code} == {d.code for d in result.diagnostics}


MANY = tuple(f"n{n}" for n in range(999))
A_BOUND = f"workspaces: [{{name: A, git: {GIT}}}}}]"
A_TO_B = (
    "workspaces: [{name: A}, {name: B}]\n"
    f"pipelines: [{{name: Sales, {STAGES}, deployments: [{{from: Dev, to: Test}}]}}]"
)


def bare(name: str):
    """Return a workspace on no capacity."""
    return workspace(name, capacity_id=None)


def added(number: int):
    """Return so many items that come in."""
    return (change(f"added{n}", remote="Added") for n in range(number))


def stages(*, new: int) -> Snapshot:
    """Return two stages; the second has 999 items, the first so many more."""
    dev = tuple(stage_item(f"new{n}") for n in range(new))
    test = tuple(stage_item(n) for n in MANY)
    return snapshot(
        workspaces=workspaces("A", "B"),
        pipelines={
            "Sales": pipeline(("Dev", "A"), ("Test", "B"), items={"Dev": dev, "Test": test})
        },
    )


PLANNED: dict[str, tuple[str, Snapshot, str, str]] = {
    "no capacity for Git": (
        A_BOUND,
        snapshot(workspaces={"A": bare("A")}, bindings={"A": unbound(folders=1)}),
        "workspace_without_capacity",
        "git.connect",
    ),
    "no capacity for a stage": (
        f"workspaces: [{{name: A}}, {{name: B}}]\npipelines: [{{name: Sales, {STAGES}}}]",
        snapshot(
            workspaces={"A": workspace("A"), "B": bare("B")},
            pipelines={"Sales": pipeline(("Dev", "A"), ("Test", None))},
        ),
        "workspace_without_capacity",
        "stage.assign",
    ),
    "no capacity for a stage, of a workspace the spec does not manage": (
        f"pipelines: [{{name: Sales, {STAGES}}}]",
        snapshot(
            visible={"A": "ws-A", "B": "ws-B"},
            without_capacity=frozenset({"ws-B"}),
            pipelines={"Sales": pipeline(("Dev", "A"), ("Test", None))},
        ),
        "workspace_without_capacity",
        "stage.assign",
    ),
    "a capacity that is paused": (
        "workspaces: [{name: A, create: true, capacity: Paused}]",
        snapshot(),
        "capacity_not_active",
        "workspace.create",
    ),
    "a capacity that is not there": (
        "workspaces: [{name: A, create: true, capacity: F2048}]",
        snapshot(),
        "capacity_missing",
        "workspace.create",
    ),
    "a capacity that is paused, for a workspace a deployment makes": (
        "pipelines: [{name: Sales, stages: [{name: Dev, workspace: A}, {name: Test, workspace: "
        "{name: B, createOnDeploy: true, capacity: Paused}}], deployments: "
        "[{from: Dev, to: Test}]}]",
        snapshot(
            workspaces={"A": workspace("A")},
            pipelines={"Sales": pipeline(("Dev", "A"), ("Test", None), items=paired(new=("x",)))},
        ),
        "capacity_not_active",
        "deployment.deploy",
    ),
    "a workspace that stands in a stage of another pipeline": (
        f"workspaces: [{{name: A}}, {{name: B}}]\npipelines: [{{name: Sales, {STAGES}}}, "
        "{name: Old, stages: [{name: One}, {name: Two}]}]",
        snapshot(
            workspaces=workspaces("A", "B"),
            pipelines={
                "Sales": pipeline(("Dev", "A"), ("Test", None)),
                "Old": pipeline(("One", "B"), ("Two", None)),
            },
        ),
        "workspace_in_other_stage",
        "stage.assign",
    ),
    "a workspace that is deleted while it stands in a stage": (
        "workspaces: [{name: A, state: absent, protect: false}]\n"
        "pipelines: [{name: Sales, stages: [{name: Dev}, {name: Test}]}]",
        snapshot(
            workspaces=workspaces("A"),
            pipelines={"Sales": pipeline(("Dev", "A"), ("Test", None))},
        ),
        "workspace_in_stage",
        "",
    ),
    "a first sync of more than 1,000 items": (
        A_BOUND,
        snapshot(workspaces=workspaces("A", items=()), bindings={"A": unbound(folders=1001)}),
        "too_many_items",
        "",
    ),
    "an update that brings more than 1,000": (
        A_BOUND,
        snapshot(workspaces=workspaces("A", items=MANY), bindings={"A": bound(*added(2))}),
        "too_many_items",
        "",
    ),
    "a deployment that brings more than 1,000": (A_TO_B, stages(new=2), "too_many_items", ""),
}  # fmt: skip


@pytest.mark.parametrize("limit", PLANNED)
def test_what_only_live_tells_is_found_by_the_plan(limit: str) -> None:
    """Guards that such a plan cannot be applied, and has no action that runs into the limit."""
    text, live, code, instead_of = PLANNED[limit]
    found = plan(text, live)

    assert [code] == codes(found)
    assert not found.applyable
    assert instead_of not in kinds(found)


@pytest.mark.parametrize(
    ("text", "live"),
    [
        (
            A_BOUND,
            snapshot(workspaces=workspaces("A", items=()), bindings={"A": unbound(folders=1000)}),
        ),
        (
            A_BOUND,
            snapshot(workspaces=workspaces("A", items=MANY), bindings={"A": bound(*added(1))}),
        ),
        (
            A_BOUND,
            snapshot(
                workspaces=workspaces("A", items=MANY),
                bindings={
                    "A": bound(*added(2), change("n1", remote="Deleted"), target=MAIN),
                },
            ),
        ),
        (A_TO_B, stages(new=1)),
    ],
)
def test_exactly_1000_items_are_within_the_limit(text: str, live: Snapshot) -> None:
    """Guards the limit from the other side: what fits is planned."""
    assert plan(text, live).applyable


def test_more_than_300_items_become_several_deployments() -> None:
    """Guards the one limit that is kept by splitting, not by refusing."""
    dev = tuple(stage_item(f"new{n}") for n in range(301))
    live = snapshot(
        workspaces=workspaces("A", "B"),
        pipelines={"Sales": pipeline(("Dev", "A"), ("Test", "B"), items={"Dev": dev, "Test": ()})},
    )

    assert [300, 1] == [len(a.items) for a in plan(A_TO_B, live).actions]
