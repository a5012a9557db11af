"""Order: edges between actions, waves, cycles. Linear in actions plus edges.

Knows actions by id only; what must come before what is decided by the builder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from reconciler.errors import DependencyCycle

__all__ = ["add_reachable", "closure", "topological_waves"]


def topological_waves(
    ids: Sequence[str], depends_on: Mapping[str, Iterable[str]]
) -> list[list[str]]:
    """Split ids into waves: each waits for earlier waves only, and stands as early as it can.

    Within a wave the order of ``ids`` is kept, so the result is stable.

    Raises:
        DependencyCycle: ids wait for each other in a circle; the message walks it. The builder
            never makes one from a checked spec, so the remedy is in the spec's ``dependsOn``.
    """
    waiting = dict.fromkeys(ids, 0)
    followers: dict[str, list[str]] = {}
    for name in ids:
        for before in dict.fromkeys(depends_on.get(name, ())):
            waiting[name] += 1
            followers.setdefault(before, []).append(name)
    level = dict.fromkeys(ids, 0)
    ready = deque(name for name in ids if waiting[name] == 0)
    done = 0
    while ready:
        name = ready.popleft()
        done += 1
        below = level[name] + 1
        for follower in followers.get(name, ()):
            level[follower] = max(level[follower], below)
            waiting[follower] -= 1
            if waiting[follower] == 0:
                ready.append(follower)
    if done != len(ids):
        raise DependencyCycle(
            "actions wait for each other: " + " -> ".join(_find_cycle(waiting, depends_on)),
            remedy="break the circle in dependsOn or in the stages' workspaces",
        )
    waves: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name in ids:
        waves[level[name]].append(name)
    return waves


def _find_cycle(waiting: Mapping[str, int], depends_on: Mapping[str, Iterable[str]]) -> list[str]:
    """Walk back from any blocked id until one comes round again."""
    name = next(n for n, count in waiting.items() if count)
    seen: dict[str, int] = {}
    path: list[str] = []
    while name not in seen:
        seen[name] = len(path)
        path.append(name)
        name = next(b for b in depends_on[name] if waiting[b])
    return [*path[seen[name] :], name]


def closure(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Return everything reachable from ``start`` along ``edges``, ``start`` included."""
    seen: set[str] = set()
    add_reachable(seen, start, edges)
    return seen


def add_reachable(seen: set[str], start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> None:
    """Add to a closure what more it reaches from ``start``; what it holds is not walked again."""
    queue = deque(start)
    while queue:
        name = queue.popleft()
        if name in seen:
            continue
        seen.add(name)
        queue.extend(edges.get(name, ()))
