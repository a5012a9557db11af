"""A user's apply, in this process: the steps of ``reconciler apply SPEC --auto-approve``."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler import engine
from reconciler.cli.apply import exit_code
from reconciler.cli.common import blocked
from reconciler.errors import ReconcilerError
from reconciler.execute.events import ApplyResult
from reconciler.journal.write import FileJournal, new_run_id
from reconciler.plan.plan import Plan
from reconciler.spec.load import LoadResult

__all__ = ["Run", "apply", "load", "quiet"]


@dataclass(frozen=True, slots=True)
class Run:
    """How an apply ended: its exit code, and why if it is not 0."""

    code: int
    text: str = ""


def load(spec: Path) -> LoadResult:
    """Read a spec that must be valid."""
    loaded = engine.load([spec])
    assert loaded.estate is not None, loaded.diagnostics
    return loaded


async def apply(loaded: LoadResult, settings: engine.Settings) -> Run:
    """Take over, plan and carry out, as the command does with approval given.

    Without the lock: what a killed process leaves of it only a killed process can tell.
    """
    assert loaded.estate is not None
    settings = replace(settings, run_id=new_run_id())
    try:
        taken = await engine.take_over(loaded.estate, settings)
    except ReconcilerError as error:
        return Run(1, f"take over: {error}")
    journal = taken.journal
    try:
        plan = await engine.make_plan(loaded, settings, patient=True)
        code = blocked(plan)
        if code or not plan.actions:
            code = code or engine.exit_code_of(plan)
            journal.end("complete" if code == 0 and not plan.actions else "failed")
            return Run(code, _findings(plan))
        result = await engine.apply_spec(
            loaded, plan, settings, listener=lambda _: None, journal=journal
        )
        code = exit_code(plan, result)
        journal.end("complete" if code == 0 else "failed")
    except ReconcilerError as error:
        return Run(1, str(error))
    finally:
        # A process that ends, by itself or by a kill, lets go of its files.
        if isinstance(journal, FileJournal):
            journal.close()
    return Run(code, _outcomes(result))


async def quiet(loaded: LoadResult, settings: engine.Settings) -> str:
    """Return "" when a plan has nothing to do and nothing to say, else what it says."""
    with contextlib.suppress(ReconcilerError):
        plan = await engine.make_plan(loaded, settings)
        if not plan.actions and not engine.exit_code_of(plan) and not plan.unknown:
            return ""
        return "; ".join([*(a.id for a in plan.actions), _findings(plan)])
    return "no plan"


def _findings(plan: Plan) -> str:
    errors = [f"{d.code}: {d.summary}" for d in plan.diagnostics if d.severity == "error"]
    return "; ".join([*errors, *(f"{u.address} unreadable: {u.text}" for u in plan.unreadable)])


def _outcomes(result: ApplyResult) -> str:
    told = [f"{o.action_id} {o.outcome}: {o.text}" for o in result.outcomes if not o.ok]
    told += [f"{a} still needed" for a in result.still_needed]
    if result.after is None:
        told.append("not verified")
    elif result.after.unknown:
        told.append(_findings(result.after))
    return "; ".join(told)
