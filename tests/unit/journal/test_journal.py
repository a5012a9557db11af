"""A run's journal: on disk before the effect, readable after any crash, and no name escapes."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.clock import ManualClock
from reconciler.errors import JournalDamaged, JournalError
from reconciler.journal.read import (
    find_run,
    journals_of,
    list_journals,
    read_journal,
    still_open,
    unfinished,
)
from reconciler.journal.records import ResumedRecord
from reconciler.journal.write import FileJournal, NoJournal, estate_folder

UPDATE = {
    "action": "git.update:workspaces/A/git",
    "kind": "git.update",
    "address": "workspaces/A/git",
}


def journal_in(folder: Path, clock: ManualClock | None = None, **more: object) -> FileJournal:
    """Return a journal of the estate ``sales``."""
    return FileJournal(
        directory=folder,
        estate="sales",
        endpoints={"fabric": "https://fabric.example", "devops": "https://devops.example"},
        version="0.1.0",
        clock=clock or ManualClock(),
        **more,  # type: ignore[arg-type]
    )


def begun(folder: Path, clock: ManualClock | None = None, **more: object) -> FileJournal:
    """Return a journal that noted a plan, an intent and an operation."""
    journal = journal_in(folder, clock, **more)
    journal.plan(fingerprint="f", created_at="t", digest="d", caller="me", actions=1)
    journal.intent(**UPDATE, attempt=1)
    journal.operation(action=UPDATE["action"], operation_id="op-1")
    return journal


def test_every_record_is_flushed_to_disk_before_the_call_returns(tmp_path):
    """An effect must not come before its intent is on disk."""
    sizes: list[int] = []
    journal = journal_in(tmp_path, sync=lambda fd: sizes.append(os.fstat(fd).st_size))
    journal.intent(**UPDATE, attempt=1)
    assert journal.path is not None
    assert 2 == len(sizes)  # the run's own line, and the intent
    assert journal.path.stat().st_size == sizes[-1]


def test_journals_are_for_this_user_only_and_kept_out_of_git(tmp_path):
    """Journals name resources and callers; a repository must not take them in by accident."""
    folder = tmp_path / ".reconciler" / "journals"
    journal = begun(folder)
    assert journal.path is not None
    assert 0o600 == stat.S_IMODE(journal.path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(journal.path.parent.stat().st_mode)
    assert "*\n" == (tmp_path / ".reconciler" / ".gitignore").read_text()


def test_what_was_noted_is_read_back(tmp_path):
    """Intent, operation and outcome of each action, in order."""
    journal = begun(tmp_path)
    journal.outcome(**UPDATE, outcome="done", text="at 1234567")
    journal.end("complete")
    found = read_journal(tmp_path / journals_of(tmp_path, "sales")[0])
    assert found is not None
    assert journal.run_id == found.run.run
    assert "git.update" == found.intents[0].kind
    assert "done" == found.outcomes[UPDATE["action"]].outcome
    assert found.end is not None
    assert "complete" == found.end.result
    assert () == found.open_operations()


def test_a_run_that_writes_nothing_leaves_no_file(tmp_path):
    """A plan without changes is no run to remember."""
    journal_in(tmp_path).end("complete")
    assert [] == list_journals(tmp_path)


def test_an_unfinished_run_is_found_with_its_open_operation(tmp_path):
    """What a killed run had under way is what the next one waits for."""
    begun(tmp_path)
    (run,) = unfinished(tmp_path, "sales")
    (operation,) = run.open_operations()
    assert ("op-1", "git.update", "workspaces/A/git") == (
        operation.operation_id,
        operation.kind,
        operation.address,
    )


def test_a_finished_run_ends_the_search(tmp_path):
    """Every run takes over all before it, so an old one is not looked at again."""
    clock = ManualClock()
    begun(tmp_path, clock)
    clock.advance(60)
    journal = begun(tmp_path, clock)
    journal.outcome(**UPDATE, outcome="done", text="")
    journal.end("complete")
    assert [] == list(unfinished(tmp_path, "sales"))


def test_an_inconclusive_end_is_taken_over(tmp_path):
    """A run that ended while an operation was still running leaves it to the next."""
    journal = begun(tmp_path)
    journal.outcome(**UPDATE, outcome="inconclusive", text="still running")
    journal.end("failed")
    assert 1 == len(still_open(list(unfinished(tmp_path, "sales"))))


def test_an_operation_whose_end_a_later_run_saw_is_not_open(tmp_path):
    """A run that was killed after it took another over leaves only what is really open."""
    clock = ManualClock()
    first = begun(tmp_path, clock)
    clock.advance(60)
    second = journal_in(tmp_path, clock, resumes=(first.run_id,))
    second.resumed(
        ResumedRecord(
            at=clock.now(),
            run=first.run_id,
            action=UPDATE["action"],
            operation_id="op-1",
            outcome="succeeded",
        )
    )
    runs = list(unfinished(tmp_path, "sales"))
    assert 2 == len(runs)
    assert () == still_open(runs)


def test_a_second_attempt_closes_the_first_operation(tmp_path):
    """What was sent again had ended before; only the newest operation is waited for."""
    journal = begun(tmp_path)
    journal.intent(**UPDATE, attempt=2)
    journal.operation(action=UPDATE["action"], operation_id="op-2")
    (run,) = unfinished(tmp_path, "sales")
    assert ["op-2"] == [o.operation_id for o in run.open_operations()]


@given(cut=st.integers(min_value=1))
def test_a_journal_cut_anywhere_in_its_last_line_is_read_without_it(tmp_path_factory, cut):
    """A crash in the middle of a write loses that line and nothing else."""
    folder = tmp_path_factory.mktemp("cut")
    journal = begun(folder)
    assert journal.path is not None
    content = journal.path.read_bytes()
    last = len(content.rstrip(b"\n").rsplit(b"\n", 1)[1]) + 1
    journal.path.write_bytes(content[: len(content) - 1 - cut % (last - 1)])
    found = read_journal(journal.path)
    assert found is not None
    assert found.torn
    assert 3 == len(found.records)  # run, plan, intent; the operation is lost


def test_a_journal_cut_in_its_first_line_is_no_journal(tmp_path):
    """A run that was killed before its first line was whole had sent nothing."""
    folder = estate_folder(tmp_path, "sales")
    folder.mkdir()
    (folder / "20260101T000000.000000Z-abc.jsonl").write_text('{"type":"ru')
    assert [] == list(unfinished(tmp_path, "sales"))


@pytest.mark.parametrize("damage", ["not json", "{}", '{"type":"intent"}', "[]", "\x00", "null"])
def test_any_other_damage_is_named_with_its_line(tmp_path, damage):
    """A journal that was edited is not guessed at."""
    journal = begun(tmp_path)
    assert journal.path is not None
    lines = journal.path.read_text().splitlines()
    lines[1] = damage
    journal.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalDamaged, match=r"jsonl:2: this line is no record"):
        read_journal(journal.path)


def test_another_major_version_is_refused(tmp_path):
    """A newer tool's journal may mean what this one cannot know."""
    journal = begun(tmp_path)
    assert journal.path is not None
    lines = journal.path.read_text().splitlines()
    lines[0] = json.dumps(json.loads(lines[0]) | {"format_version": "2.0"})
    journal.path.write_text("\n".join(lines) + "\n")
    with pytest.raises(JournalDamaged, match=r"format version 2\.0"):
        read_journal(journal.path)


