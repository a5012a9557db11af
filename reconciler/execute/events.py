"""What an apply reports: typed progress events, and the outcome of every action.

Values only; how they look is decided by whoever listens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from reconciler.plan.actions import Action
from reconciler.plan.plan import Plan

__all__ = [
    "ActionFinished",
    "ActionOutcome",
    "ActionProgress",
    "ActionStarted",
    "ApplyResult",
    "Event",
    "Listener",
    "Outcome",
]


class Outcome(StrEnum):
    """How an action ended.

    ``NOT_NEEDED``: what it would have done had already come about, or was not asked for.
    ``INCONCLUSIVE``: it was sent and its effect could not be confirmed.
    ``REFUSED``: a precondition moved, nothing was sent.
    """

    DONE = "done"
    NOT_NEEDED = "not needed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    REFUSED = "refused"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """How one action ended; ``text`` says what came of it or why it failed."""

    action_id: str
    kind: str
    address: str
    outcome: Outcome
    text: str = ""
    remedy: str = ""
    elapsed_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether what depends on the action may run."""
        return self.outcome in (Outcome.DONE, Outcome.NOT_NEEDED)


@dataclass(frozen=True, slots=True)
class ActionStarted:
    """An action is about to be checked and sent."""

    action: Action


@dataclass(frozen=True, slots=True)
class ActionProgress:
    """Something is being waited for."""

    action: Action
    text: str
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class ActionFinished:
    """An action ended."""

    action: Action
    outcome: ActionOutcome


Event = ActionStarted | ActionProgress | ActionFinished
Listener = Callable[[Event], None]


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What an apply did.

    Attributes:
        outcomes: one per action, in plan order.
        after: the plan computed again when all was done; None when it could not be.
        still_needed: ids of actions this run executed that the second plan still has: an error.
        residual: ids of deployments whose items differ straight after a successful deployment.
        interrupted: somebody asked it to stop; what was under way has been waited for.
    """

    outcomes: tuple[ActionOutcome, ...]
    after: Plan | None = None
    still_needed: tuple[str, ...] = ()
    residual: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything planned is done and verified."""
        return all(o.ok for o in self.outcomes) and not self.still_needed
