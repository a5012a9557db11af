"""Whole lists from paged calls, in both services' ways, without ever following a URL they give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from reconciler.clients.http import Response, Transport
from reconciler.clients.text import clean
from reconciler.errors import ClientError

__all__ = ["collect", "collect_by_header", "values_of"]


async def collect(
    transport: Transport,
    api: str,
    path: str,
    *,
    params: Mapping[str, str | int | bool] | None = None,
    key: str = "value",
) -> list[dict[str, Any]]:
    """Read every page of a Fabric list; order is the service's, pages may be empty.

    The token in the body is opaque and already URL-encoded, so it is decoded before the query is
    encoded again. The end is a token that is absent, null or empty. ``continuationUri`` is never
    followed: it may name another host.
    Source: fabric-api.md section 5 (spec, recorded).

    Raises:
        ClientError: an answer is not a list, or the service repeats a token.
    """
    what = f"GET {path}"
    values: list[dict[str, Any]] = []
    seen: set[str] = set()
    query = dict(params or {})
    while True:
        response = await transport.request(api, "GET", path, params=query)
        values += _elements(response, key, what)
        token = response.body.get("continuationToken")
        if not isinstance(token, str) or not token:
            return values
        _refuse_repeated(token, seen, what)
        query["continuationToken"] = unquote(token)


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
    seen: set[str] = set()
    query = dict(params)
    while True:
        response = await transport.request(api, "GET", path, params=query)
        values += _elements(response, "value", what)
        token = response.headers.get("x-ms-continuationtoken", "")
        if at_most is not None and len(values) >= at_most:
            return values[:at_most]
        if not token:
            return values
        _refuse_repeated(token, seen, what)
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


def _refuse_repeated(token: str, seen: set[str], what: str) -> None:
    if token in seen:
        raise ClientError(
            f"{what}: the service gave the continuation token {clean(token, limit=60)!r} twice, "
            "so the list would never end"
        )
    seen.add(token)
