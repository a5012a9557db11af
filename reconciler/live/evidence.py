"""Read what tells of items whose definitions cannot be read; nothing is read without such an item.

Per source workspace with one its Git binding, unless the plan reads it anyway; per pair of stages
the newest deployments, until each such item is found in one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.clients.fabric.client import FabricClient
from reconciler.errors import ClientError, OperationError
from reconciler.live.git import read_binding
from reconciler.live.models import Definition, LiveBinding, LiveOperation
from reconciler.live.pipelines import read_steps

__all__ = ["open_history", "read_source_binding", "unread_sources"]


def unread_sources(
    pairs: Collection[tuple[str, str]], definitions: Mapping[str, Definition]
) -> list[str]:
    """Return the source ids of the pairs that cannot be compared by definition."""
    return [
        source
        for source, target in pairs
        if any(i not in definitions or definitions[i].unavailable for i in (source, target))
    ]


async def read_source_binding(fabric: FabricClient, workspace_id: str) -> LiveBinding | None:
    """Read a workspace's binding with status; None where it cannot be read: it proves nothing."""
    try:
        return await read_binding(fabric, workspace_id, credentials=False)
    except (ClientError, OperationError):
        return None


async def open_history(
    fabric: FabricClient,
    pipeline_id: str,
    operations: tuple[LiveOperation, ...],
    stages: tuple[str, str],
    unread: Collection[str],
) -> tuple[LiveOperation, ...]:
    """Open past deployments for items without definitions; unreadable ones stay closed."""
    try:
        return await read_steps(fabric, pipeline_id, operations, stages, unread)
    except (ClientError, OperationError):
        return operations
