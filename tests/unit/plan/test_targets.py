"""What a target brings along: what it can wait for, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.ids import Address
from reconciler.plan.targets import narrowed
from reconciler.spec.load import estate_from_resolved
from reconciler.spec.models import Estate
from reconciler.spec.resolve import addresses


def git(branch: str = "main", repository: str = "r", **more: Any) -> dict[str, Any]:
    """A binding in its written form."""
    return {
        "provider": "AzureDevOps",
        "organization": "o",
        "project": "P",
        "repository": repository,
        "branch": branch,
        "directory": "/",
        **more,
    }


def estate(**parts: Any) -> Estate:
    """A spec of these parts."""
    return estate_from_resolved(
        {"apiVersion": "reconciler/v1", "kind": "Estate", "metadata": {"name": "s"}, **parts}
    )


def kept(whole: Estate, *target: str) -> set[Address]:
    """The repositories, connections, workspaces and pipelines that are kept."""
    parts = ("/git", "/stages/", "/deployments/")
    return {a for a in addresses(narrowed(whole, target)) if not any(p in a for p in parts)}


ALONE = [{"name": "A"}, {"name": "B"}]


def test_without_a_target_the_spec_is_whole():
    """Guards the usual plan: nothing is left out."""
    whole = estate(workspaces=ALONE)
    assert whole is narrowed(whole, ())


@pytest.mark.parametrize("target", ["workspaces/A", "workspaces/A/git", "workspaces/A/roles/x"])
def test_a_target_below_a_resource_brings_the_resource(target):
    """Guards parts: a binding is read with its workspace."""
    assert {"workspaces/A"} == kept(estate(workspaces=ALONE), target)


def test_a_prefix_brings_all_below_it():
    """Guards prefixes: whole parts only."""
    whole = estate(workspaces=[*ALONE, {"name": "A2"}], connections=[CONNECTION])
    assert {"workspaces/A", "workspaces/B", "workspaces/A2"} == kept(whole, "workspaces")
    assert {"workspaces/A"} == kept(whole, "workspaces/A/")


CONNECTION = {"name": "c", "type": "AzureDevOpsSourceControl"}


def test_a_binding_brings_its_connection_and_its_repository():
    """Guards what a connect waits for; names of repositories compare without case."""
    whole = estate(
        workspaces=[{"name": "A", "git": git(credentials={"connection": "c"})}, {"name": "B"}],
        connections=[CONNECTION, {**CONNECTION, "name": "d"}],
        azureDevOps={
            "organization": "o",
            "repositories": [{"project": "p", "name": "R"}, {"project": "p", "name": "other"}],
        },
    )
    assert {"workspaces/A", "connections/c", "repositories/p/R"} == kept(whole, "workspaces/A")
    assert "repositories/p/other" in kept(whole, "repositories/p/other")


def test_workspaces_on_one_branch_come_together():
    """Guards commits: one moves the tip for all on the branch, and for nobody else."""
    whole = estate(
        workspaces=[
            {"name": "A", "git": git(directory="/a")},
            {"name": "B", "git": git(directory="/b", sync={"direction": "commit"})},
            {"name": "C", "git": git("dev")},
            {"name": "D", "git": git(repository="s")},
        ]
    )
    assert {"workspaces/A", "workspaces/B"} == kept(whole, "workspaces/A")
    assert {"workspaces/D"} == kept(whole, "workspaces/D")


def test_where_branches_are_made_the_whole_repository_comes():
    """Guards new branches: they are made from others, in order."""
    whole = estate(
        workspaces=[
            {"name": "A", "git": git()},
            {"name": "B", "git": git("feature", createBranchFrom="main")},
            {"name": "C", "git": git(repository="s")},
        ]
    )
    assert {"workspaces/A", "workspaces/B"} == kept(whole, "workspaces/B")


def stages(*workspaces: Any) -> list[dict[str, Any]]:
    """Stages that hold these workspaces."""
    names = ["Dev", "Test", "Prod"]
    return [{"name": n, "workspace": w} for n, w in zip(names, workspaces, strict=False)]


def test_a_pipeline_brings_its_workspaces_and_a_workspace_no_pipeline():
    """Guards the direction: a deployment waits for what its stages hold, not the other way."""
    whole = estate(
        workspaces=[*ALONE, {"name": "C"}], pipelines=[{"name": "P", "stages": stages("A", "B")}]
    )
    assert {"workspaces/A", "workspaces/B", "pipelines/P"} == kept(
        whole, "pipelines/P/deployments/Dev:Test"
    )
    assert {"workspaces/A"} == kept(whole, "workspaces/A")


def test_a_workspace_that_a_deployment_makes_brings_its_pipeline():
    """Guards createOnDeploy: the binding of such a workspace waits for the deployment."""
    made = {"name": "B", "createOnDeploy": True}
    whole = estate(workspaces=ALONE, pipelines=[{"name": "P", "stages": stages("A", made)}])
    assert {"workspaces/A", "workspaces/B", "pipelines/P"} == kept(whole, "workspaces/B")


def test_cascades_across_pipelines_come_along():
    """Guards dependsOn: the pipeline that is named, with its workspaces."""
    second = {"from": "Dev", "to": "Test", "dependsOn": ["pipelines/P/deployments/Dev:Test"]}
    whole = estate(
        workspaces=[{"name": n} for n in "ABCD"],
        pipelines=[
            {
                "name": "P",
                "stages": stages("A", "B"),
                "deployments": [{"from": "Dev", "to": "Test"}],
            },
            {"name": "Q", "stages": stages("C", "D"), "deployments": [second]},
        ],
    )
    assert 6 == len(kept(whole, "pipelines/Q"))
    assert {"workspaces/A", "workspaces/B", "pipelines/P"} == kept(whole, "pipelines/P")


def test_a_deployment_whose_workspaces_only_the_service_knows_keeps_the_spec_whole():
    """Guards stages without a workspace: what they hold is seen after reading only."""
    deployment = {"from": "Dev", "to": "Test"}
    whole = estate(
        workspaces=ALONE,
        pipelines=[
            {"name": "P", "stages": stages("A", None), "deployments": [deployment]},
        ],
    )
    assert whole is narrowed(whole, ("pipelines/P",))
    assert {"workspaces/B"} == kept(whole, "workspaces/B")


def test_a_base_workspace_comes_along():
    """Guards relations: the base has to be known, and may have to be made first."""
    whole = estate(
        workspaces=[{"name": "A", "git": git("f", relation={"base": "B"})}, {"name": "B"}]
    )
    assert {"workspaces/A", "workspaces/B"} == kept(whole, "workspaces/A")


def test_what_is_made_in_a_repository_beside_the_spec_is_found_under_its_address() -> None:
    """Such a repository is only named by the binding that wants something made in it."""
    whole = estate(workspaces=[{"name": "A", "git": git(createDirectory=True)}, {"name": "B"}])
    assert {"workspaces/A"} == kept(whole, "repositories")
