"""What the emulated GitHub remembers: repositories by owner and name."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.emulator.journal import Section
from reconciler.emulator.tracking import Tracked

__all__ = ["GitHubRepository", "GitHubState"]


@dataclass(slots=True)
class GitHubRepository(Tracked):
    """A repository of an owner; its content lives under the git store's ``key``."""

    owner: str
    name: str
    private: bool = False

    @property
    def key(self) -> str:
        """The repository's key in the git store; GitHub compares names case-insensitively."""
        return f"github/{self.owner.lower()}/{self.name.lower()}"


@dataclass(slots=True)
class GitHubState(Section):
    """All repositories, by their key."""

    repositories: dict[str, GitHubRepository] = field(default_factory=dict)

    def find(self, owner: str, name: str) -> GitHubRepository | None:
        """Return a repository by owner and name, compared case-insensitively."""
        return self.repositories.get(f"github/{owner.lower()}/{name.lower()}")
