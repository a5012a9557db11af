"""Overlays: fields of resources that stand in other files, laid over them in the order of files.

Works on plain data, as merging does, and keeps the place every value came from: a finding about
a value that an overlay gave names the overlay's file and line. Nothing is changed in place, since
aliases let one file hold the same object twice.

Mappings are laid over field by field. Lists of things with a name (workspaces, stages, roles) are
laid over entry by entry; any other list, and any plain value, is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.spec.findings import hint
from reconciler.spec.places import Path, Place, path_text

__all__ = ["Node", "Overlays"]


class Node(NamedTuple):
    """A value and where it stands."""

    value: Any
    place: Place


class _Key(NamedTuple):
    """One way to tell an entry from others: the fields it stands in, and what is compared."""

    fields: tuple[str, ...]
    text: str


_Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Keyed:
    """A list whose entries have names; ``keys`` gives the surest one first."""

    noun: str
    needs: str
    keys: Callable[[_Entry], Iterator[_Key]]
    shown: Callable[[_Entry], str]
    may_add: bool = False


def _name_or_id(entry: _Entry) -> Iterator[_Key]:
    if isinstance(entry.get("id"), str):
        yield _Key(("id",), f"id {entry['id'].lower()}")
    if isinstance(entry.get("name"), str):
        yield _Key(("name",), f"name {entry['name']}")


def _repository(entry: _Entry) -> Iterator[_Key]:
    """Compare names as Azure DevOps does. Source: azure-devops-import.md section 1, docs."""
    if isinstance(entry.get("id"), str):
        yield _Key(("id",), f"id {entry['id'].lower()}")
    project, name = entry.get("project"), entry.get("name")
    if isinstance(project, str) and isinstance(name, str):
        yield _Key(("project", "name"), f"name {project}/{name}".lower())


def _ends(entry: _Entry) -> Iterator[_Key]:
    if isinstance(entry.get("from"), str) and isinstance(entry.get("to"), str):
        yield _Key(("from", "to"), f"{entry['from']}:{entry['to']}")


def _principal(entry: _Entry) -> Iterator[_Key]:
    principal = entry.get("principal")
    if isinstance(principal, dict) and isinstance(principal.get("id"), str):
        yield _Key((), principal["id"].lower())


def _shown_name(entry: _Entry) -> str:
    return str(entry.get("name") or entry.get("id") or "")


def _shown_repository(entry: _Entry) -> str:
    return f"{entry.get('project')}/{entry['name']}" if entry.get("name") else _shown_name(entry)


def _shown_ends(entry: _Entry) -> str:
    return f"{entry.get('from')}:{entry.get('to')}"


_ROLES = _Keyed("role", "a principal with an id", _principal, _shown_name, may_add=True)
_KEYED: dict[tuple[str, ...], _Keyed] = {
    ("azureDevOps", "repositories"): _Keyed(
        "repository", "project and name, or an id", _repository, _shown_repository
    ),
    ("connections",): _Keyed("connection", "a name", _name_or_id, _shown_name),
    ("workspaces",): _Keyed("workspace", "a name or an id", _name_or_id, _shown_name),
    ("workspaces", "*", "roles"): _ROLES,
    ("pipelines",): _Keyed("pipeline", "a name or an id", _name_or_id, _shown_name),
    ("pipelines", "*", "roles"): _ROLES,
    ("pipelines", "*", "stages"): _Keyed("stage", "a name", _name_or_id, _shown_name),
    ("pipelines", "*", "deployments"): _Keyed("deployment", "from and to", _ends, _shown_ends),
}
_STAGE_WORKSPACE = ("pipelines", "*", "stages", "*", "workspace")


@dataclass(slots=True)
class Overlays:
    """Lays overlays over an estate.

    Attributes:
        is_whole: false when a file could not be read; what seems to be missing may stand there.
        found: what could not be laid over anything.
    """

    is_whole: bool = True
    found: list[Diagnostic] = field(default_factory=list)

    def lay(self, base: Node, over: Node, path: Path = ()) -> Node:
        """Return ``base`` with what ``over`` gives; ``path`` is where ``over`` stands in its file.

        Neither is changed.
        """
        pattern = tuple("*" if isinstance(part, int) else part for part in path)
        keyed = _KEYED.get(pattern)
        if keyed is not None and isinstance(over.value, list):
            return self._lay_list(keyed, base, over, path)
        if pattern == _STAGE_WORKSPACE and isinstance(base.value, dict | str):
            # A name alone is short for a mapping with this name.
            if isinstance(over.value, dict):
                base = _long_form(base)
            elif isinstance(over.value, str) and isinstance(base.value, dict):
                over = _long_form(over)
        if not isinstance(over.value, dict):
            return over
        if not isinstance(base.value, dict):  # lists below must still name what is there
            base = Node({}, over.place._replace(children={}))
        return self._lay_mapping(base, over, path)

    def _lay_mapping(
        self, base: Node, over: Node, path: Path, *, keep: tuple[str, ...] = ()
    ) -> Node:
        """Lay field over field, but for those in ``keep``."""
        value, places = dict(base.value), dict(_children(base.place))
        given = _children(over.place)
        for key, sub in over.value.items():
            if key in keep:
                continue
            below = (*path, key)
            here = Node(sub, given[key])
            under = Node(value[key], places[key]) if key in value else Node(None, here.place)
            value[key], places[key] = self.lay(under, here, below)
        return Node(value, base.place._replace(children=places))

    def _lay_list(self, keyed: _Keyed, base: Node, over: Node, path: Path) -> Node:
        """Lay entry over entry of the same name."""
        is_list = isinstance(base.value, list)
        values: list[Any] = list(base.value) if is_list else []
        places: list[Any] = list(base.place.children or []) if is_list else []
        known: dict[str, int] = {}
        for index, value in enumerate(values):
            for key in keyed.keys(value) if isinstance(value, dict) else ():
                known.setdefault(key.text, index)
        for index, (value, place) in enumerate(
            zip(over.value, over.place.children or [], strict=True)
        ):
            here, below = Node(value, place), (*path, index)
            keys = list(keyed.keys(value)) if isinstance(value, dict) else []
            match = next((key for key in keys if key.text in known), None)
            if not keys:
                self._report_unnamed(keyed, here, below)
            elif match is not None:
                at = known[match.text]
                under = Node(values[at], places[at])
                values[at], places[at] = self._lay_mapping(under, here, below, keep=match.fields)
            elif keyed.may_add:
                values.append(value)
                places.append(place)
                known.update((key.text, len(values) - 1) for key in keys)
            else:
                self._report_unknown(keyed, here, below, values)
        return Node(values, (base.place if is_list else over.place)._replace(children=places))

    def _report_unnamed(self, keyed: _Keyed, entry: Node, path: Path) -> None:
        self.found.append(
            Diagnostic(
                Severity.ERROR,
                "overlay_unnamed",
                f"An overlay names the {keyed.noun} it changes, and this entry does not.",
                f"It needs {keyed.needs}, as text; then come only the fields to change.",
                path=path_text(path),
                span=entry.place.of_value(),
            )
        )

    def _report_unknown(self, keyed: _Keyed, entry: Node, path: Path, values: list[Any]) -> None:
        if not self.is_whole:
            return
        shown = keyed.shown(entry.value)[:120]
        names = [keyed.shown(v) for v in values if isinstance(v, dict)]
        self.found.append(
            Diagnostic(
                Severity.ERROR,
                "overlay_unknown",
                f'There is no {keyed.noun} "{shown}" for the overlay to change'
                + hint(shown, names),
                "An overlay changes what other files declare, by the name written there. Correct "
                f"the name, declare the {keyed.noun} in a file of kind Estate, or take the entry "
                "out.",
                path=path_text(path),
                span=entry.place.of_value(),
            )
        )


def _children(place: Place) -> dict[str, Any]:
    return place.children if isinstance(place.children, dict) else {}


def _long_form(node: Node) -> Node:
    if not isinstance(node.value, str):
        return node
    return Node({"name": node.value}, node.place._replace(children={"name": node.place}))
