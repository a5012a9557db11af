"""The transport: what counts as success, what is repeated, and what never leaks."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import httpx
import pytest
from pydantic import SecretStr

from reconciler.clients.auth import StaticBearer
from reconciler.clients.http import Service, Transport, quote_segment
from reconciler.clock import ManualClock
from reconciler.errors import (
    ApiError,
    AuthFailed,
    ClientError,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InternalError,
    LockLost,
    NotFound,
    ServiceUnavailable,
    Throttled,
    TransportFailed,
    UsageError,
)

from .helpers import TOKEN, Script, answer, everything_said, transport_for


class Renewing:
    """A credential that gives another token at each refresh."""

    caller = "oid:1"

    def __init__(self) -> None:
        self.refreshes = 0

    async def header(self, *, refresh: bool = False) -> SecretStr:
        self.refreshes += refresh
        return SecretStr(f"Bearer token-{self.refreshes}")

    def describe(self) -> str:
        return "renewing"


async def test_a_success_is_returned_with_headers_and_body():
    """A JSON 200 becomes a Response whose headers ignore case."""
    script = Script(answer(200, {"id": "1"}, headers={"X-Thing": "a"}))
    response = await transport_for(script).request("things.get", "GET", "/v1/things/1")
    assert (200, {"id": "1"}, "a") == (response.status, response.body, response.headers["x-thing"])


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"null", "application/json; charset=utf-8"),
        (b"", "application/octet-stream"),
        (b"", None),
        (b"\xef\xbb\xbf", "application/json"),
    ],
)
async def test_null_and_empty_bodies_are_none(content, content_type):
    """A 202 whose body is the literal null, an empty octet-stream and a lone BOM carry nothing."""
    headers = {"content-type": content_type} if content_type else {}
    script = Script(httpx.Response(202, content=content, headers=headers))
    response = await transport_for(script).request("x", "POST", "/v1/x")
    assert response.body is None


async def test_a_byte_order_mark_before_json_is_ignored():
    """Gateways put a BOM before JSON."""
    body = b'\xef\xbb\xbf{"a": 1}'
    script = Script(httpx.Response(200, content=body, headers={"content-type": "application/json"}))
    response = await transport_for(script).request("x", "GET", "/v1/x")
    assert {"a": 1} == response.body


async def test_every_request_is_signed_and_names_the_tool():
    """Authorization, User-Agent and Accept go with each request; Fabric gets no TFS header."""
    script = Script(answer(200, {}))
    await transport_for(script).request("x", "GET", "/v1/x")
    sent = script.seen[0].headers
    assert f"Bearer {TOKEN}" == sent["authorization"]
    assert sent["user-agent"].startswith("fabric-reconciler/")
    assert "application/json" == sent["accept"]
    assert "x-tfs-fedauthredirect" not in sent


async def test_azure_devops_is_asked_not_to_redirect_to_a_sign_in_page():
    """The Suppress header turns a sign-in redirect into a 401."""
    script = Script(answer(200, {}))
    transport = transport_for(script, service=Service.AZURE_DEVOPS)
    await transport.request("x", "GET", "/c/_apis/x")
    assert "Suppress" == script.seen[0].headers["x-tfs-fedauthredirect"]


async def test_query_values_are_encoded_and_booleans_are_lower_case():
    """True is sent as true, blanks and slashes are encoded once."""
    script = Script(answer(200, {}))
    await transport_for(script).request(
        "x", "GET", "/v1/x", params={"a": True, "b": "x y/&", "$top": 3}
    )
    assert "/v1/x?a=true&b=x+y%2F%26&%24top=3" == script.paths[0]


async def test_a_quoted_segment_arrives_as_it_was_quoted():
    """A slash in a name stays inside its segment."""
    script = Script(answer(200, {}))
    await transport_for(script).request("x", "GET", f"/v1/{quote_segment('Sales/EU 1%')}/x")
    assert "/v1/Sales%2FEU%201%25/x" == script.paths[0]


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_segment_that_would_change_the_path_is_refused(value):
    """Dots and nothing cannot be an id."""
    with pytest.raises(ClientError):
        quote_segment(value)


@pytest.mark.parametrize("path", ["v1/x", "//evil.test/x", "/x?token=1", "/x#y"])
async def test_a_path_that_could_leave_the_origin_is_a_bug(path):
    """Nothing but a path below the base URL is ever requested."""
    script = Script()
    with pytest.raises(InternalError):
        await transport_for(script).request("x", "GET", path)
    assert [] == script.seen


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://dev.azure.com/", "https://dev.azure.com"),
        ("https://tfs.test:8080/tfs/", "https://tfs.test:8080/tfs"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("http://LOCALHOST:1", "http://LOCALHOST:1"),
    ],
)
async def test_https_and_loopback_http_are_accepted(url, kept):
    """The base URL loses only its trailing slash."""
    async with transport_for(Script(), base_url=url) as transport:
        assert kept == transport.base_url


@pytest.mark.parametrize(
    "url",
    [
        "http://api.fabric.microsoft.com",
        "http://127.0.0.1.evil.test",
        "http://localhost.evil.test",
        "ftp://127.0.0.1",
        "api.fabric.microsoft.com",
        "https://",
        "https://user:pw@dev.azure.com",
        "https://dev.azure.com/?a=b",
        "https://dev.azure.com:notaport",
    ],
)
def test_urls_that_would_expose_the_token_are_wrong_usage(url):
    """Plain http beyond loopback, userinfo, queries and non-URLs are refused at once."""
    with pytest.raises(UsageError) as caught:
        transport_for(Script(), base_url=url)
    assert "pw" not in caught.value.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ApiError),
        (401, AuthFailed),
        (403, Forbidden),
        (404, NotFound),
        (409, Conflict),
        (422, ApiError),
        (500, ServiceUnavailable),
        (503, ServiceUnavailable),
        (501, ServiceUnavailable),
    ],
)
async def test_each_status_has_its_exception(status, kind):
    """The class follows from the status alone; a write is not repeated on any of them."""
    script = Script(*[answer(status, {"errorCode": "X", "message": "m"}) for _ in range(2)])
    with pytest.raises(ApiError) as caught:
        await transport_for(script).request("x", "POST", "/v1/x")
    assert kind is type(caught.value)
    assert (2 if status == 401 else 1) == len(script.seen)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_a_read_is_repeated_after_a_transient_error(status):
    """GET survives an outage; each attempt is counted."""
    script = Script(answer(status), answer(200, {"ok": True}))
    transport = transport_for(script)
    response = await transport.request("x.get", "GET", "/v1/x")
    assert {"ok": True} == response.body
    assert 2 == transport.requests["x.get"]


async def test_a_read_gives_up_after_six_failures_with_growing_waits():
    """An outage is reported as the service's own error, after waits that grow."""
    clock = ManualClock()
    script = Script(*[answer(503) for _ in range(6)])
    with pytest.raises(ServiceUnavailable):
        await transport_for(script, clock=clock).request("x", "GET", "/v1/x")
    assert 6 == len(script.seen)
    assert 5 == len(clock.slept_s)
    assert all(0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(clock.slept_s))


