"""Azure DevOps calls: paths and api-versions per release, tolerance where answers vary."""

from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.azdo.models import ZERO_OBJECT_ID, FileChange, ProjectRef, RefUpdate
from reconciler.clients.azdo.versions import SERVER_VERSIONS, Resource, api_version
from reconciler.clients.http import Service
from reconciler.diff.normalise import same_source, strip_userinfo
from reconciler.errors import (
    ApiError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    NotFound,
    ServiceUnavailable,
    UsageError,
)

from .helpers import Script, answer, everything_said, transport_for

REPO = {"id": "r-1", "name": "fabric-sales", "project": {"id": "p-1", "name": "Sales"}}
IMPORT = {
    "importRequestId": 195,
    "status": "queued",
    "url": "https://dev.azure.com/x",
    "detailedStatus": {"currentStep": 1, "allSteps": ["Processing request"]},
    "parameters": {
        "tfvcSource": None,
        "gitSource": {"url": "https://github.com/contoso/x.git", "overwrite": False},
    },
}
GIT = "/contoso/Sales/_apis/git/repositories"
V = "api-version=7.1"


def client(script, *, root="/contoso", version="7.1") -> AzdoClient:
    """A client for organization contoso on a scripted network."""
    return AzdoClient(
        transport_for(script, service=Service.AZURE_DEVOPS), root=root, server_version=version
    )


CALLS = [
    (
        lambda c: c.projects.get("Sales & Co"),
        f"GET /contoso/_apis/projects/Sales%20%26%20Co?{V}",
        None,
        {"id": "p-1"},
    ),
    (lambda c: c.projects.list(), f"GET /contoso/_apis/projects?{V}", None, {"value": []}),
    (
        lambda c: c.repositories.list("Sales"),
        f"GET {GIT}?includeHidden=true&{V}",
        None,
        {"value": [REPO], "count": 1},
    ),
    (lambda c: c.repositories.get("Sales", "a b"), f"GET {GIT}/a%20b?{V}", None, REPO),
    (
        lambda c: c.repositories.create("Sales", "new", project_id="p-1"),
        f"POST {GIT}?{V}",
        {"name": "new", "project": {"id": "p-1"}},
        REPO,
    ),
    (lambda c: c.repositories.create("Sales", "new"), f"POST {GIT}?{V}", {"name": "new"}, REPO),
    (
        lambda c: c.repositories.update("Sales", "r-1", default_branch="refs/heads/main"),
        f"PATCH {GIT}/r-1?{V}",
        {"defaultBranch": "refs/heads/main"},
        REPO,
    ),
    (
        lambda c: c.repositories.set_disabled("Sales", "r-1", False),
        f"PATCH {GIT}/r-1?{V}",
        {"isDisabled": False},
        REPO,
    ),
    (lambda c: c.repositories.delete("Sales", "r-1"), f"DELETE {GIT}/r-1?{V}", None, None),
    (
        lambda c: c.refs.list("Sales", "r-1", prefix="refs/heads/main", top=1),
        f"GET {GIT}/r-1/refs?peelTags=true&filter=heads%2Fmain&%24top=1&{V}",
        None,
        {"value": []},
    ),
    (
        lambda c: c.items.list("Sales", "r-1", branch="refs/heads/feature/x", path="/fabric"),
        f"GET {GIT}/r-1/items?scopePath=%2Ffabric&recursionLevel=oneLevel"
        f"&versionDescriptor.versionType=branch&versionDescriptor.version=feature%2Fx&{V}",
        None,
        {"value": [{"path": "/fabric", "isFolder": True, "objectId": "t"}]},
    ),
    (
        lambda c: c.imports.list("Sales", "r-1"),
        f"GET {GIT}/r-1/importRequests?includeAbandoned=true&{V}",
        None,
        {"value": [IMPORT]},
    ),
    (
        lambda c: c.imports.get("Sales", "r-1", 195),
        f"GET {GIT}/r-1/importRequests/195?{V}",
        None,
        IMPORT,
    ),
    (
        lambda c: c.imports.create("Sales", "r-1", source_url="https://github.com/contoso/x.git"),
        f"POST {GIT}/r-1/importRequests?{V}",
        {"parameters": {"gitSource": {"url": "https://github.com/contoso/x.git"}}},
        IMPORT,
    ),
    (
        lambda c: c.imports.create(
            "Sales", "r-1", source_url="u", service_endpoint_id="e", delete_endpoint_after=True
        ),
        f"POST {GIT}/r-1/importRequests?{V}",
        {
            "parameters": {
                "gitSource": {"url": "u"},
                "serviceEndpointId": "e",
                "deleteServiceEndpointAfterImportIsDone": True,
            }
        },
        IMPORT,
    ),
    (
        lambda c: c.imports.retry("Sales", "r-1", 195),
        f"PATCH {GIT}/r-1/importRequests/195?{V}",
        {"status": "queued"},
        IMPORT,
    ),
    (
        lambda c: c.imports.abandon("Sales", "r-1", 195),
        f"PATCH {GIT}/r-1/importRequests/195?{V}",
        {"status": "abandoned"},
        IMPORT,
    ),
    (
        lambda c: c.endpoints.delete("p-1", "e-1"),
        f"DELETE /contoso/_apis/serviceendpoint/endpoints/e-1?projectIds=p-1&deep=false&{V}",
        None,
        None,
    ),
    (
        lambda c: c.pushes.create(
            "Sales",
            "r-1",
            ref_name="refs/heads/main",
            old_object_id="a" * 40,
            comment="Add directory",
            changes=[FileChange("/fabric/.gitkeep", b"\n")],
        ),
        f"POST {GIT}/r-1/pushes?{V}",
        {
            "refUpdates": [{"name": "refs/heads/main", "oldObjectId": "a" * 40}],
            "commits": [
                {
                    "comment": "Add directory",
                    "changes": [
                        {
                            "changeType": "add",
                            "item": {"path": "/fabric/.gitkeep"},
                            "newContent": {"content": "Cg==", "contentType": "base64Encoded"},
                        }
                    ],
                }
            ],
        },
        {"pushId": 1, "refUpdates": [{"name": "refs/heads/main", "newObjectId": "b" * 40}]},
    ),
]


