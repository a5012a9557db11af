"""Paged lists and long-running operations."""

from __future__ import annotations

import httpx
import pytest

from reconciler.clients.http import Response, Service
from reconciler.clients.lro import Operation, Operations, operation_from
from reconciler.clients.paging import collect, collect_by_header
from reconciler.clock import ManualClock
from reconciler.errors import (
    ClientError,
    NotFound,
    OperationError,
    OperationFailed,
    OperationTimedOut,
    ServiceUnavailable,
)

from .helpers import TOKEN, Script, answer, transport_for

OPERATION = "431e8d7b-4a95-4c02-8ccd-6faef5ba1bd7"
REGIONAL = f"https://wabi-west-us3-a-primary-redirect.analysis.test/v1/operations/{OPERATION}"


def state(status: str, *, headers: dict[str, str] | None = None, **more) -> httpx.Response:
    """A recorded-looking answer to GET /v1/operations/{id}."""
    body = {
        "status": status,
        "createdTimeUtc": "2026-04-23T12:13:02.0967212",
        "lastUpdatedTimeUtc": "2026-04-23T12:13:02.09672",
        "percentComplete": None,
        "error": None,
        **more,
    }
    return answer(200, body, headers=headers)


RESULT = {"Location": f"{REGIONAL}/result", "x-ms-operation-id": OPERATION}


def started(retry_after_s: float | None = 20.0) -> Operation:
    """An accepted operation."""
    return Operation(OPERATION, retry_after_s, None, done=False)


# --- paging


@pytest.mark.parametrize(
    "last",
    [
        {"value": [{"id": 3}]},
        {"value": [{"id": 3}], "continuationToken": None, "continuationUri": None},
        {"value": [{"id": 3}], "continuationToken": ""},
    ],
)
async def test_all_pages_are_read_whatever_the_end_looks_like(last):
    """The end is an absent, null or empty token; a page may be empty."""
    script = Script(
        answer(200, {"value": [{"id": 1}], "continuationToken": "t1"}),
        answer(200, {"value": [], "continuationToken": "t2"}),
        answer(200, last),
    )
    values = await collect(transport_for(script), "x.list", "/v1/x", params={"type": "A b"})
    assert [1, 3] == [value["id"] for value in values]
    assert [
        "/v1/x?type=A+b",
        "/v1/x?type=A+b&continuationToken=t1",
        "/v1/x?type=A+b&continuationToken=t2",
    ] == script.paths


@pytest.mark.parametrize(
    ("token", "sent"),
    [
        ("LDEsMTAwMDAwLDA%3D", "LDEsMTAwMDAwLDA%3D"),
        ("LDEsMTAwMDAwLDA=", "LDEsMTAwMDAwLDA%3D"),
        ("a%2Bb%2Fc", "a%2Bb%2Fc"),
        ("a+b/c", "a%2Bb%2Fc"),
    ],
)
async def test_a_continuation_token_is_encoded_exactly_once(token, sent):
    """Tokens come already URL-encoded; one that is not is encoded."""
    script = Script(
        answer(200, {"value": [], "continuationToken": token}), answer(200, {"value": []})
    )
    await collect(transport_for(script), "x.list", "/v1/x")
    assert f"/v1/x?continuationToken={sent}" == script.paths[1]


async def test_a_continuation_uri_on_another_host_is_never_followed():
    """Only the token is used, on the configured host."""
    script = Script(
        answer(
            200,
            {"value": [], "continuationToken": "t", "continuationUri": "https://evil.test/?a=b"},
        ),
        answer(200, {"value": []}),
    )
    await collect(transport_for(script), "x.list", "/v1/x")
    assert {"api.example.test"} == {request.url.host for request in script.seen}


@pytest.mark.parametrize("read", [collect, collect_by_header])
async def test_a_list_that_never_ends_is_refused(read):
    """A token given twice would loop for ever."""
    script = Script(
        *[
            answer(
                200,
                {"value": [], "continuationToken": "t"},
                headers={"x-ms-continuationtoken": "t"},
            )
            for _ in range(3)
        ]
    )
    with pytest.raises(ClientError, match="twice"):
        await read(transport_for(script), "x.list", "/v1/x", params={})
    assert 2 == len(script.seen)


