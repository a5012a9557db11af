"""The refs of a repository, read again only when somebody wrote one.

Pushes run in git's own processes and people may work in a repository by hand, so what is known is
checked against the file system at every look: a few ``stat`` calls instead of reading all refs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pygit2

from reconciler.emulator.lru import Lru

__all__ = ["RefReader"]

_CACHED_REFS = 50_000
_WATCHED_FOLDERS = 50
_TICK_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class _Known:
    """All refs, and the times of the folders that say whether they still are."""

    folders: tuple[str, ...]
    stamps: tuple[int, ...]
    refs: Mapping[str, str]


class RefReader:
    """Reads the refs of repositories by their keys."""

    def __init__(self) -> None:
        self._known: Lru[str, _Known] = Lru(_CACHED_REFS, size=lambda known: len(known.refs) + 1)

    def read(self, key: str, repository: pygit2.Repository) -> Mapping[str, str]:
        """Return object id by name of all refs, sorted by name.

        As long as no ref was written it is the same mapping, once that has settled.
        """
        known = self._known.get(key)
        if known is not None and known.stamps == _stamps(known.folders):
            return known.refs
        root = Path(repository.path)
        folders = (str(root / "packed-refs"), *(folder for folder, _, _ in os.walk(root / "refs")))
        stamps = _stamps(folders)
        found: dict[str, str] = {}
        for name in sorted(repository.references):
            target = repository.references[name].target
            if isinstance(target, pygit2.Oid):
                found[name] = str(target)
        # A ref written in the same tick of the file system's clock would leave no trace.
        settled = time.time_ns() - max(stamps) > _TICK_NS
        if settled and len(folders) <= _WATCHED_FOLDERS:
            self._known.put(key, _Known(folders, stamps, found))
        else:
            self._known.drop(key)
        return found

    def forget(self, key: str) -> None:
        """Forget a repository that is no more."""
        self._known.drop(key)

    def clear(self) -> None:
        """Forget all repositories."""
        self._known.clear()


def _stamps(paths: Sequence[str]) -> tuple[int, ...]:
    """Return when each path last changed, 0 for one that is not there.

    Git and libgit2 write a ref by renaming a file into its folder, which changes the folder.
    """
    found: list[int] = []
    for path in paths:
        try:
            found.append(os.stat(path).st_mtime_ns)  # noqa: PTH116 - much faster than Path.stat
        except FileNotFoundError:
            found.append(0)
    return tuple(found)
