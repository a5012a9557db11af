"""What git status will say once a merge is done, from what it says now and two trees. Pure."""

from __future__ import annotations

from dataclasses import replace

from reconciler.ids import Address
from reconciler.live.itemtree import ItemTree, TreeChange, born_logical_id, compare_trees
from reconciler.live.models import (
    ChangeType,
    ConflictType,
    LiveBinding,
    LiveChange,
    LiveStatus,
    Preview,
    Snapshot,
)

__all__ = ["status_once_merged", "with_preview"]


def with_preview(snapshot: Snapshot, preview: Preview) -> Snapshot:
    """Return the snapshot as it will be once merged, as far as the preview tells."""
    bindings: dict[Address, LiveBinding] = dict(snapshot.bindings)
    for where, status in preview.statuses.items():
        bindings[where] = replace(bindings[where], status=status)
    for where, content in preview.contents.items():
        bindings[where] = replace(bindings[where], content=content)
    return replace(
        snapshot,
        bindings=bindings,
        unreadable={**snapshot.unreadable, **preview.unreadable},
        preview=preview,
    )


def status_once_merged(
    status: LiveStatus, synced: ItemTree, merged: ItemTree, tip: ItemTree | None, commit: str
) -> LiveStatus:
    """Return git status as it will be once the merge is the tip of the branch.

    What the workspace changed stays. What the branch changes is told by the trees, matched by
    logicalId; where the merge leaves an item as the tip has it already, the service's own
    verdict on a conflict stands. A conflict foreseen here may turn out to be the same change on
    both sides: what the workspace holds is not compared.

    Args:
        synced: the items at the commit the workspace is synced to.
        tip: those at the tip of the branch; None when the checkout lacks it, and then what the
            service reports as incoming stays incoming.
        commit: what is merged; it stands for the commit that the merge will make.

    Source: fabric-api.md sections 6.2 and 6.5 (three states, names; spec).
    """
    seen = _by_logical_id(status)
    brought = compare_trees(synced, merged)
    beyond_tip = None if tip is None else compare_trees(tip, merged)
    used: set[int] = set()
    changes: list[LiveChange] = []
    for key in sorted({*brought, *seen}):
        now = seen.get(key)
        settled = beyond_tip is not None and key not in beyond_tip
        found = _change(key, now, brought.get(key), settled=settled, tip_known=tip is not None)
        if now is not None:
            used.add(id(now))
        if found is not None:
            changes.append(found)
    changes.extend(c for c in status.changes if id(c) not in used)
    return LiveStatus(
        workspace_head=status.workspace_head,
        remote_hash=commit,
        changes=tuple(sorted(changes, key=lambda c: (c.type, c.name, c.logical_id or ""))),
    )


def _by_logical_id(status: LiveStatus) -> dict[str, LiveChange]:
    """Index git status; an item that is not in Git yet has the logicalId it was born with."""
    out = {}
    for change in status.changes:
        if change.logical_id is not None:
            out[change.logical_id.lower()] = change
        elif change.object_id is not None:
            out[born_logical_id(change.object_id)] = change
    return out


def _change(
    key: str,
    now: LiveChange | None,
    brought: TreeChange | None,
    *,
    settled: bool,
    tip_known: bool,
) -> LiveChange | None:
    """Return one line of git status once merged; None when nothing is left of it.

    Args:
        settled: the merge leaves the item as the tip of the branch has it.
    """
    if brought is None:
        if now is None or now.remote is None or not tip_known:
            return now
        if now.workspace is None:
            return None  # the merge takes back what the branch brought
        return replace(now, remote=None, conflict=ConflictType.NONE)
    local = now.workspace if now is not None else None
    if now is not None and settled and now.remote is not None:
        conflict = now.conflict
    else:
        conflict = _foreseen(local, brought.change)
    return LiveChange(
        type=brought.item.type,
        name=now.name if now is not None else brought.item.name,
        object_id=now.object_id if now is not None else None,
        logical_id=key,
        remote=brought.change,
        workspace=local,
        conflict=conflict,
        word=brought.word,
        detail=brought.detail,
    )


def _foreseen(local: ChangeType | None, remote: ChangeType) -> ConflictType:
    if local is None:
        return ConflictType.NONE
    both_gone = local is ChangeType.DELETED and remote is ChangeType.DELETED
    return ConflictType.SAME_CHANGES if both_gone else ConflictType.CONFLICT
