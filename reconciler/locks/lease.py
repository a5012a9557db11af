"""How long a lease may be relied upon, by this machine's own clock.

Pure: the storage service decides who holds a lease; this says until when a holder may believe it
without asking again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.clock import Clock

__all__ = ["LEASE_S", "RENEW_S", "RETRY_S", "LeaseWatch", "Moment"]

LEASE_S = 60
"""How long a lease lasts: the longest that is not for ever.

Source: Lease Blob (docs): 15 to 60 seconds, or -1 for a lease that never ends.
"""

RENEW_S = 20.0
"""How often it is renewed: two renewals may fail before it ends."""

RETRY_S = 5.0
"""How soon a renewal that failed is tried again."""

_MARGIN_S = 5.0
"""A request may be this long under way; it has to arrive while the lease lasts."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, by both clocks."""

    monotonic_s: float
    wall: datetime


class LeaseWatch:
    """Follows one lease.

    Both clocks are watched: the monotonic one of many systems stands still while a machine
    sleeps, and a lease does not.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._confirmed: Moment | None = None
        self._lost = ""
        self._trouble = ""

    def now(self) -> Moment:
        """Return the time, to be given to ``confirmed`` when the request succeeds."""
        return Moment(self._clock.monotonic_s(), self._clock.now())

    def confirmed(self, asked: Moment) -> None:
        """Note that the service took or renewed the lease, ``asked`` for at that time."""
        self._confirmed = asked
        self._trouble = ""

    def failed(self, trouble: str) -> None:
        """Note that the service could not be asked."""
        self._trouble = trouble

    def lose(self, why: str) -> None:
        """Note that the lease is gone; it does not come back."""
        self._lost = self._lost or why

    def problem(self) -> str:
        """Say why the lease must not be relied upon, ``""`` while it may."""
        if self._lost:
            return self._lost
        if self._confirmed is None:
            return "it was never taken"
        now = self.now()
        age_s = max(
            now.monotonic_s - self._confirmed.monotonic_s,
            (now.wall - self._confirmed.wall).total_seconds(),
        )
        if age_s >= LEASE_S - _MARGIN_S:
            because = f" ({self._trouble})" if self._trouble else ""
            self.lose(f"its lease could not be renewed for {age_s:.0f} s{because}")
        return self._lost
