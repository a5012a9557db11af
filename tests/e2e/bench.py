"""The bench the end-to-end tests work at: a folder, an emulator, and a user's commands."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from warm_cli import run_warm

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples" / "specs"
_CLI_TIMEOUT_S = 120


@dataclass
class Result:
    """What one command did."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything it printed."""
        return self.out + self.err


@dataclass
class Bench:
    """A folder, an emulator, and the commands a user would type."""

    folder: Path
    ready: Mapping[str, str]
    environ: dict[str, str] = field(default_factory=dict)

    # -- the command line --

    def write(self, name: str, text: str) -> Path:
        """Write a file of the user's; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    def run(self, *args: str | Path, expect: int | None = 0, **environ: str) -> Result:
        """Run the reconciler; the exit code must be ``expect`` (None: any)."""
        words, env = [*map(str, args)], {**self.environ, **environ}
        done = run_warm(words, cwd=self.folder, environ=env, timeout_s=_CLI_TIMEOUT_S)
        if done is None:
            cold = subprocess.run(
                [sys.executable, "-m", "reconciler", *words],
                cwd=self.folder,
                env=env,
                capture_output=True,
                timeout=_CLI_TIMEOUT_S,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            done = cold.returncode, cold.stdout, cold.stderr
        result = Result(done[0], done[1].decode(), done[2].decode())
        assert "Traceback" not in result.text, result.text
        if expect is not None:
            assert expect == result.code, f"exit {result.code}\n{result.out}\n{result.err}"
        return result

    def plan(self, *args: str | Path, expect: int | None = 0, **environ: str) -> dict[str, Any]:
        """Return a plan as JSON."""
        result = self.run("plan", *args, "--format", "json", expect=expect, **environ)
        return json.loads(result.out)  # type: ignore[no-any-return]

    def kinds(self, *args: str | Path, **environ: str) -> list[str]:
        """Return the kinds of the actions a plan has, in order."""
        return [a["kind"] for a in self.plan(*args, **environ)["actions"]]

    def apply(self, *args: str | Path, expect: int | None = 0, **environ: str) -> Result:
        """Apply with approval."""
        return self.run("apply", *args, "--auto-approve", expect=expect, **environ)

    # -- the emulator --

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call a control route."""
        answer = httpx.request(
            method, f"{self.ready['control_url']}{path}", json=body, timeout=30, trust_env=False
        )
        assert 200 == answer.status_code, answer.text
        return answer.json()

    def scenario(self, data: Mapping[str, Any] | Path) -> None:
        """Load what exists; a path is a YAML scenario file."""
        if isinstance(data, Path):
            self.control(
                "POST", "/scenario", {**yaml.safe_load(data.read_text()), "base": str(data.parent)}
            )
        else:
            self.control("POST", "/scenario", {**data, "base": str(self.folder)})

    def portal(self, **action: Any) -> Any:
        """Do something by hand in the portal."""
        return self.control("POST", "/portal", action)

    def fault(self, match: Mapping[str, Any], **what: Any) -> None:
        """Make matching requests go wrong."""
        self.control("POST", "/faults", [{"match": dict(match), **what}])

    def requests(self, **wanted: Any) -> list[dict[str, Any]]:
        """Return the request log, filtered by equal members."""
        log = self.control("GET", "/requests")["requests"]
        return [r for r in log if all(r.get(k) == v for k, v in wanted.items())]

    def writes(self) -> list[dict[str, Any]]:
        """Return the requests that changed something at a service (reads by POST left out)."""
        reads = ("getDefinition", "bulkExportDefinitions", "/git-upload-pack")
        return [
            r
            for r in self.requests()
            if r["method"] != "GET" and not str(r["path"]).endswith(reads)
        ]

    def fabric(self, method: str, path: str, body: Any = None) -> Any:
        """Call the Fabric API directly, as a witness of what is there."""
        answer = httpx.request(
            method,
            f"{self.ready['fabric_url']}/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.ready['token']}"},
            timeout=30,
            trust_env=False,
        )
        assert answer.status_code < 300, answer.text
        if answer.status_code == 202 and "x-ms-operation-id" in answer.headers:
            operation = f"/operations/{answer.headers['x-ms-operation-id']}"
            assert "Succeeded" == self.fabric("GET", operation)["status"]
            return self.fabric("GET", f"{operation}/result")
        return answer.json() if answer.content else None

    def workspace_id(self, name: str) -> str:
        """Return the id of a workspace by name."""
        listed = self.fabric("GET", "/workspaces")["value"]
        return next(w["id"] for w in listed if w["displayName"] == name)  # type: ignore[no-any-return]

    def items(self, workspace: str) -> list[tuple[str, str]]:
        """Return (type, name) of a workspace's items, sorted; a Lakehouse's own child left out."""
        listed = self.fabric("GET", f"/workspaces/{self.workspace_id(workspace)}/items")["value"]
        return sorted((i["type"], i["displayName"]) for i in listed if i["type"] != "SQLEndpoint")

    # -- git --

    def git(self, *args: str, cwd: Path | None = None) -> str:
        """Run stock git and return what it printed."""
        done = subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=ada@contoso.example", *args],
            cwd=cwd or self.folder,
            env=self.environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, done.stderr.decode()
        return done.stdout.decode()

    def clone(self, project: str, repository: str, *, organization: str = "contoso") -> Path:
        """Clone a repository of the emulator's Azure Repos."""
        target = self.folder / f"clone-{repository}"
        url = f"{self.ready['devops_url']}/{organization}/{project}/_git/{repository}"
        self.git("clone", "--quiet", url, str(target))
        return target

    def push_file(self, clone: Path, path: str, content: str, message: str = "change") -> str:
        """Write a file in a clone, commit, push; returns the commit."""
        target = clone / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        self.git("add", "-A", cwd=clone)
        self.git("commit", "--quiet", "-m", message, cwd=clone)
        self.git("push", "--quiet", cwd=clone)
        return self.git("rev-parse", "HEAD", cwd=clone).strip()


def write_item(
    folder: Path, kind: str, name: str, logical_id: str, files: Mapping[str, str]
) -> Path:
    """Write an item folder in the source control format (fabric-api.md section 9)."""
    target = folder / f"{name}.{kind}"
    target.mkdir(parents=True, exist_ok=True)
    platform = {
        "$schema": "https://developer.microsoft.com/json-schemas/fabric/gitIntegration/"
        "platformProperties/2.0.0/schema.json",
        "metadata": {"type": kind, "displayName": name},
        "config": {"version": "2.0", "logicalId": logical_id},
    }
    (target / ".platform").write_text(json.dumps(platform, indent=2))
    for path, text in files.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text)
    return target


def write_notebooks(folder: Path, names: Sequence[str]) -> None:
    """Write one notebook per name, each with its own logicalId."""
    for number, name in enumerate(names, start=1):
        write_item(
            folder,
            "Notebook",
            name,
            f"00000000-0000-0000-4000-{number:012d}",
            {"notebook-content.py": f"# Fabric notebook source\n\n# CELL\n\nprint({name!r})\n"},
        )
