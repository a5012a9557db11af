"""Shared behaviour of the emulated services, point by point: COVERAGE.md names these tests."""

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from fabric_client import GIT, ZERO, Fabric, estate, write_items

from reconciler.emulator.dispatch import Incoming
from reconciler.emulator.server import Emulator


@pytest.fixture
async def fabric(emulator: Emulator, http: httpx.AsyncClient, tmp_path: Path) -> Fabric:
    """A synced workspace with items of a repository, and an empty one."""
    write_items(tmp_path / "items")
    found = Fabric(emulator, http)
    await found.scenario(
        tmp_path,
        **estate(
            workspaces=[
                {"name": "Dev", "capacity": "F8", "git": {**GIT, "synced": True}},
                {"name": "Empty", "capacity": "F8"},
            ]
        ),
    )
    return found


async def control(fabric: Fabric, method: str, path: str, body=None, status: int = 200):
    """One control call."""
    url = f"{fabric.emulator.urls.control_url}{path}"
    answer = await fabric.client.request(method, url, json=body)
    assert status == answer.status_code, answer.text
    return answer.json()


async def raw(fabric: Fabric, path: str, method: str = "GET", **headers: str):
    """Return an answer with the bytes as they went over the wire."""
    request = fabric.client.build_request(method, f"{fabric.root}{path}", headers=headers)
    answer = await fabric.client.send(request, stream=True)
    content = b"".join([chunk async for chunk in answer.aiter_raw()])
    return answer, content


async def start_read(fabric: Fabric) -> httpx.Response:
    """Start an operation with a result."""
    dev = await fabric.workspace("Dev")
    item = (await fabric.items(dev))["Ingest.Notebook"]["id"]
    return await fabric.call("POST", f"/workspaces/{dev}/items/{item}/getDefinition", status=202)


# fabric-api.md section 1


async def test_successes_are_gzipped_json_and_errors_are_chunked_and_plain(fabric: Fabric):
    """Guards the encoding of bodies: fabric-api.md section 1, recorded."""
    answer, content = await raw(fabric, "/workspaces")
    assert "gzip" == answer.headers["Content-Encoding"]
    assert "application/json; charset=utf-8" == answer.headers["Content-Type"]
    assert gzip.decompress(content).startswith(b'{"value":[')
    refused, content = await raw(fabric, f"/workspaces/{ZERO}")
    assert (404, None, "chunked") == (
        refused.status_code,
        refused.headers.get("Content-Encoding"),
        refused.headers.get("Transfer-Encoding"),
    )
    assert b"WorkspaceNotFound" in content


