"""Workspaces, roles, capacities and connections."""

from __future__ import annotations

import pytest

from reconciler.live.models import LiveRole

from .world import (
    before,
    codes,
    connection,
    kinds,
    only,
    pipeline,
    plan,
    snapshot,
    workspace,
    workspaces,
)

GROUP = "6f1c0f5e-0000-4000-8000-000000000001"
OTHER = "6f1c0f5e-0000-4000-8000-000000000002"


def role(name: str, principal: str = GROUP) -> LiveRole:
    """Return a live role assignment."""
    return LiveRole(principal, principal, "Group", name)


def with_role(name: str, state: str = "present", more: str = "") -> str:
    """Return a spec with one workspace and one role."""
    return f"""
    workspaces:
      - name: A
        roles: [{{principal: {{id: {GROUP}, type: Group}}, role: {name}, state: {state}}}]
        {more}
    """


def test_missing_workspace_is_created_with_its_roles_after_it():
    """The creator is the only admin at first, so roles follow the creation."""
    found = plan(with_role("Member", more="create: true\n        capacity: F8"))
    assert ["workspace.create", "workspace.role.add"] == kinds(found)
    assert "c8" == only(found, "workspace.create").op.capacity_id
    assert (only(found, "workspace.create").id,) == only(found, "workspace.role.add").depends_on
    assert "is visible to this caller" in only(found, "workspace.create").reason.text


def test_missing_workspace_without_create_is_an_error():
    """Nothing is created that the spec does not ask for."""
    assert ["workspace_missing"] == codes(plan("workspaces: [{name: A}]"))


