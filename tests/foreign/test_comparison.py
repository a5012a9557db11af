"""What docs/comparison.md says of fabric-cicd, run: it writes what it has, whatever is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from foreign_bench import PRINCIPAL, Foreign, need

FAST = {"FABRIC_CICD_RETRY_DELAY_OVERRIDE_SECONDS": "0.02"}


@pytest.fixture(autouse=True)
def _installed() -> None:
    need("fabric_cicd", "azure.identity")


def _scenario(**workspace: Any) -> dict[str, Any]:
    role = {"principal": {"id": PRINCIPAL, "type": "ServicePrincipal"}, "role": "Admin"}
    return {
        "capacities": [{"name": "F8-dev", "sku": "F8", "region": "West Europe"}],
        "workspaces": [{"name": "Sales", "capacity": "F8-dev", "roles": [role], **workspace}],
    }


def _publish(foreign: Foreign, folder: Path) -> list[str]:
    """Publish and unpublish; return the writes to items, without the reads by POST."""
    foreign.control("DELETE", "/requests")
    foreign.run("cicd", "Sales", str(folder), **FAST)
    return [
        f"{r['method']} {r['path'].rsplit('/', 1)[-1] if r['method'] == 'POST' else 'item'}"
        for r in foreign.requests()
        if r["service"] == "fabric" and r["method"] in {"POST", "DELETE"}
    ]


def test_it_writes_every_item_again_though_nothing_has_changed(
    foreign: Foreign, items_folder: Path
) -> None:
    """Guards the row on what is shown before it acts: there is no comparison to show."""
    foreign.scenario(_scenario())
    _publish(foreign, items_folder)
    again = _publish(foreign, items_folder)
    assert 2 == again.count("POST updateDefinition"), again


def test_it_takes_an_item_of_the_same_name_for_its_own(
    foreign: Foreign, items_folder: Path
) -> None:
    """Guards the rows on hand edits and name clashes: by type and name, without a word."""
    foreign.scenario(_scenario())
    body = {"action": "add", "workspace": "Sales", "type": "Notebook", "name": "Hello"}
    made = foreign.control("POST", "/portal", {**body, "parts": {"notebook-content.py": "# ours"}})
    writes = _publish(foreign, items_folder)
    assert made["id"] == foreign.state("Sales")["items"]["Hello.Notebook"]["id"]
    assert "POST updateDefinition" in writes


def test_it_deletes_an_item_somebody_made_by_hand(foreign: Foreign, items_folder: Path) -> None:
    """Guards the row on what is lost: what is not in the folder goes, once unpublishing is asked."""
    foreign.scenario(_scenario())
    body = {"action": "add", "workspace": "Sales", "type": "Notebook", "name": "Mine"}
    foreign.control("POST", "/portal", body)
    assert "DELETE item" in _publish(foreign, items_folder)
    assert "Mine.Notebook" not in foreign.state("Sales")["items"]
