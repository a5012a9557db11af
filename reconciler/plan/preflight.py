"""Limits of the services that only a whole plan can be held against, before its first write.

Limits of one value (lengths, names, numbers of stages) are checked with the spec; those that
one decision rests on (neighbouring stages, a workspace in one stage only, a capacity that is
there) where that decision is made.
"""

from __future__ import annotations

from reconciler.ids import Address, split_address
from reconciler.plan.actions import Deploy, UpdateFromGit
from reconciler.plan.draft import Draft
from reconciler.plan.losses import known_items
from reconciler.plan.steps import Step
from reconciler.words import count

__all__ = ["MOST_ITEMS", "check_item_limit"]

MOST_ITEMS = 1000
"""Items of one workspace. Source: fabric-api.md sections 6.7 and 6.9, docs: more fail."""


def check_item_limit(draft: Draft) -> None:
    """Refuse what would bring a workspace more items than it can have, as far as both are known.

    Items deleted not long ago count at the service as well, and cannot be seen here.
    Source: fabric-api.md section 8, spec.
    """
    for action in draft.actions.values():
        found = _items_after(draft, action)
        if found is not None and found[1] > MOST_ITEMS:
            workspace, items = found
            draft.error(
                "too_many_items",
                f"The workspace {split_address(workspace)[-1]} would have "
                f"{count(items, 'item')}, and Fabric takes at most {MOST_ITEMS:,} in one.",
                "An update or a deployment beyond that fails. Spread the items over several "
                "workspaces (of Git: over several directories), or remove some first.",
                Address(action.address),
            )


def _items_after(draft: Draft, action: Step) -> tuple[Address, int] | None:
    """Return the workspace that gets items, and how many it has then; None: it gets none."""
    op = action.op
    if isinstance(op, UpdateFromGit):
        workspace = Address(op.workspace)
        binding = draft.snapshot.bindings.get(Address(action.address))
        if op.initial:
            content = binding.content if binding is not None else None
            folders = content.item_folders if content is not None and content.readable else 0
            # The items of the workspace are replaced or are the same ones; they are not added.
            return workspace, folders
        added = sum(i.change == "Added" for i in action.items)
        gone = sum(i.change == "Deleted" for i in action.items)
        return workspace, len(known_items(draft, workspace) or ()) + added - gone
    if isinstance(op, Deploy) and op.target_workspace is not None:
        workspace = Address(op.target_workspace)
        new = sum(i.change == "New" for i in action.items)
        return workspace, len(known_items(draft, workspace) or ()) + new
    return None
