"""Every Fabric route, and what all Fabric answers have in common."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from reconciler.emulator.fabric import (
    connections,
    deploying,
    folders,
    git,
    history,
    items,
    lro,
    pipelines,
    relations,
    roles,
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
    *roles.ROUTES,
    *folders.ROUTES,
    *items.ROUTES,
    *connections.ROUTES,
    *git.ROUTES,
    *relations.ROUTES,
    *pipelines.ROUTES,
    *deploying.ROUTES,
    *history.ROUTES,
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
    return answer
