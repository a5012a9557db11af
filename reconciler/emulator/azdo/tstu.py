"""Throughput units: what an identity used in the last five minutes, and what that leads to.

Source: azure-devops-import.md section 7 (docs): 200 units in a sliding window of five minutes;
first the answers are late and say so in headers, then calls are blocked with 429; all headers but
the delay may come before that. The service gives no formula for what a call costs, nor for how
the delay grows or when blocking starts: those are assumed, and settings.

Nothing is counted until the setting ``tstuLimit`` says so, since answers normally carry none of
these headers (recorded).
"""

from __future__ import annotations

import math
from collections import deque

from reconciler.emulator.azdo.errors import blocked
from reconciler.emulator.http import Call, Toll
from reconciler.emulator.ledger import WINDOW_S
from reconciler.emulator.world import World

__all__ = ["charge"]

_LONGEST_DELAY_S = 30.0
# From this part of the limit on the headers come, before anything is late (assumed).
_WARNING = 0.8
_RESOURCE = "Services/DatabaseResource"


def charge(world: World, call: Call) -> Toll | None:
    """Count a call and return what it costs its caller: headers, a delay, or a refusal."""
    settings = world.azdo.settings
    limit = settings.tstu_limit
    if limit is None:
        return None
    now_s = world.clock.timestamp()
    spent = world.tstu.spent(call.caller.id, now_s)
    used = sum(units for _, units in spent)
    ceiling = 2 * limit if settings.tstu_block is None else settings.tstu_block
    if used >= ceiling:
        # A blocked call uses nothing, or a client that asks on would never be let in (assumed).
        headers = _headers(spent, limit, below=ceiling, now_s=now_s)
        return Toll(headers=headers, refusal=blocked(_RESOURCE, headers))
    cost = settings.tstu_per_write if call.route.changes else settings.tstu_per_read
    if cost:
        spent.append((now_s, cost))
        used += cost
    if used <= limit * _WARNING:
        return None
    headers = _headers(spent, limit, below=limit, now_s=now_s)
    if used <= limit:
        return Toll(headers=headers)
    over = (used - limit) / max(ceiling - limit, 1e-9)
    delay_s = round(min(over, 1.0) * _LONGEST_DELAY_S, 3)
    return Toll(headers={**headers, "X-RateLimit-Delay": f"{delay_s:.3f}"}, delay_s=delay_s)


def _headers(
    spent: deque[tuple[float, float]], limit: float, *, below: float, now_s: float
) -> dict[str, str]:
    """Return the headers; ``Retry-After`` is when the usage will be below a bound again."""
    used = sum(units for _, units in spent)
    remaining = max(0, math.floor(limit - used))
    free_s = now_s
    for called_s, units in spent:
        if used < below:
            break
        used -= units
        free_s = called_s + WINDOW_S
    reset_s = spent[-1][0] + WINDOW_S if spent else now_s
    return {
        "Retry-After": str(max(1, math.ceil(free_s - now_s))),
        "X-RateLimit-Resource": _RESOURCE,
        "X-RateLimit-Limit": f"{limit:g}",
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(math.ceil(reset_s)),
    }
