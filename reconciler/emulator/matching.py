"""Which requests a fault or a limit is about, in the words of a control call."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import Any

from reconciler.emulator.http import Call
from reconciler.emulator.scenario_error import ScenarioError

__all__ = ["MATCH_KEYS", "Match", "known_keys", "parse_match"]

MATCH_KEYS = frozenset({"service", "method", "route", "caller"})


@dataclass(frozen=True, slots=True)
class Match:
    """A set of requests; a member that is None does not matter.

    Attributes:
        service: Name as in the request log.
        method: HTTP method, in any case.
        route: Route name, route pattern, glob on the path below the service root, or, starting
            with ``^``, a regular expression on it.
        caller: Object id of who asks.
    """

    service: str | None = None
    method: str | None = None
    route: str | None = None
    caller: str | None = None

    def fits(self, call: Call) -> bool:
        """Whether a request is one of them."""
        return (
            self.service in {None, call.service}
            and (self.method is None or self.method.upper() == call.method)
            and self.caller in {None, call.caller.id}
            and (self.route is None or self._fits_route(self.route, call))
        )

    @staticmethod
    def _fits_route(route: str, call: Call) -> bool:
        if route in {call.route.name, call.route.pattern}:
            return True
        if route.startswith("^"):
            return re.search(route, call.path, re.IGNORECASE) is not None
        return fnmatch.fnmatchcase(call.path.lower(), route.lower())


def parse_match(data: dict[str, Any], where: str) -> Match:
    """Return the set of requests that members of a control call describe.

    Raises:
        ScenarioError: naming what is wrong.
    """
    found: dict[str, str | None] = {}
    for key in sorted(MATCH_KEYS):
        value = data.get(key)
        if value is not None and not isinstance(value, str):
            raise ScenarioError(f"{where}.{key}: a text is expected")
        found[key] = value
    route = found["route"]
    if route is not None and route.startswith("^"):
        try:
            re.compile(route)
        except re.error as error:
            raise ScenarioError(f"{where}.route: {error}") from error
    return Match(**found)


def known_keys(data: dict[str, Any], keys: frozenset[str], where: str) -> None:
    """Refuse members that nobody knows.

    Raises:
        ScenarioError: naming them and the known ones.
    """
    unknown = sorted(str(key) for key in set(data) - keys)
    if unknown:
        raise ScenarioError(
            f"{where}: {', '.join(unknown)}: unknown; known are {', '.join(sorted(keys))}"
        )
