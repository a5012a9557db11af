"""Cloud connections that hold Git credentials; secrets are taken and forgotten.

Source: fabric-api.md section 6.8, platform/definitions/connections.json (spec).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import connection_for, usable_by
from reconciler.emulator.fabric.errors import (
    OperationFailed,
    forbidden,
    invalid,
    not_found,
    refuse,
)
from reconciler.emulator.fabric.lro import begin, operation
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.roles import assignment_wire, requested_principal
from reconciler.emulator.fabric.state import Connection, Operation, RoleAssignment
from reconciler.emulator.http import Answer, Call, Refused, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES"]

_CREDENTIALS = {
    "AzureDevOpsSourceControl": ("ServicePrincipal", "OAuth2"),
    "GitHubSourceControl": ("Key",),
}
_NEEDS_URL = frozenset({"AzureDevOpsSourceControl"})
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
        skip_test=wire.flag(credentials, "skipTestConnection"),
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
    if kind in _NEEDS_URL:
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
        given = wire.optional_text(secret, name)
        if name.endswith("Id"):
            wire.identifier(secret, name, required=False)
        if not given and not secret.get(f"{name}Reference"):
            raise invalid(f"The {name} field is required")
    return found


def _managed(world: World, call: Call) -> Connection:
    """Return a connection that the caller manages (codes: spec, statuses assumed)."""
    found = world.fabric.connections.get(call.params["id"].lower())
    if found is None or not usable_by(found, call.caller):
        raise not_found("EntityNotFound")
    try:
        return _owned(world, call)
    except Refused as refusal:
        message = "The caller has insufficient permissions to manage this connection."
        raise refuse(403, "InsufficientPermissionsToManageConnection", message) from refusal


def _is_offline(world: World, connection: Connection) -> bool:
    names = {connection.id, connection.name}
    return not names.isdisjoint(world.fabric.settings.offline_connections)


async def update_connection(world: World, call: Call) -> Answer:
    """Change name, privacy or credentials; what is left out stays.

    Source: platform/swagger.json, Connections_UpdateConnection (spec). Credentials that do not
    work are those of a connection that the setting ``offlineConnections`` names.
    """
    found = _managed(world, call)
    fields = call.fields()
    kind = wire.text(fields, "connectivityType")
    if kind != found.connectivity_type:
        raise invalid(f"The connectivityType of the connection is {found.connectivity_type}")
    name = wire.optional_text(fields, "displayName", limit=200) or found.name
    others = [c for c in world.fabric.connections.values() if c.id != found.id]
    if any(other.name.lower() == name.lower() for other in others):
        raise refuse(409, "DuplicateConnectionName", "A connection with this name already exists")
    privacy = wire.choice(fields, "privacyLevel", _PRIVACY) or found.privacy_level
    credentials = wire.mapping(fields, "credentialDetails") or {}
    skip_test = credentials.get("skipTestConnection", found.skip_test) is True
    credential_type = found.credential_type
    if credentials.get("credentials") is not None:
        credential_type = _credential_type(found.type, credentials)
        if _is_offline(world, found) and not skip_test:
            message = "Failed to establish connection using the Credentials input."
            raise refuse(400, "IncorrectCredentials", message)
    found.single_sign_on_type = (
        wire.optional_text(credentials, "singleSignOnType") or found.single_sign_on_type
    )
    found.encryption = wire.optional_text(credentials, "connectionEncryption") or found.encryption
    found.name, found.privacy_level = name, privacy
    found.skip_test, found.credential_type = skip_test, credential_type
    return Answer(200, _wire(found))


async def test_connection(world: World, call: Call) -> Answer:
    """Start to look whether a connection works (spec; 202: section 2.6)."""
    found = world.fabric.connections.get(call.params["id"].lower())
    if found is None or not usable_by(found, call.caller):
        raise not_found("EntityNotFound")
    return begin(world, call, "connections.test", {"connection": found.id})


@operation("connections.test")
def run_test(world: World, found: Operation) -> dict[str, Any]:
    """Answer with Online, or Offline with a reason (spec; the reason's code is assumed)."""
    connection = world.fabric.connections.get(str(found.args["connection"]))
    if connection is None:
        raise OperationFailed("EntityNotFound", "The connection could not be found")
    if not _is_offline(world, connection):
        return {"status": "Online", "errors": []}
    message = "Failed to establish connection using the credentials."
    return {
        "status": "Offline",
        "errors": [{"errorCode": "IncorrectCredentials", "message": message}],
    }


async def list_types(world: World, call: Call) -> Answer:
    """List the kinds of connections that can be made here, those for Git (section 6.8, docs).

    Through a gateway there are none of them (assumed).
    """
    found = [
        {
            "type": kind,
            "creationMethods": [
                {
                    "name": f"{kind}.Contents",
                    "parameters": [
                        {"name": "url", "dataType": "Text", "required": kind in _NEEDS_URL}
                    ],
                }
            ],
            "supportedCredentialTypes": list(credentials),
            "supportedConnectionEncryptionTypes": ["NotEncrypted"],
            "supportsSkipTestConnection": True,
        }
        for kind, credentials in _CREDENTIALS.items()
    ]
    return paged(world, call, [] if call.query.get("gatewayId") else found)


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


_ALL = "/v1/connections"
_ONE = f"{_ALL}/{{id}}"
ROUTES = [
    Route("GET", _ALL, list_connections, "connections.list"),
    Route("POST", _ALL, create_connection, "connections.create"),
    Route("GET", _ONE, get_connection, "connections.get"),
    Route("GET", f"{_ALL}/supportedConnectionTypes", list_types, "connections.types"),
    Route("PATCH", _ONE, update_connection, "connections.update"),
    Route("POST", f"{_ONE}/testConnection", test_connection, "connections.test", effect=False),
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
