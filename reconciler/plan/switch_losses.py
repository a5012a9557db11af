"""Foresee what a switch loses, item by item, as far as both sides can be seen. Pure.

An item and its folder in Git are matched by the folder's name, ``<name>.<type>``. Somebody may
have renamed one of the two, so this is a preview: what comes of it, initialise decides.
Source: fabric-api.md section 6.4, field; section 9, docs: names of item folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reconciler.live.models import LiveBinding, LiveWorkspace, TargetContent
from reconciler.live.scope import FOLLOWERS
from reconciler.plan.actions import ItemChange
from reconciler.words import count

__all__ = ["Losses", "lost_by_switch"]

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Losses:
    """What goes: ``items`` one by one, ``text`` for the rest."""

    items: tuple[ItemChange, ...]
    text: str


def lost_by_switch(
    live: LiveBinding,
    workspace: LiveWorkspace | None,
    content: TargetContent | None,
    strategy: Literal["PreferRemote", "PreferWorkspace"],
) -> Losses:
    """Return what binding elsewhere loses.

    Args:
        content: the target as it was read; None where this plan only fills it.
    """
    uncommitted = {
        (c.type, c.name): c.workspace.value
        for c in (live.status.changes if live.status else ())
        if c.workspace is not None
    }
    items = workspace.items if workspace is not None else None
    here = {(i.type, i.name) for i in items or () if i.type not in FOLLOWERS}
    there = None if content is None else {_key(name) for name in content.folder_names}
    if strategy == "PreferRemote":
        return _remote_wins(uncommitted, here, there)
    return _workspace_wins(uncommitted, here, there)


def _key(folder: str) -> _Key:
    name, _, kind = folder.rpartition(".")
    return kind, name


def _remote_wins(uncommitted: dict[_Key, str], here: set[_Key], there: set[_Key] | None) -> Losses:
    found: dict[_Key, ItemChange] = {}
    for key, change in uncommitted.items():
        found[key] = _item(key, change, "uncommitted, lost")
    for key in here if there is not None else ():
        if key not in (there or ()):
            also = "; uncommitted changes are lost with it" if key in uncommitted else ""
            found[key] = _item(key, "Deleted", f"not on the target branch{also}")
    rest = len(here - found.keys())
    text = (
        "the workspace's items are not compared, since this plan fills the target"
        if there is None
        else f"{count(rest, 'other item')} of the workspace {'is' if rest == 1 else 'are'} "
        "overwritten where the target differs"
    )
    return _losses(found, text)


def _workspace_wins(
    uncommitted: dict[_Key, str], here: set[_Key], there: set[_Key] | None
) -> Losses:
    found = {
        key: _item(key, change, "uncommitted, goes to the target branch")
        for key, change in uncommitted.items()
    }
    for key in (there or set()) - here:
        found[key] = _item(key, "Deleted", "not in the workspace: removed from the target branch")
    both = len((there or set()) & here)
    text = (
        "what this plan brings to the target is overwritten"
        if there is None
        else f"{count(both, 'item')} of the target branch {'is' if both == 1 else 'are'} "
        "overwritten where the workspace differs"
    )
    return _losses(found, text)


def _item(key: _Key, change: str, detail: str) -> ItemChange:
    return ItemChange(type=key[0], name=key[1], change=change, detail=detail)


def _losses(found: dict[_Key, ItemChange], text: str) -> Losses:
    return Losses(tuple(found[k] for k in sorted(found)), text)
