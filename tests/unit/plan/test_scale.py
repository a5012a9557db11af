"""Large estates: planning stays linear."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from reconciler.live.models import LiveBinding, LiveRelation, Snapshot
from reconciler.plan.build import PlanInput, build_plan
from reconciler.plan.targets import narrowed
from reconciler.spec.models import Estate

from .world import (
    HEADER,
    MAIN,
    bound,
    incoming,
    local,
    pipeline,
    snapshot,
    stage_item,
    workspace,
)

WORKSPACES = 9_999


def test_10_000_workspaces_in_3_333_pipelines_are_planned_in_seconds():
    """Every look-up is indexed; the bound is generous for busy machines."""
    names = [f"w{n:05}" for n in range(WORKSPACES)]
    git = {"provider": "AzureDevOps", "organization": "o", "project": "P", "repository": "r"}
    groups = [names[n : n + 3] for n in range(0, WORKSPACES, 3)]
    estate = Estate.model_validate(
        {
            **HEADER,
            "workspaces": [
                {"name": n, "capacity": "F8", "git": {**git, "branch": n}} for n in names
            ],
            "pipelines": [
                {
                    "name": dev,
                    "stages": [
                        {"name": s, "workspace": w}
                        for s, w in zip("DTP", (dev, test, prod), strict=True)
                    ],
                    "deployments": [{"from": "D", "to": "T"}, {"from": "T", "to": "P"}],
                }
                for dev, test, prod in groups
            ],
        }
    )
    target = replace(MAIN, organization="o", project="P")
    live = snapshot(
        workspaces={n: workspace(n) for n in names},
        bindings={n: bound(incoming("i"), target=replace(target, branch=n)) for n in names},
        pipelines={
            dev: pipeline(
                ("D", dev), ("T", test), ("P", prod), items={"D": (stage_item("a"),), "T": ()}
            )
            for dev, test, prod in groups
        },
    )
    began = time.process_time()
    plan = build_plan(PlanInput(estate=estate, resolved={}, digest=""), live)
    took_s = time.process_time() - began
    assert {
        "git.update": WORKSPACES,
        "deployment.deploy": WORKSPACES // 3 * 2,
    } == plan.summary.by_kind
    assert () == plan.diagnostics
    assert took_s < 60, f"{took_s:.1f} s"


# -- growth, counted in lines run through: the same on every machine --

REPOSITORY = {"provider": "AzureDevOps", "organization": "o", "project": "P", "repository": "r"}
World = tuple[dict[str, Any], Snapshot]


def names_of(count: int) -> list[str]:
    """Return that many names of workspaces."""
    return [f"w{n:05}" for n in range(count)]


def principal(number: int) -> str:
    """Return an id of a principal."""
    return f"{number:08x}-0000-4000-8000-000000000001"


def bindings_on(
    names: list[str], *changes: Any, branch: str = "main", **fields: Any
) -> dict[str, LiveBinding]:
    """Return bindings to a directory for each of a branch; "" for a branch for each."""
    target = replace(MAIN, organization="o", project="P")
    return {
        n: bound(
            *changes,
            target=replace(target, branch=branch or n, directory=f"/{n}" if branch else "/"),
            **fields,
        )
        for n in names
    }


def new_workspaces(count: int) -> World:
    """Each is made and bound."""
    git = {**REPOSITORY, "branch": "main"}
    return {
        "workspaces": [
            {"name": n, "create": True, "capacity": "F8", "git": {**git, "directory": f"/{n}"}}
            for n in names_of(count)
        ]
    }, snapshot()


def commits_to_one_branch(count: int) -> World:
    """Each commits to its directory of a branch that all of them follow."""
    names = names_of(count)
    git = {**REPOSITORY, "branch": "main", "sync": {"direction": "both"}}
    return {
        "workspaces": [{"name": n, "git": {**git, "directory": f"/{n}"}} for n in names]
    }, snapshot(
        workspaces={n: workspace(n) for n in names},
        bindings=bindings_on(names, incoming("i"), local("l")),
    )


def roles_of_one_workspace(count: int) -> World:
    """All are to be given."""
    roles = [
        {"principal": {"id": principal(n), "type": "User"}, "role": "Member"} for n in range(count)
    ]
    return {"workspaces": [{"name": "A", "roles": roles}]}, snapshot(
        workspaces={"A": workspace("A", roles=())}
    )


def relations_to_other_bases(count: int) -> World:
    """Each has another base than the spec says."""
    names = names_of(count)
    git = {**REPOSITORY, "relation": {"base": "base"}}
    other = LiveRelation("r", principal(1), "Base")
    return {
        "workspaces": [
            {"name": "base", "git": {**REPOSITORY, "branch": "base"}},
            *({"name": n, "git": {**git, "branch": n}} for n in names),
        ]
    }, snapshot(
        workspaces={n: workspace(n) for n in ["base", *names]},
        bindings=bindings_on(["base", *names], branch="", relations=(other,)),
    )


def rules_for_single_resources(count: int) -> World:
    """Each workspace differs, and a rule leaves it alone."""
    names = names_of(count)
    return {
        "workspaces": [{"name": n, "description": "new"} for n in names],
        "ignore": [{"address": f"workspaces/{n}"} for n in names],
    }, snapshot(workspaces={n: workspace(n) for n in names})


def connections_that_are_missing(count: int) -> World:
    """Each binding names one that the spec describes and nobody shared."""
    git = {**REPOSITORY, "branch": "main"}
    return {
        "connections": [{"name": n, "type": "AzureDevOpsSourceControl"} for n in names_of(count)],
        "workspaces": [
            {
                "name": n,
                "create": True,
                "capacity": "F8",
                "git": {**git, "directory": f"/{n}", "credentials": {"connection": n}},
            }
            for n in names_of(count)
        ],
    }, snapshot()


def items_of_stages_only(count: int) -> World:
    """Each is updated, stands in a stage, and its own items were not listed."""
    names = names_of(count)
    return {
        "workspaces": [{"name": n, "git": {**REPOSITORY, "branch": n}} for n in names],
        "pipelines": [
            {"name": n, "stages": [{"name": "D", "workspace": n}, {"name": "T"}]} for n in names
        ],
    }, snapshot(
        workspaces={n: workspace(n) for n in names},
        bindings=bindings_on(names, incoming("i"), branch=""),
        pipelines={n: pipeline(("D", n), ("T", None)) for n in names},
    )


def comments_to_cut(count: int) -> World:
    """Each commit has a comment beyond what the service takes with the trailer."""
    names = names_of(count)
    sync = {"direction": "commit", "commit": {"comment": "c" * 299}}
    return {
        "workspaces": [{"name": n, "git": {**REPOSITORY, "branch": n, "sync": sync}} for n in names]
    }, snapshot(
        workspaces={n: workspace(n) for n in names},
        bindings=bindings_on(names, local("l"), branch=""),
    )


def changes_in_one_workspace(count: int) -> World:
    """All are committed, or come in."""
    found = [f(f"{f.__name__} {n}") for f in (local, incoming) for n in range(count)]
    git = {**REPOSITORY, "branch": "main", "directory": "/A", "sync": {"direction": "both"}}
    return {"workspaces": [{"name": "A", "git": git}]}, snapshot(
        workspaces={"A": workspace("A")}, bindings=bindings_on(["A"], *found)
    )


def pipelines_in_a_chain(count: int) -> World:
    """Each deploys once the one before has."""
    names = names_of(count)
    return {
        "pipelines": [
            {
                "name": n,
                "stages": [{"name": "D", "workspace": f"{n} D"}, {"name": "T"}],
                "deployments": [
                    {"from": "D", "to": "T", "dependsOn": [f"pipelines/{b}"] if b else []}
                ],
            }
            for b, n in zip(["", *names], names, strict=False)
        ]
    }, snapshot(
        visible={f"{n} {s}": f"ws-{n} {s}" for n in names for s in "DT"},
        pipelines={
            n: pipeline(("D", f"{n} D"), ("T", f"{n} T"), items={"D": (stage_item("a"),), "T": ()})
            for n in names
        },
    )


@pytest.mark.parametrize(
    "world",
    [
        new_workspaces,
        commits_to_one_branch,
        roles_of_one_workspace,
        relations_to_other_bases,
        rules_for_single_resources,
        connections_that_are_missing,
        items_of_stages_only,
        comments_to_cut,
        changes_in_one_workspace,
        pipelines_in_a_chain,
    ],
)
def test_four_times_as_much_takes_four_times_the_work(world: Callable[[int], World]) -> None:
    """Nothing goes through all others for each; that would be sixteen times."""
    once, more = work_of(*world(100)), work_of(*world(400))
    assert more / once < 5, f"{once:,} lines, then {more:,}"


def test_a_target_is_found_in_four_times_as_much_with_four_times_the_work() -> None:
    """What depends on what is looked up, for repositories and for ``dependsOn``."""

    def estate(count: int) -> Estate:
        spec, _ = pipelines_in_a_chain(count)
        names = names_of(count)
        return Estate.model_validate(
            {
                **HEADER,
                **spec,
                "azureDevOps": {
                    "organization": "o",
                    "repositories": [{"project": "P", "name": n} for n in names],
                },
                "workspaces": [
                    {"name": n, "git": {**REPOSITORY, "repository": n, "branch": "main"}}
                    for n in names
                ],
            }
        )

    once, more = (lines_of(partial(narrowed, estate(n), ("pipelines/w00050",))) for n in (100, 400))
    assert more / once < 5, f"{once:,} lines, then {more:,}"


def work_of(spec: dict[str, Any], live: Snapshot) -> int:
    """Count the lines that planning runs through."""
    wanted = PlanInput(Estate.model_validate({**HEADER, **spec}), {}, "", beta=True)
    return lines_of(partial(build_plan, wanted, live))


def lines_of(run: Callable[[], object]) -> int:
    """Count the lines that something runs through, each round of a loop anew."""
    lines = 0

    def count(_frame: object, _event: str, _what: object) -> Any:
        nonlocal lines
        lines += 1
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        run()
    finally:
        sys.settrace(before)
    return lines
