"""Workspaces, items, folders, connections and the shared plumbing of the emulated Fabric."""

import base64
import json
from pathlib import Path

import httpx
import pytest
from fabric_client import (
    GIT,
    ITEMS,
    NOTEBOOK,
    ZERO,
    Contract,
    Fabric,
    estate,
    platform,
    shared_folder,
    write_items,
)

from reconciler.emulator.fabric.itemformat import born_logical_id, directory_leaf
from reconciler.emulator.server import Emulator


@pytest.fixture
async def fabric(emulator: Emulator, http: httpx.AsyncClient, tmp_path: Path) -> Fabric:
    """A capacity, a paused one, a directory of principals, and a workspace with items."""
    write_items(tmp_path / "items")
    found = Fabric(emulator, http)
    await found.scenario(
        tmp_path,
        capacities=[{"name": "F8", "sku": "F8"}, {"name": "Paused", "state": "Inactive"}],
        principals=[
            {"id": "6f1c0f5e-0000-4000-8000-000000000001", "type": "Group", "name": "Team"}
        ],
        workspaces=[{"name": "Dev", "capacity": "F8", "items": "items"}],
    )
    return found


def part(path: str, text: str) -> dict[str, str]:
    """Return a definition part."""
    payload = base64.b64encode(text.encode()).decode()
    return {"path": path, "payload": payload, "payloadType": "InlineBase64"}


async def test_answers_carry_the_recorded_headers(fabric: Fabric):
    """Guards the headers of section 1, and which of them a regional host leaves out."""
    answer = await fabric.call("GET", "/capacities")
    assert "application/json; charset=utf-8" == answer.headers["Content-Type"]
    assert "no-store, must-revalidate, no-cache" == answer.headers["Cache-Control"]
    assert "true" == answer.headers["request-redirected"]
    regional = await fabric.client.get(f"{fabric.world.urls.location_url}/v1/capacities")
    assert 200 == regional.status_code
    assert "request-redirected" not in regional.headers


async def test_a_missing_token_an_unknown_route_and_bad_json_have_the_error_shape(fabric: Fabric):
    """Guards errors found before a handler runs."""
    async with httpx.AsyncClient() as stranger:
        answer = await stranger.get(f"{fabric.root}/workspaces")
    assert (401, "RequestFailed") == (answer.status_code, answer.json()["errorCode"])
    assert "EndpointNotFound" == await fabric.code("GET", "/nothing", status=404)
    doubled = await fabric.client.get(f"{fabric.world.urls.fabric_url}//v1/workspaces")
    assert "EntityNotFound" == doubled.json()["errorCode"]
    broken = await fabric.client.post(f"{fabric.root}/workspaces", content=b"{")
    assert 400 == broken.status_code
    assert {"requestId", "errorCode", "message"} <= set(broken.json())


async def test_routes_are_case_insensitive(fabric: Fabric):
    """Guards the recorded spelling tolerance of Fabric paths."""
    dev = await fabric.workspace("Dev")
    assert dev == (await fabric.get(f"/WORKSPACES/{dev.upper()}"))["id"]


async def test_lists_page_with_encoded_tokens_and_three_endings(fabric: Fabric):
    """Guards paging: the token is URL-encoded text, the end has three spellings."""
    await fabric.portal("settings", pageSize=2)
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/items"
    page = await fabric.get(path)
    assert 2 == len(page["value"])
    assert page["continuationUri"].endswith(f"?continuationToken={page['continuationToken']}")
    through = await fabric.client.get(page["continuationUri"])
    assert 2 == len(through.json()["value"])
    assert 5 == len({item["id"] for item in await fabric.all(path)})
    endings = []
    for _ in range(3):
        last = await fabric.get("/capacities")
        endings.append(last.get("continuationToken", "absent"))
    assert {"absent", None, ""} == set(endings)
    assert "InvalidContinuationToken" == await fabric.code(
        "GET", f"{path}?continuationToken=nonsense", status=400
    )