FIELDS = {
    "description": ("{name: A, description: new}", "workspace.update", "description"),
    "rename by id": (f"{{id: {GROUP}, name: B}}", "workspace.update", "name"),
    "capacity": ("{name: A, capacity: F64}", "workspace.assign_capacity", "capacity"),
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_that_differ_are_changed_and_are_drift(name):
    """A differing field is one action, one change, one line of drift."""
    entry, kind, path = FIELDS[name]
    key = "B" if "B" in entry else "A"
    live = workspace("A", id=GROUP) if key == "B" else workspace("A")
    found = plan(f"workspaces: [{entry}]", snapshot(workspaces={key: live}))
    assert [kind] == kinds(found)
    assert [path] == [c.path for c in found.actions[0].changes]
    assert [("field", True)] == [(d.cause, d.planned) for d in found.drift]


def test_workspace_as_wanted_needs_nothing():
    """An estate that matches gives an empty plan that has nothing to apply."""
    found = plan("workspaces: [{name: A, capacity: F8}]", snapshot(workspaces=workspaces("A")))
    assert [] == kinds(found)
    assert not found.applyable
    assert () == found.drift


CAPACITY = {
    "missing": ("Nowhere", "capacity_missing"),
    "paused": ("Paused", "capacity_not_active"),
}


@pytest.mark.parametrize("name", CAPACITY)
@pytest.mark.parametrize("exists", [True, False])
def test_capacity_that_cannot_be_used_is_an_error(name, exists):
    """A workspace is neither made on nor moved to a capacity that is not there or paused."""
    wanted, code = CAPACITY[name]
    live = snapshot(workspaces=workspaces("A") if exists else {})
    found = plan(f"workspaces: [{{name: A, create: true, capacity: {wanted}}}]", live)
    assert [code] == codes(found)
    assert [] == kinds(found)


def test_paused_capacity_the_workspace_is_on_already_is_a_warning():
    """A capacity paused for the night is no change to make, and does not block the rest."""
    live = snapshot(workspaces=workspaces("A", capacity_id="c0"))
    found = plan("workspaces: [{name: A, capacity: Paused, description: new}]", live)
    assert [("warning", "capacity_not_active")] == [(d.severity, d.code) for d in found.diagnostics]
    assert ["workspace.update"] == kinds(found)
    assert found.applyable


def test_capacity_is_found_by_id_in_any_case():
    """Ids are compared without case."""
    live = snapshot(workspaces=workspaces("A", capacity_id="c64"))
    assert [] == kinds(plan("workspaces: [{name: A, capacity: C64}]", live))


def test_unreadable_capacities_leave_the_workspace_alone():
    """Where capacities cannot be listed nothing is planned on the workspace at all."""
    live = snapshot(workspaces=workspaces("A"), unreadable=("capacities",), capacities=None)
    found = plan("workspaces: [{name: A, capacity: F64, description: new}]", live)
    assert [] == kinds(found)
    assert ("workspaces/A",) == found.unknown


ROLES = {
    "missing": ((), "Member", "present", ["workspace.role.add"]),
    "equal": ((role("Member"),), "Member", "present", []),
    "equal, other case of the id": ((role("Member", GROUP.upper()),), "Member", "present", []),
    "other": ((role("Viewer"),), "Member", "present", ["workspace.role.update"]),
    "tombstone": ((role("Viewer"),), "Viewer", "absent", ["workspace.role.remove"]),
    "gone already": ((), "Viewer", "absent", []),
    "unmanaged principal": ((role("Member"), role("Admin", OTHER)), "Member", "present", []),
}


@pytest.mark.parametrize("name", ROLES)
def test_roles_are_managed_one_principal_at_a_time(name):
    """Roles the spec names are added, changed or removed; others are left alone."""
    live, wanted, state, expected = ROLES[name]
    found = plan(with_role(wanted, state), snapshot(workspaces=workspaces("A", roles=live)))
    assert expected == kinds(found)
    removed = ["workspace.role.remove"] == expected
    assert [removed] * len(expected) == [a.destructive for a in found.actions]


def test_role_change_is_conditional_on_the_role_that_was_seen():
    """Somebody may change the role in between."""
    found = plan(with_role("Member"), snapshot(workspaces=workspaces("A", roles=(role("Viewer"),))))
    assert {"role": "Viewer"} == only(found, "workspace.role.update").preconditions


def test_unreadable_roles_are_unknown_and_the_rest_goes_on():
    """A forbidden role list stops role changes only."""
    text = with_role("Member", more="description: new")
    live = snapshot(workspaces=workspaces("A"), unreadable=("workspaces/A/roles",))
    found = plan(text, live)
    assert ["workspace.update"] == kinds(found)
    assert ("workspaces/A/roles",) == found.unknown


def test_tombstone_deletes_and_says_that_it_destroys():
    """state: absent is the only way to delete, and it is marked."""
    found = plan(
        "workspaces: [{name: A, state: absent, protect: false}]",
        snapshot(workspaces=workspaces("A")),
    )
    assert [("workspace.delete", True)] == [(a.kind, a.destructive) for a in found.actions]


def test_tombstone_of_what_is_gone_needs_nothing():
    """A tombstone may stay in the spec."""
    assert [] == kinds(plan("workspaces: [{name: A, state: absent, protect: false}]"))


def test_leaving_out_is_not_removing():
    """What the spec does not name is not managed."""
    found = plan("workspaces: []", snapshot(workspaces=workspaces("A")))
    assert ([], ()) == (kinds(found), found.drift)


SECRET = "{servicePrincipal: {tenantId: t, clientId: c, secret: '${env.SP}'}}"
CONNECTION = f"""
    connections:
      - name: g
        type: AzureDevOpsSourceControl
        create: {{url: "https://dev.azure.com/contoso", credentials: {SECRET}}}
"""


def test_missing_connection_is_created_without_its_secret_in_the_plan():
    """The plan names the environment variable at most."""
    found = plan(CONNECTION)
    assert ["connection.create"] == kinds(found)
    assert "(sensitive)" in found.to_json()
    assert [] == kinds(plan(CONNECTION, snapshot(connections=(connection("g"),))))


def test_connection_of_another_type_is_an_error():
    """A connection's type cannot be changed."""
    text = "connections: [{name: g, type: GitHubSourceControl}]"
    assert ["connection_type_differs"] == codes(
        plan(text, snapshot(connections=(connection("g"),)))
    )


def test_connection_that_is_only_named_must_exist():
    """Without create a missing connection is an error before any write."""
    text = "connections: [{name: g, type: AzureDevOpsSourceControl}]"
    assert ["connection_missing"] == codes(plan(text))


def test_unreadable_connections_are_unknown():
    """Nothing is created while the list cannot be read."""
    found = plan(CONNECTION, snapshot(unreadable=("connections",), connections=None))
    assert ([], ("connections/g",)) == (kinds(found), found.unknown)


def test_workspace_leaves_its_stage_before_it_is_deleted():
    """The service refuses to delete a workspace that stands in a stage."""
    text = """
    workspaces: [{name: A, state: absent, protect: false}]
    pipelines:
      - {name: Sales, stages: [{name: Dev, workspace: {name: A, state: absent}}, {name: Test}]}
    """
    live = snapshot(
        workspaces=workspaces("A"), pipelines={"Sales": pipeline(("Dev", "A"), ("Test", None))}
    )
    found = plan(text, live)
    delete, unassign = only(found, "workspace.delete"), only(found, "stage.unassign")
    assert unassign.id in before(found, delete)
