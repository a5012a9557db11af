"""Git integration of the emulated Fabric, over real HTTP and real repositories."""

import base64
import json
from pathlib import Path

import httpx
import pytest
from fabric_client import (
    DETAILS,
    GIT,
    ITEMS,
    LAKEHOUSE,
    NOTEBOOK,
    NOTEBOOK_TEXT,
    REPORT,
    ZERO,
    Contract,
    Fabric,
    estate,
    platform,
    write_items,
)

from reconciler.emulator.server import Emulator


@pytest.fixture
async def fabric(emulator: Emulator, http: httpx.AsyncClient, tmp_path: Path) -> Fabric:
    """A repository of items, a workspace synced with it and an unbound one with the same items."""
    write_items(tmp_path / "items")
    found = Fabric(emulator, http)
    await found.scenario(
        tmp_path,
        **estate(
            workspaces=[
                {"name": "Dev", "capacity": "F8", "git": {**GIT, "synced": True}},
                {"name": "Hand", "capacity": "F8", "items": "items"},
                {"name": "Empty", "capacity": "F8"},
                {"name": "Poor"},
            ]
        ),
    )
    return found


async def status(fabric: Fabric, workspace: str) -> dict[str, tuple]:
    """Return changes as ``Name.Type`` to (workspace, remote, conflict, identifier keys)."""
    body = await fabric.get(f"/workspaces/{workspace}/git/status")
    return {
        f"{c['itemMetadata']['displayName']}.{c['itemMetadata']['itemType']}": (
            c.get("workspaceChange"),
            c.get("remoteChange"),
            c["conflictType"],
            "+".join(sorted(c["itemMetadata"]["itemIdentifier"])),
        )
        for c in body["changes"]
    }


async def heads(fabric: Fabric, workspace: str) -> dict[str, str]:
    """Return both heads as a commit or an update takes them."""
    body = await fabric.get(f"/workspaces/{workspace}/git/status")
    return {"workspaceHead": body["workspaceHead"], "remoteCommitHash": body["remoteCommitHash"]}


async def test_a_synced_workspace_has_no_changes_and_equal_heads(fabric: Fabric):
    """Guards the round trip: import and export of a definition change no byte."""
    dev = await fabric.workspace("Dev")
    body = await fabric.get(f"/workspaces/{dev}/git/status")
    assert {"workspaceHead": fabric.tip(), "remoteCommitHash": fabric.tip(), "changes": []} == body


async def test_connect_initialize_update_fills_an_empty_workspace(fabric: Fabric):
    """Guards the first sync from Git, with null heads as the field saw them."""
    ws = await fabric.workspace("Empty")
    git = f"/workspaces/{ws}/git"
    none = await fabric.get(f"{git}/connection")
    assert (None, None, "NotConnected") == (
        none["gitProviderDetails"],
        none["gitSyncDetails"],
        none["gitConnectionState"],
    )
    connected = await fabric.call("POST", f"{git}/connect", {"gitProviderDetails": DETAILS})
    assert b"" == connected.content
    state = await fabric.get(f"{git}/connection")
    assert "contoso" == state["gitProviderDetails"]["organizationName"]
    assert ("Connected", None) == (state["gitConnectionState"], state["gitSyncDetails"])
    assert "WorkspaceGitConnectionNotInitialized" == await fabric.code(
        "GET", f"{git}/status", status=400
    )
    first = await fabric.get(f"{git}/connection")
    assert "Connected" == first["gitConnectionState"]
    answer = (await fabric.call("POST", f"{git}/initializeConnection")).json()
    assert {
        "requiredAction": "UpdateFromGit",
        "workspaceHead": None,
        "remoteCommitHash": fabric.tip(),
    } == answer
    assert "WorkspaceGitConnectionAlreadyInitialized" == await fabric.code(
        "POST", f"{git}/initializeConnection", status=409
    )
    assert None is await fabric.done(
        "POST", f"{git}/updateFromGit", {"remoteCommitHash": fabric.tip()}
    )
    names = set(await fabric.items(ws))
    assert {
        "Raw.Lakehouse",
        "Raw.SQLEndpoint",
        "Ingest.Notebook",
        "Sales.SemanticModel",
        "Sales.Report",
    } == names
    assert {} == await status(fabric, ws)
    final = await fabric.get(f"{git}/connection")
    assert ("ConnectedAndInitialized", fabric.tip()) == (
        final["gitConnectionState"],
        final["gitSyncDetails"]["head"],
    )


