"""Files and folders of a repository. Source: ``Items_List`` in the git 7.1 swagger (spec)."""

from __future__ import annotations

import builtins
from typing import Literal

from reconciler.clients.azdo.caller import Caller, repository_path
from reconciler.clients.azdo.models import GitItem
from reconciler.clients.azdo.versions import Resource
from reconciler.clients.paging import values_of
from reconciler.clients.wire import parse_all
from reconciler.errors import ClientError

__all__ = ["GitItems"]


class GitItems:
    """What a branch contains."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(
        self,
        project: str,
        repo_id: str,
        *,
        branch: str,
        path: str,
        recursion: Literal["OneLevel", "Full"] = "OneLevel",
    ) -> builtins.list[GitItem]:
        """Return a folder and what is in it; the folder itself is the first element.

        Raises:
            NotFound: the path or the branch does not exist.
        """
        call = repository_path(project, repo_id, "/items")
        response = await self._caller.call(
            "azdo.items.list",
            Resource.ITEMS,
            "GET",
            call,
            params={
                "scopePath": path,
                "recursionLevel": {"OneLevel": "oneLevel", "Full": "full"}[recursion],
                **_at_branch(branch),
            },
        )
        return parse_all(GitItem, values_of(response, f"GET {call}"), what=f"GET {call}")

    async def get_content(self, project: str, repo_id: str, *, branch: str, path: str) -> bytes:
        """Return a file's bytes.

        Raises:
            NotFound: the path or the branch does not exist.
        """
        call = repository_path(project, repo_id, "/items")
        response = await self._caller.call(
            "azdo.items.content",
            Resource.ITEMS,
            "GET",
            call,
            params={"path": path, "download": True, **_at_branch(branch)},
            headers={"Accept": "application/octet-stream"},
            raw=True,
        )
        if not isinstance(response.body, bytes):
            raise ClientError(f"GET {call}: the answer has no content")
        return response.body


def _at_branch(branch: str) -> dict[str, str | int | bool]:
    """Name a branch the way the service wants it: without ``refs/heads/``."""
    return {
        "versionDescriptor.versionType": "branch",
        "versionDescriptor.version": branch.removeprefix("refs/heads/"),
    }
