"""The composition root: joins spec, live, plan and execute, and knows no terminal.

Everything that talks to a service starts here; commands only parse, call, render and exit.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from reconciler._version import __version__
from reconciler.adopt.build import write_found
from reconciler.adopt.found import Selection
from reconciler.adopt.read import read_selected
from reconciler.clients.auth import devops_credential, fabric_credential, identity_source
from reconciler.clients.http import Network, Service, Transport
from reconciler.clients.lro import OperationState
from reconciler.clients.secrets import secrets_of
from reconciler.clients.services import Services
from reconciler.clock import Clock, SystemClock
from reconciler.diagnostics import Diagnostic
from reconciler.errors import (
    JournalError,
    LockLost,
    OperationTimedOut,
    PlanRefused,
    PlanStale,
    ReconcilerError,
    SpecError,
)
from reconciler.execute.events import ActionOutcome, ApplyResult, Listener, Outcome
from reconciler.execute.executor import execute
from reconciler.execute.resume import Reattached, reattach
from reconciler.execute.run import Run
from reconciler.execute.stop import Stop
from reconciler.journal.read import (
    JournalFile,
    journals_of,
    read_journal,
    still_open,
    unfinished,
)
from reconciler.journal.records import ResumedRecord, RunRecord
from reconciler.journal.write import FileJournal, Journal, NoJournal, new_run_id
from reconciler.live.checkout import Checkout, MergeRequest
from reconciler.live.patience import Patience
from reconciler.live.preview import with_preview
from reconciler.live.read import read_estate
from reconciler.locks.choose import LockPlace
from reconciler.locks.holder import this_process
from reconciler.plan.actions import Action, CreateConnection, Deploy, ImportRepository
from reconciler.plan.build import PlanInput, build_plan, with_diagnostics
from reconciler.plan.plan import Allowed, Plan
from reconciler.plan.targets import narrowed, needs_all
from reconciler.policies.judge import POLICY_CODES, judge
from reconciler.policies.reviewed import (
    beyond,
    check_expected,
    made_for_another,
    refuse_preview,
)
from reconciler.spec.load import LoadResult, estate_from_resolved, load_spec
from reconciler.spec.models import Estate, Metadata, SecretRef
from reconciler.spec.resolve import find_connection, repository_address, secret_references

__all__ = [
    "Adopted",
    "Purpose",
    "ReadFinished",
    "ReadStarted",
    "Settings",
    "Takeover",
    "adopt",
    "apply_plan",
    "apply_spec",
    "check_plan_file",
    "estate_of",
    "exit_code_of",
    "load",
    "lock_place",
    "locked",
    "look_at_operation",
    "make_plan",
    "take_over",
]

DEFAULT_FABRIC_URL = "https://api.fabric.microsoft.com"
DEFAULT_DEVOPS_URL = "https://dev.azure.com"
_REPLANS = 3


Purpose = Literal["plan", "check", "verify"]
"""Why live is read: to plan, to check a plan file, to verify an apply."""


@dataclass(frozen=True, slots=True)
class ReadStarted:
    """The live state is about to be read."""

    purpose: Purpose


@dataclass(frozen=True, slots=True)
class ReadFinished:
    """The live state was read and ``plan`` made of it."""

    purpose: Purpose
    plan: Plan
    elapsed_s: float


def _unheard(_: ReadStarted | ReadFinished) -> None:
    """Listen to nothing."""


def _untold(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run takes from outside the spec.

    Attributes:
        environ: endpoints, credentials and secrets are read from here, and nowhere else.
        fabric_url, devops_url: flags; they win over the environment.
        auth: which azure-identity credential to use; None for its default chain.
        parallelism: the most actions under way at once.
        timeout_s: how long one long-running operation is waited for.
        reads: the most requests on their way to a service at once; never fewer than actions.
        allowed: caps on what this run may delete and overwrite.
        beta: a plan may use preview APIs.
        admin: a plan may use lists that are for administrators.
        on_read: is told when live starts and ends being read.
        network: carries the requests to a service instead of the network; each run asks anew.
        journals: where journals are kept; None for a run that keeps none.
        stop: how the caller asks an apply to stop.
        tell: is told in a sentence what is waited for: by an apply before it plans, and by any
            run whose calls a service limits.
        lock: where the lock of an estate is, as ``--lock`` says; None to take none.
        lock_timeout_s: how long another run is waited for.
        fence: called before every write; ``locked`` sets it.
        run_id: names the run in its journal and in its lock.
    """

    environ: Mapping[str, str]
    fabric_url: str | None = None
    devops_url: str | None = None
    auth: str | None = None
    parallelism: int = 10
    timeout_s: float = 3600.0
    reads: int = 16
    allowed: Allowed = field(default_factory=Allowed)
    beta: bool = False
    admin: bool = False
    clock: Clock = field(default_factory=SystemClock)
    on_read: Callable[[ReadStarted | ReadFinished], None] = _unheard
    network: Callable[[Service], Network] | None = None
    journals: Path | None = None
    stop: Stop = field(default_factory=Stop)
    tell: Callable[[str], None] = _untold
    lock: str | None = None
    lock_timeout_s: float = 0.0
    fence: Callable[[], Awaitable[None]] | None = None
    run_id: str = field(default_factory=new_run_id)

    def endpoints(self, estate: Estate | None = None) -> dict[str, str]:
        """Return the base URLs in force.

        A spec's ``azureDevOps.url`` names its own server, unless an address is given by flag or
        environment: then that one takes its place and the path stays.
        """
        given = self.devops_url or self.environ.get("RECONCILER_DEVOPS_URL")
        own = estate.azure_devops.url if estate and estate.azure_devops else None
        if given is None and own is not None:
            parts = urlsplit(own)
            given = f"{parts.scheme}://{parts.netloc}"
        return {
            "fabric": (
                self.fabric_url or self.environ.get("RECONCILER_FABRIC_URL") or DEFAULT_FABRIC_URL
            ).rstrip("/"),
            "devops": (given or DEFAULT_DEVOPS_URL).rstrip("/"),
        }


