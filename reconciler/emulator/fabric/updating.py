"""What an update from Git does, once its operation is due.

The checks that refuse a request at once are here too, because the world may have moved between
the request and the end of its operation and both moments need the same answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.emulator.fabric.catalog import (
    ITEM_LIMIT,
    add_item,
    ensure_folder,
    imported_parts,
    recoverable_items,
    remove_item,
    rename_item,
)
from reconciler.emulator.fabric.content import CONTENTS, ZERO_ID, Exchange
from reconciler.emulator.fabric.deployplans import (
    PLAN_FILE,
    Actions,
    DeploymentPlan,
    parse_plan,
    sort_by_needs,
)
from reconciler.emulator.fabric.errors import OperationFailed, detail, refuse, related
from reconciler.emulator.fabric.itemformat import (
    PLATFORM,
    ItemTree,
    TreeItem,
    model_directory,
)
from reconciler.emulator.fabric.lro import as_failure, operation
from reconciler.emulator.fabric.state import GitBinding, Operation, Workspace
from reconciler.emulator.fabric.syncing import (
    Change,
    bound_workspace,
    changes_of,
    item_tree,
    sound_tree,
    supported_items,
)
from reconciler.emulator.fabric.wire import now, ordered_words
from reconciler.emulator.http import Refused
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "UpdatePlan",
    "align_logical_ids",
    "apply_update",
    "type_rank",
    "update_plan",
]

_ORDER = ordered_words(
    "VariableLibrary Environment Lakehouse Warehouse SQLDatabase CosmosDBDatabase "
    "MirroredDatabase Eventhouse KQLDatabase SemanticModel Dataflow CopyJob Notebook "
    "SparkJobDefinition UserDataFunction Eventstream Reflex KQLQueryset KQLDashboard Report "
    "DataPipeline"
)
_JSON_FILES = (".json", ".pbir", ".pbism")


def type_rank(item_type: str) -> int:
    """Return the place of a type in the order in which items are made; others come last."""
    return _ORDER.index(item_type) if item_type in _ORDER else len(_ORDER)


@dataclass(slots=True)
class UpdatePlan:
    """What an update will do: items to write from the branch, and items to remove.

    ``adopted`` maps a logical id of the branch to the workspace item of the same type and name
    that takes it over.
    """

    write: list[TreeItem] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    adopted: dict[str, str] = field(default_factory=dict)
    deployment: DeploymentPlan | None = None


def update_plan(
    world: World,
    workspace: Workspace,
    binding: GitBinding,
    commit: str,
    *,
    policy: str | None,
    allow_override: bool,
    attached: str | None = None,
) -> UpdatePlan:
    """Return what updating to a commit does; ``attached`` is a deployment plan's logical id.

    Raises:
        Refused: without the consents it needs. Overriding existing items and resolving conflicts
            are two separate ones (section 6.7, field).
    """
    tree = sound_tree(world, binding, commit)
    changes = changes_of(world, workspace, binding, commit)
    incoming = [change for change in changes if change.remote_change is not None]
    if policy is None and any(change.conflict == "Conflict" for change in incoming):
        raise refuse(
            400,
            "MissingWorkspaceConflictResolution",
            "The requested operation requires a workspace conflict resolution to be specified.",
            retriable=False,
        )
    plan = UpdatePlan()
    overrides = False
    for change in incoming:
        if change.conflict == "SameChanges":
            continue
        if change.conflict == "Conflict" and policy == "PreferWorkspace":
            continue
        overrides |= change.workspace is not None
        if change.remote is None:
            if change.workspace is not None and change.workspace.item_id is not None:
                plan.remove.append(change.workspace.item_id)
        else:
            plan.write.append(tree.items[change.logical_id])
    plan.adopted = _adoptions(changes, plan.write, tree)
    if (overrides or plan.adopted) and not allow_override:
        raise refuse(
            400,
            "OverrideItemsNotAllowed",
            "The requested operation requires consent to override items in the workspace.",
            retriable=False,
        )
    _refuse_too_many(world, workspace, plan)
    _refuse_duplicates(workspace, plan)
    _refuse_stranded(world, workspace, plan)
    plan.write.sort(key=lambda item: (type_rank(item.type), item.name))
    if attached is not None:
        plan.deployment = _attached(world, workspace, binding, tree, attached)
        plan.write = _in_order(world, binding, tree, plan.write, plan.deployment)
    return plan


def _attached(
    world: World, workspace: Workspace, binding: GitBinding, tree: ItemTree, logical_id: str
) -> DeploymentPlan:
    """Return a deployment plan, from the incoming content or else from the workspace (docs)."""
    incoming = tree.items.get(logical_id)
    blob = None if incoming is None else incoming.files.get(PLAN_FILE)
    if blob is not None:
        return parse_plan(world.repos.blob(binding.repo_key, blob))
    for item in workspace.items.values():
        if item.logical_id == logical_id and PLAN_FILE in item.parts:
            return parse_plan(world.blobs.get(item.parts[PLAN_FILE]))
    raise refuse(400, "ItemNotFound", "The deployment plan could not be found", retriable=False)


def _in_order(
    world: World,
    binding: GitBinding,
    tree: ItemTree,
    write: Sequence[TreeItem],
    plan: DeploymentPlan,
) -> list[TreeItem]:
    """Sort items so that each comes after what the plan and its own references need (docs)."""
    needs: dict[str, set[str]] = {}
    for item in write:
        found = plan.needs(item.logical_id)
        for path, blob in item.definition.items():
            content = world.repos.blob(binding.repo_key, blob)
            found |= CONTENTS.guids(world.blobs, world.blobs.put(content)) & tree.items.keys()
            model = model_directory(item.directory, content) if path == "definition.pbir" else None
            found |= {key for key, other in tree.items.items() if other.directory == model}
        needs[item.logical_id] = found - {item.logical_id}
    return sort_by_needs(write, lambda item: item.logical_id, needs)


def _adoptions(
    changes: Sequence[Change], write: Iterable[TreeItem], tree: ItemTree
) -> dict[str, str]:
    """Pair items new on both sides by type and name; the branch's logical id will win.

    Source: section 6.4, docs of Mar 2026 on logical id conflicts.
    """
    new_here = {
        (change.workspace.type, change.workspace.name): change.workspace.item_id
        for change in changes
        if change.workspace is not None
        and change.workspace_change == "Added"
        and change.logical_id not in tree.items
        and change.workspace.item_id is not None
    }
    new_there = {change.logical_id for change in changes if change.workspace is None}
    return {
        item.logical_id: new_here[(item.type, item.name)]
        for item in write
        if item.logical_id in new_there and (item.type, item.name) in new_here
    }


def _refuse_too_many(world: World, workspace: Workspace, plan: UpdatePlan) -> None:
    """Refuse more items than a workspace holds (section 6.7, docs; that all fails is assumed)."""
    known = {item.logical_id for item in workspace.items.values()}
    added = sum(item.logical_id not in known for item in plan.write) - len(plan.adopted)
    there = len(workspace.items) + recoverable_items(world, workspace)
    if there + added - len(plan.remove) > ITEM_LIMIT:
        raise refuse(400, "WorkspaceItemsLimitExceeded", "The workspace would hold too many items")


def _refuse_duplicates(workspace: Workspace, plan: UpdatePlan) -> None:
    written = {item.logical_id for item in plan.write}
    taken = {
        (item.type, item.name)
        for item in supported_items(workspace)
        if item.logical_id not in written
        and item.id not in plan.remove
        and item.id not in plan.adopted.values()
    }
    for item in plan.write:
        if (item.type, item.name) in taken:
            raise refuse(
                400,
                "PotentialDuplicateDisplayNameAndType",
                f"The workspace would hold two items of type {item.type} named {item.name}",
            )


def _refuse_stranded(world: World, workspace: Workspace, plan: UpdatePlan) -> None:
    """Refuse to delete what an item outside Git depends on (section 6.7, docs)."""
    removed = set(plan.remove)
    known = {item.id for item in supported_items(workspace)}
    for item in workspace.items.values():
        if item.id in known:
            continue
        for digest in item.parts.values():
            if removed & CONTENTS.guids(world.blobs, digest):
                raise refuse(
                    400,
                    "DependencyDeletionFailed",
                    f"An item to delete is used by {item.name}, which Git does not hold",
                )


def align_logical_ids(world: World, workspace: Workspace, binding: GitBinding, tip: str) -> None:
    """Give workspace items the logical ids of their namesakes in Git (section 6.4, docs)."""
    remote = item_tree(world, binding, tip).items
    names = {(item.type, item.name): item.logical_id for item in remote.values()}
    for item in supported_items(workspace):
        theirs = names.get((item.type, item.name))
        if theirs is not None and item.logical_id not in remote:
            item.logical_id = theirs


@operation("git.update")
def run_update(world: World, found: Operation) -> None:
    """Bring the workspace to the commit that the request named."""
    workspace, binding = bound_workspace(world, found)
    commit = str(found.args["commit"])
    plan = update_plan(
        world,
        workspace,
        binding,
        commit,
        policy=found.args["policy"],
        allow_override=bool(found.args["allow_override"]),
        attached=found.args.get("plan"),
    )
    apply_update(world, workspace, binding, commit, plan)


def apply_update(
    world: World, workspace: Workspace, binding: GitBinding, commit: str, plan: UpdatePlan
) -> None:
    """Apply items one after another, stopping at the first that fails.

    A failure at the first leaves everything as it was; a later one leaves the workspace synced to
    no commit until an update succeeds (section 6.7, docs on partial updates).
    """
    tree = item_tree(world, binding, commit)
    ids = _future_ids(workspace, plan)
    exchange = Exchange(ids, (ZERO_ID, workspace.id))
    actions = Actions(
        world, workspace, plan.deployment, lambda key: workspace.items.get(ids.get(key, ""))
    )
    done = 0
    for item in plan.write:
        try:
            actions.before(item.logical_id)
            _check_item(world, binding, tree, item)
            _write_item(world, workspace, binding, item, exchange)
            done += 1
            actions.after(item.logical_id)
        except (OperationFailed, Refused) as error:
            if done:
                binding.head, binding.partial = None, True
            failure = error if isinstance(error, OperationFailed) else as_failure(error)
            raise _sync_failed(item, ids, failure) from error
    for item_id in plan.remove:
        leaving = workspace.items.get(item_id)
        if leaving is not None:
            remove_item(world, workspace, leaving)
    binding.head = binding.base = commit
    binding.synced_at, binding.partial = now(world), False


def _future_ids(workspace: Workspace, plan: UpdatePlan) -> dict[str, str]:
    """Return logical to object ids as they will be: references may point to later items."""
    leaving = set(plan.remove)
    ids = {
        item.logical_id: item.id for item in supported_items(workspace) if item.id not in leaving
    }
    ids |= plan.adopted
    for item in plan.write:
        ids.setdefault(item.logical_id, new_id())
    return ids


def _sync_failed(item: TreeItem, ids: dict[str, str], failure: OperationFailed) -> OperationFailed:
    """Wrap the cause as a real failed update did (section 2.4, field)."""
    resource = related(item.type, ids[item.logical_id])
    return OperationFailed(
        "GitSyncFailed",
        "Failed to sync between Git and the workspace",
        [detail(failure.code, failure.message, resource)],
    )


def _check_item(world: World, binding: GitBinding, tree: ItemTree, item: TreeItem) -> None:
    if item.lacks_files:
        raise OperationFailed(
            "MissingItemDefinitionFiles", f"Definition files of {item.directory} are missing"
        )
    directories = {other.directory for other in tree.items.values()}
    for path, blob in item.files.items():
        if not path.endswith(_JSON_FILES):
            continue
        content = world.repos.blob(binding.repo_key, blob)
        try:
            json.loads(content.decode("utf-8-sig"))
        except ValueError:
            raise OperationFailed(
                "Workload_FailedToParseFile", f"{item.directory}/{path} could not be parsed"
            ) from None
        model = model_directory(item.directory, content) if path == "definition.pbir" else None
        if model is not None and model not in directories:
            raise OperationFailed(
                "MissingDependency", f"{item.directory} refers to {model}, which is missing"
            )


def _write_item(
    world: World, workspace: Workspace, binding: GitBinding, item: TreeItem, exchange: Exchange
) -> None:
    """Make or overwrite one item; an existing one keeps its object id."""

    def kept(path: str, blob: str) -> str:
        content = world.repos.blob(binding.repo_key, blob)
        if world.fabric.settings.reserialize_content:
            content = _reserialized(item.type, path, content)
        return world.blobs.put(content)

    files = {path: kept(path, blob) for path, blob in item.definition.items()}
    parts = imported_parts(world, item.type, files, exchange)
    item_id = exchange.ids[item.logical_id]
    folder_id = ensure_folder(workspace, item.folder)
    parent_id = None if item.parent is None else exchange.ids.get(item.parent)
    current = workspace.items.get(item_id)
    if current is None:
        current = add_item(
            world,
            workspace,
            item_type=item.type,
            name=item.name,
            description=item.platform.description,
            parts=parts,
            folder_id=folder_id,
            parent_id=parent_id,
            item_id=item_id,
            logical_id=item.logical_id,
        )
    else:
        if current.name != item.name:
            rename_item(workspace, current, item.name)
        current.description = item.platform.description
        current.logical_id = item.logical_id
        current.parts = parts
        current.folder_id, current.parent_id = folder_id, parent_id
    blob = item.files.get(PLATFORM)
    current.platform = None if blob is None else kept(PLATFORM, blob)
    current.leaf = item.leaf


def _reserialized(item_type: str, path: str, content: bytes) -> bytes:
    """Return a text as the service writes it.

    Source: section 6.5, docs and Microsoft field notes: LF everywhere, no last line feed in
    notebooks; section 9, recorded: none in ``.platform`` either.
    """
    if b"\0" in content:
        return content
    content = content.replace(b"\r\n", b"\n")
    bare = item_type == "Notebook" or path == PLATFORM
    return content.removesuffix(b"\n") if bare else content
