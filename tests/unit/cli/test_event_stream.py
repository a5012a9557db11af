"""The event stream: every line true to the schema, in order, and never at the price of the run."""

import io
import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from render.samples import DEV, action, error, plan, story

from reconciler.cli.event_stream import EventStream, open_events
from reconciler.clock import ManualClock
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.engine import ReadFinished, ReadStarted
from reconciler.errors import InternalError, PlanStale, ReconcilerError, SpecError, UsageError
from reconciler.execute.events import (
    ActionFinished,
    ActionOutcome,
    ActionProgress,
    ActionStarted,
    ApplyResult,
    Outcome,
)

SCHEMA = Path(__file__).parents[3] / "schemas" / "events.schema.json"
VALIDATOR = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
CREATE = action("workspace.create")
BAD_NAME = action("workspace.create", "workspaces/a\nb\x1b[2J\u2028é")


def read(text):
    """Return the events of a stream; every line fits the schema."""
    assert text.isascii()
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        VALIDATOR.validate(event)
    return events


def ended(outcome, **fields):
    """Return the event that an action ended like this."""
    return ActionFinished(
        CREATE, ActionOutcome(CREATE.id, CREATE.kind, DEV, outcome, elapsed_s=1.23456, **fields)
    )


@pytest.fixture
def stream():
    """A stream into memory; ``.events()`` reads what it holds."""
    out = io.StringIO()
    clock = ManualClock(datetime(2026, 1, 31, 12, tzinfo=UTC))
    one = EventStream(out, clock, complain=out.write)
    one.events = lambda: read(out.getvalue())
    one.clock = clock
    return one


def test_the_first_line_names_tool_stream_and_command(stream):
    """A reader knows from the first line whether it can read the rest."""
    stream.begin("apply")
    (event,) = stream.events()
    assert ["@level", "@message", "@timestamp", "type"] == list(event)[:4]
    assert ("version", "1.0", "apply") == tuple(
        event[k] for k in ("type", "format_version", "command")
    )


def test_times_are_those_of_the_clock(stream):
    """UTC with milliseconds, from the clock that is passed in."""
    stream.begin("plan")
    stream.clock.advance(1.5)
    stream.begin("plan")
    expected = ["2026-01-31T12:00:00.000Z", "2026-01-31T12:00:01.500Z"]
    assert expected == [event["@timestamp"] for event in stream.events()]


def test_reads_tell_their_purpose_and_what_was_unreadable(stream):
    """Unknown is in the stream, with the address."""
    stream.on_read(ReadStarted("verify"))
    stream.on_read(ReadFinished("verify", story(), 2.0))
    start, end = stream.events()
    assert ("read_start", "verify") == (start["type"], start["purpose"])
    assert ("read_complete", "warn", 2.0) == (end["type"], end["@level"], end["elapsed_s"])
    assert (["workspaces/Sales Prod"], {"devops": 3, "fabric": 20}) == (
        end["unknown"],
        end["requests"],
    )


def test_a_plan_is_findings_then_actions_then_the_summary(stream):
    """In wave order; the summary counts every family."""
    stream.planned(story())
    events = stream.events()
    kinds = ["diagnostic"] + ["planned_action"] * 10 + ["change_summary"]
    assert kinds == [event["type"] for event in events]
    assert [1, 1, 1, 1, 2, 3, 3, 4, 4, 5] == [e["wave"] for e in events[1:-1]]
    summary = events[-1]
    assert {"create": 4, "change": 1, "destroy": 1} == {
        k: summary["changes"][k] for k in ("create", "change", "destroy")
    }
    assert (10, 2, 1, False) == (
        summary["actions"],
        summary["destructive"],
        summary["held"],
        summary["drift"]["in_sync"],
    )
    assert 23 == events[-2]["items"]


@pytest.mark.parametrize(
    ("outcome", "kind", "level"),
    [
        (Outcome.DONE, "action_complete", "info"),
        (Outcome.NOT_NEEDED, "action_complete", "info"),
        (Outcome.FAILED, "action_errored", "error"),
        (Outcome.INCONCLUSIVE, "action_errored", "error"),
        (Outcome.REFUSED, "action_errored", "error"),
        (Outcome.SKIPPED, "action_skipped", "warn"),
    ],
)
def test_every_ending_has_its_type(stream, outcome, kind, level):
    """Start, progress and end of an action name the same action."""
    stream.on_action(ActionStarted(CREATE))
    stream.on_action(ActionProgress(CREATE, "operation running", 12.3456))
    stream.on_action(ended(outcome, text="why\n\x1b[31mred", remedy="do this"))
    start, progress, end = stream.events()
    assert ("action_start", "action_progress", kind) == (
        start["type"],
        progress["type"],
        end["type"],
    )
    assert start["action"] == progress["action"] == end["action"]
    assert (level, "why\n\x1b[31mred") == (end["@level"], end["text"])
    assert "\\x1b[31mred" in end["@message"]
    assert 12.346 == progress["elapsed_s"]


