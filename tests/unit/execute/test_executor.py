"""The walk over a plan's graph: order, bound, failures, unknown outcomes, cancellation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import httpx
import pytest
from typing_extensions import override

from reconciler.clients.auth import fabric_credential
from reconciler.clients.http import Service, Transport
from reconciler.clients.services import Services
from reconciler.clock import ManualClock
from reconciler.errors import (
    ActionError,
    ApiError,
    Conflict,
    JournalError,
    LockLost,
    OperationFailed,
    OperationTimedOut,
    PreconditionMoved,
    ServiceUnavailable,
    TransportFailed,
)
from reconciler.execute.events import (
    ActionFinished,
    ActionOutcome,
    ActionStarted,
    Event,
    Outcome,
)
from reconciler.execute.executor import execute
from reconciler.execute.handler import Handler, NotNeeded
from reconciler.execute.run import Run
from reconciler.journal.write import NoJournal
from reconciler.plan.actions import Action, Reason, UpdateWorkspace
from reconciler.plan.plan import Plan, PlanSpec, summarise
from reconciler.spec.models import Estate

DONE, NOT_NEEDED, FAILED = Outcome.DONE, Outcome.NOT_NEEDED, Outcome.FAILED
INCONCLUSIVE, REFUSED, SKIPPED = Outcome.INCONCLUSIVE, Outcome.REFUSED, Outcome.SKIPPED
LOST = TransportFailed("the connection was lost", sent=True)


def no_network(request: httpx.Request) -> httpx.Response:
    """Fail: nothing here may send a request."""
    raise AssertionError(request.url)


@pytest.fixture
async def services():
    """Yield services that never reach a network."""
    clock = ManualClock()
    credential = fabric_credential({"RECONCILER_FABRIC_TOKEN": "t"}, mode=None, clock=clock)
    transports = [
        Transport(
            service=service,
            base_url="http://127.0.0.1:9",
            credential=credential,
            clock=clock,
            handler=httpx.MockTransport(no_network),
        )
        for service in (Service.FABRIC, Service.AZURE_DEVOPS)
    ]
    found = Services(*transports, credentials=(credential, credential))
    yield found
    await found.aclose()


class Script(Handler[UpdateWorkspace]):
    """Does what a test says at each step of each action, and notes what was done."""

    def __init__(self, steps: dict[tuple[str, str], list[object]] | None = None) -> None:
        self.steps = {k: list(v) for k, v in (steps or {}).items()}
        self.log: list[tuple[str, str]] = []
        self.running = 0
        self.most = 0
        self.gates: dict[str, asyncio.Event] = {}
        self.sending: asyncio.Queue[str] = asyncio.Queue()

    async def _step(self, action: Action, step: str) -> str:
        self.log.append((action.id, step))
        queue = self.steps.get((action.id, step), [])
        what = queue.pop(0) if queue else None
        if isinstance(what, BaseException):
            raise what
        return f"{action.id} is done"

    @override
    async def check(self, run: Run, action: Action, op: UpdateWorkspace) -> None:
        """Start an action."""
        await self._step(action, "check")

    @override
    async def send(self, run: Run, action: Action, op: UpdateWorkspace) -> None:
        """Count how many are under way; wait for the gate, if there is one."""
        self.running += 1
        self.most = max(self.most, self.running)
        self.sending.put_nowait(action.id)
        try:
            await (self.gates[action.id].wait() if action.id in self.gates else asyncio.sleep(0))
            await self._step(action, "send")
        finally:
            self.running -= 1

    @override
    async def settle(
        self, run: Run, action: Action, op: UpdateWorkspace, operation: object
    ) -> None:
        """Wait for nothing."""
        await self._step(action, "settle")

    @override
    async def verify(self, run: Run, action: Action, op: UpdateWorkspace) -> str:
        """Say that it is done."""
        return await self._step(action, "verify")


def plan_of(edges: dict[str, list[str]]) -> Plan:
    """Return a plan of actions with these edges."""
    actions = tuple(
        Action(
            id=name,
            kind="workspace.update",
            address=f"workspaces/{name}",
            depends_on=tuple(before),
            reason=Reason(code="c", text="t"),
            op=UpdateWorkspace(),
        )
        for name, before in edges.items()
    )
    return Plan(
        reconciler_version="0",
        created_at="",
        spec=PlanSpec(name="s", digest=""),
        endpoints={},
        summary=summarise(actions),
        actions=actions,
    )


def run_of(services: Services, plan: Plan) -> Run:
    """Return a run of a plan."""
    header = {"apiVersion": "reconciler/v1", "kind": "Estate", "metadata": {"name": "s"}}
    estate = Estate.model_validate(header)
    return Run(services=services, plan=plan, estate=estate, environ={}, timeout_s=60)


async def walk(
    services: Services,
    edges: dict[str, list[str]],
    script: Script,
    *,
    parallelism: int = 10,
    listener: Callable[[Event], None] = lambda _: None,
) -> tuple[ActionOutcome, ...]:
    """Carry out a plan with a script."""
    return await execute(
        run_of(services, plan_of(edges)),
        parallelism=parallelism,
        listener=listener,
        handlers=lambda _op: script,
    )


async def one(services: Services, **steps: list[object]) -> tuple[ActionOutcome, list[str]]:
    """Carry out one action; return how it ended and the steps that were taken."""
    script = Script({("a", k): v for k, v in steps.items()})
    (outcome,) = await walk(services, {"a": []}, script)
    return outcome, [step for _, step in script.log]


WHOLE = ["check", "send", "settle", "verify"]


async def test_every_action_is_checked_sent_settled_and_verified(services):
    """The four steps, in this order."""
    outcome, steps = await one(services)
    assert (DONE, "a is done") == (outcome.outcome, outcome.text)
    assert steps == WHOLE


@pytest.mark.parametrize("parallelism", [1, 3, 50])
async def test_no_more_actions_run_at_once_than_allowed(services, parallelism):
    """The bound holds, and is used."""
    script = Script()
    outcomes = await walk(
        services, {f"a{n}": [] for n in range(20)}, script, parallelism=parallelism
    )
    assert {DONE} == {o.outcome for o in outcomes}
    assert min(parallelism, 20) == script.most


async def test_an_action_starts_only_when_all_it_waits_for_has_ended(services):
    """Events tell the order; outcomes come in plan order."""
    events: list[tuple[str, str]] = []

    def listen(event: Event) -> None:
        if isinstance(event, ActionStarted | ActionFinished):
            events.append((type(event).__name__, event.action.id))

    edges = {"d": ["b", "c"], "a": [], "b": ["a"], "c": ["a"]}
    outcomes = await walk(services, edges, Script(), listener=listen)
    assert ["d", "a", "b", "c"] == [o.action_id for o in outcomes]
    at = {e: n for n, e in enumerate(events)}
    for name, before in edges.items():
        for b in before:
            assert at["ActionFinished", b] < at["ActionStarted", name]


async def test_what_ends_together_is_taken_in_the_order_of_its_start(services):
    """The same answers give the same order of requests, whatever the tasks' hashes are."""
    script = Script()
    names = [f"a{n:02}" for n in range(40)]
    edges = {name: list[str]() for name in names} | {f"{name}-next": [name] for name in names}
    await walk(services, edges, script, parallelism=100)
    assert [f"{name}-next" for name in names] == [
        action for action, step in script.log if step == "check" and action.endswith("-next")
    ]