@pytest.mark.parametrize(("call", "line", "body", "reply"), CALLS, ids=[c[1] for c in CALLS])
async def test_a_call_sends_the_documented_request(call, line, body, reply):
    """Method, path, query and body follow the published definitions."""
    script = Script(answer(200, reply))
    await call(client(script))
    sent = script.seen[0]
    assert line == f"{sent.method} {sent.url.raw_path.decode()}"
    if body is None:
        assert b"" == sent.content
    else:
        assert body == script.body()


async def test_a_server_collection_is_addressed_below_its_prefix():
    """Azure DevOps Server puts a virtual directory and collection before the project."""
    script = Script(answer(200, REPO))
    await client(script, root="/tfs/DefaultCollection/", version="6.0").repositories.get("S", "r")
    assert "/tfs/DefaultCollection/S/_apis/git/repositories/r?api-version=6.0" == script.paths[0]


# --- versions


@pytest.mark.parametrize(
    ("server", "resource", "expected"),
    [
        ("3.0", Resource.IMPORTS, "3.0-preview"),
        ("3.0", Resource.REFS, "1.0"),
        ("3.0", Resource.ENDPOINTS, "3.0-preview.1"),
        ("4.1", Resource.IMPORTS, "4.1-preview.1"),
        ("4.1", Resource.REPOSITORIES, "4.1"),
        ("5.0", Resource.ENDPOINTS, "5.0-preview.2"),
        ("6.0", Resource.IMPORTS, "6.0-preview.1"),
        ("6.0", Resource.ENDPOINTS, "6.0-preview.4"),
        ("7.0", Resource.IMPORTS, "7.0"),
        ("7.1", Resource.ENDPOINTS, "7.1"),
        ("7.2", Resource.IMPORTS, "7.2-preview.1"),
        ("7.2", Resource.PROJECTS, "7.2-preview.4"),
    ],
)
def test_each_resource_has_its_own_version_per_release(server, resource, expected):
    """The table of azure-devops-import.md section 1."""
    assert expected == api_version(server, resource)


