"""A finding of the spec: what is wrong at which path, before it is given its place in a file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from reconciler.diagnostics import Diagnostic, Severity, SourceSpan
from reconciler.spec.places import Path, path_text

__all__ = ["Finding", "Hints", "Locate", "close_match", "hint", "is_secret_path"]

Locate = Callable[[Path], SourceSpan | None]

_SECRETS: frozenset[Path] = frozenset(
    {
        ("azureDevOps", "repositories", "*", "import", "credentials", "password"),
        ("connections", "*", "create", "credentials", "servicePrincipal", "secret"),
        ("connections", "*", "create", "credentials", "key"),
    }
)
_MAX_COMPARED = 1000  # comparing is slow, and a long spec may hold many misspelt words
_MAX_COMPARED_IN_ALL = 100_000  # two seconds


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem, not yet placed.

    Attributes:
        path: the value it is about; for a missing key, the object that lacks it.
        at_key: the problem is the last key of ``path``, not its value.
    """

    path: Path
    code: str
    summary: str
    detail: str = ""
    address: str | None = None
    at_key: bool = False
    severity: Severity = Severity.ERROR

    def placed(self, locate: Locate) -> Diagnostic:
        """Return the diagnostic, with the place that ``locate`` gives."""
        return Diagnostic(
            self.severity,
            self.code,
            self.summary,
            self.detail,
            self.address,
            path_text(self.path) or None,
            locate(self.path),
        )


def is_secret_path(path: Path) -> bool:
    """Tell whether a secret stands at ``path``: the only place for ``${env.NAME}``."""
    return tuple("*" if isinstance(part, int) else part for part in path) in _SECRETS


def close_match(word: str, known: Iterable[str]) -> str | None:
    """Return the known word a person most likely meant, ignoring case; None among too many."""
    words = list(known)
    if len(words) > _MAX_COMPARED:
        return None
    by_lower = {k.lower(): k for k in sorted(words)}
    found = difflib.get_close_matches(word.lower()[:100], by_lower, n=1, cutoff=0.6)
    return by_lower[found[0]] if found else None


def hint(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean "X"?``, or a full stop when nothing is close."""
    match = close_match(word, known)
    return f'; did you mean "{match}"?' if match else "."


class Hints:
    """Hints for the words of one spec, until comparing them has taken long enough.

    Where thousands of words are wrong, what the first hundred were meant to be is enough.
    """

    def __init__(self) -> None:
        self._left = _MAX_COMPARED_IN_ALL

    def hint(self, word: str, known: Collection[str]) -> str:
        """Return what :func:`hint` does, or a full stop when there were too many before."""
        if self._left <= 0:
            return "."
        self._left -= len(known) if len(known) <= _MAX_COMPARED else 0
        return hint(word, known)
