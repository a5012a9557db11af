"""The plan: an immutable, serialisable graph of actions with what it was computed from.

Reading and writing the documented JSON (design: format version 1.0) happens here; rendering for
people does not. Two plans from the same spec and snapshot are equal byte for byte.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError

from reconciler.errors import PlanFileError
from reconciler.jsontext import escaped_json, json_text
from reconciler.plan.actions import Action, FieldChange, ItemChange
from reconciler.plan.fingerprint import fingerprint_of

__all__ = [
    "DIFFERENCE_CODES",
    "FORMAT_VERSION",
    "Allowed",
    "DriftEntry",
    "HeldEntry",
    "IgnoredEntry",
    "Loss",
    "Plan",
    "PlanDiagnostic",
    "PlanPreview",
    "PlanSpec",
    "PlanSummary",
    "UnknownEntry",
    "finish",
    "load_plan",
    "summarise",
]

FORMAT_VERSION = "1.0"

DIFFERENCE_CODES = frozenset(
    {
        "backward_into_filled_stage",
        "both_sides_have_content",
        "cross_region",
        "git_conflict",
        "incoming_blocks_commit",
        "override_not_allowed",
        "partial_update",
        "protected",
        "repository_not_empty",
        "stage_count_differs",
        "stage_holds_other_workspace",
        "switch_needs_strategy",
        "too_many_deletes",
        "too_many_overwrites",
        "unpaired_name_clash",
        "workspace_in_stage",
    }
)
"""Errors that say: live differs, and removing the difference needs words in the spec.

They stop an apply; to ``drift``, which writes nothing, they are differences like any other.
"""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PlanSpec(_Model):
    """The spec a plan was made from.

    ``resolved`` holds secrets as ``${env.NAME}`` only; ``sources`` is the SHA-256 of each file's
    bytes, by its path, so that an edit after planning is noticed where the file is at hand.
    """

    name: str
    digest: str
    files: tuple[str, ...] = ()
    sources: dict[str, str] = Field(default_factory=dict)
    resolved: dict[str, Any] = Field(default_factory=dict)


class PlanPreview(_Model):
    """The merge that a plan looks ahead to; such a plan is shown and never applied.

    Attributes:
        revision: what is merged, as it was named.
        commit: the commit that meant.
        into: the branch it is merged into.
        bindings: addresses of the Git bindings that follow this branch.
    """

    revision: str
    commit: str
    into: str
    bindings: tuple[str, ...] = ()


class PlanSummary(_Model):
    """Counts over ``actions``; ``deletes`` and ``overwrites`` count items, as in ``losses``."""

    actions: int = 0
    destructive: int = 0
    by_kind: dict[str, int] = Field(default_factory=dict)
    deletes: int = 0
    overwrites: int = 0


class DriftEntry(_Model):
    """A difference between spec and live: ``incoming``, ``local``, ``field`` or ``held``.

    ``planned`` tells whether an action of this plan removes it.
    """

    address: str
    cause: str = Field(alias="class", serialization_alias="class")
    text: str
    items: tuple[ItemChange, ...] = ()
    changes: tuple[FieldChange, ...] = ()
    planned: bool = False

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class HeldEntry(_Model):
    """Something planned for later: a deployment with ``when: manual`` that was not targeted."""

    address: str
    text: str
    items: tuple[ItemChange, ...] = ()


class IgnoredEntry(_Model):
    """Differences the spec's ``ignore`` rules leave alone."""

    address: str
    text: str
    items: tuple[ItemChange, ...] = ()


class UnknownEntry(_Model):
    """A resource that could not be read, and why; nothing is planned on top of it."""

    address: str
    text: str
    remedy: str = ""


class Loss(_Model):
    """What a plan takes from one workspace, in items; see ``reconciler.plan.losses``.

    ``items`` is how many the workspace has, None when that was not read.
    """

    workspace: str
    items: int | None
    deletes: int = 0
    overwrites: int = 0


class Allowed(_Model):
    """The caps given for one run, in items; None leaves the shares of the spec in force."""

    deletes: int | None = None
    overwrites: int | None = None


class PlanDiagnostic(_Model):
    """A finding, in the JSON form of ``reconciler.diagnostics.Diagnostic``."""

    severity: str
    code: str
    summary: str
    detail: str = ""
    address: str | None = None
    path: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None


