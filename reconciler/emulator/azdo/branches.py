"""Which branch is the default one, and what that means for the bare repository."""

from __future__ import annotations

from reconciler.emulator.azdo.state import GitRepository
from reconciler.emulator.world import World

__all__ = ["choose", "settle_default", "settle_head"]

_HEADS = "refs/heads/"


def choose(branches: list[str]) -> str | None:
    """Return the branch that becomes the default: main, else master, else the first by name.

    Source: azure-devops-import.md section 2.5 (documented for main, recorded for master).
    """
    for name in ("main", "master"):
        if name in branches:
            return name
    return min(branches, default=None)


def settle_head(world: World, key: str) -> str:
    """Let HEAD name an existing branch, if there is one, and return the branch it names."""
    heads = [name.removeprefix(_HEADS) for name in world.repos.refs(key, _HEADS)]
    head = world.repos.head(key)
    if head not in heads:
        chosen = choose(heads)
        if chosen is not None:
            world.repos.set_head(key, chosen)
            return chosen
    return head


def settle_default(world: World, repository: GitRepository) -> None:
    """Give a repository that just got its first branches a default one.

    An existing default stays, even if its branch is gone.
    """
    if repository.default_branch is not None:
        return
    heads = [name.removeprefix(_HEADS) for name in world.repos.refs(repository.key, _HEADS)]
    chosen = choose(heads)
    if chosen is not None:
        repository.default_branch = f"{_HEADS}{chosen}"
        repository.filled_at = world.clock.timestamp()
        world.repos.set_head(repository.key, chosen)
