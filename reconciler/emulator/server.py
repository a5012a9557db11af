"""The emulator as a process: one loopback port, all services, started and stopped cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from pathlib import Path

from aiohttp import web

from reconciler.emulator import scenario
from reconciler.emulator.azdo import imports
from reconciler.emulator.azdo.errors import azdo_finish, azdo_problem
from reconciler.emulator.azdo.roots import locate_api, locate_git
from reconciler.emulator.azdo.routes import ROUTES as AZDO_ROUTES
from reconciler.emulator.control import ROUTES as CONTROL_ROUTES
from reconciler.emulator.control import control_problem
from reconciler.emulator.dispatch import Dispatcher, Incoming
from reconciler.emulator.fabric import routes as fabric
from reconciler.emulator.git_routes import AZDO_GIT_ROUTES, GITHUB_ROUTES, git_problem
from reconciler.emulator.http import DEFAULT_TOKEN, Answer, Service
from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.persist import write_json
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.world import Urls, World

__all__ = ["Emulator", "main"]

_LOG = logging.getLogger("reconciler.emulator")
# A push of a large repository comes in one body.
_LARGEST_BODY = 2 * 1024**3
_HOST = "127.0.0.1"


class Emulator:
    """One emulator: ``start`` it, talk to ``urls``, ``stop`` it.

    Attributes:
        token: Bearer token (or PAT) of the default user.
        urls: Roots of the services, once started.
        world: All state; tests may look into it.
    """

    def __init__(self, options: EmulatorOptions | None = None) -> None:
        self.options = options or EmulatorOptions()
        self.world = World(self.options)
        self.token = DEFAULT_TOKEN
        self._dispatcher = Dispatcher(self.world, _mounts())
        self._runner: web.AppRunner | None = None

    @property
    def urls(self) -> Urls:
        """Roots of the services."""
        return self.world.urls

    async def start(self) -> None:
        """Listen, load the kept state or the scenario, then write the ready file.

        Raises:
            OSError: if the port is taken.
            ScenarioError: if the scenario is wrong.
            ValueError: if the kept state can not be read.
        """
        try:
            with contextlib.ExitStack() as stack:
                listener = socket.create_server((_HOST, self.options.port))
                stack.callback(listener.close)
                await self._open(listener)
                stack.pop_all()  # from here on the web server owns the socket
        except BaseException:
            # Half a scenario is nothing to keep: the next start would take it for a whole one.
            self.world.dirty = False
            await self.stop()
            raise

    async def _open(self, listener: socket.socket) -> None:
        self.world.urls = _urls(listener.getsockname()[1])
        if self.world.load():
            imports.resume(self.world)
        elif self.options.scenario is not None:
            scenario.load_file(self.world, self.options.scenario)
            self.world.touch()
        self.world.save()
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{tail:.*}", self._serve)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()
        if self.options.ready_file is not None:
            _write_ready(self.options.ready_file, self.urls, self.token)

    async def stop(self) -> None:
        """Stop listening and keep or remove the state; safe to call twice."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self.world.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        incoming = Incoming(request.method, request.raw_path, request.headers, body)
        outcome = await self._dispatcher.handle(incoming)
        try:
            if outcome.answer is None:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=500)
            return await _send(request, outcome.answer)
        finally:
            self._dispatcher.finished(outcome)


async def _send(request: web.Request, answer: Answer) -> web.StreamResponse:
    content_type = answer.content_type
    if answer.stream is None:
        content = answer.content()
        if content_type is None:
            content_type = (
                "application/json; charset=utf-8" if content else "application/octet-stream"
            )
        headers = {"Content-Type": content_type, **answer.headers}
        if answer.status == 204:
            headers.pop("Content-Type", None)
        return web.Response(status=answer.status, body=content, headers=headers)
    response = web.StreamResponse(
        status=answer.status,
        headers={"Content-Type": content_type or "application/octet-stream", **answer.headers},
    )
    async with contextlib.aclosing(answer.stream) as chunks:
        await response.prepare(request)
        async for chunk in chunks:
            await response.write(chunk)
    await response.write_eof()
    return response


def _mounts() -> dict[str, list[tuple[str | None, Service]]]:
    return {
        "fabric": [
            (
                None,
                Service("fabric", fabric.ROUTES, fabric.problem, finish=fabric.finish),
            )
        ],
        "devops": [
            ("_git", Service("git", AZDO_GIT_ROUTES, git_problem, locate=locate_git)),
            (
                None,
                Service("azdo", AZDO_ROUTES, azdo_problem, locate=locate_api, finish=azdo_finish),
            ),
        ],
        "github": [(None, Service("github", GITHUB_ROUTES, git_problem, anonymous=True))],
        "_control": [(None, Service("control", CONTROL_ROUTES, control_problem, anonymous=True))],
    }


def _urls(port: int) -> Urls:
    root = f"http://{_HOST}:{port}"
    return Urls(
        fabric_url=f"{root}/fabric",
        location_url=f"http://localhost:{port}/fabric",
        devops_url=f"{root}/devops",
        github_url=f"{root}/github",
        control_url=f"{root}/_control",
    )


def _write_ready(path: Path, urls: Urls, token: str) -> None:
    write_json(
        path,
        {
            "fabric_url": urls.fabric_url,
            "devops_url": urls.devops_url,
            "github_url": urls.github_url,
            "control_url": urls.control_url,
            "token": token,
        },
    )


def main(options: EmulatorOptions) -> int:
    """Run until interrupted and return the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    try:
        asyncio.run(_run(options))
    except (ScenarioError, OSError, ValueError) as error:
        sys.stderr.write(f"emulator: {error}\n")
        return 1
    return 0


async def _run(options: EmulatorOptions) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)
    emulator = Emulator(options)
    await emulator.start()
    urls = emulator.urls
    sys.stdout.write(
        f"fabric {urls.fabric_url}  devops {urls.devops_url}  github {urls.github_url}  "
        f"control {urls.control_url}\n"
    )
    sys.stdout.flush()
    try:
        await stopped.wait()
    finally:
        await emulator.stop()
