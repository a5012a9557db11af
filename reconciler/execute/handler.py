"""The steps every action goes through, and what a handler fills in.

check → send → settle → verify. A handler never repeats a write by itself: after an unknown
outcome the executor calls ``verify`` to look, and only when the effect is not there and ``check``
still holds is the request sent again, once.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from reconciler.clients.lro import Operation, OperationState
from reconciler.errors import ActionError
from reconciler.execute.run import Run
from reconciler.plan.actions import Action

__all__ = ["AnyHandler", "Handler", "NotNeeded", "OpT", "expect"]

OpT = TypeVar("OpT", bound=BaseModel)


class NotNeeded(Exception):
    """Raised by ``check``: nothing has to be sent; the text says why."""


class Handler(Generic[OpT]):
    """Carries out one kind of action."""

    async def check(self, run: Run, action: Action, op: OpT) -> None:
        """Read what the action relies on, just before it is sent.

        Raises:
            NotNeeded: the effect is there already, or was not asked for.
            PreconditionMoved: what the plan saw has changed.
            ActionError: it cannot be done; the remedy says what to do.
        """

    async def send(self, run: Run, action: Action, op: OpT) -> Operation | None:
        """Make the request; return the operation to wait for, if there is one."""
        raise NotImplementedError

    async def settle(self, run: Run, action: Action, op: OpT, operation: Operation | None) -> None:
        """Wait until the effect has come about; by default polls the operation."""
        if operation is None:
            return

        def report(state: OperationState) -> None:
            done = f" {state.percent_complete:.0f} %" if state.percent_complete else ""
            run.progress(action, f"operation {state.status.lower()}{done}")

        await run.fabric.operations.wait(operation, timeout_s=run.timeout_s, on_poll=report)

    async def verify(self, run: Run, action: Action, op: OpT) -> str:
        """Read again and say what came of it.

        Raises:
            ActionError: the effect is not there.
        """
        raise NotImplementedError


def expect(condition: object, message: str, *, remedy: str = "") -> None:
    """Raise an ActionError unless a verification holds."""
    if not condition:
        raise ActionError(message, remedy=remedy or "look at the resource, then plan again")


AnyHandler = Handler[Any]
