"""Git integration: binding a workspace to a branch, its status, and the start of a sync.

Source: fabric-api.md section 6, platform/definitions/gitIntegration.json.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import (
    check_principal,
    check_settled,
    connection_for,
)
from reconciler.emulator.fabric.committing import commit_plan
from reconciler.emulator.fabric.deployplans import requested_plan
from reconciler.emulator.fabric.errors import detail, invalid, refuse
from reconciler.emulator.fabric.gitaccess import (
    CONNECTION_TYPES,
    check_caller,
    check_geography,
    check_guest,
    check_kind,
    credential_of,
    working_credential,
)
from reconciler.emulator.fabric.lro import begin, finish_operation, operation
from reconciler.emulator.fabric.networking import git_workspace_of
from reconciler.emulator.fabric.state import GitBinding, GitCredential, Operation, Workspace
from reconciler.emulator.fabric.syncing import (
    branch_tip,
    changes_of,
    sound_tree,
    status_of,
    supported_items,
)
from reconciler.emulator.fabric.updating import align_logical_ids, update_plan
from reconciler.emulator.http import Answer, Call, Caller, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES", "bind", "initialize"]

_FORBIDDEN_IN_DIRECTORY = set('":<>\\*?|')
_LIMITS = {
    "repositoryName": 128,
    "branchName": 250,
    "directoryName": 256,
    "organizationName": 100,
    "projectName": 100,
    "ownerName": 100,
    "customDomainName": 100,
}


def _binding(workspace: Workspace) -> GitBinding:
    if workspace.git is None:
        raise refuse(
            400,
            "WorkspaceNotConnectedToGit",
            "The workspace is not connected to Git.",
            retriable=False,
        )
    return workspace.git


def _ready(world: World, call: Call) -> tuple[Workspace, GitBinding]:
    """Return a workspace whose binding can be read by this caller: the checks of every sync."""
    workspace = git_workspace_of(world, call, "Contributor")
    binding = _binding(workspace)
    if binding.state != "ConnectedAndInitialized":
        raise refuse(
            400,
            "WorkspaceGitConnectionNotInitialized",
            "The workspace's Git connection is not initialized.",
            retriable=False,
        )
    check_caller(world, binding, call.caller)
    _check_idle(binding)
    return workspace, binding


def _check_idle(binding: GitBinding) -> None:
    """Refuse while an operation runs (section 6.6, spec; the status is assumed)."""
    if binding.operation_id is not None:
        raise refuse(
            400,
            "WorkspacePreviousOperationInProgress",
            "The previous Git operation of the workspace is still in progress.",
            retriable=True,
        )


async def get_connection(world: World, call: Call) -> Answer:
    """Answer with the binding; both objects are null when there is none (section 6.2)."""
    binding = git_workspace_of(world, call, "Contributor").git
    if binding is None:
        body: dict[str, Any] = {
            "gitProviderDetails": None,
            "gitSyncDetails": None,
            "gitConnectionState": "NotConnected",
        }
        return Answer(200, body)
    synced = None
    if binding.head is not None and binding.synced_at is not None:
        synced = {"head": binding.head, "lastSyncTime": wire.plain_time(binding.synced_at)}
    body = {
        "gitProviderDetails": provider_details(binding),
        "gitSyncDetails": synced,
        "gitConnectionState": binding.state,
        "gitConnectionType": "Full",
    }
    return Answer(200, body)


def provider_details(binding: GitBinding) -> dict[str, Any]:
    """Return the binding's ``gitProviderDetails``."""
    if binding.provider == "GitHub":
        found: dict[str, Any] = {"ownerName": binding.owner}
        if binding.custom_domain:
            found["customDomainName"] = binding.custom_domain
    else:
        found = {"organizationName": binding.organization, "projectName": binding.project}
    return found | {
        "gitProviderType": binding.provider,
        "repositoryName": binding.repository,
        "branchName": binding.branch,
        "directoryName": binding.directory,
    }


async def connect(world: World, call: Call) -> Answer:
    """Bind a workspace; nothing is synced. Source: section 6.3."""
    workspace = git_workspace_of(world, call, "Admin")
    fields = call.fields()
    details = wire.mapping(fields, "gitProviderDetails")
    if details is None:
        raise invalid("The gitProviderDetails field is required")
    check_kind(workspace)
    check_guest(world, call.caller)
    if workspace.git is not None:
        raise refuse(
            409,
            "WorkspaceAlreadyConnectedToGit",
            "The workspace is already connected to Git.",
            retriable=False,
        )
    if workspace.capacity_id is None or workspace.capacity_progress == "InProgress":
        raise refuse(
            400,
            "WorkspaceHasNoCapacityAssigned",
            "A workspace with a capacity assigned is required for the operation",
        )
    binding = bind(world, details)
    if binding.provider == "GitHub" and not world.fabric.settings.github_enabled:
        raise refuse(403, "FeatureNotAvailable", "The feature is not available")
    requested = wire.mapping(fields, "myGitCredentials") or {"source": "Automatic"}
    binding.credentials[call.caller.id] = _requested_credential(
        world, call.caller, binding.provider, requested, allowed=("ConfiguredConnection",)
    )
    check_geography(world, workspace, binding)
    check_caller(world, binding, call.caller)
    branch_tip(world, binding)
    workspace.git = binding
    return Answer(200)


