"""Write a spec as YAML with comments, such that reading it back gives the same data.

Only what cannot be taken for anything but text stands without quotes; the rest is quoted the way
JSON quotes, which YAML reads alike. A ``${`` in a value is written ``$${``, since the values are
what services call their things and no references.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.spec.fields import is_guid

__all__ = ["Noted", "plain", "write_yaml"]

_WIDTH = 96
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+()-]+)*")
# Words that some YAML reader takes for a truth value, a number or nothing.
_TYPED = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"])
# JSON leaves these as they are, and YAML takes them for line ends, marks or nothing it allows.
# Some of them turn or hide what a reader sees.
_UNSAFE = re.compile(
    "[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)


@dataclass(frozen=True, slots=True)
class Noted:
    """A value with comments.

    Attributes:
        above: paragraphs above it, wrapped as needed.
        behind: a few words on its line.
        below: paragraphs below it, for what is not in it.
        inline: write a mapping on one line.
    """

    value: Any
    above: tuple[str, ...] = ()
    behind: str = ""
    below: tuple[str, ...] = ()
    inline: bool = False


def plain(value: Any) -> Any:  # noqa: ANN401 - any data
    """Return the data without its comments."""
    if isinstance(value, Noted):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return value


def write_yaml(
    document: Mapping[str, Any], *, head: Sequence[str] = (), remarks: Sequence[str] = ()
) -> str:
    """Write a mapping as a YAML document.

    Args:
        head: comment lines to begin with, each kept on one line.
        remarks: paragraphs after them, wrapped as needed.
    """
    lines = [*(f"# {_one_line(line)}" for line in head), *_comments(remarks)]
    for number, (key, value) in enumerate(document.items()):
        if number and isinstance(plain(value), dict | list):
            lines.append("")
        lines.extend(_entry(key, value))
    return "\n".join(lines) + "\n"


def _entry(key: str, value: Any) -> list[str]:  # noqa: ANN401 - any data
    """Return the lines of one key of a mapping, comments included."""
    note = value if isinstance(value, Noted) else Noted(value)
    behind = f"  # {_one_line(note.behind)}" if note.behind else ""
    if note.inline or not isinstance(note.value, Mapping | list | tuple) or not note.value:
        lines = [f"{_scalar(key)}: {_flow(note.value)}{behind}"]
    else:
        lines = [f"{_scalar(key)}:{behind}", *_indented(_block(note.value))]
    return [*_comments(note.above), *lines, *_indented(_comments(note.below))]


def _block(value: Mapping[str, Any] | Sequence[Any]) -> list[str]:
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in _entry(key, item)]
    return [line for item in value for line in _item(item)]


def _item(value: Any) -> list[str]:  # noqa: ANN401 - any data
    """Return the lines of one item of a list, comments included."""
    note = value if isinstance(value, Noted) else Noted(value)
    if note.inline or not isinstance(note.value, Mapping | list | tuple) or not note.value:
        behind = f"  # {_one_line(note.behind)}" if note.behind else ""
        lines = [f"- {_flow(note.value)}{behind}"]
    else:
        first, *rest = _block(note.value)
        lines = [f"- {first}", *_indented(rest)]
    return [*_comments(note.above), *lines, *_indented(_comments(note.below))]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _comments(paragraphs: Iterable[str]) -> list[str]:
    return [
        f"# {line}"
        for text in paragraphs
        for line in textwrap.wrap(
            _one_line(text), _WIDTH - 2, break_long_words=False, break_on_hyphens=False
        )
    ]


def _one_line(text: str) -> str:
    """Return text that cannot end its comment: printable characters on one line."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _flow(value: Any) -> str:  # noqa: ANN401 - any data
    """Write a value on one line."""
    value = plain(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    return _scalar(value)


def _scalar(value: str | float | bool | None) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    if is_guid(value) or (_PLAIN.fullmatch(value) and value.lower() not in _TYPED):
        return value
    quoted = json.dumps(value.replace("${", "$${"), ensure_ascii=False)
    return _UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", quoted)
