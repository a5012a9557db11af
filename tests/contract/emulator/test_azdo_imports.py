"""Azure DevOps: import requests and service endpoints."""

import asyncio

import pytest

SOURCE = "https://github.com/contoso/source.git"
VERSION = {"api-version": "7.1"}


@pytest.fixture
def root(loaded):
    """The project's API root."""
    return f"{loaded.urls.devops_url}/contoso/Sales/_apis"


@pytest.fixture
def imports(root):
    """Import requests of the empty repository."""
    return f"{root}/git/repositories/empty/importRequests"


async def start(http, imports, url=SOURCE, **parameters):
    """Ask for an import."""
    body = {"parameters": {"gitSource": {"url": url}, **parameters}}
    return await http.post(imports, json=body, params=VERSION)


async def read(http, imports, made):
    """The import request as it is now."""
    return (await http.get(f"{imports}/{made['importRequestId']}", params=VERSION)).json()


async def set_status(http, imports, number, status):
    """Retry or abandon."""
    return await http.patch(f"{imports}/{number}", json={"status": status}, params=VERSION)


async def make_endpoint(http, loaded, project, name="import", pat="pat"):
    """Make an endpoint for a private source."""
    return await http.post(
        f"{loaded.urls.devops_url}/contoso/_apis/serviceendpoint/endpoints",
        params=VERSION,
        json={
            "name": name,
            "type": "git",
            "url": "https://github.com/contoso/private.git",
            "authorization": {
                "scheme": "UsernamePassword",
                "parameters": {"username": "u", "password": pat},
            },
            "serviceEndpointProjectReferences": [
                {"projectReference": {"id": project, "name": "Sales"}, "name": name}
            ],
        },
    )


async def project_id(http, loaded):
    """The id of the project Sales."""
    return (await http.get(f"{loaded.urls.devops_url}/contoso/_apis/projects/Sales")).json()["id"]


async def test_an_import_brings_the_refs_of_its_source(loaded, http, root, imports):
    """Queued with 201, completed at the first look; refs equal the source's."""
    made = await start(http, imports)
    assert 201 == made.status_code
    assert ("queued", 1) == (made.json()["status"], made.json()["detailedStatus"]["currentStep"])
    done = await read(http, imports, made.json())
    assert ("completed", 6) == (done["status"], done["detailedStatus"]["currentStep"])
    assert "errorMessage" not in done["detailedStatus"]
    source = loaded.world.repos.refs("github/contoso/source")
    refs = (await http.get(f"{root}/git/repositories/empty/refs")).json()["value"]
    assert source == {ref["name"]: ref["objectId"] for ref in refs}
    repository = (await http.get(f"{root}/git/repositories/empty")).json()
    assert "refs/heads/main" == repository["defaultBranch"]


async def test_the_answer_hides_what_the_service_hides(loaded, http, imports):
    """Recorded: no endpoint id, no default branch even when completed, tfvcSource null."""
    made = (await start(http, imports)).json()
    done = await read(http, imports, made)
    assert {"tfvcSource": None, "gitSource": {"url": SOURCE, "overwrite": False}} == done[
        "parameters"
    ]
    assert "defaultBranch" not in done["repository"]
    assert 0 == made["repository"]["size"] < done["repository"]["size"]


async def test_ids_grow_across_repositories(loaded, http, root, imports):
    """Recorded: one counter for the whole collection."""
    await http.post(f"{root}/git/repositories", json={"name": "second"}, params=VERSION)
    first = (await start(http, imports)).json()["importRequestId"]
    other = imports.replace("/empty/", "/second/")
    second = (await start(http, other)).json()["importRequestId"]
    assert first + 1 == second
    foreign = await http.get(f"{other}/{first}", params=VERSION)
    assert 404 == foreign.status_code
    assert "GitAsyncOperationNotFoundException" == foreign.json()["typeKey"]


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/contoso/missing.git",
        "https://github.com/contoso/private.git",
        "https://github.com/contoso/void.git",
        "https://example.com/contoso/source.git",
        "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
        "https://pat:x@dev.azure.com/contoso/Sales/_git/fabric-sales",
        "file:///etc",
        "http://127.0.0.1:1/none.git",
        "--upload-pack=x",
    ],
)
async def test_an_unreadable_source_is_a_400_with_an_empty_body(loaded, http, imports, url):
    """Missing, private, empty or unreachable: the service says nothing more."""
    answer = await start(http, imports, url)
    assert (400, b"") == (answer.status_code, answer.content)
    assert [] == (await http.get(imports, params=VERSION)).json()["value"]


