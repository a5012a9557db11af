"""State that notices its own changes.

Handlers change plain attributes, lists and dicts and know nothing of files. Whatever they change
tells its owner, up to the row that is written, so a request costs what it changed and not what
there is. Reading costs nothing extra. Every dataclass of the state derives from ``Tracked``;
lists and dicts become tracked ones when they are put into one.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, SupportsIndex

from typing_extensions import override

__all__ = [
    "PLAIN",
    "Divided",
    "Keeper",
    "Owner",
    "Part",
    "Tracked",
    "TrackedDict",
    "TrackedList",
    "adopt",
    "next_version",
]

PLAIN = frozenset({str, int, float, bool, type(None)})
_VERSIONS = itertools.count(1)


class Owner(Protocol):
    """What is told about changes below it."""

    def changed(self) -> None:
        """Note that something here is not as it was."""


class Keeper(Owner, Protocol):
    """The row of a ``Part``, which can also keep what follows from it."""

    def derived(self, tag: str) -> str | None:
        """Return what was kept under this tag, None once the row changed or for another tag."""

    def derive(self, tag: str, value: str) -> None:
        """Keep one value until the row changes."""


def next_version() -> int:
    """Return a number that no state of anything had before in this process."""
    return next(_VERSIONS)


class Tracked:
    """Base of the state's dataclasses; they are declared with ``slots=True``."""

    __slots__ = ("_owner",)
    _owner: Owner | None

    def __new__(cls, *_args: object, **_kwargs: object) -> Any:  # noqa: ANN401, D102 - object's own
        found = object.__new__(cls)
        _set_owner(found, None)
        return found

    if not TYPE_CHECKING:  # hidden, or mypy would accept any attribute

        def __setattr__(self, name, value):  # noqa: ANN001, ANN204
            if type(value) not in PLAIN:
                value = adopt(value, self)
            object.__setattr__(self, name, value)
            owner = self._owner
            if owner is not None:
                owner.changed()

    def changed(self) -> None:
        """Tell the owner."""
        if self._owner is not None:
            self._owner.changed()

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:  # noqa: ANN401
        """Return a copy that nobody owns."""
        return type(self)(
            **{
                field.name: copy.deepcopy(getattr(self, field.name), memo)
                for field in fields(self)  # type: ignore[arg-type]  # subclasses are dataclasses
                if field.init
            }
        )


_set_owner: Callable[[Any, Owner | None], None] = vars(Tracked)["_owner"].__set__


class Part:
    """The fields of a ``Divided`` object that are kept in a row of their own.

    Attributes:
        version: Another number after every change of these fields, unlike that of any other part.
        row: What is told about changes, once the object belongs to a shelf.
        load: Returns the fields' values as long as they were not asked for.
    """

    __slots__ = ("load", "row", "version")

    def __init__(self) -> None:
        self.version = next_version()
        self.row: Keeper | None = None
        self.load: Callable[[], Mapping[str, Any]] | None = None

    def changed(self) -> None:
        """Tell the row."""
        self.version = next_version()
        if self.row is not None:
            self.row.changed()


class Divided(Tracked):
    """An object whose ``PART`` fields are big, often unchanged, and read when first asked for."""

    __slots__ = ("part",)
    part: Part
    PART: ClassVar[frozenset[str]] = frozenset()

    def __new__(cls, *_args: object, **_kwargs: object) -> Any:  # noqa: ANN401, D102 - object's own
        found = Tracked.__new__(cls)
        object.__setattr__(found, "part", Part())
        return found

    if not TYPE_CHECKING:  # hidden, or mypy would accept any attribute

        def __setattr__(self, name, value):  # noqa: ANN001, ANN204
            if name not in self.PART:
                Tracked.__setattr__(self, name, value)
                return
            object.__setattr__(self, name, adopt(value, self.part))
            self.part.changed()

        def __getattr__(self, name):  # noqa: ANN001, ANN204
            """Fill the part in; Python asks here only for a slot that is still empty."""
            load = self.part.load if name in self.PART else None
            if load is None:
                raise AttributeError(name)
            self.part.load = None
            for key, value in load().items():
                object.__setattr__(self, key, adopt(value, self.part))
            return object.__getattribute__(self, name)


