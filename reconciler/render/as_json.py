"""JSON for machines: the plan as it is, drift and findings cut from the same data.

The models here are the documented form of what ``drift`` and ``validate`` print; their schemas are
generated from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from reconciler.diagnostics import Diagnostic
from reconciler.jsontext import json_text
from reconciler.plan.plan import (
    DriftEntry,
    HeldEntry,
    IgnoredEntry,
    Plan,
    PlanDiagnostic,
    UnknownEntry,
)
from reconciler.render.view import differences, drift_counts, errors_in

__all__ = [
    "DriftReport",
    "DriftSpec",
    "DriftSummary",
    "FindingEntry",
    "FindingsReport",
    "drift_json",
    "drift_summary",
    "findings_json",
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class DriftSpec(_Model):
    """The spec that live was compared with."""

    name: str
    digest: str
    files: tuple[str, ...]


class DriftSummary(_Model):
    """Counts of what was found.

    Attributes:
        differences: entries of ``drift``.
        planned: how many of them an apply would remove.
        by_class: numbers by class.
        unknown: resources that could not be read.
        errors: diagnostics that are no warnings.
        in_sync: everything could be read, nothing differs and nothing is wrong.
    """

    differences: int
    planned: int
    by_class: dict[str, int]
    unknown: int
    errors: int
    in_sync: bool


class DriftReport(_Model):
    """What ``drift --format json`` prints.

    Attributes:
        format_version: a new minor version only adds members.
        reconciler_version: the tool that wrote it.
        created_at: when the live state was read, UTC.
        drift: every difference between spec and live, held deployments included.
        held: deployments that wait for ``--target``.
        ignored: what the spec's ``ignore`` rules leave alone; no differences.
        unknown: addresses that could not be read.
        unreadable: the same, with the reasons.
        diagnostics: findings of the comparison.
        complete: nothing was unknown.
    """

    format_version: str
    reconciler_version: str
    created_at: str
    spec: DriftSpec
    drift: tuple[DriftEntry, ...]
    held: tuple[HeldEntry, ...]
    ignored: tuple[IgnoredEntry, ...]
    unknown: tuple[str, ...]
    unreadable: tuple[UnknownEntry, ...]
    diagnostics: tuple[PlanDiagnostic, ...]
    complete: bool
    summary: DriftSummary


class FindingEntry(_Model):
    """One finding; a place that is not known is left out.

    Attributes:
        severity: an error makes the spec invalid, a warning does not.
        code: stable name of the kind of finding.
        summary: what is wrong, in one sentence.
        detail: why it matters and what to do; may be empty.
        address: the resource it is about.
        path: the place in the spec, such as ``workspaces[0].git.branch``.
        file: the file it is in.
        line: from 1.
        column: from 1.
    """

    severity: Literal["error", "warning"]
    code: str
    summary: str
    detail: str
    address: str = ""
    path: str = ""
    file: str = ""
    line: int = 1
    column: int = 1


class FindingsReport(_Model):
    """What ``validate --format json`` prints, and ``plan`` and ``drift`` for an invalid spec.

    Attributes:
        valid: there is no error.
        diagnostics: all findings, in the order of the files.
    """

    valid: bool
    diagnostics: tuple[FindingEntry, ...]


def drift_summary(plan: Plan) -> DriftSummary:
    """Count what differs; ``in_sync`` only when everything was read and nothing is wrong."""
    found, errors = differences(plan), errors_in(plan)
    return DriftSummary(
        differences=len(found),
        planned=sum(d.planned for d in found),
        by_class=drift_counts(plan),
        unknown=len(plan.unknown),
        errors=errors,
        in_sync=not (found or plan.unknown or errors),
    )


def drift_json(plan: Plan) -> str:
    """Return what differs as a :class:`DriftReport`."""
    report = DriftReport(
        format_version=plan.format_version,
        reconciler_version=plan.reconciler_version,
        created_at=plan.created_at,
        spec=DriftSpec(name=plan.spec.name, digest=plan.spec.digest, files=plan.spec.files),
        drift=differences(plan),
        held=plan.held,
        ignored=plan.ignored,
        unknown=plan.unknown,
        unreadable=plan.unreadable,
        diagnostics=plan.diagnostics,
        complete=plan.complete,
        summary=drift_summary(plan),
    )
    return _dump(report.model_dump(mode="json", by_alias=True))


def findings_json(found: Iterable[Diagnostic | PlanDiagnostic]) -> str:
    """Return findings as a :class:`FindingsReport`; warnings leave a spec valid."""
    entries = tuple(_finding_entry(d) for d in found)
    valid = all(entry.severity == "warning" for entry in entries)
    report = FindingsReport(valid=valid, diagnostics=entries)
    return _dump(report.model_dump(mode="json", exclude_unset=True))


def _finding_entry(found: Diagnostic | PlanDiagnostic) -> FindingEntry:
    if isinstance(found, Diagnostic):
        return FindingEntry.model_validate(found.to_json())
    # A newer minor version may know more severities; what is no warning must stop a reader.
    severity = "warning" if found.severity == "warning" else "error"
    data = {**found.model_dump(exclude_none=True), "severity": severity}
    return FindingEntry.model_validate(data)


def _dump(data: Mapping[str, Any]) -> str:
    return json_text(data) + "\n"
