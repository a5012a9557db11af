"""Azure DevOps: forks of a repository and the requests that keep them in step."""

import pytest

VERSION = {"api-version": "7.1"}
ZERO = "0" * 40


@pytest.fixture
def root(loaded) -> str:
    """The repositories of the project Sales."""
    return f"{loaded.urls.devops_url}/contoso/Sales/_apis/git/repositories"


async def fork(http, root, name="mine", parent="fabric-sales", **query):
    """Fork a repository."""
    source = (await http.get(f"{root}/{parent}")).json()
    body = {
        "name": name,
        "project": {"id": source["project"]["id"]},
        "parentRepository": {"id": source["id"], "project": {"id": source["project"]["id"]}},
    }
    return await http.post(root, json=body, params={**VERSION, **query})


async def refs(http, root, name):
    """Names and objects of a repository's refs."""
    found = (await http.get(f"{root}/{name}/refs")).json()["value"]
    return {ref["name"]: ref["objectId"] for ref in found}


async def push(http, root, name, branch="main", path="/x"):
    """Add a file with a commit and return its id."""
    tips = await refs(http, root, name)
    change = {
        "changeType": "add",
        "item": {"path": path},
        "newContent": {"content": "x", "contentType": "rawtext"},
    }
    body = {
        "refUpdates": [
            {"name": f"refs/heads/{branch}", "oldObjectId": tips[f"refs/heads/{branch}"]}
        ],
        "commits": [{"comment": "x", "changes": [change]}],
    }
    answer = await http.post(f"{root}/{name}/pushes", json=body, params=VERSION)
    return answer.json()["refUpdates"][0]["newObjectId"]


async def test_a_fork_gets_the_refs_and_the_default_branch_of_its_parent(loaded, http, root):
    """Guards the documented answer: isFork, size 0, and a link to the sync that fills it."""
    made = await fork(http, root)
    assert (201, True, 0) == (made.status_code, made.json()["isFork"], made.json()["size"])
    assert "defaultBranch" not in made.json()
    sync = (await http.get(made.json()["_links"]["forkSyncOperation"]["href"])).json()
    assert ("completed", 3) == (sync["status"], sync["detailedStatus"]["currentStep"])
    assert await refs(http, root, "fabric-sales") == await refs(http, root, "mine")
    found = (await http.get(f"{root}/mine")).json()
    assert ("refs/heads/main", True) == (found["defaultBranch"], found["isFork"])
    assert "parentRepository" not in found
    parent = (await http.get(f"{root}/mine", params={"includeParent": "true"})).json()
    assert "fabric-sales" == parent["parentRepository"]["name"]
    assert "isFork" not in (await http.get(f"{root}/fabric-sales")).json()


async def test_a_fork_can_be_limited_to_one_ref(loaded, http, root):
    """Guards sourceRef, short or in full; one that is not there is refused before anything is."""
    tip = (await refs(http, root, "fabric-sales"))["refs/heads/main"]
    update = [{"name": "refs/heads/dev", "oldObjectId": ZERO, "newObjectId": tip}]
    await http.post(f"{root}/fabric-sales/refs", json=update, params=VERSION)
    await fork(http, root, "one", sourceRef="refs/heads/dev")
    await fork(http, root, "two", sourceRef="dev")
    for name in ("one", "two"):
        assert ["refs/heads/dev"] == list(await refs(http, root, name))
        assert "refs/heads/dev" == (await http.get(f"{root}/{name}")).json()["defaultBranch"]
    refused = await fork(http, root, "three", sourceRef="gone")
    assert 400 == refused.status_code
    assert 404 == (await http.get(f"{root}/three")).status_code


async def test_forks_are_listed_for_their_collection(loaded, http, root):
    """Guards the list: refs with their collection, nothing for another one."""
    await fork(http, root)
    other = f"{root}/fabric-sales/forks"
    collection = next(iter(loaded.world.azdo.organizations))
    listed = (await http.get(f"{other}/{collection}", params=VERSION)).json()["value"]
    assert [("mine", True, collection)] == [
        (one["name"], one["isFork"], one["collection"]["id"]) for one in listed
    ]
    nobody = await http.get(f"{other}/{listed[0]['id']}", params=VERSION)
    assert [] == nobody.json()["value"]
    assert 400 == (await http.get(f"{other}/contoso", params=VERSION)).status_code


