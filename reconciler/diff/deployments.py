"""Decide, item by item, what a deployment from one stage to the next would bring.

Pairing is the service's own stored edge; it is read, never guessed. Used by the planner and, with
fresh readings, by the executor just before it sends a deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.diff.definitions import IdMap, compare_definitions
from reconciler.live.models import Definition, LiveStageItem
from reconciler.live.scope import ScopePattern, StageSide, in_scope

__all__ = ["DeploymentDiff", "ItemState", "ItemVerdict", "compare_stages"]


class ItemState(StrEnum):
    """``New``, ``Different`` and ``NoDifference`` are the service's words; Unproven is ours."""

    NEW = "New"
    DIFFERENT = "Different"
    NO_DIFFERENCE = "NoDifference"
    UNPROVEN = "Unproven"


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """What is known of one source item in scope; ``evidence`` says how."""

    type: str
    name: str
    source_id: str
    target_id: str | None
    state: ItemState
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class DeploymentDiff:
    """All verdicts, in the order of type and name.

    ``clashes`` are new items whose type and name an unpaired target item already has: deploying
    would make a duplicate. ``orphans`` are target items whose source is gone.
    """

    verdicts: tuple[ItemVerdict, ...] = ()
    clashes: tuple[ItemVerdict, ...] = ()
    orphans: tuple[LiveStageItem, ...] = ()

    def needed(self, *, unproven: bool) -> tuple[ItemVerdict, ...]:
        """Return the items to deploy: New and Different, and Unproven where asked."""
        wanted = {ItemState.NEW, ItemState.DIFFERENT} | (
            {ItemState.UNPROVEN} if unproven else set()
        )
        return tuple(v for v in self.verdicts if v.state in wanted)


def compare_stages(
    source: StageSide,
    target: StageSide,
    definitions: Mapping[str, Definition],
    *,
    scope: Sequence[ScopePattern] | None,
    exclude: Sequence[ScopePattern] = (),
    compare: str = "definitions",
) -> DeploymentDiff:
    """Compare two stages along their pairing.

    Args:
        definitions: by item id, for both sides of every pair of :func:`pairs_to_read`.
        compare: ``definitions``; ``pairing`` (paired means equal); ``always`` (paired means
            different).
    """
    target_by_id = {i.id: i for i in target.items}
    paired_targets = {i.target_id for i in source.items if i.target_id in target_by_id}
    taken = {(i.type, i.name) for i in target.items if i.id not in paired_targets}
    pairs = _Pairs(source, target, target_by_id, definitions)
    verdicts: list[ItemVerdict] = []
    clashes: list[ItemVerdict] = []
    for item in sorted(source.items, key=lambda i: (i.type, i.name, i.id)):
        if not in_scope(item.type, item.name, scope, exclude):
            continue
        if item.target_id not in target_by_id:
            verdict = _verdict(item, ItemState.NEW, "not paired with an item of the target stage")
            if (item.type, item.name) in taken:
                clashes.append(verdict)
        elif compare == "definitions":
            verdict = pairs.judge(item)
        elif compare == "always":
            verdict = _verdict(item, ItemState.DIFFERENT, "compare: always deploys without looking")
        else:
            verdict = _verdict(item, ItemState.NO_DIFFERENCE, "paired; compare: pairing")
        verdicts.append(verdict)
    orphans = tuple(i for i in target.items if i.source_id is not None and _is_orphan(i, source))
    return DeploymentDiff(tuple(verdicts), tuple(clashes), orphans)


def _is_orphan(item: LiveStageItem, source: StageSide) -> bool:
    return all(item.source_id != s.id for s in source.items)


def _verdict(item: LiveStageItem, state: ItemState, evidence: str) -> ItemVerdict:
    return ItemVerdict(item.type, item.name, item.id, item.target_id, state, evidence)


class _Pairs:
    """Judges paired items by their definitions and folders."""

    def __init__(
        self,
        source: StageSide,
        target: StageSide,
        target_by_id: Mapping[str, LiveStageItem],
        definitions: Mapping[str, Definition],
    ) -> None:
        self._definitions = definitions
        self._source_folders = {i.id: i.folder for i in source.workspace_items}
        self._target_folders = {i.id: i.folder for i in target.workspace_items}
        source_names: dict[str, str] = {}
        target_names: dict[str, str] = {}
        for number, item in enumerate(source.items):
            if item.target_id in target_by_id:
                source_names[item.id] = target_names[str(item.target_id)] = f"item {number}"
        for names, side in ((source_names, source), (target_names, target)):
            if side.workspace_id:
                names[side.workspace_id] = "workspace"
        self._source_ids, self._target_ids = IdMap(source_names), IdMap(target_names)

    def judge(self, item: LiveStageItem) -> ItemVerdict:
        target_id = str(item.target_id)
        here, there = self._source_folders.get(item.id), self._target_folders.get(target_id)
        if here is not None and there is not None and here != there:
            return _verdict(
                item, ItemState.DIFFERENT, f"folder {there or '/'} becomes {here or '/'}"
            )
        mine, theirs = self._definitions.get(item.id), self._definitions.get(target_id)
        for side, definition in (("source", mine), ("target", theirs)):
            if definition is None or definition.unavailable:
                why = definition.unavailable if definition else "not read"
                return _verdict(item, ItemState.UNPROVEN, f"{side} definition: {why}")
        if mine is None or theirs is None:  # narrowed by the loop above
            return _verdict(item, ItemState.UNPROVEN, "not read")
        found = compare_definitions(mine, theirs, self._source_ids, self._target_ids)
        if not found:
            return _verdict(item, ItemState.NO_DIFFERENCE, "definitions are equal")
        return _verdict(item, ItemState.DIFFERENT, _describe(d.describe() for d in found))


def _describe(differences: Iterable[str]) -> str:
    listed = list(differences)
    more = f" and {len(listed) - 3} more files" if len(listed) > 3 else ""
    return "; ".join(listed[:3]) + more
