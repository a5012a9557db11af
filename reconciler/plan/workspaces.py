"""Plan connections and workspaces: create, describe, rename, capacity, roles, delete."""

from __future__ import annotations

from reconciler.diff.changes import FieldDiff, diff_fields
from reconciler.ids import Address, address
from reconciler.live.models import LiveRole, LiveWorkspace
from reconciler.plan.actions import (
    AddWorkspaceRole,
    AssignCapacity,
    CreateConnection,
    CreateWorkspace,
    DeleteWorkspace,
    FieldChange,
    RemoveWorkspaceRole,
    UpdateWorkspace,
    UpdateWorkspaceRole,
)
from reconciler.plan.draft import Draft, field_changes, roles_of
from reconciler.plan.plan import DriftEntry
from reconciler.spec.models import ConnectionSpec, RoleSpec, WorkspaceSpec
from reconciler.spec.resolve import (
    connection_address,
    role_address,
    workspace_address,
)

__all__ = [
    "capacity_id",
    "connection_ready",
    "find_workspace_id",
    "plan_connections",
    "plan_roles_after_deployment",
    "plan_workspaces",
    "workspace_is_planned",
]


def plan_connections(draft: Draft) -> None:
    """Plan the connections of the spec; the ones only referred to are checked where used."""
    for spec in draft.estate.connections:
        where = connection_address(spec)
        if draft.skip_unknown(where):
            continue
        found = draft.connection(spec.name)
        if found is not None:
            draft.bindings[where] = found.id
            _check_connection_type(draft, spec, found.type, where)
        elif spec.state == "absent":
            continue
        elif spec.create is None:
            _missing_connection(draft, spec.name, where)
        else:
            draft.add(
                CreateConnection(name=spec.name, type=spec.type),
                where,
                code="connection_missing",
                why=f"no connection {spec.name} is visible to this caller",
                changes=(
                    FieldChange(path="url", after=spec.create.url),
                    FieldChange(path="credentials", after="(sensitive)"),
                ),
                requests=2,
            )


def _check_connection_type(
    draft: Draft, spec: ConnectionSpec, live_type: str, where: Address
) -> None:
    if spec.state == "absent":
        draft.error(
            "connection_delete_unsupported",
            f"The connection {spec.name} exists and connections are never deleted.",
            "Delete it in Fabric under Manage connections, or take it out of the spec.",
            where,
        )
    elif live_type != spec.type:
        draft.error(
            "connection_type_differs",
            f"The connection {spec.name} is of type {live_type}, not {spec.type}.",
            "Use another name, or correct type; a connection's type cannot be changed.",
            where,
        )


def connection_ready(draft: Draft, name: str, user: Address) -> tuple[Address, list[str]] | None:
    """Return the address of a connection and the actions that make it; None: it cannot be used.

    Records why for ``user``, the address that needs it.
    """
    where = address("connections", name)
    if draft.skip_unknown(user, where):
        return None
    made_by = draft.doers(where)
    if made_by:
        return where, made_by
    found = draft.connection(name)
    if found is None:
        if not draft.declares_connection(name):
            _missing_connection(draft, name, user)
        return None
    draft.bindings[where] = found.id
    return where, []


def _missing_connection(draft: Draft, name: str, where: Address) -> None:
    draft.error(
        "connection_missing",
        f"The connection {name} does not exist or is not shared with this caller.",
        "Share it with the caller in Fabric (Manage connections > Manage users), correct the "
        "name, or add create: with its URL and credentials.",
        where,
    )


