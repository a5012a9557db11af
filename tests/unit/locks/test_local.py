"""The local lock: one at a time, gone with its process, and a note that says whose it is."""

from __future__ import annotations

import dataclasses
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.clock import ManualClock
from reconciler.errors import LockFailed, LockHeld, LockLost
from reconciler.locks.holder import LockHolder
from reconciler.locks.local import LocalLock, find_local, force_unlock_local

from .stepped import a_holder, nobody_told

HOLD = """
import asyncio, sys
from pathlib import Path
from reconciler.clock import SystemClock
from reconciler.locks.holder import this_process
from reconciler.locks.local import LocalLock

async def hold():
    clock = SystemClock()
    lock = LocalLock(this_process("sales", run="other", clock=clock), clock=clock,
                     folder=Path(sys.argv[1]))
    await lock.acquire(timeout_s=0, on_wait=print)
    print("held", flush=True)
    sys.stdin.readline()

asyncio.run(hold())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the locks are."""
    return tmp_path / ".reconciler" / "locks"


@pytest.fixture
def other_process(folder: Path):
    """Hold the lock in another process; yields it."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "held\n" == process.stdout.readline()
        yield process
        process.kill()


def lock_of(folder: Path, holder: LockHolder | None = None, clock: ManualClock | None = None):
    """Return a lock of the estate."""
    return LocalLock(holder or a_holder(), clock=clock or ManualClock(), folder=folder)


async def test_the_second_is_refused_and_told_who_the_first_is(folder, other_process):
    """Guards mutual exclusion between processes, and the words of the refusal."""
    with pytest.raises(LockHeld) as refused:
        await lock_of(folder).acquire(timeout_s=0, on_wait=nobody_told)
    note, _ = find_local(refused.value.remedy.split()[-1], folder=folder)
    assert note is not None
    assert 3 == refused.value.exit_code
    assert f"the estate sales is locked by {note.owner} (run other, process " in str(refused.value)
    assert other_process.pid == note.pid
    assert f"reconciler force-unlock {note.lock_id}" in refused.value.remedy


async def test_a_killed_process_leaves_no_lock(folder, other_process):
    """Guards that the operating system lets go of what nobody holds; only the note stays."""
    other_process.kill()
    other_process.wait()
    assert 1 == len(find_local("", folder=folder)[1])
    lock = lock_of(folder)
    await lock.acquire(timeout_s=0, on_wait=nobody_told)
    await lock.renew()
    await lock.release()
    assert [] == find_local("", folder=folder)[1]


async def test_the_note_of_a_killed_run_is_not_taken_for_the_holder(folder, other_process):
    """Guards that a refusal never names a run that is gone."""
    note = next(folder.glob("*.json"))
    gone = dataclasses.replace(a_holder(run="dead"), pid=2**22 + 1)  # above every process id
    note.write_text(note.read_text().replace(str(other_process.pid), str(gone.pid)))
    clock = ManualClock()
    with pytest.raises(LockHeld) as refused:
        await lock_of(folder, clock=clock).acquire(timeout_s=0, on_wait=nobody_told)
    assert "by a run that has not said who it is" in str(refused.value)
    assert "try again" in refused.value.remedy
    assert 20 == len(clock.slept_s)


async def test_another_run_is_waited_for_by_the_clock_and_told_once(folder, other_process):
    """Guards --lock-timeout: a try a second, and one line about whom it waits for."""
    clock, told = ManualClock(), []
    with pytest.raises(LockHeld):
        await lock_of(folder, clock=clock).acquire(timeout_s=2.5, on_wait=told.append)
    assert [1.0, 1.0, 0.5] == clock.slept_s
    assert 1 == len(told)
    assert "(run other, process " in told[0]


async def test_it_is_taken_when_the_other_lets_go_in_time(folder):
    """Guards that waiting ends with the lock."""
    first = lock_of(folder)
    await first.acquire(timeout_s=0, on_wait=nobody_told)

    class LetsGo(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await first.release()
            await super().sleep(seconds)

    second = lock_of(folder, clock=LetsGo())
    await second.acquire(timeout_s=30, on_wait=lambda _text: None)
    await second.renew()
    await second.release()


async def test_estates_do_not_lock_each_other(folder):
    """Guards that the lock is the estate's, whatever its name is made of."""
    names = ["sales", "Sales EU", "Sales/EU", "..", "ä" * 200, "ä" * 199 + "b"]
    locks = [lock_of(folder, a_holder(name)) for name in names]
    for lock in locks:
        await lock.acquire(timeout_s=0, on_wait=nobody_told)
    assert {folder} == {p.parent for p in folder.parent.rglob("*.lock")}
    assert len(names) == len(list(folder.glob("*.lock")))
    for lock in locks:
        await lock.release()


