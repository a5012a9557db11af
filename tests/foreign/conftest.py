"""Programs that were not written for the emulator, talking to it under the real host names.

Each test runs one program in a child process that knows a proxy, a CA file and the credentials of
an application, and nothing else: what a person would set to send an unmodified tool here. The
emulator checks tokens (``--auth entra``), so every program signs in first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from emulator_process import running_emulator
from foreign_bench import APPLICATION, TENANT, Foreign, write_notebook


@pytest.fixture(scope="session")
def proxied_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Start one emulator with a proxy; yields its ready file."""
    folder = tmp_path_factory.mktemp("foreign")
    with running_emulator(folder, "--proxy", "--auth", "entra") as ready:
        yield ready


@pytest.fixture
def foreign(proxied_emulator: Mapping[str, str], tmp_path: Path) -> Foreign:
    """Return a reset emulator and a program's environment."""
    ready = proxied_emulator
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HTTPS_PROXY": ready["proxy_url"],
        "REQUESTS_CA_BUNDLE": ready["ca_file"],
        "SSL_CERT_FILE": ready["ca_file"],
        "GIT_SSL_CAINFO": ready["ca_file"],
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "AZURE_TENANT_ID": TENANT,
        "AZURE_CLIENT_ID": APPLICATION,
        "AZURE_CLIENT_SECRET": "s3cret",
        "AZURE_DEVOPS_CACHE_DIR": str(tmp_path / "azure-devops-cache"),
        "NO_COLOR": "1",
    }
    found = Foreign(ready, tmp_path, environment)
    found.control("POST", "/reset")
    found.control("DELETE", "/requests")
    return found


@pytest.fixture
def items_folder(tmp_path: Path) -> Path:
    """Return a folder with two small notebooks, as an export writes them."""
    folder = tmp_path / "items"
    for number, name in enumerate(("Hello", "World"), 1):
        write_notebook(folder / f"{name}.Notebook", name, number)
    return folder
