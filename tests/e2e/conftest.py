"""The real command line against a real emulator process, over real HTTP, with stock git.

One emulator process serves all tests of a worker; every test starts from a reset one. The
emulator runs at speed ``instant``, so nothing here waits for more than its own work.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from bench import EXAMPLES, REPOSITORY, Bench, Result, write_item, write_notebooks
from emulator_process import running_emulator

__all__ = ["EXAMPLES", "REPOSITORY", "Bench", "Result", "write_item", "write_notebooks"]


@pytest.fixture(scope="session")
def emulator_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Start one emulator process; yields its ready file."""
    folder = tmp_path_factory.mktemp("emulator")
    with running_emulator(folder) as ready:
        yield ready


@pytest.fixture
def bench(emulator_process: Mapping[str, str], tmp_path: Path) -> Bench:
    """Return an empty folder and a reset emulator."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TMPDIR")}
    bench = Bench(
        tmp_path,
        emulator_process,
        {
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "RECONCILER_FABRIC_URL": emulator_process["fabric_url"],
            "RECONCILER_DEVOPS_URL": emulator_process["devops_url"],
            "RECONCILER_FABRIC_TOKEN": emulator_process["token"],
            "RECONCILER_DEVOPS_TOKEN": emulator_process["token"],
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Bearer {emulator_process['token']}",
        },
    )
    bench.control("POST", "/reset")
    bench.control("DELETE", "/faults")
    bench.control("DELETE", "/requests")
    return bench