def test_members_that_are_not_known_are_ignored(tmp_path):
    """A newer minor version may say more."""
    journal = begun(tmp_path)
    assert journal.path is not None
    lines = [json.dumps(json.loads(x) | {"more": 1}) for x in journal.path.read_text().splitlines()]
    journal.path.write_text("\n".join(lines) + "\n")
    found = read_journal(journal.path)
    assert found is not None
    assert 4 == len(found.records)


def test_an_intent_that_cannot_be_written_stops_before_the_effect(tmp_path):
    """A full disk must not lead to writes nobody can trace."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(JournalError, match="No space left on device; nothing more is sent"):
        journal_in(tmp_path, sync=full).intent(**UPDATE, attempt=1)


def test_an_outcome_that_cannot_be_written_does_not_undo_what_was_done(tmp_path):
    """The effect is there; the next run looks, since the journal does not say so."""
    calls: list[int] = []

    def full_later(_: int) -> None:
        calls.append(1)
        if len(calls) > 2:
            raise OSError(28, "No space left on device")

    journal = journal_in(tmp_path, sync=full_later)
    journal.intent(**UPDATE, attempt=1)
    journal.outcome(**UPDATE, outcome="done", text="")
    assert 3 == len(calls)


@given(st.text(min_size=1, max_size=40))
def test_no_estate_name_leaves_the_folder(tmp_path_factory, name):
    """A name is data, whatever dots and slashes it has."""
    folder = Path("/journals")
    assert folder == estate_folder(folder, name).parent
    assert estate_folder(folder, name).name not in {"", ".", ".."}


def test_a_run_is_found_by_the_beginning_of_its_id(tmp_path):
    """People type the first digits; an ambiguous beginning is refused."""
    begun(tmp_path, run_id="aa11").close()
    begun(tmp_path, run_id="aa22").close()
    found = find_run(tmp_path, "aa1")
    assert found is not None
    assert found.name.endswith("-aa11.jsonl")
    assert find_run(tmp_path, "ff") is None
    with pytest.raises(JournalError, match="beginning of 2 runs"):
        find_run(tmp_path, "aa")


def test_a_run_without_a_journal_notes_nothing_and_still_has_an_id():
    """Notes of deployments name the run whether or not it keeps a journal."""
    journal = NoJournal()
    journal.intent(**UPDATE, attempt=1)
    journal.end("complete")
    assert 12 == len(journal.run_id)
