"""The estates that are fuzzed, what the product makes of them, and services that turn hostile."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import yaml
from in_process import Carrier, InProcess, in_process
from mutate import ODD, changed_value, deep
from typing_extensions import override

from reconciler import engine
from reconciler.clock import ManualClock
from reconciler.errors import ReconcilerError
from reconciler.plan.plan import Plan
from reconciler.render.as_html import plan_html
from reconciler.render.as_markdown import plan_markdown
from reconciler.render.as_text import render_plan

__all__ = ["SPEC", "Hostility", "hostile_run", "load_estate", "made_files", "write_items"]

GROUP = "6f1c0f5e-0000-4000-8000-000000000001"
_GIT = {"project": "Sales", "repository": "fabric-sales", "branch": "main", "directory": "/fabric"}
_STAGES = [
    {"name": "Development", "workspace": "Sales Dev"},
    {"name": "Test", "workspace": "Sales Test"},
]
SCENARIO: dict[str, Any] = {
    "capacities": [{"name": "F8", "sku": "F8", "region": "West Europe"}],
    "principals": [{"id": GROUP, "type": "Group", "name": "Sales team"}],
    "azureDevOps": [
        {
            "organization": "contoso",
            "projects": [
                {
                    "name": "Sales",
                    "repositories": [
                        {
                            "name": "fabric-sales",
                            "branch": "main",
                            "content": "items",
                            "directory": "fabric",
                        }
                    ],
                }
            ],
        }
    ],
    "workspaces": [
        {
            "name": "Sales Dev",
            "capacity": "F8",
            "git": {
                "provider": "AzureDevOps",
                "organization": "contoso",
                **_GIT,
                "synced": True,
            },
        },
        {"name": "Sales Test", "capacity": "F8", "items": "items"},
        {"name": "Bare"},
    ],
    "pipelines": [{"name": "Sales", "stages": _STAGES}],
}
SPEC: dict[str, Any] = {
    "apiVersion": "reconciler/v1",
    "kind": "Estate",
    "metadata": {"name": "sales"},
    "azureDevOps": {
        "organization": "contoso",
        "repositories": [{"project": "Sales", "name": "more", "create": True}],
    },
    "connections": [
        {
            "name": "hub",
            "type": "GitHubSourceControl",
            "create": {
                "url": "https://github.com/contoso/x",
                "credentials": {"key": "${env.KEY}"},
            },
        }
    ],
    "workspaces": [
        {
            "name": "Sales Dev",
            "capacity": "F8",
            "git": {"provider": "AzureDevOps", **_GIT, "sync": {"direction": "both"}},
            "roles": [{"principal": {"id": GROUP, "type": "Group"}, "role": "Member"}],
        },
        {"name": "Sales Test", "capacity": "F8", "description": "Tests"},
        {"name": "New", "create": True, "capacity": "F8"},
    ],
    "pipelines": [
        {
            "name": "Sales",
            "stages": _STAGES,
            "roles": [{"principal": {"id": GROUP, "type": "Group"}, "role": "Admin"}],
            "deployments": [{"from": "Development", "to": "Test"}],
        }
    ],
}


def write_items(folder: Path) -> None:
    """Write two notebooks in the source control format."""
    for number, name in enumerate(("Clean", "Load"), start=1):
        target = folder / "items" / f"{name}.Notebook"
        target.mkdir(parents=True, exist_ok=True)
        logical = f"00000000-0000-0000-4000-{number:012d}"
        platform = {
            "metadata": {"type": "Notebook", "displayName": name},
            "config": {"version": "2.0", "logicalId": logical},
        }
        (target / ".platform").write_text(json.dumps(platform))
        (target / "notebook-content.py").write_text(
            f"# Fabric notebook source\n\nprint({name!r})\n"
        )


async def load_estate(world: InProcess, folder: Path) -> None:
    """Let the estate exist, with an edit by hand that is not in Git."""
    world.environ["KEY"] = "k3y-for-the-fuzz"
    await world.control("POST", "reset")
    await world.scenario(SCENARIO, str(folder))
    await world.control(
        "POST",
        "portal",
        {
            "action": "edit",
            "workspace": "Sales Dev",
            "item": "Load",
            "type": "Notebook",
            "path": "notebook-content.py",
            "append": "print(2)\n",
        },
    )


async def made_files(folder: Path) -> tuple[list[bytes], list[bytes]]:
    """Let the product make plan files and journals; returns their contents."""
    write_items(folder)
    spec = folder / "spec.yaml"
    spec.write_text(yaml.safe_dump(SPEC, sort_keys=False))
    plans: list[Plan] = []
    async with in_process() as world:
        await load_estate(world, folder)
        settings = world.settings(journals=folder / "journals")
        loaded = engine.load([spec])
        plans.append(await engine.make_plan(loaded, settings))
        taken = await engine.take_over(loaded.require(), settings)
        await engine.apply_plan(plans[0], settings, listener=lambda _: None, journal=taken.journal)
        taken.journal.end("complete")
        plans.append(await engine.make_plan(loaded, settings))
    journals = sorted((folder / "journals").glob("*/*.jsonl"))
    texts = [json.dumps(p.to_data(), indent=2).encode() for p in plans]
    return texts, [j.read_bytes() for j in journals]


# -- hostile services --


class _Pieces(httpx.AsyncByteStream):
    """A body that arrives as it is packed, and is unpacked by nobody on the way."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def _bomb() -> bytes:
    """Return a gigabyte of blanks, packed: about a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * (1 << 20)
    return b"".join(packer.compress(blanks) for _ in range(1024)) + packer.flush()


_HEADERS: tuple[dict[str, str], ...] = (
    *({"Retry-After": x} for x in ("1e308", "-5", "nan", "999999999", "0", "soon", "9" * 400)),
    {"Retry-After": "Fri, 31 Dec 9999 23:59:59 +9999"},
    {"Retry-After": "Mon, 01 Jan 2024 00:00:00 -99999999999999"},
    {"Location": "https://attacker.example/v1/operations/1"},
    {"Location": "https://[bad"},
    {"Location": "//attacker.example"},
    {"x-ms-operation-id": "../../workspaces", "Location": "x" * 5000},
    {"x-ms-operation-id": "", "Location": ""},
    {"x-ms-continuationtoken": "again"},
    {"Content-Type": "text/html"},
    {"Content-Type": "application/xml"},
    {"Content-Type": ""},
    {"Content-Encoding": "gzip"},
    {"Content-Encoding": "br"},
    {"Content-Encoding": "gzip, gzip, gzip"},
    {"Set-Cookie": "a=" + "b" * 4000},
    {"x-ms-public-api-error-code": "\x1b[2J"},
    {"X-TFS-ServiceError": "%1b%5b2J%00%ff"},
    {"ActivityId": "<script>" * 50},
)
_BODIES: tuple[bytes, ...] = (
    *(b"", b"null", b"[]", b"{}", b"0", b'"x"', b"true", b"NaN", b"\xff\xfe\x00", b"\xef\xbb\xbf"),
    *(
        b"{",
        b'{"value":',
        b'{"value":null}',
        b'{"value":{}}',
        b'{"value":[null]}',
        b'{"value":[1]}',
    ),
    *(b'{"value":[{}]}', b"[" * 100_000, b'{"a":' * 100_000, b"9" * 50_000, b"-1e999"),
    *(b'{"value":"\\ud800"}', b'{"status":"Succeeded"}', b'{"status":7}', b'{"status":"Failed"}'),
    *(b'{"status":"Failed","error":7}', b'{"status":"Failed","error":{"message":"\\u001b[2J"}}'),
    b'{"status":"Running"}',
    b'{"value":[' + b"{}," * 20_000 + b"{}]}",
    b'{"value":[' + b"[]," * 100_000 + b"[]]}",
    b'{"status":"Running","percentComplete":1e308,"createdTimeUtc":"9999-99-99"}',
    json.dumps({"errorCode": "\u202eabc", "message": "\x1b]0;x\x07" * 500}).encode(),
    json.dumps({"errorCode": 1, "message": [], "moreDetails": {"a": 1}}).encode(),
    json.dumps({"value": [{"id": "../..", "displayName": "\x00\x1b[31m<b>|`"}]}).encode(),
    json.dumps({"value": [], "continuationToken": "x", "continuationUri": "http://h"}).encode(),
)
_STATUSES = (200, 201, 202, 203, 204, 206, 302, 307, 400, 401, 403, 404, 409, 412, 418, 429, 500)
_HOSTILE = (*ODD, *(deep(d) for d in (5, 200)), 1e308, -(2**70), "\ud800", ["x"] * 1000)
BOMB = _bomb()


class Hostility:
    """Stands between the product and an emulator, and spoils some of its answers.

    Args:
        often: the part of the answers that are spoilt.
    """

    def __init__(self, seed: int, hosts: frozenset[str], often: float) -> None:
        self.rng = random.Random(seed)  # noqa: S311 - reproducible cases
        self.hosts = hosts
        self.often = often
        self.strayed: list[str] = []
        self.pages = 0

    async def __call__(self, request: httpx.Request, carry: Carrier) -> httpx.Response:
        if request.url.host not in self.hosts:
            self.strayed.append(str(request.url))
        if self.rng.random() >= self.often:
            return await carry(request)
        match self.rng.randrange(10):
            case 0:
                raise self.rng.choice((httpx.ReadError, httpx.ConnectError, httpx.ReadTimeout))(
                    "\x1b[2J hostile", request=request
                )
            case 1:
                return self._answer(self.rng.choice(_STATUSES), self.rng.choice(_BODIES))
            case 2:
                return self._packed()
            case 3:
                return self._endless(await carry(request))
            case 4 | 5:
                answer = await carry(request)
                return self._answer(
                    self.rng.choice((answer.status_code, 202, 200)),
                    answer.content,
                    odd_headers=True,
                )
            case _:
                return self._spoilt(await carry(request))

    def _answer(self, status: int, body: bytes, *, odd_headers: bool = False) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        if odd_headers or self.rng.random() < 0.3:
            headers |= self.rng.choice(_HEADERS)
        raw = [(k.encode(), v.encode("latin-1", "replace")) for k, v in headers.items() if v]
        return httpx.Response(
            status, headers=raw, stream=_Pieces(body[: len(body) // 2], body[len(body) // 2 :])
        )

    def _packed(self) -> httpx.Response:
        body = self.rng.choice((BOMB, gzip.compress(BOMB), b"\x1f\x8b" + b"x" * 50, b""))
        if self.rng.random() < 0.8 and body is BOMB:
            body = gzip.compress(b'{"value":' + b" " * 3_000_000 + b"[]}")  # the great one is slow
        packing = self.rng.choice(("gzip", "deflate", "gzip, gzip", "zstd"))
        headers = {"Content-Type": "application/json", "Content-Encoding": packing}
        return httpx.Response(self.rng.choice((200, 500)), headers=headers, stream=_Pieces(body))

    def _endless(self, answer: httpx.Response) -> httpx.Response:
        """Give a page that has always another one after it, for this and every later request."""
        self.pages += 1
        self.often = max(self.often, 0.5)
        try:
            body = answer.json()
        except ValueError:
            body = {}
        token = "loop" if self.rng.random() < 0.5 else f"page-{self.pages}"
        body = {**body, "continuationToken": token} if isinstance(body, dict) else body
        headers = {"Content-Type": "application/json", "x-ms-continuationtoken": token}
        return httpx.Response(
            answer.status_code, headers=headers, stream=_Pieces(json.dumps(body).encode())
        )

    def _spoilt(self, answer: httpx.Response) -> httpx.Response:
        try:
            value = answer.json()
        except ValueError:
            return self._answer(answer.status_code, b"\x00" + answer.content)
        body = json.dumps(changed_value(self.rng, value, _HOSTILE)).encode()
        headers = {
            k: v
            for k, v in answer.headers.items()
            if k not in {"content-length", "content-encoding"}
        }
        return httpx.Response(answer.status_code, headers=headers, stream=_Pieces(body))


async def hostile_run(
    world: InProcess, folder: Path, seed: int, reached: Counter[str]
) -> tuple[str, list[str]]:
    """Plan and apply against services that turn hostile.

    Returns:
        Everything that would be shown of it, and the URLs off the services that were asked for.
    """
    await load_estate(world, folder)
    world.clock = ManualClock()  # time of an earlier case must not have passed in this one
    host = httpx.URL(world.emulator.urls.fabric_url).host
    enemy = Hostility(seed, frozenset({host}), often=(0.01, 0.05, 0.2, 0.6)[seed % 4])
    shown: list[str] = []
    settings = world.settings(timeout_s=60.0, tell=shown.append)
    world.intercept = enemy
    try:
        loaded = engine.load([folder / "spec.yaml"])
        plan = await engine.make_plan(loaded, settings)
        reached["planned"] += 1
        shown += _shown(plan)
        if not any(d.severity == "error" for d in plan.diagnostics) and not plan.unknown:
            result = await engine.apply_plan(plan, settings, listener=lambda _: None)
            reached["applied"] += 1
            reached["of them wholly"] += all(o.ok for o in result.outcomes)
            shown += [f"{o.text} {o.remedy}" for o in result.outcomes if "a bug in" in o.text]
    except ReconcilerError as error:
        shown.append(f"error: {error.message} {error.remedy}")
    finally:
        world.intercept = _quietly
        await asyncio.sleep(0)
    return "\n".join(shown), enemy.strayed


async def _quietly(request: httpx.Request, carry: Carrier) -> httpx.Response:
    return await carry(request)


def _shown(plan: Plan) -> list[str]:
    """Return a plan in every form, as the commands write it."""
    texts = [render_plan(plan), plan.to_json(), plan_markdown(plan, ()), plan_html(plan, ())]
    for text in texts:
        text.encode()  # as a file is written: half a character would fail here
    return texts
