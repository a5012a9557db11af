"""Each Fabric call sends what the published definitions ask for and reads what they promise."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from reconciler.clients.fabric.client import FabricClient
from reconciler.clients.fabric.models import (
    CreatedWorkspace,
    DefinitionPart,
    DeployItem,
    DeployRequest,
    GitCredentialKey,
    GitCredentials,
    GitProviderDetails,
    GitServicePrincipal,
    ItemDefinition,
    ItemIdentifier,
    StageRequest,
)
from reconciler.errors import ClientError

from .helpers import Script, answer, everything_said, transport_for

W, P, S = "w-1", "p-1", "s-1"
STARTED = {"x-ms-operation-id": "op-1", "Retry-After": "1"}
PROVIDER = GitProviderDetails(
    git_provider_type="AzureDevOps",
    organization_name="contoso",
    project_name="Sales",
    repository_name="fabric-sales",
    branch_name="main",
    directory_name="/fabric",
)
PROVIDER_JSON = {
    "gitProviderType": "AzureDevOps",
    "organizationName": "contoso",
    "projectName": "Sales",
    "repositoryName": "fabric-sales",
    "branchName": "main",
    "directoryName": "/fabric",
}
DEPLOY = DeployRequest("a", "b")
WORKSPACE = {"id": W, "displayName": "Sales", "type": "Workspace"}
STAGE = {"id": S, "order": 0, "displayName": "Dev"}
ROLE = {"id": "u", "role": "Admin", "principal": {"id": "u", "type": "User"}}

CALLS = [
    (
        lambda c: c.workspaces.create("Sales", description="d", capacity_id="cap"),
        "POST /v1/workspaces",
        {"displayName": "Sales", "description": "d", "capacityId": "cap"},
        WORKSPACE,
    ),
    (
        lambda c: c.workspaces.create("Sales"),
        "POST /v1/workspaces",
        {"displayName": "Sales"},
        WORKSPACE,
    ),
    (
        lambda c: c.workspaces.update(W, description=""),
        "PATCH /v1/workspaces/w-1",
        {"description": ""},
        WORKSPACE,
    ),
    (lambda c: c.workspaces.delete(W), "DELETE /v1/workspaces/w-1", None, None),
    (
        lambda c: c.workspaces.assign_to_capacity(W, "cap"),
        "POST /v1/workspaces/w-1/assignToCapacity",
        {"capacityId": "cap"},
        None,
    ),
    (
        lambda c: c.workspaces.unassign_from_capacity(W),
        "POST /v1/workspaces/w-1/unassignFromCapacity",
        None,
        None,
    ),
    (
        lambda c: c.workspaces.add_role_assignment(
            W, principal_id="u", principal_type="Group", role="Viewer"
        ),
        "POST /v1/workspaces/w-1/roleAssignments",
        {"principal": {"id": "u", "type": "Group"}, "role": "Viewer"},
        ROLE,
    ),
    (
        lambda c: c.workspaces.update_role_assignment(W, "u", "Member"),
        "PATCH /v1/workspaces/w-1/roleAssignments/u",
        {"role": "Member"},
        ROLE,
    ),
    (
        lambda c: c.workspaces.delete_role_assignment(W, "u"),
        "DELETE /v1/workspaces/w-1/roleAssignments/u",
        None,
        None,
    ),
    (
        lambda c: c.connections.create_git(
            "sales-git",
            "AzureDevOpsSourceControl",
            "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
            GitServicePrincipal("t", "c", SecretStr("hush")),
        ),
        "POST /v1/connections",
        {
            "connectivityType": "ShareableCloud",
            "displayName": "sales-git",
            "connectionDetails": {
                "type": "AzureDevOpsSourceControl",
                "creationMethod": "AzureDevOpsSourceControl.Contents",
                "parameters": [
                    {
                        "dataType": "Text",
                        "name": "url",
                        "value": "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
                    }
                ],
            },
            "privacyLevel": "Organizational",
            "credentialDetails": {
                "singleSignOnType": "None",
                "connectionEncryption": "NotEncrypted",
                "skipTestConnection": False,
                "credentials": {
                    "credentialType": "ServicePrincipal",
                    "tenantId": "t",
                    "servicePrincipalClientId": "c",
                    "servicePrincipalSecret": "hush",
                },
            },
        },
        {"id": "c-1", "gatewayId": None},
    ),
    (lambda c: c.connections.delete("c-1"), "DELETE /v1/connections/c-1", None, None),
    (
        lambda c: c.items.create(W, display_name="N", type="Notebook", folder_id="f"),
        "POST /v1/workspaces/w-1/items",
        {"displayName": "N", "type": "Notebook", "folderId": "f"},
        {"id": "i", "type": "Notebook"},
    ),
    (
        lambda c: c.items.update_definition(
            W, "i", [DefinitionPart(".platform", b"{}")], update_metadata=True
        ),
        "POST /v1/workspaces/w-1/items/i/updateDefinition?updateMetadata=true",
        {
            "definition": {
                "parts": [{"path": ".platform", "payload": "e30=", "payloadType": "InlineBase64"}]
            }
        },
        None,
    ),
    (lambda c: c.items.delete(W, "i"), "DELETE /v1/workspaces/w-1/items/i", None, None),
    (
        lambda c: c.git.connect(W, PROVIDER, None),
        "POST /v1/workspaces/w-1/git/connect",
        {"gitProviderDetails": PROVIDER_JSON},
        None,
    ),
    (
        lambda c: c.git.connect(
            W, PROVIDER, GitCredentials(source="ConfiguredConnection", connection_id="c-1")
        ),
        "POST /v1/workspaces/w-1/git/connect",
        {
            "gitProviderDetails": PROVIDER_JSON,
            "myGitCredentials": {"source": "ConfiguredConnection", "connectionId": "c-1"},
        },
        None,
    ),
    (lambda c: c.git.disconnect(W), "POST /v1/workspaces/w-1/git/disconnect", None, None),
    (
        lambda c: c.git.begin_initialize(W, None),
        "POST /v1/workspaces/w-1/git/initializeConnection",
        {},
        {"requiredAction": "None"},
    ),
    (
        lambda c: c.git.initialize(W, "PreferRemote"),
        "POST /v1/workspaces/w-1/git/initializeConnection",
        {"initializationStrategy": "PreferRemote"},
        {"requiredAction": "UpdateFromGit", "workspaceHead": None, "remoteCommitHash": "abc"},
    ),
    (
        lambda c: c.git.begin_commit(
            W, mode="All", workspace_head="h", comment="hello", items=None
        ),
        "POST /v1/workspaces/w-1/git/commitToGit",
        {"mode": "All", "workspaceHead": "h", "comment": "hello"},
        None,
    ),
    (
        lambda c: c.git.begin_commit(
            W,
            mode="Selective",
            workspace_head=None,
            comment=None,
            items=[ItemIdentifier(object_id="o"), ItemIdentifier(logical_id="l")],
        ),
        "POST /v1/workspaces/w-1/git/commitToGit",
        {"mode": "Selective", "items": [{"objectId": "o"}, {"logicalId": "l"}]},
        None,
    ),
    (
        lambda c: c.git.begin_update(
            W,
            remote_commit_hash="r",
            workspace_head=None,
            conflict_resolution=None,
            allow_override=False,
        ),
        "POST /v1/workspaces/w-1/git/updateFromGit",
        {"remoteCommitHash": "r", "options": {"allowOverrideItems": False}},
        None,
    ),
    (
        lambda c: c.git.begin_update(
            W,
            remote_commit_hash="r",
            workspace_head="h",
            conflict_resolution="PreferRemote",
            allow_override=True,
        ),
        "POST /v1/workspaces/w-1/git/updateFromGit",
        {
            "remoteCommitHash": "r",
            "workspaceHead": "h",
            "conflictResolution": {
                "conflictResolutionType": "Workspace",
                "conflictResolutionPolicy": "PreferRemote",
            },
            "options": {"allowOverrideItems": True},
        },
        None,
    ),
    (
        lambda c: c.git.update_my_credentials(W, GitCredentials(source="Automatic")),
        "PATCH /v1/workspaces/w-1/git/myGitCredentials",
        {"source": "Automatic"},
        {"source": "Automatic"},
    ),
    (
        lambda c: c.git.create_relation(W, related_workspace_id="w-2", relation_type="Base"),
        "POST /v1/workspaces/w-1/git/workspaceRelations",
        {"relatedWorkspaceId": "w-2", "relationType": "Base"},
        {"id": "r", "relatedWorkspaceId": "w-2", "relationType": "Base"},
    ),
    (
        lambda c: c.pipelines.create(
            "Sales", "d", [StageRequest("Dev"), StageRequest("Prod", "live", is_public=True)]
        ),
        "POST /v1/deploymentPipelines",
        {
            "displayName": "Sales",
            "description": "d",
            "stages": [
                {"displayName": "Dev", "description": "", "isPublic": False},
                {"displayName": "Prod", "description": "live", "isPublic": True},
            ],
        },
        {"id": P, "displayName": "Sales", "stages": [STAGE]},
    ),
    (
        lambda c: c.pipelines.update(P, display_name="New"),
        "PATCH /v1/deploymentPipelines/p-1",
        {"displayName": "New"},
        {"id": P},
    ),
    (lambda c: c.pipelines.delete(P), "DELETE /v1/deploymentPipelines/p-1", None, None),
    (
        lambda c: c.pipelines.update_stage(P, S, display_name="Dev", is_public=False),
        "PATCH /v1/deploymentPipelines/p-1/stages/s-1",
        {"displayName": "Dev", "isPublic": False},
        STAGE,
    ),
    (
        lambda c: c.pipelines.assign_workspace(P, S, W),
        "POST /v1/deploymentPipelines/p-1/stages/s-1/assignWorkspace",
        {"workspaceId": W},
        None,
    ),
    (
        lambda c: c.pipelines.unassign_workspace(P, S),
        "POST /v1/deploymentPipelines/p-1/stages/s-1/unassignWorkspace",
        None,
        None,
    ),
    (
        lambda c: c.pipelines.begin_deploy(P, DEPLOY),
        "POST /v1/deploymentPipelines/p-1/deploy",
        {"sourceStageId": "a", "targetStageId": "b"},
        None,
    ),
    (
        lambda c: c.pipelines.begin_deploy(
            P,
            DeployRequest(
                "a",
                "b",
                items=(DeployItem("i", "Report"),),
                note="n",
                allow_cross_region=True,
                created_workspace=CreatedWorkspace("Prod", "cap"),
            ),
        ),
        "POST /v1/deploymentPipelines/p-1/deploy",
        {
            "sourceStageId": "a",
            "targetStageId": "b",
            "items": [{"sourceItemId": "i", "itemType": "Report"}],
            "note": "n",
            "options": {"allowCrossRegionDeployment": True},
            "createdWorkspaceDetails": {"name": "Prod", "capacityId": "cap"},
        },
        None,
    ),
    (
        lambda c: c.pipelines.add_role_assignment(P, principal_id="u", principal_type="User"),
        "POST /v1/deploymentPipelines/p-1/roleAssignments",
        {"principal": {"id": "u", "type": "User"}, "role": "Admin"},
        ROLE,
    ),
    (
        lambda c: c.pipelines.delete_role_assignment(P, "u"),
        "DELETE /v1/deploymentPipelines/p-1/roleAssignments/u",
        None,
        None,
    ),
]


@pytest.mark.parametrize(("call", "line", "body", "reply"), CALLS, ids=[c[1] for c in CALLS])
async def test_a_call_sends_the_documented_request(call, line, body, reply):
    """Method, path, query and body follow the published definitions."""
    script = Script(answer(200, reply))
    await call(FabricClient(transport_for(script)))
    sent = script.seen[0]
    assert line == f"{sent.method} {sent.url.raw_path.decode()}"
    if body is None:
        assert b"" == sent.content
    else:
        assert body == script.body()


@pytest.mark.parametrize(
    ("call", "path", "element", "attribute"),
    [
        (lambda c: c.capacities.list(), "/v1/capacities", {"id": "1", "sku": "F8"}, "sku"),
        (
            lambda c: c.connections.list(),
            "/v1/connections",
            {"id": "1", "displayName": "x"},
            "display_name",
        ),
        (lambda c: c.workspaces.list(), "/v1/workspaces", {"id": "1"}, "id"),
        (
            lambda c: c.workspaces.list_role_assignments(W),
            "/v1/workspaces/w-1/roleAssignments",
            ROLE,
            "role",
        ),
        (
            lambda c: c.items.list(W, type="Report"),
            "/v1/workspaces/w-1/items?type=Report",
            {"id": "1", "type": "Report"},
            "type",
        ),
        (
            lambda c: c.folders.list(W),
            "/v1/workspaces/w-1/folders?recursive=true",
            {"id": "1", "parentFolderId": "2"},
            "parent_folder_id",
        ),
        (lambda c: c.pipelines.list(), "/v1/deploymentPipelines", {"id": "1"}, "id"),
        (
            lambda c: c.pipelines.list_stage_items(P, S),
            "/v1/deploymentPipelines/p-1/stages/s-1/items",
            {"itemId": "1", "sourceItemId": "2"},
            "source_item_id",
        ),
        (
            lambda c: c.pipelines.list_operations(P),
            "/v1/deploymentPipelines/p-1/operations",
            {"id": "1", "status": "Running"},
            "status",
        ),
        (
            lambda c: c.pipelines.list_role_assignments(P),
            "/v1/deploymentPipelines/p-1/roleAssignments",
            ROLE,
            "role",
        ),
        (
            lambda c: c.git.list_relations(W),
            "/v1/workspaces/w-1/git/workspaceRelations",
            {"id": "1", "relatedWorkspaceId": "2", "relationType": "Base"},
            "relation_type",
        ),
    ],
)
async def test_every_list_reads_all_pages(call, path, element, attribute):
    """Lists follow continuation tokens and become typed values."""
    script = Script(
        answer(200, {"value": [element], "continuationToken": "t"}),
        answer(200, {"value": [element], "continuationToken": None}),
    )
    values = await call(FabricClient(transport_for(script)))
    assert 2 == len(values)
    assert path == script.paths[0]
    assert getattr(values[0], attribute)


async def test_an_unbound_workspace_is_a_state_not_an_error():
    """Both details are null and the state says NotConnected."""
    script = Script(
        answer(
            200,
            {
                "gitProviderDetails": None,
                "gitSyncDetails": None,
                "gitConnectionState": "NotConnected",
            },
        )
    )
    connection = await FabricClient(transport_for(script)).git.get_connection(W)
    assert ("NotConnected", None, None) == (
        connection.git_connection_state,
        connection.git_provider_details,
        connection.git_sync_details,
    )


async def test_a_binding_is_read_with_a_sync_time_in_utc():
    """The lastSyncTime comes without Z; the root directory as an empty string."""
    script = Script(
        answer(
            200,
            {
                "gitProviderDetails": {**PROVIDER_JSON, "directoryName": ""},
                "gitSyncDetails": {"head": "abc", "lastSyncTime": "2021-11-20T09:26:43.153"},
                "gitConnectionState": "ConnectedAndInitialized",
                "gitConnectionType": "Full",
            },
        )
    )
    connection = await FabricClient(transport_for(script)).git.get_connection(W)
    assert connection.git_sync_details is not None
    assert datetime(2021, 11, 20, 9, 26, 43, 153000, UTC) == (
        connection.git_sync_details.last_sync_time
    )
    assert connection.git_provider_details is not None
    assert "" == connection.git_provider_details.directory_name


async def test_git_status_waits_for_a_long_running_answer():
    """Status is a GET that may be long-running; the unchanged side is None."""
    status = {
        "workspaceHead": "h",
        "remoteCommitHash": "r",
        "changes": [
            {
                "itemMetadata": {
                    "itemIdentifier": {"objectId": "o"},
                    "itemType": "Notebook",
                    "displayName": "N",
                },
                "workspaceChange": "Added",
                "conflictType": "None",
            }
        ],
    }
    script = Script(
        answer(202, headers=STARTED),
        answer(200, {"status": "Succeeded"}, headers={"Location": "https://x.test/result"}),
        answer(200, status),
    )
    found = await FabricClient(transport_for(script)).git.get_status(W)
    (change,) = found.changes
    assert ("o", None) == (
        change.item_metadata.item_identifier.object_id,
        change.item_metadata.item_identifier.logical_id,
    )
    assert ("Added", None) == (change.workspace_change, change.remote_change)


async def test_a_status_without_changes_member_is_not_in_sync():
    """A malformed status must never read as nothing changed; values are not repeated."""
    script = Script(answer(200, {"workspaceHead": "secret-head"}))
    with pytest.raises(ClientError) as caught:
        await FabricClient(transport_for(script)).git.get_status(W)
    assert "changes" in caught.value.message
    assert "secret-head" not in everything_said(caught.value)


async def test_begin_deploy_returns_the_deployment_id():
    """The id in the history differs from the operation id."""
    script = Script(answer(202, headers={**STARTED, "deployment-id": "d-1"}))
    operation = await FabricClient(transport_for(script)).pipelines.begin_deploy(P, DEPLOY)
    assert ("op-1", "d-1", False) == (
        operation.operation_id,
        operation.deployment_id,
        operation.done,
    )


async def test_a_deployment_is_read_with_note_plan_and_counts():
    """The history entry keeps what drift needs: note, steps and what differed."""
    script = Script(
        answer(
            200,
            {
                "id": "d-1",
                "type": "Deploy",
                "status": "Failed",
                "lastUpdatedTime": "2020-12-13T09:26:43.153",
                "executionEndTime": "2020-12-13T09:26:43.153Z",
                "performedBy": {"id": "u", "type": "User"},
                "note": {"content": "hello"},
                "preDeploymentDiffInformation": {
                    "newItemsCount": 3,
                    "differentItemsCount": 1,
                    "noDifferenceItemsCount": 2,
                },
                "executionPlan": {
                    "steps": [
                        {
                            "index": 0,
                            "description": "DatasetDeployment",
                            "status": "Failed",
                            "preDeploymentDiffState": "New",
                            "sourceAndTarget": {"sourceItemId": "i", "itemType": "SemanticModel"},
                            "error": {"errorCode": "E", "message": "m"},
                        }
                    ]
                },
            },
        )
    )
    found = await FabricClient(transport_for(script)).pipelines.get_operation(P, "d-1")
    assert found.note is not None
    assert "hello" == found.note.content
    assert found.pre_deployment_diff is not None
    assert 3 == found.pre_deployment_diff.new_items_count
    assert found.execution_plan is not None
    (step,) = found.execution_plan.steps
    assert step.error is not None
    assert step.source_and_target is not None
    assert ("E", None) == (step.error.error_code, step.source_and_target.target_item_id)
    assert found.last_updated_time == found.execution_end_time


async def test_stages_come_in_their_order():
    """The service's list order means nothing."""
    script = Script(
        answer(200, {"value": [{"id": "b", "order": 1}, {"id": "a", "order": 0, "isPublic": None}]})
    )
    stages = await FabricClient(transport_for(script)).pipelines.list_stages(P)
    assert ["a", "b"] == [stage.id for stage in stages]


