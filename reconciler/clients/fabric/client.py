"""The Fabric client: one attribute per area of the API."""

from __future__ import annotations

from reconciler.clients.fabric.capacities import Capacities
from reconciler.clients.fabric.connections import Connections
from reconciler.clients.fabric.git import Git
from reconciler.clients.fabric.items import Folders, Items
from reconciler.clients.fabric.pipelines import Pipelines
from reconciler.clients.fabric.workspaces import Workspaces
from reconciler.clients.http import Transport
from reconciler.clients.lro import Operations

__all__ = ["FabricClient"]


class FabricClient:
    """Typed calls to the Fabric REST API over one transport.

    Attributes:
        transport: what carries the calls; close it when done.
        capacities: the capacities the caller may use.
        connections: connections that hold Git credentials.
        folders: workspace folders.
        git: Git integration of workspaces.
        items: items and their definitions.
        operations: long-running operations.
        pipelines: deployment pipelines.
        workspaces: workspaces and their roles.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.operations = Operations(transport)
        self.capacities = Capacities(transport)
        self.connections = Connections(transport)
        self.workspaces = Workspaces(transport)
        self.items = Items(transport, self.operations)
        self.folders = Folders(transport)
        self.git = Git(transport, self.operations)
        self.pipelines = Pipelines(transport)
