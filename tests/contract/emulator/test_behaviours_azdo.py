"""Azure DevOps, point by point: COVERAGE.md names these tests."""

import asyncio
import http.server
import threading
from collections.abc import Iterator

import httpx
import pytest

VERSION = {"api-version": "7.1"}
SOURCE = "https://github.com/contoso/source.git"


@pytest.fixture
def root(loaded) -> str:
    """The API of the project Sales."""
    return f"{loaded.urls.devops_url}/contoso/Sales/_apis"


@pytest.fixture
def imports(root) -> str:
    """The import requests of the empty repository."""
    return f"{root}/git/repositories/empty/importRequests"


async def control(loaded, http, path, body):
    """One control call."""
    answer = await http.post(f"{loaded.urls.control_url}{path}", json=body)
    assert 200 == answer.status_code, answer.text


async def switch(loaded, http, **settings):
    """Change settings of the emulator."""
    await control(loaded, http, "/portal", {"action": "settings", **settings})


async def start(http, imports, url=SOURCE):
    """Ask for an import."""
    body = {"parameters": {"gitSource": {"url": url}}}
    return await http.post(imports, json=body, params=VERSION)


async def read(http, imports, number):
    """The import request as it is now."""
    return (await http.get(f"{imports}/{number}", params=VERSION)).json()


async def make_endpoint(http, loaded):
    """Make an endpoint for the private source."""
    base = f"{loaded.urls.devops_url}/contoso/_apis"
    project = (await http.get(f"{base}/projects/Sales")).json()["id"]
    body = {
        "name": "source",
        "type": "git",
        "url": "https://github.com/contoso/private.git",
        "authorization": {
            "scheme": "UsernamePassword",
            "parameters": {"username": "u", "password": "pat"},
        },
        "serviceEndpointProjectReferences": [
            {"projectReference": {"id": project, "name": "Sales"}, "name": "source"}
        ],
    }
    url = f"{base}/serviceendpoint/endpoints"
    return (await http.post(url, json=body, params=VERSION)).json()


async def test_a_new_endpoint_can_be_invisible_for_a_while(loaded, http, root, imports):
    """Guards section 10 item 6: neither listed, nor found, nor usable, until its time has come."""
    await switch(loaded, http, endpointLagS=30)
    made = await make_endpoint(http, loaded)
    assert False is made["isReady"]
    url = f"{root}/serviceendpoint/endpoints"
    use = {
        "parameters": {
            "gitSource": {"url": "https://github.com/contoso/private.git"},
            "serviceEndpointId": made["id"],
        }
    }
    assert 0 == (await http.get(url, params=VERSION)).json()["count"]
    assert None is (await http.get(f"{url}/{made['id']}", params=VERSION)).json()
    assert 400 == (await http.post(imports, json=use, params=VERSION)).status_code
    loaded.world.clock.advance(31)
    found = (await http.get(f"{url}/{made['id']}", params=VERSION)).json()
    assert (True, None) == (found["isReady"], found["authorization"]["parameters"]["password"])
    assert 201 == (await http.post(imports, json=use, params=VERSION)).status_code


async def test_the_size_of_a_repository_can_lag_behind(loaded, http, root):
    """Guards section 3, recorded: a repository with a default branch and size 0."""
    url = f"{root}/git/repositories/fabric-sales"
    assert 0 < (await http.get(url)).json()["size"]
    await switch(loaded, http, sizeLagS=60)
    lagging = (await http.get(url)).json()
    assert ("refs/heads/main", 0) == (lagging["defaultBranch"], lagging["size"])
    loaded.world.clock.advance(61)
    assert 0 < (await http.get(url)).json()["size"]


@pytest.mark.parametrize("step", [1, 3, 5])
async def test_an_import_fails_at_a_chosen_step(loaded, http, root, imports, step):
    """Guards section 10 item 9: no partial refs, the message, and a retry that succeeds."""
    fault = {
        "match": {"route": "azdo.imports.create"},
        "import": {"step": step, "error": "pack too large"},
    }
    await control(loaded, http, "/faults", fault)
    number = (await start(http, imports)).json()["importRequestId"]
    failed = await read(http, imports, number)
    assert ("failed", step, "pack too large") == (
        failed["status"],
        failed["detailedStatus"]["currentStep"],
        failed["detailedStatus"]["errorMessage"],
    )
    assert 0 == (await http.get(f"{root}/git/repositories/empty/refs")).json()["count"]
    retry = {"status": "queued"}
    await http.patch(f"{imports}/{number}", json=retry, params=VERSION)
    done = await read(http, imports, number)
    assert ("completed", 6) == (done["status"], done["detailedStatus"]["currentStep"])
    assert "errorMessage" not in done["detailedStatus"]


