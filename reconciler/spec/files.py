"""Finding and reading the files of a spec: the only module of ``spec`` that touches a disk."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path as FilePath

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.spec.source import MAX_FILE_BYTES, Source, read_source

__all__ = ["list_files", "read_file"]

_SUFFIXES = frozenset({".yaml", ".yml"})


def list_files(paths: Sequence[FilePath]) -> tuple[list[FilePath], list[Diagnostic]]:
    """Return the files to read, each once, in order.

    Of a directory these are its ``*.yaml`` and ``*.yml`` files by name. Those in directories
    below are left out: item folders of Fabric hold YAML files too.
    """
    files: list[FilePath] = []
    found: list[Diagnostic] = []
    if not paths:
        found.append(
            _error("no_files", "No spec is given.", "Name a YAML file or a directory.", None)
        )
    for path in paths:
        try:
            if not path.is_dir():
                files.append(path)
                continue
            inside = sorted(
                p for p in path.iterdir() if p.suffix in _SUFFIXES and not p.name.startswith(".")
            )
        except (OSError, ValueError) as error:
            found.append(_unreadable(path, error))
            continue
        if not inside:
            found.append(
                _error(
                    "no_files",
                    "The directory holds no *.yaml or *.yml file.",
                    "Directories below it are not searched.",
                    path,
                )
            )
        files.extend(inside)
    return _each_once(files), found


def read_file(path: FilePath) -> Source | Diagnostic:
    """Read one YAML file; what keeps it from being read at all comes back as a diagnostic."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            return _error(
                "unreadable_file", "This is not a regular file.", "Give a YAML file.", path
            )
        with path.open("rb") as stream:
            raw = stream.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        return _unreadable(path, error)
    return read_source(raw, str(path))


def _each_once(files: list[FilePath]) -> list[FilePath]:
    """Drop files that are named again, by another spelling or through a link."""
    seen: dict[object, FilePath] = {}
    for path in files:
        try:
            about = path.stat()
            key: object = (about.st_dev, about.st_ino)
        except (OSError, ValueError):
            key = str(path)
        seen.setdefault(key, path)
    return list(seen.values())


def _unreadable(path: FilePath, error: OSError | ValueError) -> Diagnostic:
    if isinstance(error, FileNotFoundError):
        return _error("missing_file", "There is no such file.", "Check the path.", path)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "a bad name"
    return _error("unreadable_file", f"The file cannot be read: {reason}.", "", path)


def _error(code: str, summary: str, detail: str, path: FilePath | None) -> Diagnostic:
    span = SourceSpan(str(path)) if path is not None else None
    return Diagnostic(Severity.ERROR, code, summary, detail, span=span)
