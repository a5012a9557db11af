"""What a commit to Git does, once its operation is due, and what may be committed.

Source: fabric-api.md section 6.6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric.catalog import definition, folder_path, platform_blob
from reconciler.emulator.fabric.content import CONTENTS
from reconciler.emulator.fabric.errors import OperationFailed, detail, refuse
from reconciler.emulator.fabric.itemformat import PLATFORM, ItemTree, directory_leaf
from reconciler.emulator.fabric.lro import operation
from reconciler.emulator.fabric.state import GitBinding, Item, Operation, Workspace
from reconciler.emulator.fabric.syncing import (
    Change,
    bound_workspace,
    branch_tip,
    changes_of,
    export_blob,
    export_exchange,
    item_tree,
    supported_items,
)
from reconciler.emulator.fabric.wire import now
from reconciler.emulator.gitstore import RefMoved

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["CommitPlan", "commit_plan", "run_commit"]

_LONGEST_PATH = 250


@dataclass(slots=True)
class CommitPlan:
    """The changes a commit takes along, and the tip it builds on."""

    tip: str
    changes: list[Change]


def commit_plan(
    world: World, workspace: Workspace, binding: GitBinding, chosen: list[dict[str, Any]] | None
) -> CommitPlan:
    """Return what a commit contains; ``chosen`` is the identifiers of a selective one.

    Raises:
        Refused: nothing to commit, unknown items, incoming changes, missing dependencies
            (section 6.6; codes are SDK constants, statuses assumed).
    """
    tip = branch_tip(world, binding)
    changes = changes_of(world, workspace, binding, tip)
    if any(change.remote_change is not None for change in changes):
        raise refuse(
            400,
            "WorkspaceHeadMismatch",
            "The workspace is not synced to the latest commit of the branch. Update it first.",
            retriable=False,
        )
    if chosen is not None:
        changes = _chosen(workspace, changes, chosen)
        _refuse_missing_dependency(world, workspace, binding, tip, changes)
    _refuse_namesakes(workspace, changes)
    if not changes:
        raise refuse(400, "NoChangesToCommit", "There are no changes to commit.", retriable=False)
    return CommitPlan(tip, changes)


def _chosen(
    workspace: Workspace, changes: Sequence[Change], chosen: list[dict[str, Any]]
) -> list[Change]:
    if not chosen:
        raise refuse(400, "NoItemsSelected", "No items were selected.", retriable=False)
    known = {item.id for item in workspace.items.values()}
    known |= {item.logical_id for item in workspace.items.values()}
    wanted: set[str] = set()
    for entry in chosen:
        ids = {str(entry[key]).lower() for key in ("objectId", "logicalId") if entry.get(key)}
        hits = {
            change.logical_id
            for change in changes
            if change.logical_id in ids
            or (change.workspace is not None and change.workspace.item_id in ids)
        }
        if not ids or not (hits or ids & known):
            raise refuse(400, "ItemNotFound", "A requested item could not be found")
        wanted |= hits
    return [change for change in changes if change.logical_id in wanted]


def _refuse_missing_dependency(
    world: World,
    workspace: Workspace,
    binding: GitBinding,
    tip: str,
    changes: Sequence[Change],
) -> None:
    committed = set(item_tree(world, binding, tip).items) | {c.logical_id for c in changes}
    uncommitted = {
        item.id: item for item in supported_items(workspace) if item.logical_id not in committed
    }
    for change in changes:
        item = _local_item(workspace, change)
        for digest in {} if item is None else item.parts.values():
            for missing in CONTENTS.guids(world.blobs, digest) & uncommitted.keys():
                raise refuse(
                    400,
                    "MissingDependency",
                    f"{change.shown.name} depends on {uncommitted[missing].name}, "
                    "which is not in Git and was not selected",
                )


def _refuse_namesakes(workspace: Workspace, changes: Sequence[Change]) -> None:
    """Refuse items that share type and name with another one (section 6.6, SDK constant, docs)."""
    counted = Counter((item.type, item.name) for item in supported_items(workspace))
    for change in changes:
        if change.workspace is not None and counted[(change.shown.type, change.shown.name)] > 1:
            raise refuse(
                400,
                "DuplicateDisplayNameAndType",
                f"The workspace has several items of type {change.shown.type} named "
                f"{change.shown.name}",
            )


def _check_sizes(
    world: World, found: Operation, binding: GitBinding, edits: dict[str, bytes | None]
) -> None:
    """Refuse paths, files and commits that are too large (section 6.6, docs of 12/2025).

    A service principal and a configured connection count as the connector with 25 MB (assumed);
    so are the codes for sizes.
    """
    settings = world.fabric.settings
    files = {path: content for path, content in edits.items() if content is not None}
    longest = max((len(path) for path in files), default=0)
    if longest > _LONGEST_PATH:
        raise _commit_failed("GitFilePathTooLong", f"A path has {longest} characters")
    if any(len(content) > settings.git_file_bytes for content in files.values()):
        raise _commit_failed("GitProviderOperationFailed", "A file is too large")
    connector = found.caller_kind == "ServicePrincipal" or found.args.get("connector") is True
    largest = 50 if binding.provider == "GitHub" else 25 if connector else 125
    limit = settings.git_commit_bytes or largest * 1024 * 1024
    if sum(len(content) for content in files.values()) > limit:
        raise _commit_failed("GitProviderOperationFailed", "The commit is too large")


def _commit_failed(code: str, message: str) -> OperationFailed:
    return OperationFailed(
        "GitSyncFailed", "Failed to sync between Git and the workspace", [detail(code, message)]
    )


def _local_item(workspace: Workspace, change: Change) -> Item | None:
    item_id = None if change.workspace is None else change.workspace.item_id
    return None if item_id is None else workspace.items.get(item_id)


@operation("git.commit")
def run_commit(world: World, found: Operation) -> None:
    """Write the workspace's changes as one commit on top of the branch."""
    workspace, binding = bound_workspace(world, found)
    plan = commit_plan(world, workspace, binding, found.args["items"])
    edits = _edits(world, workspace, binding, plan)
    _check_sizes(world, found, binding, edits)
    author = world.fabric.principals.get(found.caller_id)
    try:
        commit = world.repos.commit(
            binding.repo_key,
            binding.branch,
            base=plan.tip,
            changes=edits,
            message=str(found.args["comment"] or f"Commit from workspace {workspace.name}"),
            author_name=author.name if author is not None and author.name else "Fabric user",
            author_email=f"{found.caller_id}@users.example.com",
            when=world.clock.now(),
        )
    except RefMoved as moved:
        raise _commit_failed(
            "GitProviderOperationFailed", "The branch moved during the commit"
        ) from moved
    tree = item_tree(world, binding, commit).items
    for change in plan.changes:
        item = _local_item(workspace, change)
        if item is not None:
            item.platform = platform_blob(world, item)
            item.leaf = tree[item.logical_id].leaf
    binding.head = binding.base = commit
    binding.synced_at = now(world)


