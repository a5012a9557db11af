"""An apply that is cut off, at any moment and in any way, is finished by the next one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, write_item
from small_estate import exists, pipeline, write_spec

BUSY = {
    "status": 409,
    "body": {"errorCode": "WorkspacePreviousOperationInProgress", "message": "an update runs"},
}
FRESH = "00000000-0000-4000-8000-00000000f4e5"
_WAIT_S = 30


@contextmanager
def _started(bench: Bench, *args: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command and leave it running; it never outlives the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler", *map(str, args)],
        cwd=bench.folder,
        env=bench.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _until(true: Callable[[], object], process: subprocess.Popen[str]) -> None:
    end_s = time.monotonic() + _WAIT_S
    while not true():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end_s
        time.sleep(0.02)


def _records(bench: Bench) -> list[dict[str, Any]]:
    """Return the records of all journals, oldest run first."""
    return [
        json.loads(line)
        for path in sorted(bench.folder.glob(".reconciler/journals/*/*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def _noted(bench: Bench, kind: str) -> list[dict[str, Any]]:
    return [r for r in _records(bench) if r["type"] == kind]


def _polls(bench: Bench) -> list[str]:
    return [
        str(r["path"]).rsplit("/", 1)[-1]
        for r in bench.requests(method="GET")
        if "/v1/operations/" in str(r["path"])
    ]


def _fired(bench: Bench) -> int:
    return int(bench.control("GET", "/faults")["faults"][0]["fired"])


def _effects(bench: Bench) -> list[str]:
    return sorted(
        f"{r['method']} {str(r['route']).rsplit('/', 1)[-1]}"
        for r in bench.requests()
        if r["effect"] and r["method"] != "GET" and r["service"] in {"fabric", "azdo"}
    )


@pytest.fixture
def moved(bench: Bench) -> Path:
    """Return a spec whose apply updates a workspace and then deploys the new item.

    Pairing alone decides, so that the only operations there are belong to writes.
    """
    exists(bench)
    clone = bench.clone("Sales", "fabric-sales")
    fresh = write_item(clone / "fabric", "Notebook", "Fresh", FRESH, {"notebook-content.py": "1\n"})
    bench.push_file(clone, str((fresh / "more.py").relative_to(clone)), "2\n")
    bench.control("DELETE", "/requests")
    deployment = {"from": "Development", "to": "Test", "compare": "pairing"}
    return write_spec(bench, pipeline(deployments=[deployment]))


def _cut_off(bench: Bench, spec_file: Path, *numbers: signal.Signals) -> tuple[int, str]:
    """Apply, send signals while the update is being waited for, and return code and output."""
    bench.fault({"route": "operations.get"}, hang="before")
    with _started(bench, "apply", spec_file, "--auto-approve") as process:
        _until(lambda: _fired(bench), process)
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.2)  # two signals at once would be one
        out, _ = process.communicate(timeout=_WAIT_S)
    bench.control("DELETE", "/faults")
    return process.returncode, out


def test_a_killed_apply_is_taken_over_by_the_operation_id_in_its_journal(
    bench: Bench, moved: Path
) -> None:
    """Guards resuming: the next run says so, polls the operation first, and repeats nothing."""
    code, _ = _cut_off(bench, moved, signal.SIGKILL)
    assert -signal.SIGKILL == code
    (operation,) = _noted(bench, "operation")
    (run,) = _noted(bench, "run")
    bench.control("DELETE", "/requests")
    result = bench.apply(moved)
    assert f"Run {run['run']} of" in result.err
    assert "was cut off; this one takes over." in result.err
    assert f"git.update workspaces/Sales Dev/git of run {run['run']}: succeeded." in result.err
    assert operation["operation_id"] == _polls(bench)[0]
    assert "/v1/operations/" in str(bench.requests(service="fabric")[0]["path"])
    assert ["POST deploy"] == _effects(bench)
    assert "Apply complete." in result.out
    assert [] == bench.kinds(moved)


def test_without_the_journal_the_next_run_converges_all_the_same(bench: Bench, moved: Path) -> None:
    """Guards a fresh CI runner, which has no journal: live state is enough."""
    _cut_off(bench, moved, signal.SIGKILL)
    bench.control("DELETE", "/requests")
    result = bench.apply(moved, "--journal", bench.folder / "elsewhere")
    assert "cut off" not in result.text
    assert ["POST deploy"] == _effects(bench)
    assert [] == bench.kinds(moved)


def test_ctrl_c_lets_what_is_under_way_finish_and_starts_nothing_more(
    bench: Bench, moved: Path
) -> None:
    """Guards draining: the update ends, the deployment is not begun, the exit code is 130."""
    bench.fault({"route": "operations.get"}, delay_s=1.0)
    with _started(bench, "apply", moved, "--auto-approve") as process:
        _until(lambda: _noted(bench, "operation"), process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=_WAIT_S)
    assert 130 == process.returncode, out
    assert "Interrupted: nothing more is started; waiting for 1 action under way." in out
    assert "workspaces/Sales Dev/git: done after" in out
    assert "skipped: not started: the run was interrupted" in out
    assert "Traceback" not in out
    assert ["POST updateFromGit"] == _effects(bench)
    assert "interrupted" == _noted(bench, "end")[0]["result"]
    result = bench.apply(moved)
    assert "cut off" not in result.err
    assert [] == bench.kinds(moved)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once_and_the_next_run_resumes(
    bench: Bench, moved: Path, number: signal.Signals
) -> None:
    """Guards detaching: the operation goes on at the service and is taken over by its id."""
    code, out = _cut_off(bench, moved, number, number)
    assert 130 == code, out
    assert "Traceback" not in out
    assert [] == _noted(bench, "end")
    result = bench.apply(moved)
    assert "git.update workspaces/Sales Dev/git of run" in result.err
    assert ["POST deploy", "POST updateFromGit"] == _effects(bench)
    assert [] == bench.kinds(moved)


def test_a_signal_while_reading_leaves_at_once(bench: Bench, moved: Path) -> None:
    """Guards that nothing has to be waited for while nothing is written."""
    bench.fault({"route": "git.status"}, hang="before")
    with _started(bench, "plan", moved) as process:
        _until(lambda: _fired(bench), process)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=_WAIT_S)
    assert 130 == process.returncode, out
    assert "Interrupted." in out


def test_an_update_somebody_else_started_is_waited_for(bench: Bench, moved: Path) -> None:
    """Guards an apply that finds the workspace busy: it waits and says for what, then plans."""
    bench.fault({"route": "git.status"}, answer=BUSY)
    result = bench.apply(moved)
    assert "Waiting for an operation of the workspace to end." in result.err
    assert "Apply complete." in result.out


def test_a_mere_plan_of_a_busy_workspace_says_that_it_cannot_be_read(
    bench: Bench, moved: Path
) -> None:
    """Guards a pull request from waiting an hour: the plan says unknown, and why."""
    bench.fault({"route": "git.status"}, answer=BUSY)
    plan = bench.plan(moved, expect=1)
    assert "workspaces/Sales Dev/git" in plan["unknown"]


def test_an_intent_that_cannot_be_written_stops_before_anything_is_sent(
    bench: Bench, moved: Path
) -> None:
    """Guards the order: no journal, no write; the message names the folder and the way out."""
    (bench.folder / "taken").write_text("a file, not a folder")
    result = bench.apply(moved, "--journal", bench.folder / "taken", expect=1)
    assert "cannot write the journal" in result.err
    assert "--journal" in result.err
    assert [] == _effects(bench)


def test_a_damaged_journal_is_named_with_its_line_and_stops_nothing(
    bench: Bench, moved: Path
) -> None:
    """Guards that live state decides: the damage is told, with the file, and the apply goes on."""
    _cut_off(bench, moved, signal.SIGKILL)
    (path,) = bench.folder.glob(".reconciler/journals/*/*.jsonl")
    path.write_text("{}\n" + path.read_text())
    result = bench.apply(moved)
    assert ".jsonl:1: this line is no record of a journal" in result.err
    assert [] == bench.kinds(moved)


def test_past_runs_are_listed_and_shown(bench: Bench, moved: Path) -> None:
    """Guards what a person looks at after a night of applies, in text and JSON."""
    assert "No runs in" in bench.run("runs").out
    _cut_off(bench, moved, signal.SIGKILL)
    (run,) = _noted(bench, "run")
    listed = bench.run("runs").out
    assert f"{run['run']}  {run['at'][:19]}Z  unfinished   sales: nothing written" in listed
    shown = bench.run("runs", "show", run["run"][:6]).out
    (operation,) = _noted(bench, "operation")
    assert (
        f"begun        git.update workspaces/Sales Dev/git, operation {operation['operation_id']}"
        in shown
    )
    bench.apply(moved)
    listed = json.loads(bench.run("runs", "--format", "json").out)
    assert ["complete", "unfinished"] == [r["result"] for r in listed["runs"]]
    assert [run["run"]] == listed["runs"][0]["resumes"]
    looked = bench.run("runs", "show", "--operation", operation["operation_id"]).out
    assert f"Operation {operation['operation_id']}: Succeeded" in looked


def test_a_run_or_operation_that_is_not_known_is_one_clear_message(bench: Bench) -> None:
    """Guards exit 1 with the remedy, and 64 for a command that makes no sense."""
    exists(bench)
    assert "there is no run abc" in bench.run("runs", "show", "abc", expect=1).err
    missing = "00000000-0000-4000-8000-000000000000"
    assert (
        "unknown to the service" in bench.run("runs", "show", "--operation", missing, expect=1).err
    )
    assert "runs show ID" in bench.run("runs", "shaw", "x", expect=64).err


def test_a_plan_file_is_used_once_and_the_second_time_nothing_is_sent(
    bench: Bench, moved: Path
) -> None:
    """Guards single use: the second apply of a file names the run that used it."""
    bench.run("plan", moved, "--out", "p.json")
    bench.run("apply", "p.json")
    (run,) = _noted(bench, "run")
    bench.control("DELETE", "/requests")
    result = bench.run("apply", "p.json", expect=3)
    assert f"run {run['run']} has used it already" in result.err
    assert [] == bench.requests()
