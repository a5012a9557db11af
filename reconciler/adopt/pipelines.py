"""An adopted deployment pipeline: fields, stages, and deployments that are held. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from reconciler.adopt.entry import Entry, left_out, name_or_id, why_not
from reconciler.adopt.found import Found, FoundPipeline, NotRead
from reconciler.diff.deployments import compare_stages
from reconciler.live.models import LivePipeline, LiveStage
from reconciler.live.scope import StageSide
from reconciler.spec.models import PipelineSpec
from reconciler.spec.write import Noted

__all__ = ["pipeline_entry"]

_MANUAL = "held until targeted; auto lets the target follow"
_SHOWN = 5


def pipeline_entry(found: FoundPipeline, everything: Found) -> Noted:
    """Return an entry under ``pipelines``; one without a value is only a comment."""
    label, live = found.name or found.id, found.live
    if isinstance(live, NotRead):
        return left_out(f"Left out: pipeline {label}. {live.text()}")
    notes: list[str] = []
    required = {
        **name_or_id(found.id, found.name, everything.pipeline_names),
        "stages": [_stage(s, everything, notes) for s in live.stages],
    }
    wrong = why_not(PipelineSpec, required) or _repeated(live)
    if wrong is not None:
        return left_out(f"Left out: pipeline {label}, which a spec cannot hold: {wrong}.")
    entry = Entry(PipelineSpec, required)
    entry.notes.extend(notes)
    if live.description:
        entry.put("description", live.description)
    entry.put_roles(found.roles)
    _put_deployments(entry, found, live, everything)
    return entry.noted("stages", "deployments")


def _repeated(live: LivePipeline) -> str | None:
    name, times = Counter(s.name for s in live.stages).most_common(1)[0]
    return f"{times} of its stages are called {name}" if times > 1 else None


def _stage(stage: LiveStage, everything: Found, notes: list[str]) -> dict[str, Any]:
    out: dict[str, Any] = {"name": stage.name}
    if stage.description:
        out["description"] = stage.description
    if stage.workspace_id is not None:
        name = everything.visible.get(stage.workspace_id.lower())
        if name is None:
            shown = stage.workspace_name or stage.workspace_id
            notes.append(
                f"Left out: the workspace of stage {stage.name}, {shown}, which this caller "
                "cannot see."
            )
        else:
            (out["workspace"],) = name_or_id(
                stage.workspace_id, name, everything.visible.values()
            ).values()
    out["public"] = stage.public
    return out


def _put_deployments(
    entry: Entry, found: FoundPipeline, live: LivePipeline, everything: Found
) -> None:
    """Add a deployment per pair of neighbours, where a plan of it does not stop."""
    deployments: list[Any] = []
    for source, target in zip(live.stages, live.stages[1:], strict=False):
        obstacle = _obstacle(source, target, found, everything)
        if obstacle is None:
            manual = Noted("manual", behind=_MANUAL)
            deployments.append({"from": source.name, "to": target.name, "when": manual})
        else:
            entry.notes.append(
                f"Left out: the deployment from {source.name} to {target.name}: {obstacle}."
            )
    if deployments:
        entry.put("deployments", deployments)


def _obstacle(
    source: LiveStage, target: LiveStage, found: FoundPipeline, everything: Found
) -> str | None:
    """Return what would make a plan of this deployment stop, if anything does."""
    sides = [_side(stage, found, everything) for stage in (source, target)]
    unusable = [side for side in sides if isinstance(side, str)]
    if unusable:
        return unusable[0]
    left, right = (side for side in sides if isinstance(side, StageSide))
    clashes = compare_stages(left, right, {}, scope=None, compare="pairing").clashes
    if not clashes:
        return None
    names = ", ".join(f"{c.type} {c.name}" for c in clashes[:_SHOWN])
    more = f" and {len(clashes) - _SHOWN} more" if len(clashes) > _SHOWN else ""
    return (
        f"both have items of the same type and name that are not paired ({names}{more}), of which "
        "a deployment would make duplicates"
    )


def _side(stage: LiveStage, found: FoundPipeline, everything: Found) -> StageSide | str:
    """Return a stage as it stands, or why it cannot take part in a deployment."""
    if stage.workspace_id is None:
        return f"{stage.name} has no workspace"
    if stage.workspace_id.lower() not in everything.visible:
        return f"this caller cannot see the workspace of {stage.name}"
    items = found.items[stage.id]
    if isinstance(items, NotRead):
        return f"{items.what} could not be read: {items.message.rstrip('.')}"
    return StageSide(stage.workspace_id, items)
