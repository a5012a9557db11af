"""Run the command line in processes that are forked from one that has imported everything.

Each command is a process of its own, with its own folder, environment, streams and exit code, as a
user's would be; it only starts in milliseconds, since importing is done once per test worker.
``python tests/e2e/warm_cli.py`` is that one process.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["run_warm"]

# What decides how an interpreter starts cannot be changed in one that has started.
_COLD = ("PYTHON", "LC_", "LANG")
_MODULES = (
    *(f"reconciler.cli.{name}" for name in ("main", "plan", "apply", "drift", "show", "graph")),
    *(f"reconciler.cli.{name}" for name in ("validate", "adopt", "runs", "schema", "session")),
    *("reconciler.cli.event_stream", "reconciler.render.as_html", "reconciler.render.as_markdown"),
    *("reconciler.spec.validate", "jsonschema", "deepdiff", "httpx"),
)


def run_warm(
    args: Sequence[str], *, cwd: Path, environ: Mapping[str, str], timeout_s: float
) -> tuple[int, bytes, bytes] | None:
    """Run one command; None when it needs an interpreter of its own."""
    if any(name.startswith(_COLD) and name != "PYTHONPATH" and name not in os.environ
           for name in environ):  # fmt: skip
        return None
    return _server().run(args, cwd, environ, timeout_s)


class _Server:
    """The warm process, spoken to over its streams: a line asks, a line answers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self.close)

    def run(
        self, args: Sequence[str], cwd: Path, environ: Mapping[str, str], timeout_s: float
    ) -> tuple[int, bytes, bytes]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with tempfile.TemporaryDirectory(prefix="warm-cli-") as folder:
            out, err = Path(folder, "out"), Path(folder, "err")
            request = {
                "args": list(args),
                "cwd": str(cwd),
                "environ": dict(environ),
                "out": str(out),
                "err": str(err),
            }
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            if not select.select([stdout], [], [], timeout_s)[0]:
                self.close()
                _servers.clear()
                raise TimeoutError(f"still running after {timeout_s} s: {args}")
            return int(stdout.readline()), out.read_bytes(), err.read_bytes()

    def close(self) -> None:
        """End the process; what it has forked ends by itself."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        atexit.unregister(self.close)


_servers: dict[int, _Server] = {}


def _server() -> _Server:
    """Return the server of this process; a forked test worker gets one of its own."""
    if os.getpid() not in _servers:
        _servers[os.getpid()] = _Server()
    return _servers[os.getpid()]


def _serve() -> None:
    import importlib  # noqa: PLC0415 - only in the warm process

    for name in _MODULES:
        importlib.import_module(name)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(request: dict[str, object]) -> None:
    """Be the command: its folder, environment and streams; never returns."""
    from reconciler.cli.main import entry_point  # noqa: PLC0415 - only in the warm process

    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["environ"])  # type: ignore[call-overload]
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, key in ((1, "out"), (2, "err")):
        handle = os.open(str(request[key]), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - lives as long as we do
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = ["reconciler", *request["args"]]  # type: ignore[misc]
    code = 1
    try:
        entry_point()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
