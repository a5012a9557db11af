"""Items under the name of their type: ``/lakehouses``, ``/environments/{id}``, ...

Each type has routes of its own beside the general ones; they do the same work, and show
``properties`` that only the type has. Source: fabric-api.md section 2.6 (recorded routes and
their casing); the properties are those that fabric-cicd and the official SDK read (client
behaviour), their values are assumed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import item_of, workspace_of
from reconciler.emulator.fabric.errors import problem, refuse
from reconciler.emulator.fabric.items import (
    change_item,
    create_item_of,
    delete_item,
    get_definition,
    item_wire,
    update_definition,
)
from reconciler.emulator.fabric.lro import begin, operation
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.state import Item, Operation, Workspace
from reconciler.emulator.fabric.support import ITEM_TYPES
from reconciler.emulator.http import Answer, Call, Handler, Problem, Refused, Route

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "collection_of"]


def collection_of(item_type: str) -> str:
    """Return the plural that a type's routes have, in lower case."""
    name = item_type.lower()
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith("x") else f"{name}s"


_TYPES = {collection_of(item_type): item_type for item_type in ITEM_TYPES}


def _type(world: World, call: Call) -> str:
    """Return the item type of a path; another word is no route at all."""
    found = _TYPES.get(call.params["collection"].lower())
    if found is None:
        raise _no_route(world, call)
    return found


def _no_route(world: World, call: Call) -> Refused:
    return Refused(problem(world, Problem("no_route", "no such collection", call.path), {}))


def _typed_item(world: World, call: Call, needed: str) -> tuple[Workspace, Item]:
    item_type = _type(world, call)
    workspace = workspace_of(world, call, needed)
    item = item_of(workspace, call)
    if item.type != item_type:
        raise refuse(404, "ItemNotFound", "The requested item could not be found")
    return workspace, item


def _host(item: Item, suffix: str) -> str:
    """Return a host name as the service makes them: opaque, and always the same for an item."""
    return f"{hashlib.sha256(item.id.encode()).hexdigest()[:26]}.{suffix}"


def _sql_endpoint(workspace: Workspace, item: Item) -> dict[str, Any]:
    children = [child for child in workspace.items.values() if child.parent_id == item.id]
    found = next((child for child in children if child.type == "SQLEndpoint"), None)
    return {
        "id": item.id if found is None else found.id,
        "connectionString": _host(item, "datawarehouse.fabric.microsoft.com"),
        "provisioningStatus": "Success",
    }


def _lakehouse(workspace: Workspace, item: Item) -> dict[str, Any]:
    root = f"https://onelake.dfs.fabric.microsoft.com/{workspace.id}/{item.id}"
    return {
        "oneLakeTablesPath": f"{root}/Tables",
        "oneLakeFilesPath": f"{root}/Files",
        "sqlEndpointProperties": _sql_endpoint(workspace, item),
    }


def _mirrored_database(workspace: Workspace, item: Item) -> dict[str, Any]:
    root = f"https://onelake.dfs.fabric.microsoft.com/{workspace.id}/{item.id}"
    return {
        "oneLakeTablesPath": f"{root}/Tables",
        "sqlEndpointProperties": _sql_endpoint(workspace, item),
    }


def _warehouse(_workspace: Workspace, item: Item) -> dict[str, Any]:
    return {"connectionString": _host(item, "datawarehouse.fabric.microsoft.com")}


def _sql_database(_workspace: Workspace, item: Item) -> dict[str, Any]:
    return {
        "serverFqdn": f"{_host(item, 'database.fabric.microsoft.com')},1433",
        "databaseName": f"{item.name}-{item.id}",
    }


def _kusto(item: Item) -> dict[str, str]:
    return {
        "queryServiceUri": f"https://{_host(item, 'kusto.fabric.microsoft.com')}",
        "ingestionServiceUri": f"https://ingest-{_host(item, 'kusto.fabric.microsoft.com')}",
    }


def _eventhouse(workspace: Workspace, item: Item) -> dict[str, Any]:
    databases = [child.id for child in workspace.items.values() if child.parent_id == item.id]
    return {**_kusto(item), "databasesItemIds": databases}


def _kql_database(workspace: Workspace, item: Item) -> dict[str, Any]:
    parent = workspace.items.get(item.parent_id or "")
    found: dict[str, Any] = {**_kusto(item if parent is None else parent)}
    if parent is not None:
        found["parentEventhouseItemId"] = parent.id
    return {**found, "databaseType": "ReadWrite"}


