"""Several files into one estate: lists join, single values are given once, overlays come last.

Merging happens before validation, on plain data, so that a file may hold any part of an estate.
Every value keeps the place it came from. Overlays are laid over what all other files hold, in
their own order: where a file stands among the others does not matter for what it declares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.spec.overlay import Node, Overlays
from reconciler.spec.places import Path, Place, path_text
from reconciler.spec.source import Source

__all__ = ["merge_sources"]

_Mapping: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
_LISTS: frozenset[Path] = frozenset(
    {
        ("connections",),
        ("workspaces",),
        ("pipelines",),
        ("ignore",),
        ("azureDevOps", "repositories"),
    }
)
_MAPPINGS: frozenset[Path] = frozenset(
    {("metadata",), ("variables",), ("azureDevOps",), ("policies",)}
)
_SAME: frozenset[Path] = frozenset({("apiVersion",), ("kind",), ("metadata", "name")})


def merge_sources(
    sources: Sequence[Source], *, is_whole: bool = True
) -> tuple[dict[str, Any], Place, list[Diagnostic]]:
    """Merge the documents of a spec, in order; what cannot be merged is reported.

    Args:
        is_whole: false when a file of the spec could not be read.
    """
    found: list[Diagnostic] = []
    data: dict[str, Any] = {}
    places: dict[str, Any] = {}
    root: Place | None = None
    overlays: list[Source] = []
    for source in sources:
        if not isinstance(source.data, dict):
            found.append(
                _error(
                    "wrong_type",
                    "The file must hold a mapping of keys and values.",
                    "A spec starts with apiVersion: reconciler/v1 and kind: Estate.",
                    source.place,
                )
            )
            continue
        children = source.place.children if isinstance(source.place.children, dict) else {}
        if source.data.get("kind") == "Overlay":
            overlays.append(source)
            continue
        root = root or source.place
        found.extend(_merge((data, places), (source.data, children), ()))
    if overlays and root is None:
        if is_whole:
            found.append(_alone(overlays[0]))
        return {}, Place("", 0, 0), found
    estate = Node(data, (root or Place("", 0, 0))._replace(children=places))
    laying = Overlays(is_whole=is_whole)
    for overlay in overlays:
        found.extend(_disagreements(estate, overlay))
        estate = laying.lay(estate, _changes(overlay))
    return estate.value, estate.place, [*found, *laying.found]


def _alone(overlay: Source) -> Diagnostic:
    children = overlay.place.children if isinstance(overlay.place.children, dict) else {}
    return _error(
        "overlay_alone",
        "There is an overlay, and no estate for it to change.",
        "Name the files of kind Estate as well: reconciler plan ESTATE OVERLAY, or a directory "
        "that holds both.",
        children.get("kind", overlay.place),
    )


def _disagreements(estate: Node, overlay: Source) -> Iterator[Diagnostic]:
    """Report a header that is not the estate's; an overlay may leave its own out, but for kind."""
    for path in _SAME - {("kind",)}:
        first, second = (_look_up(n, path) for n in (estate, Node(overlay.data, overlay.place)))
        if second is not None and (first is None or first.value != second.value):
            yield _given_twice(path, first.place if first else estate.place, second.place)


def _look_up(node: Node, path: Path) -> Node | None:
    for part in path:
        children = node.place.children
        if not isinstance(node.value, dict) or not isinstance(children, dict):
            return None
        if part not in node.value:
            return None
        node = Node(node.value[part], children[str(part)])
    return node


def _changes(overlay: Source) -> Node:
    """Return what an overlay changes: all of it but the header."""
    data = {k: v for k, v in overlay.data.items() if k not in ("apiVersion", "kind")}
    if isinstance(data.get("metadata"), dict):
        data["metadata"] = {k: v for k, v in data["metadata"].items() if k != "name"}
    return Node(data, overlay.place)


def _merge(into: _Mapping, more: _Mapping, above: Path) -> Iterator[Diagnostic]:
    """Merge values and their places into ``into``, which is built here and shared with no file."""
    data, places = into
    for key, value in more[0].items():
        place: Place = more[1][key]
        path = (*above, key)
        if path in _MAPPINGS and isinstance(value, dict):
            if key not in data:
                data[key], places[key] = {}, place._replace(children={})
            if isinstance(data[key], dict):
                children = place.children if isinstance(place.children, dict) else {}
                below = (data[key], places[key].children)
                yield from _merge(below, (value, children), path)
                continue
        elif path in _LISTS and isinstance(value, list):
            if key not in data:
                data[key], places[key] = [], place._replace(children=[])
            if isinstance(data[key], list):
                data[key].extend(value)
                places[key].children.extend(place.children or [])
                continue
        if key not in data:
            data[key], places[key] = value, place
        elif path not in _SAME or data[key] != value:
            yield _given_twice(path, places[key], place)


def _given_twice(path: Path, first: Place, second: Place) -> Diagnostic:
    where = f"{first.file}, line {first.key_line or first.line}"
    if path in _SAME:
        summary = f"{path_text(path)} differs from the one in {where}."
        detail = "Files that are read together describe one estate and agree on it."
    else:
        summary = f"{path_text(path)} is already given in {where}."
        detail = "A value that is no list is given in one file only. Remove one of the two."
    code = "files_disagree" if path in _SAME else "given_twice"
    return Diagnostic(
        Severity.ERROR, code, summary, detail, path=path_text(path), span=second.of_key()
    )


def _error(code: str, summary: str, detail: str, place: Place) -> Diagnostic:
    return Diagnostic(Severity.ERROR, code, summary, detail, span=place.of_value())
