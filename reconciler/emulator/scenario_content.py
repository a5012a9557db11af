"""Folders that a scenario names, as files to commit or items to make."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.emulator.scenario_error import ScenarioError

__all__ = ["folder_files", "resolve"]


def resolve(base: Path, text: object, where: str) -> Path:
    """Return the folder a scenario names, relative to the scenario's own folder.

    Raises:
        ScenarioError: if it is no folder.
    """
    if not isinstance(text, str) or not text:
        raise ScenarioError(f"{where}: a folder is expected")
    path = base / text
    if not path.is_dir():
        raise ScenarioError(f"{where}: there is no folder {path}")
    return path


def folder_files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder by its relative path with forward slashes, sorted.

    ``.git`` folders are left out: git would refuse to commit them.
    """
    found: dict[str, bytes] = {}
    for root, directories, names in os.walk(folder):
        directories[:] = sorted(name for name in directories if name != ".git")
        for name in sorted(names):
            path = Path(root, name)
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found
