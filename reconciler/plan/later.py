"""Say of valid parts of a spec that this version does not carry them out.

A spec that asks for something and silently does not get it is worse than a refusal, so each of
these is a warning in every plan until it is carried out.
"""

from __future__ import annotations

from reconciler.plan.draft import Draft
from reconciler.spec.models import GitSpec
from reconciler.spec.resolve import git_address

__all__ = ["tell_not_carried_out"]


def tell_not_carried_out(draft: Draft) -> None:
    """Warn of every such part of the spec, at the address it belongs to."""
    for spec in draft.estate.workspaces:
        if spec.git is None or spec.git.state == "absent":
            continue
        for key, instead in _unused(spec.git):
            draft.warn(
                "not_carried_out",
                f"{key} is not carried out in this version.",
                instead,
                git_address(spec),
            )


def _unused(git: GitSpec) -> list[tuple[str, str]]:
    """Return what a binding asks for in vain, with what to do instead."""
    found = []
    if git.create_branch_from is not None:
        found.append(("createBranchFrom", "Push the branch before the binding is made."))
    if git.create_directory:
        found.append(("createDirectory", "Push a commit with a file in the directory first."))
    if git.relation is not None:
        found.append(("relation", "Relate the workspaces in the portal's source control pane."))
    if git.sync.drift == "resync":
        found.append(("sync.drift: resync", "Uncommitted changes are reported; undo them by hand."))
    return found
