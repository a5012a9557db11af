"""Git's smart HTTP protocol over real repositories, for stock git clients.

The protocol itself is left to git: each request is one ``--stateless-rpc`` process, as git's own
HTTP backend does it. Protocol version 2 passes through ``GIT_PROTOCOL``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

from reconciler.emulator.http import Answer

__all__ = ["advertise", "git_environment", "rpc", "run_git"]

_SERVICES = ("git-upload-pack", "git-receive-pack")
_CHUNK = 65_536
_NO_CACHE = {"Cache-Control": "no-cache, max-age=0, must-revalidate", "Pragma": "no-cache"}


def git_environment(protocol: str | None = None) -> dict[str, str]:
    """Return an environment in which git reads no personal configuration and never asks."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
    environment = {
        **kept,
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "LC_ALL": "C",
    }
    if protocol:
        environment["GIT_PROTOCOL"] = protocol
    return environment


async def run_git(
    *arguments: str, timeout_s: float, environment: dict[str, str] | None = None
) -> tuple[int, bytes, bytes]:
    """Run git to its end and return exit code, output and errors.

    Raises:
        TimeoutError: after ending the process, if it takes longer than ``timeout_s``.
    """
    process = await asyncio.create_subprocess_exec(
        "git",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=git_environment() if environment is None else environment,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, errors = await process.communicate()
    finally:
        await _end(process)
    return process.returncode or 0, output, errors


async def _end(process: asyncio.subprocess.Process) -> None:
    """End git and the helpers it started; they share its process group and its pipes."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def advertise(path: Path, service: str, protocol: str | None) -> Answer:
    """Answer ``info/refs?service=...``; only the smart protocol is spoken."""
    if service not in _SERVICES:
        return Answer(403, raw=b"dumb HTTP is not supported\n", content_type="text/plain")
    version2 = "version=2" in (protocol or "").split(":")
    code, output, _ = await run_git(
        service.removeprefix("git-"),
        "--stateless-rpc",
        "--advertise-refs",
        str(path),
        timeout_s=60,
        environment=git_environment(protocol),
    )
    if code != 0:
        return Answer(500, raw=b"git failed\n", content_type="text/plain")
    banner = b""
    if not (version2 and service == "git-upload-pack"):
        line = f"# service={service}\n".encode()
        banner = f"{len(line) + 4:04x}".encode() + line + b"0000"
    return Answer(
        200,
        raw=banner + output,
        content_type=f"application/x-{service}-advertisement",
        headers=dict(_NO_CACHE),
    )


async def rpc(path: Path, service: str, body: bytes, protocol: str | None) -> Answer:
    """Answer a ``git-upload-pack`` or ``git-receive-pack`` POST.

    A fetch is streamed. A push is answered when git is done, so that whoever reads the repository
    after the answer sees the new refs.
    """
    answer = Answer(200, content_type=f"application/x-{service}-result", headers=dict(_NO_CACHE))
    if service == "git-receive-pack":
        process = await _start(path, service, protocol)
        try:
            answer.raw, _ = await process.communicate(body)
        finally:
            await _end(process)
    else:
        answer.stream = _stream(path, service, body, protocol)
    return answer


async def _start(path: Path, service: str, protocol: str | None) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        "git",
        service.removeprefix("git-"),
        "--stateless-rpc",
        str(path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=git_environment(protocol),
        start_new_session=True,
    )


async def _stream(
    path: Path, service: str, body: bytes, protocol: str | None
) -> AsyncGenerator[bytes]:
    """Start git at the first chunk, so that an answer nobody reads leaves no process behind."""
    process = await _start(path, service, protocol)
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("git was started without pipes")
    feeder = asyncio.create_task(_feed(process.stdin, body))
    try:
        while chunk := await process.stdout.read(_CHUNK):
            yield chunk
        await feeder
        await process.wait()
    finally:
        # Git must not wait for a client that is gone in the middle of a clone.
        feeder.cancel()
        await asyncio.gather(feeder, return_exceptions=True)
        await _end(process)


async def _feed(pipe: asyncio.StreamWriter, body: bytes) -> None:
    try:
        pipe.write(body)
        await pipe.drain()
    except (BrokenPipeError, ConnectionResetError):
        return
    finally:
        pipe.close()
