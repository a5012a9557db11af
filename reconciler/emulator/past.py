"""The state before the last write, kept only while a fault may answer from it.

A stale read is the handler's own work on an older world: what the services remember is copied
before every write, and git refs are noted, since objects of a repository never change.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.emulator.azdo.state import AzdoState
    from reconciler.emulator.fabric.state import FabricState
    from reconciler.emulator.github_state import GitHubState
    from reconciler.emulator.world import World

__all__ = ["Moment", "remember", "world_at"]


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything a read can see, as it was."""

    fabric: FabricState
    azdo: AzdoState
    github: GitHubState
    refs: dict[str, dict[str, str]]


def remember(world: World) -> Moment:
    """Return a copy of what the services remember now."""
    keys = [repository.key for repository in world.azdo.repositories.values()]
    keys += list(world.github.repositories)
    return Moment(
        fabric=copy.deepcopy(world.fabric),
        azdo=copy.deepcopy(world.azdo),
        github=copy.deepcopy(world.github),
        refs={key: world.repos.refs(key) for key in keys if world.repos.exists(key)},
    )


def world_at(world: World, moment: Moment) -> World:
    """Return a world that reads like the given one did then; nothing may be written to it."""
    found = copy.copy(world)
    found.fabric, found.azdo, found.github = moment.fabric, moment.azdo, moment.github
    found.repos = world.repos.at(moment.refs)
    return found
