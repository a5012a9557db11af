"""How Azure DevOps words what goes wrong, and the headers on everything it answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from reconciler.emulator.azdo.versions import requested_version
from reconciler.emulator.http import Answer, Call, Problem
from reconciler.emulator.ids import is_guid
from reconciler.emulator.world import World

__all__ = [
    "azdo_finish",
    "azdo_problem",
    "bad_request",
    "blocked",
    "error",
    "missing_project",
    "project_not_found",
    "repository_not_found",
]

_GIT = "Microsoft.TeamFoundation.Git.Server"
_CORE = "Microsoft.TeamFoundation.Core.WebApi"
_SIGN_IN = "<html><head><title>Azure DevOps Services | Sign In</title></head><body></body></html>"


def error(status: int, type_key: str, message: str, *, namespace: str = _GIT) -> Answer:
    """Return an error body. Source: azure-devops-import.md section 8, recorded."""
    body: dict[str, Any] = {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": f"{namespace}.{type_key}, {namespace}",
        "typeKey": type_key,
        "errorCode": 0,
        "eventId": 3000,
    }
    return Answer(status, body)


def bad_request(message: str, type_key: str = "InvalidArgumentValueException") -> Answer:
    """Return a 400; which argument errors exist is assumed (azure-devops-import.md section 8)."""
    return error(400, type_key, message)


def repository_not_found(name: str) -> Answer:
    """Return the 404 for what is absent, disabled or hidden alike. Source: section 8, recorded."""
    return error(
        404,
        "GitRepositoryNotFoundException",
        f"TF401019: The Git repository with name or identifier {name} does not exist or you do "
        "not have permissions for the operation you are attempting.",
    )


def project_not_found(name: str) -> Answer:
    """Return the 404 for a missing project. Source: section 4, recorded."""
    return error(
        404,
        "ProjectDoesNotExistWithNameException",
        f"TF200016: The following project does not exist: {name}. Verify that the name of the "
        "project is correct and that the project exists on the specified Azure DevOps Server.",
        namespace=_CORE,
    )


def missing_project(world: World, name: str) -> Answer:
    """Return what is said of a project that is not there: an id is VS800075, a name TF200016.

    Source: section 4; the status 400 is what clients of some APIs found, and the setting
    ``missingProjectIdStatus`` chooses. The type key and the wording with the vstfs link are field
    reports; which APIs answer so is assumed: all of them do here.
    """
    if not is_guid(name):
        return project_not_found(name)
    return error(
        world.azdo.settings.missing_project_id_status,
        "ProjectDoesNotExistException",
        f"VS800075: The project with id 'vstfs:///Classification/TeamProject/{name}' does not "
        "exist, or you do not have permission to access it.",
        namespace=_CORE,
    )


def azdo_problem(world: World, problem: Problem, headers: Mapping[str, str]) -> Answer:
    """Word what went wrong around a handler. Source: sections 6 and 8."""
    if problem.kind in {"unauthorized", "token_invalid", "token_expired"}:
        return _unauthorized(world, problem, headers)
    if problem.kind == "blocked":
        return _blocked(problem)
    if problem.kind == "too_large":
        return bad_request("The request body is too large.")
    if problem.kind == "malformed_body":
        return bad_request(f"The request body is not valid JSON: {problem.message}")
    if problem.kind == "unexpected":
        return error(500, "VssServiceException", "TF400898: An Internal Error Occurred.")
    status = 405 if problem.kind == "wrong_method" else 404
    text = (
        f"The controller for path '{problem.path}' was not found or does not implement IController."
        if status == 404
        else "The requested resource does not support this HTTP method."
    )
    return Answer(
        status,
        raw=text.encode(),
        content_type="text/plain; charset=utf-8",
        headers={"X-TFS-ServiceError": quote(text)},
    )


def blocked(resource: str, headers: Mapping[str, str]) -> Answer:
    """Answer a call that is one too many. Source: section 7, documented and third-party probe."""
    found = error(
        429,
        "RequestBlockedException",
        "TF400733: The request has been canceled: Request was blocked due to exceeding usage of "
        f"resource {resource} in namespace User.",
        namespace="Microsoft.TeamFoundation.Framework.Server",
    )
    found.headers |= headers
    return found


def _blocked(problem: Problem) -> Answer:
    until_s = 0 if problem.until is None else int(problem.until.timestamp())
    return blocked(
        "Concurrency",
        {
            "Retry-After": str(problem.retry_after_s),
            "X-RateLimit-Resource": "Concurrency",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(until_s),
        },
    )


def _unauthorized(world: World, problem: Problem, headers: Mapping[str, str]) -> Answer:
    """Answer a call without credentials. Source: section 6, probes of 2026-07/08 and recorded.

    Without the Suppress header the service redirects to a sign-in page that is a success. Ours is
    on this server, so that nothing which follows redirects leaves the machine.
    """
    if problem.path.lower() == "/_signin":
        return Answer(203, raw=_SIGN_IN.encode(), content_type="text/html; charset=utf-8")
    if headers.get("X-TFS-FedAuthRedirect", "").lower() == "suppress":
        realm = f'Basic realm="{world.urls.devops_url}/"'
        return Answer(401, raw=b"", headers={"WWW-Authenticate": realm})
    location = f"{world.urls.devops_url}/_signin?realm=dev.azure.com&reply_to="
    return Answer(
        302,
        raw=b"<html><head><title>Object moved</title></head><body></body></html>",
        content_type="text/html; charset=utf-8",
        headers={"Location": location + quote(world.urls.devops_url + problem.path, safe="")},
    )


def azdo_finish(_world: World, call: Call | None, answer: Answer) -> Answer:
    """Add what every answer carries. Source: azure-devops-import.md section 10 item 12."""
    activity = str(uuid.uuid4())
    common = {
        "Cache-Control": "no-cache",
        "X-TFS-Session": str(uuid.uuid4()),
        "ActivityId": activity,
        "X-VSS-E2EID": activity,
    }
    answer.headers = {**common, **answer.headers}
    if answer.content_type is None and (answer.body is not None or answer.json_null):
        answer.content_type = "application/json; charset=utf-8"
        version = None if call is None else requested_version(call)
        if version is not None:
            answer.content_type += f"; api-version={version}"
    return answer
