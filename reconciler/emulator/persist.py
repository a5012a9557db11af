"""State as JSON: dataclasses out, dataclasses back in.

Deliberately generic, so that a new field of any state dataclass is kept without anybody
remembering to add it here. A field without a value in the file takes its default, which lets a
newer emulator read an older folder.
"""

from __future__ import annotations

import dataclasses
import json
import os
import types
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

__all__ = ["decode", "encode", "read_json", "write_json"]

# JSON, and type expressions, as far as they can be typed at all.
Data = Any
TypeForm = Any
T = TypeVar("T")
_HINTS: dict[type, dict[str, Any]] = {}


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


def decode(kind: type[T], data: Data) -> T:
    """Return the dataclass (or plain value) that ``encode`` made ``data`` of."""
    decoded: T = _decode(kind, data)
    return decoded


def _decode(kind: TypeForm, data: Data) -> Data:
    origin: TypeForm = get_origin(kind)
    arguments = get_args(kind)
    if origin in {Union, types.UnionType}:
        if data is None:
            return None
        candidates = [argument for argument in arguments if argument is not type(None)]
        return _decode(candidates[0], data) if len(candidates) == 1 else data
    if origin is dict:
        return {key: _decode(arguments[1], item) for key, item in data.items()}
    if origin in {list, set, frozenset}:
        return origin(_decode(arguments[0], item) for item in data)
    if origin is tuple:
        return _decode_tuple(arguments, data)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, data)
    return data


def _decode_tuple(arguments: tuple[Any, ...], data: Data) -> tuple[Any, ...]:
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item) for item in data)
    return tuple(_decode(argument, item) for argument, item in zip(arguments, data, strict=True))


def _decode_dataclass(kind: type[Any], data: Data) -> Data:
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__}: an object is expected")
    hints = _HINTS.get(kind)
    if hints is None:
        hints = _HINTS[kind] = get_type_hints(kind)
    return kind(
        **{
            field.name: _decode(hints[field.name], data[field.name])
            for field in dataclasses.fields(kind)
            if field.init and field.name in data
        }
    )


def write_json(path: Path, data: Data) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        json.dump(data, file, separators=(",", ":"), ensure_ascii=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def read_json(path: Path) -> Data:
    """Return the parsed file, None if there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return json.loads(text)
