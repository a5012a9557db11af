"""Carry out repository actions: create, import, retry, abandon, default branch."""

from __future__ import annotations

from typing import Protocol

from pydantic import SecretStr
from typing_extensions import override

from reconciler.clients.azdo.models import ImportRequest, ProjectRef
from reconciler.clients.lro import Operation
from reconciler.diff.normalise import same_source
from reconciler.errors import (
    ActionError,
    ApiError,
    Conflict,
    InternalError,
    NotFound,
    OperationTimedOut,
    PreconditionMoved,
    ServiceUnavailable,
    TransportFailed,
)
from reconciler.execute.handler import Handler, NotNeeded, expect
from reconciler.execute.run import Run
from reconciler.live.git import is_empty
from reconciler.live.models import LiveImport
from reconciler.live.repositories import find_endpoint, read_imports
from reconciler.plan.actions import (
    AbandonImport,
    Action,
    CreateRepository,
    ImportRepository,
    RetryImport,
    UpdateRepository,
)
from reconciler.spec.models import ImportCredentials
from reconciler.spec.resolve import repository_address

__all__ = [
    "AbandonImportHandler",
    "CreateRepositoryHandler",
    "ImportHandler",
    "RetryImportHandler",
    "UpdateRepositoryHandler",
]

_ACTIVE = frozenset({"queued", "inprogress"})
_FIRST_POLL_S = 1.0
_LONGEST_POLL_S = 5.0  # az repos import polls every 5 s (azure-devops-import.md section 9)


class CreateRepositoryHandler(Handler[CreateRepository]):
    """Names are unique in a project, so a repeated create answers 409 and makes no second one."""

    @override
    async def send(self, run: Run, action: Action, op: CreateRepository) -> Operation | None:
        """POST the repository."""
        try:
            made = await run.azdo.repositories.create(op.project, op.name)
        except Conflict as e:
            raise ActionError(
                f"the name {op.name} is taken in {op.project} by a repository that was not visible "
                "when the plan was made (it may be disabled or hidden from this caller)",
                remedy="choose another name, or give the caller access and plan again",
            ) from e
        run.bindings[action.address] = made.id
        return None

    @override
    async def verify(self, run: Run, action: Action, op: CreateRepository) -> str:
        """Read the repository by name."""
        try:
            found = await run.azdo.repositories.get(op.project, op.name)
        except NotFound as e:
            raise ActionError(f"the repository {op.name} is not there") from e
        run.bindings[action.address] = found.id
        return "created"


