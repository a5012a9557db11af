"""Deployment pipelines of the emulated Fabric, over real HTTP."""

from pathlib import Path

import httpx
import pytest
from fabric_client import ZERO, Contract, Fabric, estate, write_items

from reconciler.emulator.server import Emulator


@pytest.fixture
async def fabric(emulator: Emulator, http: httpx.AsyncClient, tmp_path: Path) -> Fabric:
    """Dev with items, an empty Test, and a pipeline of three stages with a vacant last one."""
    write_items(tmp_path / "items")
    found = Fabric(emulator, http)
    await found.scenario(
        tmp_path,
        **estate(
            workspaces=[
                {"name": "Dev", "capacity": "F8", "items": "items"},
                {"name": "Test", "capacity": "F8"},
                {"name": "Other", "capacity": "F8", "items": "items"},
                {"name": "Poor"},
            ],
            pipelines=[
                {
                    "name": "Sales",
                    "stages": [
                        {"name": "Development", "workspace": "Dev"},
                        {"name": "Test", "workspace": "Test"},
                        {"name": "Production"},
                    ],
                }
            ],
        ),
    )
    return found


class Line:
    """The pipeline under test, with its stages by number."""

    def __init__(self, fabric: Fabric, body: dict) -> None:
        self.fabric = fabric
        self.path = f"/deploymentPipelines/{body['id']}"
        self.stages = [stage["id"] for stage in body["stages"]]

    @classmethod
    async def of(cls, fabric: Fabric, name: str = "Sales") -> "Line":
        found = next(
            p for p in await fabric.all("/deploymentPipelines") if p["displayName"] == name
        )
        return cls(fabric, await fabric.get(f"/deploymentPipelines/{found['id']}"))

    def body(self, source: int, target: int, **more) -> dict:
        return {
            "sourceStageId": self.stages[source],
            "targetStageId": self.stages[target],
            **more,
        }

    async def deploy(self, source: int = 0, target: int = 1, **more):
        return await self.fabric.run(
            "POST", f"{self.path}/deploy", self.body(source, target, **more)
        )

    async def refused(self, source: int, target: int, *, status: int = 400, **more) -> str:
        return await self.fabric.code(
            "POST", f"{self.path}/deploy", self.body(source, target, **more), status=status
        )

    async def items(self, stage: int) -> dict[str, dict]:
        found = await self.fabric.all(f"{self.path}/stages/{self.stages[stage]}/items")
        return {f"{item['itemDisplayName']}.{item['itemType']}": item for item in found}


def diffs(result: dict) -> dict[str, str]:
    """Return item names to the state before the deployment."""
    return {
        f"{s['sourceAndTarget']['sourceItemDisplayName']}.{s['sourceAndTarget']['itemType']}": s[
            "preDeploymentDiffState"
        ]
        for s in result["executionPlan"]["steps"]
    }


async def test_a_full_deployment_copies_binds_and_pairs(fabric: Fabric):
    """Guards the clean deployment: new ids, references to the target's items, edges."""
    line = await Line.of(fabric)
    answer = await fabric.call(
        "POST", f"{line.path}/deploy", line.body(0, 1, note="release 1"), status=202
    )
    deployment = answer.headers["deployment-id"]
    assert deployment != answer.headers["x-ms-operation-id"]
    result = await fabric.get(f"/operations/{answer.headers['x-ms-operation-id']}/result")
    assert ("Succeeded", "release 1") == (result["status"], result["note"]["content"])
    assert result == await fabric.get(f"{line.path}/operations/{deployment}")
    assert {
        "newItemsCount": 4,
        "differentItemsCount": 0,
        "noDifferenceItemsCount": 0,
    } == result["preDeploymentDiffInformation"]
    order = [step["description"] for step in result["executionPlan"]["steps"]]
    assert order.index("LakehouseDeployment") < order.index("NotebookDeployment")
    assert order.index("DatasetDeployment") < order.index("ReportDeployment")
    dev, test = await fabric.workspace("Dev"), await fabric.workspace("Test")
    here, there = await fabric.items(dev), await fabric.items(test)
    assert set(here) == set(there)
    assert not {i["id"] for i in here.values()} & {i["id"] for i in there.values()}
    text = (await fabric.definition(test, there["Ingest.Notebook"]["id"]))["notebook-content.py"]
    assert there["Raw.Lakehouse"]["id"].encode() in text
    assert test.encode() in text
    assert here["Raw.Lakehouse"]["id"].encode() not in text
    paired = await line.items(1)
    assert here["Raw.Lakehouse"]["id"] == paired["Raw.Lakehouse"]["sourceItemId"]
    assert paired["Raw.Lakehouse"]["lastDeploymentTime"].endswith("Z")
    assert there["Raw.Lakehouse"]["id"] == (await line.items(0))["Raw.Lakehouse"]["targetItemId"]
    folders = await fabric.all(f"/workspaces/{test}/folders")
    assert ["reports"] == [folder["displayName"] for folder in folders]


