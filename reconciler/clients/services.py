"""The two services together: one transport each, one client per Azure DevOps organization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from reconciler.clients.auth import Credential
from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.fabric.client import FabricClient
from reconciler.clients.http import Transport

__all__ = ["Services"]


class Services:
    """What reading and executing need to reach the services.

    Attributes:
        fabric: the Fabric client.
        clock: the time both transports wait by.
    """

    def __init__(
        self, fabric: Transport, devops: Transport, *, credentials: tuple[Credential, Credential]
    ) -> None:
        self.fabric = FabricClient(fabric)
        self._credentials = credentials
        self.clock = fabric.clock
        self._transports = (fabric, devops)
        self._devops = devops
        self._azdo: dict[tuple[str, str], AzdoClient] = {}

    def azdo(self, root: str, server_version: str = "7.1") -> AzdoClient:
        """Return the client for an organization or collection root such as ``/contoso``."""
        key = (root, server_version)
        if key not in self._azdo:
            self._azdo[key] = AzdoClient(self._devops, root=root, server_version=server_version)
        return self._azdo[key]

    @property
    def caller(self) -> str:
        """Who is signed in, as stable identities that are no secrets; known after a request."""
        fabric, devops = (c.caller for c in self._credentials)
        return fabric or devops or ""

    @property
    def caller_is_app(self) -> bool | None:
        """Whether Fabric sees a service principal or managed identity; None: not known."""
        return self._credentials[0].caller_is_app

    @property
    def requests(self) -> Mapping[str, int]:
        """How many requests were sent so far, by API."""
        total: Counter[str] = Counter()
        for transport in self._transports:
            total.update(transport.requests)
        return total

    async def aclose(self) -> None:
        """Close both connection pools."""
        for transport in self._transports:
            await transport.aclose()