async def test_workspaces_are_made_changed_and_removed(fabric: Fabric):
    """Guards the workspace calls: Location, unique names, description left out when empty."""
    made = await fabric.call("POST", "/workspaces", {"displayName": "New"}, status=201)
    ws = made.json()["id"]
    assert {"id": ws, "displayName": "New", "type": "Workspace"} == made.json()
    assert made.headers["Location"].endswith(f"/v1/workspaces/{ws}")
    assert "WorkspaceNameAlreadyExists" == await fabric.code(
        "POST", "/workspaces", {"displayName": "new"}, status=409
    )
    changed = await fabric.call("PATCH", f"/workspaces/{ws}", {"description": "d"})
    assert "d" == changed.json()["description"]
    empty = await fabric.call("DELETE", f"/workspaces/{ws}")
    assert ("application/octet-stream", "0") == (
        empty.headers["Content-Type"],
        empty.headers["Content-Length"],
    )
    assert "WorkspaceNotFound" == await fabric.code("GET", f"/workspaces/{ws}", status=404)


async def test_a_capacity_assignment_is_seen_on_the_workspace_only(
    start_emulator, http: httpx.AsyncClient, tmp_path: Path
):
    """Guards the 202 without operation headers and the progress member."""
    slow = Fabric(await start_emulator(speed="real"), http)
    await slow.scenario(tmp_path, capacities=[{"name": "F8"}, {"name": "Off", "state": "Inactive"}])
    capacities = {c["displayName"]: c["id"] for c in await slow.all("/capacities")}
    ws = (await slow.call("POST", "/workspaces", {"displayName": "W"}, status=201)).json()["id"]
    path = f"/workspaces/{ws}/assignToCapacity"
    assert "CapacityNotInActiveState" == await slow.code(
        "POST", path, {"capacityId": capacities["Off"]}, status=400
    )
    answer = await slow.call("POST", path, {"capacityId": capacities["F8"]}, status=202)
    assert b"" == answer.content
    assert not {"Location", "x-ms-operation-id", "Retry-After"} & set(answer.headers)
    progress = await slow.get(f"/workspaces/{ws}")
    assert "InProgress" == progress["capacityAssignmentProgress"]
    slow.world.clock.advance(60)
    assert "Completed" == (await slow.get(f"/workspaces/{ws}"))["capacityAssignmentProgress"]
    await slow.call("POST", f"/workspaces/{ws}/unassignFromCapacity", status=202)
    assert "capacityId" not in await slow.get(f"/workspaces/{ws}")


async def test_strangers_see_nothing_of_a_workspace_made_by_somebody_else(fabric: Fabric):
    """Guards that lists show what the caller may see, and the switchable refusal."""
    made = await fabric.call("POST", "/workspaces", {"displayName": "Mine"}, status=201)
    ws = made.json()["id"]
    listed = await fabric.get("/workspaces", token="other")
    assert ["Dev"] == [w["displayName"] for w in listed["value"]]
    assert "InsufficientPrivileges" == await fabric.code(
        "GET", f"/workspaces/{ws}", status=403, token="other"
    )
    assert "WorkspaceNameAlreadyExists" == await fabric.code(
        "POST", "/workspaces", {"displayName": "Mine"}, status=409, token="other"
    )
    await fabric.portal("settings", hiddenWorkspaceStatus=404)
    assert "WorkspaceNotFound" == await fabric.code(
        "GET", f"/workspaces/{ws}", status=404, token="other"
    )