async def test_retry_after_wins_over_the_backoff():
    """A 503 that says when to come back is obeyed exactly."""
    clock = ManualClock()
    script = Script(answer(503, headers={"Retry-After": "17"}), answer(200, {}))
    await transport_for(script, clock=clock).request("x", "GET", "/v1/x")
    assert [17.0] == clock.slept_s


async def test_a_post_marked_safe_is_repeated_like_a_read():
    """Reads that happen to be POSTs may be repeated."""
    script = Script(httpx.ReadError("reset"), answer(200, {}))
    await transport_for(script).request("x", "POST", "/v1/x", safe=True)
    assert 2 == len(script.seen)


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT"])
@pytest.mark.parametrize(
    "error", [httpx.ReadError("reset"), httpx.RemoteProtocolError("closed"), httpx.WriteError("x")]
)
async def test_a_write_with_an_unknown_outcome_is_not_repeated(method, error):
    """After sending, a lost answer is reported as possibly carried out."""
    script = Script(error)
    with pytest.raises(TransportFailed) as caught:
        await transport_for(script).request("x", method, "/v1/x")
    assert caught.value.sent is True
    assert 1 == len(script.seen)


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")],
)
async def test_what_was_never_sent_is_repeated_for_every_method(error):
    """A refused connection cannot have had an effect."""
    script = Script(error, answer(201, {"id": "1"}))
    response = await transport_for(script).request("x", "POST", "/v1/x")
    assert {"id": "1"} == response.body


async def test_a_host_that_stays_unreachable_is_reported_as_not_sent():
    """The failure says so, names the host and tells nothing else."""
    script = Script(*[httpx.ConnectError("refused") for _ in range(6)])
    with pytest.raises(TransportFailed) as caught:
        await transport_for(script).request("x", "POST", "/v1/x")
    assert caught.value.sent is False
    assert "api.example.test" in caught.value.message


