"""Import requests: probed at once, fetched by git, finished when their time has come.

The fetch runs beside the server under hidden refs; what it brought becomes visible in one step
when the import completes. Source: azure-devops-import.md section 2; what is marked [?] there is
marked assumed here.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from reconciler.emulator.azdo.branches import settle_default
from reconciler.emulator.azdo.endpoints import has_arrived
from reconciler.emulator.azdo.errors import bad_request, error
from reconciler.emulator.azdo.members import flag, text
from reconciler.emulator.azdo.render import (
    listing,
    open_repository,
    repository_json,
)
from reconciler.emulator.azdo.source import Source, fetch, probe, resolve
from reconciler.emulator.azdo.state import GitRepository, ImportRequest, Project
from reconciler.emulator.azdo.tfvc import checked_source, find_content, write_history
from reconciler.emulator.faults import Fault
from reconciler.emulator.gitstore import HIDDEN_REFS
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.world import World, effect

__all__ = [
    "create_import",
    "get_import",
    "list_imports",
    "resume",
    "update_import",
]

_STEPS = [
    "Processing request",
    "Analyzing repository objects",
    "Storing objects",
    "Storing index file",
    "Updating references",
    "Import completed successfully",
]
_LAST_STEP = len(_STEPS)
_RUNNING = frozenset({"queued", "inProgress"})
# Recorded imports finished 5 to 8 s after the POST.
_DURATION_S = {"instant": 0.0, "fast": 0.2, "real": 7.0}
_LONGEST_WAIT_S = 60.0
_KNOWN_FIELDS = frozenset({"status"})


async def create_import(world: World, call: Call) -> Answer:
    """Queue an import: 201, or one of the refusals of section 2.3.

    Order of the checks [assumed]: body 400, content 409, active request 409, source 400 (empty).
    """
    repository, project = open_repository(world, call)
    parameters = call.fields().get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    url, overwrite, tfvc = _chosen_source(parameters)
    _check_free(world, repository)
    request = ImportRequest(
        id=world.azdo.next_import_id,
        repository_id=repository.id,
        url=url,
        tfvc=tfvc,
        overwrite=overwrite,
        endpoint_id=_endpoint_id(world, project, parameters.get("serviceEndpointId")),
        delete_endpoint=flag(parameters, "deleteServiceEndpointAfterImportIsDone"),
    )
    if not await _is_readable(world, request, project):
        # Wrong URL, missing credentials, nothing to import: all three look like this.
        return Answer(400, raw=b"")
    _check_free(world, repository)
    request.id = world.azdo.next_import_id
    world.azdo.next_import_id += 1
    world.azdo.imports[str(request.id)] = request
    _start(world, request, call.fault)
    return Answer(201, _json(world, request, repository, project, call))


def _chosen_source(parameters: dict[str, Any]) -> tuple[str, bool, dict[str, Any]]:
    """Return the url and ``overwrite`` of a git source, or a TFVC source.

    Raises:
        Refused: 400 for none, for both, or for one that is incomplete [assumed].
    """
    git, tfvc = parameters.get("gitSource"), parameters.get("tfvcSource")
    if (git is None) == (tfvc is None):
        raise Refused(bad_request("Exactly one of gitSource and tfvcSource is needed."))
    if git is None:
        return "", False, checked_source(tfvc)
    url = git.get("url") if isinstance(git, dict) else None
    if not isinstance(git, dict) or not isinstance(url, str) or not url:
        raise Refused(bad_request("A gitSource needs a url."))
    return url, flag(git, "overwrite"), {}


def _check_free(world: World, repository: GitRepository) -> None:
    """Refuse an import into a repository that has content or an active request.

    Raises:
        Refused: one of the two 409 of section 2.3.
    """
    if world.repos.refs(repository.key):
        raise Refused(_not_empty(repository))
    if any(_is_active(request) for request in _of(world, repository)):
        raise Refused(
            error(
                409,
                "GitAsyncOperationAlreadyExistsException",
                f"An import request is already active for the repository {repository.name}.",
            )
        )


async def _is_readable(world: World, request: ImportRequest, project: Project) -> bool:
    """Whether the source is there; that a missing TFVC path looks like a git one is assumed."""
    if request.tfvc:
        return find_content(world, project.organization, request.tfvc["path"]) is not None
    source = _source(world, request)
    return source is not None and await probe(world, source)


def _not_empty(repository: GitRepository) -> Answer:
    return error(
        409,
        "GitImportForbiddenOnNonEmptyRepository",
        f"The repository {repository.name} is not empty.",
    )


def _endpoint_id(world: World, project: Project, given: object) -> str | None:
    """Return the id of a usable endpoint, None if none is asked for.

    Raises:
        Refused: 400 for an unknown one [assumed].
    """
    if not given:
        return None
    found = world.azdo.endpoints.get(str(given).lower())
    arrived = found is not None and has_arrived(world, found)
    shared = [] if found is None or not arrived else found.project_references
    if all(entry["projectReference"]["id"] != project.id for entry in shared):
        raise Refused(bad_request(f"The service endpoint {given} does not exist."))
    return str(given).lower()


def _source(world: World, request: ImportRequest) -> Source | None:
    endpoint = world.azdo.endpoints.get(request.endpoint_id or "")
    if endpoint is None:
        return resolve(world, request.url)
    return resolve(world, request.url, username=endpoint.username, password=endpoint.password)


async def list_imports(world: World, call: Call) -> Answer:
    """List a repository's requests; abandoned ones only with ``includeAbandoned``."""
    repository, project = open_repository(world, call)
    await _catch_up(world, repository)
    abandoned = call.query.get("includeAbandoned", "").lower() == "true"
    return listing(
        [
            _json(world, request, repository, project, call)
            for request in _of(world, repository)
            if abandoned or request.status != "abandoned"
        ]
    )


