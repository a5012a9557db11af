"""What one run has read so far, and how a read that fails is noted.

Filled by the readers beside this module, which share it; ``read_estate`` makes a snapshot of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from reconciler.clients.fabric.models import Workspace
from reconciler.errors import (
    ApiError,
    AuthFailed,
    ClientError,
    OperationError,
    ReconcilerError,
    UsageError,
)
from reconciler.ids import Address, split_address
from reconciler.live.models import (
    Definition,
    LiveBinding,
    LiveCapacity,
    LiveConnection,
    LivePipeline,
    LiveRepository,
    LiveWorkspace,
    Unreadable,
)
from reconciler.live.once import Once

__all__ = ["Found"]

T = TypeVar("T")

_REMEDIES = {
    403: "give the caller the role the resource needs (workspace: contributor for status, admin "
    "to connect; pipeline: admin)",
    404: "it may exist and be hidden from this caller",
    429: "wait, or lower --parallelism",
}
_NO_REPOSITORY = "give the caller read access to the project's repositories"
# Which role it is, only the reader knows.
_ROLE_MISSING = frozenset({"InsufficientPrivileges", "InsufficientWorkspaceRole"})


@dataclass(slots=True)
class Found:
    """Everything read so far, as :class:`reconciler.live.models.Snapshot` describes it.

    Attributes:
        once: what was read in this run, by what it is.
        listed_workspaces: all that the caller sees, in the service's order.
    """

    once: Once
    capacities: tuple[LiveCapacity, ...] | None = None
    connections: tuple[LiveConnection, ...] | None = None
    listed_workspaces: list[Workspace] = field(default_factory=list)
    workspaces: dict[Address, LiveWorkspace] = field(default_factory=dict)
    bindings: dict[Address, LiveBinding] = field(default_factory=dict)
    repositories: dict[Address, LiveRepository] = field(default_factory=dict)
    pipelines: dict[Address, LivePipeline] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    source_bindings: dict[str, LiveBinding] = field(default_factory=dict)
    unreadable: dict[Address, Unreadable] = field(default_factory=dict)

    async def attempt(
        self,
        where: Address,
        what: str,
        read: Callable[[], Awaitable[T]],
        *,
        how: Hashable = None,
    ) -> T | None:
        """Run one read; a failure marks the address and returns None.

        Args:
            how: tells reads of the same thing apart that do not give the same.

        Raises:
            AuthFailed: Fabric does not know the caller: every further answer would be the same.
            UsageError: a service URL cannot be used.
        """
        try:
            return await self.once.read((where, what, how), read)
        except UsageError:
            raise
        except AuthFailed as error:
            # A sign-in that fails before the request is sent has no path to tell the service by.
            if not _is_repository(where):
                raise
            self.mark(where, what, error)
            return None
        except (ClientError, OperationError) as error:
            self.mark(where, what, error)
            return None

    def mark(self, where: Address, what: str, error: ReconcilerError) -> None:
        """Note that a thing could not be read: it is unknown, not absent."""
        status = error.status if isinstance(error, ApiError) else None
        code = error.code if isinstance(error, ApiError) else ""
        self.unreadable[where] = Unreadable(
            address=where,
            what=what,
            message=error.message,
            status=status,
            code=code,
            remedy=(_REMEDIES[403] if code in _ROLE_MISSING else error.remedy)
            or (_NO_REPOSITORY if status == 403 and _is_repository(where) else "")
            or _REMEDIES.get(status or 0, "run it again once it answers"),
        )


def _is_repository(where: Address) -> bool:
    return split_address(where)[0] == "repositories"
