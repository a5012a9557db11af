"""Read the definitions a comparison needs: each once, in parallel under a bound.

With ``beta`` a workspace's definitions come in one export. What it does not bring, and every
definition where it is refused, is read one by one as without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from reconciler.clients.fabric.client import FabricClient
from reconciler.clients.fabric.models import BulkExport
from reconciler.errors import ClientError, OperationError
from reconciler.live.items import read_definition
from reconciler.live.models import Definition

__all__ = ["definitions_of", "operations_at_once", "read_definitions"]


# Of the three requests that one definition takes, the second is sent when the service said to come
# back: 20 s later, though most operations take 2 s (fabric-api.md sections 2.1 and 2.5, recorded).
# So many at a time keep all requests busy meanwhile, where one takes a third of a second.
_OPERATIONS_PER_READ = 20


def operations_at_once(reads: int) -> asyncio.Semaphore:
    """Return a bound for operations under way, most of which wait and send no request.

    Args:
        reads: the most requests on their way at once, which the transport sees to.
    """
    return asyncio.Semaphore(reads * _OPERATIONS_PER_READ)


async def read_definitions(
    fabric: FabricClient,
    wanted: Mapping[str, str],
    *,
    bound: asyncio.Semaphore,
    beta: bool,
) -> dict[str, Definition]:
    """Read definitions by item id; one that cannot be read says why.

    Args:
        wanted: the workspace of each item, by item id.
        bound: how many operations are under way at once; see ``operations_at_once``.
        beta: use the preview API that exports many at once.
    """
    out: dict[str, Definition] = {}

    async def export(workspace_id: str, item_ids: Sequence[str]) -> None:
        async with bound:
            try:
                out.update(definitions_of(await fabric.items.bulk_export(workspace_id, item_ids)))
            except (ClientError, OperationError):
                # One item the export cannot take refuses all of it (ItemsHaveProtectedLabels and
                # the like, spec); read singly, each tells its own reason.
                return

    async def one(workspace_id: str, item_id: str) -> None:
        async with bound:
            out[item_id] = await read_definition(fabric, workspace_id, item_id)

    if beta:
        by_workspace: dict[str, list[str]] = {}
        for item_id, workspace_id in wanted.items():
            by_workspace.setdefault(workspace_id, []).append(item_id)
        await asyncio.gather(*(export(w, ids) for w, ids in by_workspace.items()))
    await asyncio.gather(*(one(w, i) for i, w in wanted.items() if i not in out))
    return {i: out[i] for i in wanted}


def definitions_of(export: BulkExport) -> dict[str, Definition]:
    """Cut an export into definitions with paths from each item's own folder.

    A child lies below its parent's folder, so a part belongs to the longest folder it lies in.
    Source: fabric-api.md section 8 (bulkExportDefinitions: index and absolute paths), recorded.
    """
    roots = {f"{i.root_path.rstrip('/')}/": i.id for i in export.items}
    parts: dict[str, dict[str, bytes]] = {i.id: {} for i in export.items}
    for part in export.parts:
        root = _root_of(part.path, roots)
        if root is not None:
            parts[roots[root]][part.path.removeprefix(root)] = part.payload
    return {i: Definition(parts=found) for i, found in parts.items() if found}


def _root_of(path: str, roots: Mapping[str, str]) -> str | None:
    """Return the longest folder of ``roots`` that a path lies in."""
    end = len(path)
    while (end := path.rfind("/", 0, end)) >= 0:
        if path[: end + 1] in roots:
            return path[: end + 1]
    return None
