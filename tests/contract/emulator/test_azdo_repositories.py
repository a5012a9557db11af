"""Azure DevOps: addressing, versions, sign-in, projects, repositories, refs."""

import httpx
import pytest

ZERO = "0" * 40


@pytest.fixture
def root(loaded):
    """The project's API root."""
    return f"{loaded.urls.devops_url}/contoso/Sales/_apis"


async def create(http, root, name, **extra):
    """Make a repository."""
    return await http.post(
        f"{root}/git/repositories", json={"name": name, **extra}, params={"api-version": "7.1"}
    )


@pytest.mark.parametrize(
    "path",
    [
        "/contoso/Sales/_apis/git/repositories/fabric-sales",
        "/CONTOSO/sales/_apis/git/Repositories/FABRIC-SALES",
        "/tfs/contoso/Sales/_apis/git/repositories/fabric-sales",
        "/some/tfs/contoso/Sales/_apis/git/repositories/fabric-sales",
        "/contoso/DefaultCollection/Sales/_apis/git/repositories/fabric-sales",
    ],
)
async def test_services_and_server_addresses_find_the_same_repository(loaded, http, path):
    """Names compare case-insensitively; a server's prefix and collection are one more segment."""
    answer = await http.get(loaded.urls.devops_url + path)
    assert 200 == answer.status_code
    assert "fabric-sales" == answer.json()["name"]


async def test_a_repository_id_needs_no_project(loaded, http, root):
    """With an id the project may be left out; with a name it may not."""
    found = (await http.get(f"{root}/git/repositories/empty")).json()
    base = f"{loaded.urls.devops_url}/contoso/_apis/git/repositories"
    assert 200 == (await http.get(f"{base}/{found['id']}")).status_code
    assert 404 == (await http.get(f"{base}/empty")).status_code


async def test_a_missing_project_is_tf200016(loaded, http):
    """Projects and organizations that no scenario names do not exist."""
    for path in ("/contoso/_apis/projects/Nope", "/contoso/Nope/_apis/git/repositories"):
        answer = await http.get(loaded.urls.devops_url + path)
        assert 404 == answer.status_code
        assert "ProjectDoesNotExistWithNameException" == answer.json()["typeKey"]
        assert answer.json()["message"].startswith("TF200016: ")
    other = await http.get(f"{loaded.urls.devops_url}/fabrikam/_apis/projects/Sales")
    assert 404 == other.status_code


async def test_projects_are_listed_in_pages(loaded, http):
    """The next page is named by a header."""
    url = f"{loaded.urls.devops_url}/contoso/_apis/projects"
    first = await http.get(url, params={"$top": 1})
    assert ["Bare"] == [project["name"] for project in first.json()["value"]]
    token = first.headers["x-ms-continuationtoken"]
    second = await http.get(url, params={"$top": 1, "continuationToken": token})
    assert ["Sales"] == [project["name"] for project in second.json()["value"]]
    assert "x-ms-continuationtoken" not in second.headers


async def test_an_unknown_route_is_plain_text(loaded, http, root):
    """The recorded 404 of an unknown controller is no JSON."""
    answer = await http.get(f"{root}/git/nothing/here")
    assert 404 == answer.status_code
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "X-TFS-ServiceError" in answer.headers


@pytest.mark.parametrize(
    ("resource", "version", "status", "key"),
    [
        ("importRequests", "3.0-preview", 200, None),
        ("importRequests", "5.0-preview.1", 200, None),
        ("importRequests", "6.0", 400, "VssInvalidPreviewVersionException"),
        ("importRequests", "6.0-preview", 200, None),
        ("importRequests", "7.0", 200, None),
        ("importRequests", "7.1", 200, None),
        ("importRequests", "7.2", 400, "VssInvalidPreviewVersionException"),
        ("importRequests", "7.2-preview.1", 200, None),
        ("refs", "1.0", 200, None),
        ("refs", "4.1", 200, None),
        ("refs", "7.2", 400, "VssInvalidPreviewVersionException"),
        ("refs", "9.0", 400, "VssVersionOutOfRangeException"),
        ("refs", "seven", 400, "VssVersionOutOfRangeException"),
    ],
)
async def test_each_resource_has_its_own_version_rule(
    loaded, http, root, resource, version, status, key
):
    """Until 7.0 imports are preview only; 7.2 is preview for everything."""
    url = f"{root}/git/repositories/empty/{resource}"
    by_query = await http.get(url, params={"api-version": version})
    by_header = await http.get(url, headers={"Accept": f"application/json;api-version={version}"})
    for answer in (by_query, by_header):
        assert status == answer.status_code
        assert key == (answer.json().get("typeKey") if status == 400 else None)


async def test_the_content_type_echoes_the_version(loaded, http, root):
    """Recorded: the version stands in the answer's Content-Type."""
    answer = await http.get(
        f"{root}/git/repositories", headers={"Accept": "application/json;api-version=5.0-preview"}
    )
    assert (
        "application/json; charset=utf-8; api-version=5.0-preview.1"
        == answer.headers["Content-Type"]
    )
    assert answer.headers["ActivityId"] == answer.headers["X-VSS-E2EID"]


