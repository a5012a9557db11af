"""Connections to a service: aiohttp's pool behind httpx's interface.

httpx's own pool looks through all its connections at every request: at 32 at a time that took
seven times the processor time of this one (docs/performance.md). Only the connections are
aiohttp's; what a request is and what an answer means stays httpx's.
"""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from typing_extensions import override
from yarl import URL

__all__ = ["PooledNetwork", "goes_through_proxy"]

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
            async with self._opened().request(
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
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _as_httpx(error, request) from error
        return httpx.Response(
            answer.status, headers=answer.raw_headers, content=content, request=request
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


def goes_through_proxy(url: str) -> bool:
    """Tell whether the environment names a proxy for a URL; httpx then carries the requests."""
    parts = urlsplit(url)
    proxies = getproxies()
    named = proxies.get(parts.scheme) or proxies.get("all")
    return bool(named) and not proxy_bypass(parts.hostname or "")


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
