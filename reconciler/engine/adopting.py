"""From what is live to the spec of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.adopt.build import write_found
from reconciler.adopt.found import Selection
from reconciler.adopt.read import read_selected
from reconciler.engine.services import services_for
from reconciler.engine.settings import Settings
from reconciler.spec.models import Estate, Metadata

__all__ = [
    "Adopted",
    "adopt",
]


@dataclass(frozen=True, slots=True)
class Adopted:
    """The spec of what is live.

    Attributes:
        text: the spec as YAML; what could not be read stands in its comments.
        counts: how many resources it declares, by kind.
        missing: what was asked for and could not be found or read, a sentence each.
        requests: how many requests that took.
    """

    text: str
    counts: Mapping[str, int]
    missing: tuple[str, ...]
    requests: int


async def adopt(selection: Selection, settings: Settings) -> Adopted:
    """Read what is live and write the spec of it; planning that spec gives no changes.

    Raises:
        AuthFailed: the caller is not signed in to Fabric.
    """
    # What the spec says of Azure DevOps decides where it is reached, as for a plan.
    place = Estate(
        api_version="reconciler/v1",
        kind="Estate",
        metadata=Metadata(name="adopted"),
        azure_devops=selection.azure_devops,
    )
    async with services_for(settings, place) as services:
        found = await read_selected(selection, services, reads=settings.reads)
        requests = sum(services.requests.values())
    written = write_found(found)
    return Adopted(written.text, written.counts, tuple(found.failures()), requests)
