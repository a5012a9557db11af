"""Projects and repositories as the service writes them.

Source: azure-devops-import.md sections 2.2, 3 and 4 (recorded) and git.json (spec).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from reconciler.emulator.azdo.errors import repository_not_found
from reconciler.emulator.azdo.state import GitRepository, Project
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.ids import is_guid
from reconciler.emulator.world import World

__all__ = [
    "identity",
    "listing",
    "moment",
    "open_repository",
    "project_reference",
    "repository_json",
    "repository_reference",
    "repository_url",
    "web_url",
]


_LATEST_S = 253402300799


def moment(time_s: float) -> str:
    """Return epoch seconds as the service writes times: UTC with a Z."""
    # A commit may claim any time; there is no date after the year 9999.
    time_s = min(max(time_s, 0), _LATEST_S)
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def listing(values: list[Any], headers: dict[str, str] | None = None) -> Answer:
    """Return a list answer."""
    return Answer(200, {"value": values, "count": len(values)}, headers=headers or {})


def identity(caller_id: str) -> dict[str, str]:
    """Return the IdentityRef of a caller."""
    return {"id": caller_id, "displayName": f"User {caller_id[:8]}", "uniqueName": caller_id}


def open_repository(world: World, call: Call) -> tuple[GitRepository, Project]:
    """Return the repository a path names, with its project.

    Without a project in the path, only an id finds a repository (azure-devops-import.md
    section 1). A disabled repository is not found (section 3, field).

    Raises:
        Refused: 404 TF401019.
    """
    text = call.params["repository"]
    found: GitRepository | None = None
    if "project_id" in call.params:
        found = world.azdo.find_repository(call.params["project_id"], text)
    elif is_guid(text):
        found = world.azdo.repositories.get(text.lower())
        if found is not None and found.deleted_at is not None:
            found = None
    project = None if found is None else world.azdo.projects.get(found.project_id)
    if (
        found is None
        or project is None
        or found.is_disabled
        or project.organization.lower() != call.params["organization"].lower()
    ):
        raise Refused(repository_not_found(text))
    return found, project


def _root(world: World, project: Project) -> str:
    return f"{world.urls.devops_url}/{quote(project.organization)}"


def project_reference(world: World, project: Project) -> dict[str, Any]:
    """Return a TeamProjectReference."""
    return {
        "id": project.id,
        "name": project.name,
        "url": f"{_root(world, project)}/_apis/projects/{project.id}",
        "state": project.state,
        "revision": project.revision,
        "visibility": project.visibility,
        "lastUpdateTime": moment(project.updated_at),
    }


def repository_url(world: World, repository: GitRepository, project: Project) -> str:
    """Return the API URL, which names the project by id."""
    return f"{_root(world, project)}/{project.id}/_apis/git/repositories/{repository.id}"


def web_url(world: World, repository: GitRepository, project: Project) -> str:
    """Return where people and git find it."""
    return f"{_root(world, project)}/{quote(project.name)}/_git/{quote(repository.name)}"


def _size(world: World, repository: GitRepository) -> int:
    """Return the size, which may lag behind the content (section 3, recorded as 0)."""
    age_s = world.clock.timestamp() - repository.filled_at
    if age_s < world.azdo.settings.size_lag_s or not world.repos.refs(repository.key):
        return 0
    return world.repos.size_bytes(repository.key)


def repository_json(
    world: World,
    repository: GitRepository,
    project: Project,
    *,
    links: bool = False,
    default_branch: bool = True,
) -> dict[str, Any]:
    """Return a GitRepository; ``defaultBranch`` is absent while there is none."""
    web = web_url(world, repository, project)
    parts = urlsplit(web)
    url = repository_url(world, repository, project)
    body: dict[str, Any] = {
        "id": repository.id,
        "name": repository.name,
        "url": url,
        "project": project_reference(world, project),
    }
    if default_branch and repository.default_branch is not None:
        body["defaultBranch"] = repository.default_branch
    ssh = f"git@ssh.{parts.hostname}:v3{parts.path.replace('/_git/', '/')}"
    body |= {
        "size": _size(world, repository),
        "remoteUrl": f"{parts.scheme}://{quote(project.organization)}@{parts.netloc}{parts.path}",
        "sshUrl": ssh,
        "webUrl": web,
        "isDisabled": repository.is_disabled,
        "isInMaintenance": False,
    }
    if repository.parent_id is not None:
        body["isFork"] = True
    if links:
        body["_links"] = {
            "self": {"href": url},
            "project": {"href": f"vstfs:///Classification/TeamProject/{project.id}"},
            "web": {"href": web},
            "ssh": {"href": ssh},
            **{
                name: {"href": f"{url}/{name}"}
                for name in ("commits", "refs", "pullRequests", "items", "pushes")
            },
        }
    return body


def repository_reference(world: World, repository: GitRepository) -> dict[str, Any]:
    """Return a GitRepositoryRef, which names the collection too."""
    project = world.azdo.projects[repository.project_id]
    whole = repository_json(world, repository, project)
    body = {key: whole[key] for key in ("id", "name", "url", "project", "remoteUrl", "sshUrl")}
    body["isFork"] = repository.parent_id is not None
    organization = world.azdo.find_organization(project.organization)
    if organization is not None:
        body["collection"] = {
            "id": organization.id,
            "name": organization.name,
            "url": f"{_root(world, project)}/_apis/projectCollections/{organization.id}",
        }
    return body