@pytest.mark.parametrize("body", [None, [], {}, {"value": "x"}, {"value": [1]}, {"other": []}])
async def test_an_answer_without_the_list_is_not_an_empty_list(body):
    """Unreadable is never absent."""
    with pytest.raises(ClientError):
        await collect(transport_for(Script(answer(200, body))), "x.list", "/v1/x")


async def test_a_list_fails_as_a_whole_when_one_page_fails():
    """Half a list would look like missing resources."""
    script = Script(answer(200, {"value": [{}], "continuationToken": "t"}), answer(404))
    with pytest.raises(NotFound):
        await collect(transport_for(script), "x.list", "/v1/x")


async def test_azure_devops_pages_by_a_header_that_is_encoded_when_sent():
    """The next ref's name is the token."""
    script = Script(
        answer(200, {"value": [{"n": 1}]}, headers={"x-ms-continuationtoken": "refs/heads/b&c"}),
        answer(200, {"value": [{"n": 2}]}),
    )
    transport = transport_for(script, service=Service.AZURE_DEVOPS)
    values = await collect_by_header(transport, "x", "/c/x", params={"$top": 1})
    assert [1, 2] == [value["n"] for value in values]
    assert "/c/x?%24top=1&continuationToken=refs%2Fheads%2Fb%26c" == script.paths[1]


# --- what a call that may be long-running returned


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x-ms-operation-id": OPERATION, "Location": REGIONAL, "Retry-After": "20"}, OPERATION),
        ({"Location": REGIONAL}, OPERATION),
        ({"Location": f"{REGIONAL}/result"}, OPERATION),
        ({"Location": "https://x.test/v1/workspaces/1/items/2/jobs/instances/3"}, None),
        ({"x-ms-operation-id": "../../evil"}, None),
        ({}, None),
    ],
)
def test_the_operation_id_comes_from_the_header_or_the_location(headers, expected):
    """Only the id is taken from Location; odd ids are not used."""
    operation = operation_from(Response(202, httpx.Headers(headers), None))
    assert expected == operation.operation_id
    assert operation.done is False


def test_a_deployment_start_carries_its_history_id_and_first_wait():
    """deployment-id and Retry-After come with a deploy."""
    headers = {"x-ms-operation-id": OPERATION, "deployment-id": "d-1", "Retry-After": "30"}
    operation = operation_from(Response(202, httpx.Headers(headers), None))
    assert ("d-1", 30.0) == (operation.deployment_id, operation.retry_after_s)


async def test_an_inline_answer_is_the_result():
    """200 and 201 need no poll."""
    operation = operation_from(Response(201, httpx.Headers(), {"id": "1"}))
    assert operation.done
    assert {"id": "1"} == await Operations(transport_for(Script())).wait(operation)


# --- waiting


async def test_an_operation_is_polled_by_id_on_the_configured_host():
    """The token never goes to the regional host that Location names."""
    clock = ManualClock()
    script = Script(
        state("Running", headers={"Location": REGIONAL, "Retry-After": "20"}),
        state("Succeeded", percentComplete=100, headers=RESULT),
        answer(200, {"definition": {}}),
    )
    result = await Operations(transport_for(script, clock=clock)).wait(started())
    assert {"definition": {}} == result
    assert {"api.example.test"} == {request.url.host for request in script.seen}
    path = f"/v1/operations/{OPERATION}"
    assert [path, path, f"{path}/result"] == script.paths
    assert [20.0, 20.0] == clock.slept_s


async def test_no_result_is_fetched_where_success_has_no_location():
    """A finished update has nothing to fetch; asking would be an error."""
    script = Script(state("Succeeded"))
    assert await Operations(transport_for(script)).wait(started()) is None


async def test_asking_for_a_result_that_does_not_exist_gives_none():
    """OperationHasNoResult is an answer, not a failure."""
    script = Script(answer(400, {"errorCode": "OperationHasNoResult", "message": "no result"}))
    assert await Operations(transport_for(script)).get_result(OPERATION) is None


async def test_waits_without_a_hint_start_at_two_seconds_and_grow():
    """Without Retry-After polling backs off."""
    clock = ManualClock()
    script = Script(state("NotStarted"), state("Running"), state("Succeeded"))
    await Operations(transport_for(script, clock=clock)).wait(started(None))
    assert [2.0, 3.0, 4.5] == clock.slept_s


