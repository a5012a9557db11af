"""What the Git handlers share: reading where a workspace stands, and saying what went wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from typing_extensions import override

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.fabric.models import GitCredentials
from reconciler.clients.lro import Operation
from reconciler.errors import ActionError, ApiError, PreconditionMoved
from reconciler.execute.handler import Handler
from reconciler.execute.run import Run
from reconciler.live.git import read_binding, read_content, read_status
from reconciler.live.models import (
    GitTarget,
    LiveBinding,
    LiveChange,
    LiveStatus,
    TargetContent,
)
from reconciler.live.patience import BUSY
from reconciler.live.places import devops_version, organization_root
from reconciler.plan.actions import (
    Action,
    BranchTarget,
    CommitToGit,
    GitCredentialChoice,
    ResyncGit,
    UpdateFromGit,
)
from reconciler.words import short_commit

__all__ = [
    "NOWHERE",
    "NO_STRATEGY",
    "PLAN_AGAIN",
    "SyncHandler",
    "azdo_of",
    "beyond_announced",
    "binding_of",
    "check_head",
    "content_of",
    "credentials_for",
    "explain",
    "initialize",
    "status_of",
    "target_from",
]

PLAN_AGAIN = "make a new plan"
# Source: fabric-api.md section 6.4 (both sides filled, no strategy), field, verified verbatim.
NO_STRATEGY = "MissingInitializationStrategy"
_BUSY_WAIT_S = 2.0


def target_from(op: BranchTarget) -> GitTarget:
    """Return an op's target in its live form."""
    return GitTarget(**op.model_dump())


async def binding_of(run: Run, workspace: str) -> LiveBinding:
    """Read a workspace's connection, without status and credentials."""
    return await read_binding(run.fabric, run.id_of(workspace), credentials=False, status=False)


def azdo_of(run: Run, target: GitTarget) -> AzdoClient:
    """Return the client of the organization a target lies in."""
    return run.services.azdo(
        organization_root(target.organization),
        devops_version(run.estate.azure_devops, target.organization),
    )


async def content_of(run: Run, target: GitTarget) -> TargetContent:
    """Look at the branch and directory of a target."""
    return await read_content(azdo_of(run, target), target)


def credentials_for(run: Run, choice: GitCredentialChoice | None) -> GitCredentials | None:
    """Return the credentials a request carries."""
    if choice is None:
        return None
    return GitCredentials(
        source=choice.source,
        connection_id=run.id_of(choice.connection) if choice.connection else None,
    )


def explain(error: ApiError, target: GitTarget) -> ActionError:
    """Say in the user's words what a refused connect or initialise means.

    Source: fabric-api.md sections 6.3 and 6.4.
    """
    codes = error.codes
    if "GitProviderResourceNotFound" in codes:
        return ActionError(
            f"Git has no {target.describe()}: {error.message}",
            remedy="see that repository, branch and directory exist (the directory needs a file in "
            "it; branch and directory are case-sensitive) and that the connection may read them",
        )
    if NO_STRATEGY in codes:
        return ActionError(
            "both the workspace and the directory have content, and the spec does not say which "
            "side wins",
            remedy="set git.initialize to PreferRemote or PreferWorkspace (destructive for the "
            "other side), or empty one side",
        )
    if "ConnectionNotFound" in codes or "ConnectionMismatch" in codes:
        return ActionError(
            f"the connection cannot be used: {error.message}",
            remedy="share the connection with this caller, and see that its type fits the provider",
        )
    if "PrincipalTypeNotSupported" in codes:
        return ActionError(
            f"this caller cannot use automatic Git credentials: {error.message}",
            remedy="name a configured connection in git.credentials",
        )
    return ActionError(error.message, remedy=error.remedy or "correct it and apply again")


NOWHERE = GitTarget(provider="", repository="the repository", branch="the branch")


async def initialize(
    run: Run, action: Action, workspace: str, strategy: str | None, target: GitTarget
) -> None:
    """Initialise a connection and keep what it asks for; ``target`` is for messages."""
    git = run.fabric.git
    try:
        operation = await git.begin_initialize(run.id_of(workspace), strategy)
        run.note(action, operation)
        run.initialized[workspace] = await git.finish_initialize(operation)
    except ApiError as e:
        if e.status >= 500:
            raise
        raise explain(e, target) from e


async def status_of(run: Run, workspace: str) -> LiveStatus:
    """Read git status.

    Raises:
        ActionError: this caller has no Git credentials there.
    """
    status = await read_status(run.fabric, run.id_of(workspace))
    if status is None:
        raise ActionError(
            "this caller has no Git credentials in the workspace",
            remedy="add git.credentials to the spec",
        )
    return status


def check_head(action: Action, status: LiveStatus) -> None:
    """See that workspace and branch stand where the plan saw them.

    Raises:
        PreconditionMoved: one of them moved.
    """
    for name, now in (
        ("workspace_head", status.workspace_head),
        ("remote_commit_hash", status.remote_hash),
    ):
        seen: Any = action.preconditions.get(name, now)
        if seen != now:
            what = "the workspace" if name == "workspace_head" else "the branch"
            raise PreconditionMoved(
                f"{what} moved from {short_commit(seen)} to {short_commit(now)} since the plan "
                "was made",
                remedy=PLAN_AGAIN,
            )


def beyond_announced(changes: list[LiveChange], action: Action) -> str:
    """Name the changes that the plan did not announce."""
    announced = {(i.type, i.name) for i in action.items}
    return ", ".join(f"{c.type} {c.name}" for c in changes if (c.type, c.name) not in announced)


_SyncT = TypeVar("_SyncT", bound=UpdateFromGit | CommitToGit | ResyncGit)


class SyncHandler(Handler[_SyncT]):
    """What update and commit share: after an unknown outcome, wait until nothing runs."""

    @override
    async def settle(
        self, run: Run, action: Action, op: _SyncT, operation: Operation | None
    ) -> None:
        """Poll the operation, or, when there is no id to poll, until status answers again.

        Source: fabric-api.md section 6.5: no status while an update runs; spec.
        """
        if operation is not None:
            await super().settle(run, action, op, operation)
            return
        end_s = run.clock.monotonic_s() + run.timeout_s
        while True:
            try:
                await read_status(run.fabric, run.id_of(op.workspace))
            except ApiError as e:
                if not e.codes & BUSY or run.clock.monotonic_s() >= end_s:
                    raise
                run.progress(action, "an operation of the workspace is under way")
                await run.clock.sleep(_BUSY_WAIT_S)
            else:
                return