class Plan(_Model):
    """Everything ``apply`` needs and a reviewer may ask.

    Attributes:
        actions: in wave order, stable within a wave.
        bindings: live id by address, for everything the actions refer to that existed.
        unknown: addresses that could not be read; reasons stand in ``unreadable``.
        caller: who planned, as a digest or an Entra object id; never a secret.
        complete: nothing was unknown.
        applyable: there is something to do, and nothing forbids it; never for a preview.
        preview: the merge this plan looks ahead to; null for what an apply would do now.
        losses: what it deletes and overwrites, for each workspace that loses something.
        allowed: the caps it was made with.
        beta: preview APIs were allowed; applying the plan may use them too.
        requests: how many requests planning made, by API.
        request_reasons: what each API was asked for; empty without ``--explain-requests``.
        fingerprint: SHA-256 over everything but ``created_at`` and what tells of requests.
    """

    format_version: str = FORMAT_VERSION
    reconciler_version: str
    created_at: str
    spec: PlanSpec
    endpoints: dict[str, str]
    summary: PlanSummary
    actions: tuple[Action, ...] = ()
    drift: tuple[DriftEntry, ...] = ()
    diagnostics: tuple[PlanDiagnostic, ...] = ()
    unknown: tuple[str, ...] = ()
    unreadable: tuple[UnknownEntry, ...] = ()
    held: tuple[HeldEntry, ...] = ()
    ignored: tuple[IgnoredEntry, ...] = ()
    caller: str = ""
    complete: bool = True
    applyable: bool = True
    preview: PlanPreview | None = None
    bindings: dict[str, str] = Field(default_factory=dict)
    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    allowed: Allowed = Allowed()
    beta: bool = False
    requests: dict[str, int] = Field(default_factory=dict)
    request_reasons: dict[str, str] = Field(default_factory=dict)
    fingerprint: str = ""

    def to_json(self) -> str:
        """Write the documented JSON: two-space indent, stable key order, final newline."""
        text = ""
        for piece in self.json_pieces():
            text += piece  # grows in place, where joining would hold everything twice
        return text

    def json_pieces(self) -> Iterator[str]:
        """Write the same JSON in pieces, for what need not hold a large plan's text as a whole."""
        frame = _json_of(self.model_copy(update=dict.fromkeys(_LONG, ())))
        for name in _LONG:  # in the order of the document
            empty = f'\n  "{name}": [],'  # a line break stands in no string
            before, _, frame = frame.partition(empty)
            yield before
            entries: tuple[BaseModel, ...] = getattr(self, name)
            for start in range(0, len(entries), _AT_ONCE):
                some = self.model_copy(update={name: entries[start : start + _AT_ONCE]})
                lines = _json_of(some, {name})  # {\n  "actions": [\n    …\n  ]\n}
                yield f"\n  {lines[4:-6]}" if start == 0 else f",{lines[len(name) + 9 : -6]}"
            yield "\n  ]," if entries else empty
        yield f"{frame}\n"

    def to_data(self) -> dict[str, Any]:
        """Return the documented JSON as plain data."""
        return self.model_dump(mode="json", by_alias=True)


def _json_of(plan: Plan, only: set[str] | None = None) -> str:
    """Return the JSON of a plan, or of some of its members."""
    try:
        return escaped_json(plan.model_dump_json(indent=2, by_alias=True, include=only))
    except PydanticSerializationError:  # half a surrogate pair, which only json writes
        return json_text(plan.model_dump(mode="json", by_alias=True, include=only))


def summarise(actions: Iterable[Action], losses: Iterable[Loss] = ()) -> PlanSummary:
    """Count actions by kind, kinds sorted, and the items that are lost."""
    lost = tuple(losses)
    listed = tuple(actions)
    kinds = Counter(a.kind for a in listed)
    return PlanSummary(
        actions=len(listed),
        destructive=sum(a.destructive for a in listed),
        by_kind=dict(sorted(kinds.items())),
        deletes=sum(x.deletes for x in lost),
        overwrites=sum(x.overwrites for x in lost),
    )


_NOT_PRINTED = frozenset({"created_at", "requests", "request_reasons", "fingerprint"})
_LONG = ("actions", "drift")
"""What a plan can have by the hundred thousand, and is not written as a whole."""

_AT_ONCE = 1000


def _printed(data: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in data.items() if k not in _NOT_PRINTED}


def finish(plan: Plan) -> Plan:
    """Return the plan with its fingerprint filled in."""
    rest = plan.model_dump(mode="json", by_alias=True, exclude={*_NOT_PRINTED, *_LONG})
    members = {**rest, **{name: getattr(plan, name) for name in _LONG}}
    return plan.model_copy(update={"fingerprint": fingerprint_of(members)})


def load_plan(text: str, *, name: str) -> Plan:
    """Read a plan file.

    Args:
        text: the file's content.
        name: how to call the file in messages.

    Raises:
        PlanFileError: it is not a plan, is truncated or was edited, or its major format version
            is not one this tool reads; the remedy is always to plan again.
    """
    remedy = "make a new plan with: reconciler plan SPEC --out FILE"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as e:
        where = (
            f" (line {e.lineno}, column {e.colno})" if isinstance(e, json.JSONDecodeError) else ""
        )
        raise PlanFileError(
            f"{name} is not valid JSON{where}; it may be cut off", remedy=remedy
        ) from e
    if not isinstance(data, dict) or "format_version" not in data:
        raise PlanFileError(f"{name} is not a plan file: it has no format_version", remedy=remedy)
    version = str(data["format_version"])
    if version.split(".", maxsplit=1)[0] != FORMAT_VERSION.split(".", maxsplit=1)[0]:
        raise PlanFileError(
            f"{name} has format version {version}; this tool reads {FORMAT_VERSION}", remedy=remedy
        )
    try:
        plan = Plan.model_validate(data)
    except ValidationError as e:
        first = e.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(p) for p in first["loc"])
        raise PlanFileError(f"{name} is damaged at {place}: {first['msg']}", remedy=remedy) from e
    if plan.fingerprint != fingerprint_of(_printed(data)):
        raise PlanFileError(
            f"{name} was changed after it was written: its fingerprint does not match",
            remedy=remedy,
        )
    return plan