def test_every_release_knows_every_resource_and_others_are_refused():
    """A release outside the table is a usage error that lists the known ones."""
    for server in SERVER_VERSIONS:
        assert all(api_version(server, resource) for resource in Resource)
    with pytest.raises(UsageError, match=r"7\.2"):
        api_version("2019", Resource.REFS)


PREVIEW = answer(
    400, {"message": "is under preview", "typeKey": "VssInvalidPreviewVersionException"}
)


async def test_a_resource_still_in_preview_is_asked_for_as_preview_from_then_on():
    """One fallback, remembered per resource."""
    script = Script(PREVIEW, answer(200, IMPORT), answer(200, IMPORT), answer(200, REPO))
    azdo = client(script)
    await azdo.imports.get("Sales", "r-1", 195)
    await azdo.imports.get("Sales", "r-1", 195)
    await azdo.repositories.get("Sales", "r-1")
    assert ["7.1", "7.1-preview", "7.1-preview", "7.1"] == [
        request.url.params["api-version"] for request in script.seen
    ]


async def test_a_preview_that_is_refused_too_is_reported():
    """The fallback happens once."""
    again = answer(400, {"message": "m", "typeKey": "VssInvalidPreviewVersionException"})
    script = Script(PREVIEW, again)
    with pytest.raises(ApiError):
        await client(script).refs.list("Sales", "r-1")
    assert 2 == len(script.seen)


# --- service endpoints


@pytest.mark.parametrize(
    ("server", "path", "scoped"),
    [
        ("3.0", "/contoso/p-1/_apis/distributedtask/serviceendpoints", False),
        ("4.1", "/contoso/p-1/_apis/serviceendpoint/endpoints", False),
        ("5.0", "/contoso/p-1/_apis/serviceendpoint/endpoints", False),
        ("6.0", "/contoso/_apis/serviceendpoint/endpoints", True),
        ("7.1", "/contoso/_apis/serviceendpoint/endpoints", True),
    ],
)
async def test_endpoints_are_created_where_the_release_keeps_them(server, path, scoped):
    """From 6.0 on a POST on the project's path would be another operation."""
    script = Script(answer(200, {"id": "e-1", "authorization": {"parameters": {"password": None}}}))
    await client(script, version=server).endpoints.create_git(
        ProjectRef(id="p-1", name="Sales"),
        name="n",
        url="https://src.test/x.git",
        username="",
        password=SecretStr("hush"),
    )
    assert path == script.paths[0].partition("?")[0]
    body = script.body()
    assert scoped == ("serviceEndpointProjectReferences" in body)
    assert {"username": "", "password": "hush"} == body["authorization"]["parameters"]


async def test_the_password_of_an_endpoint_never_shows_up_in_an_error():
    """Not even when the service echoes what it was sent."""
    script = Script(answer(400, {"message": "bad https://u:hush@src.test/x", "typeKey": "E"}))
    with pytest.raises(ApiError) as caught:
        await client(script).endpoints.create_git(
            ProjectRef(id="p-1", name="Sales"),
            name="n",
            url="u",
            username="x",
            password=SecretStr("hush"),
        )
    assert "hush" not in everything_said(caught.value)


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, content=b"null", headers={"content-type": "application/json"}),
        httpx.Response(404, json={"message": "x"}),
    ],
)
async def test_an_endpoint_that_does_not_exist_is_none(reply):
    """Several versions answer 200 with null for an unknown id."""
    assert await client(Script(reply)).endpoints.get("Sales", "e-1") is None


