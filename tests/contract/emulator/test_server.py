"""The emulator as a server: ready file, control routes, faults, request log, persistence."""

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.server import Emulator, main

MAIN = (
    "import sys; from pathlib import Path; from reconciler.emulator.options import *;"
    "from reconciler.emulator.server import main;"
    "sys.exit(main(EmulatorOptions(ready_file=Path(sys.argv[1]))))"
)


def project_url(emulator: Emulator, name: str = "Sales") -> str:
    """The address of a project."""
    return f"{emulator.urls.devops_url}/contoso/_apis/projects/{name}"


async def test_the_ready_file_holds_the_urls_and_a_usable_token(start_emulator, tmp_path, http):
    """Everything a client needs stands in the ready file once the server listens."""
    ready = tmp_path / "ready.json"
    emulator = await start_emulator(ready_file=ready)
    written = json.loads(ready.read_text())
    assert {"fabric_url", "devops_url", "github_url", "control_url", "token"} == set(written)
    assert written["control_url"] == emulator.urls.control_url
    answer = await http.get(f"{written['control_url']}/requests")
    assert {"requests": []} == answer.json()


async def test_requests_are_logged_and_control_calls_are_not(loaded, http):
    """The log tells who asked for what by which route, and whether it changed something."""
    await http.get(project_url(loaded), params={"includeCapabilities": "true"})
    repositories = f"{loaded.urls.devops_url}/contoso/Sales/_apis/git/repositories"
    await http.post(repositories, json={"name": "new"}, params={"api-version": "7.1"})
    await http.post(repositories, json={"name": "new"}, params={"api-version": "7.1"})
    log = (await http.get(f"{loaded.urls.control_url}/requests")).json()["requests"]
    assert [(1, "GET", 200, False), (2, "POST", 201, True), (3, "POST", 409, False)] == [
        (entry["n"], entry["method"], entry["status"], entry["effect"]) for entry in log
    ]
    assert "/_apis/projects/{name}" == log[0]["route"]
    assert "/contoso/_apis/projects/Sales" == log[0]["path"]
    assert {"includeCapabilities": "true"} == log[0]["query"]
    assert "azdo" == log[0]["service"]
    assert loaded.world.default_caller.id == log[0]["caller"]
    await http.delete(f"{loaded.urls.control_url}/requests")
    assert [] == (await http.get(f"{loaded.urls.control_url}/requests")).json()["requests"]


async def test_reset_forgets_everything(loaded, http):
    """After a reset nothing that a scenario made is left."""
    assert 200 == (await http.get(project_url(loaded))).status_code
    assert 200 == (await http.post(f"{loaded.urls.control_url}/reset")).status_code
    assert 404 == (await http.get(project_url(loaded))).status_code
    assert [] == list(loaded.world.repos.root.rglob("HEAD"))


@pytest.mark.parametrize(
    ("scenario", "part"),
    [
        ({"azureDevops": []}, "unknown azureDevops"),
        ({"github": [{"owner": "a"}]}, "github[0].repository"),
        ({"azureDevOps": [{"organization": "a", "projects": [{}]}]}, "azureDevOps[0].projects[0]"),
        ({"github": [{"owner": "a", "repository": "b", "content": "no"}]}, "github[0].content"),
        ({"github": [{"owner": "..", "repository": "b"}]}, "single names"),
    ],
)
async def test_a_wrong_scenario_is_a_400_that_names_the_place(emulator, http, scenario, part):
    """Mistakes in a scenario are told, not traced back."""
    answer = await http.post(f"{emulator.urls.control_url}/scenario", json=scenario)
    assert 400 == answer.status_code
    assert part in answer.json()["error"]


