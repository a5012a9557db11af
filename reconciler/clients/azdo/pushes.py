"""Commits made through the API. Source: ``Pushes_Create`` in the git 7.1 swagger (spec)."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from reconciler.clients.azdo.caller import Caller, repository_path
from reconciler.clients.azdo.models import FileChange, Push
from reconciler.clients.azdo.refs import check_ref_results
from reconciler.clients.azdo.versions import Resource
from reconciler.clients.wire import parse

__all__ = ["Pushes"]


class Pushes:
    """Pushes to repositories."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self,
        project: str,
        repo_id: str,
        *,
        ref_name: str,
        old_object_id: str,
        comment: str,
        changes: Sequence[FileChange],
    ) -> Push:
        """Add one commit to a branch; refused when the branch is no longer at ``old_object_id``.

        Args:
            project: name or id.
            repo_id: name or id.
            ref_name: ``refs/heads/x``.
            old_object_id: the tip the commit builds on; zeros for a new branch without history.
            comment: the commit message.
            changes: the files to write.

        Raises:
            Conflict: the branch moved meanwhile.
        """
        path = repository_path(project, repo_id, "/pushes")
        response = await self._caller.call(
            "azdo.pushes.create",
            Resource.PUSHES,
            "POST",
            path,
            json={
                "refUpdates": [{"name": ref_name, "oldObjectId": old_object_id}],
                "commits": [
                    {"comment": comment, "changes": [_change_json(change) for change in changes]}
                ],
            },
        )
        push = parse(Push, response.body, what=f"POST {path}")
        # Success is only stated for ref updates; a push answer may leave the member out.
        check_ref_results([r for r in push.ref_updates if r.update_status and not r.success], path)
        return push


def _change_json(change: FileChange) -> dict[str, object]:
    return {
        "changeType": change.change_type,
        "item": {"path": change.path},
        "newContent": {
            "content": base64.b64encode(change.content).decode(),
            "contentType": "base64Encoded",
        },
    }
