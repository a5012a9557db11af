"""The ``api-version`` rules: where a version is given, and which resources want ``-preview``.

Source: azure-devops-import.md section 1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.emulator.http import Call

__all__ = ["Resource", "VersionProblem", "check_version", "requested_version", "version_number"]

_VERSION = re.compile(r"(\d+)\.(\d+)(?:-preview(?:\.(\d+))?)?")
_OLDEST, _NEWEST = (1, 0), (7, 2)
# The newest release of the service itself is still under preview for every resource.
_UNRELEASED = (7, 2)
_BODY_METHODS = frozenset({"POST", "PATCH", "PUT"})

Resource = str
# Release from which a resource no longer needs -preview; before it, every version does.
_RELEASED_FROM: dict[Resource, tuple[int, int]] = {
    "importRequests": (7, 0),
    "recycleBin": (7, 0),
    "endpoints": (7, 0),
}
_FIRST: dict[Resource, tuple[int, int]] = {
    "importRequests": (3, 0),
    "recycleBin": (4, 1),
    "endpoints": (3, 0),
}


class VersionProblem(Exception):
    """A request whose version the service refuses with 400.

    Attributes:
        type_key: What the client branches on.
    """

    def __init__(self, type_key: str, message: str) -> None:
        super().__init__(message)
        self.type_key = type_key


def _text(call: Call) -> str | None:
    given = call.query.get("api-version")
    if given:
        return given.strip()
    found = re.search(r"api-version=([^;,\s]+)", call.headers.get("Accept", ""), re.IGNORECASE)
    return found[1] if found else None


def requested_version(call: Call) -> str | None:
    """Return the version as the Content-Type echoes it, None if none (or none usable) is given.

    A preview is echoed with its revision: ``5.0-preview`` becomes ``5.0-preview.1``.
    """
    text = _text(call)
    if text is None or _VERSION.fullmatch(text) is None:
        return None
    return f"{text}.1" if text.endswith("-preview") else text


def version_number(call: Call) -> tuple[int, int]:
    """Return the requested release, the newest released one if none is given."""
    found = _VERSION.fullmatch(_text(call) or "")
    return (int(found[1]), int(found[2])) if found else (7, 1)


def check_version(call: Call, resource: Resource) -> None:
    """Refuse what the service refuses.

    Raises:
        VersionProblem: VssInvalidPreviewVersionException where ``-preview`` is missing [section 1,
            third-party probe]; VssVersionNotSpecifiedException for a write without a version
            [general knowledge]; VssVersionOutOfRangeException otherwise [assumed].
    """
    text = _text(call)
    if text is None:
        if call.method in _BODY_METHODS:
            raise VersionProblem(
                "VssVersionNotSpecifiedException",
                f"No api-version was supplied for the {call.method} request. The version must be "
                "supplied either as part of the Accept header (e.g. "
                '"application/json; api-version=1.0") or as a query parameter '
                '(e.g. "?api-version=1.0").',
            )
        return
    found = _VERSION.fullmatch(text)
    release = (int(found[1]), int(found[2])) if found else (0, 0)
    if not _FIRST.get(resource, _OLDEST) <= release <= _NEWEST:
        raise VersionProblem(
            "VssVersionOutOfRangeException",
            f'The requested REST API version of "{text}" is out of range for this server.',
        )
    released = _RELEASED_FROM.get(resource, _OLDEST) <= release < _UNRELEASED
    if not released and "-preview" not in text:
        raise VersionProblem(
            "VssInvalidPreviewVersionException",
            f'The requested version "{text}" of the resource is under preview. The -preview flag '
            f'must be supplied in the api-version for such requests. For example: "{text}-preview"',
        )
