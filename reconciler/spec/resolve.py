"""Names inside a spec: addresses, what a reference means, and defaults taken from elsewhere.

Pure functions over a valid estate. What a name means at the services is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from reconciler.ids import Address, address
from reconciler.spec.models import (
    AzureDevOps,
    ConnectionSpec,
    DeploymentSpec,
    Estate,
    GitSpec,
    PipelineSpec,
    RepositorySpec,
    RoleSpec,
    SecretRef,
    StageSpec,
    StageWorkspace,
    WorkspaceSpec,
)

__all__ = [
    "Declared",
    "addresses",
    "connection_address",
    "deployment_address",
    "deployment_workspaces",
    "find_connection",
    "git_address",
    "pipeline_address",
    "remote_key",
    "repository_address",
    "role_address",
    "secret_references",
    "stage_address",
    "stage_workspace",
    "with_defaults",
    "workspace_address",
]


def repository_address(spec: RepositorySpec) -> Address:
    """Return ``repositories/<project>/<name>``; the id where no name is given."""
    return address("repositories", spec.project, spec.name or spec.id or "")


def connection_address(spec: ConnectionSpec) -> Address:
    """Return ``connections/<name>``."""
    return address("connections", spec.name)


def workspace_address(spec: WorkspaceSpec) -> Address:
    """Return ``workspaces/<name>``; the id where no name is given."""
    return address("workspaces", spec.name or spec.id or "")


def git_address(spec: WorkspaceSpec) -> Address:
    """Return the address of a workspace's Git binding."""
    return address("workspaces", spec.name or spec.id or "", "git")


def pipeline_address(spec: PipelineSpec) -> Address:
    """Return ``pipelines/<name>``; the id where no name is given."""
    return address("pipelines", spec.name or spec.id or "")


def role_address(owner: WorkspaceSpec | PipelineSpec, role: RoleSpec) -> Address:
    """Return the address of a principal's role on a workspace or pipeline."""
    kind = "workspaces" if isinstance(owner, WorkspaceSpec) else "pipelines"
    return address(kind, owner.name or owner.id or "", "roles", role.principal.id)


def stage_address(pipeline: PipelineSpec, stage: StageSpec) -> Address:
    """Return ``pipelines/<name>/stages/<stage>``."""
    return address("pipelines", pipeline.name or pipeline.id or "", "stages", stage.name)


def deployment_address(pipeline: PipelineSpec, deployment: DeploymentSpec) -> Address:
    """Return ``pipelines/<name>/deployments/<from>:<to>``."""
    name = f"{deployment.from_}:{deployment.to}"
    return address("pipelines", pipeline.name or pipeline.id or "", "deployments", name)


def addresses(estate: Estate) -> Iterator[Address]:
    """Yield the address of everything the estate declares, in the order of the spec."""
    if estate.azure_devops is not None:
        yield from (repository_address(r) for r in estate.azure_devops.repositories)
    yield from (connection_address(c) for c in estate.connections)
    for workspace in estate.workspaces:
        yield workspace_address(workspace)
        yield from (role_address(workspace, r) for r in workspace.roles)
        if workspace.git is not None:
            yield git_address(workspace)
    for pipeline in estate.pipelines:
        yield pipeline_address(pipeline)
        yield from (role_address(pipeline, r) for r in pipeline.roles)
        yield from (stage_address(pipeline, s) for s in pipeline.stages)
        yield from (deployment_address(pipeline, d) for d in pipeline.deployments)


def secret_references(estate: Estate) -> Iterator[SecretRef]:
    """Yield every reference to a secret, in the order of the spec's parts."""
    for repository in estate.azure_devops.repositories if estate.azure_devops else ():
        inline = repository.import_.credentials if repository.import_ else None
        if inline is not None and inline.password is not None:
            yield inline.password
    for connection in estate.connections:
        if connection.create is not None:
            credentials = connection.create.credentials
            if credentials.key is not None:
                yield credentials.key
            if credentials.service_principal is not None:
                yield credentials.service_principal.secret


def stage_workspace(stage: StageSpec) -> StageWorkspace | None:
    """Return the workspace of a stage in its long form; None leaves the stage as it is."""
    if isinstance(stage.workspace, str):
        return StageWorkspace(name=stage.workspace)
    return stage.workspace


class Declared:
    """What the names and ids in an estate mean; of those given twice, the first."""

    def __init__(self, estate: Estate) -> None:
        self._connections = {c.name: c for c in reversed(estate.connections)}
        self._by_name = {w.name: w for w in reversed(estate.workspaces) if w.name is not None}
        self._by_id = {w.id.lower(): w for w in reversed(estate.workspaces) if w.id}

    def workspace(self, reference: str) -> WorkspaceSpec | None:
        """Return the workspace that a name or id means, if the spec declares it."""
        return self._by_name.get(reference) or self._by_id.get(reference.lower())

    def connection(self, name: str) -> ConnectionSpec | None:
        """Return the connection that a name means, if the spec declares it."""
        return self._connections.get(name)


def find_connection(estate: Estate, reference: str) -> ConnectionSpec | None:
    """Return the connection of the spec that a name means, if it is declared there."""
    return next((c for c in estate.connections if c.name == reference), None)


def deployment_workspaces(estate: Estate) -> frozenset[str] | None:
    """Return by name or id the workspaces in pipelines that deploy.

    None when some are known to the service only: a stage does not say what it holds.
    """
    stages = [stage_workspace(s) for p in estate.pipelines if p.deployments for s in p.stages]
    if None in stages:
        return None
    return frozenset(s.name for s in stages if s is not None)


def remote_key(git: GitSpec) -> tuple[str, ...]:
    """Return what two bindings to the same repository share, whatever the case they write.

    Source: fabric-api.md section 6.3, client: organization, project and repository come back
    with the server's casing.
    """
    owner = git.organization if git.provider == "AzureDevOps" else git.owner
    domain = git.custom_domain or ""
    parts = (git.provider, domain, owner or "", git.project or "", git.repository)
    return tuple(part.lower() for part in parts)


def with_defaults(estate: Estate) -> Estate:
    """Fill the organization of Git bindings that leave it out."""
    organization = _organization(estate.azure_devops)
    if organization is None:
        return estate
    workspaces = tuple(_with_organization(w, organization) for w in estate.workspaces)
    return estate.model_copy(update={"workspaces": workspaces})


def _with_organization(workspace: WorkspaceSpec, organization: str) -> WorkspaceSpec:
    git = workspace.git
    if git is None or git.provider != "AzureDevOps" or git.organization is not None:
        return workspace
    bound = git.model_copy(update={"organization": organization})
    return workspace.model_copy(update={"git": bound})


def _organization(devops: AzureDevOps | None) -> str | None:
    """Return the organization, also from a URL of Azure DevOps Services.

    Source: azure-devops-import.md section 1: the two forms of a Services URL.
    """
    if devops is None or devops.url is None:
        return devops.organization if devops else None
    parts = urlsplit(devops.url)
    host = parts.hostname or ""
    if host == "dev.azure.com":
        return parts.path.strip("/").split("/")[0] or None
    if host.endswith(".visualstudio.com"):
        return host.split(".")[0]
    return None
