"""Bindings: connect, initialise (the decision table), switch, credentials, disconnect."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.live.models import ConnectionState, CredentialSource, LiveBinding, LiveRepository

from .world import (
    GIT,
    MAIN,
    bound,
    codes,
    connection,
    incoming,
    kinds,
    local,
    only,
    plan,
    snapshot,
    unbound,
    workspace,
    workspaces,
)


def spec(git: str = "", workspace: str = "") -> str:
    """Return a spec with one bound workspace."""
    return f"workspaces: [{{name: A{workspace}, git: {GIT}{git}}}}}]"


def binding(folders: int | None, items: int, strategy: str | None = None, **content: bool):
    """Plan a first binding: item folders in the directory, items in the workspace."""
    live = workspace("A", items=tuple(f"n{i}" for i in range(items)))
    git = f", initialize: {strategy}" if strategy else ""
    return plan(
        spec(git),
        snapshot(workspaces={"A": live}, bindings={"A": unbound(folders=folders, **content)}),
    )


CONNECT, INIT, UPDATE, COMMIT = "git.connect", "git.initialize", "git.update", "git.commit"
TABLE = [
    # items, folders, strategy, expected after connect and initialise, destructive
    (0, 0, None, [], False),
    (0, 0, "PreferRemote", [], False),
    (0, 2, None, [UPDATE], False),
    (0, 2, "PreferWorkspace", [UPDATE], False),
    (2, 0, None, [COMMIT], False),
    (2, 0, "PreferRemote", [COMMIT], False),
    (2, 2, "PreferRemote", [UPDATE], True),
    (2, 2, "PreferWorkspace", [COMMIT], True),
    (0, None, None, [UPDATE], False),
    (2, None, None, [COMMIT], False),
    (2, None, "PreferRemote", [UPDATE, COMMIT], True),
    (2, None, "PreferWorkspace", [COMMIT], False),
]


@pytest.mark.parametrize(("items", "folders", "strategy", "expected", "destructive"), TABLE)
def test_first_sync_follows_the_decision_table(items, folders, strategy, expected, destructive):
    """Emptiness decides, not difference; a strategy counts only where both sides have content."""
    found = binding(folders, items, strategy)
    assert [CONNECT, INIT, *expected] == kinds(found)
    assert destructive == any(a.destructive for a in found.actions)
    assert [] == codes(found)


def test_content_on_both_sides_without_a_strategy_is_refused():
    """Which side wins is for a person to say; nothing is connected before."""
    found = binding(2, 2)
    assert ["both_sides_have_content"] == codes(found)
    assert [] == kinds(found)


def test_update_that_overwrites_carries_both_consents():
    """An update after PreferRemote needs conflict resolution and override, or it is refused."""
    op = only(binding(2, 2, "PreferRemote"), UPDATE).op
    assert ("PreferRemote", True) == (op.conflicts, op.allow_override)


def test_what_initialise_asks_for_is_marked_as_not_known():
    """The first sync is announced with its possible outcomes."""
    found = binding(None, 2, "PreferRemote")
    assert [False, True, True, True] == [a.after_unknown for a in found.actions]
    assert 3 == len(only(found, INIT).outcomes)


def test_steps_of_a_workspace_stand_one_after_the_other():
    """One operation at a time per workspace."""
    found = binding(2, 2, "PreferRemote")
    assert [1, 2, 3] == [a.wave for a in found.actions]


MISSING = {
    "repository": {"repository_exists": False},
    "branch": {"branch_exists": False},
    "directory": {"directory_exists": False},
}


@pytest.mark.parametrize("what", MISSING)
def test_target_that_is_not_there_is_an_error_before_any_write(what):
    """Connect would answer GitProviderResourceNotFound."""
    found = binding(0, 0, **MISSING[what])
    assert ["git_target_missing"] == codes(found)
    assert f"no {what}" in found.diagnostics[0].summary


def test_workspace_without_capacity_cannot_be_bound():
    """Git needs a capacity, and saying so early saves a failed connect."""
    live = workspace("A", items=(), capacity_id=None)
    found = plan(spec(), snapshot(workspaces={"A": live}, bindings={"A": unbound()}))
    assert ["workspace_without_capacity"] == codes(found)
    assert [] == kinds(found)


def test_capacity_is_assigned_before_the_binding_that_needs_it():
    """A capacity of the same plan suffices, and comes first."""
    live = workspace("A", items=(), capacity_id=None)
    found = plan(
        spec(workspace=", capacity: F8"),
        snapshot(workspaces={"A": live}, bindings={"A": unbound()}),
    )
    assert ["workspace.assign_capacity", CONNECT, INIT] == kinds(found)
    assert (only(found, "workspace.assign_capacity").id,) == only(found, CONNECT).depends_on


def test_new_workspace_is_bound_after_it_is_made():
    """Nothing is there yet, so the items come from Git."""
    found = plan(
        spec(workspace=", create: true, capacity: F8"), snapshot(bindings={"A": unbound(folders=3)})
    )
    assert ["workspace.create", CONNECT, INIT, UPDATE] == kinds(found)


REPOSITORY = "azureDevOps: {organization: contoso, repositories: [{project: sales, name: R, create: true}]}\n"


def test_binding_waits_for_its_repository_whatever_the_case_of_its_name():
    """Azure DevOps compares names without case; what a new repository holds is not known."""
    found = plan(
        REPOSITORY + spec(),
        snapshot(
            workspaces={"A": workspace("A", items=())},
            bindings={"A": unbound(repository_exists=False)},
        ),
    )
    assert ["repository.create", CONNECT, INIT, UPDATE] == kinds(found)
    assert [] == codes(found)
    assert (only(found, "repository.create").id,) == only(found, CONNECT).depends_on


def test_connection_made_by_the_plan_does_not_hide_a_missing_branch():
    """Only content that is still to arrive excuses a target that is not there."""
    secret = "{servicePrincipal: {tenantId: t, clientId: c, secret: '${env.SP}'}}"
    text = (
        "connections: [{name: g, type: AzureDevOpsSourceControl, create: "
        f"{{url: 'https://dev.azure.com/contoso', credentials: {secret}}}}}]\n"
        + spec(", credentials: {connection: g}")
    )
    live = snapshot(
        workspaces={"A": workspace("A", items=())}, bindings={"A": unbound(branch_exists=False)}
    )
    assert ["git_target_missing"] == codes(plan(text, live))


def test_default_branch_change_does_not_hide_what_the_branch_holds():
    """A repository that is only re-pointed has the content that was read."""
    repository = LiveRepository("p", id="r1", name="R", empty=False, default_branch="dev")
    text = REPOSITORY.replace("create: true", "defaultBranch: main") + spec()
    live = snapshot(
        workspaces={"A": workspace("A", items=("n",))},
        bindings={"A": unbound(folders=1)},
    )
    live = replace(live, repositories={"repositories/sales/R": repository})
    assert ["both_sides_have_content"] == codes(plan(text, live))


def test_unreadable_binding_is_unknown():
    """A forbidden connection read is no missing connection."""
    found = plan(spec(), snapshot(workspaces=workspaces("A"), unreadable=("workspaces/A/git",)))
    assert ([], ("workspaces/A/git",)) == (kinds(found), found.unknown)


def test_connected_but_not_initialised_goes_on_where_it_stopped():
    """A run that broke off after connect is completed, not refused."""
    live = replace(unbound(folders=2), state=ConnectionState.CONNECTED, target=MAIN)
    found = plan(spec(), snapshot(workspaces={"A": workspace("A", items=())}, bindings={"A": live}))
    assert [INIT, UPDATE] == kinds(found)


# -- switch --

ELSEWHERE = bound(target=replace(MAIN, branch="old"))


def switch(git: str = "", live: LiveBinding = ELSEWHERE, **parts):
    """Plan a binding that points to another branch."""
    return plan(
        spec(git),
        snapshot(
            workspaces={"A": workspace("A", items=("n",))},
            bindings={"A": replace(live, content=unbound(folders=1).content)},
            **parts,
        ),
    )


def test_switch_needs_a_word_on_which_side_wins():
    """Another branch in the spec alone never disconnects a workspace."""
    assert ["switch_needs_strategy"] == codes(switch())
    assert [] == kinds(switch())


@pytest.mark.parametrize(
    ("strategy", "sync"), [("PreferRemote", UPDATE), ("PreferWorkspace", COMMIT)]
)
def test_switch_is_destructive_and_followed_by_the_first_sync(strategy, sync):
    """What was bound, what would be lost, and the consent stand in the plan."""
    found = switch(f", initialize: {strategy}", replace(ELSEWHERE, status=bound(local("n")).status))
    assert ["git.switch", sync] == kinds(found)
    action = only(found, "git.switch")
    assert action.destructive
    assert ["n"] == [i.name for i in action.items]
    assert {"bound_to": "contoso/Sales/r@old:/", "workspace_head": "head"} == action.preconditions


def test_switch_to_what_nobody_has_seen_is_refused():
    """A switch disconnects first, so its target must have been read."""
    live = replace(ELSEWHERE, content=unbound(folders=None).content)
    found = plan(
        spec(", initialize: PreferRemote"),
        snapshot(workspaces={"A": workspace("A", items=())}, bindings={"A": live}),
    )
    assert ["switch_target_unreadable"] == codes(found)


def test_switch_keeps_the_connection_it_was_bound_with():
    """Credentials the spec does not speak of are restored."""
    live = replace(
        ELSEWHERE,
        credential_source=CredentialSource.CONFIGURED,
        credential_connection_id="id-g",
    )
    found = switch(", initialize: PreferRemote", live, connections=(connection("g"),))
    assert "connections/g" == only(found, "git.switch").op.credentials.connection


@pytest.mark.parametrize("key", ["organization: CONTOSO", "project: sALES", "repository: R"])
def test_names_in_another_case_are_the_same_place(key):
    """Names come back with the server's casing."""
    name, value = key.split(": ")
    target = replace(MAIN, **{name: value})
    live = snapshot(workspaces=workspaces("A"), bindings={"A": bound(target=target)})
    assert [] == kinds(plan(spec(), live))


