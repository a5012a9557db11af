"""Error answers of both services become exceptions that say what the service said."""

from __future__ import annotations

import httpx
import pytest

from reconciler.clients.errors_map import Service, error_from
from reconciler.clients.text import clean
from reconciler.errors import ApiError, Conflict, Forbidden, NotFound, Throttled

from .helpers import Script, answer, transport_for


async def refused(response, *, service=Service.FABRIC):
    """Make a call that is answered with an error and return the exception."""
    with pytest.raises(ApiError) as caught:
        await transport_for(Script(response), service=service).request("x", "POST", "/v1/x")
    return caught.value


async def test_a_fabric_error_keeps_code_message_and_request_id():
    """The message reads as one sentence with everything support asks for."""
    error = await refused(
        answer(
            403,
            {
                "requestId": "r-1",
                "errorCode": "InsufficientPrivileges",
                "message": "The caller does not have sufficient permissions",
                "isRetriable": False,
            },
        )
    )
    assert isinstance(error, Forbidden)
    assert (
        "POST /v1/x: 403 InsufficientPrivileges: The caller does not have sufficient permissions "
        "(request id r-1)" == error.message
    )
    assert ("InsufficientPrivileges", "r-1", False) == (
        error.code,
        error.request_id,
        error.is_retriable,
    )
    assert error.remedy


async def test_the_true_code_is_found_inside_a_wrapper():
    """BadRequest often wraps the code that matters (field: terraform-provider-fabric 693)."""
    error = await refused(
        answer(
            400,
            {
                "errorCode": "BadRequest",
                "message": "missing or invalid information",
                "moreDetails": [
                    {"errorCode": "PrincipalTypeNotSupported", "message": "Not for principals"},
                    {"relatedResource": {"resourceId": "1", "resourceType": "Workspace"}},
                ],
            },
            headers={"x-ms-public-api-error-code": "BadRequest"},
        )
    )
    assert "BadRequest" == error.code
    assert {"BadRequest", "PrincipalTypeNotSupported"} == error.codes
    assert "Not for principals" in error.message


async def test_the_header_stands_in_for_a_body_that_is_missing():
    """x-ms-public-api-error-code is on every recorded error."""
    error = await refused(
        answer(404, headers={"x-ms-public-api-error-code": "WorkspaceNotFound", "RequestId": "r"})
    )
    assert isinstance(error, NotFound)
    assert ("WorkspaceNotFound", "r") == (error.code, error.request_id)


@pytest.mark.parametrize(
    "body",
    [[], "text", 3, {"moreDetails": "x"}, {"moreDetails": [1, None]}, {"errorCode": 5}],
)
async def test_an_odd_error_body_still_gives_the_status(body):
    """Whatever shape an error has, it is reported as that status."""
    assert 400 == (await refused(answer(400, body))).status


async def test_an_azure_devops_error_is_known_by_its_type_key():
    """The typeKey is the code; message texts are localised."""
    error = await refused(
        answer(
            409,
            {
                "$id": "1",
                "message": "TF400948: A Git repository with the name x already exists.",
                "typeKey": "GitRepositoryNameAlreadyExistsException",
            },
            headers={"ActivityId": "a-1"},
        ),
        service=Service.AZURE_DEVOPS,
    )
    assert isinstance(error, Conflict)
    assert ("GitRepositoryNameAlreadyExistsException", "a-1") == (error.code, error.request_id)


@pytest.mark.parametrize(
    ("content", "headers", "said"),
    [
        (b"The controller was not found", {"content-type": "text/plain"}, "The controller"),
        (b"", {"X-TFS-ServiceError": "The%20controller+is%20gone"}, "The controller is gone"),
        (b'\xef\xbb\xbf{"message":"TF1"}', {}, "TF1"),
        (b'{"count":1,"value":{"Message":"old shape"}}', {}, "old shape"),
        (b"", {}, "no body"),
        (b"\xff\xfe\x00", {}, "404"),
    ],
)
def test_every_shape_of_azure_devops_error_is_read(content, headers, said):
    """Plain text, header only, BOM, the older shape, nothing at all."""
    error = error_from(
        Service.AZURE_DEVOPS,
        method="GET",
        path="/c/_apis/x",
        status=404,
        headers=httpx.Headers(headers),
        content=content,
    )
    assert said in error.message


async def test_a_throttling_error_says_how_long():
    """RequestBlocked carries its wait as a number."""
    with pytest.raises(Throttled) as caught:
        await transport_for(
            Script(
                answer(
                    429,
                    {"errorCode": "RequestBlocked", "message": "until: 9/2/2025"},
                    headers={"Retry-After": "59"},
                )
            )
        ).request("x", "GET", "/v1/x", deadline_s=30)
    assert (59.0, "RequestBlocked") == (caught.value.retry_after_s, caught.value.code)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred\x1b[0m\x07", "a [31mred [0m"),
        ("line1\r\n line2\t.", "line1 line2 ."),
        ("see https://user:p@ss@host/x?a=b@c", "see https://***@host/x?a=b@c"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("evil\u202etxt", "evil txt"),
        ("x" * 600, "x" * 499 + "…"),
    ],
)
def test_service_text_is_made_safe_to_show(text, shown):
    """No terminal escapes, no credentials, no novels."""
    assert shown == clean(text)
