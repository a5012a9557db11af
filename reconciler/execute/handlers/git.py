"""Carry out Git actions: connect, initialise, switch, credentials, update, commit, disconnect."""

from __future__ import annotations

from typing_extensions import override

from reconciler.clients.fabric.models import ItemIdentifier
from reconciler.clients.lro import Operation
from reconciler.diff.ignore import NOTHING_IGNORED, IgnoreRules
from reconciler.errors import ActionError, ApiError, PreconditionMoved
from reconciler.execute.handler import Handler, NotNeeded, expect
from reconciler.execute.handlers.git_common import (
    NO_STRATEGY,
    NOWHERE,
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
from reconciler.execute.run import Run
from reconciler.live.git import PARTIAL_UPDATE, provider_details, read_binding
from reconciler.live.models import (
    ChangeType,
    ConflictType,
    ConnectionState,
    LiveChange,
    LiveStatus,
)
from reconciler.live.scope import name_matches
from reconciler.plan.actions import (
    Action,
    CommitToGit,
    ConnectGit,
    DisconnectGit,
    InitializeGit,
    SetGitCredentials,
    SwitchGit,
    UpdateFromGit,
)
from reconciler.provenance import COMMENT_LIMIT, with_trailer
from reconciler.words import count, short_commit

__all__ = [
    "CommitHandler",
    "ConnectHandler",
    "CredentialsHandler",
    "DisconnectHandler",
    "InitializeHandler",
    "SwitchHandler",
    "UpdateHandler",
]

# A connection made moments ago is sometimes not yet seen by connect.
# Source: fabric-api.md section 6.3, field (terraform-provider-fabric issue 784).
_CONNECT_TRIES = 4
_CONNECT_WAIT_S = 5.0


class ConnectHandler(Handler[ConnectGit]):
    """The connection is read first, and again after an unknown outcome."""

    @override
    async def check(self, run: Run, action: Action, op: ConnectGit) -> None:
        """See that nobody has connected the workspace."""
        binding = await binding_of(run, op.workspace)
        if binding.target is None:
            return
        if binding.target.key() == target_from(op.target).key():
            raise NotNeeded("connected already")
        raise PreconditionMoved(
            f"the workspace has been connected to {binding.target.describe()}", remedy=PLAN_AGAIN
        )

    @override
    async def send(self, run: Run, action: Action, op: ConnectGit) -> Operation | None:
        """POST connect; waits out a connection that was made moments ago."""
        target = target_from(op.target)
        tries = _CONNECT_TRIES if run.made else 1
        for attempt in range(1, tries + 1):
            try:
                await run.fabric.git.connect(
                    run.id_of(op.workspace),
                    provider_details(target),
                    credentials_for(run, op.credentials),
                )
            except ApiError as e:
                late = "GitProviderResourceNotFound" in e.codes or "ConnectionNotFound" in e.codes
                if e.status >= 500:
                    raise
                if not late or attempt == tries or not _made_connection(run, op):
                    raise explain(e, target) from e
                run.progress(action, "the connection is not visible to Git yet")
                await run.clock.sleep(_CONNECT_WAIT_S)
            else:
                return None
        return None

    @override
    async def verify(self, run: Run, action: Action, op: ConnectGit) -> str:
        """Read the connection."""
        binding = await binding_of(run, op.workspace)
        target = target_from(op.target)
        expect(
            binding.target is not None and binding.target.key() == target.key(),
            f"the workspace is not connected to {target.describe()}",
        )
        run.made.add(action.id)
        return f"connected to {target.describe()}"


def _made_connection(run: Run, op: ConnectGit) -> bool:
    choice = op.credentials
    return choice is not None and f"connection.create:{choice.connection}" in run.made


class InitializeHandler(Handler[InitializeGit]):
    """Not repeatable: a second call answers 409, and the connection state tells it happened.

    Source: fabric-api.md section 6.4 (already initialised: 409), field.
    """

    @override
    async def check(self, run: Run, action: Action, op: InitializeGit) -> None:
        """See that it is connected and not yet initialised."""
        binding = await binding_of(run, op.workspace)
        if binding.state is ConnectionState.INITIALIZED:
            raise NotNeeded("initialised already")
        if binding.state is ConnectionState.NOT_CONNECTED:
            raise PreconditionMoved("the workspace is not connected any more", remedy=PLAN_AGAIN)

    @override
    async def send(self, run: Run, action: Action, op: InitializeGit) -> Operation | None:
        """POST initializeConnection and keep what it asks for.

        Where the provider cannot be looked at before (GitHub), a missing strategy shows only
        here; then a connection of this run is taken back, so that the refusal leaves nothing.
        """
        try:
            await initialize(run, action, op.workspace, op.strategy, NOWHERE)
        except ActionError as e:
            refused = isinstance(e.__cause__, ApiError) and NO_STRATEGY in e.__cause__.codes
            if refused and f"git.connect:{action.address}" in run.made:
                await run.fabric.git.disconnect(run.id_of(op.workspace))
                raise ActionError(
                    f"{e.message}; the connection was taken back", remedy=e.remedy
                ) from e
            raise
        return None

    @override
    async def verify(self, run: Run, action: Action, op: InitializeGit) -> str:
        """Read the connection state."""
        binding = await binding_of(run, op.workspace)
        expect(binding.state is ConnectionState.INITIALIZED, "the connection is not initialised")
        result = run.initialized.get(op.workspace)
        return (
            f"initialised; required action: {result.required_action}" if result else "initialised"
        )


class SwitchHandler(Handler[SwitchGit]):
    """Disconnect, connect, initialise; the target is seen before anything is disconnected."""

    @override
    async def check(self, run: Run, action: Action, op: SwitchGit) -> None:
        """See that the binding is the one the plan saw, and that the target exists."""
        binding = await read_binding(run.fabric, run.id_of(op.workspace), credentials=False)
        target = target_from(op.target)
        if binding.target is not None and binding.target.key() == target.key():
            if binding.state is ConnectionState.INITIALIZED:
                raise NotNeeded("switched already")
            return
        if binding.target is None and action.id in run.begun:
            return  # disconnected by this run, which has to go on
        if binding.target is None or binding.target.key() != target_from(op.before).key():
            where = binding.target.describe() if binding.target else "nothing"
            raise PreconditionMoved(f"the workspace is bound to {where}", remedy=PLAN_AGAIN)
        head = binding.status.workspace_head if binding.status else binding.head
        if head != action.preconditions.get("workspace_head"):
            raise PreconditionMoved("the workspace has been synced meanwhile", remedy=PLAN_AGAIN)
        content = await content_of(run, target)
        expect(
            content.readable
            and content.repository_exists
            and content.branch_exists
            and content.directory_exists,
            f"{target.describe()} is not there, so nothing was disconnected",
            remedy=PLAN_AGAIN,
        )

    @override
    async def send(self, run: Run, action: Action, op: SwitchGit) -> Operation | None:
        """Take the three steps; each is skipped when its effect is there already."""
        run.begun.add(action.id)
        workspace = run.id_of(op.workspace)
        target, before = target_from(op.target), target_from(op.before)
        binding = await binding_of(run, op.workspace)
        if binding.target is not None and binding.target.key() == before.key():
            await run.fabric.git.disconnect(workspace)
            binding = await binding_of(run, op.workspace)
        if binding.target is None:
            try:
                await run.fabric.git.connect(
                    workspace, provider_details(target), credentials_for(run, op.credentials)
                )
            except ApiError as e:
                if e.status >= 500:
                    raise
                await self._restore(run, op)
                raise explain(e, target) from e
        await initialize(run, action, op.workspace, op.strategy, target)
        return None

    async def _restore(self, run: Run, op: SwitchGit) -> None:
        """Put the old connection back; it stays uninitialised and the next plan says so."""
        await run.fabric.git.connect(
            run.id_of(op.workspace),
            provider_details(target_from(op.before)),
            credentials_for(run, op.credentials),
        )

    @override
    async def verify(self, run: Run, action: Action, op: SwitchGit) -> str:
        """Read the connection."""
        binding = await binding_of(run, op.workspace)
        target = target_from(op.target)
        expect(
            binding.state is ConnectionState.INITIALIZED
            and binding.target is not None
            and binding.target.key() == target.key(),
            f"the workspace is not bound to {target.describe()}",
        )
        return f"bound to {target.describe()}"


class DisconnectHandler(Handler[DisconnectGit]):
    """Repeatable: disconnected stays disconnected."""

    @override
    async def check(self, run: Run, action: Action, op: DisconnectGit) -> None:
        """See that the binding is the one the plan saw."""
        binding = await binding_of(run, op.workspace)
        if binding.target is None:
            raise NotNeeded("not connected")
        seen = action.preconditions.get("bound_to")
        if binding.target.describe() != seen:
            raise PreconditionMoved(
                f"the workspace is bound to {binding.target.describe()}, the plan saw {seen}",
                remedy=PLAN_AGAIN,
            )

    @override
    async def send(self, run: Run, action: Action, op: DisconnectGit) -> Operation | None:
        """POST disconnect."""
        await run.fabric.git.disconnect(run.id_of(op.workspace))
        return None

    @override
    async def verify(self, run: Run, action: Action, op: DisconnectGit) -> str:
        """Read the connection."""
        binding = await binding_of(run, op.workspace)
        expect(binding.state is ConnectionState.NOT_CONNECTED, "the workspace is still connected")
        return "disconnected; its items stay"


class CredentialsHandler(Handler[SetGitCredentials]):
    """Repeatable: the same choice again changes nothing."""

    @override
    async def send(self, run: Run, action: Action, op: SetGitCredentials) -> Operation | None:
        """PATCH myGitCredentials."""
        wanted = credentials_for(run, op.credentials)
        if wanted is not None:
            try:
                await run.fabric.git.update_my_credentials(run.id_of(op.workspace), wanted)
            except ApiError as e:
                if e.status >= 500:
                    raise
                raise explain(e, NOWHERE) from e
        return None

    @override
    async def verify(self, run: Run, action: Action, op: SetGitCredentials) -> str:
        """Read them again."""
        mine = await run.fabric.git.get_my_credentials(run.id_of(op.workspace))
        wanted = credentials_for(run, op.credentials)
        expect(
            wanted is not None
            and mine.source == wanted.source
            and (wanted.connection_id is None or wanted.connection_id == mine.connection_id),
            f"the credentials are still {mine.source}",
        )
        return f"credentials: {op.credentials.source}"


def _only_ignored(run: Run, action: Action, incoming: list[LiveChange]) -> bool:
    """Tell whether an update would bring ignored items only, and no commit needs it done."""
    ignores = IgnoreRules(run.estate.ignore).at(action.address)
    return all(map(ignores.change, incoming)) and not any(
        a.kind == "git.commit" and a.address == action.address for a in run.plan.actions
    )


def _refuse_name_clashes(status: LiveStatus) -> None:
    """Refuse to put a new item of Git in the place of one that is not committed."""
    by_hand = {(c.type, c.name) for c in status.changes if c.remote is None}
    taken = [
        f"{c.type} {c.name}"
        for c in status.changes
        if c.remote is ChangeType.ADDED and c.workspace is None and (c.type, c.name) in by_hand
    ]
    if taken:
        raise PreconditionMoved(
            "Git brings new items under names of uncommitted ones: " + ", ".join(taken),
            remedy="rename or delete them in the workspace, then plan again",
        )


class UpdateHandler(SyncHandler[UpdateFromGit]):
    """Conditional on workspace head and branch tip, so a repeat cannot do more.

    Source: fabric-api.md section 6.7 (two consents, WorkspaceHeadMismatch), field.
    """

    @override
    async def check(self, run: Run, action: Action, op: UpdateFromGit) -> None:
        """Read status, or what initialise asked for, and see that it is what was announced."""
        asked = run.initialized.get(op.workspace)
        if op.initial and asked is not None and action.id not in run.sent_hashes:
            if asked.required_action != "UpdateFromGit":
                raise NotNeeded(f"initialise asked for: {asked.required_action}")
            if asked.remote_commit_hash:
                return
        status = await self._seen(run, action, op)
        if status is None:
            return
        check_head(action, status)
        incoming = [c for c in status.changes if c.remote is not None]
        if not incoming:
            raise NotNeeded("nothing incoming")
        if not action.items and _only_ignored(run, action, incoming):
            raise NotNeeded("only ignored items are incoming")
        _refuse_name_clashes(status)
        conflicts = [c for c in incoming if c.conflict is ConflictType.CONFLICT]
        if conflicts and op.conflicts == "fail":
            names = ", ".join(f"{c.type} {c.name}" for c in conflicts)
            raise PreconditionMoved(
                f"{count(len(conflicts), 'item')} changed on both sides now: {names}",
                remedy="resolve them, or say who wins with sync.conflicts; then plan again",
            )
        beyond = beyond_announced(incoming, action) if action.items else ""
        if beyond:
            raise PreconditionMoved(
                f"the branch brings more than announced: {beyond}", remedy=PLAN_AGAIN
            )

    @override
    async def send(self, run: Run, action: Action, op: UpdateFromGit) -> Operation | None:
        """POST updateFromGit with the heads that were checked."""
        asked = run.initialized.get(op.workspace) if op.initial else None
        if asked is not None and asked.remote_commit_hash and action.id not in run.sent_hashes:
            head: str | None = asked.workspace_head
            tip: str | None = asked.remote_commit_hash
        else:
            status = await self._seen(run, action, op)
            head, tip = None, action.preconditions.get("remote_commit_hash")
            if status is not None:
                check_head(action, status)
                head, tip = status.workspace_head, status.remote_hash
        if tip is None:
            raise ActionError("the branch has no commit to update to", remedy=PLAN_AGAIN)
        run.sent_hashes[action.id] = tip
        return await run.fabric.git.begin_update(
            run.id_of(op.workspace),
            remote_commit_hash=tip,
            workspace_head=head,
            conflict_resolution=None if op.conflicts == "fail" else op.conflicts,
            allow_override=op.allow_override,
        )

    async def _seen(self, run: Run, action: Action, op: UpdateFromGit) -> LiveStatus | None:
        """Read status; None after an update that stopped half way.

        Raises:
            PreconditionMoved: there is no status, and the branch has moved.
        """
        try:
            return await status_of(run, op.workspace)
        except ApiError as e:
            if PARTIAL_UPDATE not in e.codes or op.resume is None:
                raise
        content = await content_of(run, target_from(op.resume))
        seen = action.preconditions.get("remote_commit_hash")
        if content.tip != seen:
            raise PreconditionMoved(
                f"the branch moved from {short_commit(seen)} to {short_commit(content.tip)} "
                "since the plan was made",
                remedy=PLAN_AGAIN,
            )
        return None

    @override
    async def verify(self, run: Run, action: Action, op: UpdateFromGit) -> str:
        """Read status: the workspace stands at the commit that was sent."""
        sent = run.sent_hashes.get(action.id)
        status = await status_of(run, op.workspace)
        expect(
            status.workspace_head == sent,
            f"the workspace is at {short_commit(status.workspace_head)}, "
            f"not at {short_commit(sent)}",
        )
        return f"at {short_commit(sent)}"


class CommitHandler(SyncHandler[CommitToGit]):
    """Conditional on workspace head: a commit that happened has moved it.

    Source: fabric-api.md section 6.6, spec and field.
    """

    @override
    async def check(self, run: Run, action: Action, op: CommitToGit) -> None:
        """Read status and see that exactly what was announced would be committed."""
        asked = run.initialized.get(op.workspace)
        first = op.initial and asked is not None and action.id not in run.sent_hashes
        if first and asked is not None:
            if asked.required_action != "CommitToGit":
                raise NotNeeded(f"initialise asked for: {asked.required_action}")
            if IgnoreRules(run.estate.ignore).at(action.address) == NOTHING_IGNORED:
                return
        status = await status_of(run, op.workspace)
        local = _local(run, action, op, status)
        if not local:
            raise NotNeeded("nothing to commit")
        if first:
            return
        check_head(action, status)
        incoming = [c for c in status.changes if c.remote is not None]
        if incoming:
            raise PreconditionMoved(
                f"the branch has {count(len(incoming), 'incoming change')} now",
                remedy="set sync.direction: both to update first, or make a new plan",
            )
        beyond = beyond_announced(local, action) if action.items else ""
        if beyond:
            raise PreconditionMoved(
                f"the workspace has changes the plan did not announce: {beyond}",
                remedy=PLAN_AGAIN,
            )

    @override
    async def send(self, run: Run, action: Action, op: CommitToGit) -> Operation | None:
        """POST commitToGit, after catching up with commits that touch nothing of the workspace."""
        workspace = run.id_of(op.workspace)
        first = op.initial and action.id not in run.sent_hashes
        asked = run.initialized.get(op.workspace) if first else None
        head = asked.workspace_head if asked is not None else None
        items: list[ItemIdentifier] | None = None
        ignores = IgnoreRules(run.estate.ignore).at(action.address)
        if asked is None or ignores != NOTHING_IGNORED:
            status = await status_of(run, op.workspace)
            if asked is None:
                head = status.workspace_head
                if head != status.remote_hash and status.remote_hash is not None:
                    head = await self._catch_up(run, action, workspace, status)
            # A commit of everything would take the ignored changes along.
            left_out = any(c.workspace is not None and ignores.change(c) for c in status.changes)
            if op.patterns is not None or left_out:
                items = [
                    ItemIdentifier(object_id=c.object_id, logical_id=c.logical_id)
                    for c in _local(run, action, op, status)
                ]
        run.sent_hashes[action.id] = head or ""
        return await run.fabric.git.begin_commit(
            workspace,
            mode="All" if items is None else "Selective",
            workspace_head=head,
            comment=with_trailer(op.comment or "", run.trailer(head), COMMENT_LIMIT),
            items=items,
        )

    async def _catch_up(
        self, run: Run, action: Action, workspace: str, status: LiveStatus
    ) -> str | None:
        """Move the head over commits that touch no item here, or commit would be refused."""
        if status.remote_hash is None:
            return status.workspace_head
        operation = await run.fabric.git.begin_update(
            workspace,
            remote_commit_hash=status.remote_hash,
            workspace_head=status.workspace_head,
            conflict_resolution=None,
            allow_override=False,
        )
        run.note(action, operation)
        await run.fabric.operations.wait(operation, timeout_s=run.timeout_s)
        return status.remote_hash

    @override
    async def verify(self, run: Run, action: Action, op: CommitToGit) -> str:
        """Read status: the head moved and none of what was committed is left."""
        status = await status_of(run, op.workspace)
        left = [
            c
            for c in _local(run, action, op, status)
            if not action.items or not beyond_announced([c], action)
        ]
        expect(not left, f"{count(len(left), 'change')} still not committed")
        before = run.sent_hashes.get(action.id)
        expect(
            status.workspace_head and status.workspace_head != before,
            "the workspace head has not moved",
        )
        return f"committed as {short_commit(status.workspace_head)}"


def _local(run: Run, action: Action, op: CommitToGit, status: LiveStatus) -> list[LiveChange]:
    """Return the uncommitted changes an op covers, without the ignored ones."""
    ignores = IgnoreRules(run.estate.ignore).at(action.address)
    return [
        c
        for c in status.changes
        if c.workspace in list(ChangeType)
        and c.remote is None
        and not ignores.change(c)
        and (
            op.patterns is None
            or any(p.type in (None, c.type) and name_matches(c.name, p.name) for p in op.patterns)
        )
    ]
