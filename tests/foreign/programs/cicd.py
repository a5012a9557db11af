"""fabric-cicd: publish a folder of exported items to a workspace, then unpublish what is left over.

Arguments: the workspace's name, the folder, and whether to publish and to unpublish.
"""

import json
import sys

from azure.identity import DefaultAzureCredential
from fabric_cicd import (
    FabricWorkspace,
    append_feature_flag,
    constants,
    publish_all_items,
    unpublish_all_orphan_items,
)

name, folder = sys.argv[1], sys.argv[2]
for flag in sys.argv[3:]:
    append_feature_flag(flag)
workspace = FabricWorkspace(
    workspace_name=name,
    repository_directory=folder,
    token_credential=DefaultAzureCredential(),
    item_type_in_scope=list(constants.ACCEPTED_ITEM_TYPES),
)
publish_all_items(workspace)
unpublish_all_orphan_items(workspace)
sys.stdout.write(json.dumps({"workspace": workspace.workspace_id}))
