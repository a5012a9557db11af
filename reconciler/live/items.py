"""Read workspaces' items with their folders, and item definitions."""

from __future__ import annotations

import asyncio

from reconciler.clients.fabric.client import FabricClient
from reconciler.clients.fabric.models import Folder
from reconciler.errors import ApiError, ClientError, OperationError
from reconciler.live.models import Definition, LiveItem

__all__ = ["read_definition", "read_items"]


async def read_items(fabric: FabricClient, workspace_id: str) -> tuple[LiveItem, ...]:
    """List a workspace's items with the paths of their folders; two requests, pages aside.

    Raises:
        ClientError: a read failed.
    """
    items, folders = await asyncio.gather(
        fabric.items.list(workspace_id), fabric.folders.list(workspace_id)
    )
    paths = _folder_paths(folders)
    return tuple(
        LiveItem(i.id, i.type, i.display_name, paths.get(i.folder_id or "", "")) for i in items
    )


def _folder_paths(folders: list[Folder]) -> dict[str, str]:
    """Return each folder's path from the root; a parent that is not visible counts as root."""
    by_id = {f.id: f for f in folders}
    paths: dict[str, str] = {}
    for folder in folders:
        chain: list[str] = []
        at: Folder | None = folder
        seen: set[str] = set()
        while at is not None and at.id not in seen:
            seen.add(at.id)
            chain.append(at.display_name)
            at = by_id.get(at.parent_folder_id or "")
        paths[folder.id] = "/".join(reversed(chain))
    return paths


async def read_definition(fabric: FabricClient, workspace_id: str, item_id: str) -> Definition:
    """Read one definition; a type that has none to read, or a failed read, is said so.

    Source: fabric-api.md section 3.2 (OperationNotSupportedForItem, recorded) and 2.6.
    """
    try:
        found = await fabric.items.get_definition(workspace_id, item_id)
    except ApiError as e:
        return Definition(unavailable=e.code or f"HTTP {e.status}")
    except (ClientError, OperationError) as e:
        return Definition(unavailable=e.message)
    return Definition(parts={p.path: p.payload for p in found.parts})
