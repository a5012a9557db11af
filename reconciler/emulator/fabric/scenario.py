"""The Fabric part of a scenario: capacities, principals, connections, workspaces, pipelines.

What a scenario declares belongs to every caller: whoever asks acts as an admin there, and the Git
credentials of a workspace serve all users, so that any token may be used with it. A workspace with
``private: true`` belongs to its declared roles only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric.access import ROLES
from reconciler.emulator.fabric.catalog import add_item, ensure_folder, imported_parts
from reconciler.emulator.fabric.content import ZERO_ID, Exchange
from reconciler.emulator.fabric.git import bind, initialize
from reconciler.emulator.fabric.itemformat import PLATFORM, read_tree
from reconciler.emulator.fabric.pipelines import assign, make_pipeline
from reconciler.emulator.fabric.portal import find_workspace
from reconciler.emulator.fabric.state import (
    Capacity,
    Connection,
    GitBinding,
    GitCredential,
    Principal,
    RoleAssignment,
    Stage,
    Workspace,
)
from reconciler.emulator.fabric.syncing import branch_tip
from reconciler.emulator.fabric.updating import apply_update, type_rank, update_plan
from reconciler.emulator.fabric.wire import is_guid, now
from reconciler.emulator.fabric.workspaces import check_workspace_name, make_workspace
from reconciler.emulator.http import Refused
from reconciler.emulator.scenario_content import folder_files, resolve
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["load"]

_GIT_NAMES = {
    "provider": "gitProviderType",
    "organization": "organizationName",
    "project": "projectName",
    "owner": "ownerName",
    "customDomain": "customDomainName",
    "repository": "repositoryName",
    "branch": "branchName",
    "directory": "directoryName",
}
_CREDENTIAL_TYPES = {
    "AzureDevOpsSourceControl": "ServicePrincipal",
    "GitHubSourceControl": "Key",
}


_KINDS = ("Workspace", "Personal", "TemplateApp")


class _Entry:
    """One mapping of the scenario with its place, for messages that say where."""

    def __init__(self, data: Mapping[str, Any], where: str, known: str) -> None:
        self.data = data
        self.where = where
        unknown = sorted(str(key) for key in data if key not in known.split())
        if unknown:
            raise ScenarioError(f"{where}: unknown {', '.join(unknown)}; known are {known}")

    def text(self, key: str, default: str | None = None) -> str:
        found = self.data.get(key, default)
        if not isinstance(found, str) or (not found and default is None):
            raise ScenarioError(f"{self.where}.{key}: a text is expected")
        return found

    def flag(self, key: str) -> bool:
        found = self.data.get(key, False)
        if not isinstance(found, bool):
            raise ScenarioError(f"{self.where}.{key}: true or false is expected")
        return found

    def identifier(self) -> str:
        found = self.text("id", new_id()).lower()
        if not is_guid(found):
            raise ScenarioError(f"{self.where}.id: a UUID is expected")
        return found

    def entries(self, key: str, known: str) -> list[_Entry]:
        return _entries(self.data, key, f"{self.where}.", known)


def _entries(data: Mapping[str, Any], key: str, where: str, known: str) -> list[_Entry]:
    found = data.get(key) or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ScenarioError(f"{where}{key}: a list of objects is expected")
    return [_Entry(entry, f"{where}{key}[{n}]", known) for n, entry in enumerate(found)]


def load(world: World, data: dict[str, Any], base: Path) -> None:
    """Add what the scenario describes to the tenant.

    Args:
        world: Repositories are there already.
        data: The whole scenario document.
        base: Folder that relative folders are relative to.

    Raises:
        ScenarioError: with the place of the mistake.
    """
    for entry in _entries(data, "capacities", "", "name id sku region state contributors"):
        _capacity(world, entry)
    for entry in _entries(data, "principals", "", "id type name appId guest"):
        _principal(world, entry)
    for entry in _entries(data, "connections", "", "name id type url"):
        _connection(world, entry)
    known = "name id description capacity roles items git private kind"
    for entry in _entries(data, "workspaces", "", known):
        with _placed(entry):
            _workspace(world, entry, base)
    known = "name id description roles stages private"
    for entry in _entries(data, "pipelines", "", known):
        with _placed(entry):
            _pipeline(world, entry)


@contextmanager
def _placed(entry: _Entry) -> Iterator[None]:
    """Word what the service itself would refuse as a mistake at this place."""
    try:
        yield
    except Refused as refusal:
        body = refusal.answer.body
        more = body.get("moreDetails") or [body]
        raise ScenarioError(f"{entry.where}: {more[0]['message']}") from refusal


def _capacity(world: World, entry: _Entry) -> None:
    state = entry.text("state", "Active")
    if state not in {"Active", "Inactive"}:
        raise ScenarioError(f"{entry.where}.state: Active or Inactive is expected")
    found = Capacity(
        id=entry.identifier(),
        name=entry.text("name"),
        sku=entry.text("sku", "F2"),
        region=entry.text("region", "West Europe"),
        state=state,
        contributors=_ids(entry, "contributors"),
    )
    world.fabric.capacities[found.id] = found


def _ids(entry: _Entry, key: str) -> list[str] | None:
    found = entry.data.get(key)
    if found is None:
        return None
    if not isinstance(found, list) or not all(is_guid(value) for value in found):
        raise ScenarioError(f"{entry.where}.{key}: a list of UUIDs is expected")
    return [value.lower() for value in found]


def _principal(world: World, entry: _Entry) -> None:
    entry.text("id")
    found = Principal(
        id=entry.identifier(),
        type=entry.text("type", "User"),
        name=entry.text("name", ""),
        app_id=entry.text("appId", "") or None,
        guest=entry.flag("guest"),
    )
    world.fabric.principals[found.id] = found


def _connection(world: World, entry: _Entry) -> Connection:
    kind = entry.text("type")
    if kind not in _CREDENTIAL_TYPES:
        raise ScenarioError(
            f"{entry.where}.type: one of {', '.join(_CREDENTIAL_TYPES)} is expected"
        )
    found = Connection(
        id=entry.identifier(),
        name=entry.text("name"),
        type=kind,
        path=entry.text("url", "https://github.com"),
        credential_type=_CREDENTIAL_TYPES[kind],
        created=now(world),
        roles=[RoleAssignment(world.default_caller.id, "User", "Owner")],
        open=True,
    )
    world.fabric.connections[found.id] = found
    return found


def _roles(world: World, entry: _Entry, allowed: tuple[str, ...]) -> list[RoleAssignment]:
    found: list[RoleAssignment] = []
    for role in entry.entries("roles", "principal role"):
        principal = role.data.get("principal")
        if not isinstance(principal, dict):
            raise ScenarioError(f"{role.where}.principal: an object is expected")
        who = _Entry(principal, f"{role.where}.principal", "id type name")
        kind = who.text("type", "User")
        who.text("id")
        principal_id = who.identifier()
        known = world.fabric.principals.get(principal_id)
        name = role.text("role", "Admin")
        if name not in allowed:
            raise ScenarioError(f"{role.where}.role: one of {', '.join(allowed)} is expected")
        found.append(RoleAssignment(principal_id, kind if known is None else known.type, name))
    return found


def _workspace(world: World, entry: _Entry, base: Path) -> None:
    name = entry.text("name")
    check_workspace_name(world, name)
    capacity = entry.text("capacity", "")
    capacity_id = _capacity_id(world, entry, capacity) if capacity else None
    workspace = make_workspace(
        world,
        name,
        world.default_caller,
        description=entry.text("description", ""),
        capacity_id=capacity_id,
    )
    wanted = entry.identifier() if "id" in entry.data else workspace.id
    del world.fabric.workspaces[workspace.id]
    workspace.id = wanted
    world.fabric.workspaces[wanted] = workspace
    workspace.kind = entry.text("kind", "Workspace")
    if workspace.kind not in _KINDS:
        raise ScenarioError(f"{entry.where}.kind: one of {', '.join(_KINDS)} is expected")
    private = entry.flag("private")
    roles = _roles(world, entry, ROLES)
    workspace.roles = roles if private else [*workspace.roles, *roles]
    workspace.open = not private
    binding = entry.data.get("git")
    if binding is not None and not isinstance(binding, dict):
        raise ScenarioError(f"{entry.where}.git: an object is expected")
    synced = bool(binding and binding.get("synced"))
    if entry.data.get("items") is not None:
        folder = resolve(base, entry.data["items"], f"{entry.where}.items")
        _import(world, workspace, folder_files(folder), f"{entry.where}.items", from_git=synced)
    if binding is not None:
        _bind(world, workspace, _Entry(binding, f"{entry.where}.git", _GIT_KEYS))


_GIT_KEYS = f"{' '.join(_GIT_NAMES)} synced credentials"


def _capacity_id(world: World, entry: _Entry, wanted: str) -> str:
    for capacity in world.fabric.capacities.values():
        if wanted in (capacity.id, capacity.name):
            return capacity.id
    raise ScenarioError(f"{entry.where}.capacity: there is none called {wanted!r}")


def _import(
    world: World, workspace: Workspace, files: Mapping[str, bytes], where: str, *, from_git: bool
) -> None:
    """Make the items of a folder, as if by hand or as if they had come from Git."""
    blobs = {path: world.blobs.put(content) for path, content in files.items()}
    tree = read_tree(blobs, world.blobs.get)
    for code, place in tree.problems:
        raise ScenarioError(f"{where}: {place}: {code}")
    if not tree.items:
        raise ScenarioError(f"{where}: there are no items in the folder")
    ids = {logical_id: new_id() for logical_id in tree.items}
    exchange = Exchange(ids, (ZERO_ID, workspace.id))
    for found in sorted(tree.items.values(), key=lambda item: (type_rank(item.type), item.name)):
        item = add_item(
            world,
            workspace,
            item_type=found.type,
            name=found.name,
            description=found.platform.description,
            parts=imported_parts(world, found.type, found.definition, exchange),
            folder_id=ensure_folder(workspace, found.folder),
            parent_id=None if found.parent is None else ids.get(found.parent),
            item_id=ids[found.logical_id],
            logical_id=found.logical_id if from_git else None,
        )
        item.platform = found.files.get(PLATFORM)
        item.leaf = found.leaf if from_git else None


def _bind(world: World, workspace: Workspace, entry: _Entry) -> None:
    details = {
        theirs: entry.text(ours) for ours, theirs in _GIT_NAMES.items() if ours in entry.data
    }
    details.setdefault("directoryName", "")
    details.setdefault("gitProviderType", "AzureDevOps")
    binding = bind(world, details)
    tip = branch_tip(world, binding)
    credential = _credential(world, binding, entry)
    binding.credentials = {"*": credential, world.default_caller.id: credential}
    workspace.git = binding
    if not entry.flag("synced"):
        return
    if workspace.items:
        binding.state, binding.base, binding.head = "ConnectedAndInitialized", tip, tip
        binding.synced_at = now(world)
        return
    if initialize(world, workspace, binding, None)["requiredAction"] == "UpdateFromGit":
        plan = update_plan(world, workspace, binding, tip, policy=None, allow_override=False)
        apply_update(world, workspace, binding, tip, plan)


def _credential(world: World, binding: GitBinding, entry: _Entry) -> GitCredential:
    """Return the declared credentials; GitHub has no automatic ones and takes a connection."""
    given = entry.data.get("credentials", "automatic")
    kind = "GitHubSourceControl" if binding.provider == "GitHub" else "AzureDevOpsSourceControl"
    fitting = [c for c in world.fabric.connections.values() if c.type == kind]
    if isinstance(given, dict):
        wanted = _Entry(given, f"{entry.where}.credentials", "connection").text("connection")
        for connection in fitting:
            if wanted in (connection.id, connection.name):
                return GitCredential("ConfiguredConnection", connection.id)
        raise ScenarioError(f"{entry.where}.credentials: no {kind} connection {wanted!r}")
    if given != "automatic":
        raise ScenarioError(f"{entry.where}.credentials: automatic or a connection is expected")
    if binding.provider != "GitHub":
        return GitCredential("Automatic")
    if not fitting:
        data = {"name": f"{binding.owner} {binding.repository}", "type": kind}
        fitting = [_connection(world, _Entry(data, entry.where, "name type id url"))]
    return GitCredential("ConfiguredConnection", fitting[0].id)


def _pipeline(world: World, entry: _Entry) -> None:
    name = entry.text("name")
    if any(p.name.lower() == name.lower() for p in world.fabric.pipelines.values()):
        raise ScenarioError(f"{entry.where}.name: there is a pipeline {name!r} already")
    stages = entry.entries("stages", "name id description public workspace")
    if not 2 <= len(stages) <= 10:
        raise ScenarioError(f"{entry.where}.stages: a pipeline has 2 to 10 stages")
    made = [
        Stage(
            id=stage.identifier(),
            name=stage.text("name"),
            description=stage.text("description", ""),
            public=stage.flag("public"),
        )
        for stage in stages
    ]
    pipeline = make_pipeline(world, name, entry.text("description", ""), made, world.default_caller)
    private = entry.flag("private")
    roles = _roles(world, entry, ("Admin",))
    pipeline.roles = roles if private else [*pipeline.roles, *roles]
    pipeline.open = not private
    for order, stage in enumerate(stages):
        workspace = stage.text("workspace", "")
        if workspace:
            assign(world, pipeline, order, find_workspace(world, workspace).id)
