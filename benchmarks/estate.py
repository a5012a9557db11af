"""The estate that the benchmarks measure, and the emulator process that serves it.

Workspaces of 40 items, each synced with a directory of its own in one of some repositories, and a
pipeline of three stages for every third workspace.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ITEMS = 40
STAGES = ("Development", "Test", "Production")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_ZERO = "00000000-0000-0000-0000-000000000000"
_SCHEMA = (
    "https://developer.microsoft.com/json-schemas/fabric/gitIntegration/"
    "platformProperties/2.0.0/schema.json"
)


CLIENT_CORE, _EMULATOR_CORE = 0, 1
"""Where what is measured runs, and the emulator, if there is more than one core."""


def keep_to_core(pid: int, core: int) -> None:
    """Keep a process to one core, so that it and the emulator do not take each other's time."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(pid, {cores[core]})


class Server:
    """An emulator process and one connection to it, as a client library would keep it."""

    def __init__(self, folder: Path, *more: str, speed: str = "instant") -> None:
        ready_file = folder / "ready.json"
        ready_file.unlink(missing_ok=True)
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "reconciler", "emulator", "--speed", speed),
                *("--data", str(folder / "data"), "--ready-file", str(ready_file)),
                *more,
            ],
            stdout=subprocess.DEVNULL,
        )
        while not ready_file.exists():
            if self.process.poll() is not None or time.perf_counter() - began > 120:
                raise SystemExit("the emulator did not start")
            time.sleep(0.005)
        self.start_s = time.perf_counter() - began
        keep_to_core(self.process.pid, _EMULATOR_CORE)
        self.ready: Mapping[str, str] = json.loads(ready_file.read_text())
        root = urlsplit(self.ready["fabric_url"])
        self._http = http.client.HTTPConnection(root.hostname or "", root.port, timeout=900)

    def ask(self, method: str, url: str, body: object = None) -> tuple[int, bytes]:
        """Send a request with the headers of a usual client; returns status and unpacked body."""
        headers = {
            "Authorization": f"Bearer {self.ready['token']}",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": "emulator-benchmark",
        }
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        self._http.request(method, target, content, headers)
        answer = self._http.getresponse()
        found = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            found = gzip.decompress(found)
        return answer.status, found

    def must(self, method: str, url: str, body: object = None) -> bytes:
        """Send a request that has to succeed; returns the unpacked body."""
        status, content = self.ask(method, url, body)
        if status >= 300:
            raise SystemExit(f"{method} {url}: {status} {content[:500]!r}")
        return content

    def cpu_s(self) -> float:
        """Processor time of the server so far, git's child processes not counted."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_S

    def memory_mib(self, name: str = "VmRSS") -> float:
        """Resident memory now, or at its highest (``VmHWM``)."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return round(int(line.split()[1]) / 1024, 1)
        raise SystemExit("this system does not tell how much memory a process has")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process."""
        self._http.close()
        self.process.send_signal(how)
        self.process.wait(60)


@contextlib.contextmanager
def running(folder: Path, *more: str, speed: str = "instant") -> Iterator[Server]:
    """Run an emulator on the folder; ``more`` are further flags of it."""
    server = Server(folder, *more, speed=speed)
    try:
        yield server
    finally:
        server.stop()


# -- the estate --


def directory_of(number: int, repositories: int) -> tuple[int, str]:
    """Return the repository of a workspace and its directory there."""
    return number % repositories, f"workspace-{number:04d}"


def item_files(directory: str) -> Iterator[tuple[str, bytes]]:
    """Yield the files of one workspace: 40 items whose ids and references are its own."""

    def logical_id(n: int) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{directory}/{n}"))

    def item(n: int, kind: str, name: str, files: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        document = {
            "$schema": _SCHEMA,
            "metadata": {"type": kind, "displayName": name},
            "config": {"version": "2.0", "logicalId": logical_id(n)},
        }
        yield f"{name}.{kind}/.platform", json.dumps(document, indent=2).encode()
        for path, text in files.items():
            yield f"{name}.{kind}/{path}", text.encode()

    yield from item(0, "Lakehouse", "Landing", {"lakehouse.metadata.json": "{}"})
    for n in range(1, 20):
        cells = "\n".join(f"# CELL\n\ndf_{c} = spark.read.table('t{n}_{c}')\n" for c in range(20))
        code = f"# Fabric notebook source\n# META lakehouse {logical_id(0)}\n\n{cells}"
        yield from item(n, "Notebook", f"Ingest {n:02d}", {"notebook-content.py": code})
    for n in range(20, 28):
        activity = {"notebookId": logical_id(n - 19), "workspaceId": _ZERO}
        text = json.dumps({"properties": {"activities": [activity] * 5}}, indent=2)
        yield from item(n, "DataPipeline", f"Run {n:02d}", {"pipeline-content.json": text})
    for n in range(28, 34):
        tables = "\n".join(f"\tcolumn c{c}\n\t\tdataType: int64" for c in range(60))
        files = {
            "definition.pbism": '{"version": "4.2", "settings": {}}',
            "definition/model.tmdl": "model Model\n\tculture: en-US\n",
            "definition/tables/Facts.tmdl": f"table Facts{n}\n{tables}\n",
        }
        yield from item(n, "SemanticModel", f"Model {n:02d}", files)
    for n in range(34, 40):
        path = f"../Model {n - 6:02d}.SemanticModel"
        files = {
            "definition.pbir": json.dumps({"datasetReference": {"byPath": {"path": path}}}),
            "report.json": json.dumps({"config": {"n": n}, "sections": list(range(100))}),
        }
        yield from item(n, "Report", f"Report {n:02d}", files)


def build(
    folder: Path, workspaces: int, repositories: int, *, targets: bool = False
) -> dict[str, Any]:
    """Make the estate: repositories by ``git push``, everything else by a scenario.

    Args:
        targets: instead of a pipeline of three filled stages for every third workspace, make one
            for every third that leads from it to an empty workspace.
    """
    names = [f"repository-{n}" for n in range(repositories)]
    folder.mkdir(parents=True, exist_ok=True)
    with running(folder) as server:
        control, devops = server.ready["control_url"], server.ready["devops_url"]
        project = {"name": "Sales", "repositories": [{"name": name} for name in names]}
        start = {
            "capacities": [{"name": "F8", "sku": "F8", "region": "West Europe"}],
            "azureDevOps": [{"organization": "contoso", "projects": [project]}],
        }
        server.must("POST", f"{control}/scenario", start)
        for index, name in enumerate(names):
            numbers = [n for n in range(workspaces) if n % repositories == index]
            _push(folder, f"{devops}/contoso/Sales/_git/{name}", numbers, server.ready["token"])
        began = time.perf_counter()
        server.must("POST", f"{control}/scenario", _estate(workspaces, names, targets=targets))
        loaded_s = time.perf_counter() - began
        peak_mib = server.memory_mib("VmHWM")
    data = folder / "data"
    return {
        "scenario_load_s": round(loaded_s, 1),
        "scenario_load_peak_mib": peak_mib,
        "state_file_mib": round((data / "state.sqlite").stat().st_size / 2**20, 1),
        "data_folder_mib": round(sum(p.stat().st_size for p in data.rglob("*")) / 2**20, 1),
    }


def _push(folder: Path, url: str, numbers: list[int], token: str) -> None:
    stream = bytearray(
        b"commit refs/heads/main\ncommitter Ada <ada@example.invalid> 0 +0000\ndata 5\nfirst\n"
    )
    for number in numbers:
        directory = f"workspace-{number:04d}"
        for path, content in item_files(directory):
            stream += _file(f"{directory}/{path}", content)
    _send(folder, url, stream, token)


def _file(path: str, content: bytes) -> bytes:
    return f'M 100644 inline "{path}"\ndata {len(content)}\n'.encode() + content + b"\n"


def _send(folder: Path, url: str, stream: bytes, token: str, *, onto: bool = False) -> None:
    """Push what a stream for ``git fast-import`` makes, ``onto`` the branch that is there."""
    clone = folder / "push.git"
    shutil.rmtree(clone, ignore_errors=True)
    git = ("git", "-c", f"http.extraHeader=Authorization: Bearer {token}", "-C", str(clone))
    subprocess.run(["git", "init", "--quiet", "--bare", str(clone)], check=True)
    if onto:
        subprocess.run([*git, "fetch", "--quiet", "--depth=1", url, "main:main"], check=True)
    subprocess.run([*git, "fast-import", "--quiet"], input=stream, check=True)
    subprocess.run([*git, "push", "--quiet", url, "main"], check=True)
    shutil.rmtree(clone)


def commit_changes(folder: Path, server: Server, numbers: Sequence[int], repositories: int) -> None:
    """Push one changed notebook for each of these workspaces, so that they lag behind."""
    for index in range(repositories):
        mine = [n for n in numbers if n % repositories == index]
        stream = bytearray(
            b"commit refs/heads/main\ncommitter Ada <ada@example.invalid> 9 +0000\ndata 6\n"
            b"second\nfrom refs/heads/main^0\n"
        )
        for number in mine:
            path = f"workspace-{number:04d}/Ingest 01.Notebook/notebook-content.py"
            stream += _file(path, b"# Fabric notebook source\n# changed\n")
        url = f"{server.ready['devops_url']}/contoso/Sales/_git/repository-{index}"
        if mine:
            _send(folder, url, stream, server.ready["token"], onto=True)


def edit_by_hand(server: Server, numbers: Sequence[int]) -> None:
    """Change one notebook in each of these workspaces, as somebody in the portal would."""
    for number in numbers:
        action = {
            "action": "edit",
            "workspace": f"Workspace {number:04d}",
            "item": "Ingest 01",
            "append": "# by hand",
        }
        server.must("POST", f"{server.ready['control_url']}/portal", action)


def write_spec(
    path: Path, workspaces: int, repositories: int, *, compare: str, targets: bool = False
) -> Path:
    """Write the spec of the estate, with a deployment between each two stages of a pipeline."""
    lines = [
        "apiVersion: reconciler/v1",
        "kind: Estate",
        "metadata: {name: large}",
        "azureDevOps: {organization: contoso}",
        "workspaces:",
    ]
    for n in range(workspaces):
        index, directory = directory_of(n, repositories)
        lines += [
            f"  - name: Workspace {n:04d}",
            "    git:",
            "      provider: AzureDevOps",
            "      project: Sales",
            f"      repository: repository-{index}",
            "      branch: main",
            f"      directory: /{directory}",
        ]
    if workspaces > 2:
        lines.append("pipelines:")
    names = STAGES[:2] if targets else STAGES
    for n in range(0, workspaces - 2, 3):
        lines += [f"  - name: Pipeline {n:04d}", "    stages:"]
        for order, name in enumerate(names):
            held = f"Target {n:04d}" if targets and order else f"Workspace {n + order:04d}"
            lines.append(f"      - {{name: {name}, workspace: {held}}}")
        lines.append("    deployments:")
        for source, target in pairwise(names):
            lines.append(f"      - {{from: {source}, to: {target}, compare: {compare}}}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _estate(workspaces: int, names: list[str], *, targets: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"workspaces": [], "pipelines": []}
    for number in range(workspaces):
        index, directory = directory_of(number, len(names))
        git = {
            "provider": "AzureDevOps",
            "organization": "contoso",
            "project": "Sales",
            "repository": names[index],
            "branch": "main",
            "directory": f"/{directory}",
            "synced": True,
        }
        found["workspaces"].append(
            {"name": f"Workspace {number:04d}", "capacity": "F8", "git": git}
        )
    for number in range(0, workspaces - 2, 3):
        if targets:
            held = [f"Workspace {number:04d}", f"Target {number:04d}"]
            found["workspaces"].append({"name": held[1], "capacity": "F8"})
        else:
            held = [f"Workspace {number + order:04d}" for order in range(len(STAGES))]
        stages = [
            {"name": name, "workspace": workspace}
            for name, workspace in zip(STAGES, held, strict=False)
        ]
        found["pipelines"].append({"name": f"Pipeline {number:04d}", "stages": stages})
    return found
