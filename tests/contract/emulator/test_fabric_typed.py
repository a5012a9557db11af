"""Routes by item type beside the general ones."""

import httpx
import pytest

PART = {"path": "notebook-content.py", "payload": "cHJpbnQoMSk=", "payloadType": "InlineBase64"}


@pytest.fixture
async def workspace(emulator, http: httpx.AsyncClient) -> str:
    """The URL of an empty workspace."""
    url = f"{emulator.urls.fabric_url}/v1/workspaces"
    made = await http.post(url, json={"displayName": "Sales"})
    return f"{url}/{made.json()['id']}"


async def test_an_item_made_under_its_type_is_an_item_like_any(workspace, http):
    """Created, listed, read, renamed and deleted by type; the general routes see the same item."""
    made = await http.post(f"{workspace}/lakehouses", json={"displayName": "Raw"})
    assert (201, "Lakehouse") == (made.status_code, made.json()["type"])
    url = f"{workspace}/LakeHouses/{made.json()['id']}"
    listed = (await http.get(f"{workspace}/lakehouses/")).json()["value"]
    assert ["Raw"] == [item["displayName"] for item in listed]
    renamed = await http.patch(url, json={"displayName": "Bronze"})
    assert "Bronze" == renamed.json()["displayName"]
    general = await http.get(f"{workspace}/items/{made.json()['id']}")
    assert "Bronze" == general.json()["displayName"]
    assert 200 == (await http.delete(url)).status_code
    assert 404 == (await http.get(url)).status_code


async def test_a_lakehouse_names_its_sql_endpoint(workspace, http):
    """Clients wait for it to be provisioned and then connect to it."""
    made = (await http.post(f"{workspace}/lakehouses", json={"displayName": "Raw"})).json()
    found = (await http.get(f"{workspace}/lakehouses/{made['id']}")).json()["properties"]
    endpoint = found["sqlEndpointProperties"]
    items = (await http.get(f"{workspace}/items?type=SQLEndpoint")).json()["value"]
    assert ("Success", items[0]["id"]) == (endpoint["provisioningStatus"], endpoint["id"])


async def test_a_definition_is_read_and_written_under_the_type(workspace, http):
    """The general work, at the path that most clients use."""
    body = {"displayName": "Hello", "definition": {"parts": [PART]}}
    begun = await http.post(f"{workspace}/notebooks", json=body)
    await http.get(begun.headers["Location"])
    made = (await http.get(f"{begun.headers['Location']}/result")).json()
    url = f"{workspace}/notebooks/{made['id']}"
    changed = {"parts": [{**PART, "payload": "cHJpbnQoMik="}]}
    assert (
        202
        == (await http.post(f"{url}/updateDefinition", json={"definition": changed})).status_code
    )
    begun = await http.post(f"{url}/getDefinition")
    await http.get(begun.headers["Location"])
    parts = (await http.get(f"{begun.headers['Location']}/result")).json()["definition"]["parts"]
    assert "cHJpbnQoMik=" in {part["payload"] for part in parts}


async def test_an_item_is_not_found_under_another_type(workspace, http):
    """The path says what it is, and it is not that."""
    made = (await http.post(f"{workspace}/lakehouses", json={"displayName": "Raw"})).json()
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/getDefinition")):
        answer = await http.request(method, f"{workspace}/notebooks/{made['id']}{path}")
        assert (404, "ItemNotFound") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize("path", ["unicorns", "unicorns/x", "items/x/staging/publish"])
async def test_a_word_that_is_no_type_is_no_route(workspace, http, path):
    """Unknown collections answer like any unknown path."""
    method = "POST" if path.endswith("publish") else "GET"
    answer = await http.request(method, f"{workspace}/{path}")
    assert (404, "EndpointNotFound") == (answer.status_code, answer.json()["errorCode"])


async def test_an_environment_is_published(workspace, http):
    """The state of the publish stands in the environment's properties."""
    made = (await http.post(f"{workspace}/environments", json={"displayName": "E"})).json()
    url = f"{workspace}/environments/{made['id']}"
    assert "properties" not in (await http.get(url)).json()
    begun = await http.post(f"{url}/staging/publish?beta=False")
    assert 202 == begun.status_code
    found = (await http.get(url)).json()
    assert "Success" == found["properties"]["publishDetails"]["state"]


async def test_a_variable_library_remembers_its_active_value_set(workspace, http):
    """Recorded: PATCH of the library, in two casings of the route."""
    made = (await http.post(f"{workspace}/variableLibraries", json={"displayName": "V"})).json()
    url = f"{workspace}/VariableLibraries/{made['id']}"
    found = (await http.get(url)).json()["properties"]["activeValueSetName"]
    assert "Default value set" == found
    await http.patch(url, json={"properties": {"activeValueSetName": "Prod"}})
    found = (await http.get(url.replace("VariableL", "variablel"))).json()["properties"]
    assert "Prod" == found["activeValueSetName"]
    bad = await http.patch(url, json={"properties": {"activeValueSetName": 7}})
    assert 400 == bad.status_code


async def test_an_empty_folder_id_means_the_root(workspace, http):
    """fabric-cicd sends it for every item outside folders."""
    folder = (await http.post(f"{workspace}/folders", json={"displayName": "F"})).json()["id"]
    body = {"displayName": "Raw", "type": "Lakehouse", "folderId": ""}
    made = (await http.post(f"{workspace}/items", json=body)).json()
    assert "folderId" not in made
    url = f"{workspace}/items/{made['id']}"
    await http.post(f"{url}/move", json={"targetFolderId": folder})
    assert folder == (await http.get(url)).json()["folderId"]
    await http.post(f"{url}/move", json={"targetFolderId": ""})
    assert "folderId" not in (await http.get(url)).json()


async def test_listed_items_always_have_a_description(workspace, http):
    """fabric-cicd takes it without a look whether it is there."""
    await http.post(f"{workspace}/lakehouses", json={"displayName": "Raw"})
    listed = (await http.get(f"{workspace}/items")).json()["value"]
    assert {""} == {item["description"] for item in listed}