@pytest.mark.parametrize("status", ["Undefined", "NotStarted", "Running", "Rebalancing", ""])
async def test_an_unknown_status_means_still_running(status):
    """The enumeration is open; unknown members of the answer are ignored."""
    seen = []
    script = Script(
        state(status, blobInfoId=None, resultContentType=None, extra={"a": 1}), state("Succeeded")
    )
    operations = Operations(transport_for(script))
    await operations.wait(started(), on_poll=lambda s: seen.append(s.status))
    assert [status or "Undefined", "Succeeded"] == seen


async def test_state_times_without_zone_are_utc():
    """The service leaves out the Z and writes seven fraction digits."""
    found = await Operations(transport_for(Script(state("Running")))).get_state(OPERATION)
    assert found.created is not None
    assert "2026-04-23T12:13:02.096721+00:00" == found.created.isoformat()


async def test_a_failed_operation_names_its_nested_causes():
    """HTTP 200 with Failed: the causes stand in moreDetails."""
    failed = state(
        "Failed",
        error={
            "errorCode": "GitSyncFailed",
            "message": "Failed to sync between Git and the workspace",
            "moreDetails": [
                {
                    "errorCode": "ModelValidationError",
                    "message": "[DataSourceSchemaFetchFailed] \x1b[31mno",
                    "relatedResource": {"resourceType": "GraphIndex", "resourceId": "ac74"},
                }
            ],
        },
    )
    with pytest.raises(OperationFailed) as caught:
        await Operations(transport_for(Script(failed))).wait(started())
    assert {"GitSyncFailed", "ModelValidationError"} == caught.value.codes
    assert "GitSyncFailed" == caught.value.code
    assert "[DataSourceSchemaFetchFailed] [31mno (GraphIndex ac74)" in caught.value.message
    assert OPERATION == caught.value.operation_id


@pytest.mark.parametrize(
    "error", [None, {}, {"errorCode": "E", "message": "m", "isRetriable": False}]
)
async def test_a_failure_with_little_to_say_is_still_a_failure(error):
    """Every member of the error is optional."""
    script = Script(state("Failed", error=error))
    with pytest.raises(OperationFailed):
        await Operations(transport_for(script)).wait(started())


async def test_an_operation_that_never_ends_times_out_after_a_last_look():
    """The time allowed is kept, and the id is there to look again later."""
    clock = ManualClock()
    script = Script(*[state("Running", headers={"Retry-After": "20"}) for _ in range(3)])
    with pytest.raises(OperationTimedOut) as caught:
        await Operations(transport_for(script, clock=clock)).wait(started(), timeout_s=50)
    assert [20.0, 20.0, 10.0] == clock.slept_s
    assert OPERATION == caught.value.operation_id
    assert OPERATION in caught.value.remedy


async def test_an_operation_the_service_forgot_is_reported_as_expired():
    """404 OperationNotFound is about the operation, not about a resource."""
    script = Script(answer(404, {"errorCode": "OperationNotFound", "message": "gone"}))
    with pytest.raises(OperationError, match="expired"):
        await Operations(transport_for(script)).wait(started())


async def test_an_accepted_call_without_an_id_cannot_be_followed():
    """The caller is told to read the state instead of guessing."""
    with pytest.raises(OperationError, match="no operation id"):
        await Operations(transport_for(Script())).wait(Operation(None, None, None, done=False))


async def test_a_short_outage_does_not_lose_sight_of_an_operation():
    """Polling goes on after an outage that outlasts one call's own repeats."""
    script = Script(*[answer(503) for _ in range(6)], state("Succeeded"))
    assert await Operations(transport_for(script)).wait(started()) is None


async def test_a_long_outage_ends_the_wait_with_its_own_error():
    """Five lost polls in a row are enough."""
    script = Script(*[answer(503) for _ in range(30)])
    with pytest.raises(ServiceUnavailable):
        await Operations(transport_for(script)).wait(started())
    assert [] == script.steps


async def test_a_token_that_expires_during_a_long_poll_is_renewed():
    """A 401 in the middle of a wait costs one repeat."""
    script = Script(answer(401, {"errorCode": "TokenExpired"}), state("Succeeded"))
    assert await Operations(transport_for(script)).wait(started()) is None
    assert f"Bearer {TOKEN}" == script.seen[1].headers["authorization"]
