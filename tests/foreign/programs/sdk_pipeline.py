"""microsoft-fabric-api: a deployment pipeline from its creation to a deployment."""

import json
import sys

from azure.core.polling.base_polling import (
    LROBasePolling,
    OperationResourcePolling,
    StatusCheckPolling,
)
from azure.identity import DefaultAzureCredential
from microsoft_fabric_api import FabricClient
from microsoft_fabric_api.generated.core import FabricCoreClient, models

credential = DefaultAzureCredential()
core = FabricClient(credential).core
pipelines = core.deployment_pipelines
workspaces = {found.display_name: found.id for found in core.workspaces.list_workspaces()}
pipeline = pipelines.create_deployment_pipeline(
    models.CreateDeploymentPipelineRequest(
        display_name="Sales",
        description="To production",
        stages=[
            models.DeploymentPipelineStageRequest(display_name="Development", is_public=False),
            models.DeploymentPipelineStageRequest(display_name="Production", is_public=True),
        ],
    )
)
stages = list(pipelines.list_deployment_pipeline_stages(pipeline.id))
for stage, name in zip(stages, ("Sales Dev", "Sales Prod"), strict=True):
    pipelines.assign_workspace_to_stage(
        pipeline.id,
        stage.id,
        models.DeploymentPipelineAssignWorkspaceRequest(workspace_id=workspaces[name]),
    )
# The library's front door for a deployment never returns (0.1.0b30): it looks for the status of
# the operation where its own model of a deployment has taken it away. The generated client below
# it, with the poller that the front door configures, does.
inner = FabricCoreClient(credential).deployment_pipelines
poller = inner.begin_deploy_stage_content(
    pipeline.id,
    models.DeployRequest(
        source_stage_id=stages[0].id, target_stage_id=stages[1].id, note="First release"
    ),
    polling=LROBasePolling(
        lro_algorithms=[
            OperationResourcePolling(operation_location_header="location"),
            StatusCheckPolling(),
        ]
    ),
)
polled = poller.result()
operation = next(iter(pipelines.list_deployment_pipeline_operations(pipeline.id)))
found = pipelines.get_deployment_pipeline_operation(pipeline.id, operation.id)
items = list(pipelines.list_deployment_pipeline_stage_items(pipeline.id, stages[1].id))
for stage in stages:
    pipelines.unassign_workspace_from_stage(pipeline.id, stage.id)
pipelines.delete_deployment_pipeline(pipeline.id)
sys.stdout.write(
    json.dumps(
        {
            "stages": [[stage.order, stage.display_name, stage.is_public] for stage in stages],
            "polled": polled.status,
            "status": found.status,
            "note": found.note.content,
            "steps": [
                [step.status, step.pre_deployment_diff_state] for step in found.execution_plan.steps
            ],
            "items": sorted(item.item_display_name for item in items),
            "paired": all(item.source_item_id for item in items),
            "pipelines": [p.display_name for p in pipelines.list_deployment_pipelines()],
        }
    )
)