async def test_role_assignments_follow_the_directory(fabric: Fabric):
    """Guards ids, real principal types, any case of the role, and the last admin."""
    made = await fabric.call("POST", "/workspaces", {"displayName": "Mine"}, status=201)
    path = f"/workspaces/{made.json()['id']}/roleAssignments"
    group = "6f1c0f5e-0000-4000-8000-000000000001"
    body = {"principal": {"id": group, "type": "User"}, "role": "member"}
    added = await fabric.call("POST", path, body, status=201)
    assert {
        "id": group,
        "principal": {"id": group, "type": "Group"},
        "role": "Member",
    } == added.json()
    assert "Team" == (await fabric.get(f"{path}/{group}"))["principal"]["displayName"]
    assert "PrincipalAlreadyHasWorkspaceRolePermissions" == await fabric.code(
        "POST", path, body, status=409
    )
    unknown = {"principal": {"id": ZERO, "type": "User"}, "role": "Viewer"}
    assert "PrincipalNotFound" == await fabric.code("POST", path, unknown, status=400)
    changed = await fabric.call("PATCH", f"{path}/{group}", {"role": "Viewer"})
    assert "Viewer" == changed.json()["role"]
    admin = next(r["id"] for r in await fabric.all(path) if r["role"] == "Admin")
    await fabric.code("DELETE", f"{path}/{admin}", status=400)
    await fabric.call("DELETE", f"{path}/{group}")
    assert "EntityNotFound" == await fabric.code("GET", f"{path}/{group}", status=404)


async def test_items_are_made_inline_or_by_operation_depending_on_their_type(fabric: Fabric):
    """Guards section 2.6 for create, get and update of definitions."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/items"
    pipeline = {
        "displayName": "Load",
        "type": "DataPipeline",
        "definition": {"parts": [part("pipeline-content.json", "{}")]},
    }
    made = await fabric.call("POST", path, pipeline, status=201)
    assert '""' == made.headers["ETag"]
    assert "Location" not in made.headers
    one = f"{path}/{made.json()['id']}"
    direct = await fabric.call("POST", f"{one}/getDefinition")
    assert 2 == len(direct.json()["definition"]["parts"])
    changed = await fabric.call(
        "POST", f"{one}/updateDefinition", {"definition": {"parts": [part("a.json", "[]")]}}
    )
    assert b"" == changed.content
    notebook = {
        "displayName": "N",
        "type": "Notebook",
        "definition": {"parts": [part("notebook-content.py", "x\n")]},
    }
    result = await fabric.done("POST", path, notebook)
    assert ("N", "Notebook", dev) == (
        result["displayName"],
        result["type"],
        result["workspaceId"],
    )
    body = {
        "definition": {
            "parts": [
                part("notebook-content.py", "y\n"),
                part(".platform", platform("Notebook", "Renamed", NOTEBOOK)),
            ]
        }
    }
    two = f"{path}/{result['id']}"
    kept = await fabric.done("POST", f"{two}/updateDefinition", body)
    assert "N" == kept["displayName"]
    renamed = await fabric.done("POST", f"{two}/updateDefinition?updateMetadata=True", body)
    assert "Renamed" == renamed["displayName"]
    parts = await fabric.definition(dev, result["id"])
    assert b"y\n" == parts["notebook-content.py"]
    assert ZERO == json.loads(parts[".platform"])["config"]["logicalId"]
    assert not parts[".platform"].endswith(b"\n")


async def test_item_names_are_unique_per_type_and_bad_definitions_are_refused(fabric: Fabric):
    """Guards the refusals of item creation and that nothing is made by them."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/items"
    before = set(await fabric.items(dev))
    cases = [
        ({"displayName": "ingest", "type": "Notebook"}, 409, "ItemDisplayNameAlreadyInUse"),
        ({"displayName": "X", "type": "Nonsense"}, 400, "InvalidItemType"),
        ({"displayName": "X", "type": "Report"}, 400, "MissingDefinitionParts"),
        (
            {"displayName": "X", "type": "Notebook", "definition": {"parts": []}},
            400,
            "MissingDefinitionParts",
        ),
        (
            {
                "displayName": "X",
                "type": "Notebook",
                "definition": {"parts": [{**part("a", "b"), "payload": "%"}]},
            },
            400,
            "InvalidDefinitionParts",
        ),
        ({"displayName": "X", "type": "Notebook", "folderId": ZERO}, 404, "FolderNotFound"),
    ]
    for body, status, code in cases:
        assert code == await fabric.code("POST", path, body, status=status)
    assert before == set(await fabric.items(dev))


