"""From files to an estate: reading, merging, variables, validation, with every finding placed.

The steps run as far as they can and report together: a misspelt key does not hide a duplicate
name. Where one step already complained about a value, later ones keep silent about it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan, has_errors, sort_diagnostics
from reconciler.errors import SpecError
from reconciler.spec.check import check_findings
from reconciler.spec.explain import explain_model_error
from reconciler.spec.files import list_files, read_file
from reconciler.spec.findings import Finding
from reconciler.spec.merge import merge_sources
from reconciler.spec.models import Estate
from reconciler.spec.places import Path, Place, find_place, locate
from reconciler.spec.resolve import with_defaults
from reconciler.spec.source import Source
from reconciler.spec.validate import validate, with_address
from reconciler.spec.variables import GivenValue, substitute

__all__ = ["LoadResult", "digest_of", "estate_from_resolved", "load_spec"]


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What reading a spec gave.

    Attributes:
        estate: the valid estate; None when any finding is an error.
        resolved: the spec as plain JSON data, variables put in, secrets as ``${env.NAME}``.
        digest: SHA-256 of ``resolved`` in canonical JSON, in hex; ``""`` without an estate.
        files: the spec files that were found, in order.
        diagnostics: every finding, sorted by place.
    """

    estate: Estate | None
    resolved: dict[str, Any] | None = field(repr=False)
    digest: str
    files: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]

    def require(self) -> Estate:
        """Return the estate.

        Raises:
            SpecError: the spec is invalid; the error carries the diagnostics.
        """
        if self.estate is None:
            count = sum(d.severity is Severity.ERROR for d in self.diagnostics)
            noun = "error" if count == 1 else "errors"
            raise SpecError(f"The spec is invalid: {count} {noun}.", self.diagnostics)
        return self.estate


def load_spec(
    paths: Sequence[FilePath],
    *,
    variables: Mapping[str, str] | None = None,
    var_files: Sequence[FilePath] = (),
) -> LoadResult:
    """Read, merge and validate a spec; whatever the files hold, this returns and never raises.

    Args:
        paths: files, and directories whose ``*.yaml`` and ``*.yml`` files are read in order of
            their names (not those of directories below, nor hidden ones).
        variables: values by name; they win over files and defaults.
        var_files: files that hold a mapping of names to values; later ones win.
    """
    files, found = list_files(paths)
    sources = _read(files, found)
    is_whole = len(sources) == len(files)
    merged, root, problems = merge_sources(sources, is_whole=is_whole)
    found.extend(problems)
    from_files = _read_values(var_files, found)

    estate: Estate | None = None
    resolved: dict[str, Any] | None = None
    if merged:
        put_in = substitute(merged, variables or {}, from_files)
        validated = validate(
            put_in.data,
            root,
            lambda path: locate(root, path),
            unresolved=put_in.unresolved,
            is_whole=is_whole and not problems,
        )
        findings = (*put_in.findings, *_unused(from_files, merged), *validated.findings)
        found.extend(_placed(with_address(f, merged), root, from_files) for f in findings)
        if not has_errors(found):
            estate, resolved = validated.estate, put_in.data
    elif not problems:
        found.extend(_empty(s) for s in sources[:1] if not s.data)
    return LoadResult(
        estate,
        resolved,
        digest_of(resolved) if resolved is not None else "",
        tuple(str(file) for file in files),
        tuple(sort_diagnostics(found)),
    )


def estate_from_resolved(data: object) -> Estate:
    """Rebuild the estate from :attr:`LoadResult.resolved`, as a plan file embeds it.

    Raises:
        SpecError: the data is no valid spec.
    """
    findings: list[Finding]
    try:
        estate = with_defaults(Estate.model_validate(data))
    except ValidationError as error:
        findings = list(explain_model_error(error, data))
    else:
        findings = list(check_findings(estate, _nowhere))
        if not any(f.severity is Severity.ERROR for f in findings):
            return estate
    diagnostics = sort_diagnostics(f.placed(_nowhere) for f in findings)
    raise SpecError("The embedded spec is invalid.", diagnostics)


def digest_of(resolved: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a resolved spec, independent of key order and layout."""
    text = json.dumps(resolved, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _read(files: Sequence[FilePath], found: list[Diagnostic]) -> list[Source]:
    """Read the files, and return those that hold something."""
    sources: list[Source] = []
    for file in files:
        source = read_file(file)
        if isinstance(source, Diagnostic):
            found.append(source)
            continue
        found.extend(source.diagnostics)
        if source.data is not None:
            sources.append(source)
    return sources


def _read_values(files: Sequence[FilePath], found: list[Diagnostic]) -> dict[str, GivenValue]:
    """Read variable files; a later file wins."""
    values: dict[str, GivenValue] = {}
    for source in _read(files, found):
        children = source.place.children
        if not isinstance(source.data, dict) or not isinstance(children, dict):
            found.append(
                Diagnostic(
                    Severity.ERROR,
                    "wrong_type",
                    "A variable file must hold a mapping of names to values.",
                    "Write one `name: value` per line.",
                    span=source.place.of_value(),
                )
            )
            continue
        for name, value in source.data.items():
            values[name] = GivenValue(value, children[name].of_key())
    return values


def _unused(values: Mapping[str, GivenValue], data: Mapping[str, Any]) -> list[Finding]:
    """Warn of values for variables nobody declared: one file may serve several estates."""
    declared = data.get("variables")
    known = declared if isinstance(declared, dict) else {}
    return [
        Finding(
            ("variables", name),
            "unused_value",
            f'A variable file gives "{name[:60]}", which the spec does not declare.',
            "Declare it under variables, or remove it from the file.",
            severity=Severity.WARNING,
        )
        for name in values
        if name not in known
    ]


def _placed(finding: Finding, root: Place, values: Mapping[str, GivenValue]) -> Diagnostic:
    def place(path: Path) -> SourceSpan | None:
        if finding.code == "unused_value":
            return values[str(path[-1])].span
        return find_place(root, path).of_key() if finding.at_key else locate(root, path)

    return finding.placed(place)


def _empty(source: Source) -> Diagnostic:
    return Diagnostic(
        Severity.ERROR,
        "empty_file",
        "The file declares nothing.",
        "A spec starts with apiVersion: reconciler/v1 and kind: Estate.",
        span=source.place.of_value(),
    )


def _nowhere(path: Path) -> SourceSpan | None:
    """Give no place: the data does not come from a file."""
    del path
    return None