async def get_import(world: World, call: Call) -> Answer:
    """Return one request of a repository."""
    repository, project = open_repository(world, call)
    await _catch_up(world, repository)
    request = _request(world, call, repository)
    return Answer(200, _json(world, request, repository, project, call))


async def update_import(world: World, call: Call) -> Answer:
    """Retry or abandon; see section 2.4. What is not stated there is refused [assumed]."""
    repository, project = open_repository(world, call)
    await _catch_up(world, repository)
    request = _request(world, call, repository)
    body = call.fields()
    if set(body) - _KNOWN_FIELDS:
        return bad_request("Only the status of an import request can be updated.")
    match text(body, "status").lower():
        case "queued":
            if request.status != "failed":
                return bad_request("Only a failed import request can be retried.")
            if world.repos.refs(repository.key):
                return _not_empty(repository)
            _start(world, request, call.fault)
        case "abandoned":
            if request.status == "completed":
                return bad_request("A completed import request can not be abandoned.")
            _abandon(world, request, repository)
        case other:
            return bad_request(f"'{other}' is not a status an import request can be given.")
    return Answer(200, _json(world, request, repository, project, call))


def _of(world: World, repository: GitRepository) -> list[ImportRequest]:
    found = [r for r in world.azdo.imports.values() if r.repository_id == repository.id]
    return sorted(found, key=lambda request: request.id)


def _is_active(request: ImportRequest) -> bool:
    """Whether it keeps others out: a failed one does until it is retried or abandoned."""
    return request.status in _RUNNING or request.status == "failed"


def _request(world: World, call: Call, repository: GitRepository) -> ImportRequest:
    found = world.azdo.imports.get(call.params["request"])
    if found is None or found.repository_id != repository.id:
        raise Refused(
            error(
                404,
                "GitAsyncOperationNotFoundException",
                f"The import request {call.params['request']} was not found.",
            )
        )
    return found


def _start(world: World, request: ImportRequest, fault: Fault | None) -> None:
    failing = None if fault is None else fault.failing_import
    request.fail_step = None if failing is None else failing.step
    request.fail_error = "" if failing is None else failing.error
    request.hangs = failing is not None and failing.hang
    request.status, request.step, request.error, request.fetched = "queued", 1, None, None
    request.due = False
    request.started_at = world.clock.timestamp()
    request.attempt += 1
    world.schedule(
        "azdo.import.due",
        {"id": request.id, "attempt": request.attempt},
        delay_s=_duration_s(world),
    )
    _run(world, request)


def _run(world: World, request: ImportRequest) -> None:
    world.tasks[str(request.id)] = asyncio.create_task(_fetch(world, request, request.attempt))


def resume(world: World) -> None:
    """Go on with imports that a stopped emulator left unfinished."""
    for request in world.azdo.imports.values():
        if request.status in _RUNNING and request.fetched is None:
            _run(world, request)


async def _fetch(world: World, request: ImportRequest, attempt: int) -> None:
    result = await _bring(world, request)
    if request.attempt == attempt and request.status in _RUNNING:
        request.fetched = result
        world.tasks.pop(str(request.id), None)
        _conclude(world, request)
        world.save()


async def _bring(world: World, request: ImportRequest) -> str:
    """Bring the source's refs in, hidden; return "" or why that failed."""
    repository = world.azdo.repositories.get(request.repository_id)
    if repository is None:
        return "the repository is gone"
    if request.tfvc:
        world.repos.drop(repository.key, _hidden(request))
        organization = world.azdo.projects[repository.project_id].organization
        ref = f"{_hidden(request)}heads/{world.repos.head(repository.key)}"
        return write_history(world, request.tfvc, organization, repository.key, ref)
    source = _source(world, request)
    if source is None:
        return "the source can not be reached"
    return await fetch(world, source, repository.key, _hidden(request))


