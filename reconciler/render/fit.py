"""Make a document fit a limit: the most important pieces first, what is left out counted.

Knows nothing of Markdown or plans; only sizes and ranks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Part", "Piece", "fit", "size_of"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text that is shown whole or not at all.

    Attributes:
        rank: importance; lower goes first.
        counts: what is missing when it is left out, as noun and number.
        under: it belongs to the nearest piece before it in the same part that is not ``under``,
            and is shown only with that one.
        allowed: False leaves it out, and counts it, whatever room there is.
    """

    text: str
    rank: int
    counts: tuple[tuple[str, int], ...] = ()
    under: bool = False
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Part:
    """Pieces below a heading, which is shown when any of them is."""

    head: str
    pieces: tuple[Piece, ...]
    tail: str = ""


def size_of(text: str) -> int:
    """Return the length in UTF-16 units: the larger of the ways in which services count."""
    return len(text) if text.isascii() else len(text) + sum(char > "\uffff" for char in text)


def fit(parts: Sequence[Part], limit: int) -> tuple[str, Counter[str]]:
    """Return the text of the pieces that fit into ``limit``, in document order, and the rest.

    A piece that does not fit is skipped, smaller ones after it may still fit.

    Returns:
        The text, and the sum of ``counts`` of all pieces left out.
    """
    order = sorted(
        ((p, n) for p, part in enumerate(parts) for n in range(len(part.pieces))),
        key=lambda at: (parts[at[0]].pieces[at[1]].rank, *at),
    )
    chosen: set[tuple[int, int]] = set()
    opened: set[int] = set()
    left_out: Counter[str] = Counter()
    used = 0
    for p, n in order:
        part, piece = parts[p], parts[p].pieces[n]
        cost = size_of(piece.text)
        if p not in opened:
            cost += size_of(part.head) + size_of(part.tail)
        without_owner = piece.under and (p, _owner(part, n)) not in chosen
        if not piece.allowed or without_owner or used + cost > limit:
            left_out.update(dict(piece.counts))
            continue
        used += cost
        opened.add(p)
        chosen.add((p, n))
    out: list[str] = []
    for p, part in enumerate(parts):
        if p in opened:
            shown = (piece.text for n, piece in enumerate(part.pieces) if (p, n) in chosen)
            out += [part.head, *shown, part.tail]
    return "".join(out), left_out


def _owner(part: Part, index: int) -> int:
    return next(n for n in range(index, -1, -1) if not part.pieces[n].under)
