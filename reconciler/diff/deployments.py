"""Decide, item by item, what a deployment from one stage to the next would bring.

Pairing is the service's own stored edge; it is read, never guessed. Used by the planner and, with
fresh readings, by the executor just before it sends a deployment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.diff.definitions import IdMap, compare_definitions, logical_id_in
from reconciler.diff.ignore import NOTHING_IGNORED, Ignores
from reconciler.live.models import Definition, LiveStageItem
from reconciler.live.scope import ScopePattern, StageSide, in_scope

__all__ = ["DeploymentDiff", "ItemState", "ItemVerdict", "compare_stages", "definitions_hash"]


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
    would make a duplicate. ``orphans`` are target items whose source is gone. ``ignored`` would be
    in one of the three, were it not for the spec's ``ignore`` rules; it stands in none of them.
    """

    verdicts: tuple[ItemVerdict, ...] = ()
    clashes: tuple[ItemVerdict, ...] = ()
    orphans: tuple[LiveStageItem, ...] = ()
    ignored: tuple[ItemVerdict, ...] = ()

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
    ignore: Ignores = NOTHING_IGNORED,
) -> DeploymentDiff:
    """Compare two stages along their pairing.

    Args:
        definitions: by item id, for both sides of every pair of :func:`pairs_to_read`.
        compare: ``definitions``; ``pairing`` (paired means equal); ``always`` (paired means
            different).
        ignore: the rules at the deployment's address.
    """
    target_by_id = {i.id: i for i in target.items}
    source_ids = {i.id for i in source.items}
    paired_targets = {i.target_id for i in source.items if i.target_id in target_by_id}
    taken = {(i.type, i.name) for i in target.items if i.id not in paired_targets}
    pairs = _Pairs(source, target, target_by_id, definitions, ignore)
    verdicts: list[ItemVerdict] = []
    clashes: list[ItemVerdict] = []
    ignored: list[ItemVerdict] = []
    for item in sorted(source.items, key=lambda i: (i.type, i.name, i.id)):
        if not in_scope(item.type, item.name, scope, exclude):
            continue
        if item.target_id not in target_by_id:
            verdict = _verdict(item, ItemState.NEW, "not paired with an item of the target stage")
        elif compare == "definitions":
            verdict = pairs.judge(item)
        elif compare == "always":
            verdict = _verdict(item, ItemState.DIFFERENT, "compare: always deploys without looking")
        else:
            verdict = _verdict(item, ItemState.NO_DIFFERENCE, "paired; compare: pairing")
        if ignore.item(item.type, item.name):
            if verdict.state is not ItemState.NO_DIFFERENCE:
                ignored.append(verdict)
            continue
        if verdict.state is ItemState.NEW and (item.type, item.name) in taken:
            clashes.append(verdict)
        verdicts.append(verdict)
    orphans = tuple(
        i
        for i in target.items
        if i.source_id is not None
        and i.source_id not in source_ids
        and not ignore.item(i.type, i.name)
    )
    return DeploymentDiff(
        tuple(verdicts), tuple(clashes), orphans, (*ignored, *pairs.equal_but_for_ignored)
    )


def definitions_hash(
    verdicts: Iterable[ItemVerdict], definitions: Mapping[str, Definition]
) -> str | None:
    """Digest what was compared of the items that differ; None when nothing was read of them.

    Deploying anything else than what was compared would bring content nobody has seen.
    """
    digest = hashlib.sha256()
    read = False
    for verdict in sorted(verdicts, key=lambda v: v.source_id):
        for item_id in (verdict.source_id, verdict.target_id):
            definition = definitions.get(item_id or "")
            if definition is None or definition.unavailable:
                continue
            read = True
            for path, content in sorted(definition.parts.items()):
                for field in (str(item_id).encode(), path.encode(), content):
                    digest.update(len(field).to_bytes(8, "big") + field)
    return digest.hexdigest() if read else None


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
        ignore: Ignores,
    ) -> None:
        self.equal_but_for_ignored: list[ItemVerdict] = []
        self._definitions = definitions
        self._ignore = ignore
        self._source_folders = {i.id: i.folder for i in source.workspace_items}
        self._target_folders = {i.id: i.folder for i in target.workspace_items}
        source_names: dict[str, str] = {}
        target_names: dict[str, str] = {}
        for number, item in enumerate(source.items):
            if item.target_id in target_by_id:
                name = f"item {number}"
                self._name(source_names, item.id, name)
                self._name(target_names, str(item.target_id), name)
        for names, side in ((source_names, source), (target_names, target)):
            if side.workspace_id:
                names[side.workspace_id] = "workspace"
        self._source_ids, self._target_ids = IdMap(source_names), IdMap(target_names)

    def _name(self, names: dict[str, str], item_id: str, name: str) -> None:
        """Give one name to an item's objectId and to the logicalId its definition states."""
        definition = self._definitions.get(item_id)
        logical_id = logical_id_in(definition) if definition else None
        if logical_id is not None:
            names.setdefault(logical_id, name)
        names[item_id] = name

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
        found = compare_definitions(
            mine,
            theirs,
            self._source_ids,
            self._target_ids,
            ignore=self._ignore.paths_in(item.type, item.name),
        )
        if found.differences:
            differing = _describe(d.describe() for d in found.differences)
            return _verdict(item, ItemState.DIFFERENT, differing)
        if found.ignored:
            differing = _describe(d.describe() for d in found.ignored)
            self.equal_but_for_ignored.append(_verdict(item, ItemState.DIFFERENT, differing))
            return _verdict(item, ItemState.NO_DIFFERENCE, f"ignored: {differing}")
        return _verdict(item, ItemState.NO_DIFFERENCE, "definitions are equal")


def _describe(differences: Iterable[str]) -> str:
    listed = list(differences)
    more = f" and {len(listed) - 3} more files" if len(listed) > 3 else ""
    return "; ".join(listed[:3]) + more
