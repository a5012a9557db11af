"""Waiting for what somebody else started, by a clock that is injected."""

import pytest

from reconciler.clock import ManualClock
from reconciler.errors import Conflict
from reconciler.live.patience import Patience

BUSY = Conflict("busy", status=409, code="WorkspacePreviousOperationInProgress")


def answers(*what):
    """Return a read that gives these, one after another, the last one for ever."""
    left = list(what)

    async def read():
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return read


async def test_a_busy_workspace_is_read_again_until_it_answers():
    """Each wait is told, and grows."""
    clock, told = ManualClock(), []
    patience = Patience(clock, 60, told.append)
    assert "status" == await patience.until_free("it", answers(BUSY, BUSY, "status"))
    assert [2.0, 3.0] == clock.slept_s
    assert ["it", "it"] == told


async def test_patience_has_an_end():
    """A workspace that stays busy is an error after the time allowed, not a hang."""
    clock = ManualClock()
    with pytest.raises(Conflict):
        await Patience(clock, 60).until_free("it", answers(BUSY))
    assert clock.monotonic_s() >= 60
    assert max(clock.slept_s) <= 20


async def test_another_error_is_not_waited_out():
    """Only busy passes by waiting."""
    clock = ManualClock()
    with pytest.raises(Conflict):
        await Patience(clock, 60).until_free("it", answers(Conflict("no", status=409, code="X")))
    assert [] == clock.slept_s


async def test_a_running_operation_is_read_until_it_has_ended():
    """The last answer is returned, also when the time is over."""
    clock = ManualClock()
    patience = Patience(clock, 60)
    assert "ended" == await patience.until_ended(
        "it", answers("runs", "ended"), lambda x: x == "runs"
    )
    assert "runs" == await patience.until_ended("it", answers("runs"), lambda x: x == "runs")
