"""Service endpoints: stored credentials for private sources.

Source: azure-devops-import.md section 5.
"""

from __future__ import annotations

from typing import Any

from reconciler.emulator.azdo.errors import bad_request, error, missing_project
from reconciler.emulator.azdo.members import text
from reconciler.emulator.azdo.render import identity, listing, moment
from reconciler.emulator.azdo.state import Project, ServiceEndpoint
from reconciler.emulator.azdo.versions import version_number
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.ids import is_guid
from reconciler.emulator.world import World, new_id

__all__ = [
    "create_endpoint",
    "create_endpoint_in_project",
    "delete_endpoint",
    "get_endpoint",
    "has_arrived",
    "list_endpoints",
]

# From this release on endpoints belong to the collection and are shared with projects.
_COLLECTION_SCOPED = (6, 0)


def _project(world: World, call: Call) -> Project:
    return world.azdo.projects[call.params["project_id"]]


def _project_ids(endpoint: ServiceEndpoint) -> set[str]:
    return {str(entry["projectReference"]["id"]) for entry in endpoint.project_references}


async def create_endpoint(world: World, call: Call) -> Answer:
    """Make an endpoint for the projects its body names: the form of 6.0 and later; 200."""
    if version_number(call) < _COLLECTION_SCOPED:
        return bad_request("This server's endpoints belong to a project: name it in the URL.")
    body = call.fields()
    given = body.get("serviceEndpointProjectReferences")
    if not isinstance(given, list) or not given:
        return bad_request("serviceEndpointProjectReferences is needed.", "ArgumentNullException")
    projects = []
    for entry in given:
        reference = entry.get("projectReference") if isinstance(entry, dict) else None
        wanted = reference.get("id") or reference.get("name") if isinstance(reference, dict) else ""
        project = world.azdo.find_project(call.params["organization"], str(wanted))
        if project is None:
            return missing_project(world, str(wanted))
        projects.append(project)
    return _create(world, call, body, projects)


async def create_endpoint_in_project(world: World, call: Call) -> Answer:
    """Make an endpoint the way servers before 6.0 do; later this path is another operation."""
    if version_number(call) >= _COLLECTION_SCOPED:
        return bad_request("On this path an existing endpoint is queried, not created.")
    return _create(world, call, call.fields(), [_project(world, call)])


def _create(world: World, call: Call, body: dict[str, Any], projects: list[Project]) -> Answer:
    name, kind = text(body, "name"), text(body, "type")
    if not name or not kind:
        return bad_request("name and type are needed.", "ArgumentNullException")
    authorization = body.get("authorization")
    authorization = authorization if isinstance(authorization, dict) else {}
    parameters = authorization.get("parameters")
    parameters = parameters if isinstance(parameters, dict) else {}
    for project in projects:
        if any(found.name.lower() == name.lower() for found in _of_project(world, project)):
            return error(
                409,
                "DuplicateServiceConnectionException",
                f"Service connection with name {name} already exists.",
                namespace="Microsoft.TeamFoundation.DistributedTask.WebApi",
            )
    data = body.get("data")
    endpoint = ServiceEndpoint(
        id=new_id(),
        name=name,
        type=kind,
        url=text(body, "url"),
        description=text(body, "description"),
        scheme=text(authorization, "scheme", "UsernamePassword"),
        username=text(parameters, "username"),
        password=text(parameters, "password") or text(parameters, "apitoken"),
        owner=text(body, "owner", "library"),
        is_shared=len(projects) > 1,
        data={str(key): text(data, key) for key in data} if isinstance(data, dict) else {},
        created_at=world.clock.timestamp(),
        created_by=call.caller.id,
        organization=call.params["organization"],
        project_references=[
            {"projectReference": {"id": project.id, "name": project.name}, "name": name}
            for project in projects
        ],
    )
    world.azdo.endpoints[endpoint.id] = endpoint
    return Answer(200, _json(endpoint, ready=has_arrived(world, endpoint)))


