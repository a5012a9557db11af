"""microsoft-fabric-api: a workspace and its items, with the library's own operation pollers."""

import base64
import json
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
content = base64.b64encode(b"# Fabric notebook source\n\nprint(1)\n").decode()
part = models.ItemDefinitionPart(
    path="notebook-content.py", payload=content, payload_type="InlineBase64"
)
# A notebook with a definition is made by an operation; a lakehouse without one at once.
notebook = wait(
    core.items.begin_create_item(
        workspace.id,
        models.CreateItemRequest(
            display_name="Hello", type="Notebook", definition=models.ItemDefinition(parts=[part])
        ),
    )
)
folder = core.folders.create_folder(workspace.id, models.CreateFolderRequest(display_name="Raw"))
definition = wait(core.items.begin_get_item_definition(workspace.id, notebook.id)).definition
updated = core.items.update_item(
    workspace.id, notebook.id, models.UpdateItemRequest(display_name="Renamed")
)
poller = core.items.begin_update_item_definition(
    workspace.id,
    notebook.id,
    models.UpdateItemDefinitionRequest(definition=models.ItemDefinition(parts=[part])),
)
poller.result()
core.workspaces.add_workspace_role_assignment(
    workspace.id,
    models.AddWorkspaceRoleAssignmentRequest(
        principal=models.GroupPrincipal(id="11111111-2222-4333-8444-555555555555"),
        role="Viewer",
    ),
)
roles = [
    [found.principal.type, found.role]
    for found in core.workspaces.list_workspace_role_assignments(workspace.id)
]
core.workspaces.update_workspace(
    workspace.id, models.UpdateWorkspaceRequest(description="All about sales")
)
read = core.workspaces.get_workspace(workspace.id)
listed = [[item.type, item.display_name] for item in core.items.list_items(workspace.id)]
core.items.delete_item(workspace.id, notebook.id)
left = [item.display_name for item in core.items.list_items(workspace.id)]
core.workspaces.delete_workspace(workspace.id)
sys.stdout.write(
    json.dumps(
        {
            "capacity": capacity.display_name,
            "created": [notebook.type, notebook.display_name],
            "folder": folder.display_name,
            "parts": sorted(part.path for part in definition.parts),
            "renamed": updated.display_name,
            "roles": sorted(roles),
            "description": read.description,
            "region": read.capacity_region,
            "listed": listed,
            "left": left,
            "workspaces": [found.display_name for found in core.workspaces.list_workspaces()],
        }
    )
)
