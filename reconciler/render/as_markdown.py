"""Plans, drift and findings as Markdown for a comment on a pull request.

The answer comes first, then errors and what may be lost, then the rest. Services refuse comments
that are too long, so whatever a plan's size the text stays below :data:`LIMIT` characters; what is
left out is counted at the top. Works on GitHub and Azure DevOps; names are kept from meaning
anything there by ``markdown_text``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.plan.actions import Action, FieldChange, ItemChange, Verb, verb_of
from reconciler.plan.plan import DriftEntry, HeldEntry, IgnoredEntry, Plan
from reconciler.render.facts import (
    KNOWN_LATER,
    after_text,
    drift_answer,
    fate_of,
    item_notes,
    item_symbol,
    plan_answer,
    preview_note,
    refusal,
    value_text,
)
from reconciler.render.findings import Finding, findings_of
from reconciler.render.fit import Part, Piece, fit
from reconciler.render.graph import build_graph, to_mermaid
from reconciler.render.markdown_text import code, prose
from reconciler.render.view import (
    differences,
    left_alone,
    unreadable,
    waits_for,
    waves,
)
from reconciler.render.words import SYMBOLS, count, phrase

__all__ = ["LIMIT", "drift_markdown", "findings_markdown", "plan_markdown"]

LIMIT = 60_000
"""Every text is shorter than this. GitHub takes 65,536 characters (docs)."""

_NOTE_ROOM = 1_000
_MOST_ITEMS = 100
_MOST_WAITS = 8
_MOST_DETAIL = 1_500
# Hosts draw no larger ones: Mermaid stops at 500 edges and 50,000 characters (docs).
_MOST_EDGES = 300
_MOST_GRAPH = 20_000


class _Rank(IntEnum):
    """Importance; lower is shown first when room is short."""

    TOP = 0
    ERROR = 1
    DESTRUCTIVE = 2
    UNKNOWN = 3
    DESTRUCTIVE_ROW = 4
    ROW = 5
    WARNING = 6
    DESTRUCTIVE_DETAIL = 7
    DIFFERENCE = 8
    DETAIL = 9
    IGNORED = 10
    GRAPH = 11


def plan_markdown(plan: Plan, also: Iterable[Diagnostic] = ()) -> str:
    """Return a plan as a comment.

    Args:
        also: findings of the spec that the plan does not hold itself.
    """
    found = findings_of((*also, *plan.diagnostics))
    return _document(
        f"## Plan for {code(plan.spec.name)}\n\n",
        [f"> {prose(note)}\n\n" for note in [preview_note(plan)] if note]
        + [f"**{line}**\n\n" for line in (plan_answer(plan), refusal(plan, "below")) if line]
        + [_counts(plan, found)],
        [
            _findings("Errors", found, Severity.ERROR),
            _destructive(plan),
            _unknown(plan, "Could not be read; nothing is planned on top of it"),
            *_waves(plan),
            _findings("Warnings", found, Severity.WARNING),
            _differences("Differences that are reported and left alone", left_alone(plan)),
            _entries("Held back", plan.held, _Rank.DIFFERENCE, "held deployment"),
            _entries("Ignored by the spec's rules", plan.ignored, _Rank.IGNORED, "ignored entry"),
            _graph(plan),
        ],
        _footer(plan),
    )


def drift_markdown(plan: Plan, also: Iterable[Diagnostic] = ()) -> str:
    """Return how live differs from the spec as a comment; the graph of actions is left out."""
    found = findings_of((*also, *plan.diagnostics))
    return _document(
        f"## Drift of {code(plan.spec.name)}\n\n",
        [f"**{prose(drift_answer(plan, 'below'))}**\n\n"],
        [
            _findings("Errors", found, Severity.ERROR),
            _unknown(plan, "Could not be read; its drift is not known"),
            _differences("Differences", differences(plan), fate=True),
            _findings("Warnings", found, Severity.WARNING),
            _entries("Ignored by the spec's rules", plan.ignored, _Rank.IGNORED, "ignored entry"),
        ],
        _footer(plan),
    )


def findings_markdown(found: Iterable[Diagnostic], name: str = "", files: int = 0) -> str:
    """Return what is wrong with a spec, or that nothing is, as a comment."""
    listed = findings_of(found)
    n = Counter(f.severity for f in listed)
    if n[Severity.ERROR]:
        answer = f"**The spec is invalid: {count(n[Severity.ERROR], 'error')}.**\n\n"
    else:
        answer = f"**The spec {code(name)} is valid ({count(files, 'file')}).**\n\n"
    parts = [
        _findings("Errors", listed, Severity.ERROR),
        _findings("Warnings", listed, Severity.WARNING),
    ]
    return _document("## Validation\n\n", [answer], parts, "")


def _document(title: str, top: Sequence[str], parts: Sequence[Part], footer: str) -> str:
    """Join the parts that fit, with a note on the others below the answer."""
    head = Part(title, (Piece("".join(top), _Rank.TOP),))
    foot = Part("", (Piece(footer, _Rank.TOP),))
    text, left_out = fit((head, *parts, foot), LIMIT - 1 - _NOTE_ROOM)
    if left_out:
        listed = ", ".join(count(n, noun) for noun, n in left_out.items())
        note = (
            f"> Left out to stay below {LIMIT:,} characters: {listed}. "
            "All of it is in `--format json`.\n\n"
        )
        opening = title + "".join(top)
        text = opening + note + text[len(opening) :]
    return text.rstrip("\n") + "\n"


def _counts(plan: Plan, found: Sequence[Finding]) -> str:
    verbs = Counter(verb_of(a.kind) for a in plan.actions)
    table = ""
    if plan.actions:
        table = (
            f"| {' | '.join(f'{SYMBOLS[v]} {v.value}' for v in Verb)} |\n"
            f"|{' ---: |' * len(Verb)}\n"
            f"| {' | '.join(f'{verbs[v]:,}' for v in Verb)} |\n\n"
        )
    n = Counter(f.severity for f in found)
    numbers = (
        (sum(a.destructive for a in plan.actions), "destructive", "destructive"),
        (n[Severity.ERROR], "error", None),
        (n[Severity.WARNING], "warning", None),
        (len(unreadable(plan)), "unknown", "unknown"),
        (len(plan.held), "held", "held"),
        (len(left_alone(plan)), "difference left alone", "differences left alone"),
        (len(plan.ignored), "ignored", "ignored"),
    )
    told = " · ".join(count(number, *nouns) for number, *nouns in numbers if number)
    return table + (f"{told}\n\n" if told else "")


def _findings(title: str, found: Sequence[Finding], severity: Severity) -> Part:
    rank = _Rank.ERROR if severity is Severity.ERROR else _Rank.WARNING
    pieces = tuple(
        Piece(_finding(f), rank, ((severity.value, 1),)) for f in found if f.severity is severity
    )
    return Part(f"### {title}\n\n", pieces, "\n")


def _finding(finding: Finding) -> str:
    where = f" ({code(finding.place)})" if finding.place else ""
    line = f"- **{finding.severity.value}:** {prose(finding.summary, 500)}{where}"
    details = (prose(d) for d in finding.detail[:_MOST_DETAIL].splitlines() if d.strip())
    return "<br>".join((line, *details)) + "\n"


def _destructive(plan: Plan) -> Part:
    pieces = tuple(
        Piece(
            f"- {code(a.address)}: {prose(phrase(a))} (wave {a.wave})\n",
            _Rank.DESTRUCTIVE,
            (("destructive action", 1),),
        )
        for a in plan.actions
        if a.destructive
    )
    return Part("### Destructive: may lose what people made\n\n", pieces, "\n")


def _unknown(plan: Plan, title: str) -> Part:
    pieces = []
    for entry in unreadable(plan):
        lines = [f"- {code(entry.address)}: {prose(entry.text, 500)}"]
        if entry.remedy:
            lines.append(prose(entry.remedy, 500))
        pieces.append(Piece("<br>".join(lines) + "\n", _Rank.UNKNOWN, (("unknown resource", 1),)))
    return Part(f"### {title}\n\n", tuple(pieces), "\n")


def _waves(plan: Plan) -> Iterator[Part]:
    waits = waits_for(plan)
    for number, actions in waves(plan):
        pieces: list[Piece] = []
        for action in actions:
            pieces += _action(action, waits.get(action.id, ()))
        yield Part(f"### Wave {number}\n\n", tuple(pieces), "\n")


def _action(action: Action, waits: Sequence[str]) -> Iterator[Piece]:
    mark = " **DESTRUCTIVE**" if action.destructive else ""
    symbol = SYMBOLS[verb_of(action.kind)]
    lines = [f"- `{symbol}` {code(action.address)}: {prose(phrase(action))}{mark}"]
    if action.reason.text:
        lines.append(prose(action.reason.text, 500))
    if action.after_unknown:
        outcomes = "; or ".join(prose(o) for o in action.outcomes[:_MOST_WAITS])
        lines.append(KNOWN_LATER + (f": {outcomes}" if outcomes else ""))
    if waits:
        more = len(waits) - _MOST_WAITS
        listed = ", ".join(code(w) for w in waits[:_MOST_WAITS])
        lines.append(f"waits for: {listed}" + (f" and {more:,} more" if more > 0 else ""))
    rank = _Rank.DESTRUCTIVE_ROW if action.destructive else _Rank.ROW
    yield Piece("<br>".join(lines) + "\n", rank, (("action", 1),))
    rank = _Rank.DESTRUCTIVE_DETAIL if action.destructive else _Rank.DETAIL
    yield from _details(action.changes, action.items, rank, later=action.after_unknown)


def _details(
    changes: Sequence[FieldChange],
    items: Sequence[ItemChange],
    rank: _Rank,
    *,
    later: bool = False,
) -> Iterator[Piece]:
    """Return a folded list of fields and items, conflicts and deletions first."""
    nouns = (("field", len(changes)), ("item", len(items)))
    counts = tuple((noun, n) for noun, n in nouns if n)
    if not counts:
        return
    rows = [
        f"{code(c.path)}: {_value(value_text(c.before))} → {_value(after_text(c, later=later))}"
        for c in changes[:_MOST_ITEMS]
    ]
    order = sorted(items, key=lambda i: (i.conflict is None, i.change != "Deleted"))
    rows += [
        f"`{item_symbol(i)}` {prose(i.type)} {code(i.name)} ({prose(item_notes(i))})"
        for i in order[: _MOST_ITEMS - len(rows)]
    ]
    more = len(changes) + len(items) - len(rows)
    rows += [f"and {more:,} more"] if more else []
    summary = ", ".join(count(n, noun) for noun, n in counts)
    listed = "".join(f"  - {row}\n" for row in rows)
    text = f"\n  <details><summary>{summary}</summary>\n\n{listed}\n  </details>\n\n"
    yield Piece(text, rank, counts, under=True)


def _value(text: str) -> str:
    return text if text.startswith("(") else code(text)


def _differences(title: str, entries: Sequence[DriftEntry], *, fate: bool = False) -> Part:
    pieces: list[Piece] = []
    for entry in entries:
        told = f" ({fate_of(entry)})" if fate and fate_of(entry) else ""
        row = f"- {code(entry.cause)} {code(entry.address)}: {prose(entry.text, 500)}{told}\n"
        pieces.append(Piece(row, _Rank.DIFFERENCE, (("difference", 1),)))
        pieces += _details(entry.changes, entry.items, _Rank.DETAIL)
    return Part(f"### {title}\n\n", tuple(pieces), "\n")


def _entries(
    title: str, entries: Sequence[HeldEntry | IgnoredEntry], rank: _Rank, noun: str
) -> Part:
    pieces: list[Piece] = []
    for entry in entries:
        row = f"- {code(entry.address)}: {prose(entry.text, 500)}\n"
        pieces.append(Piece(row, rank, ((noun, 1),)))
        pieces += _details((), entry.items, max(rank, _Rank.DETAIL))
    return Part(f"### {title}\n\n", tuple(pieces), "\n")


def _graph(plan: Plan) -> Part:
    graph = build_graph(plan)
    if not graph.nodes:
        return Part("", ())
    text = f"```mermaid\n{to_mermaid(graph)}```\n"
    drawn = len(graph.edges) <= _MOST_EDGES and len(text) <= _MOST_GRAPH
    piece = Piece(text, _Rank.GRAPH, (("graph", 1),), allowed=drawn)
    return Part("### Graph\n\n", (piece,), "\n")


def _footer(plan: Plan) -> str:
    made = sum(plan.requests.values())
    read = f"Read with {count(made, 'request')}. " if made else ""
    version, fingerprint = code(plan.reconciler_version), code(plan.fingerprint[:12])
    return f"{read}Reconciler {version}, plan {fingerprint}.\n"
