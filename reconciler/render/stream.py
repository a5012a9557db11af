"""The event stream: one typed JSON object per line, for whoever watches a run.

Only the records and how a plan becomes some of them; what happens during an apply is translated
by the command line, since rendering and executing do not import each other. A line is pure ASCII.
No record holds anything but what plans and outcomes hold, so no secret can stand in one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.plan.actions import Action, Reason, Verb, verb_of
from reconciler.plan.plan import Plan
from reconciler.render.as_json import DriftSummary, FindingEntry, drift_summary
from reconciler.render.facts import plan_answer, preview_note, refusal
from reconciler.render.findings import finding_of
from reconciler.render.terminal import escape
from reconciler.render.words import phrase

__all__ = [
    "STREAM_VERSION",
    "ActionComplete",
    "ActionErrored",
    "ActionProgressed",
    "ActionRef",
    "ActionSkipped",
    "ActionStart",
    "ApplySummary",
    "ChangeSummary",
    "DiagnosticFound",
    "PlannedAction",
    "ReadComplete",
    "ReadStart",
    "Record",
    "Version",
    "diagnostic_record",
    "line_of",
    "planned_records",
]

STREAM_VERSION = "1.0"

Level = Literal["info", "warn", "error"]
Purpose = Literal["plan", "check", "verify"]


class _Record(BaseModel):
    """What every line has."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    level: Level = Field("info", alias="@level", description="info, warn or error")
    message: str = Field(alias="@message", description="the line for people, escaped")
    timestamp: str = Field("", alias="@timestamp", description="when it was written, UTC")


