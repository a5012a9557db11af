"""Fabric's error shape, and the way a handler ends a call with it.

Every message of the emulator that a client may show stands where it is raised; only the shape and
the few errors that many routes share are here.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler.emulator.http import Answer, Problem, Refused

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "OperationFailed",
    "body",
    "detail",
    "forbidden",
    "invalid",
    "not_found",
    "problem",
    "refuse",
    "related",
]

CODE_HEADER = "x-ms-public-api-error-code"


class OperationFailed(Exception):
    """Raised by the effect of a long-running operation: it ends as Failed with this error.

    Source: fabric-api.md section 2.4, field: the real cause sits in ``moreDetails``.
    """

    def __init__(self, code: str, message: str, more: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.more = list(more)

    def wire(self) -> dict[str, Any]:
        """Return the ``error`` member of the operation's state."""
        found: dict[str, Any] = {"errorCode": self.code, "message": self.message}
        if self.more:
            found["moreDetails"] = self.more
        return found


def related(kind: str, resource_id: str) -> dict[str, str]:
    """Return a ``relatedResource`` member."""
    return {"resourceId": resource_id, "resourceType": kind}


def detail(code: str, message: str, resource: dict[str, str] | None = None) -> dict[str, Any]:
    """Return one entry of ``moreDetails``."""
    found: dict[str, Any] = {"errorCode": code, "message": message}
    if resource is not None:
        found["relatedResource"] = resource
    return found


def body(
    code: str,
    message: str,
    *,
    more: Sequence[dict[str, Any]] | None = None,
    resource: dict[str, str] | None = None,
    retriable: bool | None = None,
) -> dict[str, Any]:
    """Return an error body, its keys in the recorded order.

    Source: fabric-api.md section 3.1, recorded.
    """
    found: dict[str, Any] = {"requestId": str(uuid.uuid4()), "errorCode": code}
    if more is not None:
        found["moreDetails"] = list(more)
    found["message"] = message
    if resource is not None:
        found["relatedResource"] = resource
    if retriable is not None:
        found["isRetriable"] = retriable
    return found


def refuse(
    status: int,
    code: str,
    message: str,
    *,
    more: Sequence[dict[str, Any]] | None = None,
    resource: dict[str, str] | None = None,
    retriable: bool | None = None,
) -> Refused:
    """Return the exception that ends the call with this error.

    The header repeats the top-level code (source: fabric-api.md section 3.1, recorded 126/126).
    """
    content = body(code, message, more=more, resource=resource, retriable=retriable)
    return Refused(Answer(status, content, headers={CODE_HEADER: code}))


def invalid(message: str, *, code: str = "InvalidInput") -> Refused:
    """Return the refusal of a request whose content is wrong: 400 with a general code."""
    return refuse(
        400,
        "BadRequest" if code == "InvalidInput" else code,
        "The request could not be processed due to missing or invalid information",
        more=[detail(code, message)],
    )


def not_found(code: str, message: str = "The requested resource could not be found") -> Refused:
    """Return a 404. Source: fabric-api.md section 3.4, SDK constants; code per route assumed."""
    return refuse(404, code, message)


def forbidden() -> Refused:
    """Return the 403 for a caller without a sufficient role. Source: section 3.4, field."""
    return refuse(
        403,
        "InsufficientPrivileges",
        "The caller does not have sufficient permissions to access the requested resource",
    )


_PROBLEMS = {
    # A missing Authorization header was seen as this generic body (section 3.4, field).
    "unauthorized": (401, "RequestFailed", "Unable to process the request"),
    # An SDK constant (section 3.4); the text is assumed.
    "token_invalid": (401, "InvalidToken", "The access token is invalid"),
    "token_expired": (401, "TokenExpired", "Access token has expired, resubmit with a new one"),
    "too_large": (400, "InvalidInput", "The request body is too large"),
    "blocked": (429, "RequestBlocked", "Request is blocked by the upstream service until: {until}"),
    "malformed_body": (
        400,
        "CorruptedPayload",
        "The request body could not be read as JSON",
    ),
    "no_route": (404, "EndpointNotFound", "The requested endpoint could not be found"),
    "wrong_method": (404, "EndpointNotFound", "The requested endpoint could not be found"),
    "unexpected": (500, "InternalServerError", "An unexpected error occurred"),
}


def problem(_world: World, found: Problem, _headers: Mapping[str, str]) -> Answer:
    """Word a failure around a handler the way Fabric does.

    A doubled slash in a path gets "The entity could not be found" (section 1, field). The codes
    of the other kinds are SDK constants; which one the service picks is assumed. A blocked call
    is told until when in words and in seconds (sections 3.2 and 4, recorded).
    """
    status, code, message = _PROBLEMS[found.kind]
    headers = {CODE_HEADER: code}
    if found.kind == "blocked":
        headers["Retry-After"] = str(found.retry_after_s)
        message = message.format(until=_american(found.until))
    if found.kind == "no_route" and "//" in found.path:
        code, message = "EntityNotFound", "The entity could not be found"
        headers = {CODE_HEADER: code}
    return Answer(status, body(code, message), headers=headers)


def _american(until: datetime | None) -> str:
    """Write a time as the throttling message does: "9/2/2025 5:21:55 PM (UTC)" (recorded)."""
    if until is None:
        return ""
    hour = until.hour % 12 or 12
    day = f"{until.month}/{until.day}/{until.year}"
    return f"{day} {hour}:{until:%M:%S} {'PM' if until.hour >= 12 else 'AM'} (UTC)"