async def test_definitions_hold_object_ids_and_the_own_workspace(fabric: Fabric):
    """Guards that references are logical ids in Git and object ids in a workspace."""
    dev = await fabric.workspace("Dev")
    items = await fabric.items(dev)
    parts = await fabric.definition(dev, items["Ingest.Notebook"]["id"])
    text = parts["notebook-content.py"].decode()
    expected = NOTEBOOK_TEXT.replace(LAKEHOUSE, items["Raw.Lakehouse"]["id"]).replace(ZERO, dev)
    assert expected == text
    assert ZERO == json.loads(parts[".platform"])["config"]["logicalId"]
    assert LAKEHOUSE != items["Raw.Lakehouse"]["id"]


async def test_two_workspaces_of_one_directory_share_logical_but_not_object_ids(fabric: Fabric):
    """Guards that items made from Git get fresh object ids."""
    dev, ws = await fabric.workspace("Dev"), await fabric.workspace("Empty")
    await fabric.call("POST", f"/workspaces/{ws}/git/connect", {"gitProviderDetails": DETAILS})
    await fabric.call("POST", f"/workspaces/{ws}/git/initializeConnection", {})
    body = {"remoteCommitHash": fabric.tip(), "workspaceHead": None}
    await fabric.done("POST", f"/workspaces/{ws}/git/updateFromGit", body)
    one, other = await fabric.items(dev), await fabric.items(ws)
    assert {} == {k: v for k, v in one.items() if v["id"] == other[k]["id"]}


async def test_both_sides_with_content_need_a_strategy_even_when_identical(fabric: Fabric):
    """Guards the decision table: emptiness decides, not difference."""
    hand = await fabric.workspace("Hand")
    git = f"/workspaces/{hand}/git"
    await fabric.call("POST", f"{git}/connect", {"gitProviderDetails": DETAILS})
    for body in (None, {}, {"initializationStrategy": "None"}):
        assert "MissingInitializationStrategy" == await fabric.code(
            "POST", f"{git}/initializeConnection", body, status=400
        )
    answer = await fabric.call(
        "POST", f"{git}/initializeConnection", {"initializationStrategy": "PreferRemote"}
    )
    assert "None" == answer.json()["requiredAction"]
    assert {} == await status(fabric, hand)


async def test_prefer_remote_overwrites_the_workspace_and_needs_override(fabric: Fabric):
    """Guards the destructive first sync: what is only in the workspace goes."""
    hand = await fabric.workspace("Hand")
    git = f"/workspaces/{hand}/git"
    await fabric.portal("edit", workspace="Hand", item="Ingest", append="# by hand\n")
    await fabric.portal("add", workspace="Hand", type="Notebook", name="Mine")
    await fabric.call("POST", f"{git}/connect", {"gitProviderDetails": DETAILS})
    before = (await fabric.items(hand))["Ingest.Notebook"]["id"]
    answer = await fabric.call(
        "POST", f"{git}/initializeConnection", {"initializationStrategy": "PreferRemote"}
    )
    assert "UpdateFromGit" == answer.json()["requiredAction"]
    body = {"remoteCommitHash": fabric.tip()}
    assert "OverrideItemsNotAllowed" == await fabric.code(
        "POST", f"{git}/updateFromGit", body, status=400
    )
    body["options"] = {"allowOverrideItems": True}
    await fabric.done("POST", f"{git}/updateFromGit", body)
    items = await fabric.items(hand)
    assert "Mine.Notebook" not in items
    assert before == items["Ingest.Notebook"]["id"]
    assert {} == await status(fabric, hand)


async def test_prefer_workspace_asks_for_a_commit_that_replaces_git(fabric: Fabric):
    """Guards that the workspace side wins: its items go to Git, others leave it."""
    hand = await fabric.workspace("Hand")
    git = f"/workspaces/{hand}/git"
    await fabric.portal("add", workspace="Hand", type="Notebook", name="Mine")
    await fabric.portal("delete", workspace="Hand", item="Sales", type="Report")
    await fabric.call("POST", f"{git}/connect", {"gitProviderDetails": DETAILS})
    answer = await fabric.call(
        "POST", f"{git}/initializeConnection", {"initializationStrategy": "PreferWorkspace"}
    )
    old = fabric.tip()
    assert {
        "requiredAction": "CommitToGit",
        "workspaceHead": old,
        "remoteCommitHash": None,
    } == answer.json()
    assert {
        "Mine.Notebook": ("Added", None, "None", "objectId"),
        "Sales.Report": ("Deleted", None, "None", "logicalId"),
    } == await status(fabric, hand)
    await fabric.done("POST", f"{git}/commitToGit", {"mode": "All", "workspaceHead": old})
    paths = set(fabric.files())
    assert "Mine.Notebook/.platform" in paths
    assert not any(path.startswith("reports/Sales.Report/") for path in paths)
    assert {} == await status(fabric, hand)


