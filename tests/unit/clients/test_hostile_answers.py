"""Answers that are too large, too deep, or packed: read within bounds, told plainly."""

import base64
import gzip
import itertools
import json
import threading
import tracemalloc
import zlib
from urllib.parse import quote, quote_plus

import httpx
import pytest

from reconciler.clients import body, paging
from reconciler.clients.auth import AzureIdentity
from reconciler.clients.body import read_content
from reconciler.clients.http import Service
from reconciler.clients.lro import Operation, Operations, operation_from
from reconciler.clients.paging import collect
from reconciler.clients.retry import retry_after_s
from reconciler.clients.secrets import Secrets, secrets_of
from reconciler.clock import ManualClock
from reconciler.errors import AuthFailed, ClientError, DeadlineExceeded, ServiceUnavailable

from .helpers import Script, answer, everything_said, transport_for


class Pieces(httpx.AsyncByteStream):
    """A body in pieces, counted as they are taken."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.taken = 0

    async def __aiter__(self):
        for piece in self.pieces:
            self.taken += 1
            yield piece


def streamed(*pieces: bytes, status: int = 200, **headers: str) -> httpx.Response:
    """Return an answer that is read as it comes."""
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return httpx.Response(
        status, headers={"content-type": "application/json", **named}, stream=Pieces(*pieces)
    )


@pytest.mark.parametrize(
    ("packing", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda raw: zlib.compress(raw, wbits=-15)),
        ("identity", lambda raw: raw),
    ],
    ids=["gzip", "deflate", "bare deflate", "identity"],
)
async def test_packed_answers_are_unpacked(packing, pack):
    """Whatever a service may answer with to what is accepted."""
    raw = b'{"value": 1}'
    packed = pack(raw)
    script = Script(streamed(packed[:5], b"", packed[5:], content_encoding=packing))

    assert {"value": 1} == (await transport_for(script).request("a", "GET", "/x")).body
    assert "gzip, deflate" == script.seen[0].headers["accept-encoding"]


async def test_a_gigabyte_packed_into_a_megabyte_is_not_unpacked():
    """Memory stays within a small multiple of the bound."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(1024)) + packer.flush()
    tracemalloc.start()
    try:
        found = await read_content(streamed(bomb, content_encoding="gzip"), most=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert "more than 1 MiB" == found.problem
    assert 1 << 20 == len(found.data)
    assert peak < 8 << 20


async def test_an_endless_answer_is_not_read_to_its_end():
    """The rest stays where it is."""
    response = streamed(*[b"x" * 1000] * 100)
    found = await read_content(response, most=10_000)

    assert "more than 0 MiB" == found.problem
    assert 11 == response.stream.taken


@pytest.mark.parametrize(
    ("packing", "content"),
    [
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}"))),
        ("br", b"{}"),
        ("gzip", b"not packed"),
        ("gzip", gzip.compress(b'{"value": [1, 2, 3]}')[:-9]),
    ],
    ids=["packed twice", "not asked for", "not packed", "cut off"],
)
async def test_content_that_cannot_be_unpacked_is_told_and_not_repeated(packing, content):
    """The call may have been carried out: it is not sent again blindly."""
    script = Script(streamed(content, content_encoding=packing))
    with pytest.raises(ServiceUnavailable, match="200 with content"):
        await transport_for(script).request("a", "POST", "/x")

    assert 1 == len(script.seen)


