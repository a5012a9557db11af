"""Every Fabric route, and what all Fabric answers have in common."""

from __future__ import annotations

import uuid
import zlib
from typing import TYPE_CHECKING

from reconciler.emulator.fabric import (
    bulk,
    connections,
    deploying,
    folders,
    git,
    history,
    identities,
    items,
    jobs,
    lro,
    networking,
    pipelines,
    relations,
    roles,
    typed,
    workspaces,
)
from reconciler.emulator.fabric.errors import problem
from reconciler.emulator.http import Answer, Call, Route

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "finish", "problem"]

ROUTES: list[Route] = [
    *lro.ROUTES,
    *workspaces.ROUTES,
    *identities.ROUTES,
    *roles.ROUTES,
    *folders.ROUTES,
    *items.ROUTES,
    *bulk.ROUTES,
    *jobs.ROUTES,
    *networking.ROUTES,
    *connections.ROUTES,
    *git.ROUTES,
    *relations.ROUTES,
    *pipelines.ROUTES,
    *deploying.ROUTES,
    *history.ROUTES,
    *typed.ROUTES,
]

_COMMON = {
    "Cache-Control": "no-store, must-revalidate, no-cache",
    "Pragma": "no-cache",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Access-Control-Expose-Headers": "RequestId",
}


def finish(world: World, call: Call | None, answer: Answer) -> Answer:
    """Add the headers that every answer carries.

    Source: fabric-api.md section 1, recorded. ``home-cluster-uri`` and ``request-redirected``
    come with answers of the API host only, not with those of a regional host.
    """
    request_id = None
    if isinstance(answer.body, dict):
        request_id = answer.body.get("requestId")
    headers = {**_COMMON, "RequestId": str(request_id or uuid.uuid4())}
    host = "" if call is None else call.headers.get("Host", "")
    regional = bool(host) and f"//{host}/" in f"{world.urls.location_url}/"
    if not regional:
        headers["home-cluster-uri"] = f"{world.urls.location_url}/"
        headers["request-redirected"] = "true"
    answer.headers = {**headers, **answer.headers}
    if call is not None and answer.status < 400:
        _compress(call, answer)
    else:
        # Error bodies are plain and mostly chunked (recorded 126 times).
        answer.chunked = True
    return answer


def _compress(call: Call, answer: Answer) -> None:
    """Send a success gzipped to a client that takes it. Source: section 1, recorded."""
    if answer.stream is not None or "gzip" not in call.headers.get("Accept-Encoding", "").lower():
        return
    content = answer.content()
    if not content:
        return
    if answer.content_type is None and answer.raw is None:
        answer.content_type = "application/json; charset=utf-8"
    # A small window: the usual one takes longer to set up than most answers take to compress.
    packer = zlib.compressobj(level=1, wbits=28, memLevel=5)
    answer.raw = packer.compress(content) + packer.flush()
    answer.headers["Content-Encoding"] = "gzip"
