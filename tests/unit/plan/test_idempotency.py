"""What makes each kind of action safe to repeat is written where the kind is."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from reconciler.plan.actions import Op

KINDS = get_args(get_args(Op)[0])
STATED = re.compile(
    r"repeatab|repeating is safe|conditional|looked up first|read first|reads the connection first"
    r"|listed first",
    re.IGNORECASE,
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_action_says_what_makes_it_safe_to_repeat(kind):
    """Guards that no op is added without thinking of an answer that was lost."""
    assert STATED.search(kind.__doc__ or ""), kind.__doc__


def test_there_are_as_many_kinds_as_the_plan_knows():
    """Guards the list itself: a union that is not taken apart would test nothing."""
    assert 30 < len(KINDS)
    assert len({kind.model_fields["kind"].default for kind in KINDS}) == len(KINDS)