def bind(world: World, details: dict[str, Any]) -> GitBinding:
    """Return a binding for provider details, with the names in the server's own casing.

    Raises:
        Refused: 404 GitProviderResourceNotFound for an unknown repository (the branch and the
            directory are looked up with the credentials), 400 for missing or too long members.
    """
    provider = wire.choice(details, "gitProviderType", ("AzureDevOps", "GitHub"))
    if provider is None:
        raise invalid("The gitProviderType field is required")
    limited = {
        name: wire.optional_text(details, name, limit=limit) for name, limit in _LIMITS.items()
    }
    if limited["directoryName"] is None:
        raise invalid("The directoryName field is required")
    _check_directory(limited["directoryName"])
    domain = limited["customDomainName"]
    if domain and not domain.lower().endswith(".ghe.com"):
        raise invalid("The customDomainName must be a subdomain of ghe.com")
    repository, branch = wire.text(details, "repositoryName"), wire.text(details, "branchName")
    binding = GitBinding(
        provider=provider,
        repository=repository,
        branch=branch,
        directory=limited["directoryName"],
        repo_key="",
    )
    if provider == "GitHub":
        owner = wire.text(details, "ownerName")
        hosted = world.github.find(owner, repository)
        if hosted is not None:
            binding.owner, binding.repository = hosted.owner, hosted.name
            binding.repo_key = hosted.key
        binding.custom_domain = limited["customDomainName"]
    else:
        organization, project = (
            wire.text(details, "organizationName"),
            wire.text(details, "projectName"),
        )
        located = world.azdo.locate(organization, project, repository)
        if located is not None:
            owner_project = world.azdo.projects[located.project_id]
            known = world.azdo.find_organization(organization)
            binding.organization = organization if known is None else known.name
            binding.project, binding.repository = owner_project.name, located.name
            binding.repo_key = located.key
    if not binding.repo_key:
        raise refuse(
            404,
            "GitProviderResourceNotFound",
            "The requested operation can't be completed because the Git provider resource could "
            "not be found using the provided Git connection details.",
        )
    return binding


def _check_directory(name: str) -> None:
    """Refuse a directory that the service does not take (section 6.9, docs; code assumed)."""
    pieces = name.strip("/").split("/")
    spaced = any(piece != piece.strip(" \t") for piece in pieces)
    unusable = set(name) & _FORBIDDEN_IN_DIRECTORY or any(ord(letter) < 32 for letter in name)
    if spaced or unusable or {".", ".."} & set(pieces) or "" in pieces[1:]:
        raise invalid("The directoryName field has a value that is not allowed")


def _requested_credential(
    world: World,
    caller: Caller,
    provider: str,
    requested: dict[str, Any],
    *,
    allowed: tuple[str, ...],
) -> GitCredential:
    """Return the credential a request names, checked for this caller and provider.

    Source: sections 6.1 and 6.3; Automatic is blocked for GitHub (code from the field) and for
    service principals (PrincipalTypeNotSupported wrapped in BadRequest, section 3.3, field).
    """
    source = wire.choice(requested, "source", (*allowed, "Automatic"))
    if source == "None":
        return GitCredential("None")
    if source == "Automatic" or source is None:
        if caller.kind == "ServicePrincipal":
            message = "The operation is not supported for the principal type"
            raise refuse(
                400,
                "BadRequest",
                "The request could not be processed due to missing or invalid information",
                more=[detail("PrincipalTypeNotSupported", message)],
            )
        if provider == "GitHub":
            raise refuse(
                400,
                "GitCredentialsConfigurationNotSupported",
                "Automatic Git credentials are not supported for this Git provider.",
                retriable=False,
            )
        return GitCredential("Automatic")
    connection_id = wire.identifier(requested, "connectionId")
    connection = connection_for(world, str(connection_id), caller)
    if connection.type != CONNECTION_TYPES[provider]:
        raise refuse(
            400,
            "ConnectionMismatch",
            "The connection does not match the Git provider.",
            retriable=False,
        )
    return GitCredential("ConfiguredConnection", connection.id)