async def test_a_second_deployment_says_what_differs_and_keeps_target_ids(fabric: Fabric):
    """Guards overwriting along the edges, and the state before the deployment."""
    line = await Line.of(fabric)
    await line.deploy()
    test = await fabric.workspace("Test")
    before = await fabric.items(test)
    _, same = await line.deploy()
    assert {"NoDifference"} == set(diffs(same).values())
    await fabric.portal("edit", workspace="Dev", item="Ingest", append="# more\n")
    await fabric.portal("move", workspace="Dev", item="Raw", folder="data")
    await fabric.portal("rename", workspace="Test", item="Ingest", name="Load")
    _, result = await line.deploy()
    assert {
        "Ingest.Notebook": "Different",
        "Raw.Lakehouse": "Different",
        "Sales.SemanticModel": "NoDifference",
        "Sales.Report": "NoDifference",
    } == diffs(result)
    after = await fabric.items(test)
    assert before["Ingest.Notebook"]["id"] == after["Ingest.Notebook"]["id"]
    text = (await fabric.definition(test, after["Ingest.Notebook"]["id"]))["notebook-content.py"]
    assert text.endswith(b"# more\n")
    step = next(s for s in result["executionPlan"]["steps"] if s["description"].startswith("Note"))
    assert "Ingest" == step["sourceAndTarget"]["targetItemDisplayName"]
    history = await fabric.all(f"{line.path}/operations")
    assert [result["id"], same["id"]] == [entry["id"] for entry in history[:2]]
    assert "executionPlan" not in history[0]


async def test_a_selective_deployment_without_its_dependency_fails_and_says_so(fabric: Fabric):
    """Guards autobinding's rule: deployed along or present, else the deployment fails."""
    line = await Line.of(fabric)
    dev = await fabric.items(await fabric.workspace("Dev"))
    notebook = {"sourceItemId": dev["Ingest.Notebook"]["id"], "itemType": "Notebook"}
    report = {"sourceItemId": dev["Sales.Report"]["id"], "itemType": "Report"}
    for entry in (notebook, report):
        state, _ = await line.deploy(items=[entry])
        assert ("Failed", "DeploymentOperationFailed", "MissingDependency") == (
            state["status"],
            state["error"]["errorCode"],
            state["error"]["moreDetails"][0]["errorCode"],
        )
    newest = (await fabric.all(f"{line.path}/operations"))[0]
    plan = await fabric.get(f"{line.path}/operations/{newest['id']}")
    assert ("Failed", "Failed") == (plan["status"], plan["executionPlan"]["steps"][0]["status"])
    lake = {"sourceItemId": dev["Raw.Lakehouse"]["id"], "itemType": "Lakehouse"}
    state, _ = await line.deploy(items=[notebook, lake])
    assert "Succeeded" == state["status"]
    assert {"Ingest.Notebook", "Raw.Lakehouse"} == set(await line.items(1))


async def test_steps_before_a_failure_stay_applied(fabric: Fabric):
    """Guards that there is no rollback."""
    line = await Line.of(fabric)
    await fabric.portal("add", workspace="Test", type="Report", name="Sales")
    state, _ = await line.deploy()
    assert "DuplicateDisplayNameAndType" == state["error"]["moreDetails"][0]["errorCode"]
    assert "Ingest.Notebook" in await line.items(1)