async def test_an_import_can_hang_until_it_is_abandoned(loaded, http, imports):
    """Guards section 10 item 9: it stays in progress however late it is; 2.4: abandon ends it."""
    fault = {"match": {"route": "azdo.imports.create"}, "import": {"step": 4, "hang": True}}
    await control(loaded, http, "/faults", fault)
    number = (await start(http, imports)).json()["importRequestId"]
    loaded.world.clock.advance(86400)
    stuck = await read(http, imports, number)
    assert ("inProgress", 4) == (stuck["status"], stuck["detailedStatus"]["currentStep"])
    body = {"status": "abandoned"}
    done = await http.patch(f"{imports}/{number}", json=body, params=VERSION)
    assert (200, "abandoned") == (done.status_code, done.json()["status"])
    assert 201 == (await start(http, imports)).status_code


async def test_each_step_of_an_import_can_take_its_time(loaded, http, imports):
    """Guards section 10 item 3: steps 1 to 6 can be watched at a chosen pace."""
    await switch(loaded, http, importStepS=10)
    number = (await start(http, imports)).json()["importRequestId"]
    seen = []
    for _ in range(5):
        loaded.world.clock.advance(10)
        found = await read(http, imports, number)
        seen.append(found["detailedStatus"]["currentStep"])
    loaded.world.clock.advance(11)
    done = await read(http, imports, number)
    assert [1, 2, 3, 4, 5] == seen
    assert ("completed", 6) == (done["status"], done["detailedStatus"]["currentStep"])


class _Silent(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_error(404)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def other_server() -> Iterator[str]:
    """A loopback server that is not the emulator."""
    _Silent.asked = 0
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/repo.git"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("refuse", "asked"), [(False, True), (True, False)])
async def test_loopback_sources_can_be_refused(loaded, http, imports, other_server, refuse, asked):
    """Guards section 10 item 10: with the switch nothing on this machine is ever contacted."""
    await switch(loaded, http, refuseLoopbackSources=refuse)
    refused = await start(http, imports, other_server)
    assert (400, b"") == (refused.status_code, refused.content)
    assert asked == bool(_Silent.asked)
    assert 201 == (await start(http, imports)).status_code


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ({"answer": {"status": 203, "body": "<html>Sign In</html>"}}, 203, "Sign In"),
        ({"answer": {"status": 503, "body": "<html>busy</html>"}}, 503, "busy"),
        ({"answer": {"status": 500}}, 500, ""),
        (
            {"answer": {"status": 403, "body": {"typeKey": "GitNeedsPermissionException"}}},
            403,
            "Git",
        ),
        ({"token": "expired"}, 401, ""),
        (
            {"answer": {"status": 302, "headers": {"Location": "/_signin"}, "body": "moved"}},
            302,
            "moved",
        ),
        ({"answer": {"status": 429, "body": "slow down"}}, 429, "slow down"),
        (
            {"answer": {"status": 429, "body": {"message": "TF400733"}}},
            429,
            "TF400733",
        ),
        ({"headers": {"Retry-After": "1", "X-RateLimit-Delay": "0.100"}}, 200, "fabric-sales"),
        ({"delay_s": 0.2}, 200, "fabric-sales"),
    ],
)
async def test_every_listed_fault_can_be_switched_on(loaded, http, root, fault, status, text):
    """Guards section 10 item 9: each answer once, then the service is itself again."""
    await control(loaded, http, "/faults", fault)
    url = f"{root}/git/repositories"
    answer = await http.get(url)
    assert status == answer.status_code
    assert text in answer.text
    headers = {**fault.get("headers", {}), **fault.get("answer", {}).get("headers", {})}
    assert headers.items() <= {name: answer.headers.get(name) for name in headers}.items()
    assert fault.get("delay_s", 0) <= answer.elapsed.total_seconds()
    assert 200 == (await http.get(url)).status_code


async def test_expired_credentials_lead_to_the_sign_in_page_unless_that_is_suppressed(
    loaded, http, root
):
    """Guards section 10 item 9: 302 without the Suppress header, 401 with it."""
    url = f"{root}/git/repositories"
    for suppress, status in (("Suppress", 401), ("", 302)):
        await control(loaded, http, "/faults", {"token": "expired"})
        answer = await http.get(url, headers={"X-TFS-FedAuthRedirect": suppress})
        assert status == answer.status_code


