"""Points of fabric-api.md that need a setting or a special scenario: COVERAGE.md names the tests."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fabric_client import (
    DETAILS,
    GIT,
    ITEMS,
    LAKEHOUSE,
    MODEL,
    NOTEBOOK,
    ZERO,
    Fabric,
    estate,
    platform,
    write_items,
)
from test_behaviours_fabric import app_token, deploy_body, heads

from reconciler.emulator.server import Emulator

PLAN = "11111111-0000-4000-8000-0000000000ff"
GUEST = "33333333-0000-4000-8000-000000000001"
PLAN_TEXT = f"""\
version: 1.0.0
groups:
  - name: Notebook
    logicalId: {NOTEBOOK}
    postActions:
      - name: Run it
        job: {{type: Execute, logicalId: {NOTEBOOK}}}
  - name: Lake
    logicalId: {LAKEHOUSE}
  - name: Model
    logicalId: {MODEL}
    dependsOn: [{{groupName: notebook}}]
"""


@pytest.fixture
async def fabric(emulator: Emulator, http: httpx.AsyncClient, tmp_path: Path) -> Fabric:
    """A synced workspace in the first of two stages, and an unbound one."""
    write_items(tmp_path / "items")
    found = Fabric(emulator, http)
    await found.scenario(
        tmp_path,
        **estate(
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


def user_token(object_id: str) -> str:
    """Return an unsigned token of a user."""
    head, _, tail = app_token(object_id).split(".")
    claims = base64.urlsafe_b64encode(json.dumps({"oid": object_id}).encode()).decode().rstrip("=")
    return f"{head}.{claims}.{tail}"


async def connect(fabric: Fabric, name: str, *, status: int = 200, token: str = "") -> Any:
    """Connect a workspace and return the answer."""
    path = f"/workspaces/{await fabric.workspace(name)}/git/connect"
    body = {"gitProviderDetails": DETAILS}
    return (await fabric.call("POST", path, body, status=status, token=token)).content


# Deployment plans, section 6.2


def with_plan(text: str = PLAN_TEXT) -> dict[str, str]:
    """Return the files of a deployment plan."""
    return {
        "Release.DeploymentPlan/.platform": platform("DeploymentPlan", "Release", PLAN),
        "Release.DeploymentPlan/plan.yml": text,
    }


async def update_with_plan(fabric: Fabric, name: str, **more: Any) -> tuple[Any, str]:
    """Update a workspace from Git with the plan; return the operation's state and its id."""
    workspace = await fabric.workspace(name)
    options = {
        "allowOverrideItems": True,
        "deploymentPlan": {"logicalId": PLAN, "referenceType": "ByLogicalId"},
        **more,
    }
    body = {**await heads(fabric, workspace), "options": options}
    path = f"/workspaces/{workspace}/git/updateFromGit?beta=true"
    return (await fabric.run("POST", path, body))[0], workspace


async def test_a_deployment_plan_orders_an_update_and_runs_its_actions(fabric: Fabric):
    """Guards section 6.2, docs of Sep 2026: the plan comes with the update, actions are jobs."""
    fabric.push({**with_plan(), "Ingest.Notebook/notebook-content.py": "print(1)\n"})
    state, dev = await update_with_plan(fabric, "Dev")
    assert "Succeeded" == state["status"], state
    notebook = (await fabric.items(dev))["Ingest.Notebook"]["id"]
    jobs = await fabric.all(f"/workspaces/{dev}/items/{notebook}/jobs/instances")
    assert [("Completed", "Execute")] == [(job["status"], job["jobType"]) for job in jobs]


async def test_a_failing_action_stops_the_update_without_rolling_back(fabric: Fabric):
    """Guards section 6.2, docs: no rollback; what comes later in the order is not updated."""
    changed = {"Ingest.Notebook/notebook-content.py": "print(2)\n"}
    fabric.push({**with_plan(), **changed, "reports/Sales.SemanticModel/definition/a.tmdl": "x\n"})
    await fabric.portal("settings", failingJobs=["Ingest"])
    state, dev = await update_with_plan(fabric, "Dev")
    assert ("Failed", "JobInstanceFailed") == (
        state["status"],
        state["error"]["moreDetails"][0]["errorCode"],
    )
    items = await fabric.items(dev)
    notebook = await fabric.definition(dev, items["Ingest.Notebook"]["id"])
    model = await fabric.definition(dev, items["Sales.SemanticModel"]["id"])
    assert b"print(2)\n" == notebook["notebook-content.py"]
    assert "definition/a.tmdl" not in model