async def test_new_items_that_need_each_other_cannot_be_deployed(fabric: Fabric):
    """Guards circular dependencies."""
    line = await Line.of(fabric)
    one = await fabric.portal("add", workspace="Dev", type="Notebook", name="One")
    two = await fabric.portal(
        "add", workspace="Dev", type="Notebook", name="Two", parts={"a.py": one["id"]}
    )
    await fabric.portal("edit", workspace="Dev", item="One", content=two["id"])
    chosen = [{"sourceItemId": entry["id"], "itemType": "Notebook"} for entry in (one, two)]
    state, _ = await line.deploy(items=chosen)
    assert "CyclicDependencyDetected" == state["error"]["moreDetails"][0]["errorCode"]


async def test_deploy_requests_are_checked_before_anything_runs(fabric: Fabric):
    """Guards the refusals of a deployment request."""
    line = await Line.of(fabric)
    dev = await fabric.items(await fabric.workspace("Dev"))
    entry = {"sourceItemId": dev["Ingest.Notebook"]["id"], "itemType": "Notebook"}
    endpoint = {"sourceItemId": dev["Raw.SQLEndpoint"]["id"], "itemType": "SQLEndpoint"}
    assert "InvalidDeploymentOperationRequest" == await line.refused(0, 2)
    assert "DeploymentPipelineStageHasNoAssignedWorkspace" == await line.refused(2, 1)
    assert "DeploymentPipelineStageHasNoAssignedWorkspace" == await line.refused(1, 2)
    assert "NoItemsToDeploy" == await line.refused(0, 1, items=[])
    assert "DuplicateSourceObjectIds" == await line.refused(0, 1, items=[entry, entry])
    assert "UnsupportedItemType" == await line.refused(0, 1, items=[endpoint])
    unknown = {"sourceItemId": ZERO, "itemType": "Notebook"}
    assert "ItemNotFound" == await line.refused(0, 1, items=[unknown])
    assert "BadRequest" == await line.refused(0, 1, note="x" * 1025)
    many = [{"sourceItemId": str(n), "itemType": "Notebook"} for n in range(301)]
    assert "BadRequest" == await line.refused(0, 1, items=many)
    assert [] == await fabric.all(f"{line.path}/operations")


async def test_more_than_300_items_exceed_one_request(fabric: Fabric):
    """Guards the item limit, for a list and for "all"."""
    line = await Line.of(fabric)
    for n in range(300):
        await fabric.portal("add", workspace="Dev", type="Notebook", name=f"N{n}")
    assert "NumberOfItemsInDeployRequestExceededLimit" == await line.refused(0, 1)
    dev = await fabric.items(await fabric.workspace("Dev"))
    chosen = [
        {"sourceItemId": item["id"], "itemType": item["type"]}
        for item in dev.values()
        if item["type"] != "SQLEndpoint"
    ]
    assert "NumberOfItemsInDeployRequestExceededLimit" == await line.refused(0, 1, items=chosen)
    state, _ = await line.deploy(items=chosen[:300])
    assert state["status"] in {"Succeeded", "Failed"}


async def test_a_vacant_stage_gets_a_workspace_of_the_given_name(fabric: Fabric):
    """Guards createdWorkspaceDetails: name, the source's capacity, the deployer as admin."""
    line = await Line.of(fabric)
    await line.deploy()
    assert "WorkspaceNameAlreadyExists" == await line.refused(
        1, 2, status=409, createdWorkspaceDetails={"name": "dev"}
    )
    state, _ = await line.deploy(1, 2, createdWorkspaceDetails={"name": "Sales Prod"})
    assert "Succeeded" == state["status"]
    made = await fabric.workspace("Sales Prod")
    stage = await fabric.get(f"{line.path}/stages/{line.stages[2]}")
    assert (made, "Sales Prod") == (stage["workspaceId"], stage["workspaceName"])
    info = await fabric.get(f"/workspaces/{made}")
    source = await fabric.get(f"/workspaces/{await fabric.workspace('Test')}")
    assert source["capacityId"] == info["capacityId"]
    assert "Ingest.Notebook" in await fabric.items(made)
    middle = (await line.items(1))["Ingest.Notebook"]
    assert {"sourceItemId", "targetItemId"} <= set(middle)


