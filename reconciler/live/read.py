"""Read everything one plan needs, concurrently, each thing once.

How many calls are on their way at once, and when each may go, is the transport's to decide. Lists
come before single gets. A read that fails marks its address as unreadable and leaves the rest
alone; being signed out of Fabric stops everything, since every further answer would be the same.

Requests: one list each for workspaces, and for capacities, connections and pipelines where the
spec speaks of them; per binding one connection, one status, one for credentials where managed,
one for relations with ``--beta``;
per pipeline one, one per stage that deploys, one for operations, one for roles where managed;
per pair of items to compare two definitions (with ``--beta`` one export per workspace), and for
those that have none what :mod:`reconciler.live.evidence` reads; two per workspace that loses
items; per project one list, per repository up to three.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from reconciler.clients.azdo.models import Repository
from reconciler.clients.fabric.models import Pipeline, Workspace
from reconciler.clients.services import Services
from reconciler.errors import (
    ApiError,
    AuthFailed,
    ClientError,
    OperationError,
    ReconcilerError,
    UsageError,
)
from reconciler.ids import Address, address, split_address
from reconciler.live.definitions import read_definitions
from reconciler.live.evidence import open_history, read_source_binding, unread_sources
from reconciler.live.git import Discovered, discover, read_binding, read_content, read_relations
from reconciler.live.items import read_items
from reconciler.live.models import (
    ChangeType,
    ConnectionState,
    Definition,
    GitTarget,
    LiveBinding,
    LiveCapacity,
    LiveConnection,
    LivePipeline,
    LiveRepository,
    LiveRole,
    LiveStatus,
    LiveWorkspace,
    Snapshot,
    Unreadable,
)
from reconciler.live.patience import Patience
from reconciler.live.pipelines import read_pipeline, to_role
from reconciler.live.places import (
    devops_root,
    devops_version,
    organization_root,
    target_of,
)
from reconciler.live.repositories import read_project, read_repository
from reconciler.live.scope import StageSide, pairs_to_read, patterns_of, scope_of
from reconciler.spec.models import Estate, GitSpec, PipelineSpec, WorkspaceSpec
from reconciler.spec.resolve import (
    deployment_workspaces,
    git_address,
    pipeline_address,
    repository_address,
    workspace_address,
)

__all__ = ["read_estate"]

T = TypeVar("T")

_REMEDIES = {
    403: "give the caller the role the resource needs (workspace: contributor for status, admin "
    "to connect; pipeline: admin)",
    404: "it may exist and be hidden from this caller",
    429: "wait, or lower --parallelism",
}
_NO_REPOSITORY = "give the caller read access to the project's repositories"
# Which role it is, only the reader knows.
_ROLE_MISSING = frozenset({"InsufficientPrivileges", "InsufficientWorkspaceRole"})


async def read_estate(
    estate: Estate,
    services: Services,
    *,
    reads: int = 16,
    patience: Patience | None = None,
    beta: bool = False,
    admin: Callable[[str], None] | None = None,
) -> Snapshot:
    """Read the live side of a spec.

    Args:
        reads: the most definitions read at once; each may be an operation at the service.
        patience: wait out running updates and deployments, as an apply must.
        beta: read through preview APIs too.
        admin: use the list of all bindings, which is for administrators; is told in a sentence
            when the caller may not.

    Raises:
        AuthFailed: the caller is not signed in to Fabric; sign in and try again.
        UsageError: a service URL cannot be used.
    """
    reader = _Reader(estate, services, reads, patience, beta=beta, admin=admin)
    await reader.run()
    return Snapshot(
        read_at=services.clock.now(),
        caller=services.caller,
        caller_is_app=services.caller_is_app,
        capacities=reader.capacities,
        connections=reader.connections,
        visible_workspaces={w.display_name: w.id for w in reader.listed_workspaces},
        without_capacity=frozenset(w.id for w in reader.listed_workspaces if w.capacity_id is None),
        capacity_ids={w.id: w.capacity_id for w in reader.listed_workspaces if w.capacity_id},
        workspaces=reader.workspaces,
        bindings=reader.bindings,
        repositories=reader.repositories,
        pipelines=reader.pipelines,
        definitions=reader.definitions,
        source_bindings=reader.source_bindings,
        unreadable=reader.unreadable,
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


def _is_repository(where: Address) -> bool:
    return split_address(where)[0] == "repositories"


@dataclass(frozen=True, slots=True)
class _Compared:
    """A deployment between two filled stages, and the pairs whose definitions it compares."""

    pipeline: Address
    stages: tuple[str, str]
    source_id: str
    target_id: str
    pairs: Sequence[tuple[str, str]]


class _Reader:
    """Collects one snapshot; lives for one read."""

    def __init__(
        self,
        estate: Estate,
        services: Services,
        reads: int,
        patience: Patience | None,
        *,
        beta: bool,
        admin: Callable[[str], None] | None,
    ) -> None:
        self._estate = estate
        self._admin = admin
        self._discovered: dict[str, GitTarget] | None = None
        self._deploying = deployment_workspaces(estate)
        self._beta = beta
        self._services = services
        self._fabric = services.fabric
        self._definitions_at_once = asyncio.Semaphore(reads)
        self._patience = patience
        self.capacities: tuple[LiveCapacity, ...] | None = None
        self.connections: tuple[LiveConnection, ...] | None = None
        self.listed_workspaces: Sequence[Workspace] = ()
        self.workspaces: dict[Address, LiveWorkspace] = {}
        self.bindings: dict[Address, LiveBinding] = {}
        self.repositories: dict[Address, LiveRepository] = {}
        self.pipelines: dict[Address, LivePipeline] = {}
        self.definitions: dict[str, Definition] = {}
        self.source_bindings: dict[str, LiveBinding] = {}
        self.unreadable: dict[Address, Unreadable] = {}

    async def run(self) -> None:
        """Read all parts, lists first."""
        listed_pipelines, *_ = await asyncio.gather(
            self._list_pipelines(),
            self._list_workspaces(),
            self._list_capacities(),
            self._list_connections(),
            self._discover(),
            self._read_repositories(),
        )
        by_id = {w.id.lower(): w for w in self.listed_workspaces}
        by_name = {w.display_name: w for w in self.listed_workspaces}
        await asyncio.gather(
            *(self._read_workspace(s, by_id, by_name) for s in self._estate.workspaces),
            *(self._read_pipeline(s, listed_pipelines) for s in self._estate.pipelines),
        )
        await asyncio.gather(self._read_deployments(), self._read_regions())

    async def _try(self, where: Address, what: str, read: Callable[[], Awaitable[T]]) -> T | None:
        """Run one read; a failure marks the address and returns None."""
        try:
            return await read()
        except UsageError:
            raise
        except AuthFailed as e:
            # A sign-in that fails before the request is sent has no path to tell the service by.
            if not _is_repository(where):
                raise
            self._mark(where, what, e)
            return None
        except (ClientError, OperationError) as e:
            self._mark(where, what, e)
            return None

    def _mark(self, where: Address, what: str, error: ReconcilerError) -> None:
        status = error.status if isinstance(error, ApiError) else None
        code = error.code if isinstance(error, ApiError) else ""
        self.unreadable[where] = Unreadable(
            address=where,
            what=what,
            message=error.message,
            status=status,
            code=code,
            remedy=(_REMEDIES[403] if code in _ROLE_MISSING else error.remedy)
            or (_NO_REPOSITORY if status == 403 and _is_repository(where) else "")
            or _REMEDIES.get(status or 0, "run it again once it answers"),
        )

    # -- lists --

    async def _list_workspaces(self) -> None:
        if not (self._estate.workspaces or self._estate.pipelines):
            return
        found = await self._try(
            address("workspaces"), "list workspaces", self._fabric.workspaces.list
        )
        self.listed_workspaces = found or ()

    async def _list_capacities(self) -> None:
        stages = [s for p in self._estate.pipelines for s in p.stages]
        named = any(w.capacity for w in self._estate.workspaces) or any(
            s.workspace is not None and not isinstance(s.workspace, str) and s.workspace.capacity
            for s in stages
        )
        if named:
            await self._list_all_capacities()

    async def _list_all_capacities(self) -> None:
        if self.capacities is not None or address("capacities") in self.unreadable:
            return
        found = await self._try(
            address("capacities"), "list capacities", self._fabric.capacities.list
        )
        if found is not None:
            self.capacities = tuple(
                LiveCapacity(c.id, c.display_name, c.sku, c.region, c.state) for c in found
            )

    async def _read_regions(self) -> None:
        """List capacities where a deployment without consent might cross regions.

        Only stages on different capacities can; a list that is refused leaves it to the service.
        """
        capacity_ids = {w.id: w.capacity_id for w in self.listed_workspaces}
        for spec in self._estate.pipelines:
            live = self.pipelines.get(pipeline_address(spec))
            stages = (
                {
                    s.name: live_stage
                    for s, live_stage in zip(spec.stages, live.stages, strict=False)
                }
                if live
                else {}
            )
            for deployment in spec.deployments:
                ends = [stages.get(n) for n in (deployment.from_, deployment.to)]
                held = {capacity_ids.get(s.workspace_id or "") for s in ends if s is not None}
                if not deployment.allow_cross_region and len(held - {None}) > 1:
                    await self._list_all_capacities()
                    return

    async def _list_connections(self) -> None:
        gits = [w.git for w in self._estate.workspaces if w.git is not None]
        named = any(g.credentials not in (None, "automatic", "none") for g in gits)
        if not (named or self._estate.connections):
            return
        found = await self._try(
            address("connections"), "list connections", self._fabric.connections.list
        )
        if found is not None:
            self.connections = tuple(
                LiveConnection(
                    c.id, c.display_name, c.connection_details.type, c.connection_details.path
                )
                for c in found
            )

    async def _list_pipelines(self) -> Sequence[Pipeline]:
        if not self._estate.pipelines:
            return ()
        found = await self._try(address("pipelines"), "list pipelines", self._fabric.pipelines.list)
        return found or ()

    # -- Azure Repos --

    async def _read_repositories(self) -> None:
        azure_devops = self._estate.azure_devops
        if azure_devops is None or not azure_devops.repositories:
            return
        azdo = self._services.azdo(devops_root(azure_devops), azure_devops.api_version)
        projects = sorted(
            {r.project.casefold(): r.project for r in azure_devops.repositories}.values()
        )

        async def one_project(project: str) -> None:
            specs = [
                r for r in azure_devops.repositories if r.project.casefold() == project.casefold()
            ]

            async def listing() -> list[Repository] | None:
                return await read_project(azdo, project)

            where = address("repositories", project)
            listed = await self._try(where, "list repositories", listing)
            if where in self.unreadable:
                reason = self.unreadable.pop(where)
                for spec in specs:
                    at = repository_address(spec)
                    self.unreadable[at] = reason
                return

            async def one(index: int) -> None:
                spec = specs[index]
                at = repository_address(spec)
                found = await self._try(
                    at, "read repository", lambda: read_repository(azdo, spec, listed)
                )
                if found is not None:
                    self.repositories[at] = found

            await asyncio.gather(*(one(n) for n in range(len(specs))))

        await asyncio.gather(*(one_project(p) for p in projects))

    # -- workspaces and bindings --

    async def _read_workspace(
        self, spec: WorkspaceSpec, by_id: dict[str, Workspace], by_name: dict[str, Workspace]
    ) -> None:
        where = workspace_address(spec)
        listed = by_id.get(spec.id.lower()) if spec.id else by_name.get(spec.name or "")
        if listed is None:
            await self._read_first_content(spec, None)
            return
        roles: tuple[LiveRole, ...] | None = None
        if spec.roles:
            found = await self._try(
                Address(f"{where}/roles"),
                "list role assignments",
                lambda: self._fabric.workspaces.list_role_assignments(listed.id),
            )
            roles = None if found is None else tuple(map(to_role, found))
        self.workspaces[where] = LiveWorkspace(
            id=listed.id,
            name=listed.display_name,
            description=listed.description,
            capacity_id=listed.capacity_id,
            roles=roles,
        )
        if spec.state == "absent":
            await self._read_items_of(where, listed.id)
        else:
            await self._read_git(spec, where, listed.id)

    async def _read_git(self, spec: WorkspaceSpec, where: Address, workspace_id: str) -> None:
        git = spec.git
        if git is None:
            return
        at = git_address(spec)
        target = target_of(git)
        binding = await self._try(
            at,
            "read git binding",
            lambda: read_binding(
                self._fabric,
                workspace_id,
                credentials=git.credentials is not None or git.sync.drift == "resync",
                status=git.credentials != "none",
                expected=target,
                patience=self._patience,
                discovered=self._discovered_of(spec, workspace_id),
            ),
        )
        if binding is None:
            return
        binding = await self._with_relations(git, at, workspace_id, binding)
        self.bindings[at] = binding
        settled = (
            binding.state is ConnectionState.INITIALIZED
            and binding.target is not None
            and binding.target.key() == target.key()
        )
        if git.state == "absent" or (settled and not binding.partial):
            if git.state == "present" and _may_lose(git, binding.status):
                await self._read_items_of(where, workspace_id)
            return
        await asyncio.gather(
            self._read_first_content(spec, binding), self._read_items_of(where, workspace_id)
        )

    async def _with_relations(
        self, git: GitSpec, at: Address, workspace_id: str, binding: LiveBinding
    ) -> LiveBinding:
        """Add the relations, where they are wanted or a resync would have to restore them."""
        wanted = git.relation is not None or git.sync.drift == "resync"
        if not (self._beta and wanted and binding.target is not None) or git.state == "absent":
            return binding
        found = await self._try(
            Address(f"{at}/relation"),
            "list workspace relations",
            lambda: read_relations(self._fabric, workspace_id),
        )
        return replace(binding, relations=found)

    async def _discover(self) -> None:
        """List all bindings of the tenant at once, if this caller may."""
        if self._admin is None or not any(w.git is not None for w in self._estate.workspaces):
            return
        try:
            self._discovered = await discover(self._fabric)
        except AuthFailed:
            raise
        except ClientError as error:
            self._admin(
                "Every binding is read by itself, since the list of all for administrators "
                f"cannot be read: {error.message}"
            )

    def _discovered_of(self, spec: WorkspaceSpec, workspace_id: str) -> Discovered | None:
        """Return what the list says of a workspace, where it says enough.

        It does not say when a workspace was synced, which deployments may have to know.
        """
        if self._discovered is None or self._deploying is None:
            return None
        if {spec.name, spec.id} & self._deploying:
            return None
        return Discovered(self._discovered.get(workspace_id.lower()))

    async def _read_items_of(self, where: Address, workspace_id: str) -> None:
        found = await self._try(where, "list items", lambda: read_items(self._fabric, workspace_id))
        if found is not None:
            self.workspaces[where] = replace(self.workspaces[where], items=found)

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
        content = await read_content(azdo, target, source=git.create_branch_from)
        base = binding or LiveBinding(state=ConnectionState.NOT_CONNECTED)
        self.bindings[at] = replace(base, content=content)

    # -- pipelines --

    async def _read_pipeline(self, spec: PipelineSpec, listed: Sequence[Pipeline]) -> None:
        where = pipeline_address(spec)
        found = next((p for p in listed if _is_pipeline(p, spec)), None)
        if found is None:
            return
        names = [s.name for s in spec.stages]
        orders = {
            names.index(name) for d in spec.deployments for name in (d.from_, d.to) if name in names
        }
        live = await self._try(
            where,
            "read pipeline",
            lambda: read_pipeline(
                self._fabric,
                found.id,
                item_orders=orders,
                roles=bool(spec.roles),
                operations=bool(spec.deployments),
                patience=self._patience,
            ),
        )
        if live is not None:
            self.pipelines[where] = live

    async def _read_deployments(self) -> None:
        """Read what comparing stages by definition needs: items with folders, definitions."""
        compared = list(self._compared())
        wanted = {
            item_id: workspace_id
            for c in compared
            for pair in c.pairs
            for item_id, workspace_id in zip(pair, (c.source_id, c.target_id), strict=True)
        }
        known = {w.id: where for where, w in self.workspaces.items()}
        names_by_id = {w.id: w.display_name for w in self.listed_workspaces}
        self.definitions, _ = await asyncio.gather(
            read_definitions(
                self._fabric, wanted, bound=self._definitions_at_once, beta=self._beta
            ),
            asyncio.gather(
                *(
                    self._read_stage_workspace(
                        i, known.get(i) or address("workspaces", names_by_id.get(i, i))
                    )
                    for i in sorted(set(wanted.values()))
                )
            ),
        )
        await self._read_evidence(compared, {i: Address(f"{a}/git") for i, a in known.items()})

    def _compared(self) -> Iterator[_Compared]:
        """Find the deployments that compare definitions, with the pairs they compare."""
        for spec in self._estate.pipelines:
            live = self.pipelines.get(pipeline_address(spec))
            if live is None or len(live.stages) != len(spec.stages):
                continue
            names = [s.name for s in spec.stages]
            for deployment in spec.deployments:
                if deployment.compare != "definitions":
                    continue
                if deployment.from_ not in names or deployment.to not in names:
                    continue
                source = live.stages[names.index(deployment.from_)]
                target = live.stages[names.index(deployment.to)]
                here, there = (
                    StageSide(s.workspace_id, live.items.get(s.id, ())) for s in (source, target)
                )
                if target.order < source.order:
                    here, there = here.backward(), there.backward()
                pairs = pairs_to_read(
                    here, there, scope_of(deployment), patterns_of(deployment.exclude)
                )
                if pairs and source.workspace_id is not None and target.workspace_id is not None:
                    yield _Compared(
                        pipeline_address(spec),
                        (source.id, target.id),
                        source.workspace_id,
                        target.workspace_id,
                        pairs,
                    )

    async def _read_evidence(
        self, compared: Sequence[_Compared], bindings: Mapping[str, Address]
    ) -> None:
        """Read what tells of items without definitions; ``bindings`` by workspace id."""
        for entry in compared:
            unread = unread_sources(entry.pairs, self.definitions)
            if not unread:
                continue
            known = self.bindings.get(bindings.get(entry.source_id, address("workspaces")))
            if known is None and entry.source_id not in self.source_bindings:
                found = await read_source_binding(self._fabric, entry.source_id)
                if found is not None:
                    self.source_bindings[entry.source_id] = found
            live = self.pipelines[entry.pipeline]
            operations = await open_history(
                self._fabric, live.id, live.operations or (), entry.stages, unread
            )
            self.pipelines[entry.pipeline] = replace(live, operations=operations)

    async def _read_stage_workspace(self, workspace_id: str, where: Address) -> None:
        """Read the items of a stage's workspace; ``where`` is its address in spec or service."""
        if where not in self.workspaces:
            self.workspaces[where] = LiveWorkspace(id=workspace_id, name=split_address(where)[-1])
        if self.workspaces[where].items is None:
            await self._read_items_of(where, workspace_id)


def _is_pipeline(pipeline: Pipeline, spec: PipelineSpec) -> bool:
    if spec.id is not None:
        return pipeline.id.lower() == spec.id.lower()
    return pipeline.display_name == spec.name