async def test_a_plan_without_beta_is_ignored_and_a_bad_one_refused(fabric: Fabric):
    """Guards deployment-plan-automation, docs: beta, the reference's spelling, a valid plan."""
    dev = await fabric.workspace("Dev")
    cyclic = PLAN_TEXT.replace(
        f"logicalId: {LAKEHOUSE}", f"logicalId: {LAKEHOUSE}\n    dependsOn: [{{groupName: Lake}}]"
    )
    fabric.push(with_plan(cyclic))
    plan = {"logicalId": PLAN, "referenceType": "ByLogicalId"}
    path = f"/workspaces/{dev}/git/updateFromGit"
    body = {**await heads(fabric, dev), "options": {"deploymentPlan": plan}}
    for changed, code in (
        ({}, "CyclicDependencyDetected"),
        ({"logicalId": ZERO}, "ItemNotFound"),
        ({"referenceType": "byLogicalId"}, "BadRequest"),
        ({"logicalId": "no"}, "BadRequest"),
    ):
        body["options"] = {"deploymentPlan": {**plan, **changed}}
        assert code == await fabric.code("POST", f"{path}?beta=true", body, status=400), changed
    await fabric.run("POST", path, body)
    assert "Release.DeploymentPlan" in await fabric.items(dev)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1.0.0\n", "version: [\n"),
        ("groups:", "groups: 3\nold:"),
        ("name: Lake", "name: NOTEBOOK"),
        (f"logicalId: {LAKEHOUSE}", f"logicalId: {MODEL}"),
        (f"logicalId: {LAKEHOUSE}", f"logicalId: {ZERO}"),
        ("groupName: notebook", "groupName: nobody"),
        ("type: Execute", "type: Refresh"),
        ("postActions", "preActions"),
        ("name: Lake", f"name: {'x' * 61}"),
    ],
)
async def test_an_inconsistent_plan_is_refused(fabric: Fabric, old: str, new: str):
    """Guards deployment-plan-troubleshoot and -limitations, docs: what can not be saved."""
    fabric.push(with_plan(PLAN_TEXT.replace(old, new)))
    dev = await fabric.workspace("Dev")
    plan = {"logicalId": PLAN, "referenceType": "ByLogicalId"}
    body = {**await heads(fabric, dev), "options": {"deploymentPlan": plan}}
    path = f"/workspaces/{dev}/git/updateFromGit?beta=true"
    assert "InvalidDeploymentPlan" == await fabric.code("POST", path, body, status=400)


async def test_a_plan_of_either_stage_orders_a_deployment(fabric: Fabric):
    """Guards deployment-plan-attach, docs: by item id; steps in its order, actions in the target."""
    fabric.push(with_plan())
    state, dev = await update_with_plan(fabric, "Dev")
    assert "Succeeded" == state["status"], state
    path, body = await deploy_body(fabric)
    item = (await fabric.items(dev))["Release.DeploymentPlan"]["id"]
    plan = {"itemId": item, "referenceType": "ByItemId"}
    result = await fabric.done(
        "POST", f"{path}?beta=true", {**body, "options": {"deploymentPlan": plan}}
    )
    steps = [step["sourceAndTarget"]["itemType"] for step in result["executionPlan"]["steps"]]
    assert steps.index("Notebook") < steps.index("SemanticModel") < steps.index("Report")
    test = await fabric.workspace("Test")
    notebook = (await fabric.items(test))["Ingest.Notebook"]["id"]
    run = f"/workspaces/{test}/items/{notebook}/jobs/instances"
    assert ["Completed"] == [job["status"] for job in await fabric.all(run)]
    there = (await fabric.items(test))["Release.DeploymentPlan"]["id"]
    body["options"] = {"deploymentPlan": {"itemId": there, "referenceType": "ByItemId"}}
    await fabric.done("POST", f"{path}?beta=true", body)
    assert 2 == len(await fabric.all(run))


# Connecting, section 6.3


