"""The source control format: a tree of files as items, and ``.platform`` files.

Source: fabric-api.md section 9 (recorded and sample repository). An item directory is a directory
that holds a ``.platform`` file; the workspace's folders are the directories above it. A child item
lies in ``.children`` of its parent's directory and is an item of its own.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from reconciler.emulator.fabric.content import git_id
from reconciler.emulator.fabric.support import GIT_UNSUPPORTED, ITEM_TYPES

__all__ = [
    "ItemTree",
    "Platform",
    "TreeItem",
    "born_logical_id",
    "directory_leaf",
    "model_directory",
    "parse_platform",
    "parse_version_1",
    "read_tree",
    "write_platform",
]

PLATFORM = ".platform"
_METADATA, _CONFIG = "item.metadata.json", "item.config.json"
_SYSTEM = frozenset({PLATFORM, _METADATA, _CONFIG})
"""Files that say which item a directory is: one since version 2, before that two (docs)."""
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

_OLD_TYPES = {name.lower(): name for name in ITEM_TYPES} | {"dataset": "SemanticModel"}
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
        files: Blob by path below the directory, system files included.
        shown: The same in the form of a commit of today: with a ``.platform``, written if the
            directory has version 1 system files.
    """

    logical_id: str
    type: str
    name: str
    directory: str
    folder: str
    parent: str | None
    files: Mapping[str, str]
    platform: Platform
    shown: Mapping[str, str]

    @property
    def definition(self) -> dict[str, str]:
        """Blob by path of the files that are the item's own."""
        return {path: blob for path, blob in self.files.items() if path not in _SYSTEM}

    @property
    def leaf(self) -> str:
        """Name of the item's directory."""
        return self.directory.rpartition("/")[2]

    @property
    def lacks_files(self) -> bool:
        """Whether the definition files that the type needs are missing."""
        return self.type in _NEEDS_FILES and not self.definition


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


@lru_cache(maxsize=2048)
def parse_version_1(metadata: bytes, config: bytes) -> Platform | None:
    """Return what version 1 system files say, None if they are no such files.

    Source: git-integration/source-code-format, docs of 2023; that the type is written in other
    letters ("report", "dataset") is from their examples, how it is read is assumed.
    """
    try:
        about, settings = json.loads(metadata), json.loads(config)
        kind = about["type"].replace(" ", "").lower()
        found = Platform(
            type=_OLD_TYPES.get(kind, about["type"]),
            name=about["displayName"],
            description=about.get("description") or "",
            logical_id=settings["logicalId"].lower(),
            unknown={},
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
        read: Returns the bytes of a blob id; asked for system files only.
    """
    systems: dict[str, dict[str, str]] = {}
    for path, blob in files.items():
        directory, _, name = path.rpartition("/")
        if name in _SYSTEM and directory:
            systems.setdefault(directory, {})[name] = blob
    platforms: dict[str, Platform] = {}
    problems: list[tuple[str, str]] = []
    for directory, system in systems.items():
        platform = _platform(system, read)
        if platform is None:
            problems.append(("InvalidSystemFiles", f"{directory}/{min(system)}"))
        else:
            platforms[directory] = platform
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
            shown=_shown(owned[directory], platform),
        )
    return ItemTree(items, tuple(problems))


def _platform(system: Mapping[str, str], read: Callable[[str], bytes]) -> Platform | None:
    """Return what a directory's system files say; both versions at once say nothing (docs)."""
    if system.keys() == {PLATFORM}:
        return parse_platform(read(system[PLATFORM]))
    if system.keys() == {_METADATA, _CONFIG}:
        return parse_version_1(read(system[_METADATA]), read(system[_CONFIG]))
    return None


def _shown(files: Mapping[str, str], platform: Platform) -> Mapping[str, str]:
    if PLATFORM in files:
        return files
    written = write_platform(
        item_type=platform.type,
        name=platform.name,
        description=platform.description,
        logical_id=platform.logical_id,
    )
    kept = {path: blob for path, blob in files.items() if path not in _SYSTEM}
    return {**kept, PLATFORM: git_id(written)}


def model_directory(directory: str, content: bytes) -> str | None:
    """Return the semantic model directory that a report's ``definition.pbir`` points to."""
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except ValueError:
        return None
    for key in ("datasetReference", "byPath", "path"):
        document = document.get(key) if isinstance(document, dict) else None
    if not isinstance(document, str):
        return None
    return posixpath.normpath(posixpath.join(directory, document))


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
