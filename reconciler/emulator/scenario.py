"""Scenarios: what already exists when a story begins.

Content is committed to real repositories and made to look as if people had done it; nothing here
is a shortcut that the services themselves could not have taken. Fabric loads its own part.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from reconciler.emulator.azdo.branches import settle_default, settle_head
from reconciler.emulator.azdo.repositories import make_repository
from reconciler.emulator.azdo.state import (
    GitRepository,
    ImportRequest,
    Organization,
    Project,
    ServiceEndpoint,
)
from reconciler.emulator.fabric import scenario as fabric
from reconciler.emulator.fabric.syncing import learn_statuses
from reconciler.emulator.github_state import GitHubRepository
from reconciler.emulator.ids import is_guid
from reconciler.emulator.scenario_content import folder_files, resolve
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.scenario_later import load_later
from reconciler.emulator.scenario_tfvc import load_changeset
from reconciler.emulator.settings import change_settings
from reconciler.emulator.world import World, new_id

__all__ = ["load", "load_file"]

_TOP_KEYS = frozenset(
    {
        "settings",
        "capacities",
        "principals",
        "azureDevOps",
        "github",
        "connections",
        "workspaces",
        "pipelines",
        "pushes",
        "portal",
    }
)
_PROJECT_KEYS = frozenset(
    {"name", "id", "description", "visibility", "repositories", "serviceEndpoints", "tfvc"}
)
_REPOSITORY_KEYS = frozenset(
    {"name", "id", "branch", "content", "directory", "disabled", "imports"}
)
_ENDPOINT_KEYS = frozenset({"name", "id", "url", "username", "password"})
_IMPORT_KEYS = frozenset({"url", "status", "error"})
_GITHUB_KEYS = frozenset(
    {"owner", "repository", "branch", "content", "directory", "private", "failImports"}
)
_LARGEST_FILE = 10 * 1024 * 1024


def load_file(world: World, path: Path) -> None:
    """Load a scenario file, YAML or JSON; folders in it are relative to the file.

    Raises:
        ScenarioError: if it can not be read or asks for what can not be.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ScenarioError(f"{path}: larger than {_LARGEST_FILE} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    try:
        data = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: {error}") from error
    if data is None:
        return
    if not isinstance(data, dict):
        raise ScenarioError(f"{path}: an object is expected")
    try:
        load(world, data, path.parent)
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def load(world: World, data: dict[str, Any], base: Path) -> None:
    """Add what a scenario describes to the world.

    Args:
        world: What exists already stays.
        data: The scenario.
        base: Folder that the folders in the scenario are relative to.

    Raises:
        ScenarioError: naming the place; the world may then hold a part of the scenario.
    """
    _known(data, _TOP_KEYS, "")
    settings = data.get("settings") or {}
    if not isinstance(settings, dict):
        raise ScenarioError("settings: an object is expected")
    change_settings(world, settings)
    for index, entry in enumerate(_entries(data, "azureDevOps", "")):
        _load_organization(world, entry, f"azureDevOps[{index}]", base)
    for index, entry in enumerate(_entries(data, "github", "")):
        _load_github(world, entry, f"github[{index}]", base)
    fabric.load(world, data, base)
    load_later(world, data, base)
    learn_statuses(world)


def _load_organization(world: World, data: dict[str, Any], where: str, base: Path) -> None:
    _known(data, frozenset({"organization", "projects", "region"}), where)
    name = _text(data, "organization", where)
    organization = world.azdo.find_organization(name)
    if organization is None:
        organization = Organization(id=new_id(), name=name)
        world.azdo.organizations[organization.id] = organization
    if "region" in data:
        organization.region = _text(data, "region", where)
    for index, entry in enumerate(_entries(data, "projects", where)):
        _load_project(world, organization, entry, f"{where}.projects[{index}]", base)


def _load_project(
    world: World, organization: Organization, data: dict[str, Any], where: str, base: Path
) -> None:
    _known(data, _PROJECT_KEYS, where)
    name = _text(data, "name", where)
    project = world.azdo.find_project(organization.name, name)
    if project is None:
        project = Project(
            id=_text(data, "id", where, default=new_id()).lower(),
            name=name,
            organization=organization.name,
            description=_text(data, "description", where, default=""),
            visibility=_text(data, "visibility", where, default="private"),
            updated_at=world.clock.timestamp(),
        )
        world.azdo.projects[project.id] = project
    entries = _entries(data, "repositories", where)
    for index, entry in enumerate(entries):
        _load_repository(world, project, entry, f"{where}.repositories[{index}]", base)
    if not any(r.project_id == project.id for r in world.azdo.repositories.values()):
        # Every project has at least one repository, first the one with its own name.
        make_repository(world, project, project.name)
    for index, entry in enumerate(_entries(data, "tfvc", where)):
        load_changeset(world, project, entry, f"{where}.tfvc[{index}]", base)
    for index, entry in enumerate(_entries(data, "serviceEndpoints", where)):
        _load_endpoint(world, project, entry, f"{where}.serviceEndpoints[{index}]")


def _load_endpoint(world: World, project: Project, data: dict[str, Any], where: str) -> None:
    """Load a service endpoint of type Other Git. Source: azure-devops-import.md section 5."""
    _known(data, _ENDPOINT_KEYS, where)
    name = _text(data, "name", where)
    endpoint = ServiceEndpoint(
        id=_text(data, "id", where, default=new_id()).lower(),
        name=name,
        type="git",
        url=_text(data, "url", where),
        scheme="UsernamePassword",
        username=_text(data, "username", where, default=""),
        password=_text(data, "password", where, default=""),
        created_at=world.clock.timestamp(),
        created_by=world.default_caller.id,
        organization=project.organization,
        project_references=[
            {"projectReference": {"id": project.id, "name": project.name}, "name": name}
        ],
    )
    world.azdo.endpoints[endpoint.id] = endpoint


def _load_import(world: World, repository: GitRepository, data: dict[str, Any], where: str) -> None:
    """Load an import request that has ended; what it brought is the repository's content."""
    _known(data, _IMPORT_KEYS, where)
    status = _text(data, "status", where, default="failed")
    if status not in {"failed", "completed", "abandoned"}:
        raise ScenarioError(f"{where}.status: failed, completed or abandoned is expected")
    failed = status == "failed"
    request = ImportRequest(
        id=world.azdo.next_import_id,
        repository_id=repository.id,
        url=_text(data, "url", where),
        status=status,
        step=2 if failed else 6,
        error=_text(data, "error", where, default="this remote has never connected")
        if failed
        else None,
        started_at=world.clock.timestamp(),
        fetched="",
        due=True,
        attempt=1,
    )
    world.azdo.next_import_id += 1
    world.azdo.imports[str(request.id)] = request


def _load_repository(
    world: World, project: Project, data: dict[str, Any], where: str, base: Path
) -> None:
    _known(data, _REPOSITORY_KEYS, where)
    name = _text(data, "name", where)
    if world.azdo.find_repository(project.id, name) is not None:
        raise ScenarioError(f"{where}.name: the project has a repository {name} already")
    repository = GitRepository(
        id=_text(data, "id", where, default=new_id()).lower(),
        name=name,
        project_id=project.id,
        created_at=world.clock.timestamp(),
    )
    if not is_guid(repository.id) or repository.id in world.azdo.repositories:
        raise ScenarioError(f"{where}.id: {repository.id} is taken, or no id")
    _create(world, repository.key, _text(data, "branch", where, default="main"))
    world.azdo.repositories[repository.id] = repository
    _commit_content(world, repository.key, data, where, base)
    settle_default(world, repository)
    for index, entry in enumerate(_entries(data, "imports", where)):
        _load_import(world, repository, entry, f"{where}.imports[{index}]")
    repository.is_disabled = _flag(data, "disabled", where)


def _load_github(world: World, data: dict[str, Any], where: str, base: Path) -> None:
    """Load one repository; ``failImports: n`` lets the next n imports of it fail."""
    _known(data, _GITHUB_KEYS, where)
    repository = GitHubRepository(
        owner=_text(data, "owner", where),
        name=_text(data, "repository", where),
        private=_flag(data, "private", where),
    )
    if any(set(text) & set("/\\") or text in {".", ".."} for text in _names(repository)):
        raise ScenarioError(f"{where}: owner and repository are single names")
    if repository.key in world.github.repositories:
        raise ScenarioError(f"{where}.repository: {repository.name} exists already")
    _create(world, repository.key, _text(data, "branch", where, default="main"))
    world.github.repositories[repository.key] = repository
    _commit_content(world, repository.key, data, where, base)
    settle_head(world, repository.key)
    failures = data.get("failImports", 0)
    if isinstance(failures, bool) or not isinstance(failures, int) or failures < 0:
        raise ScenarioError(f"{where}.failImports: a number is expected")
    if failures:
        world.azdo.failing_sources[repository.key] = failures


def _create(world: World, key: str, branch: str) -> None:
    """Make a repository that the state does not know; one left by a failed start goes first."""
    world.repos.delete(key)
    world.repos.create(key, branch)


def _names(repository: GitHubRepository) -> tuple[str, str]:
    return repository.owner, repository.name


def _commit_content(world: World, key: str, data: dict[str, Any], where: str, base: Path) -> None:
    if data.get("content") is None:
        return
    folder = resolve(base, data["content"], f"{where}.content")
    directory = _text(data, "directory", where, default="").strip("/")
    prefix = f"{directory}/" if directory else ""
    files = {f"{prefix}{path}": content for path, content in folder_files(folder).items()}
    if not files:
        raise ScenarioError(f"{where}.content: {folder} is empty; git keeps no empty folders")
    world.repos.commit(
        key,
        _text(data, "branch", where, default="main"),
        base=None,
        changes=dict(files),
        message="Initial commit",
        author_name="Scenario",
        author_email="scenario@emulator.invalid",
        when=world.clock.now(),
    )


def _entries(data: dict[str, Any], key: str, where: str) -> list[dict[str, Any]]:
    found = data.get(key)
    place = f"{where}.{key}" if where else key
    if found is None:
        return []
    if not isinstance(found, list):
        raise ScenarioError(f"{place}: a list is expected")
    for index, entry in enumerate(found):
        if not isinstance(entry, dict):
            raise ScenarioError(f"{place}[{index}]: an object is expected")
    return found


def _text(data: dict[str, Any], key: str, where: str, *, default: str | None = None) -> str:
    found = data.get(key, default)
    if not isinstance(found, str) or (not found and default is None):
        raise ScenarioError(f"{where}.{key}: a text is expected")
    return found


def _flag(data: dict[str, Any], key: str, where: str) -> bool:
    found = data.get(key, False)
    if not isinstance(found, bool):
        raise ScenarioError(f"{where}.{key}: true or false is expected")
    return found


def _known(data: dict[str, Any], keys: frozenset[str], where: str) -> None:
    unknown = sorted(str(key) for key in set(data) - keys)
    if unknown:
        place = f"{where}: " if where else ""
        raise ScenarioError(
            f"{place}unknown {', '.join(unknown)}; known are {', '.join(sorted(keys))}"
        )
