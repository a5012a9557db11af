"""Order what happens on one branch: a commit moves the tip for every workspace bound to it.

A branch takes one commit at a time. A workspace brings in the commits that come before its own
and, where one comes after, catches up at the end; so the order never bites its tail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from reconciler.ids import Address
from reconciler.live.places import target_of
from reconciler.plan.actions import CommitToGit, ItemChange, ResyncGit, UpdateFromGit
from reconciler.plan.draft import Draft
from reconciler.plan.steps import Step
from reconciler.spec.models import GitSpec, WorkspaceSpec
from reconciler.spec.resolve import git_address, workspace_address

__all__ = ["plan_followers"]

# The actions in which a workspace first looks at the tip of its branch.
_LOOKS = ("git.initialize", "git.switch", "git.resync", "git.update")


def plan_followers(draft: Draft) -> None:
    """Order commits of this plan, and what other workspaces do on the branches they move."""
    commits: dict[tuple[str, ...], list[_Commit]] = {}
    for action in draft.actions.values():
        if isinstance(action.op, CommitToGit):
            spec = draft.bound_workspace(Address(action.address))
            if spec.git is not None:
                target = target_of(spec.git)
                found = _Commit(action.id, spec, spec.git, target.directory)
                commits.setdefault(target.branch_key(), []).append(found)
    if not commits:
        return
    members: dict[tuple[str, ...], list[tuple[WorkspaceSpec, GitSpec]]] = {}
    for spec in draft.estate.workspaces:
        if spec.git is not None and spec.git.state == "present" and spec.state == "present":
            branch = target_of(spec.git).branch_key()
            if branch in commits and _is_there(draft, spec, spec.git):
                members.setdefault(branch, []).append((spec, spec.git))
    for branch, found_commits in commits.items():
        # Who only commits goes first: it cannot take in what another one commits before it.
        chain = sorted(found_commits, key=lambda c: c.git.sync.direction != "commit")
        for before, after in pairwise(chain):
            draft.edges[after.action].append(before.action)
            draft.forget(after.action, "remote_commit_hash")
        commits_here = _Commits.of(chain)
        for member, git in members.get(branch, ()):
            _plan_member(draft, member, git, commits_here)


@dataclass(frozen=True, slots=True)
class _Commit:
    """A commit of this plan."""

    action: str
    spec: WorkspaceSpec
    git: GitSpec
    directory: str


def _is_there(draft: Draft, spec: WorkspaceSpec, git: GitSpec) -> bool:
    """Tell whether a workspace can act on its branch in this run."""
    if git_address(spec) in draft.unknown or git.credentials == "none":
        return False
    workspace = workspace_address(spec)
    return draft.snapshot.workspaces.get(workspace) is not None or bool(draft.lane_tail(workspace))


def _folders(directory: str) -> list[str]:
    """Return a directory and everything it lies in, each with a slash at its end."""
    path = directory.rstrip("/") + "/"
    return [path[: n + 1] for n, char in enumerate(path) if char == "/"]


@dataclass(slots=True)
class _Commits:
    """The commits of a branch in their order, indexed by place.

    A branch may hold a directory for each of very many workspaces, so no workspace goes through
    the commits of all others.

    Attributes:
        own: the number of a workspace's commit, by the identity of its spec.
        at: the numbers of the commits to just this directory.
        below: the numbers of the commits to this directory or one in it.
    """

    chain: list[_Commit]
    own: dict[int, int] = field(default_factory=dict)
    at: dict[str, list[int]] = field(default_factory=dict)
    below: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, chain: list[_Commit]) -> _Commits:
        found = cls(chain)
        for number, commit in enumerate(chain):
            found.own.setdefault(id(commit.spec), number)
            folders = _folders(commit.directory)
            found.at.setdefault(folders[-1], []).append(number)
            for folder in folders:
                found.below.setdefault(folder, []).append(number)
        return found

    def seen_from(self, directory: str) -> list[int]:
        """Return the numbers of the commits that can touch what a binding sees, in order."""
        *outer, own = _folders(directory)
        return sorted([*self.below.get(own, ()), *(n for o in outer for n in self.at.get(o, ()))])


def _plan_member(draft: Draft, spec: WorkspaceSpec, git: GitSpec, commits: _Commits) -> None:
    """Fit one workspace of the branch into the order of its commits."""
    chain = commits.chain
    own = commits.own.get(id(spec))
    last = chain[-1] if own is None else chain[own - 1] if own else None  # of those before it
    touching = commits.seen_from(target_of(git).directory)
    seen = [chain[n] for n in touching if own is None or n < own]
    missed = [chain[n] for n in touching if own is not None and n > own]
    updates = git.sync.direction in ("update", "both")
    looks = [draft.actions[i] for i in draft.doers(git_address(spec))]
    looks = [a for a in looks if a.kind in _LOOKS and not getattr(a.op, "initial", False)]
    if last is not None:
        for look in looks:
            _follow(draft, look, last, seen)
    if seen and own is not None and not updates and not looks:
        draft.error(
            "incoming_blocks_commit",
            f"{seen[0].spec.name or seen[0].spec.id} commits to the same place before it.",
            "Set sync.direction: both to update first and then commit, or give the workspaces "
            "directories or branches of their own.",
            git_address(spec),
        )
    if seen and last is not None and updates and not looks:
        _add_update(draft, spec, git, last, seen, before=chain[own] if own else None)
    if own is not None and last is not None and (seen or looks):
        draft.forget(chain[own].action, "workspace_head")
    if updates and missed:
        _add_update(draft, spec, git, chain[-1], missed, suffix="#2")


def _follow(draft: Draft, action: Step, last: _Commit, seen: list[_Commit]) -> None:
    """Let an action that looks at the tip wait for the commits that move it."""
    draft.edges[action.id].append(last.action)
    if not isinstance(action.op, (UpdateFromGit, ResyncGit)):
        return
    draft.forget(action.id, "remote_commit_hash")
    if isinstance(action.op, ResyncGit):
        return
    action.items = _items(draft, action.items, seen)
    action.after_unknown = True
    action.outcomes = ("update to the tip that the commit leaves",)


def _items(
    draft: Draft, own: tuple[ItemChange, ...], seen: list[_Commit]
) -> tuple[ItemChange, ...]:
    """Return what an update brings after these commits; empty when one of them is not known."""
    found = {(i.type, i.name): i for i in own}
    for commit in seen:
        items = draft.actions[commit.action].items
        if not items:
            return ()
        for item in items:
            found.setdefault((item.type, item.name), item)
    return tuple(found[k] for k in sorted(found))


def _add_update(
    draft: Draft,
    spec: WorkspaceSpec,
    git: GitSpec,
    last: _Commit,
    seen: list[_Commit],
    *,
    before: _Commit | None = None,
    suffix: str = "",
) -> None:
    """Add the update that takes in commits of this plan; ``before`` is the workspace's own."""
    where = git_address(spec)
    after = [last.action]
    if before is not None:
        after.extend(b for b in draft.edges[before.action] if b not in after)
    workspace = workspace_address(spec)
    update = draft.add(
        UpdateFromGit(
            workspace=workspace,
            conflicts=git.sync.conflicts,
            allow_override=git.sync.allow_override,
        ),
        where,
        suffix=suffix,
        after=after,
        lane=None if before is not None else workspace,
        code="follows_commit",
        why=f"a commit of this plan moves {target_of(git).describe()}",
        items=_items(draft, (), seen),
        after_unknown=True,
        outcomes=("update to the new tip", "nothing: the commit touches no item of it"),
        requests=4,
    )
    if before is not None:
        draft.edges[before.action].append(update)