@pytest.mark.parametrize("key", ["branch: Main", "directory: /Fabric"])
def test_branch_and_directory_are_case_sensitive(key):
    """Another case is another branch or directory."""
    name, value = key.split(": ")
    live = bound(target=replace(MAIN, **{name: value}))
    assert ["switch_needs_strategy"] == codes(switch(live=live))


# -- credentials --

CONFIGURED = replace(
    bound(incoming("n")),
    credential_source=CredentialSource.CONFIGURED,
    credential_connection_id="id-g",
)
UNSEEN = replace(
    bound(), credential_source=CredentialSource.NONE, credentials_missing=True, status=None
)
CREDENTIALS = {
    "as wanted": (CONFIGURED, "{connection: g}", [UPDATE], []),
    "as wanted, by id": (CONFIGURED, "{connection: id-g}", [UPDATE], []),
    "another connection": (CONFIGURED, "{connection: h}", ["git.credentials", UPDATE], []),
    "automatic instead": (CONFIGURED, "automatic", ["git.credentials", UPDATE], []),
    "not seen, set": (UNSEEN, "{connection: g}", ["git.credentials", UPDATE], []),
    "not seen, not managed": (UNSEEN, None, [], ["git_credentials_missing"]),
    "none": (CONFIGURED, "none", ["git.credentials"], []),
    "none already": (UNSEEN, "none", [], []),
    "connection missing": (CONFIGURED, "{connection: x}", [], ["connection_missing"]),
}


