"""Cloud connections that hold Git credentials; secrets are taken and forgotten.

Source: fabric-api.md section 6.8, platform/definitions/connections.json (spec).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import connection_for
from reconciler.emulator.fabric.errors import forbidden, invalid, not_found, refuse
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.roles import assignment_wire, requested_principal
from reconciler.emulator.fabric.state import Connection, RoleAssignment
from reconciler.emulator.http import Answer, Call, Refused, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES"]

_CREDENTIALS = {
    "AzureDevOpsSourceControl": ("ServicePrincipal", "OAuth2"),
    "GitHubSourceControl": ("Key",),
}
_SECRETS = {
    "ServicePrincipal": ("tenantId", "servicePrincipalClientId", "servicePrincipalSecret"),
    "Key": ("key",),
}
_PRIVACY = ("None", "Public", "Organizational", "Private")
_ROLES = ("User", "UserWithReshare", "Owner")


def _wire(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.id,
        "displayName": connection.name,
        "gatewayId": None,
        "connectivityType": connection.connectivity_type,
        "connectionDetails": {"path": connection.path, "type": connection.type},
        "privacyLevel": connection.privacy_level,
        "credentialDetails": {
            "credentialType": connection.credential_type,
            "singleSignOnType": connection.single_sign_on_type,
            "connectionEncryption": connection.encryption,
            "skipTestConnection": connection.skip_test,
        },
    }


async def list_connections(world: World, call: Call) -> Answer:
    """List the connections that the caller may use."""
    found = [
        _wire(connection)
        for connection in world.fabric.connections.values()
        if connection.open
        or any(entry.principal_id == call.caller.id for entry in connection.roles)
    ]
    return paged(world, call, found)


async def get_connection(world: World, call: Call) -> Answer:
    """Answer with one connection."""
    return Answer(200, _wire(connection_for(world, call.params["id"].lower(), call.caller)))


async def create_connection(world: World, call: Call) -> Answer:
    """Make a connection: 201 with Location; its maker owns it."""
    fields = call.fields()
    connectivity = wire.text(fields, "connectivityType")
    if connectivity != "ShareableCloud":
        raise invalid("Only connectivityType ShareableCloud is supported here")
    name = wire.text(fields, "displayName", limit=200)
    details = wire.mapping(fields, "connectionDetails") or {}
    kind, method = wire.text(details, "type"), wire.text(details, "creationMethod")
    if kind not in _CREDENTIALS or method != f"{kind}.Contents":
        raise invalid("The connection type or creation method is not supported")
    credentials = wire.mapping(fields, "credentialDetails") or {}
    credential_type = _credential_type(kind, credentials)
    if any(c.name.lower() == name.lower() for c in world.fabric.connections.values()):
        raise refuse(409, "DuplicateConnectionName", "A connection with this name already exists")
    connection = Connection(
        id=new_id(),
        name=name,
        type=kind,
        path=_path(kind, details),
        credential_type=credential_type,
        created=wire.now(world),
        privacy_level=wire.choice(fields, "privacyLevel", _PRIVACY) or "None",
        single_sign_on_type=wire.optional_text(credentials, "singleSignOnType") or "None",
        encryption=wire.optional_text(credentials, "connectionEncryption") or "NotEncrypted",
        skip_test=credentials.get("skipTestConnection") is True,
        roles=[RoleAssignment(call.caller.id, call.caller.kind, "Owner")],
    )
    world.fabric.connections[connection.id] = connection
    location = f"{world.urls.fabric_url}/v1/connections/{connection.id}"
    return Answer(201, _wire(connection), headers={"Location": location})


def _path(kind: str, details: dict[str, Any]) -> str:
    """Return the connection's path; the url is optional for GitHub (section 6.8, docs)."""
    for parameter in wire.sequence(details, "parameters") or []:
        if wire.text(parameter, "name").lower() == "url":
            return wire.text(parameter, "value")
    if kind == "AzureDevOpsSourceControl":
        raise invalid("The url parameter is required")
    return "https://github.com"


def _credential_type(kind: str, credentials: dict[str, Any]) -> str:
    secret = wire.mapping(credentials, "credentials")
    if secret is None:
        raise invalid("The credentialDetails.credentials field is required")
    found = wire.choice(secret, "credentialType", _CREDENTIALS[kind])
    if found is None:
        raise invalid("The credentialType field is required")
    for name in _SECRETS.get(found, ()):
        if not secret.get(name) and not secret.get(f"{name}Reference"):
            raise invalid(f"The {name} field is required")
    return found


def _owned(world: World, call: Call) -> Connection:
    found = connection_for(world, call.params["id"].lower(), call.caller)
    owner = any(
        entry.principal_id == call.caller.id and entry.role != "User" for entry in found.roles
    )
    if not owner and not found.open:
        raise forbidden()
    return found


async def delete_connection(world: World, call: Call) -> Answer:
    """Remove a connection; who used it has no credentials left."""
    found = _owned(world, call)
    del world.fabric.connections[found.id]
    for workspace in world.fabric.workspaces.values():
        if workspace.git is not None:
            workspace.git.credentials = {
                caller: credential
                for caller, credential in workspace.git.credentials.items()
                if credential.connection_id != found.id
            }
    return Answer(200)


async def list_roles(world: World, call: Call) -> Answer:
    """List who may use a connection."""
    found = _owned(world, call)
    entries = [assignment_wire(world, entry, full=False) for entry in found.roles]
    return paged(world, call, entries)


async def add_role(world: World, call: Call) -> Answer:
    """Share a connection: 201 with Location."""
    found = _owned(world, call)
    fields = call.fields()
    assignment = _shared_with(world, fields, found)
    assignment.role = wire.choice(fields, "role", _ROLES) or wire.text(fields, "role")
    if any(entry.principal_id == assignment.principal_id for entry in found.roles):
        raise refuse(409, "EntityConflict", "The principal already has a role")
    found.roles.append(assignment)
    location = (
        f"{world.urls.fabric_url}/v1/connections/{found.id}"
        f"/roleAssignments/{assignment.principal_id}"
    )
    body = assignment_wire(world, assignment, full=False)
    return Answer(201, body, headers={"Location": location})


def _shared_with(world: World, fields: dict[str, Any], found: Connection) -> RoleAssignment:
    """Return the principal; a bad one is a 400 UnknownError here (section 3.2, recorded)."""
    try:
        return requested_principal(world, fields, found.id)
    except Refused as refusal:
        if refusal.answer.body.get("errorCode") != "PrincipalNotFound":
            raise
        message = "An unexpected error occurred while processing the request"
        raise refuse(400, "UnknownError", message, more=[]) from refusal


async def delete_role(world: World, call: Call) -> Answer:
    """Stop sharing a connection with a principal."""
    found = _owned(world, call)
    for entry in found.roles:
        if entry.principal_id == call.params["assignmentId"].lower():
            found.roles.remove(entry)
            return Answer(200)
    raise not_found("EntityNotFound")


_ONE = "/v1/connections/{id}"
ROUTES = [
    Route("GET", "/v1/connections", list_connections, "connections.list"),
    Route("POST", "/v1/connections", create_connection, "connections.create"),
    Route("GET", _ONE, get_connection, "connections.get"),
    Route("DELETE", _ONE, delete_connection, "connections.delete"),
    Route("GET", f"{_ONE}/roleAssignments", list_roles, "connections.roles.list"),
    Route("POST", f"{_ONE}/roleAssignments", add_role, "connections.roles.add"),
    Route(
        "DELETE",
        f"{_ONE}/roleAssignments/{{assignmentId}}",
        delete_role,
        "connections.roles.delete",
    ),
]
