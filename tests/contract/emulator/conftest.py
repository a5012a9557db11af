"""A real emulator over real HTTP for every test, and stock git beside it."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.persist import encode
from reconciler.emulator.server import Emulator
from reconciler.emulator.world import World

StartEmulator = Callable[..., Awaitable[Emulator]]
Git = Callable[..., Awaitable[str]]

SCENARIO = {
    "azureDevOps": [
        {
            "organization": "contoso",
            "projects": [
                {
                    "name": "Sales",
                    "repositories": [
                        {"name": "fabric-sales", "content": "items", "directory": "/fabric"},
                        {"name": "empty"},
                    ],
                },
                {"name": "Bare"},
            ],
        }
    ],
    "github": [
        {"owner": "contoso", "repository": "source", "content": "items"},
        {"owner": "contoso", "repository": "private", "content": "items", "private": True},
        {"owner": "contoso", "repository": "flaky", "content": "items", "failImports": 1},
        {"owner": "contoso", "repository": "void"},
    ],
}


@pytest.fixture
async def start_emulator(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[StartEmulator]:
    """Start emulators that are stopped when the test ends.

    Every one keeps its state in a folder, and whatever the test did must be in its file: a change
    that a handler made without the state noticing fails the test.
    """
    started: list[Emulator] = []

    async def start(**options: object) -> Emulator:
        data = options.pop("data", None) or tmp_path_factory.mktemp("kept")
        emulator = Emulator(EmulatorOptions(**{"speed": "instant", "data": data, **options}))
        await emulator.start()
        started.append(emulator)
        return emulator

    yield start
    latest: dict[Path | None, Emulator] = {}
    for emulator in started:
        await emulator.stop()
        latest[emulator.options.data] = emulator
    for emulator in latest.values():
        assert remembered(emulator.world) == remembered(await kept_world(emulator.options))


def remembered(world: World) -> dict[str, object]:
    """Everything that has to survive a restart, as plain data."""
    sections = {"azdo": world.azdo, "github": world.github, "fabric": world.fabric}
    return {
        **{name: encode(section) for name, section in sections.items()},
        "pending": encode(world.pending),
        "offset_s": world.clock.offset_s,
        "ids_drawn": world.ids.drawn,
    }


async def kept_world(options: EmulatorOptions) -> World:
    """The world that a new process would read from the folder."""
    world = World(options)
    world.open()
    assert world.load()
    for workspace in world.fabric.workspaces.values():
        assert workspace.items is not None  # they are read when they are asked for
    world.discard()
    await world.close()
    return world


@pytest.fixture
async def emulator(start_emulator: StartEmulator) -> Emulator:
    """An empty emulator whose operations are done at the first look."""
    return await start_emulator()


@pytest.fixture
async def http(emulator: Emulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the default user; URLs are given in full."""
    headers = {
        "Authorization": f"Bearer {emulator.token}",
        "X-TFS-FedAuthRedirect": "Suppress",
    }
    async with httpx.AsyncClient(headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def items_folder(tmp_path: Path) -> Path:
    """A folder with two small files, one of them executable-free and nested."""
    folder = tmp_path / "scenario" / "items"
    (folder / "Hello.Notebook").mkdir(parents=True)
    (folder / "Hello.Notebook" / "notebook-content.py").write_bytes(b"print('hello')\r\n")
    (folder / "README.md").write_bytes(b"# Items\n")
    return folder


@pytest.fixture
async def loaded(emulator: Emulator, http: httpx.AsyncClient, items_folder: Path) -> Emulator:
    """The emulator with ``SCENARIO``: two Azure DevOps projects and four GitHub repositories."""
    body = {**SCENARIO, "base": str(items_folder.parent)}
    answer = await http.post(f"{emulator.urls.control_url}/scenario", json=body)
    assert 200 == answer.status_code, answer.text
    return emulator


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Stock git without anybody's configuration; raises when it fails."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Test",
        "GIT_AUTHOR_EMAIL": "test@example.invalid",
        "GIT_COMMITTER_NAME": "Test",
        "GIT_COMMITTER_EMAIL": "test@example.invalid",
    }

    async def run(*arguments: str, cwd: Path | None = None) -> str:
        def call() -> str:
            done = subprocess.run(
                ["git", *arguments],
                check=False,
                cwd=cwd or tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            if done.returncode:
                raise AssertionError(done.stderr)
            return done.stdout

        return await asyncio.to_thread(call)

    return run