def load(
    paths: Sequence[Path],
    *,
    variables: Mapping[str, str] | None = None,
    var_files: Sequence[Path] = (),
) -> LoadResult:
    """Read and check a spec offline; findings are in the result."""
    return load_spec(paths, variables=variables or {}, var_files=var_files)


def lock_place(where: str, settings: Settings) -> LockPlace:
    """Return the place of locks that ``--lock`` names."""
    make = identity_source(settings.environ, mode=settings.auth)
    return LockPlace(where, settings.environ, make)


@asynccontextmanager
async def locked(estate: str, settings: Settings) -> AsyncIterator[Settings]:
    """Hold the lock of an estate, and give the settings to write under it with.

    Raises:
        LockHeld: another run holds it, and did so until the time to wait was over.
        LockFailed: it cannot be taken for another reason.
    """
    if settings.lock is None:
        yield settings
        return
    holder = this_process(estate, run=settings.run_id, clock=settings.clock)
    lock = lock_place(settings.lock, settings).lock_for(holder, settings.clock)
    await lock.acquire(
        timeout_s=settings.lock_timeout_s, on_wait=lambda who: settings.tell(f"Waiting: {who}.")
    )
    try:
        yield replace(settings, fence=lock.renew)
    finally:
        await lock.release()


@asynccontextmanager
async def _services(settings: Settings, estate: Estate | None) -> AsyncIterator[Services]:
    endpoints = settings.endpoints(estate)
    fabric_auth = fabric_credential(settings.environ, mode=settings.auth, clock=settings.clock)
    devops_auth = devops_credential(settings.environ, mode=settings.auth, clock=settings.clock)
    connections = max(settings.reads, settings.parallelism)
    names = [reference.env for reference in secret_references(estate)] if estate else []
    secrets = secrets_of(settings.environ, names)
    fabric = Transport(
        service=Service.FABRIC,
        base_url=endpoints["fabric"],
        credential=fabric_auth,
        clock=settings.clock,
        connections=connections,
        deadline_s=_CALL_DEADLINE_S,
        handler=_network(settings, Service.FABRIC),
        fence=settings.fence,
        tell=settings.tell,
        secrets=secrets,
    )
    devops = Transport(
        service=Service.AZURE_DEVOPS,
        base_url=endpoints["devops"],
        credential=devops_auth,
        clock=settings.clock,
        connections=connections,
        deadline_s=_CALL_DEADLINE_S,
        handler=_network(settings, Service.AZURE_DEVOPS),
        fence=settings.fence,
        tell=settings.tell,
        secrets=secrets,
    )
    services = Services(fabric, devops, credentials=(fabric_auth, devops_auth))
    try:
        yield services
    finally:
        await services.aclose()


