"""What a kept folder keeps: rows of what changed, one transaction per request, one owner."""

import dataclasses
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import get_args, get_type_hints

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.emulator.azdo.state import AzdoState
from reconciler.emulator.fabric.state import FabricState, Item, Workspace
from reconciler.emulator.github_state import GitHubState
from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.persist import decode, dumps, encode
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.server import Emulator
from reconciler.emulator.store import FILE, Store
from reconciler.emulator.tracking import Part, Tracked, TrackedDict, TrackedList, adopt
from reconciler.emulator.world import Pending

MAIN = (
    "import sys; from pathlib import Path; from reconciler.emulator.options import *;"
    "from reconciler.emulator.server import main;"
    "sys.exit(main(EmulatorOptions("
    "ready_file=Path(sys.argv[1]), data=Path(sys.argv[2]), speed='instant')))"
)
ESTATE = {
    "capacities": [{"name": "F8"}],
    "azureDevOps": [
        {
            "organization": "contoso",
            "projects": [{"name": "Sales", "repositories": [{"name": "r", "content": "items"}]}],
        }
    ],
}


def rows(data: Path, shelf: str) -> dict[str, dict]:
    """The rows of a shelf as they stand in the file of a stopped emulator."""
    with closing(sqlite3.connect(data / FILE)) as connection:
        found = connection.execute("SELECT key, value FROM objects WHERE shelf = ?", (shelf,))
        return {key: json.loads(value) for key, value in found}


class Process:
    """An emulator process on a folder, with a client."""

    def __init__(self, folder: Path) -> None:
        ready = folder / "ready.json"
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-c", MAIN, str(ready), str(folder / "data")]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        if not self.line:
            return
        self.urls = json.loads(ready.read_text())
        self.http = httpx.Client(
            headers={"Authorization": f"Bearer {self.urls['token']}"}, timeout=60, trust_env=False
        )

    def fabric(self, method: str, path: str, body: object = None) -> dict:
        """Call the Fabric API; the answer must be a success."""
        answer = self.http.request(method, f"{self.urls['fabric_url']}/v1{path}", json=body)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else {}

    def end(self, how: signal.Signals) -> str:
        """End the process and return what it wrote as errors."""
        if self.line:
            self.http.close()
        self.process.send_signal(how)
        return self.process.communicate(timeout=30)[1]


def test_a_killed_process_loses_nothing_that_was_answered(tmp_path, items_folder):
    """SIGKILL right after an answer: the next process knows it, content and repositories too."""
    ids: list[str] = []
    first = Process(tmp_path)
    body = {**ESTATE, "base": str(items_folder.parent)}
    assert 200 == first.http.post(f"{first.urls['control_url']}/scenario", json=body).status_code
    first.end(signal.SIGKILL)
    for name in ("one", "two", "three"):
        process = Process(tmp_path)
        made = process.fabric("POST", "/workspaces", {"displayName": name})
        item = {"displayName": "P", "type": "DataPipeline"}
        process.fabric("POST", f"/workspaces/{made['id']}/items", item)
        ids.append(made["id"])
        process.end(signal.SIGKILL)
    last = Process(tmp_path)
    try:
        found = last.fabric("GET", "/workspaces")["value"]
        assert [("one", ids[0]), ("two", ids[1]), ("three", ids[2])] == [
            (entry["displayName"], entry["id"]) for entry in found
        ]
        for workspace in ids:
            item = last.fabric("GET", f"/workspaces/{workspace}/items")["value"][0]
            path = f"/workspaces/{workspace}/items/{item['id']}/getDefinition"
            parts = last.fabric("POST", path)["definition"]["parts"]
            assert "pipeline-content.json" in {part["path"] for part in parts}
        url = f"{last.urls['devops_url']}/contoso/Sales/_apis/git/repositories/r/refs"
        assert 1 == len(last.http.get(url).json()["value"])
    finally:
        assert "" == last.end(signal.SIGTERM)


