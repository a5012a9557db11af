"""Projects: read only; scenarios make them. Source: azure-devops-import.md section 4."""

from __future__ import annotations

from typing import Any

from reconciler.emulator.azdo.errors import bad_request, project_not_found
from reconciler.emulator.azdo.render import listing, project_reference
from reconciler.emulator.azdo.state import Project
from reconciler.emulator.http import Answer, Call
from reconciler.emulator.world import World

__all__ = ["get_project", "list_projects"]

_PAGE = 100


async def list_projects(world: World, call: Call) -> Answer:
    """List the projects of an organization, by name, in pages."""
    owner = call.params["organization"].lower()
    projects = [p for p in world.azdo.projects.values() if p.organization.lower() == owner]
    projects.sort(key=lambda project: project.name.lower())
    try:
        top = int(call.query.get("$top", _PAGE))
        skip = int(call.query.get("continuationToken", call.query.get("$skip", 0)))
    except ValueError:
        return bad_request("$top, $skip and continuationToken must be numbers.")
    if top < 1 or skip < 0:
        return bad_request("$top must be positive and $skip must not be negative.")
    headers = {}
    if skip + top < len(projects):
        headers["x-ms-continuationtoken"] = str(skip + top)
    page = projects[skip : skip + top]
    return listing([project_reference(world, project) for project in page], headers)


async def get_project(world: World, call: Call) -> Answer:
    """Return one project by name or id."""
    name = call.params["name"]
    project = world.azdo.find_project(call.params["organization"], name)
    if project is None:
        return project_not_found(name)
    capabilities = call.query.get("includeCapabilities", "").lower() == "true"
    return Answer(200, _project_json(world, project, capabilities=capabilities))


def _project_json(world: World, project: Project, *, capabilities: bool) -> dict[str, Any]:
    body = project_reference(world, project)
    if project.description:
        body["description"] = project.description
    root = f"{world.urls.devops_url}/{project.organization}"
    body["_links"] = {
        "self": {"href": body["url"]},
        "collection": {"href": f"{root}/_apis/projectCollections/{project.organization}"},
        "web": {"href": f"{root}/{project.name}"},
    }
    team = {"id": project.id, "name": f"{project.name} Team"}
    body["defaultTeam"] = {**team, "url": f"{body['url']}/teams/{project.id}"}
    if capabilities:
        body["capabilities"] = {
            "processTemplate": {
                "templateName": "Agile",
                "templateTypeId": "adcc42ab-9882-485e-a3ed-7678f01f66bc",
            },
            "versioncontrol": {
                "sourceControlType": "Git",
                "gitEnabled": "True",
                "tfvcEnabled": "False",
            },
        }
    return body
