"""Plan Git bindings: connect, initialise, switch, credentials, disconnect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reconciler.diff.bindings import (
    BindingDiff,
    BindingState,
    desired_credentials,
    diff_binding,
)
from reconciler.diff.changes import FieldDiff
from reconciler.diff.evidence import NOT_IN_GIT
from reconciler.ids import Address, split_address
from reconciler.live.models import (
    GitTarget,
    LiveBinding,
    LiveWorkspace,
    TargetContent,
)
from reconciler.live.places import target_of
from reconciler.plan.actions import (
    CommitToGit,
    ConnectGit,
    DisconnectGit,
    GitCredentialChoice,
    InitializeGit,
    SetGitCredentials,
    SwitchGit,
    UpdateFromGit,
)
from reconciler.plan.branches import by_branch, prepare_place, repository_of, to_op_target
from reconciler.plan.draft import Draft, field_changes, item_changes
from reconciler.plan.plan import DriftEntry
from reconciler.plan.resync import first_strategy, kept_credentials, plan_resync
from reconciler.plan.switch_losses import lost_by_switch
from reconciler.plan.sync import commit_op, plan_sync, plan_sync_unseen, until_synced
from reconciler.plan.workspaces import connection_ready, workspace_is_planned
from reconciler.spec.models import GitSpec, WorkspaceSpec
from reconciler.spec.resolve import git_address, workspace_address
from reconciler.words import count

__all__ = ["plan_bindings"]

_CONTENT = ("repository.create", "repository.import", "repository.import.retry")
_PLACES = ("repository.branch.create", "repository.directory.create")

FirstSync = Literal["nothing", "update", "commit", "either", "refuse"]


@dataclass(slots=True)
class _Binding:
    """What the steps below share about one workspace's binding."""

    spec: WorkspaceSpec
    git: GitSpec
    workspace: Address
    where: Address
    target: GitTarget
    after: list[str]
    arriving: bool  # the repository gets its content from this plan, so what it holds is open


def plan_bindings(draft: Draft, made_by_deployment: frozenset[str], *, late: bool) -> None:
    """Plan the binding of every workspace that exists or is planned.

    Args:
        made_by_deployment: names of workspaces that a first deployment creates.
        late: plan only those that such a deployment makes, else only the others.
    """
    for spec in by_branch(draft.estate.workspaces):
        if spec.git is None or spec.state == "absent":
            continue
        workspace = workspace_address(spec)
        missing = draft.snapshot.workspaces.get(workspace) is None
        if (missing and spec.name in made_by_deployment) is not late:
            continue
        where = git_address(spec)
        if draft.skip_unknown(where, workspace):
            continue
        live_workspace = draft.snapshot.workspaces.get(workspace)
        planned = workspace_is_planned(draft, workspace) or bool(draft.lane_tail(workspace))
        if live_workspace is None and not planned:
            continue
        after = _repository_actions(draft, spec.git)
        if after is None:
            draft.skip_unknown(where, repository_of(draft, spec.git) or where)
            continue
        arriving = any(draft.actions[i].kind in _CONTENT for i in after)
        at = _Binding(spec, spec.git, workspace, where, target_of(spec.git), after, arriving)
        _plan_one(draft, at, live_workspace)


def _repository_actions(draft: Draft, git: GitSpec) -> list[str] | None:
    """Return the repository actions a binding waits for; None: the repository is unknown."""
    where = repository_of(draft, git)
    if where is None:
        return []
    if where in draft.unknown:
        return None
    # Branches and directories are waited for by who needs them.
    return [i for i in draft.doers(where) if draft.actions[i].kind not in _PLACES]


def _plan_one(draft: Draft, at: _Binding, live_workspace: LiveWorkspace | None) -> None:
    live = draft.snapshot.bindings.get(at.where)
    if at.git.state == "absent":
        _plan_disconnect(draft, at, live)
        return
    credentials = _credentials(draft, at)
    if credentials is False:
        return
    choice, made_by = credentials or (None, [])
    connection_id = draft.bindings.get(choice.connection or "") if choice else None
    diff = (
        diff_binding(at.git, live, connection_id=connection_id)
        if live is not None
        else BindingDiff(BindingState.NOT_CONNECTED, at.target)
    )
    at.after.extend(made_by)
    match diff.state:
        case BindingState.NOT_CONNECTED:
            _plan_connect(draft, at, live, live_workspace, choice)
        case BindingState.NOT_INITIALIZED:
            _plan_credentials(draft, at, diff, choice)
            _plan_initialize(draft, at, live, live_workspace)
        case BindingState.ELSEWHERE:
            _plan_switch(draft, at, live, live_workspace, choice, diff.target)
        case BindingState.BOUND:
            _plan_bound(draft, at, live, diff, choice)