@effect("azdo.import.due")
def _due(world: World, args: dict[str, Any]) -> None:
    request = world.azdo.imports.get(str(args["id"]))
    if request is not None and request.attempt == args["attempt"]:
        request.due = True
        _conclude(world, request)


def _conclude(world: World, request: ImportRequest) -> None:
    """End a request whose time has come and whose fetch is over."""
    if request.status not in _RUNNING or not request.due or request.fetched is None:
        return
    if request.hangs:
        return
    repository = world.azdo.repositories.get(request.repository_id)
    if repository is None or repository.deleted_at is not None:
        request.status, request.error = "failed", "the repository is gone"
        return
    problem = request.fetched
    if not problem and request.fail_step is not None:
        problem = request.fail_error
    if not problem and world.repos.refs(repository.key):
        problem = "the repository is no longer empty"
    if problem:
        world.repos.drop(repository.key, _hidden(request))
        request.status, request.error = "failed", problem
        request.step = request.fail_step or 2
        return
    world.repos.publish(repository.key, _hidden(request))
    settle_default(world, repository)
    request.status, request.step = "completed", _LAST_STEP
    _delete_endpoint(world, request)


def _abandon(world: World, request: ImportRequest, repository: GitRepository) -> None:
    """Make a request inactive; what a running fetch brings is thrown away [assumed]."""
    world.cancel_task(str(request.id))
    if request.status in _RUNNING:
        request.step = _progress(world, request)[1]
    request.status = "abandoned"
    world.repos.drop(repository.key, _hidden(request))
    _delete_endpoint(world, request)


def _delete_endpoint(world: World, request: ImportRequest) -> None:
    """Delete the endpoint if that was asked for; a failed import keeps it for a retry [assumed]."""
    if request.delete_endpoint and request.endpoint_id is not None:
        world.azdo.endpoints.pop(request.endpoint_id, None)


def _hidden(request: ImportRequest) -> str:
    return f"{HIDDEN_REFS}import-{request.id}/"


async def _catch_up(world: World, repository: GitRepository) -> None:
    """With the instant speed an import is over at the first look, however long git takes."""
    if world.options.speed != "instant":
        return
    running = [
        task
        for request in _of(world, repository)
        if (task := world.tasks.get(str(request.id))) is not None
    ]
    if running:
        await asyncio.wait(running, timeout=_LONGEST_WAIT_S)


def _duration_s(world: World) -> float:
    """Return how long an import takes: all its steps, at the chosen or the speed's own pace."""
    step_s = world.azdo.settings.import_step_s
    return _DURATION_S[world.options.speed] if step_s is None else step_s * _LAST_STEP


def _progress(world: World, request: ImportRequest) -> tuple[str, int]:
    """Return status and step as they look now."""
    if request.status not in _RUNNING:
        return request.status, request.step
    last = request.fail_step or _LAST_STEP - 1
    if request.due:
        return "inProgress", last
    duration_s = _duration_s(world)
    elapsed_s = world.clock.timestamp() - request.started_at
    if duration_s <= 0 or elapsed_s < duration_s / 7:
        return "queued", 1
    return "inProgress", min(last, int(elapsed_s / duration_s * _LAST_STEP) or 1)


def _json(
    world: World,
    request: ImportRequest,
    repository: GitRepository,
    project: Project,
    call: Call,
) -> dict[str, Any]:
    """Return a GitImportRequest as recorded: no endpoint id, no default branch."""
    status, step = _progress(world, request)
    detailed: dict[str, Any] = {"currentStep": step, "allSteps": _STEPS}
    if request.error is not None:
        detailed["errorMessage"] = request.error
    git = {"url": request.url, "overwrite": request.overwrite}
    parameters: dict[str, Any] = {
        "tfvcSource": dict(request.tfvc) or None,
        "gitSource": None if request.tfvc else git,
    }
    if request.delete_endpoint:
        parameters["deleteServiceEndpointAfterImportIsDone"] = True
    written = quote(call.params.get("project", project.id))
    base = f"{world.urls.devops_url}/{quote(project.organization)}/{written}"
    url = f"{base}/_apis/git/repositories/{repository.id}/importRequests/{request.id}"
    shown = repository_json(world, repository, project, default_branch=False)
    return {
        "importRequestId": request.id,
        "repository": shown,
        "parameters": parameters,
        "status": status,
        "detailedStatus": detailed,
        "_links": {"self": {"href": url}, "repository": {"href": shown["url"]}},
        "url": url,
    }