def test_a_folder_belongs_to_one_emulator_until_it_ends(tmp_path):
    """A second process says whose the folder is and exits with 1; a killed owner frees it."""
    first = Process(tmp_path)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "data").symlink_to(tmp_path / "data")
    second = Process(tmp_path / "second")
    assert "" == second.line
    said = second.process.communicate(timeout=30)[1]
    assert 1 == second.process.returncode
    assert f"is in use by another emulator (process {first.process.pid})" in said
    assert "Traceback" not in said
    assert 200 == first.http.get(f"{first.urls['control_url']}/requests").status_code
    first.end(signal.SIGKILL)
    third = Process(tmp_path)
    assert "fabric" in third.line
    third.end(signal.SIGTERM)


async def test_a_folder_is_refused_in_the_same_process_too(start_emulator, tmp_path):
    """The owner keeps its folder and its lock when somebody else tried."""
    await start_emulator(data=tmp_path / "data")
    for _ in range(2):
        with pytest.raises(ValueError, match="in use"):
            await Emulator(EmulatorOptions(data=tmp_path / "data")).start()
    assert str(os.getpid()) == (tmp_path / "data" / "state.pid").read_text()


async def test_a_kept_folder_gives_the_same_world_after_a_restart(
    start_emulator, tmp_path, http, items_folder
):
    """Repositories, state and pending work survive; ids stay the same."""
    first = await start_emulator(data=tmp_path / "data")
    body = {**ESTATE, "base": str(items_folder.parent)}
    await http.post(f"{first.urls.control_url}/scenario", json=body)
    path = "/contoso/Sales/_apis/git/repositories/r"
    before = (await http.get(first.urls.devops_url + path)).json()
    refs = (await http.get(f"{first.urls.devops_url}{path}/refs")).json()
    await first.stop()
    assert "r" == next(iter(rows(tmp_path / "data", "azdo.repositories").values()))["name"]
    second = await start_emulator(data=tmp_path / "data")
    after = (await http.get(second.urls.devops_url + path)).json()
    assert (before["id"], before["defaultBranch"]) == (after["id"], after["defaultBranch"])
    again = (await http.get(f"{second.urls.devops_url}{path}/refs")).json()
    assert [ref["objectId"] for ref in refs["value"]] == [ref["objectId"] for ref in again["value"]]


async def test_half_a_scenario_is_not_kept(tmp_path, items_folder):
    """After a failed start the folder has no state, so that the next start loads the scenario."""
    scenario = items_folder.parent / "scenario.yaml"
    good = "github: [{owner: a, repository: b, content: items}]\n"
    scenario.write_text(f"{good}azureDevOps: [{{organization: o, projects: [{{}}]}}]\n")
    data = tmp_path / "data"
    with pytest.raises(ScenarioError, match="projects"):
        await Emulator(EmulatorOptions(data=data, scenario=scenario)).start()
    assert {} == rows(data, "github.repositories")
    scenario.write_text(good)
    emulator = Emulator(EmulatorOptions(data=data, scenario=scenario))
    await emulator.start()
    await emulator.stop()
    assert ["github/a/b"] == list(rows(data, "github.repositories"))


async def test_after_a_reset_a_kept_folder_is_empty(start_emulator, tmp_path, http, items_folder):
    """Nothing of what was there comes back with the next start, bytes included."""
    emulator = await start_emulator(data=tmp_path / "data")
    body = {**ESTATE, "base": str(items_folder.parent)}
    await http.post(f"{emulator.urls.control_url}/scenario", json=body)
    digest = emulator.world.blobs.put(b"some content")
    await http.post(f"{emulator.urls.control_url}/reset")
    with pytest.raises(KeyError):
        emulator.world.blobs.get(digest)
    await emulator.stop()
    assert {} == rows(tmp_path / "data", "azdo.repositories")
    again = await start_emulator(data=tmp_path / "data")
    assert {} == again.world.azdo.organizations


