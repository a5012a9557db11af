"""Plan the syncs of a bound workspace: update from Git, commit to Git, or report."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.diff.bindings import BindingDiff, matches_any
from reconciler.ids import Address
from reconciler.live.models import ChangeType, ConflictType, LiveBinding, LiveChange, LiveStatus
from reconciler.live.places import target_of
from reconciler.plan.actions import CommitToGit, Pattern, UpdateFromGit
from reconciler.plan.draft import Draft, item_changes
from reconciler.plan.plan import DriftEntry
from reconciler.provenance import COMMENT_LIMIT, fit, length
from reconciler.spec.models import GitSpec, WorkspaceSpec
from reconciler.spec.resolve import git_address
from reconciler.words import count, short_commit

__all__ = ["commit_op", "plan_sync", "plan_sync_unseen", "until_synced"]

_UPDATES = ("update", "both")
_COMMITS = ("commit", "both")


def commit_op(draft: Draft, spec: WorkspaceSpec, git: GitSpec, workspace: Address) -> CommitToGit:
    """Build the commit the spec asks for, with a comment people can trace."""
    commit = git.sync.commit
    estate = draft.estate.metadata.name
    wanted = commit.comment or f"{spec.name or spec.id}: commit by {estate}"
    comment, cut = fit(wanted, estate, COMMENT_LIMIT)
    if cut and commit.comment is not None:
        draft.warn_once(
            "comment_cut",
            f"The commit comment is cut to {length(comment)} characters.",
            f"The service takes {COMMENT_LIMIT}, and the end says which estate and run the commit "
            "came from. Shorten sync.commit.comment.",
            git_address(spec),
        )
    patterns = tuple(Pattern(type=p.type, name=p.name) for p in commit.items)
    return CommitToGit(
        workspace=workspace,
        comment=comment,
        patterns=patterns if commit.mode == "Selective" else None,
    )


def plan_sync(
    draft: Draft,
    spec: WorkspaceSpec,
    git: GitSpec,
    workspace: Address,
    live: LiveBinding,
    diff: BindingDiff,
) -> None:
    """Plan the update and the commit that git status and ``direction`` call for."""
    where = git_address(spec)
    status = live.status
    if status is None:
        return
    direction = git.sync.direction
    ignores = draft.ignores(where)
    incoming = (*diff.incoming, *diff.conflicts)
    wanted = [c for c in incoming if not ignores.change(c)]
    local = tuple(c for c in diff.local if not ignores.change(c))
    # What the workspace keeps in a conflict is a change to commit once the update is done.
    kept = diff.conflicts if direction == "both" and git.sync.conflicts == "PreferWorkspace" else ()
    to_commit = tuple(c for c in (*local, *kept) if _committed(git, c) and not ignores.change(c))
    chosen = frozenset(to_commit)
    committing = direction in _COMMITS and bool(to_commit)
    # An update takes the whole directory, so it is all or nothing; a commit needs it done.
    updating = direction in _UPDATES and bool(wanted or (committing and incoming))
    refused = updating and not _may_update(draft, git, where, diff)
    conflicted = any(c.conflict is ConflictType.CONFLICT for c in wanted)
    if direction == "commit" and incoming and (to_commit or conflicted):
        draft.error(
            "incoming_blocks_commit",
            f"The branch has {count(len(incoming), 'incoming change')}, "
            "so nothing can be committed.",
            "Set sync.direction: both to update first and then commit, or update by hand.",
            where,
        )
        refused = True
    updating, committing = updating and not refused, committing and not refused
    shown = incoming if updating else wanted
    if shown:
        _drift(draft, where, "incoming", shown, remote=True, planned=updating)
    # A selective commit settles some of the changes; the others are told apart from them.
    settled = [c for c in local if committing and c in chosen]
    for changes in (settled, [c for c in local if not (committing and c in chosen)]):
        if changes:
            _drift(draft, where, "local", changes, remote=False, planned=changes is settled)
    left = [] if updating else [c for c in incoming if ignores.change(c)]
    _leave_alone(draft, where, [*left, *(c for c in diff.local if ignores.change(c))])
    if updating:
        _add_update(draft, git, workspace, where, status, diff)
    if committing:
        _add_commit(draft, spec, git, workspace, where, status, to_commit, updating=updating)


def until_synced(git: GitSpec, live: LiveBinding, diff: BindingDiff) -> GitSpec:
    """Return what is asked of a binding, the first sync included when it has not come about.

    A run that ends between initialise and the first sync leaves a workspace that was never
    synchronised. The first sync goes the way initialise asked for, whichever side leads later,
    as long as nothing is overwritten or ``initialize`` names the side that wins.
    Source: fabric-api.md section 6.4, spec and field: gitSyncDetails is filled after the first
    sync.
    """
    incoming = (*diff.incoming, *diff.conflicts)
    if live.synced is not None or live.head is not None or git.sync.direction == "none":
        return git
    if bool(incoming) == bool(diff.local):
        return git  # nothing left to do, or no way to tell who leads
    changes = {c.remote for c in incoming} | {c.workspace for c in diff.local}
    side, direction = ("PreferRemote", "update") if incoming else ("PreferWorkspace", "commit")
    if changes != {ChangeType.ADDED} and git.initialize != side:
        return git
    commit = git.sync.commit.model_copy(update={"mode": "All"})
    sync = git.sync.model_copy(update={"direction": direction, "commit": commit})
    return git.model_copy(update={"sync": sync})


def _leave_alone(draft: Draft, where: Address, changes: list[LiveChange]) -> None:
    if not changes:
        return
    items = (
        *item_changes((c for c in changes if c.remote is not None), remote=True),
        *item_changes((c for c in changes if c.remote is None), remote=False),
    )
    draft.leave_alone(where, f"{count(len(items), 'item')} of git status", items)


def _may_update(draft: Draft, git: GitSpec, where: Address, diff: BindingDiff) -> bool:
    """Refuse an update the spec does not consent to."""
    if diff.conflicts and git.sync.conflicts == "fail":
        _refuse_conflicts(draft, where, diff.conflicts)
        return False
    if diff.name_clashes:
        _refuse_name_clashes(draft, where, diff.name_clashes)
        return False
    return _override_allowed(draft, git, where, diff.incoming)


def _refuse_name_clashes(draft: Draft, where: Address, clashes: tuple[LiveChange, ...]) -> None:
    names = ", ".join(f"{c.type} {c.name}" for c in clashes)
    draft.error(
        "uncommitted_name_taken",
        f"Git brings {count(len(clashes), 'new item')} under the name of an item that was made in "
        f"the workspace and is not committed: {names}.",
        "The update might put the one in the place of the other. Rename or delete the item in the "
        "workspace, commit it by hand, or rename the one in Git.",
        where,
    )


def _committed(git: GitSpec, change: LiveChange) -> bool:
    commit = git.sync.commit
    return commit.mode == "All" or matches_any(change, commit.items)


def _refuse_conflicts(draft: Draft, where: Address, conflicts: tuple[LiveChange, ...]) -> None:
    listed = "; ".join(
        f"{c.type} {c.name} (workspace: {_word(c.workspace)}, Git: {_word(c.remote)})"
        for c in conflicts
    )
    draft.error(
        "git_conflict",
        f"{count(len(conflicts), 'item')} changed on both sides: {listed}.",
        "Resolve them in the workspace's source control pane, or say who wins with "
        "sync.conflicts: PreferRemote (the workspace's changes are lost) or PreferWorkspace "
        "(they stay uncommitted).",
        where,
    )


def _word(change: ChangeType | None) -> str:
    return change.value.lower() if change else "unchanged"


def _override_allowed(
    draft: Draft, git: GitSpec, where: Address, incoming: tuple[LiveChange, ...]
) -> bool:
    overridden = [c for c in incoming if c.remote is not ChangeType.ADDED]
    if git.sync.allow_override or not overridden:
        return True
    names = ", ".join(f"{c.type} {c.name}" for c in overridden)
    draft.error(
        "override_not_allowed",
        f"Incoming commits change {count(len(overridden), 'item')} of the workspace: {names}.",
        "sync.allowOverride is false. Set it to true to let Git change existing items, or set "
        "direction: none to only report.",
        where,
    )
    return False


def _drift(
    draft: Draft,
    where: Address,
    cause: str,
    changes: Iterable[LiveChange],
    *,
    remote: bool,
    planned: bool,
) -> None:
    items = item_changes(changes, remote=remote)
    many = count(len(items), "item")
    text = f"{many} changed in the workspace and not committed"
    if cause == "incoming":
        text = f"{many} in Git not yet in the workspace"
        if draft.merging(where) is not None:
            text += ", once merged"
    draft.drift.append(
        DriftEntry(address=where, cause=cause, text=text, items=items, planned=planned)
    )


def _add_update(
    draft: Draft,
    git: GitSpec,
    workspace: Address,
    where: Address,
    status: LiveStatus,
    diff: BindingDiff,
) -> None:
    loses = git.sync.conflicts == "PreferRemote" and bool(diff.conflicts)
    deletes = any(c.remote is ChangeType.DELETED for c in diff.incoming)
    tip = (status.remote_hash or "")[:8]
    merging = draft.merging(where)
    place, head = target_of(git).describe(), short_commit(status.workspace_head)
    draft.add(
        UpdateFromGit(
            workspace=workspace,
            conflicts=git.sync.conflicts,
            allow_override=git.sync.allow_override,
        ),
        where,
        lane=workspace,
        code="branch_moved" if merging is None else "once_merged",
        why=f"{place} is at {tip}, the workspace at {head}"
        if merging is None
        else f"{place} moves once {tip} is merged, the workspace is at {head}",
        items=item_changes((*diff.incoming, *diff.conflicts), remote=True),
        preconditions={
            "workspace_head": status.workspace_head,
            **({"remote_commit_hash": status.remote_hash} if merging is None else {}),
        },
        after_unknown=merging is not None,
        outcomes=() if merging is None else ("update to the commit that the merge makes",),
        destructive=loses or deletes,
        requests=4,
    )


def _add_commit(
    draft: Draft,
    spec: WorkspaceSpec,
    git: GitSpec,
    workspace: Address,
    where: Address,
    status: LiveStatus,
    local: tuple[LiveChange, ...],
    *,
    updating: bool,
) -> None:
    draft.add(
        commit_op(draft, spec, git, workspace),
        where,
        lane=workspace,
        code="workspace_changed",
        why=f"{count(len(local), 'uncommitted change')}, to {target_of(git).describe()}",
        items=item_changes(local, remote=False),
        preconditions={
            # After its own update the workspace stands at the tip that update brought.
            "workspace_head": status.remote_hash if updating else status.workspace_head,
            "remote_commit_hash": status.remote_hash,
        }
        if draft.merging(where) is None
        else {},
        requests=4,
    )


def plan_sync_unseen(draft: Draft, spec: WorkspaceSpec, git: GitSpec, workspace: Address) -> None:
    """Plan for a workspace whose git status this caller will only see with new credentials."""
    where = git_address(spec)
    if git.sync.direction in _UPDATES:
        draft.add(
            UpdateFromGit(
                workspace=workspace,
                conflicts=git.sync.conflicts,
                allow_override=git.sync.allow_override,
            ),
            where,
            lane=workspace,
            code="status_after_credentials",
            why="git status can be read once the credentials are set",
            after_unknown=True,
            outcomes=("update: the branch has moved", "nothing: the workspace is at the tip"),
            requests=4,
        )
    if git.sync.direction in _COMMITS:
        draft.add(
            commit_op(draft, spec, git, workspace),
            where,
            lane=workspace,
            code="status_after_credentials",
            why="git status can be read once the credentials are set",
            after_unknown=True,
            outcomes=("commit: the workspace has changes", "nothing: it has none"),
            requests=4,
        )
