"""A small estate that is live already: what exists, the spec that matches it, and its variations.

Two notebooks lie in a repository; Sales Dev is bound to it and synced, and stands in the first
stage of a pipeline whose second stage, Sales Test, has got the same items.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from bench import Bench, write_notebooks

GROUP = "6f1c0f5e-0000-4000-8000-000000000001"
OTHER = "6f1c0f5e-0000-4000-8000-000000000002"
SOURCE = "https://github.com/contoso/source.git"

SCENARIO: dict[str, Any] = {
    "capacities": [
        {"name": "F8", "sku": "F8", "region": "West Europe"},
        {"name": "F2-off", "sku": "F2", "region": "West Europe", "state": "Inactive"},
    ],
    "principals": [
        {"id": GROUP, "type": "Group", "name": "Sales team"},
        {"id": OTHER, "type": "Group", "name": "Others"},
    ],
    "azureDevOps": [
        {
            "organization": "contoso",
            "projects": [
                {
                    "name": "Sales",
                    "repositories": [
                        {
                            "name": "fabric-sales",
                            "branch": "main",
                            "content": "items",
                            "directory": "fabric",
                        },
                        {"name": "empty"},
                    ],
                }
            ],
        }
    ],
    "github": [
        {
            "owner": "contoso",
            "repository": "source",
            "branch": "main",
            "content": "items",
            "directory": "fabric",
        }
    ],
    "connections": [{"name": "hub", "type": "GitHubSourceControl", "url": "https://github.com"}],
    "workspaces": [
        {
            "name": "Sales Dev",
            "capacity": "F8",
            "git": {
                "provider": "AzureDevOps",
                "organization": "contoso",
                "project": "Sales",
                "repository": "fabric-sales",
                "branch": "main",
                "directory": "/fabric",
                "synced": True,
            },
        },
        {"name": "Sales Test", "capacity": "F8", "items": "items"},
        {"name": "Loose", "capacity": "F8", "items": "items"},
        {"name": "Bare"},
    ],
    "pipelines": [
        {
            "name": "Sales",
            "stages": [
                {"name": "Development", "workspace": "Sales Dev"},
                {"name": "Test", "workspace": "Sales Test"},
            ],
        }
    ],
}

GIT: dict[str, Any] = {
    "provider": "AzureDevOps",
    "project": "Sales",
    "repository": "fabric-sales",
    "branch": "main",
    "directory": "/fabric",
}

SPEC: dict[str, Any] = {
    "apiVersion": "reconciler/v1",
    "kind": "Estate",
    "metadata": {"name": "sales"},
    "azureDevOps": {"organization": "contoso"},
    "workspaces": [
        {"name": "Sales Dev", "capacity": "F8", "git": GIT},
        {"name": "Sales Test", "capacity": "F8"},
    ],
    "pipelines": [
        {
            "name": "Sales",
            "stages": [
                {"name": "Development", "workspace": "Sales Dev"},
                {"name": "Test", "workspace": "Sales Test"},
            ],
            "deployments": [{"from": "Development", "to": "Test"}],
        }
    ],
}

DEMO = Path(__file__).resolve().parents[2] / "reconciler" / "cli" / "demo_estate"


def exists(bench: Bench, **changes: Any) -> None:
    """Load the scenario; ``changes`` replace its top-level parts."""
    write_notebooks(bench.folder / "items", ["Clean", "Load"])
    bench.scenario({**copy.deepcopy(SCENARIO), **changes})
    bench.control("DELETE", "/requests")


def write_spec(bench: Bench, data: dict[str, Any], name: str = "spec.yaml") -> Path:
    """Write a spec."""
    return bench.write(name, yaml.safe_dump(data, sort_keys=False))


def spec(**changes: Any) -> dict[str, Any]:
    """Return the matching spec; ``changes`` replace its top-level parts."""
    return {**copy.deepcopy(SPEC), **copy.deepcopy(changes)}


def workspaces(*specs: dict[str, Any]) -> dict[str, Any]:
    """Return a spec of these workspaces alone."""
    out = spec(workspaces=list(specs))
    del out["pipelines"]
    return out


def repository(**fields: Any) -> dict[str, Any]:
    """Return a spec of one repository alone."""
    out = spec(
        azureDevOps={"organization": "contoso", "repositories": [{"project": "Sales", **fields}]}
    )
    del out["workspaces"], out["pipelines"]
    return out


def pipeline(**changes: Any) -> dict[str, Any]:
    """Return the matching spec with changes to its pipeline."""
    out = spec()
    out["pipelines"][0].update(copy.deepcopy(changes))
    return out


def edit(bench: Bench, workspace: str = "Sales Dev", item: str = "Load") -> None:
    """Change a notebook by hand in the portal."""
    bench.portal(
        action="edit",
        workspace=workspace,
        item=item,
        type="Notebook",
        path="notebook-content.py",
        append="\nprint('by hand')\n",
    )


def push(bench: Bench, item: str = "Load", text: str = "print('by commit')\n") -> str:
    """Change a notebook by a commit on the branch; returns the commit."""
    clone = bench.folder / "clone-fabric-sales"
    if not clone.exists():
        clone = bench.clone("Sales", "fabric-sales")
    else:
        bench.git("pull", "--quiet", cwd=clone)
    path = f"fabric/{item}.Notebook/notebook-content.py"
    return bench.push_file(clone, path, (clone / path).read_text() + text)
