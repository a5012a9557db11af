"""Look ahead with a checkout: what merging a revision brings to the bindings of a branch.

Reads the trees of the commit a workspace is synced to, of the branch's tip, and of what is
merged, and says what git status will say afterwards. Nothing is fetched and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.clients.gitrepo import GitRepository
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.errors import CheckoutError
from reconciler.ids import Address
from reconciler.live.itemtree import ItemTree, compare_trees, merge_files, named, platform_blobs
from reconciler.live.itemtree import read_tree as read_items
from reconciler.live.models import (
    GitTarget,
    LiveBinding,
    LiveStatus,
    Preview,
    Snapshot,
    TargetContent,
    Unreadable,
)
from reconciler.live.places import target_of
from reconciler.live.preview import status_once_merged
from reconciler.live.remotes import repository_key
from reconciler.spec.models import Estate
from reconciler.spec.resolve import git_address
from reconciler.words import count, named_commit, short_commit

__all__ = ["Checkout", "MergeRequest"]

_DEEPEN = (
    "The checkout is shallow. Fetch the whole history: fetch-depth: 0 for actions/checkout, "
    "fetchDepth: 0 for the checkout step of Azure Pipelines, git fetch --unshallow by hand."
)


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """What is to be merged into which branch, and a folder of the checkout that has it."""

    revision: str
    into: str
    folder: Path


class _NotHereError(Exception):
    """A commit that is needed is not in the checkout; says which and why it is needed."""


@dataclass(frozen=True, slots=True)
class _Merged:
    """The files of a directory once merged, and those of the tip as far as it is here."""

    files: Mapping[str, str]
    tip: Mapping[str, str] | None


@dataclass(slots=True)
class _Findings:
    """What a look ahead collects."""

    bindings: list[Address] = field(default_factory=list)
    statuses: dict[Address, LiveStatus] = field(default_factory=dict)
    contents: dict[Address, TargetContent] = field(default_factory=dict)
    unreadable: dict[Address, Unreadable] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def warn(self, code: str, summary: str, detail: str, where: Address | None = None) -> None:
        self.diagnostics.append(Diagnostic(Severity.WARNING, code, summary, detail, where))

    def error(self, code: str, summary: str, detail: str, where: Address) -> None:
        self.diagnostics.append(Diagnostic(Severity.ERROR, code, summary, detail, where))


class Checkout:
    """A checkout with the revision to merge."""

    def __init__(self, request: MergeRequest, environ: Mapping[str, str]) -> None:
        """Open it.

        Raises:
            CheckoutError: there is no checkout, no git, or no such revision.
        """
        self._request = request
        self._repository = GitRepository(request.folder, environ)
        commit = self._repository.commit(request.revision)
        if commit is None:
            raise CheckoutError(
                f"{request.revision} names no commit of this checkout",
                remedy="give a branch, tag or commit that is fetched, as --merge-preview=REV, or "
                "leave REV out for HEAD",
            )
        self._commit = commit
        self._named = named_commit(request.revision, commit)
        self._trees: dict[tuple[str, str], dict[str, str]] = {}

    def look_ahead(
        self, estate: Estate, snapshot: Snapshot, endpoints: Iterable[str] = ()
    ) -> Preview:
        """Return what the merge will make of every binding that follows the branch.

        Args:
            endpoints: base URLs in force; a remote below one is a repository of that service.

        Raises:
            CheckoutError: the checkout is damaged or a partial clone.
        """
        given = tuple(endpoints)
        urls = self._repository.remote_urls()
        keys = {k for k in (repository_key(u, given) for u in urls) if k is not None}
        found = _Findings()
        for spec in estate.workspaces:
            git = spec.git
            if git is None or git.state == "absent" or spec.state == "absent":
                continue
            target = target_of(git)
            if target.branch != self._request.into or target.repository_key() not in keys:
                continue
            where = git_address(spec)
            found.bindings.append(where)
            live = snapshot.bindings.get(where)
            if live is None or where in snapshot.unreadable:
                continue
            try:
                self._look(where, target, live, found)
            except _NotHereError as e:
                found.unreadable[where] = self._not_here(where, str(e), found)
        if not found.bindings:
            self._nothing_follows(keys, found)
        return Preview(
            revision=self._request.revision,
            commit=self._commit,
            into=self._request.into,
            bindings=tuple(found.bindings),
            statuses=found.statuses,
            contents=found.contents,
            unreadable=found.unreadable,
            diagnostics=tuple(found.diagnostics),
        )

    def _look(self, where: Address, target: GitTarget, live: LiveBinding, found: _Findings) -> None:
        status, content = live.status, live.content
        at_target = live.target is not None and live.target.key() == target.key()
        if status is not None and at_target and status.workspace_head is not None:
            self._look_at_bound(where, target, status, found)
        elif content is not None and content.readable and content.tip is not None:
            merged = self._merged(target, content.tip, None, found)
            if merged is not None:
                tree = self._items(merged.files)
                self._tell_problems(where, tree, found)
                found.contents[where] = replace(
                    content, directory_exists=bool(merged.files), item_folders=len(tree.items)
                )

    def _look_at_bound(
        self, where: Address, target: GitTarget, status: LiveStatus, found: _Findings
    ) -> None:
        head = status.workspace_head or ""
        if not self._repository.has(head):
            raise _NotHereError(
                f"commit {short_commit(head)}, to which the workspace is synced, is not in this "
                "checkout"
            )
        merged = self._merged(target, status.remote_hash, head, found)
        if merged is None:
            return
        after = self._items(merged.files)
        tip = None if merged.tip is None else self._items(merged.tip)
        if tip is not None and not compare_trees(tip, after):
            return  # nothing of it concerns this directory: all is as it is now
        self._tell_problems(where, after, found)
        before = self._items(self._files(head, target.directory))
        foreseen = status_once_merged(status, before, after, tip, self._commit)
        found.statuses[where] = foreseen
        _tell_namesakes(where, foreseen, found)

    def _merged(
        self, target: GitTarget, tip: str | None, synced: str | None, found: _Findings
    ) -> _Merged | None:
        """Return a directory once merged; None when there is nothing left to merge.

        The tree of what is merged is the result where it holds the tip of the branch, as the
        merge commit of a pull request and a branch that is up to date do. Where the branch has
        moved on, the two are merged file by file.
        """
        known = tip is not None and self._repository.has(tip)
        if not known and tip is not None:
            found.warn(
                "preview_without_tip",
                f"{self._request.into} is at {short_commit(tip)}, which is not in this checkout.",
                f"Shown is what {self._named} changes, and what Git status reports as incoming "
                f"already. Fetch {self._request.into}, or run the check again, to see both "
                "together.",
            )
        ours = tip if known else synced
        directory = target.directory
        if ours is None:
            return _Merged(self._files(self._commit, directory), None)
        if known and self._repository.is_ancestor(self._commit, ours):
            found.warn(
                "preview_already_merged",
                f"{self._named} is in {self._request.into} already.",
                "There is nothing left to merge; this is what an apply would do now.",
            )
            return None
        tip_files = self._files(ours, directory) if known else None
        if self._repository.is_ancestor(ours, self._commit):
            return _Merged(self._files(self._commit, directory), tip_files)
        base = self._repository.merge_base(ours, self._commit)
        if base is None:
            raise _NotHereError(
                f"the commit at which {self._named} left {self._request.into} is not in this "
                "checkout"
            )
        files, both = merge_files(
            self._files(base, directory),
            self._files(ours, directory),
            self._files(self._commit, directory),
        )
        self._tell_moved(target, ours, both, found)
        return _Merged(files, tip_files)

    def _files(self, commit: str, directory: str) -> dict[str, str]:
        key = (commit, directory)
        if key not in self._trees:
            self._trees[key] = self._repository.files(commit, directory)
        return self._trees[key]

    def _items(self, files: Mapping[str, str]) -> ItemTree:
        return read_items(files, self._repository.blobs(platform_blobs(files)))

    # -- findings --

    def _tell_moved(
        self, target: GitTarget, ours: str, both: tuple[str, ...], found: _Findings
    ) -> None:
        clash = ""
        if both:
            clash = (
                f" {count(len(both), 'file')} below {target.directory} changed on both sides "
                f"({named(both)}); Git may merge them or ask you to."
            )
        found.warn(
            "preview_branch_moved",
            f"{self._request.into} has commits that {self._named} does not hold, up to "
            f"{short_commit(ours)}.",
            f"Shown is both merged file by file.{clash} Merge {self._request.into} into the "
            "branch, or check out the pull request's merge commit, to see it exactly.",
        )

    def _tell_problems(self, where: Address, tree: ItemTree, found: _Findings) -> None:
        for problem in tree.problems:
            found.error(
                "preview_invalid_items",
                f"Once merged the workspace could not be updated: {problem.text}.",
                f"The service refuses the whole directory with {problem.code}. Correct it in "
                f"{self._request.revision}, by hand or by committing from a workspace.",
                where,
            )

    def _not_here(self, where: Address, why: str, found: _Findings) -> Unreadable:
        detail = _DEEPEN
        if not self._repository.shallow:
            detail = (
                f"Fetch {self._request.into} of the repository the workspace is bound to, see "
                "that the checkout is of that repository, or update the workspace from Git first."
            )
        found.error("preview_commit_missing", f"{why[0].upper()}{why[1:]}.", detail, where)
        return Unreadable(where, "look ahead", "the checkout lacks a commit; see the error")

    def _nothing_follows(self, keys: Iterable[tuple[str, ...]], found: _Findings) -> None:
        listed = sorted("/".join(part for part in key[2:] if part) for key in keys)
        remotes = ", ".join(listed) or "none of Azure DevOps or GitHub"
        found.warn(
            "preview_covers_nothing",
            f"No binding of the spec follows {self._request.into} of a repository this checkout "
            f"has as a remote ({remotes}).",
            "So the merge itself brings no items, and what is shown is what an apply of this spec "
            "would do now. Name the branch with --merge-into, or run it in a checkout of the "
            "repository the workspaces are bound to.",
        )


def _tell_namesakes(where: Address, status: LiveStatus, found: _Findings) -> None:
    """Warn of items that are new on both sides under one name.

    Source: fabric-api.md section 6.4, last point, docs: with consent to override, the
    workspace's item gets Git's logicalId; section 6.7: PotentialDuplicateDisplayNameAndType.
    """
    local = {(c.type, c.name) for c in status.changes if c.workspace and not c.remote}
    for change in status.changes:
        name = (change.type, change.name)
        if change.remote is not None and change.workspace is None and name in local:
            found.warn(
                "preview_namesake",
                f"{change.type} {change.name} comes with the merge, and the workspace has another "
                "one of that name that is not committed.",
                "The update takes Git's in its place or is refused. Rename or delete the one in "
                "the workspace, or commit it first.",
                where,
            )
