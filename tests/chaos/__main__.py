"""Run the fault matrix: ``python -m chaos`` with ``tests`` on the path, or ``make chaos``.

Writes nothing but its progress file, one line per case; with ``--resume`` the cases that stand in
it are not run again. Exit code 1 when a case went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chaos.faults import FaultKind
from chaos.matrix import Case, prepared, run_case
from chaos.scenarios import SCENARIOS

_FRESH_SHARE = 0.25
_CHUNK = 100
_MEMORY = Path("/dev/shm")  # noqa: S108 - a parent folder for private ones, and the fastest


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and print the table."""
    args = _parser().parse_args(arguments)
    code = _code()
    known = _read(args.resume, code) if args.resume else {}
    began_s = time.monotonic()
    for found in _all(args, known):
        known[found["id"]] = found
        if args.resume:
            with args.resume.open("a") as progress:
                progress.write(json.dumps({"code": code, **found}) + "\n")
        if not found["well"]:
            _complain(found)
    elapsed_s = time.monotonic() - began_s
    sys.stdout.write(table(known.values()) + f"\n{elapsed_s:.0f} s, seed {args.seed}\n")
    return 0 if all(found["well"] for found in known.values()) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="chooses samples and fresh runners")
    parser.add_argument("--sample", type=int, help="run so many cases of each scenario")
    parser.add_argument("--resume", type=Path, help="progress file, read first and added to")
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument("--fault", action="append", choices=[kind.value for kind in FaultKind])
    parser.add_argument("--index", type=int, help="only this request")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser


def _all(args: argparse.Namespace, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run all cases that are not known yet, several scenarios at once."""
    wanted = args.scenario or list(SCENARIOS)
    with ProcessPoolExecutor(args.jobs) as pool:
        counted = [pool.submit(_cases, name, args) for name in wanted]
        found = [[c for c in cases.result() if c.id not in known] for cases in counted]
        parts = [
            pool.submit(_part, cases[0].scenario, cases[n : n + _CHUNK])
            for cases in found
            for n in range(0, len(cases), _CHUNK)
        ]
        for part in as_completed(parts):
            yield from part.result()


def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="chaos-", dir=_MEMORY if _MEMORY.is_dir() else None)


def _cases(name: str, args: argparse.Namespace) -> list[Case]:
    """Return the cases of a scenario that were asked for."""

    async def count() -> list[Case]:
        with _folder() as folder:
            async with prepared(SCENARIOS[name], Path(folder)) as ready:
                return list(ready.cases())

    chance = random.Random(f"{args.seed} {name}")  # noqa: S311 - repeatable, no secret
    found = [c for c in asyncio.run(count()) if c.journal or chance.random() < _FRESH_SHARE]
    found = [
        c
        for c in found
        if (not args.fault or c.fault in args.fault) and args.index in (None, c.index)
    ]
    return found if args.sample is None else chance.sample(found, min(args.sample, len(found)))


def _part(name: str, cases: Sequence[Case]) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        with _folder() as folder:
            async with prepared(SCENARIOS[name], Path(folder)) as ready:
                found = []
                for case in cases:
                    verdict = await run_case(ready, case)
                    found.append({"id": case.id, "well": verdict.well, **asdict(verdict)})
                return found

    return asyncio.run(run())


def _code() -> str:
    """Return a digest of what is tested: what another code has shown is no progress of this."""
    here = Path(__file__)
    files = [*here.parents[2].glob("reconciler/**/*.py"), *here.parent.glob("*.py")]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _read(path: Path, code: str) -> dict[str, Any]:
    if not path.exists():
        return {}
    found = map(json.loads, path.read_text().splitlines())
    return {entry["id"]: entry for entry in found if entry["code"] == code}


def _complain(found: dict[str, Any]) -> None:
    sys.stdout.write(f"{found['id']} at {found['request']}\n")
    for name in ("restless", "duplicates", "lost", "astray"):
        if found[name]:
            sys.stdout.write(f"  {name}: {str(found[name])[:600]}\n")
    for number, text in enumerate(found["told"], start=1):
        sys.stdout.write(f"  apply {number}: {text[:600]}\n")
    sys.stdout.flush()


def table(found: Iterable[dict[str, Any]]) -> str:
    """Return the summary as a Markdown table, a row per fault."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for entry in found:
        for row in (entry["case"]["fault"], "all"):
            counts[row] += Counter(
                cases=1,
                converged=not entry["restless"],
                duplicates=len(entry["duplicates"]) > 0,
                lost=len(entry["lost"]) > 0,
            )
    columns = ("cases", "converged", "duplicates", "lost")
    lines = [f"| fault | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for row in (*(kind.value for kind in FaultKind), "all"):
        if row in counts:
            numbers = " | ".join(str(counts[row][column]) for column in columns)
            lines.append(f"| {row} | {numbers} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
