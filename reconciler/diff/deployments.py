"""Decide, item by item, what a deployment from one stage to the next would bring.

Pairing is the service's own stored edge; it is read, never guessed. Used by the planner and, with
fresh readings, by the executor just before it sends a deployment.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from reconciler.diff.definitions import (
    FileDifference,
    IdMap,
    compare_definitions,
    logical_id_in,
)
from reconciler.diff.evidence import NO_EVIDENCE, ItemState, StageEvidence
from reconciler.diff.ignore import NOTHING_IGNORED, Ignores
from reconciler.live.models import Definition, LiveStageItem
from reconciler.live.scope import FOLLOWERS, ScopePattern, StageSide, in_scope

__all__ = ["DeploymentDiff", "ItemState", "ItemVerdict", "compare_stages", "definitions_hash"]

_MAX_PLACES = 20


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """What is known of one source item in scope; ``evidence`` says how.

    ``paths`` are the differing places as ``ignore`` takes them; ``places`` digests each of them
    with both its values; ``edited`` says what proves that the target's item was changed there;
    ``on_record`` that the verdict rests on past deployments, and may change with the next commit.
    """

    type: str
    name: str
    source_id: str
    target_id: str | None
    state: ItemState
    evidence: str = ""
    paths: tuple[str, ...] = ()
    places: frozenset[str] = frozenset()
    edited: str = ""
    on_record: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentDiff:
    """All verdicts, in the order of type and name.

    ``clashes`` are new items whose type and name an unpaired target item already has: deploying
    would make a duplicate. ``orphans`` are target items whose source is gone. ``ignored`` would be
    in one of the three, were it not for the spec's ``ignore`` rules; it stands in none of them.
    ``residual`` differs as well, and the last deployment has shown that deploying changes nothing
    of it; it stands in none of the others.
    """

    verdicts: tuple[ItemVerdict, ...] = ()
    clashes: tuple[ItemVerdict, ...] = ()
    orphans: tuple[LiveStageItem, ...] = ()
    ignored: tuple[ItemVerdict, ...] = ()
    residual: tuple[ItemVerdict, ...] = ()

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
    evidence: StageEvidence = NO_EVIDENCE,
) -> DeploymentDiff:
    """Compare two stages along their pairing.

    Args:
        definitions: by item id, for both sides of every pair of :func:`pairs_to_read`.
        compare: ``definitions``; ``pairing`` (paired means equal); ``always`` (paired means
            different).
        ignore: the rules at the deployment's address.
        evidence: what tells of pairs whose definitions cannot, and of past deployments.
    """
    target_by_id = {i.id: i for i in target.items}
    source_ids = {i.id for i in source.items}
    paired_targets = {i.target_id for i in source.items if i.target_id in target_by_id}
    taken = {(i.type, i.name) for i in target.items if i.id not in paired_targets}
    pairs = _Pairs(source, target, target_by_id, definitions, ignore, evidence)
    verdicts: list[ItemVerdict] = []
    clashes: list[ItemVerdict] = []
    ignored: list[ItemVerdict] = []
    residual: list[ItemVerdict] = []
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
        left = compare == "definitions" and evidence.is_residual(verdict.places)
        (residual if left else verdicts).append(verdict)
    orphans = tuple(
        i
        for i in target.items
        if _has_lost_its_source(i, source_ids) and not ignore.item(i.type, i.name)
    )
    return DeploymentDiff(
        tuple(verdicts),
        tuple(clashes),
        orphans,
        (*ignored, *pairs.equal_but_for_ignored),
        tuple(residual),
    )


def definitions_hash(
    verdicts: Iterable[ItemVerdict], definitions: Mapping[str, Definition]
) -> str | None:
    """Digest what was compared of the items that differ; None when nothing was compared.

    Deploying anything else than what was compared would bring content nobody has seen. An item
    without a pair is compared with nothing, even if another deployment of the plan has read it.
    """
    digest = hashlib.sha256()
    read = False
    for verdict in sorted(verdicts, key=lambda v: v.source_id):
        if verdict.target_id is None:
            continue
        for item_id in (verdict.source_id, verdict.target_id):
            definition = definitions.get(item_id)
            if definition is None or definition.unavailable:
                continue
            read = True
            for path, content in sorted(definition.parts.items()):
                for field in (str(item_id).encode(), path.encode(), content):
                    digest.update(len(field).to_bytes(8, "big") + field)
    return digest.hexdigest() if read else None


def _has_lost_its_source(item: LiveStageItem, source_ids: Collection[str]) -> bool:
    """Tell whether a target item came by deployment and its source is gone.

    Whether the service still names a source that was deleted is nobody's word (assumed: either);
    that the item was deployed once stands on record.
    """
    if item.type in FOLLOWERS:
        return False
    if item.source_id is not None:
        return item.source_id not in source_ids
    return item.last_deployed is not None


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
        evidence: StageEvidence,
    ) -> None:
        self.equal_but_for_ignored: list[ItemVerdict] = []
        self._definitions = definitions
        self._evidence = evidence
        self._source, self._target = source, target
        self._targets = target_by_id
        self._ignore = ignore

    @cached_property
    def _folders(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        source, target = self._source.workspace_items, self._target.workspace_items
        return {i.id: i.folder for i in source}, {i.id: i.folder for i in target}

    @cached_property
    def _ids(self) -> tuple[IdMap, IdMap]:
        """Both sides' ids under shared names; made when the first two files are not alike."""
        source_names: dict[str, str] = {}
        target_names: dict[str, str] = {}
        for number, item in enumerate(self._source.items):
            if item.target_id in self._targets:
                name = f"item {number}"
                self._name(source_names, item.id, name)
                self._name(target_names, str(item.target_id), name)
        for names, side in ((source_names, self._source), (target_names, self._target)):
            if side.workspace_id:
                names[side.workspace_id] = "workspace"
        return IdMap(source_names), IdMap(target_names)

    def _name(self, names: dict[str, str], item_id: str, name: str) -> None:
        """Give one name to an item's objectId and to the logicalId its definition states."""
        definition = self._definitions.get(item_id)
        logical_id = logical_id_in(definition) if definition else None
        if logical_id is not None:
            names.setdefault(logical_id, name)
        names[item_id] = name

    def judge(self, item: LiveStageItem) -> ItemVerdict:
        """Judge one pair: by folder, then by definition, then by what else is known."""
        target_id = str(item.target_id)
        source_folders, target_folders = self._folders
        here, there = source_folders.get(item.id), target_folders.get(target_id)
        if here is not None and there is not None and here != there:
            return self._different(item, f"folder {there or '/'} becomes {here or '/'}", ())
        mine, theirs = self._definitions.get(item.id), self._definitions.get(target_id)
        if mine is None or theirs is None or mine.unavailable or theirs.unavailable:
            return self._unread(item, mine, theirs)
        if mine.parts == theirs.parts:
            return _verdict(item, ItemState.NO_DIFFERENCE, "definitions are equal")
        found = compare_definitions(
            mine,
            theirs,
            *self._ids,
            ignore=self._ignore.paths_in(item.type, item.name),
        )
        if found.differences:
            differing = _describe(d.describe() for d in found.differences)
            return self._different(item, differing, found.differences)
        if found.ignored:
            differing = _describe(d.describe() for d in found.ignored)
            self.equal_but_for_ignored.append(_verdict(item, ItemState.DIFFERENT, differing))
            return _verdict(item, ItemState.NO_DIFFERENCE, f"ignored: {differing}")
        return _verdict(item, ItemState.NO_DIFFERENCE, "definitions are equal")

    def _unread(
        self, item: LiveStageItem, mine: Definition | None, theirs: Definition | None
    ) -> ItemVerdict:
        side, unread = ("source", mine) if mine is None or mine.unavailable else ("target", theirs)
        why = f"{side} definition: {unread.unavailable if unread else 'not read'}"
        state, evidence = self._evidence.judge(item, self._targets[str(item.target_id)])
        found = _verdict(item, state, "; ".join(filter(None, (why, evidence))))
        return replace(found, on_record=state is not ItemState.UNPROVEN)

    def _different(
        self, item: LiveStageItem, text: str, differences: Sequence[FileDifference]
    ) -> ItemVerdict:
        found = [p for d in differences for p in d.places] or [text]
        # A place alone could be that of another item; many places are as good as one.
        places = (
            f"{item.id} {p}" for p in ([" ".join(found)] if len(found) > _MAX_PLACES else found)
        )
        return ItemVerdict(
            item.type,
            item.name,
            item.id,
            item.target_id,
            ItemState.DIFFERENT,
            text,
            paths=tuple(p for d in differences for p in d.to_ignore()),
            places=frozenset(map(_digest, places)),
            edited=self._evidence.edited_in_target(item, self._targets[str(item.target_id)]),
        )


def _digest(text: str) -> str:
    """Digest what names a place, short enough to stand in a note with many others."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).digest()
    return base64.urlsafe_b64encode(digest).decode()


def _describe(differences: Iterable[str]) -> str:
    listed = list(differences)
    more = f" and {len(listed) - 3} more files" if len(listed) > 3 else ""
    return "; ".join(listed[:3]) + more
