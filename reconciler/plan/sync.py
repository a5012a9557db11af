"""Plan the syncs of a bound workspace: update from Git, commit to Git, or report."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.diff.bindings import BindingDiff, matches_any
from reconciler.ids import Address
from reconciler.live.models import ChangeType, LiveBinding, LiveChange, LiveStatus
from reconciler.live.places import target_of
from reconciler.plan.actions import CommitToGit, ItemChange, Pattern, UpdateFromGit
from reconciler.plan.draft import Draft, item_changes
from reconciler.plan.plan import DriftEntry
from reconciler.spec.models import GitSpec, WorkspaceSpec
from reconciler.spec.resolve import git_address, workspace_address

__all__ = ["commit_op", "plan_followers", "plan_sync", "plan_sync_unseen"]

_UPDATES = ("update", "both")
_COMMITS = ("commit", "both")


def commit_op(draft: Draft, spec: WorkspaceSpec, git: GitSpec, workspace: Address) -> CommitToGit:
    """Build the commit the spec asks for, with a comment people can trace."""
    commit = git.sync.commit
    comment = commit.comment or f"{spec.name or spec.id}: commit by {draft.estate.metadata.name}"
    patterns = tuple(Pattern(type=p.type, name=p.name) for p in commit.items)
    return CommitToGit(
        workspace=workspace,
        comment=comment[:300],
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
    incoming = (*diff.incoming, *diff.conflicts)
    if diff.conflicts and direction in _UPDATES and git.sync.conflicts == "fail":
        _refuse_conflicts(draft, where, diff.conflicts)
        return
    updating = bool(incoming) and direction in _UPDATES
    if updating and not _override_allowed(draft, git, where, diff.incoming):
        return
    local = tuple(c for c in diff.local if _committed(git, c))
    if incoming:
        _drift(draft, where, "incoming", incoming, remote=True, planned=updating)
    if updating:
        _add_update(draft, git, workspace, where, status, diff)
    if diff.local:
        committing = direction in _COMMITS and bool(local)
        if committing and incoming and not updating:
            draft.error(
                "incoming_blocks_commit",
                f"The branch has {len(incoming)} incoming changes, so nothing can be committed.",
                "Set sync.direction: both to update first and then commit, or update by hand.",
                where,
            )
            committing = False
        _drift(draft, where, "local", diff.local, remote=False, planned=committing)
        if committing:
            _add_commit(draft, spec, git, workspace, where, status, local, updating=updating)


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
        f"{len(conflicts)} items were changed on both sides: {listed}.",
        "Resolve them in the workspace's source control pane, or say who wins with "
        "sync.conflicts: PreferRemote (the workspace's changes are lost) or PreferWorkspace "
        "(they stay uncommitted).",
        where,
    )
    _drift(draft, where, "local", conflicts, remote=False, planned=False)


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
        f"Incoming commits change {len(overridden)} items of the workspace: {names}.",
        "sync.allowOverride is false. Set it to true to let Git change existing items, or set "
        "direction: none to only report.",
        where,
    )
    _drift(draft, where, "incoming", incoming, remote=True, planned=False)
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
    count = f"{len(items)} item" + ("" if len(items) == 1 else "s")
    text = (
        f"{count} in Git not yet in the workspace"
        if cause == "incoming"
        else f"{count} changed in the workspace and not committed"
    )
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
    draft.add(
        UpdateFromGit(
            workspace=workspace,
            conflicts=git.sync.conflicts,
            allow_override=git.sync.allow_override,
        ),
        where,
        lane=workspace,
        code="branch_moved",
        why=f"{target_of(git).describe()} is at {tip}, the workspace at "
        f"{(status.workspace_head or 'no commit')[:8]}",
        items=item_changes((*diff.incoming, *diff.conflicts), remote=True),
        preconditions={
            "workspace_head": status.workspace_head,
            "remote_commit_hash": status.remote_hash,
        },
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
        why=f"{len(local)} uncommitted changes, to {target_of(git).describe()}",
        items=item_changes(local, remote=False),
        preconditions={
            # After its own update the workspace stands at the tip that update brought.
            "workspace_head": status.remote_hash if updating else status.workspace_head,
            "remote_commit_hash": status.remote_hash,
        },
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


def plan_followers(draft: Draft) -> None:
    """Plan updates of other workspaces on a branch that a commit of this plan moves."""
    by_branch: dict[tuple[str, ...], list[WorkspaceSpec]] = {}
    for spec in draft.estate.workspaces:
        if spec.git is not None and spec.git.state == "present" and spec.state == "present":
            by_branch.setdefault(target_of(spec.git).branch_key(), []).append(spec)
    commits = [a for a in draft.actions.values() if isinstance(a.op, CommitToGit)]
    newest: dict[tuple[str, ...], str] = {}
    for commit in commits:
        committer = next(s for s in draft.estate.workspaces if git_address(s) == commit.address)
        if committer.git is None:
            continue
        target = target_of(committer.git)
        if target.branch_key() in newest:  # a branch takes one commit at a time
            draft.edges[commit.id].append(newest[target.branch_key()])
        newest[target.branch_key()] = commit.id
        for other in by_branch.get(target.branch_key(), ()):
            if other is not committer and other.git and _sees(other.git, target.directory):
                _add_follower(draft, other, other.git, commit.id, commit.items)


def _sees(git: GitSpec, directory: str) -> bool:
    """Tell whether a commit below ``directory`` can touch what a binding sees."""
    mine = target_of(git).directory.rstrip("/") + "/"
    theirs = directory.rstrip("/") + "/"
    return git.sync.direction in _UPDATES and (mine.startswith(theirs) or theirs.startswith(mine))


def _add_follower(
    draft: Draft,
    spec: WorkspaceSpec,
    git: GitSpec,
    commit_id: str,
    items: tuple[ItemChange, ...],
) -> None:
    workspace = workspace_address(spec)
    where = git_address(spec)
    if where in draft.unknown or (
        draft.snapshot.workspaces.get(workspace) is None and not draft.lane_tail(workspace)
    ):
        return
    for planned in draft.doers(where):
        op = draft.actions[planned].op
        if isinstance(op, UpdateFromGit):
            # It updates to the tip anyway; it only has to wait for the commit.
            if not op.initial:
                _make_follow(draft, planned, commit_id)
            return
    draft.add(
        UpdateFromGit(
            workspace=workspace,
            conflicts=git.sync.conflicts,
            allow_override=git.sync.allow_override,
        ),
        where,
        after=[commit_id],
        lane=workspace,
        code="follows_commit",
        why=f"a commit of this plan moves {target_of(git).describe()}",
        items=items,
        after_unknown=True,
        outcomes=("update to the new tip", "nothing: the commit touches no item of it"),
        requests=4,
    )


def _make_follow(draft: Draft, action_id: str, commit_id: str) -> None:
    action = draft.actions[action_id]
    draft.edges[action_id].append(commit_id)
    draft.actions[action_id] = action.model_copy(
        update={
            "preconditions": {
                k: v for k, v in action.preconditions.items() if k != "remote_commit_hash"
            },
            "after_unknown": True,
            "outcomes": ("update to the tip that the commit leaves",),
        }
    )