def _credentials(
    draft: Draft, at: _Binding
) -> tuple[GitCredentialChoice, list[str]] | Literal[False] | None:
    """Return the wanted credentials and what makes them; None: unmanaged; False: unusable."""
    wanted = desired_credentials(at.git)
    if wanted is None:
        return None
    source, name = wanted
    if name is None:
        return GitCredentialChoice(source=source.value), []
    found = connection_ready(draft, name, at.where)
    if found is None:
        return False
    where, made_by = found
    return GitCredentialChoice(source="ConfiguredConnection", connection=where), list(made_by)


def _plan_disconnect(draft: Draft, at: _Binding, live: LiveBinding | None) -> None:
    if live is None or live.target is None:
        return
    local = [c for c in live.status.changes if c.workspace] if live.status else []
    draft.add(
        DisconnectGit(workspace=at.workspace),
        at.where,
        lane=at.workspace,
        code="tombstone",
        why=f"state: absent; bound to {live.target.describe()}",
        changes=field_changes(FieldDiff("git", live.target.describe(), None)),
        items=item_changes(local, remote=False),
        preconditions={"bound_to": live.target.describe()},
        destructive=True,
        requests=2,
    )


def _has_capacity(draft: Draft, at: _Binding, live_workspace: LiveWorkspace | None) -> bool:
    """Git needs a capacity. Source: fabric-api.md section 6.3, field."""
    if at.spec.capacity is not None or (live_workspace and live_workspace.capacity_id):
        return True
    if live_workspace is None and not workspace_is_planned(draft, at.workspace):
        return True  # made by a deployment, which takes the source's capacity
    draft.error(
        "workspace_without_capacity",
        f"The workspace {at.spec.name or at.spec.id} has no capacity, and Git needs one.",
        "Name one with capacity:, or assign one in the workspace settings.",
        at.where,
    )
    return False


def _plan_connect(
    draft: Draft,
    at: _Binding,
    live: LiveBinding | None,
    live_workspace: LiveWorkspace | None,
    choice: GitCredentialChoice | None,
) -> None:
    target = at.target
    if not _has_capacity(draft, at, live_workspace) or not _may_sign_in(draft, at, choice):
        return
    content = _prepared(draft, at, live)
    if not _target_found(draft, at, content):
        return
    first = _first_sync(draft, at, content, live_workspace)
    if first == "refuse":
        _refuse_first_sync(draft, at, live_workspace, content)
        return
    draft.add(
        ConnectGit(workspace=at.workspace, target=to_op_target(target), credentials=choice),
        at.where,
        after=at.after,
        lane=at.workspace,
        code="not_connected",
        why="the workspace is not connected to Git",
        changes=field_changes(
            FieldDiff("git", None, target.describe()),
            FieldDiff("credentials", None, _choice_text(choice)) if choice else None,
        ),
        preconditions={"git_connection_state": "NotConnected"},
        requests=3,
    )
    _add_initialize(draft, at, first, content, live_workspace)


def _prepared(draft: Draft, at: _Binding, live: LiveBinding | None) -> TargetContent | None:
    """Plan branch and directory where they are missing; return what the binding then finds."""
    content = live.content if live else None
    place = prepare_place(draft, at.spec, at.git, at.target, content, at.after)
    at.after[:] = place.after
    at.arriving = place.arriving
    return place.content


def _choice_text(choice: GitCredentialChoice) -> str:
    if not choice.connection:
        return choice.source
    return f"connection {split_address(choice.connection)[-1]}"


def _may_sign_in(draft: Draft, at: _Binding, choice: GitCredentialChoice | None) -> bool:
    """See that the caller can sign in to Git in the way the spec says, or leaves to the service.

    Source: fabric-api.md sections 6.1 and 6.2 (GitConnectRequest, myGitCredentials), spec: GitHub
    and service principals need a configured connection; Automatic, the default, is for people.
    """
    if choice is not None and choice.source != "Automatic":
        return True
    if at.git.provider == "GitHub":
        draft.error(
            "connection_needed",
            "GitHub is connected through a Fabric connection, and the binding names none.",
            "Add git.credentials: {connection: NAME} with a connection of type "
            "GitHubSourceControl.",
            at.where,
        )
        return False
    if draft.snapshot.caller_is_app:
        draft.error(
            "automatic_needs_a_person",
            "This caller is a service principal, and automatic Git credentials sign in people "
            "only.",
            "Add git.credentials: {connection: NAME} with a connection of type "
            "AzureDevOpsSourceControl that is shared with it, or run as a user.",
            at.where,
        )
        return False
    return True


