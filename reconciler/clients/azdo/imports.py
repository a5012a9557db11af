"""Git import requests: list, get, create, retry, abandon.

Source: azure-devops-import.md section 2. Creating is not idempotent and the service probes the
source while the caller waits; after an unknown outcome, list first. A failed request counts as
active until it is retried or abandoned (TFS documentation), so a second create gives 409.
"""

from __future__ import annotations

import builtins

from reconciler.clients.azdo.caller import Caller, repository_path
from reconciler.clients.azdo.models import ImportRequest
from reconciler.clients.azdo.versions import Resource
from reconciler.clients.errors_map import is_empty_answer
from reconciler.clients.paging import values_of
from reconciler.clients.text import clean, without_userinfo
from reconciler.clients.wire import body_of, parse, parse_all
from reconciler.errors import ApiError

__all__ = ["Imports"]

_CREATE_DEADLINE_S = 180.0
"""The source is probed synchronously, so a create may well take a minute (section 2.3)."""


class Imports:
    """The import requests of repositories."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(
        self, project: str, repo_id: str, *, include_abandoned: bool = True
    ) -> builtins.list[ImportRequest]:
        """Return the repository's import requests; without the flag, abandoned ones are hidden."""
        path = _imports(project, repo_id)
        response = await self._caller.call(
            "azdo.imports.list",
            Resource.IMPORTS,
            "GET",
            path,
            params={"includeAbandoned": include_abandoned},
        )
        what = f"GET {path}"
        found = parse_all(ImportRequest, values_of(response, what), what=what)
        return [self._safe(request) for request in found]

    async def get(self, project: str, repo_id: str, import_request_id: int) -> ImportRequest:
        """Return one import request, by ids: the ``url`` it carries is not reliable (field)."""
        path = _imports(project, repo_id, import_request_id)
        response = await self._caller.call("azdo.imports.get", Resource.IMPORTS, "GET", path)
        return self._safe(parse(ImportRequest, response.body, what=f"GET {path}"))

    async def create(
        self,
        project: str,
        repo_id: str,
        *,
        source_url: str,
        service_endpoint_id: str | None = None,
        delete_endpoint_after: bool = False,
    ) -> ImportRequest:
        """Start importing a Git repository into an empty one.

        Raises:
            Conflict: the repository has content, or another request is active.
            ApiError: the source cannot be used; the service gives no reason, the message names
                the three possible ones.
        """
        path = _imports(project, repo_id)
        try:
            response = await self._caller.call(
                "azdo.imports.create",
                Resource.IMPORTS,
                "POST",
                path,
                json={
                    "parameters": body_of(
                        gitSource={"url": source_url},
                        serviceEndpointId=service_endpoint_id,
                        deleteServiceEndpointAfterImportIsDone=delete_endpoint_after or None,
                    )
                },
                deadline_s=_CREATE_DEADLINE_S,
            )
        except ApiError as error:
            if error.status == 400 and is_empty_answer(error):
                raise _source_refused(error) from error
            raise
        return self._safe(parse(ImportRequest, response.body, what=f"POST {path}"))

    async def retry(self, project: str, repo_id: str, import_request_id: int) -> ImportRequest:
        """Run a failed request again, with the same source and endpoint."""
        return await self._set_status(
            "azdo.imports.retry", project, repo_id, import_request_id, "queued"
        )

    async def abandon(self, project: str, repo_id: str, import_request_id: int) -> ImportRequest:
        """Give up a request, so that another one can be made."""
        return await self._set_status(
            "azdo.imports.abandon", project, repo_id, import_request_id, "abandoned"
        )

    async def _set_status(
        self, api: str, project: str, repo_id: str, import_request_id: int, status: str
    ) -> ImportRequest:
        path = _imports(project, repo_id, import_request_id)
        # Only the status may be sent; never the object that was read (section 2.4, spec).
        response = await self._caller.call(
            api, Resource.IMPORTS, "PATCH", path, json={"status": status}
        )
        return self._safe(parse(ImportRequest, response.body, what=f"PATCH {path}"))

    def _safe(self, request: ImportRequest) -> ImportRequest:
        """Take credentials out of what a request says: of ours, and of who wrote its URL."""
        changes: dict[str, object] = {}
        detail, source = request.detailed_status, request.parameters.git_source
        if detail is not None:
            told = clean(self._caller.transport.secrets.masked(detail.error_message))
            changes["detailed_status"] = detail.model_copy(update={"error_message": told})
        if source is not None:
            url = source.model_copy(update={"url": without_userinfo(source.url)})
            changes["parameters"] = request.parameters.model_copy(update={"git_source": url})
        return request.model_copy(update=changes)


def _imports(project: str, repo_id: str, import_request_id: int | None = None) -> str:
    tail = "" if import_request_id is None else f"/{import_request_id}"
    return repository_path(project, repo_id, f"/importRequests{tail}")


def _source_refused(error: ApiError) -> ApiError:
    """Say what an empty 400 means (section 2.3, reported in several public issues)."""
    return ApiError(
        f"{error.method} {error.path}: 400: the import source cannot be used, and Azure DevOps "
        "does not say why. One of: the URL is wrong; the source needs credentials, or refuses "
        "those given; the source has no branches or tags",
        status=400,
        method=error.method,
        path=error.path,
        request_id=error.request_id,
        remedy="Try `git ls-remote` with the same URL and credentials. Credentials go into a "
        "service endpoint, never into the URL.",
    )
