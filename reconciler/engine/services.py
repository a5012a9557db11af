"""The services of a run: where they are, as whom they are asked, and within what bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reconciler.clients.auth import Credential, devops_credential, fabric_credential
from reconciler.clients.http import Service, Transport
from reconciler.clients.lro import OperationState
from reconciler.clients.secrets import secrets_of
from reconciler.clients.services import Services
from reconciler.engine.settings import Settings
from reconciler.spec.models import Estate
from reconciler.spec.resolve import secret_references

__all__ = [
    "look_at_operation",
    "services_for",
]

# How long a service may refuse every call of an API before we stop asking: windows of a minute
# are the rule, and waiting for one's turn in them does not count.
_CALL_DEADLINE_S = 300.0


@asynccontextmanager
async def services_for(settings: Settings, estate: Estate | None) -> AsyncIterator[Services]:
    """Give the services of a run, and close their connections after it.

    Args:
        estate: the spec may name a server of its own, and the secrets that no message may show.
    """
    endpoints = settings.endpoints(estate)
    fabric_auth = fabric_credential(settings.environ, mode=settings.auth, clock=settings.clock)
    devops_auth = devops_credential(settings.environ, mode=settings.auth, clock=settings.clock)
    names = [reference.env for reference in secret_references(estate)] if estate else []
    secrets = secrets_of(settings.environ, names)

    def transport(service: Service, base_url: str, credential: Credential) -> Transport:
        return Transport(
            service=service,
            base_url=base_url,
            credential=credential,
            clock=settings.clock,
            connections=max(settings.reads, settings.parallelism),
            deadline_s=_CALL_DEADLINE_S,
            handler=None if settings.network is None else settings.network(service),
            fence=settings.fence,
            tell=settings.tell,
            secrets=secrets,
        )

    services = Services(
        transport(Service.FABRIC, endpoints["fabric"], fabric_auth),
        transport(Service.AZURE_DEVOPS, endpoints["devops"], devops_auth),
        credentials=(fabric_auth, devops_auth),
    )
    try:
        yield services
    finally:
        await services.aclose()


async def look_at_operation(operation_id: str, settings: Settings) -> OperationState:
    """Ask the service once how a long-running operation stands.

    Raises:
        OperationError: the service does not know it, or no longer.
    """
    async with services_for(settings, None) as services:
        return await services.fabric.operations.get_state(operation_id)
