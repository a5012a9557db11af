"""JSON as documents hold it: indented, and with no character that turns or hides text."""

from __future__ import annotations

import json
import re
import unicodedata

__all__ = ["escaped_json", "json_text"]

_BEYOND_ASCII = re.compile(r"[^\x00-\x7e]")
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def json_text(data: object) -> str:
    """Return data as indented JSON, escaped."""
    return escaped_json(json.dumps(data, indent=2, ensure_ascii=False))


def escaped_json(text: str) -> str:
    """Return JSON whose unsafe characters are escaped, as JSON allows.

    A character that turns the direction of text would turn what a reader sees of a document too,
    and half a character fits in no file.
    """
    if text.isascii() and "\x7f" not in text:  # the usual one, and a plan may have 100 MiB of it
        return text
    return _BEYOND_ASCII.sub(
        lambda m: json.dumps(m[0])[1:-1] if unicodedata.category(m[0]) in _UNSAFE else m[0], text
    )
