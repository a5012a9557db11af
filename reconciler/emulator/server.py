"""The emulator as a process: one loopback port, all services, started and stopped cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from reconciler.emulator import scenario
from reconciler.emulator.azdo import imports
from reconciler.emulator.azdo.errors import azdo_finish, azdo_problem
from reconciler.emulator.azdo.roots import locate_api, locate_git
from reconciler.emulator.azdo.routes import ROUTES as AZDO_ROUTES
from reconciler.emulator.azdo.tstu import charge
from reconciler.emulator.control import ROUTES as CONTROL_ROUTES
from reconciler.emulator.control import control_problem
from reconciler.emulator.dispatch import Dispatcher, Incoming
from reconciler.emulator.entra.routes import (
    DEFAULT_CLIENT,
    access_token,
    entra_problem,
    refresh_token,
)
from reconciler.emulator.entra.routes import ROUTES as ENTRA_ROUTES
from reconciler.emulator.entra.tokens import DEVOPS_AUDIENCE, FABRIC_AUDIENCE, Subject
from reconciler.emulator.fabric import routes as fabric
from reconciler.emulator.git_routes import AZDO_GIT_ROUTES, GITHUB_ROUTES, git_problem
from reconciler.emulator.hosts import CERTIFICATE_HOSTS, place_of
from reconciler.emulator.http import DEFAULT_TOKEN, Answer, Service
from reconciler.emulator.ids import drawing_from
from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.persist import write_json
from reconciler.emulator.proxy import Proxy
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.tls import Authority
from reconciler.emulator.urls import handing_out
from reconciler.emulator.world import Urls, World

__all__ = ["Emulator", "main", "mounts"]

_LOG = logging.getLogger("reconciler.emulator")
# A push of a large repository comes in one body.
_LARGEST_BODY = 2 * 1024**3
_HOST = "127.0.0.1"
_OWN_HOSTS = (_HOST, "localhost")


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a failure is the emulator's, not that of a client which speaks no HTTP or leaves."""
    failure = None if record.exc_info is None else record.exc_info[1]
    return not isinstance(failure, HttpProcessingError | web.RequestPayloadError | ConnectionError)