async def test_a_deleted_name_is_held_for_a_while(
    start_emulator, http: httpx.AsyncClient, tmp_path: Path
):
    """Guards the name reservation that differs from a duplicate by code and isRetriable only."""
    slow = Fabric(await start_emulator(speed="real"), http)
    await slow.scenario(tmp_path, capacities=[{"name": "F8"}], workspaces=[{"name": "Dev"}])
    dev = await slow.workspace("Dev")
    body = {"displayName": "N", "type": "Notebook"}
    made = await slow.call("POST", f"/workspaces/{dev}/items", body, status=201)
    await slow.call("DELETE", f"/workspaces/{dev}/items/{made.json()['id']}")
    refused = await slow.call("POST", f"/workspaces/{dev}/items", body, status=409)
    assert ("ItemDisplayNameNotAvailableYet", True) == (
        refused.json()["errorCode"],
        refused.json()["isRetriable"],
    )
    slow.world.clock.advance(21)
    await slow.call("POST", f"/workspaces/{dev}/items", body, status=201)


async def test_a_lakehouse_brings_and_takes_its_sql_endpoint(fabric: Fabric):
    """Guards the child item that appears with a lakehouse."""
    dev = await fabric.workspace("Dev")
    items = await fabric.items(dev)
    assert "Raw.SQLEndpoint" in items
    assert "OperationNotSupportedForItem" == await fabric.code(
        "POST",
        f"/workspaces/{dev}/items/{items['Raw.SQLEndpoint']['id']}/getDefinition",
        status=400,
    )
    await fabric.call("DELETE", f"/workspaces/{dev}/items/{items['Raw.Lakehouse']['id']}")
    assert {"Ingest.Notebook", "Sales.Report", "Sales.SemanticModel"} == set(
        await fabric.items(dev)
    )


async def test_items_are_listed_by_type_and_folder(fabric: Fabric):
    """Guards the list filters."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/items"
    assert ["Ingest"] == [i["displayName"] for i in await fabric.all(f"{path}?type=notebook")]
    folder = (await fabric.all(f"/workspaces/{dev}/folders"))[0]
    inside = await fabric.all(f"{path}?rootFolderId={folder['id']}")
    assert {"Report", "SemanticModel"} == {item["type"] for item in inside}
    outside = await fabric.all(f"{path}?recursive=false")
    assert {"Lakehouse", "SQLEndpoint", "Notebook"} == {item["type"] for item in outside}


async def test_folders_have_names_depth_and_an_empty_end(fabric: Fabric):
    """Guards the folder rules."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/folders"
    reports = (await fabric.all(path))[0]["id"]
    refused = await fabric.call("DELETE", f"{path}/{reports}", status=400)
    assert ("FolderNotEmpty", reports) == (
        refused.json()["errorCode"],
        refused.json()["relatedResource"]["resourceId"],
    )
    assert "FolderDisplayNameAlreadyInUse" == await fabric.code(
        "POST", path, {"displayName": "Reports"}, status=409
    )
    await fabric.code("POST", path, {"displayName": "a/b"}, status=400)
    parent = None
    for level in range(10):
        body = {"displayName": f"L{level}", "parentFolderId": parent}
        parent = (await fabric.call("POST", path, body, status=201)).json()["id"]
    deep = {"displayName": "L10", "parentFolderId": parent}
    assert "FolderDepthOutOfRange" == await fabric.code("POST", path, deep, status=400)
    await fabric.call("DELETE", f"{path}/{parent}")
    moved = await fabric.call("POST", f"{path}/{reports}/move", {})
    assert "parentFolderId" not in moved.json()


