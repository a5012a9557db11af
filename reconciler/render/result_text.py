"""What an apply did, as text.

Rendering and executing stand side by side and do not import each other; the two protocols say
which facts of an apply are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

from reconciler.plan.plan import Plan
from reconciler.plan.residual import ignore_entries
from reconciler.render.as_text import render_difference, render_findings, render_unknown
from reconciler.render.terminal import PLAIN, Paint, escape, shorten
from reconciler.render.view import left_alone
from reconciler.render.words import count, phrase

__all__ = ["ActionEnd", "ApplyEnd", "is_verified", "render_result"]

_ORDER = ("done", "not needed", "failed", "inconclusive", "refused", "skipped")
_WELL = frozenset({"done", "not needed"})
_MOST_ADDRESS = 60


class ActionEnd(Protocol):
    """How one action ended; ``outcome`` is one of the words of the executor."""

    @property
    def action_id(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def address(self) -> str: ...  # noqa: D102
    @property
    def outcome(self) -> str: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def remedy(self) -> str: ...  # noqa: D102


class ApplyEnd(Protocol):
    """What an apply did: one end per action, and the plan made again afterwards."""

    @property
    def outcomes(self) -> Sequence[ActionEnd]: ...  # noqa: D102
    @property
    def after(self) -> Plan | None: ...  # noqa: D102
    @property
    def still_needed(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def residual(self) -> Sequence[str]: ...  # noqa: D102


def is_verified(result: ApplyEnd) -> bool:
    """Tell whether everything was done and a second, complete plan confirms it."""
    after = result.after
    return (
        all(o.outcome in _WELL for o in result.outcomes)
        and not result.still_needed
        and after is not None
        and not after.unknown
        and all(d.severity == "warning" for d in after.diagnostics)
    )


def render_result(result: ApplyEnd, *, paint: Paint = PLAIN, quiet: bool = False) -> str:
    """Return what an apply did.

    Ends in ``Apply complete.`` only when everything is done and a complete second plan confirms
    it; otherwise the last part is a table of what was done, failed and skipped.
    """
    out: list[str] = []
    if result.after is not None:
        out += _remaining(result, result.after, paint, quiet=quiet)
    out += _still_needed(result, paint)
    counts = _counts(result)
    if is_verified(result):
        if counts:
            out.append(f"{counts}.")
        out.append(paint.bold(paint.green("Apply complete.")))
    elif all(o.outcome in _WELL for o in result.outcomes) and not result.still_needed:
        reason = (
            "the plan could not be made again to verify it"
            if result.after is None
            else "not everything could be read or planned afterwards"
        )
        out.append(paint.bold(f"Applied ({counts or 'nothing to do'}), but {reason}."))
    else:
        out.append(paint.bold(paint.red(f"Apply did not complete: {counts}.")))
        out += _table(result.outcomes, paint)
    return "\n".join(out) + "\n"


def _counts(result: ApplyEnd) -> str:
    n = Counter(str(o.outcome) for o in result.outcomes)
    return ", ".join(f"{n[word]:,} {word}" for word in _ORDER if n[word])


def _remaining(result: ApplyEnd, after: Plan, paint: Paint, *, quiet: bool) -> Iterator[str]:
    """Tell what the second plan still holds; what this run did and failed at is told elsewhere."""
    if not quiet:
        ran = {o.action_id for o in result.outcomes}
        lines = [
            f"  {escape(a.address)}: {escape(phrase(a))}" for a in after.actions if a.id not in ran
        ]
        lines += [line for d in left_alone(after) for line in render_difference(d, paint)]
        lines += [f"  · {escape(h.address)}: {escape(h.text)}" for h in after.held]
        if lines:
            yield from (paint.bold("What remains"), *lines, "")
        yield from _residual(result, after, paint)
    yield from render_unknown(after, paint)
    found = render_findings(after.diagnostics, paint=paint, errors_only=quiet)
    if found:
        yield found


def _residual(result: ApplyEnd, after: Plan, paint: Paint) -> Iterator[str]:
    left = {a.id: a for a in after.actions}
    for action_id in result.residual:
        yield (
            f"{paint.yellow('warning:')} {escape(action_id)} succeeded and its items still "
            "differ: deployment rules, or the service writes them in another form"
        )
        action = left.get(action_id)
        if action is not None:
            yield "  To leave that alone, paste into the spec under ignore:"
            entries = ignore_entries(action.address, action.items)
            yield from (f"    {escape(e)}" for e in entries)


def _still_needed(result: ApplyEnd, paint: Paint) -> Iterator[str]:
    for action_id in result.still_needed:
        yield (
            f"{paint.red('error:')} {escape(action_id)} was carried out and is still needed; "
            "its effect did not last"
        )


def _table(outcomes: Sequence[ActionEnd], paint: Paint) -> Iterator[str]:
    rows = sorted(outcomes, key=lambda o: _ORDER.index(str(o.outcome)))
    width = max((len(_name(o)) for o in rows), default=0)
    for row in rows:
        word = str(row.outcome)
        colour = paint.green if word in _WELL else paint.red
        why = escape(" ".join(row.text.split()))
        yield f"  {colour(f'{word:<12}')}  {_name(row):<{width}}  {why}".rstrip()
        if row.remedy and word not in _WELL:
            yield f"  {'':<12}  {'':<{width}}  {paint.dim(escape(row.remedy))}"
    failed = sum(str(o.outcome) not in _WELL for o in outcomes)
    if failed:
        yield f"{count(failed, 'action')} not done; plan again to see what is left."


def _name(row: ActionEnd) -> str:
    return f"{shorten(escape(row.address), _MOST_ADDRESS)} ({escape(row.kind)})"