async def test_a_client_that_takes_no_gzip_gets_none(fabric: Fabric):
    """Guards clients without decompression."""
    answer, content = await raw(fabric, "/workspaces", **{"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in answer.headers
    assert content.startswith(b'{"value":[')


async def test_an_empty_success_is_an_octet_stream_of_no_length(fabric: Fabric):
    """Guards deletions: fabric-api.md section 1, recorded."""
    empty = await fabric.workspace("Empty")
    answer = await fabric.call("DELETE", f"/workspaces/{empty}")
    assert ("application/octet-stream", "0", b"") == (
        answer.headers["Content-Type"],
        answer.headers["Content-Length"],
        answer.content,
    )


async def test_an_accepted_call_answers_null_and_exposes_its_headers(fabric: Fabric):
    """Guards the start of an operation: fabric-api.md sections 1 and 2.1, recorded and field."""
    dev = await fabric.workspace("Dev")
    item = (await fabric.items(dev))["Ingest.Notebook"]["id"]
    path = f"/workspaces/{dev}/items/{item}/getDefinition"
    answer, content = await raw(fabric, path, "POST")
    assert (202, 24, b"null") == (answer.status_code, len(content), gzip.decompress(content))
    exposed = "RequestId,Location,Retry-After,x-ms-operation-id"
    assert exposed == answer.headers["Access-Control-Expose-Headers"]
    assert answer.headers["Location"].endswith(answer.headers["x-ms-operation-id"])


async def test_a_regional_host_answers_without_the_redirect_headers(fabric: Fabric):
    """Guards what tells the two hosts apart: fabric-api.md section 1, recorded."""
    location = (await start_read(fabric)).headers["Location"]
    assert not location.startswith(fabric.root)
    regional = await fabric.client.get(location)
    assert 200 == regional.status_code
    assert not {"home-cluster-uri", "request-redirected"} & set(regional.headers)
    direct = await fabric.call("GET", "/workspaces")
    assert "true" == direct.headers["request-redirected"]
    assert direct.headers["home-cluster-uri"].endswith("/")


async def test_a_doubled_slash_is_another_path(fabric: Fabric):
    """Guards the odd text: fabric-api.md section 1, field."""
    answer = await fabric.client.get(f"{fabric.emulator.urls.fabric_url}//v1/workspaces")
    assert (404, "The entity could not be found") == (answer.status_code, answer.json()["message"])


# fabric-api.md section 2


async def test_an_operation_tells_by_its_headers_whether_there_is_a_result(fabric: Fabric):
    """Guards the state and the result: fabric-api.md sections 2.2 and 2.3, recorded."""
    started = await start_read(fabric)
    path = f"/operations/{started.headers['x-ms-operation-id']}"
    state = await fabric.call("GET", path)
    body = state.json()
    keys = ["status", "createdTimeUtc", "lastUpdatedTimeUtc", "percentComplete", "error"]
    assert keys == list(body)
    assert ("Succeeded", 100, None) == (body["status"], body["percentComplete"], body["error"])
    assert not body["createdTimeUtc"].endswith(("Z", "0"))
    assert "Retry-After" not in state.headers
    assert state.headers["Location"].endswith("/result")
    result = await fabric.call("GET", f"{path}/result")
    assert ("application/json", None, "chunked") == (
        result.headers["Content-Type"],
        result.headers.get("Location"),
        result.headers["Transfer-Encoding"],
    )


async def test_an_operation_without_a_result_has_neither_header(fabric: Fabric):
    """Guards OperationHasNoResult: fabric-api.md section 2.3, recorded."""
    dev = await fabric.workspace("Dev")
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    path = f"/workspaces/{dev}/git/commitToGit"
    started = await fabric.call("POST", path, {"mode": "All"}, status=202)
    operation = f"/operations/{started.headers['x-ms-operation-id']}"
    state = await fabric.call("GET", operation)
    assert not {"location", "x-ms-operation-id"} & set(state.headers)
    assert "OperationHasNoResult" == await fabric.code("GET", f"{operation}/result", status=400)


async def test_a_running_operation_is_polled_and_its_result_refused(
    start_emulator, http: httpx.AsyncClient, tmp_path: Path
):
    """Guards a state that is not final: fabric-api.md section 2.2; times stay equal, recorded."""
    write_items(tmp_path / "items")
    slow = Fabric(await start_emulator(speed="real"), http)
    workspaces = [{"name": "Dev", "capacity": "F8", "items": "items"}]
    await slow.scenario(tmp_path, **estate(workspaces=workspaces))
    started = await start_read(slow)
    assert "20" == started.headers["Retry-After"]
    path = f"/operations/{started.headers['x-ms-operation-id']}"
    state = await slow.call("GET", path)
    body = state.json()
    assert ("Running", None) == (body["status"], body["percentComplete"])
    assert body["createdTimeUtc"] == body["lastUpdatedTimeUtc"]
    assert {"20", path.rpartition("/")[2]} <= {
        state.headers["Retry-After"],
        state.headers["x-ms-operation-id"],
    }
    assert "OperationNotSucceeded" == await slow.code("GET", f"{path}/result", status=400)


async def test_an_operation_is_forgotten_after_a_day_of_the_emulator_clock(fabric: Fabric):
    """Guards the retention: fabric-api.md section 2.3, docs for deployments, assumed otherwise."""
    path = f"/operations/{(await start_read(fabric)).headers['x-ms-operation-id']}"
    await control(fabric, "POST", "/clock", {"advance_s": 86000})
    await fabric.call("GET", f"{path}/result")
    await control(fabric, "POST", "/clock", {"advance_s": 500})
    for gone in (path, f"{path}/result"):
        assert "OperationNotFound" == await fabric.code("GET", gone, status=404)


async def test_an_operation_state_can_carry_the_two_newer_keys(fabric: Fabric):
    """Guards both shapes that were seen: fabric-api.md section 2.2, field."""
    path = f"/operations/{(await start_read(fabric)).headers['x-ms-operation-id']}"
    assert 5 == len(await fabric.get(path))
    await fabric.portal("settings", longOperationKeys=True)
    assert {"blobInfoId": None, "resultContentType": None}.items() <= (
        await fabric.get(path)
    ).items()


# fabric-api.md section 3


async def test_an_expired_token_is_told_by_a_header_and_fires_once(fabric: Fabric):
    """Guards the refresh of a client: fabric-api.md section 3.4, client."""
    await control(fabric, "POST", "/faults", {"token": "expired"})
    assert "TokenExpired" == await fabric.code("GET", "/workspaces", status=401)
    await fabric.call("GET", "/workspaces")


async def test_a_bad_principal_of_a_connection_is_an_unknown_error(fabric: Fabric, tmp_path: Path):
    """Guards the recorded 400: fabric-api.md section 3.2."""
    connection = {"name": "c", "type": "GitHubSourceControl", "url": "https://github.com/o/r"}
    principal = {"id": "11111111-0000-4000-8000-0000000000aa", "type": "Group"}
    await fabric.scenario(tmp_path, connections=[connection], principals=[principal])
    made = (await fabric.all("/connections"))[0]["id"]
    body = {"principal": {"id": ZERO, "type": "User"}, "role": "User"}
    path = f"/connections/{made}/roleAssignments"
    refused = await fabric.call("POST", path, body, status=400)
    assert ("UnknownError", []) == (refused.json()["errorCode"], refused.json()["moreDetails"])


@pytest.mark.parametrize("status", [409, 400])
async def test_a_held_name_has_either_disputed_status(fabric: Fabric, status: int):
    """Guards contradiction 4: fabric-api.md sections 3.5 and 10, field and client."""
    await fabric.portal("settings", nameHoldS=30, nameHoldStatus=status)
    empty = await fabric.workspace("Empty")
    path, body = f"/workspaces/{empty}/items", {"displayName": "N", "type": "Notebook"}
    made = (await fabric.call("POST", path, body, status=201)).json()["id"]
    await fabric.call("DELETE", f"{path}/{made}")
    refused = await fabric.call("POST", path, body, status=status)
    assert ("ItemDisplayNameNotAvailableYet", True) == (
        refused.json()["errorCode"],
        refused.json()["isRetriable"],
    )
    await control(fabric, "POST", "/clock", {"advance_s": 31})
    await fabric.call("POST", path, body, status=201)


# fabric-api.md section 4


async def test_a_limit_is_a_fixed_window_from_the_first_call(fabric: Fabric):
    """Guards the recorded law: refused calls do not move the window, waiting its rest suffices."""
    await control(fabric, "POST", "/limits", {"route": "folders.list", "count": 10})
    dev, empty = await fabric.workspace("Dev"), await fabric.workspace("Empty")
    for n in range(10):
        await fabric.call("GET", f"/workspaces/{(dev, empty)[n % 2]}/folders")
    await control(fabric, "POST", "/clock", {"advance_s": 20})
    refused = await fabric.call("GET", f"/workspaces/{dev}/folders", status=429)
    assert "RequestBlocked" == refused.json()["errorCode"]
    assert "RequestBlocked" == refused.headers["x-ms-public-api-error-code"]
    assert 38 <= int(refused.headers["Retry-After"]) <= 40
    start, end = "Request is blocked by the upstream service until: ", " (UTC)"
    text = refused.json()["message"]
    assert (True, True) == (text.startswith(start), text.endswith(end))
    assert ("AM" in text) != ("PM" in text)
    await fabric.call("POST", f"/workspaces/{dev}/folders", {"displayName": "f"}, status=201)
    await control(fabric, "POST", "/clock", {"advance_s": 41})
    await fabric.call("GET", f"/workspaces/{dev}/folders")


async def test_a_limit_counts_every_caller_by_himself(fabric: Fabric):
    """Guards the per-principal window: fabric-api.md section 4, docs and recorded."""
    await control(fabric, "POST", "/limits", {"route": "workspaces.list", "count": 1})
    await fabric.call("GET", "/workspaces")
    await fabric.call("GET", "/workspaces", status=429)
    await fabric.call("GET", "/workspaces", token="somebody else")


async def test_azure_devops_words_a_blocked_request_its_own_way(fabric: Fabric):
    """Guards the 429: azure-devops-import.md section 7, docs and a third-party probe."""
    await control(fabric, "POST", "/limits", {"service": "azdo", "count": 0, "window_s": 30})
    url = f"{fabric.emulator.urls.devops_url}/contoso/_apis/projects"
    answer = await fabric.client.get(url)
    assert (429, "30", "RequestBlockedException", "0") == (
        answer.status_code,
        answer.headers["Retry-After"],
        answer.json()["typeKey"],
        answer.headers["X-RateLimit-Remaining"],
    )
    assert answer.json()["message"].startswith("TF400733")


async def test_limits_are_listed_removed_and_checked(fabric: Fabric):
    """Guards the control call, and that the numbers are nowhere built in."""
    assert {"limits": []} == await control(fabric, "GET", "/limits")
    await control(fabric, "POST", "/limits", [{"route": "a", "count": 1}, {"count": 3}])
    assert [1, 3] == [one["count"] for one in (await control(fabric, "GET", "/limits"))["limits"]]
    for wrong in ({}, {"count": -1}, {"count": 1, "window_s": 0}, {"count": 1, "x": 1}, 7):
        await control(fabric, "POST", "/limits", wrong, status=400)
    await control(fabric, "DELETE", "/limits")
    assert {"limits": []} == await control(fabric, "GET", "/limits")


# latency


async def test_requests_are_on_their_way_as_long_as_chosen_and_control_calls_are_not(
    fabric: Fabric, start_emulator: Callable[..., Awaitable[Emulator]]
):
    """Guards --latency, by start and by control call: a minute could always be taken back."""
    await control(fabric, "POST", "/latency", {"latency_ms": 60_000})
    assert {"latency_ms": 60_000} == await control(fabric, "GET", "/latency")
    for wrong in ({}, {"latency_ms": -1}, {"latency_ms": 60_001}, {"latency_ms": True}):
        await control(fabric, "POST", "/latency", wrong, status=400)
    await control(fabric, "POST", "/latency", {"latency_ms": 0})
    await fabric.call("GET", "/workspaces")
    slow = await start_emulator(latency_ms=30)
    headers = {"Authorization": f"Bearer {slow.token}"}
    began_s = time.monotonic()
    await fabric.client.get(f"{slow.urls.fabric_url}/v1/workspaces", headers=headers)
    assert 0.03 <= time.monotonic() - began_s


# faults


async def test_a_fault_can_add_headers_to_a_real_answer(fabric: Fabric):
    """Guards Retry-After on a 200: azure-devops-import.md section 7, docs."""
    headers = {"Retry-After": "5", "X-RateLimit-Delay": "1.250"}
    await control(fabric, "POST", "/faults", {"match": {"service": "azdo"}, "headers": headers})
    url = f"{fabric.emulator.urls.devops_url}/contoso/_apis/projects"
    first, second = await fabric.client.get(url), await fabric.client.get(url)
    assert (200, "5", "1.250", 1) == (
        first.status_code,
        first.headers["Retry-After"],
        first.headers["X-RateLimit-Delay"],
        first.json()["count"],
    )
    assert "Retry-After" not in second.headers


@pytest.mark.parametrize(("moment", "made"), [("before", False), ("after", True)])
async def test_a_request_can_hang_before_or_after_its_effect(
    fabric: Fabric, moment: str, made: bool
):
    """Guards a client's own timeout: the request never comes back, its effect may be there."""
    await control(
        fabric, "POST", "/faults", {"match": {"route": "workspaces.create"}, "hang": moment}
    )
    asked = asyncio.create_task(
        fabric.client.post(f"{fabric.root}/workspaces", json={"displayName": "New"})
    )
    while not (await control(fabric, "GET", "/faults"))["faults"][0]["fired"]:
        continue
    names = {workspace["displayName"] for workspace in await fabric.all("/workspaces")}
    assert made == ("New" in names)
    assert not asked.done()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


async def test_a_stale_read_answers_from_before_the_last_write(fabric: Fabric):
    """Guards reads that lag behind: the next one is fresh again, and nothing is lost."""
    empty = await fabric.workspace("Empty")
    path = f"/workspaces/{empty}/items"
    await control(fabric, "POST", "/faults", {"match": {"route": "items.list"}, "stale": True})
    body = {"displayName": "Late", "type": "Notebook"}
    await fabric.call("POST", path, body, status=201)
    assert set() == set(await fabric.items(empty))
    assert {"Late.Notebook"} == set(await fabric.items(empty))


async def test_a_stale_read_of_refs_shows_the_branch_where_it_was(fabric: Fabric):
    """Guards the same for what is derived from git: refs, and the status of a workspace."""
    dev = await fabric.workspace("Dev")
    azdo = f"{fabric.emulator.urls.devops_url}/contoso/Sales/_apis/git/repositories/fabric-sales"
    old = fabric.tip()
    stale = [
        {"match": {"route": "azdo.refs.list"}, "stale": True},
        {"match": {"route": "git.status"}, "stale": True},
    ]
    await control(fabric, "POST", "/faults", stale)
    change = {
        "changeType": "add",
        "item": {"path": "/fabric/x.txt"},
        "newContent": {"content": "x", "contentType": "rawText"},
    }
    push = {
        "refUpdates": [{"name": "refs/heads/main", "oldObjectId": old}],
        "commits": [{"comment": "x", "changes": [change]}],
    }
    params = {"api-version": "7.1"}
    pushed = await fabric.client.post(f"{azdo}/pushes", json=push, params=params)
    assert 201 == pushed.status_code
    for expected in (old, fabric.tip()):
        refs = (await fabric.client.get(f"{azdo}/refs", params=params)).json()["value"]
        assert expected == refs[0]["objectId"]
        status = await fabric.get(f"/workspaces/{dev}/git/status")
        assert expected == status["remoteCommitHash"]


# fabric-api.md section 5 and bad input


async def test_a_page_token_that_nobody_gave_is_refused(fabric: Fabric):
    """Guards InvalidContinuationToken: fabric-api.md section 5, SDK constant."""
    for token in ("x", "LDEsMTAwMDAwLDA", "%00"):
        path = f"/workspaces?continuationToken={token}"
        assert "InvalidContinuationToken" == await fabric.code("GET", path, status=400)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("pageSize", 0),
        ("hiddenWorkspaceStatus", 500),
        ("noteReturned", 1),
        ("servicePrincipalExcludedTypes", "Report"),
        ("endpointLagS", -1),
        ("gitFileBytes", "much"),
    ],
)
async def test_a_setting_of_the_wrong_type_is_refused(fabric: Fabric, setting: str, value: object):
    """Guards the switches: a wrong one changes nothing."""
    await control(fabric, "POST", "/portal", {"action": "settings", setting: value}, status=400)


