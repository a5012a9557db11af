"""Finding the route of a path without trying every one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.emulator.http import Route

__all__ = ["Router"]

_VARIABLE = re.compile(r"\{(\w+)(\.\.\.)?\}")


@dataclass(slots=True)
class _Node:
    """What may follow after some segments, and the routes that end here, by method."""

    fixed: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    ends: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)
    rests: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)


class Router:
    """Finds the route of a path; fixed segments win over variables."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names, rest = self._root, [], False
        for piece in route.pattern.split("/")[1:]:
            variable = _VARIABLE.fullmatch(piece)
            if variable is None:
                node = node.fixed.setdefault(piece.lower(), _Node())
                continue
            names.append(variable[1])
            rest = bool(variable[2])
            if rest:
                break
            node.variable = node.variable or _Node()
            node = node.variable
        table = node.rests if rest else node.ends
        table.setdefault(route.method, (route, tuple(names)))

    def match(self, method: str, segments: Sequence[str]) -> tuple[Route, dict[str, str]] | None:
        """Return the route and the values of its variables, None if there is none."""
        for table, values in _tables(self._root, segments, 0, ()):
            found = table.get(method)
            if found is not None:
                return found[0], dict(zip(found[1], values, strict=True))
        return None

    def knows(self, segments: Sequence[str]) -> bool:
        """Whether some method exists for this path."""
        return any(table for table, _ in _tables(self._root, segments, 0, ()))


def _tables(
    node: _Node, segments: Sequence[str], position: int, values: tuple[str, ...]
) -> Iterator[tuple[dict[str, tuple[Route, tuple[str, ...]]], tuple[str, ...]]]:
    """Yield the tables of routes that fit, best first, with the variables' values."""
    if position == len(segments):
        yield node.ends, values
    else:
        piece = segments[position]
        following = node.fixed.get(piece.lower())
        if following is not None:
            yield from _tables(following, segments, position + 1, values)
        if node.variable is not None:
            yield from _tables(node.variable, segments, position + 1, (*values, piece))
    if node.rests:
        yield node.rests, (*values, "/".join(segments[position:]))
