"""A plan in the making: collects actions, edges, drift and findings, then orders them.

The area builders (repositories, workspaces, bindings, pipelines, deployments) write into one
draft. A *lane* is a resource that takes one operation at a time, a workspace or a pipeline:
actions on a lane are chained in the order they are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.diff.changes import FieldDiff
from reconciler.ids import Address, split_address
from reconciler.ids import address as join_address
from reconciler.live.models import LiveChange, Snapshot, Unreadable
from reconciler.plan.actions import Action, FieldChange, ItemChange, Op, Reason
from reconciler.plan.graph import topological_waves
from reconciler.plan.plan import DriftEntry, HeldEntry, UnknownEntry
from reconciler.spec.models import Estate

__all__ = ["Draft", "field_changes", "git_of", "item_changes", "roles_of"]


def git_of(workspace: Address) -> Address:
    """Return the address of a workspace's Git binding."""
    return Address(f"{workspace}/git")


def roles_of(owner: Address) -> Address:
    """Return the address under which a workspace's or pipeline's role list is read."""
    return Address(f"{owner}/roles")


def field_changes(*diffs: FieldDiff | None) -> tuple[FieldChange, ...]:
    """Turn field differences into plan changes."""
    return tuple(FieldChange(path=d.path, before=d.before, after=d.after) for d in diffs if d)


def item_changes(
    changes: Iterable[LiveChange], *, remote: bool, conflict: str | None = None
) -> tuple[ItemChange, ...]:
    """Turn git changes into plan items, told from the remote or the workspace side."""
    out = []
    for change in changes:
        kind = change.remote if remote else change.workspace
        text = (kind or change.workspace or change.remote or "Modified").strip()
        clash = conflict or (change.conflict.value if change.conflict.value != "None" else None)
        out.append(ItemChange(type=change.type, name=change.name, change=text, conflict=clash))
    return tuple(sorted(out, key=lambda i: (i.type, i.name)))


@dataclass(slots=True)
class Draft:
    """Mutable while a plan is built, and not seen outside this package."""

    estate: Estate
    snapshot: Snapshot
    actions: dict[str, Action] = field(default_factory=dict)
    edges: dict[str, list[str]] = field(default_factory=dict)
    drift: list[DriftEntry] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    held: list[HeldEntry] = field(default_factory=list)
    unknown: dict[Address, UnknownEntry] = field(default_factory=dict)
    bindings: dict[str, str] = field(default_factory=dict)
    _lanes: dict[Address, str] = field(default_factory=dict)
    _doers: dict[Address, list[str]] = field(default_factory=dict)

    def add(
        self,
        op: Op,
        address: Address,
        *,
        code: str,
        why: str,
        after: Sequence[str] = (),
        lane: Address | None = None,
        suffix: str = "",
        changes: tuple[FieldChange, ...] = (),
        items: tuple[ItemChange, ...] = (),
        preconditions: Mapping[str, Any] | None = None,
        after_unknown: bool = False,
        outcomes: tuple[str, ...] = (),
        destructive: bool = False,
        requests: int = 1,
    ) -> str:
        """Add an action and return its id.

        Args:
            after: ids that must have succeeded before; repeated ones count once.
            lane: the resource that takes one operation at a time.
        """
        action_id = f"{op.kind}:{address}{suffix}"
        before = list(after)
        if lane is not None:
            if lane in self._lanes:
                before.append(self._lanes[lane])
            self._lanes[lane] = action_id
        self.edges[action_id] = self._nearest(before)
        self._doers.setdefault(address, []).append(action_id)
        self.actions[action_id] = Action(
            id=action_id,
            kind=op.kind,
            address=address,
            reason=Reason(code=code, text=why),
            changes=changes,
            items=items,
            preconditions=dict(preconditions or {}),
            after_unknown=after_unknown,
            outcomes=outcomes,
            destructive=destructive,
            estimated_requests=requests,
            op=op,
        )
        return action_id

    def _nearest(self, before: Sequence[str]) -> list[str]:
        """Drop what another one of ``before`` waits for itself, so that a reader sees the rest."""
        implied = {b for other in before for b in self.edges[other]}
        return [b for b in dict.fromkeys(before) if b not in implied]

    def doers(self, address: Address) -> list[str]:
        """Return the ids of the actions planned for exactly this address so far."""
        return self._doers.get(address, [])

    def claim_lane(self, lane: Address, action_id: str) -> None:
        """Let later actions on ``lane`` wait for an action that stands on another lane."""
        self._lanes[lane] = action_id

    def lane_tail(self, lane: Address) -> list[str]:
        """Return the id of the newest action on a lane, as a list of none or one."""
        return [self._lanes[lane]] if lane in self._lanes else []

    def error(self, code: str, summary: str, detail: str, address: Address | None = None) -> None:
        """Record a finding that stops the plan from being applied."""
        self.diagnostics.append(Diagnostic(Severity.ERROR, code, summary, detail, address))

    def warn(self, code: str, summary: str, detail: str, address: Address | None = None) -> None:
        """Record a finding people should know of."""
        self.diagnostics.append(Diagnostic(Severity.WARNING, code, summary, detail, address))

    def unreadable(self, address: Address) -> Unreadable | None:
        """Return why a resource, or something it is part of, could not be read."""
        parts = split_address(address)
        for n in range(len(parts), 0, -1):
            found = self.snapshot.unreadable.get(join_address(*parts[:n]))
            if found is not None:
                return found
        return None

    def skip_unknown(self, address: Address, *needs: Address) -> bool:
        """Record ``address`` as unknown if it, or something it needs, could not be read."""
        for need in (address, *needs):
            found = self.unreadable(need)
            if found is None and need in self.unknown:
                entry = self.unknown[need]
                self.unknown[address] = UnknownEntry(
                    address=address, text=f"waits for {need}: {entry.text}", remedy=entry.remedy
                )
                return True
            if found is not None:
                text = f"{found.what}: {found.message}"
                self.unknown[address] = UnknownEntry(
                    address=address, text=text, remedy=found.remedy
                )
                return True
        return False

    def ordered_actions(self, keep: Iterable[str] | None = None) -> tuple[Action, ...]:
        """Return the actions with waves and edges filled in, in wave order.

        Args:
            keep: ids to keep; edges to dropped actions are dropped with them.
        """
        kept = set(self.actions if keep is None else keep)
        ids = [i for i in self.actions if i in kept]
        edges = {i: [b for b in self.edges[i] if b in kept] for i in ids}
        out: list[Action] = []
        for number, wave in enumerate(topological_waves(ids, edges), start=1):
            out.extend(
                self.actions[i].model_copy(update={"wave": number, "depends_on": tuple(edges[i])})
                for i in wave
            )
        return tuple(out)
