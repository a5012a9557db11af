"""Estates from YAML text, live sides from a few words, and short forms of what a plan says."""

from __future__ import annotations

from datetime import UTC, datetime
from textwrap import dedent
from typing import Any

import yaml

from reconciler.ids import Address, address
from reconciler.live.models import (
    ChangeType,
    ConflictType,
    ConnectionState,
    CredentialSource,
    Definition,
    GitTarget,
    LiveBinding,
    LiveCapacity,
    LiveChange,
    LiveConnection,
    LiveItem,
    LiveOperation,
    LivePipeline,
    LiveRepository,
    LiveStage,
    LiveStageItem,
    LiveStatus,
    LiveWorkspace,
    Snapshot,
    TargetContent,
    Unreadable,
)
from reconciler.plan.actions import Action
from reconciler.plan.build import PlanInput, build_plan
from reconciler.plan.plan import Plan
from reconciler.spec.load import digest_of, estate_from_resolved

HEADER = {"apiVersion": "reconciler/v1", "kind": "Estate", "metadata": {"name": "sales"}}
CAPACITIES = (
    LiveCapacity("c8", "F8", "F8", "West Europe", "Active"),
    LiveCapacity("c64", "F64", "F64", "West Europe", "Active"),
    LiveCapacity("c0", "Paused", "F2", "West Europe", "Inactive"),
)
GIT = "{provider: AzureDevOps, organization: contoso, project: Sales, repository: r, branch: main"
MAIN = GitTarget("AzureDevOps", "r", "main", "/", "contoso", "Sales")


def wanted(
    text: str,
    *,
    target: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    beta: bool = False,
) -> PlanInput:
    """Return the planner's input for a spec given without its header."""
    resolved = {**HEADER, **yaml.safe_load(dedent(text))}
    return PlanInput(
        estate=estate_from_resolved(resolved),
        resolved=resolved,
        digest=digest_of(resolved),
        target=target,
        exclude=exclude,
        beta=beta,
    )


def plan(text: str, live: Snapshot | None = None, **options: Any) -> Plan:
    """Plan a spec against a live side."""
    return build_plan(wanted(text, **options), live or snapshot())


def snapshot(
    *,
    workspaces: dict[str, LiveWorkspace] | None = None,
    bindings: dict[str, LiveBinding] | None = None,
    repositories: dict[str, LiveRepository] | None = None,
    pipelines: dict[str, LivePipeline] | None = None,
    unreadable: tuple[str, ...] = (),
    visible: dict[str, str] | None = None,
    **parts: Any,
) -> Snapshot:
    """Return a live side; keys are names, of workspaces also for bindings."""
    live = workspaces or {}
    return Snapshot(
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
        visible_workspaces={w.name: w.id for w in live.values()} | (visible or {}),
        workspaces={address("workspaces", n): w for n, w in live.items()},
        bindings={address("workspaces", n, "git"): b for n, b in (bindings or {}).items()},
        repositories={
            address("repositories", "Sales", n): r for n, r in (repositories or {}).items()
        },
        pipelines={address("pipelines", n): p for n, p in (pipelines or {}).items()},
        unreadable={
            Address(a): Unreadable(Address(a), "read", "forbidden", status=403) for a in unreadable
        },
        **{"capacities": CAPACITIES, "connections": (), **parts},
    )


def workspace(name: str, *, items: tuple[str, ...] | None = None, **fields: Any) -> LiveWorkspace:
    """Return a workspace on F8; ``items`` are names of notebooks."""
    found = None if items is None else tuple(LiveItem(f"{name}-{i}", "Notebook", i) for i in items)
    return LiveWorkspace(
        **{"id": f"ws-{name}", "name": name, "capacity_id": "c8", "items": found, **fields}
    )


def workspaces(*names: str, **fields: Any) -> dict[str, LiveWorkspace]:
    """Return several workspaces of one kind, by name."""
    return {n: workspace(n, **fields) for n in names}


