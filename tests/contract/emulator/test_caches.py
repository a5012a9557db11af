"""What is remembered instead of computed is what would be computed."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pygit2
import pytest
from fabric_client import ITEMS, platform, write_items
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconciler.emulator.fabric.catalog import add_item, ensure_folder, remove_item, rename_item
from reconciler.emulator.fabric.committing import run_commit
from reconciler.emulator.fabric.state import Item, Operation, Workspace
from reconciler.emulator.fabric.syncing import branch_tip, compare, status_of
from reconciler.emulator.fabric.updating import apply_update, update_plan
from reconciler.emulator.gitstore import GitStore
from reconciler.emulator.http import Refused, Route
from reconciler.emulator.lru import Lru
from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.router import Router
from reconciler.emulator.scenario import load
from reconciler.emulator.world import World

TEXTS = st.sampled_from(["one", "two", "three"])
ESTATE = {
    "capacities": [{"name": "F8"}],
    "azureDevOps": [
        {
            "organization": "o",
            "projects": [
                {
                    "name": "P",
                    "repositories": [{"name": "r", "content": "items", "directory": "fabric"}],
                }
            ],
        }
    ],
    "workspaces": [
        {
            "name": "W",
            "capacity": "F8",
            "git": {
                "organization": "o",
                "project": "P",
                "repository": "r",
                "branch": "main",
                "directory": "/fabric",
                "synced": True,
            },
        }
    ],
}


class Statuses(RuleBasedStateMachine):
    """Edits, commits, pushes, updates and restarts in any order."""

    folder: Path  # set by the test

    @initialize()
    def begin(self) -> None:
        """One workspace synced with a directory."""
        self.data = self.folder / f"data-{time.monotonic_ns()}"
        self.options = EmulatorOptions(data=self.data, speed="instant")
        self.world = World(self.options)
        self.world.open()
        load(self.world, json.loads(json.dumps(ESTATE)), self.folder)
        self.world.save()
        self.count = 0

    @property
    def workspace(self) -> Workspace:
        """The only one."""
        return next(iter(self.world.fabric.workspaces.values()))

    def chosen(self, number: int) -> Item:
        """One of the items."""
        items = [i for i in self.workspace.items.values() if i.type != "SQLEndpoint"]
        return items[number % len(items)]

    @rule(number=st.integers(0, 9), text=TEXTS)
    def edit(self, number: int, text: str) -> None:
        """A part of an item gets another content, perhaps the one it had."""
        item = self.chosen(number)
        for path in list(item.parts)[:1]:
            item.parts[path] = self.world.blobs.put(f"content {text}".encode())

    @rule(number=st.integers(0, 9), text=TEXTS)
    def rename(self, number: int, text: str) -> None:
        """An item gets another name."""
        rename_item(self.workspace, self.chosen(number), f"{text} {number}")

    @rule(number=st.integers(0, 9), text=TEXTS)
    def move(self, number: int, text: str) -> None:
        """An item goes to another folder."""
        self.chosen(number).folder_id = ensure_folder(self.workspace, f"in/{text}")

    @rule(text=TEXTS)
    def rename_folder(self, text: str) -> None:
        """A folder gets another name, and all its items with it."""
        for folder in list(self.workspace.folders.values())[:1]:
            folder.name = f"folder {text}"

    @rule()
    def add(self) -> None:
        """An item appears in the workspace."""
        self.count += 1
        parts = {"notebook-content.py": self.world.blobs.put(b"# new\n")}
        name = f"New {self.count}"
        add_item(self.world, self.workspace, item_type="Notebook", name=name, parts=parts)

    @precondition(lambda self: len(self.workspace.items) > 3)
    @rule(number=st.integers(0, 9))
    def remove(self, number: int) -> None:
        """An item goes."""
        remove_item(self.world, self.workspace, self.chosen(number))

    @rule(text=TEXTS, where=st.sampled_from(["fabric/Ingest.Notebook", "elsewhere", "fabric/x"]))
    def push(self, text: str, where: str) -> None:
        """Somebody commits to the branch, inside an item or beside all of them."""
        self.commit({f"{where}/notebook-content.py": f"# {text}\n".encode()})

    @rule()
    def push_item(self) -> None:
        """Somebody commits a new item."""
        self.count += 1
        root = f"fabric/Pushed {self.count}.Notebook"
        logical_id = f"22222222-0000-4000-8000-{self.count:012d}"
        described = platform("Notebook", f"Pushed {self.count}", logical_id)
        self.commit(
            {f"{root}/.platform": described.encode(), f"{root}/notebook-content.py": b"# p\n"}
        )

    def commit(self, changes: dict[str, bytes]) -> None:
        """Commit on top of the branch."""
        binding = self.workspace.git
        assert binding is not None
        self.world.repos.commit(
            binding.repo_key,
            "main",
            base=self.world.repos.tip(binding.repo_key, "main"),
            changes=changes,
            message="m",
            author_name="a",
            author_email="a@example.invalid",
            when=self.world.clock.now(),
        )

    @rule(policy=st.sampled_from(["PreferRemote", "PreferWorkspace"]))
    def update(self, policy: str) -> None:
        """The workspace follows the branch."""
        workspace, binding = self.workspace, self.workspace.git
        assert binding is not None
        tip = branch_tip(self.world, binding)
        try:
            plan = update_plan(
                self.world, workspace, binding, tip, policy=policy, allow_override=True
            )
        except Refused:
            return
        apply_update(self.world, workspace, binding, tip, plan)

    @rule()
    def commit_workspace(self) -> None:
        """The workspace's changes go to the branch."""
        binding = self.workspace.git
        assert binding is not None
        binding.operation_id = "op"
        args = {"workspace": self.workspace.id, "items": None, "comment": None}
        started = Operation("op", "git.commit", args, "someone", "User", "")
        try:
            run_commit(self.world, started)
        except Refused:
            binding.operation_id = None

    @rule()
    def restart(self) -> None:
        """The process ends and another one goes on."""
        self.world.save()
        asyncio.run(self.world.close())
        self.world = World(self.options)
        self.world.open()
        assert self.world.load()

    @rule()
    def save(self) -> None:
        """A request ends."""
        self.world.save()

    @invariant()
    def the_remembered_status_is_the_computed_one(self) -> None:
        """Twice, since the first reading is what the second remembers."""
        if not hasattr(self, "world"):
            return
        workspace, binding = self.workspace, self.workspace.git
        assert binding is not None
        tip = branch_tip(self.world, binding)
        first = status_of(self.world, workspace, binding, tip)
        computed = [change.wire() for change in compare(self.world, workspace, binding, tip)]
        assert computed == first
        assert computed == status_of(self.world, workspace, binding, tip)

    def teardown(self) -> None:
        """End."""
        if hasattr(self, "world"):
            asyncio.run(self.world.close())


