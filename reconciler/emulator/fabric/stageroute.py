"""The way of a deployment: two stages, what belongs together in them, and the attached plan.

Source: fabric-api.md section 7.4 (docs); deployment-plan-attach, docs of Sep 2026.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.emulator.fabric.content import CONTENTS, Exchange
from reconciler.emulator.fabric.deployplans import (
    PLAN_FILE,
    DeploymentPlan,
    parse_plan,
    sort_by_needs,
)
from reconciler.emulator.fabric.errors import OperationFailed, refuse
from reconciler.emulator.fabric.itemformat import directory_leaf
from reconciler.emulator.fabric.pairing import partner
from reconciler.emulator.fabric.rules import is_direct_lake
from reconciler.emulator.fabric.state import Item, Pipeline, Rule, Workspace

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["AttachedPlan", "StageRoute", "bound_ids", "references"]


@dataclass(frozen=True, slots=True)
class StageRoute:
    """From which stage to which, with the workspaces; ``target`` is None for a vacant stage."""

    pipeline: Pipeline
    source_order: int
    target_order: int
    source: Workspace
    target: Workspace | None

    @property
    def into(self) -> Workspace:
        """The target's workspace, once there is one."""
        if self.target is None:
            raise OperationFailed("DeploymentOperationFailed", "The target stage is vacant")
        return self.target

    @property
    def backward(self) -> bool:
        """Whether content goes to an earlier stage."""
        return self.target_order < self.source_order

    def counterpart(self, item: Item) -> Item | None:
        """Return the item of the target that an item of the source is paired with.

        A SQL endpoint follows its lakehouse.
        """
        if self.target is None:
            return None
        if item.type == "SQLEndpoint":
            parent = self.source.items.get(item.parent_id or "")
            there = None if parent is None else self.counterpart(parent)
            if there is None:
                return None
            return next((i for i in self.target.items.values() if i.parent_id == there.id), None)
        found = partner(self.pipeline, self.source_order, item.id, self.target_order)
        return None if found is None else self.target.items.get(found)

    def rules(self, there: Item | None) -> list[Rule]:
        """Return the rules that the target stage has for one of its items."""
        stage = self.pipeline.stages[self.target_order]
        return [rule for rule in stage.rules if there is not None and rule.item_id == there.id]


@dataclass(frozen=True, slots=True)
class AttachedPlan:
    """A deployment plan and whose logical ids it has: those of the source or of the target.

    Source: deployment-plan-attach, docs of Sep 2026: both stages may hold one.
    """

    route: StageRoute
    plan: DeploymentPlan | None = None
    incoming: bool = True

    @classmethod
    def to(cls, world: World, route: StageRoute, item_id: str | None) -> AttachedPlan:
        """Return the plan that an item of either stage is."""
        if item_id is None:
            return cls(route)
        for incoming, workspace in ((True, route.source), (False, route.target)):
            item = None if workspace is None else workspace.items.get(item_id)
            if item is not None and PLAN_FILE in item.parts:
                return cls(route, parse_plan(world.blobs.get(item.parts[PLAN_FILE])), incoming)
        raise refuse(400, "ItemNotFound", "The deployment plan could not be found")

    def key(self, item: Item) -> str:
        """Return the logical id by which the plan knows an item of the source."""
        there = item if self.incoming else self.route.counterpart(item)
        return item.logical_id if there is None else there.logical_id

    def find(self, logical_id: str) -> Item | None:
        """Return the item of the target that the plan calls so."""
        side = self.route.source if self.incoming else self.route.target
        found = next(
            (i for i in (side.items.values() if side else ()) if i.logical_id == logical_id), None
        )
        return self.route.counterpart(found) if found is not None and self.incoming else found

    def in_order(self, world: World, items: list[Item]) -> list[Item]:
        """Sort items as the plan and their own references want it."""
        if self.plan is None:
            return items
        keys = {item.id: self.key(item) for item in items}
        needs = {
            keys[item.id]: self.plan.needs(keys[item.id])
            | {keys[i] for i in references(world, self.route.source, item) if i in keys}
            for item in items
        }
        return sort_by_needs(items, lambda item: keys[item.id], needs)


def bound_ids(world: World, route: StageRoute) -> Exchange:
    """Return the ids that autobinding exchanges: items by their pairs, and the workspace.

    References to an item in another pipeline's stage of the same order go to its pair
    (section 7.4, docs).
    """
    ids: dict[str, str] = {}
    for item in route.source.items.values():
        there = route.counterpart(item)
        if there is not None:
            ids[item.logical_id] = there.logical_id
            ids[item.id] = there.id
    for other in world.fabric.pipelines.values():
        if other is route.pipeline:
            continue
        for edge in other.edges:
            if edge.stage != min(route.source_order, route.target_order):
                continue
            old, new = edge.source_id, edge.target_id
            ids.setdefault(new if route.backward else old, old if route.backward else new)
    target = route.source.id if route.target is None else route.target.id
    return Exchange(ids, (route.source.id, target))


def references(world: World, workspace: Workspace, item: Item) -> set[str]:
    """Return the ids of items of the same workspace that an item depends on.

    A report may name its semantic model by the path of its directory instead.
    """
    found: set[str] = set()
    if is_direct_lake(world, item):
        return found  # it is not bound anew, so it needs nothing in the target (section 7.4, docs)
    for digest in item.parts.values():
        found |= CONTENTS.guids(world.blobs, digest) & workspace.items.keys()
    binding = item.parts.get("definition.pbir")
    if binding is not None:
        try:
            path = json.loads(world.blobs.get(binding))["datasetReference"]["byPath"]["path"]
        except (ValueError, KeyError, TypeError):
            return found
        leaf = str(path).rpartition("/")[2]
        found |= {
            other.id
            for other in workspace.items.values()
            if leaf == (other.leaf or directory_leaf(other.name, other.type, other.logical_id))
        }
    return found
