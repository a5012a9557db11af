"""Compare two item definitions part by part, as the service would deploy them.

What a deployment rewrites or a serialiser shuffles is no difference: object ids and logical ids
of paired items, the two workspace ids, the logicalId of ``.platform``, line endings, the final
newline and JSON key order. This is the only user of deepdiff.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from reconciler.live.models import Definition

__all__ = ["FileDifference", "IdMap", "compare_definitions", "logical_id_of"]

_GUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_MAX_PATHS = 3
_JSON_SUFFIXES = (".json", ".platform", ".pbir", ".pbism", ".ipynb", ".schedules")
_YAML_SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A part that differs. ``paths`` names the first changed places, for people."""

    path: str
    paths: tuple[str, ...] = ()

    def describe(self) -> str:
        """Write it as ``notebook-content.py: line 3``."""
        return f"{self.path}: {', '.join(self.paths)}" if self.paths else self.path


def logical_id_of(object_id: str) -> str:
    """Return the logicalId of an item that was born in a workspace.

    Its objectId with the bytes reversed by group.
    Source: fabric-api.md section 9, "logicalId law", recorded (11 of 11 bulk exports).
    """
    a, b, c, d, e = object_id.lower().split("-")
    return f"{e[4:]}-{e[:4]}-{d}-{c}-{b}{a}"


class IdMap:
    """Turns the ids of one side into names both sides share."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names: dict[bytes, bytes] = {}
        for object_id, name in names.items():
            token = f"<{name}>".encode()
            self._names[object_id.lower().encode()] = token
            if _GUID.fullmatch(object_id.encode()):
                self._names.setdefault(logical_id_of(object_id).encode(), token)

    def apply(self, content: bytes) -> bytes:
        """Replace every known id in ``content``; unknown ids stay."""
        return _GUID.sub(lambda m: self._names.get(m[0].lower(), m[0]), content)


def compare_definitions(
    source: Definition, target: Definition, source_ids: IdMap, target_ids: IdMap
) -> tuple[FileDifference, ...]:
    """List the parts in which two readable definitions differ, by path.

    A part that exists on one side only is listed with ``only in source`` or ``only in target``.
    """
    out: list[FileDifference] = []
    for path in sorted(source.parts.keys() | target.parts.keys()):
        if path not in target.parts:
            out.append(FileDifference(path, ("only in source",)))
        elif path not in source.parts:
            out.append(FileDifference(path, ("only in target",)))
        else:
            before, after = target.parts[path], source.parts[path]
            if before == after:
                continue
            difference = _compare_part(path, target_ids.apply(before), source_ids.apply(after))
            if difference is not None:
                out.append(difference)
    return tuple(out)


def _compare_part(path: str, before: bytes, after: bytes) -> FileDifference | None:
    before, after = _plain_text(before), _plain_text(after)
    if before == after:
        return None
    old, new = _parse(path, before), _parse(path, after)
    if old is None or new is None:
        return FileDifference(path, _first_lines(before, after))
    if path.rsplit("/", 1)[-1] == ".platform":
        old, new = _without_logical_id(old), _without_logical_id(new)
    if old == new:
        return None
    return FileDifference(path, _changed_paths(old, new))


def _plain_text(content: bytes) -> bytes:
    """Fold what serialisers disagree on: line endings, final newline, byte order mark."""
    if b"\0" in content:
        return content
    return content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").rstrip(b"\n")


def _parse(path: str, content: bytes) -> object:
    try:
        if path.endswith(_JSON_SUFFIXES):
            return json.loads(content)
        if path.endswith(_YAML_SUFFIXES):
            return yaml.safe_load(content)
    except (ValueError, yaml.YAMLError, RecursionError):
        return None
    return None


def _without_logical_id(platform: object) -> object:
    if isinstance(platform, dict) and isinstance(platform.get("config"), dict):
        config = {k: v for k, v in platform["config"].items() if k != "logicalId"}
        return {**platform, "config": config}
    return platform


def _first_lines(before: bytes, after: bytes) -> tuple[str, ...]:
    if b"\0" in before or b"\0" in after:
        return (f"binary, {len(before)} and {len(after)} bytes",)
    old, new = before.split(b"\n"), after.split(b"\n")
    for number, (a, b) in enumerate(zip(old, new, strict=False), start=1):
        if a != b:
            return (f"line {number}",)
    return (f"line {min(len(old), len(new)) + 1}",)


def _changed_paths(old: object, new: object) -> tuple[str, ...]:
    from deepdiff import DeepDiff  # noqa: PLC0415 - slow to import, needed only for differences

    found = DeepDiff(old, new, view="tree", ignore_order=False)
    paths = sorted(
        {
            "/" + "/".join(map(str, e.path(output_format="list")))
            for group in found.values()
            for e in group
        }
    )
    more = len(paths) - _MAX_PATHS
    return (*paths[:_MAX_PATHS], *((f"and {more} more",) if more > 0 else ()))
