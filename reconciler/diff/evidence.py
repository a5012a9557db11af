"""What tells whether a pair differs when comparing its definitions cannot.

Three witnesses, none of them ours to keep: the notes of past deployments, the git status of the
two workspaces, and the services' own times. They are read only where they are needed, and each
verdict says which one it rests on. What none of them proves stays unproven.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.live.models import (
    ConnectionState,
    LiveBinding,
    LiveOperation,
    LiveStageItem,
)
from reconciler.provenance import Trailer, read_trailer
from reconciler.words import short_commit

__all__ = ["NOT_IN_GIT", "NO_EVIDENCE", "ItemState", "StageEvidence"]

# Git integration ignores these on both sides, so no commit says anything about them.
# Source: fabric-api.md section 9 (Git-supported), docs; the last two follow their parents.
NOT_IN_GIT = frozenset({"Dashboard", "Datamart", "SQLEndpoint", "MirroredWarehouse"})
_SUCCEEDED = "succeeded"
_ENDED = frozenset({_SUCCEEDED, "failed"})


class ItemState(StrEnum):
    """``New``, ``Different`` and ``NoDifference`` are the service's words; Unproven is ours."""

    NEW = "New"
    DIFFERENT = "Different"
    NO_DIFFERENCE = "NoDifference"
    UNPROVEN = "Unproven"


@dataclass(frozen=True, slots=True)
class StageEvidence:
    """What is known of two stages besides their definitions.

    Attributes:
        source, target: Git bindings of the two workspaces, where they were read.
        operations: deployments from the one stage to the other, newest first.
    """

    source: LiveBinding | None = None
    target: LiveBinding | None = None
    operations: tuple[LiveOperation, ...] = ()

    @classmethod
    def of(
        cls,
        stages: tuple[str, str],
        operations: tuple[LiveOperation, ...],
        *,
        source: LiveBinding | None,
        target: LiveBinding | None,
    ) -> StageEvidence:
        """Pick the operations between two stages, by stage id."""
        between = (o for o in operations if (o.source_stage_id, o.target_stage_id) == stages)
        return cls(source, target, tuple(between))

    # -- items without a readable definition --

    def judge(self, item: LiveStageItem, there: LiveStageItem) -> tuple[ItemState, str]:
        """Judge a pair without definitions; the text is the evidence, or what is missing."""
        open_reason = self._no_source(item)
        if open_reason:
            return ItemState.UNPROVEN, open_reason
        if self.source is None:  # narrowed by _no_source
            return ItemState.UNPROVEN, ""
        found, reason = self._newest_of(item)
        if reason:
            return ItemState.UNPROVEN, reason
        trailer = read_trailer(found.note) if found else None
        head = self.source.head
        if trailer is not None and trailer.source and head:
            if trailer.source == head:
                return (
                    ItemState.NO_DIFFERENCE,
                    f"deployed from {short_commit(head)}, where the source still is",
                )
            return (
                ItemState.DIFFERENT,
                f"last deployed from {short_commit(trailer.source)}, the source is at "
                f"{short_commit(head)}; what changed in it is not known",
            )
        return self._by_time(found, there)

    def _no_source(self, item: LiveStageItem) -> str:
        """Say why the source's Git state proves nothing of an item; "" when it may."""
        if item.type in NOT_IN_GIT:
            return "Git does not track its type"
        if self.source is None or self.source.state is not ConnectionState.INITIALIZED:
            return "the source workspace's Git binding is not there or was not readable"
        if self.source.status is None:
            return "the git status of the source workspace is not known"
        if _changed(self.source, item):
            return "it has uncommitted changes in the source workspace"
        return ""

    def _newest_of(self, item: LiveStageItem) -> tuple[LiveOperation | None, str]:
        """Return the deployment that brought an item, or why none can be named."""
        for operation in self.operations:
            if operation.status.lower() not in _ENDED:
                return None, "a deployment is under way"
            step = (operation.steps or {}).get(item.id, "NotStarted").lower()
            if step == _SUCCEEDED:
                return operation, ""
            if step == "failed":
                return None, "its last deployment failed"
        return None, ""

    def _by_time(self, found: LiveOperation | None, there: LiveStageItem) -> tuple[ItemState, str]:
        deployed = (found.started if found else None) or there.last_deployed
        synced = self.source.synced if self.source else None
        if deployed is None:
            return ItemState.UNPROVEN, "no deployment of it is on record"
        if synced is None:
            return ItemState.UNPROVEN, "when the source was last synced is not told"
        if deployed > synced:
            return (
                ItemState.NO_DIFFERENCE,
                f"deployed at {deployed}, after the last sync of the source at {synced}",
            )
        return (
            ItemState.DIFFERENT,
            f"the source was synced at {synced}, after its last deployment at {deployed}; "
            "what changed in it is not known",
        )

    # -- items that differ --

    def is_residual(self, places: frozenset[str]) -> bool:
        """Tell whether the last deployment found just these differences, and left them.

        Its note lists what differed before. The same values on both sides now mean that
        deploying does not change them. A deployment in several parts left one note for each.
        """
        if not places:
            return False
        seen: frozenset[str] = frozenset()
        run: str | None = None
        for operation in self.operations:
            trailer = read_trailer(operation.note)
            if operation.status.lower() != _SUCCEEDED or trailer is None:
                break
            if run is not None and trailer.run != run:
                break
            run = trailer.run
            seen |= trailer.compared
        return places <= seen

    def source_moved(self) -> str:
        """Say that the source moved since the last deployment, where its note proves it."""
        trailer = self._last_trailer()
        head = self.source.head if self.source else None
        if trailer is None or not trailer.source or not head or trailer.source == head:
            return ""
        return f"the source moved from {short_commit(trailer.source)} to {short_commit(head)}"

    def edited_in_target(self, item: LiveStageItem, there: LiveStageItem) -> str:
        """Say that the target's item changed after its deployment, where something proves it.

        Either the target's git status, if its last sync is younger than the deployment, or the
        note: the source stands where it was deployed from, so it was the other side that moved.
        """
        deployed = there.last_deployed
        if deployed is None:
            return ""
        target = self.target
        if target is not None and _changed(target, there):
            if target.synced is not None and target.synced > deployed:
                return "git status of the target"
            return ""
        last = self.operations[0] if self.operations else None
        trailer = self._last_trailer()
        if trailer is None or last is None or last.started is None or self._no_source(item):
            return ""
        here = self.source.head if self.source else None
        if trailer.source is None or trailer.source != here or deployed < last.started:
            return ""
        return f"the note of its deployment from {short_commit(here)}, where the source still is"

    def _last_trailer(self) -> Trailer | None:
        last = self.operations[0] if self.operations else None
        if last is None or last.status.lower() != _SUCCEEDED:
            return None
        return read_trailer(last.note)


NO_EVIDENCE = StageEvidence()


def _changed(binding: LiveBinding, item: LiveStageItem) -> bool:
    """Tell whether git status has an uncommitted change of an item."""
    changes = binding.status.changes if binding.status else ()
    return any(
        c.workspace is not None
        and (
            c.object_id == item.id
            or (c.object_id is None and (c.type, c.name) == (item.type, item.name))
        )
        for c in changes
    )
