"""The one place that talks HTTP: signing, pacing, repeating, deadlines, and what counts as success.

A call is described by a stable ``api`` name (``git.status``), which is what the services throttle
by and what requests are counted under. Nothing here knows a resource. Redirects are never
followed and the token goes only to the configured origin.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import httpx

from reconciler._version import __version__
from reconciler.clients.auth import Credential
from reconciler.clients.body import ACCEPTED, Content, read_content
from reconciler.clients.errors_map import Service, decode_json, error_from
from reconciler.clients.pace import Pace, Window
from reconciler.clients.retry import MAX_FAILURES, TRANSIENT, Backoff, retry_after_s
from reconciler.clients.secrets import NO_SECRETS, Secrets
from reconciler.clients.text import clean, host_of, is_loopback, quote_segment
from reconciler.clock import Clock
from reconciler.errors import (
    ApiError,
    AuthFailed,
    DeadlineExceeded,
    InternalError,
    ServiceUnavailable,
    Throttled,
    TransportFailed,
    UsageError,
)

__all__ = ["Network", "Response", "Service", "Transport", "quote_segment"]

_log = logging.getLogger("reconciler.http")

Network = httpx.AsyncBaseTransport
"""What carries requests in place of the network, for tests and measurements in one process."""

_CONNECT_S = 10.0
_SAFE_READ_S = 60.0
_READS = frozenset({"GET", "HEAD"})
_SUCCESS = frozenset({200, 201, 202, 204})
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


@dataclass(frozen=True, slots=True)
class Response:
    """A successful answer.

    Attributes:
        status: 200, 201, 202 or 204.
        headers: names compare case-insensitively.
        body: the parsed JSON, None when empty or ``null``; bytes if raw content was asked for.
        size: how many bytes the content has.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came back, read within bounds; ``problem`` says what was wrong with its content."""

    status_code: int
    headers: httpx.Headers
    content: bytes
    problem: str


@dataclass(slots=True)
class _Call:
    """One request and what happened to it so far."""

    api: str
    method: str
    path: str
    url: str
    json: object
    headers: Mapping[str, str]
    safe: bool
    raw: bool
    deadline_s: float
    end_s: float
    failures: int = 0
    throttles: int = 0
    told_s: float = 0.0
    signed_again: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {clean(self.path, limit=300)}"


class Transport:
    """A signed connection to one service.

    Attributes:
        requests: how many requests were sent, per ``api``, repeats included.
        base_url: the configured origin and prefix, without a trailing slash.
        clock: the time everything here waits by.
        secrets: what is masked in texts of this service.

    Args:
        service: which error bodies and throttling rules apply.
        base_url: ``https://…``; plain ``http`` only to a loopback host.
        credential: signs each request.
        clock: used for every wait and deadline.
        connections: the most calls on their way at once.
        deadline_s: default time for one call, repeats and what it waits between them included,
            but not the wait for its turn among the calls that the service takes.
        handler: replaces the network, for tests.
        rng: spreads the waits between repeats.
        fence: called before each request but GET and HEAD is put on the wire, repeats included;
            what it raises stops the call.
        tell: is told in a sentence how many calls of an API the service takes.
        secrets: what the service is sent in confidence; it may repeat it in an error.

    Raises:
        UsageError: ``base_url`` would send the token in the clear, or is no base URL.
    """

    def __init__(
        self,
        *,
        service: Service,
        base_url: str,
        credential: Credential,
        clock: Clock,
        connections: int = 10,
        deadline_s: float = 120.0,
        handler: httpx.AsyncBaseTransport | None = None,
        rng: random.Random | None = None,
        fence: Callable[[], Awaitable[None]] | None = None,
        tell: Callable[[str], None] = lambda _: None,
        secrets: Secrets = NO_SECRETS,
    ) -> None:
        self.service = service
        self.base_url = _checked_base_url(base_url)
        self.clock = clock
        self.requests: Counter[str] = Counter()
        self.secrets = secrets
        self._credential = credential
        self._deadline_s = deadline_s
        self._fence = fence
        self._pace = Pace(clock, at_once=connections, tell=tell)
        self._backoff = Backoff(rng or random.Random())  # noqa: S311 - jitter, not a secret
        self._network = handler or _network(self.base_url, connections)
        self._headers = {
            "User-Agent": f"fabric-reconciler/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED,
        }
        if service is Service.AZURE_DEVOPS:
            self._headers["X-TFS-FedAuthRedirect"] = "Suppress"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.aclose()

    @property
    def credential(self) -> Credential:
        """Who calls."""
        return self._credential

    async def request(
        self,
        api: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | bool] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
        safe: bool | None = None,
        raw: bool = False,
    ) -> Response:
        """Make one call and return its successful answer.

        Args:
            api: stable dotted name for throttling and counting.
            method: HTTP method.
            path: below ``base_url``, starting with a slash, every segment already quoted.
            params: query parameters, not yet encoded.
            json: body to send.
            headers: extra headers.
            deadline_s: time for this call, waits and repeats included.
            safe: whether the call may be repeated after an unknown outcome; by default only
                GET and HEAD may.
            raw: return the content as bytes instead of parsing JSON.

        Raises:
            TransportFailed: no answer; ``sent`` says whether the call may have taken effect.
            DeadlineExceeded: the time ran out.
            ApiError: the service answered with an error.
        """
        if not path.startswith("/") or path.startswith("//") or "?" in path or "#" in path:
            raise InternalError(f"not a path below the base URL: {clean(path)}")
        allowed_s = self._deadline_s if deadline_s is None else deadline_s
        call = _Call(
            api=api,
            method=method.upper(),
            path=path,
            url=f"{self.base_url}{path}{_query(params)}",
            json=json,
            headers=headers or {},
            safe=method.upper() in _READS if safe is None else safe,
            raw=raw,
            deadline_s=allowed_s,
            end_s=self.clock.monotonic_s() + allowed_s,
        )
        return await self._carry_out(call)

    async def _carry_out(self, call: _Call) -> Response:
        refresh = False
        while True:
            arrived_s = self.clock.monotonic_s()
            async with self._pace.turn(
                call.api, name=call.name, longest_s=call.deadline_s
            ) as window:
                # How many others call is no reason to give this one up.
                call.end_s += self.clock.monotonic_s() - arrived_s
                header = await self._sign(call, refresh=refresh)
                refresh = False
                if self._fence is not None and call.method not in _READS:
                    await self._fence()
                answer = await self._send(call, header)
                result = (
                    answer
                    if isinstance(answer, TransportFailed)
                    else self._judge(call, answer, header)
                )
                self._note_pace(call, window, result)
            if isinstance(result, Response):
                return result
            if isinstance(result, TransportFailed):
                await self._after_lost_answer(call, result)
            elif result.status == 401 and not call.signed_again:
                # 401 means: not carried out. Tokens expire during long polls.
                call.signed_again = refresh = True
            else:
                await self._after_error(call, result)

    def _note_pace(
        self, call: _Call, window: Window, result: Response | ApiError | TransportFailed
    ) -> None:
        """Let all calls of this API know what the answer says of its limit."""
        if isinstance(result, TransportFailed):
            return
        if not isinstance(result, Throttled):
            self._pace.passed(call.api, window)
            return
        call.throttles += 1
        call.told_s = self._backoff.after_throttle(call.throttles, result.retry_after_s)
        self._pace.refused(call.api, window, call.told_s)

    async def _sign(self, call: _Call, *, refresh: bool) -> str:
        """Return the header, within the time of the call: a sign-in may hang as a service may."""
        try:
            async with asyncio.timeout(max(self._left_s(call), 0.0)):
                return (await self._credential.header(refresh=refresh)).get_secret_value()
        except TimeoutError as error:
            raise DeadlineExceeded(
                f"{call.name}: not sent: no token from {self._credential.describe()} within the "
                f"{call.deadline_s:g} s allowed",
                sent=False,
                remedy="See that the sign-in answers (for instance `az account get-access-token`), "
                "or hand a token in by the environment.",
            ) from error

    async def _send(self, call: _Call, header: str) -> _Answer | TransportFailed:
        left_s = self._left_s(call)
        if left_s <= 0:
            raise DeadlineExceeded(
                f"{call.name}: not sent: the {call.deadline_s:g} s allowed were used up waiting",
                sent=False,
            )
        # What is not safe to repeat is worth waiting for until the end.
        read_s = min(_SAFE_READ_S, left_s) if call.safe else left_s
        allowed = {
            "connect": min(_CONNECT_S, left_s),
            "read": read_s,
            "write": read_s,
            "pool": left_s,
        }
        self.requests[call.api] += 1
        began_s = self.clock.monotonic_s()
        try:
            async with asyncio.timeout(left_s):
                request = httpx.Request(
                    call.method,
                    call.url,
                    json=call.json,
                    headers={**self._headers, **call.headers, "Authorization": header},
                    extensions={"timeout": allowed},
                )
                answer, content = await self._exchange(request)
        except TimeoutError as error:
            raise self._too_late(call) from error
        except httpx.HTTPError as error:
            _log.debug("%s %s -> %s", call.method, call.path, type(error).__name__)
            return self._lost(call, error)
        elapsed_ms = (self.clock.monotonic_s() - began_s) * 1000
        _log.debug("%s %s -> %d in %.0f ms", call.method, call.path, answer.status_code, elapsed_ms)
        return _Answer(answer.status_code, answer.headers, content.data, content.problem)

    async def _exchange(self, request: httpx.Request) -> tuple[httpx.Response, Content]:
        # Straight to the connections: what a client of httpx adds (redirects, cookies, sign-in)
        # is not wanted here, and is a fifth of the processor time of a call.
        answer = await self._network.handle_async_request(request)
        try:
            return answer, await read_content(answer)
        finally:
            await answer.aclose()

    def _lost(self, call: _Call, error: httpx.HTTPError) -> TransportFailed:
        host = urlsplit(self.base_url).netloc
        detail = clean(str(error)) or type(error).__name__
        if isinstance(error, _NOT_SENT):
            failure = TransportFailed(
                f"{call.name}: could not reach {host}: {detail}", sent=False, remedy=_tls(detail)
            )
        elif isinstance(error, httpx.ReadTimeout) and not call.safe:
            failure = self._too_late(call)
        else:
            failure = TransportFailed(
                f"{call.name}: the connection to {host} broke before the answer was complete "
                f"({type(error).__name__}: {detail})",
                sent=True,
                remedy="" if call.safe else "Its effect is unknown: read the state again.",
            )
        failure.__cause__ = error
        return failure

    def _too_late(self, call: _Call) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{call.name}: no answer within the {call.deadline_s:g} s allowed; waited for the "
            "service to answer",
            sent=True,
            remedy="" if call.safe else "Its effect is unknown: read the state again.",
        )

    async def _after_lost_answer(self, call: _Call, failure: TransportFailed) -> None:
        repeatable = call.safe or not failure.sent
        if not repeatable or isinstance(failure, DeadlineExceeded) or failure.remedy == _TLS_REMEDY:
            raise failure
        await self._back_off(call, failure, None)

    async def _after_error(self, call: _Call, error: ApiError) -> None:
        """Wait and return if the call is to be repeated, else raise ``error``."""
        if isinstance(error, Throttled):
            # 429: refused before anything was done, so every method may be repeated in its turn.
            if call.told_s > self._left_s(call):
                raise error
        elif error.status in TRANSIENT and call.safe:
            await self._back_off(call, error, error.retry_after_s)
        else:
            raise error

    async def _back_off(
        self, call: _Call, error: ApiError | TransportFailed, floor_s: float | None
    ) -> None:
        call.failures += 1
        if call.failures >= MAX_FAILURES:
            raise error
        wait_s = self._backoff.after_failure(call.failures, floor_s)
        if wait_s > self._left_s(call):
            if isinstance(error, ApiError):
                raise error
            raise DeadlineExceeded(
                f"{error.message}; tried {call.failures} times in the {call.deadline_s:g} s "
                "allowed",
                sent=error.sent,
                remedy=error.remedy,
            ) from error
        await self.clock.sleep(wait_s)

    def _judge(self, call: _Call, answer: _Answer, header: str) -> Response | ApiError:
        """Decide what an answer is.

        Source: azure-devops-import.md section 6: a sign-in page can come as 302, 203 or even 200.
        """
        status = answer.status_code
        content_type = answer.headers.get("content-type", "").lower()
        told_s = retry_after_s(answer.headers, self.clock.now())
        if status >= 400:
            return error_from(
                self.service,
                method=call.method,
                path=call.path,
                status=status,
                headers=answer.headers,
                content=answer.content,
                retry_after_s=told_s,
                secrets=(Secrets((header, header.partition(" ")[2])), self.secrets),
            )
        if status not in _SUCCESS or "html" in content_type:
            return self._not_signed_in(call, answer)
        if self.service is Service.AZURE_DEVOPS and told_s:
            # Azure DevOps slows callers down with a 200 (azure-devops-import.md section 7, docs).
            # On Fabric a 200 carries it only for polling one operation, which its poller obeys.
            self._pace.hold(call.api, told_s)
        if call.raw and not answer.problem:
            return Response(status, answer.headers, answer.content, len(answer.content))
        return self._parsed(call, answer, content_type)

    def _parsed(self, call: _Call, answer: _Answer, content_type: str) -> Response | ApiError:
        body: object = None
        problem = answer.problem
        if problem:
            pass
        elif answer.content and content_type and "json" not in content_type:
            problem = f"content of type {clean(content_type, limit=60)} instead of JSON"
        else:
            try:
                body = decode_json(answer.content)
            except ValueError:
                problem = "something that is not JSON"
        if not problem:
            return Response(answer.status_code, answer.headers, body, len(answer.content))
        # Status 200 and no JSON is a gateway talking; whether the call was done is unknown.
        return ServiceUnavailable(
            f"{call.name}: {answer.status_code} with {problem}",
            status=answer.status_code,
            method=call.method,
            path=call.path,
            remedy="Check the URL of the service, and whether a proxy answers in its place.",
        )

    def _not_signed_in(self, call: _Call, answer: _Answer) -> ApiError:
        status = answer.status_code
        if 300 <= status < 400:
            target = host_of(answer.headers.get("location", "")) or "elsewhere"
            said = f"a redirect to {clean(target, limit=100)}, which is not followed"
        elif status == 203 or "html" in answer.headers.get("content-type", "").lower():
            said = "a sign-in page instead of data"
        else:
            said = "an answer no documented call gives"
        return AuthFailed(
            f"{call.name}: {status}: {said}",
            status=status,
            method=call.method,
            path=call.path,
            remedy="The token was not accepted: check that it is valid, not expired, and made for "
            f"this service, and that {self.base_url} is its address "
            f"(now in use: {self._credential.describe()}).",
        )

    def _left_s(self, call: _Call) -> float:
        return call.end_s - self.clock.monotonic_s()


_TLS_REMEDY = (
    "The certificate of the server is not trusted. Set SSL_CERT_FILE to the certificates of your "
    "proxy or server."
)


def _tls(detail: str) -> str:
    """An untrusted certificate will not become trusted by trying again."""
    return _TLS_REMEDY if "CERTIFICATE_VERIFY_FAILED" in detail else ""


def _network(base_url: str, connections: int) -> Network:
    from reconciler.clients.pool import network_to  # noqa: PLC0415 - slow, and tests have their own

    return network_to(base_url, connections)


def _query(params: Mapping[str, str | int | bool] | None) -> str:
    if not params:
        return ""
    pairs = [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in params.items()
    ]
    return f"?{urlencode(pairs)}"


def _checked_base_url(value: str) -> str:
    try:
        parts = urlsplit(value.strip())
        host = parts.hostname or ""
        httpx.URL(value.strip())
    except (ValueError, httpx.InvalidURL) as error:
        raise UsageError(f"not a URL: {clean(value)}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(f"not an https URL: {clean(value)}")
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            f"the URL of a service has no user name, query or fragment: {parts.scheme}://{host}"
        )
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError(
            f"plain http would send the token readable to {host}; use https "
            "(http is for loopback addresses only)"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
