"""Faults: what a test makes go wrong on purpose, and when.

A fault matches requests, counts its own matches, and fires on the nth one (and as many after it as
asked). It is applied around the handler, so no service knows that it exists.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.emulator.http import Answer, Call
from reconciler.emulator.scenario_error import ScenarioError

__all__ = ["Fault", "Faults", "parse_fault"]

_MATCH_KEYS = frozenset({"service", "method", "route", "nth", "times", "caller"})
_FAULT_KEYS = frozenset({"match", "answer", "delay_s", "drop"})
_ANSWER_KEYS = frozenset({"status", "headers", "body"})
_LONGEST_DELAY_S = 600.0


@dataclass(slots=True)
class Fault:
    """One fault.

    Attributes:
        route: Route name, route pattern, glob on the path below the service root, or, starting
            with ``^``, a regular expression on it.
        nth: First match that fires, counted from 1.
        times: How many matches fire from then on; None for all.
        answer: Sent instead of calling the handler.
        delay_s: Waited before the handler (or the answer).
        drop: The connection is cut before or after the effect.
    """

    service: str | None = None
    method: str | None = None
    route: str | None = None
    caller: str | None = None
    nth: int = 1
    times: int | None = 1
    answer: dict[str, Any] | None = None
    delay_s: float = 0.0
    drop: Literal["before", "after"] | None = None
    matched: int = 0
    fired: int = 0

    def matches(self, call: Call) -> bool:
        """Whether this request is one of those the fault is about."""
        return (
            self.service in {None, call.service}
            and (self.method is None or self.method.upper() == call.method)
            and self.caller in {None, call.caller.id}
            and (self.route is None or self._matches_route(self.route, call))
        )

    @staticmethod
    def _matches_route(route: str, call: Call) -> bool:
        if route in {call.route.name, call.route.pattern}:
            return True
        if route.startswith("^"):
            return re.search(route, call.path, re.IGNORECASE) is not None
        return fnmatch.fnmatchcase(call.path.lower(), route.lower())

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
    _known(data, _FAULT_KEYS, where)
    match = data.get("match") or {}
    if not isinstance(match, dict):
        raise ScenarioError(f"{where}.match: an object is expected")
    _known(match, _MATCH_KEYS, f"{where}.match")
    answer = data.get("answer")
    if answer is not None:
        if not isinstance(answer, dict) or not isinstance(answer.get("headers", {}), dict):
            raise ScenarioError(f"{where}.answer: status, headers and body are expected")
        _known(answer, _ANSWER_KEYS, f"{where}.answer")
    drop = data.get("drop")
    if drop not in {None, "before", "after"}:
        raise ScenarioError(f'{where}.drop: "before" or "after" is expected')
    delay_s = data.get("delay_s", 0)
    if not isinstance(delay_s, int | float) or not 0 <= delay_s <= _LONGEST_DELAY_S:
        raise ScenarioError(f"{where}.delay_s: 0 to {_LONGEST_DELAY_S:.0f} seconds are expected")
    if answer is None and drop is None and not delay_s:
        raise ScenarioError(f"{where}: one of answer, delay_s and drop is expected")
    nth, times = match.get("nth", 1), match.get("times", 1)
    if not isinstance(nth, int) or nth < 1:
        raise ScenarioError(f"{where}.match.nth: a number from 1 is expected")
    if times is not None and (not isinstance(times, int) or times < 1):
        raise ScenarioError(f"{where}.match.times: a number from 1, or null for ever, is expected")
    route = match.get("route")
    if isinstance(route, str) and route.startswith("^"):
        try:
            re.compile(route)
        except re.error as error:
            raise ScenarioError(f"{where}.match.route: {error}") from error
    return Fault(
        service=match.get("service"),
        method=match.get("method"),
        route=route,
        caller=match.get("caller"),
        nth=nth,
        times=times,
        answer=answer,
        delay_s=float(delay_s),
        drop=drop,
    )


def _known(data: dict[str, Any], keys: frozenset[str], where: str) -> None:
    unknown = sorted(set(data) - keys)
    if unknown:
        raise ScenarioError(
            f"{where}: {', '.join(unknown)}: unknown; known are {', '.join(sorted(keys))}"
        )