async def test_a_private_source_needs_an_endpoint_and_can_lose_it_afterwards(
    loaded, http, root, imports
):
    """The endpoint's credentials read the source; it is deleted when that was asked for."""
    made = await make_endpoint(http, loaded, await project_id(http, loaded))
    assert 200 == made.status_code
    assert None is made.json()["authorization"]["parameters"]["password"]
    answer = await start(
        http,
        imports,
        "https://github.com/contoso/private.git",
        serviceEndpointId=made.json()["id"],
        deleteServiceEndpointAfterImportIsDone=True,
    )
    assert 201 == answer.status_code
    assert True is answer.json()["parameters"]["deleteServiceEndpointAfterImportIsDone"]
    assert "serviceEndpointId" not in answer.json()["parameters"]
    assert "completed" == (await read(http, imports, answer.json()))["status"]
    endpoints = await http.get(f"{root}/serviceendpoint/endpoints", params=VERSION)
    assert [] == endpoints.json()["value"]


async def test_azure_repos_can_be_a_source_with_a_password(loaded, http, imports):
    """Needs a PAT even within the organization."""
    made = await make_endpoint(http, loaded, await project_id(http, loaded))
    answer = await start(
        http,
        imports,
        "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
        serviceEndpointId=made.json()["id"],
    )
    assert 201 == answer.status_code
    assert "completed" == (await read(http, imports, answer.json()))["status"]


async def test_a_repository_with_content_can_not_be_imported_into(loaded, http, imports):
    """409 with the key that has no Exception at its end."""
    answer = await start(http, imports.replace("/empty/", "/fabric-sales/"))
    assert 409 == answer.status_code
    assert "GitImportForbiddenOnNonEmptyRepository" == answer.json()["typeKey"]


@pytest.mark.parametrize(
    "parameters", [{}, {"gitSource": {}}, {"gitSource": {"url": "x"}, "tfvcSource": {}}]
)
async def test_exactly_one_source_is_needed(loaded, http, imports, parameters):
    """Neither or both is a 400 with a body."""
    answer = await http.post(imports, json={"parameters": parameters}, params=VERSION)
    assert 400 == answer.status_code
    assert "InvalidArgumentValueException" == answer.json()["typeKey"]


async def test_a_failed_import_keeps_others_out_until_it_is_retried(loaded, http, root, imports):
    """Failed counts as active; a retry keeps the id, clears the message and succeeds."""
    flaky = "https://github.com/contoso/flaky.git"
    made = (await start(http, imports, flaky)).json()
    failed = await read(http, imports, made)
    assert "failed" == failed["status"]
    assert "this remote has never connected" == failed["detailedStatus"]["errorMessage"]
    assert {} == loaded.world.repos.refs(loaded.world.azdo.locate("contoso", "Sales", "empty").key)
    again = await start(http, imports)
    assert 409 == again.status_code
    assert "GitAsyncOperationAlreadyExistsException" == again.json()["typeKey"]
    retried = await set_status(http, imports, made["importRequestId"], "queued")
    assert 200 == retried.status_code
    assert "errorMessage" not in retried.json()["detailedStatus"]
    done = await read(http, imports, made)
    assert (made["importRequestId"], "completed") == (done["importRequestId"], done["status"])


