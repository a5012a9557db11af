"""Our own connections, against a real server on loopback: nothing is lost, changed or repeated."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from reconciler.clients.body import read_content
from reconciler.clients.pool import PooledNetwork, network_to
from reconciler.errors import UsageError


@dataclass
class Server:
    """Answers each request with the next of its raw answers; nothing left cuts the connection."""

    answers: list[bytes]
    closes: bool = False
    port: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                length = next(
                    (
                        int(line.partition(b":")[2])
                        for line in head.split(b"\r\n")
                        if line.lower().startswith(b"content-length:")
                    ),
                    0,
                )
                self.bodies.append(await reader.readexactly(length))
                if not self.answers:
                    break
                writer.write(self.answers.pop(0))
                await writer.drain()
                if self.closes:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def http_answer(content: bytes = b"{}", status: str = "200 OK", headers: str = "") -> bytes:
    """A raw answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n{headers}\r\n"
    return head.encode() + content


@asynccontextmanager
async def served(
    *answers: bytes, closes: bool = False
) -> AsyncIterator[tuple[Server, httpx.AsyncClient]]:
    """A server and a client over our connections."""
    server = Server(list(answers), closes)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    network = PooledNetwork(2, secure=False)
    base_url = f"http://127.0.0.1:{server.port}"
    async with listener, httpx.AsyncClient(transport=network, base_url=base_url) as client:
        yield server, client


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "POST", "PATCH"])
async def test_nothing_is_sent_twice_when_the_connection_breaks(method):
    """Guards unknown outcomes: a cut connection is told, on a new one and on a kept one."""
    async with served() as (server, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.request(method, "/x")
        assert 1 == len(server.heads)
    async with served(http_answer()) as (server, client):
        await client.get("/x")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.request(method, "/x")
        assert (2, 1) == (len(server.heads), server.connections)


async def test_a_request_arrives_as_httpx_made_it():
    """Guards the wire: method, path with its quoting, headers once each, and the body."""
    async with served(http_answer()) as (server, client):
        await client.post("/v1/a%2Fb%20c/x?q=1%2F2&d=%24", json={"a": 1}, headers={"X-A": "b"})
    lines = server.heads[0].decode().split("\r\n")
    assert "POST /v1/a%2Fb%20c/x?q=1%2F2&d=%24 HTTP/1.1" == lines[0]
    names = [line.partition(":")[0].lower() for line in lines[1:] if line]
    assert sorted(set(names)) == sorted(names)
    assert f"host: 127.0.0.1:{server.port}" in [line.lower() for line in lines]
    assert "x-a: b" in [line.lower() for line in lines]
    assert b'{"a":1}' == server.bodies[0]


async def test_an_answer_arrives_as_it_was_sent():
    """Guards status, repeated headers, long headers and compressed bodies."""
    headers = f"Content-Encoding: gzip\r\nX-Two: 1\r\nX-Two: 2\r\nX-Long: {'a' * 20_000}\r\n"
    content = gzip.compress(b'{"found": true}')
    async with served(http_answer(content, "201 Created", headers)) as (_, client):
        found = await client.get("/x")
    assert (201, {"found": True}) == (found.status_code, found.json())
    assert ["1", "2"] == found.headers.get_list("x-two")
    assert 20_000 == len(found.headers["x-long"])


async def test_redirects_and_cookies_are_left_to_httpx():
    """Guards the token: no second request, and nothing is remembered below httpx."""
    headers = "Location: http://elsewhere.test/\r\nSet-Cookie: a=b\r\n"
    async with served(http_answer(b"", "302 Found", headers), http_answer()) as (server, client):
        found = await client.get("/x")
        client.cookies.clear()
        await client.get("/y")
    assert 302 == found.status_code
    assert b"cookie" not in server.heads[1].lower()


async def test_connections_are_kept_and_never_more_than_asked_for():
    """Guards the bound: ten calls over two connections."""
    async with served(*[http_answer()] * 10) as (server, client):
        await asyncio.gather(*(client.get(f"/{n}") for n in range(10)))
    assert (10, 2) == (len(server.heads), server.connections)


async def test_a_host_that_does_not_listen_is_a_failed_connect():
    """Guards "not sent": what never left may be repeated."""
    async with served() as (server, _):
        port = server.port
    async with httpx.AsyncClient(transport=PooledNetwork(1, secure=False)) as client:
        with pytest.raises(httpx.ConnectError):
            await client.post(f"http://127.0.0.1:{port}/x")


async def test_an_answer_that_does_not_come_in_time_is_a_read_timeout():
    """Guards the timeouts of a call, which httpx hands down."""
    release = asyncio.Event()

    async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    listener = await asyncio.start_server(never, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    network = PooledNetwork(1, secure=False)
    async with listener, httpx.AsyncClient(transport=network) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"http://127.0.0.1:{port}/x", timeout=httpx.Timeout(5, read=0.02))
        release.set()


async def test_an_answer_cut_in_the_middle_is_a_broken_connection():
    """Guards half answers: they never pass for whole ones."""
    whole = http_answer(b"x" * 100)
    async with served(whole[:-50], closes=True) as (_, client):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/x")


async def test_an_answer_is_read_only_as_far_as_its_reader_goes():
    """Guards memory: what nobody takes is left on the network, and the connection is given up."""
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 1_000_000_000:
                writer.write(b"x" * 65_536)
                sent += 65_536
                await writer.drain()
        writer.close()

    listener = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    network = PooledNetwork(1, secure=False)
    async with listener:
        answer = await network.handle_async_request(
            httpx.Request("GET", f"http://127.0.0.1:{port}/x")
        )
        found = await read_content(answer, most=1 << 20)
        await answer.aclose()
        await network.aclose()
    assert ("more than 1 MiB", 1 << 20) == (found.problem, len(found.data))
    assert sent < 64 << 20


async def test_a_packed_answer_is_unpacked_within_bounds():
    """Guards memory on the way that a service really takes: nothing below unpacks it first."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(b" " * (1 << 20)) for _ in range(512)) + packer.flush()
    async with served(http_answer(bomb, headers="Content-Encoding: gzip\r\n")) as (server, _):
        network = PooledNetwork(1, secure=False)
        answer = await network.handle_async_request(
            httpx.Request("GET", f"http://127.0.0.1:{server.port}/x")
        )
        tracemalloc.start()
        try:
            found = await read_content(answer, most=1 << 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            await answer.aclose()
            await network.aclose()
    assert ("more than 1 MiB", 1 << 20) == (found.problem, len(found.data))
    assert peak < 16 << 20


PROXY_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def environ(monkeypatch):
    """Set proxies, and no others."""

    def put(values: dict[str, str]) -> None:
        for name in PROXY_NAMES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.parametrize(
    ("values", "url", "proxied"),
    [
        ({}, "https://api.fabric.microsoft.com", False),
        ({"HTTPS_PROXY": "http://p:1"}, "https://api.fabric.microsoft.com", True),
        ({"HTTPS_PROXY": "p:1"}, "https://api.fabric.microsoft.com", True),
        ({"ALL_PROXY": "http://p:1"}, "https://api.fabric.microsoft.com", True),
        ({"HTTP_PROXY": "http://p:1"}, "https://api.fabric.microsoft.com", False),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": ".microsoft.com"},
            "https://api.fabric.microsoft.com",
            False,
        ),
        ({"HTTPS_PROXY": "http://p:1"}, "https://127.0.0.1:8443", False),
        ({"ALL_PROXY": "http://p:1"}, "http://[::1]:8080", False),
    ],
)
async def test_a_proxy_of_the_environment_is_left_to_httpx(environ, values, url, proxied):
    """Guards proxies: what httpx knows how to go through, our connections do not try."""
    environ(values)
    network = network_to(url, 2)
    await network.aclose()
    assert (httpx.AsyncHTTPTransport if proxied else PooledNetwork) is type(network)


@pytest.mark.parametrize("proxy", ["ftp://user:hidden@p:1", "http://p:notaport"])
def test_a_proxy_that_cannot_be_used_is_the_users_to_correct(environ, proxy):
    """Guards the message: no traceback, and no password of the proxy."""
    environ({"HTTPS_PROXY": proxy})
    with pytest.raises(UsageError, match="cannot be used") as told:
        network_to("https://api.fabric.microsoft.com", 2)
    assert "hidden" not in f"{told.value}{told.value.remedy}"
