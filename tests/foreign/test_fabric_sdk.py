"""The official Fabric SDK for Python (microsoft-fabric-api), unmodified."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_bench import PRINCIPAL, Foreign, need


@pytest.fixture(autouse=True)
def _installed() -> None:
    need("microsoft_fabric_api", "azure.identity")


CAPACITY = {"capacities": [{"name": "F8-dev", "sku": "F8", "region": "West Europe"}]}
CONTOSO = {
    "organization": "contoso",
    "projects": [
        {
            "name": "Sales",
            "repositories": [
                {"name": "fabric-sales", "content": "items", "directory": "fabric"},
            ],
        }
    ],
}


def test_the_sdk_makes_a_workspace_and_its_items(foreign: Foreign):
    """Workspaces, items, definitions, folders and roles parse, and operations end by themselves."""
    group = {"id": "11111111-2222-4333-8444-555555555555", "type": "Group", "name": "Sales"}
    foreign.scenario(CAPACITY, group)
    found = foreign.run("sdk_workspace")
    assert {
        "capacity": "F8-dev",
        "created": ["Notebook", "Hello"],
        "folder": "Raw",
        "parts": [".platform", "notebook-content.py"],
        "renamed": "Renamed",
        "roles": [["Group", "Viewer"], ["ServicePrincipal", "Admin"]],
        "description": "All about sales",
        "region": "West Europe",
        "listed": [["Notebook", "Renamed"]],
        "left": [],
        "workspaces": [],
    } == found
    assert [] == foreign.refused()
    assert {PRINCIPAL} == {r["caller"] for r in foreign.requests() if r["service"] == "fabric"}


def test_the_sdk_goes_through_the_git_cycle(foreign: Foreign, items_folder: Path):
    """Connect, initialise, update, change, status and commit work with the SDK's pollers."""
    foreign.scenario({**CAPACITY, "azureDevOps": [CONTOSO]})
    found = foreign.run("sdk_git")
    head = found.pop("head")
    assert {
        "connected": "Connected",
        "action": "UpdateFromGit",
        "items": ["Hello", "World"],
        "changes": [["Hello", "Modified", None, "None"]],
        "left": 0,
        "moved": True,
        "credentials": ["ConfiguredConnection", True],
        "synced": True,
        "state": "NotConnected",
    } == found
    url = "https://x:token@dev.azure.com/contoso/Sales/_git/fabric-sales"
    assert head == foreign.execute("git", "ls-remote", url, "refs/heads/main").split()[0]
    assert [] == [line for line in foreign.refused() if " git " not in line]


def test_the_sdk_takes_a_pipeline_from_create_to_deploy(foreign: Foreign, items_folder: Path):
    """A pipeline is made, its stages get workspaces, and a deployment ends with its plan."""
    role = {"principal": {"id": PRINCIPAL, "type": "ServicePrincipal"}, "role": "Admin"}
    workspaces = [
        {"name": "Sales Dev", "capacity": "F8-dev", "items": "items", "roles": [role]},
        {"name": "Sales Prod", "capacity": "F8-dev", "roles": [role]},
    ]
    foreign.scenario({**CAPACITY, "workspaces": workspaces})
    found = foreign.run("sdk_pipeline")
    assert {
        "stages": [[0, "Development", False], [1, "Production", True]],
        "polled": "Succeeded",
        "status": "Succeeded",
        "note": "First release",
        "steps": [["Succeeded", "New"], ["Succeeded", "New"]],
        "items": ["Hello", "World"],
        "paired": True,
        "pipelines": [],
    } == found
    assert [] == foreign.refused()
