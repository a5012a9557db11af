"""Exchanges as JSON lines, for tests that check every answer against the official contracts.

Switched on by the environment variable ``RECONCILER_EMULATOR_RECORD`` only. Secrets never reach
the file: no request header is written, and members that may hold a credential are blanked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from reconciler.emulator.http import Call

__all__ = ["VARIABLE", "Recorder"]

VARIABLE = "RECONCILER_EMULATOR_RECORD"

_SERVICES = frozenset({"fabric", "azdo"})
_SECRET = re.compile(r"password|secret|token|apikey|^key$|assertion", re.IGNORECASE)
# Continuation tokens are no credentials, and their type is part of the contract.
_HARMLESS = frozenset({"continuationtoken"})
_BULKY = frozenset({"payload", "content"})
_USERINFO = re.compile(r"(https?://)[^/@\s]*@")
_KEPT_HEADERS = frozenset({"content-type", "location", "retry-after", "x-ms-operation-id"})


class Recorder:
    """Appends to a file, one line per exchange; several processes may share it."""

    def __init__(self, path: str) -> None:
        self._path = path

    @classmethod
    def from_environment(cls) -> Recorder | None:
        """Return a recorder if the environment asks for one."""
        path = os.environ.get(VARIABLE)
        return cls(path) if path else None

    def note(self, call: Call, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Write one exchange down; ``content`` is the answer's body before any encoding."""
        if call.service not in _SERVICES:
            return
        entry = {
            "service": call.service,
            "method": call.method,
            "route": call.route.name,
            "path": _without_userinfo(call.path),
            "version": call.query.get("api-version"),
            "agent": call.headers.get("User-Agent", ""),
            "faulty": call.fault is not None,
            "request": _parsed(call.raw),
            "status": status,
            "headers": {k.lower(): v for k, v in headers.items() if k.lower() in _KEPT_HEADERS},
            "response": _parsed(content),
        }
        line = f"{json.dumps(entry)}\n".encode()
        # One write of one line: lines of other processes come before or after it, never inside.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def _parsed(content: bytes) -> dict[str, Any]:
    """Return ``{"json": ...}``, ``{"bytes": n}`` for what is no JSON, or {} for nothing."""
    if not content:
        return {}
    try:
        return {"json": _blanked(json.loads(content))}
    except (ValueError, RecursionError):
        return {"bytes": len(content)}


def _blanked(value: object, name: str = "") -> object:
    if isinstance(value, dict):
        return {key: _blanked(item, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_blanked(item, name) for item in value]
    if not isinstance(value, str) or not value:
        return value
    if _SECRET.search(name) and name.lower() not in _HARMLESS:
        return "***"
    return "..." if name in _BULKY else _without_userinfo(value)


def _without_userinfo(text: str) -> str:
    return _USERINFO.sub(r"\1", text)
