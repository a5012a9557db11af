"""Validation in stages: schema, models, rules between resources; all findings together.

A stage that fails does not silence the next one. What is wrong is cut out of a copy, so that
the rules between resources still run over the rest, and only findings that the cut cannot have
caused are reported.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from reconciler.diagnostics import Severity, SourceSpan
from reconciler.ids import Address, address
from reconciler.spec.check import check_findings
from reconciler.spec.explain import explain_model_error, explain_schema_error
from reconciler.spec.findings import Finding, Locate
from reconciler.spec.models import Estate
from reconciler.spec.places import Path, Place
from reconciler.spec.resolve import with_defaults
from reconciler.spec.schema import compiled_schema

__all__ = ["Validated", "fits_schema", "validate", "with_address"]

_MAX_FINDINGS = 20_000
_MAX_CUTS = 12  # each cut goes one level up where what is left is still not valid
_ENTRY_LISTS: tuple[Path, ...] = (
    ("azureDevOps", "repositories"),
    ("connections",),
    ("workspaces",),
    ("pipelines",),
    ("ignore",),
)
_HEADER = {"apiVersion": "reconciler/v1", "kind": "Estate", "metadata": {"name": "unnamed"}}
# What the rules say of an entry that was cut into is reported only if no cut can cause it.
_SURE = frozenset({"duplicate_name", "unknown_stage", "same_stage", "stages_not_adjacent"})
# What may be untrue while another entry is missing.
_NEEDS_ALL = frozenset({"missing_key", "unknown_reference"})


@dataclass(frozen=True, slots=True)
class Validated:
    """The estate, when there was no error, and every finding."""

    estate: Estate | None
    findings: tuple[Finding, ...]


def validate(
    data: dict[str, Any],
    root: Place,
    locate: Locate,
    *,
    unresolved: frozenset[Path] = frozenset(),
    is_whole: bool = True,
) -> Validated:
    """Validate plain data.

    Args:
        data: the merged spec with its variables put in.
        root: the places of the data, for the text as it is written.
        locate: gives a path its place in a file.
        unresolved: paths whose value could not be determined; nothing is said of them.
        is_whole: false when a file of the spec could not be read.
    """
    shape = _check_shape(data, root)
    try:
        estate = with_defaults(Estate.model_validate(data))
    except ValidationError as error:
        rules = _known_rules(error, data, shape)
        partial = _check_rest(data, locate, [*shape, *rules])
    else:
        rules = []
        partial = list(check_findings(estate, locate))
        if not is_whole:
            partial = [f for f in partial if f.code not in _NEEDS_ALL]
        if not shape and not any(f.severity is Severity.ERROR for f in partial):
            return Validated(estate, tuple(partial))
    kept = [
        f
        for f in (*shape, *rules)
        if f.path not in unresolved and (is_whole or f.path or f.code != "missing_key")
    ]
    findings = [with_address(f, data) for f in (*kept, *partial)]
    return Validated(None, tuple(dict.fromkeys(findings)))


@lru_cache(maxsize=1)
def _quick_validator() -> Any:  # noqa: ANN401 - as below
    from jsonschema_rs import Draft202012Validator  # noqa: PLC0415

    return Draft202012Validator(compiled_schema())


def fits_schema(data: object) -> bool:
    """Tell whether data is valid by the schema; False too where this cannot tell.

    Most specs are valid, and the library that explains what is not walks a large one two hundred
    times longer, so it is asked only for what does not pass here.
    """
    try:
        return bool(_quick_validator().is_valid(data))
    except ValueError:  # nested deeper than it goes, or a value that JSON does not have
        return False


@lru_cache(maxsize=1)
def _validator() -> Any:  # noqa: ANN401 - the library is imported only when it is needed
    from jsonschema import Draft202012Validator  # noqa: PLC0415

    return Draft202012Validator(compiled_schema())


def _check_shape(data: dict[str, Any], root: Place) -> list[Finding]:
    """Run the JSON Schema; a value of the wrong type is not also called not allowed."""
    if fits_schema(data):
        return []
    errors: Iterable[Any] = _validator().iter_errors(data)
    explained = (f for e in errors for f in explain_schema_error(e, root))
    found = list(dict.fromkeys(itertools.islice(explained, _MAX_FINDINGS)))
    if len(found) == _MAX_FINDINGS:
        found.append(
            Finding(
                (),
                "too_many_findings",
                f"There are more than {_MAX_FINDINGS:,} findings; the rest is not shown.",
            )
        )
    mistyped = {f.path for f in found if f.code in {"wrong_type", "empty_value"}}
    return [f for f in found if f.path not in mistyped or f.code in {"wrong_type", "empty_value"}]


def _known_rules(error: ValidationError, data: object, shape: list[Finding]) -> list[Finding]:
    """Return the broken rules of the models, but not around what the schema complained of."""
    found = list(explain_model_error(error, data))
    if shape or any(f.code != "invalid" for f in found):  # the other branches of a union
        found = [f for f in found if f.code != "invalid"]
    seen = [f.path for f in shape]
    return [f for f in found if not any(path[: len(f.path)] == f.path for path in seen)]


def _check_rest(data: dict[str, Any], locate: Locate, broken: list[Finding]) -> list[Finding]:
    """Run the rules between resources over what is left when the broken parts are cut out."""
    cut = _Cut(data)
    for finding in broken:
        cut.remove(finding)
    for _ in range(_MAX_CUTS):
        remaining = cut.remaining()
        try:
            estate = with_defaults(Estate.model_validate(remaining))
        except ValidationError as error:
            for finding in list(explain_model_error(error, remaining)):
                cut.remove(replace(finding, path=cut.original(finding.path)))
            continue
        found = check_findings(estate, lambda path: _placed(locate, cut, path))
        restored = (replace(f, path=cut.original(f.path)) for f in found)
        return [f for f in restored if cut.cannot_have_caused(f)]
    return []


def _placed(locate: Locate, cut: _Cut, path: Path) -> SourceSpan | None:
    return locate(cut.original(path))


class _Cut:
    """A copy of the data that loses its broken parts, and knows what was where."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data: dict[str, Any] = {**_HEADER, **_copy(data)}
        self.dropped: set[Path] = set()
        self.touched: set[Path] = set()
        self.mistyped: set[Path] = set()
        self.kept: dict[Path, list[int]] = {}

    def remove(self, finding: Finding) -> None:
        """Remove the smallest part that makes ``finding`` go away."""
        path = finding.path
        entry = _entry_of(path)
        if entry is not None:
            self.touched.add(entry)
            if not finding.at_key:
                self.mistyped.add(entry)
        if path == entry or not path:
            self.dropped.add(path)
            return
        while path and isinstance(path[-1], int):
            path = path[:-1]
        owner = _at(self.data, path[:-1])
        if isinstance(owner, dict):
            owner.pop(str(path[-1]), None)
        self._restore_header()

    def remaining(self) -> dict[str, Any]:
        """Return the data without the dropped entries."""
        out = dict(self.data)
        for path in _ENTRY_LISTS:
            entries = _at(self.data, path)
            if not isinstance(entries, list):
                continue
            kept = [i for i in range(len(entries)) if (*path, i) not in self.dropped]
            self.kept[path] = kept
            owner = out
            for part in path[:-1]:
                owner[str(part)] = dict(owner[str(part)])
                owner = owner[str(part)]
            owner[str(path[-1])] = [entries[i] for i in kept]
        return out

    def original(self, path: Path) -> Path:
        """Translate a path of the remaining data into one of the data as written."""
        for above, kept in self.kept.items():
            n = len(above)
            index = path[n] if len(path) > n else None
            if path[:n] == above and isinstance(index, int) and index < len(kept):
                return (*above, kept[index], *path[n + 1 :])
        return path

    def cannot_have_caused(self, finding: Finding) -> bool:
        """Tell whether ``finding`` holds for the data as written too."""
        entry = _entry_of(finding.path)
        if finding.code in _SURE:
            return True
        if entry in self.mistyped or (entry in self.touched and finding.code == "protected"):
            return False
        is_cut = bool(self.dropped or self.mistyped)
        return not (finding.code in _NEEDS_ALL and is_cut)

    def _restore_header(self) -> None:
        for key, value in _HEADER.items():
            self.data.setdefault(key, value)
        metadata = self.data["metadata"]
        if not isinstance(metadata, dict) or "name" not in metadata:
            self.data["metadata"] = _HEADER["metadata"]