def test_a_wrong_scenario_file_ends_the_process_with_1(tmp_path, capsys):
    """The command line says what is wrong in one line."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("github: [{owner: a}]\n")
    assert 1 == main(EmulatorOptions(scenario=scenario))
    said = capsys.readouterr().err
    assert "github[0].repository" in said
    assert "Traceback" not in said


async def test_a_fault_fires_on_its_nth_match_only(loaded, http):
    """``nth`` and ``times`` choose which of the matching requests go wrong."""
    fault = {
        "match": {"service": "azdo", "route": "/contoso/_apis/projects/*", "nth": 2, "times": 2},
        "answer": {"status": 429, "headers": {"Retry-After": "7"}, "body": {"message": "slow"}},
    }
    added = await http.post(f"{loaded.urls.control_url}/faults", json=[fault])
    assert {"added": 1} == added.json()
    answers = [await http.get(project_url(loaded)) for _ in range(4)]
    assert [200, 429, 429, 200] == [answer.status_code for answer in answers]
    assert "7" == answers[1].headers["Retry-After"]
    assert {"message": "slow"} == answers[1].json()


async def test_a_dropped_request_leaves_its_effect_only_when_dropped_after(loaded, http):
    """``before`` cuts the connection without an effect, ``after`` with it."""
    repositories = f"{loaded.urls.devops_url}/contoso/Sales/_apis/git/repositories"
    for name, drop in (("one", "before"), ("two", "after")):
        match = {"method": "POST", "route": "azdo.repositories.create"}
        await http.post(f"{loaded.urls.control_url}/faults", json={"match": match, "drop": drop})
        with pytest.raises(httpx.TransportError):
            await http.post(repositories, json={"name": name}, params={"api-version": "7.1"})
    found = (await http.get(repositories)).json()["value"]
    assert ["empty", "fabric-sales", "two"] == [repository["name"] for repository in found]
    log = (await http.get(f"{loaded.urls.control_url}/requests")).json()["requests"]
    assert [(0, False), (0, True)] == [
        (entry["status"], entry["effect"]) for entry in log if entry["method"] == "POST"
    ]


async def test_faults_can_match_by_caller_and_regular_expression(loaded, http):
    """Another caller is spared."""
    match = {
        "caller": loaded.world.default_caller.id,
        "route": "^/contoso/_apis/proj",
        "times": None,
    }
    answer = {"status": 503, "body": "<html></html>"}
    await http.post(f"{loaded.urls.control_url}/faults", json={"match": match, "answer": answer})
    mine = await http.get(project_url(loaded))
    theirs = await http.get(project_url(loaded), headers={"Authorization": "Bearer other"})
    assert (503, 200) == (mine.status_code, theirs.status_code)
    assert mine.headers["Content-Type"].startswith("text/html")
    await http.delete(f"{loaded.urls.control_url}/faults")
    assert 200 == (await http.get(project_url(loaded))).status_code


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"drop": "maybe"},
        {"delay_s": -1},
        {"drop": "after", "match": {"nth": 0}},
        {"drop": "after", "match": {"rout": "x"}},
        {"drop": "after", "match": {"route": "^("}},
        {"answer": 5},
    ],
)
async def test_a_malformed_fault_is_refused(emulator, http, fault):
    """A fault that could never do what was meant is a 400."""
    answer = await http.post(f"{emulator.urls.control_url}/faults", json=fault)
    assert 400 == answer.status_code
    assert [] == emulator.world.faults.faults


async def test_the_clock_only_moves_forward(emulator, http):
    """Advancing adds to real time; going back is refused."""
    before = emulator.world.clock.now()
    url = f"{emulator.urls.control_url}/clock"
    assert 200 == (await http.post(url, json={"advance_s": 3600})).status_code
    assert 3600 <= (emulator.world.clock.now() - before).total_seconds()
    assert 400 == (await http.post(url, json={"advance_s": -1})).status_code


async def test_malformed_json_and_unknown_paths_are_clean_errors(emulator, http):
    """No input of a client becomes a traceback."""
    control = emulator.urls.control_url
    broken = await http.post(f"{control}/clock", content=b"{")
    assert 400 == broken.status_code
    assert "error" in broken.json()
    assert 404 == (await http.get(f"{control}/nothing")).status_code
    assert 405 == (await http.get(f"{control}/clock")).status_code
    assert 404 == (await http.get(control.replace("_control", "elsewhere"))).status_code


async def test_one_person_is_one_caller_however_the_token_is_sent(loaded, http):
    """A PAT in basic auth and a bearer token with the same text are the same caller."""
    basic = base64.b64encode(f":{loaded.token}".encode()).decode()
    await http.get(project_url(loaded), headers={"Authorization": f"Basic {basic}"})
    claims = base64.urlsafe_b64encode(b'{"oid":"ABC","idtyp":"app"}').decode().rstrip("=")
    await http.get(project_url(loaded), headers={"Authorization": f"Bearer h.{claims}.s"})
    log = (await http.get(f"{loaded.urls.control_url}/requests")).json()["requests"]
    assert [loaded.world.default_caller.id, "abc"] == [entry["caller"] for entry in log]


def test_the_process_ends_cleanly_on_sigterm_and_leaves_no_temporary_folder(tmp_path):
    """Started as a process it prints its URLs, and SIGTERM is exit code 0."""
    ready = tmp_path / "ready.json"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, str(ready)],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        urls = json.loads(ready.read_text())
        assert urls["fabric_url"] in line
        assert 200 == httpx.get(f"{urls['control_url']}/requests").status_code
        assert [] != list(temporary.iterdir())
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert (0, "") == (process.returncode, err)
    assert [] == list(temporary.iterdir())


async def test_a_taken_port_is_an_error_and_not_a_hang(emulator):
    """Two emulators can not share a port."""
    port = httpx.URL(emulator.urls.fabric_url).port
    other = Emulator(EmulatorOptions(port=port))
    root: Path = other.world.repos.root.parent
    assert root.exists()
    with pytest.raises(OSError, match="in use"):
        await other.start()
    assert not root.exists()
