"""Read what deployments that compare definitions need, once the pipelines are known.

Per pair of items two definitions (with ``beta`` one export per workspace), per workspace its items
with their folders, and for items without a definition what :mod:`reconciler.live.evidence` reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from reconciler.clients.fabric.client import FabricClient
from reconciler.ids import Address, address, split_address
from reconciler.live.definitions import operations_at_once, read_definitions
from reconciler.live.evidence import open_history, read_source_binding, unread_sources
from reconciler.live.found import Found
from reconciler.live.items import read_items
from reconciler.live.models import LivePipeline, LiveWorkspace
from reconciler.live.scope import StageSide, pairs_to_read, patterns_of, scope_of
from reconciler.spec.models import DeploymentSpec, Estate
from reconciler.spec.resolve import pipeline_address

__all__ = ["read_comparisons", "read_items_of"]


@dataclass(frozen=True, slots=True)
class _Compared:
    """A deployment between two filled stages, and the pairs whose definitions it compares."""

    pipeline: Address
    stages: tuple[str, str]
    source_id: str
    target_id: str
    pairs: Sequence[tuple[str, str]]


async def read_comparisons(
    estate: Estate, fabric: FabricClient, found: Found, *, reads: int, beta: bool
) -> None:
    """Read items with their folders, definitions, and what proves where there are none.

    Args:
        found: has the workspaces and pipelines; takes what is read here.
        reads: the most requests on their way at once.
    """
    compared = list(_compared(estate, found))
    wanted = {
        item_id: workspace_id
        for c in compared
        for pair in c.pairs
        for item_id, workspace_id in zip(pair, (c.source_id, c.target_id), strict=True)
    }
    known = {w.id: where for where, w in found.workspaces.items()}
    names = {w.id: w.display_name for w in found.listed_workspaces}
    await asyncio.gather(
        _read_definitions(fabric, found, wanted, reads=reads, beta=beta),
        *(
            _read_stage_workspace(
                fabric, found, i, known.get(i) or address("workspaces", names.get(i, i))
            )
            for i in sorted(set(wanted.values()))
        ),
    )
    by_pipeline: dict[Address, list[_Compared]] = {}
    for entry in compared:
        by_pipeline.setdefault(entry.pipeline, []).append(entry)
    git = {i: Address(f"{where}/git") for i, where in known.items()}
    await asyncio.gather(*(_read_evidence(fabric, found, e, git) for e in by_pipeline.values()))


async def read_items_of(
    fabric: FabricClient, found: Found, where: Address, workspace_id: str
) -> None:
    """Read the items of a workspace that is known; a failure marks its address."""
    items = await found.attempt(where, "list items", lambda: read_items(fabric, workspace_id))
    if items is not None:
        found.workspaces[where] = replace(found.workspaces[where], items=items)


def _compared(estate: Estate, found: Found) -> Iterator[_Compared]:
    """Find the deployments that compare definitions, with the pairs they compare."""
    for spec in estate.pipelines:
        live = found.pipelines.get(pipeline_address(spec))
        if live is None or len(live.stages) != len(spec.stages):
            continue
        names = [s.name for s in spec.stages]
        for deployment in spec.deployments:
            if deployment.compare != "definitions":
                continue
            if deployment.from_ not in names or deployment.to not in names:
                continue
            ends = (names.index(deployment.from_), names.index(deployment.to))
            entry = _of_stages(pipeline_address(spec), live, deployment, ends)
            if entry is not None:
                yield entry


def _of_stages(
    where: Address, live: LivePipeline, deployment: DeploymentSpec, ends: tuple[int, int]
) -> _Compared | None:
    source, target = (live.stages[n] for n in ends)
    here, there = (StageSide(s.workspace_id, live.items.get(s.id, ())) for s in (source, target))
    if target.order < source.order:
        here, there = here.backward(), there.backward()
    pairs = pairs_to_read(here, there, scope_of(deployment), patterns_of(deployment.exclude))
    if not pairs or source.workspace_id is None or target.workspace_id is None:
        return None
    return _Compared(where, (source.id, target.id), source.workspace_id, target.workspace_id, pairs)


async def _read_definitions(
    fabric: FabricClient, found: Found, wanted: Mapping[str, str], *, reads: int, beta: bool
) -> None:
    kept = {i: found.once.kept(("definition", i)) for i in wanted}
    missing = {i: w for i, w in wanted.items() if kept[i] is None}
    read = await read_definitions(fabric, missing, bound=operations_at_once(reads), beta=beta)
    for item_id, definition in read.items():
        found.once.keep(("definition", item_id), definition)
    found.definitions |= {i: d for i, d in kept.items() if d is not None} | read


async def _read_stage_workspace(
    fabric: FabricClient, found: Found, workspace_id: str, where: Address
) -> None:
    """Read the items of a stage's workspace; ``where`` is its address in spec or service."""
    if where not in found.workspaces:
        found.workspaces[where] = LiveWorkspace(id=workspace_id, name=split_address(where)[-1])
    if found.workspaces[where].items is None:
        await read_items_of(fabric, found, where, workspace_id)


async def _read_evidence(
    fabric: FabricClient,
    found: Found,
    compared: Sequence[_Compared],
    bindings: Mapping[str, Address],
) -> None:
    """Read what tells of items without definitions, for the deployments of one pipeline.

    Args:
        bindings: where the binding of a workspace stands, by workspace id.
    """
    for entry in compared:
        unread = unread_sources(entry.pairs, found.definitions)
        if not unread:
            continue
        source = entry.source_id
        if found.bindings.get(bindings.get(source, address("workspaces"))) is None:
            binding = await found.once.read(
                ("source binding", source), partial(read_source_binding, fabric, source)
            )
            if binding is not None:
                found.source_bindings[source] = binding
        live = found.pipelines[entry.pipeline]
        operations = await open_history(
            fabric, live.id, live.operations or (), entry.stages, unread
        )
        found.pipelines[entry.pipeline] = replace(live, operations=operations)