def _network(settings: Settings, service: Service) -> Network | None:
    return settings.network(service) if settings.network is not None else None


# How long a service may refuse every call of an API before we stop asking: windows of a minute
# are the rule, and waiting for one's turn in them does not count.
_CALL_DEADLINE_S = 300.0


async def _plan_with(
    services: Services,
    wanted: PlanInput,
    settings: Settings,
    purpose: Purpose,
    *,
    patient: bool = True,
    checkout: Checkout | None = None,
) -> Plan:
    """Read and plan; ``patient`` waits until nothing moves, which a mere plan does not."""
    began_s = settings.clock.monotonic_s()
    settings.on_read(ReadStarted(purpose))
    patience = Patience(
        settings.clock, settings.timeout_s, lambda what: settings.tell(f"Waiting for {what}.")
    )
    part = replace(wanted, estate=narrowed(wanted.estate, wanted.target))
    plan = await _read_and_plan(services, part, settings, patience if patient else None, checkout)
    if part.estate is not wanted.estate and needs_all(plan):
        plan = await _read_and_plan(
            services, wanted, settings, patience if patient else None, checkout
        )
    plan = with_diagnostics(plan, judge(plan, wanted.estate))
    settings.on_read(ReadFinished(purpose, plan, settings.clock.monotonic_s() - began_s))
    return plan


async def _read_and_plan(
    services: Services,
    wanted: PlanInput,
    settings: Settings,
    patience: Patience | None,
    checkout: Checkout | None,
) -> Plan:
    snapshot = await read_estate(
        wanted.estate,
        services,
        reads=settings.reads,
        patience=patience,
        beta=wanted.beta,
        admin=settings.tell if settings.admin and patience is None else None,
    )
    if checkout is not None:
        preview = await asyncio.to_thread(
            checkout.look_ahead, wanted.estate, snapshot, wanted.endpoints.values()
        )
        snapshot = with_preview(snapshot, preview)
    return build_plan(wanted, snapshot)


def _input_of(
    loaded: LoadResult, settings: Settings, target: Sequence[str], exclude: Sequence[str]
) -> PlanInput:
    if loaded.estate is None or loaded.resolved is None:
        raise SpecError("the spec is invalid", loaded.diagnostics)
    return PlanInput(
        estate=loaded.estate,
        resolved=loaded.resolved,
        digest=loaded.digest,
        files=loaded.files,
        sources={f: _digest_of(Path(f)) for f in loaded.files if Path(f).is_file()},
        endpoints=settings.endpoints(loaded.estate),
        target=tuple(target),
        exclude=tuple(exclude),
        beta=settings.beta,
        version=__version__,
        allowed=settings.allowed,
    )


def _input_of_plan(plan: Plan) -> PlanInput:
    """Return what a plan was computed from, taken out of the plan itself."""
    return PlanInput(
        estate=estate_from_resolved(plan.spec.resolved),
        resolved=plan.spec.resolved,
        digest=plan.spec.digest,
        files=plan.spec.files,
        sources=plan.spec.sources,
        endpoints=plan.endpoints,
        target=plan.target,
        exclude=plan.exclude,
        beta=plan.beta,
        version=plan.reconciler_version,
        allowed=plan.allowed,
    )


def estate_of(plan: Plan) -> Estate:
    """Return the resolved spec that a plan embeds."""
    return _input_of_plan(plan).estate


