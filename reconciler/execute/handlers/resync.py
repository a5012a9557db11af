"""Carry out a resync: disconnect, connect, initialise with PreferRemote, take everything from Git.

Every step looks where the workspace stands, so that a resync that broke off goes on there. What
this leaves, should the run end in between, is a state that a plan knows how to go on from.
"""

from __future__ import annotations

import json

from typing_extensions import override

from reconciler.clients.fabric.models import InitializeResult
from reconciler.clients.lro import Operation
from reconciler.diff.ignore import IgnoreRules
from reconciler.errors import ActionError, ApiError, PreconditionMoved
from reconciler.execute.handler import expect
from reconciler.execute.handlers.git_common import (
    PLAN_AGAIN,
    SyncHandler,
    beyond_announced,
    binding_of,
    check_head,
    content_of,
    credentials_for,
    explain,
    initialize,
    status_of,
    target_from,
)
from reconciler.execute.handlers.relations import restore_relations
from reconciler.execute.run import Run
from reconciler.live.git import provider_details, read_binding
from reconciler.live.models import (
    ConflictType,
    ConnectionState,
    GitTarget,
    LiveChange,
    LiveStatus,
)
from reconciler.plan.actions import Action, ResyncGit
from reconciler.words import count, short_commit

__all__ = ["ResyncHandler"]


def _uncommitted(status: LiveStatus) -> list[LiveChange]:
    """Return what people changed and Git does not have."""
    return [
        c
        for c in status.changes
        if c.workspace is not None and (c.remote is None or c.conflict is ConflictType.CONFLICT)
    ]