def _entry_of(path: Path) -> Path | None:
    """Return the resource (an entry of a top-level list) that ``path`` lies in."""
    for above in _ENTRY_LISTS:
        n = len(above)
        if len(path) > n and path[:n] == above:
            return path[: n + 1]
    return None


def _at(data: object, path: Path) -> object:
    node: Any = data
    for part in path:
        is_key = isinstance(node, dict) and part in node
        is_index = isinstance(node, list) and isinstance(part, int) and part < len(node)
        if not (is_key or is_index):
            return None
        node = node[part]
    return node


def _copy(node: Any) -> Any:  # noqa: ANN401 - any data
    if isinstance(node, dict):
        return {k: _copy(v) for k, v in node.items()}
    return [_copy(v) for v in node] if isinstance(node, list) else node


def with_address(finding: Finding, data: dict[str, Any]) -> Finding:
    """Add the address of the resource a finding lies in, where its name is readable."""
    entry = _entry_of(finding.path)
    if finding.address is not None or entry is None or entry[0] == "ignore":
        return finding
    names = [part for part in _name_parts(_at(data, entry), entry) if isinstance(part, str)]
    kind = str(entry[-2])
    wanted = 2 if kind == "repositories" else 1
    is_named = len(names) == wanted and all(names)
    return replace(finding, address=Address(address(kind, *names))) if is_named else finding


def _name_parts(spec: object, entry: Path) -> Iterator[object]:
    if isinstance(spec, dict):
        if entry[-2] == "repositories":
            yield spec.get("project")
        yield spec.get("name") or spec.get("id")
