"""Deployment plans (preview): an item that orders an operation and runs other items around it.

Source: docs of Sep 2026 (deployment-plan-overview, -automation, -actions, -sample-plans,
-troubleshoot, -limitations); fabric-api.md section 6.2. The definition is ``plan.yml``, whose ids
are logical ids. Error codes are assumed: the documentation has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.errors import OperationFailed, invalid, refuse
from reconciler.emulator.fabric.jobs import run_action
from reconciler.emulator.fabric.state import Item, Workspace

if TYPE_CHECKING:
    from reconciler.emulator.http import Call
    from reconciler.emulator.world import World

__all__ = [
    "PLAN_FILE",
    "PLAN_TYPE",
    "Actions",
    "DeploymentPlan",
    "parse_plan",
    "requested_plan",
    "sort_by_needs",
]

T = TypeVar("T")

PLAN_TYPE = "DeploymentPlan"
PLAN_FILE = "plan.yml"
_LARGEST_BYTES = 1024 * 1024
_LONGEST_NAME = 60
_MOST_GROUPS = 1000
_MOST_ACTIONS = 20


@dataclass(frozen=True, slots=True)
class _Action:
    name: str
    item: str
    needs: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Group:
    """One item, the groups it waits for, and what runs around it, in order."""

    name: str
    item: str
    needs: frozenset[str]
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """A checked plan; groups by the logical id of their item."""

    groups: Mapping[str, _Group]

    def needs(self, logical_id: str) -> set[str]:
        """Return the items that have to be there before this one, over any number of groups."""
        names = {group.name: group for group in self.groups.values()}
        found: set[str] = set()
        group = self.groups.get(logical_id)
        waiting = [] if group is None else list(group.needs)
        while waiting:
            needed = names[waiting.pop()]
            if needed.item not in found:
                found.add(needed.item)
                waiting += needed.needs
        return found


def requested_plan(call: Call, options: Mapping[str, Any], reference: str) -> str | None:
    """Return the id of the plan that a request attaches, None without one.

    Args:
        call: Its URL has to say ``beta=true``: else the member is unknown and ignored, as other
            unknown members are (assumed).
        options: The request's options.
        reference: ``ByLogicalId`` or ``ByItemId``; the spelling counts.
    """
    given = wire.mapping(options, "deploymentPlan")
    if given is None or call.query.get("beta", "").lower() != "true":
        return None
    if given.get("referenceType") != reference:
        raise invalid(f"The referenceType field of the deployment plan must be {reference}")
    return wire.identifier(given, "logicalId" if reference == "ByLogicalId" else "itemId")


def sort_by_needs(
    entries: Sequence[T], key: Callable[[T], str], needs: Mapping[str, set[str]]
) -> list[T]:
    """Return entries in their order, except that each comes after what it needs.

    Raises:
        Refused: 400 CyclicDependencyDetected if plan and lineage contradict each other.
    """
    waiting, known = list(entries), {key(entry) for entry in entries}
    done: list[T] = []
    placed: set[str] = set()
    while waiting:
        ready = next((e for e in waiting if (needs.get(key(e), set()) & known) <= placed), None)
        if ready is None:
            raise refuse(
                400,
                "CyclicDependencyDetected",
                "The deployment plan and the dependencies of the items contradict each other",
            )
        waiting.remove(ready)
        placed.add(key(ready))
        done.append(ready)
    return done


class Actions:
    """The actions of a plan, run in a workspace around its items.

    Args:
        world: Where the jobs run.
        workspace: What is deployed into.
        plan: None runs nothing.
        find: Returns the item of a logical id as the plan knows it.
    """

    def __init__(
        self,
        world: World,
        workspace: Workspace,
        plan: DeploymentPlan | None,
        find: Callable[[str], Item | None],
    ) -> None:
        self._world = world
        self._workspace = workspace
        self._groups = {} if plan is None else plan.groups
        self._find = find
        self._dataflows: set[str] = set()

    def before(self, logical_id: str) -> None:
        """Run what comes before an item."""
        group = self._groups.get(logical_id)
        self._run(() if group is None else group.before)

    def after(self, logical_id: str) -> None:
        """Run what comes after an item."""
        group = self._groups.get(logical_id)
        self._run(() if group is None else group.after)

    def _run(self, logical_ids: Iterable[str]) -> None:
        for logical_id in logical_ids:
            item = self._find(logical_id)
            if item is None:
                raise OperationFailed(
                    "ItemNotFound",
                    f"An action of the deployment plan runs {logical_id}, which is not there",
                )
            if item.type == "Dataflow" and item.id in self._dataflows:
                raise OperationFailed(
                    "OperationNotSupportedForItem",
                    f"The dataflow {item.name} is in more than one action of the deployment plan",
                )
            if item.type == "Dataflow":
                self._dataflows.add(item.id)
            run_action(self._world, self._workspace, item)


def parse_plan(content: bytes) -> DeploymentPlan:
    """Return the plan of a ``plan.yml``.

    Raises:
        Refused: 400 if it is not consistent.
    """
    if len(content) > _LARGEST_BYTES:
        raise _bad("it is larger than 1 MB")
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise _bad("it is no YAML") from None
    groups = [_group(entry) for entry in _list(document, "groups")]
    if len(groups) > _MOST_GROUPS:
        raise _bad(f"it has more than {_MOST_GROUPS} groups")
    _check_graph("group", {group.name: group.needs for group in groups}, len(groups))
    found = {group.item: group for group in groups}
    if len(found) != len(groups):
        raise _bad("an item is in more than one group")
    return DeploymentPlan(found)


def _group(entry: dict[str, Any]) -> _Group:
    name, item = _name(entry), _identifier(entry)
    before, after = (
        [_action(action) for action in _list(entry, key)] for key in ("preActions", "postActions")
    )
    if max(len(before), len(after)) > _MOST_ACTIONS:
        raise _bad(f"{name} has more than {_MOST_ACTIONS} actions")
    actions = [*before, *after]
    _check_graph("action", {action.name: action.needs for action in actions}, len(actions))
    late = {action.name for action in after}
    for action in before:
        if action.needs & late:
            raise _bad(f"{action.name} runs before the item and needs what runs after it")
        if action.item == item:
            raise _bad(f"{action.name} runs the item of its own group before it is there")
    return _Group(name, item, _depends(entry, "groupName"), _ordered(before), _ordered(after))


def _action(entry: dict[str, Any]) -> _Action:
    job = entry.get("job")
    if not isinstance(job, dict) or job.get("type") != "Execute":
        raise _bad("an action has no job of type Execute")
    return _Action(_name(entry), _identifier(job), _depends(entry, "actionName"))


def _ordered(actions: Sequence[_Action]) -> tuple[str, ...]:
    needs = {action.name: set(action.needs) for action in actions}
    return tuple(action.item for action in sort_by_needs(actions, lambda a: a.name, needs))


def _check_graph(kind: str, needs: Mapping[str, frozenset[str]], count: int) -> None:
    if len(needs) != count:
        raise _bad(f"two {kind}s have the same name")
    for name, needed in needs.items():
        if not needed <= needs.keys():
            raise _bad(f"{name} depends on a {kind} that is not there")
    sort_by_needs(list(needs), lambda name: name, {name: set(more) for name, more in needs.items()})


def _list(document: object, key: str) -> list[dict[str, Any]]:
    found = document.get(key) if isinstance(document, dict) else None
    if found is None and isinstance(document, dict):
        return []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise _bad(f"{key} is no list of objects")
    return found


def _name(entry: Mapping[str, Any]) -> str:
    """Return a name; case does not count (docs)."""
    found = entry.get("name")
    if not isinstance(found, str) or not 0 < len(found) <= _LONGEST_NAME:
        raise _bad(f"a name is missing or longer than {_LONGEST_NAME} characters")
    return found.lower()


def _identifier(entry: Mapping[str, Any]) -> str:
    found = entry.get("logicalId")
    if not wire.is_guid(found) or not set(str(found)) - {"0", "-"}:
        raise _bad("a logicalId is missing or no valid id")
    return str(found).lower()


def _depends(entry: Mapping[str, Any], key: str) -> frozenset[str]:
    names = [needed.get(key) for needed in _list(entry, "dependsOn")]
    if not all(isinstance(name, str) for name in names):
        raise _bad(f"a dependency has no {key}")
    return frozenset(str(name).lower() for name in names)


def _bad(why: str) -> Exception:
    return refuse(400, "InvalidDeploymentPlan", f"The deployment plan is not valid: {why}")