class ResyncHandler(SyncHandler[ResyncGit]):
    """Conditional on binding, head, tip and the announced changes, until the first step is taken.

    Source: fabric-api.md sections 6.3, 6.4 and 6.7, field.
    """

    @override
    async def check(self, run: Run, action: Action, op: ResyncGit) -> None:
        """See that nothing would be lost that the plan did not list."""
        if action.id in run.begun:
            return  # it has to go on, from wherever it stands
        binding = await read_binding(run.fabric, run.id_of(op.workspace), credentials=False)
        target = target_from(op.target)
        if binding.target is None or binding.target.key() != target.key():
            where = binding.target.describe() if binding.target else "nothing"
            raise PreconditionMoved(f"the workspace is bound to {where}", remedy=PLAN_AGAIN)
        status = binding.status
        if status is None:
            raise PreconditionMoved("git status cannot be read any more", remedy=PLAN_AGAIN)
        check_head(action, status)
        if not _uncommitted(status):
            raise PreconditionMoved("the uncommitted changes are gone", remedy=PLAN_AGAIN)
        beyond = beyond_announced(list(status.changes), action)
        if beyond:
            raise PreconditionMoved(
                f"the workspace has changes the plan did not announce: {beyond}", remedy=PLAN_AGAIN
            )
        await self._see_items(run, target)

    async def _see_items(self, run: Run, target: GitTarget) -> None:
        """Refuse an empty directory: initialise would ask for a commit instead."""
        if target.provider != "AzureDevOps":
            return  # nobody can look; status has just been read with this very target
        content = await content_of(run, target)
        expect(
            not content.readable or content.item_folders,
            f"{target.describe()} has no items, so there is nothing to take from Git",
            remedy="undo the changes by hand, or commit them; nothing was disconnected",
        )

    @override
    async def send(self, run: Run, action: Action, op: ResyncGit) -> Operation | None:
        """Take the steps that are still to be taken, and start the update."""
        run.begun.add(action.id)
        workspace, target = run.id_of(op.workspace), target_from(op.target)
        unbound = f"unbound:{action.id}"
        binding = await binding_of(run, op.workspace)
        if binding.state is ConnectionState.INITIALIZED and op.workspace not in run.initialized:
            if unbound in run.made:
                run.initialized[op.workspace] = await _asked(run, op)
            else:
                run.progress(action, "disconnecting")
                await run.fabric.git.disconnect(workspace)
                binding = await binding_of(run, op.workspace)
        if binding.state is not ConnectionState.INITIALIZED:
            run.made.add(unbound)
        if binding.target is None:
            run.progress(action, "connecting again")
            try:
                await run.fabric.git.connect(
                    workspace, provider_details(target), credentials_for(run, op.credentials)
                )
            except ApiError as e:
                if e.status >= 500:
                    raise
                error = explain(e, target)
                raise ActionError(
                    f"the workspace is disconnected now: {error.message}",
                    remedy=f"{error.remedy}; then apply again, which connects it",
                ) from e
            binding = await binding_of(run, op.workspace)
        if binding.state is ConnectionState.CONNECTED:
            run.progress(action, "initialising")
            await initialize(run, action, op.workspace, "PreferRemote", target)
        return await self._update(run, action, op)

    async def _update(self, run: Run, action: Action, op: ResyncGit) -> Operation | None:
        """POST updateFromGit with the heads initialise gave, unless both sides are equal."""
        asked = run.initialized[op.workspace]
        if asked.required_action == "None":
            return None
        tip = asked.remote_commit_hash
        if asked.required_action != "UpdateFromGit" or tip is None:
            raise ActionError(
                f"initialise asked for {asked.required_action}, so nothing was taken from Git",
                remedy="see that the directory has items on the branch, then plan again",
            )
        run.sent_hashes[action.id] = tip
        run.progress(action, "taking everything from Git")
        return await run.fabric.git.begin_update(
            run.id_of(op.workspace),
            remote_commit_hash=tip,
            workspace_head=asked.workspace_head,
            conflict_resolution="PreferRemote",
            allow_override=True,
        )

    @override
    async def settle(
        self, run: Run, action: Action, op: ResyncGit, operation: Operation | None
    ) -> None:
        """Wait for the update, then put back the relations that disconnecting took."""
        await super().settle(run, action, op, operation)
        await restore_relations(run, op.workspace, op.relations)

    @override
    async def verify(self, run: Run, action: Action, op: ResyncGit) -> str:
        """Read status: at the tip, and clean.

        Raises:
            ActionError: what was dropped differs again; another resync would not help.
        """
        status = await status_of(run, op.workspace)
        sent = run.sent_hashes.get(action.id, status.remote_hash)
        expect(
            op.workspace in run.initialized and status.workspace_head == sent,
            f"the workspace is at {short_commit(status.workspace_head)}, "
            f"not at {short_commit(sent)}",
        )
        ignores = IgnoreRules(run.estate.ignore).at(action.address)
        announced = {(i.type, i.name) for i in action.items}
        left = [
            c
            for c in _uncommitted(status)
            if (c.type, c.name) in announced and not ignores.change(c)
        ]
        if left:
            raise _residual(action, left)
        return f"everything taken from Git, at {short_commit(sent)}"


async def _asked(run: Run, op: ResyncGit) -> InitializeResult:
    """Return what initialise asked for when its effect is there and its answer was lost.

    Source: fabric-api.md section 6.5, spec: status names both heads.
    """
    status = await status_of(run, op.workspace)
    in_sync = not status.changes and status.workspace_head == status.remote_hash
    return InitializeResult(
        required_action="None" if in_sync else "UpdateFromGit",
        workspace_head=status.workspace_head,
        remote_commit_hash=status.remote_hash,
    )


def _residual(action: Action, left: list[LiveChange]) -> ActionError:
    """Name what differs straight after a full update, with the rule that leaves it alone.

    Source: fabric-api.md sections 6.5 and 6.7, field: the service writes some items otherwise than
    Git holds them.
    """
    names = ", ".join(f"{c.type} {c.name}" for c in left)
    items = ", ".join(f"{{type: {c.type}, name: {json.dumps(c.name)}}}" for c in left)
    verb = "differs" if len(left) == 1 else "differ"
    return ActionError(
        f"residual: {count(len(left), 'item')} {verb} straight after everything was taken from "
        f"Git: {names}",
        remedy="the service writes them otherwise than Git holds them, so another resync changes "
        f"nothing; leave them alone with ignore: [{{address: {json.dumps(action.address)}, items: "
        f"[{items}]}}], or commit them once",
    )