def test_a_remembered_status_equals_a_computed_one_whatever_happened(tmp_path):
    """Edits, moves, commits, pushes, updates and restarts never leave a stale status."""
    write_items(tmp_path / "items", {p: c for p, c in ITEMS.items() if "Report" not in p})

    class Here(Statuses):
        folder = tmp_path

    Here.TestCase.settings = settings(
        max_examples=15,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    Here.TestCase("runTest").runTest()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[tuple[GitStore, Path, list[str]]]:
    """A store with one repository of two commits."""
    store = GitStore(tmp_path / "git")
    path = store.create("azdo/x")
    commits = [
        store.write_commit(
            "azdo/x",
            parent=None,
            changes={"a": str(n).encode()},
            message="m",
            author_name="a",
            author_email="a@example.invalid",
            when=datetime.now(UTC),
        )
        for n in range(2)
    ]
    yield store, path, commits
    store.clear()


def test_refs_that_others_write_are_seen_at_once(repository):
    """Written by another handle in the same tick, by stock git, packed, nested, deleted."""
    store, path, (old, new) = repository
    other = pygit2.Repository(str(path))
    for n in range(300):
        target = (old, new)[n % 2]
        other.references.create("refs/heads/main", target, force=True)
        assert target == store.tip("azdo/x", "main")

    def git(*args: str) -> None:
        subprocess.run(["git", "-C", str(path), *args], check=True, capture_output=True)

    time.sleep(0.06)  # real files have real times: only settled ones are trusted
    assert new == store.tip("azdo/x", "main")
    assert new == store.tip("azdo/x", "main")
    git("update-ref", "refs/heads/main", old)
    assert old == store.tip("azdo/x", "main")
    git("pack-refs", "--all")
    git("update-ref", "refs/heads/feature/deep/x", new)
    assert {"refs/heads/main": old, "refs/heads/feature/deep/x": new} == store.refs("azdo/x")
    git("update-ref", "-d", "refs/heads/main")
    assert ["refs/heads/feature/deep/x"] == list(store.refs("azdo/x"))
    other.free()


def test_no_more_is_held_than_the_limit_and_the_unused_goes_first():
    """Sizes add up, what goes is told, and what was just put stays even when it is too big."""
    gone: list[str] = []
    held: Lru[str, str] = Lru(10, size=len, gone=gone.append)
    for text in ("aaaa", "bbbb", "cc"):
        held.put(text[0], text)
    assert "aaaa" == held.get("a")
    held.put("d", "dddd")
    assert (["bbbb"], 10) == (gone, held.held)
    held.put("e", "e" * 50)
    assert (1, 50) == (len(held), held.held)
    held.put("e", "e")
    assert 1 == held.held
    held.clear()
    assert (0, 0) == (len(held), held.held)


def test_a_router_prefers_fixed_segments_and_tries_variables_after_them():
    """As documented for routes: case-insensitive, one segment per variable, a rest at the end."""

    async def handler(_world, _call):
        raise AssertionError

    patterns = [
        ("GET", "/a/{x}"),
        ("GET", "/a/fixed"),
        ("POST", "/a/{y}"),
        ("GET", "/a/{x}/b"),
        ("GET", "/a/fixed/c"),
        ("GET", "/files/{path...}"),
    ]
    router = Router([Route(method, path, handler, path) for method, path in patterns])

    def found(method: str, path: str):
        match = router.match(method, path.split("/")[1:])
        return None if match is None else (match[0].pattern, match[1])

    assert ("/a/fixed", {}) == found("GET", "/A/Fixed")
    assert ("/a/{x}", {"x": "Other"}) == found("GET", "/a/Other")
    assert ("/a/{y}", {"y": "fixed"}) == found("POST", "/a/fixed")
    assert ("/a/{x}/b", {"x": "fixed"}) == found("GET", "/a/fixed/b")
    assert ("/files/{path...}", {"path": "x/y"}) == found("GET", "/files/x/y")
    assert ("/files/{path...}", {"path": ""}) == found("GET", "/files")
    assert found("GET", "/a/x/c") is None
    assert found("DELETE", "/a/fixed") is None
    assert router.knows(["a", "fixed"])
    assert not router.knows(["a"])
    assert not router.knows(["a", "x", "y", "z"])


async def test_the_request_log_keeps_the_latest_and_tells_those_since_a_number(emulator, http):
    """The log is bounded by a control call, and can be asked for what is new only."""
    url = f"{emulator.urls.control_url}/requests"
    assert {"keep": 3} == (await http.post(url, json={"keep": 3})).json()
    for _ in range(5):
        await http.get(f"{emulator.urls.fabric_url}/v1/workspaces", params={"roles": "Admin"})
    log = (await http.get(url)).json()["requests"]
    assert [3, 4, 5] == [entry["n"] for entry in log]
    assert [{"roles": "Admin"}] * 3 == [entry["query"] for entry in log]
    newer = (await http.get(url, params={"since": "4"})).json()["requests"]
    assert [5] == [entry["n"] for entry in newer]
    for wrong in ({"keep": -1}, {"keep": True}, {"keep": "x"}, {}):
        assert 400 == (await http.post(url, json=wrong)).status_code
    assert 400 == (await http.get(url, params={"since": "x"})).status_code
