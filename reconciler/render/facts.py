"""Sentences and values that every format tells in the same words.

Nothing here is escaped: each renderer escapes at its own sink. What differs between formats is
layout, never what a plan is said to be.
"""

from __future__ import annotations

import json
from typing import Any

from reconciler.plan.actions import FieldChange, ItemChange
from reconciler.plan.plan import DriftEntry, Plan
from reconciler.render.terminal import shorten
from reconciler.render.view import drift_counts, errors_in, left_alone, unreadable
from reconciler.render.words import count, summary_line
from reconciler.words import named_commit

__all__ = [
    "KNOWN_LATER",
    "MOST_VALUE",
    "after_text",
    "drift_answer",
    "fate_of",
    "item_notes",
    "item_symbol",
    "plan_answer",
    "preview_note",
    "refusal",
    "value_text",
]

KNOWN_LATER = "(known after apply)"
MOST_VALUE = 160
"""Characters of a value or a detail that text and Markdown show; the rest is in the JSON."""

_SENSITIVE = "(sensitive)"
_ITEM_SYMBOLS = {"Added": "+", "New": "+", "Deleted": "-"}


def value_text(value: Any, limit: int = MOST_VALUE) -> str:  # noqa: ANN401 - any JSON
    """Return a field's value the way it is shown: JSON, or a word in brackets."""
    if value is None:
        return "(none)"
    if value == _SENSITIVE:
        return _SENSITIVE
    return shorten(json.dumps(value, ensure_ascii=False, default=str), limit)


def after_text(change: FieldChange, *, later: bool, limit: int = MOST_VALUE) -> str:
    """Return what a field will be; ``later`` when the action's effect is not known yet."""
    return KNOWN_LATER if later and change.after is None else value_text(change.after, limit)


def item_symbol(item: ItemChange) -> str:
    """Return ``+``, ``-`` or ``~``."""
    return _ITEM_SYMBOLS.get(item.change, "~")


def item_notes(item: ItemChange, limit: int = MOST_VALUE) -> str:
    """Return what happens to an item: the change, the conflict, the first places that differ."""
    notes = [item.change]
    if item.conflict:
        notes.append(f"conflict: {item.conflict}")
    if item.detail:
        notes.append(shorten(item.detail, limit))
    return "; ".join(notes)


def fate_of(entry: DriftEntry) -> str:
    """Return whether an apply settles a difference; ``""`` for one that is held back."""
    if entry.cause == "held":
        return ""
    return "an apply settles it" if entry.planned else "reported only"


def refusal(plan: Plan, where: str = "above") -> str:
    """Return the sentence that a plan with errors cannot be applied, or ``""``."""
    errors = errors_in(plan)
    if not errors:
        return ""
    verb = "is" if errors == 1 else "are"
    return f"This plan cannot be applied: {count(errors, 'error')} {verb} reported {where}."


def preview_note(plan: Plan) -> str:
    """Return the sentences that say of a plan that it looks ahead to a merge; ``""`` else."""
    preview = plan.preview
    if preview is None:
        return ""
    named = named_commit(preview.revision, preview.commit)
    return (
        f"Preview of merging {named} into {preview.into}: what an apply would do after the merge. "
        "It cannot be applied itself; apply SPEC --expect FILE does no more than it announces."
    )


def plan_answer(plan: Plan) -> str:
    """Return the last line of a plan; ``""`` for one that is nothing but errors."""
    if plan.actions:
        return summary_line(plan.actions)
    return "" if errors_in(plan) else _no_changes(plan)


def _no_changes(plan: Plan) -> str:
    sentences = []
    left = len(left_alone(plan)) + len(plan.held)
    if left:
        verb = "is" if left == 1 else "are"
        sentences.append(f"{count(left, 'difference')} {verb} reported and left alone.")
    unknown = len(unreadable(plan))
    if unknown:
        sentences.append(f"{count(unknown, 'resource')} could not be read.")
    if not sentences:
        partial = plan.target or plan.exclude
        whole = "The estate matches the spec."
        sentences.append("What was selected matches the spec." if partial else whole)
    # What could not be read may well differ, so it is not called unchanged.
    return " ".join(("Nothing to apply." if unknown else "No changes.", *sentences))


def drift_answer(plan: Plan, where: str = "above") -> str:
    """Return the line that counts the differences and claims no more than is known."""
    counts = drift_counts(plan)
    errors, unknown = errors_in(plan), len(unreadable(plan))
    sentences = []
    if counts:
        listed = ", ".join(f"{n} {cause}" for cause, n in counts.items())
        sentences.append(f"Drift: {count(sum(counts.values()), 'difference')} ({listed}).")
    elif errors or unknown:
        sentences.append("No drift was found where it could be looked for.")
    else:
        return "No drift. The live state matches the spec."
    if unknown:
        sentences.append(f"{count(unknown, 'resource')} could not be read.")
    if errors:
        verb = "is" if errors == 1 else "are"
        sentences.append(f"{count(errors, 'error')} {verb} reported {where}.")
    return " ".join(sentences)
