"""JSON for machines: the plan as it is, drift and findings cut from the same data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from reconciler.diagnostics import Diagnostic, has_errors
from reconciler.plan.plan import Plan
from reconciler.render.view import differences, drift_counts

__all__ = ["drift_json", "findings_json", "plan_json"]


def plan_json(plan: Plan) -> str:
    """Return the plan file's own text, so that ``show`` and ``--out`` cannot differ."""
    return plan.to_json()


def drift_json(plan: Plan) -> str:
    """Return what differs: ``format_version``, ``drift``, ``held``, ``unknown``, ``summary``.

    ``in_sync`` is true only when everything could be read, nothing differs and nothing is wrong.
    """
    data = plan.to_data()
    found = differences(plan)
    errors = sum(d.severity != "warning" for d in plan.diagnostics)
    return _dump(
        {
            "format_version": data["format_version"],
            "reconciler_version": data["reconciler_version"],
            "created_at": data["created_at"],
            "spec": {key: data["spec"][key] for key in ("name", "digest", "files")},
            "drift": [d.model_dump(mode="json", by_alias=True) for d in found],
            "held": data["held"],
            "unknown": data["unknown"],
            "unreadable": data["unreadable"],
            "diagnostics": data["diagnostics"],
            "complete": data["complete"],
            "summary": {
                "differences": len(found),
                "planned": sum(d.planned for d in found),
                "by_class": drift_counts(plan),
                "unknown": len(plan.unknown),
                "errors": errors,
                "in_sync": not (found or plan.unknown or errors),
            },
        }
    )


def findings_json(found: Iterable[Diagnostic]) -> str:
    """Return ``{"valid": …, "diagnostics": […]}``; warnings leave a spec valid."""
    listed = tuple(found)
    return _dump(
        {"valid": not has_errors(listed), "diagnostics": [d.to_json() for d in listed]},
    )


def _dump(data: dict[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
