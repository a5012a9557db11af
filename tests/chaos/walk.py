"""Walk the state machine for many steps: ``python -m chaos.walk``, or ``make chaos``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from chaos.machine import Estate
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

__all__ = ["main", "walk"]


def walk(number: int, *, examples: int, length: int) -> None:
    """Walk so many times, each at most so far, as a seed says."""
    run_state_machine_as_test(
        seed(number)(Estate),
        settings=settings(
            max_examples=examples,
            stateful_step_count=length,
            deadline=None,
            database=None,
            print_blob=False,
            phases=[Phase.generate],  # shrinking takes minutes, and a walk is short
            suppress_health_check=list(HealthCheck),
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Walk until enough steps were taken and say how many."""
    parser = argparse.ArgumentParser(prog="chaos.walk", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10_000)
    args = parser.parse_args(arguments)
    began_s, number = time.monotonic(), args.seed
    while Estate.steps < args.steps:
        walk(number, examples=20, length=30)
        sys.stdout.write(f"seed {number}: {Estate.steps} steps so far\n")
        sys.stdout.flush()
        number += 1
    elapsed_s = time.monotonic() - began_s
    sys.stdout.write(
        f"{Estate.steps} steps in {elapsed_s:.0f} s, seeds {args.seed} to {number - 1}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
