"""Where clients find resources: areas and resource locations, which the SDKs ask for first.

Source: azure-devops-import.md sections 1 (ids, versions) and 10 item 11; the ids are those that
the published clients ask for (client behaviour), the templates follow the swagger paths (spec).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from reconciler.emulator.http import Answer, Call, Route
from reconciler.emulator.world import World

__all__ = ["LOCATIONS", "ROUTES", "Location"]

_AREAS = {
    "core": "79134c72-4a58-4b42-976c-04e7115f32bf",
    "git": "4e080c62-fa21-4fbc-8fef-2a10a2b38049",
    "serviceendpoint": "1814ab31-2f4f-4a9f-8761-f4d77dc5a5d7",
}
_NEWEST, _RELEASED = "7.2", "7.1"


@dataclass(frozen=True, slots=True)
class Location:
    """One resource: its id, its path, and the oldest version it is known in.

    Attributes:
        template: ``{area}`` and ``{resource}`` are filled in by the client, as are the other
            variables; trailing ones may be left out.
        revision: Of its preview versions.
    """

    id: str
    area: str
    resource: str
    template: str
    oldest: str = "1.0"
    revision: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return an ApiResourceLocation."""
        return {
            "id": self.id,
            "area": self.area,
            "resourceName": self.resource,
            "routeTemplate": self.template,
            "resourceVersion": self.revision,
            "minVersion": self.oldest,
            "maxVersion": _NEWEST,
            "releasedVersion": _RELEASED,
        }


_COLLECTION = "_apis/{area}/{resource}"
_REPOSITORY = "{project}/_apis/{area}/repositories/{repositoryId}/{resource}"
LOCATIONS = (
    Location("e81700f7-3be2-46de-8624-2eb35882fcaa", "Location", "ResourceAreas",
             "_apis/{resource}/{areaId}", "3.2"),
    Location("603fe2ac-9723-48b9-88ad-09305aa6c6e1", "core", "projects",
             "_apis/{resource}/{*projectId}", revision=4),
    Location("9a1b74b4-2ca8-4a9f-8470-c2f2e6fdc949", "operations", "operations",
             "_apis/{resource}/{operationId}", "2.0"),
    Location("225f7195-f9c7-4d14-ab28-a83f7ff77e1f", "git", "repositories",
             "{project}/_apis/{area}/{resource}/{repositoryId}"),
    Location("a663da97-81db-4eb3-8b83-287670f63073", "git", "recycleBin",
             "{project}/_apis/{area}/recycleBin/repositories/{repositoryId}", "4.1"),
    Location("2d874a60-a811-4f62-9c9f-963a6ea0a55b", "git", "refs", f"{_REPOSITORY}/{{*filter}}"),
    Location("fb93c0db-47ed-4a31-8c20-47552878fb44", "git", "items", f"{_REPOSITORY}/{{*path}}"),
    Location("ea98d07b-3c87-4971-8ede-a613694ffb55", "git", "pushes", f"{_REPOSITORY}/{{pushId}}",
             revision=2),
    Location("c2570c3b-5b3f-41b8-98bf-5407bfde8d58", "git", "commits",
             f"{_REPOSITORY}/{{commitId}}"),
    Location("158c0340-bf6f-489c-9625-d572a1480d57", "git", "forks",
             "{project}/_apis/{area}/repositories/{repositoryNameOrId}/{resource}/{collectionId}"),
    Location("1703f858-b9d1-46af-ab62-483e9e1055b5", "git", "forkSyncRequests",
             "{project}/_apis/{area}/repositories/{repositoryNameOrId}/{resource}/"
             "{forkSyncOperationId}"),
    Location("d5b216de-d8d5-4d32-ae76-51df755b16d3", "git", "branches",
             "{project}/_apis/{area}/repositories/{repositoryId}/stats/{resource}/{name}"),
    Location("01828ddc-3600-4a41-8633-99b3a73a0eb3", "git", "importRequests",
             f"{_REPOSITORY}/{{importRequestId}}", "3.0"),
    Location("14e48fdc-2c8b-41ce-a0c3-e26f6cc55bd0", "serviceendpoint", "endpoints",
             f"{_COLLECTION}/{{endpointId}}", "6.0", 4),
    Location("e85f1c62-adfc-4b74-b618-11a150fb195e", "serviceendpoint", "endpoints",
             f"{{project}}/{_COLLECTION}/{{endpointId}}", "4.1", 4),
)  # fmt: skip
"""Source of the ids of importRequests, repositories and refs: section 1; of the others: clients."""


async def list_locations(_world: World, _call: Call) -> Answer:
    """Answer with every resource that is known here."""
    found = [location.to_json() for location in LOCATIONS]
    return Answer(200, {"count": len(found), "value": found})


def _areas(world: World, call: Call) -> list[dict[str, str]]:
    """Return the areas of an organization; a server's collection has none.

    A server answers an empty list and its clients stay on their base URL (section 10 item 11). The
    two are told apart by the path: an organization stands alone before ``_apis``.
    """
    if not call.path.lower().lstrip("/").partition("/")[2].startswith("_apis"):
        return []
    root = f"{world.urls.devops_url}/{quote(call.params['organization'])}/"
    return [{"id": id_, "name": name, "locationUrl": root} for name, id_ in _AREAS.items()]


async def list_areas(world: World, call: Call) -> Answer:
    """Answer with the areas and the URLs that serve them."""
    found = _areas(world, call)
    return Answer(200, {"count": len(found), "value": found})


async def get_area(world: World, call: Call) -> Answer:
    """Answer with one area, with ``null`` for an unknown one (assumed)."""
    wanted = call.params["area"].lower()
    found = next((area for area in _areas(world, call) if area["id"] == wanted), None)
    return Answer(200, found, json_null=True)


ROUTES = [
    Route("OPTIONS", "/_apis", list_locations, "azdo.locations"),
    Route("GET", "/_apis/ResourceAreas", list_areas, "azdo.areas"),
    Route("GET", "/_apis/ResourceAreas/{area}", get_area, "azdo.areas.get"),
]
