"""Read Azure Repos repositories and their import requests."""

from __future__ import annotations

import asyncio

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.azdo.models import ImportRequest, Repository
from reconciler.errors import NotFound
from reconciler.live.models import LiveImport, LiveRepository
from reconciler.spec.models import RepositorySpec

__all__ = ["find_endpoint", "is_empty", "read_imports", "read_project", "read_repository"]


async def read_project(azdo: AzdoClient, project: str) -> list[Repository] | None:
    """List a project's repositories, hidden ones included; None: no such project visible.

    Source: azure-devops-import.md section 3: a disabled repository answers 404 on get and is
    only seen in the list with includeHidden=true; recorded by a client.
    """
    try:
        return await azdo.repositories.list(project, include_hidden=True)
    except NotFound:
        return None


async def is_empty(azdo: AzdoClient, project: str, repository_id: str) -> bool:
    """Tell whether a repository has no ref at all.

    Neither size nor default branch tell it.
    Source: azure-devops-import.md section 3, "Empty?", recorded.
    """
    return not await azdo.refs.list(project, repository_id, top=1)


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
    azdo: AzdoClient, spec: RepositorySpec, listed: list[Repository] | None
) -> LiveRepository:
    """Read one repository of the spec; up to four requests after the project's list.

    Raises:
        ClientError: a read failed.
    """
    if listed is None:
        return LiveRepository(project_id=None, project_exists=False)
    project_id = next((r.project.id for r in listed if r.project.id), None)
    found = next((r for r in listed if _is_it(r, spec)), None)
    endpoint_id = await _endpoint(azdo, spec)
    if found is None:
        return LiveRepository(project_id=project_id, endpoint_id=endpoint_id)
    default = (found.default_branch or "").removeprefix("refs/heads/") or None
    if found.is_disabled:
        return LiveRepository(
            project_id=project_id, id=found.id, name=found.name, disabled=True, empty=False
        )
    empty, imports, wanted = await asyncio.gather(
        is_empty(azdo, spec.project, found.id),
        _imports(azdo, spec, found.id),
        _has_branch(azdo, spec, found.id, default),
    )
    return LiveRepository(
        project_id=project_id,
        id=found.id,
        name=found.name,
        empty=empty,
        default_branch=default,
        wanted_branch_exists=wanted,
        imports=imports,
        endpoint_id=endpoint_id,
    )


def _is_it(repository: Repository, spec: RepositorySpec) -> bool:
    if spec.id is not None:
        return repository.id.casefold() == spec.id.casefold()
    return repository.name.casefold() == (spec.name or "").casefold()


async def _imports(
    azdo: AzdoClient, spec: RepositorySpec, repository_id: str
) -> tuple[LiveImport, ...]:
    if spec.import_ is None:
        return ()
    return await read_imports(azdo, spec.project, repository_id)


async def _has_branch(
    azdo: AzdoClient, spec: RepositorySpec, repository_id: str, default: str | None
) -> bool | None:
    wanted = spec.default_branch
    if wanted is None:
        return None
    if wanted == default:
        return True
    refs = await azdo.refs.list(spec.project, repository_id, prefix=f"heads/{wanted}")
    return any(r.name == f"refs/heads/{wanted}" for r in refs)


async def _endpoint(azdo: AzdoClient, spec: RepositorySpec) -> str | None:
    credentials = spec.import_.credentials if spec.import_ else None
    name = credentials.service_endpoint if credentials else None
    if name is None:
        return None
    return await find_endpoint(azdo, spec.project, name)


async def find_endpoint(azdo: AzdoClient, project: str, name: str) -> str | None:
    """Find a service endpoint by name or id; None when it is not visible."""
    for endpoint in await azdo.endpoints.list(project):
        if name.casefold() in (endpoint.name.casefold(), endpoint.id.casefold()):
            return endpoint.id
    return None
