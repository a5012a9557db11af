"""State as JSON: dataclasses out, dataclasses back in.

Deliberately generic, so that a new field of any state dataclass is kept without anybody
remembering to add it here. A field without a value in the file takes its default, which lets a
newer emulator read an older folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import types
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from reconciler.emulator.tracking import PLAIN, Tracked, adopt

__all__ = [
    "decode",
    "decoder",
    "dumps",
    "encode",
    "encode_fields",
    "field_decoder",
    "write_json",
]

# JSON, and type expressions, as far as they can be typed at all.
Data = Any
TypeForm = Any
T = TypeVar("T")
Decode = Callable[[Data], Data]
_KEPT: dict[type, list[tuple[str, Any]]] = {}
_DECODERS: dict[tuple[Any, frozenset[str]], Decode] = {}


def encode(value: object) -> Data:
    """Return JSON-able data for str, int, float, bool, None, list, tuple, set, dict, dataclass.

    Dataclass fields with ``metadata={"persist": False}`` are left out.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.metadata.get("persist", True)
        }
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(encode(item) for item in value)
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"{type(value).__name__} can not be kept in the state file")


def dumps(value: object) -> str:
    """Return compact JSON of dataclasses, dicts, lists and plain values."""
    return json.dumps(value, default=encode_fields, separators=(",", ":"), ensure_ascii=False)


def encode_fields(
    value: object,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
) -> dict[str, Any]:
    """Return a dataclass's kept fields by name; those that have their default value are left out.

    ``only`` and ``without`` choose among them. Values inside are as they are.
    """
    kind: Any = type(value)
    plan = _KEPT.get(kind)
    if plan is None:
        plan = _KEPT[kind] = [
            (field.name, field.default)
            for field in dataclasses.fields(kind)
            if field.metadata.get("persist", True)
        ]
    found: dict[str, Any] = {}
    for name, default in plan:
        if name not in without and (only is None or name in only):
            content = getattr(value, name)
            if type(content) is not type(default) or content != default:
                found[name] = content
    return found


def decode(kind: type[T], data: Data) -> T:
    """Return the dataclass (or plain value) that ``encode`` made ``data`` of."""
    found: T = decoder(kind)(data)
    return found


def decoder(kind: TypeForm, *, without: frozenset[str] = frozenset()) -> Decode:
    """Return what makes values of a type; fields named in ``without`` stay empty slots."""
    key = (kind, without)
    found = _DECODERS.get(key)
    if found is None:
        inner = _class_decoder(kind, without) if _is_dataclass(kind) else _inner(kind)
        found = _DECODERS[key] = inner or _as_it_is
    return found


def field_decoder(kind: type[Any], names: Collection[str]) -> Callable[[Data], dict[str, Any]]:
    """Return what makes the values of some fields; one that is missing has its default."""
    plan = _plan(kind, names)

    def make(data: Data) -> dict[str, Any]:
        _check_object(kind, data)
        return {
            name: (data[name] if inner is None else inner(data[name]))
            if name in data
            else default()
            for name, inner, default in plan
        }

    return make


def _as_it_is(data: Data) -> Data:
    return data


def _intern(data: Data) -> Data:
    """Names, paths and hashes occur in a thousand workspaces: one text serves all."""
    return sys.intern(data) if type(data) is str else data


def _is_dataclass(kind: TypeForm) -> bool:
    return dataclasses.is_dataclass(kind) and isinstance(kind, type)


def _inner(kind: TypeForm) -> Decode | None:
    """Return what makes values of a type, None if they are as JSON has them."""
    origin: TypeForm = get_origin(kind)
    arguments = get_args(kind)
    if kind is str:
        return _intern
    if origin in {Union, types.UnionType}:
        candidates = [argument for argument in arguments if argument is not type(None)]
        one = _inner(candidates[0]) if len(candidates) == 1 else None
        return None if one is None else _or_none(one)
    if origin is dict:
        entry = _inner(arguments[1])
        return None if entry is None else _entries(entry)
    if origin in {list, set, frozenset}:
        entry = _inner(arguments[0]) or _as_it_is
        return lambda data: origin(entry(item) for item in data)
    if origin is tuple:
        return lambda data: _decode_tuple(arguments, data)
    return decoder(kind) if _is_dataclass(kind) else None


def _or_none(inner: Decode) -> Decode:
    return lambda data: None if data is None else inner(data)


def _entries(inner: Decode) -> Decode:
    return lambda data: {sys.intern(key): inner(item) for key, item in data.items()}


def _decode_tuple(arguments: tuple[Any, ...], data: Data) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        entry = _inner(arguments[0]) or _as_it_is
        return tuple(entry(item) for item in data)
    return tuple(
        (_inner(argument) or _as_it_is)(item)
        for argument, item in zip(arguments, data, strict=True)
    )


def _plan(
    kind: type[Any], names: Collection[str] | None
) -> list[tuple[str, Decode | None, Callable[[], Data]]]:
    hints = get_type_hints(kind)
    return [
        (field.name, _inner(hints[field.name]), _missing(kind, field))
        for field in dataclasses.fields(kind)
        if field.init and (names is None or field.name in names)
    ]


def _missing(kind: type[Any], field: dataclasses.Field[Any]) -> Callable[[], Data]:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    default = field.default

    def give() -> Data:
        if default is dataclasses.MISSING:
            raise KeyError(f"{kind.__name__}.{field.name}")
        return default

    return give


def _check_object(kind: type[Any], data: Data) -> None:
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__}: an object is expected")


def _class_decoder(kind: type[Any], without: frozenset[str]) -> Decode:
    names = frozenset(field.name for field in dataclasses.fields(kind)) - without
    values = field_decoder(kind, names)
    if not issubclass(kind, Tracked):
        return lambda data: kind(**values(data))

    def make(data: Data) -> Data:
        found = kind.__new__(kind)
        for name, value in values(data).items():
            object.__setattr__(found, name, value if type(value) in PLAIN else adopt(value, found))
        return found

    return make


def write_json(path: Path, data: Data) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(data, file, separators=(",", ":"), ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