def change(
    name: str, *, remote: str | None = None, local: str | None = None, conflict: str = "None"
) -> LiveChange:
    """Return one line of git status."""
    return LiveChange(
        "Notebook",
        name,
        object_id=f"o-{name}",
        logical_id=f"l-{name}",
        remote=ChangeType(remote) if remote else None,
        workspace=ChangeType(local) if local else None,
        conflict=ConflictType(conflict),
    )


def incoming(name: str) -> LiveChange:
    """Return a change that is in Git only."""
    return change(name, remote="Modified")


def local(name: str) -> LiveChange:
    """Return a change that is in the workspace only."""
    return change(name, local="Modified")


def clash(name: str) -> LiveChange:
    """Return a change on both sides."""
    return change(name, remote="Modified", local="Modified", conflict="Conflict")


def bound(*changes: LiveChange, target: GitTarget = MAIN, **fields: Any) -> LiveBinding:
    """Return an initialised binding: head ``head``, branch tip ``tip`` when anything comes in."""
    tip = "tip" if any(c.remote for c in changes) else "head"
    return LiveBinding(
        **{
            "state": ConnectionState.INITIALIZED,
            "target": target,
            "head": "head",
            "credential_source": CredentialSource.AUTOMATIC,
            "status": LiveStatus("head", tip, changes),
            **fields,
        }
    )


def unbound(*, folders: int | None = 0, **content: Any) -> LiveBinding:
    """Return no binding; the branch holds ``folders`` items, None: nobody can look."""
    seen = TargetContent(readable=folders is not None, item_folders=folders or 0, **content)
    return LiveBinding(ConnectionState.NOT_CONNECTED, content=seen)


def stage_item(
    name: str, *, source: str | None = None, target: str | None = None, type_: str = "Notebook"
) -> LiveStageItem:
    """Return an item of a stage; its id is its name."""
    return LiveStageItem(name, type_, name.split("@", maxsplit=1)[0], source, target, None)


def pipeline(
    *stages: tuple[str, str | None], items: dict[str, tuple[LiveStageItem, ...]] | None = None
) -> LivePipeline:
    """Return the pipeline ``Sales`` with stages (name, workspace); ``items`` by stage name."""
    return LivePipeline(
        id="p-Sales",
        name="Sales",
        description="",
        stages=tuple(
            LiveStage(f"s-{name}", n, name, "", False, f"ws-{held}" if held else None, held)
            for n, (name, held) in enumerate(stages)
        ),
        roles=(),
        items={f"s-{n}": found for n, found in (items or {}).items()},
        operations=(LiveOperation("op-1", "Succeeded", None, None, None, None),),
    )


def paired(*names: str, new: tuple[str, ...] = ()) -> dict[str, tuple[LiveStageItem, ...]]:
    """Return items of the stages Dev and Test: pairs, and ones that Dev alone has."""
    return {
        "Dev": tuple(stage_item(n, target=f"{n}@t") for n in names)
        + tuple(stage_item(n) for n in new),
        "Test": tuple(stage_item(f"{n}@t", source=n) for n in names),
    }


def text(content: str) -> Definition:
    """Return a definition with one file."""
    return Definition({"notebook-content.py": content.encode()})


def connection(name: str) -> LiveConnection:
    """Return a Git connection."""
    return LiveConnection(f"id-{name}", name, "AzureDevOpsSourceControl", "")


def kinds(found: Plan) -> list[str]:
    """Return the kinds of a plan's actions, in order."""
    return [a.kind for a in found.actions]


def only(found: Plan, kind: str, where: str = "") -> Action:
    """Return the one action of a kind at (or below) an address."""
    matching = [a for a in found.actions if a.kind == kind and a.address.startswith(where)]
    assert 1 == len(matching), f"{len(matching)} x {kind} in {kinds(found)}"
    return matching[0]


def codes(found: Plan) -> list[str]:
    """Return the codes of a plan's findings."""
    return [d.code for d in found.diagnostics]


def before(found: Plan, action: Action) -> set[str]:
    """Return the ids of everything an action waits for, directly or not."""
    by_id = {a.id: a for a in found.actions}
    seen: set[str] = set()
    todo = list(action.depends_on)
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo.extend(by_id[at].depends_on)
    return seen
