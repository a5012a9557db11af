"""The records of a run's journal: one JSON object a line, in the order they happened.

A journal exists for crash recovery only; no plan is decided by it. Readers ignore members they do
not know and refuse another major ``format_version``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

__all__ = [
    "FORMAT_VERSION",
    "EndRecord",
    "IntentRecord",
    "OperationRecord",
    "OutcomeRecord",
    "PlanRecord",
    "Record",
    "ResumedRecord",
    "RunRecord",
    "RunResult",
    "record_of",
]

FORMAT_VERSION = "1.0"

RunResult = Literal["complete", "failed", "interrupted"]
"""How a run ended: everything verified, something not done, or stopped on request."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    at: datetime


class RunRecord(_Record):
    """The first line: who runs what against which services.

    ``resumes`` names the unfinished runs of the same estate that this one takes over.
    """

    type: Literal["run"] = "run"
    format_version: str = FORMAT_VERSION
    run: str
    estate: str
    reconciler_version: str
    endpoints: dict[str, str]
    host: str
    pid: int
    resumes: tuple[str, ...] = ()


class PlanRecord(_Record):
    """A plan is about to be carried out; a run that plans again writes another one."""

    type: Literal["plan"] = "plan"
    fingerprint: str
    created_at: str
    digest: str
    caller: str
    actions: int


class IntentRecord(_Record):
    """A write is about to be sent; on disk before it is."""

    type: Literal["intent"] = "intent"
    action: str
    kind: str
    address: str
    attempt: int


class OperationRecord(_Record):
    """The service took a request and gave an id to follow it by; on disk before it is polled.

    ``service`` is ``fabric`` for long-running operations and ``import`` for import requests.
    """

    type: Literal["operation"] = "operation"
    action: str
    service: Literal["fabric", "import"] = "fabric"
    operation_id: str
    deployment_id: str | None = None


class OutcomeRecord(_Record):
    """How an action ended; ``outcome`` as in the event stream."""

    type: Literal["outcome"] = "outcome"
    action: str
    kind: str
    address: str
    outcome: str
    text: str = ""


class ResumedRecord(_Record):
    """What came of an operation that an earlier run had left under way."""

    type: Literal["resumed"] = "resumed"
    run: str
    action: str
    operation_id: str
    outcome: Literal["succeeded", "failed", "running", "unknown"]
    text: str = ""


class EndRecord(_Record):
    """The last line of a run that was not cut off."""

    type: Literal["end"] = "end"
    result: RunResult


Record = Annotated[
    RunRecord
    | PlanRecord
    | IntentRecord
    | OperationRecord
    | OutcomeRecord
    | ResumedRecord
    | EndRecord,
    Field(discriminator="type"),
]

_ADAPTER: TypeAdapter[Record] = TypeAdapter(Record)


def record_of(line: str) -> Record:
    """Parse one line.

    Raises:
        pydantic.ValidationError: it is no record.
    """
    return _ADAPTER.validate_json(line)
