"""A small, repeatable walk of the state machine."""

from collections.abc import Iterator

import pytest
from chaos.machine import Estate
from chaos.walk import walk

WORDS = ("update", "fail", False)


def test_people_and_reconcilers_in_any_order_lose_nothing() -> None:
    """Guards the promises of an apply against everything that may happen around it."""
    walk(20_261_122, examples=12, length=20)


@pytest.fixture
def estate() -> Iterator[Estate]:
    """Yield an estate in which somebody has added an item that is in no commit."""
    found = Estate()
    found._act("add", "Sales Dev", 1)
    yield found
    found.teardown()


@pytest.mark.parametrize("conflicts", ["fail", "PreferRemote"])
def test_the_machine_sees_the_loss_of_an_item_that_no_commit_knows(
    estate: Estate, conflicts: str
) -> None:
    """Guards the machine itself: such a loss is found, whoever is to win conflicts."""
    (item,) = [i.id for i in estate._workspace("Sales Dev").items.values() if i.name == "New 1"]
    with (
        pytest.raises(AssertionError, match="lost"),
        estate._watched(("update", conflicts, False)),
    ):
        del estate._workspace("Sales Dev").items[item]


def test_the_machine_sees_the_loss_of_an_item_of_a_target_stage(estate: Estate) -> None:
    """Guards the machine itself: deployments remove nothing."""
    workspace = estate._workspace("Sales Test")
    with pytest.raises(AssertionError, match="removed"), estate._watched(WORDS):
        del workspace.items[next(iter(workspace.items))]


def test_a_delete_by_hand_is_no_loss(estate: Estate) -> None:
    """Guards the machine itself: what a person deletes may be gone afterwards."""
    number = len(estate._items("Sales Dev")) - 1
    with estate._watched(WORDS):
        estate._act("delete", "Sales Dev", number)
    assert 2 == len(estate._items("Sales Dev"))
