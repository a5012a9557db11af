"""Which handler carries out which op: exhaustive over the closed union, checked by mypy."""

from __future__ import annotations

from typing import assert_never

from reconciler.execute.handler import AnyHandler
from reconciler.execute.handlers import (
    branches,
    deployments,
    git,
    pipelines,
    relations,
    repositories,
    resync,
    roles,
    workspaces,
)
from reconciler.plan import actions as a

__all__ = ["handler_for"]


def handler_for(op: a.Op) -> AnyHandler:  # noqa: C901, PLR0912 - one case an op
    """Return the handler of an op."""
    match op:
        case a.CreateRepository():
            return repositories.CreateRepositoryHandler()
        case a.ImportRepository():
            return repositories.ImportHandler()
        case a.RetryImport():
            return repositories.RetryImportHandler()
        case a.AbandonImport():
            return repositories.AbandonImportHandler()
        case a.UpdateRepository():
            return repositories.UpdateRepositoryHandler()
        case a.CreateBranch():
            return branches.CreateBranchHandler()
        case a.CreateDirectory():
            return branches.CreateDirectoryHandler()
        case a.CreateConnection():
            return workspaces.CreateConnectionHandler()
        case a.CreateWorkspace():
            return workspaces.CreateWorkspaceHandler()
        case a.UpdateWorkspace():
            return workspaces.UpdateWorkspaceHandler()
        case a.AssignCapacity():
            return workspaces.AssignCapacityHandler()
        case a.DeleteWorkspace():
            return workspaces.DeleteWorkspaceHandler()
        case a.AddWorkspaceRole() | a.AddPipelineRole():
            return roles.AddRoleHandler()
        case a.UpdateWorkspaceRole():
            return roles.UpdateRoleHandler()
        case a.RemoveWorkspaceRole() | a.RemovePipelineRole():
            return roles.RemoveRoleHandler()
        case a.ConnectGit():
            return git.ConnectHandler()
        case a.InitializeGit():
            return git.InitializeHandler()
        case a.SwitchGit():
            return git.SwitchHandler()
        case a.ResyncGit():
            return resync.ResyncHandler()
        case a.SetGitRelation():
            return relations.SetRelationHandler()
        case a.DisconnectGit():
            return git.DisconnectHandler()
        case a.SetGitCredentials():
            return git.CredentialsHandler()
        case a.UpdateFromGit():
            return git.UpdateHandler()
        case a.CommitToGit():
            return git.CommitHandler()
        case a.CreatePipeline():
            return pipelines.CreatePipelineHandler()
        case a.UpdatePipeline():
            return pipelines.UpdatePipelineHandler()
        case a.DeletePipeline():
            return pipelines.DeletePipelineHandler()
        case a.UpdateStage():
            return pipelines.UpdateStageHandler()
        case a.AssignStage():
            return pipelines.AssignStageHandler()
        case a.UnassignStage():
            return pipelines.UnassignStageHandler()
        case a.Deploy():
            return deployments.DeployHandler()
        case _:
            assert_never(op)