def _target_found(draft: Draft, at: _Binding, content: TargetContent | None) -> bool:
    """Refuse a connect the provider would answer with GitProviderResourceNotFound.

    Source: fabric-api.md section 6.3: branch, repository and directory must exist; field.
    """
    if content is None or not content.readable or at.arriving:
        return True
    git = at.git
    source = git.create_branch_from
    if not content.repository_exists:
        what = f"repository {git.repository} in {git.project} that this caller can see"
        remedy = "Create or import it, correct the name, or give the caller access to it"
    elif not content.branch_exists and source is not None:
        what = f"branch {source} in {git.repository} to make {git.branch} from"
        remedy = (
            "Push that branch, or correct createBranchFrom (branches are case-sensitive; a "
            "repository without any commit gets its first branch from createDirectory alone)"
        )
    elif not content.branch_exists:
        what = f"branch {git.branch} in {git.repository}"
        remedy = (
            "Have it made with createBranchFrom, push it, or correct its name (branches are "
            "case-sensitive)"
        )
    elif not content.directory_exists:
        what = f"directory {git.directory} on branch {git.branch}"
        remedy = (
            "Have it made with createDirectory: true, push a commit with a file in it (Git has "
            "no empty directories), or correct the name (directories are case-sensitive)"
        )
    else:
        return True
    draft.error(
        "git_target_missing",
        f"There is no {what}; the service would answer GitProviderResourceNotFound.",
        f"{remedy}.",
        at.where,
    )
    return False


def _first_sync(
    draft: Draft,
    at: _Binding,
    content: TargetContent | None,
    live_workspace: LiveWorkspace | None,
) -> FirstSync:
    """Foresee what initialise will ask for.

    Source: fabric-api.md section 6.4, decision table, field (verified rows) and inferred.
    """
    items: int | None = len(live_workspace.items or ()) if live_workspace else 0
    if _items_may_be(draft, at):
        items = None  # a deployment fills it
    folders = content.item_folders if content and content.readable and not at.arriving else None
    strategy = first_strategy(at.git)
    if items == 0:
        return "nothing" if folders == 0 else "update"
    if folders == 0:
        return "commit"
    if folders is None:
        return "either" if strategy == "PreferRemote" else "commit"
    if strategy is None:
        return "refuse"
    return "update" if strategy == "PreferRemote" else "commit"


def _refuse_first_sync(
    draft: Draft,
    at: _Binding,
    live_workspace: LiveWorkspace | None,
    content: TargetContent | None,
) -> None:
    has = "The workspace gets its items from a deployment"
    if live_workspace is not None:
        has = f"The workspace has {count(len(live_workspace.items or ()), 'item')}"
    folders = content.item_folders if content else 0
    draft.error(
        "both_sides_have_content",
        f"{has} and {at.git.directory} on {at.git.branch} has "
        f"{folders}; the first sync would overwrite one side.",
        "Say which side wins with initialize: PreferRemote or PreferWorkspace (destructive for "
        "the other), or empty one side by hand.",
        at.where,
    )


def _plan_initialize(
    draft: Draft,
    at: _Binding,
    live: LiveBinding | None,
    live_workspace: LiveWorkspace | None,
) -> None:
    content = live.content if live else None
    first = _first_sync(draft, at, content, live_workspace)
    if first == "refuse":
        _refuse_first_sync(draft, at, live_workspace, content)
        return
    _add_initialize(draft, at, first, content, live_workspace)


_OUTCOMES = {
    "update": "UpdateFromGit: the directory has items, they come into the workspace",
    "commit": "CommitToGit: the workspace has items, they are committed",
    "nothing": "None: both sides are empty or equal",
}


def _add_initialize(
    draft: Draft,
    at: _Binding,
    first: FirstSync,
    content: TargetContent | None,
    live_workspace: LiveWorkspace | None,
) -> None:
    known = content is not None and content.readable and not at.arriving
    draft.add(
        InitializeGit(workspace=at.workspace, strategy=first_strategy(at.git)),
        at.where,
        after=at.after,
        lane=at.workspace,
        code="not_initialized",
        why="a connection must be initialised before its first sync",
        after_unknown=not (known and first == "nothing"),
        outcomes=_initialize_outcomes(at, first, known=known),
        requests=2,
    )
    if first in ("update", "either"):
        _add_first_update(draft, at, content, live_workspace, known=known)
    if first in ("commit", "either"):
        _add_first_commit(draft, at, content, live_workspace)