async def test_failed_branch_is_skipped_and_the_rest_finishes(services):
    """Only what depends on the failure is left out, and says what it waited for."""
    script = Script({("a", "send"): [Conflict("taken", status=409)]})
    edges = {"a": [], "b": ["a"], "c": ["b"], "x": [], "y": ["x"], "z": ["y", "c"]}
    outcomes = {o.action_id: o for o in await walk(services, edges, script)}
    assert {"a": FAILED, "b": SKIPPED, "c": SKIPPED, "x": DONE, "y": DONE, "z": SKIPPED} == {
        k: o.outcome for k, o in outcomes.items()
    }
    assert "workspaces/a, which failed" in outcomes["b"].text
    assert "workspaces/b, which was skipped" in outcomes["c"].text
    assert not {"b", "c", "z"} & {a for a, _ in script.log}


async def test_what_is_not_needed_releases_what_waits_for_it(services):
    """A thing that has come about already is as good as done."""
    script = Script({("a", "check"): [NotNeeded("there already")]})
    first, second = await walk(services, {"a": [], "b": ["a"]}, script)
    assert (NOT_NEEDED, "there already") == (first.outcome, first.text)
    assert DONE is second.outcome
    assert ("a", "send") not in script.log


async def test_moved_precondition_refuses_and_sends_nothing(services):
    """Nothing is written on a state nobody has seen."""
    outcome, steps = await one(services, check=[PreconditionMoved("moved", remedy="plan again")])
    assert (REFUSED, "moved", "plan again") == (outcome.outcome, outcome.text, outcome.remedy)
    assert ["check"] == steps


