"""Plan the branches and directories that bindings want made in Azure Repos.

What exists already is never touched: a branch is made only while there is none of its name, and a
directory by one commit with a placeholder, since Git has no empty directories.
Source: fabric-api.md section 6.3, field: connect wants branch and directory to exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reconciler.diff.normalise import same_name
from reconciler.ids import Address, address
from reconciler.live.models import GitTarget, TargetContent
from reconciler.live.places import target_of
from reconciler.plan.actions import (
    BranchTarget,
    CommitToGit,
    CreateBranch,
    CreateDirectory,
    ResyncGit,
    UpdateFromGit,
)
from reconciler.plan.draft import Draft
from reconciler.plan.graph import add_reachable, closure
from reconciler.plan.trusted import trusted
from reconciler.spec.models import GitSpec, WorkspaceSpec
from reconciler.spec.resolve import git_address, repository_address
from reconciler.words import short_commit

__all__ = ["Place", "by_branch", "order_places", "prepare_place", "repository_of", "to_op_target"]

_IMPORTS = ("repository.import", "repository.import.retry")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a binding will point, as it finds it.

    ``arriving``: what is there is known only once ``after``, the actions to wait for, are done.
    """

    content: TargetContent | None
    after: list[str]
    arriving: bool


def repository_of(draft: Draft, git: GitSpec) -> Address | None:
    """Return the address of the spec's repository a binding points at, if it is in the spec."""
    azure_devops = draft.estate.azure_devops
    if azure_devops is None or git.provider != "AzureDevOps":
        return None
    if (
        azure_devops.organization
        and git.organization
        and not same_name(azure_devops.organization, git.organization)
    ):
        return None
    repository = draft.repository_spec(git.project or "", git.repository)
    return repository_address(repository) if repository else None


def to_op_target(target: GitTarget) -> BranchTarget:
    """Return where a binding points as an op has it."""
    return trusted(
        BranchTarget,
        {
            "provider": target.provider,
            "repository": target.repository,
            "branch": target.branch,
            "directory": target.directory,
            "organization": target.organization,
            "project": target.project,
            "owner": target.owner,
            "custom_domain": target.custom_domain,
        },
    )


def by_branch(specs: Sequence[WorkspaceSpec]) -> list[WorkspaceSpec]:
    """Return workspaces so that who makes a branch comes before who uses or branches from it."""
    sources: dict[tuple[str, ...], tuple[str, ...]] = {}
    for spec in specs:
        if spec.git is not None and spec.git.create_branch_from is not None:
            target = target_of(spec.git)
            source = replace(target, branch=spec.git.create_branch_from)
            sources.setdefault(target.branch_key(), source.branch_key())

    def depth(spec: WorkspaceSpec) -> tuple[int, bool]:
        if spec.git is None:
            return 0, False
        if not sources:
            return 0, not spec.git.create_directory
        at = target_of(spec.git).branch_key()
        seen = {at}
        while at in sources and sources[at] not in seen:
            at = sources[at]
            seen.add(at)
        makes = spec.git.create_branch_from is not None or spec.git.create_directory
        return len(seen) - 1, not makes

    return sorted(specs, key=depth)


def prepare_place(
    draft: Draft,
    spec: WorkspaceSpec,
    git: GitSpec,
    target: GitTarget,
    content: TargetContent | None,
    after: list[str],
) -> Place:
    """Plan what is missing of a binding's branch and directory, as far as the spec allows it.

    What is still missing then is for the caller to refuse.

    Args:
        target: where the binding will point.
        content: what was read there.
        after: the actions that make or fill the repository.
    """
    kinds = {draft.actions[i].kind for i in after}
    importing = any(k in _IMPORTS for k in kinds)
    made = importing or "repository.create" in kinds
    wanted = git.create_branch_from is not None or git.create_directory
    if made and not importing and wanted:
        # Nothing fills a repository that is only created, so what it holds is known: nothing.
        content = TargetContent(
            readable=True, branch_exists=False, directory_exists=False, empty=True
        )
        made = False
    if made:
        return _unseen(draft, git, target, content, after)
    if content is None or not content.readable:
        if wanted:
            _warn_unseen(draft, spec, target)
        return Place(content, after, arriving=False)
    if not content.repository_exists:
        return Place(content, after, arriving=False)
    return _seen(draft, git, target, content, after)


def _warn_unseen(draft: Draft, spec: WorkspaceSpec, target: GitTarget) -> None:
    draft.warn(
        "git_target_unseen",
        f"{target.describe()} cannot be read by this caller, so nothing is made there.",
        "If branch or directory are missing, the connect will fail. Give the caller read access "
        "to the repository, or make them by hand.",
        git_address(spec),
    )


def _unseen(
    draft: Draft,
    git: GitSpec,
    target: GitTarget,
    content: TargetContent | None,
    after: list[str],
) -> Place:
    """Plan in a place whose content an earlier action brings: each step looks for itself."""
    waits = list(after)
    branch, directory = target.branch_key(), target.key()
    if git.create_branch_from is not None and branch not in draft.made_in_git:
        _add_branch(draft, git, target, waits, source_tip=None)
    if branch in draft.made_in_git:
        waits.append(draft.made_in_git[branch])
    if git.create_directory and directory not in draft.made_in_git:
        _add_directory(draft, git, target, waits, tip=None, known=False)
    if directory in draft.made_in_git:
        waits.append(draft.made_in_git[directory])
    return Place(content, waits, arriving=True)