def _of_project(world: World, project: Project) -> list[ServiceEndpoint]:
    return [
        endpoint
        for endpoint in world.azdo.endpoints.values()
        if project.id in _project_ids(endpoint)
    ]


def has_arrived(world: World, endpoint: ServiceEndpoint) -> bool:
    """Whether an endpoint is visible yet; a setting can delay that (section 10 item 6)."""
    age_s = world.clock.timestamp() - endpoint.created_at
    return age_s >= world.azdo.settings.endpoint_lag_s


def _visible(world: World, project: Project) -> list[ServiceEndpoint]:
    return [found for found in _of_project(world, project) if has_arrived(world, found)]


async def list_endpoints(world: World, call: Call) -> Answer:
    """List the endpoints of a project, optionally by type, names or ids."""

    def wanted(name: str) -> set[str] | None:
        given = call.query.get(name)
        return {piece.strip().lower() for piece in given.split(",")} if given else None

    kinds, names, ids = wanted("type"), wanted("endpointNames"), wanted("endpointIds")
    found = [
        endpoint
        for endpoint in _visible(world, _project(world, call))
        if (kinds is None or endpoint.type.lower() in kinds)
        and (names is None or endpoint.name.lower() in names)
        and (ids is None or endpoint.id in ids)
    ]
    return listing([_json(endpoint) for endpoint in sorted(found, key=lambda item: item.name)])


async def get_endpoint(world: World, call: Call) -> Answer:
    """Return one endpoint; an unknown id is 200 with ``null``, no id at all a 400 [assumed]."""
    wanted = call.params["endpoint"].lower()
    if not is_guid(wanted):
        return bad_request(f"The endpoint must be given by its id, not as {wanted}.")
    for endpoint in _visible(world, _project(world, call)):
        if endpoint.id == wanted:
            return Answer(200, _json(endpoint))
    return Answer(200, None, json_null=True)


async def delete_endpoint(world: World, call: Call) -> Answer:
    """Take an endpoint from projects: ``projectIds``, or the one in the URL of older servers; 204.

    An endpoint that no project has left is gone.
    """
    endpoint = world.azdo.endpoints.get(call.params["endpoint"].lower())
    if "project_id" in call.params:
        wanted = {call.params["project_id"]}
    else:
        wanted = {text.strip().lower() for text in call.query.get("projectIds", "").split(",")}
        wanted.discard("")
        if not wanted:
            return bad_request("projectIds is needed.", "ArgumentNullException")
    if endpoint is None or not wanted & _project_ids(endpoint):
        raise Refused(
            error(
                404,
                "EndpointNotFoundException",
                f"Service connection with id {call.params['endpoint']} does not exist.",
                namespace="Microsoft.TeamFoundation.DistributedTask.WebApi",
            )
        )
    endpoint.project_references = [
        entry
        for entry in endpoint.project_references
        if entry["projectReference"]["id"] not in wanted
    ]
    if not endpoint.project_references:
        del world.azdo.endpoints[endpoint.id]
    return Answer(204)


def _json(endpoint: ServiceEndpoint, *, ready: bool = True) -> dict[str, Any]:
    """Return an endpoint; its password is always null."""
    return {
        "data": endpoint.data,
        "id": endpoint.id,
        "name": endpoint.name,
        "type": endpoint.type,
        "url": endpoint.url,
        "description": endpoint.description,
        "authorization": {
            "scheme": endpoint.scheme,
            "parameters": {"username": endpoint.username, "password": None},
        },
        "isShared": endpoint.is_shared,
        "isReady": ready,
        "isOutdated": False,
        "owner": endpoint.owner,
        "createdBy": identity(endpoint.created_by),
        "creationDate": moment(endpoint.created_at),
        "operationStatus": {"state": "Ready", "statusMessage": ""},
        "serviceEndpointProjectReferences": endpoint.project_references,
    }
