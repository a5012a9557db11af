"""A bounded memory: what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Lru"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Values by key, at most so much of them.

    Args:
        limit: The sum that may be held.
        size: What a value counts for; 1 unless told.
        gone: Called with every value that has to go.
    """

    def __init__(
        self,
        limit: int,
        *,
        size: Callable[[V], int] | None = None,
        gone: Callable[[V], None] | None = None,
    ) -> None:
        self.limit = limit
        self.held = 0
        self._size = size
        self._gone = gone
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return a value and note that it was used, None if it is not held."""
        found = self._values.get(key)
        if found is not None:
            self._values.move_to_end(key)
        return found

    def put(self, key: K, value: V) -> None:
        """Hold a value; the oldest go until all fit, never the one just put."""
        self.drop(key)
        self._values[key] = value
        self.held += self._weight(value)
        while self.held > self.limit and len(self._values) > 1:
            self._forget(*self._values.popitem(last=False))

    def drop(self, key: K) -> None:
        """Let a value go, if it is held."""
        if key in self._values:
            self._forget(key, self._values.pop(key))

    def clear(self) -> None:
        """Let everything go."""
        while self._values:
            self._forget(*self._values.popitem())

    def _forget(self, _key: K, value: V) -> None:
        self.held -= self._weight(value)
        if self._gone is not None:
            self._gone(value)

    def _weight(self, value: V) -> int:
        return 1 if self._size is None else self._size(value)