async def test_a_repository_in_another_region_needs_the_tenants_consent(
    fabric: Fabric, tmp_path: Path
):
    """Guards section 6.9, docs: CrossGeographyOperationIsNotAllowed until the switch is on."""
    organization = {"organization": "contoso", "region": "North Europe", "projects": []}
    await fabric.scenario(tmp_path, azureDevOps=[organization])
    answer = json.loads(await connect(fabric, "Empty", status=403))
    assert "CrossGeographyOperationIsNotAllowed" == answer["errorCode"]
    dev = await fabric.workspace("Dev")
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# mine\n")
    path = f"/workspaces/{dev}/git/commitToGit"
    code = await fabric.code("POST", path, {"mode": "All"}, status=403)
    assert "CrossGeographyOperationIsNotAllowed" == code
    await fabric.portal("settings", crossGeoGit=True)
    await connect(fabric, "Empty")


async def test_guests_do_not_get_to_git(fabric: Fabric, tmp_path: Path):
    """Guards section 6.9, docs: B2B is not supported; GitProviderGuestAccessDenied (SDK)."""
    await fabric.scenario(tmp_path, principals=[{"id": GUEST, "name": "Guest", "guest": True}])
    answer = json.loads(await connect(fabric, "Empty", status=403, token=user_token(GUEST)))
    assert "GitProviderGuestAccessDenied" == answer["errorCode"]
    path = f"/workspaces/{await fabric.workspace('Dev')}/git/status"
    code = await fabric.code("GET", path, status=403, token=user_token(GUEST))
    assert "GitProviderGuestAccessDenied" == code


@pytest.mark.parametrize(
    ("kind", "code", "shown"),
    [
        ("Personal", "MyWorkspaceCantBeChanged", "Personal"),
        ("TemplateApp", "TemplateAppsWorkspacesNotSupported", "Workspace"),
    ],
)
async def test_my_workspace_and_template_apps_are_not_connected(
    fabric: Fabric, tmp_path: Path, kind: str, code: str, shown: str
):
    """Guards section 6.3, docs: both kinds of workspaces are unsupported."""
    entry = {"name": "Special", "capacity": "F8", "kind": kind}
    await fabric.scenario(tmp_path, workspaces=[entry])
    assert code == json.loads(await connect(fabric, "Special", status=400))["errorCode"]
    workspace = await fabric.get(f"/workspaces/{await fabric.workspace('Special')}")
    assert shown == workspace["type"]


# Status and credentials, sections 6.5 and 6.8


async def test_an_update_can_leave_items_changed_by_formatting_alone(fabric: Fabric):
    """Guards section 6.5, docs: CRLF and a last line feed in Git show as Modified afterwards."""
    await fabric.portal("settings", reserializeContent=True)
    dev = await fabric.workspace("Dev")
    fabric.push({"Ingest.Notebook/notebook-content.py": "# Fabric\r\nprint(3)\r\n"})
    body = {**await heads(fabric, dev), "options": {"allowOverrideItems": True}}
    state, _ = await fabric.run("POST", f"/workspaces/{dev}/git/updateFromGit", body)
    assert "Succeeded" == state["status"]
    status = await fabric.get(f"/workspaces/{dev}/git/status")
    assert status["workspaceHead"] == status["remoteCommitHash"]
    assert [("Ingest", "Modified", "None", False)] == [
        (
            change["itemMetadata"]["displayName"],
            change["workspaceChange"],
            change["conflictType"],
            "remoteChange" in change,
        )
        for change in status["changes"]
    ]
    await fabric.done("POST", f"/workspaces/{dev}/git/commitToGit", {"mode": "All"})
    assert "# Fabric\nprint(3)" == fabric.text("Ingest.Notebook/notebook-content.py")


async def test_a_configured_connection_serves_where_single_sign_on_fails(
    fabric: Fabric, tmp_path: Path
):
    """Guards section 6.8, docs of Dec 2025: it falls back to one to this repository only."""
    await fabric.portal("settings", automaticGitFails=["*"])
    dev = await fabric.workspace("Dev")
    path = f"/workspaces/{dev}/git/status"
    assert "GitCredentialsNotConfigured" == await fabric.code("GET", path, status=400)

    def connection(name: str) -> dict[str, str]:
        url = f"https://dev.azure.com/contoso/Sales/_git/{name}/"
        return {"name": name, "type": "AzureDevOpsSourceControl", "url": url}

    await fabric.scenario(tmp_path, connections=[connection("other")])
    assert "GitCredentialsNotConfigured" == await fabric.code("GET", path, status=400)
    await fabric.scenario(tmp_path, connections=[connection("fabric-sales")])
    await fabric.get(path)
    await connect(fabric, "Empty")
    mine = await fabric.get(f"/workspaces/{dev}/git/myGitCredentials")
    assert {"source": "Automatic"} == mine