async def test_backward_deployments_go_into_an_empty_stage_only_and_as_a_whole(fabric: Fabric):
    """Guards the backward rules, and that the edge keeps its direction."""
    line = await Line.of(fabric)
    await line.deploy()
    assert "InvalidDeploymentOperationRequest" == await line.refused(1, 0)
    await fabric.call("POST", f"{line.path}/stages/{line.stages[0]}/unassignWorkspace")
    created = {"name": "Dev again"}
    test = await fabric.items(await fabric.workspace("Test"))
    entry = {"sourceItemId": test["Raw.Lakehouse"]["id"], "itemType": "Lakehouse"}
    assert "InvalidDeploymentOperationRequest" == await line.refused(
        1, 0, items=[entry], createdWorkspaceDetails=created
    )
    state, _ = await line.deploy(1, 0, createdWorkspaceDetails=created)
    assert "Succeeded" == state["status"]
    back = await fabric.items(await fabric.workspace("Dev again"))
    assert back["Raw.Lakehouse"]["id"] == (await line.items(1))["Raw.Lakehouse"]["sourceItemId"]


async def test_assigning_pairs_by_type_and_name_and_later_items_stay_unpaired(fabric: Fabric):
    """Guards pairing on assignment, its survival of a rename, and the duplicate it avoids not."""
    line = await Line.of(fabric)
    stage = f"{line.path}/stages/{line.stages[1]}"
    await fabric.call("POST", f"{stage}/unassignWorkspace")
    other = await fabric.workspace("Other")
    await fabric.call("POST", f"{stage}/assignWorkspace", {"workspaceId": other})
    assert {"sourceItemId"} <= set((await line.items(1))["Ingest.Notebook"])
    await fabric.portal("rename", workspace="Other", item="Ingest", name="Load")
    assert "sourceItemId" in (await line.items(1))["Load.Notebook"]
    await fabric.portal("add", workspace="Dev", type="Notebook", name="Late")
    late = await fabric.portal("add", workspace="Other", type="Notebook", name="Late")
    assert "targetItemId" not in (await line.items(0))["Late.Notebook"]
    await line.deploy()
    found = await fabric.all(f"{stage}/items")
    twins = [item for item in found if item["itemDisplayName"] == "Late"]
    assert 2 == len(twins)
    assert {late["id"]} == {item["itemId"] for item in twins if "sourceItemId" not in item}


async def test_unassigning_forgets_pairs_and_history(fabric: Fabric):
    """Guards what an in-place change of a stage loses."""
    line = await Line.of(fabric)
    await line.deploy()
    stage = f"{line.path}/stages/{line.stages[1]}"
    await fabric.call("POST", f"{stage}/unassignWorkspace")
    assert [] == await fabric.all(f"{line.path}/operations")
    assert "targetItemId" not in (await line.items(0))["Ingest.Notebook"]
    assert "DeploymentPipelineStageHasNoAssignedWorkspace" == await fabric.code(
        "POST", f"{stage}/unassignWorkspace", status=400
    )


async def test_a_stage_takes_a_free_workspace_with_a_capacity_only(fabric: Fabric):
    """Guards the rules of assignment, and that an assigned workspace cannot be deleted."""
    line = await Line.of(fabric)
    path = f"{line.path}/stages/{line.stages[2]}/assignWorkspace"
    dev, poor = await fabric.workspace("Dev"), await fabric.workspace("Poor")
    assert "BadRequest" == await fabric.code("POST", path, {"workspaceId": dev}, status=400)
    assert "Alm_InvalidRequest_WorkspaceHasNoCapacity" == await fabric.code(
        "POST", path, {"workspaceId": poor}, status=400
    )
    taken = f"{line.path}/stages/{line.stages[0]}/assignWorkspace"
    other = await fabric.workspace("Other")
    assert "BadRequest" == await fabric.code("POST", taken, {"workspaceId": other}, status=400)
    assert "WorkspaceNotFound" == await fabric.code("POST", path, {"workspaceId": ZERO}, status=404)
    await fabric.code("DELETE", f"/workspaces/{dev}", status=400)
    await fabric.call("DELETE", f"/workspaces/{poor}")


