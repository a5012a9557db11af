"""Run the benchmarks on the emulator; prints a table, or JSON with ``--json``.

::

    python benchmarks/all.py --quick            # a few minutes
    python benchmarks/all.py [--only plan,drift,apply,limiter,planner,start] [--json]
    python benchmarks/all.py --out FILE         # the JSON there, the table here

Everything is measured in one run against two baselines of the same run: the bound (requests made,
by the emulator's log, times latency by requests at a time) and scripts that call one after another
(100 workspaces, compared by workspace). Works in a temporary folder and on loopback; an interrupt
or SIGTERM ends the emulator and removes the folder. Linux only: times and memory of processes come
from ``/proc`` and wait4.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steps import STEPS, Size
from targets import judged

_FULL = Size(
    runs=5,
    small=100,
    workspaces=1000,
    large=10_000,
    compared=(99, 999),
    updates=300,
    limited=1000,
    actions=100_000,
    latency_ms=50.0,
)
_QUICK = Size(
    runs=1,
    small=0,
    workspaces=100,
    large=0,
    compared=(12,),
    updates=30,
    limited=100,
    actions=10_000,
    latency_ms=50.0,
)


def main() -> int:
    """Run what is asked for and print it."""
    args, size = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that "finally" is carried out
    figures: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        "load_before": os.getloadavg()[0],
        "latency_ms": size.latency_ms,
        "medians_of": size.runs,
    }
    folder = Path(tempfile.mkdtemp(prefix="reconciler-benchmark-"))
    try:
        for name in args.only:
            began = time.perf_counter()
            figures[name] = STEPS[name](folder, size)
            sys.stderr.write(f"{name}: done in {time.perf_counter() - began:.0f} s\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures["load_after"] = os.getloadavg()[0]
    figures["targets"] = judged(figures)
    text = json.dumps(figures, indent=2) + "\n"
    if args.out is not None:
        args.out.write_text(text)
    sys.stdout.write(text if args.json else _table(figures))
    return 0


def _arguments() -> tuple[argparse.Namespace, Size]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, one run of each")
    parser.add_argument("--only", default=",".join(STEPS), help=f"of {','.join(STEPS)}")
    parser.add_argument("--runs", type=int, help="medians of so many runs (default: 5)")
    parser.add_argument("--workspaces", type=int, help="of plan and drift (default: 1000)")
    parser.add_argument("--large", type=int, help="of the estate measured once (default: 10000)")
    parser.add_argument("--actions", type=int, help="of the planner alone (default: 100000)")
    parser.add_argument("--latency", type=float, metavar="MS", help="per request (default: 50)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the JSON here")
    args = parser.parse_args()
    args.only = args.only.split(",")
    if unknown := set(args.only) - set(STEPS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    size = _QUICK if args.quick else _FULL
    given = {
        "runs": args.runs,
        "workspaces": args.workspaces,
        "large": args.large,
        "actions": args.actions,
        "latency_ms": args.latency,
    }
    size = replace(size, **{k: v for k, v in given.items() if v is not None})
    return args, replace(size, compared=tuple(min(n, size.workspaces) for n in size.compared))


def _table(figures: Mapping[str, Any]) -> str:
    rows: list[tuple[str, str]] = []

    def walk(value: object, name: str) -> None:
        if isinstance(value, Mapping):
            for key, inner in value.items():
                walk(inner, f"{name}: {key}" if name else key)
        else:
            rows.append((name, str(value)))

    walk(figures, "")
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
