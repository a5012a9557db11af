"""Two applies on one estate, as real processes: one proceeds, and the other learns whose turn it is."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from azurite_process import KEY, Azurite
from bench import Bench, Result
from small_estate import exists, workspaces, write_spec
from terminal import on_a_terminal

ASKED = "Enter a value: "
ME = f"{getpass.getuser()}@{socket.gethostname()}"
NEW = [{"name": name, "create": True} for name in ("One", "Two", "Three")]


@dataclass
class Place:
    """Where a test locks: the flags and the environment that say so."""

    flags: tuple[str, ...]
    environ: dict[str, str]
    azurite: Azurite | None = None
    container: str = ""


@pytest.fixture
def blobs(azurite: Azurite) -> Place:
    """Return a container of its own."""
    name = f"c{uuid.uuid4().hex}"
    environ = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
    return Place(("--lock", azurite.container(name)), environ, azurite, name)


@pytest.fixture(params=["local", "azblob"])
def place(request: pytest.FixtureRequest) -> Place:
    """Return each place a lock can be."""
    if request.param == "local":
        return Place((), {})
    found: Place = request.getfixturevalue("blobs")
    return found


@pytest.fixture
def spec_file(bench: Bench) -> Path:
    """Let nothing but capacities exist, and return a spec of three workspaces."""
    exists(bench)
    return write_spec(bench, workspaces(*NEW))


def _created(bench: Bench) -> list[str]:
    return [
        r["path"] for r in bench.writes() if r["path"].endswith("/workspaces") and r["status"] < 300
    ]


def _command(result: Result) -> list[str]:
    """Return the command that a refusal offers to paste."""
    (said,) = re.findall(r"if it is gone: reconciler (.*)", result.err)
    return shlex.split(said)


def test_exactly_one_of_two_applies_proceeds(bench: Bench, place: Place, spec_file: Path) -> None:
    """Guards the lock from before the plan until the end, the question included."""
    with on_a_terminal(bench, "apply", spec_file, *place.flags, **place.environ) as first:
        first.wait_for(ASKED)
        bench.control("DELETE", "/requests")
        second = bench.apply(spec_file, *place.flags, expect=3, **place.environ)
        assert [] == bench.requests()
        whose = rf"the estate sales is locked by {ME} \(run \w{{12}}, process {first.process.pid}\)"
        assert re.search(rf"^error: {whose} since ", second.err)
        assert "hint: wait for that run with --lock-timeout 5m, or, if it is gone: " in second.err
        # Reading asks nobody.
        assert 0 == bench.run("plan", spec_file).code
        assert 2 == bench.run("drift", spec_file, expect=2).code
        first.type("yes\n")
        assert 0 == first.end(), first.text
    assert 3 == len(_created(bench))
    third = bench.apply(spec_file, *place.flags, **place.environ)
    assert "No changes." in third.out


def test_a_run_that_waits_gets_its_turn(bench: Bench, place: Place, spec_file: Path) -> None:
    """Guards --lock-timeout: it says whom it waits for, then plans what is there by then."""
    with on_a_terminal(bench, "apply", spec_file, *place.flags, **place.environ) as first:
        first.wait_for(ASKED)
        words = ("apply", spec_file, "--auto-approve", "--lock-timeout", "1m", *place.flags)
        with on_a_terminal(bench, *words, **place.environ) as second:
            second.wait_for("Waiting: the estate sales is locked by ")
            first.type("yes\n")
            assert 0 == first.end()
            assert 0 == second.end()
            assert "No changes. The estate matches the spec." in second.text
    assert 3 == len(_created(bench))


def test_a_plan_file_is_checked_under_the_lock(bench: Bench, spec_file: Path) -> None:
    """Guards that apply FILE locks too, and before it reads anything."""
    bench.run("plan", spec_file, "--out", "plan.json")
    with on_a_terminal(bench, "apply", spec_file) as first:
        first.wait_for(ASKED)
        bench.control("DELETE", "/requests")
        assert "is locked by" in bench.run("apply", "plan.json", expect=3).err
        assert [] == bench.requests()
        assert "Apply complete." in bench.run("apply", "plan.json", "--no-lock").out
        first.type("no\n")
        assert 3 == first.end()
    assert "the plan is stale" in bench.run("apply", "plan.json", expect=3).err


def test_other_estates_and_other_folders_are_not_locked_out(bench: Bench, spec_file: Path) -> None:
    """Guards that the local lock is of one estate in one folder."""
    other = workspaces(*NEW)
    other["metadata"] = {"name": "other"}
    with on_a_terminal(bench, "apply", spec_file) as first:
        first.wait_for(ASKED)
        bench.apply(write_spec(bench, other, "other.yaml"))
        away = Bench(bench.folder / "away", bench.ready, bench.environ)
        away.folder.mkdir()
        assert "No changes." in away.apply(spec_file).out


def test_ctrl_c_at_the_question_gives_the_lock_back(
    bench: Bench, place: Place, spec_file: Path
) -> None:
    """Guards that the next run need not wait for one that was cut off."""
    with on_a_terminal(bench, "apply", spec_file, *place.flags, **place.environ) as first:
        first.wait_for(ASKED)
        first.press_ctrl_c()
        assert 130 == first.end()
    assert 0 == bench.apply(spec_file, *place.flags, **place.environ).code


def test_a_killed_run_leaves_no_local_lock(bench: Bench, spec_file: Path) -> None:
    """Guards that nobody has to clean up after a crash; what it left is only a note."""
    with on_a_terminal(bench, "apply", spec_file) as first:
        first.wait_for(ASKED)
        command = _command(bench.apply(spec_file, expect=3))
        alive = bench.run(*command, "--auto-approve", expect=3)
        assert f"process {first.process.pid} on this machine still runs" in alive.err
        first.process.kill()
    said = bench.run(*command, "--auto-approve").out
    assert f"The estate sales is locked by {ME} (run " in said
    assert said.endswith("The lock of the estate sales is removed.\n")
    assert "no lock with the id" in bench.run(*command, "--auto-approve", expect=1).err
    assert 0 == bench.apply(spec_file).code


def test_a_lock_is_only_ended_with_a_yes(bench: Bench, blobs: Place, spec_file: Path) -> None:
    """Guards force-unlock: it says whose lock it is and asks; the run stops before it writes."""
    with on_a_terminal(bench, "apply", spec_file, *blobs.flags, **blobs.environ) as first:
        first.wait_for(ASKED)
        command = _command(bench.apply(spec_file, *blobs.flags, expect=3, **blobs.environ))
        nobody = bench.run(*command, expect=3, **blobs.environ)
        assert f"The estate sales is locked by {ME} (run " in nobody.out
        assert "approval is missing" in nobody.err
        for answer, code in (("y\n", 3), ("yes\n", 0)):
            with on_a_terminal(bench, *command, **blobs.environ) as asked:
                asked.wait_for(ASKED)
                asked.type(answer)
                assert code == asked.end(), asked.text
        first.type("yes\n")
        assert 1 == first.end()
        assert "the lock of the estate sales was lost: somebody released its lease" in first.text
    assert [] == _created(bench)
    bench.apply(spec_file, *blobs.flags, **blobs.environ)
    assert 3 == len(_created(bench))


@pytest.fixture
def in_the_middle(bench: Bench, blobs: Place, spec_file: Path) -> Iterator[subprocess.Popen[str]]:
    """Stop an apply while its first write is under way; yields the process."""
    bench.fault({"method": "POST", "route": "workspaces.create"}, delay_s=1.0)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "reconciler", "apply", str(spec_file)),
            *("--auto-approve", "--parallelism", "1", *blobs.flags),
        ],
        cwd=bench.folder,
        env={**bench.environ, **blobs.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end_s = time.monotonic() + 60
    while bench.control("GET", "/faults")["faults"][0]["fired"] == 0:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end_s
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGSTOP)
    yield process
    process.kill()
    process.communicate()


def test_a_lease_lost_in_the_middle_stops_the_run_before_its_next_write(
    bench: Bench, blobs: Place, spec_file: Path, in_the_middle: subprocess.Popen[str]
) -> None:
    """Guards fencing: what was sent is followed to its end, and nothing more is sent."""
    assert blobs.azurite is not None
    blobs.azurite.break_lease(blobs.container)
    os.kill(in_the_middle.pid, signal.SIGCONT)
    out, _ = in_the_middle.communicate(timeout=60)
    assert 1 == in_the_middle.returncode, out
    assert 1 == len(_created(bench))
    assert 1 == len([r for r in bench.writes() if r["service"] == "fabric"])
    table = out[out.index("Apply did not complete: 1 done, 1 failed, 1 skipped.") :]
    lost = "the lock of the estate sales was lost: somebody broke its lease; nothing more is sent"
    assert re.search(r"^  done +workspaces/One \(workspace.create\)", table, re.MULTILINE)
    assert re.search(
        rf"^  failed +workspaces/T\w+ \(workspace.create\) +{re.escape(lost)}", table, re.MULTILINE
    )
    assert f"not started: {lost}" in table
    assert "what was sent goes on at the service" in table


def test_while_one_run_stands_still_another_one_takes_over(
    bench: Bench, blobs: Place, spec_file: Path, in_the_middle: subprocess.Popen[str]
) -> None:
    """Guards that after a force-unlock two runs never write side by side."""
    command = _command(bench.apply(spec_file, *blobs.flags, expect=3, **blobs.environ))
    bench.run(*command, "--auto-approve", **blobs.environ)
    second = bench.apply(spec_file, *blobs.flags, **blobs.environ)
    assert "Apply complete." in second.out
    os.kill(in_the_middle.pid, signal.SIGCONT)
    out, _ = in_the_middle.communicate(timeout=60)
    assert 1 == in_the_middle.returncode, out
    assert "the lock of the estate sales was lost" in out
    assert 3 == len(_created(bench))


def test_no_key_is_shown(bench: Bench, blobs: Place, spec_file: Path) -> None:
    """Guards the connection string in everything a run prints, with the request log on."""
    result = bench.apply(spec_file, *blobs.flags, "--verbose", **blobs.environ)
    wrong = bench.apply(
        *(spec_file, "--lock", "azblob://another/locks", "--verbose"), expect=64, **blobs.environ
    )
    assert "is for the storage account devstoreaccount1, and --lock names another" in wrong.err
    assert KEY not in result.text + wrong.text
