"""The small layer between the web server and the services: calls, answers, routes.

Handlers see a ``Call`` and return an ``Answer``; they know nothing of the web server, which keeps
every service a table of routes over plain functions. No service behaviour belongs here.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from multidict import CIMultiDict

if TYPE_CHECKING:
    from reconciler.emulator.faults import Fault
    from reconciler.emulator.world import World

__all__ = [
    "DEFAULT_TOKEN",
    "Answer",
    "Call",
    "Caller",
    "CallerKind",
    "CallerScheme",
    "Handler",
    "Json",
    "MalformedBody",
    "Problem",
    "ProblemKind",
    "Refused",
    "Route",
    "Service",
    "Toll",
    "caller_of",
    "default_caller",
    "path_segments",
]

# Parsed JSON that nobody has checked yet.
Json = Any

CallerKind = Literal["User", "ServicePrincipal"]
CallerScheme = Literal["bearer", "basic"]
ProblemKind = Literal[
    "unauthorized",
    "token_invalid",
    "token_expired",
    "malformed_body",
    "too_large",
    "blocked",
    "no_route",
    "wrong_method",
    "unexpected",
]

# A fixed text keeps the default user the same person across restarts of a kept data folder.
DEFAULT_TOKEN = "emulator-default-user"  # noqa: S105 - any token is accepted; this is no secret
_CALLERS = uuid.UUID("8d0b3d5e-6f6b-4d7e-9a55-0f3f5a3f7a10")
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request.

    Attributes:
        id: Stable object id: the token's ``oid`` or ``appid`` for a JWT, else made from its text.
        kind: ``ServicePrincipal`` for a JWT with ``idtyp`` "app", else ``User``.
        scheme: ``bearer`` or ``basic``.
    """

    id: str
    kind: CallerKind
    scheme: CallerScheme = "bearer"


def default_caller() -> Caller:
    """Return the caller that the ready file's token stands for."""
    return Caller(id=str(uuid.uuid5(_CALLERS, DEFAULT_TOKEN)), kind="User")


