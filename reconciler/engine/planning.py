"""From a spec to a plan: read what is live, build, and let the policies judge."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler._version import __version__
from reconciler.clients.services import Services
from reconciler.engine.services import services_for
from reconciler.engine.settings import Purpose, ReadFinished, ReadStarted, Settings
from reconciler.errors import SpecError
from reconciler.live.once import Once
from reconciler.live.patience import Patience
from reconciler.live.read import read_estate
from reconciler.plan.build import PlanInput, build_plan, with_diagnostics
from reconciler.plan.plan import Plan
from reconciler.plan.targets import narrowed, needs_all
from reconciler.policies.judge import POLICY_CODES, judge
from reconciler.spec.load import LoadResult, estate_from_resolved, load_spec
from reconciler.spec.models import Estate

if TYPE_CHECKING:  # only a preview looks at a checkout
    from reconciler.live.checkout import Checkout, MergeRequest

__all__ = [
    "digest_of_file",
    "estate_of",
    "exit_code_of",
    "input_of",
    "input_of_plan",
    "load",
    "make_plan",
    "plan_with",
]


def load(
    paths: Sequence[Path],
    *,
    variables: Mapping[str, str] | None = None,
    var_files: Sequence[Path] = (),
) -> LoadResult:
    """Read and check a spec offline; findings are in the result."""
    return load_spec(paths, variables=variables or {}, var_files=var_files)


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
    wanted = input_of(loaded, settings, target, exclude)
    checkout = None
    if merge is not None:
        from reconciler.live.checkout import Checkout  # noqa: PLC0415 - only for a preview

        checkout = Checkout(merge, settings.environ)
    async with services_for(settings, wanted.estate) as services:
        return await plan_with(
            services, wanted, settings, "plan", patient=patient, checkout=checkout
        )


def exit_code_of(plan: Plan) -> int:
    """Return the exit code a plan as such means: 1 errors or unknown, 3 policy, else 0."""
    errors = [d for d in plan.diagnostics if d.severity == "error"]
    if any(d.code not in POLICY_CODES for d in errors) or plan.unknown:
        return 1
    return 3 if errors else 0


def estate_of(plan: Plan) -> Estate:
    """Return the resolved spec that a plan embeds."""
    return input_of_plan(plan).estate


async def plan_with(
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
    how = (settings, patience if patient else None, checkout, Once())
    part = replace(wanted, estate=narrowed(wanted.estate, wanted.target))
    plan = await _read_and_plan(services, part, *how)
    if part.estate is not wanted.estate and needs_all(plan):
        plan = await _read_and_plan(services, wanted, *how)
    plan = with_diagnostics(plan, judge(plan, wanted.estate))
    settings.on_read(ReadFinished(purpose, plan, settings.clock.monotonic_s() - began_s))
    return plan


async def _read_and_plan(
    services: Services,
    wanted: PlanInput,
    settings: Settings,
    patience: Patience | None,
    checkout: Checkout | None,
    once: Once,
) -> Plan:
    snapshot = await read_estate(
        wanted.estate,
        services,
        reads=settings.reads,
        patience=patience,
        beta=wanted.beta,
        admin=settings.tell if settings.admin and patience is None else None,
        once=once,
    )
    if checkout is not None:
        from reconciler.live.preview import with_preview  # noqa: PLC0415 - only for a preview

        preview = await asyncio.to_thread(
            checkout.look_ahead, wanted.estate, snapshot, wanted.endpoints.values()
        )
        snapshot = with_preview(snapshot, preview)
    return build_plan(wanted, snapshot)


def input_of(
    loaded: LoadResult, settings: Settings, target: Sequence[str], exclude: Sequence[str]
) -> PlanInput:
    """Return what a plan of a spec is computed from.

    Raises:
        SpecError: the spec is invalid; it carries the diagnostics.
    """
    if loaded.estate is None or loaded.resolved is None:
        raise SpecError("the spec is invalid", loaded.diagnostics)
    return PlanInput(
        estate=loaded.estate,
        resolved=loaded.resolved,
        digest=loaded.digest,
        files=loaded.files,
        sources={f: digest_of_file(Path(f)) for f in loaded.files if Path(f).is_file()},
        endpoints=settings.endpoints(loaded.estate),
        target=tuple(target),
        exclude=tuple(exclude),
        beta=settings.beta,
        version=__version__,
        allowed=settings.allowed,
    )


def input_of_plan(plan: Plan) -> PlanInput:
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


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
