"""Between the state in memory and the rows of its file: what changed is written, and only that.

Every top-level dict of a section (``fabric.workspaces``, ``azdo.imports``...) is a shelf with one
row per entry; the other fields of a section are one row together. The bulk of a divided object
(the items of a workspace) is a second row, read when it is first asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from typing_extensions import override

from reconciler.emulator.persist import decoder, dumps, encode_fields, field_decoder
from reconciler.emulator.store import Store
from reconciler.emulator.tracking import Divided, Tracked, TrackedDict, adopt

__all__ = ["Journal", "Row", "Section", "Shelf"]

_ROOT = ""
_PART = "/part"


class Row:
    """The owner of one object: remembers that it has to be written.

    Attributes:
        version: How often it changed.
    """

    __slots__ = ("_journal", "key", "shelf", "version")

    def __init__(self, journal: Journal, shelf: str, key: str) -> None:
        self._journal = journal
        self.shelf = shelf
        self.key = key
        self.version = 0

    def changed(self) -> None:
        """Have it written with the next commit."""
        self.version += 1
        self._journal.note(self.shelf, self.key)

    def derived(self, tag: str) -> str | None:
        """Return what was derived from the row under this tag, if it still follows from it."""
        return self._journal.derived(self.shelf, self.key, tag)

    def derive(self, tag: str, value: str) -> None:
        """Keep what follows from the row until that changes."""
        self._journal.derive(self.shelf, self.key, tag, value)


class Shelf(TrackedDict):
    """Objects by key, each with a row of its own."""

    __slots__ = ("divided", "journal", "name")

    def __init__(self, journal: Journal, name: str, entries: Mapping[str, Any]) -> None:
        self.divided = False
        self.journal = journal
        self.name = name
        super().__init__(entries, None)

    @override
    def _taken(self, key: object, value: object) -> object:
        return self.shelve(str(key), value)

    def shelve(self, key: str, value: object) -> object:
        """Make an object tell its rows of its changes."""
        if not isinstance(value, Tracked):
            raise TypeError(f"{self.name} holds objects of the state only")
        if isinstance(value, Divided):
            self.divided = True
            value.part.row = Row(self.journal, self.name + _PART, key)
        return adopt(value, Row(self.journal, self.name, key))

    @override
    def _noted(self, key: object) -> None:
        self.journal.note(self.name, str(key))
        if self.divided:
            self.journal.note(self.name + _PART, str(key))

    @override
    def _dropped(self, key: object) -> None:
        self.journal.gone(self.name, str(key))
        if self.divided:
            self.journal.gone(self.name + _PART, str(key))


class Section(Tracked):
    """Base of what one service remembers; its dicts of state objects become shelves."""

    __slots__ = ()

    if not TYPE_CHECKING:  # hidden, or mypy would accept any attribute

        def __setattr__(self, name, value):  # noqa: ANN001, ANN204
            current = getattr(self, name, None)
            if isinstance(current, Shelf):
                current.clear()
                current.update(value)
            elif name in _unkept_fields(type(self)):
                object.__setattr__(self, name, value)
            else:
                Tracked.__setattr__(self, name, value)

    @property
    def version(self) -> int:
        """How often a field that is no shelf changed since the section came into the journal."""
        return self._owner.version if isinstance(self._owner, Row) else 0


class Journal:
    """Knows what changed, and reads and writes it.

    Args:
        store: Where rows go; a store that keeps nothing gets none.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shelves: dict[str, Shelf] = {}
        self._sections: dict[str, Section] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._gone: dict[tuple[str, str], None] = {}
        self._derived: dict[tuple[str, str], tuple[str, str]] = {}

    def note(self, shelf: str, key: str) -> None:
        """Remember that a row has to be written."""
        self._changed[shelf, key] = None
        self._derived.pop((shelf, key), None)

    def gone(self, shelf: str, key: str) -> None:
        """Remember that a row has to be removed; one written after that stands last."""
        self._gone[shelf, key] = None
        self._changed.pop((shelf, key), None)
        self._derived.pop((shelf, key), None)

    def shelf(self, name: str, entries: Mapping[str, Any]) -> Shelf:
        """Return a shelf with these entries; all of them are written with the next commit."""
        found = self._shelves[name] = Shelf(self, name, entries)
        for key in entries:
            found._noted(key)
        return found

    def adopt(self, name: str, section: Section) -> None:
        """Take a section in; all of it is written with the next commit."""
        for field, _ in _shelf_fields(type(section)):
            entries = getattr(section, field)
            object.__setattr__(section, field, self.shelf(f"{name}.{field}", entries))
        self._sections[name] = section
        row = Row(self, name, _ROOT)
        adopt(section, row)
        row.changed()

    def read_shelf(self, name: str, kind: type[Tracked]) -> Shelf:
        """Return a shelf as its rows say."""
        found = self._shelves[name] = Shelf(self, name, {})
        decode = decoder(kind, without=kind.PART if issubclass(kind, Divided) else frozenset())
        for key, value in self._store.rows(name):
            entry = decode(json.loads(value))
            found.shelve(key, entry)
            if isinstance(entry, Divided):
                entry.part.load = self._loader(name + _PART, key, type(entry))
            dict.__setitem__(found, key, entry)
        return found

    def read(self, name: str, kind: type[Section]) -> Any:  # noqa: ANN401 - the caller knows
        """Return a section as its rows say."""
        value = self._store.row(name, _ROOT)
        section = decoder(kind)(json.loads(value or "{}"))
        for field, entry_kind in _shelf_fields(kind):
            object.__setattr__(section, field, self.read_shelf(f"{name}.{field}", entry_kind))
        self._sections[name] = section
        return adopt(section, Row(self, name, _ROOT))

    def _loader(self, shelf: str, key: str, kind: type[Divided]) -> Callable[[], Mapping[str, Any]]:
        decode = field_decoder(kind, kind.PART)
        return lambda: decode(json.loads(self._store.row(shelf, key) or "{}"))

    def derived(self, shelf: str, key: str, tag: str) -> str | None:
        """Return what was derived from a row, if that still stands."""
        row = (shelf, key)
        if row in self._changed or not self._store.kept:
            return None
        known = self._derived.get(row)
        if known is not None:
            return known[1] if known[0] == tag else None
        return self._store.derived(*row, tag)

    def derive(self, shelf: str, key: str, tag: str, value: str) -> None:
        """Keep what was derived from a row until that changes."""
        if self._store.kept:
            self._derived[shelf, key] = (tag, value)

    def write(self) -> None:
        """Write what changed; the caller commits."""
        if self._store.kept:
            if self._gone:
                self._store.drop_rows(self._gone)
            if self._changed:
                self._store.put_rows(
                    (shelf, key, value)
                    for shelf, key in self._changed
                    if (value := self._value(shelf, key)) is not None
                )
            for (shelf, key), (tag, value) in self._derived.items():
                self._store.put_derived(shelf, key, tag, value)
        self.forget()

    def clear(self) -> None:
        """Forget all sections and shelves; their rows are the store's to remove."""
        self._shelves.clear()
        self._sections.clear()
        self.forget()

    def forget(self) -> None:
        """Take nothing of what changed so far for changed."""
        self._changed.clear()
        self._gone.clear()
        self._derived.clear()

    def _value(self, shelf: str, key: str) -> str | None:
        """Return a row's value, None if there is nothing to write any more."""
        if key == _ROOT and shelf in self._sections:
            section = self._sections[shelf]
            shelved = {field for field, _ in _shelf_fields(type(section))}
            return dumps(encode_fields(section, without=shelved))
        name, part = (shelf.removesuffix(_PART), True) if shelf.endswith(_PART) else (shelf, False)
        found = self._shelves[name].get(key)
        if found is None:
            return None
        if isinstance(found, Divided):
            if not part:
                return dumps(encode_fields(found, without=found.PART))
            return dumps(encode_fields(found, only=found.PART))
        return dumps(found)


def _shelf_fields(kind: type[Section]) -> list[tuple[str, type[Tracked]]]:
    found = _SHELVES.get(kind)
    if found is None:
        hints = get_type_hints(kind)
        found = _SHELVES[kind] = []
        for field in fields(kind):  # type: ignore[arg-type]  # sections are dataclasses
            hint = hints[field.name]
            arguments = get_args(hint)
            entry = arguments[1] if get_origin(hint) is dict else None
            if isinstance(entry, type) and issubclass(entry, Tracked):
                found.append((field.name, entry))
    return found


def _unkept_fields(kind: type[Section]) -> frozenset[str]:
    found = _UNKEPT.get(kind)
    if found is None:
        found = _UNKEPT[kind] = frozenset(
            field.name
            for field in fields(kind)  # type: ignore[arg-type]  # sections are dataclasses
            if not field.metadata.get("persist", True)
        )
    return found


_SHELVES: dict[type[Section], list[tuple[str, type[Tracked]]]] = {}
_UNKEPT: dict[type[Section], frozenset[str]] = {}
