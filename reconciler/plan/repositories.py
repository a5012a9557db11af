"""Plan Azure Repos repositories: create, import, retry, abandon, default branch."""

from __future__ import annotations

from reconciler.diff.repositories import ImportState, RepositoryDiff, diff_repository
from reconciler.ids import Address
from reconciler.live.models import LiveRepository
from reconciler.plan.actions import (
    AbandonImport,
    CreateRepository,
    FieldChange,
    ImportRepository,
    RetryImport,
    UpdateRepository,
)
from reconciler.plan.draft import Draft, field_changes
from reconciler.spec.models import ImportSpec, RepositorySpec
from reconciler.spec.resolve import repository_address

__all__ = ["plan_repositories"]

_IMPORT_OUTCOMES = (
    "completed: the source's branches and tags are in the repository",
    "failed: the request stays, and is retried or replaced by the next run",
)


def plan_repositories(draft: Draft) -> None:
    """Plan every repository of the spec, one lane each."""
    azure_devops = draft.estate.azure_devops
    for spec in azure_devops.repositories if azure_devops else ():
        address = repository_address(spec)
        if draft.skip_unknown(address):
            continue
        live = draft.snapshot.repositories.get(address, LiveRepository(project_id=None))
        if _usable(draft, spec, address, live):
            _plan_one(draft, spec, address, live)


def _usable(draft: Draft, spec: RepositorySpec, address: Address, live: LiveRepository) -> bool:
    if not live.project_exists:
        draft.error(
            "project_missing",
            f"The project {spec.project} does not exist or is not visible to this caller.",
            "Create the project in Azure DevOps, or correct its name; projects are not managed.",
            address,
        )
        return False
    if live.id:
        draft.bindings[address] = live.id
    if spec.state == "absent":
        if live.id:
            draft.error(
                "repository_delete_unsupported",
                f"The repository {live.name} exists and repositories are never deleted.",
                "Delete it in Azure DevOps if it should go, or take it out of the spec.",
                address,
            )
        return False
    if live.disabled:
        draft.error(
            "repository_disabled",
            f"The repository {live.name} is disabled, so nothing can be read or written.",
            "Enable it in the project's repository settings, or take it out of the spec.",
            address,
        )
        return False
    if live.id is None and not spec.create:
        draft.error(
            "repository_missing",
            f"The repository {spec.name or spec.id} does not exist in {spec.project}, "
            "or is not visible to this caller.",
            "Set create: true to have it made, correct the name, or give the caller access.",
            address,
        )
        return False
    return True


def _plan_one(draft: Draft, spec: RepositorySpec, address: Address, live: LiveRepository) -> None:
    diff = diff_repository(spec, live)
    if diff.missing:
        draft.add(
            CreateRepository(project=spec.project, name=str(spec.name)),
            address,
            lane=address,
            code="repository_missing",
            why=f"no repository {spec.name} is visible to this caller in {spec.project}",
            requests=2,
        )
    importing = spec.import_ is not None and _plan_import(
        draft, spec, spec.import_, address, live, diff
    )
    _plan_default_branch(draft, spec, address, live, diff, importing=importing)


def _plan_import(
    draft: Draft,
    spec: RepositorySpec,
    wanted: ImportSpec,
    address: Address,
    live: LiveRepository,
    diff: RepositoryDiff,
) -> bool:
    """Plan what the import needs; True when content will arrive."""
    state, request = diff.import_state, diff.request
    if state in (ImportState.NOT_WANTED, ImportState.SETTLED):
        return False
    if state is ImportState.FOREIGN:
        draft.error(
            "repository_not_empty",
            f"The repository {live.name} has content that was not imported from {wanted.url}.",
            "Azure Repos imports into an empty repository only. Set adopt: true to accept the "
            "content as it is, name another repository, or empty this one by hand.",
            address,
        )
        return False
    if state is ImportState.RUNNING_OTHER and request is not None:
        draft.error(
            "import_running",
            f"Another import into {live.name} is under way, from {request.source_url}.",
            "Wait until it ends, or abandon it in Azure DevOps, then plan again.",
            address,
        )
        return False
    running = state is ImportState.RUNNING
    if not running and not _endpoint_ready(draft, spec, wanted, address, live):
        return False
    if request is not None and state in (ImportState.FAILED, ImportState.FAILED_OTHER):
        return _plan_after_failure(draft, spec, wanted, address, live, diff)
    _add_import(
        draft,
        spec,
        wanted,
        address,
        live,
        code="import_running" if running else "repository_empty",
        why=f"import {request.id} from this source is under way; apply waits for it"
        if running and request
        else "the repository is empty and has no import of this source",
        attach=running,
    )
    return True


def _endpoint_ready(
    draft: Draft,
    spec: RepositorySpec,
    wanted: ImportSpec,
    address: Address,
    live: LiveRepository,
) -> bool:
    endpoint = wanted.credentials.service_endpoint if wanted.credentials else None
    if endpoint is None or live.endpoint_id is not None:
        return True
    draft.error(
        "endpoint_missing",
        f"The service endpoint {endpoint} is not visible to this caller in {spec.project}.",
        "Create it under Project settings > Service connections (type: Other Git), correct its "
        "name, or give username and password so that one is made for the import.",
        address,
    )
    return False


