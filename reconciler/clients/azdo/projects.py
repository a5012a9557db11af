"""Team projects. Source: core 7.1 swagger (spec), azure-devops-import.md section 4 (recorded)."""

from __future__ import annotations

import builtins

from reconciler.clients.azdo.caller import Caller, apis
from reconciler.clients.azdo.models import Project
from reconciler.clients.azdo.versions import Resource
from reconciler.clients.http import quote_segment
from reconciler.clients.wire import parse, parse_all
from reconciler.errors import ApiError, NotFound

__all__ = ["Projects"]


class Projects:
    """The projects this caller may see."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def get(self, name_or_id: str) -> Project:
        """Return one project.

        Raises:
            NotFound: it does not exist or is hidden; some servers say so with a 400 (VS800075).
        """
        path = apis(None, f"projects/{quote_segment(name_or_id)}")
        try:
            response = await self._caller.call("azdo.projects.get", Resource.PROJECTS, "GET", path)
        except ApiError as error:
            if error.status == 400 and "VS800075" in error.message:
                raise NotFound(
                    error.message,
                    status=error.status,
                    code=error.code,
                    request_id=error.request_id,
                    method=error.method,
                    path=error.path,
                ) from error
            raise
        return parse(Project, response.body, what=f"GET {path}")

    async def list(self) -> builtins.list[Project]:
        """Return every project the caller may see."""
        path = apis(None, "projects")
        values = await self._caller.collect("azdo.projects.list", Resource.PROJECTS, path)
        return parse_all(Project, values, what=f"GET {path}")
