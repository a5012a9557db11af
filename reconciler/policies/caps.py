"""Guard: one plan does not delete or overwrite more than the spec, or this run, allows.

A share is taken of each workspace by itself, so that a commit which empties one directory is
noticed in an estate of any size. A cap of the run takes the place of the shares and counts over
the whole plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.ids import split_address
from reconciler.plan.plan import Loss, Plan
from reconciler.spec.models import Policies
from reconciler.words import count

__all__ = ["CODES", "exceeded_caps"]


@dataclass(frozen=True, slots=True)
class _Cap:
    """How one of the two caps is called in messages."""

    code: str
    verb: str
    key: str
    flag: str
    undo: str


_DELETES = _Cap(
    "too_many_deletes",
    "delete",
    "maxDelete",
    "--allow-deletes",
    "bring them back in Git, or take state: absent out",
)
_OVERWRITES = _Cap(
    "too_many_overwrites",
    "overwrite uncommitted or hand-made content of",
    "maxOverwrite",
    "--allow-overwrites",
    "commit what should stay",
)
CODES = (_DELETES.code, _OVERWRITES.code)


def exceeded_caps(plan: Plan, policies: Policies) -> list[Diagnostic]:
    """Return one error for every workspace, or for the run, that would lose too much."""
    deletes = [(x, x.deletes) for x in plan.losses if x.deletes]
    overwrites = [(x, x.overwrites) for x in plan.losses if x.overwrites]
    return [
        *_judge(_DELETES, deletes, plan.allowed.deletes, policies.max_delete, policies.above),
        *_judge(
            _OVERWRITES, overwrites, plan.allowed.overwrites, policies.max_overwrite, policies.above
        ),
    ]


def _judge(
    cap: _Cap, losses: list[tuple[Loss, int]], allowed: int | None, share: str, above: int
) -> Iterator[Diagnostic]:
    total = sum(lost for _, lost in losses)
    if allowed is not None:
        if total > allowed:
            yield _over_the_run(cap, losses, total, allowed)
        return
    percent = int(share.removesuffix("%"))
    for loss, lost in losses:
        # Where the number is not known, what is lost may be all there is.
        items = lost if loss.items is None else loss.items
        # Whole numbers on both sides: exactly the share is allowed.
        if items > above and lost * 100 > percent * items:
            yield Diagnostic(
                Severity.ERROR,
                cap.code,
                f"This plan would {cap.verb} {_part(loss, lost)}; policies.{cap.key} allows "
                f"{share}.",
                f"So much at once is often a mistake. If it is one, {cap.undo}. If not, allow "
                f"this run with {cap.flag} {total}, or raise policies.{cap.key} in the spec.",
                loss.workspace,
            )


def _over_the_run(
    cap: _Cap, losses: list[tuple[Loss, int]], total: int, allowed: int
) -> Diagnostic:
    where = ", ".join(f"{lost:,} in {_name(loss)}" for loss, lost in losses)
    return Diagnostic(
        Severity.ERROR,
        cap.code,
        f"This plan would {cap.verb} {count(total, 'item')} ({where}); {cap.flag} allows "
        f"{allowed:,}.",
        f"More would be lost than this run was meant for. Look at the actions marked "
        f"DESTRUCTIVE: {cap.undo}, leave workspaces out with --exclude, or allow it with "
        f"{cap.flag} {total}.",
    )


def _name(loss: Loss) -> str:
    return split_address(loss.workspace)[-1]


def _part(loss: Loss, lost: int) -> str:
    """Write how much of a workspace is lost, with the numbers the cap was held against."""
    if loss.items is None:
        return f"{count(lost, 'item')} of {_name(loss)}, whose number of items is not known"
    share = f"{lost * 100 / loss.items:.1f}".removesuffix(".0")
    return f"{lost:,} of the {count(loss.items, 'item')} of {_name(loss)} ({share}%)"