async def test_endpoints_are_found_by_exact_name_whatever_the_service_filters():
    """Names compare without case; a name with a comma is filtered here."""
    found = {"value": [{"id": "1", "name": "Sales,Import"}, {"id": "2", "name": "other"}]}
    script = Script(answer(200, found))
    names = [e.id for e in await client(script).endpoints.list("Sales", names=["sales,import"])]
    assert ["1"] == names
    assert "endpointNames" not in script.paths[0]


# --- import requests of a repository


async def test_an_empty_400_on_import_is_explained():
    """The service gives no reason, so the message names the three there are."""
    script = Script(httpx.Response(400, headers={"ActivityId": "a-1"}))
    with pytest.raises(ApiError) as caught:
        await client(script).imports.create("Sales", "r-1", source_url="https://x:pw@src.test")
    assert ("a-1", 400) == (caught.value.request_id, caught.value.status)
    for cause in ("URL is wrong", "credentials", "no branches"):
        assert cause in caught.value.message
    assert "pw" not in everything_said(caught.value)


async def test_a_400_with_a_reason_keeps_it():
    """Only the silent refusal is explained by us."""
    script = Script(answer(400, {"message": "because", "typeKey": "InvalidArgumentValueException"}))
    with pytest.raises(ApiError, match="because"):
        await client(script).imports.create("Sales", "r-1", source_url="u")


async def test_an_import_has_time_for_the_service_to_probe_the_source():
    """Creating may take a minute and more."""
    script = Script(answer(201, IMPORT))
    await client(script).imports.create("Sales", "r-1", source_url="u")
    assert script.seen[0].extensions["timeout"]["read"] >= 60


@pytest.mark.parametrize(
    ("step", "kind"),
    [
        (answer(503), ServiceUnavailable),
        (httpx.ReadTimeout("slow"), DeadlineExceeded),
        (answer(409, {"typeKey": "GitImportForbiddenOnNonEmptyRepository"}), Conflict),
    ],
)
async def test_creating_an_import_is_never_repeated_blindly(step, kind):
    """After an unknown outcome the caller has to list first."""
    script = Script(step)
    with pytest.raises(kind):
        await client(script).imports.create("Sales", "r-1", source_url="u")
    assert 1 == len(script.seen)


async def test_an_import_request_is_read_as_recorded():
    """A null TFVC source, a step counted from one, an error that survives abandoning."""
    reply = {
        **IMPORT,
        "status": "abandoned",
        "detailedStatus": {"currentStep": 2, "allSteps": None, "errorMessage": "never connected"},
    }
    found = await client(Script(answer(200, reply))).imports.get("Sales", "r-1", 195)
    assert found.parameters.git_source is not None
    assert "https://github.com/contoso/x.git" == found.parameters.git_source.url
    assert found.parameters.tfvc_source is None
    assert found.detailed_status is not None
    assert ("never connected", ()) == (
        found.detailed_status.error_message,
        found.detailed_status.all_steps,
    )


# --- refs, items, projects


async def test_refs_follow_the_header_to_the_last_page():
    """Annotated tags carry the commit they point at."""
    tag = {"name": "refs/tags/v1", "objectId": "1", "peeledObjectId": "2"}
    head = {"name": "refs/heads/main", "objectId": "2"}
    script = Script(
        answer(200, {"value": [head]}, headers={"x-ms-continuationtoken": "refs/tags/v1"}),
        answer(200, {"value": [tag]}),
    )
    refs = await client(script).refs.list("Sales", "r-1")
    assert [("refs/heads/main", None), ("refs/tags/v1", "2")] == [
        (ref.name, ref.peeled_object_id) for ref in refs
    ]
    assert "refs/tags/v1" == script.seen[1].url.params["continuationToken"]