async def test_a_pipeline_from_a_list_has_unknown_stages_not_none():
    """List answers carry no stages, which is not the same as zero stages."""
    script = Script(answer(200, {"value": [{"id": P}]}), answer(200, {"id": P, "stages": [STAGE]}))
    pipelines = FabricClient(transport_for(script)).pipelines
    assert (await pipelines.list())[0].stages is None
    full = await pipelines.get(P)
    assert full.stages is not None
    assert 1 == len(full.stages)


async def test_a_definition_is_decoded_to_bytes():
    """Parts arrive as base64, inline or through an operation."""
    parts = [
        {
            "path": "notebook-content.py",
            "payload": base64.b64encode(b"\xffprint()").decode(),
            "payloadType": "InlineBase64",
        }
    ]
    script = Script(answer(200, {"definition": {"format": "ipynb", "parts": parts}}))
    found = await FabricClient(transport_for(script)).items.get_definition(W, "i", format="ipynb")
    assert (
        ItemDefinition((DefinitionPart("notebook-content.py", b"\xffprint()"),), "ipynb") == found
    )
    assert "/v1/workspaces/w-1/items/i/getDefinition?format=ipynb" == script.paths[0]
    assert "print" not in repr(found)


@pytest.mark.parametrize(
    "part",
    [
        {"path": "a", "payload": "not base64!", "payloadType": "InlineBase64"},
        {"path": "a", "payload": "e30=", "payloadType": "Url"},
    ],
)
async def test_a_part_that_cannot_be_read_is_an_error(part):
    """A definition that is only partly readable must not be compared."""
    script = Script(answer(200, {"definition": {"parts": [part]}}))
    with pytest.raises(ClientError):
        await FabricClient(transport_for(script)).items.get_definition(W, "i")