def capacity_id(draft: Draft, wanted: str, where: Address) -> str | None:
    """Find a capacity to use by name or id; records an error, or unknown, when there is none.

    A paused capacity is an error, since nothing can be put on it.
    """
    if draft.skip_unknown(where, address("capacities")):
        return None
    capacity = draft.capacity(wanted)
    if capacity is not None:
        if capacity.state == "Active":
            return capacity.id
        draft.error(
            "capacity_not_active",
            f"The capacity {capacity.name} is {capacity.state.lower()}.",
            "Resume it in the Azure portal, or name another capacity.",
            where,
        )
        return None
    known = ", ".join(sorted(c.name for c in draft.snapshot.capacities or ())) or "none"
    draft.error(
        "capacity_missing",
        f"The capacity {wanted} does not exist or is not visible to this caller.",
        f"Visible capacities: {known}. Correct the name, or give the caller the capacity "
        "contributor permission.",
        where,
    )
    return None


def find_workspace_id(draft: Draft, name: str) -> str | None:
    """Find a visible workspace by the name or id a stage uses."""
    spec = draft.workspace_spec(name)
    if spec is not None:
        live = draft.snapshot.workspaces.get(workspace_address(spec))
        return live.id if live else None
    return draft.visible_workspace_id(name)


def workspace_is_planned(draft: Draft, where: Address) -> bool:
    """Tell whether an action of this plan makes the workspace."""
    return any(draft.actions[i].kind == "workspace.create" for i in draft.doers(where))


def plan_workspaces(draft: Draft, made_by_deployment: frozenset[str]) -> None:
    """Plan every workspace of the spec.

    Args:
        made_by_deployment: names of workspaces that a first deployment creates.
    """
    for spec in draft.estate.workspaces:
        where = workspace_address(spec)
        if draft.skip_unknown(where):
            continue
        live = draft.snapshot.workspaces.get(where)
        if live is None:
            _plan_missing(draft, spec, where, made_by_deployment)
        elif spec.state == "absent":
            draft.bindings[where] = live.id
            draft.add(
                DeleteWorkspace(),
                where,
                lane=where,
                code="tombstone",
                why="state: absent",
                destructive=True,
                requests=2,
            )
        else:
            draft.bindings[where] = live.id
            _plan_existing(draft, spec, where, live)


def _plan_missing(
    draft: Draft, spec: WorkspaceSpec, where: Address, made_by_deployment: frozenset[str]
) -> None:
    if spec.state == "absent" or spec.name in made_by_deployment:
        return
    if not spec.create or spec.name is None:
        draft.error(
            "workspace_missing",
            f"The workspace {spec.name or spec.id} does not exist or is not visible to this "
            "caller.",
            "Set create: true to have it made, correct the name, or give the caller a role in it.",
            where,
        )
        return
    capacity = None
    if spec.capacity is not None:
        capacity = capacity_id(draft, spec.capacity, where)
        if capacity is None:
            return
    draft.add(
        CreateWorkspace(name=spec.name, description=spec.description, capacity_id=capacity),
        where,
        lane=where,
        code="workspace_missing",
        why=f"no workspace {spec.name} is visible to this caller",
        changes=field_changes(
            *diff_fields(("description", None, spec.description), ("capacity", None, spec.capacity))
        ),
        requests=3,
    )
    for role in spec.roles:
        if role.state == "present":
            _add_role(draft, spec, role_address(spec, role), role)


def plan_roles_after_deployment(draft: Draft, made_by_deployment: frozenset[str]) -> None:
    """Plan the roles of workspaces that a deployment of this plan creates."""
    for spec in draft.estate.workspaces:
        where = workspace_address(spec)
        missing = draft.snapshot.workspaces.get(where) is None
        if missing and spec.name in made_by_deployment and draft.lane_tail(where):
            for role in spec.roles:
                if role.state == "present":
                    _add_role(draft, spec, role_address(spec, role), role)


