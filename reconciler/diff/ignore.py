"""The spec's ``ignore`` rules: which differences are left alone, at which address.

One reading of the rules for plan, drift and apply, so that what is not shown is not done either.
A rule with neither ``items`` nor ``path`` covers every difference at its address; one with
``path`` covers places inside item definitions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from reconciler.ids import split_address
from reconciler.live.models import LiveChange
from reconciler.live.scope import ScopePattern, name_matches, patterns_of
from reconciler.spec.models import IgnoreRule

__all__ = ["NOTHING_IGNORED", "IgnoreRules", "IgnoredPath", "Ignores", "pattern_matches"]


def pattern_matches(address: str, pattern: str) -> bool:
    """Tell whether an address falls under a pattern: ``*`` within one part, ``**`` across parts.

    ``pipelines/**`` covers everything below ``pipelines``; ``workspaces/*/git`` every binding.
    """
    return _parts_match(split_address(address), split_address(pattern))


def _parts_match(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    """Match part by part; ``reach`` holds the numbers of wanted parts that may come next."""
    reach = _skip_globs({0}, wanted)
    for part in parts:
        after = {n for n in reach if n < len(wanted) and wanted[n] == "**"}
        after |= {
            n + 1
            for n in reach
            if n < len(wanted) and wanted[n] != "**" and name_matches(part, wanted[n])
        }
        reach = _skip_globs(after, wanted)
    return len(wanted) in reach


def _skip_globs(reach: set[int], wanted: Sequence[str]) -> set[int]:
    """Add what is reached when ``**`` stands for no part at all."""
    out = set(reach)
    for n in sorted(reach):
        at = n
        while at < len(wanted) and wanted[at] == "**":
            at += 1
            out.add(at)
    return out


@dataclass(frozen=True, slots=True)
class IgnoredPath:
    """A place inside definitions: a file (``*`` and ``?`` work), and a JSON pointer or all of it.

    ``items`` is empty for every item.
    """

    file: str
    pointer: str = ""
    items: tuple[ScopePattern, ...] = ()

    @classmethod
    def parse(cls, text: str, items: tuple[ScopePattern, ...] = ()) -> IgnoredPath:
        """Read ``report.json:/config``; what follows the first ``:/`` is the pointer."""
        file, separator, pointer = text.partition(":/")
        return cls(file, f"/{pointer}" if separator else "", items)

    def covers(self, file: str) -> bool:
        """Tell whether a part of a definition is the file meant."""
        return name_matches(file, self.file)

    def tokens(self) -> tuple[str, ...]:
        """Return the steps of the pointer. Source: RFC 6901 section 3, spec."""
        return tuple(t.replace("~1", "/").replace("~0", "~") for t in self.pointer.split("/")[1:])


@dataclass(frozen=True, slots=True)
class Ignores:
    """The rules that apply at one address.

    ``everything`` is true when one covers all differences there.
    """

    everything: bool = False
    items: tuple[ScopePattern, ...] = ()
    paths: tuple[IgnoredPath, ...] = ()

    def item(self, item_type: str, item_name: str) -> bool:
        """Tell whether an item is left alone as a whole."""
        return self.everything or any(p.matches(item_type, item_name) for p in self.items)

    def change(self, change: LiveChange) -> bool:
        """Tell whether an item of git status is left alone."""
        return self.item(change.type, change.name)

    def paths_in(self, item_type: str, item_name: str) -> tuple[IgnoredPath, ...]:
        """Return the places to leave alone inside an item's definition."""
        return tuple(
            p
            for p in self.paths
            if not p.items or any(i.matches(item_type, item_name) for i in p.items)
        )


NOTHING_IGNORED = Ignores()


_NAMING = 2
"""Parts of an address that name the resource it lies in: ``workspaces``, ``Sales``."""


class IgnoreRules:
    """All rules of a spec, those that name one resource found by its name.

    A spec may have a rule for each of very many resources, and each of them asks.
    """

    def __init__(self, rules: Iterable[IgnoreRule]) -> None:
        self._rules = tuple(rules)
        self._patterns = [split_address(r.address) for r in self._rules]
        self._named: dict[tuple[str, ...], list[int]] = {}
        self._open: list[int] = []
        for number, pattern in enumerate(self._patterns):
            start = pattern[:_NAMING]
            if len(start) < _NAMING or any("*" in p or "?" in p for p in start):
                self._open.append(number)
            else:
                self._named.setdefault(start, []).append(number)

    def at(self, address: str) -> Ignores:
        """Return what applies at an address."""
        if not self._rules:
            return NOTHING_IGNORED
        parts = split_address(address)
        numbers = sorted((*self._open, *self._named.get(parts[:_NAMING], ())))
        found = [self._rules[n] for n in numbers if _parts_match(parts, self._patterns[n])]
        if not found:
            return NOTHING_IGNORED
        return Ignores(
            everything=any(not r.items and r.path is None for r in found),
            items=tuple(p for r in found if r.path is None for p in patterns_of(r.items)),
            paths=tuple(
                IgnoredPath.parse(r.path, patterns_of(r.items)) for r in found if r.path is not None
            ),
        )
