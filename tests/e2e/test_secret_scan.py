"""Known secrets in every place a secret may stand, and then a look at every byte that was written."""

from __future__ import annotations

import base64
import json
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import yaml
from bench import Bench, write_notebooks
from in_process import Carrier, InProcess, in_process
from secret_forms import found_in
from small_estate import GIT, SCENARIO

from reconciler import engine
from reconciler.cli.main import main

# Each with characters that JSON, URLs, HTML and base64 write otherwise.
FABRIC = "fabric+t0ken/for&the=scan~1"
DEVOPS = "devops+t0ken/for&the=scan~2"
PAT = "p4t+of/the&pipeline=scan~3"
ENDPOINT = 'inline "pässword" <+/&=> 4'
PRINCIPAL = "principal \\s3cret\\ <+/&=> 5"
KEY = "github_k3y+/&=<>'scan' 6"
CLIENT = "client~s3cret+/for&=azure-identity 7"
ACCOUNT = base64.b64encode(b"account key for the scan, number 8").decode()
STORAGE = (
    "DefaultEndpointsProtocol=https;AccountName=other;"
    f"AccountKey={ACCOUNT};EndpointSuffix=core.windows.net"
)
URL_USER = "url-passw0rd-number-9"

SECRETS = {
    "fabric token": FABRIC,
    "devops token": DEVOPS,
    "personal access token": PAT,
    "import password": ENDPOINT,
    "service principal": PRINCIPAL,
    "GitHub key": KEY,
    "client secret": CLIENT,
    "account key": ACCOUNT,
    "password in a URL": URL_USER,
}
ENVIRON = {
    "RECONCILER_FABRIC_TOKEN": FABRIC,
    "RECONCILER_DEVOPS_TOKEN": DEVOPS,
    "AZURE_DEVOPS_EXT_PAT": PAT,
    "SYSTEM_ACCESSTOKEN": PAT,
    "SOURCE_PAT": ENDPOINT,
    "SP_SECRET": PRINCIPAL,
    "GITHUB_PAT": KEY,
    "AZURE_CLIENT_SECRET": CLIENT,
    "AZURE_STORAGE_CONNECTION_STRING": STORAGE,
}
ID = "0f5a3c1e-7b42-4d19-9c86-2e6a1b8d4f70"
SPEC: dict[str, Any] = {
    "apiVersion": "reconciler/v1",
    "kind": "Estate",
    "metadata": {"name": "sales"},
    "azureDevOps": {
        "organization": "contoso",
        "repositories": [
            {
                "project": "Sales",
                "name": "imported",
                "create": True,
                "import": {
                    "url": "https://github.com/contoso/source.git",
                    "credentials": {"username": "svc", "password": "${env.SOURCE_PAT}"},
                },
            }
        ],
    },
    "connections": [
        {
            "name": "sales-git",
            "type": "AzureDevOpsSourceControl",
            "create": {
                "url": "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
                "credentials": {
                    "servicePrincipal": {
                        "tenantId": ID,
                        "clientId": ID,
                        "secret": "${env.SP_SECRET}",
                    }
                },
            },
        },
        {
            "name": "sales-hub",
            "type": "GitHubSourceControl",
            "create": {
                "url": "https://github.com/contoso/source",
                "credentials": {"key": "${env.GITHUB_PAT}"},
            },
        },
    ],
    "workspaces": [
        {"name": "Sales Dev", "git": {**GIT, "credentials": {"connection": "sales-git"}}},
        {"name": "New one", "create": True},
    ],
}
FORMATS = ("text", "json", "markdown", "html")
CREATES = (
    ("POST", "connections.create", "connections/sales-hub"),
    ("POST", "azdo.endpoints.create", "repositories/Sales/imported"),
    ("POST", "azdo.imports.create", "repositories/Sales/imported"),
    ("POST", "workspaces.create", "workspaces/New one"),
)


class Scan:
    """Runs commands and keeps every byte of theirs to be looked at."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.seen: dict[str, bytes] = {}
        self.spec = bench.write("spec.yaml", yaml.safe_dump(SPEC, sort_keys=False))

    def run(self, *args: str | Path, expect: int | None = 0, **environ: str) -> str:
        """Run a command with every secret in its environment."""
        result = self.bench.run(*args, expect=expect, **{**ENVIRON, **environ})
        self.seen[f"{len(self.seen)} {' '.join(map(str, args))}"] = result.text.encode()
        return result.text

    def apply(self, **more: Any) -> str:
        """Apply with everything an apply can write."""
        name = f"events-{len(self.seen)}.jsonl"
        return self.run(
            *("apply", self.spec, "--auto-approve", "--verbose", "--events", name), **more
        )

    def leaks(self) -> list[str]:
        """Look through what was printed, every file in the folder, and the requests' log."""
        found = [
            f"{name}: {x}" for name, text in self.seen.items() for x in found_in(text, SECRETS)
        ]
        files = [p for p in sorted(self.bench.folder.rglob("*")) if p.is_file()]
        assert any(p.suffix == ".jsonl" for p in files)
        for path in files:
            found += [f"{path.name}: {x}" for x in found_in(path.read_bytes(), SECRETS)]
        log = json.dumps(self.bench.requests(), ensure_ascii=False).encode()
        return found + [f"request log: {x}" for x in found_in(log, SECRETS)]


