"""What else than definitions proves: notes, git status and times, and what they do not prove."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.diff.evidence import ItemState, StageEvidence
from reconciler.live.models import (
    ChangeType,
    ConnectionState,
    LiveBinding,
    LiveChange,
    LiveOperation,
    LiveStageItem,
    LiveStatus,
)
from reconciler.provenance import NOTE_LIMIT, Trailer, with_trailer

C1, C2 = "1" * 40, "2" * 40
EARLY, SYNCED, LATE = (f"2026-01-0{n}T00:00:00+00:00" for n in (1, 2, 3))
HERE = LiveStageItem("s", "Warehouse", "W", None, "t", None)
THERE = LiveStageItem("t", "Warehouse", "W", "s", None, LATE)


def binding(*changes: LiveChange, head: str = C1) -> LiveBinding:
    """Return a source that stands at ``head`` since SYNCED."""
    return LiveBinding(
        ConnectionState.INITIALIZED,
        head=head,
        status=LiveStatus(head, head, changes),
        synced=SYNCED,
    )


def edited(item_id: str) -> LiveChange:
    """Return an uncommitted change of an item."""
    return LiveChange("Warehouse", "W", item_id, None, None, ChangeType.MODIFIED)


def deployed(
    commit: str | None = C1,
    *,
    step: str | None = "Succeeded",
    status: str = "Succeeded",
    run: str = "r1",
    places: frozenset[str] = frozenset(),
    note: bool = True,
    started: str = LATE,
) -> LiveOperation:
    """Return a deployment of the item, with the note this tool writes."""
    text = with_trailer("", Trailer("sales", run, commit, places), NOTE_LIMIT) if note else None
    steps = {} if step is None else {"s": step}
    return LiveOperation("o", status, "S", "T", text, None, started, steps)


D, N, U = ItemState.DIFFERENT, ItemState.NO_DIFFERENCE, ItemState.UNPROVEN
CASES = {
    "deployed from the commit the source is at": (binding(), [deployed()], N, "where the source"),
    "deployed from another commit": (binding(head=C2), [deployed()], D, "11111111"),
    "no note, deployed after the last sync": (binding(), [deployed(note=False)], N, "after the"),
    "no note, synced after the deployment": (
        binding(),
        [deployed(note=False, started=EARLY)],
        D,
        "the source was synced at",
    ),
    "a source with changes was deployed": (binding(), [deployed(None)], N, "after the last sync"),
    "edited in the source": (binding(edited("s")), [deployed()], U, "uncommitted changes"),
    "another item edited": (binding(edited("x")), [deployed()], N, "where the source"),
    "not bound": (None, [deployed()], U, "binding is not there"),
    "status unknown": (replace(binding(), status=None), [deployed()], U, "git status"),
    "under way": (binding(), [deployed(status="Running"), deployed()], U, "under way"),
    "failed half way, item done": (binding(), [deployed(status="Failed")], N, "where the source"),
    "failed at this item": (
        binding(),
        [deployed(status="Failed", step="Failed"), deployed()],
        U,
        "its last deployment failed",
    ),
    "an older deployment brought it": (
        binding(),
        [deployed(C2, step=None), deployed(C1)],
        N,
        "deployed from 11111111",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_item_without_definition_is_judged_by_what_is_on_record(name):
    """Each verdict names its witness; what nobody tells stays unproven."""
    source, operations, state, said = CASES[name]
    found, text = StageEvidence(source, None, tuple(operations)).judge(HERE, THERE)
    assert (state, True) == (found, said in text), text


def test_a_type_that_git_does_not_track_is_never_proved_by_a_commit():
    """A dashboard may change without any commit."""
    item = replace(HERE, type="Dashboard")
    found, text = StageEvidence(binding(), None, (deployed(),)).judge(item, THERE)
    assert (U, "Git does not track its type") == (found, text)


def test_no_deployment_on_record_leaves_it_unproven():
    """Pairs made by assignment were never deployed."""
    item = replace(THERE, last_deployed=None)
    assert U is StageEvidence(binding(), None, ()).judge(HERE, item)[0]


AB = frozenset({"A", "B"})
RESIDUAL = {
    "all of them were there before": ([deployed(places=AB)], frozenset({"A"}), True),
    "one was not": ([deployed(places=AB)], frozenset({"A", "C"}), False),
    "nothing differs": ([deployed(places=AB)], frozenset(), False),
    "parts of one run": (
        [deployed(places=frozenset({"A"})), deployed(places=frozenset({"B"}))],
        AB,
        True,
    ),
    "of an earlier run": ([deployed(run="r2"), deployed(places=AB)], AB, False),
    "somebody deployed by hand since": ([deployed(note=False), deployed(places=AB)], AB, False),
    "it failed": ([deployed(places=AB, status="Failed")], AB, False),
}


@pytest.mark.parametrize("name", RESIDUAL)
def test_residual_is_what_the_last_run_found_and_left(name):
    """Anything else is deployed."""
    operations, places, expected = RESIDUAL[name]
    assert expected is StageEvidence(operations=tuple(operations)).is_residual(places)


def test_a_hand_edit_is_claimed_only_when_proved():
    """By git status of a target synced since, or by the note; otherwise nothing is said."""
    target = replace(binding(edited("t")), synced="2026-01-04T00:00:00+00:00")
    by_note = StageEvidence(binding(), None, (deployed(),))
    assert "git status" in StageEvidence(None, target, ()).edited_in_target(HERE, THERE)
    assert "note" in by_note.edited_in_target(HERE, THERE)
    for nothing in (
        StageEvidence(None, binding(edited("t")), ()),  # the deployment itself left it uncommitted
        StageEvidence(binding(head=C2), None, (deployed(),)),
        StageEvidence(binding(edited("s")), None, (deployed(),)),
        StageEvidence(binding(), None, (deployed(note=False),)),
        StageEvidence(None, None, (deployed(),)),
    ):
        assert "" == nothing.edited_in_target(HERE, THERE)
    assert "" == by_note.edited_in_target(HERE, replace(THERE, last_deployed=EARLY))
