"""What SDKs ask first: where the areas are, and which path a resource has."""

import re

from reconciler.emulator.azdo.locations import LOCATIONS
from reconciler.emulator.azdo.routes import ROUTES
from reconciler.emulator.http import path_segments
from reconciler.emulator.router import Router


async def test_every_location_is_a_route(loaded, http):
    """A client that fills in a template, as the SDKs do, arrives at a route that exists."""
    answer = await http.request("OPTIONS", f"{loaded.urls.devops_url}/contoso/_apis")
    found = answer.json()
    assert (len(LOCATIONS), 200) == (found["count"], answer.status_code)
    router = Router(ROUTES)
    for location in found["value"]:
        template = location["routeTemplate"].removeprefix("{project}/")
        filled = template.replace("{area}", location["area"]).replace(
            "{resource}", location["resourceName"]
        )
        whole = path_segments(f"/{re.sub(r'{[^}]+}', 'x', filled)}")
        # The last variable may be left out, and of some resources it has to be.
        assert router.knows(whole) or router.knows(whole[:-1]), location


async def test_an_organization_has_areas_and_a_collection_of_a_server_has_none(loaded, http):
    """The service leads clients to its own URLs; a server's clients stay where they are."""
    root = loaded.urls.devops_url
    areas = (await http.get(f"{root}/contoso/_apis/ResourceAreas")).json()
    assert {"core", "git", "serviceendpoint"} == {area["name"] for area in areas["value"]}
    assert {f"{root}/contoso/"} == {area["locationUrl"] for area in areas["value"]}
    git = areas["value"][1]["id"]
    assert (
        areas["value"][1]
        == (await http.get(f"{root}/contoso/_apis/ResourceAreas/{git.upper()}")).json()
    )
    unknown = await http.get(f"{root}/contoso/_apis/ResourceAreas/{'0' * 8}")
    assert b"null" == unknown.content
    server = await http.get(f"{root}/tfs/contoso/_apis/ResourceAreas")
    assert {"count": 0, "value": []} == server.json()


async def test_locations_of_an_organization_that_does_not_exist_are_not_found(loaded, http):
    """Nobody is led to a place where nothing answers."""
    answer = await http.request("OPTIONS", f"{loaded.urls.devops_url}/nobody/_apis")
    assert (404, True) == (answer.status_code, "TF200016" in answer.text)
