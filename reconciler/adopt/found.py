"""What ``adopt`` was asked for, and what it found: plain values, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.live.models import (
    LiveBinding,
    LiveCapacity,
    LiveConnection,
    LivePipeline,
    LiveRepository,
    LiveRole,
    LiveStageItem,
)
from reconciler.live.scope import name_matches
from reconciler.spec.models import AzureDevOps

__all__ = [
    "Found",
    "FoundPipeline",
    "FoundRepository",
    "FoundWorkspace",
    "NotRead",
    "Selection",
    "pick",
]


@dataclass(frozen=True, slots=True)
class Selection:
    """What to adopt: names, ids, or patterns with ``*`` and ``?``; None selects everything.

    Attributes:
        repositories: ``project/name``, each side a pattern.
        azure_devops: where the repositories are; None takes the one organization that the adopted
            workspaces are bound to.
    """

    workspaces: tuple[str | None, ...] = ()
    pipelines: tuple[str | None, ...] = ()
    repositories: tuple[tuple[str | None, str | None], ...] = ()
    azure_devops: AzureDevOps | None = None


@dataclass(frozen=True, slots=True)
class NotRead:
    """A read that failed or was forbidden, in words: it is unknown, not absent."""

    what: str
    message: str

    def text(self) -> str:
        """Say it in one sentence."""
        return f"Not read: {self.what}: {self.message}"


@dataclass(frozen=True, slots=True)
class FoundWorkspace:
    """A workspace; ``binding`` None has no Git connection."""

    id: str
    name: str
    kind: str
    description: str
    capacity_id: str | None
    roles: tuple[LiveRole, ...] | NotRead = ()
    binding: LiveBinding | NotRead | None = None


@dataclass(frozen=True, slots=True)
class FoundPipeline:
    """A pipeline; ``items`` is keyed by stage id and holds the occupied stages."""

    id: str
    name: str
    live: LivePipeline | NotRead
    roles: tuple[LiveRole, ...] | NotRead = ()
    items: Mapping[str, tuple[LiveStageItem, ...] | NotRead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """A repository with its imports; ``live.empty`` is only known where one was completed."""

    project: str
    live: LiveRepository
    imports: NotRead | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that was read.

    Attributes:
        visible: names of all visible workspaces by id, lower case.
        pipeline_names: of all visible pipelines; a name may stand there twice.
        capacities, connections: None where nothing refers to one.
        unmet: what was asked for and is not there or could not be listed, a sentence each.
    """

    azure_devops: AzureDevOps | None = None
    workspaces: tuple[FoundWorkspace, ...] = ()
    pipelines: tuple[FoundPipeline, ...] = ()
    repositories: tuple[FoundRepository, ...] = ()
    visible: Mapping[str, str] = field(default_factory=dict)
    pipeline_names: tuple[str, ...] = ()
    capacities: tuple[LiveCapacity, ...] | NotRead | None = None
    connections: tuple[LiveConnection, ...] | NotRead | None = None
    unmet: tuple[str, ...] = ()

    def failures(self) -> list[str]:
        """Return everything that is missing from the spec because it was not there to read."""
        parts: list[object] = [self.capacities, self.connections]
        for workspace in self.workspaces:
            parts += [workspace.roles, workspace.binding]
        for pipeline in self.pipelines:
            parts += [pipeline.live, pipeline.roles, *pipeline.items.values()]
        parts += [r.imports for r in self.repositories]
        return [*self.unmet, *(p.text() for p in parts if isinstance(p, NotRead))]


def pick(wanted: str | None, things: Sequence[tuple[str, str]]) -> list[int]:
    """Return which of ``things`` (id, name) a selector means, by their positions.

    Something that is called exactly so wins over the pattern: a name may hold a ``*``.
    """
    if wanted is None:
        return list(range(len(things)))
    exact = [n for n, (id_, name) in enumerate(things) if wanted in (id_, name)]
    if exact:
        return exact
    lower = wanted.lower()
    return [
        n
        for n, (id_, name) in enumerate(things)
        if id_.lower() == lower or name_matches(name, wanted)
    ]