async def test_settings_stand_in_a_scenario_too(fabric: Fabric, tmp_path: Path):
    """Guards that a whole situation, switches included, is one document."""
    await fabric.scenario(tmp_path, settings={"pageSize": 1, "endpointLagS": 5})
    assert "continuationToken" in await fabric.get("/workspaces")
    assert 5 == fabric.world.azdo.settings.endpoint_lag_s


@pytest.mark.parametrize(
    "body", [b"{", b"[" * 100_000, b'{"displayName": "\\ud800"}', b"\xff\xfe", b'"text"', b"[1]"]
)
async def test_a_body_that_is_no_json_object_is_refused(fabric: Fabric, body: bytes):
    """Guards the parser: nesting, half characters and wrong encodings are a 400."""
    answer = await fabric.client.post(f"{fabric.root}/workspaces", content=body)
    assert (400, "CorruptedPayload") == (answer.status_code, answer.json()["errorCode"])


@pytest.mark.parametrize("path", ["/fabric/v1/workspaces", "/devops/contoso/_apis/projects"])
async def test_an_oversize_body_is_a_bad_request(fabric: Fabric, path: str):
    """Guards memory: calls are limited, pushes of git are not (the number is assumed)."""
    body = b" " * (64 * 1024 * 1024 + 1)
    headers = {"Authorization": f"Bearer {fabric.emulator.token}"}
    incoming = Incoming("POST", path, headers, body)
    outcome = await fabric.emulator._dispatcher.handle(incoming)
    assert 400 == outcome.answer.status
