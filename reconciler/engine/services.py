"""The services of a run: where they are, as whom they are asked, and within what bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from reconciler.clients.auth import devops_credential, fabric_credential
from reconciler.clients.http import Network, Service, Transport
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
    connections = max(settings.reads, settings.parallelism)
    names = [reference.env for reference in secret_references(estate)] if estate else []
    secrets = secrets_of(settings.environ, names)
    fabric = Transport(
        service=Service.FABRIC,
        base_url=endpoints["fabric"],
        credential=fabric_auth,
        clock=settings.clock,
        connections=connections,
        deadline_s=_CALL_DEADLINE_S,
        handler=_network(settings, Service.FABRIC),
        fence=settings.fence,
        tell=settings.tell,
        secrets=secrets,
    )
    devops = Transport(
        service=Service.AZURE_DEVOPS,
        base_url=endpoints["devops"],
        credential=devops_auth,
        clock=settings.clock,
        connections=connections,
        deadline_s=_CALL_DEADLINE_S,
        handler=_network(settings, Service.AZURE_DEVOPS),
        fence=settings.fence,
        tell=settings.tell,
        secrets=secrets,
    )
    services = Services(fabric, devops, credentials=(fabric_auth, devops_auth))
    try:
        yield services
    finally:
        await services.aclose()


def _network(settings: Settings, service: Service) -> Network | None:
    return settings.network(service) if settings.network is not None else None


async def look_at_operation(operation_id: str, settings: Settings) -> OperationState:
    """Ask the service once how a long-running operation stands.

    Raises:
        OperationError: the service does not know it, or no longer.
    """
    async with services_for(settings, None) as services:
        return await services.fabric.operations.get_state(operation_id)
