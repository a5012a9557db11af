"""Deployment pipelines, their stages, deployments and roles.

Source: ``platform/definitions/deploymentPipelines.json`` (spec), fabric-api.md section 7. Only a
deployment is long-running.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Sequence

from reconciler.clients.fabric.models import (
    DeploymentOperation,
    DeployRequest,
    Pipeline,
    RoleAssignment,
    Stage,
    StageItem,
    StageRequest,
)
from reconciler.clients.http import Transport, quote_segment
from reconciler.clients.lro import Operation, operation_from
from reconciler.clients.paging import collect, pages
from reconciler.clients.wire import body_of, parse, parse_all

__all__ = ["Pipelines"]

_PATH = "/v1/deploymentPipelines"


class Pipelines:
    """The deployment pipelines this caller administers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list(self) -> builtins.list[Pipeline]:
        """Return every pipeline visible to the caller, without stages."""
        return [found async for page in self.pages() for found in page]

    async def pages(self) -> AsyncIterator[builtins.list[Pipeline]]:
        """Yield every pipeline visible to the caller, without stages, page by page."""
        async for page in pages(self._transport, "pipelines.list", _PATH):
            yield parse_all(Pipeline, page, what=f"GET {_PATH}")

    async def create(
        self, display_name: str, description: str | None, stages: Sequence[StageRequest]
    ) -> Pipeline:
        """Create a pipeline with all its stages: none can be added or removed later (spec)."""
        response = await self._transport.request(
            "pipelines.create",
            "POST",
            _PATH,
            json=body_of(
                displayName=display_name,
                description=description,
                stages=[
                    {
                        "displayName": stage.display_name,
                        "description": stage.description,
                        "isPublic": stage.is_public,
                    }
                    for stage in stages
                ],
            ),
        )
        return parse(Pipeline, response.body, what=f"POST {_PATH}")

    async def get(self, pipeline_id: str) -> Pipeline:
        """Return one pipeline with its stages."""
        path = _pipeline(pipeline_id)
        response = await self._transport.request("pipelines.get", "GET", path)
        return parse(Pipeline, response.body, what=f"GET {path}")

    async def update(
        self, pipeline_id: str, *, display_name: str | None = None, description: str | None = None
    ) -> Pipeline:
        """Change the name, the description or both."""
        path = _pipeline(pipeline_id)
        response = await self._transport.request(
            "pipelines.update",
            "PATCH",
            path,
            json=body_of(displayName=display_name, description=description),
        )
        return parse(Pipeline, response.body, what=f"PATCH {path}")

    async def delete(self, pipeline_id: str) -> None:
        """Delete a pipeline; its workspaces stay."""
        await self._transport.request("pipelines.delete", "DELETE", _pipeline(pipeline_id))

    async def list_stages(self, pipeline_id: str) -> builtins.list[Stage]:
        """Return the stages, by their order."""
        path = f"{_pipeline(pipeline_id)}/stages"
        values = await collect(self._transport, "pipelines.stages.list", path)
        return sorted(parse_all(Stage, values, what=f"GET {path}"), key=lambda stage: stage.order)

    async def get_stage(self, pipeline_id: str, stage_id: str) -> Stage:
        """Return one stage."""
        path = _stage(pipeline_id, stage_id)
        response = await self._transport.request("pipelines.stages.get", "GET", path)
        return parse(Stage, response.body, what=f"GET {path}")

    async def update_stage(
        self,
        pipeline_id: str,
        stage_id: str,
        *,
        display_name: str,
        description: str | None = None,
        is_public: bool | None = None,
    ) -> Stage:
        """Change a stage; the name is required even when it stays (spec)."""
        path = _stage(pipeline_id, stage_id)
        response = await self._transport.request(
            "pipelines.stages.update",
            "PATCH",
            path,
            json=body_of(displayName=display_name, description=description, isPublic=is_public),
        )
        return parse(Stage, response.body, what=f"PATCH {path}")

    async def list_stage_items(self, pipeline_id: str, stage_id: str) -> builtins.list[StageItem]:
        """Return a stage's items with their pairing, as far as the caller may see both sides."""
        path = f"{_stage(pipeline_id, stage_id)}/items"
        values = await collect(self._transport, "pipelines.stages.items", path)
        return parse_all(StageItem, values, what=f"GET {path}")

    async def assign_workspace(self, pipeline_id: str, stage_id: str, workspace_id: str) -> None:
        """Put a workspace into a vacant stage; pairs items by name and type (docs)."""
        await self._transport.request(
            "pipelines.stages.assign",
            "POST",
            f"{_stage(pipeline_id, stage_id)}/assignWorkspace",
            json={"workspaceId": workspace_id},
        )

    async def unassign_workspace(self, pipeline_id: str, stage_id: str) -> None:
        """Empty a stage; its deployment history, rules and pairing are lost (docs)."""
        await self._transport.request(
            "pipelines.stages.unassign",
            "POST",
            f"{_stage(pipeline_id, stage_id)}/unassignWorkspace",
        )

    async def begin_deploy(self, pipeline_id: str, request: DeployRequest) -> Operation:
        """Start a deployment; the answer carries ``deployment_id``, its id in the history."""
        response = await self._transport.request(
            "pipelines.deploy",
            "POST",
            f"{_pipeline(pipeline_id)}/deploy",
            json=_deploy_json(request),
        )
        return operation_from(response)

    async def list_operations(self, pipeline_id: str) -> builtins.list[DeploymentOperation]:
        """Return the history: at most the 20 most recent operations (spec)."""
        path = f"{_pipeline(pipeline_id)}/operations"
        values = await collect(self._transport, "pipelines.operations.list", path)
        return parse_all(DeploymentOperation, values, what=f"GET {path}")

    async def get_operation(self, pipeline_id: str, deployment_id: str) -> DeploymentOperation:
        """Return one operation with its execution plan, by deployment id."""
        path = f"{_pipeline(pipeline_id)}/operations/{quote_segment(deployment_id)}"
        response = await self._transport.request("pipelines.operations.get", "GET", path)
        return parse(DeploymentOperation, response.body, what=f"GET {path}")

    async def list_role_assignments(self, pipeline_id: str) -> builtins.list[RoleAssignment]:
        """Return the pipeline's admins."""
        path = f"{_pipeline(pipeline_id)}/roleAssignments"
        values = await collect(self._transport, "pipelines.roles.list", path)
        return parse_all(RoleAssignment, values, what=f"GET {path}")

    async def add_role_assignment(
        self, pipeline_id: str, *, principal_id: str, principal_type: str, role: str = "Admin"
    ) -> RoleAssignment:
        """Make a principal admin, the only role there is (spec)."""
        path = f"{_pipeline(pipeline_id)}/roleAssignments"
        response = await self._transport.request(
            "pipelines.roles.add",
            "POST",
            path,
            json={"principal": {"id": principal_id, "type": principal_type}, "role": role},
        )
        return parse(RoleAssignment, response.body, what=f"POST {path}")

    async def delete_role_assignment(self, pipeline_id: str, principal_id: str) -> None:
        """Take the role away from a principal."""
        path = f"{_pipeline(pipeline_id)}/roleAssignments/{quote_segment(principal_id)}"
        await self._transport.request("pipelines.roles.delete", "DELETE", path)


def _deploy_json(request: DeployRequest) -> dict[str, object]:
    created = request.created_workspace
    return body_of(
        sourceStageId=request.source_stage_id,
        targetStageId=request.target_stage_id,
        items=None
        if request.items is None
        else [{"sourceItemId": i.source_item_id, "itemType": i.item_type} for i in request.items],
        note=request.note,
        options={"allowCrossRegionDeployment": True} if request.allow_cross_region else None,
        createdWorkspaceDetails=None
        if created is None
        else body_of(name=created.name, capacityId=created.capacity_id),
    )


def _pipeline(pipeline_id: str) -> str:
    return f"{_PATH}/{quote_segment(pipeline_id)}"


def _stage(pipeline_id: str, stage_id: str) -> str:
    return f"{_pipeline(pipeline_id)}/stages/{quote_segment(stage_id)}"