@pytest.mark.parametrize(
    ("ids", "body"),
    [
        (None, {"mode": "All"}),
        (["i"], {"mode": "Selective", "items": [{"id": "i"}]}),
    ],
)
async def test_bulk_export_keeps_the_index_from_item_to_files(ids, body):
    """The index tells which files belong to which item."""
    script = Script(
        answer(
            200,
            {
                "itemDefinitionsIndex": [{"id": "i", "rootPath": "/N.Notebook"}],
                "definitionParts": [
                    {
                        "path": "/N.Notebook/.platform",
                        "payload": "e30=",
                        "payloadType": "InlineBase64",
                    }
                ],
            },
        )
    )
    found = await FabricClient(transport_for(script)).items.bulk_export(W, ids)
    assert body == script.body()
    assert script.paths[0].endswith("/items/bulkExportDefinitions?beta=true")
    assert ("i", "/N.Notebook") == (found.items[0].id, found.items[0].root_path)
    assert b"{}" == found.parts[0].payload


async def test_creating_an_item_waits_for_the_item():
    """A create that runs long ends in the item itself."""
    script = Script(
        answer(202, headers=STARTED),
        answer(200, {"status": "Succeeded"}, headers={"Location": "https://x.test/result"}),
        answer(200, {"id": "i", "type": "Notebook", "displayName": "N"}),
    )
    item = await FabricClient(transport_for(script)).items.create(
        W,
        display_name="N",
        type="Notebook",
        definition=ItemDefinition((DefinitionPart("a", b"x"),), "ipynb"),
    )
    assert "i" == item.id
    assert "ipynb" == script.body(0)["definition"]["format"]


def test_credentials_of_a_connection_do_not_show_in_reprs():
    """Secrets stay SecretStr until they are sent."""
    for credential in (
        GitCredentialKey(SecretStr("hush")),
        GitServicePrincipal("t", "c", SecretStr("hush")),
    ):
        assert "hush" not in repr(credential)