class _Progress(Protocol):
    """The parts of import ops that waiting and cleaning up need."""

    @property
    def project(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def endpoint(self) -> str | None: ...
    @property
    def remove_endpoint(self) -> bool: ...


async def _wait_for_import(run: Run, action: Action, op: _Progress) -> None:
    """Poll an import request to its end.

    Raises:
        ActionError: it failed or was abandoned; the request stays for the next run.
        OperationTimedOut: it is still running.
    """
    repository = run.id_of(action.address)
    request_id = run.import_ids.get(action.address)
    if request_id is None:
        raise ActionError("no import request has arrived", remedy="apply again")
    run.journal.import_request(action=action.id, request_id=request_id)
    end_s = run.clock.monotonic_s() + run.timeout_s
    wait_s = _FIRST_POLL_S
    while True:
        request = await run.azdo.imports.get(op.project, repository, request_id)
        status = request.status.lower()
        if status == "completed":
            return
        if status not in _ACTIVE:
            raise _import_ended(request, op.url)
        run.progress(action, _step(request))
        if run.clock.monotonic_s() >= end_s:
            raise OperationTimedOut(
                f"import {request_id} is still {request.status}",
                operation_id=str(request_id),
                remedy="it goes on at the service; run apply again to wait for it",
            )
        await run.clock.sleep(wait_s)
        wait_s = min(wait_s * 1.5, _LONGEST_POLL_S)


def _step(request: ImportRequest) -> str:
    detail = request.detailed_status
    steps = detail.all_steps if detail else ()
    if detail and 0 < detail.current_step <= len(steps):
        return (
            f"import step {detail.current_step} of {len(steps)}: {steps[detail.current_step - 1]}"
        )
    return f"import {request.status}"


def _import_ended(request: ImportRequest, url: str) -> ActionError:
    if request.status.lower() == "abandoned":
        return ActionError(
            f"import {request.import_request_id} was abandoned by somebody",
            remedy="run apply again to import anew",
        )
    reason = (request.detailed_status.error_message if request.detailed_status else "") or (
        "the service gave no reason"
    )
    return ActionError(
        f"the import from {url} failed: {reason}",
        remedy="correct the source or its credentials; the next apply retries or replaces the "
        "request as onFailure says",
    )


async def _verify_import(run: Run, action: Action, op: _Progress) -> str:
    repository = run.id_of(action.address)
    expect(
        not await is_empty(run.azdo, op.project, repository),
        "the import completed and the repository is still empty",
    )
    return f"imported from {op.url}"


class ImportHandler(Handler[ImportRepository]):
    """Not repeatable: requests are listed first, and one from the same source is joined.

    Source: azure-devops-import.md section 2.3, "POST is not idempotent".
    """

    @override
    async def check(self, run: Run, action: Action, op: ImportRepository) -> None:
        """Look for an active request and for content that arrived meanwhile."""
        repository = run.id_of(action.address)
        imports = await read_imports(run.azdo, op.project, repository)
        for request in sorted(imports, key=lambda r: r.id, reverse=True):
            same = same_source(request.source_url, op.url)
            if request.status in _ACTIVE and same:
                run.import_ids[action.address] = request.id
                return
            if request.status in _ACTIVE or request.status == "failed":
                raise PreconditionMoved(
                    f"import {request.id} from {request.source_url} is {request.status}",
                    remedy="make a new plan; it says how the request is dealt with",
                )
        if not await is_empty(run.azdo, op.project, repository):
            if any(r.status == "completed" and same_source(r.source_url, op.url) for r in imports):
                raise NotNeeded("imported already")
            raise PreconditionMoved(
                "the repository has got content since the plan was made",
                remedy="make a new plan",
            )

    @override
    async def send(self, run: Run, action: Action, op: ImportRepository) -> Operation | None:
        """POST the request, with an endpoint made for it where the spec gives a password."""
        if action.address in run.import_ids:
            return None
        repository = run.id_of(action.address)
        endpoint: str | None = None
        if op.credentials == "inline":
            endpoint = await self._make_endpoint(run, action, op)
        elif op.endpoint is not None:
            endpoint = await find_endpoint(run.azdo, op.project, op.endpoint)
            expect(
                endpoint,
                f"the service endpoint {op.endpoint} is not there any more",
                remedy="create it under Project settings > Service connections",
            )
        try:
            request = await run.azdo.imports.create(
                op.project,
                repository,
                source_url=op.url,
                service_endpoint_id=endpoint,
                delete_endpoint_after=op.credentials == "inline" or op.remove_endpoint,
            )
        except (TransportFailed, ServiceUnavailable):
            if not await self._join(run, action, op, repository):
                await self._clean_made(run, action, op)
                raise
            return None
        except ApiError:
            await self._clean_made(run, action, op)
            raise
        run.import_ids[action.address] = request.import_request_id
        return None

    async def _join(self, run: Run, action: Action, op: ImportRepository, repository: str) -> bool:
        """After an unknown outcome, find the request that did arrive."""
        found: list[LiveImport] = [
            r
            for r in await read_imports(run.azdo, op.project, repository)
            if same_source(r.source_url, op.url) and r.status != "abandoned"
        ]
        if found:
            run.import_ids[action.address] = max(r.id for r in found)
        return bool(found)

    def _endpoint_name(self, run: Run, action: Action) -> str:
        return f"reconciler-import-{run.name_of(action.address)}"

    async def _make_endpoint(self, run: Run, action: Action, op: ImportRepository) -> str:
        credentials = _credentials_of(run, action)
        password: SecretStr = (
            run.secret(credentials.password) if credentials.password else SecretStr("")
        )
        name = self._endpoint_name(run, action)
        await self._clean(run, action, op)  # one left behind by a run that was cut off
        project = await run.azdo.projects.get(op.project)
        made = await run.azdo.endpoints.create_git(
            ProjectRef(id=project.id, name=project.name),
            name=name,
            url=op.url,
            username=credentials.username or "",
            password=password,
        )
        return made.id

    async def _clean_made(self, run: Run, action: Action, op: ImportRepository) -> None:
        """Remove an endpoint of our own; a named one stays for the next try."""
        if op.credentials == "inline":
            await self._clean(run, action, op)

    async def _clean(self, run: Run, action: Action, op: ImportRepository) -> None:
        """Remove the endpoint of this import, if the service has not."""
        name = self._endpoint_name(run, action) if op.credentials == "inline" else None
        if op.remove_endpoint and op.endpoint is not None:
            name = op.endpoint
        if name is None:
            return
        left = await find_endpoint(run.azdo, op.project, name)
        if left is not None:
            project = await run.azdo.projects.get(op.project)
            await run.azdo.endpoints.delete(project.id, left)

    @override
    async def settle(
        self, run: Run, action: Action, op: ImportRepository, operation: Operation | None
    ) -> None:
        """Poll the request; an endpoint made for it goes with its end."""
        try:
            await _wait_for_import(run, action, op)
        except ActionError:
            await self._clean_made(run, action, op)
            raise

    @override
    async def verify(self, run: Run, action: Action, op: ImportRepository) -> str:
        """See that refs are there, and that no endpoint is left."""
        text = await _verify_import(run, action, op)
        await self._clean(run, action, op)
        return text


def _credentials_of(run: Run, action: Action) -> ImportCredentials:
    azure_devops = run.estate.azure_devops
    for spec in azure_devops.repositories if azure_devops else ():
        if repository_address(spec) == action.address and spec.import_ is not None:
            credentials = spec.import_.credentials
            if credentials is not None:
                return credentials
    raise InternalError(f"{action.address} has no import credentials in the plan's spec")


class RetryImportHandler(Handler[RetryImport]):
    """Repeatable after reading the status. Source: azure-devops-import.md section 2.4."""

    @override
    async def check(self, run: Run, action: Action, op: RetryImport) -> None:
        """Only a failed request is queued again."""
        repository = run.id_of(action.address)
        request = await run.azdo.imports.get(op.project, repository, op.import_request_id)
        run.import_ids[action.address] = op.import_request_id
        status = request.status.lower()
        if status == "completed":
            raise NotNeeded("the import has completed meanwhile")
        if status not in _ACTIVE and status != "failed":
            raise PreconditionMoved(
                f"import {op.import_request_id} is {request.status} now", remedy="make a new plan"
            )

    @override
    async def send(self, run: Run, action: Action, op: RetryImport) -> Operation | None:
        """PATCH it to queued."""
        await run.azdo.imports.retry(op.project, run.id_of(action.address), op.import_request_id)
        return None

    @override
    async def settle(
        self, run: Run, action: Action, op: RetryImport, operation: Operation | None
    ) -> None:
        """Poll the request."""
        await _wait_for_import(run, action, op)

    @override
    async def verify(self, run: Run, action: Action, op: RetryImport) -> str:
        """See that refs are there; remove the named endpoint where the spec says so."""
        text = await _verify_import(run, action, op)
        if op.remove_endpoint and op.endpoint is not None:
            left = await find_endpoint(run.azdo, op.project, op.endpoint)
            if left is not None:
                project = await run.azdo.projects.get(op.project)
                await run.azdo.endpoints.delete(project.id, left)
        return text


class AbandonImportHandler(Handler[AbandonImport]):
    """Repeatable: abandoned stays abandoned."""

    @override
    async def check(self, run: Run, action: Action, op: AbandonImport) -> None:
        """Only a failed request is abandoned; a running one may still succeed."""
        status = await self._status(run, action, op)
        if status == "abandoned":
            raise NotNeeded("abandoned already")
        if status != "failed":
            raise PreconditionMoved(
                f"import {op.import_request_id} is {status} now", remedy="make a new plan"
            )

    async def _status(self, run: Run, action: Action, op: AbandonImport) -> str:
        request = await run.azdo.imports.get(
            op.project, run.id_of(action.address), op.import_request_id
        )
        return request.status.lower()

    @override
    async def send(self, run: Run, action: Action, op: AbandonImport) -> Operation | None:
        """PATCH it to abandoned."""
        await run.azdo.imports.abandon(op.project, run.id_of(action.address), op.import_request_id)
        return None

    @override
    async def verify(self, run: Run, action: Action, op: AbandonImport) -> str:
        """Read its status."""
        expect(await self._status(run, action, op) == "abandoned", "the request is not abandoned")
        return f"import {op.import_request_id} abandoned"


class UpdateRepositoryHandler(Handler[UpdateRepository]):
    """Repeatable: setting a default branch twice is setting it once."""

    @override
    async def check(self, run: Run, action: Action, op: UpdateRepository) -> None:
        """See what it is, and that the branch exists."""
        repository = run.id_of(action.address)
        if await self._current(run, action, op) == op.default_branch:
            raise NotNeeded(f"already {op.default_branch}")
        wanted = f"refs/heads/{op.default_branch}"
        refs = await run.azdo.refs.list(op.project, repository, prefix=f"heads/{op.default_branch}")
        expect(
            any(r.name == wanted for r in refs),
            f"the repository has no branch {op.default_branch}",
            remedy="push the branch, or name one that exists in defaultBranch",
        )

    async def _current(self, run: Run, action: Action, op: UpdateRepository) -> str:
        found = await run.azdo.repositories.get(op.project, run.id_of(action.address))
        return (found.default_branch or "").removeprefix("refs/heads/")

    @override
    async def send(self, run: Run, action: Action, op: UpdateRepository) -> Operation | None:
        """PATCH the default branch."""
        await run.azdo.repositories.update(
            op.project,
            run.id_of(action.address),
            default_branch=f"refs/heads/{op.default_branch}",
        )
        return None

    @override
    async def verify(self, run: Run, action: Action, op: UpdateRepository) -> str:
        """Read the repository."""
        current = await self._current(run, action, op)
        expect(current == op.default_branch, f"the default branch is still {current}")
        return f"default branch {op.default_branch}"
