"""Azurite, Microsoft's own emulator of Azure Storage, as a process of its own.

It comes from the npm registry and is installed once, beside the virtual environment.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob import BlobLeaseClient, ContainerClient
from filelock import FileLock

_VERSION = "3.37.0"
_INSTALL_S = 120
_REFUSED_FOR_S = 3600
# The account and key that Azurite's documentation publishes for everybody.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class NotAvailable(Exception):
    """Azurite cannot be had here; the text says why."""


@dataclass(frozen=True)
class Azurite:
    """A running one."""

    port: int

    @property
    def connection_string(self) -> str:
        """How to reach it."""
        return connection_string(self.port)

    def container(self, name: str) -> str:
        """Make a container; returns the value of ``--lock`` for it."""
        with self.client(name) as client:
            client.create_container()
        return f"azblob://{ACCOUNT}/{name}"

    def client(self, name: str) -> ContainerClient:
        """Return a client of a container, as a witness."""
        return ContainerClient.from_connection_string(self.connection_string, name, retry_total=0)

    def break_lease(self, name: str) -> None:
        """End the one lease in a container, as another tool would."""
        with self.client(name) as client:
            (blob,) = client.list_blob_names()
            BlobLeaseClient(client.get_blob_client(blob)).break_lease(lease_break_period=0)


def connection_string(port: int, account: str = ACCOUNT, key: str = KEY) -> str:
    """Return a connection string for a loopback port."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{account};"
    )


def running_azurite(folder: Path) -> AbstractContextManager[Azurite]:
    """Install Azurite if it is not there, and return what runs it.

    Raises:
        NotAvailable: npm is missing, or cannot install it.
    """
    return _running(_installed(), folder)


def _installed() -> Path:
    home = Path(sys.prefix) / f"azurite-{_VERSION}"
    program = home / "node_modules" / ".bin" / "azurite-blob"
    done = home / "installed"
    npm = shutil.which("npm")
    if not done.exists() and npm is None:
        raise NotAvailable("npm is not installed, and Azurite is not there")
    home.mkdir(exist_ok=True)
    refused = home / "refused"
    with FileLock(home / "lock"):  # the workers of a test run all come here
        # Without its registry npm takes minutes to say so; one test run hears it once.
        if refused.exists() and time.time() - refused.stat().st_mtime < _REFUSED_FOR_S:
            raise NotAvailable(refused.read_text())
        if not done.exists():
            assert npm is not None
            flags = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
            flags += ["--fetch-retries=1", "--fetch-timeout=30000"]
            command = [npm, "install", *flags, "--prefix", str(home), f"azurite@{_VERSION}"]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=_INSTALL_S)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                refused.write_text(f"npm could not install Azurite: {error}")
                raise NotAvailable(refused.read_text()) from error
            done.touch()
    return program


@contextmanager
def _running(program: Path, folder: Path) -> Iterator[Azurite]:
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                *(str(program), "--blobHost", "127.0.0.1", "--blobPort", "0"),
                *("--inMemoryPersistence", "--silent", "--disableTelemetry"),
                "--skipApiVersionCheck",
            ],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        end = time.monotonic() + 60
        while (said := re.search(r"listens on http://127\.0\.0\.1:(\d+)", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, "Azurite did not become ready"
            time.sleep(0.02)
        yield Azurite(int(said[1]))
        process.terminate()
        process.wait(10)
