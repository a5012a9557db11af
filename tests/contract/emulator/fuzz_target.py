"""An emulator with something of everything in it, asked without a network between."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fabric_client import GIT, estate, write_items

from reconciler.emulator import scenario
from reconciler.emulator.dispatch import Incoming
from reconciler.emulator.http import Answer
from reconciler.emulator.options import EmulatorOptions
from reconciler.emulator.server import Emulator

ROOTS = {
    "fabric": "/fabric",
    "azdo": "/devops/contoso/Sales",
    "git": "/devops/contoso/Sales",
    "github": "/github",
    "entra": "/entra",
    "control": "/_control",
}


def estate_of() -> dict[str, Any]:
    """A small world with something of everything."""
    found = estate(
        connections=[
            {"name": "c", "type": "AzureDevOpsSourceControl", "url": "https://dev.azure.com/c/p"}
        ],
        workspaces=[
            {"name": "Dev", "capacity": "F8", "git": {**GIT, "synced": True}},
            {"name": "Test", "capacity": "F8"},
            {"name": "Loose", "capacity": "F8"},
        ],
        pipelines=[
            {
                "name": "Sales",
                "stages": [
                    {"name": "Development", "workspace": "Dev"},
                    {"name": "Test", "workspace": "Test"},
                ],
            }
        ],
        github=[{"owner": "contoso", "repository": "source", "content": "items"}],
    )
    project = found["azureDevOps"][0]["projects"][0]
    past = {"url": "https://github.com/contoso/source.git", "status": "failed"}
    project["repositories"] += [{"name": "empty"}, {"name": "tried", "imports": [past]}]
    project["serviceEndpoints"] = [{"name": "e", "url": "https://github.com/contoso/source.git"}]
    project["tfvc"] = [{"path": "$/Sales/Main", "content": "items"}]
    return found


class _Errors(logging.Handler):
    """Collects what the emulator logs of failures of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(logging.Formatter().format(record))


class Target:
    """An emulator that is asked without a network between."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.folder = folder
        self.errors = _Errors()
        logging.getLogger("reconciler.emulator").addHandler(self.errors)
        write_items(folder / "items")
        self.emulator = Emulator(EmulatorOptions(speed="instant"))
        self.runner.run(self.emulator.start())

    def restart(self) -> list[str]:
        """Set the world up afresh and return the ids that are in it."""

        async def load() -> None:
            world = self.emulator.world
            world.reset()
            world.clock.offset_s = 0.0
            scenario.load(world, estate_of(), self.folder)

        self.runner.run(load())
        return [id_ for ids in self.ids().values() for id_ in ids]

    def ids(self) -> dict[str, list[str]]:
        """What exists, by kind."""
        fabric, azdo = self.emulator.world.fabric, self.emulator.world.azdo
        dev = next(iter(fabric.workspaces.values()), None)
        return {
            "workspace": list(fabric.workspaces),
            "item": [] if dev is None else list(dev.items),
            "folder": [] if dev is None else list(dev.folders),
            "connection": list(fabric.connections),
            "capacity": list(fabric.capacities),
            "pipeline": list(fabric.pipelines),
            "stage": [stage.id for found in fabric.pipelines.values() for stage in found.stages],
            "project": list(azdo.projects),
            "repository": list(azdo.repositories),
            "endpoint": list(azdo.endpoints),
            "collection": list(azdo.organizations),
            "operation": list(azdo.operations),
        }

    def tip(self) -> str:
        """The commit at the tip of the branch that the workspace is connected to."""
        world = self.emulator.world
        found = world.azdo.locate("contoso", "Sales", "fabric-sales")
        tip = None if found is None else world.repos.tip(found.key, "main")
        return tip or "0" * 40

    def ask(
        self, method: str, target: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> int:
        """Send one request, look at everything that goes back, and return its status."""
        signed = {"Authorization": f"Bearer {self.emulator.token}", "Host": "127.0.0.1"}
        incoming = Incoming(method, target, {**signed, **(headers or {})}, body)

        async def run() -> int:
            outcome = await self.emulator._dispatcher.handle(incoming)
            assert outcome.answer is not None
            await _look_at(outcome.answer)
            return outcome.answer.status

        return self.runner.run(run())

    def failures(self) -> list[str]:
        """What the emulator logged of failures of its own since the last time."""
        found, self.errors.seen = self.errors.seen, []
        return found

    def calm(self) -> None:
        """Forget faults, limits and prices: they would keep the next request from its route."""
        world = self.emulator.world
        world.faults.clear()
        world.limits.clear()
        world.azdo.settings.tstu_limit = None

    def close(self) -> None:
        logging.getLogger("reconciler.emulator").removeHandler(self.errors)
        self.runner.run(self.emulator.stop())
        self.runner.close()


async def _look_at(answer: Answer) -> None:
    """Whatever the web server does with an answer must be possible."""
    for name, value in answer.headers.items():
        assert f"{name}{value}".isprintable(), (name, value)
        assert f"{name}{value}".encode()
    if answer.stream is None:
        assert isinstance(answer.content(), bytes)
        return
    async for chunk in answer.stream:
        assert isinstance(chunk, bytes)
