"""Git repositories. Source: git 7.1 swagger (spec), azure-devops-import.md section 3 (recorded)."""

from __future__ import annotations

import builtins

from reconciler.clients.azdo.caller import Caller, apis, repository_path
from reconciler.clients.azdo.models import Repository
from reconciler.clients.azdo.versions import Resource
from reconciler.clients.wire import body_of, parse, parse_all

__all__ = ["Repositories"]


class Repositories:
    """The repositories of projects."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self, project: str, *, include_hidden: bool = True) -> builtins.list[Repository]:
        """Return a project's repositories; disabled ones are only seen with ``include_hidden``."""
        path = apis(project, "git/repositories")
        response = await self._caller.collect(
            "azdo.repositories.list",
            Resource.REPOSITORIES,
            path,
            params={"includeHidden": include_hidden},
        )
        return parse_all(Repository, response, what=f"GET {path}")

    async def get(self, project: str, name: str) -> Repository:
        """Return one repository by name or id.

        Raises:
            NotFound: absent, hidden, or disabled; the list tells which.
        """
        path = repository_path(project, name)
        response = await self._caller.call(
            "azdo.repositories.get", Resource.REPOSITORIES, "GET", path
        )
        return parse(Repository, response.body, what=f"GET {path}")

    async def create(self, project: str, name: str, *, project_id: str | None = None) -> Repository:
        """Create an empty repository.

        The name is unique in the project, so a repetition after an unknown outcome gives 409
        ``GitRepositoryNameAlreadyExistsException``, also for a disabled repository.
        """
        path = apis(project, "git/repositories")
        response = await self._caller.call(
            "azdo.repositories.create",
            Resource.REPOSITORIES,
            "POST",
            path,
            json=body_of(name=name, project={"id": project_id} if project_id else None),
        )
        return parse(Repository, response.body, what=f"POST {path}")

    async def update(
        self,
        project: str,
        repo_id: str,
        *,
        default_branch: str | None = None,
        name: str | None = None,
    ) -> Repository:
        """Change the default branch (``refs/heads/x``), the name or both; by id only (spec)."""
        return await self._patch(project, repo_id, body_of(name=name, defaultBranch=default_branch))

    async def set_disabled(self, project: str, repo_id: str, disabled: bool) -> Repository:
        """Disable or enable; must be the only change in its request (section 3, client)."""
        return await self._patch(project, repo_id, {"isDisabled": disabled})

    async def delete(self, project: str, repo_id: str) -> None:
        """Move a repository to the recycle bin; by id only (spec)."""
        path = repository_path(project, repo_id)
        await self._caller.call("azdo.repositories.delete", Resource.REPOSITORIES, "DELETE", path)

    async def _patch(self, project: str, repo_id: str, body: dict[str, object]) -> Repository:
        path = repository_path(project, repo_id)
        response = await self._caller.call(
            "azdo.repositories.update", Resource.REPOSITORIES, "PATCH", path, json=body
        )
        return parse(Repository, response.body, what=f"PATCH {path}")
