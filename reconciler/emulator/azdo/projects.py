"""Projects, and what makes one. Source: azure-devops-import.md section 4, core.json (spec)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from reconciler.emulator.azdo.errors import bad_request, error, missing_project
from reconciler.emulator.azdo.members import text
from reconciler.emulator.azdo.render import listing, project_reference
from reconciler.emulator.azdo.repositories import is_usable_name, make_repository
from reconciler.emulator.azdo.state import AGILE, Operation, Project
from reconciler.emulator.http import Answer, Call
from reconciler.emulator.world import World, effect, new_id

__all__ = ["create_project", "get_operation", "get_project", "list_projects"]

_PAGE = 100
_STATES = frozenset(
    {"deleting", "new", "wellformed", "createpending", "all", "unchanged", "deleted"}
)
# The ids of three of them are documented beside the call that makes a project; Basic's is not.
_PROCESSES = {
    "6b724908-ef14-45cf-84f8-768b5384da45": "Scrum",
    AGILE: "Agile",
    "27450541-8e31-4150-9947-dc59f998fc01": "CMMI",
    "b8a3a935-7e91-48b8-a94c-606d37c3e9f2": "Basic",
}
# How long making a project takes is assumed.
_DURATION_S = {"instant": 0.0, "fast": 0.2, "real": 10.0}
_CORE = "Microsoft.TeamFoundation.Core.WebApi"


async def list_projects(world: World, call: Call) -> Answer:
    """List the projects of an organization, by name, in pages; by default the finished ones."""
    owner = call.params["organization"].lower()
    wanted = call.query.get("stateFilter", "wellFormed").lower()
    if wanted not in _STATES:
        return bad_request(f"{wanted} is not a state of a project.")
    projects = [
        project
        for project in world.azdo.projects.values()
        if project.organization.lower() == owner and wanted in {"all", project.state.lower()}
    ]
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
    """Return one project by name or id, one that is being made too."""
    name = call.params["name"]
    project = world.azdo.find_project(call.params["organization"], name)
    if project is None:
        return missing_project(world, name)
    capabilities = call.query.get("includeCapabilities", "").lower() == "true"
    return Answer(200, _project_json(world, project, capabilities=capabilities))


async def create_project(world: World, call: Call) -> Answer:
    """Queue a project: an operation that ``get_operation`` follows (core.json, spec: 200).

    The name of an existing project is 400 TF200019 (field). What the other checks refuse follows
    the documented request: version control and process have to be chosen; their texts are assumed.
    """
    body = call.fields()
    name = body.get("name")
    if not is_usable_name(name):
        return error(
            400,
            "InvalidProjectNameException",
            f"TF200012: The following project name is not valid: {name}.",
            namespace=_CORE,
        )
    organization = call.params["organization"]
    if world.azdo.find_project(organization, name) is not None:
        return error(
            400,
            "ProjectAlreadyExistsException",
            f"TF200019: The following project already exists on the Azure DevOps Server: {name}. "
            "You cannot create a new project with the same name as an existing project.",
            namespace=_CORE,
        )
    source_control = _capability(body, "versioncontrol", "sourceControlType").capitalize()
    if source_control not in {"Git", "Tfvc"}:
        return bad_request("capabilities.versioncontrol.sourceControlType must be Git or Tfvc.")
    template_id = _capability(body, "processTemplate", "templateTypeId").lower()
    if template_id not in _PROCESSES:
        return bad_request("capabilities.processTemplate.templateTypeId is not a known process.")
    visibility = text(body, "visibility", "private")
    if visibility not in {"private", "public"}:
        return bad_request("visibility must be private or public.")
    description = text(body, "description")
    project = Project(
        id=new_id(),
        name=name,
        organization=organization,
        description=description,
        visibility=visibility,
        updated_at=world.clock.timestamp(),
        state="createPending",
        source_control=source_control,
        template_id=template_id,
        tfvc=source_control == "Tfvc",
    )
    world.azdo.projects[project.id] = project
    operation = Operation(id=new_id(), organization=organization)
    world.azdo.operations[operation.id] = operation
    world.schedule(
        "azdo.project.made",
        {"project": project.id, "operation": operation.id},
        delay_s=_DURATION_S[world.options.speed],
    )
    return Answer(200, _reference(world, operation))


def _capability(body: dict[str, Any], group: str, key: str) -> str:
    capabilities = body.get("capabilities")
    found = capabilities.get(group) if isinstance(capabilities, dict) else None
    value = found.get(key) if isinstance(found, dict) else None
    return value if isinstance(value, str) else ""


@effect("azdo.project.made")
def _made(world: World, args: dict[str, Any]) -> None:
    """Finish a project; one with Git gets the repository that has its name (section 3)."""
    project = world.azdo.projects[args["project"]]
    project.state = "wellFormed"
    project.updated_at = world.clock.timestamp()
    if project.source_control == "Git":
        make_repository(world, project, project.name)
    world.azdo.operations[args["operation"]].status = "succeeded"


async def get_operation(world: World, call: Call) -> Answer:
    """Return how far an operation got. Source: operations.json 7.1 (spec)."""
    found = world.azdo.operations.get(call.params["operation"].lower())
    if found is None or found.organization.lower() != call.params["organization"].lower():
        return error(
            404,
            "OperationNotFoundException",
            f"The operation {call.params['operation']} was not found.",
            namespace="Microsoft.VisualStudio.Services.Operations",
        )
    body = _reference(world, found)
    return Answer(200, {**body, "_links": {"self": {"href": body["url"]}}})


def _reference(world: World, operation: Operation) -> dict[str, str]:
    root = f"{world.urls.devops_url}/{quote(operation.organization)}"
    return {
        "id": operation.id,
        "status": operation.status,
        "url": f"{root}/_apis/operations/{operation.id}",
    }


def _project_json(world: World, project: Project, *, capabilities: bool) -> dict[str, Any]:
    body = project_reference(world, project)
    if project.description:
        body["description"] = project.description
    root = f"{world.urls.devops_url}/{quote(project.organization)}"
    body["_links"] = {
        "self": {"href": body["url"]},
        "collection": {"href": f"{root}/_apis/projectCollections/{quote(project.organization)}"},
        "web": {"href": f"{root}/{quote(project.name)}"},
    }
    team = {"id": project.id, "name": f"{project.name} Team"}
    body["defaultTeam"] = {**team, "url": f"{body['url']}/teams/{project.id}"}
    if capabilities:
        git = any(found.project_id == project.id for found in world.azdo.repositories.values())
        body["capabilities"] = {
            "processTemplate": {
                "templateName": _PROCESSES.get(project.template_id, "Agile"),
                "templateTypeId": project.template_id,
            },
            "versioncontrol": {
                "sourceControlType": project.source_control,
                "gitEnabled": str(git),
                "tfvcEnabled": str(project.tfvc),
            },
        }
    return body
