"""microsoft-fabric-api: connect to Git, initialise, update, change, see the status, commit."""

import base64
import json
import os
import sys
import time

from azure.identity import DefaultAzureCredential
from microsoft_fabric_api import FabricClient
from microsoft_fabric_api.generated.core import models


def wait(extractor):
    """Wait as the library does, but not for five seconds at a time."""
    end = time.monotonic() + 30
    while extractor.result is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    return extractor.result


core = FabricClient(DefaultAzureCredential()).core
capacity = next(iter(core.capacities.list_capacities()))
workspace = core.workspaces.create_workspace(
    models.CreateWorkspaceRequest(display_name="Sales Dev", capacity_id=capacity.id)
)
connection = core.connections.create_connection(
    models.CreateCloudConnectionRequest(
        display_name="sales-git",
        connection_details=models.CreateConnectionDetails(
            type="AzureDevOpsSourceControl",
            creation_method="AzureDevOpsSourceControl.Contents",
            parameters=[
                models.ConnectionDetailsTextParameter(
                    name="url", value="https://dev.azure.com/contoso/Sales/_git/fabric-sales"
                )
            ],
        ),
        credential_details=models.CreateCredentialDetails(
            credentials=models.ServicePrincipalCredentials(
                tenant_id=os.environ["AZURE_TENANT_ID"],
                service_principal_client_id=os.environ["AZURE_CLIENT_ID"],
                service_principal_secret=os.environ["AZURE_CLIENT_SECRET"],
            ),
            single_sign_on_type="None",
            connection_encryption="NotEncrypted",
            skip_test_connection=False,
        ),
        privacy_level="Organizational",
    )
)
core.git.connect(
    workspace.id,
    models.GitConnectRequest(
        git_provider_details=models.AzureDevOpsDetails(
            organization_name="contoso",
            project_name="Sales",
            repository_name="fabric-sales",
            branch_name="main",
            directory_name="/fabric",
        ),
        my_git_credentials=models.ConfiguredConnectionGitCredentials(connection_id=connection.id),
    ),
)
connected = core.git.get_connection(workspace.id).git_connection_state
started = wait(core.git.begin_initialize_connection(workspace.id))
core.git.begin_update_from_git(
    workspace.id, models.UpdateFromGitRequest(remote_commit_hash=started.remote_commit_hash)
).result()
items = {item.display_name: item.id for item in core.items.list_items(workspace.id)}
content = base64.b64encode(b"# Fabric notebook source\n\nprint('changed')\n").decode()
part = models.ItemDefinitionPart(
    path="notebook-content.py", payload=content, payload_type="InlineBase64"
)
core.items.begin_update_item_definition(
    workspace.id,
    items["Hello"],
    models.UpdateItemDefinitionRequest(definition=models.ItemDefinition(parts=[part])),
).result()
before = wait(core.git.begin_get_status(workspace.id))
core.git.begin_commit_to_git(
    workspace.id,
    models.CommitToGitRequest(
        mode="All", workspace_head=before.workspace_head, comment="From the SDK"
    ),
).result()
after = wait(core.git.begin_get_status(workspace.id))
credentials = core.git.get_my_git_credentials(workspace.id)
synced = core.git.get_connection(workspace.id)
core.git.disconnect(workspace.id)
sys.stdout.write(
    json.dumps(
        {
            "connected": connected,
            "action": started.required_action,
            "items": sorted(items),
            "changes": [
                [c.item_metadata.display_name, c.workspace_change, c.remote_change, c.conflict_type]
                for c in before.changes
            ],
            "left": len(after.changes),
            "moved": after.remote_commit_hash != before.remote_commit_hash,
            "head": after.remote_commit_hash,
            "credentials": [credentials.source, credentials.connection_id == connection.id],
            "synced": synced.git_sync_details.head == after.remote_commit_hash,
            "state": core.git.get_connection(workspace.id).git_connection_state,
        }
    )
)
