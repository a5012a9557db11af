"""Comparing a workspace with its branch: three states, item by item.

The last synced commit, the workspace now and the branch tip are brought into one form (the files
an item has in Git, by blob id) and matched by logical id. The outcome is never a fact of its own:
it is remembered only as long as everything it follows from stays what it was.
Source: fabric-api.md sections 6.2 and 6.5 (spec, docs).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric.catalog import folder_path, platform_blob
from reconciler.emulator.fabric.content import CONTENTS, ZERO_ID, Exchange
from reconciler.emulator.fabric.errors import OperationFailed, refuse
from reconciler.emulator.fabric.itemformat import (
    PLATFORM,
    ItemTree,
    TreeItem,
    read_tree,
)
from reconciler.emulator.fabric.lro import release
from reconciler.emulator.fabric.state import GitBinding, Item, Operation, Workspace
from reconciler.emulator.fabric.support import GIT_UNSUPPORTED
from reconciler.emulator.http import Refused
from reconciler.emulator.lru import Lru

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "Change",
    "View",
    "bound_workspace",
    "branch_tip",
    "changes_of",
    "compare",
    "export_blob",
    "export_exchange",
    "item_tree",
    "learn_statuses",
    "sound_tree",
    "status_of",
    "supported_items",
    "unlock",
    "view_workspace",
]

_FORM = 2
"""Part of the tag of kept comparisons: another number makes all that a file holds invalid."""

_CACHED_FILES = 30_000
_TREES: Lru[str, ItemTree] = Lru(
    _CACHED_FILES, size=lambda tree: sum(len(item.files) for item in tree.items.values()) + 1
)


@dataclass(frozen=True, slots=True)
class View:
    """An item in the form it has in Git; the directory's own name does not matter.

    Changing the name of an item directory is no change of the item (section 9, docs).
    """

    logical_id: str
    type: str
    name: str
    folder: str
    parent: str | None
    files: Mapping[str, str]
    item_id: str | None = None

    def same(self, other: View) -> bool:
        """Whether two views show the same content at the same place."""
        return (
            self.type == other.type
            and self.folder == other.folder
            and self.parent == other.parent
            and self.files == other.files
        )


@dataclass(frozen=True, slots=True)
class Change:
    """One item that differs between base, workspace and branch."""

    logical_id: str
    base: View | None
    workspace: View | None
    remote: View | None
    workspace_change: str | None
    remote_change: str | None
    in_git: bool

    @property
    def conflict(self) -> str:
        """``SameChanges`` if both sides did the same, ``Conflict`` if not, else ``None``."""
        if self.workspace_change is None or self.remote_change is None:
            return "None"
        if self.workspace is None or self.remote is None:
            return "SameChanges" if self.workspace is self.remote else "Conflict"
        return "SameChanges" if self.workspace.same(self.remote) else "Conflict"

    @property
    def shown(self) -> View:
        """The view that names the item: the workspace's, else the branch's, else the old one."""
        found = self.workspace or self.remote or self.base
        if found is None:
            raise AssertionError("a change has at least one side")
        return found

    def wire(self) -> dict[str, Any]:
        """Return the change as ``git/status`` lists it.

        ``objectId`` only if the item is in the workspace, ``logicalId`` only once it is in Git;
        the side without a change has no member (section 6.2, spec).
        """
        identifier: dict[str, str] = {}
        if self.workspace is not None and self.workspace.item_id is not None:
            identifier["objectId"] = self.workspace.item_id
        if self.in_git:
            identifier["logicalId"] = self.logical_id
        found: dict[str, Any] = {
            "itemMetadata": {
                "itemIdentifier": identifier,
                "itemType": self.shown.type,
                "displayName": self.shown.name,
            }
        }
        if self.remote_change is not None:
            found["remoteChange"] = self.remote_change
        if self.workspace_change is not None:
            found["workspaceChange"] = self.workspace_change
        found["conflictType"] = self.conflict
        return found


def supported_items(workspace: Workspace) -> list[Item]:
    """Return the items that Git integration knows; others are ignored (section 6.5, docs)."""
    return [item for item in workspace.items.values() if item.type not in GIT_UNSUPPORTED]


def export_exchange(workspace: Workspace) -> Exchange:
    """Return what turns definitions from workspace form to Git form."""
    ids = {item.id: item.logical_id for item in supported_items(workspace)}
    return Exchange(ids, (workspace.id, ZERO_ID))


def export_blob(world: World, digest: str, exchange: Exchange) -> str:
    """Return the blob of a part in Git form."""
    return CONTENTS.exchange(world.blobs, digest, exchange)


def view_workspace(world: World, workspace: Workspace) -> dict[str, View]:
    """Return every item of a workspace as it would stand in Git, by logical id."""
    exchange = export_exchange(workspace)
    found: dict[str, View] = {}
    for item in supported_items(workspace):
        files = {
            path: CONTENTS.git_id(world.blobs, export_blob(world, digest, exchange))
            for path, digest in item.parts.items()
        }
        files[PLATFORM] = CONTENTS.git_id(world.blobs, platform_blob(world, item))
        parent = workspace.items.get(item.parent_id or "")
        found[item.logical_id] = View(
            logical_id=item.logical_id,
            type=item.type,
            name=item.name,
            folder=folder_path(workspace, (parent or item).folder_id),
            parent=None if parent is None else parent.logical_id,
            files=files,
            item_id=item.id,
        )
    return found


def item_tree(world: World, binding: GitBinding, commit: str) -> ItemTree:
    """Return the items of the bound directory at a commit."""
    tree_id = world.repos.tree_id(binding.repo_key, commit, binding.directory)
    if tree_id is None:
        return ItemTree({})
    found = _TREES.get(tree_id)
    if found is None:
        entries = world.repos.files(binding.repo_key, commit, binding.directory)
        files = {path: entry.blob_sha for path, entry in entries.items()}
        found = read_tree(files, lambda sha: world.repos.blob(binding.repo_key, sha))
        _TREES.put(tree_id, found)
    return found


def sound_tree(world: World, binding: GitBinding, commit: str) -> ItemTree:
    """Return the items at a commit, refusing a directory that cannot be synced.

    Codes are SDK constants (section 3.6); that reading the status shows them is assumed.
    """
    found = item_tree(world, binding, commit)
    for code, place in found.problems:
        raise refuse(400, code, f"The directory cannot be synced because of {place}")
    return found


def branch_tip(world: World, binding: GitBinding) -> str:
    """Return the tip of the bound branch.

    Raises:
        Refused: 404 GitProviderResourceNotFound if repository, branch or directory are gone.
    """
    tip = None
    if world.repos.exists(binding.repo_key):
        tip = world.repos.tip(binding.repo_key, binding.branch)
    if tip is None or not world.repos.has_directory(binding.repo_key, tip, binding.directory):
        raise refuse(
            404,
            "GitProviderResourceNotFound",
            "The requested operation can't be completed because the Git provider resource could "
            "not be found using the provided Git connection details.",
        )
    return tip


def _tree_views(items: Mapping[str, TreeItem]) -> dict[str, View]:
    return {
        key: View(
            logical_id=item.logical_id,
            type=item.type,
            name=item.name,
            folder=item.folder,
            parent=item.parent,
            files=item.shown,
        )
        for key, item in items.items()
    }


def _tag(world: World, binding: GitBinding, tip: str) -> str:
    """Return what a comparison depends on beside the workspace: both trees, by content."""
    base = "-"
    if binding.base is not None:
        base = str(world.repos.tree_id(binding.repo_key, binding.base, binding.directory))
    remote = world.repos.tree_id(binding.repo_key, tip, binding.directory)
    return f"{_FORM} {base} {remote}"


def status_of(
    world: World, workspace: Workspace, binding: GitBinding, tip: str
) -> list[dict[str, Any]]:
    """Return the changes as ``git/status`` lists them; nobody may change the list.

    The comparison follows from the workspace's items and folders and from the two trees, so it is
    made once and known until one of them is another, across restarts too.

    Raises:
        Refused: if the branch's directory cannot be synced.
    """
    tag = _tag(world, binding, tip)
    key = (workspace.part.version, tag)
    found = world.statuses.get(key)
    if found is not None:
        return found
    row = workspace.part.row
    kept = None if row is None else row.derived(tag)
    if kept is not None:
        found = json.loads(kept)
    else:
        sound_tree(world, binding, tip)
        found = [change.wire() for change in changes_of(world, workspace, binding, tip)]
        if row is not None:
            row.derive(tag, json.dumps(found, separators=(",", ":")))
    world.statuses.put(key, found)
    return found


def learn_statuses(world: World) -> None:
    """Compare every workspace that is ready for it now, so that no first read has to."""
    for workspace in world.fabric.workspaces.values():
        binding = workspace.git
        if binding is None or binding.state != "ConnectedAndInitialized" or binding.partial:
            continue
        with contextlib.suppress(Refused):  # whoever asks for this status gets told
            status_of(world, workspace, binding, branch_tip(world, binding))


def changes_of(world: World, workspace: Workspace, binding: GitBinding, tip: str) -> list[Change]:
    """Return every difference between base, workspace and branch, by type and name."""
    key = (workspace.part.version, _tag(world, binding, tip))
    found = world.comparisons.get(key)
    if found is None:
        found = compare(world, workspace, binding, tip)
        world.comparisons.put(key, found)
    return list(found)


def compare(world: World, workspace: Workspace, binding: GitBinding, tip: str) -> list[Change]:
    """Make the comparison that ``changes_of`` remembers."""
    local = view_workspace(world, workspace)
    remote = _tree_views(item_tree(world, binding, tip).items)
    if binding.base is None:
        base, base_in_git = dict(local), frozenset[str]()
    else:
        base = _tree_views(item_tree(world, binding, binding.base).items)
        base_in_git = frozenset(base)
    found: list[Change] = []
    for logical_id in base.keys() | local.keys() | remote.keys():
        before, here, there = (side.get(logical_id) for side in (base, local, remote))
        change = Change(
            logical_id=logical_id,
            base=before,
            workspace=here,
            remote=there,
            workspace_change=_change(before, here),
            remote_change=_change(before, there),
            in_git=logical_id in base_in_git or there is not None,
        )
        if change.workspace_change is not None or change.remote_change is not None:
            found.append(change)
    return sorted(found, key=lambda c: (c.shown.type, c.shown.name, c.logical_id))


def _change(before: View | None, after: View | None) -> str | None:
    if before is None:
        return None if after is None else "Added"
    if after is None:
        return "Deleted"
    return None if before.same(after) else "Modified"


@release("git.update")
@release("git.commit")
def unlock(world: World, found: Operation) -> None:
    """Let the next Git operation of a workspace start."""
    workspace = world.fabric.workspaces.get(str(found.args["workspace"]))
    binding = None if workspace is None else workspace.git
    if binding is not None and binding.operation_id == found.id:
        binding.operation_id = None


def bound_workspace(world: World, found: Operation) -> tuple[Workspace, GitBinding]:
    """Return what a Git operation that is due works on, and let the next one start.

    Raises:
        OperationFailed: if the binding is not the one that it was started for.
    """
    workspace = world.fabric.workspaces.get(str(found.args["workspace"]))
    if workspace is None or workspace.git is None:
        raise OperationFailed("WorkspaceNotConnectedToGit", "The workspace is not connected to Git")
    if workspace.git.operation_id != found.id:
        raise OperationFailed("GitSyncFailed", "The connection changed during the operation")
    workspace.git.operation_id = None
    return workspace, workspace.git