def _initialize_outcomes(at: _Binding, first: FirstSync, *, known: bool) -> tuple[str, ...]:
    """Name what initialise may ask for, as far as both sides are known."""
    if known:
        return (_OUTCOMES[first],)
    if first == "either":
        return tuple(_OUTCOMES.values())
    open_ends = (
        (_OUTCOMES[first],) if first == "nothing" else (_OUTCOMES[first], _OUTCOMES["nothing"])
    )
    if first == "commit" and first_strategy(at.git) is None:
        return (*open_ends, "refused: both sides have items and initialize is unset")
    return open_ends


def _add_first_update(
    draft: Draft,
    at: _Binding,
    content: TargetContent | None,
    live_workspace: LiveWorkspace | None,
    *,
    known: bool,
) -> None:
    loses = bool(live_workspace and live_workspace.items)
    # Once the spec has said that Git wins, the service must be told so in the update as well.
    wins = loses or (first_strategy(at.git) == "PreferRemote" and _items_may_be(draft, at))
    many = count(content.item_folders, "item") if known and content else "its items"
    draft.add(
        UpdateFromGit(
            workspace=at.workspace,
            conflicts="PreferRemote" if wins else at.git.sync.conflicts,
            allow_override=wins or at.git.sync.allow_override,
            initial=True,
        ),
        at.where,
        lane=at.workspace,
        code="first_sync",
        why=f"{many} from {at.target.describe()}, if initialise asks for it",
        after_unknown=True,
        outcomes=(_OUTCOMES["update"], _OUTCOMES["nothing"]),
        destructive=loses,
        requests=4,
    )


def _items_may_be(draft: Draft, at: _Binding) -> bool:
    """Tell whether a workspace that is not there yet will hold items: a deployment fills it."""
    missing = draft.snapshot.workspaces.get(at.workspace) is None
    return missing and not workspace_is_planned(draft, at.workspace)


def _add_first_commit(
    draft: Draft,
    at: _Binding,
    content: TargetContent | None,
    live_workspace: LiveWorkspace | None,
) -> None:
    base = commit_op(draft, at.spec, at.git, at.workspace)
    many = "its items"
    if live_workspace:
        items = [i for i in live_workspace.items or () if i.type not in NOT_IN_GIT]
        many = count(len(items), "item")
    draft.add(
        CommitToGit(workspace=at.workspace, comment=base.comment, initial=True),
        at.where,
        lane=at.workspace,
        code="first_sync",
        why=f"{many} of the workspace, if initialise asks for it",
        after_unknown=True,
        outcomes=(_OUTCOMES["commit"], _OUTCOMES["nothing"]),
        destructive=bool(content and content.readable and content.item_folders),
        requests=4,
    )


def _plan_switch(
    draft: Draft,
    at: _Binding,
    live: LiveBinding | None,
    live_workspace: LiveWorkspace | None,
    choice: GitCredentialChoice | None,
    target: GitTarget,
) -> None:
    if live is None or live.target is None:
        return
    strategy = at.git.initialize
    if strategy is None:
        draft.error(
            "switch_needs_strategy",
            f"The workspace is bound to {live.target.describe()}, not to {target.describe()}.",
            "Switching disconnects and initialises anew. Say which side wins with initialize: "
            "PreferRemote or PreferWorkspace, or correct the binding in the spec.",
            at.where,
        )
        return
    kept = choice or kept_credentials(draft, live)
    content = _prepared(draft, at, live)
    if not _target_found(draft, at, content):
        return
    if content is None or not content.readable:
        _refuse_unseen_switch(draft, at, target)
        return
    if not _may_sign_in(draft, at, kept):
        return
    lost = lost_by_switch(live, live_workspace, None if at.arriving else content, strategy)
    draft.add(
        SwitchGit(
            workspace=at.workspace,
            before=to_op_target(live.target),
            target=to_op_target(target),
            credentials=kept,
            strategy=strategy,
        ),
        at.where,
        after=at.after,
        lane=at.workspace,
        code="bound_elsewhere",
        why=f"bound to {live.target.describe()}; {lost.text}",
        changes=field_changes(FieldDiff("git", live.target.describe(), target.describe())),
        items=lost.items,
        preconditions={
            "bound_to": live.target.describe(),
            "workspace_head": live.status.workspace_head if live.status else live.head,
        },
        after_unknown=True,
        outcomes=tuple(_OUTCOMES.values()),
        destructive=True,
        requests=6,
    )
    draft.drift.append(
        DriftEntry(
            address=at.where,
            cause="field",
            text=f"bound to {live.target.describe()}",
            changes=field_changes(FieldDiff("git", live.target.describe(), target.describe())),
            planned=True,
        )
    )
    if strategy == "PreferRemote":
        _add_first_update(draft, at, content, live_workspace, known=not at.arriving)
    else:
        _add_first_commit(draft, at, content, live_workspace)