async def test_bulk_export_has_real_logical_ids_and_absolute_paths(fabric: Fabric):
    """Guards the recorded shape of the preview export."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/items/bulkExportDefinitions"
    await fabric.code("POST", path, {"mode": "All"}, status=400)
    result = await fabric.done("POST", f"{path}?beta=true", {"mode": "All"})
    roots = {entry["rootPath"]: entry["id"] for entry in result["itemDefinitionsIndex"]}
    assert {
        "/Raw.Lakehouse",
        "/Ingest.Notebook",
        "/reports/Sales.Report",
        "/reports/Sales.SemanticModel",
    } == set(roots)
    parts = {p["path"]: base64.b64decode(p["payload"]) for p in result["definitionParts"]}
    assert {f"/{path}" for path in ITEMS} == set(parts)
    logical = json.loads(parts["/Ingest.Notebook/.platform"])["config"]["logicalId"]
    assert born_logical_id(roots["/Ingest.Notebook"]) == logical


async def test_connections_are_shared_by_role(fabric: Fabric):
    """Guards connections: visible to their owner, secrets never returned, names unique."""
    body = {
        "connectivityType": "ShareableCloud",
        "displayName": "gh",
        "connectionDetails": {
            "type": "GitHubSourceControl",
            "creationMethod": "GitHubSourceControl.Contents",
            "parameters": [],
        },
        "privacyLevel": "Organizational",
        "credentialDetails": {"credentials": {"credentialType": "Key", "key": "s3cret"}},
    }
    made = await fabric.call("POST", "/connections", body, status=201)
    assert "s3cret" not in made.text
    one = f"/connections/{made.json()['id']}"
    assert ["gh"] == [c["displayName"] for c in await fabric.all("/connections")]
    assert [] == (await fabric.get("/connections", token="other"))["value"]
    assert "ConnectionNotFound" == await fabric.code("GET", one, status=404, token="other")
    assert "DuplicateConnectionName" == await fabric.code("POST", "/connections", body, status=409)
    group = "6f1c0f5e-0000-4000-8000-000000000001"
    grant = {"principal": {"id": group, "type": "Group"}, "role": "User"}
    await fabric.call("POST", f"{one}/roleAssignments", grant, status=201)
    assert 2 == len(await fabric.all(f"{one}/roleAssignments"))
    missing = {**body, "displayName": "x", "credentialDetails": {}}
    await fabric.code("POST", "/connections", missing, status=400)
    await fabric.call("DELETE", one)
    assert [] == await fabric.all("/connections")


async def test_the_directory_name_of_an_unusable_item_name_is_its_logical_id():
    """Guards the naming rule of item directories."""
    assert "Hello World.Notebook" == directory_leaf("Hello World", "Notebook", NOTEBOOK)
    for name in ("a/b", "dot.", "space ", "x" * 257, "what?"):
        assert f"{NOTEBOOK}.Notebook" == directory_leaf(name, "Notebook", NOTEBOOK)


async def test_the_recorded_example_of_the_logical_id_law_holds():
    """Guards the byte order of a born item's logical id."""
    assert "a80d71a1-d167-8fbc-4c18-b988347a2755" == born_logical_id(
        "347a2755-b988-4c18-8fbc-d167a80d71a1"
    )


async def test_the_world_survives_a_restart(
    start_emulator, http: httpx.AsyncClient, tmp_path: Path
):
    """Guards persistence: state, definitions, and an operation that was still running."""
    write_items(tmp_path / "items")
    data = tmp_path / "data"
    first_server = await start_emulator(speed="real", data=data)
    first = Fabric(first_server, http)
    await first.scenario(
        tmp_path,
        **estate(workspaces=[{"name": "Dev", "capacity": "F8", "git": {**GIT, "synced": True}}]),
    )
    dev = await first.workspace("Dev")
    await first.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    started = await first.call(
        "POST", f"/workspaces/{dev}/git/commitToGit", {"mode": "All"}, status=202
    )
    old = first.tip()
    await first_server.stop()
    second = Fabric(await start_emulator(speed="real", data=data), http)
    assert old == second.tip()
    second.world.clock.advance(60)
    state = await second.get(f"/operations/{started.headers['x-ms-operation-id']}")
    assert "Succeeded" == state["status"]
    assert old != second.tip()
    assert second.text("Ingest.Notebook/notebook-content.py").endswith("# mine\n")
    body = await second.get(f"/workspaces/{dev}/git/status")
    assert [] == body["changes"]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"workspaces": [{"name": "A", "capacity": "none"}]}, "workspaces[0].capacity"),
        ({"workspaces": [{"name": "A", "itmes": "x"}]}, "workspaces[0]: unknown itmes"),
        ({"workspaces": [{"name": "Dev"}]}, "workspaces[0]: "),
        ({"workspaces": [{"name": "A", "items": "nowhere"}]}, "workspaces[0].items"),
        ({"pipelines": [{"name": "P", "stages": [{"name": "x"}]}]}, "pipelines[0].stages"),
        ({"connections": [{"name": "c", "type": "Sql"}]}, "connections[0].type"),
        ({"capacities": [{"sku": "F2"}]}, "capacities[0].name"),
        (
            {"workspaces": [{"name": "A", "git": {**GIT, "repository": "nope"}}]},
            "workspaces[0]: ",
        ),
    ],
)
async def test_scenario_mistakes_name_their_place(
    fabric: Fabric, tmp_path: Path, data: dict, place: str
):
    """Guards that a wrong scenario is a clear 400."""
    url = f"{fabric.emulator.urls.control_url}/scenario"
    answer = await fabric.client.post(url, json={**data, "base": str(tmp_path)})
    assert 400 == answer.status_code
    assert place in answer.text