async def test_a_workspace_commits_into_an_empty_directory(fabric: Fabric):
    """Guards the other empty side: CommitToGit with the branch's commit as head."""
    fabric.push({".gitkeep": ""}, directory="other")
    hand = await fabric.workspace("Hand")
    git = f"/workspaces/{hand}/git"
    details = {**DETAILS, "directoryName": "other"}
    await fabric.call("POST", f"{git}/connect", {"gitProviderDetails": details})
    answer = (await fabric.call("POST", f"{git}/initializeConnection")).json()
    assert ("CommitToGit", fabric.tip(), None) == (
        answer["requiredAction"],
        answer["workspaceHead"],
        answer["remoteCommitHash"],
    )
    body = {"mode": "All", "workspaceHead": answer["workspaceHead"], "comment": "first"}
    await fabric.done("POST", f"{git}/commitToGit", body)
    files = fabric.files(directory="other")
    assert {".gitkeep"} | set(ITEMS) == set(files)
    text = fabric.text("Ingest.Notebook/notebook-content.py", directory="other")
    lakehouse = json.loads(fabric.text("Raw.Lakehouse/.platform", directory="other"))
    assert NOTEBOOK_TEXT.replace(LAKEHOUSE, lakehouse["config"]["logicalId"]) == text
    repository = fabric.world.azdo.locate("contoso", "Sales", "fabric-sales")
    assert "first" == fabric.world.repos.log(repository.key, fabric.tip(), 1)[0].message


async def test_the_logical_id_of_an_item_born_in_a_workspace_is_its_reversed_object_id(
    fabric: Fabric,
):
    """Guards the recorded law on logical ids."""
    added = await fabric.portal("add", workspace="Empty", type="Notebook", name="New")
    digits = added["id"].replace("-", "")
    groups = [digits[0:8], digits[8:12], digits[12:16], digits[16:20], digits[20:24], digits[24:]]
    rest = "".join(reversed(groups))
    expected = f"{rest[:8]}-{rest[8:12]}-{rest[12:16]}-{rest[16:20]}-{rest[20:]}"
    assert expected == added["logicalId"]


async def test_status_tells_workspace_changes_remote_changes_and_conflicts_apart(fabric: Fabric):
    """Guards the three-way comparison with the presence rules of its members."""
    dev = await fabric.workspace("Dev")
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    await fabric.portal("add", workspace="Dev", type="Notebook", name="New")
    await fabric.portal("delete", workspace="Dev", item="Sales", type="Report")
    await fabric.portal(
        "edit", workspace="Dev", item="Raw", path="lakehouse.metadata.json", content="[]"
    )
    fabric.push(
        {
            "Ingest.Notebook/notebook-content.py": NOTEBOOK_TEXT + "# theirs\n",
            "Raw.Lakehouse/lakehouse.metadata.json": "[]",
            "Fresh.Notebook/.platform": platform("Notebook", "Fresh", ZERO.replace("0", "5")),
            "Fresh.Notebook/notebook-content.py": "x = 1\n",
            "README.md": "no item\n",
        }
    )
    assert {
        "Ingest.Notebook": ("Modified", "Modified", "Conflict", "logicalId+objectId"),
        "Raw.Lakehouse": ("Modified", "Modified", "SameChanges", "logicalId+objectId"),
        "New.Notebook": ("Added", None, "None", "objectId"),
        "Sales.Report": ("Deleted", None, "None", "logicalId"),
        "Fresh.Notebook": (None, "Added", "None", "logicalId"),
    } == await status(fabric, dev)


async def test_a_commit_beside_the_directory_moves_the_heads_but_changes_nothing(fabric: Fabric):
    """Guards different heads with empty changes, and that a commit is still possible then."""
    dev = await fabric.workspace("Dev")
    fabric.push({"x.txt": "x"}, directory="elsewhere")
    assert {} == await status(fabric, dev)
    found = await heads(fabric, dev)
    assert found["workspaceHead"] != found["remoteCommitHash"]
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    body = {"mode": "All", "workspaceHead": found["workspaceHead"]}
    await fabric.done("POST", f"/workspaces/{dev}/git/commitToGit", body)
    assert {} == await status(fabric, dev)
    assert "x" == fabric.text("x.txt", directory="elsewhere")


async def test_renames_and_moves_are_modifications_and_keep_the_directory_name(fabric: Fabric):
    """Guards that the item directory's own name never changes, while folders do."""
    dev = await fabric.workspace("Dev")
    await fabric.portal("rename", workspace="Dev", item="Ingest", name="Load")
    await fabric.portal("move", workspace="Dev", item="Raw", folder="data/raw")
    assert {
        "Load.Notebook": ("Modified", None, "None", "logicalId+objectId"),
        "Raw.Lakehouse": ("Modified", None, "None", "logicalId+objectId"),
    } == await status(fabric, dev)
    body = {"mode": "All", **await heads(fabric, dev)}
    await fabric.done("POST", f"/workspaces/{dev}/git/commitToGit", body)
    assert "Load" == json.loads(fabric.text("Ingest.Notebook/.platform"))["metadata"]["displayName"]
    paths = set(fabric.files())
    assert {"data/raw/Raw.Lakehouse/.platform"} <= paths
    assert not any(path.startswith("Raw.Lakehouse/") for path in paths)


