"""Capacities: list. Source: ``platform/swagger.json`` (spec)."""

from __future__ import annotations

from reconciler.clients.fabric.models import Capacity
from reconciler.clients.http import Transport
from reconciler.clients.paging import collect
from reconciler.clients.wire import parse_all

__all__ = ["Capacities"]


class Capacities:
    """The capacities this caller may see."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> list[Capacity]:
        """Return every capacity the caller may use."""
        path = "/v1/capacities"
        values = await collect(self._transport, "capacities.list", path)
        return parse_all(Capacity, values, what=f"GET {path}")