def _edits(
    world: World, workspace: Workspace, binding: GitBinding, plan: CommitPlan
) -> dict[str, bytes | None]:
    """Return the files that the commit changes; what does not differ is not touched.

    Stray files inside a committed item's directory go, others stay (section 6.6, docs).
    """
    tree = item_tree(world, binding, plan.tip)
    leaving = {c.logical_id for c in plan.changes if c.workspace is None}
    directories = _Directories(workspace, tree, leaving)
    exchange = export_exchange(workspace)
    prefix = binding.directory.strip("/")
    edits: dict[str, bytes | None] = {}
    written: dict[str, bytes | None] = {}

    def place(directory: str, path: str) -> str:
        return "/".join(filter(None, (prefix, directory, path)))

    for change in plan.changes:
        old = tree.items.get(change.logical_id)
        item = _local_item(workspace, change)
        files = {} if change.workspace is None else change.workspace.files
        directory = "" if item is None else directories.of(item)
        stays = old is not None and directory == old.directory
        before = {} if old is None else old.files
        if old is not None:
            for path in before:
                if not (stays and path in files):
                    edits[place(old.directory, path)] = None
        if item is None:
            continue
        for path, digest in definition(world, item).items():
            if not (stays and before.get(path) == files[path]):
                blob = digest if path == PLATFORM else export_blob(world, digest, exchange)
                written[place(directory, path)] = world.blobs.get(blob)
    return edits | written


class _Directories:
    """Directories of items: the name in Git never changes, the folder follows the workspace."""

    def __init__(self, workspace: Workspace, tree: ItemTree, leaving: set[str]) -> None:
        self._workspace = workspace
        self._tree = tree
        self._taken = {
            item.directory: item.logical_id
            for item in tree.items.values()
            if item.logical_id not in leaving
        }

    def of(self, item: Item) -> str:
        """Return the directory of an item, relative to the synced one."""
        known = self._tree.items.get(item.logical_id)
        leaf = known.leaf if known is not None else item.leaf
        leaf = leaf or directory_leaf(item.name, item.type, item.logical_id)
        above = self._above(item)
        found = "/".join(filter(None, (above, leaf)))
        if self._taken.get(found, item.logical_id) != item.logical_id:
            # The name isn't available, so the logical id takes its place (section 9, docs).
            leaf = f"{item.logical_id}.{item.type}"
            found = "/".join(filter(None, (above, leaf)))
        self._taken[found] = item.logical_id
        return found

    def _above(self, item: Item) -> str:
        parent = self._workspace.items.get(item.parent_id or "")
        if parent is not None:
            return f"{self.of(parent)}/.children"
        return folder_path(self._workspace, item.folder_id)
