"""Count what a plan deletes and overwrites, workspace by workspace, for the policies to judge.

An item counts once, however many actions touch it. Deleted are items that an update from Git
takes away and those of a workspace that goes. Overwritten is only what no branch holds: changes
that were not committed. A first sync is left out: ``initialize`` in the spec is consent to just it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.ids import Address
from reconciler.live.models import ConflictType, LiveItem, LiveStageItem
from reconciler.live.scope import FOLLOWERS
from reconciler.plan.actions import (
    Action,
    DeleteWorkspace,
    Deploy,
    ResyncGit,
    SwitchGit,
    UpdateFromGit,
)
from reconciler.plan.draft import Draft, git_of
from reconciler.plan.plan import Loss

__all__ = ["count_losses", "known_items"]

_Items = set[tuple[str, str]]

_LOSING = (DeleteWorkspace, Deploy, ResyncGit, SwitchGit, UpdateFromGit)


def count_losses(draft: Draft, actions: Sequence[Action]) -> tuple[Loss, ...]:
    """Return what the actions delete and overwrite, for each workspace that loses something."""
    deleted: dict[Address, _Items] = {}
    overwritten: dict[Address, _Items] = {}
    for action in actions:
        if not isinstance(action.op, _LOSING):
            continue
        for workspace, name in _deleted(draft, action):
            deleted.setdefault(workspace, set()).add(name)
        for workspace, name in _overwritten(draft, action):
            overwritten.setdefault(workspace, set()).add(name)
    losses = []
    for workspace in sorted(deleted.keys() | overwritten.keys()):
        gone = deleted.get(workspace, set())
        # What is deleted is not also overwritten.
        replaced = overwritten.get(workspace, set()) - gone
        items = known_items(draft, workspace)
        losses.append(
            Loss(
                workspace=workspace,
                items=None if items is None else len(items),
                deletes=len(gone),
                overwrites=len(replaced),
            )
        )
    return tuple(losses)


def _deleted(draft: Draft, action: Action) -> Iterator[tuple[Address, tuple[str, str]]]:
    op = action.op
    if isinstance(op, UpdateFromGit):
        where = Address(op.workspace)
        yield from ((where, (i.type, i.name)) for i in action.items if i.change == "Deleted")
    elif isinstance(op, DeleteWorkspace):
        where = Address(action.address)
        yield from ((where, (i.type, i.name)) for i in known_items(draft, where) or ())


def _overwritten(draft: Draft, action: Action) -> Iterator[tuple[Address, tuple[str, str]]]:
    op = action.op
    if isinstance(op, UpdateFromGit) and op.initial:
        return
    if isinstance(op, UpdateFromGit) and op.conflicts == "PreferRemote":
        conflict = ConflictType.CONFLICT.value
        found = ((i.type, i.name) for i in action.items if i.conflict == conflict)
        yield from ((Address(op.workspace), name) for name in found)
    elif isinstance(op, ResyncGit) or (isinstance(op, SwitchGit) and op.strategy == "PreferRemote"):
        where = Address(op.workspace)
        yield from ((where, name) for name in _uncommitted(draft, where))
    elif isinstance(op, Deploy) and op.target_workspace is not None:
        target = Address(op.target_workspace)
        local = _uncommitted(draft, target)
        names = ((i.type, i.name) for i in action.items)
        yield from ((target, name) for name in names if name in local)


def _uncommitted(draft: Draft, workspace: Address) -> _Items:
    """Return the items of a workspace that git status proves to be changed by hand."""
    binding = draft.snapshot.bindings.get(git_of(workspace))
    changes = binding.status.changes if binding is not None and binding.status is not None else ()
    return {(c.type, c.name) for c in changes if c.workspace is not None}


def known_items(draft: Draft, workspace: Address) -> list[LiveItem | LiveStageItem] | None:
    """Return the items of a workspace without those the service makes itself; None: not listed.

    They are listed for the workspace, or for the stage that it stands in.
    """
    live = draft.snapshot.workspaces.get(workspace)
    if live is None:
        return None
    found: Sequence[LiveItem | LiveStageItem] | None = live.items
    if found is None:
        found = draft.stage_items(live.id)
    return None if found is None else [i for i in found if i.type not in FOLLOWERS]
