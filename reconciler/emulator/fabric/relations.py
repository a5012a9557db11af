"""Branched-out workspaces (preview): which workspace is a branch of which.

Source: fabric-api.md section 6.2 (spec, Microsoft field notes); codes from the swagger text,
statuses assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.emulator.fabric import wire
from reconciler.emulator.fabric.access import ROLES, role_in
from reconciler.emulator.fabric.errors import forbidden, invalid, not_found, refuse
from reconciler.emulator.fabric.networking import git_workspace_of
from reconciler.emulator.fabric.paging import paged
from reconciler.emulator.fabric.state import GitBinding, Relation, Workspace
from reconciler.emulator.http import Answer, Call, Route
from reconciler.emulator.world import new_id

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["ROUTES"]


def _wire(relation: Relation, workspace_id: str) -> dict[str, Any]:
    """Show a relation from one side: the type names the role of the *related* workspace."""
    branch = relation.branch_id == workspace_id
    return {
        "id": relation.id,
        "workspaceId": workspace_id,
        "relatedWorkspaceId": relation.base_id if branch else relation.branch_id,
        "relationType": "Base" if branch else "Branch",
    }


async def list_relations(world: World, call: Call) -> Answer:
    """List the relations of a workspace; branches of one base are related to each other."""
    workspace = git_workspace_of(world, call, "Viewer")
    found = [
        _wire(relation, workspace.id)
        for relation in world.fabric.relations.values()
        if workspace.id in {relation.branch_id, relation.base_id}
    ]
    base = _base_of(world, workspace)
    if base is not None:
        found += [
            {
                "id": relation.id,
                "workspaceId": workspace.id,
                "relatedWorkspaceId": relation.branch_id,
                "relationType": "RelatedWorkspace",
            }
            for relation in world.fabric.relations.values()
            if relation.base_id == base and relation.branch_id != workspace.id
        ]
    return paged(world, call, found)


def _base_of(world: World, workspace: Workspace) -> str | None:
    for relation in world.fabric.relations.values():
        if relation.branch_id == workspace.id:
            return relation.base_id
    return None


async def create_relation(world: World, call: Call) -> Answer:
    """Relate a branch workspace and its base."""
    workspace = git_workspace_of(world, call, "Contributor")
    fields = call.fields()
    related_id = str(wire.identifier(fields, "relatedWorkspaceId"))
    kind = wire.choice(fields, "relationType", ("Base", "Branch", "RelatedWorkspace"))
    if kind is None:
        raise invalid("The relationType field is required")
    if kind == "RelatedWorkspace":
        raise _refused("InvalidType", "Only Base and Branch relations can be created")
    if related_id == workspace.id:
        raise _refused("SelfReferencing", "A workspace cannot be related to itself")
    related = world.fabric.workspaces.get(related_id)
    if related is None:
        raise not_found("WorkspaceNotFound", "The requested workspace could not be found")
    branch, base = (workspace, related) if kind == "Base" else (related, workspace)
    for needed, of in (("Admin", branch), ("Contributor", base)):
        role = role_in(of, call.caller)
        if role is None or ROLES.index(role) < ROLES.index(needed):
            raise forbidden()
    _check(world, branch, base)
    relation = Relation(id=new_id(), branch_id=branch.id, base_id=base.id)
    world.fabric.relations[relation.id] = relation
    return Answer(201, _wire(relation, workspace.id))


def _check(world: World, branch: Workspace, base: Workspace) -> None:
    for relation in world.fabric.relations.values():
        if (relation.branch_id, relation.base_id) == (branch.id, base.id):
            raise _refused("AlreadyExists", "The relation already exists", status=409)
        if (relation.branch_id, relation.base_id) == (base.id, branch.id):
            raise _refused("BidirectionalExists", "The reverse relation exists", status=409)
        if relation.branch_id == branch.id:
            raise _refused("DifferentBase", "The branch workspace has another base")
        if relation.branch_id == base.id:
            raise _refused("BaseIsBranch", "The base workspace is a branch itself")
        if relation.base_id == branch.id:
            raise _refused("TargetHasBranches", "The branch workspace has branches itself")
    if branch.git is None or base.git is None:
        raise refuse(400, "WorkspaceNotConnectedToGit", "The workspace is not connected to Git.")
    if _root(branch.git) != _root(base.git) or branch.git.branch == base.git.branch:
        raise _refused(
            "RootDirectoryMismatch",
            "Both workspaces must share repository and directory and differ in the branch only",
        )


def _root(binding: GitBinding) -> tuple[str, str]:
    return binding.repo_key, binding.directory.strip("/")


def _refused(code: str, message: str, *, status: int = 400) -> Exception:
    return refuse(status, f"WorkspaceRelation{code}", message, retriable=False)


async def delete_relation(world: World, call: Call) -> Answer:
    """Remove a relation from either side."""
    workspace = git_workspace_of(world, call, "Admin")
    relation = world.fabric.relations.get(call.params["relationId"].lower())
    if relation is None:
        raise not_found("WorkspaceRelationNotFound")
    if workspace.id not in {relation.branch_id, relation.base_id}:
        raise refuse(
            400, "WorkspaceNotInvolvedInRelation", "The workspace is not part of the relation"
        )
    del world.fabric.relations[relation.id]
    return Answer(200)


_BASE = "/v1/workspaces/{workspaceId}/git/workspaceRelations"
ROUTES = [
    Route("GET", _BASE, list_relations, "git.relations.list"),
    Route("POST", _BASE, create_relation, "git.relations.create"),
    Route("DELETE", f"{_BASE}/{{relationId}}", delete_relation, "git.relations.delete"),
]
