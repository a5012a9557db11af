"""TFVC content in a scenario: changesets in the order they were checked in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconciler.emulator.azdo.state import Project
from reconciler.emulator.azdo.tfvc import add_changeset
from reconciler.emulator.matching import known_keys
from reconciler.emulator.scenario_content import folder_files, resolve
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.world import World

__all__ = ["load_changeset"]

_KEYS = frozenset({"path", "content", "delete", "comment", "author", "daysAgo"})
_LONGEST_AGO = 20_000


def load_changeset(
    world: World, project: Project, data: dict[str, Any], where: str, base: Path
) -> None:
    """Check in the files of a folder below a server path, and delete others.

    Raises:
        ScenarioError: naming the place.
    """
    known_keys(data, _KEYS, where)
    folder = _folder(data.get("path", f"$/{project.name}"), project, f"{where}.path")
    prefix = f"{folder}/" if folder else ""
    changes: dict[str, bytes | None] = {}
    deleted = data.get("delete") or []
    if not isinstance(deleted, list) or not all(isinstance(name, str) for name in deleted):
        raise ScenarioError(f"{where}.delete: a list of paths is expected")
    for name in deleted:
        gone = _safe(name, f"{where}.delete")
        if not gone:
            raise ScenarioError(f"{where}.delete: paths of files are expected")
        changes[f"{prefix}{gone}"] = None
    if data.get("content") is not None:
        files = folder_files(resolve(base, data["content"], f"{where}.content"))
        changes |= {f"{prefix}{name}": content for name, content in files.items()}
    if not changes:
        raise ScenarioError(f"{where}: content or delete is needed; a changeset changes something")
    days = data.get("daysAgo", 0)
    if isinstance(days, bool) or not isinstance(days, int) or not 0 <= days <= _LONGEST_AGO:
        raise ScenarioError(f"{where}.daysAgo: a number of days is expected")
    add_changeset(
        world,
        project,
        changes,
        comment=_text(data, "comment", "Check-in", where),
        author=_text(data, "author", "Scenario", where),
        when=world.clock.now() - timedelta(days=days),
    )


def _folder(path: object, project: Project, where: str) -> str:
    if not isinstance(path, str) or not f"{path}/".lower().startswith(f"$/{project.name}/".lower()):
        raise ScenarioError(f"{where}: a path below $/{project.name} is expected")
    return _safe(path[len(f"$/{project.name}") :], where)


def _safe(path: str, where: str) -> str:
    pieces = [piece for piece in path.split("/") if piece]
    if any(piece in {".", "..", ".git"} or "\\" in piece or "\0" in piece for piece in pieces):
        raise ScenarioError(f"{where}: {path} is not a usable path")
    return "/".join(pieces)


def _text(data: Mapping[str, Any], key: str, default: str, where: str) -> str:
    found = data.get(key, default)
    if not isinstance(found, str) or not found.strip() or not found.isprintable():
        raise ScenarioError(f"{where}.{key}: a single line of text is expected")
    return found
