"""Faults: what a test makes go wrong on purpose, and when.

A fault matches requests, counts its own matches, and fires on the nth one (and as many after it as
asked). It is applied around the handler, so no service knows that it exists; only an import or
a long-running operation that is to fail later carries its fault along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.emulator.http import Answer, Call
from reconciler.emulator.matching import MATCH_KEYS, Match, known_keys, parse_match
from reconciler.emulator.scenario_error import ScenarioError

__all__ = ["Fault", "Faults", "ImportFailure", "OperationFailure", "parse_fault"]

_NUMBERS = frozenset({"nth", "times"})
_FAULT_KEYS = frozenset(
    {"match", "answer", "headers", "delay_s", "drop", "hang", "stale", "token", "import"}
    | {"operation"}
)
_ANSWER_KEYS = frozenset({"status", "headers", "body"})
_IMPORT_KEYS = frozenset({"step", "error", "hang"})
_OPERATION_KEYS = frozenset({"error", "message", "moreDetails", "hang"})
_LONGEST_DELAY_S = 600.0
_STEPS = 6
_NEVER = "this remote has never connected"


@dataclass(frozen=True, slots=True)
class ImportFailure:
    """Where the import that a request starts fails, or hangs for ever."""

    step: int = 2
    error: str = _NEVER
    hang: bool = False


@dataclass(frozen=True, slots=True)
class OperationFailure:
    """How the long-running operation that a request starts ends: Failed, or never if it hangs.

    ``error`` is the ``error`` member of its state.
    """

    error: dict[str, Any]
    hang: bool = False


@dataclass(slots=True)
class Fault:
    """One fault.

    Attributes:
        match: Which requests it is about.
        nth: First match that fires, counted from 1.
        times: How many matches fire from then on; None for all.
        answer: Sent instead of calling the handler.
        headers: Added to whatever is sent.
        delay_s: Waited before the handler (or the answer).
        drop: The connection is cut before or after the effect.
        hang: Nothing is ever answered, before or after the effect.
        stale: A read is answered from the state before the last write.
        token_expired: The credentials count as expired.
        failing_import: What happens to the import that the request starts.
        failing_operation: What happens to the long-running operation that it starts.
    """

    match: Match = field(default_factory=Match)
    nth: int = 1
    times: int | None = 1
    answer: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: Literal["before", "after"] | None = None
    hang: Literal["before", "after"] | None = None
    stale: bool = False
    token_expired: bool = False
    failing_import: ImportFailure | None = None
    failing_operation: OperationFailure | None = None
    matched: int = 0
    fired: int = 0

    def matches(self, call: Call) -> bool:
        """Whether this request is one of those the fault is about."""
        return (not self.stale or not call.route.changes) and self.match.fits(call)

    def to_answer(self) -> Answer | None:
        """Return the answer to send instead, None if the handler is to be called."""
        if self.answer is None:
            return None
        body = self.answer.get("body")
        headers = {str(key): str(value) for key, value in self.answer.get("headers", {}).items()}
        status = int(self.answer.get("status", 500))
        content_type = next(
            (headers.pop(name) for name in list(headers) if name.lower() == "content-type"), None
        )
        if isinstance(body, str):
            return Answer(
                status, headers=headers, raw=body.encode(), content_type=content_type or "text/html"
            )
        return Answer(status, body, headers, content_type=content_type)


@dataclass(slots=True)
class Faults:
    """All faults, in the order they were added; the first one that fires wins."""

    faults: list[Fault] = field(default_factory=list)

    @property
    def need_the_past(self) -> bool:
        """Whether some fault may still answer from the state before the last write."""
        return any(
            fault.stale and (fault.times is None or fault.fired < fault.times)
            for fault in self.faults
        )

    def add(self, data: object) -> list[Fault]:
        """Add one fault or a list of them.

        Raises:
            ScenarioError: if one is malformed; then none is added.
        """
        entries = data if isinstance(data, list) else [data]
        parsed = [parse_fault(entry, f"[{index}]") for index, entry in enumerate(entries)]
        self.faults.extend(parsed)
        return parsed

    def clear(self) -> None:
        """Forget all faults."""
        self.faults.clear()

    def fire(self, call: Call) -> Fault | None:
        """Count this request against every fault and return the one that fires."""
        winner: Fault | None = None
        for fault in self.faults:
            if not fault.matches(call):
                continue
            fault.matched += 1
            due = fault.matched >= fault.nth
            if winner is None and due and (fault.times is None or fault.fired < fault.times):
                fault.fired += 1
                winner = fault
        return winner


def parse_fault(data: object, where: str = "fault") -> Fault:
    """Return the fault that a control call describes.

    Raises:
        ScenarioError: naming what is wrong with it.
    """
    if not isinstance(data, dict):
        raise ScenarioError(f"{where}: an object is expected")
    known_keys(data, _FAULT_KEYS, where)
    match = data.get("match") or {}
    if not isinstance(match, dict):
        raise ScenarioError(f"{where}.match: an object is expected")
    known_keys(match, MATCH_KEYS | _NUMBERS, f"{where}.match")
    nth, times = match.get("nth", 1), match.get("times", 1)
    if not _is_count(nth):
        raise ScenarioError(f"{where}.match.nth: a number from 1 is expected")
    if times is not None and not _is_count(times):
        raise ScenarioError(f"{where}.match.times: a number from 1, or null for ever, is expected")
    found = Fault(
        match=parse_match(match, f"{where}.match"),
        nth=nth,
        times=times,
        answer=_parsed_answer(data.get("answer"), where),
        headers=_texts(data.get("headers") or {}, f"{where}.headers"),
        delay_s=_parsed_delay(data.get("delay_s", 0), where),
        drop=_moment(data, "drop", where),
        hang=_moment(data, "hang", where),
        stale=_flag(data, "stale", where),
        token_expired=_parsed_token(data.get("token"), where),
        failing_import=_parsed_import(data.get("import"), where),
        failing_operation=_parsed_operation(data.get("operation"), where),
    )
    kinds = (found.answer, found.headers, found.delay_s, found.drop, found.hang, found.stale)
    later = (found.token_expired, found.failing_import, found.failing_operation)
    if not any((*kinds, *later)) and found.answer is None:
        known = ", ".join(sorted(_FAULT_KEYS - {"match"}))
        raise ScenarioError(f"{where}: one of {known} is expected")
    return found


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _parsed_answer(answer: object, where: str) -> dict[str, Any] | None:
    if answer is None:
        return None
    if not isinstance(answer, dict):
        raise ScenarioError(f"{where}.answer: status, headers and body are expected")
    known_keys(answer, _ANSWER_KEYS, f"{where}.answer")
    _texts(answer.get("headers", {}), f"{where}.answer.headers")
    status = answer.get("status", 500)
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise ScenarioError(f"{where}.answer.status: an HTTP status is expected")
    return answer


def _texts(data: object, where: str) -> dict[str, str]:
    """Return headers; what could break out of a header line is refused."""
    if not isinstance(data, dict):
        raise ScenarioError(f"{where}: an object is expected")
    found = {str(key): str(value) for key, value in data.items()}
    if any(not text.isprintable() for pair in found.items() for text in pair):
        raise ScenarioError(f"{where}: header names and values are single lines")
    return found


def _parsed_delay(delay_s: object, where: str) -> float:
    sane = isinstance(delay_s, int | float) and not isinstance(delay_s, bool)
    if not isinstance(delay_s, int | float) or not sane or not 0 <= delay_s <= _LONGEST_DELAY_S:
        raise ScenarioError(f"{where}.delay_s: 0 to {_LONGEST_DELAY_S:.0f} seconds are expected")
    return float(delay_s)


def _moment(data: dict[str, Any], key: str, where: str) -> Literal["before", "after"] | None:
    match data.get(key):
        case None | False:
            return None
        case "before":
            return "before"
        case "after":
            return "after"
        case _:
            raise ScenarioError(f'{where}.{key}: "before" or "after" is expected')


def _flag(data: dict[str, Any], key: str, where: str) -> bool:
    found = data.get(key, False)
    if not isinstance(found, bool):
        raise ScenarioError(f"{where}.{key}: true or false is expected")
    return found


def _parsed_token(state: object, where: str) -> bool:
    if state is not None and state != "expired":
        raise ScenarioError(f'{where}.token: "expired" is expected')
    return state is not None


def _parsed_import(data: object, where: str) -> ImportFailure | None:
    if data is None:
        return None
    place = f"{where}.import"
    if not isinstance(data, dict):
        raise ScenarioError(f"{place}: step, error and hang are expected")
    known_keys(data, _IMPORT_KEYS, place)
    step, error = data.get("step", 2), data.get("error", _NEVER)
    if not _is_count(step) or step >= _STEPS:
        raise ScenarioError(f"{place}.step: 1 to {_STEPS - 1} is expected")
    if not isinstance(error, str) or not error:
        raise ScenarioError(f"{place}.error: a text is expected")
    return ImportFailure(step, error, _flag(data, "hang", place))


def _parsed_operation(data: object, where: str) -> OperationFailure | None:
    if data is None:
        return None
    place = f"{where}.operation"
    if not isinstance(data, dict):
        raise ScenarioError(f"{place}: error, message, moreDetails and hang are expected")
    known_keys(data, _OPERATION_KEYS, place)
    code, message = data.get("error", "UnknownError"), data.get("message", "The operation failed")
    if not all(isinstance(text, str) and text for text in (code, message)):
        raise ScenarioError(f"{place}: error and message are texts")
    error: dict[str, Any] = {"errorCode": code, "message": message}
    more = data.get("moreDetails")
    if more is not None:
        if not isinstance(more, list) or not all(isinstance(entry, dict) for entry in more):
            raise ScenarioError(f"{place}.moreDetails: a list of objects is expected")
        error["moreDetails"] = more
    return OperationFailure(error, _flag(data, "hang", place))