def test_the_end_of_an_apply_counts_outcomes_and_tells_the_exit_code(stream):
    """Complete only when a second plan confirms it."""
    outcomes = tuple(ended(o).outcome for o in (Outcome.DONE, Outcome.DONE, Outcome.FAILED))
    stream.applied(ApplyResult(outcomes), 1)
    stream.applied(ApplyResult(outcomes[:2], after=plan(), residual=("x",)), 0)
    failed, complete = stream.events()
    assert ({"done": 2, "failed": 1}, False, 1) == (
        failed["outcomes"],
        failed["complete"],
        failed["exit_code"],
    )
    assert (True, ["x"], "info") == (complete["complete"], complete["residual"], complete["@level"])


def test_names_stay_one_line_and_the_message_is_harmless(stream):
    """Line breaks, controls and foreign letters are coded; the members hold the name as it is."""
    stream.on_action(ActionStarted(BAD_NAME))
    (event,) = stream.events()
    assert BAD_NAME.address == event["action"]["address"]
    assert "workspaces/a\\nb\\x1b[2J\\u2028é: creating…" == event["@message"]


def test_half_a_character_from_a_service_does_not_stop_the_stream(stream):
    """JSON can carry half of a surrogate pair; a listener that failed would stop the apply."""
    stream.on_action(ended(Outcome.FAILED, text="\ud800"))
    stream.on_action(ActionStarted(action("workspace.create", "workspaces/\udfff")))
    assert 2 == len(stream.events())


@pytest.mark.parametrize(
    ("raised", "code", "detail"),
    [
        (PlanStale("moved", remedy="plan again"), "plan_stale", "plan again"),
        (InternalError("a bug"), "internal_error", ""),
        (KeyError("secret-value"), "internal_error", ""),
        (KeyboardInterrupt(), "interrupted", "What a service has accepted goes on there."),
    ],
)
def test_what_ends_a_run_is_a_diagnostic(stream, raised, code, detail):
    """A reader of the stream alone learns why it ended; of a bug only the type."""
    stream.ended_by(raised)
    (event,) = stream.events()
    found = event["diagnostic"]
    assert ("error", code, detail) == (event["@level"], found["code"], found["detail"])
    assert "secret-value" not in json.dumps(event)


def test_findings_that_an_error_carries_come_before_it(stream):
    """All of them, each with its place."""
    one = Diagnostic(Severity.WARNING, "w", "Hm.", address=DEV)
    stream.ended_by(SpecError("the spec is invalid", [one]))
    first, second = stream.events()
    assert ("warn", DEV) == (first["@level"], first["diagnostic"]["address"])
    assert "spec_error" == second["diagnostic"]["code"]


def test_errors_of_a_plan_are_diagnostics_with_their_places(stream):
    """What a newer version calls otherwise is an error too."""
    stream.planned(
        plan(
            diagnostics=(
                error(path="a.b", line=3),
                error().model_copy(update={"severity": "fatal"}),
            )
        )
    )
    first, second, _ = stream.events()
    assert ("a.b", 3) == (first["diagnostic"]["path"], first["diagnostic"]["line"])
    assert ("error", "error") == (second["@level"], second["diagnostic"]["severity"])


class Full(io.StringIO):
    """A file on a disk that is full, or a pipe whose reader left."""

    def __init__(self, error):
        super().__init__()
        self._error = error

    def flush(self):
        """Fail like the system does."""
        raise self._error


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (OSError(28, "No space left on device"), "The event stream ended: No space left on device\n"),
        (BrokenPipeError(), ""),
    ],
)  # fmt: skip
def test_a_stream_that_cannot_be_written_ends_and_says_so_once(failure, said):
    """The run goes on: an apply must not stop half way for its log."""
    complaints = io.StringIO()
    stream = EventStream(Full(failure), ManualClock(), complain=complaints.write)
    stream.begin("apply")
    stream.begin("apply")
    assert said == complaints.getvalue()


def test_a_file_of_events_is_private_and_begins_anew(tmp_path):
    """It names people and places, and tells of one run only."""
    path = tmp_path / "events.jsonl"
    for text in ("first run\n", "new\n"):
        with open_events(str(path), ()) as out:
            out.write(text)
    assert "new\n" == path.read_text()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_a_pipe_may_take_the_events(tmp_path):
    """Another process can follow a run without a file on disk."""
    reader, writer = os.pipe()
    with open_events(f"/dev/fd/{writer}", ()) as out:
        EventStream(out, ManualClock(), complain=print).begin("plan")
    os.close(writer)
    with os.fdopen(reader) as source:
        assert ["version"] == [event["type"] for event in read(source.read())]


@pytest.mark.parametrize("name", ["s.yaml", "specs/more.yaml", "."])
def test_the_spec_is_never_overwritten_by_events(tmp_path, monkeypatch, name):
    """Neither a file that was named nor one in a directory that was."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    with pytest.raises(UsageError, match="argument --events"):
        open_events(name, (tmp_path / "s.yaml", tmp_path / "specs"))
    assert [] == list((tmp_path / "specs").iterdir())


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    """Told before anything is read."""
    with pytest.raises(ReconcilerError, match="cannot write"):
        open_events(str(tmp_path / "no" / "such.jsonl"), ())
