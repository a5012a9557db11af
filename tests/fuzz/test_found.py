"""Cases that ``make fuzz`` once found, tried again by their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import fuzz_answers, fuzz_plans, fuzz_specs
from judge import Tally

FOUND = {
    fuzz_specs: (1186, 1511),  # a direction override and a mark of byte order in JSON
    fuzz_plans: (1021,),  # the same in a plan shown as JSON
    fuzz_answers: (548, 635, 1728),  # half characters; items gone between check and send
}


@pytest.mark.parametrize("campaign", FOUND, ids=lambda campaign: campaign.__name__)
def test_what_was_found_once_stays_mended(campaign, tmp_path: Path, monkeypatch) -> None:
    """Guards each bug with the input that showed it."""
    judge = Tally.judge
    numbers = {str(number) for number in FOUND[campaign]}

    def only(self: Tally, label: str, case) -> None:
        if label in numbers:
            judge(self, label, case)

    monkeypatch.setattr(Tally, "judge", only)
    tally = campaign(tmp_path, max(FOUND[campaign]) + 1)
    assert len(numbers) == tally.cases == tally.clean, tally.wrong
