"""What a run takes from outside the spec, and what it tells while it reads.

Every command makes these, so nothing is imported here that only some of them need.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from reconciler.clock import Clock, SystemClock
from reconciler.execute.stop import Stop
from reconciler.journal.runids import new_run_id
from reconciler.plan.plan import Allowed, Plan

if TYPE_CHECKING:  # no more than their names is needed
    from reconciler.clients.http import Network, Service
    from reconciler.spec.models import Estate

__all__ = [
    "Purpose",
    "ReadFinished",
    "ReadStarted",
    "Settings",
]

DEFAULT_FABRIC_URL = "https://api.fabric.microsoft.com"
DEFAULT_DEVOPS_URL = "https://dev.azure.com"

Purpose = Literal["plan", "check", "verify"]
"""Why live is read: to plan, to check a plan file, to verify an apply."""


@dataclass(frozen=True, slots=True)
class ReadStarted:
    """The live state is about to be read."""

    purpose: Purpose


@dataclass(frozen=True, slots=True)
class ReadFinished:
    """The live state was read and ``plan`` made of it."""

    purpose: Purpose
    plan: Plan
    elapsed_s: float


def _unheard(_: ReadStarted | ReadFinished) -> None:
    """Listen to nothing."""


def _untold(_: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run takes from outside the spec.

    Attributes:
        environ: endpoints, credentials and secrets are read from here, and nowhere else.
        fabric_url, devops_url: flags; they win over the environment.
        auth: which azure-identity credential to use; None for its default chain.
        parallelism: the most actions under way at once.
        timeout_s: how long one long-running operation is waited for.
        reads: the most requests on their way to a service at once; never fewer than actions.
        allowed: caps on what this run may delete and overwrite.
        beta: a plan may use preview APIs.
        admin: a plan may use lists that are for administrators.
        on_read: is told when live starts and ends being read.
        network: carries the requests to a service instead of the network; each run asks anew.
        journals: where journals are kept; None for a run that keeps none.
        stop: how the caller asks an apply to stop.
        tell: is told in a sentence what is waited for: by an apply before it plans, and by any
            run whose calls a service limits.
        lock: where the lock of an estate is, as ``--lock`` says; None to take none.
        lock_timeout_s: how long another run is waited for.
        fence: called before every write; ``locked`` sets it.
        run_id: names the run in its journal and in its lock.
    """

    environ: Mapping[str, str]
    fabric_url: str | None = None
    devops_url: str | None = None
    auth: str | None = None
    parallelism: int = 10
    timeout_s: float = 3600.0
    reads: int = 16
    allowed: Allowed = field(default_factory=Allowed)
    beta: bool = False
    admin: bool = False
    clock: Clock = field(default_factory=SystemClock)
    on_read: Callable[[ReadStarted | ReadFinished], None] = _unheard
    network: Callable[[Service], Network] | None = None
    journals: Path | None = None
    stop: Stop = field(default_factory=Stop)
    tell: Callable[[str], None] = _untold
    lock: str | None = None
    lock_timeout_s: float = 0.0
    fence: Callable[[], Awaitable[None]] | None = None
    run_id: str = field(default_factory=new_run_id)

    def endpoints(self, estate: Estate | None = None) -> dict[str, str]:
        """Return the base URLs in force.

        A spec's ``azureDevOps.url`` names its own server, unless an address is given by flag or
        environment: then that one takes its place and the path stays.
        """
        given = self.devops_url or self.environ.get("RECONCILER_DEVOPS_URL")
        own = estate.azure_devops.url if estate and estate.azure_devops else None
        if given is None and own is not None:
            parts = urlsplit(own)
            given = f"{parts.scheme}://{parts.netloc}"
        return {
            "fabric": (
                self.fabric_url or self.environ.get("RECONCILER_FABRIC_URL") or DEFAULT_FABRIC_URL
            ).rstrip("/"),
            "devops": (given or DEFAULT_DEVOPS_URL).rstrip("/"),
        }