async def disconnect(world: World, call: Call) -> Answer:
    """Unbind a workspace; items stay, credentials and relations go (the latter assumed)."""
    workspace = git_workspace_of(world, call, "Admin")
    _check_idle(_binding(workspace))
    workspace.git = None
    for relation in list(world.fabric.relations.values()):
        if workspace.id in {relation.branch_id, relation.base_id}:
            del world.fabric.relations[relation.id]
    return Answer(200)


async def initialize_connection(world: World, call: Call) -> Answer:
    """Decide which side a first sync follows. Source: section 6.4, field."""
    workspace = git_workspace_of(world, call, "Admin")
    binding = _binding(workspace)
    strategy = wire.choice(
        call.fields(), "initializationStrategy", ("None", "PreferRemote", "PreferWorkspace")
    )
    if binding.state == "ConnectedAndInitialized":
        raise refuse(
            409,
            "WorkspaceGitConnectionAlreadyInitialized",
            "The workspace's Git connection is already initialized.",
            retriable=False,
        )
    check_caller(world, binding, call.caller)
    return _read(world, call, lambda: initialize(world, workspace, binding, strategy))


def initialize(
    world: World, workspace: Workspace, binding: GitBinding, strategy: str | None
) -> dict[str, Any]:
    """Initialize a binding and return what has to follow.

    Which side leads is kept as the base of later comparisons: without a base everything in the
    workspace counts as unchanged, with the tip as base everything in Git does.
    """
    tip = branch_tip(world, binding)
    local, remote = bool(supported_items(workspace)), bool(sound_tree(world, binding, tip).items)
    if local and remote:
        if strategy in {None, "None"}:
            raise refuse(
                400,
                "MissingInitializationStrategy",
                "The requested operation requires an initialization strategy to be specified.",
                retriable=False,
            )
        align_logical_ids(world, workspace, binding, tip)
    remote_leads = remote and (not local or strategy == "PreferRemote")
    binding.state = "ConnectedAndInitialized"
    binding.base = None if remote_leads else tip
    binding.head = None if remote_leads else tip
    if not changes_of(world, workspace, binding, tip):
        binding.base = binding.head = tip
        binding.synced_at = wire.now(world)
        return _initialized("None", tip, tip)
    if remote_leads:
        return _initialized("UpdateFromGit", None, tip)
    return _initialized("CommitToGit", tip, None)


def _initialized(action: str, head: str | None, remote: str | None) -> dict[str, Any]:
    return {"requiredAction": action, "workspaceHead": head, "remoteCommitHash": remote}


def _read(world: World, call: Call, compute: Callable[[], dict[str, Any]]) -> Answer:
    """Answer 200 with the value, or 202 and the value as the operation's result."""
    value = compute()
    if not world.fabric.settings.slow_git_reads:
        return Answer(200, value)
    return begin(world, call, "git.read", {"value": value})


@operation("git.read")
def finish_read(_world: World, found: Operation) -> dict[str, Any]:
    """Hand out what was read when the operation started."""
    value: dict[str, Any] = found.args["value"]
    return value


async def get_status(world: World, call: Call) -> Answer:
    """Answer with the three-way comparison. Source: section 6.5.

    After a partial update the workspace is synced to no commit and reading it is an error until
    an update succeeds (section 6.7, docs; the code is assumed).
    """
    workspace, binding = _ready(world, call)
    tip = branch_tip(world, binding)
    if binding.partial:
        raise refuse(
            400,
            "GitSyncFailed",
            "The last update from Git stopped before all items were updated. Update again.",
            retriable=False,
        )
    changes = status_of(world, workspace, binding, tip)

    def compute() -> dict[str, Any]:
        return {
            "workspaceHead": binding.head,
            "remoteCommitHash": tip,
            "changes": changes,
        }

    return _read(world, call, compute)


def _check_head(binding: GitBinding, claimed: str | None, *, required: bool) -> None:
    """Compare the caller's workspaceHead with the known one (sections 6.6 and 6.7)."""
    if (claimed or None) == binding.head or (not claimed and not required):
        return
    raise refuse(
        400,
        "WorkspaceHeadMismatch",
        "The provided workspace head does not match the head known to the system.",
        retriable=False,
    )


