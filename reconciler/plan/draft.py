"""A plan in the making: collects actions, edges, drift and findings, then orders them.

The area builders (repositories, workspaces, bindings, pipelines, deployments) write into one
draft. A *lane* is a resource that takes one operation at a time, a workspace or a pipeline:
actions on a lane are chained in the order they are added. Look-ups that every resource makes are
indexed once, so that a plan stays linear in the size of the estate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from reconciler.diagnostics import Diagnostic, Severity
from reconciler.diff.changes import FieldDiff
from reconciler.diff.ignore import IgnoreRules, Ignores
from reconciler.errors import InternalError
from reconciler.ids import Address, address_matches, split_address
from reconciler.ids import address as join_address
from reconciler.live.models import (
    LiveCapacity,
    LiveChange,
    LiveConnection,
    LiveItem,
    LiveStageItem,
    Preview,
    Snapshot,
    Unreadable,
)
from reconciler.plan.actions import Action, FieldChange, ItemChange, Op
from reconciler.plan.graph import topological_waves
from reconciler.plan.plan import DriftEntry, HeldEntry, IgnoredEntry, UnknownEntry
from reconciler.plan.steps import Step
from reconciler.plan.trusted import trusted
from reconciler.spec.models import Estate, RepositorySpec, WorkspaceSpec
from reconciler.spec.resolve import git_address

__all__ = ["Draft", "field_changes", "git_of", "item_change", "item_changes", "roles_of"]


def git_of(workspace: Address) -> Address:
    """Return the address of a workspace's Git binding."""
    return Address(f"{workspace}/git")


def roles_of(owner: Address) -> Address:
    """Return the address under which a workspace's or pipeline's role list is read."""
    return Address(f"{owner}/roles")


def _prefixes(address: Address) -> list[Address]:
    """Return the address and everything it lies below, nearest first."""
    parts = split_address(address)
    if "\\" in address:
        return [join_address(*parts[:n]) for n in range(len(parts), 0, -1)]
    return [Address("/".join(parts[:n])) for n in range(len(parts), 0, -1)]


class _Item(Protocol):
    """Whatever has the type and the name of an item."""

    @property
    def type(self) -> str: ...

    @property
    def name(self) -> str: ...


def field_changes(*diffs: FieldDiff | None) -> tuple[FieldChange, ...]:
    """Turn field differences into plan changes."""
    return tuple(
        trusted(FieldChange, {"path": d.path, "before": d.before, "after": d.after})
        for d in diffs
        if d
    )


def item_change(
    item: _Item,
    change: str,
    *,
    conflict: str | None = None,
    detail: str | None = None,
    paths: tuple[str, ...] = (),
) -> ItemChange:
    """Return what happens to an item as a plan tells it."""
    return trusted(
        ItemChange,
        {
            "type": item.type,
            "name": item.name,
            "change": change,
            "conflict": conflict,
            "detail": detail,
            "paths": paths,
        },
    )


def item_changes(
    changes: Iterable[LiveChange], *, remote: bool, conflict: str | None = None
) -> tuple[ItemChange, ...]:
    """Turn git changes into plan items, told from the remote or the workspace side."""
    out = []
    for change in changes:
        kind = change.remote if remote else change.workspace
        text = (kind or change.workspace or change.remote or "Modified").strip()
        detail = None
        if remote and kind is not None:
            text, detail = change.word or text, change.detail
        clash = conflict or (change.conflict.value if change.conflict.value != "None" else None)
        out.append(item_change(change, text, conflict=clash, detail=detail))
    return tuple(sorted(out, key=lambda i: (i.type, i.name)))


# Changes of single fields of something that is there: what a rule without items can leave alone.
_FIELD_KINDS = frozenset(
    {
        "repository.update",
        "workspace.update",
        "workspace.assign_capacity",
        "workspace.role.add",
        "workspace.role.update",
        "workspace.role.remove",
        "git.credentials",
        "git.relation",
        "pipeline.update",
        "pipeline.role.add",
        "pipeline.role.remove",
        "stage.update",
    }
)