async def test_a_sync_brings_what_is_new_and_never_loses_commits(loaded, http, root):
    """Guards the way back and forth, and a branch that went its own way: failed, nothing moved."""
    source = (await http.get(f"{root}/fabric-sales")).json()
    await fork(http, root)
    new = await push(http, root, "fabric-sales")
    url = f"{root}/mine/forkSyncRequests"
    body = {"source": {"repositoryId": source["id"], "projectId": source["project"]["id"]}}
    made = await http.post(url, json=body, params=VERSION)
    assert (200, "queued") == (made.status_code, made.json()["status"])
    one = (await http.get(f"{url}/{made.json()['operationId']}", params=VERSION)).json()
    assert "completed" == one["status"]
    assert new == (await refs(http, root, "mine"))["refs/heads/main"]
    own = await push(http, root, "mine", path="/y")
    await push(http, root, "fabric-sales", path="/z")
    await http.post(url, json=body, params=VERSION)
    last = (await http.get(url, params={**VERSION, "includeLinks": "true"})).json()["value"][-1]
    assert "failed" == last["status"]
    assert "refs/heads/main has what the source lacks" == last["detailedStatus"]["errorMessage"]
    assert own == (await refs(http, root, "mine"))["refs/heads/main"]
    copied = {"sourceRef": "refs/heads/main", "targetRef": "refs/heads/theirs"}
    await http.post(url, json={**body, "sourceToTargetRefs": [copied]}, params=VERSION)
    assert {"refs/heads/main", "refs/heads/theirs"} == set(await refs(http, root, "mine"))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"source": {"repositoryId": "x"}}, 400),
        ({"source": {"repositoryId": "11111111-2222-4333-8444-555555555555"}}, 404),
        ({"source": "empty"}, 400),
        ({"source": "parent", "sourceToTargetRefs": [1]}, 400),
        ({"source": "parent", "sourceToTargetRefs": [{"sourceRef": "refs/heads/no"}]}, 400),
        (
            {
                "source": "parent",
                "sourceToTargetRefs": [{"sourceRef": "refs/heads/main", "targetRef": "../x"}],
            },
            400,
        ),
    ],
)
async def test_a_sync_that_can_not_be_is_refused(loaded, http, root, body, status):
    """Guards a stranger as source, missing ids, and refs that are none."""
    names = {"empty": "empty", "parent": "fabric-sales"}
    await fork(http, root)
    chosen = body.get("source")
    if isinstance(chosen, str):
        found = (await http.get(f"{root}/{names[chosen]}")).json()["id"]
        body = {**body, "source": {"repositoryId": found}}
    answer = await http.post(f"{root}/mine/forkSyncRequests", json=body, params=VERSION)
    assert status == answer.status_code
    missing = await http.get(f"{root}/mine/forkSyncRequests/99", params=VERSION)
    assert (404, "GitAsyncOperationNotFoundException") == (
        missing.status_code,
        missing.json()["typeKey"],
    )


async def test_a_sync_whose_source_is_purged_fails(start_emulator, http, items_folder):
    """Guards a repository that goes away before the time of the sync has come."""
    emulator = await start_emulator(speed="real")
    scenario = {
        "azureDevOps": [
            {
                "organization": "o",
                "projects": [
                    {"name": "P", "repositories": [{"name": "a", "content": "items"}]},
                ],
            }
        ],
        "base": str(items_folder.parent),
    }
    control = emulator.urls.control_url
    await http.post(f"{control}/scenario", json=scenario)
    root = f"{emulator.urls.devops_url}/o/P/_apis/git"
    source = (await http.get(f"{root}/repositories/a")).json()["id"]
    made = await fork(http, f"{root}/repositories", "b", "a")
    url = made.json()["_links"]["forkSyncOperation"]["href"]
    assert "queued" == (await http.get(url)).json()["status"]
    await http.delete(f"{root}/repositories/{source}", params=VERSION)
    await http.delete(f"{root}/recycleBin/repositories/{source}", params=VERSION)
    await http.post(f"{control}/clock", json={"advance_s": 6})
    assert "failed" == (await http.get(url)).json()["status"]
    assert 0 == (await http.get(f"{root}/repositories/b/refs")).json()["count"]
