"""Make branches and directories in Azure Repos for bindings.

Both writes carry the commit they build on, so the service refuses them when somebody was faster.
Source: azure-devops-import.md section 3, Refs: 40 zeros stand for "does not exist"; git.json
Pushes_Create, spec.
"""

from __future__ import annotations

from typing_extensions import override

from reconciler.clients.azdo.models import ZERO_OBJECT_ID, FileChange, RefUpdate
from reconciler.clients.lro import Operation
from reconciler.errors import ActionError, ApiError, Conflict, Forbidden, PreconditionMoved
from reconciler.execute.handler import Handler, NotNeeded, expect
from reconciler.execute.handlers.git_common import PLAN_AGAIN, azdo_of, content_of, target_from
from reconciler.execute.run import Run
from reconciler.live.git import read_tip
from reconciler.live.models import GitTarget
from reconciler.plan.actions import Action, CreateBranch, CreateDirectory
from reconciler.words import short_commit

__all__ = ["CreateBranchHandler", "CreateDirectoryHandler"]

# Not an item, so the directory counts as empty of items.
# Source: fabric-api.md section 6.3, field.
_PLACEHOLDER = ".gitkeep"
_TEXT = b"Keeps this directory, since Git has no empty ones. Workspaces commit their items here.\n"


async def _tip(run: Run, target: GitTarget, branch: str) -> str | None:
    return await read_tip(azdo_of(run, target), target.project, target.repository, branch)


def _refused(error: ApiError, what: str, target: GitTarget) -> ActionError:
    """Say what a refused write to a repository means.

    Source: git.json GitRefUpdateStatus, spec; that a branch policy refuses a push with 403 is
    assumed.
    """
    if isinstance(error, Forbidden):
        return ActionError(
            f"{what} was refused: {error.message}",
            remedy=f"give the caller Contribute and Create branch on {target.repository}; where a "
            f"policy on {target.branch} asks for pull requests, make it through one",
        )
    if error.code in ("refNameConflict", "invalidRefName"):
        return ActionError(
            f"{what} was refused: {error.message}",
            remedy="choose another branch name; a branch a/b cannot stand beside a branch a",
        )
    if isinstance(error, Conflict):
        return PreconditionMoved(
            f"{what}: the branch moved under it: {error.message}", remedy=PLAN_AGAIN
        )
    return ActionError(f"{what} failed: {error.message}", remedy="correct it and apply again")


class CreateBranchHandler(Handler[CreateBranch]):
    """Made only while there is none of that name, from the commit the plan saw."""

    @override
    async def check(self, run: Run, action: Action, op: CreateBranch) -> None:
        """See that the branch is still missing and that its source stands where it stood."""
        target = target_from(op.target)
        there = await _tip(run, target, target.branch)
        seen = action.preconditions.get("source_commit")
        if there is not None:
            if action.after_unknown or there == seen:
                raise NotNeeded(f"the branch {target.branch} is there already")
            raise PreconditionMoved(
                f"somebody has made the branch {target.branch}, at {short_commit(there)}",
                remedy=PLAN_AGAIN,
            )
        source = await _tip(run, target, op.source)
        expect(
            source is not None,
            f"there is no branch {op.source} to make {target.branch} from",
            remedy=f"push {op.source}, or correct createBranchFrom",
        )
        if not action.after_unknown and source != seen:
            raise PreconditionMoved(
                f"{op.source} moved from {short_commit(seen)} to {short_commit(source)} since the "
                "plan was made",
                remedy=PLAN_AGAIN,
            )
        run.sent_hashes[action.id] = source or ""

    @override
    async def send(self, run: Run, action: Action, op: CreateBranch) -> Operation | None:
        """POST the ref, from zero to the source's commit."""
        target = target_from(op.target)
        update = RefUpdate(
            f"refs/heads/{target.branch}", ZERO_OBJECT_ID, run.sent_hashes[action.id]
        )
        try:
            await azdo_of(run, target).refs.update(target.project, target.repository, [update])
        except ApiError as e:
            if e.status >= 500:
                raise
            raise _refused(e, f"making the branch {target.branch}", target) from e
        return None

    @override
    async def verify(self, run: Run, action: Action, op: CreateBranch) -> str:
        """Read the branch."""
        target = target_from(op.target)
        there = await _tip(run, target, target.branch)
        expect(there is not None, f"the branch {target.branch} is not there")
        return f"{target.branch} made from {op.source}, at {short_commit(there)}"


class CreateDirectoryHandler(Handler[CreateDirectory]):
    """One commit with a placeholder, on the tip the plan saw."""

    @override
    async def check(self, run: Run, action: Action, op: CreateDirectory) -> None:
        """See that the directory is still missing and the branch where it was."""
        target = target_from(op.target)
        content = await content_of(run, target)
        expect(
            content.readable and content.repository_exists,
            f"the repository {target.repository} cannot be read",
            remedy="give the caller read access to it, then apply again",
        )
        if content.branch_exists and content.directory_exists:
            if action.after_unknown or not content.item_folders:
                raise NotNeeded(f"the directory {target.directory} is there already")
            raise PreconditionMoved(
                f"somebody has filled the directory {target.directory}", remedy=PLAN_AGAIN
            )
        expect(
            content.branch_exists or content.empty,
            f"there is no branch {target.branch}, and the repository is not empty",
            remedy="name the branch it comes from with createBranchFrom, or push it",
        )
        seen = action.preconditions.get("branch_tip", content.tip)
        if content.tip != seen:
            raise PreconditionMoved(
                f"{target.branch} moved from {short_commit(seen)} to {short_commit(content.tip)} "
                "since the plan was made",
                remedy=PLAN_AGAIN,
            )
        run.sent_hashes[action.id] = content.tip or ZERO_OBJECT_ID

    @override
    async def send(self, run: Run, action: Action, op: CreateDirectory) -> Operation | None:
        """POST a push of one commit."""
        target = target_from(op.target)
        path = f"{target.directory.rstrip('/')}/{_PLACEHOLDER}"
        try:
            await azdo_of(run, target).pushes.create(
                target.project,
                target.repository,
                ref_name=f"refs/heads/{target.branch}",
                old_object_id=run.sent_hashes[action.id],
                comment=f"Make the directory {target.directory}",
                changes=[FileChange(path, _TEXT)],
            )
        except ApiError as e:
            if e.status >= 500:
                raise
            raise _refused(e, f"making the directory {target.directory}", target) from e
        return None

    @override
    async def verify(self, run: Run, action: Action, op: CreateDirectory) -> str:
        """Look at the directory."""
        target = target_from(op.target)
        content = await content_of(run, target)
        expect(
            content.readable and content.branch_exists and content.directory_exists,
            f"the directory {target.directory} is not there",
        )
        return f"{target.directory} made on {target.branch}, at {short_commit(content.tip)}"
