"""Wait until what somebody else started has ended, before its effects are read.

A plan made for an apply must not be made of a state that is still moving: an update or a
deployment that an earlier run started, or a person did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from reconciler.clock import Clock
from reconciler.errors import ApiError

__all__ = ["BUSY", "Patience"]

T = TypeVar("T")

# Source: fabric-api.md sections 3.6 and 6.6, spec and field.
BUSY = frozenset({"WorkspacePreviousOperationInProgress", "WorkspaceMigrationOperationInProgress"})
_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one thing is waited for, and who is told of it.

    Attributes:
        wait_s: the longest wait for one resource.
        tell: is told, each time, what is waited for.
    """

    clock: Clock
    wait_s: float
    tell: Callable[[str], None] = lambda _: None

    async def until_free(self, what: str, read: Callable[[], Awaitable[T]]) -> T:
        """Repeat a read while the service answers that the workspace is busy.

        Raises:
            ApiError: any other answer, or it is still busy after ``wait_s``.
        """
        end_s = self.clock.monotonic_s() + self.wait_s
        pause_s = _FIRST_WAIT_S
        while True:
            try:
                return await read()
            except ApiError as error:
                if not error.codes & BUSY or self.clock.monotonic_s() >= end_s:
                    raise
            self.tell(what)
            await self.clock.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_WAIT_S)

    async def until_ended(
        self, what: str, read: Callable[[], Awaitable[T]], running: Callable[[T], bool]
    ) -> T:
        """Repeat a read while what it returns is still running, for ``wait_s`` at most."""
        end_s = self.clock.monotonic_s() + self.wait_s
        pause_s = _FIRST_WAIT_S
        found = await read()
        while running(found) and self.clock.monotonic_s() < end_s:
            self.tell(what)
            await self.clock.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_WAIT_S)
            found = await read()
        return found