@pytest.mark.parametrize("name", CREDENTIALS)
def test_credentials_of_this_caller(name):
    """Credentials are compared, set before the sync that needs them, and never guessed."""
    live, wanted, expected, errors = CREDENTIALS[name]
    found = plan(
        spec(f", credentials: {wanted}" if wanted else ""),
        snapshot(
            workspaces=workspaces("A"),
            bindings={"A": live},
            connections=(connection("g"), connection("h")),
        ),
    )
    assert expected == kinds(found)
    assert errors == codes(found)


def test_sync_behind_new_credentials_is_not_known_yet():
    """Status is visible only once the credentials are set."""
    found = plan(
        spec(", credentials: {connection: g}, sync: {direction: both}"),
        snapshot(
            workspaces=workspaces("A"), bindings={"A": UNSEEN}, connections=(connection("g"),)
        ),
    )
    assert ["git.credentials", UPDATE, COMMIT] == kinds(found)
    assert [False, True, True] == [a.after_unknown for a in found.actions]


def test_unreadable_connections_make_the_binding_unknown():
    """A connection that cannot be looked up is not missing."""
    found = plan(
        spec(", credentials: {connection: g}"),
        snapshot(
            workspaces=workspaces("A"),
            bindings={"A": CONFIGURED},
            unreadable=("connections",),
            connections=None,
        ),
    )
    assert ([], [], ("workspaces/A/git",)) == (kinds(found), codes(found), found.unknown)


# -- disconnect --