@pytest.mark.parametrize(
    "data",
    [
        {"action": "edit", "workspace": "Nowhere", "item": "Ingest", "content": ""},
        {"action": "edit", "workspace": "Dev", "item": "Nothing", "content": ""},
        {"action": "edit", "workspace": "Dev", "item": "Sales", "content": ""},
        {"action": "edit", "workspace": "Dev", "item": "Ingest"},
        {"action": "add", "workspace": "Dev", "type": "Notebook", "name": "Ingest"},
        {"action": "role", "workspace": "Dev", "principal": ZERO, "role": "King"},
        {"action": "settings", "colour": 1},
        {"action": "reassign", "pipeline": "none", "stage": 0, "workspace": "Dev"},
    ],
)
async def test_portal_mistakes_are_refused(fabric: Fabric, data: dict):
    """Guards that a wrong portal action is a clear 400."""
    answer = await fabric.client.post(f"{fabric.emulator.urls.control_url}/portal", json=data)
    assert 400 == answer.status_code
    assert answer.json()["error"]


async def test_a_person_can_take_a_role_away(fabric: Fabric):
    """Guards the portal's role action."""
    made = await fabric.call("POST", "/workspaces", {"displayName": "Mine"}, status=201)
    me = fabric.world.default_caller.id
    await fabric.portal("role", workspace="Mine", principal=me, role="Viewer")
    path = f"/workspaces/{made.json()['id']}"
    await fabric.code("PATCH", path, {"description": "x"}, status=403)
    await fabric.portal("role", workspace="Mine", principal=me, role=None)
    await fabric.code("GET", path, status=403)


async def test_a_capacity_can_be_paused_by_hand(fabric: Fabric):
    """Guards the portal's capacity action and the refusal of a paused capacity."""
    found = {c["displayName"]: c["id"] for c in await fabric.all("/capacities")}
    await fabric.portal("capacity", capacity="F8", state="Inactive")
    assert "Inactive" == (await fabric.get(f"/capacities/{found['F8']}"))["state"]
    body = {"displayName": "Late", "capacityId": found["F8"]}
    assert "CapacityNotInActiveState" == await fabric.code("POST", "/workspaces", body, status=400)


async def test_git_connections_of_the_tenant_are_discovered(fabric: Fabric, tmp_path: Path):
    """Guards the admin list of Git connections."""
    await fabric.scenario(
        tmp_path,
        **estate(workspaces=[{"name": "Bound", "capacity": "F8", "git": {**GIT, "synced": True}}]),
    )
    found = await fabric.all("/admin/workspaces/discoverGitConnections")
    assert [await fabric.workspace("Bound")] == [entry["workspaceId"] for entry in found]
    assert "fabric-sales" == found[0]["gitProviderDetails"]["repositoryName"]