class ActionRef(BaseModel):
    """Which action a line is about; ``id`` is the one of the plan."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    address: str

    @classmethod
    def of(cls, action: Action) -> ActionRef:
        """Return the reference to an action."""
        return cls(id=action.id, kind=action.kind, address=action.address)


class Version(_Record):
    """The first line.

    Attributes:
        reconciler: version of the tool.
        format_version: of the stream; a new minor version only adds members and types.
        command: the command that runs.
    """

    type: Literal["version"] = "version"
    reconciler: str
    format_version: str = STREAM_VERSION
    command: str


class DiagnosticFound(_Record):
    """A finding of the spec or the plan, or the error that ended the run."""

    type: Literal["diagnostic"] = "diagnostic"
    diagnostic: FindingEntry


class ReadStart(_Record):
    """The live state is about to be read.

    Attributes:
        purpose: ``plan``; ``check`` that a plan file still holds; ``verify`` after an apply.
    """

    type: Literal["read_start"] = "read_start"
    purpose: Purpose


class ReadComplete(_Record):
    """The live state was read, as far as it could be.

    Attributes:
        requests: requests made so far over the same connections, by API.
        unknown: addresses of what could not be read.
    """

    type: Literal["read_complete"] = "read_complete"
    purpose: Purpose
    elapsed_s: float
    requests: dict[str, int]
    unknown: tuple[str, ...]


class PlannedAction(_Record):
    """An action of the plan, in wave order.

    Attributes:
        verb: its family: create, change, destroy, update, commit, deploy or import.
        items: how many items it touches, as far as known.
    """

    type: Literal["planned_action"] = "planned_action"
    action: ActionRef
    verb: str
    wave: int
    depends_on: tuple[str, ...]
    reason: Reason
    destructive: bool
    after_unknown: bool
    items: int


class ChangeSummary(_Record):
    """What the plan comes to.

    Attributes:
        changes: numbers by verb, every verb named.
        drift: the same summary as ``drift --format json`` has.
        applyable: there is something to do, and nothing forbids it; never for a preview.
        preview: the plan looks ahead to a merge.
    """

    type: Literal["change_summary"] = "change_summary"
    actions: int
    destructive: int
    changes: dict[str, int]
    drift: DriftSummary
    held: int
    applyable: bool
    preview: bool


class ActionStart(_Record):
    """An action is about to be checked and sent."""

    type: Literal["action_start"] = "action_start"
    action: ActionRef


class ActionProgressed(_Record):
    """An action waits for something; ``text`` says for what, as far as known."""

    type: Literal["action_progress"] = "action_progress"
    action: ActionRef
    text: str
    elapsed_s: float


class ActionComplete(_Record):
    """An action is done and verified, or was not needed any more."""

    type: Literal["action_complete"] = "action_complete"
    action: ActionRef
    outcome: Literal["done", "not needed"]
    text: str
    elapsed_s: float


class ActionErrored(_Record):
    """An action did not succeed.

    Attributes:
        outcome: ``refused``: nothing was sent; ``inconclusive``: its effect is not known.
        remedy: what to do; may be empty.
    """

    type: Literal["action_errored"] = "action_errored"
    action: ActionRef
    outcome: Literal["failed", "inconclusive", "refused"]
    text: str
    remedy: str
    elapsed_s: float


class ActionSkipped(_Record):
    """An action was not begun, because one it depends on did not succeed."""

    type: Literal["action_skipped"] = "action_skipped"
    action: ActionRef
    text: str


class ApplySummary(_Record):
    """What an apply came to; missing when nothing was begun.

    Attributes:
        outcomes: numbers by outcome; those that did not occur are left out.
        complete: all is done, and a second, complete plan confirms it.
        still_needed: ids of actions that were carried out and whose effect did not last.
        residual: ids of deployments whose items differ straight after they succeeded.
        exit_code: of the process.
    """

    type: Literal["apply_summary"] = "apply_summary"
    outcomes: dict[str, int]
    complete: bool
    still_needed: tuple[str, ...]
    residual: tuple[str, ...]
    exit_code: int


Record = Annotated[
    Version
    | DiagnosticFound
    | ReadStart
    | ReadComplete
    | PlannedAction
    | ChangeSummary
    | ActionStart
    | ActionProgressed
    | ActionComplete
    | ActionErrored
    | ActionSkipped
    | ApplySummary,
    Field(discriminator="type"),
]


def line_of(record: Record, timestamp: str) -> str:
    """Return a record as a line of JSON with its line end."""
    data = record.model_dump(mode="json", by_alias=True, exclude={"diagnostic"})
    if isinstance(record, DiagnosticFound):
        data["diagnostic"] = record.diagnostic.model_dump(mode="json", exclude_unset=True)
    return json.dumps(_first(data, timestamp), ensure_ascii=True) + "\n"


def _first(data: dict[str, Any], timestamp: str) -> dict[str, Any]:
    """Put what every line has first, the message escaped for terminals."""
    head = {
        "@level": data.pop("@level"),
        "@message": escape(data.pop("@message")),
        "@timestamp": timestamp,
        "type": data.pop("type"),
    }
    data.pop("@timestamp")
    return {**head, **data}


def diagnostic_record(found: Diagnostic) -> DiagnosticFound:
    """Return a finding as a record."""
    stops = found.severity is Severity.ERROR
    return DiagnosticFound(
        level="error" if stops else "warn",
        message=f"{found.severity.value}: {found.summary}",
        diagnostic=FindingEntry.model_validate(found.to_json()),
    )


def planned_records(plan: Plan) -> Iterator[Record]:
    """Return a plan as records: its findings, its actions, and what it comes to."""
    for entry in plan.diagnostics:
        found = finding_of(entry)
        placed = entry.model_dump(mode="json", exclude_none=True)
        yield DiagnosticFound(
            level="error" if found.severity is Severity.ERROR else "warn",
            message=f"{found.severity.value}: {found.summary}",
            diagnostic=FindingEntry.model_validate({**placed, "severity": found.severity.value}),
        )
    for action in plan.actions:
        mark = " (destructive)" if action.destructive else ""
        yield PlannedAction(
            message=f"{action.address}: {phrase(action)}{mark}",
            action=ActionRef.of(action),
            verb=verb_of(action.kind).value,
            wave=action.wave,
            depends_on=action.depends_on,
            reason=action.reason,
            destructive=action.destructive,
            after_unknown=action.after_unknown,
            items=len(action.items),
        )
    verbs = Counter(verb_of(a.kind) for a in plan.actions)
    yield ChangeSummary(
        message=" ".join(s for s in (preview_note(plan), plan_answer(plan), refusal(plan)) if s),
        actions=len(plan.actions),
        destructive=sum(a.destructive for a in plan.actions),
        changes={verb.value: verbs[verb] for verb in Verb},
        drift=drift_summary(plan),
        held=len(plan.held),
        applyable=plan.applyable,
        preview=plan.preview is not None,
    )
