"""Long-running operations: started with a 202, finished by the world's clock, polled by id.

An operation names what it will do (``kind`` and ``args``) and is registered here under that name,
so that a pending one survives a restart. Nothing happens before it is due; then its effect runs at
once and the outcome is kept.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric.errors import OperationFailed, not_found, refuse
from reconciler.emulator.fabric.state import Operation
from reconciler.emulator.fabric.wire import moment, now, plain_time
from reconciler.emulator.http import Answer, Call, Refused, Route
from reconciler.emulator.world import World, effect, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ROUTES", "as_failure", "begin", "delay_s", "operation", "release", "retry_after_s"]

_LOG = logging.getLogger("reconciler.emulator")
_Run = Callable[["World", Operation], Any]
_Release = Callable[["World", Operation], None]
_KINDS: dict[str, _Run] = {}
_RELEASES: dict[str, _Release] = {}

_RETRY_AFTER_S: Mapping[str, int] = {"instant": 0, "fast": 1, "real": 20}
"""The service says 20 on every ALM operation (section 2.1, recorded and field)."""

_REAL_S: Mapping[str, float] = {
    "identities.provision": 1.2,
    "identities.deprovision": 1.2,
    "items.create": 1.6,
    "items.create:Notebook": 1.5,
    "items.create:SemanticModel": 10.8,
    "items.create:Warehouse": 9.1,
    "items.create:SQLDatabase": 15.0,
    "items.create:KQLDatabase": 7.6,
    "items.get_definition": 0.4,
    "items.update_definition": 0.3,
    "items.bulk_export": 1.5,
    "items.bulk_import": 5.0,
    "connections.test": 1.0,
    "git.update": 12.0,
    "git.commit": 6.0,
    "pipelines.deploy": 30.0,
    "jobs.run": 30.0,
    "jobs.cancel": 5.0,
}
"""Seconds on the server at speed ``real``. Item calls: medians of section 2.5, recorded, by item
type where the type was recorded apart; Git calls, deployments, imports, tests of connections and
jobs were never recorded: assumed."""


def operation(kind: str) -> Callable[[_Run], _Run]:
    """Register what an operation of this kind does when it is due.

    The function returns the operation's JSON result, or None when it has none, and raises
    ``OperationFailed`` to make it end as Failed.
    """

    def register(function: _Run) -> _Run:
        _KINDS[kind] = function
        return function

    return register


def release(kind: str) -> Callable[[_Release], _Release]:
    """Register what an operation of this kind lets go of when it ends without its effect."""

    def register(function: _Release) -> _Release:
        _RELEASES[kind] = function
        return function

    return register


def delay_s(world: World, kind: str, item_type: str = "") -> float:
    """Return how long an operation of this kind takes at the world's speed."""
    match world.options.speed:
        case "instant":
            return 0.0
        case "real":
            return _REAL_S.get(f"{kind}:{item_type}", _REAL_S.get(kind, 1.0))
        case _:
            return 0.2


def retry_after_s(world: World) -> int:
    """Return what ``Retry-After`` says at the world's speed."""
    return _RETRY_AFTER_S.get(world.options.speed, 1)


def begin(
    world: World,
    call: Call,
    kind: str,
    args: dict[str, Any],
    *,
    operation_id: str | None = None,
    headers: Mapping[str, str] | None = None,
    real_retry_after_s: int | None = None,
) -> Answer:
    """Start an operation and answer 202 with the literal body ``null``.

    Source: fabric-api.md section 2.1, recorded; ``Location`` has another host than the request.
    A few operations have another ``Retry-After`` at speed ``real`` than most.
    """
    _forget_expired(world)
    started = now(world)
    found = Operation(
        id=operation_id or new_id(),
        kind=kind,
        args=args,
        caller_id=call.caller.id,
        caller_kind=call.caller.kind,
        created=started,
        updated=started,
        retry_after=retry_after_s(world),
    )
    if real_retry_after_s is not None and world.options.speed == "real":
        found.retry_after = real_retry_after_s
    world.fabric.operations[found.id] = found
    _schedule(world, call, found)
    sent = {
        "Location": _state_url(world, found.id),
        "Retry-After": str(found.retry_after),
        "x-ms-operation-id": found.id,
        "Access-Control-Expose-Headers": "RequestId,Location,Retry-After,x-ms-operation-id",
    }
    return Answer(202, headers={**sent, **(headers or {})}, json_null=True)