BAD_GATEWAY = ServiceUnavailable("bad gateway", status=502)
NOT_THERE = ActionError("not there")


@pytest.mark.parametrize("error", [LOST, BAD_GATEWAY])
async def test_after_an_unknown_outcome_the_state_is_read_first(services, error):
    """What did arrive is not sent again."""
    outcome, steps = await one(services, send=[error])
    assert DONE is outcome.outcome
    assert ["check", "send", "settle", "verify"] == steps


@pytest.mark.parametrize("error", [LOST, BAD_GATEWAY])
async def test_what_did_not_arrive_is_checked_and_sent_once_more(services, error):
    """Verify says it is not there, check says it still holds: one more try."""
    outcome, steps = await one(services, send=[error], verify=[NOT_THERE])
    assert DONE is outcome.outcome
    assert [*WHOLE, *WHOLE] == steps


async def test_a_request_is_sent_twice_at_most(services):
    """The second unknown outcome is left for people to look at."""
    outcome, steps = await one(services, send=[LOST, LOST, LOST], verify=[NOT_THERE, NOT_THERE])
    assert INCONCLUSIVE is outcome.outcome
    assert 2 == Counter(steps)["send"]


async def test_effect_that_only_the_second_look_sees_counts_as_done(services):
    """It was this run that did it."""
    outcome, steps = await one(
        services, send=[LOST], verify=[NOT_THERE], check=[None, NotNeeded("there already")]
    )
    assert (DONE, "a is done") == (outcome.outcome, outcome.text)
    assert 1 == Counter(steps)["send"]


async def test_state_that_moved_after_an_unknown_outcome_is_inconclusive(services):
    """It may have been our own request that moved it; to say that nothing was sent is wrong."""
    outcome, steps = await one(
        services, send=[LOST], verify=[NOT_THERE], check=[None, PreconditionMoved("moved")]
    )
    assert INCONCLUSIVE is outcome.outcome
    assert 1 == Counter(steps)["send"]


async def test_operation_that_arrived_and_failed_is_not_sent_again(services):
    """How it ended is known."""
    failed = OperationFailed("it failed", operation_id="o")
    outcome, steps = await one(services, send=[LOST], settle=[failed])
    assert FAILED is outcome.outcome
    assert 1 == Counter(steps)["send"]


