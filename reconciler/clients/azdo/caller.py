"""How every Azure DevOps call is made: below the organization or collection, with api-version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.clients.azdo.versions import (
    PREVIEW_REFUSED,
    Resource,
    api_version,
    preview_of,
)
from reconciler.clients.http import Response, Transport, quote_segment
from reconciler.clients.paging import collect_by_header
from reconciler.errors import ApiError

__all__ = ["Caller", "apis", "repository_path"]


class Caller:
    """Adds the root and the api-version; falls back to preview once where a server asks for it.

    Args:
        transport: carries the calls.
        root: ``/contoso`` or ``/tfs/DefaultCollection``, quoted; empty if the base URL has it.
        server_version: the server release, see ``versions``.
    """

    def __init__(self, transport: Transport, *, root: str, server_version: str) -> None:
        stripped = root.strip("/")
        self.transport = transport
        self.server_version = server_version
        self._root = f"/{stripped}" if stripped else ""
        self._versions = {resource: api_version(server_version, resource) for resource in Resource}

    async def call(
        self,
        api: str,
        resource: Resource,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int | bool] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
        raw: bool = False,
    ) -> Response:
        """Make one call; ``path`` starts below the root."""

        async def send() -> Response:
            return await self.transport.request(
                api,
                method,
                self._root + path,
                params=self._with_version(resource, params),
                json=json,
                headers=headers,
                deadline_s=deadline_s,
                raw=raw,
            )

        try:
            return await send()
        except ApiError as error:
            if not self._use_preview(resource, error):
                raise
            return await send()

    async def collect(
        self,
        api: str,
        resource: Resource,
        path: str,
        *,
        params: Mapping[str, str | int | bool] | None = None,
        at_most: int | None = None,
    ) -> list[dict[str, Any]]:
        """Read every page of a list; ``path`` starts below the root."""

        async def read() -> list[dict[str, Any]]:
            return await collect_by_header(
                self.transport,
                api,
                self._root + path,
                params=self._with_version(resource, params),
                at_most=at_most,
            )

        try:
            return await read()
        except ApiError as error:
            if not self._use_preview(resource, error):
                raise
            return await read()

    def _with_version(
        self, resource: Resource, params: Mapping[str, str | int | bool] | None
    ) -> dict[str, str | int | bool]:
        return {**(params or {}), "api-version": self._versions[resource]}

    def _use_preview(self, resource: Resource, error: ApiError) -> bool:
        """Remember that a resource is preview here; the refused call was not carried out."""
        if PREVIEW_REFUSED not in error.codes:
            return False
        preview = preview_of(self._versions[resource])
        if self._versions[resource] == preview:
            return False
        self._versions[resource] = preview
        return True


def apis(project: str | None, rest: str) -> str:
    """Build ``/{project}/_apis/{rest}``, or the same above projects; the name is quoted here."""
    return f"/_apis/{rest}" if project is None else f"/{quote_segment(project)}/_apis/{rest}"


def repository_path(project: str, repository: str, rest: str = "") -> str:
    """Build the path of a repository, by name or id."""
    return apis(project, f"git/repositories/{quote_segment(repository)}{rest}")