@pytest.mark.parametrize("raw", [False, True])
async def test_an_answer_beyond_the_bound_is_an_error_and_never_a_shorter_one(raw):
    """The bound is told, also for raw content."""
    piece = b" " * (1 << 20)
    script = Script(streamed(*[piece] * (body.MOST_BYTES // len(piece) + 1)))
    with pytest.raises(ServiceUnavailable, match="200 with more than 128 MiB"):
        await transport_for(script).request("a", "GET", "/x", raw=raw)


async def test_json_nested_too_deep_is_an_answer_that_is_no_json():
    """The parser's recursion limit is not a bug of ours."""
    with pytest.raises(ServiceUnavailable, match="not JSON"):
        await transport_for(Script(streamed(b"[" * 100_000))).request("a", "GET", "/x")


async def test_half_a_character_in_an_answer_is_replaced_and_a_whole_one_kept():
    """A lone surrogate fits in no file and no URL; found by ``make fuzz``."""
    raw = b'{"a": "x\\ud800y", "b": "\\ud83d\\ude00", "\\uDFFF": 1}'
    response = await transport_for(Script(streamed(raw))).request("a", "GET", "/x")

    assert {"a": "x?y", "b": "\U0001f600", "?": 1} == response.body


@pytest.mark.parametrize(
    ("name", "bound"), [("_MOST_PAGES", 5), ("_MOST_BYTES", 60), ("_MOST_TIME_S", 40.0)]
)
async def test_a_list_whose_tokens_never_repeat_ends_at_a_bound(monkeypatch, name, bound):
    """By pages, by size, by time: none of them gives a shorter list."""
    monkeypatch.setattr(paging, name, bound)
    clock = ManualClock()
    sent = []

    def page(_: httpx.Request) -> httpx.Response:
        sent.append(1)
        clock.advance(10)
        return answer(200, {"value": [], "continuationToken": str(len(sent))})

    with pytest.raises(ClientError, match="given up"):
        await collect(transport_for(page, clock=clock), "a", "/x")

    assert len(sent) <= 6


@pytest.mark.parametrize(
    "location", ["https://[bad", "//attacker.example/v1/operations/1", "https://attacker.example"]
)
async def test_a_sign_in_redirect_to_an_odd_place_is_a_failed_sign_in(location):
    """The place is named if it can be, and nothing is sent there."""
    script = Script(httpx.Response(302, headers={"location": location}))
    with pytest.raises(AuthFailed, match="302: a redirect"):
        await transport_for(script, service=Service.AZURE_DEVOPS).request("a", "GET", "/x")

    assert 1 == len(script.seen)


async def test_an_operation_at_a_regional_host_is_polled_without_showing_the_token_to_it():
    """Start, polls and result all go to the configured host."""
    regional = "https://wabi-north-europe-redirect.analysis.windows.net/v1/operations/op-1"
    script = Script(
        answer(202, headers={"location": regional, "retry-after": "1"}),
        answer(200, {"status": "Running"}, headers={"location": regional, "retry-after": "7"}),
        answer(200, {"status": "Succeeded"}, headers={"location": f"{regional}/result"}),
        answer(200, {"ok": True}),
    )
    clock = ManualClock()
    transport = transport_for(script, clock=clock)
    begun = operation_from(await transport.request("begin", "POST", "/v1/x"))

    assert {"ok": True} == await Operations(transport).wait(begun)
    assert {"api.example.test"} == {request.url.host for request in script.seen}
    assert [1.0, 7.0] == clock.slept_s


@pytest.mark.parametrize("location", ["https://[bad", "x" * 10_000, "/v1/operations/../../y"])
async def test_an_odd_location_gives_no_operation_id(location):
    """An id is an id, or there is none."""
    response = await transport_for(Script(answer(202, headers={"location": location}))).request(
        "a", "POST", "/x"
    )

    assert operation_from(response).operation_id is None


@pytest.mark.parametrize(
    "told", ["Mon, 01 Jan 2024 00:00:00 -99999999999999", "9" * 400, "nan", "-inf", "soon"]
)
def test_an_absurd_retry_after_is_no_wait_that_never_ends(told):
    """Neither an exception nor an hour of silence."""
    wait_s = retry_after_s({"retry-after": told}, ManualClock().now())

    assert wait_s is None or wait_s == 0.0


# -- sign-in --


async def test_a_sign_in_that_hangs_ends_with_the_call_s_time_and_holds_up_no_exit():
    """Deadlines hold for what signs a call too; its thread does not outlive the process."""
    release = threading.Event()

    class Hanging:
        def get_token(self, *_scopes: str) -> None:
            release.wait(30)
            raise ValueError("too late")

    credential = AzureIdentity(Hanging, scope="s", description="azure-identity (test)")
    transport = transport_for(Script(), credential=credential, deadline_s=0.05)
    try:
        with pytest.raises(DeadlineExceeded, match=r"no token from azure-identity \(test\)"):
            await transport.request("a", "POST", "/x")
        waiting = [t for t in threading.enumerate() if t.name == "sign-in"]
        assert waiting
        assert all(thread.daemon for thread in waiting)
    finally:
        release.set()


async def test_a_token_is_renewed_between_two_polls_of_one_operation():
    """A long operation outlives its token, and is still followed to its end."""
    made = []

    class Source:
        def get_token(self, *_scopes: str):
            made.append(1)
            expires = int(clock.now().timestamp()) + 400
            return type("T", (), {"token": f"token-{len(made)}", "expires_on": expires})()

    clock = ManualClock()
    credential = AzureIdentity(Source, scope="s", description="d", clock=clock)
    running = answer(200, {"status": "Running"}, headers={"retry-after": "90"})
    script = Script(*[running] * 4, answer(200, {"status": "Succeeded"}))
    await Operations(transport_for(script, clock=clock, credential=credential)).wait(
        Operation("op", 90.0, None, done=False)
    )
    signed = [r.headers["authorization"] for r in script.seen]

    assert "Bearer token-1" == signed[0]
    assert len(set(signed)) > 1
    assert all(a <= b for a, b in itertools.pairwise(signed))


# -- secrets --

SECRET = 'p"ä/ss\\w+rd & <more>='


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        *(base64.b64encode(f"{'u' * n}:{SECRET} x".encode()).decode() for n in range(4)),
        base64.urlsafe_b64encode(f":{SECRET}".encode()).decode(),
    ],
)
async def test_a_secret_is_masked_in_every_form_a_service_may_repeat_it_in(form):
    """In an error, in its code, in a nested cause, in a header."""
    stated = {"errorCode": form, "message": form, "moreDetails": [{"message": form}]}
    script = Script(answer(400, stated, headers={"requestId": quote(SECRET)}))
    transport = transport_for(script, secrets=Secrets([SECRET]))
    with pytest.raises(ClientError) as caught:
        await transport.request("a", "POST", "/x")
    told = everything_said(caught.value)

    assert "***" in told
    assert form not in told
    assert not {"ss\\w", "w+rd", "w%2Brd"} & set(told.split())
    assert SECRET not in told


def test_secrets_are_found_in_the_environment_and_show_nothing_themselves():
    """Tokens, the spec's own variables, the key within a connection string."""
    environ = {
        "RECONCILER_FABRIC_TOKEN": " Bearer abcdefgh ",
        "MINE": "hunter2!",
        "AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=a2V5a2V5;EndpointSuffix=x",
        "PATH": "/usr/bin",
    }
    known = secrets_of(environ, ["MINE", "UNSET"])

    assert "*** *** *** /usr/bin" == known.masked("abcdefgh hunter2! a2V5a2V5 /usr/bin")
    assert "hunter2" not in repr(known)
    assert "as it was" == secrets_of({}).masked("as it was")


async def test_a_sign_in_error_that_repeats_the_client_secret_does_not_show_it():
    """azure-identity quotes what the sign-in service said."""

    class Source:
        def get_token(self, *_scopes: str) -> None:
            raise ValueError("invalid client secret hunter2!")

    credential = AzureIdentity(Source, scope="s", description="d", secrets=Secrets(["hunter2!"]))
    with pytest.raises(AuthFailed, match=r"client secret \*\*\*"):
        await credential.header()
