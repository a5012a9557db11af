"""Foreign text inside Markdown: code spans for names, plain words for plain words.

Backslashes and character references keep Markdown from reading a name as markup, but the hosts
work on the finished HTML: ``@team`` is a mention, ``#12`` an issue, ``https://…`` a link and
``1f2e3d4c…`` a commit, however they were written. None of them looks into code. So a name is
always a code span, and of a sentence every word that is not a plain word becomes one.

Nothing foreign may stand in a table or in raw HTML, and no line may start with foreign text;
:func:`code` and :func:`prose` are not safe there.
"""

from __future__ import annotations

import re

from reconciler.render.terminal import escape, shorten

__all__ = ["code", "prose"]

_MOST = 300

# Letters and digits, joined by apostrophes or hyphens, and numbers: nothing that any dialect gives
# a meaning.
_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|\d+(?:[.,]\d+)*")
_REFERENCE = re.compile(r"[0-9a-f]{7,40}|.*-\d+", re.IGNORECASE)  # a commit; GH-12, ABC-12
_OPENING, _CLOSING = "(\"'", ".,;:?!)\"'…%"
_BACKTICKS = re.compile("`+")


def code(text: str, limit: int = _MOST) -> str:
    """Return a name as a code span; a name without visible characters as a word in brackets."""
    shown = shorten(escape(text), limit)
    if not shown.strip():
        return "(blank)" if shown else "(empty)"
    fence = "`" * (1 + max((len(run) for run in _BACKTICKS.findall(shown)), default=0))
    # One space on each side is taken off again, and keeps the fence apart from a backtick.
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def prose(text: str, limit: int = _MOST) -> str:
    """Return a sentence on one line, its risky words as code spans."""
    out: list[str] = []
    risky: list[str] = []

    def flush() -> None:
        if risky:
            out.append(code(" ".join(risky), limit))
            risky.clear()

    for word in shorten(" ".join(text.split()), limit).split():
        if _is_plain(word):
            flush()
            out.append(word)
            continue
        tail = _tail(word)
        risky.append(word[: len(word) - len(tail)])
        if tail:
            flush()
            out[-1] += tail
    flush()
    return " ".join(out)


def _is_plain(word: str) -> bool:
    core = word.lstrip(_OPENING).rstrip(_CLOSING)
    return bool(_WORD.fullmatch(core)) and not _REFERENCE.fullmatch(core)


def _tail(word: str) -> str:
    """Return the punctuation that ends a risky word, if it certainly belongs to the sentence."""
    return word[-1] if len(word) > 1 and word[-1] in ",;" else ""