# Deployment pipelines, section 7.4


async def test_without_permission_on_the_capacity_the_new_workspace_stays_empty(
    fabric: Fabric, tmp_path: Path
):
    """Guards section 7.4, docs: the workspace is made, the content is not copied."""
    await fabric.scenario(tmp_path, capacities=[{"name": "Closed", "contributors": [GUEST]}])
    closed = next(c["id"] for c in await fabric.all("/capacities") if c["displayName"] == "Closed")
    path, body = await deploy_body(fabric)
    stage = f"{path.removesuffix('/deploy')}/stages/{body['targetStageId']}"
    await fabric.call("POST", f"{stage}/unassignWorkspace")
    body["createdWorkspaceDetails"] = {"name": "New", "capacityId": closed}
    state, _ = await fabric.run("POST", path, body)
    assert ("Failed", "InsufficientPermissionsOverCapacity") == (
        state["status"],
        state["error"]["moreDetails"][0]["errorCode"],
    )
    new = await fabric.workspace("New")
    assert new == (await fabric.get(stage))["workspaceId"]
    assert {} == await fabric.items(new)
    assert "capacityId" not in await fabric.get(f"/workspaces/{new}")
    code = await fabric.code("POST", path, body, status=400)
    assert "Alm_InvalidRequest_WorkspaceHasNoCapacity" == code
    assign = f"/workspaces/{new}/assignToCapacity"
    code = await fabric.code("POST", assign, {"capacityId": closed}, status=403)
    assert "InsufficientPermissionsOverCapacity" == code
    await fabric.call("POST", assign, {"capacityId": await open_capacity(fabric)}, status=202)
    await fabric.done("POST", path, body)
    assert "Ingest.Notebook" in await fabric.items(new)


async def open_capacity(fabric: Fabric) -> str:
    """Return the id of the capacity that everybody may use."""
    return next(c["id"] for c in await fabric.all("/capacities") if c["displayName"] == "F8")


async def add_direct_lake(fabric: Fabric) -> tuple[str, str]:
    """Add a Direct Lake model over the lakehouse in Dev; return the lakehouse's id and the path."""
    lakehouse = (await fabric.items(await fabric.workspace("Dev")))["Raw.Lakehouse"]["id"]
    text = f'table T\n\tpartition T = entity\n\t\tmode: directLake\n\nexpression Lake = "{lakehouse}"\n'
    parts = {"definition.pbism": "{}", "definition/tables/T.tmdl": text}
    await fabric.portal("add", workspace="Dev", type="SemanticModel", name="Lake", parts=parts)
    return lakehouse, "definition/tables/T.tmdl"


async def model_text(fabric: Fabric, path: str) -> str:
    """Return a file of the model as the second stage has it."""
    test = await fabric.workspace("Test")
    model = (await fabric.items(test))["Lake.SemanticModel"]["id"]
    return (await fabric.definition(test, model))[path].decode()


async def test_a_direct_lake_model_keeps_pointing_to_its_source(fabric: Fabric):
    """Guards section 7.4, docs: it does not autobind and needs no lakehouse in the target."""
    lakehouse, place = await add_direct_lake(fabric)
    dev = await fabric.items(await fabric.workspace("Dev"))
    path, body = await deploy_body(fabric)
    chosen = {"sourceItemId": dev["Lake.SemanticModel"]["id"], "itemType": "SemanticModel"}
    await fabric.done("POST", path, {**body, "items": [chosen]})
    assert lakehouse in await model_text(fabric, place)
    await fabric.done("POST", path, body)
    assert lakehouse in await model_text(fabric, place)


async def test_deployment_rules_replace_what_the_source_says(fabric: Fabric):
    """Guards create-rules, docs: data source, parameter and default lakehouse, from the portal."""
    lakehouse, place = await add_direct_lake(fabric)
    path, body = await deploy_body(fabric)
    await fabric.done("POST", path, body)
    rule = {"pipeline": "Sales", "stage": "Test"}
    await fabric.portal(
        "rule", **rule, item="Lake", kind="dataSource", name=lakehouse, value="other-lake"
    )
    await fabric.portal("rule", **rule, item="Ingest", kind="defaultLakehouse", value=ZERO)
    result = await fabric.done("POST", path, body)
    different = {
        step["sourceAndTarget"]["sourceItemDisplayName"]
        for step in result["executionPlan"]["steps"]
        if step["preDeploymentDiffState"] == "Different"
    }
    assert {"Lake", "Ingest"} == different
    assert "other-lake" in await model_text(fabric, place)
    test = await fabric.workspace("Test")
    notebook = await fabric.definition(test, (await fabric.items(test))["Ingest.Notebook"]["id"])
    assert f'"default_lakehouse": "{ZERO}"' in notebook["notebook-content.py"].decode()
    gone = {"item": "Lake", "kind": "dataSource", "name": lakehouse, "value": None}
    await fabric.portal("rule", **rule, **gone)
    await fabric.portal("rule", **rule, item="Lake", kind="parameter", name="Lake", value="P")
    await fabric.done("POST", path, body)
    assert 'expression Lake = "P"' in await model_text(fabric, place)