def _refuse_unseen_switch(draft: Draft, at: _Binding, target: GitTarget) -> None:
    """A switch disconnects first, so its target must be seen before.

    Source: fabric-api.md section 6.1, spec: no call of Fabric shows what a repository holds.
    """
    github = at.git.provider == "GitHub"
    what = (
        f"{target.describe()} cannot be looked at before: Fabric has no call that reads GitHub"
        if github
        else f"{target.describe()} cannot be read by this caller"
    )
    ways = (
        "Switch by hand in the workspace settings, or in two steps: apply git: {state: absent}, "
        "which keeps the items, then the new binding."
    )
    draft.error(
        "switch_target_unreadable",
        f"{what}, so the switch is not started.",
        "A switch disconnects first; a target that is not there would leave the workspace "
        f"unbound. {ways if github else 'Give the caller read access to the repository. ' + ways}",
        at.where,
    )


def _plan_credentials(
    draft: Draft, at: _Binding, diff: BindingDiff, choice: GitCredentialChoice | None
) -> bool:
    if diff.credentials is None or choice is None:
        return False
    if choice.source == "Automatic" and not _may_sign_in(draft, at, choice):
        return False
    draft.add(
        SetGitCredentials(workspace=at.workspace, credentials=choice),
        at.where,
        after=at.after,
        lane=at.workspace,
        code="credentials_differ",
        why=f"this caller's credentials are {diff.credentials.before}",
        changes=field_changes(diff.credentials),
        requests=2,
    )
    draft.drift.append(
        DriftEntry(
            address=at.where,
            cause="field",
            text="this caller's Git credentials differ",
            changes=field_changes(diff.credentials),
            planned=True,
        )
    )
    return True


def _plan_bound(
    draft: Draft,
    at: _Binding,
    live: LiveBinding | None,
    diff: BindingDiff,
    choice: GitCredentialChoice | None,
) -> None:
    changed = _plan_credentials(draft, at, diff, choice)
    if live is not None and live.status is not None:
        if choice is not None and choice.source == "None":
            return
        git = until_synced(at.git, live, diff)
        first = git is not at.git
        if first or not plan_resync(draft, at.spec, git, at.workspace, live, diff, choice):
            plan_sync(draft, at.spec, git, at.workspace, live, diff)
        return
    if choice is not None and choice.source == "None":
        return
    if live is not None and live.partial:
        _plan_resume(draft, at, live)
    elif changed:
        plan_sync_unseen(draft, at.spec, at.git, at.workspace)
    else:
        draft.error(
            "git_credentials_missing",
            "This caller has no Git credentials in the workspace, so its Git status is unknown.",
            "Add git.credentials with a connection shared with the caller, or automatic for a "
            "user on Azure DevOps.",
            at.where,
        )


def _plan_resume(draft: Draft, at: _Binding, live: LiveBinding) -> None:
    """Plan the update that ends what an earlier one left half done.

    Status tells nothing until then, so the tip comes from the repository itself.
    Source: fabric-api.md section 6.7, partial failure, docs.
    """
    target = at.target
    tip = live.content.tip if live.content is not None else None
    text = "the last update from Git stopped half way, so the workspace stands at no commit"
    planned = tip is not None and at.git.sync.direction in ("update", "both")
    draft.drift.append(
        DriftEntry(address=at.where, cause="incoming", text=text, items=(), planned=planned)
    )
    if not planned:
        why = (
            f"{target.describe()} cannot be read by this caller"
            if tip is None
            else f"sync.direction is {at.git.sync.direction}"
        )
        draft.error(
            "partial_update",
            f"The last update from Git stopped half way, and {why}.",
            "Finish the update in the workspace's source control pane, or let the reconciler do "
            "it: sync.direction update or both, and read access to the repository.",
            at.where,
        )
        return
    draft.add(
        UpdateFromGit(
            workspace=at.workspace,
            conflicts=at.git.sync.conflicts,
            allow_override=at.git.sync.allow_override,
            resume=to_op_target(target),
        ),
        at.where,
        after=at.after,
        lane=at.workspace,
        code="partial_update",
        why=text,
        preconditions={"remote_commit_hash": tip},
        after_unknown=True,
        outcomes=("the update is finished", "it fails again, naming the item it fails on"),
        requests=4,
    )
