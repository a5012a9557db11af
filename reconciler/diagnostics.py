"""Diagnostics: what is wrong, where, and what to do, as data.

Users' mistakes are collected and shown together. The sentence a person reads first is
``summary``; ``detail`` says why it matters and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Diagnostic", "Severity", "SourceSpan", "has_errors", "sort_diagnostics"]


class Severity(StrEnum):
    """How bad it is: an error stops, a warning is told."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class SourceSpan:
    """A place in a file; ``line`` and ``column`` count from 1."""

    file: str
    line: int | None = None
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    Attributes:
        code: stable snake_case name of the kind of finding, for machines.
        summary: one plain sentence.
        detail: why it matters and the ways out; may be empty.
        address: the resource it is about, if any.
        path: the place in the spec, such as ``workspaces[0].git.branch``, if any.
        span: the place in the file, if any.
    """

    severity: Severity
    code: str
    summary: str
    detail: str = ""
    address: str | None = None
    path: str | None = None
    span: SourceSpan | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the documented JSON form; absent places are left out."""
        out: dict[str, Any] = {
            "severity": self.severity.value,
            "code": self.code,
            "summary": self.summary,
            "detail": self.detail,
        }
        if self.address is not None:
            out["address"] = self.address
        if self.path is not None:
            out["path"] = self.path
        if self.span is not None:
            out["file"] = self.span.file
            if self.span.line is not None:
                out["line"] = self.span.line
            if self.span.column is not None:
                out["column"] = self.span.column
        return out


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Tell whether any finding is an error."""
    return any(d.severity is Severity.ERROR for d in diagnostics)


def sort_diagnostics(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Order findings by place (file, line, column), then address and code; drop exact repeats."""
    return sorted(
        set(diagnostics),
        key=lambda d: (
            d.span.file if d.span else "",
            (d.span.line or 0) if d.span else 0,
            (d.span.column or 0) if d.span else 0,
            d.address or "",
            d.code,
            d.summary,
        ),
    )