@dataclass(frozen=True, slots=True)
class Adopted:
    """The spec of what is live.

    Attributes:
        text: the spec as YAML; what could not be read stands in its comments.
        counts: how many resources it declares, by kind.
        missing: what was asked for and could not be found or read, a sentence each.
        requests: how many requests that took.
    """

    text: str
    counts: Mapping[str, int]
    missing: tuple[str, ...]
    requests: int


async def adopt(selection: Selection, settings: Settings) -> Adopted:
    """Read what is live and write the spec of it; planning that spec gives no changes.

    Raises:
        AuthFailed: the caller is not signed in to Fabric.
    """
    # What the spec says of Azure DevOps decides where it is reached, as for a plan.
    place = Estate(
        api_version="reconciler/v1",
        kind="Estate",
        metadata=Metadata(name="adopted"),
        azure_devops=selection.azure_devops,
    )
    async with _services(settings, place) as services:
        found = await read_selected(selection, services, reads=settings.reads)
        requests = sum(services.requests.values())
    written = write_found(found)
    return Adopted(written.text, written.counts, tuple(found.failures()), requests)


async def make_plan(
    loaded: LoadResult,
    settings: Settings,
    *,
    target: Sequence[str] = (),
    exclude: Sequence[str] = (),
    patient: bool = False,
    merge: MergeRequest | None = None,
) -> Plan:
    """Read the live state and compute the plan.

    Args:
        patient: wait for the end of running updates and deployments first, as an apply must.
        merge: plan for the time after this merge; such a plan is shown and never applied.

    Raises:
        CheckoutError: there is no checkout to look at, or it lacks the revision.
        SpecError: the spec is invalid; it carries the diagnostics.
        AuthFailed: the caller is not signed in.
        DependencyCycle: actions wait for each other in a circle.
    """
    wanted = _input_of(loaded, settings, target, exclude)
    checkout = Checkout(merge, settings.environ) if merge is not None else None
    async with _services(settings, wanted.estate) as services:
        return await _plan_with(
            services, wanted, settings, "plan", patient=patient, checkout=checkout
        )


async def look_at_operation(operation_id: str, settings: Settings) -> OperationState:
    """Ask the service once how a long-running operation stands.

    Raises:
        OperationError: the service does not know it, or no longer.
    """
    async with _services(settings, None) as services:
        return await services.fabric.operations.get_state(operation_id)


def exit_code_of(plan: Plan) -> int:
    """Return the exit code a plan as such means: 1 errors or unknown, 3 policy, else 0."""
    errors = [d for d in plan.diagnostics if d.severity == "error"]
    if any(d.code not in POLICY_CODES for d in errors) or plan.unknown:
        return 1
    return 3 if errors else 0


@dataclass(frozen=True, slots=True)
class Takeover:
    """What an apply found of earlier runs, and where it notes its own steps.

    Attributes:
        unfinished: the runs that were cut off, newest first.
        reattached: what came of the operations they had left under way.
        damaged: why an earlier journal could not be used; the live state is read in any case.
    """

    journal: Journal
    unfinished: tuple[RunRecord, ...] = ()
    reattached: tuple[Reattached, ...] = ()
    damaged: str = ""


