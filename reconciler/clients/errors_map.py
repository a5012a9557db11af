"""From an error answer to the exception that says what it means.

Branches on status and code, never on message text: texts are localised. Whatever the service
wrote is cleaned and bounded before it enters a message; what was sent never does.
Source: fabric-api.md section 3, azure-devops-import.md section 8.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import unquote_plus

from reconciler.clients.secrets import Secrets
from reconciler.clients.text import clean
from reconciler.errors import (
    ApiError,
    AuthFailed,
    Conflict,
    Forbidden,
    NotFound,
    ServiceUnavailable,
    Throttled,
)

__all__ = ["EMPTY_ANSWER", "Service", "decode_json", "error_from", "is_empty_answer"]

EMPTY_ANSWER = "the answer has no body"

_HALF = re.compile(r"\\u[dD][89a-fA-F]")

_SIGN_IN = {
    "fabric": "Check RECONCILER_FABRIC_TOKEN or the --auth credential: the token must be valid, "
    "not expired, and made for the Fabric API.",
    "azdo": "Check RECONCILER_DEVOPS_TOKEN, AZURE_DEVOPS_EXT_PAT or SYSTEM_ACCESSTOKEN: the token "
    "must be valid, not expired, and its identity a member of the organization.",
}
_FORBIDDEN = {
    "InsufficientPrivileges": "Give the caller the role this call needs.",
    "InsufficientScopes": "Use a token that carries the scope this call needs.",
    "FeatureNotAvailable": "A Fabric administrator has to allow this feature for the caller "
    "(tenant setting).",
    "TenantSwitchDisabled": "A Fabric administrator has to turn on the tenant setting for this.",
    "GitNeedsPermissionException": "Give the caller that Git permission on the repository.",
}
_CLASSES: Mapping[int, type[ApiError]] = {
    401: AuthFailed,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: Throttled,
}


class Service(StrEnum):
    """The two services; they differ in error bodies and in how they throttle."""

    FABRIC = "fabric"
    AZURE_DEVOPS = "azdo"


@dataclass(frozen=True, slots=True)
class _Told:
    """What an error body says."""

    code: str = ""
    text: str = ""
    nested: tuple[tuple[str, str], ...] = ()
    request_id: str = ""
    is_retriable: bool | None = None
    codes: tuple[str, ...] = field(default=())


def error_from(
    service: Service,
    *,
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    retry_after_s: float | None = None,
    secrets: Iterable[Secrets] = (),
) -> ApiError:
    """Build the exception for an error answer (any status of 400 or more)."""
    # First of all, so that no member is read, cut or decoded with a secret in it.
    told = _masked(service, headers, content, tuple(secrets))
    told_text = "; ".join(
        ": ".join(part for part in pair if part) for pair in ((told.code, told.text), *told.nested)
    )
    request_id = clean(told.request_id, limit=100)
    message = f"{method} {clean(path, limit=300)}: {status} {clean(told_text) or EMPTY_ANSWER}"
    kind = _CLASSES.get(status, ServiceUnavailable if status >= 500 else ApiError)
    return kind(
        f"{message} (request id {request_id})" if request_id else message,
        status=status,
        code=told.code,
        codes=told.codes,
        request_id=request_id,
        method=method,
        path=path,
        is_retriable=told.is_retriable,
        retry_after_s=retry_after_s,
        remedy=_remedy(service, status, told),
    )


def is_empty_answer(error: ApiError) -> bool:
    """Tell whether the service gave no reason at all."""
    return not error.code and EMPTY_ANSWER in error.message


def decode_json(content: bytes) -> object:
    """Parse JSON that may carry a byte order mark; None for an empty body.

    Raises:
        ValueError: it is not JSON.
    """
    text = content.decode("utf-8-sig")
    try:
        value = json.loads(text) if text.strip() else None
        if _HALF.search(text):
            # Half a character can be written as an escape, and then in no file, URL or terminal.
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


def _masked(
    service: Service, headers: Mapping[str, str], content: bytes, secrets: tuple[Secrets, ...]
) -> _Told:
    """Read an error twice masked: as it was sent, and again where an escape hid a secret."""

    def mask(text: str) -> str:
        for known in secrets:
            text = known.masked(text)
        return text

    shown = {name.lower(): mask(value) for name, value in headers.items()}
    body = mask(content.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    told = _fabric(shown, body) if service is Service.FABRIC else _azdo(shown, body)
    return _Told(
        code=mask(told.code),
        text=mask(told.text),
        nested=tuple((mask(code), mask(text)) for code, text in told.nested),
        request_id=mask(told.request_id),
        is_retriable=told.is_retriable,
        codes=tuple(mask(code) for code in told.codes),
    )


def _remedy(service: Service, status: int, told: _Told) -> str:
    if status == 401:
        return _SIGN_IN[service.value]
    if status == 403:
        for code in (told.code, *told.codes):
            if code in _FORBIDDEN:
                return _FORBIDDEN[code]
    if status == 429:
        return "Wait, lower --parallelism, or give the run more time with --timeout."
    return ""


def _fabric(headers: Mapping[str, str], content: bytes) -> _Told:
    """Read a Fabric error; the true code may be nested (fabric-api.md section 3.3, field)."""
    header_code = clean(headers.get("x-ms-public-api-error-code", ""), limit=100)
    request_id = headers.get("requestid", "")
    body = _object(content)
    if body is None:
        return _Told(code=header_code, text=_plain(headers, content), request_id=request_id)
    details = body.get("moreDetails")
    nested = tuple(
        (_code(detail.get("errorCode")), _string(detail.get("message")))
        for detail in (details if isinstance(details, list) else [])
        if isinstance(detail, dict) and (detail.get("errorCode") or detail.get("message"))
    )
    code = _code(body.get("errorCode")) or header_code
    retriable = body.get("isRetriable")
    return _Told(
        code=code,
        text=_string(body.get("message")),
        nested=nested,
        request_id=_string(body.get("requestId")) or request_id,
        is_retriable=retriable if isinstance(retriable, bool) else None,
        codes=tuple(c for c in (header_code, *(pair[0] for pair in nested)) if c),
    )


def _azdo(headers: Mapping[str, str], content: bytes) -> _Told:
    """Read an Azure DevOps error (azure-devops-import.md section 8, recorded)."""
    request_id = headers.get("activityid") or headers.get("x-vss-e2eid") or ""
    stated = unquote_plus(headers.get("x-tfs-serviceerror", ""))
    body = _object(content)
    if body is None:
        return _Told(text=stated or _plain(headers, content), request_id=request_id)
    inner = body.get("value")
    text = _string(body.get("message")) or (
        _string(inner.get("Message") or inner.get("message")) if isinstance(inner, dict) else ""
    )
    return _Told(code=_code(body.get("typeKey")), text=text or stated, request_id=request_id)


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        body = decode_json(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _plain(headers: Mapping[str, str], content: bytes) -> str:
    """Return a text answer; a gateway's HTML page is only named, not quoted."""
    if "html" in headers.get("content-type", "").lower():
        return "an HTML page instead of JSON"
    return content[:4096].decode("utf-8-sig", errors="replace")


def _code(value: object) -> str:
    return clean(value, limit=100) if isinstance(value, str) else ""


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
