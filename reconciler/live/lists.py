"""Lists of the whole tenant that a plan needs: read when the spec speaks of what is in them."""

from __future__ import annotations

from reconciler.clients.fabric.client import FabricClient
from reconciler.ids import address
from reconciler.live.found import Found
from reconciler.live.models import LiveCapacity, LiveConnection
from reconciler.spec.models import Estate, PipelineSpec
from reconciler.spec.resolve import pipeline_address

__all__ = ["list_capacities", "list_connections", "list_regions"]


async def list_capacities(estate: Estate, fabric: FabricClient, found: Found) -> None:
    """List capacities where the spec names one."""
    stages = [s for p in estate.pipelines for s in p.stages]
    named = any(w.capacity for w in estate.workspaces) or any(
        s.workspace is not None and not isinstance(s.workspace, str) and s.workspace.capacity
        for s in stages
    )
    if named:
        await _list_all_capacities(fabric, found)


async def list_regions(estate: Estate, fabric: FabricClient, found: Found) -> None:
    """List capacities where a deployment without consent might cross regions.

    Only stages on different capacities can; a list that is refused leaves it to the service.
    """
    capacity_ids = {w.id: w.capacity_id for w in found.listed_workspaces}
    if any(_may_cross(spec, found, capacity_ids) for spec in estate.pipelines):
        await _list_all_capacities(fabric, found)


def _may_cross(spec: PipelineSpec, found: Found, capacity_ids: dict[str, str | None]) -> bool:
    live = found.pipelines.get(pipeline_address(spec))
    if live is None:
        return False
    held = {
        s.name: capacity_ids.get(stage.workspace_id or "")
        for s, stage in zip(spec.stages, live.stages, strict=False)
    }
    return any(
        not d.allow_cross_region and len({held.get(d.from_), held.get(d.to)} - {None}) > 1
        for d in spec.deployments
    )


async def _list_all_capacities(fabric: FabricClient, found: Found) -> None:
    if found.capacities is not None or address("capacities") in found.unreadable:
        return
    listed = await found.attempt(address("capacities"), "list capacities", fabric.capacities.list)
    if listed is not None:
        found.capacities = tuple(
            LiveCapacity(c.id, c.display_name, c.sku, c.region, c.state) for c in listed
        )


async def list_connections(estate: Estate, fabric: FabricClient, found: Found) -> None:
    """List connections where the spec has some, or names one as credentials."""
    gits = [w.git for w in estate.workspaces if w.git is not None]
    named = any(g.credentials not in (None, "automatic", "none") for g in gits)
    if not (named or estate.connections):
        return
    listed = await found.attempt(
        address("connections"), "list connections", fabric.connections.list
    )
    if listed is not None:
        found.connections = tuple(
            LiveConnection(
                c.id, c.display_name, c.connection_details.type, c.connection_details.path
            )
            for c in listed
        )