def _environment(_workspace: Workspace, item: Item) -> dict[str, Any]:
    state = (item.properties or {}).get("publishState")
    return {} if state is None else {"publishDetails": {"state": state}}


def _variable_library(_workspace: Workspace, item: Item) -> dict[str, Any]:
    return {
        "activeValueSetName": (item.properties or {}).get("activeValueSetName", "Default value set")
    }


_PROPERTIES: dict[str, Callable[[Workspace, Item], dict[str, Any]]] = {
    "Lakehouse": _lakehouse,
    "MirroredDatabase": _mirrored_database,
    "Warehouse": _warehouse,
    "SQLDatabase": _sql_database,
    "Eventhouse": _eventhouse,
    "KQLDatabase": _kql_database,
    "Environment": _environment,
    "VariableLibrary": _variable_library,
}


def _wire(workspace: Workspace, item: Item) -> dict[str, Any]:
    known = _PROPERTIES.get(item.type)
    properties = {} if known is None else known(workspace, item)
    found = item_wire(workspace, item)
    return {**found, "properties": properties} if properties else found


async def list_typed(world: World, call: Call) -> Answer:
    """List the items of one type."""
    item_type = _type(world, call)
    workspace = workspace_of(world, call, "Viewer")
    items = [item for _, item in sorted(workspace.items.items()) if item.type == item_type]
    return paged(world, call, [_wire(workspace, item) for item in items])


async def create_typed(world: World, call: Call) -> Answer:
    """Make an item of the type that the path names."""
    return create_item_of(world, call, _type(world, call))


async def get_typed(world: World, call: Call) -> Answer:
    """Answer with one item and its properties."""
    return Answer(200, _wire(*_typed_item(world, call, "Viewer")))


async def update_typed(world: World, call: Call) -> Answer:
    """Change name or description, or the active value set of a variable library."""
    workspace, item = _typed_item(world, call, "Contributor")
    properties = wire.mapping(call.fields(), "properties") or {}
    if item.type == "VariableLibrary":
        name = wire.optional_text(properties, "activeValueSetName")
        if name is not None:
            item.properties = {**(item.properties or {}), "activeValueSetName": name}
    change_item(world, workspace, item, call.fields())
    return Answer(200, _wire(workspace, item))


def _for_typed(handler: Handler) -> Handler:
    """Let a general handler work on an item that a typed path names."""

    async def checked(world: World, call: Call) -> Answer:
        _typed_item(world, call, "Viewer")
        return await handler(world, call)

    return checked


async def publish_environment(world: World, call: Call) -> Answer:
    """Start to publish the staged settings and libraries of an environment (SDK, 202)."""
    if call.params["collection"].lower() != "environments":
        raise _no_route(world, call)
    workspace, item = _typed_item(world, call, "Contributor")
    item.properties = {**(item.properties or {}), "publishState": "Running"}
    args = {"workspace": workspace.id, "item": item.id}
    return begin(world, call, "environments.publish", args)


@operation("environments.publish")
def run_publish(world: World, found: Operation) -> None:
    """Publish what is staged; an environment that is gone needs nothing."""
    workspace = world.fabric.workspaces.get(found.args["workspace"])
    item = None if workspace is None else workspace.items.get(found.args["item"])
    if item is not None:
        item.properties = {**(item.properties or {}), "publishState": "Success"}


_ALL = "/v1/workspaces/{workspaceId}/{collection}"
_ONE = f"{_ALL}/{{itemId}}"
ROUTES = [
    Route("GET", _ALL, list_typed, "typed.list"),
    Route("POST", _ALL, create_typed, "typed.create"),
    Route("GET", _ONE, get_typed, "typed.get"),
    Route("PATCH", _ONE, update_typed, "typed.update"),
    Route("DELETE", _ONE, _for_typed(delete_item), "typed.delete"),
    Route(
        "POST",
        f"{_ONE}/getDefinition",
        _for_typed(get_definition),
        "typed.get_definition",
        effect=False,
    ),
    Route(
        "POST",
        f"{_ONE}/updateDefinition",
        _for_typed(update_definition),
        "typed.update_definition",
    ),
    Route("POST", f"{_ONE}/staging/publish", publish_environment, "environments.publish"),
]