async def test_a_request_writes_the_rows_it_changed_and_no_others(
    start_emulator, tmp_path, http, items_folder
):
    """What a change costs does not grow with the estate; a read writes nothing."""
    emulator = await start_emulator(data=tmp_path / "data")
    workspaces = [{"name": f"W{n}", "items": "real"} for n in range(30)]
    item = items_folder.parent / "real" / "A.Notebook"
    item.mkdir(parents=True)
    config = {"version": "2.0", "logicalId": "11111111-0000-4000-8000-000000000001"}
    platform = {"metadata": {"type": "Notebook", "displayName": "A"}, "config": config}
    (item / ".platform").write_text(json.dumps(platform))
    body = {**ESTATE, "workspaces": workspaces, "base": str(items_folder.parent)}
    assert 200 == (await http.post(f"{emulator.urls.control_url}/scenario", json=body)).status_code
    statements: list[str] = []
    connection = emulator.world._store._connection
    assert connection is not None
    connection.set_trace_callback(statements.append)

    def written() -> list[str]:
        """The rows of objects that were written since the last time this was asked."""
        found = [re.search(r"INTO objects .* VALUES \('([^']*)', '([^']*)'", s) for s in statements]
        statements.clear()
        return [f"{hit[1]} {hit[2]}" for hit in found if hit]

    chosen = next(iter(emulator.world.fabric.workspaces.values()))
    url = f"{emulator.urls.fabric_url}/v1/workspaces/{chosen.id}"
    assert 200 == (await http.get(f"{emulator.urls.fabric_url}/v1/workspaces")).status_code
    assert 200 == (await http.get(f"{url}/items")).status_code
    assert [] == written()
    await http.patch(url, json={"description": "new"})
    assert [f"fabric.workspaces {chosen.id}"] == written()
    only = next(iter(chosen.items))
    await http.patch(f"{url}/items/{only}", json={"description": "new"})
    assert [f"fabric.workspaces/part {chosen.id}"] == written()
    await http.delete(f"{url}/items/{only}")
    assert [f"fabric.workspaces/part {chosen.id}"] == written()


async def test_items_are_read_when_they_are_first_asked_for(start_emulator, tmp_path, http):
    """A start reads no workspace's items; a change of the workspace alone keeps them."""
    first = await start_emulator(data=tmp_path / "data")
    url = f"{first.urls.fabric_url}/v1/workspaces"
    made = (await http.post(url, json={"displayName": "W"})).json()["id"]
    await http.post(f"{url}/{made}/items", json={"displayName": "P", "type": "DataPipeline"})
    await first.stop()
    second = await start_emulator(data=tmp_path / "data")
    url = f"{second.urls.fabric_url}/v1/workspaces/{made}"
    workspace = second.world.fabric.workspaces[made]
    await http.patch(url, json={"description": "new"})
    assert workspace.part.load is not None
    found = (await http.get(f"{url}/items")).json()["value"]
    assert ["P"] == [item["displayName"] for item in found]
    assert workspace.part.load is None


