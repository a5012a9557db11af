"""Which api-version each resource speaks on each server release, and where endpoints live.

Source: azure-devops-import.md section 1 (table from the published swagger of each release) and
section 5. Rows marked "assumed" are not in that table and follow the release's own number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import UsageError

__all__ = [
    "PREVIEW_REFUSED",
    "SERVER_VERSIONS",
    "EndpointStyle",
    "Resource",
    "api_version",
    "endpoint_style",
    "preview_of",
]

SERVER_VERSIONS = ("3.0", "4.1", "5.0", "6.0", "7.0", "7.1", "7.2")
"""Server releases: TFS 2017, TFS 2018, Server 2019, 2020, 2022, Services, Services preview."""

_BETWEEN: Mapping[str, str] = {"4.0": "3.0", "5.1": "5.0", "5.2": "5.0", "6.1": "6.0"}
"""Releases without a column in section 1; each still speaks the versions of the one before it.

Assumed: servers keep answering the API versions of earlier releases.
"""

PREVIEW_REFUSED = "VssInvalidPreviewVersionException"
"""typeKey of the 400 for a resource that is still preview on that server (section 1, field)."""


class Resource(StrEnum):
    """The resources that carry their own api-version."""

    IMPORTS = "importRequests"
    REPOSITORIES = "repositories"
    REFS = "refs"
    PROJECTS = "projects"
    ENDPOINTS = "serviceendpoint"
    ITEMS = "items"
    PUSHES = "pushes"


_EXCEPTIONS: Mapping[tuple[str, Resource], str] = {
    ("3.0", Resource.IMPORTS): "3.0-preview",
    ("3.0", Resource.REPOSITORIES): "1.0",
    ("3.0", Resource.REFS): "1.0",
    ("3.0", Resource.PROJECTS): "1.0",
    ("3.0", Resource.ENDPOINTS): "3.0-preview.1",
    ("3.0", Resource.ITEMS): "1.0",  # assumed: as refs
    ("3.0", Resource.PUSHES): "3.0",  # assumed
    ("4.1", Resource.IMPORTS): "4.1-preview.1",
    ("4.1", Resource.ENDPOINTS): "4.1-preview.1",
    ("5.0", Resource.IMPORTS): "5.0-preview.1",
    ("5.0", Resource.ENDPOINTS): "5.0-preview.2",
    ("6.0", Resource.IMPORTS): "6.0-preview.1",
    ("6.0", Resource.ENDPOINTS): "6.0-preview.4",
    ("7.2", Resource.IMPORTS): "7.2-preview.1",
    ("7.2", Resource.REPOSITORIES): "7.2-preview.2",
    ("7.2", Resource.REFS): "7.2-preview.2",
    ("7.2", Resource.PROJECTS): "7.2-preview.4",
    ("7.2", Resource.ENDPOINTS): "7.2-preview.4",
    ("7.2", Resource.ITEMS): "7.2-preview.1",  # assumed
    ("7.2", Resource.PUSHES): "7.2-preview.2",  # assumed
}


@dataclass(frozen=True, slots=True)
class EndpointStyle:
    """Where a server release keeps service endpoints.

    Attributes:
        area: path of the resource below ``_apis``.
        collection_scoped: creating and deleting happen above the project. From 6.0 on, a POST on
            the project's path is another operation, so the two must never be mixed.
        by_name: the list can be filtered by name.
    """

    area: str
    collection_scoped: bool
    by_name: bool


def api_version(server: str, resource: Resource) -> str:
    """Return the api-version of a resource on a server release.

    Raises:
        UsageError: the release is not known.
    """
    server = _BETWEEN.get(server, server)
    if server not in SERVER_VERSIONS:
        raise UsageError(
            f"unknown Azure DevOps server release {server!r}; known: {', '.join(SERVER_VERSIONS)}"
        )
    return _EXCEPTIONS.get((server, resource), server)


def preview_of(version: str) -> str:
    """Return the preview form of a version, ``6.0-preview`` for ``6.0``."""
    return f"{version.partition('-')[0]}-preview"


def endpoint_style(server: str) -> EndpointStyle:
    """Return where service endpoints live (azure-devops-import.md section 5)."""
    server = _BETWEEN.get(server, server)
    if server == "3.0":
        return EndpointStyle("distributedtask/serviceendpoints", False, False)
    if server in {"4.1", "5.0"}:
        return EndpointStyle("serviceendpoint/endpoints", False, True)
    return EndpointStyle("serviceendpoint/endpoints", True, True)