def _seen(
    draft: Draft, git: GitSpec, target: GitTarget, content: TargetContent, after: list[str]
) -> Place:
    """Plan in a place that was read."""
    waits = list(after)
    branch, directory = target.branch_key(), target.key()
    tip = content.tip
    if not content.branch_exists:
        if branch in draft.made_in_git and content.source_tip is None:
            return _unseen(draft, git, target, content, after)  # made by this plan, for another
        source = git.create_branch_from
        if branch not in draft.made_in_git and source is not None:
            if content.source_tip is not None:
                _add_branch(draft, git, target, waits, source_tip=content.source_tip)
            elif (by := _made(draft, replace(target, branch=source))) is not None:
                return _unseen(draft, git, target, content, [*after, by])
        if branch in draft.made_in_git:
            waits.append(draft.made_in_git[branch])
            tip = content.source_tip
            content = replace(content, branch_exists=True)
        elif not (content.empty and git.create_directory and source is None):
            return Place(content, after, arriving=False)
    if not content.directory_exists or not content.branch_exists:
        if directory not in draft.made_in_git:
            if not git.create_directory:
                return Place(content, waits, arriving=False)
            moved = draft.made_in_git.get(branch)
            # A branch made from a known commit stands at it; where a push leaves it, nobody knows.
            known = moved is None or isinstance(draft.actions[moved].op, CreateBranch)
            waits.extend([moved] if moved else [])
            _add_directory(draft, git, target, waits, tip=tip, known=known)
        waits.append(draft.made_in_git[directory])
        content = replace(content, branch_exists=True, directory_exists=True)
    return Place(content, waits, arriving=False)


def _made(draft: Draft, target: GitTarget) -> str | None:
    return draft.made_in_git.get(target.branch_key())


def _where(draft: Draft, git: GitSpec) -> tuple[Address, str]:
    """Return the repository's address, and what tells it from one in another organization."""
    found = repository_of(draft, git)
    if found is not None:
        return found, ""
    where = address("repositories", git.project or "", git.repository)
    own = draft.estate.azure_devops.organization if draft.estate.azure_devops else None
    return where, "" if own is None else f"{git.organization}:"


def _add_branch(
    draft: Draft, git: GitSpec, target: GitTarget, after: list[str], *, source_tip: str | None
) -> None:
    source = git.create_branch_from or ""
    where, other = _where(draft, git)
    known = source_tip is not None
    at = f", at {short_commit(source_tip)}" if known else ""
    action = draft.add(
        CreateBranch(target=to_op_target(target), source=source),
        where,
        suffix=f"#{other}{target.branch}",
        after=after,
        code="branch_missing",
        why=f"{target.repository} has no branch {target.branch}; it is made from {source}{at}"
        if known
        else f"{target.branch} is made from {source}, once that is there",
        preconditions={"source_commit": source_tip} if known else {},
        after_unknown=not known,
        outcomes=()
        if known
        else (
            f"made from {source}",
            f"nothing: the branch {target.branch} is there by then",
            f"refused: no branch {source}",
        ),
        requests=6,
    )
    draft.made_in_git[target.branch_key()] = action


def _add_directory(
    draft: Draft,
    git: GitSpec,
    target: GitTarget,
    after: list[str],
    *,
    tip: str | None,
    known: bool,
) -> None:
    where, other = _where(draft, git)
    first = tip is None and target.branch_key() not in draft.made_in_git
    what = f"the branch {target.branch} has no directory {target.directory}"
    if not known:
        what = f"the directory {target.directory} may be missing on {target.branch} by then"
    elif first:
        what = f"{target.repository} has no commit yet"
    action = draft.add(
        CreateDirectory(target=to_op_target(target)),
        where,
        suffix=f"#{other}{target.branch}:{target.directory}",
        after=after,
        code="directory_missing",
        why=f"{what}; a commit with a placeholder file makes it",
        preconditions={"branch_tip": tip} if known else {},
        after_unknown=not known,
        outcomes=()
        if known
        else (
            "made by a commit with a placeholder file",
            "nothing: the directory is there by then",
        ),
        requests=8,
    )
    draft.made_in_git[target.key()] = action
    # Whoever looks at the branch next finds this commit on it.
    draft.made_in_git[target.branch_key()] = action


def order_places(draft: Draft) -> None:
    """Order what else moves, or looks at, a branch that this plan makes, or makes something on.

    A branch is copied from its source as the plan saw it, so commits to the source come after; a
    source that only this plan fills is copied when that is done.
    """
    pushes: dict[tuple[str, ...], list[str]] = {}
    copies: dict[tuple[str, ...], list[str]] = {}
    for action in draft.actions.values():
        if isinstance(action.op, CreateDirectory):
            pushes.setdefault(_target(action.op).branch_key(), []).append(action.id)
        elif isinstance(action.op, CreateBranch):
            source = replace(_target(action.op), branch=action.op.source)
            copies.setdefault(source.branch_key(), []).append(action.id)
    if not pushes and not copies:
        return
    for action in list(draft.actions.values()):
        if not isinstance(action.op, (UpdateFromGit, CommitToGit, ResyncGit)):
            continue
        git = draft.bound_workspace(Address(action.address)).git
        if git is None:
            continue
        branch = target_of(git).branch_key()
        if branch in pushes:
            _wait(draft, action.id, pushes[branch])
            draft.forget(action.id, "remote_commit_hash")
        if isinstance(action.op, CommitToGit):
            for copy in copies.get(branch, ()):
                first, second = copy, action.id
                if draft.actions[copy].after_unknown:
                    first, second = second, first
                _wait(draft, second, [first])


def _target(op: CreateBranch | CreateDirectory) -> GitTarget:
    return GitTarget(**op.target.model_dump())


def _wait(draft: Draft, action_id: str, before: Sequence[str]) -> None:
    """Let an action wait for others, as far as it does not already, one after the other."""
    awaited = closure([action_id], draft.edges)
    for other in before:
        if other not in awaited:
            draft.edges[action_id].append(other)
            add_reachable(awaited, [other], draft.edges)
