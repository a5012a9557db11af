"""Jobs, bulk import and connections of the emulated Fabric, and operations that fail on purpose."""

import base64
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import StartEmulator
from fabric_client import (
    GIT,
    ITEMS,
    MODEL,
    NOTEBOOK,
    ZERO,
    Fabric,
    estate,
    platform,
    write_items,
)
from test_behaviours_fabric import app_token

from reconciler.emulator.server import Emulator

PLAN = "11111111-0000-4000-8000-0000000000ff"


@pytest.fixture
async def fabric(emulator: Emulator, http: httpx.AsyncClient, tmp_path: Path) -> Fabric:
    """A synced workspace, an empty one, and a connection."""
    write_items(tmp_path / "items")
    found = Fabric(emulator, http)
    await found.scenario(tmp_path, **synced_estate())
    return found


def synced_estate() -> dict[str, Any]:
    """Return the scenario of these tests."""
    connection = {
        "name": "c",
        "type": "AzureDevOpsSourceControl",
        "url": "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
    }
    return estate(
        connections=[connection],
        workspaces=[
            {"name": "Dev", "capacity": "F8", "git": {**GIT, "synced": True}},
            {"name": "Empty", "capacity": "F8"},
        ],
    )


async def fault(fabric: Fabric, **data: Any) -> None:
    """Add a fault."""
    answer = await fabric.client.post(f"{fabric.emulator.urls.control_url}/faults", json=data)
    assert 200 == answer.status_code, answer.text


def parts(files: dict[str, str], folder: str = "/") -> list[dict[str, str]]:
    """Return files as the parts of a bulk import."""
    return [
        {
            "path": f"{folder}{path}",
            "payload": base64.b64encode(text.encode()).decode(),
            "payloadType": "InlineBase64",
        }
        for path, text in files.items()
    ]


# Operations, section 2.3


async def test_an_operation_can_end_with_any_error_without_its_effect(fabric: Fabric):
    """Guards section 2.3, SDK: InvalidWorkloadId is reachable, and the next operation starts."""
    dev = await fabric.workspace("Dev")
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    tip = fabric.tip()
    path = f"/workspaces/{dev}/git/commitToGit"
    more = [{"errorCode": "Git_InvalidResponseFromWorkload", "message": "No"}]
    failure = {"error": "InvalidWorkloadId", "message": "Bad workload", "moreDetails": more}
    await fault(fabric, match={"route": "git.commit"}, operation=failure)
    state, _ = await fabric.run("POST", path, {"mode": "All"})
    wanted = {"errorCode": "InvalidWorkloadId", "message": "Bad workload", "moreDetails": more}
    assert ("Failed", None, wanted) == (state["status"], state["percentComplete"], state["error"])
    assert tip == fabric.tip()
    await fabric.done("POST", path, {"mode": "All"})
    assert tip != fabric.tip()


