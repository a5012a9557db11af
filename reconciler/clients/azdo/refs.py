"""Branches and tags. Source: git 7.1 swagger (spec), azure-devops-import.md section 3, Refs."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from reconciler.clients.azdo.caller import Caller, repository_path
from reconciler.clients.azdo.models import GitRef, RefUpdate, RefUpdateResult
from reconciler.clients.azdo.versions import Resource
from reconciler.clients.paging import values_of
from reconciler.clients.text import clean
from reconciler.clients.wire import parse_all
from reconciler.errors import ApiError, Conflict, Forbidden

__all__ = ["Refs", "check_ref_results"]


class Refs:
    """The refs of repositories."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(
        self, project: str, repo_id: str, *, prefix: str | None = None, top: int | None = None
    ) -> builtins.list[GitRef]:
        """Return refs, annotated tags peeled; no refs at all means an empty repository.

        Args:
            project: name or id.
            repo_id: name or id.
            prefix: only refs that begin so, with or without ``refs/``. It is a prefix:
                ``heads/main`` also gives ``heads/main2``, so compare names.
            top: at most so many.
        """
        path = repository_path(project, repo_id, "/refs")
        params: dict[str, str | int | bool] = {"peelTags": True}
        if prefix:
            params["filter"] = prefix.removeprefix("refs/")
        if top is not None:
            params["$top"] = top
        values = await self._caller.collect(
            "azdo.refs.list", Resource.REFS, path, params=params, at_most=top
        )
        return parse_all(GitRef, values, what=f"GET {path}")

    async def update(
        self, project: str, repo_id: str, updates: Sequence[RefUpdate]
    ) -> builtins.list[RefUpdateResult]:
        """Create, move or delete refs, each only from its expected old id.

        The service answers 200 even when a ref was refused, so every result is checked.

        Raises:
            Conflict: a ref moved meanwhile or its name clashes; ``code`` is the update status.
            Forbidden: a permission or policy refused a ref.
        """
        path = repository_path(project, repo_id, "/refs")
        response = await self._caller.call(
            "azdo.refs.update",
            Resource.REFS,
            "POST",
            path,
            json=[
                {
                    "name": update.name,
                    "oldObjectId": update.old_object_id,
                    "newObjectId": update.new_object_id,
                }
                for update in updates
            ],
        )
        results = parse_all(
            RefUpdateResult, values_of(response, f"POST {path}"), what=f"POST {path}"
        )
        check_ref_results(results, path)
        return results


def check_ref_results(results: Sequence[RefUpdateResult], path: str) -> None:
    """Raise for the first ref that was not updated.

    Source: ``GitRefUpdateResult.updateStatus`` (spec).
    """
    for result in results:
        if result.success:
            continue
        status = result.update_status or "unknown"
        reason = f": {clean(result.custom_message)}" if result.custom_message else ""
        if status.endswith("Required") and status != "forcePushRequired":
            kind: type[ApiError] = Forbidden
        elif status == "rejectedByPolicy":
            kind = Forbidden
        elif status in {"staleOldObjectId", "forcePushRequired", "refNameConflict", "locked"}:
            kind = Conflict
        else:
            kind = ApiError
        raise kind(
            f"POST {path}: ref {clean(result.name, limit=300)} was not updated: "
            f"{clean(status, limit=60)}{reason}",
            status=200,
            code=status,
            method="POST",
            path=path,
        )