def _plan_after_failure(
    draft: Draft,
    spec: RepositorySpec,
    wanted: ImportSpec,
    address: Address,
    live: LiveRepository,
    diff: RepositoryDiff,
) -> bool:
    request = diff.request
    if request is None:
        return False
    same = diff.import_state is ImportState.FAILED
    because = f"import {request.id} failed: {request.error or 'no reason given'}"
    if wanted.on_failure == "fail":
        draft.error(
            "import_failed",
            f"The import into {live.name} failed: {request.error or 'no reason was given'}.",
            "Correct the source or its credentials and set onFailure: retry or replace.",
            address,
        )
        return False
    inline = wanted.credentials is not None and wanted.credentials.password is not None
    if same and wanted.on_failure == "retry" and not inline:
        endpoint = wanted.credentials.service_endpoint if wanted.credentials else None
        draft.add(
            RetryImport(
                project=spec.project,
                url=wanted.url,
                import_request_id=request.id,
                endpoint=endpoint,
                remove_endpoint=wanted.remove_endpoint,
            ),
            address,
            lane=address,
            code="import_failed",
            why=because + _sign_in_text(wanted),
            changes=_endpoint_changes(wanted),
            preconditions={"import_request_id": request.id, "import_status": "failed"},
            after_unknown=True,
            outcomes=_IMPORT_OUTCOMES,
            requests=4,
        )
        return True
    draft.add(
        AbandonImport(project=spec.project, import_request_id=request.id),
        address,
        lane=address,
        code="import_failed" if same else "import_failed_other_source",
        why=f"{because}; a failed request blocks a new one until it is abandoned",
        preconditions={"import_request_id": request.id, "import_status": "failed"},
        requests=2,
    )
    _add_import(
        draft,
        spec,
        wanted,
        address,
        live,
        code="import_replaced",
        why=f"replaces the failed import from {request.source_url}",
        attach=False,
    )
    return True


def _add_import(
    draft: Draft,
    spec: RepositorySpec,
    wanted: ImportSpec,
    address: Address,
    live: LiveRepository,
    *,
    code: str,
    why: str,
    attach: bool,
) -> None:
    credentials = wanted.credentials
    endpoint = credentials.service_endpoint if credentials else None
    kind = None if credentials is None else ("endpoint" if endpoint else "inline")
    draft.add(
        ImportRepository(
            project=spec.project,
            url=wanted.url,
            credentials=kind,
            endpoint=endpoint,
            remove_endpoint=wanted.remove_endpoint,
            attach=attach,
        ),
        address,
        lane=address,
        code=code,
        why=why + _sign_in_text(wanted),
        changes=_endpoint_changes(wanted),
        preconditions={} if live.id is None else {"repository_empty": True},
        after_unknown=True,
        outcomes=_IMPORT_OUTCOMES,
        requests=6 if kind == "inline" else 4,
    )


def _sign_in_text(wanted: ImportSpec) -> str:
    """Say how a private source is read, and what becomes of the endpoint for it."""
    if wanted.credentials is None:
        return ""
    name = wanted.credentials.service_endpoint
    if name is None:
        return "; a service endpoint is made for it and removed after it"
    return f"; signs in through the service endpoint {name}" + (
        ", which is removed after it" if wanted.remove_endpoint else ""
    )


def _endpoint_changes(wanted: ImportSpec) -> tuple[FieldChange, ...]:
    if wanted.credentials is None:
        return ()
    if wanted.credentials.password is not None:
        return (FieldChange(path="credentials", after="(sensitive)"),)
    if wanted.remove_endpoint:
        name = wanted.credentials.service_endpoint
        return (FieldChange(path=f"serviceEndpoints/{name}", before="present", after="absent"),)
    return ()


def _plan_default_branch(
    draft: Draft,
    spec: RepositorySpec,
    address: Address,
    live: LiveRepository,
    diff: RepositoryDiff,
    *,
    importing: bool,
) -> None:
    wanted = spec.default_branch
    if wanted is None:
        return
    op = UpdateRepository(project=spec.project, default_branch=wanted)
    if importing:
        draft.add(
            op,
            address,
            lane=address,
            code="default_branch_after_import",
            why="the service picks a default branch by its own rule when an import ends",
            after_unknown=True,
            outcomes=(f"set to {wanted}", f"already {wanted}", f"refused: no branch {wanted}"),
            requests=2,
        )
    elif live.id is not None and not live.empty and live.wanted_branch_exists is False:
        draft.error(
            "default_branch_missing",
            f"The repository {live.name} has no branch {wanted}.",
            "Push the branch first, or name one that exists in defaultBranch.",
            address,
        )
    elif diff.default_branch is not None:
        draft.add(
            op,
            address,
            lane=address,
            code="default_branch_differs",
            why=f"the default branch is {live.default_branch or 'not set'}",
            changes=field_changes(diff.default_branch),
            requests=2,
        )