@pytest.fixture
def scan(bench: Bench) -> Scan:
    """Let the estate exist without what the spec makes."""
    write_notebooks(bench.folder / "items", ["Clean", "Load"])
    bench.scenario({**SCENARIO, "connections": []})
    bench.control("DELETE", "/requests")
    return Scan(bench)


def echo() -> dict[str, Any]:
    """Return an answer of a service that repeats every secret it could know, in several ways."""
    # A password in a URL of somebody else is known to us by its place alone.
    known = [secret for secret in SECRETS.values() if secret != URL_USER]
    told = [
        *known,
        *(quote(secret, safe="") for secret in known),
        *(base64.b64encode(f"user:{secret}".encode()).decode() for secret in known),
        f"https://user:{URL_USER}@host/x",
    ]
    return {
        "headers": {"x-ms-public-api-error-code": "Odd", "ActivityId": FABRIC},
        "body": {
            "errorCode": f"Bad{FABRIC}",
            "message": " | ".join(told[:20])[:480],
            "typeKey": f"Bad{DEVOPS}",
            "moreDetails": [{"errorCode": "Nested", "message": t} for t in told],
        },
    }


def test_a_run_that_succeeds_shows_no_secret_anywhere(scan: Scan) -> None:
    """Guards every command and format, with every secret of the spec really sent."""
    scan.run("validate", scan.spec, "--verbose")
    for form in FORMATS:
        scan.run("plan", scan.spec, "--format", form, "--out", "plan.json", "--verbose")
        scan.run("show", "plan.json", "--format", form)
        scan.run("drift", scan.spec, "--format", form, expect=None)
    scan.run("graph", scan.spec, "--verbose")
    assert "Apply complete." in scan.apply()
    scan.run("runs")
    run = next(scan.bench.folder.glob(".reconciler/journals/*/*.jsonl")).stem.rpartition("-")[2]
    for form in ("text", "json"):
        scan.run("runs", "show", run, "--format", form)
    scan.run("adopt", "--all", expect=None)
    assert [] == scan.leaks()


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_service_that_repeats_the_secrets_in_its_error_is_not_repeated(
    scan: Scan, status: int
) -> None:
    """Guards messages made of a service's text: plain, in a URL, in base64, in codes, in headers."""
    for method, route, _ in CREATES:
        match = {"method": method, "route": route, "times": None}
        scan.bench.fault(match, answer={"status": status, **echo()})
    text = scan.apply(expect=1)
    for *_, address in CREATES:
        assert address in text
    assert "***" in text  # it is told, without what was secret in it
    scan.run("runs")
    assert [] == scan.leaks()


def test_an_operation_and_an_import_that_fail_with_the_secrets_show_none(scan: Scan) -> None:
    """Guards the causes of a long-running operation and the error of an import."""
    told = f"cannot sign in with {ENDPOINT} nor {KEY} at https://user:{URL_USER}@host/x"
    scan.bench.fault({"route": "azdo.imports.create"}, **{"import": {"step": 2, "error": told}})
    text = scan.apply(expect=1)
    assert "cannot sign in with *** nor *** at https://***@host/x" in text
    for form in FORMATS:
        scan.run("plan", scan.spec, "--format", form, expect=None)
    assert [] == scan.leaks()


def test_an_import_of_somebody_else_with_a_password_in_its_url_is_not_shown(scan: Scan) -> None:
    """Guards URLs that the service lists: people write user info into them."""
    listed = {
        "status": 200,
        "body": {
            "count": 1,
            "value": [
                {
                    "importRequestId": 7,
                    "status": "failed",
                    "parameters": {
                        "gitSource": {"url": f"https://svc:{URL_USER}@github.com/contoso/other.git"}
                    },
                    "detailedStatus": {"errorMessage": f"https://svc:{URL_USER}@github.com failed"},
                }
            ],
        },
    }
    scan.bench.fault({"route": "azdo.imports.list", "times": None}, answer=listed)
    assert "github.com/contoso/other" in scan.apply(expect=1)
    scan.run("plan", scan.spec, expect=None)
    assert [] == scan.leaks()


