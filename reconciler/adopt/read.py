"""Read what ``adopt`` was asked for, concurrently under a bound, each thing once.

Requests: one list each for workspaces, pipelines, capacities and connections, where something
needs them; per workspace one for roles and one for the binding, two more where it is bound
(credentials, status); per pipeline two, and one per occupied stage; per project one list, per
repository one for its imports, one more where an import was completed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from reconciler.adopt.found import (
    Found,
    FoundPipeline,
    FoundRepository,
    FoundWorkspace,
    NotRead,
    Selection,
    pick,
)
from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.azdo.models import Repository
from reconciler.clients.fabric.models import Pipeline, RoleAssignment, Workspace
from reconciler.clients.services import Services
from reconciler.errors import ApiError, AuthFailed, ClientError, OperationError, UsageError
from reconciler.live.git import is_empty, read_binding
from reconciler.live.models import (
    ConnectionState,
    LiveBinding,
    LiveCapacity,
    LiveConnection,
    LivePipeline,
    LiveRepository,
    LiveRole,
    LiveStage,
    LiveStageItem,
)
from reconciler.live.pipelines import read_pipeline, read_stage_items, to_role
from reconciler.live.places import devops_root
from reconciler.live.projects import list_repositories
from reconciler.live.repositories import read_imports
from reconciler.spec.models import AzureDevOps

__all__ = ["read_selected"]

T = TypeVar("T")

# A workspace without a capacity has no Git integration, so it is not bound either.
# Source: fabric-api.md section 6.3, field for connect; assumed for reading the connection.
_NO_CAPACITY = "WorkspaceHasNoCapacityAssigned"
_PATTERN = frozenset("*?")


async def read_selected(selection: Selection, services: Services, *, reads: int = 16) -> Found:
    """Read the live side of a selection.

    Args:
        reads: the most reads under way at once.

    Raises:
        AuthFailed: the caller is not signed in to Fabric.
        UsageError: a service URL cannot be used.
    """
    return await _Reader(selection, services, reads).run()


class _Reader:
    """Collects what one run finds."""

    def __init__(self, selection: Selection, services: Services, reads: int) -> None:
        self._selection = selection
        self._services = services
        self._fabric = services.fabric
        self._bound = asyncio.Semaphore(reads)
        self._unmet: list[str] = []

    async def run(self) -> Found:
        """Read all parts, lists first."""
        wanted = self._selection
        listed, pipelines = await asyncio.gather(self._list_workspaces(), self._list_pipelines())
        chosen = self._choose(
            wanted.workspaces, listed, lambda w: (w.id, w.display_name), "workspace"
        )
        chosen_pipelines = self._choose(
            wanted.pipelines, pipelines, lambda p: (p.id, p.display_name), "pipeline"
        )
        workspaces, found_pipelines, capacities = await asyncio.gather(
            asyncio.gather(*map(self._workspace, chosen)),
            asyncio.gather(*map(self._pipeline, chosen_pipelines)),
            self._list_capacities(chosen),
        )
        azure_devops = wanted.azure_devops or self._organization_of(workspaces)
        connections, repositories = await asyncio.gather(
            self._list_connections(workspaces), self._repositories(azure_devops)
        )
        return Found(
            azure_devops=azure_devops if wanted.repositories else None,
            workspaces=tuple(workspaces),
            pipelines=tuple(found_pipelines),
            repositories=tuple(repositories),
            visible={w.id.lower(): w.display_name for w in listed},
            pipeline_names=tuple(p.display_name for p in pipelines),
            capacities=capacities,
            connections=connections,
            unmet=tuple(self._unmet),
        )

    async def _try(
        self, what: str, read: Callable[[], Awaitable[T]], *, fabric: bool = True
    ) -> T | NotRead:
        """Run one read under the bound; being signed out of Fabric stops everything."""
        try:
            async with self._bound:
                return await read()
        except UsageError:
            raise
        except AuthFailed as e:
            if fabric:
                raise
            return NotRead(what, e.message)
        except (ClientError, OperationError) as e:
            return NotRead(what, e.message)

    def _choose(
        self,
        wanted: Iterable[str | None],
        listed: Sequence[T],
        names: Callable[[T], tuple[str, str]],
        noun: str,
    ) -> list[T]:
        """Return what the selectors mean, in the order of the names."""
        things = [names(thing) for thing in listed]
        chosen: set[int] = set()
        for selector in wanted:
            positions = pick(selector, things)
            if not positions and selector is not None:
                self._unmet.append(
                    f"The {noun} {selector} does not exist or is not visible to this caller."
                )
            chosen.update(positions)
        return [listed[n] for n in sorted(chosen, key=lambda n: (things[n][1], things[n][0]))]

    def _listed(self, found: list[T] | NotRead) -> list[T]:
        if isinstance(found, NotRead):
            self._unmet.append(found.text())
            return []
        return found

    # -- lists --

    async def _list_workspaces(self) -> list[Workspace]:
        """List the workspaces; pipelines need them too, to tell whose stages can be named."""
        if not (self._selection.workspaces or self._selection.pipelines):
            return []
        return self._listed(await self._try("the workspaces", self._fabric.workspaces.list))

    async def _list_pipelines(self) -> list[Pipeline]:
        if not self._selection.pipelines:
            return []
        return self._listed(await self._try("the pipelines", self._fabric.pipelines.list))

    async def _list_capacities(
        self, chosen: Sequence[Workspace]
    ) -> tuple[LiveCapacity, ...] | NotRead | None:
        if not any(w.capacity_id for w in chosen):
            return None
        found = await self._try("the capacities", self._fabric.capacities.list)
        if isinstance(found, NotRead):
            return found
        return tuple(LiveCapacity(c.id, c.display_name, c.sku, c.region, c.state) for c in found)

    async def _list_connections(
        self, workspaces: Sequence[FoundWorkspace]
    ) -> tuple[LiveConnection, ...] | NotRead | None:
        bindings = (w.binding for w in workspaces)
        if not any(isinstance(b, LiveBinding) and b.credential_connection_id for b in bindings):
            return None
        found = await self._try("the connections", self._fabric.connections.list)
        if isinstance(found, NotRead):
            return found
        return tuple(
            LiveConnection(
                c.id, c.display_name, c.connection_details.type, c.connection_details.path
            )
            for c in found
        )

    # -- workspaces --

    async def _workspace(self, listed: Workspace) -> FoundWorkspace:
        found = FoundWorkspace(
            id=listed.id,
            name=listed.display_name,
            kind=listed.type,
            description=listed.description,
            capacity_id=listed.capacity_id,
        )
        if listed.type not in {"", "Workspace"}:
            return found
        roles, binding = await asyncio.gather(
            self._roles(lambda: self._fabric.workspaces.list_role_assignments(listed.id)),
            self._try("the Git binding", lambda: self._read_binding(listed.id)),
        )
        return replace(found, roles=roles, binding=binding)

    async def _roles(
        self, read: Callable[[], Awaitable[list[RoleAssignment]]]
    ) -> tuple[LiveRole, ...] | NotRead:
        found = await self._try("the roles", read)
        return found if isinstance(found, NotRead) else tuple(map(to_role, found))

    async def _read_binding(self, workspace_id: str) -> LiveBinding | None:
        try:
            binding = await read_binding(self._fabric, workspace_id, credentials=True)
        except ApiError as e:
            if _NO_CAPACITY in e.codes:
                return None
            raise
        return None if binding.state is ConnectionState.NOT_CONNECTED else binding

    # -- pipelines --

    async def _pipeline(self, listed: Pipeline) -> FoundPipeline:
        live, roles = await asyncio.gather(
            self._try("the pipeline", lambda: read_pipeline(self._fabric, listed.id)),
            self._roles(lambda: self._fabric.pipelines.list_role_assignments(listed.id)),
        )
        found = FoundPipeline(listed.id, listed.display_name, live, roles)
        if not isinstance(live, LivePipeline):
            return found
        occupied = [s for s in live.stages if s.workspace_id is not None]
        items = await asyncio.gather(*(self._stage_items(listed.id, s) for s in occupied))
        return replace(found, items={s.id: i for s, i in zip(occupied, items, strict=True)})

    async def _stage_items(
        self, pipeline_id: str, stage: LiveStage
    ) -> tuple[LiveStageItem, ...] | NotRead:
        return await self._try(
            f"the items of stage {stage.name}",
            lambda: read_stage_items(self._fabric, pipeline_id, stage.id),
        )

    # -- repositories --

    def _organization_of(self, workspaces: Sequence[FoundWorkspace]) -> AzureDevOps | None:
        """Return the one organization the adopted workspaces are bound to, if there is one."""
        if not self._selection.repositories:
            return None
        names = {
            w.binding.target.organization.casefold(): w.binding.target.organization
            for w in workspaces
            if isinstance(w.binding, LiveBinding)
            and w.binding.target is not None
            and w.binding.target.organization
        }
        if len(names) == 1:
            return AzureDevOps(organization=next(iter(names.values())))
        several = ", ".join(sorted(names.values())) or "none"
        self._unmet.append(
            "The repositories are not adopted: their organization is not given, and the adopted "
            f"workspaces are bound to {several}. Name it with --organization."
        )
        return None

    async def _repositories(self, azure_devops: AzureDevOps | None) -> list[FoundRepository]:
        if azure_devops is None or not self._selection.repositories:
            return []
        azdo = self._services.azdo(devops_root(azure_devops), azure_devops.api_version)
        selected: dict[str | None, list[str | None]] = {}
        for project, name in self._selection.repositories:
            selected.setdefault(project, []).append(name)
        projects = await self._projects(azdo, selected)
        found = await asyncio.gather(*(self._project(azdo, p, n) for p, n in projects.items()))
        return [repository for project in found for repository in project]

    async def _projects(
        self, azdo: AzdoClient, selected: Mapping[str | None, list[str | None]]
    ) -> dict[str, list[str | None]]:
        """Spell out patterns of projects; without any, nothing is listed."""
        named = {p: n for p, n in selected.items() if p is not None and not _PATTERN & set(p)}
        if len(named) == len(selected):
            return named
        listed = await self._try("the projects", azdo.projects.list, fabric=False)
        projects = sorted(self._listed(listed), key=lambda p: p.name)
        out: dict[str, list[str | None]] = {}
        for wanted, names in selected.items():
            positions = pick(wanted, [(p.id, p.name) for p in projects])
            for position in positions:
                out.setdefault(projects[position].name, []).extend(names)
            if not positions and wanted is not None:
                self._unmet.append(f"No project {wanted} is visible to this caller.")
        return out

    async def _project(
        self, azdo: AzdoClient, project: str, names: Sequence[str | None]
    ) -> list[FoundRepository]:
        listed = await self._try(
            f"the repositories of {project}", lambda: list_repositories(azdo, project), fabric=False
        )
        if listed is None:
            self._unmet.append(
                f"The repositories of {project}: the project does not exist or is not visible to "
                "this caller."
            )
            return []
        folded = [n if n is None else n.casefold() for n in dict.fromkeys(names)]
        chosen = self._choose(
            folded,
            self._listed(listed),
            lambda r: (r.id, r.name.casefold()),
            f"repository of {project}",
        )
        return list(await asyncio.gather(*(self._repository(azdo, project, r) for r in chosen)))

    async def _repository(
        self, azdo: AzdoClient, project: str, listed: Repository
    ) -> FoundRepository:
        live = LiveRepository(
            project_id=listed.project.id or None,
            id=listed.id,
            name=listed.name,
            disabled=listed.is_disabled,
            default_branch=(listed.default_branch or "").removeprefix("refs/heads/") or None,
        )
        project = listed.project.name or project
        if listed.is_disabled:
            return FoundRepository(project, live)

        async def imports() -> LiveRepository:
            found = await read_imports(azdo, project, listed.id)
            empty = True
            if any(request.status == "completed" for request in found):
                empty = await is_empty(azdo, project, listed.id)
            return replace(live, imports=found, empty=empty)

        read = await self._try(f"the imports of {listed.name}", imports, fabric=False)
        if isinstance(read, NotRead):
            return FoundRepository(project, live, imports=read)
        return FoundRepository(project, read)