def content(path: Path) -> object:
    """All that a file holds, whatever pages of it the database library touched."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            version = connection.execute("PRAGMA user_version").fetchone()
            return version, list(connection.iterdump())
        except sqlite3.DatabaseError:
            return path.read_bytes()


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database at all, " * 100)


def _other_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")


def _broken_row(path: Path) -> None:
    store = Store(path.parent, kept=True)
    store.put_meta("world", '{"offset_s":0,"ids_drawn":0}')
    store.put_rows([("fabric.workspaces", "x", "[1]")])
    store.commit()
    store.close()


def _broken_meta(path: Path) -> None:
    store = Store(path.parent, kept=True)
    store.put_meta("world", "{")
    store.commit()
    store.close()


@pytest.mark.parametrize("broken", [_garbage, _other_version, _broken_row, _broken_meta])
async def test_a_broken_state_file_is_refused_and_left_as_it_is(tmp_path, broken):
    """What can not be read is told in one line, and never overwritten."""
    path = tmp_path / FILE
    broken(path)
    before = content(path)
    emulator = Emulator(EmulatorOptions(data=tmp_path))
    with pytest.raises(ValueError, match=r"state\.sqlite"):
        await emulator.start()
    assert before == content(path)


# -- noticing changes --


def _state_classes(kind: type, found: set[type]) -> None:
    if kind in found:
        return
    found.add(kind)
    for hint in get_type_hints(kind).values():
        for part in (hint, *get_args(hint)):
            if isinstance(part, type) and dataclasses.is_dataclass(part):
                _state_classes(part, found)


def test_every_class_of_the_state_notices_its_changes():
    """A state class that does not would lose what handlers do to it."""
    found: set[type] = set()
    for kind in (FabricState, AzdoState, GitHubState, Pending):
        _state_classes(kind, found)
    assert 25 <= len(found)
    assert [] == [kind.__name__ for kind in found if not issubclass(kind, Tracked)]


async def test_state_survives_json(loaded):
    """Decoding what was encoded gives equal state, defaults left out or not."""
    for section in (loaded.world.azdo, loaded.world.github, loaded.world.fabric):
        assert section == decode(type(section), json.loads(json.dumps(encode(section))))
        assert section == decode(type(section), json.loads(dumps(section)))


class Witness:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.told = 0

    def changed(self) -> None:
        """Count."""
        self.told += 1


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)
CHANGES = [
    lambda d, v: d.__setitem__("k", v),
    lambda d, v: d.update(a=v),
    lambda d, v: d.__ior__({"b": v}),
    lambda d, v: d.setdefault("fresh", [v]).append(v),
    lambda d, v: d.setdefault("list", []).extend([v, v]),
    lambda d, v: d.setdefault("list", []).insert(0, v),
    lambda d, v: d["list"].__setitem__(slice(0, 1), [v]),
    lambda d, v: d["list"].__setitem__(0, v),
    lambda d, v: d["list"].pop(),
    lambda d, v: d["list"].remove(d["list"][0]),
    lambda d, v: d["list"].reverse(),
    lambda d, v: d["list"].sort(key=str),
    lambda d, v: d["list"].__iadd__([v]),
    lambda d, v: d["list"].__imul__(2),
    lambda d, v: d["list"].clear(),
    lambda d, v: d["list"].__delitem__(0),
    lambda d, v: d.setdefault("deep", {"x": {"y": []}})["x"]["y"].append(v),
    lambda d, v: d.__delitem__("k"),
    lambda d, v: d.pop("a"),
    lambda d, v: d.popitem(),
    lambda d, v: d.clear(),
]


@given(st.lists(st.tuples(st.sampled_from(CHANGES), VALUES), max_size=25))
def test_tracked_containers_are_the_plain_ones_and_tell_of_every_change(changes):
    """Any sequence of changes leaves the same value as on plain ones, and none goes unnoticed."""
    witness = Witness()
    plain: dict = {}
    tracked = TrackedDict({}, witness)
    for change, value in changes:
        told, before = witness.told, json.dumps(plain)
        try:
            change(plain, json.loads(json.dumps(value)))
        except (KeyError, IndexError) as error:
            with pytest.raises(type(error)):
                change(tracked, value)
        else:
            change(tracked, value)
        assert plain == tracked
        if before != json.dumps(plain):
            assert told < witness.told


def test_a_list_that_two_own_is_two_lists():
    """A change of the one neither shows in the other nor goes unnoticed."""
    mine, theirs = Witness(), Witness()
    first = adopt([[1]], mine)
    second = adopt(first, theirs)
    first[0].append(2)
    assert [[1]] == second
    assert (1, 0) == (mine.told, theirs.told)
    assert isinstance(second[0], TrackedList)


def test_what_could_change_unnoticed_is_refused():
    """Sets and foreign objects can not be part of the state."""
    with pytest.raises(TypeError, match="set"):
        adopt({1}, Witness())


def test_a_change_of_an_item_moves_the_version_of_the_workspaces_part_only():
    """Names and bindings do not invalidate what follows from items, and the other way round."""
    workspace = Workspace(id="w", name="W")
    item = Item(id="i", logical_id="l", type="Notebook", name="A", parts={"a": "b"})
    workspace.items["i"] = item
    part: Part = workspace.part
    seen = [part.version]
    workspace.name = "other"
    assert seen == [part.version]
    for change in (
        lambda: item.parts.update(a="c"),
        lambda: setattr(item, "name", "B"),
        lambda: workspace.items.pop("i"),
        lambda: setattr(workspace, "folders", {}),
    ):
        change()
        assert part.version not in seen
        seen.append(part.version)