async def test_an_abandoned_import_makes_room_and_leaves_the_list(loaded, http, imports):
    """Listed only with includeAbandoned; its message survives."""
    made = (await start(http, imports, "https://github.com/contoso/flaky.git")).json()
    await read(http, imports, made)
    abandoned = await set_status(http, imports, made["importRequestId"], "abandoned")
    assert "abandoned" == abandoned.json()["status"]
    assert "errorMessage" in abandoned.json()["detailedStatus"]
    assert [] == (await http.get(imports, params=VERSION)).json()["value"]
    everything = await http.get(imports, params={**VERSION, "includeAbandoned": "true"})
    assert 1 == everything.json()["count"]
    assert 201 == (await start(http, imports)).status_code


async def test_only_the_documented_status_changes_are_possible(loaded, http, imports):
    """A completed request can neither be retried nor abandoned; other fields are refused."""
    made = (await start(http, imports)).json()
    await read(http, imports, made)
    number = made["importRequestId"]
    assert 400 == (await set_status(http, imports, number, "queued")).status_code
    assert 400 == (await set_status(http, imports, number, "abandoned")).status_code
    assert 400 == (await set_status(http, imports, number, "completed")).status_code
    whole = await http.patch(f"{imports}/{number}", json=made, params=VERSION)
    assert 400 == whole.status_code


async def test_master_becomes_the_default_branch_when_there_is_no_main(
    loaded, http, root, imports, git, tmp_path
):
    """Recorded: gh-pages and master became master; annotated tags come along."""
    remote = f"{loaded.urls.github_url}/contoso/void.git".replace("://", "://any:pat@")
    await git("init", "-q", "-b", "master", "seed")
    seed = tmp_path / "seed"
    await git("commit", "-q", "--allow-empty", "-m", "one", cwd=seed)
    await git("branch", "gh-pages", cwd=seed)
    await git("tag", "-a", "v1", "-m", "v1", cwd=seed)
    await git("push", "-q", remote, "--all", cwd=seed)
    await git("push", "-q", remote, "--tags", cwd=seed)
    made = (await start(http, imports, "https://github.com/contoso/void")).json()
    assert "completed" == (await read(http, imports, made))["status"]
    repository = (await http.get(f"{root}/git/repositories/empty")).json()
    assert "refs/heads/master" == repository["defaultBranch"]
    refs = (await http.get(f"{root}/git/repositories/empty/refs")).json()["value"]
    assert ["refs/heads/gh-pages", "refs/heads/master", "refs/tags/v1"] == [r["name"] for r in refs]


async def test_steps_can_be_watched_and_refs_appear_at_the_end(start_emulator, http, items_folder):
    """At real speed the clock decides; nothing is visible before the import completes."""
    emulator = await start_emulator(speed="real")
    control = emulator.urls.control_url
    scenario = {
        "azureDevOps": [{"organization": "o", "projects": [{"name": "P"}]}],
        "github": [{"owner": "contoso", "repository": "source", "content": "items"}],
        "base": str(items_folder.parent),
    }
    await http.post(f"{control}/scenario", json=scenario)
    base = f"{emulator.urls.devops_url}/o/P/_apis/git/repositories/P"
    made = (await start(http, f"{base}/importRequests")).json()
    await asyncio.wait(list(emulator.world.tasks.values()))
    seen = []
    for _ in range(8):
        state = await read(http, f"{base}/importRequests", made)
        refs = (await http.get(f"{base}/refs")).json()["count"]
        seen.append((state["status"], state["detailedStatus"]["currentStep"], refs))
        await http.post(f"{control}/clock", json={"advance_s": 1})
    assert ("queued", 1, 0) == seen[0]
    assert ("completed", 6, 1) == seen[-1]
    steps = [step for _, step, _ in seen]
    assert sorted(steps) == steps
    assert {"queued", "inProgress", "completed"} == {status for status, _, _ in seen}
    assert all((refs == 1) == (status == "completed") for status, _, refs in seen)


