"""Tell what a deployment does not change: deployment rules, or items written in another form.

The way out is an ``ignore`` entry, so each finding carries the one to paste.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from reconciler.diff.deployments import ItemVerdict
from reconciler.plan.actions import ItemChange
from reconciler.plan.deployment_actions import verdict_items
from reconciler.plan.deployment_entries import DeploymentEntry
from reconciler.plan.draft import Draft
from reconciler.plan.plan import DriftEntry
from reconciler.words import count

__all__ = ["ignore_entries", "report_residual"]


def ignore_entries(address: str, items: Sequence[ItemChange]) -> list[str]:
    """Write the entries for a spec's ``ignore`` list that leave these differences alone.

    A JSON string is a YAML string, whatever a name holds.
    """
    return [
        f"- {{address: {_quoted(address)}, "
        f"items: [{{type: {item.type}, name: {_quoted(item.name)}}}]"
        + (f", path: {_quoted(path)}" if path else "")
        + "}"
        for item in items
        for path in (item.paths or ("",))
    ]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def report_residual(draft: Draft, at: DeploymentEntry, verdicts: Sequence[ItemVerdict]) -> None:
    """Warn of items that the last deployment from this very source has left different."""
    if not verdicts:
        return
    items = verdict_items(verdicts)
    listed = "; ".join(f"{v.type} {v.name} ({v.evidence})" for v in verdicts)
    draft.warn(
        "residual",
        f"{count(len(items), 'item')} of {at.target.name} still differ as before the last "
        f"deployment: {listed}.",
        "It found them like this and left them like this, so they are not deployed again: a "
        "deployment rule, another form in which the service writes them, or the same edit made "
        "again. Undo the rule or the edit, deploy them anyway once with compare: always, or add "
        "to ignore: " + " ".join(ignore_entries(at.where, items)),
        at.where,
    )
    draft.drift.append(
        DriftEntry(
            address=at.where,
            cause="local",
            text=f"{count(len(items), 'item')} of {at.target.name} differ in what a deployment "
            "does not change",
            items=items,
        )
    )
