"""Carrying out a plan, and making it anew where something moved under it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler.diagnostics import Diagnostic
from reconciler.engine.planning import exit_code_of, input_of_plan, make_plan, plan_with
from reconciler.engine.services import services_for
from reconciler.engine.settings import Settings
from reconciler.errors import LockLost, PlanRefused, ReconcilerError, SpecError
from reconciler.execute.events import ActionOutcome, ApplyResult, Listener, Outcome
from reconciler.execute.executor import execute
from reconciler.execute.run import Run
from reconciler.journal.write import Journal, NoJournal
from reconciler.plan.actions import Action, CreateConnection, Deploy, ImportRepository
from reconciler.plan.plan import Plan
from reconciler.policies.reviewed import beyond, check_expected, refuse_preview
from reconciler.spec.load import LoadResult
from reconciler.spec.models import Estate, SecretRef
from reconciler.spec.resolve import find_connection, repository_address

__all__ = [
    "apply_plan",
    "apply_spec",
]

_REPLANS = 3


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
    wanted = input_of_plan(plan)
    _check_applyable(plan, wanted.estate, settings)
    journal = journal or NoJournal()
    journal.plan(
        fingerprint=plan.fingerprint,
        created_at=plan.created_at,
        digest=plan.spec.digest,
        caller=plan.caller,
        actions=len(plan.actions),
    )
    async with services_for(settings, wanted.estate) as services:
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
            after = await plan_with(services, wanted, settings, "verify")
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


def _is_residual(action: Action) -> bool:
    """A deployment whose items still differ straight after it succeeded.

    Deployment rules have no API, and services re-serialise; so this is told, not repeated.
    """
    return isinstance(action.op, Deploy) and all(i.change != "New" for i in action.items)


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