async def test_a_commit_touches_only_the_files_that_differ(fabric: Fabric):
    """Guards untouched bytes, and that stray files go from inside a committed item only."""
    fabric.push({"README.md": "keep\n"})
    dev = await fabric.workspace("Dev")
    before = fabric.files()
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    body = {"mode": "All", **await heads(fabric, dev)}
    await fabric.done("POST", f"/workspaces/{dev}/git/commitToGit", body)
    after = fabric.files()
    changed = {p for p in before.keys() | after.keys() if before.get(p) != after.get(p)}
    assert {"Ingest.Notebook/notebook-content.py"} == changed
    assert NOTEBOOK_TEXT + "# mine\n" == fabric.text("Ingest.Notebook/notebook-content.py")


async def test_a_selective_commit_takes_only_the_chosen_items(fabric: Fabric):
    """Guards selection by object id or logical id, and what stays uncommitted."""
    dev = await fabric.workspace("Dev")
    git = f"/workspaces/{dev}/git"
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    await fabric.portal("delete", workspace="Dev", item="Sales", type="Report")
    await fabric.portal("rename", workspace="Dev", item="Raw", name="Bronze")
    base = {"mode": "Selective", "workspaceHead": fabric.tip()}
    assert "NoItemsSelected" == await fabric.code(
        "POST", f"{git}/commitToGit", {**base, "items": []}, status=400
    )
    unknown = [{"objectId": ZERO.replace("0", "7")}]
    assert "ItemNotFound" == await fabric.code(
        "POST", f"{git}/commitToGit", {**base, "items": unknown}, status=400
    )
    notebook = (await fabric.items(dev))["Ingest.Notebook"]["id"]
    chosen = [{"objectId": notebook, "logicalId": NOTEBOOK}, {"logicalId": REPORT}]
    await fabric.done("POST", f"{git}/commitToGit", {**base, "items": chosen})
    assert {"Bronze.Lakehouse"} == set(await status(fabric, dev))
    assert "reports/Sales.Report/.platform" not in fabric.files()


async def test_a_selective_commit_without_its_dependency_is_refused(fabric: Fabric):
    """Guards MissingDependency for an item that points to one that is not in Git."""
    dev = await fabric.workspace("Dev")
    lake = await fabric.portal("add", workspace="Dev", type="Lakehouse", name="Silver")
    made = await fabric.portal(
        "add",
        workspace="Dev",
        type="Notebook",
        name="Uses",
        parts={"notebook-content.py": f"lake = '{lake['id']}'\n"},
    )
    body = {"mode": "Selective", "items": [{"objectId": made["id"]}]}
    assert "MissingDependency" == await fabric.code(
        "POST", f"/workspaces/{dev}/git/commitToGit", body, status=400
    )
    body["items"].append({"objectId": lake["id"]})
    await fabric.done("POST", f"/workspaces/{dev}/git/commitToGit", body)
    assert f"lake = '{lake['logicalId']}'\n" == fabric.text("Uses.Notebook/notebook-content.py")


async def test_commits_are_refused_without_changes_on_a_wrong_head_and_behind_the_branch(
    fabric: Fabric,
):
    """Guards the preconditions of a commit."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/commitToGit"
    assert "NoChangesToCommit" == await fabric.code("POST", path, {"mode": "All"}, status=400)
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    wrong = {"mode": "All", "workspaceHead": "0" * 40}
    assert "WorkspaceHeadMismatch" == await fabric.code("POST", path, wrong, status=400)
    long = {"mode": "All", "comment": "x" * 301}
    assert "BadRequest" == await fabric.code("POST", path, long, status=400)
    fabric.push({"Raw.Lakehouse/lakehouse.metadata.json": "[]"})
    assert "WorkspaceHeadMismatch" == await fabric.code("POST", path, {"mode": "All"}, status=400)


async def test_an_update_needs_the_head_and_the_tip(fabric: Fabric):
    """Guards both sides of an update's precondition on a synced workspace."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/updateFromGit"
    old = fabric.tip()
    tip = fabric.push({"Raw.Lakehouse/lakehouse.metadata.json": "[]"})
    allow = {"options": {"allowOverrideItems": True}}
    for head in (None, "0" * 40, ""):
        body = {"remoteCommitHash": tip, "workspaceHead": head, **allow}
        assert "WorkspaceHeadMismatch" == await fabric.code("POST", path, body, status=400)
    stale = {"remoteCommitHash": old, "workspaceHead": old, **allow}
    assert "InvalidParameter" == await fabric.code("POST", path, stale, status=400)
    await fabric.done("POST", path, {"remoteCommitHash": tip, "workspaceHead": old, **allow})
    assert {} == await status(fabric, dev)


