"""How tests of foreign programs run one, and look at what it did."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["APPLICATION", "PRINCIPAL", "TENANT", "Foreign", "need", "write_notebook"]

PROGRAMS = Path(__file__).parent / "programs"
TENANT = "7d0c6b0e-0000-4000-8000-00000000000a"
APPLICATION = "b1d4b5a0-0000-4000-8000-00000000000b"
PRINCIPAL = "c2e5c6b1-0000-4000-8000-00000000000c"


@dataclass(frozen=True)
class Foreign:
    """A reset emulator behind its proxy, and the environment of a program that uses it."""

    ready: Mapping[str, str]
    folder: Path
    environment: dict[str, str]

    def control(self, method: str, path: str, body: object = None) -> Any:
        """Ask the emulator itself, past the proxy."""
        request = urllib.request.Request(  # noqa: S310 - a loopback URL from the ready file
            self.ready["control_url"] + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)

    def scenario(self, scenario: dict[str, Any], *others: dict[str, str]) -> None:
        """Load what exists before the program starts: its own identity, and other principals."""
        principal = {
            "id": PRINCIPAL,
            "type": "ServicePrincipal",
            "name": "deployer",
            "appId": APPLICATION,
        }
        body = {**scenario, "principals": [principal, *others], "base": str(self.folder)}
        self.control("POST", "/scenario", body)

    def execute(self, *command: str, **variables: str) -> str:
        """Run a command in the foreign environment and return what it prints."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}\n{self.refused()}"
        return done.stdout

    def run(self, program: str, *arguments: str, **variables: str) -> Any:
        """Run one of the programs and return the JSON it prints last."""
        path = str(PROGRAMS / f"{program}.py")
        output = self.execute(sys.executable, path, *arguments, **variables)
        return json.loads(output.strip().splitlines()[-1])

    def state(self, workspace: str) -> dict[str, Any]:
        """Return the items of a workspace by name and type, and its folders, read by its owner."""
        token = self.run("access", "https://api.fabric.microsoft.com/.default")
        root = f"{self.ready['fabric_url']}/v1/workspaces"

        def read(url: str) -> list[dict[str, Any]]:
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - loopback
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(request, timeout=60) as answer:
                found: list[dict[str, Any]] = json.load(answer)["value"]
                return found

        found = next(w for w in read(root) if w["displayName"] == workspace)
        items = read(f"{root}/{found['id']}/items")
        return {
            "items": {f"{item['displayName']}.{item['type']}": item for item in items},
            "folders": read(f"{root}/{found['id']}/folders?recursive=true"),
        }

    def requests(self) -> list[dict[str, Any]]:
        """Return what the program asked of the services."""
        found: list[dict[str, Any]] = self.control("GET", "/requests")["requests"]
        return found

    def refused(self) -> list[str]:
        """Return the requests that were not answered with a success."""
        return [
            f"{r['method']} {r['service']} {r['path']} {r['status']} {r['route']}"
            for r in self.requests()
            if r["status"] >= 400
        ]


def need(*modules: str) -> None:
    """Skip the test where a library of the extra ``foreign`` is not installed."""
    for module in modules:
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            pytest.skip(f"{module} is not installed: pip install 'fabric-reconciler[foreign]'")


def write_notebook(folder: Path, name: str, number: int) -> None:
    """Write one exported notebook."""
    folder.mkdir(parents=True)
    platform = {
        "$schema": "https://developer.microsoft.com/json-schemas/fabric/gitIntegration/"
        "platformProperties/2.0.0/schema.json",
        "metadata": {"type": "Notebook", "displayName": name},
        "config": {"version": "2.0", "logicalId": f"0d3f6a52-0000-4000-8000-{number:012d}"},
    }
    (folder / ".platform").write_text(json.dumps(platform, indent=2))
    content = f"# Fabric notebook source\n\nprint({name!r})\n"
    (folder / "notebook-content.py").write_text(content)