async def take_over(estate: Estate, settings: Settings) -> Takeover:
    """Find what earlier applies of this estate left under way, and wait for its end.

    Raises:
        OperationTimedOut: an operation of an earlier run still runs when the time is over.
        JournalError: a journal cannot be written.
        ClientError: the service cannot be reached. In all three nothing was written there.
    """
    if settings.journals is None:
        return Takeover(NoJournal())
    found: list[JournalFile] = []
    damaged = ""
    try:
        found.extend(unfinished(settings.journals, estate.metadata.name))
    except JournalError as error:
        damaged = error.message
    endpoints = settings.endpoints(estate)
    journal = FileJournal(
        directory=settings.journals,
        estate=estate.metadata.name,
        endpoints=endpoints,
        version=__version__,
        clock=settings.clock,
        run_id=settings.run_id,
        resumes=tuple(j.run.run for j in found),
    )
    here = [j for j in found if j.run.endpoints.get("fabric") == endpoints["fabric"]]
    waiting = [o for o in still_open(here) if o.service == "fabric"]
    results: tuple[Reattached, ...] = ()
    if waiting:
        async with _services(settings, estate) as services:
            results = await reattach(
                services,
                waiting,
                timeout_s=settings.timeout_s,
                tell=lambda o, state: settings.tell(
                    f"Waiting for {o.kind} {o.address} of run {o.run} ({state})."
                ),
            )
    for one in results:
        journal.resumed(
            ResumedRecord(
                at=settings.clock.now(),
                run=one.operation.run,
                action=one.operation.action,
                operation_id=one.operation.operation_id,
                outcome=one.outcome,
                text=one.text,
            )
        )
    running = [r for r in results if r.outcome == "running"]
    if running:
        raise OperationTimedOut(
            f"{running[0].operation.kind} {running[0].operation.address} of run "
            f"{running[0].operation.run} is still running: {running[0].text}",
            operation_id=running[0].operation.operation_id,
            remedy="apply again later, or with a longer --timeout; nothing was written",
        )
    return Takeover(journal, tuple(j.run for j in found), results, damaged)


def _used_by(plan: Plan, settings: Settings) -> str | None:
    """Return the run that has already begun to carry out a plan file, if a journal tells."""
    if settings.journals is None or not plan.actions:
        return None
    for path in journals_of(settings.journals, plan.spec.name):
        try:
            journal = read_journal(path)
        except JournalError:
            continue  # live state is compared in any case
        if journal is None or not journal.intents:
            continue
        used = {(p.fingerprint, p.created_at) for p in journal.plans}
        if (plan.fingerprint, plan.created_at) in used:  # the same plan may be made anew later
            return journal.run.run
    return None


async def check_plan_file(plan: Plan, settings: Settings) -> None:
    """See that a plan from a file still holds, before anything is written.

    Raises:
        PlanStale: spec, endpoints, caller, tool version or live state moved; the message names
            what.
    """
    estate = _input_of_plan(plan).estate
    # Another tool or another service: what is there says nothing about this plan.
    _refuse_stale(made_for_another(plan, settings.endpoints(estate)))
    used = _used_by(plan, settings)
    if used is not None:
        raise PlanStale(
            f"the plan is stale: run {used} has used it already, and a plan file is applied once",
            remedy=f"see what it did with: reconciler runs show {used}; then make a new plan",
        )
    moved = _edited(plan)
    async with _services(settings, estate) as services:
        now = await _plan_with(services, _input_of_plan(plan), settings, "check")
    if plan.caller != now.caller:
        moved.append(f"it was made by another caller ({plan.caller}), this is {now.caller}")
    moved.extend(_differences(plan, now))
    _refuse_stale(moved)


def _refuse_stale(moved: Sequence[str]) -> None:
    if moved:
        raise PlanStale(
            "the plan is stale: " + "; ".join(moved[:8]) + ("; …" if len(moved) > 8 else ""),
            remedy="make a new plan; nothing was written",
        )


def _edited(plan: Plan) -> list[str]:
    """Name the spec's files that are at hand and have changed."""
    moved: list[str] = []
    for name, digest in plan.spec.sources.items():
        if Path(name).is_file() and _digest_of(Path(name)) != digest:
            moved.append(f"{name} has changed")
    return moved


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _essence(action: Action) -> dict[str, object]:
    return action.model_dump(exclude={"reason", "wave", "estimated_requests"})


