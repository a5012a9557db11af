"""Generated estates: what exists, what people did to it since, and a spec that speaks of it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import yaml
from hypothesis import strategies as st
from in_process import InProcess, in_process

from reconciler import engine
from reconciler.emulator.fabric.state import Workspace
from reconciler.spec.load import LoadResult

__all__ = ["Estate", "estates", "live_state", "running"]

_WORKSPACES = ("A", "B", "C", "D", "E")
_REPOSITORIES = ("one", "two")
_STAGES = ("Dev", "Test", "Stage", "Prod")
_KEPT = "Kept"
_NUMBERS = st.integers(0, 60)
_ITEMS = st.lists(st.sampled_from(["Clean", "Load", "Report", "Tidy"]), unique=True, max_size=3)


@dataclass(frozen=True)
class Estate:
    """A drawn estate.

    Attributes:
        bound: repository by workspace, for those that the scenario binds and syncs; in pipelines
            only the first stage is bound.
        items: names of the notebooks made by hand by workspace, for those that it does not.
        content: names of the notebooks in each repository.
        pipelines: the workspace of each stage; None for a vacant stage.
        people: what was done since, in order: who does what to which place and a number.
        spec: speaks of these, with every consent that an apply may need.
    """

    bound: Mapping[str, str]
    items: Mapping[str, tuple[str, ...]]
    content: Mapping[str, tuple[str, ...]]
    pipelines: Mapping[str, tuple[str | None, ...]]
    people: tuple[tuple[str, str, int], ...]
    spec: Mapping[str, Any] = field(repr=False)

    @property
    def names(self) -> list[str]:
        """Every workspace that exists."""
        return sorted({*self.bound, *self.items})


def _git(repository: str) -> dict[str, Any]:
    return {
        "provider": "AzureDevOps",
        "organization": "contoso",
        "project": "Sales",
        "repository": repository,
        "branch": "main",
        "directory": "/fabric",
    }


@st.composite
def estates(draw: st.DrawFn) -> Estate:
    """Draw an estate of one to five workspaces."""
    names = draw(st.lists(st.sampled_from(_WORKSPACES), unique=True, min_size=1, max_size=5))
    # Git keeps no empty directory and a binding needs its own, so one notebook always stays.
    drawn = {name: draw(_ITEMS) for name in _REPOSITORIES}
    content = {name: (*found, _KEPT) if found else () for name, found in drawn.items()}
    pipelines = _pipelines(draw, names)
    later = {name for stages in pipelines.values() for name in stages[1:]}
    bound, items = {}, {}
    for name in names:
        filled = [r for r in _REPOSITORIES if content[r] and name not in later]
        repository = draw(st.sampled_from([*filled, *filled, None]))
        if repository is None:
            items[name] = tuple(draw(_ITEMS))
        else:
            bound[name] = repository
    what = st.sampled_from(["edit", "add", "rename", "delete", "push", "push add", "push delete"])
    people = draw(
        st.lists(st.tuples(what, st.sampled_from(names), _NUMBERS), min_size=1, max_size=6)
    )
    return Estate(
        bound,
        items,
        content,
        pipelines,
        tuple(people),
        _spec(draw, names, bound, content, pipelines),
    )


def _pipelines(draw: st.DrawFn, names: list[str]) -> dict[str, tuple[str | None, ...]]:
    """Give each workspace to at most one stage; the first stage of a pipeline has one."""
    left, found = list(draw(st.permutations(names))), {}
    for name in ("P", "Q")[: draw(st.integers(0, 2))]:
        length = draw(st.integers(2, 4))
        taken = [left.pop() if left else None for _ in range(length)]
        if taken[0] is not None:
            found[name] = tuple(taken)
    return found


def _spec(
    draw: st.DrawFn,
    names: list[str],
    bound: Mapping[str, str],
    content: Mapping[str, tuple[str, ...]],
    pipelines: Mapping[str, tuple[str | None, ...]],
) -> dict[str, Any]:
    workspaces: list[dict[str, Any]] = []
    later = {name for stages in pipelines.values() for name in stages[1:]}
    committing: set[str] = set()  # no two workspaces may commit to one directory
    for name in names:
        entry: dict[str, Any] = {"name": name}
        if draw(st.booleans()):
            entry["description"] = f"Words of {name}"
        repository = bound.get(name)
        if repository is None and name not in later and draw(st.booleans()):
            repository = draw(st.sampled_from([r for r in _REPOSITORIES if content[r]] or [None]))
        elif repository is not None and draw(st.integers(0, 4)) == 0:
            repository = draw(st.sampled_from([r for r in _REPOSITORIES if content[r]]))
        if repository is not None:
            sides = st.sampled_from(["PreferRemote", "PreferWorkspace"])
            ways = ["update", "none"] if repository in committing else ["update", "both", "commit"]
            sync = {"direction": draw(st.sampled_from(ways)), "conflicts": draw(sides)}
            if sync["direction"] in ("both", "commit"):
                committing.add(repository)
            if sync["direction"] == "update" and draw(st.booleans()):
                sync["drift"] = "resync"
            entry["git"] = {**_git(repository), "initialize": draw(sides), "sync": sync}
        workspaces.append(entry)
    found: dict[str, Any] = {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": "generated"},
        "azureDevOps": {"organization": "contoso"},
        "workspaces": workspaces,
    }
    if pipelines:
        found["pipelines"] = [_pipeline(draw, *entry) for entry in pipelines.items()]
    return found


def _pipeline(draw: st.DrawFn, name: str, stages: tuple[str | None, ...]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for title, workspace in zip(_STAGES, stages, strict=False):
        entries.append({"name": title} if workspace is None else _stage(title, workspace))
    deployments = [
        {"from": _STAGES[n], "to": _STAGES[n + 1]}
        for n in range(len(stages) - 1)
        if stages[n + 1] is not None and draw(st.integers(0, 3))
    ]
    found: dict[str, Any] = {"name": name, "stages": entries}
    return {**found, "deployments": deployments} if deployments else found


def _stage(title: str, workspace: str) -> dict[str, Any]:
    return {"name": title, "workspace": workspace, "reassign": True}


@asynccontextmanager
async def running(estate: Estate, purpose: str) -> AsyncIterator[tuple[InProcess, LoadResult]]:
    """Run an emulator that holds an estate, and read the spec of it.

    The ids of its operations are its own: the check of the contracts tells operations by id.
    """
    with tempfile.TemporaryDirectory(prefix="estate-") as base:
        folder = Path(base)
        path = folder / "spec.yaml"
        path.write_text(yaml.safe_dump(dict(estate.spec), sort_keys=False))
        loaded = engine.load([path])
        assert loaded.estate is not None, loaded.diagnostics
        async with in_process(seed=crc32(f"{purpose} {estate} {estate.spec}".encode())) as world:
            await world.scenario(_scenario(estate, folder), base)
            for number, (what, name, which) in enumerate(estate.people):
                await _work(world, estate, what, name, which, number)
            yield world, loaded


def _scenario(estate: Estate, folder: Path) -> dict[str, Any]:
    repositories: list[dict[str, Any]] = []
    for name, notebooks in estate.content.items():
        _write(folder / f"repository-{name}", notebooks)
        content = {"content": f"repository-{name}", "directory": "fabric"} if notebooks else {}
        repositories.append({"name": name, **content})
    workspaces: list[dict[str, Any]] = []
    for name in estate.names:
        entry: dict[str, Any] = {"name": name, "capacity": "F8"}
        if name in estate.bound:
            entry["git"] = {**_git(estate.bound[name]), "synced": True}
        elif estate.items[name]:
            _write(folder / f"workspace-{name}", estate.items[name])
            entry["items"] = f"workspace-{name}"
        workspaces.append(entry)
    return {
        "capacities": [{"name": "F8", "sku": "F8"}],
        "azureDevOps": [
            {
                "organization": "contoso",
                "projects": [{"name": "Sales", "repositories": repositories}],
            }
        ],
        "workspaces": workspaces,
        "pipelines": [
            {
                "name": name,
                "stages": [
                    {"name": title, **({"workspace": workspace} if workspace else {})}
                    for title, workspace in zip(_STAGES, stages, strict=False)
                ],
            }
            for name, stages in estate.pipelines.items()
        ],
    }


def _write(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        for path, content in _notebook(name, f"# {name}").items():
            target = folder / f"{name}.Notebook" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def _notebook(name: str, text: str) -> dict[str, bytes]:
    number = sum(map(ord, name))
    platform = {
        "metadata": {"type": "Notebook", "displayName": name},
        "config": {"version": "2.0", "logicalId": f"00000000-0000-0000-4000-{number:012d}"},
    }
    source = f"# Fabric notebook source\n\n# CELL\n\n{text}\n"
    return {".platform": json.dumps(platform).encode(), "notebook-content.py": source.encode()}


async def _work(
    world: InProcess, estate: Estate, what: str, name: str, which: int, number: int
) -> None:
    """Let a person do something, where there is something to do it to."""
    if what.startswith("push"):
        if name in estate.bound:
            _push(world, estate.bound[name], what, which, number)
        return
    items = [i.id for i in _workspace(world, name).items.values() if i.name != _KEPT]
    body: dict[str, Any] = {"action": what, "workspace": name}
    if what == "add":
        parts = {"notebook-content.py": f"# Fabric notebook source\n# by hand {number}\n"}
        await world.control(
            "POST",
            "portal",
            {**body, "type": "Notebook", "name": f"New {number}", "parts": parts},
        )
        return
    if not items:
        return
    body["item"] = items[which % len(items)]
    if what == "edit":
        body["append"] = f"# by hand {number}\n"
    elif what == "rename":
        body["name"] = f"Renamed {number}"
    await world.control("POST", "portal", body)


def _push(world: InProcess, repository: str, what: str, which: int, number: int) -> None:
    state = world.emulator.world
    key = state.azdo.locate("contoso", "Sales", repository).key
    tip = state.repos.tip(key, "main")
    assert tip is not None
    files = state.repos.files(key, tip)
    sources = sorted(path for path in files if path.endswith("notebook-content.py"))
    changes: dict[str, bytes | None]
    if what == "push add":
        made = _notebook(f"Pushed {number}", "# pushed")
        changes = {f"fabric/Pushed {number}.Notebook/{path}": t for path, t in made.items()}
    elif what == "push":
        path = sources[which % len(sources)]
        before = state.repos.blob(key, files[path].blob_sha)
        changes = {path: before + f"# pushed {number}\n".encode()}
    elif others := [path for path in sources if f"/{_KEPT}." not in path]:
        path = others[which % len(others)]
        changes = {path: None, path.replace("notebook-content.py", ".platform"): None}
    else:
        return
    state.repos.commit(
        key,
        "main",
        base=tip,
        changes=changes,
        message="By a person",
        author_name="Ada",
        author_email="ada@contoso.example",
        when=state.clock.now(),
    )


def _workspace(world: InProcess, name: str) -> Workspace:
    found: Workspace = next(
        w for w in world.emulator.world.fabric.workspaces.values() if w.name == name
    )
    return found


def live_state(world: InProcess) -> dict[str, Any]:
    """Return what the services hold, by workspace, pipeline and repository."""
    state = world.emulator.world
    found: dict[str, Any] = {}
    for workspace in state.fabric.workspaces.values():
        items = sorted((i.type, i.name, sorted(i.parts.items())) for i in workspace.items.values())
        git = workspace.git
        bound = (git.repo_key, git.head, git.base, git.state) if git is not None else None
        found[f"workspaces/{workspace.name}"] = repr((workspace.description, items, bound))
    for pipeline in state.fabric.pipelines.values():
        stages = [(s.name, s.workspace_id) for s in pipeline.stages]
        found[f"pipelines/{pipeline.name}"] = repr(stages)
    for name in _REPOSITORIES:
        key = state.azdo.locate("contoso", "Sales", name).key
        found[f"repositories/Sales/{name}"] = state.repos.tip(key, "main")
    return found
