"""Fresh ids: random by default, reproducible with a seed.

Handlers ask for ids without knowing of a seed; whichever emulator is at work in the current
context gives them. Ids that only label an answer (request ids, activity ids) are not taken from
here: how often a client polls must not change what the next workspace is called.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Ids", "drawing_from", "is_guid", "new_id"]

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(slots=True)
class Ids:
    """A source of ids; with a seed, the n-th id is always the same.

    Attributes:
        seed: None for random ids.
        drawn: How many were given out; kept with the state so that no id comes twice.
    """

    seed: int | None = None
    drawn: int = 0

    def draw(self) -> str:
        """Return the next id as a lower-case UUID of version 4."""
        if self.seed is None:
            return str(uuid.uuid4())
        self.drawn += 1
        digest = hashlib.sha256(f"{self.seed}/{self.drawn}".encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4))


_RANDOM = Ids()
_CURRENT: ContextVar[Ids] = ContextVar("emulator_ids", default=_RANDOM)


@contextmanager
def drawing_from(ids: Ids) -> Iterator[None]:
    """Let ``new_id`` draw from this source inside the block."""
    token = _CURRENT.set(ids)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def is_guid(text: str) -> bool:
    """Whether a path segment is an id rather than a name."""
    return _GUID.fullmatch(text) is not None


def new_id() -> str:
    """Return a fresh id the way the services write them: a lower-case UUID."""
    return _CURRENT.get().draw()
