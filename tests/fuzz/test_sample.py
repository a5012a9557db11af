"""A sample of ``make fuzz``: the same cases, the first ones of each campaign."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from campaign import fuzz_answers, fuzz_journals, fuzz_plans, fuzz_specs
from judge import Tally, run_command, unclean_text
from mutate import changed_bytes, changed_document, changed_lines


@pytest.mark.parametrize(
    ("campaign", "cases"),
    [(fuzz_specs, 250), (fuzz_plans, 60), (fuzz_journals, 60), (fuzz_answers, 30)],
)
def test_every_hostile_input_has_a_clean_end(
    campaign: Callable[[Path, int], Tally], cases: int, tmp_path: Path
) -> None:
    """Guards that no input ends in a traceback, a hang, or text that was not escaped."""
    tally = campaign(tmp_path, cases)
    assert [] == tally.wrong
    assert cases <= tally.cases == tally.clean


def test_hostile_answers_reach_planning_and_applying(tmp_path: Path) -> None:
    """Guards the campaign: answers that are spoilt at once would try nothing."""
    reached = fuzz_answers(tmp_path, 8).reached
    assert reached["planned"] > 0
    assert reached["applied"] > 0


def test_the_same_seed_gives_the_same_case() -> None:
    """Guards that a case that was found can be tried again."""
    raw = b"a: 1\nb: [2, 3]\nc: {d: e}\n"
    for change in (changed_bytes, changed_lines, changed_document):
        cases = {
            change(random.Random("1"), raw)  # noqa: S311 - reproducible
            for _ in range(5)
        }
        assert 1 == len(cases)


def test_what_is_not_clean_is_told() -> None:
    """Guards the judge: bugs, tracebacks, hangs of control characters are seen."""
    tally = Tally("x")
    tally.judge("fine", lambda: "")
    tally.judge("broken", lambda: str(1 // 0))
    tally.judge("odd", lambda: unclean_text("\x1b[2J"))
    assert (3, 1, 1) == (tally.cases, tally.clean, tally.tracebacks)
    assert ["broken", "odd"] == [text.split()[1].rstrip(":") for text in tally.wrong]


def test_a_bug_of_a_command_is_not_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guards that the message about a bug counts as a traceback."""

    def fail(_: object) -> int:
        raise KeyError("x")

    monkeypatch.setattr("reconciler.cli.validate.run", fail)
    assert "a bug" in run_command(["validate", "x.yaml"])
