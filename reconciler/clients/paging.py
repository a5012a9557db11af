"""Whole lists from paged calls, in both services' ways, without ever following a URL they give."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from reconciler.clients.http import Response, Transport
from reconciler.clients.text import clean
from reconciler.errors import ClientError

__all__ = ["collect", "collect_by_header", "pages", "values_of"]

_MOST_PAGES = 10_000
_MOST_BYTES = 512 * 1024 * 1024
_MOST_TIME_S = 3600.0
"""Bounds of one list, an order of magnitude beyond the largest tenants. They are for a service
that never comes to an end; a list that is cut off is an error, never a shorter list.
"""


async def pages(
    transport: Transport,
    api: str,
    path: str,
    *,
    params: Mapping[str, str | int | bool] | None = None,
    key: str = "value",
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the pages of a Fabric list; order is the service's, pages may be empty.

    The token in the body is opaque and already URL-encoded, so it is decoded before the query is
    encoded again. The end is a token that is absent, null or empty. ``continuationUri`` is never
    followed: it may name another host.
    Source: fabric-api.md section 5 (spec, recorded).

    Raises:
        ClientError: an answer is not a list, or the service repeats a token.
    """
    what = f"GET {path}"
    bounds = _Bounds(what, transport.clock.monotonic_s() + _MOST_TIME_S)
    query = dict(params or {})
    while True:
        response = await transport.request(api, "GET", path, params=query)
        yield _elements(response, key, what)
        token = response.body.get("continuationToken")
        if not isinstance(token, str) or not token:
            return
        bounds.page(response, token, transport.clock.monotonic_s())
        query["continuationToken"] = unquote(token)


async def collect(
    transport: Transport,
    api: str,
    path: str,
    *,
    params: Mapping[str, str | int | bool] | None = None,
    key: str = "value",
) -> list[dict[str, Any]]:
    """Read every page of a Fabric list, as ``pages`` yields them.

    Raises:
        ClientError: an answer is not a list, or the service repeats a token.
    """
    values: list[dict[str, Any]] = []
    async for page in pages(transport, api, path, params=params, key=key):
        values += page
    return values


async def collect_by_header(
    transport: Transport,
    api: str,
    path: str,
    *,
    params: Mapping[str, str | int | bool],
    at_most: int | None = None,
) -> list[dict[str, Any]]:
    """Read every page of an Azure DevOps list; the next token comes in a header, not encoded.

    ``at_most`` stops early. Source: azure-devops-import.md section 3, Refs (spec).

    Raises:
        ClientError: an answer is not a list, or the service repeats a token.
    """
    what = f"GET {path}"
    values: list[dict[str, Any]] = []
    bounds = _Bounds(what, transport.clock.monotonic_s() + _MOST_TIME_S)
    query = dict(params)
    while True:
        response = await transport.request(api, "GET", path, params=query)
        values += _elements(response, "value", what)
        token = response.headers.get("x-ms-continuationtoken", "")
        if at_most is not None and len(values) >= at_most:
            return values[:at_most]
        if not token:
            return values
        bounds.page(response, token, transport.clock.monotonic_s())
        query["continuationToken"] = token


def values_of(response: Response, what: str) -> list[dict[str, Any]]:
    """Return the ``value`` of a list answer that is not paged."""
    return _elements(response, "value", what)


def _elements(response: Response, key: str, what: str) -> list[dict[str, Any]]:
    """Return a page's elements; an answer without the list is an error, never an empty list."""
    body = response.body
    if not isinstance(body, dict) or key not in body:
        raise ClientError(f"{what}: the answer has no {key!r} list")
    values = [] if body[key] is None else body[key]
    if not isinstance(values, list) or not all(isinstance(v, dict) for v in values):
        raise ClientError(f"{what}: {key!r} in the answer is not a list of objects")
    return values


@dataclass(slots=True)
class _Bounds:
    """What one list may cost before it is given up."""

    what: str
    end_s: float
    size: int = 0
    seen: set[str] = field(default_factory=set)

    def page(self, response: Response, token: str, now_s: float) -> None:
        """Count a page after which another one is to be read.

        Raises:
            ClientError: the service would never come to an end.
        """
        self.size += response.size
        if token in self.seen:
            raise ClientError(
                f"{self.what}: the service gave the continuation token "
                f"{clean(token, limit=60)!r} twice, so the list would never end"
            )
        self.seen.add(token)
        if len(self.seen) >= _MOST_PAGES or self.size > _MOST_BYTES or now_s > self.end_s:
            raise ClientError(
                f"{self.what}: the list goes on after {len(self.seen):,} pages with "
                f"{self.size >> 20:,} MiB, and is given up",
                remedy="This is more than any list should hold: see that the address of the "
                "service is right, or report it.",
            )
