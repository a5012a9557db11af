"""The end of a scenario: what people did after everything was set up and in sync.

``pushes`` are commits that no workspace has yet, ``portal`` are edits by hand that are in no
commit yet. Both happen last, so that a scenario can start with work to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.emulator.fabric.portal import PORTAL
from reconciler.emulator.scenario_content import folder_files, resolve
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.world import World

__all__ = ["load_later"]

_AZDO_KEYS = frozenset({"organization", "project"})
_PUSH_KEYS = frozenset({"owner", "repository", "branch", "directory", "content", "message"})


def load_later(world: World, data: Mapping[str, Any], base: Path) -> None:
    """Carry out ``pushes``, then ``portal``.

    Raises:
        ScenarioError: with the place of the mistake.
    """
    for index, entry in enumerate(_entries(data, "pushes")):
        _push(world, entry, f"pushes[{index}]", base)
    for index, entry in enumerate(_entries(data, "portal")):
        where = f"portal[{index}]"
        action = PORTAL.get(str(entry.get("action")))
        if action is None:
            raise ScenarioError(f"{where}.action: one of {', '.join(sorted(PORTAL))} is expected")
        try:
            action(world, dict(entry))
        except ScenarioError as error:
            raise ScenarioError(f"{where}: {error}") from error


def _entries(data: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = data.get(key)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ScenarioError(f"{key}: a list of objects is expected")
    return found


def _push(world: World, data: Mapping[str, Any], where: str, base: Path) -> None:
    """Commit a folder on top of a branch; files that are not in the folder stay as they are."""
    known = _AZDO_KEYS | _PUSH_KEYS
    unknown = sorted(str(key) for key in data.keys() - known)
    if unknown:
        raise ScenarioError(
            f"{where}: unknown {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    key = _repository_key(world, data, where)
    branch = str(data.get("branch", "main"))
    tip = world.repos.tip(key, branch)
    if tip is None:
        raise ScenarioError(f"{where}.branch: the repository has no branch {branch}")
    directory = str(data.get("directory", "")).strip("/")
    prefix = f"{directory}/" if directory else ""
    folder = resolve(base, data.get("content"), f"{where}.content")
    world.repos.commit(
        key,
        branch,
        base=tip,
        changes={f"{prefix}{path}": content for path, content in folder_files(folder).items()},
        message=str(data.get("message", "Change")),
        author_name="Scenario",
        author_email="scenario@emulator.invalid",
        when=world.clock.now(),
    )


def _repository_key(world: World, data: Mapping[str, Any], where: str) -> str:
    """Return the git store's key of the repository that a push goes to."""
    name = str(data.get("repository", ""))
    if "owner" in data:
        on_github = world.github.find(str(data["owner"]), name)
        if on_github is not None:
            return on_github.key
    else:
        organization, project = str(data.get("organization", "")), str(data.get("project", ""))
        in_azure = world.azdo.locate(organization, project, name)
        if in_azure is not None:
            return in_azure.key
    raise ScenarioError(f"{where}.repository: there is none called {name!r}")
