"""Caps: at which number a plan is refused, and what the refusal says."""

from __future__ import annotations

import pytest

from reconciler.engine import exit_code_of
from reconciler.plan.build import with_diagnostics
from reconciler.plan.plan import Allowed, Loss
from reconciler.policies.judge import POLICY_CODES, judge

from .test_policies import estate, plan


def refused(
    *losses: Loss, allowed: Allowed | None = None, **policies
) -> list[tuple[str, str | None]]:
    """Return code and address of what is refused."""
    return [(d.code, d.address) for d in found(*losses, allowed=allowed, **policies)]


def found(*losses: Loss, allowed: Allowed | None = None, **policies):
    """Return what is refused of a plan with these losses."""
    made = plan().model_copy(update={"losses": losses, "allowed": allowed or Allowed()})
    return judge(made, estate(policies=policies))


def loss(workspace: str = "A", *, items: int | None = 20, deletes: int = 0, overwrites: int = 0):
    """Return a loss."""
    return Loss(
        workspace=f"workspaces/{workspace}", items=items, deletes=deletes, overwrites=overwrites
    )


DELETES = ("too_many_deletes", "workspaces/A")
OVERWRITES = ("too_many_overwrites", "workspaces/A")


@pytest.mark.parametrize(
    ("items", "deletes", "expected"),
    [
        (20, 6, []),  # exactly 30 %
        (20, 7, [DELETES]),
        (10, 10, []),  # not above 10
        (11, 3, []),
        (11, 4, [DELETES]),
        (1000, 300, []),
        (1000, 301, [DELETES]),
        (None, 10, []),  # all there may be, and not above 10
        (None, 11, [DELETES]),
    ],
)
def test_by_default_a_workspace_of_more_than_ten_items_loses_at_most_three_in_ten(
    items, deletes, expected
):
    """Guards the default share and its threshold, on both sides of each."""
    assert expected == refused(loss(items=items, deletes=deletes))


@pytest.mark.parametrize(
    ("policies", "losses", "expected"),
    [
        ({"maxDelete": "0%", "above": 0}, {"items": 1, "deletes": 1}, [DELETES]),
        ({"maxDelete": "100%"}, {"items": 20, "deletes": 20}, []),
        ({"maxOverwrite": "0%", "above": 0}, {"items": 1, "overwrites": 1}, [OVERWRITES]),
        ({"maxOverwrite": "100%"}, {"items": 20, "overwrites": 20}, []),
        ({"above": 20}, {"items": 20, "deletes": 20}, []),
        ({"maxDelete": "100%"}, {"items": 20, "overwrites": 20}, [OVERWRITES]),
        ({}, {"items": 20, "deletes": 7, "overwrites": 7}, [DELETES, OVERWRITES]),
    ],
)
def test_the_spec_moves_share_and_threshold(policies, losses, expected):
    """Guards that each of the three keys is read, and for the cap it belongs to."""
    assert expected == refused(loss(**losses), **policies)


def test_each_workspace_is_judged_by_itself():
    """Guards that a large estate does not hide one workspace that is emptied."""
    whole = [loss(n, items=1000, deletes=1) for n in "BC"]

    assert [DELETES] == refused(loss(items=20, deletes=20), *whole)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (Allowed(deletes=30), []),
        (Allowed(deletes=29), [("too_many_deletes", None)]),
        (Allowed(deletes=0), [("too_many_deletes", None)]),
        (Allowed(overwrites=99), [DELETES]),
    ],
)
def test_a_cap_of_the_run_takes_the_place_of_the_share(allowed, expected):
    """Guards that it counts over the whole plan, and for its own kind of loss only."""
    losses = (loss(items=20, deletes=20), loss("B", items=1000, deletes=10))

    assert expected == refused(*losses, allowed=allowed)


def test_a_cap_of_the_run_binds_where_a_share_would_not():
    """Guards that --allow-deletes 0 means none at all."""
    assert [("too_many_deletes", None)] == refused(
        loss(items=1000, deletes=1), allowed=Allowed(deletes=0)
    )


def test_the_refusal_has_the_numbers_and_the_ways_out():
    """Guards what a person reads first and what they can do."""
    (share,) = found(loss("Sales Dev", items=20, deletes=7))
    assert (
        "This plan would delete 7 of the 20 items of Sales Dev (35%); policies.maxDelete allows "
        "30%."
    ) == share.summary
    assert "--allow-deletes 7" in share.detail
    assert "raise policies.maxDelete" in share.detail

    (run,) = found(loss(overwrites=7), loss("B", overwrites=1), allowed=Allowed(overwrites=2))
    assert (
        "This plan would overwrite uncommitted or hand-made content of 8 items (7 in A, 1 in B); "
        "--allow-overwrites allows 2."
    ) == run.summary
    assert "--exclude" in run.detail

    (unknown,) = found(loss(items=None, deletes=11))
    assert "11 items of A, whose number of items is not known" in unknown.summary


def test_a_plan_over_its_cap_is_refused_and_not_wrong():
    """Guards exit code 3, and that such a plan cannot be applied."""
    made = plan().model_copy(update={"losses": (loss(deletes=20),), "applyable": True})
    judged = with_diagnostics(made, judge(made, estate()))

    assert (3, False) == (exit_code_of(judged), judged.applyable)
    assert {"protected", "too_many_deletes", "too_many_overwrites"} == POLICY_CODES