def test_a_crash_in_the_middle_leaves_no_secret_on_disk(scan: Scan) -> None:
    """Guards the journal of a killed run, and what the next run says of it."""
    bench = scan.bench
    bench.fault({"route": "connections.create"}, hang="after")
    command = [sys.executable, "-m", "reconciler", "apply", "spec.yaml", "--auto-approve"]
    process = subprocess.Popen(
        [*command, "--verbose", "--events", "killed.jsonl"],
        cwd=bench.folder,
        env={**bench.environ, **ENVIRON},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    end_s = time.monotonic() + 30
    while not bench.control("GET", "/faults")["faults"][0]["fired"]:
        assert process.poll() is None
        assert time.monotonic() < end_s
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    scan.seen["killed"] = process.communicate(timeout=30)[0]
    bench.control("DELETE", "/faults")
    scan.run("runs")
    scan.apply()
    assert [] == scan.leaks()


def test_a_connection_string_of_another_account_is_refused_without_showing_its_key(
    scan: Scan,
) -> None:
    """Guards the lock's own credential, whole and damaged."""
    flags = ("apply", scan.spec, "--auto-approve", "--lock", "azblob://contoso/locks")
    scan.run(*flags, expect=64)
    scan.run(*flags, expect=64, AZURE_STORAGE_CONNECTION_STRING=f"AccountKey={ACCOUNT}")
    scan.run("plan", scan.spec, "--out", "p.json", "--events", "e.jsonl")
    assert [] == scan.leaks()


def test_what_only_its_owner_may_read_is_written_so(scan: Scan) -> None:
    """Guards the mode of plans, journals and event streams, under a permissive umask."""
    command = 'umask 0; exec "$@"'
    for args in (
        ("plan", "spec.yaml", "--out", "plan.json"),
        ("apply", "spec.yaml", "--auto-approve", "--events", "events.jsonl"),
    ):
        subprocess.run(
            ["sh", "-c", command, "sh", sys.executable, "-m", "reconciler", *args],
            cwd=scan.bench.folder,
            env={**scan.bench.environ, **ENVIRON},
            capture_output=True,
            check=True,
            timeout=60,
        )
    folder = scan.bench.folder
    private = [folder / "plan.json", folder / "events.jsonl"]
    private += folder.glob(".reconciler/journals/*/*.jsonl")
    assert 3 == len(private)
    assert {0o600} == {stat.S_IMODE(p.stat().st_mode) for p in private}
    kept = folder / ".reconciler" / "journals"
    assert {0o700} == {stat.S_IMODE(p.stat().st_mode) for p in kept.iterdir() if p.is_dir()}


# -- on the wire --


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[list[tuple[str, httpx.Request]]]:
    """Return where requests are kept."""
    write_notebooks(tmp_path / "items", ["Clean", "Load"])
    yield []


async def test_each_secret_is_sent_in_one_place_only(
    tmp_path: Path, wire: list[tuple[str, httpx.Request]]
) -> None:
    """Guards that tokens go into Authorization alone, and the spec's secrets into one request each."""
    async with in_process() as world:
        await world.scenario({**SCENARIO, "connections": []}, str(tmp_path))
        world.intercept = _keeping(wire)
        spec = tmp_path / "spec.yaml"
        spec.write_text(yaml.safe_dump(SPEC))
        await _apply(world, spec)
    carried: dict[str, set[str]] = {}
    for _, request in wire:
        where = f"{request.method} {request.url.path.rpartition('/')[2]}"
        signed = request.headers.pop("authorization")
        assert signed in {f"Bearer {FABRIC}", f"Bearer {DEVOPS}"}
        head = f"{request.url} {request.headers.raw!r}".encode()
        assert [] == found_in(head, SECRETS)
        for name, secret in SECRETS.items():
            if found_in(request.content, {name: secret}):
                carried.setdefault(name, set()).add(where)
    assert {
        "import password": {"POST endpoints"},
        "service principal": {"POST connections"},
        "GitHub key": {"POST connections"},
    } == carried


def _keeping(wire: list[tuple[str, httpx.Request]]) -> Any:
    async def keep(request: httpx.Request, carry: Carrier) -> httpx.Response:
        answer = await carry(request)
        wire.append((request.method, request))
        return answer

    return keep


async def _apply(world: InProcess, spec: Path) -> None:
    world.environ.update(ENVIRON)
    settings = world.settings()
    loaded = engine.load([spec])
    plan = await engine.make_plan(loaded, settings)
    result = await engine.apply_plan(plan, settings, listener=lambda _: None)
    assert all(o.ok for o in result.outcomes), result.outcomes


# -- a bug of ours --


def test_a_traceback_of_a_bug_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Guards --verbose on a bug: exceptions of libraries quote what they were given."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    spec = tmp_path / "spec.yaml"
    spec.write_text(yaml.safe_dump(SPEC))

    def fail(_: object) -> int:
        cause = ValueError(f"bad header Basic {base64.b64encode(f':{PAT}'.encode()).decode()}")
        raise RuntimeError(f"{FABRIC} {ENDPOINT!r} {json.dumps(KEY)} {STORAGE}") from cause

    monkeypatch.setattr("reconciler.cli.validate.run", fail)
    assert 1 == main(["validate", str(spec), "--verbose"])
    told = capsys.readouterr().err
    assert "RuntimeError: ***" in told
    assert "Traceback" in told
    assert [] == found_in(told.encode(), SECRETS)


def test_the_scan_finds_what_it_looks_for() -> None:
    """Guards the guard: each encoding of a secret is seen."""
    for name, secret in SECRETS.items():
        for text in (
            secret,
            quote(secret),
            json.dumps({"x": secret}),
            base64.b64encode(f"user:{secret} and more".encode()).decode(),
        ):
            assert found_in(text.encode(), {name: secret}), (name, text)
