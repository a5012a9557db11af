"""Connections that hold Git credentials: list, get, create, delete.

Source: ``platform/definitions/connections.json`` (spec), fabric-api.md section 6.8 (docs).
"""

from __future__ import annotations

import builtins
from typing import assert_never

from reconciler.clients.fabric.models import Connection, GitCredentialKey, GitServicePrincipal
from reconciler.clients.http import Transport, quote_segment
from reconciler.clients.paging import collect
from reconciler.clients.wire import parse, parse_all

__all__ = ["Connections"]

_PATH = "/v1/connections"


class Connections:
    """The connections this caller may use."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> builtins.list[Connection]:
        """Return every connection the caller may use; one shared with others is not visible."""
        values = await collect(self._transport, "connections.list", _PATH)
        return parse_all(Connection, values, what=f"GET {_PATH}")

    async def get(self, connection_id: str) -> Connection:
        """Return one connection."""
        path = f"{_PATH}/{quote_segment(connection_id)}"
        response = await self._transport.request("connections.get", "GET", path)
        return parse(Connection, response.body, what=f"GET {path}")

    async def create_git(
        self,
        display_name: str,
        type: str,
        url: str | None,
        credential: GitCredentialKey | GitServicePrincipal,
    ) -> Connection:
        """Create a shareable cloud connection to a Git repository.

        Not idempotent: names are not unique, so look the name up before repeating.

        Args:
            display_name: how people and specs refer to it.
            type: ``AzureDevOpsSourceControl`` or ``GitHubSourceControl``.
            url: the repository; may be None for GitHub, which then covers every repository.
            credential: a token for GitHub, an application for Azure DevOps.
        """
        parameters = [] if url is None else [{"dataType": "Text", "name": "url", "value": url}]
        response = await self._transport.request(
            "connections.create",
            "POST",
            _PATH,
            json={
                "connectivityType": "ShareableCloud",
                "displayName": display_name,
                "connectionDetails": {
                    "type": type,
                    "creationMethod": f"{type}.Contents",
                    "parameters": parameters,
                },
                "privacyLevel": "Organizational",
                "credentialDetails": {
                    "singleSignOnType": "None",
                    "connectionEncryption": "NotEncrypted",
                    "skipTestConnection": False,
                    "credentials": _credentials(credential),
                },
            },
        )
        return parse(Connection, response.body, what=f"POST {_PATH}")

    async def delete(self, connection_id: str) -> None:
        """Delete a connection."""
        path = f"{_PATH}/{quote_segment(connection_id)}"
        await self._transport.request("connections.delete", "DELETE", path)


def _credentials(credential: GitCredentialKey | GitServicePrincipal) -> dict[str, str]:
    match credential:
        case GitCredentialKey(key=key):
            return {"credentialType": "Key", "key": key.get_secret_value()}
        case GitServicePrincipal(tenant_id=tenant_id, client_id=client_id, secret=secret):
            return {
                "credentialType": "ServicePrincipal",
                "tenantId": tenant_id,
                "servicePrincipalClientId": client_id,
                "servicePrincipalSecret": secret.get_secret_value(),
            }
        case _:
            assert_never(credential)
