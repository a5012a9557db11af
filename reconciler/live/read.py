"""Read everything one plan needs, concurrently, each thing once.

How many calls are on their way at once, and when each may go, is the transport's to decide. Lists
come before single gets, and what a page of a list brings is looked at while the next page is on its
way. A read that fails marks its address as unreadable and leaves the rest alone; being signed out
of Fabric stops everything, since every further answer would be the same.

Requests: one list each for workspaces, and for capacities, connections and pipelines where the
spec speaks of them; per binding one connection, one status, one for credentials where managed,
one for relations with ``--beta``;
per pipeline one, one per stage that deploys, one for operations, one for roles where managed;
for deployments what :mod:`reconciler.live.comparisons` reads; two per workspace that loses items;
per project one list, per repository up to three.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.fabric.models import Pipeline, Workspace
from reconciler.clients.services import Services
from reconciler.errors import AuthFailed, ClientError
from reconciler.ids import Address, address
from reconciler.live.comparisons import read_comparisons, read_items_of
from reconciler.live.found import Found
from reconciler.live.git import Discovered, discover, read_binding, read_content, read_relations
from reconciler.live.lists import list_capacities, list_connections, list_regions
from reconciler.live.models import (
    ChangeType,
    ConnectionState,
    GitTarget,
    LiveBinding,
    LiveRole,
    LiveStatus,
    LiveWorkspace,
    Snapshot,
)
from reconciler.live.once import Once
from reconciler.live.patience import Patience
from reconciler.live.pipelines import read_pipeline, to_role
from reconciler.live.places import devops_root, devops_version, organization_root, target_of
from reconciler.live.repositories import read_repositories
from reconciler.spec.models import Estate, GitSpec, PipelineSpec, WorkspaceSpec
from reconciler.spec.resolve import (
    deployment_workspaces,
    git_address,
    pipeline_address,
    workspace_address,
)

__all__ = ["read_estate"]


class _Listed(Protocol):
    """What a list brings."""

    @property
    def id(self) -> str: ...
    @property
    def display_name(self) -> str: ...


class _Declared(Protocol):
    """What a spec declares by name or by id."""

    @property
    def id(self) -> str | None: ...
    @property
    def name(self) -> str | None: ...


L = TypeVar("L", bound=_Listed)
D = TypeVar("D", bound=_Declared)


async def read_estate(
    estate: Estate,
    services: Services,
    *,
    reads: int = 16,
    patience: Patience | None = None,
    beta: bool = False,
    admin: Callable[[str], None] | None = None,
    once: Once | None = None,
) -> Snapshot:
    """Read the live side of a spec.

    Args:
        reads: the most requests on their way at once, which the transport sees to.
        patience: wait out running updates and deployments, as an apply must.
        beta: read through preview APIs too.
        admin: use the list of all bindings, which is for administrators; is told in a sentence
            when the caller may not.
        once: what the same run has read already.

    Raises:
        AuthFailed: the caller is not signed in to Fabric; sign in and try again.
        UsageError: a service URL cannot be used.
    """
    found = Found(once or Once())
    await _Reader(estate, services, found, patience, beta=beta, admin=admin).run()
    await asyncio.gather(
        read_comparisons(estate, services.fabric, found, reads=reads, beta=beta),
        list_regions(estate, services.fabric, found),
    )
    listed = found.listed_workspaces
    return Snapshot(
        read_at=services.clock.now(),
        caller=services.caller,
        caller_is_app=services.caller_is_app,
        capacities=found.capacities,
        connections=found.connections,
        visible_workspaces={w.display_name: w.id for w in reversed(listed)},
        without_capacity=frozenset(w.id for w in listed if w.capacity_id is None),
        capacity_ids={w.id: w.capacity_id for w in listed if w.capacity_id},
        workspaces=found.workspaces,
        bindings=found.bindings,
        repositories=found.repositories,
        pipelines=found.pipelines,
        definitions=found.definitions,
        source_bindings=found.source_bindings,
        unreadable=found.unreadable,
        requests=dict(services.requests),
    )


def _may_lose(git: GitSpec, status: LiveStatus | None) -> bool:
    """Tell whether a sync takes items away or overwrites them: policies ask how many of all."""
    if status is None or git.sync.direction not in ("update", "both"):
        return False
    overwrites = git.sync.conflicts == "PreferRemote" or git.sync.drift == "resync"
    return any(
        c.remote is ChangeType.DELETED or (overwrites and c.workspace is not None)
        for c in status.changes
    )


class _Reader:
    """Reads workspaces with their bindings, pipelines and repositories; lives for one read."""

    def __init__(
        self,
        estate: Estate,
        services: Services,
        found: Found,
        patience: Patience | None,
        *,
        beta: bool,
        admin: Callable[[str], None] | None,
    ) -> None:
        self._estate = estate
        self._services = services
        self._fabric = services.fabric
        self._found = found
        self._patience = patience
        self._beta = beta
        self._admin = admin
        self._deploying = deployment_workspaces(estate)
        azure_devops = estate.azure_devops
        self._listed_projects: set[tuple[AzdoClient, str]] = set()
        if azure_devops is not None:
            azdo = services.azdo(devops_root(azure_devops), azure_devops.api_version)
            self._listed_projects = {
                (azdo, r.project.casefold()) for r in azure_devops.repositories
            }

    async def run(self) -> None:
        """Read all parts; each list is followed by what it brings, page by page."""
        azure_devops = self._estate.azure_devops
        parts = [
            self._read_workspaces(),
            self._read_pipelines(),
            list_capacities(self._estate, self._fabric, self._found),
            list_connections(self._estate, self._fabric, self._found),
        ]
        if azure_devops is not None and azure_devops.repositories:
            parts.append(read_repositories(azure_devops, self._services, self._found))
        await asyncio.gather(*parts)

    async def _read_workspaces(self) -> None:
        specs = self._estate.workspaces
        if not (specs or self._estate.pipelines):
            return
        listed = await self._follow(
            address("workspaces"),
            "list workspaces",
            self._fabric.workspaces.pages,
            specs,
            read=self._read_workspace,
            absent=lambda spec: self._read_first_content(spec, None),
        )
        if listed is None:
            # A list that broke off tells nothing for certain: what it brought counts for nothing.
            self._found.workspaces.clear()
            self._found.bindings.clear()
        else:
            self._found.listed_workspaces = listed

    async def _read_pipelines(self) -> None:
        if self._estate.pipelines:
            await self._follow(
                address("pipelines"),
                "list pipelines",
                self._fabric.pipelines.pages,
                self._estate.pipelines,
                read=self._read_pipeline,
            )

    async def _follow(
        self,
        where: Address,
        what: str,
        pages: Callable[[], AsyncIterator[list[L]]],
        specs: Sequence[D],
        *,
        read: Callable[[D, L], Coroutine[Any, Any, None]],
        absent: Callable[[D], Coroutine[Any, Any, None]] | None = None,
    ) -> list[L] | None:
        """List, and read what the spec declares as soon as a page brings it.

        Args:
            absent: reads for what no page brought.

        Returns:
            All that was listed; None, with its address marked, if that was not read to its end.
        """
        wanted = _Wanted(specs)
        tasks: list[asyncio.Task[None]] = []
        streamed = False

        def take(page: Sequence[L]) -> None:
            for entry in page:
                tasks.extend(asyncio.ensure_future(read(s, entry)) for s in wanted.take(entry))

        async def listing() -> list[L]:
            nonlocal streamed
            streamed = True
            listed: list[L] = []
            async for page in pages():
                take(page)
                listed += page
            return listed

        try:
            listed = await self._found.attempt(where, what, listing)
            if listed is None:
                return None
            if not streamed:  # the run has read this list before
                take(listed)
            if absent is not None:
                tasks.extend(asyncio.ensure_future(absent(spec)) for spec in wanted.left())
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return listed

    # -- workspaces and bindings --

    async def _read_workspace(self, spec: WorkspaceSpec, listed: Workspace) -> None:
        where = workspace_address(spec)
        roles: tuple[LiveRole, ...] | None = None
        if spec.roles:
            found = await self._found.attempt(
                Address(f"{where}/roles"),
                "list role assignments",
                lambda: self._fabric.workspaces.list_role_assignments(listed.id),
            )
            roles = None if found is None else tuple(map(to_role, found))
        self._found.workspaces[where] = LiveWorkspace(
            id=listed.id,
            name=listed.display_name,
            description=listed.description,
            capacity_id=listed.capacity_id,
            roles=roles,
        )
        if spec.state == "absent":
            await read_items_of(self._fabric, self._found, where, listed.id)
        else:
            await self._read_git(spec, where, listed.id)

    async def _read_git(self, spec: WorkspaceSpec, where: Address, workspace_id: str) -> None:
        git = spec.git
        if git is None:
            return
        at = git_address(spec)
        target = target_of(git)
        discovered = await self._discovered_of(spec, workspace_id)
        binding = await self._found.attempt(
            at,
            "read git binding",
            lambda: read_binding(
                self._fabric,
                workspace_id,
                credentials=git.credentials is not None or git.sync.drift == "resync",
                status=git.credentials != "none",
                expected=target,
                patience=self._patience,
                discovered=discovered,
            ),
            how=discovered,
        )
        if binding is None:
            return
        binding = await self._with_relations(git, at, workspace_id, binding)
        self._found.bindings[at] = binding
        settled = (
            binding.state is ConnectionState.INITIALIZED
            and binding.target is not None
            and binding.target.key() == target.key()
        )
        if git.state == "absent" or (settled and not binding.partial):
            if git.state == "present" and _may_lose(git, binding.status):
                await read_items_of(self._fabric, self._found, where, workspace_id)
            return
        await asyncio.gather(
            self._read_first_content(spec, binding),
            read_items_of(self._fabric, self._found, where, workspace_id),
        )

    async def _with_relations(
        self, git: GitSpec, at: Address, workspace_id: str, binding: LiveBinding
    ) -> LiveBinding:
        """Add the relations, where they are wanted or a resync would have to restore them."""
        wanted = git.relation is not None or git.sync.drift == "resync"
        if not (self._beta and wanted and binding.target is not None) or git.state == "absent":
            return binding
        found = await self._found.attempt(
            Address(f"{at}/relation"),
            "list workspace relations",
            lambda: read_relations(self._fabric, workspace_id),
        )
        return replace(binding, relations=found)

    async def _discovered_of(self, spec: WorkspaceSpec, workspace_id: str) -> Discovered | None:
        """Return what the list of all bindings says of a workspace, where it says enough.

        It does not say when a workspace was synced, which deployments may have to know.
        """
        if self._admin is None:
            return None
        told = self._admin
        listed = await self._found.once.read("bindings", lambda: self._discover(told))
        if listed is None or self._deploying is None or {spec.name, spec.id} & self._deploying:
            return None
        return Discovered(listed.get(workspace_id.lower()))

    async def _discover(self, tell: Callable[[str], None]) -> Mapping[str, GitTarget] | None:
        """List all bindings of the tenant at once; None where this caller may not."""
        try:
            return await discover(self._fabric)
        except AuthFailed:
            raise
        except ClientError as error:
            tell(
                "Every binding is read by itself, since the list of all for administrators "
                f"cannot be read: {error.message}"
            )
            return None

    async def _read_first_content(self, spec: WorkspaceSpec, binding: LiveBinding | None) -> None:
        """Look at the branch a binding is to be made to, where the caller can."""
        git = spec.git
        if git is None or git.provider != "AzureDevOps" or git.state == "absent":
            return
        if not git.organization:
            return
        target = target_of(git)
        azdo = self._services.azdo(
            organization_root(git.organization),
            devops_version(self._estate.azure_devops, git.organization),
        )
        at = git_address(spec)
        content = await read_content(
            azdo,
            target,
            source=git.create_branch_from,
            once=self._found.once,
            listed=(azdo, target.project.casefold()) in self._listed_projects,
        )
        base = binding or LiveBinding(state=ConnectionState.NOT_CONNECTED)
        self._found.bindings[at] = replace(base, content=content)

    # -- pipelines --

    async def _read_pipeline(self, spec: PipelineSpec, listed: Pipeline) -> None:
        where = pipeline_address(spec)
        names = [s.name for s in spec.stages]
        orders = {
            names.index(name) for d in spec.deployments for name in (d.from_, d.to) if name in names
        }
        live = await self._found.attempt(
            where,
            "read pipeline",
            lambda: read_pipeline(
                self._fabric,
                listed.id,
                item_orders=orders,
                roles=bool(spec.roles),
                operations=bool(spec.deployments),
                patience=self._patience,
            ),
        )
        if live is not None:
            self._found.pipelines[where] = live


class _Wanted(Generic[D]):
    """What a spec declares and no page has brought yet, by id or by name."""

    def __init__(self, specs: Sequence[D]) -> None:
        self._by_id: dict[str, list[D]] = {}
        self._by_name: dict[str, list[D]] = {}
        for spec in specs:
            place = self._by_name if spec.id is None else self._by_id
            key = (spec.name or "") if spec.id is None else spec.id.lower()
            place.setdefault(key, []).append(spec)

    def take(self, entry: _Listed) -> list[D]:
        """Return the specs that mean this entry; each is meant by the first that fits."""
        return [
            *self._by_id.pop(entry.id.lower(), ()),
            *self._by_name.pop(entry.display_name, ()),
        ]

    def left(self) -> list[D]:
        """Return what was not brought."""
        return [
            spec
            for place in (self._by_id, self._by_name)
            for specs in place.values()
            for spec in specs
        ]