async def test_the_note_is_for_this_user_only(folder):
    """Guards who can read and write what a run says of itself."""
    lock = lock_of(folder)
    await lock.acquire(timeout_s=0, on_wait=nobody_told)
    modes = {p.suffix: stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()}
    assert {".lock": 0o600, ".json": 0o600} == modes
    assert 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert "*\n" == (folder.parent / ".gitignore").read_text()
    await lock.release()


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_a_lock_whose_file_is_taken_away_is_lost(folder, how):
    """Guards the fence: another run could lock the new file, so nothing more is sent."""
    lock = lock_of(folder)
    await lock.acquire(timeout_s=0, on_wait=nobody_told)
    path = folder / "sales.lock"
    path.unlink()
    if how == "replaced":
        # The new file must not get the inode of the old one, which is still open.
        path.touch()
    with pytest.raises(LockLost) as stopped:
        await lock.renew()
    assert f"{path} was removed or replaced; nothing more is sent" in str(stopped.value)
    await lock.release()


async def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path):
    """Guards the message when no lock can be had at all."""
    (tmp_path / "file").touch()
    with pytest.raises(LockFailed) as failed:
        await lock_of(tmp_path / "file" / "locks").acquire(timeout_s=0, on_wait=nobody_told)
    assert "cannot lock " in str(failed.value)
    assert "Not a directory" in str(failed.value)
    assert "--no-lock" in failed.value.remedy


def test_force_unlock_refuses_while_the_process_lives(folder, other_process):
    """Guards that a running apply on this machine is never cut off."""
    (holder,) = find_local("", folder=folder)[1]
    with pytest.raises(LockHeld) as refused:
        force_unlock_local(holder, folder=folder)
    assert f"process {other_process.pid} on this machine still runs" in str(refused.value)
    assert f"kill {other_process.pid}" in refused.value.remedy
    assert [holder] == find_local("", folder=folder)[1]


def test_force_unlock_removes_what_a_killed_run_left(folder, other_process):
    """Guards that the note goes, and only this one."""
    (holder,) = find_local("", folder=folder)[1]
    other_process.kill()
    other_process.wait()
    force_unlock_local(dataclasses.replace(holder, lock_id=a_holder().lock_id), folder=folder)
    assert [holder] == find_local("", folder=folder)[1]
    force_unlock_local(holder, folder=folder)
    assert [] == find_local("", folder=folder)[1]


async def test_a_lock_held_from_another_machine_can_be_taken(folder):
    """Guards a shared folder: the file goes, and the run that held it stops before it writes."""
    far = dataclasses.replace(a_holder(), owner="ada@elsewhere")
    lock = lock_of(folder, far)
    await lock.acquire(timeout_s=0, on_wait=nobody_told)
    force_unlock_local(far, folder=folder)
    with pytest.raises(LockLost):
        await lock.renew()
    mine = lock_of(folder)
    await mine.acquire(timeout_s=0, on_wait=nobody_told)
    await lock.release()
    await mine.renew()
    assert [os.getpid()] == [h.pid for h in find_local("", folder=folder)[1]]
    await mine.release()


@pytest.mark.parametrize("text", ["", "[]", '{"id": 1}', '{"id": "x"}', "\xff"])
async def test_a_damaged_note_is_no_note(folder, text):
    """Guards that what is written beside the lock cannot break a command."""
    folder.mkdir(parents=True)
    (folder / "sales.json").write_text(text, encoding="latin-1")
    assert (None, []) == find_local("x", folder=folder)
    lock = lock_of(folder)
    await lock.acquire(timeout_s=0, on_wait=nobody_told)
    await lock.release()