async def test_a_rule_that_finds_nothing_fails_the_deployment(fabric: Fabric):
    """Guards create-rules, docs: an invalid rule fails; the first stage and other types have none."""
    await add_direct_lake(fabric)
    path, body = await deploy_body(fabric)
    await fabric.done("POST", path, body)
    rule = {"action": "rule", "pipeline": "Sales", "item": "Lake", "kind": "parameter"}
    url = f"{fabric.emulator.urls.control_url}/portal"
    first = {**rule, "stage": "Development", "name": "Lake", "value": "P"}
    wrong = {**rule, "stage": "Test", "item": "Raw", "name": "Lake", "value": "P"}
    for refused in (first, wrong):
        assert 400 == (await fabric.client.post(url, json=refused)).status_code
    await fabric.portal(**{**rule, "stage": "Test", "name": "Nothing", "value": "P"})
    state, _ = await fabric.run("POST", path, body)
    assert "InvalidDeploymentRule" == state["error"]["moreDetails"][0]["errorCode"]
    stage = f"{path.removesuffix('/deploy')}/stages/{body['targetStageId']}"
    await fabric.call("POST", f"{stage}/unassignWorkspace")
    workspace = {"workspaceId": await fabric.workspace("Test")}
    await fabric.call("POST", f"{stage}/assignWorkspace", workspace)
    await fabric.done("POST", path, body)


# Workspaces, sections 8 and 9


async def test_deleted_items_count_toward_the_item_limit(
    fabric: Fabric, monkeypatch: pytest.MonkeyPatch
):
    """Guards section 8, spec: a soft-deleted item counts, a hard-deleted one does not."""
    monkeypatch.setattr("reconciler.emulator.fabric.catalog.ITEM_LIMIT", 2)
    path = f"/workspaces/{await fabric.workspace('Empty')}/items"

    async def add(name: str, status: int) -> str:
        body = {"displayName": name, "type": "Notebook"}
        return (await fabric.call("POST", path, body, status=status)).json().get("id", "")

    ids = [await add("A", 201), await add("B", 201)]
    await fabric.call("DELETE", f"{path}/{ids[0]}?hardDelete=true")
    await add("C", 201)
    await fabric.call("DELETE", f"{path}/{ids[1]}")
    await add("D", 400)
    control = fabric.emulator.urls.control_url
    await fabric.client.post(f"{control}/clock", json={"advance_s": 8 * 86400})
    await add("D", 201)


async def test_folders_can_be_limited(fabric: Fabric):
    """Guards section 8, SDK: TooManyFolders; no number is published, so it is a setting."""
    await fabric.portal("settings", folderLimit=1)
    path = f"/workspaces/{await fabric.workspace('Empty')}/folders"
    await fabric.call("POST", path, {"displayName": "A"}, status=201)
    assert "TooManyFolders" == await fabric.code("POST", path, {"displayName": "B"}, status=400)


async def test_a_network_policy_keeps_a_workspace_from_git(fabric: Fabric):
    """Guards section 8, spec and docs: outbound denied blocks Git until an admin allows it."""
    dev = await fabric.workspace("Dev")
    policy = f"/workspaces/{dev}/networking/communicationPolicy"
    git = f"{policy}/outbound/git"
    untouched = await fabric.call("GET", git)
    assert {"defaultAction": "Allow"} == untouched.json()
    await fabric.call("PUT", git, {"defaultAction": "Deny"}, status=400)
    closed = {"outbound": {"publicAccessRules": {"defaultAction": "Deny"}}}
    await fabric.call("PUT", policy, closed)
    assert "Deny" == (await fabric.get(policy))["outbound"]["publicAccessRules"]["defaultAction"]
    for method, call in (
        ("GET", "status"),
        ("GET", "connection"),
        ("POST", "disconnect"),
        ("POST", "commitToGit"),
    ):
        path = f"/workspaces/{dev}/git/{call}"
        assert "Forbidden" == await fabric.code(method, path, status=403), call
    await fabric.items(dev)
    await fabric.call("PUT", git, {"defaultAction": "Allow"})
    await fabric.get(f"/workspaces/{dev}/git/status")
    await fabric.call("PUT", policy, {})
    await fabric.call("PUT", policy, closed)
    assert {"defaultAction": "Deny"} == await fabric.get(git)


