"""Walk the plan's graph: start what is ready, at most so many at once, and let the rest finish.

A failed action skips what depends on it and nothing else. Every action goes through check → send
→ settle → verify; after an unknown outcome the state is read before anything is sent again, and a
request is sent at most twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.errors import (
    ApiError,
    ClientError,
    LockLost,
    OperationError,
    OperationTimedOut,
    PreconditionMoved,
    ReconcilerError,
    ServiceUnavailable,
    TransportFailed,
)
from reconciler.execute.events import (
    ActionFinished,
    ActionOutcome,
    ActionProgress,
    ActionStarted,
    Listener,
    Outcome,
)
from reconciler.execute.handler import AnyHandler, NotNeeded
from reconciler.execute.registry import handler_for
from reconciler.execute.run import Run
from reconciler.plan.actions import Action, Op

__all__ = ["execute"]

_log = logging.getLogger(__name__)


async def execute(
    run: Run,
    *,
    parallelism: int,
    listener: Listener,
    handlers: Callable[[Op], AnyHandler] = handler_for,
) -> tuple[ActionOutcome, ...]:
    """Carry out every action of ``run.plan``; outcomes come in plan order.

    Args:
        parallelism: the most actions under way at once, at least 1.
        handlers: who carries out which op.
    """
    return await _Walk(run, parallelism, listener, handlers).go()


@dataclass(slots=True)
class _Attempt:
    """How far one action got; ``sent`` once a request may have taken effect."""

    sent: bool = False


@dataclass(slots=True)
class _Walk:
    """One walk over one plan."""

    run: Run
    parallelism: int
    listener: Listener
    handlers: Callable[[Op], AnyHandler]
    began_s: dict[str, float] = field(default_factory=dict)
    lost: LockLost | None = None
    """Set when the run may not write any more; nothing is started then."""

    def _progress(self, action: Action, text: str) -> None:
        elapsed_s = self.run.clock.monotonic_s() - self.began_s[action.id]
        self.listener(ActionProgress(action, text, elapsed_s))

    async def go(self) -> tuple[ActionOutcome, ...]:
        self.run.progress = self._progress
        actions = {a.id: a for a in self.run.plan.actions}
        waiting = {a.id: len(a.depends_on) for a in actions.values()}
        followers: dict[str, list[str]] = {a: [] for a in actions}
        for action in actions.values():
            for before in action.depends_on:
                followers[before].append(action.id)
        ready = deque(a for a, count in waiting.items() if count == 0)
        outcomes: dict[str, ActionOutcome] = {}
        running: dict[asyncio.Task[ActionOutcome], str] = {}
        stop = self.run.stop
        stop.executing = True
        try:
            while (ready and not stop.requested) or running:
                while ready and len(running) < self.parallelism and not stop.requested:
                    action = actions[ready.popleft()]
                    if self.lost is not None:
                        self._finish(action, _not_started(action, self.lost.message), outcomes)
                        _release(action.id, followers, waiting, ready)
                        continue
                    blocker = _blocker(action, outcomes)
                    if blocker is not None:
                        self._finish(action, _skipped(action, blocker), outcomes)
                        _release(action.id, followers, waiting, ready)
                        continue
                    running[asyncio.create_task(self._one(action))] = action.id
                stop.under_way = len(running)
                if not running:
                    continue
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                # A set has no order; what ends together is taken in the order of its start.
                for task in [t for t in running if t in done]:
                    action_id = running.pop(task)
                    self._finish(actions[action_id], task.result(), outcomes)
                    _release(action_id, followers, waiting, ready)
        finally:
            stop.executing, stop.under_way = False, 0
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        for action in actions.values():
            if action.id not in outcomes:
                self._finish(action, _not_started(action, "the run was interrupted"), outcomes)
        return tuple(outcomes[a] for a in actions)

    def _finish(
        self, action: Action, outcome: ActionOutcome, outcomes: dict[str, ActionOutcome]
    ) -> None:
        outcomes[action.id] = outcome
        if outcome.outcome is not Outcome.SKIPPED:  # nothing of it was begun
            self.run.journal.outcome(
                action=action.id,
                kind=action.kind,
                address=action.address,
                outcome=outcome.outcome.value,
                text=outcome.text,
            )
        self.listener(ActionFinished(action, outcome))

    async def _one(self, action: Action) -> ActionOutcome:
        """Carry out one action; every way it can end is an outcome."""
        began_s = self.began_s[action.id] = self.run.clock.monotonic_s()
        self.listener(ActionStarted(action))

        def outcome(kind: Outcome, text: str, remedy: str = "") -> ActionOutcome:
            return ActionOutcome(
                action_id=action.id,
                kind=action.kind,
                address=action.address,
                outcome=kind,
                text=text,
                remedy=remedy,
                elapsed_s=self.run.clock.monotonic_s() - began_s,
            )

        handler = self.handlers(action.op)
        attempt = _Attempt()

        def unless_sent(kind: Outcome) -> Outcome:
            return Outcome.INCONCLUSIVE if attempt.sent else kind

        try:
            await handler.check(self.run, action, action.op)
            text = await self._send_and_verify(handler, action, attempt)
        except NotNeeded as e:
            return outcome(Outcome.NOT_NEEDED, str(e))
        except PreconditionMoved as e:
            return outcome(unless_sent(Outcome.REFUSED), e.message, e.remedy)
        except OperationTimedOut as e:
            return outcome(Outcome.INCONCLUSIVE, e.message, e.remedy)
        except ClientError as e:
            return outcome(unless_sent(Outcome.FAILED), e.message, e.remedy or _remedy(e))
        except OperationError as e:
            return outcome(Outcome.FAILED, e.message, e.remedy or _remedy(e))
        except LockLost as e:
            self.lost = e
            return outcome(unless_sent(Outcome.FAILED), e.message, e.remedy)
        except ReconcilerError as e:
            return outcome(Outcome.FAILED, e.message, e.remedy)
        except Exception as e:  # noqa: BLE001 - a bug in one handler must not cut off the others
            _log.debug("%s", action.id, exc_info=e)
            text = f"a bug in this tool: {type(e).__name__}"
            return outcome(unless_sent(Outcome.FAILED), text, "report it, with --verbose")
        return outcome(Outcome.DONE, text)

    def _intend(self, action: Action, attempt: int) -> None:
        self.run.journal.intent(
            action=action.id, kind=action.kind, address=action.address, attempt=attempt
        )

    async def _send_and_verify(self, handler: AnyHandler, action: Action, attempt: _Attempt) -> str:
        """Send, wait and verify; after an unknown outcome look first, then send once more."""
        run, op = self.run, action.op
        self._intend(action, 1)
        try:
            operation = await handler.send(run, action, op)
        except (TransportFailed, ServiceUnavailable) as e:
            if isinstance(e, TransportFailed) and not e.sent:
                raise
            attempt.sent = True
            run.progress(action, "the outcome is unknown; reading the state")
            try:
                await handler.settle(run, action, op, None)
                return await handler.verify(run, action, op)
            except (OperationError, LockLost):
                raise  # it arrived, and how it ended is known; or it may not be sent again
            except ReconcilerError:
                pass
            try:
                await handler.check(run, action, op)
            except NotNeeded:  # it did arrive, and only now can be seen
                return await handler.verify(run, action, op)
            self._intend(action, 2)
            operation = await handler.send(run, action, op)
        attempt.sent = True
        run.note(action, operation)
        await handler.settle(run, action, op, operation)
        return await handler.verify(run, action, op)


def _not_started(action: Action, why: str) -> ActionOutcome:
    return ActionOutcome(
        action_id=action.id,
        kind=action.kind,
        address=action.address,
        outcome=Outcome.SKIPPED,
        text=f"not started: {why}",
    )


def _blocker(action: Action, outcomes: Mapping[str, ActionOutcome]) -> ActionOutcome | None:
    """Return the first dependency that did not succeed."""
    return next((outcomes[b] for b in action.depends_on if not outcomes[b].ok), None)


_ENDINGS = {
    Outcome.FAILED: "which failed",
    Outcome.INCONCLUSIVE: "whose outcome is unknown",
    Outcome.REFUSED: "which was refused",
    Outcome.SKIPPED: "which was skipped",
}


def _skipped(action: Action, blocker: ActionOutcome) -> ActionOutcome:
    return ActionOutcome(
        action_id=action.id,
        kind=action.kind,
        address=action.address,
        outcome=Outcome.SKIPPED,
        text=f"waits for {blocker.kind} {blocker.address}, {_ENDINGS[blocker.outcome]}",
    )


def _release(
    action_id: str,
    followers: Mapping[str, list[str]],
    waiting: dict[str, int],
    ready: deque[str],
) -> None:
    for follower in followers[action_id]:
        waiting[follower] -= 1
        if waiting[follower] == 0:
            ready.append(follower)


def _remedy(error: ReconcilerError) -> str:
    if isinstance(error, ApiError) and error.status == 403:
        return "give the caller the role this needs, then apply again"
    return "apply again; what was done is kept"
