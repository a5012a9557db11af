"""``make fuzz``: the whole counts, and the figures that docs/reliability.md states."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from campaign import SEED, fuzz_answers, fuzz_journals, fuzz_plans, fuzz_specs  # noqa: E402

_COUNTS = {
    fuzz_specs: 10_000,
    fuzz_plans: 2_000,
    fuzz_journals: 2_000,
    fuzz_answers: 2_000,
}


def main() -> int:
    """Run every campaign; exit code 1 when one case was not clean."""
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    print(f"seed {SEED}")  # noqa: T201
    wrong: list[str] = []
    for campaign, cases in _COUNTS.items():
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            tally = campaign(Path(folder), int(cases * share))
        print(f"{tally.line()}  {time.monotonic() - began_s:,.0f} s", flush=True)  # noqa: T201
        wrong += tally.wrong
    for text in wrong[:20]:
        print(f"\n{text}")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
