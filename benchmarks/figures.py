"""Count what the project states about itself: requests of the demo estate, and lines.

Prints a table, or JSON with ``--json``; times are measured by ``all.py``::

    python benchmarks/figures.py [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "reconciler" / "cli" / "demo_estate"
_TIMEOUT_S = 120


def main() -> int:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        "lines": lines_per_package(),
        **demo_requests(),
    }
    text = json.dumps(figures, indent=2) if args.json else _table(figures)
    sys.stdout.write(text + "\n")
    return 0


def lines_per_package() -> dict[str, int]:
    """Count lines of Python that are neither blank nor only a comment, per package."""
    found: Counter[str] = Counter()
    for path in [*(ROOT / "reconciler").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        parts = path.relative_to(ROOT).parts
        if "demo_estate" in parts:
            continue
        top = parts[0] if parts[0] == "tests" or len(parts) == 2 else "/".join(parts[:2])
        lines = path.read_text(encoding="utf-8").splitlines()
        found[top] += sum(bool(s) and not s.startswith("#") for s in map(str.strip, lines))
    return dict(sorted(found.items()))


def demo_requests() -> dict[str, Any]:
    """Count the requests of the demo estate's first plan, first apply and second plan."""
    with tempfile.TemporaryDirectory() as folder:
        ready_file = Path(folder) / "ready.json"
        emulator = subprocess.Popen(
            [
                *(sys.executable, "-m", "reconciler", "emulator", "--speed", "instant"),
                *("--scenario", str(DEMO / "scenario.yaml"), "--ready-file", str(ready_file)),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            end = time.monotonic() + 20
            while not ready_file.exists():
                if time.monotonic() > end or emulator.poll() is not None:
                    raise SystemExit("the emulator did not start")
                time.sleep(0.05)
            ready = json.loads(ready_file.read_text())
            first, done, second = (
                _reconciler(ready, *args)
                for args in (
                    ("plan", "sales.yaml"),
                    ("apply", "sales.yaml", "--auto-approve"),
                    ("plan", "sales.yaml"),
                )
            )
        finally:
            emulator.terminate()
            emulator.wait(10)
    return {
        "demo_first_plan_requests": first,
        "demo_first_apply_requests": done,
        "demo_second_plan_requests": second,
    }


def _reconciler(ready: dict[str, str], *args: str) -> int:
    """Run a command and return how many requests it made, by the emulator's own log."""
    import httpx  # noqa: PLC0415 - not needed for --help

    log = f"{ready['control_url']}/requests"
    httpx.delete(log, trust_env=False)
    subprocess.run(
        [sys.executable, "-m", "reconciler", *args],
        cwd=DEMO,
        env={
            **os.environ,
            "RECONCILER_FABRIC_URL": ready["fabric_url"],
            "RECONCILER_DEVOPS_URL": ready["devops_url"],
            "RECONCILER_FABRIC_TOKEN": ready["token"],
            "RECONCILER_DEVOPS_TOKEN": ready["token"],
        },
        check=True,
        capture_output=True,
        timeout=_TIMEOUT_S,
    )
    return len(httpx.get(log, trust_env=False).json()["requests"])


def _table(figures: dict[str, Any]) -> str:
    rows = [(k, str(v)) for k, v in figures.items() if k != "lines"]
    rows += [(f"lines {k}", f"{v:,}") for k, v in figures["lines"].items()]
    width = max(len(k) for k, _ in rows)
    return "\n".join(f"{k:<{width}}  {v}" for k, v in rows)


if __name__ == "__main__":
    sys.exit(main())