def _schedule(world: World, call: Call, found: Operation) -> None:
    """Let an operation end when it is due, at the latest at the service's own limit.

    Source: section 2.3, SDK: OperationFailedOnTimeout is a constant; that the operation ends as
    Failed with it and without an effect is assumed. InvalidWorkloadId and other codes come by
    the fault ``operation``.
    """
    wrong = None if call.fault is None else call.fault.failing_operation
    limit_s = world.fabric.settings.operation_limit_s
    needed_s = delay_s(world, found.kind, str(found.args.get("type", "")))
    if wrong is not None and wrong.hang:
        needed_s = math.inf
    elif wrong is not None:
        found.fate = dict(wrong.error)
    if limit_s is not None and needed_s > limit_s:
        message = "The operation did not finish in time"
        found.fate = {"errorCode": "OperationFailedOnTimeout", "message": message}
        needed_s = limit_s
    if needed_s < math.inf:
        world.schedule("fabric.operation", {"id": found.id}, delay_s=needed_s)


@effect("fabric.operation")
def finish_operation(world: World, args: dict[str, Any]) -> None:
    """Run the effect of an operation that is due and keep the outcome."""
    found = world.fabric.operations.get(str(args["id"]))
    if found is None or found.status != "Running":
        return
    if found.fate is not None:
        found.status, found.error, found.updated = "Failed", found.fate, now(world)
        if found.kind in _RELEASES:
            _RELEASES[found.kind](world, found)
        return
    try:
        result = _KINDS[found.kind](world, found)
    except OperationFailed as failure:
        _fail(found, failure)
    except Refused as refusal:
        _fail(found, as_failure(refusal))
    except Exception:  # noqa: BLE001 - see below
        # A bug in an effect must end the operation: a client would poll it for ever.
        _LOG.exception("the operation %s failed", found.kind)
        _fail(found, OperationFailed("UnknownError", "An unexpected error occurred"))
    else:
        found.status = "Succeeded"
        if result is not None:
            found.result = world.blobs.put(json.dumps(result).encode())
    found.updated = now(world)


def _fail(found: Operation, failure: OperationFailed) -> None:
    found.status = "Failed"
    found.error = failure.wire()


def as_failure(refusal: Refused) -> OperationFailed:
    """Return what a refusal is called when it ends an operation."""
    body = refusal.answer.body
    return OperationFailed(body["errorCode"], body["message"], body.get("moreDetails") or ())


def _state_url(world: World, operation_id: str) -> str:
    return f"{world.urls.location_url}/v1/operations/{operation_id}"


def _forget_expired(world: World) -> None:
    limit = world.clock.now() - timedelta(seconds=world.fabric.settings.operation_retention_s)
    # The oldest stand first, and none is updated before it was created.
    expired: list[str] = []
    for found in world.fabric.operations.values():
        if moment(found.created) >= limit:
            break
        if found.status != "Running" and moment(found.updated) < limit:
            expired.append(found.id)
    for operation_id in expired:
        del world.fabric.operations[operation_id]


def _find(world: World, call: Call) -> Operation:
    """Return an operation; gone after 24 hours (section 2.3, docs for deployments, assumed)."""
    _forget_expired(world)
    found = world.fabric.operations.get(call.params["operationId"].lower())
    if found is None:
        raise not_found("OperationNotFound", "The requested operation could not be found")
    return found


async def get_state(world: World, call: Call) -> Answer:
    """Answer with the state of an operation; 200 for a failed one too.

    Source: fabric-api.md section 2.2, recorded: five keys, explicit nulls, and headers that tell
    whether there is a result.
    """
    found = _find(world, call)
    succeeded = found.status == "Succeeded"
    body: dict[str, Any] = {
        "status": found.status,
        "createdTimeUtc": plain_time(found.created),
        "lastUpdatedTimeUtc": plain_time(found.updated),
        "percentComplete": 100 if succeeded else None,
        "error": found.error,
    }
    if world.fabric.settings.long_operation_keys:
        body |= {"blobInfoId": None, "resultContentType": None}
    headers: dict[str, str] = {}
    if found.status == "Running":
        headers["Location"] = _state_url(world, found.id)
        headers["Retry-After"] = str(found.retry_after)
        headers["x-ms-operation-id"] = found.id
    elif succeeded and found.result is not None:
        headers["Location"] = f"{_state_url(world, found.id)}/result"
        headers["x-ms-operation-id"] = found.id
    return Answer(200, body, headers=headers)


async def get_result(world: World, call: Call) -> Answer:
    """Answer with the result of an operation. Source: fabric-api.md section 2.3, recorded.

    Asking before it succeeded gives OperationNotSucceeded (SDK constant, status assumed).
    """
    found = _find(world, call)
    if found.status != "Succeeded":
        raise refuse(400, "OperationNotSucceeded", "The operation has not succeeded")
    if found.result is None:
        raise refuse(400, "OperationHasNoResult", "The operation has no result")
    content = world.blobs.get(found.result)
    return Answer(200, raw=content, content_type="application/json", chunked=True)


ROUTES = [
    Route("GET", "/v1/operations/{operationId}", get_state, "operations.get"),
    Route("GET", "/v1/operations/{operationId}/result", get_result, "operations.result"),
]
