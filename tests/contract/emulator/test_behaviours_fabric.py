"""Git integration and deployment pipelines, point by point: COVERAGE.md names these tests."""

import base64
import json
from pathlib import Path

import httpx
import pytest
from fabric_client import DETAILS, GIT, Fabric, estate, platform, write_items

from reconciler.emulator.fabric.support import GIT_UNSUPPORTED, PIPELINE_UNSUPPORTED, SUPPORT
from reconciler.emulator.server import Emulator

APP = "22222222-0000-4000-8000-000000000001"
NEW = "11111111-0000-4000-8000-0000000000{:02d}"


def app_token(object_id: str = APP) -> str:
    """Return an unsigned token of a service principal."""

    def encode(data: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    return f"{encode({'alg': 'none'})}.{encode({'oid': object_id, 'idtyp': 'app'})}.x"


@pytest.fixture
async def fabric(emulator: Emulator, http: httpx.AsyncClient, tmp_path: Path) -> Fabric:
    """A synced workspace in the first of two stages, and an unbound one."""
    write_items(tmp_path / "items")
    found = Fabric(emulator, http)
    connection = {
        "name": "c",
        "type": "AzureDevOpsSourceControl",
        "url": "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
    }
    await found.scenario(
        tmp_path,
        **estate(
            connections=[connection],
            workspaces=[
                {"name": "Dev", "capacity": "F8", "git": {**GIT, "synced": True}},
                {"name": "Test", "capacity": "F8"},
                {"name": "Empty", "capacity": "F8"},
            ],
            pipelines=[
                {
                    "name": "Sales",
                    "stages": [
                        {"name": "Development", "workspace": "Dev"},
                        {"name": "Test", "workspace": "Test"},
                    ],
                }
            ],
        ),
    )
    return found


async def heads(fabric: Fabric, workspace: str, token: str = "") -> dict[str, str]:
    """Return both heads as an update takes them."""
    body = await fabric.get(f"/workspaces/{workspace}/git/status", token=token)
    return {"workspaceHead": body["workspaceHead"], "remoteCommitHash": body["remoteCommitHash"]}


async def deploy_body(fabric: Fabric) -> tuple[str, dict[str, str]]:
    """Return path and body of a deployment between the two stages."""
    pipeline = (await fabric.all("/deploymentPipelines"))[0]["id"]
    path = f"/deploymentPipelines/{pipeline}"
    stages = await fabric.all(f"{path}/stages")
    body = {"sourceStageId": stages[0]["id"], "targetStageId": stages[1]["id"]}
    return f"{path}/deploy", body


# fabric-api.md section 6


@pytest.mark.parametrize(
    "directory",
    ["/a:b", "/a*", "/ a", "/a /b", "/a\tb", "/..", "/a/../b", "/a\\b", "/a//b", "/x\0"],
)
async def test_a_directory_name_that_the_service_does_not_take_is_refused(
    fabric: Fabric, directory: str
):
    """Guards section 6.9, docs; the error code is assumed."""
    path = f"/workspaces/{await fabric.workspace('Empty')}/git/connect"
    body = {"gitProviderDetails": {**DETAILS, "directoryName": directory}}
    assert "BadRequest" == await fabric.code("POST", path, body, status=400)


@pytest.mark.parametrize(
    ("member", "length"),
    [
        ("repositoryName", 128),
        ("branchName", 250),
        ("directoryName", 256),
        ("organizationName", 100),
        ("projectName", 100),
    ],
)
async def test_git_provider_details_have_their_published_lengths(
    fabric: Fabric, member: str, length: int
):
    """Guards section 6.2, spec: the longest name is looked up, a longer one is refused."""
    path = f"/workspaces/{await fabric.workspace('Empty')}/git/connect"
    for extra, status in ((0, 404), (1, 400)):
        details = {**DETAILS, member: "x" * (length + extra)}
        await fabric.call("POST", path, {"gitProviderDetails": details}, status=status)


async def test_a_custom_domain_is_one_of_github_enterprise_cloud(fabric: Fabric):
    """Guards section 6.2, spec: only ghe.com has custom domains."""
    path = f"/workspaces/{await fabric.workspace('Empty')}/git/connect"
    details = {
        "gitProviderType": "GitHub",
        "ownerName": "o",
        "repositoryName": "r",
        "branchName": "main",
        "directoryName": "",
    }
    for domain, status in (("evil.example", 400), ("contoso.ghe.com", 404)):
        body = {"gitProviderDetails": {**details, "customDomainName": domain}}
        await fabric.call("POST", path, body, status=status)


async def test_github_can_be_switched_off_for_the_tenant(fabric: Fabric, tmp_path: Path):
    """Guards section 6.3, field: FeatureNotAvailable."""
    await fabric.scenario(tmp_path, github=[{"owner": "o", "repository": "r", "content": "items"}])
    await fabric.portal("settings", githubEnabled=False)
    details = {
        "gitProviderType": "GitHub",
        "ownerName": "o",
        "repositoryName": "r",
        "branchName": "main",
        "directoryName": "",
    }
    path = f"/workspaces/{await fabric.workspace('Empty')}/git/connect"
    body = {"gitProviderDetails": details}
    assert "FeatureNotAvailable" == await fabric.code("POST", path, body, status=403)


async def test_a_workspace_on_its_way_to_a_capacity_is_not_synced_nor_deployed(fabric: Fabric):
    """Guards section 6.6 and 10 point 10, field: both triggers of the migration code exist."""
    dev = await fabric.workspace("Dev")
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    now = await heads(fabric, dev)
    fabric.world.fabric.workspaces[dev].capacity_progress = "InProgress"
    deploy, body = await deploy_body(fabric)
    for path, sent in (
        (f"/workspaces/{dev}/git/commitToGit", {"mode": "All"}),
        (f"/workspaces/{dev}/git/updateFromGit", now),
        (deploy, body),
    ):
        code = await fabric.code("POST", path, sent, status=400)
        assert "WorkspaceMigrationOperationInProgress" == code
    fabric.world.fabric.workspaces[dev].capacity_progress = "Completed"
    await fabric.done("POST", f"/workspaces/{dev}/git/commitToGit", {"mode": "All"})


async def test_items_of_one_type_and_name_can_not_be_committed(fabric: Fabric):
    """Guards section 6.6, SDK constant and docs; deployments can leave such items."""
    dev = await fabric.workspace("Dev")
    added = await fabric.portal("add", workspace="Dev", type="Notebook", name="Other")
    fabric.world.fabric.workspaces[dev].items[added["id"]].name = "Ingest"
    path = f"/workspaces/{dev}/git/commitToGit"
    code = await fabric.code("POST", path, {"mode": "All"}, status=400)
    assert "DuplicateDisplayNameAndType" == code


@pytest.mark.parametrize(
    ("setting", "code"),
    [
        ({"gitFileBytes": 10}, "GitProviderOperationFailed"),
        ({"gitCommitBytes": 10}, "GitProviderOperationFailed"),
        ({}, "GitFilePathTooLong"),
    ],
)
async def test_a_commit_is_limited_in_size_and_path(fabric: Fabric, setting: dict, code: str):
    """Guards section 6.6, docs: 25 MB a file, 250 characters a path, and the commit as a whole."""
    await fabric.portal("settings", **setting)
    folder = "/".join(["f" * 30] * 8)
    await fabric.portal("add", workspace="Dev", type="Notebook", name="Deep", folder=folder)
    if setting:
        await fabric.portal("move", workspace="Dev", item="Deep")
    dev, tip = await fabric.workspace("Dev"), fabric.tip()
    state, _ = await fabric.run("POST", f"/workspaces/{dev}/git/commitToGit", {"mode": "All"})
    assert ("Failed", "GitSyncFailed", code) == (
        state["status"],
        state["error"]["errorCode"],
        state["error"]["moreDetails"][0]["errorCode"],
    )
    assert tip == fabric.tip()


async def test_a_directory_of_more_items_than_a_workspace_holds_is_not_updated(fabric: Fabric):
    """Guards section 6.7, docs: more than 1,000 items fail (that none is made is assumed)."""
    files = {
        f"N{n}.Notebook/.platform": platform(
            "Notebook", f"N{n}", f"11111111-0000-4000-9000-{n:012d}"
        )
        for n in range(1001)
    }
    fabric.push(files)
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/updateFromGit"
    code = await fabric.code("POST", path, await heads(fabric, dev), status=400)
    assert "WorkspaceItemsLimitExceeded" == code
    assert 5 == len(await fabric.items(dev))


@pytest.mark.parametrize("what", ["commit", "update", "deploy"])
async def test_item_types_can_exclude_service_principals(fabric: Fabric, what: str):
    """Guards sections 3.3 and 6.1: refused as a whole, wrapped; which types is a setting."""
    await fabric.portal("settings", servicePrincipalExcludedTypes=["Notebook"])
    dev, token = await fabric.workspace("Dev"), app_token()
    git = f"/workspaces/{dev}/git"
    connection = (await fabric.all("/connections"))[0]["id"]
    credentials = {"source": "ConfiguredConnection", "connectionId": connection}
    await fabric.call("PATCH", f"{git}/myGitCredentials", credentials, token=token)
    if what == "commit":
        await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
        path, body = f"{git}/commitToGit", {"mode": "All"}
    elif what == "update":
        fabric.push({"Ingest.Notebook/notebook-content.py": "# theirs\n"})
        options = {"options": {"allowOverrideItems": True}}
        path, body = f"{git}/updateFromGit", {**await heads(fabric, dev), **options}
    else:
        path, body = await deploy_body(fabric)
    refused = await fabric.call("POST", path, body, status=400, token=token)
    assert ("BadRequest", "PrincipalTypeNotSupported") == (
        refused.json()["errorCode"],
        refused.json()["moreDetails"][0]["errorCode"],
    )
    await fabric.call("POST", path, body, status=202)


@pytest.mark.parametrize("item_type", sorted(GIT_UNSUPPORTED - {"SQLEndpoint"}))
async def test_types_that_git_does_not_know_are_ignored_on_both_sides(
    fabric: Fabric, item_type: str
):
    """Guards section 6.5, docs: not committable, never deleted, not made from Git."""
    await fabric.portal("add", workspace="Dev", type=item_type, name="Odd")
    dev = await fabric.workspace("Dev")
    assert [] == (await fabric.get(f"/workspaces/{dev}/git/status"))["changes"]
    fabric.push({f"Other.{item_type}/.platform": platform(item_type, "Other", NEW.format(9))})
    assert [] == (await fabric.get(f"/workspaces/{dev}/git/status"))["changes"]
    await fabric.done("POST", f"/workspaces/{dev}/git/updateFromGit", await heads(fabric, dev))
    items = await fabric.items(dev)
    assert (True, False) == (f"Odd.{item_type}" in items, f"Other.{item_type}" in items)


def test_every_item_type_has_an_entry_and_unknown_support_is_marked_assumed():
    """Guards section 9: the enum has 51 values and docs one more; what no list settles is on and says so."""
    assert 52 == len(SUPPORT)
    assert {"Dashboard", "Datamart", "SQLEndpoint"} == GIT_UNSUPPORTED
    assert {"SQLEndpoint"} == PIPELINE_UNSUPPORTED
    for found in SUPPORT.values():
        assert found.git or found.git_source == "docs"
        assert found.pipelines or found.pipelines_source == "docs"
    assert "assumed" == SUPPORT["AppBackend"].git_source


async def test_an_item_name_is_case_insensitive_for_creation_and_kept_as_given(fabric: Fabric):
    """Guards section 3.5: a namesake in other letters is a duplicate (assumed)."""
    empty = await fabric.workspace("Empty")
    path = f"/workspaces/{empty}/items"
    await fabric.call("POST", path, {"displayName": "Abc", "type": "Notebook"}, status=201)
    code = await fabric.code("POST", path, {"displayName": "aBC", "type": "Notebook"}, status=409)
    assert "ItemDisplayNameAlreadyInUse" == code
    assert ["Abc.Notebook"] == list(await fabric.items(empty))


# fabric-api.md section 7


async def test_a_fresh_assignment_can_refuse_deployments_for_a_while(fabric: Fabric):
    """Guards section 7.4, field notes: WorkloadUnavailable for n seconds, then it works."""
    await fabric.portal("settings", workloadUnavailableS=90)
    path, body = await deploy_body(fabric)
    refused = await fabric.call("POST", path, body, status=400)
    assert ("Alm_InvalidRequest_WorkloadUnavailable", True) == (
        refused.json()["errorCode"],
        refused.json()["isRetriable"],
    )
    fabric.world.clock.advance(91)
    await fabric.done("POST", path, body)


@pytest.mark.parametrize("returned", [True, False])
async def test_notes_come_back_or_not(fabric: Fabric, returned: bool):
    """Guards section 10 point 7: the schema returns them, a field note says never."""
    await fabric.portal("settings", noteReturned=returned)
    path, body = await deploy_body(fabric)
    result = await fabric.done("POST", path, {**body, "note": "release 1"})
    history = await fabric.all(f"{path.removesuffix('/deploy')}/operations")
    expected = {"content": "release 1", "isTruncated": False} if returned else None
    assert [expected, expected] == [result.get("note"), history[0].get("note")]


async def test_service_principals_make_pipelines_only_if_the_tenant_lets_them(fabric: Fabric):
    """Guards section 7.1: the switch; its code is that of section 3.4."""
    stages = [{"displayName": "a"}, {"displayName": "b"}]
    body = {"displayName": "New", "stages": [{**s, "isPublic": False} for s in stages]}
    await fabric.portal("settings", servicePrincipalsCreate=False)
    path, token = "/deploymentPipelines", app_token()
    code = await fabric.code("POST", path, body, status=403, token=token)
    assert "FeatureNotAvailable" == code
    await fabric.call("POST", path, body, status=201)


@pytest.mark.parametrize("count", [1, 11])
async def test_a_pipeline_has_two_to_ten_stages(fabric: Fabric, count: int):
    """Guards section 7.1, docs and client."""
    stages = [{"displayName": f"s{n}", "isPublic": False} for n in range(count)]
    body = {"displayName": "New", "stages": stages}
    assert "BadRequest" == await fabric.code("POST", "/deploymentPipelines", body, status=400)


async def test_a_workspace_in_a_stage_can_not_be_deleted(fabric: Fabric):
    """Guards section 7.4, field."""
    dev = await fabric.workspace("Dev")
    code = await fabric.code("DELETE", f"/workspaces/{dev}", status=400)
    assert "ALM_InvalidRequest_CannotDisableFoldersThatAreConnectedToAnyALMPipeline" == code


# fabric-api.md sections 8 and 9


async def test_the_last_admin_of_a_workspace_stays(fabric: Fabric):
    """Guards section 8, spec."""
    made = await fabric.call("POST", "/workspaces", {"displayName": "Mine"}, status=201)
    path = f"/workspaces/{made.json()['id']}/roleAssignments"
    own = (await fabric.all(path))[0]["id"]
    await fabric.call("DELETE", f"{path}/{own}", status=400)
    assert [own] == [entry["id"] for entry in await fabric.all(path)]


async def test_a_deleted_item_made_again_from_git_has_a_new_object_id(fabric: Fabric):
    """Guards section 6.7, docs: same logical id, fresh object id."""
    dev = await fabric.workspace("Dev")
    old = (await fabric.items(dev))["Ingest.Notebook"]["id"]
    text, kept = fabric.text("Ingest.Notebook/notebook-content.py"), {}
    kept["Ingest.Notebook/notebook-content.py"] = text
    kept["Ingest.Notebook/.platform"] = fabric.text("Ingest.Notebook/.platform")
    path = f"/workspaces/{dev}/git/updateFromGit"
    consent = {"options": {"allowOverrideItems": True}}
    fabric.push(dict.fromkeys(kept))
    await fabric.done("POST", path, {**await heads(fabric, dev), **consent})
    assert "Ingest.Notebook" not in await fabric.items(dev)
    fabric.push(kept)
    await fabric.done("POST", path, await heads(fabric, dev))
    assert old != (await fabric.items(dev))["Ingest.Notebook"]["id"]


async def test_a_platform_file_alone_is_not_enough_for_a_report(fabric: Fabric):
    """Guards section 9, field: the whole sync fails with MissingItemDefinitionFiles."""
    fabric.push({"Bare.Report/.platform": platform("Report", "Bare", NEW.format(8))})
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/updateFromGit"
    state, _ = await fabric.run("POST", path, await heads(fabric, dev))
    details = state["error"]["moreDetails"][0]
    assert ("Failed", "MissingItemDefinitionFiles") == (state["status"], details["errorCode"])
    assert None is state["percentComplete"]


async def test_crlf_in_git_stays_and_shows_no_change(fabric: Fabric):
    """Guards a choice: nothing is re-serialised here, unlike section 6.5, docs (so: partial)."""
    fabric.push({"Ingest.Notebook/notebook-content.py": "print(1)\r\n"})
    dev = await fabric.workspace("Dev")
    consent = {"options": {"allowOverrideItems": True}}
    path = f"/workspaces/{dev}/git/updateFromGit"
    await fabric.done("POST", path, {**await heads(fabric, dev), **consent})
    assert [] == (await fabric.get(f"/workspaces/{dev}/git/status"))["changes"]


async def test_an_identity_is_provisioned_with_a_result_and_removed_without_one(
    start_emulator, http: httpx.AsyncClient, tmp_path: Path
):
    """Guards sections 2.1 and 2.3, recorded: Retry-After 5, and OperationHasNoResult."""
    slow = Fabric(await start_emulator(speed="real"), http)
    await slow.scenario(tmp_path, workspaces=[{"name": "Dev"}])
    path = f"/workspaces/{await slow.workspace('Dev')}"
    started = await slow.call("POST", f"{path}/provisionIdentity", status=202)
    assert "5" == started.headers["Retry-After"]
    slow.world.clock.advance(2)
    operation = f"/operations/{started.headers['x-ms-operation-id']}"
    identity = await slow.get(f"{operation}/result")
    assert identity == (await slow.get(path))["workspaceIdentity"]
    removed = await slow.call("POST", f"{path}/deprovisionIdentity", status=202)
    slow.world.clock.advance(2)
    operation = f"/operations/{removed.headers['x-ms-operation-id']}/result"
    assert "OperationHasNoResult" == await slow.code("GET", operation, status=400)
    assert "workspaceIdentity" not in await slow.get(path)