async def commit_to_git(world: World, call: Call) -> Answer:
    """Start a commit. Source: section 6.6; always 202 (field) unless the setting says inline."""
    workspace, binding = _ready(world, call)
    fields = call.fields()
    mode = wire.choice(fields, "mode", ("All", "Selective"))
    if mode is None:
        raise invalid("The mode field is required")
    comment = wire.optional_text(fields, "comment", limit=300)
    _check_head(binding, wire.optional_text(fields, "workspaceHead"), required=False)
    if binding.partial:
        _check_head(binding, "partial", required=True)
    items = (wire.sequence(fields, "items") or []) if mode == "Selective" else None
    check_settled(workspace)
    plan = commit_plan(world, workspace, binding, items)
    check_principal(world, call.caller, [change.shown.type for change in plan.changes])
    check_geography(world, workspace, binding)
    credential = working_credential(world, binding, call.caller)
    args = {
        "workspace": workspace.id,
        "items": items,
        "comment": comment,
        "connector": credential.source == "ConfiguredConnection",
    }
    return _start(world, call, binding, "git.commit", args)


async def update_from_git(world: World, call: Call) -> Answer:
    """Start an update. Source: section 6.7."""
    workspace, binding = _ready(world, call)
    fields = call.fields()
    commit = wire.text(fields, "remoteCommitHash")
    required = binding.head is not None
    _check_head(binding, wire.optional_text(fields, "workspaceHead"), required=required)
    if commit != branch_tip(world, binding):
        # That a stale or unknown commit is rejected is documented, with which code is assumed.
        raise refuse(
            400,
            "InvalidParameter",
            "The remote commit hash is not the latest commit of the branch.",
            retriable=False,
        )
    options = wire.mapping(fields, "options") or {}
    resolution = wire.mapping(fields, "conflictResolution")
    policy = None
    if resolution is not None:
        wire.choice(resolution, "conflictResolutionType", ("Workspace",))
        policy = wire.choice(
            resolution, "conflictResolutionPolicy", ("PreferRemote", "PreferWorkspace")
        )
    allow = wire.flag(options, "allowOverrideItems")
    check_settled(workspace)
    attached = requested_plan(call, options, "ByLogicalId")
    plan = update_plan(
        world,
        workspace,
        binding,
        commit,
        policy=policy,
        allow_override=allow,
        attached=attached,
    )
    leaving = [workspace.items[item_id].type for item_id in plan.remove]
    check_principal(world, call.caller, [item.type for item in plan.write] + leaving)
    args = {
        "workspace": workspace.id,
        "commit": commit,
        "policy": policy,
        "allow_override": allow,
        "plan": attached,
    }
    return _start(world, call, binding, "git.update", args)


def _start(
    world: World, call: Call, binding: GitBinding, kind: str, args: dict[str, Any]
) -> Answer:
    binding.operation_id = new_id()
    answer = begin(world, call, kind, args, operation_id=binding.operation_id)
    if not world.fabric.settings.inline_git:
        return answer
    started = world.fabric.operations[answer.headers["x-ms-operation-id"]]
    finish_operation(world, {"id": started.id})
    if started.error is not None:
        raise refuse(
            400,
            started.error["errorCode"],
            started.error["message"],
            more=started.error.get("moreDetails"),
        )
    del world.fabric.operations[started.id]
    return Answer(200)


async def get_my_credentials(world: World, call: Call) -> Answer:
    """Answer with the caller's own credential configuration."""
    binding = _binding(git_workspace_of(world, call, "Contributor"))
    return Answer(200, _credential_wire(credential_of(binding, call.caller)))


def _credential_wire(credential: GitCredential) -> dict[str, Any]:
    found = {"source": credential.source}
    if credential.connection_id is not None:
        found["connectionId"] = credential.connection_id
    return found


async def update_my_credentials(world: World, call: Call) -> Answer:
    """Change the caller's own credential configuration."""
    binding = _binding(git_workspace_of(world, call, "Contributor"))
    fields = call.fields()
    if fields.get("source") is None:
        raise invalid("The source field is required")
    credential = _requested_credential(
        world,
        call.caller,
        binding.provider,
        fields,
        allowed=("ConfiguredConnection", "None"),
    )
    binding.credentials[call.caller.id] = credential
    return Answer(200, _credential_wire(credential))


_GIT = "/v1/workspaces/{workspaceId}/git"
ROUTES = [
    Route("GET", f"{_GIT}/connection", get_connection, "git.connection"),
    Route("POST", f"{_GIT}/connect", connect, "git.connect"),
    Route("POST", f"{_GIT}/disconnect", disconnect, "git.disconnect"),
    Route("POST", f"{_GIT}/initializeConnection", initialize_connection, "git.initialize"),
    Route("GET", f"{_GIT}/status", get_status, "git.status"),
    Route("POST", f"{_GIT}/commitToGit", commit_to_git, "git.commit"),
    Route("POST", f"{_GIT}/updateFromGit", update_from_git, "git.update"),
    Route("GET", f"{_GIT}/myGitCredentials", get_my_credentials, "git.credentials.get"),
    Route("PATCH", f"{_GIT}/myGitCredentials", update_my_credentials, "git.credentials.update"),
]