async def test_an_update_needs_two_separate_consents(fabric: Fabric):
    """Guards override and conflict resolution as two consents; PreferWorkspace keeps the change."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/updateFromGit"
    old = fabric.tip()
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    tip = fabric.push({"Ingest.Notebook/notebook-content.py": NOTEBOOK_TEXT + "# theirs\n"})
    body = {"remoteCommitHash": tip, "workspaceHead": old}
    allow = {"options": {"allowOverrideItems": True}}
    assert "MissingWorkspaceConflictResolution" == await fabric.code(
        "POST", path, {**body, **allow}, status=400
    )

    def resolve(policy: str) -> dict:
        return {
            "conflictResolution": {
                "conflictResolutionType": "Workspace",
                "conflictResolutionPolicy": policy,
            }
        }

    assert "OverrideItemsNotAllowed" == await fabric.code(
        "POST", path, {**body, **resolve("PreferRemote")}, status=400
    )
    await fabric.done("POST", path, {**body, **allow, **resolve("PreferWorkspace")})
    assert {"Ingest.Notebook": ("Modified", None, "None", "logicalId+objectId")} == await status(
        fabric, dev
    )
    tip2 = fabric.push({"Ingest.Notebook/notebook-content.py": NOTEBOOK_TEXT + "# again\n"})
    body = {"remoteCommitHash": tip2, "workspaceHead": tip}
    await fabric.done("POST", path, {**body, **allow, **resolve("PreferRemote")})
    assert {} == await status(fabric, dev)


async def test_added_items_need_no_override_and_deleted_ones_leave_the_workspace(fabric: Fabric):
    """Guards additions and deletions that come from Git, and the new object id on return."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/updateFromGit"
    old_id = (await fabric.items(dev))["Sales.Report"]["id"]
    report = {p: t for p, t in ITEMS.items() if p.startswith("reports/Sales.Report/")}
    old = fabric.tip()
    gone = fabric.push(dict.fromkeys(report))
    body = {"remoteCommitHash": gone, "workspaceHead": old}
    assert "OverrideItemsNotAllowed" == await fabric.code("POST", path, body, status=400)
    await fabric.done("POST", path, {**body, "options": {"allowOverrideItems": True}})
    assert "Sales.Report" not in await fabric.items(dev)
    back = fabric.push(report)
    await fabric.done("POST", path, {"remoteCommitHash": back, "workspaceHead": gone})
    new_id = (await fabric.items(dev))["Sales.Report"]["id"]
    assert old_id != new_id
    assert {} == await status(fabric, dev)