async def test_a_write_without_a_version_is_refused(loaded, http, root):
    """GET is tolerated without api-version, POST is not."""
    answer = await http.post(f"{root}/git/repositories", json={"name": "x"})
    assert 400 == answer.status_code
    assert "VssVersionNotSpecifiedException" == answer.json()["typeKey"]


async def test_without_credentials_the_sign_in_page_lies_in_wait(loaded):
    """302 to a page that is a success; 401 with an empty body when redirects are suppressed."""
    url = f"{loaded.urls.devops_url}/contoso/_apis/projects"
    async with httpx.AsyncClient() as nobody:
        redirected = await nobody.get(url)
        assert 302 == redirected.status_code
        page = await nobody.get(redirected.headers["Location"])
        assert 203 == page.status_code
        assert page.headers["Content-Type"].startswith("text/html")
        suppressed = await nobody.get(url, headers={"X-TFS-FedAuthRedirect": "Suppress"})
    assert (401, b"") == (suppressed.status_code, suppressed.content)
    assert suppressed.headers["WWW-Authenticate"].startswith("Basic realm=")


async def test_a_new_repository_is_empty_and_has_no_default_branch(loaded, http, root):
    """Recorded: 201, size 0, no defaultBranch; refs are an empty list."""
    made = await create(http, root, "brand new")
    assert 201 == made.status_code
    assert 0 == made.json()["size"]
    assert "defaultBranch" not in made.json()
    refs = await http.get(f"{root}/git/repositories/brand%20new/refs", params={"$top": 1})
    assert {"value": [], "count": 0} == refs.json()


@pytest.mark.parametrize("name", ["", "a/b", ".git", "x" * 65, "a:b", " lead"])
async def test_a_bad_name_is_refused(loaded, http, root, name):
    """400 with the documented key."""
    answer = await create(http, root, name)
    assert 400 == answer.status_code
    assert "InvalidGitRepositoryNameException" == answer.json()["typeKey"]


async def test_a_name_is_taken_whatever_its_casing_and_even_if_disabled(loaded, http, root):
    """409 TF400948, also for a repository that cannot be seen."""
    found = (await http.get(f"{root}/git/repositories/empty")).json()
    await http.patch(
        f"{root}/git/repositories/{found['id']}",
        json={"isDisabled": True},
        params={"api-version": "7.1"},
    )
    answer = await create(http, root, "EMPTY")
    assert 409 == answer.status_code
    assert "GitRepositoryNameAlreadyExistsException" == answer.json()["typeKey"]


async def test_a_disabled_repository_is_seen_only_in_the_hidden_list(loaded, http, root):
    """GET answers 404; includeHidden tells disabled from absent; enabling needs the id."""
    found = (await http.get(f"{root}/git/repositories/empty")).json()
    url = f"{root}/git/repositories/{found['id']}"
    version = {"api-version": "7.1"}
    mixed = await http.patch(url, json={"isDisabled": True, "name": "x"}, params=version)
    assert 400 == mixed.status_code
    assert 200 == (await http.patch(url, json={"isDisabled": True}, params=version)).status_code
    missing = await http.get(url)
    assert 404 == missing.status_code
    assert "GitRepositoryNotFoundException" == missing.json()["typeKey"]
    assert 404 == (await http.get(f"{url}/refs")).status_code
    seen = (await http.get(f"{root}/git/repositories")).json()["value"]
    hidden = await http.get(f"{root}/git/repositories", params={"includeHidden": "true"})
    assert ["fabric-sales"] == [repository["name"] for repository in seen]
    assert [True, False] == [repository["isDisabled"] for repository in hidden.json()["value"]]
    assert 404 == (await http.delete(url)).status_code
    assert 200 == (await http.patch(url, json={"isDisabled": False}, params=version)).status_code
    assert 200 == (await http.get(url)).status_code


async def test_the_default_branch_must_exist_and_then_head_follows(
    loaded, http, root, git, tmp_path
):
    """PATCH defaultBranch is checked against the refs, and git clones it."""
    found = (await http.get(f"{root}/git/repositories/fabric-sales")).json()
    url = f"{root}/git/repositories/{found['id']}"
    version = {"api-version": "7.1"}
    refused = await http.patch(url, json={"defaultBranch": "refs/heads/dev"}, params=version)
    assert 400 == refused.status_code
    tip = (await http.get(f"{url}/refs")).json()["value"][0]["objectId"]
    update = [{"name": "refs/heads/dev", "oldObjectId": ZERO, "newObjectId": tip}]
    made = (await http.post(f"{url}/refs", json=update, params=version)).json()["value"][0]
    assert (True, "succeeded") == (made["success"], made["updateStatus"])
    changed = await http.patch(url, json={"defaultBranch": "refs/heads/dev"}, params=version)
    assert "refs/heads/dev" == changed.json()["defaultBranch"]
    remote = found["webUrl"].replace("://", f"://any:{loaded.token}@")
    assert "refs/heads/dev" in await git("ls-remote", "--symref", remote, "HEAD")