async def test_one_deployment_at_a_time_and_nothing_copied_before_it_is_due(
    start_emulator, http: httpx.AsyncClient, tmp_path: Path
):
    """Guards exclusivity per pipeline and the running state of the history."""
    write_items(tmp_path / "items")
    slow = Fabric(await start_emulator(speed="real"), http)
    await slow.scenario(
        tmp_path,
        capacities=[{"name": "F8"}],
        workspaces=[
            {"name": "Dev", "capacity": "F8", "items": "items"},
            {"name": "Test", "capacity": "F8"},
        ],
        pipelines=[
            {
                "name": "Sales",
                "stages": [{"name": "D", "workspace": "Dev"}, {"name": "T", "workspace": "Test"}],
            }
        ],
    )
    line = await Line.of(slow)
    state, _ = await line.deploy()
    assert "Running" == state["status"]
    assert "WorkspaceMigrationOperationInProgress" == await line.refused(0, 1)
    assert "WorkspaceMigrationOperationInProgress" == await slow.code(
        "DELETE", line.path, status=409
    )
    stage = f"{line.path}/stages/{line.stages[1]}/unassignWorkspace"
    assert "WorkspaceMigrationOperationInProgress" == await slow.code("POST", stage, status=400)
    assert "Running" == (await slow.all(f"{line.path}/operations"))[0]["status"]
    assert {} == await line.items(1)
    slow.world.clock.advance(120)
    assert "Succeeded" == (await slow.all(f"{line.path}/operations"))[0]["status"]
    assert 4 == len(await line.items(1))


async def test_history_keeps_the_20_most_recent(fabric: Fabric):
    """Guards the documented length of the history."""
    line = await Line.of(fabric)
    ids = [(await line.deploy())[1]["id"] for _ in range(22)]
    found = [entry["id"] for entry in await fabric.all(f"{line.path}/operations")]
    assert list(reversed(ids[2:])) == found


async def test_pipelines_are_made_changed_and_removed(fabric: Fabric):
    """Guards the plain calls: 201 with stages, unique names, stage changes, 200 on delete."""
    body = {
        "displayName": "Other",
        "description": "d",
        "stages": [{"displayName": "One", "isPublic": True}, {"displayName": "Two"}],
    }
    made = (await fabric.call("POST", "/deploymentPipelines", body, status=201)).json()
    path = f"/deploymentPipelines/{made['id']}"
    assert [(0, "One", True), (1, "Two", False)] == [
        (s["order"], s["displayName"], s["isPublic"]) for s in made["stages"]
    ]
    assert "stages" not in (await fabric.all("/deploymentPipelines"))[-1]
    assert "Alm_InvalidRequest_DuplicateAlmPipelineName" == await fabric.code(
        "POST", "/deploymentPipelines", {**body, "displayName": "OTHER"}, status=400
    )
    few = {**body, "displayName": "Few", "stages": body["stages"][:1]}
    await fabric.code("POST", "/deploymentPipelines", few, status=400)
    changed = await fabric.call("PATCH", path, {"description": "e"})
    assert ("Other", "e") == (changed.json()["displayName"], changed.json()["description"])
    stage = f"{path}/stages/{made['stages'][1]['id']}"
    await fabric.code("PATCH", stage, {"description": "no name"}, status=400)
    renamed = (await fabric.call("PATCH", stage, {"displayName": "Prod"})).json()
    assert "Prod" == renamed["displayName"]
    assert 2 == len(await fabric.all(f"{path}/stages"))
    await fabric.call("DELETE", path)
    assert "EntityNotFound" == await fabric.code("GET", path, status=404)


