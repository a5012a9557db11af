"""Items, their definitions, and the folders they lie in.

Source: ``platform/swagger.json`` (spec); which calls answer 200 and which 202 depends on the item
type (fabric-api.md section 2.6, recorded), so each one takes both.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from reconciler.clients.fabric.definitions import (
    bulk_export_from,
    definition_from,
    definition_json,
)
from reconciler.clients.fabric.models import (
    BulkExport,
    DefinitionPart,
    Folder,
    Item,
    ItemDefinition,
)
from reconciler.clients.http import Transport, quote_segment
from reconciler.clients.lro import Operations, operation_from
from reconciler.clients.paging import collect
from reconciler.clients.wire import body_of, parse, parse_all

__all__ = ["Folders", "Items"]


class Items:
    """The items of workspaces."""

    def __init__(self, transport: Transport, operations: Operations) -> None:
        self._transport = transport
        self._operations = operations

    async def list(
        self,
        workspace_id: str,
        *,
        type: str | None = None,
    ) -> builtins.list[Item]:
        """Return a workspace's items, those in folders included; order means nothing."""
        path = _items(workspace_id)
        params = {} if type is None else {"type": type}
        values = await collect(self._transport, "items.list", path, params=params)
        return parse_all(Item, values, what=f"GET {path}")

    async def get(self, workspace_id: str, item_id: str) -> Item:
        """Return one item."""
        path = _item(workspace_id, item_id)
        response = await self._transport.request("items.get", "GET", path)
        return parse(Item, response.body, what=f"GET {path}")

    async def create(
        self,
        workspace_id: str,
        *,
        display_name: str,
        type: str,
        description: str | None = None,
        definition: ItemDefinition | None = None,
        folder_id: str | None = None,
    ) -> Item:
        """Create an item and wait until it is there.

        A name freed moments ago is refused with ``ItemDisplayNameNotAvailableYet`` and
        ``is_retriable`` (fabric-api.md section 3.5, field).
        """
        path = _items(workspace_id)
        response = await self._transport.request(
            "items.create",
            "POST",
            path,
            json=body_of(
                displayName=display_name,
                type=type,
                description=description,
                folderId=folder_id,
                definition=None
                if definition is None
                else definition_json(definition.parts, definition.format),
            ),
        )
        result = await self._operations.wait(operation_from(response))
        return parse(Item, result, what=f"POST {path}")

    async def update(
        self,
        workspace_id: str,
        item_id: str,
        *,
        display_name: str | None = None,
        description: str | None = None,
    ) -> Item:
        """Change the name, the description or both."""
        path = _item(workspace_id, item_id)
        response = await self._transport.request(
            "items.update",
            "PATCH",
            path,
            json=body_of(displayName=display_name, description=description),
        )
        return parse(Item, response.body, what=f"PATCH {path}")

    async def delete(self, workspace_id: str, item_id: str) -> None:
        """Delete an item; supported types go to a recycle bin and count on (spec, recorded)."""
        path = _item(workspace_id, item_id)
        await self._transport.request("items.delete", "DELETE", path)

    async def get_definition(
        self,
        workspace_id: str,
        item_id: str,
        *,
        format: str | None = None,
    ) -> ItemDefinition:
        """Read an item's files, waiting where the service needs time.

        ``.platform`` is among them with a logicalId of zeros (fabric-api.md section 8, recorded).
        """
        path = f"{_item(workspace_id, item_id)}/getDefinition"
        response = await self._transport.request(
            "items.get_definition",
            "POST",
            path,
            params=None if format is None else {"format": format},
            safe=True,  # reads, though it is a POST
        )
        result = await self._operations.wait(operation_from(response))
        return definition_from(result, what=f"POST {path}")

    async def update_definition(
        self,
        workspace_id: str,
        item_id: str,
        parts: Sequence[DefinitionPart],
        *,
        update_metadata: bool = False,
    ) -> None:
        """Overwrite an item's files; ``update_metadata`` takes name and text from ``.platform``."""
        response = await self._transport.request(
            "items.update_definition",
            "POST",
            f"{_item(workspace_id, item_id)}/updateDefinition",
            params={"updateMetadata": True} if update_metadata else None,
            json={"definition": definition_json(parts)},
        )
        await self._operations.wait(operation_from(response))

    async def bulk_export(
        self, workspace_id: str, item_ids: Sequence[str] | None = None
    ) -> BulkExport:
        """Read the files of many items at once (beta API), all of them if no ids are given.

        Unlike ``get_definition`` this gives real logicalIds (fabric-api.md section 8, recorded).
        """
        path = f"{_items(workspace_id)}/bulkExportDefinitions"
        response = await self._transport.request(
            "items.bulk_export",
            "POST",
            path,
            params={"beta": True},
            json={"mode": "All"}
            if item_ids is None
            else {"mode": "Selective", "items": [{"id": item_id} for item_id in item_ids]},
            safe=True,  # reads, though it is a POST
        )
        result = await self._operations.wait(operation_from(response))
        return bulk_export_from(result, what=f"POST {path}")


class Folders:
    """The folders of workspaces."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self, workspace_id: str) -> builtins.list[Folder]:
        """Return every folder of a workspace, at any depth."""
        path = f"/v1/workspaces/{quote_segment(workspace_id)}/folders"
        values = await collect(self._transport, "folders.list", path, params={"recursive": True})
        return parse_all(Folder, values, what=f"GET {path}")


def _items(workspace_id: str) -> str:
    return f"/v1/workspaces/{quote_segment(workspace_id)}/items"


def _item(workspace_id: str, item_id: str) -> str:
    return f"{_items(workspace_id)}/{quote_segment(item_id)}"