async def test_a_deleted_repository_can_be_restored_or_purged(loaded, http, root):
    """204, then the recycle bin; the last repository of a project stays."""
    url = f"{root}/git/repositories"
    version = {"api-version": "7.1"}
    first, second = (await http.get(url)).json()["value"]
    assert 400 == (await http.delete(f"{url}/{first['name']}", params=version)).status_code
    assert 204 == (await http.delete(f"{url}/{first['id']}", params=version)).status_code
    assert 404 == (await http.get(f"{url}/{first['id']}")).status_code
    assert 400 == (await http.delete(f"{url}/{second['id']}", params=version)).status_code
    recycled = f"{root}/git/recycleBin/repositories"
    bin_list = (await http.get(recycled, params=version)).json()["value"]
    assert [first["id"]] == [entry["id"] for entry in bin_list]
    one = f"{recycled}/{first['id']}"
    restored = await http.patch(one, json={"deleted": False}, params=version)
    assert first["name"] == restored.json()["name"]
    assert 404 == (await http.delete(one, params=version)).status_code
    await http.delete(f"{url}/{first['id']}", params=version)
    assert 204 == (await http.delete(one, params=version)).status_code
    assert [] == (await http.get(recycled, params=version)).json()["value"]


async def test_a_project_without_repositories_gets_one_with_its_own_name(loaded, http):
    """Every new project has one."""
    url = f"{loaded.urls.devops_url}/contoso/Bare/_apis/git/repositories"
    assert ["Bare"] == [found["name"] for found in (await http.get(url)).json()["value"]]


async def test_the_ref_filter_is_a_prefix(loaded, http, root):
    """``heads/main`` also returns ``heads/main2``; paging names the next ref in a header."""
    url = f"{root}/git/repositories/fabric-sales/refs"
    tip = (await http.get(url)).json()["value"][0]["objectId"]
    updates = [
        {"name": f"refs/{name}", "oldObjectId": ZERO, "newObjectId": tip}
        for name in ("heads/main2", "heads/other", "tags/v1")
    ]
    await http.post(url, json=updates, params={"api-version": "7.1"})

    async def names(**params):
        answer = await http.get(url, params=params)
        return [ref["name"] for ref in answer.json()["value"]], answer.headers.get(
            "x-ms-continuationtoken"
        )

    assert (["refs/heads/main", "refs/heads/main2"], None) == await names(filter="heads/main")
    assert (["refs/heads/other"], None) == await names(filter="heads/", filterContains="the")
    assert (["refs/heads/main", "refs/heads/main2"], "refs/heads/other") == await names(
        **{"$top": 2}
    )
    rest = await names(**{"$top": 2, "continuationToken": "refs/heads/other"})
    assert (["refs/heads/other", "refs/tags/v1"], None) == rest
    both = await http.get(url, params={"filter": "heads", "includeMyBranches": "true"})
    assert 400 == both.status_code


async def test_peeled_tags_name_their_commit(loaded, http, root, git, tmp_path):
    """An annotated tag is a tag object; with peelTags the commit stands beside it."""
    found = (await http.get(f"{root}/git/repositories/fabric-sales")).json()
    remote = found["webUrl"].replace("://", f"://any:{loaded.token}@")
    await git("clone", "-q", remote, "work")
    await git("tag", "-a", "v1", "-m", "one", cwd=tmp_path / "work")
    await git("push", "-q", "origin", "v1", cwd=tmp_path / "work")
    commit = (await git("rev-parse", "HEAD", cwd=tmp_path / "work")).strip()
    answer = await http.get(
        f"{root}/git/repositories/fabric-sales/refs",
        params={"filter": "tags/", "peelTags": "true"},
    )
    tag = answer.json()["value"][0]
    assert commit == tag["peeledObjectId"] != tag["objectId"]


@pytest.mark.parametrize(
    ("update", "status"),
    [
        ({"name": "main", "oldObjectId": ZERO}, "invalidRefName"),
        ({"name": "refs/heads/a..b", "oldObjectId": ZERO}, "invalidRefName"),
        ({"name": "refs/heads/main", "oldObjectId": ZERO}, "staleOldObjectId"),
        ({"name": "refs/heads/main/sub", "oldObjectId": ZERO}, "refNameConflict"),
        (
            {"name": "refs/heads/x", "oldObjectId": ZERO, "newObjectId": "1" * 40},
            "unresolvableToCommit",
        ),
        (
            {"name": "refs/heads/x", "oldObjectId": ZERO, "newObjectId": ZERO},
            "succeededNonExistentRef",
        ),
        ({"name": "refs/heads/x", "oldObjectId": "abc"}, "unprocessed"),
    ],
)
async def test_a_failed_ref_update_is_still_http_200(loaded, http, root, update, status):
    """Each item says for itself what became of it."""
    url = f"{root}/git/repositories/fabric-sales/refs"
    tip = (await http.get(url)).json()["value"][0]["objectId"]
    body = [{"newObjectId": tip, **update}]
    answer = await http.post(url, json=body, params={"api-version": "7.1"})
    assert 200 == answer.status_code
    item = answer.json()["value"][0]
    assert (status, status.startswith("succeeded")) == (item["updateStatus"], item["success"])