async def test_an_untrusted_certificate_is_not_tried_again():
    """Trust does not come by waiting; the remedy names SSL_CERT_FILE."""
    script = Script(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    with pytest.raises(TransportFailed) as caught:
        await transport_for(script).request("x", "GET", "/v1/x")
    assert "SSL_CERT_FILE" in caught.value.remedy
    assert 1 == len(script.seen)


async def test_a_write_that_is_not_answered_in_time_may_have_been_done():
    """A read timeout of a write used all its time."""
    script = Script(httpx.ReadTimeout("slow"))
    with pytest.raises(DeadlineExceeded) as caught:
        await transport_for(script).request("x", "POST", "/v1/x", deadline_s=60)
    assert caught.value.sent is True
    assert "60 s" in caught.value.message


async def test_timeouts_of_each_attempt_come_from_what_is_left():
    """A safe call waits 60 s at most per attempt, a write until the end, connecting 10 s."""
    script = Script(answer(200, {}), answer(200, {}), answer(200, {}))
    transport = transport_for(script)
    await transport.request("x", "GET", "/v1/x", deadline_s=120)
    await transport.request("x", "POST", "/v1/x", deadline_s=120)
    await transport.request("x", "POST", "/v1/x", deadline_s=4)
    timeouts = [request.extensions["timeout"] for request in script.seen]
    assert [60, 120, 4] == [timeout["read"] for timeout in timeouts]
    assert [10, 10, 4] == [timeout["connect"] for timeout in timeouts]


async def test_a_hanging_service_is_cut_off_at_the_deadline():
    """The deadline holds even when the network layer never times out by itself."""
    hang = asyncio.Event()

    async def never(_: httpx.Request) -> httpx.Response:
        await hang.wait()
        return answer(200, {})

    transport = transport_for(never)
    with pytest.raises(DeadlineExceeded) as caught:
        await transport.request("x", "POST", "/v1/x", deadline_s=0.02)
    assert caught.value.sent is True


async def test_repeats_of_a_connection_stop_at_the_deadline():
    """The message says what was tried and for how long."""
    script = Script(*[httpx.ConnectError("refused") for _ in range(6)])
    with pytest.raises(DeadlineExceeded) as caught:
        await transport_for(script).request("x", "GET", "/v1/x", deadline_s=1.0)
    assert "refused" in caught.value.message
    assert "1 s allowed" in caught.value.message


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_throttled_call_waits_exactly_as_told(method):
    """429 means nothing was done, so every method waits and repeats."""
    clock = ManualClock()
    script = Script(answer(429, headers={"Retry-After": "54"}), answer(200, {}))
    await transport_for(script, clock=clock).request("x", method, "/v1/x")
    assert [54.0] == clock.slept_s


async def test_a_throttled_call_without_a_hint_waits_by_itself():
    """Without Retry-After the waits start at some seconds and grow."""
    clock = ManualClock()
    script = Script(answer(429), answer(429), answer(200, {}))
    await transport_for(script, clock=clock).request("x", "GET", "/v1/x")
    assert 2.5 <= clock.slept_s[0] <= 5
    assert 5 <= clock.slept_s[1] <= 10


@pytest.mark.parametrize("told", ["Thu, 01 Jan 2026 00:00:30 GMT", "30", "30.0", " 30 "])
async def test_retry_after_may_be_seconds_or_a_date(told):
    """Both forms of the header mean the same wait."""
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    script = Script(answer(429, headers={"Retry-After": told}), answer(200, {}))
    await transport_for(script, clock=clock).request("x", "GET", "/v1/x")
    assert [30.0] == clock.slept_s


@pytest.mark.parametrize("told", ["soon", "nan", "inf", "-5", "0"])
async def test_a_senseless_retry_after_does_not_stall_or_spin(told):
    """Nonsense, endless and zero waits fall back to our own."""
    clock = ManualClock()
    script = Script(answer(429, headers={"Retry-After": told}), answer(200, {}))
    await transport_for(script, clock=clock).request("x", "GET", "/v1/x")
    assert 1 == len(clock.slept_s)
    assert 2.5 <= clock.slept_s[0] <= 5


async def test_a_wait_beyond_the_deadline_is_reported_at_once():
    """Throttled carries the wait; nobody waits for nothing."""
    clock = ManualClock()
    script = Script(answer(429, headers={"Retry-After": "300"}))
    with pytest.raises(Throttled) as caught:
        await transport_for(script, clock=clock).request("x", "GET", "/v1/x")
    assert 300.0 == caught.value.retry_after_s
    assert [] == clock.slept_s


async def test_one_throttled_call_holds_back_the_others_of_the_same_api():
    """Throttling is per API: the same one waits, another one goes ahead."""
    clock = ManualClock()
    script = Script(answer(429, headers={"Retry-After": "300"}), answer(200, {}), answer(200, {}))
    transport = transport_for(script, clock=clock)
    with pytest.raises(Throttled):
        await transport.request("folders.list", "GET", "/v1/a")
    await transport.request("items.list", "GET", "/v1/b")
    assert [] == clock.slept_s
    with pytest.raises(DeadlineExceeded) as caught:
        await transport.request("folders.list", "GET", "/v1/c")
    assert caught.value.sent is False
    assert "folders.list" in caught.value.message
    clock.advance(300)
    await transport.request("folders.list", "GET", "/v1/c")
    assert ["/v1/a", "/v1/b", "/v1/c"] == script.paths


async def test_concurrent_calls_of_a_throttled_api_start_after_the_wait():
    """No request of that API is sent inside the window the service closed."""
    clock = ManualClock()
    sent_at: list[float] = []
    closed_until_s = 0.0

    def fixed_window(_: httpx.Request) -> httpx.Response:
        nonlocal closed_until_s
        sent_at.append(clock.monotonic_s())
        if len(sent_at) == 1:
            closed_until_s = clock.monotonic_s() + 40
            return answer(429, headers={"Retry-After": "40"})
        return answer(200, {})

    transport = transport_for(fixed_window, clock=clock)
    await transport.request("x", "GET", "/v1/first")
    await asyncio.gather(*(transport.request("x", "GET", f"/v1/{n}") for n in range(5)))
    assert 7 == len(sent_at)
    assert all(moment >= closed_until_s for moment in sent_at[1:])


async def test_azure_devops_slowing_down_with_a_200_is_obeyed():
    """Retry-After on a success holds the next call of that API."""
    clock = ManualClock()
    script = Script(answer(200, {}, headers={"Retry-After": "12"}), answer(200, {}))
    transport = transport_for(script, service=Service.AZURE_DEVOPS, clock=clock)
    await transport.request("x", "GET", "/c/_apis/x")
    await transport.request("x", "GET", "/c/_apis/x")
    assert [12.0] == clock.slept_s


async def test_fabric_polling_hints_do_not_hold_other_operations():
    """On Fabric a 200 with Retry-After belongs to one operation."""
    clock = ManualClock()
    script = Script(answer(200, {}, headers={"Retry-After": "20"}), answer(200, {}))
    transport = transport_for(script, clock=clock)
    await transport.request("operations.get", "GET", "/v1/operations/a")
    await transport.request("operations.get", "GET", "/v1/operations/b")
    assert [] == clock.slept_s


async def test_an_expired_token_is_renewed_once_and_the_call_repeated():
    """401 means not carried out, also for a write."""
    script = Script(
        answer(401, {"errorCode": "TokenExpired", "message": "expired"}), answer(201, {"id": "1"})
    )
    credential = Renewing()
    await transport_for(script, credential=credential).request("x", "POST", "/v1/x")
    assert ["Bearer token-0", "Bearer token-1"] == [r.headers["authorization"] for r in script.seen]


async def test_a_second_401_is_an_authentication_failure():
    """There is one renewal, not a loop."""
    script = Script(answer(401), answer(401))
    credential = Renewing()
    with pytest.raises(AuthFailed) as caught:
        await transport_for(script, credential=credential).request("x", "GET", "/v1/x")
    assert 1 == credential.refreshes
    assert "RECONCILER_FABRIC_TOKEN" in caught.value.remedy


@pytest.mark.parametrize(
    "page",
    [
        httpx.Response(302, headers={"location": "https://spsprod.test/_signin?reply_to=x"}),
        httpx.Response(203, html="<html>Sign in</html>"),
        httpx.Response(203, json={}),
        httpx.Response(200, html="<html>Sign in</html>"),
        httpx.Response(301, headers={"location": "https://elsewhere.test/"}),
    ],
)
@pytest.mark.parametrize("service", list(Service))
async def test_a_sign_in_page_is_not_success_and_no_redirect_is_followed(page, service):
    """302, 203 and HTML with a 2xx mean: not signed in."""
    script = Script(page)
    with pytest.raises(AuthFailed) as caught:
        await transport_for(script, service=service).request("x", "GET", "/v1/x")
    assert 1 == len(script.seen)
    assert caught.value.remedy
    assert "reply_to" not in caught.value.message


async def test_a_gateway_page_with_503_is_an_outage_not_a_sign_in():
    """HTML from a gateway is named, not quoted, and repeated for reads."""
    script = Script(*[httpx.Response(503, html="<html>busy</html>") for _ in range(6)])
    with pytest.raises(ServiceUnavailable) as caught:
        await transport_for(script).request("x", "GET", "/v1/x")
    assert "HTML page" in caught.value.message
    assert "<html>" not in caught.value.message


@pytest.mark.parametrize(
    "odd",
    [
        httpx.Response(200, text="hello"),
        httpx.Response(200, content=b"{oops", headers={"content-type": "application/json"}),
        httpx.Response(200, content=b"\xff\xfe", headers={"content-type": "application/json"}),
    ],
)
async def test_a_200_without_json_is_an_error(odd):
    """Something answering in the service's place is never taken for an empty list."""
    with pytest.raises(ServiceUnavailable):
        await transport_for(Script(odd)).request("x", "GET", "/v1/x")


async def test_no_secret_reaches_errors_or_logs(caplog):
    """Token, query and body stay out of messages, remedies, causes and the request log."""
    caplog.set_level(logging.DEBUG, logger="reconciler.http")
    echo = f"bad token {TOKEN} for https://user:pass@src.test/x"
    script = Script(
        answer(400, {"errorCode": "E", "message": echo}), httpx.ReadError(f"lost Bearer {TOKEN}")
    )
    transport = transport_for(script)
    said = ""
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            await transport.request(
                "x", "POST", "/v1/x", params={"q": "query-secret"}, json={"b": "body-secret"}
            )
        said += everything_said(caught.value).replace(f"lost Bearer {TOKEN}", "")
    said += caplog.text + repr(transport)
    for secret in (TOKEN, "query-secret", "body-secret", "user:pass"):
        assert secret not in said
    assert "POST /v1/x -> 400" in caplog.text


async def test_a_refused_call_made_through_real_sockets_is_repeated_then_reported():
    """The real network layer reports a closed port as never sent."""
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with Transport(
        service=Service.FABRIC,
        base_url=f"http://127.0.0.1:{port}",
        credential=StaticBearer(SecretStr(TOKEN), source="T"),
        clock=ManualClock(),
    ) as transport:
        with pytest.raises(TransportFailed) as caught:
            await transport.request("x", "POST", "/v1/x")
    assert caught.value.sent is False
    assert 6 == transport.requests["x"]


async def test_an_answer_cut_short_on_a_real_socket_is_an_unknown_outcome():
    """A server that takes a write and hangs up leaves its effect unknown."""
    hits = 0

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hits
        hits += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        Transport(
            service=Service.FABRIC,
            base_url=f"http://localhost:{port}",
            credential=StaticBearer(SecretStr(TOKEN), source="T"),
            clock=ManualClock(),
        ) as transport,
    ):
        with pytest.raises(TransportFailed) as caught:
            await transport.request("x", "POST", "/v1/x")
    assert caught.value.sent is True
    assert 1 == hits