def _differences(plan: Plan, now: Plan) -> list[str]:
    """Name what a plan made now would do differently, and why where the plan made now knows."""
    then = {a.id: a for a in plan.actions}
    present = {a.id: a for a in now.actions}
    out = [
        f"{u.address} cannot be read now: {u.text}"
        for u in now.unreadable
        if u.address not in plan.unknown
    ]
    errors = [d for d in now.diagnostics if d.severity == "error" and d not in plan.diagnostics]
    out.extend(f"{d.address}: {d.summary}" if d.address else d.summary for d in errors)
    explained = {u.address for u in now.unreadable} | {d.address for d in errors}
    out.extend(
        f"{a.kind} {a.address} is not needed any more"
        for i, a in then.items()
        if i not in present and a.address not in explained
    )
    out.extend(f"{a.kind} {a.address} is needed now" for i, a in present.items() if i not in then)
    out.extend(
        f"{a.kind} {a.address}: {_difference(a, present[i])}"
        for i, a in then.items()
        if i in present and _essence(a) != _essence(present[i])
    )
    if plan.bindings != now.bindings and not out:
        out.append("a resource was removed and made anew")
    return out


def _difference(then: Action, now: Action) -> str:
    """Say how an action of the plan differs from the same one of a plan made now."""
    keys = sorted(
        k
        for k in then.preconditions.keys() | now.preconditions.keys()
        if then.preconditions.get(k) != now.preconditions.get(k)
    )
    found = [f"{k} was {then.preconditions.get(k)} and is {now.preconditions.get(k)}" for k in keys]
    before, after = ({(i.type, i.name): i for i in a.items} for a in (then, now))
    for text, names in (
        ("it would also take", after.keys() - before.keys()),
        ("it would no longer take", before.keys() - after.keys()),
        ("it would change otherwise", {k for k in before.keys() & after if before[k] != after[k]}),
    ):
        if names:
            found.append(f"{text} {', '.join(' '.join(n) for n in sorted(names))}")
    return "; ".join(found) or "what it would change is different"


def _missing_secrets(plan: Plan, estate: Estate, environ: Mapping[str, str]) -> list[str]:
    """Name the environment variables that the actions of a plan need and that are not set."""
    wanted: list[SecretRef] = []
    repositories = estate.azure_devops.repositories if estate.azure_devops else ()
    for action in plan.actions:
        if isinstance(action.op, CreateConnection):
            connection = find_connection(estate, action.op.name)
            if connection is not None and connection.create is not None:
                credentials = connection.create.credentials
                principal = credentials.service_principal
                wanted.extend(
                    s for s in (credentials.key, principal.secret if principal else None) if s
                )
        elif isinstance(action.op, ImportRepository) and action.op.credentials == "inline":
            for spec in repositories:
                if repository_address(spec) == action.address and spec.import_ is not None:
                    inline = spec.import_.credentials
                    if inline is not None and inline.password is not None:
                        wanted.append(inline.password)
    return sorted({s.env for s in wanted if not environ.get(s.env)})


def _check_applyable(plan: Plan, estate: Estate, settings: Settings) -> None:
    refuse_preview(plan)
    errors = [d for d in plan.diagnostics if d.severity == "error"]
    if errors:
        kind = PlanRefused if exit_code_of(plan) == 3 else SpecError
        raise kind(f"the plan has {len(errors)} errors, so nothing was written")
    missing = _missing_secrets(plan, estate, settings.environ)
    if missing:
        raise ReconcilerError(
            f"environment variables are not set: {', '.join(missing)}; nothing was written",
            remedy="set them where apply runs; the spec refers to them",
        )


async def apply_plan(
    plan: Plan, settings: Settings, *, listener: Listener, journal: Journal | None = None
) -> ApplyResult:
    """Carry out exactly this plan, then plan again and compare.

    Args:
        journal: what the run notes; the caller ends it.

    Raises:
        PlanRefused: policy forbids it, or it is a preview.
        SpecError: the plan has errors.
        ReconcilerError: a secret is missing. In all three nothing was written.
    """
    wanted = _input_of_plan(plan)
    _check_applyable(plan, wanted.estate, settings)
    journal = journal or NoJournal()
    journal.plan(
        fingerprint=plan.fingerprint,
        created_at=plan.created_at,
        digest=plan.spec.digest,
        caller=plan.caller,
        actions=len(plan.actions),
    )
    async with _services(settings, wanted.estate) as services:
        run = Run(
            services=services,
            plan=plan,
            estate=wanted.estate,
            environ=settings.environ,
            timeout_s=settings.timeout_s,
            bindings=dict(plan.bindings),
            journal=journal,
            stop=settings.stop,
            reads=settings.reads,
        )
        outcomes = await execute(run, parallelism=settings.parallelism, listener=listener)
        if settings.stop.requested:
            return ApplyResult(outcomes, interrupted=True)
        if not all(o.ok for o in outcomes):
            return ApplyResult(outcomes)
        try:
            after = await _plan_with(services, wanted, settings, "verify")
        except ReconcilerError:
            # What was done stays done and is told; that it could not be checked is told too.
            return ApplyResult(outcomes)
    done = {o.action_id for o in outcomes if o.outcome is Outcome.DONE}
    again = [a for a in after.actions if a.id in done]
    residual = tuple(a.id for a in again if _is_residual(a))
    return ApplyResult(
        outcomes,
        after=after,
        still_needed=tuple(a.id for a in again if a.id not in residual),
        residual=residual,
    )


