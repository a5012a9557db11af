"""People and reconcilers on one estate, in any order: what nobody may ever see happen.

People edit, add, rename and delete items, push, hand stages to other workspaces and import; plans
and applies run in between, are killed, disturbed, interrupted by people, or do not see everything.
Every change of a person carries a mark; as long as nobody consented to losing it, the mark stands
in the workspace or on the branch.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx
import yaml
from chaos.faults import Disturbance, FaultKind, Killed
from chaos.matrix import Scenario, copied
from chaos.runs import Run, apply, load, quiet
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from in_process import Carrier, in_process

from reconciler import engine
from reconciler.emulator.fabric.portal import PORTAL
from reconciler.emulator.fabric.state import Workspace
from reconciler.emulator.faults import parse_fault
from reconciler.emulator.ids import drawing_from
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.spec.load import LoadResult

__all__ = ["Estate"]

_T = TypeVar("_T")
_GIT = {
    "provider": "AzureDevOps",
    "organization": "contoso",
    "project": "Sales",
    "repository": "fabric-sales",
    "branch": "main",
    "directory": "/fabric",
}
_SOURCE = "https://github.com/contoso/source.git"
_EXISTS: dict[str, Any] = {
    "capacities": [{"name": "F8", "sku": "F8"}],
    "azureDevOps": [
        {
            "organization": "contoso",
            "projects": [
                {
                    "name": "Sales",
                    "repositories": [
                        {"name": "fabric-sales", "content": "items", "directory": "fabric"},
                        {"name": "mirror"},
                    ],
                }
            ],
        }
    ],
    "github": [
        {"owner": "contoso", "repository": "source", "content": "items", "directory": "fabric"},
        {"owner": "contoso", "repository": "other", "content": "items", "directory": "fabric"},
    ],
    "workspaces": [
        {"name": "Sales Dev", "capacity": "F8", "git": {**_GIT, "synced": True}},
        {"name": "Sales Test", "capacity": "F8", "items": "items"},
        {"name": "Spare", "capacity": "F8"},
    ],
    "pipelines": [
        {
            "name": "Sales",
            "stages": [
                {"name": "Development", "workspace": "Sales Dev"},
                {"name": "Test", "workspace": "Sales Test"},
            ],
        }
    ],
}
_DEV, _TEST, _SPARE = "Sales Dev", "Sales Test", "Spare"
_HIDDEN = {
    "status": 403,
    "body": {"errorCode": "InsufficientPrivileges", "message": "not for you"},
}
_BLIND = [
    {"service": "fabric", "method": "GET", "route": "*/git/status"},
    {"service": "fabric", "method": "GET", "route": "*/git/connection"},
    {"service": "fabric", "method": "GET", "route": "*/stages/*/items"},
    {"service": "fabric", "method": "GET", "route": "*/stages"},
    {"service": "fabric", "method": "GET", "route": "*/operations"},
    {"service": "fabric", "method": "POST", "route": "*/getDefinition"},
    {"service": "fabric", "method": "GET", "route": "*/items"},
    {"service": "azdo", "method": "GET", "route": "*/refs"},
    {"service": "azdo", "method": "GET", "route": "*/importRequests"},
]


@cache
def _data() -> Path:
    """Return the folder of an emulator that has loaded the estate; it stays for the process."""
    folder = Path(_kept().name)
    for number, name in enumerate(("Clean", "Load"), start=1):
        _write_notebook(folder / "items" / f"{name}.Notebook", name, number)

    async def fill() -> None:
        async with in_process(speed="real", data=folder / "data") as world:
            await world.scenario(_EXISTS, str(folder))

    asyncio.run(fill())
    return folder / "data"


@cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="machine-")


def _write_notebook(folder: Path, name: str, number: int) -> None:
    folder.mkdir(parents=True)
    for path, content in _notebook(name, number, f"# {name}").items():
        (folder / path).write_bytes(content)


def _notebook(name: str, number: int, text: str) -> dict[str, bytes]:
    platform = {
        "metadata": {"type": "Notebook", "displayName": name},
        "config": {"version": "2.0", "logicalId": f"00000000-0000-0000-4000-{number:012d}"},
    }
    source = f"# Fabric notebook source\n\n# CELL\n\n{text}\n"
    return {".platform": json.dumps(platform).encode(), "notebook-content.py": source.encode()}


@cache
def _loaded(direction: str, conflicts: str, reassign: bool) -> LoadResult:
    """Return the spec with these words of consent."""
    stages = [
        {"name": "Development", "workspace": _DEV},
        {"name": "Test", "workspace": _TEST, **({"reassign": True} if reassign else {})},
    ]
    spec = {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": "sales"},
        "azureDevOps": {
            "organization": "contoso",
            "repositories": [{"project": "Sales", "name": "mirror", "import": {"url": _SOURCE}}],
        },
        "workspaces": [
            {
                "name": _DEV,
                "git": {**_GIT, "sync": {"direction": direction, "conflicts": conflicts}},
            },
            {"name": _TEST},
        ],
        "pipelines": [
            {
                "name": "Sales",
                "stages": stages,
                "deployments": [{"from": "Development", "to": "Test"}],
            }
        ],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spec.yaml"
        path.write_text(yaml.safe_dump(spec))
        return load(path)


_NUMBERS = st.integers(0, 60)
_FEW = st.integers(0, 5)
_WORKSPACES = st.sampled_from([_DEV, _DEV, _DEV, _TEST, _SPARE])
_WORDS = st.tuples(
    st.sampled_from(["update", "commit", "both", "none"]),
    st.sampled_from(["fail", "fail", "fail", "PreferRemote", "PreferWorkspace"]),
    st.booleans(),
)
_KINDS = st.sampled_from([kind for kind in FaultKind if not kind.kills])
_PEOPLE = st.sampled_from(["edit", "add", "rename", "delete", "push", "push delete", "reassign"])


class _Interruption:
    """Lets a person act just before a request."""

    def __init__(self, index: int, act: Callable[[], None]) -> None:
        self._left, self._act = index, act

    async def __call__(self, request: httpx.Request, carry: Carrier) -> httpx.Response:
        self._left -= 1
        if self._left == -1:
            self._act()
        return await carry(request)


class Estate(RuleBasedStateMachine):
    """One estate, the people at work in it, and those who reconcile it."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        path = Path()
        scenario = Scenario("machine", path, path)
        self.world = self._run(self._stack.enter_async_context(copied(scenario, _data(), "real")))
        self._folder = self.world.emulator.world.root.parent
        self._journals = self._folder / "journals-0"
        self._count = 0
        self._held: set[str] = set()  # marks that nobody has consented to losing
        self._gone: set[str] = set()  # ids of items that people deleted

    def teardown(self) -> None:
        """Close the emulator."""
        self._run(self._stack.aclose())
        self._loop.close()

    def _run(self, work: Awaitable[_T]) -> _T:
        async def run() -> _T:
            return await work

        return self._loop.run_until_complete(run())

    # -- what is there --

    @property
    def _state(self) -> Any:
        return self.world.emulator.world

    def _workspace(self, name: str) -> Workspace:
        return next(w for w in self._state.fabric.workspaces.values() if w.name == name)

    def _text_of(self, name: str, item_id: str) -> str:
        item = self._workspace(name).items[item_id]
        return "\n".join(self._state.blobs.get(b).decode() for b in item.parts.values())

    def _items(self, name: str) -> list[str]:
        return list(self._workspace(name).items)

    @property
    def _key(self) -> str:
        return str(self._state.azdo.locate("contoso", "Sales", "fabric-sales").key)

    def _branch(self, commit: str | None = None) -> dict[str, str]:
        """Return the text of each notebook on the branch (or in a commit), by its file."""
        repos, key = self._state.repos, self._key
        files = repos.files(key, commit or repos.tip(key, "main"))
        return {
            path: repos.blob(key, entry.blob_sha).decode()
            for path, entry in files.items()
            if path.endswith("notebook-content.py")
        }

    def _everything(self) -> str:
        """Return all that is in the workspace or on its branch."""
        here = [self._text_of(_DEV, item) for item in self._items(_DEV)]
        return "\n".join([*here, *self._branch().values()])

    def _mark(self) -> str:
        self._count += 1
        return f"#{self._count}#"

    def _release(self, text: str) -> None:
        self._held = {mark for mark in self._held if mark not in text}

    def _effects(self) -> int:
        return sum(r.effect for r in self._state.log.entries)

    # -- people --

    def _act(self, what: str, name: str, number: int) -> None:
        """Do what a person does; what the service refuses does not happen."""
        self._state.settle()
        with drawing_from(self._state.ids):
            try:
                self._do(what, name, number)
            except ScenarioError:
                return
        self._state.save()

    def _do(self, what: str, name: str, number: int) -> None:
        items = self._items(name)
        item = items[number % len(items)] if items else None
        mark = self._mark()
        match what:
            case "edit" if item is not None:
                self._portal("edit", workspace=name, item=item, append=f"{mark}\n")
            case "add":
                parts = {"notebook-content.py": f"# Fabric notebook source\n{mark}\n"}
                self._portal(
                    "add", workspace=name, type="Notebook", name=f"New {number}", parts=parts
                )
            case "rename" if item is not None:
                self._portal("rename", workspace=name, item=item, name=f"Renamed {number}")
                return
            case "delete" if item is not None:
                text = self._text_of(name, item)
                self._portal("delete", workspace=name, item=item)
                self._gone.add(item)
                if name == _DEV:
                    self._release(text)
                return
            case "push":
                self._push_edit(number, mark)
                self._held.add(mark)
                return
            case "push delete":
                self._push_delete(number)
                return
            case "reassign":
                other = _TEST if number % 3 else _SPARE
                self._portal("reassign", pipeline="Sales", stage="Test", workspace=other)
                return
            case _:
                return
        if name == _DEV:
            self._held.add(mark)

    def _portal(self, action: str, **data: Any) -> None:
        PORTAL[action](self._state, data)

    def _commit(self, changes: Mapping[str, bytes | None]) -> None:
        repos, key = self._state.repos, self._key
        repos.commit(
            key,
            "main",
            base=repos.tip(key, "main"),
            changes=changes,
            message="By a person",
            author_name="Ada",
            author_email="ada@contoso.example",
            when=self._state.clock.now(),
        )

    def _push_edit(self, number: int, mark: str) -> None:
        """Change a notebook on the branch, or add one."""
        files = self._branch()
        if number % 4 == 0 or not files:
            folder = f"fabric/Pushed {number}.Notebook"
            if f"{folder}/notebook-content.py" not in files:
                content = _notebook(f"Pushed {number}", 1000 + self._count, mark)
                self._commit({f"{folder}/{path}": text for path, text in content.items()})
                return
        path = sorted(files)[number % len(files)]
        self._commit({path: f"{files[path]}{mark}\n".encode()})

    def _push_delete(self, number: int) -> None:
        files = self._branch()
        if len(files) > 1:  # git keeps no empty directory, and a binding needs its own
            path = sorted(files)[number % len(files)]
            self._release(files[path])
            self._commit({path: None, path.replace("notebook-content.py", ".platform"): None})

    @rule(acts=st.lists(st.tuples(_PEOPLE, _WORKSPACES, _FEW), min_size=1, max_size=5))
    def people_work(self, acts: list[tuple[str, str, int]]) -> None:
        """People do something by hand, often to the same items."""
        self._step()
        for what, name, number in acts:
            self._act(what, name, number)

    @rule(other=st.booleans())
    def a_person_imports(self, *, other: bool) -> None:
        """Somebody starts an import, of the spec's source or of another."""
        self._step()
        url = _SOURCE.replace("source", "other") if other else _SOURCE
        body = {"parameters": {"gitSource": {"url": url}}}
        root = self.world.emulator.urls.devops_url
        self._run(
            self.world.carry(
                httpx.Request(
                    "POST",
                    f"{root}/contoso/Sales/_apis/git/repositories/mirror/importRequests",
                    params={"api-version": "7.1"},
                    headers={"Authorization": f"Bearer {self.world.emulator.token}"},
                    json=body,
                )
            )
        )

    @rule(seconds=st.sampled_from([1.0, 30.0, 600.0]))
    def time_passes(self, seconds: float) -> None:
        """What is under way goes on."""
        self._step()
        self.world.clock.advance(seconds)

    # -- reconcilers --

    def _step(self) -> None:
        type(self).steps += 1

    def _settings(self) -> engine.Settings:
        return self.world.settings(journals=self._journals)

    @contextmanager
    def _watched(self, words: tuple[str, str, bool]) -> Iterator[None]:
        """Let an apply run, and see that it loses nothing that its spec does not speak of."""
        before = self._everything()
        local = self._only_here()
        items = {i for name in (_TEST, _SPARE) for i in self._items(name)}
        yield
        self.world.clock.advance(600)  # what a killed apply has begun ends too
        self._state.settle()
        found = self._everything()
        lost = {mark for mark in self._held if mark not in found}
        if words[1] == "fail":
            assert not lost, f"lost {lost} of {before}"
        assert not {mark for mark in lost if mark in local}, f"lost {lost}, which is in no commit"
        self._held -= lost
        if words[1] == "PreferWorkspace":
            self._held -= self._outvoted()
        there = {i for name in (_TEST, _SPARE) for i in self._items(name)}
        assert items <= there | self._gone, "a deployment has removed an item"

    def _outvoted(self) -> set[str]:
        """Return the marks that the workspace was synced with and has not taken.

        Whoever says that the workspace wins conflicts agrees to the commit that follows.
        """
        head = self._workspace(_DEV).git.head
        synced = "" if head is None else "\n".join(self._branch(head).values())
        here = "\n".join(self._text_of(_DEV, item) for item in self._items(_DEV))
        return {mark for mark in self._held if mark in synced and mark not in here}

    def _only_here(self) -> str:
        """Return the text of the items that no commit knows."""
        repos, git = self._state.repos, self._workspace(_DEV).git
        known = ""
        for commit in {git.base, git.head, repos.tip(self._key, "main")} - {None}:
            files = repos.files(self._key, commit)
            platforms = [e for path, e in files.items() if path.endswith(".platform")]
            known += "".join(repos.blob(self._key, e.blob_sha).decode() for e in platforms)
        items = self._workspace(_DEV).items.values()
        return "\n".join(self._text_of(_DEV, i.id) for i in items if i.logical_id not in known)

    @rule(words=_WORDS)
    def plan(self, words: tuple[str, str, bool]) -> None:
        """A plan changes nothing, and two plans of one state are one."""
        self._step()
        self.world.clock.advance(600)  # what moves by itself has ended
        self._state.settle()
        before = self._effects()
        first, second = (
            self._run(engine.make_plan(_loaded(*words), self._settings(), patient=True))
            for _ in range(2)
        )
        assert before == self._effects(), "a plan has written"
        # Not the whole plan: the reasons for what is unreadable name the service's request ids.
        assert (first.actions, first.unknown) == (second.actions, second.unknown)
        assert first.diagnostics == second.diagnostics

    @rule(words=_WORDS)
    def apply(self, words: tuple[str, str, bool]) -> None:
        """An apply that succeeds leaves nothing to do, and a second one does nothing."""
        self._step()
        self.world.clock.advance(600)
        with self._watched(words):
            run = self._apply(words)
        if run.code == 0:
            assert not self._run(quiet(_loaded(*words), self._settings()))
            before = self._effects()
            assert 0 == self._apply(words).code
            assert before == self._effects(), "a second apply has written"

    def _apply(self, words: tuple[str, str, bool]) -> Run:
        return self._run(apply(_loaded(*words), self._settings()))

    @rule(words=_WORDS, number=_NUMBERS, after=st.booleans(), forgets=st.booleans())
    def an_apply_is_killed(
        self, words: tuple[str, str, bool], number: int, *, after: bool, forgets: bool
    ) -> None:
        """A kill at any request; the next run may have the journal, or not."""
        self._step()
        kept = self._folder / f"journals-{type(self).steps}"
        kind = FaultKind.KILL_AFTER if after else FaultKind.KILL_BEFORE
        fault = Disturbance(self.world, kind, number, self._journals, kept)
        self.world.intercept = fault
        with self._watched(words):
            try:
                self._apply(words)
            except Killed:
                self._journals = kept
        self.world.intercept = Disturbance(self.world)
        if forgets:
            shutil.rmtree(self._journals, ignore_errors=True)

    @rule(words=_WORDS, kind=_KINDS, number=_NUMBERS)
    def an_apply_is_disturbed(
        self, words: tuple[str, str, bool], kind: FaultKind, number: int
    ) -> None:
        """A request goes wrong."""
        self._step()
        self.world.intercept = Disturbance(self.world, kind, number)
        with self._watched(words):
            self._apply(words)
        self.world.intercept = Disturbance(self.world)
        self._state.faults.clear()

    @rule(words=_WORDS, what=_PEOPLE, name=_WORKSPACES, number=_NUMBERS, at=_NUMBERS)
    def a_person_works_during_an_apply(
        self, words: tuple[str, str, bool], what: str, name: str, number: int, at: int
    ) -> None:
        """Somebody does something while an apply runs."""
        self._step()
        self.world.intercept = _Interruption(at, lambda: self._act(what, name, number))
        with self._watched(words):
            self._apply(words)
        self.world.intercept = Disturbance(self.world)

    @rule(words=_WORDS, route=st.sampled_from(_BLIND))
    def an_apply_does_not_see_everything(
        self, words: tuple[str, str, bool], route: dict[str, str]
    ) -> None:
        """Nothing is planned on what could not be read."""
        self._step()
        fault = parse_fault({"match": {**route, "times": None}, "answer": _HIDDEN})
        self._state.faults.faults.append(fault)
        loaded = _loaded(*words)
        plan = self._run(engine.make_plan(loaded, self._settings(), patient=True))
        unseen = set(plan.unknown) | {u.address for u in plan.unreadable}
        assert not [a.id for a in plan.actions if a.address in unseen]
        with self._watched(words):
            self._apply(words)
        self._state.faults.clear()
