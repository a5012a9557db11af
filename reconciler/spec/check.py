"""Rules between the parts of an estate: one generator per rule, each pure and offline.

What is named but not declared in the spec is no error here: it may exist at the services, and
is resolved there before any write.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from reconciler.diagnostics import Diagnostic
from reconciler.ids import Address, split_address
from reconciler.spec.findings import Finding, Hints, Locate, hint
from reconciler.spec.models import (
    DeploymentSpec,
    Estate,
    GitSpec,
    PipelineSpec,
    RoleSpec,
    StageWorkspace,
    WorkspaceSpec,
)
from reconciler.spec.places import Path, path_text
from reconciler.spec.resolve import (
    Declared,
    addresses,
    connection_address,
    deployment_address,
    git_address,
    pipeline_address,
    remote_key,
    repository_address,
    role_address,
    stage_address,
    stage_workspace,
    workspace_address,
)

__all__ = ["check_estate", "check_findings"]

# Source: platform.json, spec: a reserved workspace name.
_RESERVED = "admin monitoring"
_KINDS = ("repositories", "connections", "workspaces", "pipelines")


def check_estate(estate: Estate, locate: Locate) -> list[Diagnostic]:
    """Check the rules between resources; ``locate`` gives a path its place in a file."""
    return [finding.placed(locate) for finding in check_findings(estate, locate)]


def check_findings(estate: Estate, locate: Locate) -> Iterator[Finding]:
    """Yield what :func:`check_estate` reports, not yet placed.

    ``locate`` is needed even so: a name that is given twice is reported with both places.
    """
    declared = Declared(estate)
    yield from _names(estate, locate)
    yield from _repositories(estate)
    yield from _connections(estate)
    for index, workspace in enumerate(estate.workspaces):
        path: Path = ("workspaces", index)
        yield from _workspace(workspace, path)
        if workspace.git is not None and workspace.state == "present":
            yield from _git(declared, workspace, workspace.git, (*path, "git"))
    yield from _commit_targets(estate, locate)
    yield from _stage_workspaces(estate, declared, locate)
    for index, pipeline in enumerate(estate.pipelines):
        yield from _pipeline(pipeline, ("pipelines", index))
        yield from _deployments(pipeline, ("pipelines", index))
    yield from _dependencies(estate)
    yield from _ignore_rules(estate)


def _names(estate: Estate, locate: Locate) -> Iterator[Finding]:
    """Report names and ids that are given twice, by the case rules of the services."""
    devops = estate.azure_devops
    repositories = devops.repositories if devops else ()
    yield from _twice(
        (
            (("azureDevOps", "repositories", i), key, r.name or r.id or "", repository_address(r))
            for i, r in enumerate(repositories)
            for key in _keys((r.name and f"{r.project}/{r.name}".lower()), r.id)
        ),
        "repository",
        locate,
    )
    yield from _twice(
        (
            (("connections", i), c.name, c.name, connection_address(c))
            for i, c in enumerate(estate.connections)
        ),
        "connection",
        locate,
    )
    yield from _twice(
        (
            (("workspaces", i), key, w.name or w.id or "", workspace_address(w))
            for i, w in enumerate(estate.workspaces)
            for key in _keys(w.name, w.id)
        ),
        "workspace",
        locate,
    )
    yield from _twice(
        (
            (("pipelines", i), key, p.name or p.id or "", pipeline_address(p))
            for i, p in enumerate(estate.pipelines)
            for key in _keys(p.name, p.id)
        ),
        "pipeline",
        locate,
    )
    for i, workspace in enumerate(estate.workspaces):
        yield from _roles(workspace, workspace.roles, ("workspaces", i), locate)
    for i, pipeline in enumerate(estate.pipelines):
        yield from _roles(pipeline, pipeline.roles, ("pipelines", i), locate)
        yield from _twice(
            (
                (("pipelines", i, "stages", j), s.name, s.name, stage_address(pipeline, s))
                for j, s in enumerate(pipeline.stages)
            ),
            "stage",
            locate,
        )
        yield from _twice(
            (
                (
                    ("pipelines", i, "deployments", j),
                    str(deployment_address(pipeline, d)),
                    f"{d.from_}:{d.to}",
                    deployment_address(pipeline, d),
                )
                for j, d in enumerate(pipeline.deployments)
            ),
            "deployment",
            locate,
        )


def _keys(name: str | None, id_: str | None) -> Iterator[str]:
    if name:
        yield f"name {name}"
    if id_:
        yield f"id {id_.lower()}"


def _roles(
    owner: WorkspaceSpec | PipelineSpec, roles: Iterable[RoleSpec], path: Path, locate: Locate
) -> Iterator[Finding]:
    yield from _twice(
        (
            (
                (*path, "roles", j),
                r.principal.id.lower(),
                r.principal.id,
                role_address(owner, r),
            )
            for j, r in enumerate(roles)
        ),
        "principal",
        locate,
    )


def _twice(
    named: Iterable[tuple[Path, str, str, Address]], noun: str, locate: Locate
) -> Iterator[Finding]:
    seen: dict[str, Path] = {}
    reported: set[Path] = set()
    for path, key, shown, where in named:
        first = seen.setdefault(key, path)
        if first != path and path not in reported:
            reported.add(path)
            yield Finding(
                path,
                "duplicate_name",
                f'The {noun} "{shown}" is declared twice; the first is {_at(first, locate)}.',
                "Each is declared once. Put what belongs to it in one place, or rename one.",
                where,
            )


def _at(path: Path, locate: Locate) -> str:
    span = locate(path)
    if span is None or span.line is None:
        return path_text(path)
    return f"in {span.file}, line {span.line}"


def _repositories(estate: Estate) -> Iterator[Finding]:
    devops = estate.azure_devops
    for index, spec in enumerate(devops.repositories if devops else ()):
        if spec.state == "absent":
            yield Finding(
                ("azureDevOps", "repositories", index, "state"),
                "absent_unsupported",
                "Repositories are not deleted by the reconciler.",
                "Delete it in Azure DevOps, and remove the entry here.",
                repository_address(spec),
            )


def _connections(estate: Estate) -> Iterator[Finding]:
    for index, spec in enumerate(estate.connections):
        if spec.state == "absent":
            yield Finding(
                ("connections", index, "state"),
                "absent_unsupported",
                "Connections are not deleted by the reconciler.",
                "Others may use it. Delete it in Fabric, and remove the entry here.",
                connection_address(spec),
            )


def _workspace(spec: WorkspaceSpec, path: Path) -> Iterator[Finding]:
    where = workspace_address(spec)
    if spec.state == "absent":
        if spec.create:
            yield Finding(
                (*path, "create"),
                "absent_and_create",
                "A workspace cannot be both absent and created.",
                "Remove create, or state: absent.",
                where,
            )
    elif spec.create and (spec.name or "").lower() == _RESERVED:
        yield _reserved((*path, "name"), where)


def _reserved(path: Path, where: Address) -> Finding:
    return Finding(
        path,
        "reserved_name",
        '"Admin monitoring" is reserved by Fabric.',
        "Choose another name.",
        where,
    )


def _git(
    declared: Declared, workspace: WorkspaceSpec, git: GitSpec, path: Path
) -> Iterator[Finding]:
    where = git_address(workspace)
    if git.provider == "AzureDevOps" and git.organization is None:
        yield Finding(
            path,
            "missing_key",
            "The Git binding names no organization, and there is none to take it from.",
            "Add organization here, or azureDevOps.organization at the top. Fabric binds only to "
            "Azure DevOps Services, not to a Server.",
            where,
        )
    if git.credentials is not None and not isinstance(git.credentials, str):
        connection = declared.connection(git.credentials.connection)
        wanted = f"{git.provider}SourceControl"
        if connection is not None and connection.type != wanted:
            yield Finding(
                (*path, "credentials", "connection"),
                "wrong_connection_type",
                f'The connection "{connection.name}" is of type {connection.type}; provider '
                f"{git.provider} needs {wanted}.",
                "",
                where,
            )
    if git.relation is not None and git.state == "present":
        yield from _relation(declared, workspace, git, (*path, "relation", "base"))


def _relation(
    declared: Declared, workspace: WorkspaceSpec, git: GitSpec, path: Path
) -> Iterator[Finding]:
    """Check a branched-out workspace against its base, as far as the spec declares it.

    Source: fabric-api.md section 6.2, spec and field: both share repository and directory and
    differ in the branch; a base is no branch itself.
    """
    where = git_address(workspace)
    base = declared.workspace(git.relation.base) if git.relation else None
    if base is None:
        return
    if base is workspace:
        yield Finding(path, "bad_relation", "A workspace cannot be its own base.", "", where)
    elif base.state == "absent":
        yield Finding(
            path, "bad_relation", "The base workspace is to be deleted (state: absent).", "", where
        )
    elif base.git is not None:
        if base.git.relation is not None:
            yield Finding(
                path,
                "bad_relation",
                "The base workspace is itself branched out from another.",
                "Fabric relates branches to one base; name that base here.",
                where,
            )
        same = remote_key(base.git) == remote_key(git) and base.git.directory == git.directory
        if not same or base.git.branch == git.branch:
            yield Finding(
                path,
                "bad_relation",
                "The base must have the same repository and directory, and another branch.",
                "",
                where,
            )


def _commit_targets(estate: Estate, locate: Locate) -> Iterator[Finding]:
    """Two workspaces that commit to one place would overwrite each other for ever."""
    seen: dict[tuple[str, ...], Path] = {}
    for index, workspace in enumerate(estate.workspaces):
        git = workspace.git
        if git is None or "absent" in {workspace.state, git.state}:
            continue
        if git.sync.direction not in {"commit", "both"}:
            continue
        path: Path = ("workspaces", index, "git")
        first = seen.setdefault((*remote_key(git), git.branch, git.directory), path)
        if first != path:
            yield Finding(
                (*path, "sync", "direction"),
                "shared_commit_target",
                "Two workspaces commit to the same repository, branch and directory; the other "
                f"is {_at(first, locate)}.",
                "Give each a branch or directory of its own, or let one of them only update.",
                git_address(workspace),
            )


def _stage_workspaces(estate: Estate, declared: Declared, locate: Locate) -> Iterator[Finding]:
    """Check what stages say about workspaces.

    Source: fabric-api.md section 7.1, docs: a workspace is in one stage only.
    """
    seen: dict[str, Path] = {}
    for i, pipeline in enumerate(estate.pipelines):
        if pipeline.state == "absent":
            continue
        for j, stage in enumerate(pipeline.stages):
            assigned = stage_workspace(stage)
            if assigned is None or assigned.state == "absent":
                continue
            path: Path = ("pipelines", i, "stages", j, "workspace")
            where = stage_address(pipeline, stage)
            meant = declared.workspace(assigned.name)
            key = str(workspace_address(meant)) if meant else f"live {assigned.name}"
            first = seen.setdefault(key, path)
            if first != path:
                yield Finding(
                    path,
                    "workspace_in_two_stages",
                    f'The workspace "{assigned.name}" is already in another stage, '
                    f"{_at(first, locate)}.",
                    "A workspace can be in one stage of one pipeline only.",
                    where,
                )
            yield from _declared_stage_workspace(meant, assigned, path, where)


def _declared_stage_workspace(
    declared: WorkspaceSpec | None, assigned: StageWorkspace, path: Path, where: Address
) -> Iterator[Finding]:
    if assigned.create_on_deploy and assigned.name.lower() == _RESERVED:
        yield _reserved(path, where)
    if declared is None:
        return
    if declared.state == "absent":
        yield Finding(
            path,
            "workspace_absent",
            f'The workspace "{assigned.name}" is to be deleted (state: absent).',
            "Take it off the stage: workspace: {name: …, state: absent}.",
            where,
        )
    elif declared.create and assigned.create_on_deploy:
        yield Finding(
            path,
            "created_twice",
            f'The workspace "{assigned.name}" is created both by a deployment and by '
            "create: true under workspaces.",
            "Remove one of the two.",
            where,
        )


def _pipeline(spec: PipelineSpec, path: Path) -> Iterator[Finding]:
    if spec.state == "absent":
        return  # whether it may go is the protect policy's to say, when the plan is made
    for index, stage in enumerate(spec.stages):
        if stage.state == "absent":
            # Source: fabric-api.md section 7.1, spec: no call adds or removes a stage.
            yield Finding(
                (*path, "stages", index, "state"),
                "absent_unsupported",
                "A stage cannot be removed: the service offers no call for it.",
                "To take the workspace off the stage, write workspace: {name: …, state: absent}. "
                "For fewer stages, make a new pipeline.",
                stage_address(spec, stage),
            )


def _deployments(pipeline: PipelineSpec, path: Path) -> Iterator[Finding]:
    order = {stage.name: i for i, stage in enumerate(pipeline.stages)}
    for index, deployment in enumerate(pipeline.deployments):
        here: Path = (*path, "deployments", index)
        where = deployment_address(pipeline, deployment)
        ends = (("from", deployment.from_), ("to", deployment.to))
        unknown = [(key, name) for key, name in ends if name not in order]
        for key, name in unknown:
            yield Finding(
                (*here, key),
                "unknown_stage",
                f'The pipeline has no stage "{name}"' + hint(name, order),
                "Its stages are " + ", ".join(order) + ".",
                where,
            )
        if unknown:
            continue
        if deployment.from_ == deployment.to:
            yield Finding(
                (*here, "to"),
                "same_stage",
                "A deployment goes from one stage to another, not to itself.",
                "",
                where,
            )
        elif abs(order[deployment.from_] - order[deployment.to]) != 1:
            # Source: fabric-api.md section 7.2, spec: source and target must be adjacent.
            yield Finding(
                (*here, "to"),
                "stages_not_adjacent",
                f'"{deployment.from_}" and "{deployment.to}" are not neighbouring stages.',
                "The service deploys only to the next stage. Deploy step by step.",
                where,
            )


def _dependencies(estate: Estate) -> Iterator[Finding]:
    known = {str(a) for a in addresses(estate)}
    hints = Hints()
    graph: dict[str, set[str]] = {}
    places: dict[str, Path] = {}
    for i, pipeline in enumerate(estate.pipelines):
        for j, deployment in enumerate(pipeline.deployments):
            path: Path = ("pipelines", i, "deployments", j)
            where = str(deployment_address(pipeline, deployment))
            places[where] = path
            graph.setdefault(where, set()).update(_earlier(pipeline, deployment))
            for k, target in enumerate(deployment.depends_on):
                if target in known:
                    graph[where].add(target)
                    continue
                yield Finding(
                    (*path, "dependsOn", k),
                    "unknown_reference",
                    f'Nothing in the spec has the address "{target[:120]}"'
                    + hints.hint(target, known),
                    "An address looks like pipelines/Sales/deployments/Development:Test.",
                    Address(where),
                )
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle: list[str] = list(reversed(error.args[1]))
        start = min((a for a in cycle if a in places), key=lambda a: str(places[a]))
        at = cycle.index(start)
        walk = cycle[at:-1] + cycle[:at] if cycle[0] == cycle[-1] else cycle
        yield Finding(
            places[start],
            "dependency_cycle",
            "Deployments wait for each other in a circle.",
            " waits for ".join([*walk, start]) + ".",
            Address(start),
        )


def _earlier(pipeline: PipelineSpec, deployment: DeploymentSpec) -> Iterator[str]:
    """Yield the forward deployments into the stage that a forward deployment starts from."""
    order = {stage.name: i for i, stage in enumerate(pipeline.stages)}

    def is_forward(d: DeploymentSpec) -> bool:
        return order.get(d.from_, -1) < order.get(d.to, -1)

    if is_forward(deployment):
        for other in pipeline.deployments:
            if other.to == deployment.from_ and is_forward(other):
                yield str(deployment_address(pipeline, other))


def _ignore_rules(estate: Estate) -> Iterator[Finding]:
    for index, rule in enumerate(estate.ignore):
        kind = split_address(rule.address)[0]
        if kind not in _KINDS and not set(kind) & set("*?["):
            yield Finding(
                ("ignore", index, "address"),
                "unknown_reference",
                f'No address starts with "{kind[:60]}"' + hint(kind, _KINDS),
                "Addresses start with " + ", ".join(_KINDS) + ".",
            )