async def test_every_answer_fits_the_official_definitions(fabric: Fabric):
    """Guards the wire shapes against the published swagger."""
    contract = Contract()
    dev = await fabric.workspace("Dev")
    one = f"/workspaces/{dev}"
    contract.check("platform.json#WorkspaceInfo", await fabric.get(one))
    for name, path in (
        ("Workspaces", "/workspaces"),
        ("Capacities", "/capacities"),
        ("Items", f"{one}/items"),
        ("Folders", f"{one}/folders"),
        ("WorkspaceRoleAssignments", f"{one}/roleAssignments"),
    ):
        page = await fabric.get(path)
        contract.check(f"platform.json#{name}", {k: v for k, v in page.items() if v})
    items = await fabric.items(dev)
    body = await fabric.call("POST", f"{one}/items/{items['Raw.Lakehouse']['id']}/getDefinition")
    contract.check("platform.json#ItemDefinitionResponse", body.json())
    answer = await fabric.call(
        "POST", f"{one}/items/{items['Ingest.Notebook']['id']}/getDefinition", status=202
    )
    state = await fabric.get(f"/operations/{answer.headers['x-ms-operation-id']}")
    contract.check(
        "platform.json#OperationState", {k: v for k, v in state.items() if v is not None}
    )


async def test_the_sample_workspace_makes_a_byte_identical_round_trip(
    emulator: Emulator, http: httpx.AsyncClient
):
    """Guards the format on 40 real items: import, no changes, one edit, one file in the commit."""
    shared = shared_folder()
    if shared is None:
        pytest.skip("the sample workspace is not beside the repository")
    fabric = Fabric(emulator, http)
    data = estate(workspaces=[{"name": "Dev", "capacity": "F8", "git": {**GIT, "synced": True}}])
    data["azureDevOps"][0]["projects"][0]["repositories"][0]["content"] = "fabric-workspace"
    await fabric.scenario(shared / "data", **data)
    dev = await fabric.workspace("Dev")
    items = await fabric.items(dev)
    assert 40 == len([item for item in items.values() if item["type"] != "SQLEndpoint"])
    body = await fabric.get(f"/workspaces/{dev}/git/status")
    assert [] == body["changes"]
    before = fabric.files()
    await fabric.portal(
        "edit", workspace="Dev", item="TaxiDB", path="DatabaseSchema.kql", append="// x\n"
    )
    await fabric.done("POST", f"/workspaces/{dev}/git/commitToGit", {"mode": "All"})
    after = fabric.files()
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    assert {
        "SampleEventhouse.Eventhouse/.children/TaxiDB.KQLDatabase/DatabaseSchema.kql"
    } == changed


async def test_the_sample_workspace_deploys_as_a_whole(emulator: Emulator, http: httpx.AsyncClient):
    """Guards deployment on 40 real items: parents, references and a quiet second run."""
    shared = shared_folder()
    if shared is None:
        pytest.skip("the sample workspace is not beside the repository")
    fabric = Fabric(emulator, http)
    await fabric.scenario(
        shared / "data",
        capacities=[{"name": "F8"}],
        workspaces=[
            {"name": "Dev", "capacity": "F8", "items": "fabric-workspace"},
            {"name": "Test", "capacity": "F8"},
        ],
        pipelines=[
            {
                "name": "P",
                "stages": [{"name": "D", "workspace": "Dev"}, {"name": "T", "workspace": "Test"}],
            }
        ],
    )
    pipeline = (await fabric.all("/deploymentPipelines"))[0]["id"]
    stages = (await fabric.get(f"/deploymentPipelines/{pipeline}"))["stages"]
    body = {"sourceStageId": stages[0]["id"], "targetStageId": stages[1]["id"]}
    path = f"/deploymentPipelines/{pipeline}/deploy"
    first = await fabric.done("POST", path, body)
    assert 40 == first["preDeploymentDiffInformation"]["newItemsCount"]
    second = await fabric.done("POST", path, body)
    assert 40 == second["preDeploymentDiffInformation"]["noDifferenceItemsCount"]
    test = await fabric.workspace("Test")
    items = await fabric.items(test)
    parts = await fabric.definition(test, items["TaxiDB.KQLDatabase"]["id"])
    parent = json.loads(parts["DatabaseProperties.json"])["parentEventhouseItemId"]
    assert items["SampleEventhouse.Eventhouse"]["id"] == parent
