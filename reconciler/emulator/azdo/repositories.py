"""Repositories and their recycle bin. Source: azure-devops-import.md section 3."""

from __future__ import annotations

import re
from typing import TypeGuard

from reconciler.emulator.azdo.errors import (
    bad_request,
    error,
    missing_project,
    repository_not_found,
)
from reconciler.emulator.azdo.forks import find_parent, refs_to_fork, start_sync, sync_url
from reconciler.emulator.azdo.members import text
from reconciler.emulator.azdo.render import (
    identity,
    listing,
    moment,
    open_repository,
    project_reference,
    repository_json,
    repository_reference,
)
from reconciler.emulator.azdo.state import GitRepository, Project
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.ids import is_guid
from reconciler.emulator.world import World, new_id

__all__ = [
    "create_repository",
    "delete_repository",
    "get_repository",
    "is_usable_name",
    "list_recycle_bin",
    "list_repositories",
    "make_repository",
    "purge_repository",
    "restore_repository",
    "update_repository",
]

_LONGEST_NAME = 64
_BAD_NAME = re.compile(r'[\\/:*?"<>;#${},+=\[\]|\x00-\x1f]|^[._]|\.$|^\s|\s$')
_HEADS = "refs/heads/"


def _flag(call: Call, name: str) -> bool:
    return call.query.get(name, "").lower() == "true"


def _of_project(world: World, call: Call, *, deleted: bool) -> list[tuple[GitRepository, Project]]:
    """Return live (or recycled) repositories of the path's project, or of the organization."""
    owner = call.params["organization"].lower()
    wanted = call.params.get("project_id")
    found = []
    for repository in world.azdo.repositories.values():
        project = world.azdo.projects[repository.project_id]
        if project.organization.lower() != owner or wanted not in {None, project.id}:
            continue
        if (repository.deleted_at is not None) == deleted:
            found.append((repository, project))
    return sorted(found, key=lambda pair: pair[0].name.lower())


async def list_repositories(world: World, call: Call) -> Answer:
    """List repositories; disabled ones only with ``includeHidden``."""
    hidden, links = _flag(call, "includeHidden"), _flag(call, "includeLinks")
    return listing(
        [
            repository_json(world, repository, project, links=links)
            for repository, project in _of_project(world, call, deleted=False)
            if hidden or not repository.is_disabled
        ]
    )


async def get_repository(world: World, call: Call) -> Answer:
    """Return one repository by name or id; with ``includeParent`` a fork names its parent."""
    repository, project = open_repository(world, call)
    body = repository_json(world, repository, project, links=True)
    parent = world.azdo.repositories.get(repository.parent_id or "")
    if parent is not None and _flag(call, "includeParent"):
        body["parentRepository"] = repository_reference(world, parent)
    return Answer(200, body)


def make_repository(world: World, project: Project, name: str) -> GitRepository:
    """Make an empty repository; the name was checked before."""
    repository = GitRepository(
        id=new_id(), name=name, project_id=project.id, created_at=world.clock.timestamp()
    )
    world.repos.create(repository.key)
    world.azdo.repositories[repository.id] = repository
    return repository


def is_usable_name(name: object) -> TypeGuard[str]:
    """Whether a repository or a project can have this name."""
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME and not _BAD_NAME.search(name)


def _check_name(world: World, project: Project, name: object, own_id: str | None = None) -> str:
    """Return a usable new name.

    Raises:
        Refused: 400 for a bad name, 409 if the project has it (compared case-insensitively,
            disabled repositories included).
    """
    if not is_usable_name(name):
        raise Refused(
            error(
                400,
                "InvalidGitRepositoryNameException",
                f"TF401025: '{name}' is not a valid name for a Git repository.",
            )
        )
    taken = world.azdo.find_repository(project.id, name)
    if taken is not None and taken.id != own_id:
        raise Refused(
            error(
                409,
                "GitRepositoryNameAlreadyExistsException",
                f"TF400948: A Git repository with the name {name} already exists.",
            )
        )
    return name


async def create_repository(world: World, call: Call) -> Answer:
    """Make a repository: 201, size 0, no default branch [recorded].

    With ``parentRepository`` it is a fork, whose refs come by a sync operation that the answer
    links to (git.json, examples of Repositories Create).
    """
    body = call.fields()
    reference = body.get("project")
    if reference is not None and not isinstance(reference, dict):
        return bad_request("project must be an object.")
    given = text(reference or {}, "id") or text(reference or {}, "name")
    project_id = call.params.get("project_id")
    project = world.azdo.projects.get(project_id) if project_id else None
    if given:
        named = world.azdo.find_project(call.params["organization"], given)
        if named is None:
            return missing_project(world, given)
        if project is not None and named.id != project.id:
            return bad_request("The project in the body is not the project in the URL.")
        project = named
    if project is None:
        return bad_request("A project is needed, in the URL or in the body.")
    parent = body.get("parentRepository")
    if parent is None and "sourceRef" in call.query:
        return bad_request("sourceRef needs a parentRepository.")
    source = None if parent is None else find_parent(world, call, parent)
    refs = [] if source is None else refs_to_fork(world, source, call.query.get("sourceRef"))
    repository = make_repository(world, project, _check_name(world, project, body.get("name")))
    if source is None:
        return Answer(201, repository_json(world, repository, project))
    repository.parent_id = source.id
    sync = start_sync(world, repository, source, refs, first=True)
    return Answer(
        201,
        {
            **repository_json(world, repository, project),
            "_links": {"forkSyncOperation": {"href": sync_url(world, repository, project, sync)}},
        },
    )


