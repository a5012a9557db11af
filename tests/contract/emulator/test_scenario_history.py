"""Scenarios that begin with work to do: endpoints, ended imports, commits and edits by hand."""

import pytest

SALES = {"organization": "contoso", "project": "Sales", "repository": "fabric-sales"}


async def load(emulator, http, items_folder, **parts):
    """Load parts of a scenario; folders are relative to that of the items."""
    body = {**parts, "base": str(items_folder.parent)}
    return await http.post(f"{emulator.urls.control_url}/scenario", json=body)


def project(**parts):
    """One project with one repository that has content, and what is given."""
    repository = {"name": "fabric-sales", "content": "items", "directory": "fabric"}
    return [
        {
            "organization": "contoso",
            "projects": [
                {
                    "name": "Sales",
                    "repositories": [repository, {"name": "empty", **parts.pop("empty", {})}],
                    **parts,
                }
            ],
        }
    ]


async def test_a_service_endpoint_of_a_scenario_is_listed_without_its_password(
    emulator, http, items_folder
):
    """The endpoint lets an import read a private source, and its password comes out nowhere."""
    endpoint = {"name": "src", "url": "https://github.com/o/r.git", "password": "hidden"}
    private = {"owner": "o", "repository": "r", "content": "items", "private": True}
    answer = await load(
        emulator,
        http,
        items_folder,
        azureDevOps=project(serviceEndpoints=[endpoint]),
        github=[private],
    )
    assert 200 == answer.status_code, answer.text
    root = f"{emulator.urls.devops_url}/contoso/Sales/_apis"
    listed = await http.get(f"{root}/serviceendpoint/endpoints?api-version=7.1")
    (found,) = listed.json()["value"]
    assert ("src", "git") == (found["name"], found["type"])
    assert "hidden" not in listed.text
    where = f"{root}/git/repositories/empty/importRequests?api-version=7.1"
    source = {"gitSource": {"url": endpoint["url"]}, "serviceEndpointId": found["id"]}
    assert 201 == (await http.post(where, json={"parameters": source})).status_code
    assert "completed" == (await http.get(where)).json()["value"][0]["status"]


async def test_a_failed_import_of_a_scenario_blocks_others_and_can_be_retried(
    emulator, http, items_folder
):
    """What the scenario says has failed behaves like a request that failed just now."""
    url = "https://github.com/o/r.git"
    answer = await load(
        emulator,
        http,
        items_folder,
        azureDevOps=project(empty={"imports": [{"url": url, "error": "no answer"}]}),
        github=[{"owner": "o", "repository": "r", "content": "items"}],
    )
    assert 200 == answer.status_code, answer.text
    where = f"{emulator.urls.devops_url}/contoso/Sales/_apis/git/repositories/empty/importRequests"
    version = {"api-version": "7.1"}
    (found,) = (await http.get(where, params=version)).json()["value"]
    assert ("failed", "no answer") == (found["status"], found["detailedStatus"]["errorMessage"])
    body = {"parameters": {"gitSource": {"url": url}}}
    assert 409 == (await http.post(where, params=version, json=body)).status_code
    one = f"{where}/{found['importRequestId']}"
    queued = await http.patch(one, params=version, json={"status": "queued"})
    assert 200 == queued.status_code
    assert "completed" == (await http.get(one, params=version)).json()["status"]


async def test_pushes_and_edits_come_after_the_workspaces_are_in_sync(emulator, http, items_folder):
    """A workspace of such a scenario has an incoming and an uncommitted change."""
    item = items_folder.parent / "sync" / "Hello.Notebook"
    item.mkdir(parents=True)
    (item / ".platform").write_text(
        '{"metadata":{"type":"Notebook","displayName":"Hello"},'
        '"config":{"version":"2.0","logicalId":"11111111-2222-3333-4444-555555555555"}}'
    )
    (item / "notebook-content.py").write_text("print(1)\n")
    later = items_folder.parent / "later" / "Hello.Notebook"
    later.mkdir(parents=True)
    (later / "notebook-content.py").write_text("print(2)\n")
    repository = {"name": "fabric-sales", "content": "sync", "directory": "fabric"}
    answer = await load(
        emulator,
        http,
        items_folder,
        capacities=[{"name": "F8"}],
        azureDevOps=[
            {
                "organization": "contoso",
                "projects": [{"name": "Sales", "repositories": [repository]}],
            }
        ],
        workspaces=[
            {
                "name": "Dev",
                "capacity": "F8",
                "git": {**SALES, "branch": "main", "directory": "/fabric", "synced": True},
            }
        ],
        pushes=[{**SALES, "content": "later", "directory": "fabric", "message": "Two"}],
        portal=[{"action": "add", "workspace": "Dev", "type": "Notebook", "name": "Mine"}],
    )
    assert 200 == answer.status_code, answer.text
    root = f"{emulator.urls.fabric_url}/v1"
    (workspace,) = (await http.get(f"{root}/workspaces")).json()["value"]
    started = await http.get(f"{root}/workspaces/{workspace['id']}/git/status")
    if started.status_code == 202:
        operation = f"{root}/operations/{started.headers['x-ms-operation-id']}"
        assert "Succeeded" == (await http.get(operation)).json()["status"]
        started = await http.get(f"{operation}/result")
    changes = {
        c["itemMetadata"]["displayName"]: (c.get("remoteChange"), c.get("workspaceChange"))
        for c in started.json()["changes"]
    }
    assert {"Hello": ("Modified", None), "Mine": (None, "Added")} == changes


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"pushes": {}}, "pushes: a list"),
        ({"pushes": [{**SALES, "folder": "items"}]}, "pushes[0]: unknown folder"),
        ({"pushes": [{**SALES, "repository": "no"}]}, "pushes[0].repository"),
        ({"pushes": [{"owner": "o", "repository": "no"}]}, "pushes[0].repository"),
        ({"pushes": [{**SALES, "branch": "no"}]}, "pushes[0].branch"),
        ({"pushes": [{**SALES, "content": "no"}]}, "pushes[0].content"),
        ({"portal": [{"action": "fly"}]}, "portal[0].action"),
        ({"portal": [{"action": "delete", "workspace": "no"}]}, "portal[0]: workspace"),
        (
            {"azureDevOps": project(empty={"imports": [{"url": "u", "status": "queued"}]})},
            "repositories[1].imports[0].status",
        ),
        (
            {"azureDevOps": project(serviceEndpoints=[{"name": "x"}])},
            "projects[0].serviceEndpoints[0].url",
        ),
    ],
)
async def test_a_mistake_in_what_happened_last_names_its_place(
    emulator, http, items_folder, parts, place
):
    """Mistakes in these parts are told with their place, like those in all others."""
    answer = await load(emulator, http, items_folder, **{"azureDevOps": project(), **parts})
    assert 400 == answer.status_code
    assert place in answer.json()["error"]
