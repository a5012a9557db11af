"""What the handlers of one apply share: services, ids that become known, results, progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from reconciler.clients.azdo.client import AzdoClient
from reconciler.clients.fabric.client import FabricClient
from reconciler.clients.fabric.models import InitializeResult
from reconciler.clients.lro import Operation
from reconciler.clients.services import Services
from reconciler.clock import Clock
from reconciler.errors import ActionError, InternalError
from reconciler.execute.stop import Stop
from reconciler.ids import split_address
from reconciler.journal.write import Journal, NoJournal
from reconciler.live.places import devops_root
from reconciler.plan.actions import Action
from reconciler.plan.plan import Plan
from reconciler.provenance import Trailer
from reconciler.spec.models import Estate, SecretRef

__all__ = ["Run"]


@dataclass(slots=True)
class Run:
    """One apply.

    Attributes:
        environ: where secrets are read from, when an action needs one.
        bindings: live id by address; actions that make something add to it.
        initialized: what initialise asked for, by workspace address, in this run.
        newest_operation: id of the newest deployment of this run, by pipeline address.
        source_commits: the commit a deployment's source stands at, by action id.
        compared: digests of the places that differ before a deployment, by action id.
        reads: the most reads of one action under way at once.
        begun: ids of actions of several steps that this run has started with.
        made: ids of actions whose request the service took in this run, where that matters.
        journal: what the run notes for the one after it.
        stop: whether somebody asked for an end.
        progress: reports a wait of an action to whoever listens.
    """

    services: Services
    plan: Plan
    estate: Estate
    environ: Mapping[str, str]
    timeout_s: float
    bindings: dict[str, str] = field(default_factory=dict)
    initialized: dict[str, InitializeResult] = field(default_factory=dict)
    newest_operation: dict[str, str] = field(default_factory=dict)
    import_ids: dict[str, int] = field(default_factory=dict)
    sent_hashes: dict[str, str] = field(default_factory=dict)
    deployed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    source_commits: dict[str, str] = field(default_factory=dict)
    compared: dict[str, frozenset[str]] = field(default_factory=dict)
    reads: int = 8
    made: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    journal: Journal = field(default_factory=NoJournal)
    stop: Stop = field(default_factory=Stop)
    progress: Callable[[Action, str], None] = lambda _action, _text: None

    def trailer(self, source: str | None, compared: frozenset[str] = frozenset()) -> Trailer:
        """Return what a note or comment of this run ends in."""
        return Trailer(self.estate.metadata.name, self.journal.run_id, source, compared)

    @property
    def fabric(self) -> FabricClient:
        """The Fabric client."""
        return self.services.fabric

    @property
    def clock(self) -> Clock:
        """The time every wait goes by."""
        return self.services.clock

    @property
    def azdo(self) -> AzdoClient:
        """The client of the spec's own Azure DevOps organization or collection."""
        azure_devops = self.estate.azure_devops
        if azure_devops is None:
            raise InternalError("an action needs Azure DevOps, and the spec names none")
        return self.services.azdo(devops_root(azure_devops), azure_devops.api_version)

    def note(self, action: Action, operation: Operation | None) -> None:
        """Put the id of an operation on disk, before it is polled.

        Raises:
            JournalError: it could not be written.
        """
        if operation is not None and operation.operation_id is not None:
            self.journal.operation(
                action=action.id,
                operation_id=operation.operation_id,
                deployment_id=operation.deployment_id,
            )

    def id_of(self, address: str) -> str:
        """Return the live id of an address.

        Raises:
            ActionError: no action of this run made it, and the plan did not see it.
        """
        found = self.bindings.get(address)
        if found is None:
            raise ActionError(
                f"{address} has no known id in this run",
                remedy="make a new plan; the resource may have been removed",
            )
        return found

    def name_of(self, address: str) -> str:
        """Return the last part of an address, unescaped."""
        return split_address(address)[-1]

    def secret(self, reference: SecretRef) -> SecretStr:
        """Read a secret from the environment.

        Raises:
            ActionError: the variable is not set; the remedy names it.
        """
        value = self.environ.get(reference.env, "")
        if not value:
            raise ActionError(
                f"the environment variable {reference.env} is not set",
                remedy=f"set {reference.env} where apply runs; the spec refers to it",
            )
        return SecretStr(value)
