"""Measure the emulator as the substrate of other measurements; prints a table, or JSON.

Builds an estate in a temporary ``--data`` folder (1,000 workspaces of 40 items, each synced with a
directory of its own in one of 10 repositories, 300 pipelines), starts the emulator on it, and
counts the server's own processor time (from ``/proc``, so on Linux only) per request::

    python benchmarks/emulator.py [--workspaces 1000] [--repositories 10] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from estate import ITEMS, Server, build, running


def main() -> int:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspaces", type=int, default=1000)
    parser.add_argument("--repositories", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="build into this folder and leave it there")
    args = parser.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp(prefix="emulator-benchmark-"))
    try:
        figures = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
            f"Python {platform.python_version()}",
            "workspaces": args.workspaces,
            "items": args.workspaces * ITEMS,
            "repositories": args.repositories,
            **build(folder, args.workspaces, args.repositories),
            **measure(folder, args.workspaces),
        }
    finally:
        if args.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(figures, indent=2) if args.json else _table(figures)
    sys.stdout.write(text + "\n")
    return 0


# -- the figures --


def measure(folder: Path, workspaces: int) -> dict[str, Any]:
    """Start on the estate and count the server's processor time per request."""
    starts = []
    for _ in range(3):
        with running(folder) as server:
            starts.append(server.start_s)
            fresh_mib = server.memory_mib()
    figures: dict[str, Any] = {
        "start_s": round(sorted(starts)[1], 2),
        "memory_after_start_mib": fresh_mib,
    }
    with running(folder) as server:
        fabric, devops = f"{server.ready['fabric_url']}/v1", server.ready["devops_url"]
        ids = _workspace_ids(server, fabric)
        if workspaces != len(ids):
            raise SystemExit(f"{len(ids)} workspaces instead of {workspaces}")

        def each(path: str) -> Callable[[], int]:
            def run() -> int:
                for workspace in ids:
                    server.must("GET", f"{fabric}/workspaces/{workspace}{path}")
                return len(ids)

            return run

        def pages() -> int:
            return sum(len(_pages(server, f"{fabric}/workspaces")) for _ in range(20))

        def repeat(url: str) -> Callable[[], int]:
            def run() -> int:
                for _ in range(500):
                    server.must("GET", url)
                return 500

            return run

        repository = f"{devops}/contoso/Sales/_apis/git/repositories"
        reads = {
            "git status, first after start": each("/git/status"),
            "git status, again": each("/git/status"),
            "items, first after start": each("/items"),
            "items, again": each("/items"),
            "workspaces, a page of 100": pages,
            "workspace": each(""),
            "git connection": each("/git/connection"),
            "pipelines, a page of 100": repeat(f"{fabric}/deploymentPipelines"),
            "repositories": repeat(f"{repository}?api-version=7.1"),
            "refs": repeat(f"{repository}/repository-0/refs?filter=heads/&api-version=7.1"),
        }
        figures["cpu_ms"] = {name: _cpu_ms(server, run) for name, run in reads.items()}
        figures["memory_after_reads_mib"] = server.memory_mib()
        figures["cpu_ms"] |= _writes(server, fabric, ids)
        figures["memory_peak_mib"] = server.memory_mib("VmHWM")
    return figures


def _writes(server: Server, fabric: str, ids: list[str]) -> dict[str, float]:
    """Change one item in some workspaces, then read their status: computed, then known."""
    chosen = ids[:200]
    portal = f"{server.ready['control_url']}/portal"

    def edit() -> int:
        for workspace in chosen:
            action = {"action": "edit", "workspace": workspace, "item": "Ingest 01", "append": "#"}
            server.must("POST", portal, action)
        return len(chosen)

    def status() -> int:
        for workspace in chosen:
            body = server.must("GET", f"{fabric}/workspaces/{workspace}/git/status")
            if not json.loads(body)["changes"]:
                raise SystemExit("an edit does not show in the status")
        return len(chosen)

    def describe() -> int:
        for number, workspace in enumerate(chosen):
            url = f"{fabric}/workspaces/{workspace}"
            server.must("PATCH", url, {"description": f"number {number}"})
        return len(chosen)

    runs = {
        "edit an item by hand": edit,
        "git status of a changed workspace, first": status,
        "git status of a changed workspace, again": status,
        "describe a workspace": describe,
    }
    return {name: _cpu_ms(server, run) for name, run in runs.items()}


def _cpu_ms(server: Server, run: Callable[[], int]) -> float:
    before = server.cpu_s()
    count = run()
    return round((server.cpu_s() - before) / count * 1000, 3)


def _pages(server: Server, url: str) -> list[bytes]:
    """Return the bodies of all pages of a list."""
    found: list[bytes] = []
    following: str | None = url
    while following:
        found.append(server.must("GET", following))
        following = json.loads(found[-1]).get("continuationUri")
    return found


def _workspace_ids(server: Server, fabric: str) -> list[str]:
    pages = _pages(server, f"{fabric}/workspaces")
    return [entry["id"] for page in pages for entry in json.loads(page)["value"]]


def _table(figures: dict[str, Any]) -> str:
    rows = [(k, str(v)) for k, v in figures.items() if k != "cpu_ms"]
    rows += [(f"cpu ms: {k}", f"{v:.3f}") for k, v in figures["cpu_ms"].items()]
    width = max(len(k) for k, _ in rows)
    return "\n".join(f"{k:<{width}}  {v}" for k, v in rows)


if __name__ == "__main__":
    sys.exit(main())
