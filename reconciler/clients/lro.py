"""Long-running operations: from the answer that started one to its result.

An operation is always polled by id on the configured host: the ``Location`` a service gives
points to a regional host, and the token must not follow it there. Source: fabric-api.md section 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field

from reconciler.clients.http import Response, Transport
from reconciler.clients.retry import retry_after_s
from reconciler.clients.secrets import Secrets
from reconciler.clients.text import clean, path_of, quote_segment
from reconciler.clients.wire import UtcTime, WireModel, parse
from reconciler.errors import (
    ApiError,
    NotFound,
    OperationError,
    OperationFailed,
    OperationTimedOut,
    ServiceUnavailable,
    Throttled,
    TransportFailed,
)

__all__ = ["Operation", "OperationCause", "OperationState", "Operations", "operation_from"]

_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 20.0
_SHORTEST_WAIT_S = 0.1
_LOST_POLLS = 5
_ID = re.compile(r"/operations/([0-9A-Za-z-]{1,128})(?:/result)?/?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a ``begin_*`` call returned.

    Attributes:
        operation_id: what to poll; None when finished inline or when the service gave no id.
        retry_after_s: how long the service asks to wait before the first poll.
        result: the inline 200/201 body, else None.
        done: 200/201: there is nothing to poll.
        deployment_id: for deployments, the id in the pipeline's history.
    """

    operation_id: str | None
    retry_after_s: float | None
    result: Any
    done: bool
    deployment_id: str | None = None


@dataclass(frozen=True, slots=True)
class OperationCause:
    """One error of a failed operation; the real causes stand behind the first one."""

    code: str
    message: str
    resource: str = ""


@dataclass(frozen=True, slots=True)
class OperationState:
    """One look at an operation; an unknown ``status`` means it is still running (spec)."""

    operation_id: str
    status: str
    percent_complete: float | None = None
    created: datetime | None = None
    last_updated: datetime | None = None
    causes: tuple[OperationCause, ...] = ()
    has_result: bool = False
    retry_after_s: float | None = None

    @property
    def succeeded(self) -> bool:
        """Tell whether it ended well."""
        return self.status.casefold() == "succeeded"

    @property
    def failed(self) -> bool:
        """Tell whether it ended in failure."""
        return self.status.casefold() == "failed"


class _Resource(WireModel):
    resource_type: str = ""
    resource_id: str = ""


class _Detail(WireModel):
    error_code: str = ""
    message: str = ""
    related_resource: _Resource | None = None


class _Failure(_Detail):
    more_details: tuple[_Detail, ...] = ()


class _State(WireModel):
    """Source: fabric-api.md section 2.2 (recorded); unknown members occur (field)."""

    status: str = ""
    created: UtcTime | None = Field(default=None, alias="createdTimeUtc")
    last_updated: UtcTime | None = Field(default=None, alias="lastUpdatedTimeUtc")
    percent_complete: float | None = None
    error: _Failure | None = None


def operation_from(response: Response) -> Operation:
    """Read what a call that may be long-running returned.

    Source: fabric-api.md section 2.1 (recorded): 202 with ``x-ms-operation-id``, ``Location`` and
    ``Retry-After``; ``deployment-id`` on deploy (spec).
    """
    if response.status != 202:
        return Operation(None, None, response.body, done=True)
    return Operation(
        operation_id=_operation_id(response),
        retry_after_s=retry_after_s(response.headers),
        result=None,
        done=False,
        deployment_id=response.headers.get("deployment-id") or None,
    )


def _operation_id(response: Response) -> str | None:
    stated = response.headers.get("x-ms-operation-id", "").strip()
    if re.fullmatch(r"[0-9A-Za-z-]{1,128}", stated):
        return stated
    # Only the id is taken from Location, never its host.
    found = _ID.search(path_of(response.headers.get("location", "")))
    return found.group(1) if found else None


