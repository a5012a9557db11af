"""``reconciler demo``: the whole story on the emulator, with the real command line.

Starts an emulator, then runs the same commands a person would type, printing each before its
output. Every step checks the exit code it promises, so the demo fails when the story does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import ReconcilerError

__all__ = ["run"]

_ESTATE = Path(__file__).parent / "demo_estate"
_READY_WAIT_S = 20.0
_STEP_WAIT_S = 120.0


def run(args: argparse.Namespace) -> int:
    """Run the demo and return 0 when every step did what it promises."""
    del args
    if shutil.which("git") is None:
        raise ReconcilerError("git is not installed", remedy="install git, then run the demo again")
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="reconciler-demo-") as folder:
        work = Path(folder)
        shutil.copytree(_ESTATE, work, dirs_exist_ok=True)
        with _Emulator(work) as emulator:
            _tell_story(_Story(work, emulator.environ, emulator.ready))
    _say(f"\nThe demo took {time.monotonic() - began_s:.0f} s and left nothing behind.")
    _say("Next: docs/tutorial.md, or reconciler emulator to try your own spec.")
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _Emulator:
    """The emulator as a child process for the length of the demo."""

    def __init__(self, work: Path) -> None:
        self._ready_file = work / "ready.json"
        self._log = (work / "emulator.log").open("wb")
        self._process = subprocess.Popen(  # noqa: S603 - fixed arguments
            [
                sys.executable,
                "-m",
                "reconciler",
                "emulator",
                "--scenario",
                str(work / "scenario.yaml"),
                "--ready-file",
                str(self._ready_file),
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self.ready: dict[str, str] = {}
        self.environ: dict[str, str] = {}

    def __enter__(self) -> _Emulator:
        end_s = time.monotonic() + _READY_WAIT_S
        while not self._ready_file.exists():
            if self._process.poll() is not None or time.monotonic() > end_s:
                self.__exit__()
                said = Path(self._log.name).read_text(errors="replace").strip()
                raise ReconcilerError(
                    f"the emulator did not start: {said[-2000:]}",
                    remedy="install its libraries with: pip install 'fabric-reconciler[emulator]'",
                )
            time.sleep(0.05)
        self.ready = json.loads(self._ready_file.read_text())
        kept = {k: v for k, v in os.environ.items() if not k.startswith("RECONCILER_")}
        self.environ = {
            **kept,
            "RECONCILER_FABRIC_URL": self.ready["fabric_url"],
            "RECONCILER_DEVOPS_URL": self.ready["devops_url"],
            "RECONCILER_FABRIC_TOKEN": self.ready["token"],
            "RECONCILER_DEVOPS_TOKEN": self.ready["token"],
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            # The token goes in a header that only git's environment knows, never in a URL.
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.extraHeader",
            "GIT_CONFIG_VALUE_0": f"Authorization: Bearer {self.ready['token']}",
            "PYTHONUNBUFFERED": "1",
        }
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@dataclass(slots=True)
class _Story:
    """Runs the steps in the demo's folder."""

    work: Path
    environ: dict[str, str]
    ready: dict[str, str]

    def reconciler(self, *args: str, expect: int = 0) -> None:
        """Run one command of this program, showing what is typed and what it prints."""
        _say(f"\n$ reconciler {' '.join(args)}")
        self._run([sys.executable, "-m", "reconciler", *args], expect=expect)

    def git(self, *args: str, folder: str = ".", show: bool = True) -> None:
        """Run stock git."""
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@contoso.example"]
        if show:
            shown = " ".join(a if " " not in a else f'"{a}"' for a in args)
            _say(f"\n$ git {shown}")
        self._run(["git", *identity, *args], folder=folder, quiet=not show)

    def portal(self, **action: object) -> None:
        """Do something by hand, as a person in the Fabric portal."""
        request = urllib.request.Request(  # noqa: S310 - a loopback URL from the ready file
            f"{self.ready['control_url']}/portal",
            data=json.dumps(action).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=_STEP_WAIT_S):  # noqa: S310 - as above
            pass

    def _run(
        self, command: list[str], *, expect: int = 0, folder: str = ".", quiet: bool = False
    ) -> None:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            command,
            cwd=self.work / folder,
            env=self.environ,
            timeout=_STEP_WAIT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=quiet,
        )
        if done.returncode != expect:
            said = done.stderr.decode(errors="replace") if quiet else ""
            raise ReconcilerError(
                f"this step should have exited with {expect} and exited with {done.returncode} "
                f"{said}",
                remedy="run it by hand against: reconciler emulator",
            )
        if expect:
            _say(f"(exit code {expect})")


def _tell_story(story: _Story) -> None:
    _heading("1. An outside repository becomes an estate")
    story.reconciler("validate", "sales.yaml")
    story.reconciler("plan", "sales.yaml")
    story.reconciler("apply", "sales.yaml", "--auto-approve")
    story.reconciler("plan", "sales.yaml")

    _heading("2. A person edits a notebook by hand, in the portal")
    story.portal(
        action="edit",
        workspace="Sales Dev",
        item="Ingest orders",
        type="Notebook",
        path="notebook-content.py",
        append='\n# CELL ********************\n\ndisplay(spark.table("orders"))\n',
    )
    story.reconciler("drift", "sales.yaml", expect=2)
    story.reconciler("apply", "sales.yaml", "--auto-approve")
    url = f"{story.ready['devops_url']}/contoso/Sales/_git/fabric-sales"
    _say(f"\n$ git clone {url}")
    story.git("clone", "--quiet", url, "fabric-sales", show=False)
    story.git("log", "--stat", "--format=%h %an: %s", "-1", folder="fabric-sales")

    _heading("3. A commit is pushed with stock git")
    content = story.work / "fabric-sales/fabric/Nightly load.DataPipeline/pipeline-content.json"
    content.write_text(content.read_text().replace('"retry": 1', '"retry": 3'))
    story.git(
        "commit", "--quiet", "-am", "Retry the nightly load three times", folder="fabric-sales"
    )
    story.git("push", "--quiet", folder="fabric-sales")
    story.reconciler("plan", "sales.yaml")
    story.reconciler("apply", "sales.yaml", "--auto-approve")
    story.reconciler("drift", "sales.yaml")


def _heading(text: str) -> None:
    _say(f"\n{text}\n{'=' * len(text)}")
