"""The Git binding of an adopted workspace. Pure."""

from __future__ import annotations

from typing import Any

from reconciler.adopt.found import NotRead
from reconciler.live.models import (
    ConflictType,
    ConnectionState,
    CredentialSource,
    GitTarget,
    LiveBinding,
    LiveConnection,
    LiveStatus,
)
from reconciler.spec.write import Noted
from reconciler.words import count, short_commit

__all__ = ["git_entry"]

Connections = tuple[LiveConnection, ...] | NotRead | None

_DIRECTION = "reports; update: Git leads, commit: the workspace leads, both"


def git_entry(
    binding: LiveBinding, connections: Connections
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return what stands under ``git``, and comments; None where a plan would act or stop."""
    target = binding.target
    if target is None:
        return None, ["Left out: the Git binding, of which the service does not tell the place."]
    obstacle = _obstacle(binding)
    if obstacle is not None:
        return None, [f"Left out: the Git binding to {target.describe()}. {obstacle}"]
    out = _place(target)
    credentials, notes = _credentials(binding, connections)
    if credentials is not None:
        out["credentials"] = credentials
    state = _state(binding.status) if binding.status is not None else ""
    # Whichever side led, the next commit or edit would make the plan act on its own.
    out["sync"] = Noted({"direction": Noted("none", behind=_DIRECTION)}, behind=state)
    return out, notes


def _obstacle(binding: LiveBinding) -> str | None:
    """Return why a plan with this binding would not be empty."""
    if binding.state is not ConnectionState.INITIALIZED:
        return "It is connected and was never initialised; in the spec, the plan initialises it."
    if binding.partial:
        return (
            "Its last update stopped half way; finish it in the workspace's source control pane, "
            "or let the plan do it with sync.direction: update."
        )
    if binding.credentials_missing and binding.credential_source is not CredentialSource.NONE:
        return (
            "The service takes this caller's credentials for missing, so what is in sync is "
            "unknown; set them with git.credentials."
        )
    return None


def _place(target: GitTarget) -> dict[str, Any]:
    fields = {
        "provider": target.provider,
        "organization": target.organization,
        "project": target.project,
        "owner": target.owner,
        "customDomain": target.custom_domain,
        "repository": target.repository,
        "branch": target.branch,
        "directory": target.directory,
    }
    return {k: v for k, v in fields.items() if v}


def _credentials(
    binding: LiveBinding, connections: Connections
) -> tuple[str | dict[str, Any] | Noted | None, list[str]]:
    """Return the credentials of this caller as the spec writes them; None leaves them alone."""
    source, connection_id = binding.credential_source, binding.credential_connection_id
    if source is CredentialSource.AUTOMATIC:
        return "automatic", []
    if source is CredentialSource.NONE:
        return Noted("none", behind="this caller has none, so what is in sync was not read"), []
    if source is not CredentialSource.CONFIGURED or connection_id is None:
        return None, []
    if isinstance(connections, NotRead):
        return None, [connections.text()]
    known = connections or ()
    named = next((c for c in known if c.id.lower() == connection_id.lower()), None)
    if named is None:
        return None, [
            f"Left out: git.credentials; the connection {connection_id} that this caller signs in "
            "with is not in its list of connections."
        ]
    if sum(c.name == named.name for c in known) == 1 and named.name:
        return {"connection": named.name}, []
    return {"connection": Noted(named.id, behind=named.name)}, []


def _state(status: LiveStatus) -> str:
    """Say in a few words how the workspace stood when it was read."""
    conflicts = sum(c.conflict is ConflictType.CONFLICT for c in status.changes)
    rest = [c for c in status.changes if c.conflict is not ConflictType.CONFLICT]
    incoming = sum(c.remote is not None for c in rest)
    local = sum(c.remote is None and c.workspace is not None for c in rest)
    parts = [
        f"{number} {words}"
        for number, words in (
            (incoming, "incoming"),
            (local, "uncommitted"),
            (conflicts, "in conflict"),
        )
        if number
    ]
    if not parts:
        return f"in sync at {short_commit(status.workspace_head)} when this was written"
    many = count(incoming + local + conflicts, "item")
    return f"{many} out of sync when this was written: {', '.join(parts)}"
