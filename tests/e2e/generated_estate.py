"""Estates of any size that are live already, with the spec that matches each: what plans read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import write_notebooks

from reconciler.spec.load import LoadResult, estate_from_resolved

GROUP = "6f1c0f5e-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Size:
    """How much of what an estate has; the first workspaces are bound, and stand in pipelines.

    Attributes:
        workspaces: all of them.
        bound: how many are bound to Git and synced.
        credentials: how many of the bound name their credentials.
        roles: how many workspaces manage roles.
        pipelines: of two stages each, over two bound workspaces of their own.
        deployments: how many of the pipelines deploy from the first stage to the second.
        compared: how many of the deployments compare definitions, two pairs of notebooks each.
        pipeline_roles: how many pipelines manage roles.
        repositories: Azure Repos repositories in the spec, with a default branch.
        imports: how many of them say what they were imported from.
    """

    workspaces: int = 0
    bound: int = 0
    credentials: int = 0
    roles: int = 0
    pipelines: int = 0
    deployments: int = 0
    compared: int = 0
    pipeline_roles: int = 0
    repositories: int = 0
    imports: int = 0


def _git() -> dict[str, Any]:
    return {
        "provider": "AzureDevOps",
        "organization": "contoso",
        "project": "Sales",
        "repository": "hub",
        "branch": "main",
        "directory": "/fabric",
    }


def _name(number: int) -> str:
    return f"W{number:04d}"


def scenario(size: Size) -> dict[str, Any]:
    """What exists."""
    repositories: list[dict[str, Any]] = [
        {"name": "hub", "branch": "main", "content": "items", "directory": "fabric"}
    ]
    repositories += [
        {"name": f"R{n}", "branch": "main", "content": "items"} for n in range(size.repositories)
    ]
    return {
        "capacities": [{"name": "F8", "sku": "F8", "region": "West Europe"}],
        "principals": [{"id": GROUP, "type": "Group", "name": "Sales team"}],
        "azureDevOps": [
            {
                "organization": "contoso",
                "projects": [{"name": "Sales", "repositories": repositories}],
            }
        ],
        "workspaces": [
            {
                "name": _name(n),
                "capacity": "F8",
                **({"git": {**_git(), "synced": True}} if n < size.bound else {}),
            }
            for n in range(size.workspaces)
        ],
        "pipelines": [
            {
                "name": f"P{n:04d}",
                "stages": [
                    {"name": "Dev", "workspace": _name(2 * n)},
                    {"name": "Test", "workspace": _name(2 * n + 1)},
                ],
            }
            for n in range(size.pipelines)
        ],
    }


def spec(size: Size) -> dict[str, Any]:
    """What is wanted: what exists, so that a plan of it has nothing to do but to read."""
    role = {"principal": {"id": GROUP, "type": "Group"}, "role": "Viewer", "state": "absent"}
    workspaces: list[dict[str, Any]] = []
    for n in range(size.workspaces):
        one: dict[str, Any] = {"name": _name(n)}
        if n < size.bound:
            one["git"] = _git()
            if n < size.credentials:
                one["git"]["credentials"] = "automatic"
        if n < size.roles:
            one["roles"] = [role]
        workspaces.append(one)
    pipelines: list[dict[str, Any]] = []
    for n in range(size.pipelines):
        pipeline: dict[str, Any] = {
            "name": f"P{n:04d}",
            "stages": [
                {"name": "Dev", "workspace": _name(2 * n)},
                {"name": "Test", "workspace": _name(2 * n + 1)},
            ],
        }
        if n < size.deployments:
            how = "definitions" if n < size.compared else "pairing"
            pipeline["deployments"] = [{"from": "Dev", "to": "Test", "compare": how}]
        if n < size.pipeline_roles:
            pipeline["roles"] = [{**role, "role": "Admin"}]
        pipelines.append(pipeline)
    found: dict[str, Any] = {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": "generated"},
        "workspaces": workspaces,
        "pipelines": pipelines,
    }
    if size.repositories:
        repositories: list[dict[str, Any]] = [
            {"project": "Sales", "name": f"R{n}", "defaultBranch": "main"}
            for n in range(size.repositories)
        ]
        for one in repositories[: size.imports]:
            one["import"] = {"url": "https://github.com/contoso/source.git", "adopt": True}
        found["azureDevOps"] = {"organization": "contoso", "repositories": repositories}
    return found


def loaded(size: Size, *, create: int = 0) -> LoadResult:
    """The spec as the engine takes it, with so many bindings to make on new and old workspaces."""
    resolved = spec(size)
    for unbound in resolved["workspaces"][size.bound : size.bound + create]:
        unbound["git"] = _git()
    resolved["workspaces"] += [
        {"name": f"New {n}", "create": True, "git": _git()} for n in range(create)
    ]
    return as_loaded(resolved)


def as_loaded(resolved: dict[str, Any]) -> LoadResult:
    """A resolved spec as the engine takes it."""
    return LoadResult(estate_from_resolved(resolved), resolved, "d", files=(), diagnostics=())


def write_items(folder: Path) -> None:
    """Write the items that every bound directory holds."""
    write_notebooks(folder / "items", ["Ingest", "Clean"])
