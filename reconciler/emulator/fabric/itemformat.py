"""The source control format: a tree of files as items, and ``.platform`` files.

Source: fabric-api.md section 9 (recorded and sample repository). An item directory is a directory
that holds a ``.platform`` file; the workspace's folders are the directories above it. A child item
lies in ``.children`` of its parent's directory and is an item of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from reconciler.emulator.fabric.support import GIT_UNSUPPORTED

__all__ = [
    "ItemTree",
    "Platform",
    "TreeItem",
    "born_logical_id",
    "directory_leaf",
    "parse_platform",
    "read_tree",
    "write_platform",
]

PLATFORM = ".platform"
_KNOWN_MEMBERS = {
    "metadata": frozenset({"type", "displayName", "description"}),
    "config": frozenset({"version", "logicalId"}),
}
_CHILDREN = ".children"
_SCHEMA = (
    "https://developer.microsoft.com/json-schemas/fabric/gitIntegration/"
    "platformProperties/2.0.0/schema.json"
)
_FORBIDDEN = re.compile(r"[\"/:<>\\*?|]")

_NEEDS_FILES = frozenset({"Lakehouse", "Report", "SemanticModel"})
"""Types for which a ``.platform`` alone fails a sync (section 9, field)."""


@dataclass(frozen=True, slots=True)
class Platform:
    """What a ``.platform`` file says; ``unknown`` keeps members that nobody here knows."""

    type: str
    name: str
    description: str
    logical_id: str
    unknown: dict[str, Any] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TreeItem:
    """One item as a tree holds it.

    Attributes:
        directory: Its directory, relative to the synced one.
        folder: The workspace folder path above it, "" at the root.
        parent: Logical id of the item it is a child of.
        files: Blob by path below the directory, ``.platform`` included.
    """

    logical_id: str
    type: str
    name: str
    directory: str
    folder: str
    parent: str | None
    files: Mapping[str, str]
    platform: Platform

    @property
    def leaf(self) -> str:
        """Name of the item's directory."""
        return self.directory.rpartition("/")[2]

    @property
    def lacks_files(self) -> bool:
        """Whether the definition files that the type needs are missing."""
        return self.type in _NEEDS_FILES and len(self.files) == 1


@dataclass(frozen=True, slots=True)
class ItemTree:
    """All items of a tree by logical id, and what is wrong with it: (error code, place)."""

    items: Mapping[str, TreeItem]
    problems: tuple[tuple[str, str], ...] = ()


def born_logical_id(object_id: str) -> str:
    """Return the logical id of an item that was made in a workspace.

    It is the object id with its bytes reversed (section 9, recorded 11/11).
    """
    digits = object_id.replace("-", "")
    groups = [digits[0:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]]
    last, first = groups[4], groups[0]
    return "-".join([last[4:], last[:4], groups[3], groups[2], groups[1] + first])


def directory_leaf(name: str, item_type: str, logical_id: str) -> str:
    """Return the directory name Git integration gives an item. Source: section 9, docs."""
    unusable = len(name) > 256 or name[-1:] in {".", " "} or name[:1] == " "
    stem = logical_id if unusable or _FORBIDDEN.search(name) else name
    return f"{stem}.{item_type}"


@lru_cache(maxsize=2048)
def parse_platform(content: bytes) -> Platform | None:
    """Return what a ``.platform`` (version 2) says, None if it is no such file."""
    try:
        document = json.loads(content.decode("utf-8-sig"))
        metadata, config = document["metadata"], document["config"]
        found = Platform(
            type=metadata["type"],
            name=metadata["displayName"],
            description=metadata.get("description") or "",
            logical_id=config["logicalId"].lower(),
            unknown=_unknown(document),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    texts = (found.type, found.name, found.description)
    return found if all(isinstance(value, str) for value in texts) else None


def write_platform(
    *,
    item_type: str,
    name: str,
    description: str,
    logical_id: str,
    known: Platform | None = None,
) -> bytes:
    """Return a ``.platform``: 2-space indent, LF, no trailing newline, no empty description.

    Source: section 9, recorded. Members that an earlier file had beside these are kept.
    """
    unknown: dict[str, Any] = {} if known is None else known.unknown
    metadata: dict[str, Any] = {"type": item_type, "displayName": name}
    if description:
        metadata["description"] = description
    document = {
        "$schema": unknown.get("$schema", _SCHEMA),
        "metadata": metadata | unknown.get("metadata", {}),
        "config": {
            "version": "2.0",
            "logicalId": logical_id,
            **unknown.get("config", {}),
        },
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def _unknown(document: dict[str, Any]) -> dict[str, Any]:
    """Return what ``write_platform`` could not know of itself; mostly nothing."""
    found: dict[str, Any] = {}
    if document.get("$schema", _SCHEMA) != _SCHEMA:
        found["$schema"] = document["$schema"]
    for name, ours in _KNOWN_MEMBERS.items():
        others = {key: value for key, value in document[name].items() if key not in ours}
        if others:
            found[name] = others
    return found


def read_tree(files: Mapping[str, str], read: Callable[[str], bytes]) -> ItemTree:
    """Return the items of a tree of files.

    Args:
        files: Blob id by path relative to the synced directory.
        read: Returns the bytes of a blob id; asked for ``.platform`` files only.
    """
    platforms: dict[str, Platform] = {}
    problems: list[tuple[str, str]] = []
    for path, blob in files.items():
        directory, _, name = path.rpartition("/")
        if name == PLATFORM and directory:
            found = parse_platform(read(blob))
            if found is None:
                problems.append(("InvalidSystemFiles", path))
            else:
                platforms[directory] = found
    owned = _owned_files(files, platforms)
    items: dict[str, TreeItem] = {}
    names: set[tuple[str, str]] = set()
    for directory, platform in sorted(platforms.items()):
        if platform.type in GIT_UNSUPPORTED:
            continue
        if platform.logical_id in items:
            problems.append(("DuplicateLogicalId", directory))
            continue
        if (platform.type, platform.name) in names:
            problems.append(("DuplicateDisplayNameAndType", directory))
        names.add((platform.type, platform.name))
        folder, parent = _place(directory, platforms)
        items[platform.logical_id] = TreeItem(
            logical_id=platform.logical_id,
            type=platform.type,
            name=platform.name,
            directory=directory,
            folder=folder,
            parent=parent,
            files=owned[directory],
            platform=platform,
        )
    return ItemTree(items, tuple(problems))


def _owned_files(
    files: Mapping[str, str], platforms: Mapping[str, Platform]
) -> dict[str, dict[str, str]]:
    """Give every file to the nearest item directory above it."""
    owned: dict[str, dict[str, str]] = {directory: {} for directory in platforms}
    for path, blob in files.items():
        directory = path.rpartition("/")[0]
        while directory and directory not in platforms:
            directory = directory.rpartition("/")[0]
        if directory:
            owned[directory][path[len(directory) + 1 :]] = blob
    return owned


def _place(directory: str, platforms: Mapping[str, Platform]) -> tuple[str, str | None]:
    """Return the workspace folder of an item directory and the parent's logical id."""
    above, _, _ = directory.rpartition("/")
    parent, _, last = above.rpartition("/")
    if last == _CHILDREN and parent in platforms:
        return _place(parent, platforms)[0], platforms[parent].logical_id
    return above, None
