"""Every route of every service with hostile bodies, paths, queries and headers.

The number of requests per route is modest here; ``RECONCILER_HOSTILE=20`` multiplies it. Every
request follows from the route's name and the number, so that a failure comes again.
"""

import asyncio
import copy
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from fuzz_target import ROOTS, Target

from reconciler.emulator.http import Route
from reconciler.emulator.server import Emulator, mounts

TIMES = int(os.environ.get("RECONCILER_HOSTILE", "1"))
PER_ROUTE = 16 * TIMES
BODIES: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "data" / "request_bodies.json").read_text(encoding="utf-8")
)
ROUTES: list[tuple[str, Route]] = [
    (service.name, route)
    for services in mounts().values()
    for _, service in services
    for route in service.routes
]
NO_ID = "00000000-0000-0000-0000-000000000000"
HOSTILE_TEXTS = [
    *("", " ", ".", "..", "../..", "../../etc/passwd", "..\\..\\x", "/etc/passwd", "C:\\x", "~"),
    *("\0", "a\0b", "\r\nX-Injected: 1", "\u202e", "\ufeff", "é" * 300, "x" * 5000, "%", "%00"),
    *("*", "'; --", "${x}", "{{x}}", "<script>", "-1", "0", "1e999", "NaN", "true", "null", "[]"),
    *("99999999999999999999", "0x10", "²", "main", "refs/heads/main", "refs/heads/a..b"),
    *("refs/heads/", "HEAD", "0" * 40, "f" * 40, "g" * 40, "f" * 39, NO_ID, NO_ID[:-1]),
    *("{" + NO_ID + "}", "--upload-pack=x", "ext::sh -c x", "file:///etc", "http://[::1", "//"),
    *("http://127.0.0.1:1/x", "http://x:99999/", "$/Sales/Main", "$/", "$/..", "aGk=", "aGk"),
    *("2026-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "İ", ".git/config"),
]
HOSTILE_VALUES = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1.5, -0.0, 1e308, float("nan")),
    *(float("inf"), [], {}, [[]], [{}], [None], {"": ""}, {"id": {}}, {"a": [1]}, [1, "a", None]),
]
HOSTILE_BYTES = [
    *(b"", b" ", b"{", b"}", b"[", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[1]", b'"a"'),
    *(b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00", b"{'a':1}", b'{"a":1,}', b'{"a":1}{"b":2}'),
    *(b"[" * 100_000, b'{"a":' * 50_000, b'{"name":"\\ud800"}', b'{"\\udfff":1}', b"1" * 5000),
    *(b'{"displayName":' + b"9" * 4000 + b"}", b"a=b&c=d", b"grant_type=%ff", b"<a/>", b"0000"),
    *(b"0032want " + b"0" * 40 + b"\n", b"ffff", b"\x1f\x8b\x08\x00broken", b'{"a":"\\u0000"}'),
]
HOSTILE_QUERIES = [
    *("%", "%zz=1", "a=%ff", "=", "&&&", "a", "a=b=c", ";", "a=1;b=2", "%00=%00", "a[]=1"),
    *("$top=-1", "$top=1e3", "$skip=99999999999", "$top=²", "continuationToken=%00"),
    *("continuationToken=x&continuationToken=y", "api-version=", "api-version=9.9"),
    *("api-version=7.1-preview.99999", "api-version=%0d%0aX: 1", "recursive=maybe", "since=²"),
]
QUERY_NAMES = [
    *("continuationToken", "roles", "type", "recursive", "rootFolderId", "beta", "hardDelete"),
    *("updateMetadata", "format", "maxResults", "since", "$top", "$skip", "top", "skip", "filter"),
    *("filterContains", "peelTags", "includeLinks", "includeHidden", "includeParent", "path"),
    *("includeAbandoned", "stateFilter", "includeCapabilities", "sourceRef", "scopePath", "name"),
    *("recursionLevel", "download", "$format", "zipForUnix", "includeContent", "service", "ids"),
    *("includeContentMetadata", "latestProcessedChange", "pushId", "changeCount", "projectIds"),
    *("endpointNames", "endpointIds", "deep", "pluginId", "includeFailed", "authSchemes", "owner"),
    *(f"{prefix}{name}" for prefix in (
        "versionDescriptor.", "baseVersionDescriptor.", "searchCriteria.itemVersion.",
        "searchCriteria.compareVersion.") for name in ("version", "versionType", "versionOptions")),
    *(f"searchCriteria.{name}" for name in (
        "$top", "$skip", "author", "user", "itemPath", "excludeDeletes", "fromDate", "toDate",
        "fromCommitId", "toCommitId", "historyMode", "ids", "includePushData", "includeWorkItems",
        "showOldestCommitsFirst", "includeLinks")),
]  # fmt: skip
QUERY_WORDS = [
    *("true", "false", "main", "branch", "tag", "commit", "none", "full", "oneLevel", "zip", "1"),
    *("2", "100", "text", "octetStream", "json", "firstParent", "previousChange", "fullHistory"),
    *("heads/", "/", "/fabric", "git-upload-pack", "git-receive-pack", "all", "wellFormed", "Git"),
    *("Notebook", "Lakehouse", "Admin", "2026-01-01T00:00:00Z", "refs/heads/main", "Hello"),
]
HEADERS: list[dict[str, str]] = [
    *({"Accept": text} for text in ("", "*/*;q=x", "application/zip", "text/plain", "a" * 5000)),
    *({"Accept": f"application/json;api-version={text}"} for text in ("", "x", "6.0", "²", "-1")),
    *({"Authorization": text} for text in ("", "Bearer", "Basic !", "Basic Og==", "Bearer a.b.c")),
    {"Authorization": "Bearer e30.W10.x"},
    {"Authorization": "Bearer e30.eyJvaWQiOjF9.x"},
    {"Content-Type": "text/xml"},
    {"Content-Length": "x"},
    {"Git-Protocol": "version=9:version=2::"},
    {"Content-Encoding": "gzip"},
    {"X-TFS-FedAuthRedirect": "é"},
    {"If-Match": '"'},
]
# Which ids a path variable or a member wants; every second one gets something else.
KINDS = {
    **{name: name for name in ("repository", "endpoint", "collection", "operation", "stage")},
    **{"workspaceId": "workspace", "itemId": "item", "objectId": "item", "sourceItemId": "item"},
    **{"pipelineId": "pipeline", "stageId": "stage", "sourceStageId": "stage", "name": "project"},
    **{"targetStageId": "stage", "capacityId": "capacity", "connectionId": "connection"},
    **{"folderId": "folder", "parentFolderId": "folder", "targetFolderId": "folder"},
    **{"relatedWorkspaceId": "workspace", "repositoryId": "repository", "projectId": "project"},
    **{"serviceEndpointId": "endpoint", "id": "connection", "operationId": "operation"},
}
NAMES = {
    "repository": ["fabric-sales", "empty", "tried", "source"],
    "name": ["Sales"],
    "collection": ["notebooks", "lakehouses", "reports", "items"],
    "request": ["1", "2"],
    "sync": ["1"],
    "owner": ["contoso"],
    "tenant": ["common", NO_ID],
}


class Attacker:
    """Makes the requests of one route from a seed."""

    def __init__(self, target: Target, service: str, route: Route) -> None:
        seed = f"{service} {route.method} {route.pattern} {route.name}"
        self.random = random.Random(seed)  # noqa: S311 - it has to be the same every time
        self.target, self.service, self.route = target, service, route
        self.bodies = [
            body for name, body in BODIES.items() if f"{name}.".startswith(f"{route.name}.")
        ]

    def requests(self) -> Iterator[tuple[str, bytes, dict[str, str]]]:
        """Yield target, body and headers of each request."""
        for _ in range(PER_ROUTE):
            headers = self.random.choice(HEADERS) if self.random.random() < 0.15 else {}
            yield f"{self.path()}?{self.query()}", self.body(), headers

    def path(self) -> str:
        """The route's path with its variables filled in, rarely a path that is broken as such."""
        root = ROOTS[self.service]
        if self.service in {"azdo", "git"} and self.random.random() < 0.3:
            root = self.random.choice(
                ["/devops/contoso", f"/devops/contoso/{NO_ID}", "/devops/tfs/contoso/Sales",
                 f"/devops/{quote(self.text(), safe='')}/Sales", "/devops",
                 f"/devops/contoso/{quote(self.text(), safe='')}"]
            )  # fmt: skip
        pieces = [
            self.variable(piece.strip("{}.")) if piece.startswith("{") else piece
            for piece in self.route.pattern.split("/")
        ]
        whole = root + "/".join(pieces)
        if self.random.random() < 0.1:
            broken = ["/..", "//", "/%", "/%2e%2e/%2e%2e", "/%ff", "/%00", "/" + "a/" * 2000, "/."]
            at = self.random.randrange(1, len(whole) + 1)
            whole = whole[:at] + self.random.choice(broken) + whole[at:]
        return whole

    def variable(self, name: str) -> str:
        known = [*NAMES.get(name, []), *self.target.ids().get(KINDS.get(name, ""), [])]
        if name == "commit":
            known = [self.target.tip()]
        if known and self.random.random() < 0.7:
            return quote(self.random.choice(known), safe="")
        return quote(self.text(), safe="")

    def text(self) -> str:
        return self.random.choice(HOSTILE_TEXTS)

    def query(self) -> str:
        chosen = ["api-version=7.1-preview"] if self.random.random() < 0.9 else []
        for _ in range(self.random.randrange(4)):
            if self.random.random() < 0.15:
                chosen.append(self.random.choice(HOSTILE_QUERIES))
                continue
            word = self.text() if self.random.random() < 0.4 else self.random.choice(QUERY_WORDS)
            chosen.append(f"{self.random.choice(QUERY_NAMES)}={quote(word, safe='')}")
        self.random.shuffle(chosen)
        return "&".join(chosen)

    def body(self) -> bytes:
        """Bytes that are no JSON, JSON of the wrong shape, or a good body with some bad places."""
        if self.random.random() < 0.2:
            return self.random.choice(HOSTILE_BYTES)
        if self.bodies and self.random.random() < 0.9:
            found = self.filled(copy.deepcopy(self.random.choice(self.bodies)))
            for _ in range(self.random.choice([0, 1, 1, 1, 2, 3])):
                found = self.spoiled(found)
        else:
            found = self.bad()
        return json.dumps(found).encode()

    def bad(self) -> Any:
        if self.random.random() < 0.5:
            return self.text()
        return copy.deepcopy(self.random.choice(HOSTILE_VALUES))

    def filled(self, value: Any, name: str = "") -> Any:
        """Put ids of the world where the example has placeholders."""
        if isinstance(value, dict):
            return {key: self.filled(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item, name) for item in value]
        if value == "#commit":
            return self.target.tip()
        if value != "#id":
            return value
        ids = self.target.ids()
        wanted = ids.get(KINDS.get(name, ""), []) if self.random.random() < 0.8 else []
        every = [id_ for found in ids.values() for id_ in found]
        return self.random.choice(wanted or every or [NO_ID])

    def spoiled(self, value: Any) -> Any:
        """Change one place, drop a member, or add one that nobody knows."""
        if isinstance(value, dict) and value and self.random.random() < 0.9:
            key = self.random.choice(sorted(value))
            if self.random.random() < 0.15:
                del value[key]
            elif self.random.random() < 0.1:
                value[self.text()] = self.bad()
            else:
                value[key] = self.spoiled(value[key])
            return value
        if isinstance(value, list) and value and self.random.random() < 0.8:
            at = self.random.randrange(len(value))
            value[at] = self.spoiled(value[at])
            return value + value if self.random.random() < 0.1 else value
        return self.bad()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One emulator for all routes."""
    found = Target(tmp_path_factory.mktemp("hostile") / "in" / "here")
    yield found
    found.close()


@pytest.mark.parametrize("service", sorted({service for service, _ in ROUTES}))
def test_no_route_fails_on_a_hostile_request(
    target: Target, service: str, monkeypatch: pytest.MonkeyPatch
):
    """Guards each route: never a 5xx, a logged traceback, or an answer that can not be sent."""
    monkeypatch.chdir(target.folder)  # folders of a hostile scenario are relative to it
    seen: dict[str, set[int]] = {}
    problems: list[tuple[object, ...]] = []
    routes = [route for owner, route in ROUTES if owner == service]
    for number, route in enumerate(routes):
        if number % 5 == 0 or route.name == "control.scenario":
            target.restart()
        for path, body, headers in Attacker(target, service, route).requests():
            status = target.ask(route.method, path, body, headers)
            failures = target.failures()
            if failures or status >= 500:
                problems.append((status, route.method, path[:300], body[:600], headers, failures))
            seen.setdefault(f"{route.method} {route.pattern}", set()).add(status)
            # A fault may hang what follows, a limit or a price refuse it.
            target.calm()
    assert [] == problems[:5], len(problems)
    assert len(routes) == len(seen)
    # Somebody who is only ever turned away at the door learns nothing of the house.
    assert any(status < 300 for found in seen.values() for status in found)


def test_an_oversize_body_is_refused_by_every_route(target: Target):
    """Guards the limit of what a call may send; a push through git is not a call."""
    target.restart()
    huge = b" " * (64 * 1024 * 1024 + 1)
    for service, route in ROUTES:
        if service in {"git", "github"}:
            continue
        path = "/".join("x" if p.startswith("{") else p for p in route.pattern.split("/"))
        status = target.ask(route.method, f"{ROOTS[service]}{path}?api-version=7.1-preview", huge)
        assert (413 if service == "entra" else 400) == status, route.pattern


BROKEN_REQUESTS = [
    b"POST /devops/contoso/_apis/projects HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\n"
    b"Content-Length: 6\r\n\r\nbroken",
    b"GET /%zz\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /fabric/v1/workspaces HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"POST /_control/clock HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET http://[::1/x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"BREW /fabric/v1/workspaces HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET /github/../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
]


@pytest.mark.parametrize("request_", BROKEN_REQUESTS, ids=range(len(BROKEN_REQUESTS)))
async def test_what_is_no_http_is_a_4xx_and_logs_no_traceback(
    emulator: Emulator, caplog: pytest.LogCaptureFixture, request_: bytes
):
    """Guards the layer below the services: broken encodings, headers, chunks and targets."""
    port = urlsplit(emulator.urls.control_url).port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_)
    answer = await asyncio.wait_for(reader.read(4096), 30)
    writer.close()
    await writer.wait_closed()
    assert b" 4" == answer[8:10], answer[:100]
    assert [] == [record.getMessage() for record in caplog.records]


async def test_a_client_that_goes_away_in_the_middle_of_a_body_logs_no_traceback(
    emulator: Emulator, http: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
):
    """Guards against noise that hides real failures; the next client is served."""
    port = urlsplit(emulator.urls.control_url).port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /_control/reset HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\nx")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    answer = await http.get(f"{emulator.urls.control_url}/requests")
    assert 200 == answer.status_code
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= 30]