async def test_pipeline_roles_are_admins_added_with_200(fabric: Fabric):
    """Guards pipeline role assignments and that strangers are refused."""
    body = {"displayName": "P", "stages": [{"displayName": "A"}, {"displayName": "B"}]}
    made = (await fabric.call("POST", "/deploymentPipelines", body, status=201)).json()
    path = f"/deploymentPipelines/{made['id']}"
    assert "InsufficientPrivileges" == await fabric.code("GET", path, status=403, token="other")
    who = "33333333-0000-4000-8000-000000000001"
    grant = {"principal": {"id": who, "type": "User"}, "role": "Admin"}
    added = await fabric.call("POST", f"{path}/roleAssignments", grant)
    assert (who, "Admin") == (added.json()["id"], added.json()["role"])
    assert 2 == len(await fabric.all(f"{path}/roleAssignments"))
    await fabric.call("DELETE", f"{path}/roleAssignments/{who}")
    last = (await fabric.all(f"{path}/roleAssignments"))[0]["id"]
    await fabric.code("DELETE", f"{path}/roleAssignments/{last}", status=400)


async def test_regions_are_crossed_only_when_allowed(fabric: Fabric, tmp_path: Path):
    """Guards allowCrossRegionDeployment."""
    await fabric.scenario(
        tmp_path,
        capacities=[{"name": "Far", "region": "East US"}],
        workspaces=[{"name": "Far away", "capacity": "Far"}],
    )
    line = await Line.of(fabric)
    await fabric.portal("reassign", pipeline="Sales", stage="Test", workspace="Far away")
    assert "InvalidDeploymentOperationRequest" == await line.refused(0, 1)
    state, _ = await line.deploy(options={"allowCrossRegionDeployment": True})
    assert "Succeeded" == state["status"]


async def test_references_across_pipelines_follow_the_stage_of_the_same_order(
    fabric: Fabric, tmp_path: Path
):
    """Guards autobinding across pipelines."""
    await fabric.scenario(
        tmp_path,
        capacities=[{"name": "F2"}],
        workspaces=[
            {"name": "Lake Dev", "capacity": "F2", "items": "items"},
            {"name": "Lake Test", "capacity": "F2", "items": "items"},
        ],
        pipelines=[
            {
                "name": "Lake",
                "stages": [
                    {"name": "D", "workspace": "Lake Dev"},
                    {"name": "T", "workspace": "Lake Test"},
                ],
            }
        ],
    )
    lake = (await fabric.items(await fabric.workspace("Lake Dev")))["Raw.Lakehouse"]["id"]
    theirs = (await fabric.items(await fabric.workspace("Lake Test")))["Raw.Lakehouse"]["id"]
    made = await fabric.portal(
        "add", workspace="Dev", type="Notebook", name="Reader", parts={"a.py": f"x = '{lake}'"}
    )
    line = await Line.of(fabric)
    await line.deploy(items=[{"sourceItemId": made["id"], "itemType": "Notebook"}])
    test = await fabric.workspace("Test")
    copy = (await fabric.items(test))["Reader.Notebook"]["id"]
    assert f"x = '{theirs}'".encode() == (await fabric.definition(test, copy))["a.py"]


async def test_every_answer_fits_the_official_definitions(fabric: Fabric):
    """Guards the wire shapes against the published swagger."""
    contract = Contract()
    file = "deploymentPipelines.json"
    line = await Line.of(fabric)
    _, result = await line.deploy(note="n")
    contract.check(f"{file}#DeploymentPipelineOperationExtendedInfo", result)
    contract.check(f"{file}#DeploymentPipelineExtendedInfo", await fabric.get(line.path))
    for name, path in (
        ("DeploymentPipelines", "/deploymentPipelines"),
        ("DeploymentPipelineStages", f"{line.path}/stages"),
        ("DeploymentPipelineStageItems", f"{line.path}/stages/{line.stages[1]}/items"),
        ("DeploymentPipelineOperations", f"{line.path}/operations"),
        ("DeploymentPipelineRoleAssignments", f"{line.path}/roleAssignments"),
    ):
        await fabric.portal("settings", pageSize=2)
        page = await fabric.get(path)
        page = {key: value for key, value in page.items() if value}
        contract.check(f"{file}#{name}", page)
