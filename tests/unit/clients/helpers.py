"""A scripted service behind httpx.MockTransport: real client code, no network, no waiting."""

from __future__ import annotations

import json as json_module
import random
from collections.abc import Callable
from typing import Any

import httpx
from pydantic import SecretStr

from reconciler.clients.auth import StaticBearer
from reconciler.clients.http import Service, Transport
from reconciler.clock import ManualClock

TOKEN = "s3cr3t-token-value"


def answer(
    status: int = 200, body: Any = None, *, headers: dict[str, str] | None = None
) -> httpx.Response:
    """A JSON answer; no body at all when ``body`` is None."""
    if body is None:
        return httpx.Response(status, headers=headers)
    return httpx.Response(status, json=body, headers=headers)


class Script:
    """Answers requests in order; an exception in the script is raised as the network would."""

    def __init__(
        self, *steps: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
    ):
        self.steps = list(steps)
        self.seen: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        assert self.steps, f"unexpected request {request.method} {request.url}"
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step(request) if callable(step) else step

    @property
    def paths(self) -> list[str]:
        return [request.url.raw_path.decode() for request in self.seen]

    def body(self, index: int = -1) -> Any:
        return json_module.loads(self.seen[index].content)


def transport_for(
    script: Script | Callable[[httpx.Request], httpx.Response] | httpx.AsyncBaseTransport,
    *,
    service: Service = Service.FABRIC,
    clock: ManualClock | None = None,
    credential: Any = None,
    base_url: str = "https://api.example.test",
    **options: Any,
) -> Transport:
    """A transport whose network is the script, or what carries requests in its place."""
    return Transport(
        service=service,
        base_url=base_url,
        credential=credential or StaticBearer(SecretStr(TOKEN), source="TEST_TOKEN"),
        clock=clock or ManualClock(),
        handler=script
        if isinstance(script, httpx.AsyncBaseTransport)
        else httpx.MockTransport(script),
        rng=random.Random(7),  # noqa: S311 - reproducible jitter
        **options,
    )


def everything_said(error: BaseException) -> str:
    """Every text of an exception and its causes."""
    texts: list[str] = []
    current: BaseException | None = error
    while current is not None:
        texts += [str(current), repr(current), str(getattr(current, "remedy", ""))]
        current = current.__cause__
    return "\n".join(texts)
