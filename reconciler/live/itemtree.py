"""Items as a Git tree holds them, and what differs between two trees. Pure.

Source: fabric-api.md section 9: item directories, ``.platform`` (recorded), children in
``.children``; the directory's own name says nothing (docs). Version 1 system files are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.live.models import ChangeType

__all__ = [
    "ItemTree",
    "TreeChange",
    "TreeItem",
    "TreeProblem",
    "born_logical_id",
    "compare_trees",
    "merge_files",
    "named",
    "platform_blobs",
    "read_tree",
]

_PLATFORM = ".platform"
_CHILDREN = ".children"
_MOST_NAMED = 3

Files = Mapping[str, str]
"""Blob ids by path."""


@dataclass(frozen=True, slots=True)
class TreeItem:
    """One item; ``files`` are below its directory, ``parent`` is the logicalId of its parent."""

    logical_id: str
    type: str
    name: str
    folder: str
    parent: str | None
    files: Files


@dataclass(frozen=True, slots=True)
class TreeProblem:
    """Why the service cannot sync a directory: its code, and a sentence with the place."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class ItemTree:
    """The items of a directory by logicalId."""

    items: Mapping[str, TreeItem]
    problems: tuple[TreeProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class TreeChange:
    """One item that differs between two trees.

    ``word`` is Added, Deleted, Renamed, Moved or Modified; ``detail`` names the new name or
    folder and the first files.
    """

    item: TreeItem
    change: ChangeType
    word: str
    detail: str | None


def born_logical_id(object_id: str) -> str:
    """Return the logicalId of an item that was made in a workspace: its id, bytes reversed.

    Source: fabric-api.md section 9, the logicalId law, recorded (11 of 11).
    """
    a, b, c, d, e = [*object_id.lower().split("-"), "", "", "", ""][:5]
    return f"{e[4:]}-{e[:4]}-{d}-{c}-{b}{a}"


def platform_blobs(files: Files) -> set[str]:
    """Return the blobs that :func:`read_tree` needs."""
    return {blob for path, blob in files.items() if path.endswith(f"/{_PLATFORM}")}


def read_tree(files: Files, contents: Mapping[str, bytes]) -> ItemTree:
    """Return the items of a directory.

    Args:
        contents: by blob id; a missing one is a file nobody can read.
    """
    known: dict[str, _Platform] = {}
    problems = []
    for path in sorted(files):
        directory, _, name = path.rpartition("/")
        if name == _PLATFORM and directory:
            found = _parse(contents.get(files[path]))
            if found is None:
                text = f"{path} is not a .platform file that can be read"
                problems.append(TreeProblem("InvalidSystemFiles", text))
            else:
                known[directory] = found
    owned: dict[str, dict[str, str]] = {d: {} for d in known}
    for path, blob in files.items():
        home = _home(path, known)
        if home:
            owned[home][path[len(home) + 1 :]] = blob
    items: dict[str, TreeItem] = {}
    names: dict[tuple[str, str], str] = {}
    for directory, platform in known.items():
        named = f"{platform.type} {platform.name}"
        if platform.logical_id in items:
            text = f"{directory} has the logicalId of another item ({platform.logical_id})"
            problems.append(TreeProblem("DuplicateLogicalId", text))
            continue
        other = names.setdefault((platform.type, platform.name), directory)
        if other != directory:
            text = f"{other} and {directory} are both {named}"
            problems.append(TreeProblem("DuplicateDisplayNameAndType", text))
        folder, parent = _place(directory, known)
        items[platform.logical_id] = TreeItem(
            platform.logical_id, platform.type, platform.name, folder, parent, owned[directory]
        )
    return ItemTree(items, tuple(problems))


@dataclass(frozen=True, slots=True)
class _Platform:
    type: str
    name: str
    logical_id: str


def _parse(content: bytes | None) -> _Platform | None:
    try:
        document = json.loads((content or b"").decode("utf-8-sig"))
        metadata, config = document["metadata"], document["config"]
        texts = (metadata["type"], metadata["displayName"], config["logicalId"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not all(isinstance(t, str) and t for t in texts):
        return None
    # A lone surrogate is valid JSON and can be written to no file.
    kind, name, logical_id = (t.encode("utf-8", "replace").decode() for t in texts)
    return _Platform(kind, name, logical_id.lower())


def _home(path: str, known: Mapping[str, _Platform]) -> str:
    """Return the nearest item directory above a file, ``""`` when it belongs to no item."""
    directory = path.rpartition("/")[0]
    while directory and directory not in known:
        directory = directory.rpartition("/")[0]
    return directory


def _place(directory: str, known: Mapping[str, _Platform]) -> tuple[str, str | None]:
    """Return the workspace folder of an item directory, and its parent for a child."""
    above = directory.rpartition("/")[0]
    parent, _, last = above.rpartition("/")
    if last == _CHILDREN and parent in known:
        return _place(parent, known)[0], known[parent].logical_id
    return above, None


def compare_trees(before: ItemTree, after: ItemTree) -> dict[str, TreeChange]:
    """Return what differs, by logicalId, so that a rename or a move is not a new item."""
    out = {}
    for key in sorted(before.items.keys() | after.items.keys()):
        old, new = before.items.get(key), after.items.get(key)
        if old is None and new is not None:
            out[key] = TreeChange(new, ChangeType.ADDED, ChangeType.ADDED.value, None)
        elif new is None and old is not None:
            out[key] = TreeChange(old, ChangeType.DELETED, ChangeType.DELETED.value, None)
        elif old is not None and new is not None and old != new:
            out[key] = _changed(old, new)
    return out


def _changed(old: TreeItem, new: TreeItem) -> TreeChange:
    told = []
    word = ChangeType.MODIFIED.value
    if old.folder != new.folder or old.parent != new.parent:
        word = "Moved"
        told.append(f"folder {old.folder or '/'} becomes {new.folder or '/'}")
    if old.name != new.name:
        word = "Renamed"
        told.insert(0, f"becomes {new.name}")
    files = sorted(
        path
        for path in old.files.keys() | new.files.keys()
        if old.files.get(path) != new.files.get(path)
        and not (path == _PLATFORM and old.name != new.name)
    )
    if files:
        told.append(named(files))
    return TreeChange(old, ChangeType.MODIFIED, word, "; ".join(told) or None)


def merge_files(base: Files, ours: Files, theirs: Files) -> tuple[dict[str, str], tuple[str, ...]]:
    """Merge two sides file by file; where both changed one, theirs stands.

    Returns:
        The files, and the paths that both sides changed in different ways. Git may merge those
        or ask a person; the item they belong to changes either way.
    """
    out: dict[str, str] = {}
    both = []
    for path in base.keys() | ours.keys() | theirs.keys():
        was, mine, other = (side.get(path) for side in (base, ours, theirs))
        kept = mine if other == was else other
        if mine not in (was, other) and other != was:
            both.append(path)
        if kept is not None:
            out[path] = kept
    return out, tuple(sorted(both))


def named(paths: Iterable[str]) -> str:
    """Return the first paths of a list, and how many more there are."""
    listed = list(paths)
    more = len(listed) - _MOST_NAMED
    return ", ".join(listed[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