_NO_PRECONDITIONS: Mapping[str, Any] = {}

T = TypeVar("T")


@dataclass(slots=True)
class _Named(Generic[T]):
    """Things found by name, case-sensitively, or else by id, in whatever case that is written."""

    by_name: dict[str, T] = field(default_factory=dict)
    by_id: dict[str, T] = field(default_factory=dict)

    def put(self, name: str | None, id_: str | None, thing: T) -> None:
        """Add a thing; the first of a name or id stays."""
        if name:
            self.by_name.setdefault(name, thing)
        if id_:
            self.by_id.setdefault(id_.lower(), thing)

    def get(self, reference: str) -> T | None:
        """Return what a reference means."""
        found = self.by_name.get(reference)
        return found if found is not None else self.by_id.get(reference.lower())


@dataclass(slots=True)
class _Index:
    """Where to find what every resource of an estate may refer to."""

    workspace_specs: _Named[WorkspaceSpec] = field(default_factory=_Named)
    bound: dict[Address, WorkspaceSpec] = field(default_factory=dict)
    repositories: dict[tuple[str, str], RepositorySpec] = field(default_factory=dict)
    workspace_ids: _Named[str] = field(default_factory=_Named)
    workspace_names: dict[str, str] = field(default_factory=dict)
    declared_connections: frozenset[str] = frozenset()
    connections: _Named[LiveConnection] = field(default_factory=_Named)
    capacities: _Named[LiveCapacity] = field(default_factory=_Named)
    items: dict[str, tuple[LiveItem, ...]] = field(default_factory=dict)
    stage_items: dict[str, tuple[LiveStageItem, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, estate: Estate, snapshot: Snapshot) -> _Index:
        index = cls()
        for w in estate.workspaces:
            index.workspace_specs.put(w.name, w.id, w)
            index.bound[git_address(w)] = w
        for r in estate.azure_devops.repositories if estate.azure_devops else ():
            key = (r.project.casefold(), (r.name or "").casefold())
            index.repositories.setdefault(key, r)
        for name, workspace_id in snapshot.visible_workspaces.items():
            index.workspace_ids.put(name, workspace_id, workspace_id)
        index.workspace_names = {i: n for n, i in snapshot.visible_workspaces.items()}
        index.declared_connections = frozenset(c.name for c in estate.connections)
        for connection in snapshot.connections or ():
            index.connections.put(connection.name, connection.id, connection)
        for capacity in snapshot.capacities or ():
            index.capacities.put(capacity.name, capacity.id, capacity)
        for pipeline in snapshot.pipelines.values():
            for stage in pipeline.stages:
                if stage.workspace_id is not None and stage.id in pipeline.items:
                    index.stage_items.setdefault(stage.workspace_id, pipeline.items[stage.id])
        index.items = {w.id: w.items for w in snapshot.workspaces.values() if w.items is not None}
        return index


@dataclass(slots=True)
class Draft:
    """Mutable while a plan is built, and not seen outside this package.

    ``made_in_git`` maps a branch, or a directory of one, to the action that makes it; ``beta``
    allows what needs preview APIs.
    """

    estate: Estate
    snapshot: Snapshot
    actions: dict[str, Step] = field(default_factory=dict)
    edges: dict[str, list[str]] = field(default_factory=dict)
    drift: list[DriftEntry] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    held: list[HeldEntry] = field(default_factory=list)
    unknown: dict[Address, UnknownEntry] = field(default_factory=dict)
    ignored: list[IgnoredEntry] = field(default_factory=list)
    bindings: dict[str, str] = field(default_factory=dict)
    deploys_into: dict[Address, list[str]] = field(default_factory=dict)
    made_in_git: dict[tuple[str, ...], str] = field(default_factory=dict)
    beta: bool = False
    _told: set[Diagnostic] = field(default_factory=set)
    _lanes: dict[Address, str] = field(default_factory=dict)
    _doers: dict[Address, list[str]] = field(default_factory=dict)
    _below: dict[Address, list[str]] = field(default_factory=dict)
    _index: _Index = field(init=False)
    _rules: IgnoreRules = field(init=False)

    def __post_init__(self) -> None:
        self._index = _Index.of(self.estate, self.snapshot)
        self._rules = IgnoreRules(self.estate.ignore)
        named = (n for p in self.estate.pipelines for d in p.deployments for n in d.depends_on)
        self._below = {Address(n): [] for n in named}

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

        A change of fields at an address that an ``ignore`` rule covers is counted and not added;
        then the id is that of no action.

        Args:
            after: ids that must have succeeded before; repeated ones count once.
            lane: the resource that takes one operation at a time.
        """
        action_id = f"{op.kind}:{address}{suffix}"
        if action_id in self.actions:
            raise InternalError(f"{action_id} is planned twice")
        if op.kind in _FIELD_KINDS and self.ignores(address).everything:
            self.leave_alone(address, why)
            return action_id
        before = list(after)
        if lane is not None:
            if lane in self._lanes:
                before.append(self._lanes[lane])
            self._lanes[lane] = action_id
        self.edges[action_id] = self._nearest(before)
        self._doers.setdefault(address, []).append(action_id)
        if self._below:
            for prefix in _prefixes(address):
                if prefix in self._below:
                    self._below[prefix].append(action_id)
        self.actions[action_id] = Step(
            id=action_id,
            kind=op.kind,
            address=address,
            op=op,
            code=code,
            why=why,
            changes=changes,
            items=items,
            preconditions=_NO_PRECONDITIONS if preconditions is None else preconditions,
            after_unknown=after_unknown,
            outcomes=outcomes,
            destructive=destructive,
            requests=requests,
        )
        return action_id

    def _nearest(self, before: Sequence[str]) -> list[str]:
        """Drop what another one of ``before`` waits for itself, so that a reader sees the rest."""
        if len(before) < 2:
            return [*before]
        implied = {b for other in before for b in self.edges[other]}
        return [b for b in dict.fromkeys(before) if b not in implied]

    def forget(self, action_id: str, precondition: str) -> None:
        """Drop a precondition that an earlier action of the plan moves."""
        step = self.actions[action_id]
        step.preconditions = {k: v for k, v in step.preconditions.items() if k != precondition}

    def doers(self, address: Address) -> list[str]:
        """Return the ids of the actions planned for exactly this address so far."""
        return self._doers.get(address, [])

    def doers_below(self, address: Address) -> list[str]:
        """Return the ids of the actions planned at this address or below it so far.

        Args:
            address: one that a deployment's ``dependsOn`` names; only these are kept.
        """
        return self._below[address]

    def workspace_spec(self, reference: str) -> WorkspaceSpec | None:
        """Return the workspace of the spec that a name or id means."""
        return self._index.workspace_specs.get(reference)

    def bound_workspace(self, binding: Address) -> WorkspaceSpec:
        """Return the workspace of the spec whose binding has this address."""
        return self._index.bound[binding]

    def repository_spec(self, project: str, name: str) -> RepositorySpec | None:
        """Return the repository of the spec, names compared as Azure DevOps compares them."""
        return self._index.repositories.get((project.casefold(), name.casefold()))

    def visible_workspace_id(self, reference: str) -> str | None:
        """Return the id of a visible workspace by name or id."""
        return self._index.workspace_ids.get(reference)

    def workspace_name(self, workspace_id: str) -> str | None:
        """Return the name of a visible workspace."""
        return self._index.workspace_names.get(workspace_id)

    def declares_connection(self, name: str) -> bool:
        """Tell whether the spec has an entry for a connection."""
        return name in self._index.declared_connections

    def connection(self, reference: str) -> LiveConnection | None:
        """Return a visible connection by name or id."""
        return self._index.connections.get(reference)

    def capacity(self, reference: str) -> LiveCapacity | None:
        """Return a visible capacity by name or id."""
        return self._index.capacities.get(reference)

    def workspace_items(self, workspace_id: str | None) -> tuple[LiveItem, ...]:
        """Return a workspace's items with their folders, where they were read."""
        return self._index.items.get(workspace_id or "", ())

    def stage_items(self, workspace_id: str) -> tuple[LiveStageItem, ...] | None:
        """Return the items of the stage that a workspace stands in, where they were read."""
        return self._index.stage_items.get(workspace_id)

    def region_of(self, workspace_id: str | None) -> str | None:
        """Return the region of a workspace's capacity, where both are known."""
        capacity = self.capacity(self.snapshot.capacity_ids.get(workspace_id or "", ""))
        return capacity.region if capacity else None

    def ignores(self, address: Address) -> Ignores:
        """Return the ``ignore`` rules at an address."""
        return self._rules.at(address)

    def merging(self, binding: Address) -> Preview | None:
        """Return the merge that this binding's Git status looks ahead to, if it does."""
        preview = self.snapshot.preview
        return preview if preview is not None and binding in preview.statuses else None

    def leave_alone(self, address: Address, text: str, items: tuple[ItemChange, ...] = ()) -> None:
        """Count differences that an ``ignore`` rule covers."""
        self.ignored.append(IgnoredEntry(address=address, text=text, items=items))

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

    def warn_once(self, code: str, summary: str, detail: str, address: Address) -> None:
        """Record a warning that several actions at one address would give alike."""
        found = Diagnostic(Severity.WARNING, code, summary, detail, address)
        if found not in self._told:
            self._told.add(found)
            self.diagnostics.append(found)

    def unreadable(self, address: Address) -> Unreadable | None:
        """Return why a resource, or something it is part of, could not be read."""
        if not self.snapshot.unreadable:
            return None
        found = map(self.snapshot.unreadable.get, _prefixes(address))
        return next((f for f in found if f is not None), None)

    def skip_unknown(self, address: Address, *needs: Address) -> bool:
        """Record ``address`` as unknown if it, or something it needs, could not be read."""
        if address in self.unknown:
            return True
        if not self.unknown and not self.snapshot.unreadable:
            return False
        entry = self._own_reason(address)
        if entry is None:
            # What is told already is not told again for everything that needs it.
            told = next((n for n in needs if n in self.unknown), None)
            if told is not None:
                entry = UnknownEntry(address=address, text=f"waits for {told}, which is unknown")
        if entry is None:
            entry = next(filter(None, (self._reason(address, n) for n in (address, *needs))), None)
        if entry is None:
            return False
        self.unknown[address] = entry
        return True

    def _own_reason(self, address: Address) -> UnknownEntry | None:
        own = address in self.snapshot.unreadable
        return self._reason(address, address) if own else None

    def _reason(self, address: Address, need: Address) -> UnknownEntry | None:
        """Say why ``need`` could not be read, as the reason for ``address``."""
        found = self.unreadable(need)
        if found is None:
            return None
        text = f"{found.what}: {found.message}"
        if not address_matches(address, found.address):
            text = f"waits for {need}: {text}"
        return UnknownEntry(address=address, text=text, remedy=found.remedy)

    def ordered_actions(self, keep: Collection[str] | None = None) -> tuple[Action, ...]:
        """Return the actions with waves and edges filled in, in wave order.

        Args:
            keep: ids to keep, all when None; edges to dropped actions are dropped with them.
        """
        kept = self.actions if keep is None else keep
        edges = {i: tuple(b for b in self.edges[i] if b in kept) for i in self.actions if i in kept}
        return tuple(
            self.actions[i].to_action(number, edges[i])
            for number, wave in enumerate(topological_waves(list(edges), edges), start=1)
            for i in wave
        )
