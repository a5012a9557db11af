"""Read Azure Repos repositories and their import requests, listing each project once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.azdo.models import ImportRequest, ServiceEndpoint
from reconciler.clients.services import Services
from reconciler.ids import address
from reconciler.live.found import Found
from reconciler.live.git import is_empty_once, tip_once
from reconciler.live.models import LiveImport, LiveRepository
from reconciler.live.once import Once
from reconciler.live.places import devops_root
from reconciler.live.projects import Project, read_project
from reconciler.spec.models import AzureDevOps, RepositorySpec
from reconciler.spec.resolve import repository_address

__all__ = [
    "find_endpoint",
    "read_imports",
    "read_repositories",
    "read_repository",
]


async def read_repositories(azure_devops: AzureDevOps, services: Services, found: Found) -> None:
    """Read the repositories of a spec: each project's list, then each repository.

    Args:
        found: takes what is read, and what could not be.
    """
    azdo = services.azdo(devops_root(azure_devops), azure_devops.api_version)
    by_project: dict[str, list[RepositorySpec]] = {}
    for spec in azure_devops.repositories:
        by_project.setdefault(spec.project.casefold(), []).append(spec)
    await asyncio.gather(*(_read_in_project(azdo, specs, found) for specs in by_project.values()))


async def _read_in_project(azdo: AzdoClient, specs: Sequence[RepositorySpec], found: Found) -> None:
    name = specs[0].project
    where = address("repositories", name)
    project = await found.attempt(
        where, "list repositories", lambda: read_project(azdo, name, found.once)
    )
    if where in found.unreadable:
        reason = found.unreadable.pop(where)
        found.unreadable |= {repository_address(spec): reason for spec in specs}
        return

    async def one(spec: RepositorySpec) -> None:
        at = repository_address(spec)
        live = await found.attempt(
            at, "read repository", lambda: read_repository(azdo, spec, project, found.once)
        )
        if live is not None:
            found.repositories[at] = live

    await asyncio.gather(*map(one, specs))


def _to_import(wire: ImportRequest) -> LiveImport:
    source = wire.parameters.git_source
    return LiveImport(
        id=wire.import_request_id,
        status=wire.status.lower(),
        source_url=source.url if source else "",
        error=wire.detailed_status.error_message if wire.detailed_status else "",
    )


async def read_imports(
    azdo: AzdoClient, project: str, repository_id: str
) -> tuple[LiveImport, ...]:
    """List a repository's import requests, abandoned ones included; one request."""
    return tuple(
        _to_import(r)
        for r in await azdo.imports.list(project, repository_id, include_abandoned=True)
    )


async def read_repository(
    azdo: AzdoClient, spec: RepositorySpec, project: Project | None, once: Once
) -> LiveRepository:
    """Read one repository of the spec; up to four requests after the project's list.

    Raises:
        ClientError: a read failed.
    """
    if project is None:
        return LiveRepository(project_id=None, project_exists=False)
    found = project.find(id=spec.id, name=spec.name)
    endpoint_id = await _endpoint(azdo, spec, once)
    if found is None:
        return LiveRepository(project_id=project.id, endpoint_id=endpoint_id)
    default = (found.default_branch or "").removeprefix("refs/heads/") or None
    if found.is_disabled:
        return LiveRepository(
            project_id=project.id, id=found.id, name=found.name, disabled=True, empty=False
        )
    empty, imports, wanted = await asyncio.gather(
        is_empty_once(azdo, spec.project, found.id, once),
        _imports(azdo, spec, found.id),
        _has_branch(azdo, spec, found.id, default, once),
    )
    return LiveRepository(
        project_id=project.id,
        id=found.id,
        name=found.name,
        empty=empty,
        default_branch=default,
        wanted_branch_exists=wanted,
        imports=imports,
        endpoint_id=endpoint_id,
    )


async def _imports(
    azdo: AzdoClient, spec: RepositorySpec, repository_id: str
) -> tuple[LiveImport, ...]:
    if spec.import_ is None:
        return ()
    return await read_imports(azdo, spec.project, repository_id)


async def _has_branch(
    azdo: AzdoClient, spec: RepositorySpec, repository_id: str, default: str | None, once: Once
) -> bool | None:
    wanted = spec.default_branch
    if wanted is None:
        return None
    if wanted == default:
        return True
    return await tip_once(azdo, spec.project, repository_id, wanted, once) is not None


async def _endpoint(azdo: AzdoClient, spec: RepositorySpec, once: Once) -> str | None:
    credentials = spec.import_.credentials if spec.import_ else None
    name = credentials.service_endpoint if credentials else None
    if name is None:
        return None
    listed = await once.read(
        ("endpoints", azdo, spec.project.casefold()), lambda: azdo.endpoints.list(spec.project)
    )
    return _named(listed, name)


async def find_endpoint(azdo: AzdoClient, project: str, name: str) -> str | None:
    """Find a service endpoint by name or id; None when it is not visible."""
    return _named(await azdo.endpoints.list(project), name)


def _named(endpoints: Sequence[ServiceEndpoint], name: str) -> str | None:
    for endpoint in endpoints:
        if name.casefold() in (endpoint.name.casefold(), endpoint.id.casefold()):
            return endpoint.id
    return None
