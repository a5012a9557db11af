"""Classify a repository of the spec against what Azure Repos holds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.diff.changes import FieldDiff
from reconciler.diff.normalise import same_source
from reconciler.live.models import LiveImport, LiveRepository
from reconciler.spec.models import RepositorySpec

__all__ = ["ImportState", "RepositoryDiff", "diff_repository"]


class ImportState(StrEnum):
    """How the import of the spec stands. ``SETTLED`` covers imported and adopted alike."""

    NOT_WANTED = "not_wanted"
    SETTLED = "settled"
    NEEDED = "needed"
    RUNNING = "running"
    RUNNING_OTHER = "running_other"
    FAILED = "failed"
    FAILED_OTHER = "failed_other"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class RepositoryDiff:
    """What differs. ``request`` is the import request the state speaks of, if any."""

    missing: bool
    import_state: ImportState
    request: LiveImport | None = None
    default_branch: FieldDiff | None = None


_ACTIVE = frozenset({"queued", "inprogress"})


def diff_repository(spec: RepositorySpec, live: LiveRepository) -> RepositoryDiff:
    """Compare a repository with its live state.

    Source: azure-devops-import.md section 3, "Has it been imported, from where, at what commit?"
    """
    state, request = _import_state(spec, live)
    wanted = spec.default_branch
    branch = None
    if wanted and live.id and not live.empty and wanted != live.default_branch:
        branch = FieldDiff("defaultBranch", live.default_branch, wanted)
    return RepositoryDiff(live.id is None, state, request, branch)


def _import_state(
    spec: RepositorySpec, live: LiveRepository
) -> tuple[ImportState, LiveImport | None]:
    wanted = spec.import_
    if wanted is None:
        return ImportState.NOT_WANTED, None
    newest_first = sorted(live.imports, key=lambda r: r.id, reverse=True)
    for request in newest_first:
        same = same_source(request.source_url, wanted.url)
        if request.status in _ACTIVE:
            return (ImportState.RUNNING if same else ImportState.RUNNING_OTHER), request
        if request.status == "failed" and live.empty:
            return (ImportState.FAILED if same else ImportState.FAILED_OTHER), request
    if live.empty:
        return ImportState.NEEDED, None
    for request in newest_first:
        if request.status == "completed" and same_source(request.source_url, wanted.url):
            return ImportState.SETTLED, request
    return (ImportState.SETTLED if wanted.adopt else ImportState.FOREIGN), None
