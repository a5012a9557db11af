"""What is under way, redrawn in place: what a person sees, and what is left afterwards."""

import asyncio
import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from render.samples import TEST, action, plan

from reconciler.cli.console import Console
from reconciler.cli.live_status import LiveStatus, StatusLines, terminal_size
from reconciler.cli.progress import Progress
from reconciler.cli.session import Session
from reconciler.clock import ManualClock
from reconciler.engine import ReadFinished, ReadStarted, Settings
from reconciler.errors import PlanStale
from reconciler.execute.events import (
    ActionFinished,
    ActionOutcome,
    ActionProgress,
    ActionStarted,
    Outcome,
)
from reconciler.render.terminal import PLAIN

from .screen import Screen

ROOT = str(Path(__file__).resolve().parents[3])
CREATE = action("workspace.create")
UPDATE = action("git.update", f"{TEST}/git")


class Stage:
    """A screen, a clock, and a status that uses both; results go to the same screen."""

    def __init__(self, columns=80, rows=24):
        self.screen, self.clock = Screen(columns), ManualClock()
        self.size = (columns, rows)
        stream = io.StringIO()
        stream.write = self.screen.write
        self.stream = stream
        progress = Progress(self.screen.write)

        def tell(event):
            if isinstance(event, ActionFinished):
                progress(event)

        lines = StatusLines(stream, lambda: self.size)
        self.status = LiveStatus(lines, self.clock, tell=tell, paint=PLAIN)

    def session(self):
        """Return a session that shows its status here."""
        console = Console(out=self.stream, err=self.stream, source=io.StringIO())
        settings = Settings(environ={}, clock=self.clock)
        return Session("plan", console, settings, status=self.status)


@pytest.fixture
def stage():
    """A stage of the usual size."""
    return Stage()


def done(one, text="created"):
    """Return the event that an action is done."""
    return ActionFinished(one, ActionOutcome(one.id, one.kind, one.address, Outcome.DONE, text))


def test_elapsed_time_is_redrawn_in_place(stage):
    """The same lines, not new ones, show how long each thing has been under way."""
    stage.status.on_action(ActionStarted(CREATE))
    stage.clock.advance(5)
    stage.status.on_action(ActionStarted(UPDATE))
    stage.status.on_action(ActionProgress(UPDATE, "operation running 40 %", 5))
    stage.clock.advance(7)
    stage.status.redraw()
    expected = (
        "+ workspaces/Sales Dev: creating… (12 s)\n"
        "↻ workspaces/Sales Test/git: updating from Git, operation running 40 %… (7 s)\n"
        "2 under way, 0 ended"
    )
    assert expected == stage.screen.text


def test_what_ended_stays_above_what_is_under_way(stage):
    """Lines scroll up as they would without a status; the status stays below."""
    for event in (ActionStarted(CREATE), ActionStarted(UPDATE), done(CREATE)):
        stage.status.on_action(event)
    expected = (
        "workspaces/Sales Dev: done after less than 1 s: created\n"
        "↻ workspaces/Sales Test/git: updating from Git… (less than 1 s)\n"
        "1 under way, 1 ended"
    )
    assert expected == stage.screen.text
    stage.status.on_action(done(UPDATE, "at 1f2e"))
    assert 2 == len(stage.screen.text.splitlines())
    assert "under way" not in stage.screen.text


def test_reading_is_shown_and_taken_back(stage):
    """Before there is a plan there is nothing else to look at."""
    stage.status.on_read(ReadStarted("plan"))
    stage.clock.advance(3)
    stage.status.redraw()
    assert "Reading the live state… (3 s)" == stage.screen.text
    stage.status.on_read(ReadFinished("plan", plan(), 3.0))
    assert "" == stage.screen.text


def test_a_narrow_terminal_cuts_lines_instead_of_wrapping_them():
    """A wrapped line could not be erased; wide characters count twice."""
    stage = Stage(columns=30)
    one = action("workspace.create", "workspaces/日本語日本語日本語日本語")
    for event in (ActionStarted(one), ActionStarted(CREATE), done(one), done(CREATE)):
        stage.status.on_action(event)
        stage.clock.advance(1)
    assert "under way" not in stage.screen.text


def test_cutting_keeps_the_elapsed_time(stage):
    """It is what the line is for."""
    stage.status.on_action(ActionStarted(action("workspace.create", "x" * 200)))
    stage.clock.advance(5)
    stage.status.redraw()
    line = stage.screen.text.splitlines()[0]
    assert 79 == len(line)
    assert line.endswith("x… (5 s)")


def test_more_than_fits_is_counted(stage):
    """Ten things at a time leave room for what has ended."""
    many = [action("workspace.create", f"workspaces/W{n}") for n in range(12)]
    for one in many:
        stage.status.on_action(ActionStarted(one))
    lines = stage.screen.text.splitlines()
    assert 9 == len(lines)
    assert "12 under way, 4 more not shown, 0 ended" == lines[-1]
    stage.size = (80, 4)
    stage.status.redraw()
    assert 2 == len(stage.screen.text.splitlines())


