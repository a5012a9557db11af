"""What a run with ``--target`` has to know of the spec: the targets and what they depend on.

The rest need not be read. What one resource can wait for follows from the spec alone, but for one
thing: which stage a workspace stands in now. ``needs_all`` tells when that matters; then the whole
spec is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from reconciler.ids import Address, address, address_matches, split_address
from reconciler.live.places import target_of
from reconciler.plan.graph import closure
from reconciler.plan.plan import Plan
from reconciler.spec.models import Estate, GitSpec, PipelineSpec, WorkspaceSpec
from reconciler.spec.resolve import (
    connection_address,
    pipeline_address,
    remote_key,
    repository_address,
    stage_workspace,
    workspace_address,
)

__all__ = ["narrowed", "needs_all"]

_SEATED = frozenset({"stage.assign", "workspace.delete"})


def needs_all(plan: Plan) -> bool:
    """Tell whether a plan of a narrowed spec rests on where workspaces stand in all pipelines.

    A workspace leaves one stage before it takes another, and before it is deleted.
    """
    return any(a.kind in _SEATED for a in plan.actions)


def narrowed(estate: Estate, target: Sequence[str]) -> Estate:
    """Return the spec without the resources that no target depends on.

    With ``needs_all`` in mind, a plan of it has the same actions as a plan of the whole spec.
    Without targets, or where what is live decides on what they depend, it is the spec itself.
    """
    if not target:
        return estate
    links = _Links.of(estate)
    chosen = [where for where in links.edges if any(_touch(where, p) for p in target)]
    kept = closure(chosen, links.edges)
    if kept & links.open_ended:
        return estate
    azure_devops = estate.azure_devops
    if azure_devops is not None:
        repositories = tuple(r for r in azure_devops.repositories if repository_address(r) in kept)
        azure_devops = azure_devops.model_copy(update={"repositories": repositories})
    return estate.model_copy(
        update={
            "azure_devops": azure_devops,
            "connections": tuple(c for c in estate.connections if connection_address(c) in kept),
            "workspaces": tuple(w for w in estate.workspaces if workspace_address(w) in kept),
            "pipelines": tuple(p for p in estate.pipelines if pipeline_address(p) in kept),
        }
    )


def _touch(where: str, prefix: str) -> bool:
    """Tell whether an address lies below the other or is it, either way round."""
    return address_matches(where, prefix) or address_matches(prefix, where)


@dataclass(slots=True)
class _Links:
    """What each resource of a spec can wait for.

    Attributes:
        edges: by the address of a repository, connection, workspace or pipeline.
        open_ended: pipelines whose workspaces only the service knows.
    """

    edges: dict[str, list[str]] = field(default_factory=dict)
    open_ended: set[str] = field(default_factory=set)
    _by_reference: dict[str, Address] = field(default_factory=dict)
    _repositories: dict[tuple[str, str], list[Address]] = field(default_factory=dict)
    _below: dict[tuple[str, ...], list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, estate: Estate) -> _Links:
        links = cls()
        repositories = estate.azure_devops.repositories if estate.azure_devops else ()
        for repository in repositories:
            where = links._add(repository_address(repository))
            key = (repository.project.casefold(), (repository.name or "").casefold())
            links._repositories.setdefault(key, []).append(where)
        for connection in estate.connections:
            links._add(connection_address(connection))
        for workspace in estate.workspaces:
            where = links._add(workspace_address(workspace))
            for reference in (workspace.name, workspace.id and workspace.id.lower()):
                if reference:
                    links._by_reference.setdefault(reference, where)
        for pipeline in estate.pipelines:
            links._add(pipeline_address(pipeline))
        for workspace in estate.workspaces:
            if workspace.git is not None:
                links._add_binding(workspace, workspace.git)
        links._add_branches([(w, w.git) for w in estate.workspaces if w.git is not None])
        links._add_pipelines(estate.pipelines)
        return links

    def _add(self, where: Address) -> Address:
        """Make a resource known, also under everything it lies in."""
        if where not in self.edges:
            self.edges[where] = []
            parts = split_address(where)
            for n in range(len(parts) + 1):
                self._below.setdefault(parts[:n], []).append(where)
        return where

    def _add_binding(self, spec: WorkspaceSpec, git: GitSpec) -> None:
        own = self.edges[workspace_address(spec)]
        credentials = git.credentials
        if credentials is not None and not isinstance(credentials, str):
            connection = address("connections", credentials.connection)
            own.extend([connection] if connection in self.edges else [])
        if git.relation is not None:
            own.extend(self._workspace(git.relation.base))
        if git.provider != "AzureDevOps":
            return
        if git.create_branch_from is not None or git.create_directory:
            # What is made in a repository that the spec does not declare is addressed there too.
            made_in = self._add(address("repositories", git.project or "", git.repository))
            self.edges[made_in].append(workspace_address(spec))
        key = ((git.project or "").casefold(), git.repository.casefold())
        for repository in self._repositories.get(key, ()):
            own.append(repository)
            # A branch or directory that a binding needs is made in the repository.
            self.edges[repository].append(workspace_address(spec))

    def _add_branches(self, bound: Sequence[tuple[WorkspaceSpec, GitSpec]]) -> None:
        """Link workspaces on one branch: a commit of one moves the tip for all.

        Where branches or directories are made, order matters in the whole repository.
        """
        makers = {
            remote_key(git)
            for _, git in bound
            if git.create_branch_from is not None or git.create_directory
        }
        groups: dict[tuple[str, ...], list[str]] = {}
        for spec, git in bound:
            remote = remote_key(git)
            key = remote if remote in makers else target_of(git).branch_key()
            groups.setdefault(key, []).append(workspace_address(spec))
        for members in groups.values():
            self._link(members)

    def _add_pipelines(self, pipelines: Sequence[PipelineSpec]) -> None:
        holders: dict[str, list[str]] = {}
        for spec in pipelines:
            where = pipeline_address(spec)
            own = self.edges[where]
            for stage in spec.stages:
                wanted = stage_workspace(stage)
                if wanted is None:
                    if spec.deployments:
                        self.open_ended.add(where)
                    continue
                for workspace in self._workspace(wanted.name):
                    own.append(workspace)
                    if wanted.create_on_deploy:
                        self.edges[workspace].append(where)
                # One deployment at a time takes from a workspace or fills it.
                holders.setdefault(wanted.name, []).append(where)
            for deployment in spec.deployments:
                for named in deployment.depends_on:
                    own.extend(self._touching(named))
        for members in holders.values():
            self._link(members)

    def _touching(self, named: str) -> Iterator[str]:
        """Return the resources that an address names, lies in or holds."""
        parts = split_address(named.rstrip("/")) if named else ()
        yield from self._below.get(parts, ())
        for n in range(1, len(parts)):
            around = address(*parts[:n])
            if around in self.edges:
                yield around

    def _workspace(self, reference: str) -> Iterator[Address]:
        found = self._by_reference.get(reference) or self._by_reference.get(reference.lower())
        if found is not None:
            yield found

    def _link(self, members: Sequence[str]) -> None:
        """Let each depend on all, by a ring, so that many stay cheap."""
        for before, after in zip(members, [*members[1:], members[0]], strict=True):
            self.edges[before].append(after)