async def test_asking_for_one_ref_reads_one_page():
    """Whether a repository is empty costs one request."""
    head = {"name": "refs/heads/main", "objectId": "2"}
    script = Script(answer(200, {"value": [head]}, headers={"x-ms-continuationtoken": "x"}))
    assert 1 == len(await client(script).refs.list("Sales", "r-1", top=1))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("staleOldObjectId", Conflict),
        ("refNameConflict", Conflict),
        ("createBranchPermissionRequired", Forbidden),
        ("rejectedByPolicy", Forbidden),
        ("forcePushRequired", Conflict),
        ("invalidRefName", ApiError),
        ("", ApiError),
    ],
)
async def test_a_refused_ref_is_an_error_although_the_call_succeeded(status, kind):
    """HTTP 200 says nothing about a single ref."""
    done = {"name": "refs/heads/a", "success": True, "updateStatus": "succeeded"}
    refused = {"name": "refs/heads/b", "success": False, "updateStatus": status}
    script = Script(answer(200, {"value": [done, refused]}))
    updates = [RefUpdate(f"refs/heads/{n}", ZERO_OBJECT_ID, "c" * 40) for n in "ab"]
    with pytest.raises(kind) as caught:
        await client(script).refs.update("Sales", "r-1", updates)
    assert kind is type(caught.value)
    assert "refs/heads/b" in caught.value.message
    assert {"name": "refs/heads/a", "oldObjectId": "0" * 40, "newObjectId": "c" * 40} == (
        script.body()[0]
    )


async def test_a_missing_path_or_branch_is_not_found():
    """Whether a directory exists is answered by NotFound."""
    script = Script(answer(404, {"message": "TF401174", "typeKey": "GitItemNotFoundException"}))
    with pytest.raises(NotFound):
        await client(script).items.list("Sales", "r-1", branch="main", path="/nope")


async def test_file_content_comes_as_bytes():
    """Content is not parsed, even when it looks like JSON."""
    reply = httpx.Response(
        200, content=b'{"a": 1}\xff', headers={"content-type": "application/octet-stream"}
    )
    script = Script(reply)
    content = await client(script).items.get_content("Sales", "r-1", branch="main", path="/a")
    assert b'{"a": 1}\xff' == content
    assert "application/octet-stream" == script.seen[0].headers["accept"]


async def test_a_project_that_some_servers_refuse_with_400_is_not_found():
    """VS800075 comes as a 400 on some routes."""
    script = Script(answer(400, {"message": "VS800075: The project with id x does not exist"}))
    with pytest.raises(NotFound):
        await client(script).projects.get("x")


# --- comparing URLs


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("https://github.com/contoso/x.git", "https://github.com/contoso/x", True),
        ("https://github.com/contoso/x/", "HTTPS://GitHub.com/contoso/x", True),
        ("https://github.com/contoso/x.git/", "https://github.com/contoso/x", True),
        (
            "https://contoso@dev.azure.com/contoso/S/_git/x",
            "https://dev.azure.com/contoso/S/_git/x",
            True,
        ),
        ("https://github.com/Contoso/x", "https://github.com/contoso/x", False),
        ("https://github.com/contoso/x", "http://github.com/contoso/x", False),
        ("https://github.com/contoso/x", "https://github.com:444/contoso/x", False),
        ("https://github.com/contoso/x", "https://github.com/contoso/y", False),
        ("https://[bad", "https://[bad", True),
    ],
)
def test_source_urls_compare_without_what_does_not_matter(a, b, same):
    """Host case, trailing slash, .git and userinfo do not count; path case does."""
    assert same is same_source(a, b)
    assert same is same_source(b, a)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@host.test/x?a=b@c", "https://host.test/x?a=b@c"),
        ("https://user:p@w@host.test/x", "https://host.test/x"),
        ("https://host.test/x@y", "https://host.test/x@y"),
        ("git@github.com:contoso/x.git", "git@github.com:contoso/x.git"),
    ],
)
def test_user_names_and_passwords_are_taken_out_of_urls(url, shown):
    """What is shown or compared has no credentials."""
    assert shown == strip_userinfo(url)