async def test_a_source_that_goes_away_fails_with_the_last_words_of_git(loaded, http, root):
    """Guards section 10 item 3: the message is what git said last, and no ref is there."""
    imports = f"{root}/git/repositories/empty/importRequests"
    made = (await start(http, imports, "https://github.com/contoso/flaky.git")).json()
    number = made["importRequestId"]
    assert "failed" == (await read(http, imports, number))["status"]
    del loaded.world.github.repositories["github/contoso/flaky"]
    await http.patch(f"{imports}/{number}", json={"status": "queued"}, params=VERSION)
    failed = await read(http, imports, number)
    assert "failed" == failed["status"]
    message = failed["detailedStatus"]["errorMessage"]
    assert message.startswith("fatal: ")
    assert "contoso/flaky" in message
    assert 0 == (await http.get(f"{root}/git/repositories/empty/refs")).json()["count"]


async def test_a_dropped_post_leaves_an_import_that_a_list_finds(loaded, http, imports):
    """Guards section 10 item 9: the connection is cut, the request is there."""
    await control(
        loaded, http, "/faults", {"match": {"route": "azdo.imports.create"}, "drop": "after"}
    )
    with pytest.raises(httpx.TransportError):
        await start(http, imports)
    listed = (await http.get(imports, params=VERSION)).json()
    assert [SOURCE] == [one["parameters"]["gitSource"]["url"] for one in listed["value"]]


async def test_polling_an_import_of_a_deleted_repository_is_a_404(loaded, http, root, imports):
    """Guards section 10 item 9: the repository goes away in the middle."""
    number = (await start(http, imports)).json()["importRequestId"]
    repository = (await http.get(f"{root}/git/repositories/empty")).json()["id"]
    await http.delete(f"{root}/git/repositories/{repository}", params=VERSION)
    gone = await http.get(f"{imports}/{number}", params=VERSION)
    assert (404, "GitRepositoryNotFoundException") == (gone.status_code, gone.json()["typeKey"])


async def test_answers_carry_ids_for_correlation(loaded, http, root):
    """Guards section 10 item 12, recorded headers."""
    answer = await http.get(f"{root}/git/repositories", params=VERSION)
    assert {"x-tfs-session", "activityid", "x-vss-e2eid"} <= set(answer.headers)
    assert "no-cache" == answer.headers["Cache-Control"]
    assert "application/json; charset=utf-8; api-version=7.1" == answer.headers["Content-Type"]


async def test_a_repository_of_the_old_url_template_is_found(loaded, http, root):
    """Guards section 1: the older page has /_apis/repos/git in its templates."""
    answer = await http.get(f"{root}/repos/git/repositories/fabric-sales", params=VERSION)
    assert "fabric-sales" == answer.json()["name"]


@pytest.mark.parametrize("name", ["../x", "..", "a/b", "a\\b", "con:", "x" * 65, ".git", "\0"])
async def test_a_repository_name_can_not_escape(loaded, http, root, name):
    """Guards path traversal in names: a 400 with the documented type key."""
    body = {"name": name}
    answer = await http.post(f"{root}/git/repositories", json=body, params=VERSION)
    assert (400, "InvalidGitRepositoryNameException") == (
        answer.status_code,
        answer.json()["typeKey"],
    )


@pytest.mark.parametrize("path", ["/../x", "/a/../../x", "/.git/config", "//", "/./x", ""])
async def test_a_path_in_a_push_can_not_escape(loaded, http, root, path):
    """Guards path traversal in content."""
    base = f"{root}/git/repositories/fabric-sales"
    tip = (await http.get(f"{base}/refs")).json()["value"][0]["objectId"]
    change = {
        "changeType": "add",
        "item": {"path": path},
        "newContent": {"content": "x", "contentType": "rawtext"},
    }
    body = {
        "refUpdates": [{"name": "refs/heads/main", "oldObjectId": tip}],
        "commits": [{"comment": "x", "changes": [change]}],
    }
    answer = await http.post(f"{base}/pushes", json=body, params=VERSION)
    assert 400 == answer.status_code


async def test_two_imports_at_once_end_with_one_request(loaded, http, imports):
    """Guards section 2.3: the second finds the first, whichever is probed first."""
    answers = await asyncio.gather(start(http, imports), start(http, imports))
    assert [201, 409] == sorted(answer.status_code for answer in answers)
