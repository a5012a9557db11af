"""The table of Azure DevOps routes. Source: the swagger files and azure-devops-import.md."""

from __future__ import annotations

from reconciler.emulator.azdo.commits import get_commit, list_commits
from reconciler.emulator.azdo.endpoints import (
    create_endpoint,
    create_endpoint_in_project,
    delete_endpoint,
    get_endpoint,
    list_endpoints,
)
from reconciler.emulator.azdo.errors import error
from reconciler.emulator.azdo.forks import create_sync, get_sync, list_forks, list_syncs
from reconciler.emulator.azdo.imports import (
    create_import,
    get_import,
    list_imports,
    update_import,
)
from reconciler.emulator.azdo.items import read_items
from reconciler.emulator.azdo.locations import ROUTES as LOCATION_ROUTES
from reconciler.emulator.azdo.projects import (
    create_project,
    get_operation,
    get_project,
    list_projects,
)
from reconciler.emulator.azdo.pushes import create_push
from reconciler.emulator.azdo.refs import list_refs, update_refs
from reconciler.emulator.azdo.repositories import (
    create_repository,
    delete_repository,
    get_repository,
    list_recycle_bin,
    list_repositories,
    purge_repository,
    restore_repository,
    update_repository,
)
from reconciler.emulator.azdo.stats import read_branch_stats
from reconciler.emulator.azdo.versions import Resource, VersionProblem, check_version
from reconciler.emulator.http import Answer, Call, Handler, Refused, Route
from reconciler.emulator.world import World

__all__ = ["ROUTES"]

_GIT = "/_apis/git/repositories"
_ONE = f"{_GIT}/{{repository}}"
_BIN = "/_apis/git/recycleBin/repositories"
_ENDPOINTS = "/_apis/serviceendpoint/endpoints"
_OLD_ENDPOINTS = "/_apis/distributedtask/serviceendpoints"


def _refuse_version(problem: VersionProblem) -> Refused:
    return Refused(
        error(
            400,
            problem.type_key,
            str(problem),
            namespace="Microsoft.VisualStudio.Services.WebApi",
        )
    )


def _route(
    method: str, pattern: str, handler: Handler, name: str, resource: Resource = "git"
) -> Route:
    async def versioned(world: World, call: Call) -> Answer:
        try:
            check_version(call, resource)
        except VersionProblem as problem:
            raise _refuse_version(problem) from problem
        return await handler(world, call)

    return Route(method, pattern, versioned, name)


def _in_project(handler: Handler) -> Handler:
    """Answer 404 where the project is missing in the path."""

    async def checked(world: World, call: Call) -> Answer:
        if "project_id" not in call.params:
            raise Refused(Answer(404, raw=b"A project is needed.", content_type="text/plain"))
        return await handler(world, call)

    return checked


async def _create_endpoint(world: World, call: Call) -> Answer:
    here = create_endpoint_in_project if "project_id" in call.params else create_endpoint
    return await here(world, call)


_IMPORT = "importRequests"
_OLD_IN_PROJECT = _in_project(create_endpoint_in_project)

ROUTES = [
    _route("GET", "/_apis/projects", list_projects, "azdo.projects.list"),
    _route("POST", "/_apis/projects", create_project, "azdo.projects.create"),
    _route("GET", "/_apis/operations/{operation}", get_operation, "azdo.operations.get"),
    _route("GET", "/_apis/projects/{name}", get_project, "azdo.projects.get"),
    *LOCATION_ROUTES,
    _route("GET", _GIT, list_repositories, "azdo.repositories.list"),
    _route("POST", _GIT, create_repository, "azdo.repositories.create"),
    _route("GET", _ONE, get_repository, "azdo.repositories.get"),
    _route("PATCH", _ONE, update_repository, "azdo.repositories.update"),
    _route("DELETE", _ONE, delete_repository, "azdo.repositories.delete"),
    _route("GET", _BIN, list_recycle_bin, "azdo.recyclebin.list", "recycleBin"),
    _route(
        "PATCH",
        f"{_BIN}/{{repository}}",
        restore_repository,
        "azdo.recyclebin.restore",
        "recycleBin",
    ),
    _route(
        "DELETE", f"{_BIN}/{{repository}}", purge_repository, "azdo.recyclebin.purge", "recycleBin"
    ),
    _route("GET", f"{_ONE}/refs", list_refs, "azdo.refs.list"),
    _route("POST", f"{_ONE}/refs", update_refs, "azdo.refs.update"),
    _route("GET", f"{_ONE}/items", read_items, "azdo.items.list"),
    _route("POST", f"{_ONE}/pushes", create_push, "azdo.pushes.create"),
    _route("GET", f"{_ONE}/commits", list_commits, "azdo.commits.list"),
    _route("GET", f"{_ONE}/commits/{{commit}}", get_commit, "azdo.commits.get"),
    _route("GET", f"{_ONE}/forks/{{collection}}", list_forks, "azdo.forks.list"),
    _route("GET", f"{_ONE}/forkSyncRequests", list_syncs, "azdo.forksyncs.list"),
    _route("POST", f"{_ONE}/forkSyncRequests", create_sync, "azdo.forksyncs.create"),
    _route("GET", f"{_ONE}/forkSyncRequests/{{sync}}", get_sync, "azdo.forksyncs.get"),
    _route("GET", f"{_ONE}/stats/branches", read_branch_stats, "azdo.stats.branches"),
    _route("GET", f"{_ONE}/importRequests", list_imports, "azdo.imports.list", _IMPORT),
    _route("POST", f"{_ONE}/importRequests", create_import, "azdo.imports.create", _IMPORT),
    _route("GET", f"{_ONE}/importRequests/{{request}}", get_import, "azdo.imports.get", _IMPORT),
    _route(
        "PATCH", f"{_ONE}/importRequests/{{request}}", update_import, "azdo.imports.update", _IMPORT
    ),
    _route("POST", _ENDPOINTS, _create_endpoint, "azdo.endpoints.create", "endpoints"),
    _route("GET", _ENDPOINTS, _in_project(list_endpoints), "azdo.endpoints.list", "endpoints"),
    _route(
        "GET",
        f"{_ENDPOINTS}/{{endpoint}}",
        _in_project(get_endpoint),
        "azdo.endpoints.get",
        "endpoints",
    ),
    _route(
        "DELETE",
        f"{_ENDPOINTS}/{{endpoint}}",
        delete_endpoint,
        "azdo.endpoints.delete",
        "endpoints",
    ),
    _route("POST", _OLD_ENDPOINTS, _OLD_IN_PROJECT, "azdo.endpoints.create", "endpoints"),
    _route("GET", _OLD_ENDPOINTS, _in_project(list_endpoints), "azdo.endpoints.list", "endpoints"),
    _route(
        "GET",
        f"{_OLD_ENDPOINTS}/{{endpoint}}",
        _in_project(get_endpoint),
        "azdo.endpoints.get",
        "endpoints",
    ),
    _route(
        "DELETE",
        f"{_OLD_ENDPOINTS}/{{endpoint}}",
        _in_project(delete_endpoint),
        "azdo.endpoints.delete",
        "endpoints",
    ),
]
