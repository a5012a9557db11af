"""Service endpoints that hold the credentials of private import sources.

Source: serviceEndpoint 7.1 swagger (spec), azure-devops-import.md section 5. Up to 5.x endpoints
belong to a project; from 6.0 on they are created and deleted above projects.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from pydantic import SecretStr

from reconciler.clients.azdo.caller import Caller, apis
from reconciler.clients.azdo.models import ProjectRef, ServiceEndpoint
from reconciler.clients.azdo.versions import Resource, endpoint_style
from reconciler.clients.http import quote_segment
from reconciler.clients.paging import values_of
from reconciler.clients.wire import parse, parse_all
from reconciler.errors import NotFound

__all__ = ["Endpoints"]


class Endpoints:
    """The service endpoints of projects."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._style = endpoint_style(caller.server_version)

    async def list(
        self, project: str, *, names: Sequence[str] | None = None
    ) -> builtins.list[ServiceEndpoint]:
        """Return a project's endpoints of type git, or only those with one of ``names``."""
        path = apis(project, self._style.area)
        params: dict[str, str | int | bool] = {"type": "git"}
        # The filter separates names by commas and has no escape for one inside a name.
        if names and self._style.by_name and not any("," in name for name in names):
            params["endpointNames"] = ",".join(names)
        response = await self._caller.call(
            "azdo.endpoints.list", Resource.ENDPOINTS, "GET", path, params=params
        )
        what = f"GET {path}"
        found = parse_all(ServiceEndpoint, values_of(response, what), what=what)
        if names is None:
            return found
        wanted = {name.casefold() for name in names}
        return [endpoint for endpoint in found if endpoint.name.casefold() in wanted]

    async def get(self, project: str, endpoint_id: str) -> ServiceEndpoint | None:
        """Return one endpoint, None when there is none.

        Several versions answer 200 with ``null`` for an unknown id (section 5, assumed).
        """
        path = f"{apis(project, self._style.area)}/{quote_segment(endpoint_id)}"
        try:
            response = await self._caller.call(
                "azdo.endpoints.get", Resource.ENDPOINTS, "GET", path
            )
        except NotFound:
            return None
        if response.body is None:
            return None
        return parse(ServiceEndpoint, response.body, what=f"GET {path}")

    async def create_git(
        self, project: ProjectRef, *, name: str, url: str, username: str, password: SecretStr
    ) -> ServiceEndpoint:
        """Create an "Other Git" endpoint; the user name may be empty, a token is the password."""
        body: dict[str, object] = {
            "name": name,
            "type": "git",
            "url": url,
            "owner": "library",
            "isShared": False,
            "authorization": {
                "scheme": "UsernamePassword",
                "parameters": {"username": username, "password": password.get_secret_value()},
            },
            "data": {},
        }
        if self._style.collection_scoped:
            path = apis(None, self._style.area)
            body["serviceEndpointProjectReferences"] = [
                {"projectReference": {"id": project.id, "name": project.name}, "name": name}
            ]
        else:
            path = apis(project.id or project.name, self._style.area)
        response = await self._caller.call(
            "azdo.endpoints.create", Resource.ENDPOINTS, "POST", path, json=body
        )
        return parse(ServiceEndpoint, response.body, what=f"POST {path}")

    async def delete(self, project_id: str, endpoint_id: str) -> None:
        """Remove an endpoint from a project."""
        scope = None if self._style.collection_scoped else project_id
        path = f"{apis(scope, self._style.area)}/{quote_segment(endpoint_id)}"
        await self._caller.call(
            "azdo.endpoints.delete",
            Resource.ENDPOINTS,
            "DELETE",
            path,
            params={"projectIds": project_id, "deep": False}
            if self._style.collection_scoped
            else None,
        )