_HTTP_LOG = logging.getLogger("reconciler.emulator.http")
_HTTP_LOG.addFilter(_is_ours)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Emulator:
    """One emulator: ``start`` it, talk to ``urls``, ``stop`` it.

    Attributes:
        token: Bearer token (or PAT) of the default user; for Fabric only with ``--auth entra``.
        proxy_url: What clients set as ``HTTPS_PROXY``, if there is a proxy.
        urls: Roots of the services, once started.
        world: All state; tests may look into it.
    """

    def __init__(self, options: EmulatorOptions | None = None) -> None:
        self.options = options or EmulatorOptions()
        self.world = World(self.options)
        self.token = DEFAULT_TOKEN
        self.proxy_url: str | None = None
        self._dispatcher = Dispatcher(self.world, mounts())
        self._runners: list[web.AppRunner] = []
        self._proxy: Proxy | None = None

    @property
    def urls(self) -> Urls:
        """Roots of the services."""
        return self.world.own_urls

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
            self.world.discard()
            await self.stop()
            raise

    async def _open(self, listener: socket.socket) -> None:
        options = self.options
        self.world.open()
        authority: Authority | None = None
        if options.tls or options.proxy:
            folder = self.world.root.resolve() / "tls"
            authority = Authority.open(folder, keep=options.data is not None)
            self.world.ca_file = authority.file
        self.world.own_urls = _urls(listener.getsockname()[1], tls=options.tls)
        if self.world.load():
            imports.resume(self.world)
        elif options.scenario is not None:
            with drawing_from(self.world.ids):
                scenario.load_file(self.world, options.scenario)
        self.world.save()
        if options.auth == "entra":
            self.token = access_token(self.world, self._user(), audience=FABRIC_AUDIENCE)
        own = authority.server_context(_OWN_HOSTS) if authority and options.tls else None
        await self._listen(listener, self._serve, own)
        if authority and options.proxy:
            await self._open_proxy(authority)
        if options.ready_file is not None:
            write_json(options.ready_file, self._ready())

    async def _listen(
        self, listener: socket.socket, handler: _Handler, tls: ssl.SSLContext | None
    ) -> None:
        application = web.Application(client_max_size=_LARGEST_BODY)
        application.router.add_route("*", "/{tail:.*}", handler)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0, logger=_HTTP_LOG)
        self._runners.append(runner)
        await runner.setup()
        await web.SockSite(runner, listener, ssl_context=tls).start()

    async def _open_proxy(self, authority: Authority) -> None:
        """Open the proxy, and the listener of the real host names that it leads to."""
        inside = socket.create_server((_HOST, 0))
        target = inside.getsockname()[:2]
        await self._listen(inside, self._serve_host, authority.server_context(CERTIFICATE_HOSTS))
        self._proxy = Proxy(socket.create_server((_HOST, 0)), target)
        await self._proxy.start()
        self.proxy_url = self._proxy.url

    def _user(self) -> Subject:
        return Subject(self.world.default_caller.id, DEFAULT_CLIENT, "User")

    def _ready(self) -> dict[str, str]:
        """Return the content of the ready file: what a client has to know, and no more."""
        world, urls = self.world, self.urls
        found = {
            "fabric_url": urls.fabric_url,
            "devops_url": urls.devops_url,
            "github_url": urls.github_url,
            "control_url": urls.control_url,
            "token": self.token,
        }
        if world.ca_file is not None:
            found["ca_file"] = str(world.ca_file)
        if self.proxy_url is not None:
            found["proxy_url"] = self.proxy_url
        if self.options.auth == "entra":
            user = self._user()
            found["entra_url"] = urls.entra_url
            found["devops_token"] = access_token(world, user, audience=DEVOPS_AUDIENCE)
            found["refresh_token"] = refresh_token(world, user)
        return found

    async def stop(self) -> None:
        """Stop listening and keep or remove the state; safe to call twice."""
        if self._proxy is not None:
            await self._proxy.stop()
            self._proxy = None
        while self._runners:
            await self._runners.pop().cleanup()
        await self.world.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        return await self._respond(request, request.raw_path)

    async def _serve_host(self, request: web.Request) -> web.StreamResponse:
        """Answer for a real host; its URLs are the ones that the answer names."""
        place = place_of(request.headers.get("Host", ""), self.urls)
        if place is None:
            return web.Response(status=421, text="The emulator does not play this host.\n")
        with handing_out(place.urls):
            return await self._respond(request, place.prefix + request.raw_path)

    async def _respond(self, request: web.Request, target: str) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.RequestPayloadError as error:
            refused = web.Response(status=400, text=f"The body can not be read: {error}\n")
            refused.force_close()
            return refused
        incoming = Incoming(request.method, target, request.headers, body)
        async with self._dispatcher.on_its_way(incoming) as way:
            outcome = await self._dispatcher.handle(incoming)
        try:
            if outcome.answer is None:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=500)
            return await _send(request, outcome.answer)
        finally:
            self._dispatcher.finished(outcome, way)


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
        response = web.Response(status=answer.status, body=content, headers=headers)
        if answer.chunked and request.version >= HttpVersion11:
            response.enable_chunked_encoding()
        return response
    streamed = web.StreamResponse(
        status=answer.status,
        headers={"Content-Type": content_type or "application/octet-stream", **answer.headers},
    )
    async with contextlib.aclosing(answer.stream) as chunks:
        await streamed.prepare(request)
        async for chunk in chunks:
            await streamed.write(chunk)
    await streamed.write_eof()
    return streamed


def mounts() -> dict[str, list[tuple[str | None, Service]]]:
    """Return the services by the first segment of a path; see ``Dispatcher``."""
    return {
        "fabric": [
            (
                None,
                Service("fabric", fabric.ROUTES, fabric.problem, finish=fabric.finish),
            )
        ],
        "devops": [
            (
                "_git",
                Service("git", AZDO_GIT_ROUTES, git_problem, locate=locate_git, charge=charge),
            ),
            (
                None,
                Service(
                    "azdo",
                    AZDO_ROUTES,
                    azdo_problem,
                    locate=locate_api,
                    finish=azdo_finish,
                    charge=charge,
                ),
            ),
        ],
        "github": [(None, Service("github", GITHUB_ROUTES, git_problem, anonymous=True))],
        "entra": [(None, Service("entra", ENTRA_ROUTES, entra_problem, anonymous=True))],
        "_control": [(None, Service("control", CONTROL_ROUTES, control_problem, anonymous=True))],
    }


def _urls(port: int, *, tls: bool) -> Urls:
    scheme = "https" if tls else "http"
    root = f"{scheme}://{_HOST}:{port}"
    return Urls(
        fabric_url=f"{root}/fabric",
        location_url=f"{scheme}://localhost:{port}/fabric",
        devops_url=f"{root}/devops",
        github_url=f"{root}/github",
        control_url=f"{root}/_control",
        entra_url=f"{root}/entra",
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
    proxy = "" if emulator.proxy_url is None else f"  proxy {emulator.proxy_url}"
    sys.stdout.write(
        f"fabric {urls.fabric_url}  devops {urls.devops_url}  github {urls.github_url}  "
        f"control {urls.control_url}{proxy}\n"
    )
    sys.stdout.flush()
    try:
        await stopped.wait()
    finally:
        await emulator.stop()
