"""Connections to a service: aiohttp's pool behind httpx's interface.

httpx's own pool looks through all its connections at every request: at 32 at a time that took
seven times the processor time of this one (docs/performance.md). Only the connections are
aiohttp's; what a request is and what an answer means stays httpx's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from typing_extensions import override
from yarl import URL

from reconciler.clients.text import clean, is_loopback
from reconciler.errors import UsageError

__all__ = ["PooledNetwork", "network_to"]

# Tokens of an organization come in headers of some kilobytes; aiohttp's own bound is 8,190.
_LONGEST_HEADER = 65_536


class PooledNetwork(httpx.AsyncBaseTransport):
    """Carries requests over kept connections; nothing is repeated, redirected or remembered.

    Args:
        connections: the most connections open at once.
        secure: whether certificates will have to be checked.
    """

    def __init__(self, connections: int, *, secure: bool) -> None:
        self._connections = connections
        self._secure = secure
        self._session: aiohttp.ClientSession | None = None

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        allowed = request.extensions.get("timeout", {})
        try:
            answer = await self._opened().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=body or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None,
                    connect=allowed.get("pool"),
                    sock_connect=allowed.get("connect"),
                    sock_read=allowed.get("read"),
                ),
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _as_httpx(error, request) from error
        # As a stream, and packed as it came: whoever reads it knows how much of it to take.
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, request),
            request=request,
        )

    @override
    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, which can only be opened inside a running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections,
                    # The same trust as httpx: SSL_CERT_FILE, else the certificates it brings.
                    ssl=httpx.create_ssl_context() if self._secure else True,
                ),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=_LONGEST_HEADER,
                max_field_size=_LONGEST_HEADER,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
            # It would send a GET, PUT or DELETE again by itself when the connection breaks. There
            # is no public switch; a test sees to it that nothing is repeated.
            self._session._retry_connection = False
        return self._session


class _Body(httpx.AsyncByteStream):
    """The content of an answer, piece by piece as it comes from the network."""

    def __init__(self, answer: aiohttp.ClientResponse, request: httpx.Request) -> None:
        self._answer = answer
        self._request = request

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._answer.content.iter_any():
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _as_httpx(error, self._request) from error

    @override
    async def aclose(self) -> None:
        # A connection whose answer was read to the end is kept already; another one is of no use.
        self._answer.close()


def network_to(url: str, connections: int) -> httpx.AsyncBaseTransport:
    """Return what carries requests to a service: our connections, or httpx's through a proxy.

    A proxy from the environment must not see what is meant for this machine.

    Raises:
        UsageError: the environment names a proxy that cannot be gone through.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    proxy = None if is_loopback(parts.hostname or "") else _proxy_of(url)
    if proxy is None:
        return PooledNetwork(connections, secure=secure)
    try:
        return httpx.AsyncHTTPTransport(
            proxy=proxy,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise UsageError(
            f"the proxy that the environment names for {parts.scheme}://{parts.netloc} cannot be "
            f"used: {clean(str(error), limit=200)}",
            remedy="Correct HTTPS_PROXY or ALL_PROXY (http://HOST:PORT or https://HOST:PORT), or "
            "name the host in NO_PROXY.",
        ) from None


def _proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL."""
    parts = urlsplit(url)
    proxies = getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all")
    if not named or proxy_bypass(parts.netloc):
        return None
    return named if "://" in named else f"http://{named}"


def _as_httpx(error: Exception, request: httpx.Request) -> httpx.TransportError:
    """Say an error of aiohttp in httpx's terms, which tell whether anything was sent."""
    kind: type[httpx.TransportError]
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        kind = httpx.ConnectTimeout
    elif isinstance(error, TimeoutError):
        kind = httpx.ReadTimeout
    elif isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientConnectorCertificateError):
        kind = httpx.ConnectError
    elif isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        kind = httpx.RemoteProtocolError
    else:
        kind = httpx.ReadError
    return kind(str(error) or type(error).__name__, request=request)
