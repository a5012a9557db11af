"""The azure-devops SDK for Python, unmodified, signed in through Entra."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_bench import Foreign, need


@pytest.fixture(autouse=True)
def _installed() -> None:
    need("azure.devops", "azure.identity")


SCENARIO = {
    "azureDevOps": [
        {
            "organization": "contoso",
            "projects": [
                {
                    "name": "Sales",
                    "repositories": [{"name": "fabric-sales", "content": "items"}],
                },
                {"name": "Bare", "repositories": [{"name": "empty"}]},
            ],
        }
    ],
    "github": [
        {"owner": "contoso", "repository": "private", "content": "items", "private": True},
    ],
}


def test_the_sdk_finds_its_way_and_imports_a_private_repository(
    foreign: Foreign, items_folder: Path
):
    """Resource areas and locations lead the SDK to every resource that the reference names."""
    foreign.scenario(SCENARIO)
    found = foreign.run("azure_devops")
    assert {
        "projects": ["Bare", "Sales"],
        "capabilities": "Git",
        "repositories": ["fabric-sales"],
        "remote": "dev.azure.com",
        "refs": ["refs/heads/main"],
        "created": [[True, "succeeded"]],
        "commits": 1,
        "text": "# Fabric notebook source\n\nprint('Hello')\n",
        "pushed": "refs/heads/topic",
        "target": ["imported", 0],
        "endpoint": ["source", "git", 1],
        "first": "queued",
        "last": "completed",
        "branches": ["refs/heads/main"],
        "requests": [True],
        "endpoints": 0,
        "missing": "GitRepositoryNotFoundException",
        "binned": ["renamed"],
    } == found
    assert 1 == len(foreign.refused()), foreign.refused()
    asked = {(r["method"], r["path"]) for r in foreign.requests()}
    assert {("OPTIONS", "/contoso/_apis"), ("GET", "/contoso/_apis/ResourceAreas")} <= asked
