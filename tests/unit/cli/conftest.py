"""An emulator process for the commands that talk to services, and specs on disk."""

import io
import json
import subprocess
import sys
import urllib.request

import pytest

from reconciler.cli.main import main

SPEC = """\
apiVersion: reconciler/v1
kind: Estate
metadata: {{name: sales}}
workspaces:
  - {{name: "{name}", create: true, capacity: F8-dev}}
"""


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """A real emulator in a process of its own, started by the command under test."""
    folder = tmp_path_factory.mktemp("emulator")
    (folder / "scenario.yaml").write_text("capacities: [{name: F8-dev, sku: F8}]\n")
    command = [sys.executable, "-m", "reconciler", "emulator", "--speed", "instant"]
    command += ["--ready-file", "ready.json", "--scenario", "scenario.yaml"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("fabric http://127.0.0.1:")
        yield json.loads((folder / "ready.json").read_text())
        process.terminate()
        assert 0 == process.wait(timeout=10)


@pytest.fixture
def services(emulator, monkeypatch, tmp_path):
    """Point this process at the emulator, and take faults back afterwards."""
    monkeypatch.chdir(tmp_path)  # journals are kept in the working folder
    monkeypatch.setenv("RECONCILER_FABRIC_URL", emulator["fabric_url"])
    monkeypatch.setenv("RECONCILER_DEVOPS_URL", emulator["devops_url"])
    monkeypatch.setenv("RECONCILER_FABRIC_TOKEN", emulator["token"])
    monkeypatch.setenv("RECONCILER_DEVOPS_TOKEN", emulator["token"])

    def control(path, body=None, method="POST"):
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        url = f"{emulator['control_url']}/{path}"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - loopback
        with urllib.request.urlopen(request) as reply:  # noqa: S310 - loopback
            return json.loads(reply.read() or b"null")

    yield control
    control("faults", method="DELETE")


@pytest.fixture
def spec(tmp_path, request):
    """A spec with one workspace to create, named after the test."""
    path = tmp_path / "sales.yaml"
    path.write_text(SPEC.format(name=request.node.name[:60]))
    return path


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run a command in this process, in a folder of its own; returns code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words, answer=None):
        stdin = io.StringIO(answer or "")
        monkeypatch.setattr(stdin, "isatty", lambda: answer is not None, raising=False)
        monkeypatch.setattr(sys, "stdin", stdin)
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