def test_tombstone_of_a_binding_disconnects_and_lists_what_is_not_in_git():
    """Uncommitted work stays in the workspace but loses its way to Git."""
    live = snapshot(workspaces=workspaces("A"), bindings={"A": bound(local("n"))})
    action = only(plan(spec(", state: absent"), live), "git.disconnect")
    assert action.destructive
    assert ["n"] == [i.name for i in action.items]
    assert {"bound_to": "contoso/Sales/r@main:/"} == action.preconditions


def test_tombstone_of_no_binding_needs_nothing():
    """Disconnected stays disconnected."""
    live = snapshot(workspaces=workspaces("A"), bindings={"A": unbound()})
    assert [] == kinds(plan(spec(", state: absent"), live))


# -- service principals, and what a switch loses --


@pytest.mark.parametrize("credentials", ["", ", credentials: automatic"])
def test_automatic_credentials_of_a_service_principal_are_refused_while_planning(credentials):
    """The service would refuse them after the first write; unset means automatic at connect."""
    found = plan(
        spec(credentials),
        snapshot(
            workspaces={"A": workspace("A", items=())},
            bindings={"A": unbound()},
            caller_is_app=True,
        ),
    )
    assert (["automatic_needs_a_person"], []) == (codes(found), kinds(found))


def test_automatic_credentials_in_place_of_others_are_refused_for_a_service_principal():
    """A change of credentials is looked at in the same way as a connect."""
    live = snapshot(workspaces=workspaces("A"), bindings={"A": CONFIGURED}, caller_is_app=True)
    found = plan(spec(", credentials: automatic"), live)
    assert ["automatic_needs_a_person"] == codes(found)
    assert "git.credentials" not in kinds(found)


def test_bound_workspace_without_managed_credentials_is_no_matter_of_who_calls():
    """What the spec leaves out is not managed."""
    live = snapshot(workspaces=workspaces("A"), bindings={"A": CONFIGURED}, caller_is_app=True)
    assert [UPDATE] == kinds(plan(spec(), live))


def lost(strategy: str, *folders: str) -> dict[str, tuple[str, str]]:
    """Return what a switch of items n and m, n edited by hand, lists as lost."""
    live = replace(
        ELSEWHERE,
        status=bound(local("n")).status,
        content=replace(unbound(folders=len(folders)).content, folder_names=folders),
    )
    found = plan(
        spec(f", initialize: {strategy}"),
        snapshot(workspaces={"A": workspace("A", items=("n", "m"))}, bindings={"A": live}),
    )
    items = only(found, "git.switch").items
    return {f"{i.type} {i.name}": (i.change, i.detail or "") for i in items}


def test_switch_to_what_git_has_lists_every_item_that_goes():
    """Uncommitted changes, and items the target does not have."""
    found = lost("PreferRemote", "n.Notebook", "other.Report")
    assert {
        "Notebook n": ("Modified", "uncommitted, lost"),
        "Notebook m": ("Deleted", "not on the target branch"),
    } == found


def test_switch_to_what_the_workspace_has_lists_what_the_branch_loses():
    """The other side is somebody's work too."""
    found = lost("PreferWorkspace", "n.Notebook", "other.Report")
    assert ("Modified", "uncommitted, goes to the target branch") == found["Notebook n"]
    assert "Deleted" == found["Report other"][0]
    assert 2 == len(found)


def test_switch_to_github_is_refused_for_what_nobody_can_look_at():
    """The reason is the service's, not the caller's, and there is a way in two steps."""
    hub = "{provider: GitHub, owner: o, repository: r, branch: main, initialize: PreferRemote"
    text = f"workspaces: [{{name: A, git: {hub}, credentials: {{connection: g}}}}}}]"
    live = snapshot(
        workspaces={"A": workspace("A", items=("n",))},
        bindings={"A": bound()},
        connections=(connection("g"),),
    )
    found = plan(text, live)
    assert ["switch_target_unreadable"] == codes(found)
    assert "Fabric has no call that reads GitHub" in found.diagnostics[0].summary
    assert "state: absent" in found.diagnostics[0].detail


def test_switch_keeps_a_connection_that_no_list_names():
    """The list of connections is read only where the spec names one; the id is enough."""
    live = replace(
        ELSEWHERE,
        credential_source=CredentialSource.CONFIGURED,
        credential_connection_id="id-x",
    )
    found = switch(", initialize: PreferRemote", live, connections=None)
    assert "id-x" == found.bindings[only(found, "git.switch").op.credentials.connection]