async def test_an_operation_that_takes_too_long_fails_on_timeout(
    start_emulator: StartEmulator, tmp_path: Path
):
    """Guards section 2.3, SDK: the service's own limit ends what would take longer, or for ever."""
    emulator = await start_emulator(speed="real")
    headers = {"Authorization": f"Bearer {emulator.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        fabric = Fabric(emulator, client)
        write_items(tmp_path / "items")
        await fabric.scenario(tmp_path, **synced_estate())
        await fabric.portal("settings", operationLimitS=30)
        dev = await fabric.workspace("Dev")
        path = f"/workspaces/{dev}/items/{(await fabric.items(dev))['Ingest.Notebook']['id']}"
        await fault(fabric, match={"route": "items.get_definition"}, operation={"hang": True})
        hanging = await fabric.call("POST", f"{path}/getDefinition", status=202)
        usual = await fabric.call("POST", f"{path}/getDefinition", status=202)
        states = []
        for seconds in (29, 2):
            await client.post(f"{emulator.urls.control_url}/clock", json={"advance_s": seconds})
            states += [
                await fabric.get(f"/operations/{answer.headers['x-ms-operation-id']}")
                for answer in (hanging, usual)
            ]
    assert ["Running", "Succeeded", "Failed", "Succeeded"] == [s["status"] for s in states]
    assert "OperationFailedOnTimeout" == states[2]["error"]["errorCode"]


async def test_a_deployment_that_never_ran_is_failed_in_the_history(fabric: Fabric, tmp_path: Path):
    """Guards section 2.3: an operation that fails from outside leaves no pipeline busy."""
    stages = [{"name": "A", "workspace": "Dev"}, {"name": "B", "workspace": "Empty"}]
    await fabric.scenario(tmp_path, pipelines=[{"name": "P", "stages": stages}])
    pipeline = (await fabric.all("/deploymentPipelines"))[0]["id"]
    path = f"/deploymentPipelines/{pipeline}"
    first, second = await fabric.all(f"{path}/stages")
    body = {"sourceStageId": first["id"], "targetStageId": second["id"]}
    await fault(fabric, match={"route": "pipelines.deploy"}, operation={"error": "UnknownError"})
    state, _ = await fabric.run("POST", f"{path}/deploy", body)
    assert "Failed" == state["status"]
    assert ["Failed"] == [entry["status"] for entry in await fabric.all(f"{path}/operations")]
    await fabric.done("POST", f"{path}/deploy", body)


async def test_creation_takes_as_long_as_was_recorded_of_its_type(start_emulator: StartEmulator):
    """Guards section 2.5, recorded: a semantic model takes longer than a notebook."""
    emulator = await start_emulator(speed="real")
    headers = {"Authorization": f"Bearer {emulator.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        fabric = Fabric(emulator, client)
        await fabric.scenario(Path(), workspaces=[{"name": "Dev"}])
        path = f"/workspaces/{await fabric.workspace('Dev')}/items"
        made = [
            await fabric.call(
                "POST",
                path,
                {
                    "displayName": kind,
                    "type": kind,
                    "definition": {"parts": parts({"a.txt": ""}, "")},
                },
                status=202,
            )
            for kind in ("Notebook", "SemanticModel")
        ]
        await client.post(f"{emulator.urls.control_url}/clock", json={"advance_s": 5})
        states = [
            await fabric.get(f"/operations/{answer.headers['x-ms-operation-id']}")
            for answer in made
        ]
    assert ["Succeeded", "Running"] == [state["status"] for state in states]


# Jobs, section 2.1


async def test_a_job_is_followed_by_its_instance_not_by_an_operation(fabric: Fabric):
    """Guards section 2.1, recorded: Location is the job instance, there is no operation id."""
    dev = await fabric.workspace("Dev")
    item = (await fabric.items(dev))["Ingest.Notebook"]["id"]
    jobs = f"/workspaces/{dev}/items/{item}/jobs"
    answer = await fabric.call("POST", f"{jobs}/runNotebook/instances", status=202)
    assert "x-ms-operation-id" not in answer.headers
    place = answer.headers["Location"].removeprefix(fabric.root)
    assert place.startswith(f"{jobs}/instances/")
    job = await fabric.get(place)
    assert ("Completed", "RunNotebook", "Manual") == (
        job["status"],
        job["jobType"],
        job["invokeType"],
    )
    older = await fabric.call("POST", f"{jobs}/instances?jobType=RunNotebook", status=202)
    latest = (await fabric.all(f"{jobs}/instances"))[0]
    assert older.headers["Location"].endswith(latest["id"])


async def test_a_job_that_runs_says_when_to_ask_again_and_can_be_cancelled(
    start_emulator: StartEmulator, tmp_path: Path
):
    """Guards section 2.1, recorded (60 seconds), and the cancel route (spec)."""
    emulator = await start_emulator(speed="real")
    headers = {"Authorization": f"Bearer {emulator.token}"}
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        fabric = Fabric(emulator, client)
        write_items(tmp_path / "items")
        await fabric.scenario(tmp_path, workspaces=[{"name": "Dev", "items": "items"}])
        dev = await fabric.workspace("Dev")
        item = (await fabric.items(dev))["Ingest.Notebook"]["id"]
        run = f"/workspaces/{dev}/items/{item}/jobs/RunNotebook/instances"
        answer = await fabric.call("POST", run, status=202)
        place = answer.headers["Location"].removeprefix(fabric.root)
        running = await fabric.call("GET", place)
        second = await fabric.call("POST", run, status=202)
        skipped = await fabric.get(second.headers["Location"].removeprefix(fabric.root))
        cancelled = await fabric.call("POST", f"{place}/cancel", status=202)
        await client.post(f"{emulator.urls.control_url}/clock", json={"advance_s": 60})
        ended = await fabric.get(place)
        code = await fabric.code("POST", f"{place}/cancel", status=400)
    assert ("60", "60", "60") == tuple(
        found.headers["Retry-After"] for found in (answer, running, cancelled)
    )
    assert ("InProgress", "Deduped", "Cancelled", "JobAlreadyCompleted") == (
        running.json()["status"],
        skipped["status"],
        ended["status"],
        code,
    )


async def test_a_job_can_fail_and_bad_ones_do_not_start(fabric: Fabric):
    """Guards the codes of the swagger: InvalidJobType, ItemNotFound, a failure with a reason."""
    dev = await fabric.workspace("Dev")
    item = (await fabric.items(dev))["Ingest.Notebook"]["id"]
    jobs = f"/workspaces/{dev}/items/{item}/jobs"
    await fabric.portal("settings", failingJobs=["Ingest"])
    answer = await fabric.call("POST", f"{jobs}/RunNotebook/instances", status=202)
    job = await fabric.get(answer.headers["Location"].removeprefix(fabric.root))
    assert ("Failed", {"requestId", "errorCode", "message"}) == (
        job["status"],
        set(job["failureReason"]),
    )
    code = await fabric.code("POST", f"{jobs}/Pipeline/instances", status=400)
    assert "InvalidJobType" == code
    same = {"name": "a", "type": "Text", "value": "1"}
    body = {"parameters": [same, {**same, "name": "A"}]}
    await fabric.call("POST", f"{jobs}/RunNotebook/instances", body, status=400)
    missing = f"/workspaces/{dev}/items/{ZERO}/jobs/RunNotebook/instances"
    assert "ItemNotFound" == await fabric.code("POST", missing, status=404)
    await fabric.call("DELETE", f"/workspaces/{dev}/items/{item}")
    assert {} == fabric.world.fabric.jobs


# Bulk import, section 8


async def test_a_bulk_import_makes_items_and_overwrites_known_ones(fabric: Fabric):
    """Guards section 8, spec: by logical id, with folders, ids bound, and a result per item."""
    empty = await fabric.workspace("Empty")
    path = f"/workspaces/{empty}/items/bulkImportDefinitions?beta=true"
    first = await fabric.done("POST", path, {"definitionParts": parts(ITEMS)})
    details = first["importItemDefinitionsDetails"]
    assert {("Create", "Succeeded")} == {
        (entry["operationType"], entry["operationStatus"]) for entry in details
    }
    items = await fabric.items(empty)
    ids = {entry["itemLogicalId"]: entry["itemId"] for entry in details}
    assert items["Ingest.Notebook"]["id"] == ids[NOTEBOOK]
    notebook = (await fabric.definition(empty, ids[NOTEBOOK]))["notebook-content.py"].decode()
    assert items["Raw.Lakehouse"]["id"] in notebook and empty in notebook
    folders = {f["id"]: f["displayName"] for f in await fabric.all(f"/workspaces/{empty}/folders")}
    assert "reports" == folders[items["Sales.Report"]["folderId"]]
    changed = {
        "Ingest.Notebook/.platform": platform("Notebook", "Renamed", NOTEBOOK),
        "Ingest.Notebook/notebook-content.py": "print('new')\n",
    }
    second = await fabric.done("POST", path, {"definitionParts": parts(changed)})
    (entry,) = second["importItemDefinitionsDetails"]
    assert ("Update", ids[NOTEBOOK]) == (entry["operationType"], entry["itemId"])
    assert "Renamed.Notebook" in await fabric.items(empty)


async def test_an_export_can_be_imported_into_another_workspace(fabric: Fabric):
    """Guards section 8: what an export gives is what an import takes, paths and all."""
    dev, empty = await fabric.workspace("Dev"), await fabric.workspace("Empty")
    export = f"/workspaces/{dev}/items/bulkExportDefinitions?beta=true"
    exported = await fabric.done("POST", export, {"mode": "All"})
    body = {"definitionParts": exported["definitionParts"]}
    await fabric.done("POST", f"/workspaces/{empty}/items/bulkImportDefinitions?beta=true", body)
    assert set(await fabric.items(dev)) == set(await fabric.items(empty))


async def test_an_item_without_a_logical_id_is_paired_by_name_only_if_allowed(fabric: Fabric):
    """Guards the description of allowPairingByName (spec)."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/items/bulkImportDefinitions?beta=true"
    files = {
        "Ingest.Notebook/.platform": platform("Notebook", "Ingest", ZERO),
        "Ingest.Notebook/notebook-content.py": "print('paired')\n",
    }
    body: dict[str, Any] = {"definitionParts": parts(files)}
    assert "DuplicateDisplayNameAndType" == await fabric.code("POST", path, body, status=400)
    before = (await fabric.items(dev))["Ingest.Notebook"]["id"]
    body["options"] = {"allowPairingByName": True}
    result = await fabric.done("POST", path, body)
    (entry,) = result["importItemDefinitionsDetails"]
    assert (before, NOTEBOOK, "Update") == (
        entry["itemId"],
        entry["itemLogicalId"],
        entry["operationType"],
    )


async def test_a_bulk_import_refuses_what_it_can_not_place_or_resolve(fabric: Fabric):
    """Guards the codes of the swagger, and that one failing item does not hide the others."""
    empty = await fabric.workspace("Empty")
    path = f"/workspaces/{empty}/items/bulkImportDefinitions?beta=true"
    report = {key: text for key, text in ITEMS.items() if "Sales.Report" in key}
    for files, code in (
        ({"loose/file.txt": "x"}, "InvalidFilesPath"),
        ({"../a/.platform": "x"}, "InvalidFilesPath"),
        ({"A.Notebook/.platform": "no json"}, "InvalidSystemFiles"),
        (report, "DependenciesCouldNotBeResolved"),
    ):
        body = {"definitionParts": parts(files)}
        assert code == await fabric.code("POST", path, body, status=400), files
    await fabric.call("POST", path.removesuffix("?beta=true"), {"definitionParts": []}, status=400)
    partly = {
        "Sales.SemanticModel/.platform": platform("SemanticModel", "Sales", MODEL),
        "Ingest.Notebook/.platform": platform("Notebook", "Ingest", NOTEBOOK),
    }
    result = await fabric.done("POST", path, {"definitionParts": parts(partly)})
    assert {"SemanticModel": "Failed", "Notebook": "Succeeded"} == {
        entry["itemType"]: entry["operationStatus"]
        for entry in result["importItemDefinitionsDetails"]
    }
    assert ["Ingest.Notebook"] == list(await fabric.items(empty))


async def test_a_bulk_import_follows_a_plan_and_ends_at_its_first_failure(fabric: Fabric):
    """Guards section 6.2, docs of Sep 2026: the plan comes with the import or is there already."""
    empty = await fabric.workspace("Empty")
    path = f"/workspaces/{empty}/items/bulkImportDefinitions?beta=true"
    text = (
        f"groups:\n- name: a\n  logicalId: {NOTEBOOK}\n  postActions:\n"
        f"  - name: run\n    job: {{type: Execute, logicalId: {NOTEBOOK}}}\n"
        f"- name: b\n  logicalId: {MODEL}\n  dependsOn: [{{groupName: a}}]\n"
    )
    files = {
        **ITEMS,
        "Release.DeploymentPlan/.platform": platform("DeploymentPlan", "Release", PLAN),
        "Release.DeploymentPlan/plan.yml": text,
    }
    options = {"deploymentPlan": {"logicalId": PLAN, "referenceType": "ByLogicalId"}}
    body = {"definitionParts": parts(files), "options": options}
    await fabric.portal("settings", failingJobs=["Ingest"])
    state, _ = await fabric.run("POST", path, body)
    assert "JobInstanceFailed" == state["error"]["errorCode"]
    assert {"Raw.Lakehouse", "Raw.SQLEndpoint", "Ingest.Notebook"} == set(await fabric.items(empty))
    await fabric.portal("settings", failingJobs=[])
    result = await fabric.done("POST", path, body)
    order = [entry["itemType"] for entry in result["importItemDefinitionsDetails"]]
    assert order.index("Notebook") < order.index("SemanticModel")
    body["definitionParts"] = parts({k: v for k, v in files.items() if "Ingest" in k})
    await fabric.done("POST", path, body)
    notebook = (await fabric.items(empty))["Ingest.Notebook"]["id"]
    jobs = await fabric.all(f"/workspaces/{empty}/items/{notebook}/jobs/instances")
    assert ["Completed", "Completed", "Failed"] == [job["status"] for job in jobs]


# Connections, section 6.8


async def test_a_connection_is_changed_by_who_manages_it(fabric: Fabric):
    """Guards Connections_UpdateConnection (spec): members left out stay, secrets never show."""
    connection = (await fabric.all("/connections"))[0]
    path = f"/connections/{connection['id']}"
    body = {
        "connectivityType": "ShareableCloud",
        "displayName": "renamed",
        "privacyLevel": "Private",
        "credentialDetails": {
            "credentials": {
                "credentialType": "ServicePrincipal",
                "tenantId": ZERO.replace("0", "1"),
                "servicePrincipalClientId": ZERO.replace("0", "2"),
                "servicePrincipalSecret": "hidden",
            }
        },
    }
    answer = await fabric.call("PATCH", path, body)
    changed = answer.json()
    assert ("renamed", "Private") == (changed["displayName"], changed["privacyLevel"])
    assert connection["connectionDetails"] == changed["connectionDetails"]
    assert "hidden" not in answer.text
    other = {**body, "connectivityType": "PersonalCloud"}
    await fabric.call("PATCH", path, other, status=400)
    unknown = await fabric.code("PATCH", f"/connections/{ZERO}", body, status=404)
    assert "EntityNotFound" == unknown
    fabric.world.fabric.connections[connection["id"]].open = False
    fabric.world.fabric.connections[connection["id"]].roles[0].role = "User"
    code = await fabric.code("PATCH", path, body, status=403)
    assert "InsufficientPermissionsToManageConnection" == code
    assert "EntityNotFound" == await fabric.code("PATCH", path, body, status=404, token=app_token())


async def test_a_connection_is_tested_by_an_operation(fabric: Fabric):
    """Guards Connections_TestConnection (spec) and section 2.6: it is long-running."""
    connection = (await fabric.all("/connections"))[0]["id"]
    path = f"/connections/{connection}/testConnection"
    online = await fabric.done("POST", path)
    assert {"status": "Online", "errors": []} == online
    await fabric.portal("settings", offlineConnections=["c"])
    offline = await fabric.done("POST", path)
    assert ("Offline", 1) == (offline["status"], len(offline["errors"]))
    secret = {"credentialType": "OAuth2"}
    body = {"connectivityType": "ShareableCloud", "credentialDetails": {"credentials": secret}}
    code = await fabric.code("PATCH", f"/connections/{connection}", body, status=400)
    assert "IncorrectCredentials" == code
    body["credentialDetails"]["skipTestConnection"] = True
    await fabric.call("PATCH", f"/connections/{connection}", body)


async def test_the_kinds_of_connections_for_git_are_listed(fabric: Fabric):
    """Guards Connections_ListSupportedConnectionTypes (spec, section 6.8 docs), in pages."""
    await fabric.portal("settings", pageSize=1)
    found = await fabric.all("/connections/supportedConnectionTypes")
    assert {
        "AzureDevOpsSourceControl": ["ServicePrincipal", "OAuth2"],
        "GitHubSourceControl": ["Key"],
    } == {entry["type"]: entry["supportedCredentialTypes"] for entry in found}
    assert [] == await fabric.all(f"/connections/supportedConnectionTypes?gatewayId={ZERO}")
