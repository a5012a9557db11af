"""Compare two item definitions part by part, as the service would deploy them.

What a deployment rewrites or a serialiser shuffles is no difference: object ids and logical ids
of paired items, the two workspace ids, the logicalId of ``.platform``, line endings, the final
newline and JSON key order. Places the spec ignores are left out on both sides. This is the only
user of deepdiff.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from reconciler.diff.ignore import IgnoredPath
from reconciler.live.models import Definition

__all__ = [
    "DefinitionDiff",
    "FileDifference",
    "IdMap",
    "compare_definitions",
    "logical_id_in",
    "logical_id_of",
]

_GUID = re.compile(rb"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_MAX_PATHS = 3
_JSON_SUFFIXES = (".json", ".platform", ".pbir", ".pbism", ".ipynb", ".schedules")
_YAML_SUFFIXES = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A part that differs.

    ``paths`` names the first changed places, for people. ``places`` digests every changed place
    with its value on either side: the same place digests alike as long as neither side moves.
    """

    path: str
    paths: tuple[str, ...] = ()
    places: tuple[str, ...] = ()

    def describe(self) -> str:
        """Write it as ``notebook-content.py: line 3``."""
        return f"{self.path}: {', '.join(self.paths)}" if self.paths else self.path

    def to_ignore(self) -> tuple[str, ...]:
        """Write the changed places as ``ignore`` takes them: ``report.json:/config``."""
        pointers = [p for p in self.paths if p.startswith("/")]
        if not pointers or len(pointers) != len(self.paths):
            return (self.path,)
        return tuple(f"{self.path}:{p}" for p in pointers)


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
        given = {i.lower().encode(): f"<{name}>".encode() for i, name in names.items()}
        derived = {
            logical_id_of(i.decode()).encode(): token
            for i, token in given.items()
            if _GUID.fullmatch(i)
        }
        self._names = {**derived, **given}

    def apply(self, content: bytes) -> bytes:
        """Replace every known id in ``content``; unknown ids stay."""
        return _GUID.sub(lambda m: self._names.get(m[0].lower(), m[0]), content)


@dataclass(frozen=True, slots=True)
class DefinitionDiff:
    """What differs, and what differs only in places the spec ignores."""

    differences: tuple[FileDifference, ...] = ()
    ignored: tuple[FileDifference, ...] = ()


def logical_id_in(definition: Definition) -> str | None:
    """Return the logicalId a definition's ``.platform`` states, if it has one.

    Items that came from Git keep Git's, which no law derives from the objectId.
    Source: fabric-api.md section 9, docs.
    """
    platform = _parse(".platform", _plain_text(definition.parts.get(".platform", b"")))
    config = platform.get("config") if isinstance(platform, dict) else None
    found = config.get("logicalId") if isinstance(config, dict) else None
    # The zero id means "this workspace" elsewhere in definitions, so it names no item.
    return found if isinstance(found, str) and found.strip("0-") else None


def compare_definitions(
    source: Definition,
    target: Definition,
    source_ids: IdMap,
    target_ids: IdMap,
    *,
    ignore: Sequence[IgnoredPath] = (),
) -> DefinitionDiff:
    """List the parts in which two readable definitions differ, by path.

    A part that exists on one side only is listed with ``only in source`` or ``only in target``.
    """
    differences: list[FileDifference] = []
    ignored: list[FileDifference] = []
    for path in sorted(source.parts.keys() | target.parts.keys()):
        rules = [r for r in ignore if r.covers(path)]
        if path not in target.parts:
            place = _place(path, b"", source_ids.apply(source.parts[path]))
            found: FileDifference | None = FileDifference(path, ("only in source",), (place,))
        elif path not in source.parts:
            place = _place(path, target_ids.apply(target.parts[path]), b"")
            found = FileDifference(path, ("only in target",), (place,))
        elif target.parts[path] == source.parts[path]:
            continue
        else:
            before = target_ids.apply(target.parts[path])
            after = source_ids.apply(source.parts[path])
            found = _compare_part(path, before, after, ())
            if found is not None and rules:
                left = _compare_part(path, before, after, [r for r in rules if r.pointer])
                if left is None:
                    ignored.append(found)
                found = left
        if found is None:
            continue
        (ignored if any(not r.pointer for r in rules) else differences).append(found)
    return DefinitionDiff(tuple(differences), tuple(ignored))