def test_no_name_steers_the_terminal(stage):
    """The screen of the tests refuses every control sequence but those of the status."""
    one = action("workspace.create", "a\x1b[2J\x1b[?25l\r\n\x9b5A")
    stage.status.on_action(ActionStarted(one))
    stage.status.on_action(ActionProgress(one, "\x1b[3A", 1))
    assert "a\\x1b[2J\\x1b[?25l\\r\\n\\x9b5A: creating, \\x1b[3A" in stage.screen.text


def test_the_status_ticks_while_work_goes_on_and_is_gone_when_it_fails(stage):
    """Every second, by the clock that is passed in, and cleared on every way out."""
    session, seen = stage.session(), []

    async def work():
        session.on_read(ReadStarted("plan"))
        while len(seen) < 5:
            await asyncio.sleep(0)
            if stage.screen.text not in seen:
                seen.append(stage.screen.text)
        raise PlanStale("moved")

    with pytest.raises(PlanStale), session:
        session.run(work())
    assert "Reading the live state… (less than 1 s)" == seen[0]
    assert "Reading the live state… (4 s)" == seen[4]
    assert "" == stage.screen.text


def test_an_interrupt_takes_the_status_back(stage):
    """Ctrl-C leaves the lines that were there before, and nothing under way."""
    session = stage.session()

    async def work():
        session.on_action(ActionStarted(CREATE))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), session:
        session.run(work())
    assert "" == stage.screen.text


def test_a_terminal_that_is_gone_does_not_stop_an_apply(stage):
    """A closed window must not leave an estate half way."""

    def gone(text):
        raise OSError(5, "Input/output error")

    stage.stream.write = gone
    stage.status.on_action(ActionStarted(CREATE))
    stage.status.clear()


def test_what_has_no_size_is_taken_for_a_usual_one():
    """A stream that is no terminal is asked for its size and has none."""
    reader, writer = os.pipe()
    with os.fdopen(reader), os.fdopen(writer, "w") as stream:
        assert (80, 24) == terminal_size(stream)


def run_on_a_terminal(*words, term="xterm-256color", interrupt_at=None):
    """Run a command on a pseudo terminal; returns its code, what it wrote, and if modes are kept.

    ``interrupt_at`` is the text after which it gets the signal of Ctrl-C, once.
    """
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    command = [sys.executable, "-m", "reconciler", *map(str, words)]
    environ = {**os.environ, "TERM": term, "COLUMNS": "", "NO_COLOR": "1", "PYTHONPATH": ROOT}
    process = subprocess.Popen(
        # The lock of an estate lies in the folder the command runs in.
        command,
        cwd=Path(words[1]).parent,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environ,
    )
    written = bytearray()
    while process.poll() is None or _waiting(ours):
        if _waiting(ours):
            written += os.read(ours, 65_536)
        if interrupt_at is not None and interrupt_at in written.decode(errors="replace"):
            process.send_signal(signal.SIGINT)
            interrupt_at = None
    after = termios.tcgetattr(theirs)
    os.close(theirs)
    os.close(ours)
    return process.returncode, written.decode(), before == after


def _waiting(descriptor):
    return bool(select.select([descriptor], [], [], 0.05)[0])


def test_on_a_terminal_an_apply_redraws_and_leaves_a_clean_screen(services, spec):
    """Progress in place while it runs; afterwards only lines that last, and the modes as before."""
    code, written, same_modes = run_on_a_terminal("apply", spec, "--auto-approve")
    assert (0, True) == (code, same_modes)
    assert "Reading the live state…" in written
    assert re.search(r"^\+ workspaces/test_.*… \(less than 1 s\)\r$", written, re.MULTILINE)
    assert "\x1b[2A\r\x1b[J" in written
    assert "\x1b[?" not in written
    screen = Screen()
    screen.write(written)
    assert "under way" not in screen.text
    assert "Reading" not in screen.text
    assert ": done after" in screen.text.replace("\n", "")
    assert "Apply complete." == screen.text.splitlines()[-1]


def test_ctrl_c_on_a_terminal_leaves_a_clean_screen(services, spec):
    """Whatever was under way is gone from the screen, and the modes are as before."""
    match = {"service": "fabric", "method": "GET", "route": "/v1/workspaces"}
    services("faults", {"match": match, "hang": "before"})
    code, written, same_modes = run_on_a_terminal("plan", spec, interrupt_at="Reading the live")
    assert (130, True) == (code, same_modes)
    screen = Screen()
    screen.write(written)
    assert "Reading" not in screen.text
    assert screen.text.lstrip().startswith("Interrupted.")


@pytest.mark.parametrize("words", [["--quiet"], ["--verbose"]])
def test_quiet_and_verbose_have_no_status(services, spec, words):
    """One wants nothing, the other a log that stays readable."""
    code, written, _ = run_on_a_terminal("plan", spec, *words)
    assert 0 == code
    assert "Reading the live state" not in written


def test_a_dumb_terminal_gets_plain_lines(services, spec):
    """Editors run commands in terminals that cannot move their cursor."""
    code, written, _ = run_on_a_terminal("apply", spec, "--auto-approve", term="dumb")
    assert 0 == code
    assert "\x1b" not in written
    assert "creating…\r\n" in written
