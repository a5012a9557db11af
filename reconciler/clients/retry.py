"""When a call may be repeated, and how long to wait first.

The rules are those of azure-devops-import.md section 7 and fabric-api.md section 4. Limits are
never built in: only what the service says at the time counts, because limits changed before.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["MAX_FAILURES", "TRANSIENT", "Backoff", "retry_after_s"]

TRANSIENT = frozenset({408, 500, 502, 503, 504})
"""Statuses after which a call that is safe to repeat is repeated."""

MAX_FAILURES = 6
"""Attempts before an outage is reported; waiting out a 429 does not count."""

_BASE_S = 0.5
_CAP_S = 20.0
_UNTOLD_THROTTLE_S = 5.0
_THROTTLE_CAP_S = 60.0


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Read ``Retry-After``: seconds, or a date if ``now`` is given; None when absent or odd.

    Never negative. ``headers`` must compare names case-insensitively.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, now)
    # NaN compares false with everything, infinity would be waited for.
    return max(0.0, seconds) if seconds < 1e9 else None


def _until(text: str, now: datetime | None) -> float:
    if now is None:
        return float("nan")
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a zone of a billion hours
        return float("nan")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


class Backoff:
    """Exponential waits with jitter, so that callers that failed together do not return so."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def after_failure(self, failures: int, floor_s: float | None) -> float:
        """Return the wait after the nth failure (from 1); a time the service told wins."""
        if floor_s:
            return floor_s
        return self._spread(min(_CAP_S, _BASE_S * 2.0 ** (failures - 1)))

    def after_throttle(self, times: int, floor_s: float | None) -> float:
        """Return the wait after the nth 429 (from 1); exactly what was told, if it was.

        Waiting exactly ``Retry-After`` succeeded every time (fabric-api.md section 4, recorded).
        """
        if floor_s:
            return floor_s
        return self._spread(min(_THROTTLE_CAP_S, _UNTOLD_THROTTLE_S * 2.0 ** (times - 1)))

    def _spread(self, seconds: float) -> float:
        return seconds * self._rng.uniform(0.5, 1.0)
