"""Large estates: planning stays linear."""

from __future__ import annotations

import time
from dataclasses import replace

from reconciler.plan.build import PlanInput, build_plan
from reconciler.spec.models import Estate

from .world import HEADER, MAIN, bound, incoming, pipeline, snapshot, stage_item, workspace

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
