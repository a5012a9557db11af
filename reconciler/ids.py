"""Identifiers and resource addresses: the vocabulary every layer shares.

Nothing here knows what a resource looks like; it only names one.
"""

from __future__ import annotations

from typing import NewType

__all__ = [
    "ActionId",
    "Address",
    "CapacityId",
    "ConnectionId",
    "ItemId",
    "PipelineId",
    "PrincipalId",
    "RepositoryId",
    "StageId",
    "WorkspaceId",
    "address",
    "address_matches",
    "split_address",
]

Address = NewType("Address", str)
ActionId = NewType("ActionId", str)
CapacityId = NewType("CapacityId", str)
ConnectionId = NewType("ConnectionId", str)
ItemId = NewType("ItemId", str)
PipelineId = NewType("PipelineId", str)
PrincipalId = NewType("PrincipalId", str)
RepositoryId = NewType("RepositoryId", str)
StageId = NewType("StageId", str)
WorkspaceId = NewType("WorkspaceId", str)


def address(*parts: str) -> Address:
    r"""Join name parts into an address, escaping ``/`` and ``\`` inside a part with ``\``.

    ``address("workspaces", "Sales/EU", "git")`` is ``workspaces/Sales\/EU/git``.
    """
    joined = "/".join(parts)
    if "\\" not in joined and joined.count("/") == len(parts) - 1:  # the usual one, as below
        return Address(joined)
    return Address("/".join(p.replace("\\", "\\\\").replace("/", "\\/") for p in parts))


def split_address(value: str) -> tuple[str, ...]:
    """Split an address into its unescaped parts; the inverse of :func:`address`."""
    if "\\" not in value:  # the usual one, and asked for with every action of a plan
        return tuple(value.split("/"))
    parts: list[str] = []
    current: list[str] = []
    chars = iter(value)
    for char in chars:
        if char == "\\":
            current.append(next(chars, "\\"))
        elif char == "/":
            parts.append("".join(current))
            current = []
        else:
            current.append(char)
    parts.append("".join(current))
    return tuple(parts)


def address_matches(value: str, prefix: str) -> bool:
    """Tell whether ``value`` is ``prefix`` or lies below it (whole parts only)."""
    want = split_address(prefix.rstrip("/")) if prefix else ()
    return split_address(value)[: len(want)] == want