async def test_loopback_is_never_sent_through_a_proxy(monkeypatch):
    """A proxy from the environment must not see local calls."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        Transport(
            service=Service.FABRIC,
            base_url=f"http://127.0.0.1:{port}",
            credential=StaticBearer(SecretStr(TOKEN), source="T"),
            clock=ManualClock(),
        ) as transport,
    ):
        response = await transport.request("x", "GET", "/v1/x")
    assert 204 == response.status


class Fence:
    """Lets so many requests through."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.asked = 0

    async def __call__(self) -> None:
        self.asked += 1
        if self.asked > self.left:
            raise LockLost("the lock is gone")


async def test_the_fence_is_asked_before_every_request_that_may_write_and_no_other():
    """Guards that a repeat is fenced as the first try is, and that reading goes on without."""
    fence = Fence(10)
    script = Script(answer(200, {}), answer(429), answer(401), answer(200, {}), answer(200, {}))
    async with transport_for(script, credential=Renewing(), fence=fence) as transport:
        await transport.request("a", "GET", "/x")
        await transport.request("b", "POST", "/x")
        await transport.request("c", "DELETE", "/x")
    assert 5 == len(script.seen)
    assert 4 == fence.asked


async def test_what_the_fence_stops_is_not_sent():
    """Guards the last moment: the wait for a throttled call is over, and the lock is gone."""
    script = Script(answer(429), answer(200, {}))
    async with transport_for(script, fence=Fence(1)) as transport:
        with pytest.raises(LockLost):
            await transport.request("a", "POST", "/x")
    assert 1 == len(script.seen)