def _compare_part(
    path: str, before: bytes, after: bytes, ignore: Sequence[IgnoredPath]
) -> FileDifference | None:
    before, after = _plain_text(before), _plain_text(after)
    if before == after:
        return None
    old, new = _parse(path, before), _parse(path, after)
    as_text = FileDifference(path, _first_lines(before, after), (_place(path, before, after),))
    if old is None or new is None:
        return as_text
    if path.rsplit("/", 1)[-1] == ".platform":
        ignore = (*ignore, _LOGICAL_ID)
    for rule in ignore:
        old, new = _without(old, rule.tokens()), _without(new, rule.tokens())
    try:
        if _same(old, new):
            return None
        changed = _changed_paths(old, new)
    except RecursionError:
        return as_text
    pointers = sorted(changed.keys() - {""})
    more = len(pointers) - _MAX_PATHS
    return FileDifference(
        path,
        (*pointers[:_MAX_PATHS], *((f"and {more} more",) if more > 0 else ())),
        tuple(_place(f"{path}:{p}", *values) for p, values in sorted(changed.items())),
    )


def _place(where: str, before: bytes, after: bytes) -> str:
    """Digest a changed place with both its values, short enough to stand in a note."""
    digest = hashlib.blake2b(digest_size=6)
    for field in (where.encode(), before, after):
        digest.update(len(field).to_bytes(8, "big") + field)
    return base64.urlsafe_b64encode(digest.digest()).decode()


_LOGICAL_ID = IgnoredPath(".platform", "/config/logicalId")


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


def _same(a: object, b: object) -> bool:
    """Compare parsed values by type too: ``true`` is not ``1``, as Python would have it."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a == b or (a != a and b != b)  # noqa: PLR0124 - NaN is the value unequal to itself


def _without(value: object, steps: Sequence[str]) -> object:
    """Return a parsed value without the place a pointer names; the value itself stays."""
    if not steps:
        return value
    first, rest = steps[0], steps[1:]
    if isinstance(value, dict) and first in value:
        kept = {k: v for k, v in value.items() if k != first}
        return {**kept, first: _without(value[first], rest)} if rest else kept
    if isinstance(value, list) and first.isdecimal() and int(first) < len(value):
        at = int(first)
        inner = [_without(value[at], rest)] if rest else []
        return [*value[:at], *inner, *value[at + 1 :]]
    return value


def _first_lines(before: bytes, after: bytes) -> tuple[str, ...]:
    if b"\0" in before or b"\0" in after:
        return (f"binary, {len(before)} and {len(after)} bytes",)
    old, new = before.split(b"\n"), after.split(b"\n")
    for number, (a, b) in enumerate(zip(old, new, strict=False), start=1):
        if a != b:
            return (f"line {number}",)
    return (f"line {min(len(old), len(new)) + 1}",)


def _changed_paths(old: object, new: object) -> dict[str, tuple[bytes, bytes]]:
    """Name the changed places as JSON pointers, which ``ignore`` takes as they stand.

    Returns:
        The values on both sides, by pointer.
    """
    from deepdiff import DeepDiff  # noqa: PLC0415 - slow to import, needed only for differences

    # Without a threshold two very different values would only be told as a change of the whole.
    found = DeepDiff(old, new, view="tree", ignore_order=False, threshold_to_diff_deeper=0)
    return {
        _pointer(e.path(output_format="list")): (_canonical(e.t1), _canonical(e.t2))
        for group in found.values()
        for e in group
    }


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, default=str).encode("utf-8", "surrogatepass")


def _pointer(steps: Sequence[object]) -> str:
    """Write a pointer. Source: RFC 6901 section 3, spec."""
    return "".join("/" + str(s).replace("~", "~0").replace("/", "~1") for s in steps)