async def test_a_namesake_from_git_takes_over_the_workspace_item_with_consent(fabric: Fabric):
    """Guards logical id conflicts: same type and name, other logical id."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/updateFromGit"
    mine = await fabric.portal("add", workspace="Dev", type="Notebook", name="Twin")
    old = fabric.tip()
    logical = ZERO.replace("0", "6")
    tip = fabric.push(
        {
            "Twin.Notebook/.platform": platform("Notebook", "Twin", logical),
            "Twin.Notebook/notebook-content.py": "theirs\n",
        }
    )
    body = {"remoteCommitHash": tip, "workspaceHead": old}
    assert "OverrideItemsNotAllowed" == await fabric.code("POST", path, body, status=400)
    await fabric.done("POST", path, {**body, "options": {"allowOverrideItems": True}})
    assert mine["id"] == (await fabric.items(dev))["Twin.Notebook"]["id"]
    assert {} == await status(fabric, dev)


async def test_a_failing_update_stops_part_way_and_stays_readable_by_a_new_update(fabric: Fabric):
    """Guards partial updates: the cause is in moreDetails, the workspace is at no commit."""
    dev = await fabric.workspace("Dev")
    git = f"/workspaces/{dev}/git"
    old = fabric.tip()
    tip = fabric.push(
        {
            "Raw.Lakehouse/lakehouse.metadata.json": "[]",
            "reports/Sales.Report/report.json": "{not json",
        }
    )
    body = {"remoteCommitHash": tip, "options": {"allowOverrideItems": True}}
    state, result = await fabric.run("POST", f"{git}/updateFromGit", {**body, "workspaceHead": old})
    assert (None, "Failed", None) == (result, state["status"], state["percentComplete"])
    assert "GitSyncFailed" == state["error"]["errorCode"]
    more = state["error"]["moreDetails"][0]
    assert ("Workload_FailedToParseFile", "Report") == (
        more["errorCode"],
        more["relatedResource"]["resourceType"],
    )
    assert "GitSyncFailed" == await fabric.code("GET", f"{git}/status", status=400)
    assert None is (await fabric.get(f"{git}/connection"))["gitSyncDetails"]
    tip = fabric.push({"reports/Sales.Report/report.json": "{}"})
    await fabric.done("POST", f"{git}/updateFromGit", {**body, "remoteCommitHash": tip})
    assert {} == await status(fabric, dev)


async def test_an_update_that_fails_at_its_first_item_changes_nothing(fabric: Fabric):
    """Guards that the workspace stays on the old commit then."""
    dev = await fabric.workspace("Dev")
    old = fabric.tip()
    tip = fabric.push({"Raw.Lakehouse/lakehouse.metadata.json": None})
    body = {
        "remoteCommitHash": tip,
        "workspaceHead": old,
        "options": {"allowOverrideItems": True},
    }
    state, _ = await fabric.run("POST", f"/workspaces/{dev}/git/updateFromGit", body)
    assert "MissingItemDefinitionFiles" == state["error"]["moreDetails"][0]["errorCode"]
    assert old == (await heads(fabric, dev))["workspaceHead"]


@pytest.mark.parametrize(
    ("path", "content", "code"),
    [
        ("Ingest.Notebook/.platform", "{", "InvalidSystemFiles"),
        ("Copy.Notebook/.platform", platform("Notebook", "C", NOTEBOOK), "DuplicateLogicalId"),
        (
            "Copy.Notebook/.platform",
            platform("Notebook", "Ingest", ZERO.replace("0", "8")),
            "DuplicateDisplayNameAndType",
        ),
    ],
)
async def test_a_broken_directory_is_refused(fabric: Fabric, path: str, content: str, code: str):
    """Guards the checks of system files over the whole directory."""
    dev = await fabric.workspace("Dev")
    fabric.push({path: content})
    assert code == await fabric.code("GET", f"/workspaces/{dev}/git/status", status=400)


@pytest.mark.parametrize(
    ("change", "status_code", "code"),
    [
        ({"repositoryName": "nowhere"}, 404, "GitProviderResourceNotFound"),
        ({"branchName": "nowhere"}, 404, "GitProviderResourceNotFound"),
        ({"directoryName": "/FABRIC"}, 404, "GitProviderResourceNotFound"),
        ({"organizationName": "fabrikam"}, 404, "GitProviderResourceNotFound"),
        ({"branchName": "x" * 251}, 400, "BadRequest"),
        ({"gitProviderType": "Gitea"}, 400, "BadRequest"),
    ],
)
async def test_connect_looks_up_repository_branch_and_directory(
    fabric: Fabric, change: dict, status_code: int, code: str
):
    """Guards that connecting validates everything, the directory case-sensitively."""
    ws = await fabric.workspace("Empty")
    body = {"gitProviderDetails": {**DETAILS, **change}}
    path = f"/workspaces/{ws}/git/connect"
    assert code == await fabric.code("POST", path, body, status=status_code)


async def test_connect_needs_a_capacity_and_a_free_workspace(fabric: Fabric):
    """Guards two preconditions of connect, and the way back through disconnect."""
    body = {"gitProviderDetails": DETAILS}
    poor, dev = await fabric.workspace("Poor"), await fabric.workspace("Dev")
    assert "WorkspaceHasNoCapacityAssigned" == await fabric.code(
        "POST", f"/workspaces/{poor}/git/connect", body, status=400
    )
    assert "WorkspaceAlreadyConnectedToGit" == await fabric.code(
        "POST", f"/workspaces/{dev}/git/connect", body, status=409
    )
    await fabric.call("POST", f"/workspaces/{dev}/git/disconnect")
    assert "WorkspaceNotConnectedToGit" == await fabric.code(
        "POST", f"/workspaces/{dev}/git/disconnect", status=400
    )
    assert "Ingest.Notebook" in await fabric.items(dev)
    await fabric.call("POST", f"/workspaces/{dev}/git/connect", body)


async def test_credentials_are_per_caller(fabric: Fabric):
    """Guards that only the connecting caller is configured, others after their own PATCH."""
    ws = await fabric.workspace("Empty")
    git = f"/workspaces/{ws}/git"
    await fabric.call("POST", f"{git}/connect", {"gitProviderDetails": DETAILS})
    await fabric.call("POST", f"{git}/initializeConnection")
    assert {"source": "Automatic"} == await fabric.get(f"{git}/myGitCredentials")
    assert {"source": "None"} == await fabric.get(f"{git}/myGitCredentials", token="other")
    assert "GitCredentialsNotConfigured" == await fabric.code(
        "GET", f"{git}/status", status=400, token="other"
    )
    changed = await fabric.call(
        "PATCH", f"{git}/myGitCredentials", {"source": "Automatic"}, token="other"
    )
    assert {"source": "Automatic"} == changed.json()
    await fabric.call("GET", f"{git}/status", token="other")
    await fabric.call("PATCH", f"{git}/myGitCredentials", {"source": "None"}, token="other")
    await fabric.code("GET", f"{git}/status", status=400, token="other")


def app_token(object_id: str) -> str:
    """Return an unsigned token of a service principal."""

    def encode(data: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return f"{encode({'alg': 'none'})}.{encode({'oid': object_id, 'idtyp': 'app'})}.x"


async def test_a_service_principal_needs_a_configured_connection(fabric: Fabric):
    """Guards that automatic credentials never serve one, and the wrapped error code."""
    token = app_token("22222222-0000-4000-8000-000000000001")
    ws = await fabric.workspace("Empty")
    path = f"/workspaces/{ws}/git/connect"
    answer = await fabric.call(
        "POST", path, {"gitProviderDetails": DETAILS}, status=400, token=token
    )
    assert ("BadRequest", "PrincipalTypeNotSupported") == (
        answer.json()["errorCode"],
        answer.json()["moreDetails"][0]["errorCode"],
    )
    secret = {
        "credentialType": "ServicePrincipal",
        "tenantId": ZERO,
        "servicePrincipalClientId": ZERO,
        "servicePrincipalSecret": "hush",
    }
    created = await fabric.call(
        "POST",
        "/connections",
        {
            "connectivityType": "ShareableCloud",
            "displayName": "sales-git",
            "connectionDetails": {
                "type": "AzureDevOpsSourceControl",
                "creationMethod": "AzureDevOpsSourceControl.Contents",
                "parameters": [{"name": "url", "dataType": "Text", "value": "https://x"}],
            },
            "credentialDetails": {"credentials": secret},
        },
        status=201,
        token=token,
    )
    assert "hush" not in created.text
    credentials = {"source": "ConfiguredConnection", "connectionId": created.json()["id"]}
    body = {"gitProviderDetails": DETAILS, "myGitCredentials": credentials}
    assert "ConnectionNotFound" == await fabric.code("POST", path, body, status=404)
    await fabric.call("POST", path, body, token=token)
    assert credentials == await fabric.get(f"/workspaces/{ws}/git/myGitCredentials", token=token)


async def test_automatic_credentials_of_a_scenario_serve_users_only(fabric: Fabric):
    """Guards that any user may sync a declared workspace, but no service principal."""
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/myGitCredentials"
    assert {"source": "Automatic"} == await fabric.get(path, token="anybody")
    token = app_token("22222222-0000-4000-8000-000000000002")
    assert {"source": "None"} == await fabric.get(path, token=token)
    assert "GitCredentialsNotConfigured" == await fabric.code(
        "GET", f"/workspaces/{dev}/git/status", status=400, token=token
    )


async def test_github_needs_a_matching_connection(fabric: Fabric, tmp_path: Path):
    """Guards the GitHub provider: no automatic credentials, no Azure DevOps connection."""
    await fabric.scenario(
        tmp_path,
        github=[{"owner": "Contoso", "repository": "Hub", "content": "items"}],
        connections=[
            {"name": "gh", "type": "GitHubSourceControl"},
            {"name": "az", "type": "AzureDevOpsSourceControl", "url": "https://x"},
        ],
    )
    ids = {c["displayName"]: c["id"] for c in await fabric.all("/connections")}
    ws = await fabric.workspace("Empty")
    path = f"/workspaces/{ws}/git/connect"
    details = {
        "gitProviderType": "GitHub",
        "ownerName": "contoso",
        "repositoryName": "hub",
        "branchName": "main",
        "directoryName": "",
    }
    body = {"gitProviderDetails": details}
    assert "GitCredentialsConfigurationNotSupported" == await fabric.code(
        "POST", path, body, status=400
    )
    body["myGitCredentials"] = {"source": "ConfiguredConnection", "connectionId": ids["az"]}
    assert "ConnectionMismatch" == await fabric.code("POST", path, body, status=400)
    body["myGitCredentials"]["connectionId"] = ids["gh"]
    await fabric.call("POST", path, body)
    shown = (await fabric.get(f"/workspaces/{ws}/git/connection"))["gitProviderDetails"]
    assert ("Contoso", "Hub", "") == (
        shown["ownerName"],
        shown["repositoryName"],
        shown["directoryName"],
    )


async def test_one_operation_at_a_time_and_no_effect_before_it_is_due(
    start_emulator, http: httpx.AsyncClient, tmp_path: Path
):
    """Guards that an update changes nothing until the clock says so, and refuses a second one."""
    write_items(tmp_path / "items")
    slow = Fabric(await start_emulator(speed="real"), http)
    await slow.scenario(
        tmp_path,
        **estate(workspaces=[{"name": "Dev", "capacity": "F8", "git": {**GIT, "synced": True}}]),
    )
    dev = await slow.workspace("Dev")
    git = f"/workspaces/{dev}/git"
    old, tip = (
        slow.tip(),
        slow.push(
            {
                "Fresh.Notebook/.platform": platform("Notebook", "Fresh", ZERO.replace("0", "5")),
                "Fresh.Notebook/notebook-content.py": "x = 1\n",
            }
        ),
    )
    body = {"remoteCommitHash": tip, "workspaceHead": old}
    started = await slow.call("POST", f"{git}/updateFromGit", body, status=202)
    assert "20" == started.headers["Retry-After"]
    assert started.headers["Location"].startswith("http://localhost:")
    operation = f"/operations/{started.headers['x-ms-operation-id']}"
    running = await slow.call("GET", operation)
    assert "Running" == running.json()["status"]
    assert {"status", "createdTimeUtc", "lastUpdatedTimeUtc", "percentComplete", "error"} == set(
        running.json()
    )
    assert started.headers["Location"] == running.headers["Location"]
    assert "OperationNotSucceeded" == await slow.code("GET", f"{operation}/result", status=400)
    assert "WorkspacePreviousOperationInProgress" == await slow.code(
        "GET", f"{git}/status", status=400
    )
    assert "Fresh.Notebook" not in await slow.items(dev)
    slow.world.clock.advance(60)
    finished = await slow.call("GET", operation)
    assert ("Succeeded", 100) == (
        finished.json()["status"],
        finished.json()["percentComplete"],
    )
    assert "Location" not in finished.headers
    assert "OperationHasNoResult" == await slow.code("GET", f"{operation}/result", status=400)
    assert "Fresh.Notebook" in await slow.items(dev)
    slow.world.clock.advance(90000)
    assert "OperationNotFound" == await slow.code("GET", operation, status=404)


async def test_reads_and_writes_can_answer_the_other_documented_way(fabric: Fabric):
    """Guards the switchable answers: 202 for reads, 200 for syncs."""
    await fabric.portal("settings", slowGitReads=True, inlineGit=True)
    dev = await fabric.workspace("Dev")
    result = await fabric.done("GET", f"/workspaces/{dev}/git/status")
    assert [] == result["changes"]
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    await fabric.call("POST", f"/workspaces/{dev}/git/commitToGit", {"mode": "All"})
    assert NOTEBOOK_TEXT + "# mine\n" == fabric.text("Ingest.Notebook/notebook-content.py")


async def test_workspace_relations_name_the_role_of_the_related_workspace(fabric: Fabric):
    """Guards the preview relations: both views, and the rules for what may be related."""
    dev, ws = await fabric.workspace("Dev"), await fabric.workspace("Empty")
    path = f"/workspaces/{ws}/git/workspaceRelations"
    body = {"relatedWorkspaceId": dev, "relationType": "Base"}
    assert "WorkspaceNotConnectedToGit" == await fabric.code("POST", path, body, status=400)
    repository = fabric.world.azdo.locate("contoso", "Sales", "fabric-sales")
    fabric.world.repos.update_ref(repository.key, "refs/heads/feature", None, fabric.tip())
    details = {**DETAILS, "branchName": "feature"}
    await fabric.call("POST", f"/workspaces/{ws}/git/connect", {"gitProviderDetails": details})
    made = (await fabric.call("POST", path, body, status=201)).json()
    assert ("Base", dev) == (made["relationType"], made["relatedWorkspaceId"])
    assert "WorkspaceRelationAlreadyExists" == await fabric.code("POST", path, body, status=409)
    seen = await fabric.all(f"/workspaces/{dev}/git/workspaceRelations")
    assert [("Branch", ws)] == [(r["relationType"], r["relatedWorkspaceId"]) for r in seen]
    await fabric.call("DELETE", f"{path}/{made['id']}")
    assert [] == await fabric.all(path)


async def test_every_answer_fits_the_official_definitions(fabric: Fabric):
    """Guards the wire shapes against the published swagger."""
    contract = Contract()
    dev = await fabric.workspace("Dev")
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    await fabric.portal("add", workspace="Dev", type="Notebook", name="New")
    git = f"/workspaces/{dev}/git"
    contract.check("gitIntegration.json#GitConnection", await fabric.get(f"{git}/connection"))
    contract.check("gitIntegration.json#GitStatusResponse", await fabric.get(f"{git}/status"))
    contract.check(
        "gitIntegration.json#GitCredentialsConfigurationResponse",
        await fabric.get(f"{git}/myGitCredentials"),
    )
    for item in await fabric.all(f"/workspaces/{dev}/items"):
        contract.check("common/definitions.json#Item", item)
    refused = await fabric.call("GET", "/workspaces/nope/git/status", status=404)
    contract.check("common/definitions.json#ErrorResponse", refused.json())
