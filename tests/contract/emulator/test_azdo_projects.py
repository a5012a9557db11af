"""Azure DevOps: making projects, following their operation, and naming one that is not there."""

import httpx
import pytest

VERSION = {"api-version": "7.1"}
AGILE = "adcc42ab-9882-485e-a3ed-7678f01f66bc"
NOBODY = "11111111-2222-4333-8444-555555555555"


def wanted(name="Travel", source_control="Git", **more):
    """The documented request body."""
    return {
        "name": name,
        "description": "An app",
        "capabilities": {
            "versioncontrol": {"sourceControlType": source_control},
            "processTemplate": {"templateTypeId": AGILE},
        },
        **more,
    }


@pytest.fixture
def projects(loaded) -> str:
    """The projects of the organization."""
    return f"{loaded.urls.devops_url}/contoso/_apis/projects"


async def test_a_project_is_made_by_an_operation_that_can_be_polled(http, projects, loaded):
    """Guards the reference, its url, and the repository with the project's own name."""
    made = await http.post(projects, json=wanted(), params=VERSION)
    assert (200, "notSet") == (made.status_code, made.json()["status"])
    operation = await http.get(made.json()["url"], params={"api-version": "7.1-preview.1"})
    assert (made.json()["id"], "succeeded") == (operation.json()["id"], operation.json()["status"])
    found = (await http.get(f"{projects}/travel", params={"includeCapabilities": "true"})).json()
    assert ("wellFormed", "An app") == (found["state"], found["description"])
    assert {
        "sourceControlType": "Git",
        "gitEnabled": "True",
        "tfvcEnabled": "False",
    } == found["capabilities"]["versioncontrol"]
    base = f"{loaded.urls.devops_url}/contoso/Travel/_apis/git/repositories"
    assert ["Travel"] == [one["name"] for one in (await http.get(base)).json()["value"]]


async def test_a_project_of_tfvc_starts_without_a_git_repository(http, projects, loaded):
    """Guards the capabilities of the other kind of source control, and that git can be added."""
    await http.post(projects, json=wanted("Old", "Tfvc"), params=VERSION)
    found = (await http.get(f"{projects}/Old", params={"includeCapabilities": "true"})).json()
    assert {
        "sourceControlType": "Tfvc",
        "gitEnabled": "False",
        "tfvcEnabled": "True",
    } == found["capabilities"]["versioncontrol"]
    base = f"{loaded.urls.devops_url}/contoso/Old/_apis/git/repositories"
    assert [] == (await http.get(base)).json()["value"]
    assert 201 == (await http.post(base, json={"name": "x"}, params=VERSION)).status_code


async def test_a_project_that_is_being_made_is_seen_and_can_not_be_used(start_emulator, http):
    """Guards createPending: in the list of all states, and nothing below it answers yet."""
    emulator = await start_emulator(speed="real")
    control = emulator.urls.control_url
    await http.post(
        f"{control}/scenario", json={"azureDevOps": [{"organization": "o", "projects": []}]}
    )
    projects = f"{emulator.urls.devops_url}/o/_apis/projects"
    made = (await http.post(projects, json=wanted(), params=VERSION)).json()
    assert [] == (await http.get(projects)).json()["value"]
    pending = (await http.get(projects, params={"stateFilter": "all"})).json()["value"]
    assert ["createPending"] == [one["state"] for one in pending]
    base = f"{emulator.urls.devops_url}/o/Travel/_apis/git/repositories"
    assert 404 == (await http.get(base)).status_code
    assert "notSet" == (await http.get(made["url"])).json()["status"]
    await http.post(f"{control}/clock", json={"advance_s": 11})
    assert "succeeded" == (await http.get(made["url"])).json()["status"]
    assert 200 == (await http.get(base)).status_code


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (wanted("SALES"), "ProjectAlreadyExistsException"),
        (wanted("a/b"), "InvalidProjectNameException"),
        ({"name": "x"}, "InvalidArgumentValueException"),
        (wanted("x", "svn"), "InvalidArgumentValueException"),
        (wanted("x", visibility="secret"), "InvalidArgumentValueException"),
        ({**wanted("x"), "capabilities": {"versioncontrol": 1}}, "InvalidArgumentValueException"),
    ],
)
async def test_a_project_that_can_not_be_is_refused(http, projects, body, key):
    """Guards TF200019, TF200012 and the choices that a request has to make."""
    answer = await http.post(projects, json=body, params=VERSION)
    assert (400, key) == (answer.status_code, answer.json()["typeKey"])
    assert 2 == (await http.get(projects)).json()["count"]


async def test_an_operation_of_somewhere_else_is_not_found(http, projects):
    """Guards unknown operations: a 404 in the shape of the service."""
    root = projects.removesuffix("projects")
    answer = await http.get(f"{root}operations/{NOBODY}", params=VERSION)
    assert (404, "OperationNotFoundException") == (answer.status_code, answer.json()["typeKey"])


@pytest.mark.parametrize(
    ("settings", "status"), [({}, 400), ({"missingProjectIdStatus": 404}, 404)]
)
@pytest.mark.parametrize(
    "path", [f"/contoso/_apis/projects/{NOBODY}", f"/contoso/{NOBODY}/_apis/git/repositories"]
)
async def test_a_missing_project_id_is_vs800075(loaded, http, path, settings, status):
    """Guards the other answer of section 4: an id that nothing has is no TF200016."""
    body = {"action": "settings", **settings}
    await http.post(f"{loaded.urls.control_url}/portal", json=body)
    answer = await http.get(loaded.urls.devops_url + path, params=VERSION)
    assert (status, "ProjectDoesNotExistException") == (
        answer.status_code,
        answer.json()["typeKey"],
    )
    assert (
        f"VS800075: The project with id 'vstfs:///Classification/TeamProject/{NOBODY}'"
        in (answer.json()["message"])
    )


async def test_the_url_of_an_operation_is_where_it_answers(loaded, http, projects):
    """Guards that what the reference calls url is where the operation answers."""
    made = (await http.post(projects, json=wanted("A b"), params=VERSION)).json()
    assert httpx.URL(made["url"]).path.endswith(f"/contoso/_apis/operations/{made['id']}")
    assert "succeeded" == (await http.get(made["url"], params=VERSION)).json()["status"]
    web = (await http.get(f"{projects}/A%20b")).json()["_links"]["web"]["href"]
    assert " " not in web