async def test_a_network_policy_is_changed_only_as_it_was_seen(fabric: Fabric):
    """Guards section 8, spec: ETag and If-Match."""
    dev = await fabric.workspace("Dev")
    url = f"{fabric.root}/workspaces/{dev}/networking/communicationPolicy"
    seen = (await fabric.client.get(url)).headers["ETag"]
    body = {"outbound": {"publicAccessRules": {"defaultAction": "Deny"}}}
    statuses = [
        (await fabric.client.put(url, json=body, headers={"If-Match": seen})).status_code
        for _ in range(2)
    ]
    assert [200, 412] == statuses
    git = f"{url}/outbound/git"
    seen = (await fabric.client.get(git)).headers["ETag"]
    for wanted, status in (('"other"', 412), (seen, 200), (seen, 412)):
        sent = {"defaultAction": "Allow"}
        answer = await fabric.client.put(git, json=sent, headers={"If-Match": wanted})
        assert status == answer.status_code


def version_1(kind: str, name: str, logical_id: str) -> dict[str, str]:
    """Return system files of version 1."""
    return {
        "item.metadata.json": json.dumps({"type": kind, "displayName": name}),
        "item.config.json": json.dumps({"version": "1.0", "logicalId": logical_id}),
    }


async def test_version_1_system_files_are_read_and_replaced_by_a_commit(fabric: Fabric):
    """Guards section 9, docs: both files together name an item; they alone are no change."""
    report = {
        path: text
        for path, text in ITEMS.items()
        if "Sales.Report" in path and "platform" not in path
    }
    old = version_1("report", "Old", "11111111-0000-4000-8000-0000000000aa")
    model = version_1("dataset", "Older", "11111111-0000-4000-8000-0000000000bb")
    fabric.push(
        {
            **{path.replace("Sales.Report", "Old.Report"): text for path, text in report.items()},
            **{f"reports/Old.Report/{name}": text for name, text in old.items()},
            **{f"Older.Dataset/{name}": text for name, text in model.items()},
            "Older.Dataset/definition.pbism": "{}",
        }
    )
    dev = await fabric.workspace("Dev")
    body = await heads(fabric, dev)
    state, _ = await fabric.run("POST", f"/workspaces/{dev}/git/updateFromGit", body)
    assert "Succeeded" == state["status"], state
    items = await fabric.items(dev)
    assert {"Old.Report", "Older.SemanticModel"} <= set(items)
    assert {".platform", "definition.pbir", "report.json"} == set(
        await fabric.definition(dev, items["Old.Report"]["id"])
    )
    assert [] == (await fabric.get(f"/workspaces/{dev}/git/status"))["changes"]
    await fabric.portal("edit", workspace="Dev", item="Old", path="report.json", content="[]")
    await fabric.done("POST", f"/workspaces/{dev}/git/commitToGit", {"mode": "All"})
    assert {".platform", "definition.pbir", "report.json"} == {
        path.rpartition("/")[2] for path in fabric.files() if "Old.Report/" in path
    }


@pytest.mark.parametrize("extra", [{".platform"}, {"item.config.json"}])
async def test_system_files_of_both_versions_or_half_of_one_are_invalid(
    fabric: Fabric, extra: set[str]
):
    """Guards section 9, docs: either both files of version 1 or the one of version 2."""
    files = version_1("Notebook", "Mixed", "11111111-0000-4000-8000-0000000000aa")
    if ".platform" in extra:
        files[".platform"] = platform("Notebook", "Mixed", "11111111-0000-4000-8000-0000000000aa")
    else:
        del files["item.config.json"]
    fabric.push({f"Mixed.Notebook/{name}": text for name, text in files.items()})
    path = f"/workspaces/{await fabric.workspace('Dev')}/git/status"
    assert "InvalidSystemFiles" == await fabric.code("GET", path, status=400)
