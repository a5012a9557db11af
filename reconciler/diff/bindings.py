"""Classify a workspace's Git binding and its pending changes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.diff.changes import FieldDiff
from reconciler.live.models import (
    ChangeType,
    ConflictType,
    ConnectionState,
    CredentialSource,
    GitTarget,
    LiveBinding,
    LiveChange,
)
from reconciler.live.places import target_of
from reconciler.live.scope import name_matches
from reconciler.spec.models import GitSpec, ItemPattern

__all__ = [
    "BindingDiff",
    "BindingState",
    "desired_credentials",
    "diff_binding",
    "matches_any",
]


class BindingState(StrEnum):
    """Where the binding stands against the spec."""

    NOT_CONNECTED = "not_connected"
    NOT_INITIALIZED = "not_initialized"
    ELSEWHERE = "elsewhere"
    BOUND = "bound"


@dataclass(frozen=True, slots=True)
class BindingDiff:
    """What differs.

    ``incoming``, ``local`` and ``conflicts`` are disjoint views of git status: a conflicting item
    stands in ``conflicts`` only; SameChanges is incoming (it needs an update and loses nothing).
    """

    state: BindingState
    target: GitTarget
    incoming: tuple[LiveChange, ...] = ()
    local: tuple[LiveChange, ...] = ()
    conflicts: tuple[LiveChange, ...] = ()
    credentials: FieldDiff | None = None

    @property
    def name_clashes(self) -> tuple[LiveChange, ...]:
        """New items of Git under the type and name of other items that are not committed.

        Git status pairs items by logicalId, so it calls them no conflict; an update would put the
        one in the place of the other. Source: fabric-api.md section 6.5, docs; what the update
        does is assumed.
        """
        by_hand = {(c.type, c.name) for c in self.local}
        return tuple(
            c
            for c in self.incoming
            if c.remote is ChangeType.ADDED and c.workspace is None and (c.type, c.name) in by_hand
        )


def desired_credentials(git: GitSpec) -> tuple[CredentialSource, str | None] | None:
    """Return the source and connection name the spec asks for; None: not managed."""
    wanted = git.credentials
    if wanted is None:
        return None
    if wanted == "automatic":
        return CredentialSource.AUTOMATIC, None
    if wanted == "none":
        return CredentialSource.NONE, None
    return CredentialSource.CONFIGURED, wanted.connection


def matches_any(change: LiveChange, patterns: tuple[ItemPattern, ...]) -> bool:
    """Tell whether an item falls under one of the patterns."""
    return any(
        p.type in (None, change.type) and name_matches(change.name, p.name) for p in patterns
    )


def diff_binding(
    git: GitSpec, live: LiveBinding, *, connection_id: str | None = None
) -> BindingDiff:
    """Compare a binding with its live state.

    Args:
        connection_id: id of the connection the spec names for credentials, where it exists.
    """
    target = target_of(git)
    if live.state is ConnectionState.NOT_CONNECTED or live.target is None:
        return BindingDiff(BindingState.NOT_CONNECTED, target)
    if live.target.key() != target.key():
        return BindingDiff(BindingState.ELSEWHERE, target)
    credentials = _diff_credentials(git, live, connection_id)
    if live.state is ConnectionState.CONNECTED:
        return BindingDiff(BindingState.NOT_INITIALIZED, target, credentials=credentials)
    changes = live.status.changes if live.status else ()
    conflicts = tuple(c for c in changes if c.conflict is ConflictType.CONFLICT)
    rest = [c for c in changes if c.conflict is not ConflictType.CONFLICT]
    return BindingDiff(
        BindingState.BOUND,
        target,
        incoming=tuple(c for c in rest if c.remote is not None),
        local=tuple(c for c in rest if c.remote is None and c.workspace is not None),
        conflicts=conflicts,
        credentials=credentials,
    )


def _diff_credentials(
    git: GitSpec, live: LiveBinding, connection_id: str | None
) -> FieldDiff | None:
    wanted = desired_credentials(git)
    if wanted is None or live.credential_source is None:
        return None
    source, name = wanted
    same_connection = source is not CredentialSource.CONFIGURED or (
        connection_id is not None and connection_id == live.credential_connection_id
    )
    if source is live.credential_source and same_connection:
        return None
    after = f"connection {name}" if name else source.value
    before = live.credential_source.value
    if live.credential_connection_id:
        before = f"connection {live.credential_connection_id}"
    return FieldDiff("credentials", before, after)
