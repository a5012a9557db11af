"""Read a project of Azure DevOps: its repositories, as one list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.azdo.models import Repository
from reconciler.errors import NotFound
from reconciler.live.once import Once

__all__ = ["Project", "list_repositories", "read_project"]


async def list_repositories(azdo: AzdoClient, project: str) -> list[Repository] | None:
    """List a project's repositories, hidden ones included; None: no such project visible.

    Source: azure-devops-import.md section 3: a disabled repository answers 404 on get and is
    only seen in the list with includeHidden=true; recorded by a client.
    """
    try:
        return await azdo.repositories.list(project, include_hidden=True)
    except NotFound:
        return None


@dataclass(frozen=True, slots=True)
class Project:
    """What the list of a project's repositories says, by id and by name as the service compares.

    ``id`` is None where no repository tells it.
    """

    id: str | None
    by_id: Mapping[str, Repository]
    by_name: Mapping[str, Repository]

    def find(self, *, id: str | None, name: str | None) -> Repository | None:
        """Return the repository that an id means, or a name where there is no id."""
        if id is not None:
            return self.by_id.get(id.casefold())
        return self.by_name.get((name or "").casefold())


async def read_project(azdo: AzdoClient, name: str, once: Once) -> Project | None:
    """List a project's repositories, once for all who need one; None: no such project visible."""
    return await once.read(("project", azdo, name.casefold()), lambda: _read(azdo, name))


async def _read(azdo: AzdoClient, name: str) -> Project | None:
    listed = await list_repositories(azdo, name)
    if listed is None:
        return None
    return Project(
        id=next((r.project.id for r in listed if r.project.id), None),
        by_id={r.id.casefold(): r for r in reversed(listed)},
        by_name={r.name.casefold(): r for r in reversed(listed)},
    )