async def test_an_import_goes_on_after_a_restart(start_emulator, http, items_folder, tmp_path):
    """A kept folder remembers the unfinished request, its source and its due time."""
    first = await start_emulator(speed="real", data=tmp_path / "data")
    scenario = {
        "azureDevOps": [{"organization": "o", "projects": [{"name": "P"}]}],
        "github": [{"owner": "contoso", "repository": "source", "content": "items"}],
        "base": str(items_folder.parent),
    }
    await http.post(f"{first.urls.control_url}/scenario", json=scenario)
    path = "/o/P/_apis/git/repositories/P/importRequests"
    made = (await start(http, first.urls.devops_url + path)).json()
    await first.stop()
    second = await start_emulator(speed="real", data=tmp_path / "data")
    running = list(second.world.tasks.values())
    if running:
        await asyncio.wait(running)
    await http.post(f"{second.urls.control_url}/clock", json={"advance_s": 10})
    assert "completed" == (await read(http, second.urls.devops_url + path, made))["status"]


async def test_the_import_of_a_running_request_can_be_abandoned(start_emulator, http, items_folder):
    """Its result is thrown away: the repository stays empty."""
    emulator = await start_emulator(speed="real")
    scenario = {
        "azureDevOps": [{"organization": "o", "projects": [{"name": "P"}]}],
        "github": [{"owner": "contoso", "repository": "source", "content": "items"}],
        "base": str(items_folder.parent),
    }
    await http.post(f"{emulator.urls.control_url}/scenario", json=scenario)
    base = f"{emulator.urls.devops_url}/o/P/_apis/git/repositories/P"
    made = (await start(http, f"{base}/importRequests")).json()
    await set_status(http, f"{base}/importRequests", made["importRequestId"], "abandoned")
    await http.post(f"{emulator.urls.control_url}/clock", json={"advance_s": 60})
    state = await read(http, f"{base}/importRequests", made)
    assert "abandoned" == state["status"]
    assert 0 == (await http.get(f"{base}/refs")).json()["count"]


async def test_reading_our_own_source_is_not_in_the_request_log(loaded, http, imports):
    """The log shows what clients asked, not what the emulator asked itself."""
    made = (await start(http, imports)).json()
    await read(http, imports, made)
    log = (await http.get(f"{loaded.urls.control_url}/requests")).json()["requests"]
    assert {"azdo"} == {entry["service"] for entry in log}


async def test_endpoints_belong_to_the_collection_since_6_0(loaded, http, root):
    """The project's path creates before 6.0 only, the collection's from 6.0 on."""
    identity = await project_id(http, loaded)
    body = {"name": "old", "type": "git", "url": "https://x.invalid/r.git"}
    paths = {
        "5.1-preview": f"{root}/serviceendpoint/endpoints",
        "3.0-preview.1": f"{root}/distributedtask/serviceendpoints",
    }
    for version, path in paths.items():
        named = {**body, "name": version}
        made = await http.post(path, json=named, params={"api-version": version})
        assert 200 == made.status_code, version
    wrong = await http.post(paths["5.1-preview"], json=body, params={"api-version": "7.1"})
    assert 400 == wrong.status_code
    assert 200 == (await make_endpoint(http, loaded, identity)).status_code
    assert 409 == (await make_endpoint(http, loaded, identity, name="IMPORT")).status_code
    named = await http.get(
        f"{root}/serviceendpoint/endpoints", params={**VERSION, "endpointNames": "import,nope"}
    )
    assert ["import"] == [endpoint["name"] for endpoint in named.json()["value"]]


async def test_an_unknown_endpoint_is_null_and_a_deleted_one_is_gone(loaded, http, root):
    """GET answers 200 null for what is not there; DELETE needs the project ids."""
    identity = await project_id(http, loaded)
    made = (await make_endpoint(http, loaded, identity, pat="hunter2")).json()
    one = f"{root}/serviceendpoint/endpoints/{made['id']}"
    read_back = await http.get(one, params=VERSION)
    assert "import" == read_back.json()["name"]
    assert "hunter2" not in read_back.text
    collection = f"{loaded.urls.devops_url}/contoso/_apis/serviceendpoint/endpoints/{made['id']}"
    assert 400 == (await http.delete(collection, params=VERSION)).status_code
    gone = await http.delete(collection, params={**VERSION, "projectIds": identity})
    assert 204 == gone.status_code
    missing = await http.get(one, params=VERSION)
    assert (200, b"null") == (missing.status_code, missing.content)
