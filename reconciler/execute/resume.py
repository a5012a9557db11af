"""Take over what earlier runs left under way: follow their operations by id to the end.

What an operation did is then read from live state like everything else; the journal only tells
what to wait for. Source for how long an id is known: fabric-api.md section 2 (24 h, docs for
deployments, assumed for the rest).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from reconciler.clients.lro import Operation, OperationState
from reconciler.clients.services import Services
from reconciler.errors import OperationError, OperationFailed, OperationTimedOut
from reconciler.journal.read import OpenOperation

__all__ = ["Reattached", "reattach"]

_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Reattached:
    """What came of an operation; ``unknown`` when the service has forgotten it."""

    operation: OpenOperation
    outcome: Literal["succeeded", "failed", "running", "unknown"]
    text: str


async def reattach(
    services: Services,
    operations: Sequence[OpenOperation],
    *,
    timeout_s: float,
    tell: Callable[[OpenOperation, str], None],
) -> tuple[Reattached, ...]:
    """Wait for the end of Fabric operations by their ids, all at once under a bound.

    Import requests are not waited for here: the list of a repository's requests shows them, and
    the plan joins them.

    Args:
        timeout_s: the longest wait for one operation.
        tell: is told of each poll.

    Raises:
        ClientError: the service cannot be reached; nothing has been written.
    """
    bound = asyncio.Semaphore(_AT_ONCE)

    async def one(found: OpenOperation) -> Reattached:
        def report(state: OperationState) -> None:
            tell(found, state.status.lower())

        async with bound:
            operation = Operation(found.operation_id, 0.0, None, done=False)
            try:
                await services.fabric.operations.wait(
                    operation, timeout_s=timeout_s, on_poll=report
                )
            except OperationFailed as error:
                return Reattached(found, "failed", error.message)
            except OperationTimedOut as error:
                return Reattached(found, "running", error.message)
            except OperationError as error:
                return Reattached(found, "unknown", error.message)
        return Reattached(found, "succeeded", "")

    fabric = [o for o in operations if o.service == "fabric"]
    return tuple(await asyncio.gather(*map(one, fabric)))
