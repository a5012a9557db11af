"""Which items a deployment covers, and one stage as it stands. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from reconciler.live.models import LiveItem, LiveStageItem
from reconciler.spec.models import DeploymentSpec, ItemPattern

__all__ = [
    "FOLLOWERS",
    "ScopePattern",
    "StageSide",
    "in_scope",
    "name_matches",
    "pairs_to_read",
    "patterns_of",
    "scope_of",
]

# Children the service makes itself; they follow their parent and are never deployed alone.
# Source: fabric-api.md section 8 (a Lakehouse adds a SQLEndpoint, recorded) and section 9, docs.
FOLLOWERS = frozenset({"SQLEndpoint"})


def name_matches(name: str, pattern: str) -> bool:
    """Tell whether a name falls under a pattern with ``*`` and ``?``; case-sensitive.

    Brackets stand for themselves: ``Report [old]`` is a name people give, not a set of letters.
    """
    return fnmatchcase(name, pattern.replace("[", "[[]"))


@dataclass(frozen=True, slots=True)
class ScopePattern:
    """Items by type (None: any) and name with ``*`` and ``?``; both case-sensitive."""

    type: str | None = None
    name: str = "*"

    def matches(self, item_type: str, item_name: str) -> bool:
        """Tell whether an item falls under the pattern."""
        return self.type in (None, item_type) and name_matches(item_name, self.name)


@dataclass(frozen=True, slots=True)
class StageSide:
    """One stage as it stands: stage items with their pairs, and the workspace they live in."""

    workspace_id: str | None
    items: tuple[LiveStageItem, ...]
    workspace_items: tuple[LiveItem, ...] = ()

    def backward(self) -> StageSide:
        """Return the stage as a deployment backward sees it: pairs point the other way."""
        turned = tuple(replace(i, source_id=i.target_id, target_id=i.source_id) for i in self.items)
        return replace(self, items=turned)


def in_scope(
    item_type: str,
    item_name: str,
    scope: Sequence[ScopePattern] | None,
    exclude: Sequence[ScopePattern],
) -> bool:
    """Tell whether an item falls under ``scope`` (None: all) and not under ``exclude``."""
    if item_type in FOLLOWERS:
        return False
    wanted = scope is None or any(p.matches(item_type, item_name) for p in scope)
    return wanted and not any(p.matches(item_type, item_name) for p in exclude)


def pairs_to_read(
    source: StageSide,
    target: StageSide,
    scope: Sequence[ScopePattern] | None,
    exclude: Sequence[ScopePattern],
) -> list[tuple[str, str]]:
    """Return the (source id, target id) pairs whose definitions a comparison needs."""
    present = {i.id for i in target.items}
    return [
        (i.id, i.target_id)
        for i in source.items
        if i.target_id in present and in_scope(i.type, i.name, scope, exclude)
    ]


def patterns_of(patterns: Sequence[ItemPattern]) -> tuple[ScopePattern, ...]:
    """Turn item patterns of the spec into scope patterns."""
    return tuple(ScopePattern(p.type, p.name) for p in patterns)


def scope_of(spec: DeploymentSpec) -> tuple[ScopePattern, ...] | None:
    """Return the patterns under ``items``; None covers all."""
    return None if spec.items == "all" else patterns_of(spec.items)
