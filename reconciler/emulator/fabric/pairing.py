"""Pairs of items in adjacent stages: stored edges, made on assignment and on deployment.

Source: fabric-api.md section 7.4 (docs). A pair survives renames and moves; what was added after
the assignment is not paired by name.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from reconciler.emulator.fabric.catalog import folder_path
from reconciler.emulator.fabric.errors import refuse
from reconciler.emulator.fabric.state import Edge, Item, Pipeline, Workspace
from reconciler.emulator.fabric.support import PIPELINE_UNSUPPORTED

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "deployable_items",
    "drop_stage",
    "pair",
    "pair_stage",
    "partner",
]


def deployable_items(workspace: Workspace) -> list[Item]:
    """Return the items that a pipeline shows and deploys."""
    return [item for item in workspace.items.values() if item.type not in PIPELINE_UNSUPPORTED]


def partner(pipeline: Pipeline, order: int, item_id: str, other: int) -> str | None:
    """Return the item of stage ``other`` that an item of an adjacent stage is paired with."""
    for edge in pipeline.edges:
        if edge.stage != min(order, other):
            continue
        if order < other and edge.source_id == item_id:
            return edge.target_id
        if order > other and edge.target_id == item_id:
            return edge.source_id
    return None


def pair(pipeline: Pipeline, order: int, item_id: str, other: int, other_id: str) -> None:
    """Store a pair; the edge runs from the earlier to the later stage."""
    if order < other:
        pipeline.edges.append(Edge(order, item_id, other_id))
    else:
        pipeline.edges.append(Edge(other, other_id, item_id))


def drop_stage(pipeline: Pipeline, order: int) -> None:
    """Forget all pairs of a stage."""
    pipeline.edges = [edge for edge in pipeline.edges if edge.stage not in {order - 1, order}]


def pair_stage(world: World, pipeline: Pipeline, order: int) -> None:
    """Pair the items of a stage with those of its neighbours by type and name.

    Raises:
        Refused: if several namesakes cannot be told apart by their folder either (the code is
            assumed).
    """
    own = _workspace(world, pipeline, order)
    found: list[Edge] = []
    for earlier in (order - 1, order):
        lower, upper = (_workspace(world, pipeline, place) for place in (earlier, earlier + 1))
        if own is not None and lower is not None and upper is not None:
            found += [Edge(earlier, a.id, b.id) for a, b in _matches(lower, upper)]
    pipeline.edges += found


def _workspace(world: World, pipeline: Pipeline, order: int) -> Workspace | None:
    if not 0 <= order < len(pipeline.stages):
        return None
    return world.fabric.workspaces.get(pipeline.stages[order].workspace_id or "")


def _matches(lower: Workspace, upper: Workspace) -> list[tuple[Item, Item]]:
    sides: list[dict[tuple[str, str], list[Item]]] = []
    for workspace in (lower, upper):
        names: dict[tuple[str, str], list[Item]] = defaultdict(list)
        for item in deployable_items(workspace):
            names[(item.type, item.name)].append(item)
        sides.append(names)
    found: list[tuple[Item, Item]] = []
    for key in sides[0].keys() & sides[1].keys():
        first, second = sides[0][key], sides[1][key]
        if len(first) == len(second) == 1:
            found.append((first[0], second[0]))
        else:
            found += _by_folder(lower, upper, first, second)
    return found


def _by_folder(
    lower: Workspace, upper: Workspace, first: list[Item], second: list[Item]
) -> list[tuple[Item, Item]]:
    """Pair namesakes that lie in the same folder."""
    found: list[tuple[Item, Item]] = []
    for item in first:
        place = folder_path(lower, item.folder_id)
        there = [other for other in second if folder_path(upper, other.folder_id) == place]
        here = [other for other in first if folder_path(lower, other.folder_id) == place]
        if len(there) > 1 or (there and len(here) > 1):
            raise refuse(
                400,
                "DuplicateDisplayNameAndType",
                f"Items of type {item.type} named {item.name} cannot be paired unambiguously",
            )
        found += [(item, other) for other in there]
    return found
