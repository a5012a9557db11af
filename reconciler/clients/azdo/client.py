"""The Azure DevOps client: one attribute per area of the API."""

from __future__ import annotations

from reconciler.clients.azdo.caller import Caller
from reconciler.clients.azdo.endpoints import Endpoints
from reconciler.clients.azdo.imports import Imports
from reconciler.clients.azdo.items import GitItems
from reconciler.clients.azdo.projects import Projects
from reconciler.clients.azdo.pushes import Pushes
from reconciler.clients.azdo.refs import Refs
from reconciler.clients.azdo.repositories import Repositories
from reconciler.clients.http import Transport

__all__ = ["AzdoClient"]


class AzdoClient:
    """Typed calls to one organization or collection over one transport.

    Args:
        transport: carries the calls; close it when done.
        root: ``/contoso`` or ``/tfs/DefaultCollection``, quoted.
        server_version: the server release, ``3.0`` (TFS 2017) to ``7.2``.

    Attributes:
        transport: what carries the calls.
        endpoints: service endpoints.
        imports: Git import requests.
        items: files and folders.
        projects: team projects.
        pushes: commits through the API.
        refs: branches and tags.
        repositories: Git repositories.

    Raises:
        UsageError: the server release is unknown.
    """

    def __init__(self, transport: Transport, *, root: str, server_version: str = "7.1") -> None:
        caller = Caller(transport, root=root, server_version=server_version)
        self.transport = transport
        self.projects = Projects(caller)
        self.repositories = Repositories(caller)
        self.refs = Refs(caller)
        self.items = GitItems(caller)
        self.pushes = Pushes(caller)
        self.imports = Imports(caller)
        self.endpoints = Endpoints(caller)