def _is_residual(action: Action) -> bool:
    """A deployment whose items still differ straight after it succeeded.

    Deployment rules have no API, and services re-serialise; so this is told, not repeated.
    """
    return isinstance(action.op, Deploy) and all(i.change != "New" for i in action.items)


async def apply_spec(
    loaded: LoadResult,
    plan: Plan,
    settings: Settings,
    *,
    listener: Listener,
    target: Sequence[str] = (),
    exclude: Sequence[str] = (),
    journal: Journal | None = None,
    reviewed: Plan | None = None,
) -> ApplyResult:
    """Carry out a plan; plan again, three times at most, when something moved under it.

    A new plan is carried out only if it destroys nothing that the approved one did not.

    Args:
        reviewed: neither this plan nor one made anew may go beyond it. Where one made anew does
            after something was done, the run ends there.

    Raises:
        PlanRefused: policy forbids it, the new plan would destroy more, or nothing is done yet
            and the plan goes beyond the reviewed one.
    """
    if reviewed is not None:
        check_expected(reviewed, plan)
    approved = {a.id for a in plan.actions if a.destructive}
    journal = journal or NoJournal()
    result = await apply_plan(plan, settings, listener=listener, journal=journal)
    for _ in range(_REPLANS):
        if result.interrupted or not any(o.outcome is Outcome.REFUSED for o in result.outcomes):
            break
        try:
            plan = await make_plan(loaded, settings, target=target, exclude=exclude, patient=True)
        except LockLost:
            break
        if any(d.severity == "error" for d in plan.diagnostics):
            break
        more = sorted({a.id for a in plan.actions if a.destructive} - approved)
        if more:
            raise PlanRefused(
                f"things moved, and the plan made anew would also destroy: {', '.join(more)}",
                remedy="look at the new plan and approve it: reconciler apply again",
            )
        before = [o for o in result.outcomes if o.outcome is Outcome.DONE]
        if reviewed is not None:
            if not before:
                check_expected(reviewed, plan)
            elif found := beyond(reviewed, plan):
                return replace(result, outcomes=_held_to(reviewed, result.outcomes, found))
        result = await apply_plan(plan, settings, listener=listener, journal=journal)
        result = replace(result, outcomes=_joined(before, result.outcomes))
    return result


def _held_to(
    reviewed: Plan, outcomes: Sequence[ActionOutcome], found: Sequence[Diagnostic]
) -> tuple[ActionOutcome, ...]:
    """Say of what was refused why it was not planned anew and carried out."""
    told = "; ".join(f"{d.address}: {d.summary}" for d in found)
    why = f"and a new plan does more than the one reviewed at {reviewed.created_at}: {told}"
    return tuple(
        replace(o, text=f"{o.text}, {why}") if o.outcome is Outcome.REFUSED else o for o in outcomes
    )


def _joined(
    before: Sequence[ActionOutcome], now: Sequence[ActionOutcome]
) -> tuple[ActionOutcome, ...]:
    """Put what earlier attempts did before what the last one did, each action once."""
    latest = {o.action_id for o in now}
    return (*(o for o in before if o.action_id not in latest), *now)