class TrackedDict(dict[Any, Any]):
    """A dict that tells its owner; as fast as any dict to read."""

    __slots__ = ("_owner",)

    def __init__(self, entries: Mapping[Any, Any], owner: Owner | None) -> None:
        super().__init__()
        self._owner = owner
        for key, value in entries.items():
            super().__setitem__(key, self._taken(key, value))

    def changed(self) -> None:
        """Tell the owner."""
        if self._owner is not None:
            self._owner.changed()

    def _taken(self, _key: object, value: object) -> object:
        return value if type(value) in PLAIN else adopt(value, self)

    def _noted(self, _key: object) -> None:
        self.changed()

    def _dropped(self, _key: object) -> None:
        self.changed()

    @override
    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, self._taken(key, value))
        self._noted(key)

    @override
    def __delitem__(self, key: Any) -> None:
        super().__delitem__(key)
        self._dropped(key)

    @override
    def pop(self, key: Any, *default: Any) -> Any:
        there = key in self
        found = super().pop(key, *default)
        if there:
            self._dropped(key)
        return found

    @override
    def popitem(self) -> tuple[Any, Any]:
        key, value = super().popitem()
        self._dropped(key)
        return key, value

    @override
    def clear(self) -> None:
        keys = list(self)
        super().clear()
        for key in keys:
            self._dropped(key)

    @override
    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    @override
    def update(self, *others: Any, **more: Any) -> None:
        for key, value in dict(*others, **more).items():
            self[key] = value

    @override
    def __ior__(self, other: Any) -> TrackedDict:
        self.update(other)
        return self

    @override
    def __reduce__(self) -> tuple[type, tuple[dict[Any, Any]]]:
        """Copies belong to nobody and are plain."""
        return dict, (dict(self),)


class TrackedList(list[Any]):
    """A list that tells its owner; as fast as any list to read."""

    __slots__ = ("_owner",)

    def __init__(self, entries: Iterable[Any], owner: Owner | None) -> None:
        self._owner = owner
        super().__init__(self._taken(value) for value in entries)

    def changed(self) -> None:
        """Tell the owner."""
        if self._owner is not None:
            self._owner.changed()

    def _taken(self, value: object) -> object:
        return value if type(value) in PLAIN else adopt(value, self)

    @override
    def append(self, value: Any) -> None:
        super().append(self._taken(value))
        self.changed()

    @override
    def extend(self, values: Iterable[Any]) -> None:
        super().extend([self._taken(value) for value in values])
        self.changed()

    @override
    def insert(self, index: SupportsIndex, value: Any) -> None:
        super().insert(index, self._taken(value))
        self.changed()

    @override
    def remove(self, value: Any) -> None:
        super().remove(value)
        self.changed()

    @override
    def pop(self, index: SupportsIndex = -1) -> Any:
        found = super().pop(index)
        self.changed()
        return found

    @override
    def clear(self) -> None:
        super().clear()
        self.changed()

    @override
    def reverse(self) -> None:
        super().reverse()
        self.changed()

    @override
    def sort(self, **how: Any) -> None:
        super().sort(**how)
        self.changed()

    @override
    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            super().__setitem__(index, [self._taken(entry) for entry in value])
        else:
            super().__setitem__(index, self._taken(value))
        self.changed()

    @override
    def __delitem__(self, index: SupportsIndex | slice) -> None:
        super().__delitem__(index)
        self.changed()

    @override
    def __iadd__(self, values: Iterable[Any]) -> TrackedList:
        self.extend(values)
        return self

    @override
    def __imul__(self, times: SupportsIndex) -> TrackedList:
        self[:] = list(self) * int(times)
        return self

    @override
    def __reduce__(self) -> tuple[type, tuple[list[Any]]]:
        """Copies belong to nobody and are plain."""
        return list, (list(self),)


def adopt(value: Any, owner: Owner) -> Any:  # noqa: ANN401
    """Return the value as the owner keeps it, and make it tell the owner of its changes.

    A list or dict that somebody else owns is copied, so that no change is noted in one place and
    seen in two.

    Raises:
        TypeError: for what could not be kept in a file, or would change without telling.
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, Tracked):
        _set_owner(value, owner)
        return value
    if isinstance(value, TrackedDict | TrackedList):
        if value._owner is not None and value._owner is not owner:
            return adopt(copy.deepcopy(value), owner)
        value._owner = owner
        return value
    if isinstance(value, dict):
        return TrackedDict(value, owner)
    if isinstance(value, list):
        return TrackedList(value, owner)
    raise TypeError(f"{type(value).__name__} can not be part of the emulator's state")
