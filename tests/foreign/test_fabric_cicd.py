"""fabric-cicd, unmodified: publishes exported items to a workspace and unpublishes orphans."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from foreign_bench import PRINCIPAL, Foreign, need, write_notebook


@pytest.fixture(autouse=True)
def _installed() -> None:
    need("fabric_cicd", "azure.identity")


FAST = {"FABRIC_CICD_RETRY_DELAY_OVERRIDE_SECONDS": "0.02"}
"""The library's own setting for tests: how long it waits between two looks at an operation."""


def _sample_items() -> Path:
    root = Path(os.environ.get("RECONCILER_SHARED", Path(__file__).parents[3] / "shared"))
    return root / "data" / "fabric-workspace"


def _scenario(**workspace: Any) -> dict[str, Any]:
    role = {"principal": {"id": PRINCIPAL, "type": "ServicePrincipal"}, "role": "Admin"}
    return {
        "capacities": [{"name": "F8-dev", "sku": "F8", "region": "West Europe"}],
        "workspaces": [{"name": "Sales", "capacity": "F8-dev", "roles": [role], **workspace}],
    }


def test_it_publishes_changes_and_unpublishes_orphans(foreign: Foreign, items_folder: Path):
    """New items come, changed ones change, a folder moves its item, orphans go."""
    foreign.scenario(_scenario())
    foreign.run("cicd", "Sales", str(items_folder), **FAST)
    first = foreign.state("Sales")
    assert {"Hello.Notebook", "World.Notebook"} == set(first["items"])
    shutil.rmtree(items_folder / "World.Notebook")
    (items_folder / "Raw").mkdir()
    (items_folder / "Hello.Notebook").rename(items_folder / "Raw" / "Hello.Notebook")
    write_notebook(items_folder / "Fresh.Notebook", "Fresh", 3)
    foreign.run("cicd", "Sales", str(items_folder), **FAST)
    second = foreign.state("Sales")
    assert {"Hello.Notebook", "Fresh.Notebook"} == set(second["items"])
    hello = second["items"]["Hello.Notebook"]
    assert first["items"]["Hello.Notebook"]["id"] == hello["id"]
    assert [hello["folderId"]] == [found["id"] for found in second["folders"]]
    assert [] == foreign.refused()


def test_it_publishes_the_exported_sample_workspace(foreign: Foreign):
    """Forty items of thirty types, with folders and children, are taken as an export wrote them."""
    sample = _sample_items()
    if not sample.is_dir():
        pytest.skip("the exported sample items are not beside the repository")
    folder = foreign.folder / "sample"
    shutil.copytree(sample, folder)
    foreign.scenario(_scenario())
    foreign.run("cicd", "Sales", str(folder), **FAST)
    platforms = [json.loads(path.read_text()) for path in folder.rglob(".platform")]
    names = {f"{p['metadata']['displayName']}.{p['metadata']['type']}" for p in platforms}
    found = foreign.state("Sales")["items"]
    assert names == {name for name in found if not name.endswith(".SQLEndpoint")}
    assert [] == foreign.refused()