def _by_guid(world: World, call: Call) -> tuple[GitRepository, Project]:
    """Return a live repository for a write, disabled ones too; names are not accepted here.

    Raises:
        Refused: 400 for a name [assumed], 404 for an unknown id.
    """
    text = call.params["repository"]
    if not is_guid(text):
        raise Refused(bad_request(f"The repository must be given by its id, not as {text}."))
    found = world.azdo.repositories.get(text.lower())
    project = None if found is None else world.azdo.projects[found.project_id]
    if (
        found is None
        or project is None
        or found.deleted_at is not None
        or project.organization.lower() != call.params["organization"].lower()
        or call.params.get("project_id") not in {None, project.id}
    ):
        raise Refused(repository_not_found(text))
    return found, project


async def update_repository(world: World, call: Call) -> Answer:
    """Rename, choose the default branch, or (alone) enable or disable."""
    repository, project = _by_guid(world, call)
    body = call.fields()
    changes = {key: body[key] for key in ("name", "defaultBranch", "isDisabled") if key in body}
    if "isDisabled" in changes:
        if len(body) > 1 or not isinstance(changes["isDisabled"], bool):
            return bad_request("isDisabled must be the only field of the request.")
        repository.is_disabled = changes["isDisabled"]
        return Answer(200, repository_json(world, repository, project))
    if repository.is_disabled:
        return repository_not_found(repository.id)
    if not changes:
        return bad_request("Nothing to change: name, defaultBranch or isDisabled is expected.")
    branch = changes.get("defaultBranch")
    if "defaultBranch" in changes and not _is_branch(world, repository, branch):
        return bad_request(f"The branch {branch} does not exist in the repository.")
    if "name" in changes:
        repository.name = _check_name(world, project, changes["name"], repository.id)
    if isinstance(branch, str):
        repository.default_branch = branch
        world.repos.set_head(repository.key, branch.removeprefix(_HEADS))
    return Answer(200, repository_json(world, repository, project))


def _is_branch(world: World, repository: GitRepository, name: object) -> bool:
    return (
        isinstance(name, str)
        and name.startswith(_HEADS)
        and world.repos.tip(repository.key, name.removeprefix(_HEADS)) is not None
    )


async def delete_repository(world: World, call: Call) -> Answer:
    """Move a repository to the recycle bin: 204 [recorded].

    A disabled one must be enabled first [field]; a project keeps at least one [docs; the 400 is
    assumed].
    """
    repository, project = _by_guid(world, call)
    if repository.is_disabled:
        return repository_not_found(repository.id)
    others = [
        other
        for other in world.azdo.repositories.values()
        if other.project_id == project.id and other.deleted_at is None
    ]
    if len(others) == 1:
        return error(
            400,
            "GitProjectMustHaveRepositoryException",
            "A project must have at least one Git repository.",
        )
    repository.deleted_at = world.clock.timestamp()
    return Answer(204)


def _recycled(world: World, call: Call) -> tuple[GitRepository, Project]:
    text = call.params["repository"].lower()
    for repository, project in _of_project(world, call, deleted=True):
        if repository.id == text:
            return repository, project
    raise Refused(repository_not_found(text))


async def list_recycle_bin(world: World, call: Call) -> Answer:
    """List the deleted repositories of a project."""
    return listing(
        [
            {
                "id": repository.id,
                "name": repository.name,
                "project": project_reference(world, project),
                "deletedBy": identity(call.caller.id),
                "createdDate": moment(repository.created_at),
                "deletedDate": moment(repository.deleted_at or 0.0),
            }
            for repository, project in _of_project(world, call, deleted=True)
        ]
    )


async def restore_repository(world: World, call: Call) -> Answer:
    """Take a repository out of the recycle bin again."""
    repository, project = _recycled(world, call)
    if call.fields().get("deleted") is not False:
        return bad_request('{"deleted": false} is expected.')
    _check_name(world, project, repository.name, repository.id)
    repository.deleted_at = None
    return Answer(200, repository_json(world, repository, project))


async def purge_repository(world: World, call: Call) -> Answer:
    """Delete a repository for good."""
    repository, _ = _recycled(world, call)
    world.repos.delete(repository.key)
    del world.azdo.repositories[repository.id]
    return Answer(204)
