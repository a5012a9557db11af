"""Say in deployment notes and commit comments where they come from, and read it again.

A trailer of ``Reconciler-…`` lines ends the text: who deployed or committed, in which run, from
which commit. The services keep it where people see it, which makes it this tool's only memory.
The person's own text gives way when both do not fit; the trailer never does.

Whether notes are returned, and whole, is disputed (fabric-api.md section 10 point 7), so nothing
may need one: a trailer that is missing or cut off only proves less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "COMMENT_LIMIT",
    "NOTE_LIMIT",
    "Trailer",
    "fit",
    "length",
    "read_trailer",
    "with_trailer",
]

# Source: deploymentPipelines.json DeployRequest.note and gitIntegration.json
# CommitToGitRequest.comment, spec.
NOTE_LIMIT = 1024
COMMENT_LIMIT = 300
_ESTATE_LIMIT = 80
_RUN = "0" * 12
_COMMIT = "0" * 40
_CUT = "…"

_BEGINS = "Reconciler-Estate:"
_FIELD = re.compile(
    r"Reconciler-(Estate|Run|Source|Compared):[ \t]*(.*?)[ \t\r]*(?=\n|\s+Reconciler-|\Z)"
)


@dataclass(frozen=True, slots=True)
class Trailer:
    """What a note or comment of this tool says of itself.

    Attributes:
        run: the id of the apply.
        source: the commit the source workspace stood at, if it had no changes beside it.
        compared: short digests of the places that differed just before a deployment.
    """

    estate: str
    run: str
    source: str | None = None
    compared: frozenset[str] = frozenset()


def length(text: str) -> int:
    """Count as the services do: in UTF-16 units (assumed, as for .NET strings)."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def fit(text: str, estate: str, limit: int) -> tuple[str, bool]:
    """Cut a person's text to what the longest trailer leaves; tells whether it had to be cut."""
    room = limit - length(_core(Trailer(estate, _RUN, _COMMIT))) - length("\n\n")
    if length(text) <= room:
        return text, False
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * (room - length(_CUT))]
    return kept.decode("utf-16-le", "ignore").rstrip() + _CUT, True


def with_trailer(text: str, trailer: Trailer, limit: int) -> str:
    """End a text with a trailer; of ``compared`` as many as there is room for."""
    own, _ = fit(text, trailer.estate, limit)
    out = f"{own}\n\n{_core(trailer)}" if own else _core(trailer)
    head = "\nReconciler-Compared:"
    free = limit - length(out) - length(head)
    places: list[str] = []
    for place in sorted(trailer.compared):
        free -= 1 + length(place)
        if free < 0:
            break
        places.append(place)
    return f"{out}{head} {' '.join(places)}" if places else out


def read_trailer(text: str | None) -> Trailer | None:
    """Read the trailer that ends a text; None when it has none, or not a whole one."""
    start = (text or "").rfind(_BEGINS)
    if text is None or start < 0:
        return None
    found = dict(_FIELD.findall(text[start:]))
    if not found.get("Run"):
        return None
    return Trailer(
        estate=found.get("Estate", ""),
        run=found["Run"],
        source=found.get("Source") or None,
        compared=frozenset(found.get("Compared", "").split()),
    )


def _core(trailer: Trailer) -> str:
    return "\n".join(_lines(trailer))


def _lines(trailer: Trailer) -> Iterable[str]:
    name = " ".join(trailer.estate.split())
    yield f"{_BEGINS} {name[:_ESTATE_LIMIT]}"
    yield f"Reconciler-Run: {trailer.run}"
    if trailer.source:
        yield f"Reconciler-Source: {trailer.source}"