@lru_cache(maxsize=1024)
def caller_of(authorization: str | None) -> Caller | None:
    """Return who an ``Authorization`` header stands for, or None if it is missing or unusable.

    Basic credentials count by their password, so a token used either way is the same caller.
    """
    scheme, _, value = (authorization or "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return _token_caller(value, "bearer")
    if scheme.lower() == "basic" and value:
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        token = password or user
        return _token_caller(token, "basic") if token else None
    return None


def _token_caller(token: str, scheme: CallerScheme) -> Caller:
    claims = _claims(token)
    identity = claims.get("oid") or claims.get("appid")
    kind: CallerKind = "ServicePrincipal" if claims.get("idtyp") == "app" else "User"
    if isinstance(identity, str) and identity:
        return Caller(id=identity.lower(), kind=kind, scheme=scheme)
    return Caller(id=str(uuid.uuid5(_CALLERS, token)), kind=kind, scheme=scheme)


def _claims(token: str) -> dict[str, Any]:
    pieces = token.split(".")
    if len(pieces) != 3:
        return {}
    try:
        decoded = json.loads(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
    except (ValueError, binascii.Error):
        return {}
    return decoded if isinstance(decoded, dict) else {}


class MalformedBody(Exception):
    """A request body is not JSON (or not an object where one is needed)."""


@dataclass(slots=True)
class Answer:
    """What goes back: a JSON body, raw bytes, a stream, or nothing.

    ``body=None`` means no body at all unless ``json_null`` is set: some services answer with the
    four bytes ``null``. ``raw`` and ``stream`` win over ``body``. ``chunked`` sends what is known
    as a whole without its length, as some services do.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    content_type: str | None = None
    json_null: bool = False
    stream: AsyncGenerator[bytes] | None = None
    chunked: bool = False

    def content(self) -> bytes:
        """Return the bytes to send when there is no stream; JSON is compact."""
        if self.raw is not None:
            return self.raw
        if self.body is None and not self.json_null:
            return b""
        return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False).encode()


class Refused(Exception):
    """Raised anywhere under a handler to end the call with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure that is found before or around the handler; each service words it its own way.

    ``retry_after_s`` and ``until`` belong to the kind ``blocked``: when the caller may ask again.
    """

    kind: ProblemKind
    message: str
    path: str = ""
    retry_after_s: int = 0
    until: datetime | None = None


@dataclass(slots=True)
class Call:
    """One request, as a handler sees it.

    Attributes:
        path: Decoded path below the service's root, as written by the client.
        params: Values of the route's variables (and what ``Service.locate`` found), decoded.
        query: Query parameters, names case-insensitive, values decoded.
        caller: Who asks. Anonymous git reads have the id ``anonymous``.
        fault: What a test makes go wrong with it, for handlers whose work fails later.
    """

    service: str
    method: str
    path: str
    params: dict[str, str]
    query: CIMultiDict[str]
    headers: Mapping[str, str]
    raw: bytes
    caller: Caller
    route: Route
    url: str = ""
    fault: Fault | None = None

    @property
    def body(self) -> Json:
        """The parsed JSON body, None when empty.

        Raises:
            MalformedBody: if it is not JSON; the server turns it into the service's own error.
        """
        if not self.raw.strip():
            return None
        try:
            found = json.loads(self.raw)
            # An escaped half of a surrogate pair is no text: it could never be written again.
            if b"\\ud" in self.raw.lower():
                json.dumps(found, ensure_ascii=False).encode()
        except ValueError as error:
            raise MalformedBody(str(error)) from error
        except RecursionError as error:
            raise MalformedBody("the body is nested too deeply") from error
        return found

    def fields(self) -> dict[str, Any]:
        """Return the JSON object of the body, {} when empty.

        Raises:
            MalformedBody: if the body is not a JSON object.
        """
        body = self.body
        if body is None:
            return {}
        if not isinstance(body, dict):
            raise MalformedBody("a JSON object is expected")
        return body


Handler = Callable[["World", Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path pattern of a service.

    ``{name}`` stands for one path segment, a final ``{name...}`` for the rest (joined by ``/``,
    possibly empty). Fixed segments compare case-insensitively. ``effect`` says whether a success
    changed something; by default everything but reads did.
    """

    method: str
    pattern: str
    handler: Handler
    name: str
    effect: bool | None = None

    @property
    def changes(self) -> bool:
        """Whether a success of this route counts as an effect in the request log."""
        return self.method not in _READS if self.effect is None else self.effect


def path_segments(path: str) -> list[str]:
    """Split a raw path at its slashes and decode each segment; a trailing slash is dropped.

    Empty segments stay: a doubled slash is another path (source: fabric-api.md section 1).
    """
    pieces = path.split("/")[1:]
    if pieces and not pieces[-1]:
        pieces.pop()
    return [unquote(piece) for piece in pieces]


def _nothing_found(_world: World, segments: list[str]) -> tuple[dict[str, str], list[str]]:
    return {}, segments


def _unchanged(_world: World, _call: Call | None, answer: Answer) -> Answer:
    return answer


@dataclass(frozen=True, slots=True)
class Toll:
    """What a call costs beyond its answer.

    Attributes:
        headers: Added to the answer.
        delay_s: How late the answer is; only the speed ``real`` waits.
        refusal: Sent instead of calling the handler.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    refusal: Answer | None = None


def _free(_world: World, _call: Call) -> Toll | None:
    return None


@dataclass(frozen=True, slots=True)
class Service:
    """One service: its routes, and how it words what goes wrong around them.

    Attributes:
        name: As in the request log: fabric, azdo, github, git, entra or control.
        routes: Its table.
        problem: Words a ``Problem`` the way the service does.
        locate: Takes what stands before the routes (organization, project) off the path.
        finish: Adds the headers that every answer of the service carries.
        charge: Counts what a caller uses.
        anonymous: Whether a request without credentials still reaches the handler.
    """

    name: str
    routes: Sequence[Route]
    problem: Callable[[World, Problem, Mapping[str, str]], Answer]
    locate: Callable[[World, list[str]], tuple[dict[str, str], list[str]]] = _nothing_found
    finish: Callable[[World, Call | None, Answer], Answer] = _unchanged
    charge: Callable[[World, Call], Toll | None] = _free
    anonymous: bool = False
