"""Text that may reach a terminal: escaping and colour.

Names come from services and files other people write to. An escape sequence in a workspace name
must not move the cursor, and a bidirectional override must not make a destructive line read as a
harmless one, so every foreign text passes :func:`escape` on its way out.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

__all__ = ["PLAIN", "Paint", "columns", "escape", "fit_columns", "shorten"]

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str) -> str:
    """Return ``text`` with every control, format and surrogate character made visible."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(c) if unicodedata.category(c) in _UNSAFE else c for c in text)


def _visible(char: str) -> str:
    point = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def shorten(text: str, limit: int) -> str:
    """Cut ``text`` to at most ``limit`` characters, the last one an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def columns(text: str) -> int:
    """Return how many cells of a terminal or a monospaced box escaped text takes."""
    return sum(_cells(char) for char in text)


def fit_columns(text: str, limit: int) -> str:
    """Cut escaped text to at most ``limit`` cells, the last one an ellipsis."""
    if columns(text) <= limit:
        return text
    kept: list[str] = []
    left = limit - 1
    for char in text:
        left -= _cells(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + "…" if limit > 0 else ""


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours for a terminal, or none at all; always given text that is already escaped."""

    enabled: bool = False

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.enabled and text else text

    def bold(self, text: str) -> str:
        """Headings and last lines."""
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        """What only few readers need."""
        return self._wrap("2", text)

    def red(self, text: str) -> str:
        """Errors and loss."""
        return self._wrap("31", text)

    def green(self, text: str) -> str:
        """What is new, or done."""
        return self._wrap("32", text)

    def yellow(self, text: str) -> str:
        """Warnings and changes in place."""
        return self._wrap("33", text)

    def cyan(self, text: str) -> str:
        """Content that moves."""
        return self._wrap("36", text)


PLAIN = Paint()
