"""The check of all recorded exchanges: it finds what is wrong, and the record holds no secret."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from swagger_contract import DIFFERENCES, contracts_folder, violations

from reconciler.emulator.recorder import VARIABLE

needs_contracts = pytest.mark.skipif(
    contracts_folder() is None, reason="the official contracts are not beside the repository"
)
ID = "0b7f0213-e31d-4687-adb5-b9b735ff2d38"
CAPACITY = {"id": ID, "displayName": "F8", "sku": "F8", "region": "West Europe", "state": "Active"}


def exchange(**changes: Any) -> dict[str, Any]:
    """A sound exchange, changed."""
    return {
        "service": "fabric",
        "method": "GET",
        "route": "capacities.list",
        "path": "/v1/capacities",
        "version": None,
        "agent": "fabric-reconciler/1",
        "faulty": False,
        "request": {},
        "status": 200,
        "headers": {},
        "response": {"json": {"value": [CAPACITY]}},
        **changes,
    }


def found_in(tmp_path: Path, *exchanges: dict[str, Any]) -> list[str]:
    """What the check says of some exchanges."""
    record = tmp_path / "record.jsonl"
    record.write_text("".join(f"{json.dumps(one)}\n" for one in exchanges))
    folder = contracts_folder()
    assert folder is not None
    return violations(folder, record)


@needs_contracts
def test_a_sound_exchange_is_no_violation(tmp_path: Path):
    """Guards against a check that refuses everything."""
    assert [] == found_in(tmp_path, exchange())


CONNECT = {
    "method": "POST",
    "route": "git.connect",
    "path": f"/v1/workspaces/{ID}/git/connect",
    "response": {},
}
DETAILS = {
    "gitProviderType": "AzureDevOps",
    "organizationName": "contoso",
    "projectName": "Sales",
    "repositoryName": "r",
    "branchName": "main",
    "directoryName": "/",
}


@needs_contracts
@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"response": {"json": {"value": [{**CAPACITY, "id": "1"}]}}}, "is not a 'uuid'"),
        ({"response": {"json": {"value": [{**CAPACITY, "state": "Asleep"}]}}}, "is not one of"),
        ({"response": {"json": {"value": [{**CAPACITY, "colour": "red"}]}}}, "unknown members"),
        ({"response": {"json": {"value": [{"id": ID}]}}}, "is a required property"),
        ({"response": {"json": {}}}, "is a required property"),
        ({"response": {}}, "no JSON"),
        ({"status": 201}, "status 201"),
        ({"status": 404, "response": {"json": {"code": "x"}}}, "unknown members"),
        ({"path": "/v1/nothing"}, "no such operation"),
        ({**CONNECT, "request": {"json": {}}}, "is a required property"),
        (
            {**CONNECT, "request": {"json": {"gitProviderDetails": {**DETAILS, "x": 1}}}},
            "unknown members",
        ),
        (
            {**CONNECT, "request": {"json": {"gitProviderDetails": {**DETAILS, "ownerName": "o"}}}},
            "unknown members",
        ),
        ({**CONNECT, "response": {"json": {"a": 1}}}, "a body is sent"),
    ],
)
def test_each_kind_of_violation_is_found(tmp_path: Path, changes: dict, problem: str):
    """Guards against a check that accepts everything, discriminators included."""
    found = found_in(tmp_path, exchange(**changes))
    assert any(problem in text for text in found), found


@needs_contracts
def test_one_unknown_member_is_told_even_beside_a_known_difference(tmp_path: Path):
    """Guards that an exception covers what it names and nothing around it."""
    body = {"value": [{**CAPACITY, "colour": "red"}], "continuationToken": None}
    (only,) = found_in(tmp_path, exchange(response={"json": body}))
    assert "colour" in only


def test_every_difference_names_its_source():
    """Guards the list of exceptions: none without evidence."""
    for difference in DIFFERENCES:
        assert any(
            name in difference.source
            for name in (
                "fabric-api.md",
                "azure-devops-import.md",
                "git.json",
                "operations.json",
                "fabric-cicd",
            )
        )


async def test_a_record_of_exchanges_holds_no_secret(
    start_emulator, http: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Guards the file that tests leave behind: no token, password, key or userinfo."""
    record = tmp_path / "record.jsonl"
    monkeypatch.setenv(VARIABLE, str(record))
    emulator = await start_emulator()
    headers = {"Authorization": "Bearer hidden-bearer"}
    secrets = {
        "credentialType": "ServicePrincipal",
        "tenantId": ID,
        "servicePrincipalClientId": ID,
        "servicePrincipalSecret": "hidden-secret",
    }
    connection = {
        "connectivityType": "ShareableCloud",
        "displayName": "c",
        "connectionDetails": {
            "type": "AzureDevOpsSourceControl",
            "creationMethod": "AzureDevOpsSourceControl.Contents",
            "parameters": [{"name": "url", "dataType": "Text", "value": "https://x"}],
        },
        "credentialDetails": {"credentials": secrets},
    }
    fabric, scenario = emulator.urls.fabric_url, {"azureDevOps": [{"organization": "contoso"}]}
    await http.post(f"{emulator.urls.control_url}/scenario", json=scenario)
    made = await http.post(f"{fabric}/v1/connections", json=connection, headers=headers)
    endpoint = {
        "name": "e",
        "type": "git",
        "url": "https://user:hidden-userinfo@github.com/o/r.git",
        "authorization": {"parameters": {"password": "hidden-password"}},
    }
    url = f"{emulator.urls.devops_url}/contoso/_apis/serviceendpoint/endpoints?api-version=7.1"
    await http.post(url, json=endpoint, headers=headers)
    text = record.read_text()
    assert (201, 2) == (made.status_code, len(text.splitlines()))
    assert "github.com/o/r.git" in text
    assert "hidden" not in text
