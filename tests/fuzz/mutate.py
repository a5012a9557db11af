"""Seeded mutations of files and of JSON values: what accidents and enemies make of good input."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import yaml

__all__ = ["ODD", "changed_bytes", "changed_document", "changed_lines", "changed_value", "deep"]

_TOKENS = (
    *(b"\t", b"{", b"}", b"[", b"]", b"&a ", b"*a", b"'", b'"', b"\xff", b"- ", b": ", b"? ", b"|"),
    *(b"---\n", b"...\n", b"%YAML 9.9\n", b"!!python/object:os.system ", b"!x ", b"<<: ", b"\x00"),
    *(b"\x1b[2J", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"\r", b"\x85", b"${env.HOME}", b"${var.x}"),
    *(b"${", b"null", b"~", b"yes", b"0x1F", b"1e999", b".nan", b"9" * 400, b"#", b"@", b"`", b"%"),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**30, "", " ", "x", "..", "../../etc/passwd", "C:\\x", "/"),
    *("\x00", "\x1b]0;x\x07", "\u202egnp", "a" * 5000, "<script>", "](x)", "|", "${env.HOME}"),
    *("${var.}", "$${", "*", "refs/heads/x", "https://[bad", "http://h", [], {}, [[]], [{}]),
    *({"": ""}, {"name": {"name": []}}, [None], [1, "a", {}], "2026-13-99", "é\u0301\ufffd"),
)


def deep(depth: int) -> Any:
    """Return lists within lists."""
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def changed_bytes(rng: random.Random, raw: bytes) -> bytes:
    """Flip, cut, double or insert bytes and tokens at one to four places."""
    out = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0:
                out[at:at] = rng.choice(_TOKENS)
            case 1:
                out[at : at + rng.randint(1, 20)] = b""
            case 2:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 3:
                out[at:at] = out[max(0, at - rng.randint(1, 80)) : at]
            case _ if rng.random() < 0.2:
                out = out[:at]
            case _:
                out[at : at + 1] = rng.choice(_TOKENS)
    return bytes(out)


def changed_lines(rng: random.Random, raw: bytes) -> bytes:
    """Move, drop, double, indent or replace whole lines."""
    lines = raw.splitlines(keepends=True) or [b""]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                lines.insert(rng.randrange(len(lines) + 1), lines[at])
            case 1 if len(lines) > 1:
                del lines[at]
            case 2:
                lines[at] = b" " * rng.randint(1, 3) + lines[at]
            case 3:
                lines[at] = lines[at].lstrip()
            case _:
                other = rng.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
    return b"".join(lines)


def _places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value, not those within what is already deep."""
    found = [above] if above else []
    if len(above) > 30:
        return found
    entries = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else entries:
        found += _places(inner, (*above, key))
    return found


def changed_value(rng: random.Random, value: Any, odd: tuple[Any, ...] = ODD) -> Any:
    """Replace, remove, rename, double or swap one to three members of a JSON value."""
    root = {"root": copy.deepcopy(value)}
    for _ in range(rng.randint(1, 3)):
        places = _places(root)
        path = rng.choice(places)
        if path == ("root",) and rng.random() < 0.8:
            path = rng.choice(places)  # the whole is worth replacing, and not every time
        owner: Any = root
        for part in path[:-1]:
            owner = owner[part]
        key = path[-1]
        match rng.randrange(6):
            case 0 if path != ("root",):
                del owner[key]
            case 1 if isinstance(owner, dict) and path != ("root",):
                owner[rng.choice(("", "name", "id", "value", "\x1b[1m", "<b>", "x" * 300))] = (
                    owner.pop(key)
                )
            case 2 if isinstance(owner, list):
                owner += [copy.deepcopy(owner[key]) for _ in range(rng.choice((1, 2, 50)))]
            case 3:
                other = rng.choice(places)
                found: Any = root
                try:
                    for part in other:
                        found = found[part]
                except (KeyError, IndexError, TypeError):
                    continue
                owner[key] = copy.deepcopy(found)
            case _:
                owner[key] = copy.deepcopy(rng.choice(odd))
    return root["root"]


def changed_document(rng: random.Random, raw: bytes) -> bytes:
    """Change a spec's structure and write it as YAML or JSON."""
    value = changed_value(rng, yaml.safe_load(raw))
    if rng.random() < 0.3:
        return json.dumps(value).encode()
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=rng.random() < 0.5).encode()