def _plan_existing(draft: Draft, spec: WorkspaceSpec, where: Address, live: LiveWorkspace) -> None:
    if spec.capacity is not None and draft.skip_unknown(where, address("capacities")):
        return
    fields = diff_fields(
        ("name", live.name, spec.name if spec.id else None),
        ("description", live.description, spec.description),
    )
    if fields:
        wanted = {f.path: f.after for f in fields}
        draft.add(
            UpdateWorkspace(name=wanted.get("name"), description=wanted.get("description")),
            where,
            lane=where,
            code="fields_differ",
            why=_fields_text(fields),
            changes=field_changes(*fields),
            requests=2,
        )
        _field_drift(draft, where, fields)
    if spec.capacity is not None:
        _plan_capacity(draft, spec.capacity, where, live)
    if spec.roles:
        _plan_roles(draft, spec, where, live.roles or ())


def _plan_capacity(draft: Draft, wanted: str, where: Address, live: LiveWorkspace) -> None:
    on = draft.capacity(live.capacity_id) if live.capacity_id else None
    if wanted.lower() == (live.capacity_id or "").lower() or (
        on is not None and on == draft.capacity(wanted)
    ):
        if on is not None and on.state != "Active":
            draft.warn(
                "capacity_not_active",
                f"The capacity {on.name} is {on.state.lower()}.",
                "What needs it fails until it is resumed in the Azure portal.",
                where,
            )
        return
    capacity = capacity_id(draft, wanted, where)
    if capacity is None or capacity == live.capacity_id:
        return
    before = on.name if on else live.capacity_id
    change = FieldDiff("capacity", before, wanted)
    draft.add(
        AssignCapacity(capacity_id=capacity),
        where,
        lane=where,
        code="capacity_differs",
        why=f"the workspace is on {before or 'no capacity'}",
        changes=field_changes(change),
        preconditions={"capacity_id": live.capacity_id},
        requests=3,
    )
    _field_drift(draft, where, (change,))


def _plan_roles(
    draft: Draft, spec: WorkspaceSpec, where: Address, live_roles: tuple[LiveRole, ...]
) -> None:
    if draft.skip_unknown(roles_of(where)):
        return
    live = {r.principal_id.lower(): r for r in live_roles}
    for role in spec.roles:
        at = role_address(spec, role)
        principal = role.principal
        has = live.get(principal.id.lower())
        if role.state == "absent":
            if has is not None:
                change = FieldDiff("role", has.role, None)
                draft.add(
                    RemoveWorkspaceRole(workspace=where, principal_id=principal.id),
                    at,
                    after=draft.lane_tail(where),
                    code="tombstone",
                    why="state: absent",
                    changes=field_changes(change),
                    destructive=True,
                    requests=2,
                )
                _field_drift(draft, at, (change,))
        elif has is None:
            _add_role(draft, spec, at, role)
            _field_drift(draft, at, (FieldDiff("role", None, role.role),))
        elif has.role != role.role:
            change = FieldDiff("role", has.role, role.role)
            draft.add(
                UpdateWorkspaceRole(workspace=where, principal_id=principal.id, role=role.role),
                at,
                after=draft.lane_tail(where),
                code="role_differs",
                why=f"the principal is {has.role}",
                changes=field_changes(change),
                preconditions={"role": has.role},
                requests=2,
            )
            _field_drift(draft, at, (change,))


def _add_role(draft: Draft, spec: WorkspaceSpec, at: Address, role: RoleSpec) -> None:
    where = workspace_address(spec)
    draft.add(
        AddWorkspaceRole(
            workspace=where,
            principal_id=role.principal.id,
            principal_type=role.principal.type,
            role=role.role,
        ),
        at,
        after=draft.lane_tail(where),
        code="role_missing",
        why="the principal has no role in the workspace",
        changes=(FieldChange(path="role", after=role.role),),
        requests=2,
    )


def _fields_text(fields: tuple[FieldDiff, ...]) -> str:
    return ", ".join(f.path for f in fields) + (" differs" if len(fields) == 1 else " differ")


def _field_drift(draft: Draft, where: Address, fields: tuple[FieldDiff, ...]) -> None:
    draft.drift.append(
        DriftEntry(
            address=where,
            cause="field",
            text=_fields_text(fields),
            changes=field_changes(*fields),
            planned=True,
        )
    )