class Operations:
    """Polls operations on the configured host."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def get_state(self, operation_id: str) -> OperationState:
        """Look at an operation once.

        Raises:
            OperationError: the service no longer knows the operation.
        """
        path = f"/v1/operations/{quote_segment(operation_id)}"
        try:
            response = await self._transport.request("operations.get", "GET", path)
        except NotFound as error:
            raise _expired(operation_id) from error
        state = parse(_State, response.body, what=f"GET {path}")
        # The service fetches no result for an operation without Location (recorded, section 2.3).
        ended_well = state.status.casefold() == "succeeded"
        return OperationState(
            operation_id=operation_id,
            status=state.status or "Undefined",
            percent_complete=state.percent_complete,
            created=state.created,
            last_updated=state.last_updated,
            causes=_causes(state.error, self._transport.secrets),
            has_result=ended_well and bool(response.headers.get("location")),
            retry_after_s=retry_after_s(response.headers),
        )

    async def get_result(self, operation_id: str) -> Any:  # noqa: ANN401 - the call decides
        """Fetch the result of an operation that succeeded; None when it has none.

        Raises:
            OperationError: the result is no longer kept (24 hours are documented).
        """
        path = f"/v1/operations/{quote_segment(operation_id)}/result"
        try:
            response = await self._transport.request("operations.result", "GET", path)
        except NotFound as error:
            raise _expired(operation_id) from error
        except ApiError as error:
            if "OperationHasNoResult" in error.codes:
                return None
            raise
        return response.body

    async def wait(
        self,
        operation: Operation,
        *,
        timeout_s: float = 1800,
        on_poll: Callable[[OperationState], None] | None = None,
    ) -> Any:  # noqa: ANN401 - the call that started it decides
        """Wait for the end of an operation and return its result, None when it has none.

        Raises:
            OperationFailed: it ended as Failed; the message names the nested causes.
            OperationTimedOut: it still runs after ``timeout_s``; look at it again by its id.
            OperationError: the service gave no id, or forgot the operation.
        """
        if operation.done:
            return operation.result
        operation_id = operation.operation_id
        if operation_id is None:
            raise OperationError(
                "the service accepted the request and gave no operation id to follow it by",
                operation_id="",
                remedy="Read the state again before repeating anything.",
            )
        state = await self._poll_to_end(operation_id, operation.retry_after_s, timeout_s, on_poll)
        if state.failed:
            raise _failed(state)
        return await self.get_result(operation_id) if state.has_result else None

    async def _poll_to_end(
        self,
        operation_id: str,
        wait_s: float | None,
        timeout_s: float,
        on_poll: Callable[[OperationState], None] | None,
    ) -> OperationState:
        clock = self._transport.clock
        end_s = clock.monotonic_s() + timeout_s
        unhinted_s = _FIRST_WAIT_S
        lost = 0
        while True:
            left_s = end_s - clock.monotonic_s()
            await clock.sleep(min(max(wait_s if wait_s is not None else unhinted_s, 0.0), left_s))
            unhinted_s = min(unhinted_s * 1.5, _LONGEST_WAIT_S)
            try:
                state = await self.get_state(operation_id)
            except (TransportFailed, ServiceUnavailable, Throttled):
                # The operation goes on without us; a short outage must not lose sight of it.
                lost += 1
                if lost >= _LOST_POLLS or clock.monotonic_s() >= end_s:
                    raise
                wait_s = None
                continue
            lost = 0
            if on_poll is not None:
                on_poll(state)
            if state.succeeded or state.failed:
                return state
            if clock.monotonic_s() >= end_s:
                raise _timed_out(state, timeout_s)
            wait_s = (
                None if state.retry_after_s is None else max(state.retry_after_s, _SHORTEST_WAIT_S)
            )


def _causes(failure: _Failure | None, secrets: Secrets) -> tuple[OperationCause, ...]:
    if failure is None:
        return ()
    return tuple(
        OperationCause(
            code=clean(secrets.masked(detail.error_code), limit=100),
            message=clean(secrets.masked(detail.message)),
            resource=clean(
                secrets.masked(
                    f"{detail.related_resource.resource_type} {detail.related_resource.resource_id}"
                ),
                limit=200,
            )
            if detail.related_resource
            else "",
        )
        for detail in (failure, *failure.more_details)
    )


def _failed(state: OperationState) -> OperationFailed:
    told = [
        f"{': '.join(part for part in (c.code, c.message) if part)}"
        f"{f' ({c.resource})' if c.resource else ''}"
        for c in state.causes
    ]
    first, rest = (told[0], told[1:]) if told else ("the service gave no reason", [])
    text = f"{first}; caused by: {'; '.join(rest)}" if rest else first
    return OperationFailed(
        f"operation {state.operation_id} failed: {clean(text, limit=1500)}",
        operation_id=state.operation_id,
        code=state.causes[0].code if state.causes else "",
        codes=[c.code for c in state.causes if c.code],
    )


def _timed_out(state: OperationState, timeout_s: float) -> OperationTimedOut:
    return OperationTimedOut(
        f"operation {state.operation_id} was still {clean(state.status, limit=40)} after "
        f"{timeout_s:g} s; it goes on at the service",
        operation_id=state.operation_id,
        remedy=f"See how it ended with `reconciler runs show --operation {state.operation_id}`.",
    )


def _expired(operation_id: str) -> OperationError:
    return OperationError(
        f"operation {operation_id} is unknown to the service or expired (results are kept for "
        "about 24 hours)",
        operation_id=operation_id,
        remedy="Read the state of the resource to learn what the operation did.",
    )
