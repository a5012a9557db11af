"""Plans, drift and findings as one self-contained HTML file.

Every action, field and item is there, folded where there are many. ``html_text`` escapes,
``html_page`` holds style, script and policy; here is what stands where.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.plan.actions import Action, FieldChange, ItemChange, Verb, verb_of
from reconciler.plan.plan import DriftEntry, HeldEntry, IgnoredEntry, Plan
from reconciler.render.as_svg import MOST_EDGES, MOST_NODES, to_svg
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
from reconciler.render.graph import build_graph
from reconciler.render.html_page import page
from reconciler.render.html_text import Html, element
from reconciler.render.view import (
    differences,
    drift_counts,
    left_alone,
    unreadable,
    waits_for,
    waves,
)
from reconciler.render.words import SYMBOLS, count, phrase

__all__ = ["drift_html", "findings_html", "plan_html"]

_ROWS = {"+": "add", "-": "del", "~": "mod"}
_NOTHING = Html("")
_MOST_VALUE = 4_000


def plan_html(plan: Plan, also: Iterable[Diagnostic] = ()) -> str:
    """Return a plan as a page.

    Args:
        also: findings of the spec that the plan does not hold itself.
    """
    title = f"Plan for {plan.spec.name}"
    found = findings_of((*also, *plan.diagnostics))
    verbs = [v for v in Verb if any(verb_of(a.kind) is v for a in plan.actions)]
    return page(
        title,
        element("h1", title),
        *(element("p", note, class_="preview") for note in [preview_note(plan)] if note),
        *(element("p", line, class_="answer") for line in [plan_answer(plan)] if line),
        *(element("p", line, class_="answer refused") for line in [refusal(plan, "below")] if line),
        _counts(plan, found),
        _findings("Errors", found, Severity.ERROR),
        _unknown(plan, "Could not be read; nothing is planned on top of it"),
        _filters([(v.value, f"{SYMBOLS[v]} {v.value}") for v in verbs], destructive=True),
        *_waves(plan),
        _findings("Warnings", found, Severity.WARNING),
        _section(
            "Differences that are reported and left alone",
            [_difference(d) for d in left_alone(plan)],
        ),
        _entries("Held back", plan.held),
        _entries("Ignored by the spec's rules", plan.ignored),
        _graph(plan),
        _footer(plan),
    )


def drift_html(plan: Plan, also: Iterable[Diagnostic] = ()) -> str:
    """Return how live differs from the spec as a page."""
    title = f"Drift of {plan.spec.name}"
    found = findings_of((*also, *plan.diagnostics))
    causes = [(cause, f"{cause} ({n:,})") for cause, n in drift_counts(plan).items()]
    entries = [_difference(d, filtered=True) for d in differences(plan)]
    return page(
        title,
        element("h1", title),
        element("p", drift_answer(plan, "below"), class_="answer"),
        _findings("Errors", found, Severity.ERROR),
        _unknown(plan, "Could not be read; its drift is not known"),
        _filters(causes, destructive=False),
        _section("Differences", entries),
        _findings("Warnings", found, Severity.WARNING),
        _entries("Ignored by the spec's rules", plan.ignored),
        _footer(plan),
    )


def findings_html(found: Iterable[Diagnostic]) -> str:
    """Return what is wrong with a spec as a page."""
    listed = findings_of(found)
    errors = sum(f.severity is Severity.ERROR for f in listed)
    return page(
        "The spec is invalid",
        element("h1", "The spec is invalid"),
        element("p", f"{count(errors, 'error')}.", class_="answer refused"),
        _findings("Errors", listed, Severity.ERROR),
        _findings("Warnings", listed, Severity.WARNING),
    )


def _counts(plan: Plan, found: Sequence[Finding]) -> Html:
    verbs = Counter(verb_of(a.kind) for a in plan.actions)
    severities = Counter(f.severity for f in found)
    numbers = (
        *((f"{SYMBOLS[v]} {v.value}", verbs[v], "") for v in Verb),
        ("destructive", sum(a.destructive for a in plan.actions), "loss"),
        ("error(s)", severities[Severity.ERROR], "loss"),
        ("warning(s)", severities[Severity.WARNING], ""),
        ("unknown", len(unreadable(plan)), "loss"),
        ("held", len(plan.held), ""),
        ("left alone", len(left_alone(plan)), ""),
        ("ignored", len(plan.ignored), ""),
    )
    listed = [
        element(
            "li",
            element("b", f"{number:,}"),
            f" {word.replace('(s)', '' if number == 1 else 's')}",
            class_=kind or False,
        )
        for word, number, kind in numbers
        if number
    ]
    return element("ul", *listed, class_="counts") if listed else _NOTHING


def _section(title: str, entries: Sequence[Html], kind: str = "") -> Html:
    if not entries:
        return _NOTHING
    return element("section", element("h2", title), *entries, class_=kind or False)


def _findings(title: str, found: Sequence[Finding], severity: Severity) -> Html:
    return _section(title, [_finding(f) for f in found if f.severity is severity])


def _finding(finding: Finding) -> Html:
    label = element("b", f"{finding.severity.value}:", class_="label")
    place = element("p", element("code", finding.place), class_="place")
    return element(
        "div",
        element("p", label, " ", finding.summary),
        place if finding.place else _NOTHING,
        *(element("p", line) for line in finding.detail.splitlines() if line.strip()),
        class_=f"card {finding.severity.value}",
    )


def _unknown(plan: Plan, title: str) -> Html:
    entries = [
        element(
            "div",
            element("p", element("code", entry.address), f": {entry.text}"),
            element("p", entry.remedy) if entry.remedy else _NOTHING,
            class_="card",
        )
        for entry in unreadable(plan)
    ]
    return _section(title, entries)


def _filters(groups: Sequence[tuple[str, str]], *, destructive: bool) -> Html:
    """Return the filters, which only the script shows: without it they would do nothing."""
    if not groups:
        return _NOTHING
    boxes = [
        element(
            "label",
            element("input", type="checkbox", name="group", value=value, checked=True),
            f" {label}",
        )
        for value, label in groups
    ]
    if destructive:
        box = element("input", type="checkbox", name="destructive")
        boxes.append(element("label", box, " destructive only"))
    search = element("input", type="search", name="address", placeholder="part of an address")
    return element(
        "form",
        *boxes,
        element("label", "Address ", search),
        element("output", id="shown"),
        id="filters",
        hidden=True,
    )


def _waves(plan: Plan) -> list[Html]:
    waits = waits_for(plan)
    keys = {a.id: f"a{n}" for n, a in enumerate(plan.actions, start=1)}
    return [
        _section(
            f"Wave {number}",
            [_action(a, keys, waits.get(a.id, ())) for a in actions],
            "wave",
        )
        for number, actions in waves(plan)
    ]


def _action(action: Action, keys: dict[str, str], waits: Sequence[str]) -> Html:
    verb = verb_of(action.kind)
    mark = element("span", "DESTRUCTIVE", class_="mark")
    outcomes = "; or ".join(action.outcomes)
    later = f"{KNOWN_LATER}: {outcomes}" if outcomes else KNOWN_LATER
    return element(
        "article",
        element(
            "p",
            element("b", SYMBOLS[verb]),
            " ",
            element("code", action.address),
            f": {phrase(action)} ",
            mark if action.destructive else _NOTHING,
        ),
        element("p", action.reason.text, class_="why") if action.reason.text else _NOTHING,
        element("p", later, class_="why") if action.after_unknown else _NOTHING,
        _waits(action, keys, waits),
        _details(
            action.changes, action.items, later=action.after_unknown, opened=action.destructive
        ),
        id=keys[action.id],
        class_=f"card {verb.value}" + (" destructive" if action.destructive else ""),
        data_group=verb.value,
        data_address=action.address,
        data_destructive="1" if action.destructive else "0",
    )


def _waits(action: Action, keys: dict[str, str], waits: Sequence[str]) -> Html:
    if not waits:
        return _NOTHING
    before = list(dict.fromkeys(action.depends_on))
    parts: list[str] = ["waits for: "]
    for n, name in enumerate(waits):
        key = keys.get(before[n]) if len(before) == len(waits) else None
        written = element("code", name)
        parts += [", " if n else "", element("a", written, href=f"#{key}") if key else written]
    return element("p", *parts, class_="waits")


def _details(
    changes: Sequence[FieldChange],
    items: Sequence[ItemChange],
    *,
    later: bool = False,
    opened: bool = False,
) -> Html:
    folded = []
    if changes:
        rows = [
            element(
                "tr",
                element("td", element("code", c.path)),
                element("td", element("code", value_text(c.before, _MOST_VALUE))),
                element("td", "→ ", element("code", after_text(c, later=later, limit=_MOST_VALUE))),
            )
            for c in changes
        ]
        folded.append(_folded(count(len(changes), "field"), rows, opened=opened))
    if items:
        rows = [
            element(
                "tr",
                element("td", item_symbol(i)),
                element("td", i.type),
                element("td", element("code", i.name)),
                element("td", item_notes(i, _MOST_VALUE)),
                class_=_ROWS[item_symbol(i)],
            )
            for i in items
        ]
        folded.append(_folded(count(len(items), "item"), rows, opened=opened))
    return Html("".join(folded))


def _folded(title: str, rows: Sequence[Html], *, opened: bool) -> Html:
    return element("details", element("summary", title), element("table", *rows), open=opened)


def _difference(entry: DriftEntry, *, filtered: bool = False) -> Html:
    told = f" ({fate_of(entry)})" if filtered and fate_of(entry) else ""
    content = (
        element("p", element("b", entry.cause), " ", element("code", entry.address)),
        element("p", f"{entry.text}{told}"),
        _details(entry.changes, entry.items),
    )
    if not filtered:
        return element("article", *content, class_="card")
    return element(
        "article",
        *content,
        class_="card",
        data_group=entry.cause,
        data_address=entry.address,
        data_destructive="0",
    )


def _entries(title: str, entries: Sequence[HeldEntry | IgnoredEntry]) -> Html:
    shown = [
        element(
            "article",
            element("p", element("code", e.address), f": {e.text}"),
            _details((), e.items),
            class_="card",
        )
        for e in entries
    ]
    return _section(title, shown)


def _graph(plan: Plan) -> Html:
    graph = build_graph(plan)
    if not graph.nodes:
        return _NOTHING
    if len(graph.nodes) > MOST_NODES or len(graph.edges) > MOST_EDGES:
        told = (
            f"{count(len(graph.nodes), 'action')} and {count(len(graph.edges), 'edge')} are too "
            "many for a picture; every action above names what it waits for."
        )
        return _section("Graph", [element("p", told)])
    return _section("Graph", [element("div", to_svg(graph), class_="graph")])


def _footer(plan: Plan) -> Html:
    made = sum(plan.requests.values())
    read = f", read with {count(made, 'request')}" if made else ""
    return element(
        "footer",
        f"Reconciler {plan.reconciler_version}, {plan.created_at}{read}. Fingerprint ",
        element("code", plan.fingerprint),
    )
