"""The fingerprint of a plan: SHA-256 over its canonical JSON, a piece at a time.

Canonical is the plan file's data with sorted keys, no spaces and nothing escaped that need not be.
The text is as long as the plan file, so it is never held as a whole: models are written as they
are met, and only a hundred list entries are text at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

__all__ = ["fingerprint_of"]

_AT_ONCE = 100
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


def fingerprint_of(members: Mapping[str, Any]) -> str:
    """Return the fingerprint of a JSON object.

    Args:
        members: plain data, or lists of models in the place of theirs; the result is the same.
    """
    digest = hashlib.sha256()
    for piece in _pieces(members):
        digest.update(piece.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _pieces(members: Mapping[str, Any]) -> Iterator[str]:
    opening = "{"
    for key in sorted(members):
        yield f"{opening}{_encode(key)}:"
        opening = ","
        value = members[key]
        if isinstance(value, (list, tuple)) and len(value) > _AT_ONCE:
            yield from _list_pieces(value)
        else:
            yield _encode(value)
    yield "{}" if opening == "{" else "}"


def _list_pieces(entries: Sequence[Any]) -> Iterator[str]:
    opening = "["
    for start in range(0, len(entries), _AT_ONCE):
        yield opening + _encode(entries[start : start + _AT_ONCE])[1:-1]
        opening = ","
    yield "]"


def _data_of(model: BaseModel) -> dict[str, Any]:
    """Return a model's members under the names that JSON has, values still as they are.

    What stands in a field of any type is turned into plain data, as pydantic does it.
    """
    shape = _shape(type(model))
    data = model.__dict__
    if shape is None:
        return data
    names, open_fields = shape
    if names:
        data = {names.get(name, name): value for name, value in data.items()}
    for name in open_fields:
        value = data[name]
        if value and type(value) not in _AS_THEY_ARE:
            data = {**data, name: to_jsonable_python(value, by_alias=True)}
    return data


@cache
def _shape(model: type[BaseModel]) -> tuple[dict[str, str], tuple[str, ...]] | None:
    """Return the fields that JSON has under another name, and those that may hold anything.

    None: there are no such fields.
    """
    fields = model.model_fields.items()
    names = {n: f.serialization_alias for n, f in fields if f.serialization_alias}
    open_fields = tuple(n for n, f in fields if f.annotation in (Any, dict[str, Any]))
    return (names, open_fields) if names or open_fields else None


_encode = json.JSONEncoder(
    sort_keys=True,
    separators=(",", ":"),
    ensure_ascii=False,
    check_circular=False,  # plans hold no circles, and looking for them takes time
    default=_data_of,
).encode