ENDINGS = {
    "never sent": ({"send": [TransportFailed("no route", sent=False)]}, FAILED),
    "refused by the service": ({"send": [ApiError("no", status=400)]}, FAILED),
    "lost while reading before": ({"check": [LOST]}, FAILED),
    "unavailable while reading before": ({"check": [BAD_GATEWAY]}, FAILED),
    "lost while polling": ({"settle": [LOST]}, INCONCLUSIVE),
    "no route while polling": ({"settle": [TransportFailed("x", sent=False)]}, INCONCLUSIVE),
    "unreadable afterwards": ({"verify": [ApiError("no", status=403)]}, INCONCLUSIVE),
    "operation failed": ({"settle": [OperationFailed("x", operation_id="o")]}, FAILED),
    "operation still runs": ({"settle": [OperationTimedOut("x", operation_id="o")]}, INCONCLUSIVE),
    "effect not there": ({"verify": [NOT_THERE]}, FAILED),
    "cannot be done": ({"check": [NOT_THERE]}, FAILED),
    "bug before sending": ({"check": [ValueError("secret")]}, FAILED),
    "bug after sending": ({"verify": [KeyError("secret")]}, INCONCLUSIVE),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_every_way_an_action_can_end_is_an_outcome(services, name):
    """Failed means it has no effect; inconclusive means somebody has to look."""
    steps, expected = ENDINGS[name]
    outcome, _ = await one(services, **steps)
    assert expected is outcome.outcome
    assert "secret" not in outcome.text


async def test_a_bug_in_one_handler_does_not_cut_off_the_others(services):
    """Siblings under way are not cancelled between request and answer."""
    script = Script({("a", "check"): [ZeroDivisionError()]})
    outcomes = await walk(services, {"a": [], "b": [], "c": ["b"]}, script)
    assert [FAILED, DONE, DONE] == [o.outcome for o in outcomes]
    assert "ZeroDivisionError" in outcomes[0].text


async def test_cancelling_stops_what_runs_and_starts_nothing_more(services):
    """No task outlives the walk."""
    script = Script()
    script.gates = {"a": asyncio.Event(), "b": asyncio.Event()}
    task = asyncio.create_task(walk(services, {"a": [], "b": [], "c": ["a"]}, script))
    assert {"a", "b"} == {await script.sending.get(), await script.sending.get()}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert 0 == script.running
    assert {("a", "check"), ("b", "check")} == set(script.log)
    assert {task} >= asyncio.all_tasks() - {asyncio.current_task()}


async def test_time_of_an_action_is_told(services):
    """Elapsed time goes by the injected clock."""
    script = Script()
    script.gates = {"a": asyncio.Event()}
    task = asyncio.create_task(walk(services, {"a": []}, script))
    assert "a" == await script.sending.get()
    services.clock.advance(42)
    script.gates["a"].set()
    (outcome,) = await task
    assert 42 == outcome.elapsed_s


async def test_a_plan_of_10_000_actions_in_a_row_is_walked(services):
    """No recursion, and nothing quadratic."""
    edges = {str(n): [str(n - 1)] if n else [] for n in range(10_000)}
    outcomes = await walk(services, edges, Script({("5000", "check"): [NOT_THERE]}))
    assert Counter({DONE: 5_000, SKIPPED: 4_999, FAILED: 1}) == Counter(o.outcome for o in outcomes)


# -- the journal, and being asked to stop --


class Noted(NoJournal):
    """A journal in memory."""

    def __init__(self, log: list[tuple[str, str]], *, full: bool = False) -> None:
        super().__init__()
        self.notes: list[tuple[str, str]] = log
        self.full = full

    @override
    def intent(self, *, action: str, kind: str, address: str, attempt: int) -> None:
        """Note the attempt, unless the disk is full."""
        if self.full:
            raise JournalError("the disk is full; nothing more is sent")
        self.notes.append((action, f"intent {attempt}"))

    @override
    def outcome(self, *, action: str, kind: str, address: str, outcome: str, text: str) -> None:
        """Note the outcome."""
        self.notes.append((action, outcome))


async def noted(
    services: Services, script: Script, *, full: bool = False
) -> tuple[ActionOutcome, list[tuple[str, str]]]:
    """Carry out one action; the journal writes into the script's own log."""
    run = run_of(services, plan_of({"a": []}))
    run.journal = Noted(script.log, full=full)
    (outcome,) = await execute(
        run, parallelism=1, listener=lambda _: None, handlers=lambda _op: script
    )
    return outcome, script.log


async def test_the_intent_is_noted_between_the_check_and_the_request(services):
    """What the journal says was intended may have been sent, and nothing else."""
    _, log = await noted(services, Script())
    assert ["check", "intent 1", "send", "settle", "verify", "done"] == [step for _, step in log]


async def test_every_attempt_has_an_intent_of_its_own(services):
    """A request that is sent again is a second intent."""
    script = Script({("a", "send"): [LOST], ("a", "settle"): [ActionError("not there")]})
    _, log = await noted(services, script)
    assert ["intent 1", "intent 2"] == [step for _, step in log if step.startswith("intent")]


async def test_without_an_intent_on_disk_nothing_is_sent(services):
    """A journal that cannot be written stops the action before its request."""
    outcome, log = await noted(services, Script(), full=True)
    assert (FAILED, "the disk is full; nothing more is sent") == (outcome.outcome, outcome.text)
    assert "send" not in [step for _, step in log]


async def test_a_request_to_stop_lets_actions_end_and_starts_no_more(services):
    """What is under way is waited for; the rest is skipped and says why."""
    script = Script()
    script.gates["a"] = asyncio.Event()
    run = run_of(services, plan_of({"a": [], "b": ["a"], "c": ["a"]}))
    walk_on = asyncio.create_task(
        execute(run, parallelism=10, listener=lambda _: None, handlers=lambda _op: script)
    )
    assert "a" == await script.sending.get()
    assert run.stop.executing
    assert 1 == run.stop.under_way
    run.stop.requested = True
    script.gates["a"].set()
    outcomes = await walk_on
    assert [DONE, SKIPPED, SKIPPED] == [o.outcome for o in outcomes]
    assert "not started: the run was interrupted" == outcomes[1].text
    assert not run.stop.executing


# -- a lock that is lost --

GONE = LockLost("the lock is gone", remedy="apply again")


async def test_after_a_lost_lock_nothing_more_is_started(services):
    """Guards that a run which may not write any more does not even begin, and says why."""
    script = Script({("b", "send"): [GONE]})
    outcomes = await walk(services, {"a": [], "b": [], "c": [], "d": ["c"]}, script, parallelism=1)
    assert [DONE, FAILED, SKIPPED, SKIPPED] == [o.outcome for o in outcomes]
    assert ("the lock is gone", "apply again") == (outcomes[1].text, outcomes[1].remedy)
    assert ["not started: the lock is gone"] * 2 == [o.text for o in outcomes[2:]]
    assert {"a", "b"} == {name for name, _ in script.log}


async def test_what_was_under_way_when_the_lock_was_lost_is_waited_for(services):
    """Guards that what a service has begun is followed to its end."""
    script = Script({("a", "send"): [GONE]})
    script.gates["b"] = asyncio.Event()

    def open_gate(event: Event) -> None:
        if isinstance(event, ActionFinished) and event.action.id == "a":
            script.gates["b"].set()

    outcomes = await walk(services, {"a": [], "b": []}, script, listener=open_gate)
    assert [FAILED, DONE] == [o.outcome for o in outcomes]


@pytest.mark.parametrize("steps", [{"verify": [GONE]}, {"send": [LOST], "verify": [GONE]}])
async def test_a_lock_lost_after_sending_leaves_the_outcome_open(services, steps):
    """Guards that what was sent is not called failed, and is not sent again."""
    outcome, taken = await one(services, **steps)
    assert INCONCLUSIVE == outcome.outcome
    assert 1 == taken.count("send")
