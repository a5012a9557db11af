"""Progress lines of an apply."""

import pytest
from render.samples import DEV, TEST, action

from reconciler.cli.progress import Progress
from reconciler.execute.events import (
    ActionFinished,
    ActionOutcome,
    ActionProgress,
    ActionStarted,
    Outcome,
)

CREATE = action("workspace.create")
UPDATE = action("git.update", f"{TEST}/git")


@pytest.fixture
def told():
    """The lines written so far, and the listener that writes them."""
    lines: list[str] = []
    return lines, Progress(lines.append)


def test_a_start_and_an_end_are_one_line_each(told):
    """Plain lines that a CI log keeps."""
    lines, listen = told
    listen(ActionStarted(CREATE))
    done = ActionOutcome(CREATE.id, CREATE.kind, DEV, Outcome.DONE, elapsed_s=1.2)
    listen(ActionFinished(CREATE, done))
    expected = ["workspaces/Sales Dev: creating…\n", "workspaces/Sales Dev: done after 1 s\n"]
    assert expected == lines


def test_a_wait_is_told_every_ten_seconds_and_per_action(told):
    """Polls come more often than people want to read."""
    lines, listen = told
    for second in range(1, 26):
        listen(ActionProgress(UPDATE, "Running", float(second)))
        listen(ActionProgress(CREATE, "", second / 2))
    expected = [
        "workspaces/Sales Test/git: still updating from Git, Running… (10 s elapsed)\n",
        "workspaces/Sales Test/git: still updating from Git, Running… (20 s elapsed)\n",
        "workspaces/Sales Dev: still creating… (10 s elapsed)\n",
    ]
    assert expected == lines


@pytest.mark.parametrize("outcome", Outcome)
def test_every_ending_has_its_words_and_its_reason(told, outcome):
    """A service's multi-line, coloured answer becomes one harmless line."""
    lines, listen = told
    text = "first\nsecond \x1b[31m"
    listen(ActionFinished(CREATE, ActionOutcome("i", "k", DEV, outcome, text)))
    word = {Outcome.INCONCLUSIVE: "outcome unknown"}.get(outcome, outcome.value)
    assert 1 == len(lines)
    assert lines[0].startswith(f"workspaces/Sales Dev: {word}")
    assert lines[0].endswith(": first second \\x1b[31m\n")
