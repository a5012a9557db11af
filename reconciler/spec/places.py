"""Paths into a spec, and the places in files that they stand for."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from reconciler.diagnostics import SourceSpan

__all__ = ["Path", "Place", "find_place", "locate", "path_text"]

Path = tuple[str | int, ...]


class Place(NamedTuple):
    """Where a value stands; lines and columns count from 1.

    ``raw`` is the text of a plain word that is not text itself (7.1, true), else ``""``;
    ``children`` mirrors the value: a dict or a list of places, or None.
    """

    file: str
    line: int
    column: int
    key_line: int = 0
    key_column: int = 0
    raw: str = ""
    children: dict[str, Any] | list[Any] | None = None

    def of_value(self) -> SourceSpan:
        """Return the place of the value itself."""
        return SourceSpan(self.file, self.line, self.column)

    def of_key(self) -> SourceSpan:
        """Return the place of the key, or of the value where there is none."""
        if not self.key_line:
            return self.of_value()
        return SourceSpan(self.file, self.key_line, self.key_column)


def path_text(path: Path) -> str:
    """Write a path as ``workspaces[0].git.branch``; odd keys stand in brackets and quotes."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", part):
            out += f".{part}" if out else part
        else:
            shown = part if len(part) <= 60 else part[:59] + "…"
            out += f'["{shown}"]'
    return out


def find_place(root: Place, path: Path) -> Place:
    """Return the place at ``path``, or the nearest one above it."""
    place = root
    for part in path:
        children = place.children
        if isinstance(children, dict) and part in children:
            place = children[str(part)]
        elif isinstance(children, list) and isinstance(part, int) and part < len(children):
            place = children[part]
        else:
            break
    return place


def locate(root: Place, path: Path) -> SourceSpan | None:
    """Return where to look for ``path``: a plain value itself, of anything else its key."""
    place = find_place(root, path)
    if not place.line:
        return None
    is_plain = place.children is None and place.raw != "~"
    return place.of_value() if is_plain else place.of_key()
