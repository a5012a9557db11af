"""Plans, drift and findings as text for a terminal or a CI log.

The last line is the answer: it never claims less than what stands above it. All names are
escaped here, at the sink.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from textwrap import wrap

from reconciler.plan.actions import Action, FieldChange, ItemChange, Verb, verb_of
from reconciler.plan.plan import DriftEntry, Plan
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
from reconciler.render.findings import (
    MOST_FINDINGS,
    findings_lines,
    render_findings,
    render_valid,
)
from reconciler.render.terminal import PLAIN, Paint, escape
from reconciler.render.view import (
    differences,
    left_alone,
    unreadable,
    waits_for,
    waves,
)
from reconciler.render.words import SYMBOLS, count, phrase

__all__ = [
    "MOST_FINDINGS",
    "plan_lines",
    "render_difference",
    "render_drift",
    "render_findings",
    "render_plan",
    "render_unknown",
    "render_valid",
]

_MOST_ITEMS = 20
_MANY_REQUESTS = 100
_WIDTH = 100


def render_plan(plan: Plan, *, paint: Paint = PLAIN, quiet: bool = False) -> str:
    """Return the plan as text, as ``plan_lines`` yields it."""
    return "".join(f"{line}\n" for line in plan_lines(plan, paint=paint, quiet=quiet))


def plan_lines(plan: Plan, *, paint: Paint = PLAIN, quiet: bool = False) -> Iterator[str]:
    """Yield the plan as lines of text, ending in its summary line.

    Args:
        quiet: only errors, what could not be read, that it is a preview, and the last line.
    """
    note = preview_note(plan)
    if note:
        yield from (paint.yellow(escape(note)), "")
    if not quiet:
        yield from _actions(plan, paint)
        yield from _section(
            "Differences that are reported and left alone",
            (line for d in left_alone(plan) for line in render_difference(d, paint)),
            paint,
        )
        held = (
            line
            for h in plan.held
            for line in (f"  · {escape(h.address)}: {escape(h.text)}", *_items(h.items, paint))
        )
        yield from _section("Held back", held, paint)
    yield from _section("Could not be read; nothing is planned on top of it", _unknown(plan), paint)
    yield from findings_lines(plan.diagnostics, paint, errors_only=quiet)
    if not quiet:
        yield from _footnotes(plan, paint)
    yield from _last_lines(plan, paint)


def render_drift(plan: Plan, *, paint: Paint = PLAIN, quiet: bool = False) -> str:
    """Return how live differs from the spec, ending in a line that counts the differences."""
    out: list[str] = []
    found = differences(plan)
    if found and not quiet:
        out.append(paint.bold(f"Drift of {escape(plan.spec.name)}"))
        for entry in found:
            out += render_difference(entry, paint, fate=True)
        out.append("")
    out += _section("Could not be read; its drift is not known", _unknown(plan), paint)
    out += findings_lines(plan.diagnostics, paint, errors_only=quiet)
    if not quiet:
        out += _requests(plan, paint)
    out.append(paint.bold(escape(drift_answer(plan))))
    return "\n".join(out) + "\n"


def render_difference(entry: DriftEntry, paint: Paint, *, fate: bool = False) -> list[str]:
    """Return one difference as lines; ``fate`` adds whether an apply settles it."""
    told = fate_of(entry) if fate else ""
    ends = paint.dim(f" ({told})") if told else ""
    head = f"  {paint.yellow('!')} {escape(entry.address)}"
    return [
        f"{head} [{escape(entry.cause)}]: {escape(entry.text)}{ends}",
        *_changes(entry.changes),
        *_items(entry.items, paint),
    ]


def render_unknown(plan: Plan, paint: Paint = PLAIN) -> list[str]:
    """Return what could not be read as a section of lines; empty when all was read."""
    return [*_section("Could not be read", _unknown(plan), paint)]


def _actions(plan: Plan, paint: Paint) -> Iterator[str]:
    if not plan.actions:
        return
    waits = waits_for(plan)
    yield paint.bold(f"Plan for {escape(plan.spec.name)}")
    for number, actions in waves(plan):
        yield ""
        yield paint.bold(f"Wave {number}")
        for action in actions:
            yield from _action(action, waits.get(action.id, ()), paint)
    yield ""


def _action(action: Action, waits: Sequence[str], paint: Paint) -> Iterator[str]:
    mark = f"  {paint.red('DESTRUCTIVE')}" if action.destructive else ""
    line = f"{escape(action.address)}: {escape(phrase(action))}{mark}"
    yield f"  {_symbol(action, paint)} {line}"
    if action.reason.text:
        yield f"      {paint.dim(escape(action.reason.text))}"
    yield from _changes(action.changes, later=action.after_unknown)
    yield from _items(action.items, paint)
    if action.after_unknown:
        outcomes = "; or ".join(escape(o) for o in action.outcomes)
        yield f"      {KNOWN_LATER}" + (f": {outcomes}" if outcomes else "")
    if waits:
        yield f"      waits for: {', '.join(escape(w) for w in waits)}"


def _symbol(action: Action, paint: Paint) -> str:
    verb = verb_of(action.kind)
    colour = {Verb.CREATE: paint.green, Verb.CHANGE: paint.yellow, Verb.DESTROY: paint.red}
    return colour.get(verb, paint.cyan)(SYMBOLS[verb])


def _changes(changes: Iterable[FieldChange], *, later: bool = False) -> Iterator[str]:
    for change in changes:
        before, after = value_text(change.before), after_text(change, later=later)
        yield f"      {escape(change.path)}: {escape(before)} -> {escape(after)}"


def _items(items: Sequence[ItemChange], paint: Paint) -> Iterator[str]:
    for item in items[:_MOST_ITEMS]:
        told = paint.dim(f"({escape(item_notes(item))})")
        yield f"      {item_symbol(item)} {escape(item.type)} {escape(item.name)}  {told}"
    if len(items) > _MOST_ITEMS:
        yield f"      … and {len(items) - _MOST_ITEMS:,} more"


def _unknown(plan: Plan) -> list[str]:
    lines = []
    for entry in unreadable(plan):
        lines.append(f"  ? {escape(entry.address)}: {escape(entry.text)}")
        if entry.remedy:
            lines.append(f"      {escape(entry.remedy)}")
    return lines


def _section(title: str, lines: Iterable[str], paint: Paint) -> Iterator[str]:
    """Yield lines under a title; nothing where there are none."""
    empty = True
    for line in lines:
        if empty:
            yield paint.bold(title)
            empty = False
        yield line
    if not empty:
        yield ""


def _footnotes(plan: Plan, paint: Paint) -> Iterator[str]:
    loses = sum(a.destructive for a in plan.actions)
    if loses:
        yield paint.red(f"{count(loses, 'action')} marked DESTRUCTIVE may lose what people made.")
    yield from _requests(plan, paint)


def _requests(plan: Plan, paint: Paint) -> Iterator[str]:
    if plan.ignored:
        told = f"{count(len(plan.ignored), 'entry', 'entries')} ignored by the spec's rules"
        yield paint.dim(f"{told}; --format json, markdown or html lists them.")
    made = sum(plan.requests.values())
    if not made:
        return
    if not plan.request_reasons:
        # A number and its API stay on one line.
        each = ", ".join(f"{n:,}\u00a0{escape(api)}" for api, n in _most_first(plan.requests))
        why = "; --explain-requests says why" if made >= _MANY_REQUESTS else ""
        told = f"Read with {count(made, 'request')}: {each}{why}."
        for line in wrap(told, _WIDTH, subsequent_indent="  ", break_on_hyphens=False):
            yield paint.dim(line.replace("\u00a0", " "))
        return
    yield f"Read with {count(made, 'request')}; those that were repeated count again:"
    width = max(len(api) for api in plan.requests)
    for api, n in _most_first(plan.requests):
        why = plan.request_reasons.get(api, "")
        yield f"  {n:>7,}  {escape(api):<{width}}  {paint.dim(escape(why))}"


def _most_first(requests: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(requests.items(), key=lambda entry: (-entry[1], entry[0]))


def _last_lines(plan: Plan, paint: Paint) -> Iterator[str]:
    refused, answer = refusal(plan), plan_answer(plan)
    if refused:
        yield paint.red(refused)
    if answer:
        yield paint.bold(answer)
