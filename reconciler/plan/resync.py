"""Plan a resync: drop the uncommitted changes of a workspace where Git leads.

There is no call that undoes a change. Binding anew and taking everything from Git does, and loses
whatever is not committed, so the spec has to ask for it with ``sync.drift: resync``.
Source: fabric-api.md sections 6.4 and 6.7, field.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from reconciler.diff.bindings import BindingDiff
from reconciler.ids import Address, address
from reconciler.live.models import (
    ChangeType,
    CredentialSource,
    LiveBinding,
    LiveChange,
)
from reconciler.live.places import target_of
from reconciler.plan.actions import (
    BranchTarget,
    GitCredentialChoice,
    ItemChange,
    Related,
    ResyncGit,
)
from reconciler.plan.draft import Draft, item_changes
from reconciler.plan.plan import DriftEntry
from reconciler.spec.models import GitSpec, WorkspaceSpec
from reconciler.spec.resolve import git_address
from reconciler.words import count

__all__ = ["first_strategy", "kept_credentials", "plan_resync"]

# What taking everything from Git does to an item that was changed by hand.
_UNDONE = {
    ChangeType.ADDED: ChangeType.DELETED,
    ChangeType.MODIFIED: ChangeType.MODIFIED,
    ChangeType.DELETED: ChangeType.ADDED,
}


def first_strategy(git: GitSpec) -> Literal["PreferRemote", "PreferWorkspace"] | None:
    """Return which side wins a first sync.

    ``drift: resync`` says that Git wins, so that a resync which broke off can be finished: the
    workspace is then unbound or not initialised, and nothing tells that it once was.
    """
    if git.initialize is None and _wanted(git):
        return "PreferRemote"
    return git.initialize


def kept_credentials(draft: Draft, live: LiveBinding) -> GitCredentialChoice | None:
    """Return the credentials the caller has now, to connect again with; None: the default."""
    connection_id = live.credential_connection_id
    if live.credential_source is not CredentialSource.CONFIGURED or connection_id is None:
        return None
    found = draft.connection(connection_id)
    # The list of connections is read only where the spec names one; the id is enough.
    where = address("connections", found.name if found is not None else connection_id)
    draft.bindings[where] = connection_id
    return GitCredentialChoice(source="ConfiguredConnection", connection=where)


def _wanted(git: GitSpec) -> bool:
    return git.sync.drift == "resync" and git.sync.direction == "update"


def plan_resync(
    draft: Draft,
    spec: WorkspaceSpec,
    git: GitSpec,
    workspace: Address,
    live: LiveBinding,
    diff: BindingDiff,
    choice: GitCredentialChoice | None,
) -> bool:
    """Plan a resync where it is wanted and needed; True when it takes the place of an update."""
    where = git_address(spec)
    if git.sync.drift == "resync" and not _wanted(git):
        draft.warn(
            "resync_needs_update",
            f"sync.drift: resync has no effect with sync.direction: {git.sync.direction}.",
            "A resync drops what is not committed, which is for workspaces where Git leads. Set "
            "direction: update, or take drift out.",
            where,
        )
    status = live.status
    if not _wanted(git) or status is None:
        return False
    ignores = draft.ignores(where)
    undone = (*diff.local, *diff.conflicts)
    if all(ignores.change(c) for c in undone):
        return False
    if git.initialize == "PreferWorkspace":
        _refuse(draft, where)
        _drift(draft, where, diff, planned=False)
        return True
    items = (
        *(_undone(c, ignored=ignores.change(c)) for c in undone),
        *item_changes(diff.incoming, remote=True),
    )
    draft.add(
        ResyncGit(
            workspace=workspace,
            target=BranchTarget(**asdict(target_of(git))),
            credentials=choice or kept_credentials(draft, live),
            relations=_relations(draft, where, live),
        ),
        where,
        lane=workspace,
        code="uncommitted_changes",
        why=f"{count(len(undone), 'uncommitted change')} that the spec wants dropped: everything "
        f"is taken from {target_of(git).describe()}",
        items=tuple(sorted(items, key=lambda i: (i.type, i.name))),
        preconditions={
            "workspace_head": status.workspace_head,
            "remote_commit_hash": status.remote_hash,
        },
        destructive=True,
        requests=12,
    )
    _drift(draft, where, diff, planned=True)
    return True


def _refuse(draft: Draft, where: Address) -> None:
    draft.error(
        "resync_needs_remote",
        "initialize: PreferWorkspace and sync.drift: resync contradict each other.",
        "Were a resync to break off, the workspace's uncommitted changes would win the first sync "
        "after it. Take initialize out, which has done its work, or set drift: report.",
        where,
    )


def _undone(change: LiveChange, *, ignored: bool) -> ItemChange:
    """Tell a change from the side of what the resync does to it."""
    here = change.workspace or ChangeType.MODIFIED
    after = _UNDONE[here]
    if change.remote is not None:
        after = change.remote
    detail = f"{here.value.lower()} by hand and not committed: lost"
    return ItemChange(
        type=change.type,
        name=change.name,
        change=after.value,
        conflict=change.conflict.value if change.remote is not None else None,
        detail=f"{detail}, although ignored" if ignored else detail,
    )


def _relations(draft: Draft, where: Address, live: LiveBinding) -> tuple[Related, ...]:
    """Return the relations to put back; that a disconnect takes them is assumed."""
    if live.relations is None:
        draft.warn(
            "relations_not_seen",
            "Relations to branched-out workspaces are not looked at, and a resync may drop them.",
            "With --beta they are read before and put back after it."
            if not draft.beta
            else "They could not be read; see what could not be read.",
            where,
        )
        return ()
    return tuple(
        Related(workspace_id=r.other_id, kind=r.kind)
        for r in live.relations
        if r.kind in ("Base", "Branch")
    )


def _drift(draft: Draft, where: Address, diff: BindingDiff, *, planned: bool) -> None:
    for cause, changes, remote in (
        ("incoming", diff.incoming, True),
        ("local", (*diff.local, *diff.conflicts), False),
    ):
        if changes:
            items = item_changes(changes, remote=remote)
            many = count(len(items), "item")
            draft.drift.append(
                DriftEntry(
                    address=where,
                    cause=cause,
                    text=f"{many} in Git not yet in the workspace"
                    if remote
                    else f"{many} changed in the workspace and not committed",
                    items=items,
                    planned=planned,
                )
            )
