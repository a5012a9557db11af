"""Hold a plan to one that was reviewed: it may do less, and nothing beyond.

Actions are matched by kind and address. An item is announced by type and name together with what
happens to it: an item that was to be changed was not announced as deleted. What the reviewed plan
left open is announced as open only, so that an item which shows up later is beyond it. An item
that a deployment was to take and that has another name since is known by its id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.plan.actions import Action, CommitToGit, Deploy, FieldChange, UpdateFromGit
from reconciler.plan.plan import Plan

__all__ = ["Beyond", "beyond_reviewed"]

# What of an op is compared otherwise (items), is text for people, or names the request that an
# earlier run made; all else decides what is done.
_FREE = frozenset(
    {"items", "announced", "announced_ids", "note", "comment", "attach", "import_request_id"}
)
_MOST_ITEMS = 10


@dataclass(frozen=True, slots=True)
class Beyond:
    """Something the reviewed plan did not announce."""

    address: str
    text: str


@dataclass(slots=True)
class _Announced:
    """What a plan says of one kind at one address, over all its parts."""

    ops: list[dict[str, Any]] = field(default_factory=list)
    changes: dict[tuple[str, str], FieldChange] = field(default_factory=dict)
    items: set[tuple[str, str, bool]] = field(default_factory=set)
    conflicts: set[tuple[str, str]] = field(default_factory=set)
    ids: dict[tuple[str, str], str] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    destructive: bool = False
    open: bool = False


def beyond_reviewed(reviewed: Plan, now: Plan) -> tuple[Beyond, ...]:
    """Return what a plan would do that the reviewed one did not announce; empty: nothing."""
    announced, wanted = _by_place(reviewed), _by_place(now)
    out: list[Beyond] = []
    for (kind, address), want in wanted.items():
        then = announced.get((kind, address))
        if then is None:
            out.append(Beyond(address, f"{kind} was not announced{_taking(want)}"))
            continue
        out.extend(Beyond(address, f"{kind} {text}") for text in _differences(then, want))
    return tuple(out)


def _by_place(plan: Plan) -> Mapping[tuple[str, str], _Announced]:
    out: dict[tuple[str, str], _Announced] = {}
    for action in plan.actions:
        at = out.setdefault((action.kind, action.address), _Announced())
        at.ops.append(action.op.model_dump(mode="json", exclude=set(_FREE)))
        at.changes.update({(c.path, _json(c.after)): c for c in action.changes})
        at.items |= {(i.type, i.name, i.change == "Deleted") for i in action.items}
        at.conflicts |= {(i.type, i.name) for i in action.items if i.conflict == "Conflict"}
        at.destructive = at.destructive or action.destructive
        at.open = at.open or _is_open(action)
        if isinstance(action.op, Deploy):
            refs = action.op.items or ()
            at.ids.update({(i.type, i.name): i.id for i in refs})
            at.known.update(action.op.announced_ids, (i.id for i in refs))
    return out


def _is_open(action: Action) -> bool:
    """Tell whether an action may take items that it does not list."""
    if not action.after_unknown:
        return False
    if isinstance(action.op, Deploy):
        return action.op.items is None and action.op.announced is None
    return isinstance(action.op, (UpdateFromGit, CommitToGit)) and not action.items


def _differences(then: _Announced, now: _Announced) -> list[str]:
    out = []
    new = {i for i in now.items - then.items if now.ids.get(i[:2]) not in then.known}
    written = sorted(_named(i) for i in new if not i[2])
    deleted = sorted(_named(i) for i in new if i[2])
    if written:
        out.append(f"would also take {_listed(written)}")
    if deleted:
        out.append(f"would also delete {_listed(deleted)}")
    if now.open and not then.open:
        out.append("would take items that it cannot name yet")
    clashes = sorted(" ".join(c) for c in now.conflicts - then.conflicts)
    if clashes:
        out.append(f"would decide a conflict over {_listed(clashes)}")
    if now.destructive and not then.destructive:
        out.append("would be destructive")
    out.extend(_changed_fields(then, now))
    if not any(o not in then.ops for o in now.ops):
        return out
    keys = sorted({k for o in now.ops for k in _differing(o, then.ops)})
    return [*out, f"would be carried out otherwise ({', '.join(keys)})"]


def _changed_fields(then: _Announced, now: _Announced) -> list[str]:
    """Name fields that would become another value, or lose one that nobody saw go."""
    out = []
    for key, change in now.changes.items():
        seen = then.changes.get(key)
        if seen is None:
            out.append(f"would set {change.path} to {_json(change.after)}")
        elif seen.before != change.before and (change.after is None or now.destructive):
            out.append(f"would replace {_json(change.before)} in {change.path}")
    return out


def _differing(op: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the members in which an op differs from the likest of others."""
    found = [{k for k in op.keys() | o.keys() if op.get(k) != o.get(k)} for o in others]
    return min(found, key=len, default=set())


def _taking(want: _Announced) -> str:
    names = sorted(_named(i) for i in want.items)
    return f" ({_listed(names)})" if names else ""


def _named(item: tuple[str, str, bool]) -> str:
    return f"{item[0]} {item[1]}"


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_ITEMS
    return ", ".join(names[:_MOST_ITEMS]) + (f" and {more:,} more" if more > 0 else "")


def _json(value: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(value, ensure_ascii=False, default=str)
