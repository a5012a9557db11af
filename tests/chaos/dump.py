"""What is true in an emulator, in one canonical text: two worlds are the same when it is.

Ids become names, commits become their content, times are left out. Lists keep what is there
twice, so a duplicate cannot hide behind its name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from reconciler.emulator.fabric.state import GitBinding, Item, Pipeline, RoleAssignment, Workspace
from reconciler.emulator.world import World

__all__ = ["dump"]

# Run ids are random, and commits know when they were made.
_OF_THE_RUN = re.compile(r"^(Reconciler-(?:Run|Source)): .*$", re.MULTILINE)
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def dump(world: World) -> str:
    """Return everything a spec can speak of, as sorted JSON."""
    world.settle()
    return json.dumps(_Dump(world).all(), indent=1, sort_keys=True)


class _Dump:
    def __init__(self, world: World) -> None:
        self._world = world
        self._names = dict(_names(world))

    def _named(self, text: str) -> str:
        """Replace every id that is known by what it stands for."""
        return _GUID.sub(lambda m: self._names.get(m[0].lower(), m[0].lower()), text)

    def _name(self, known: str | None) -> str | None:
        return None if known is None else self._named(known)

    def all(self) -> dict[str, Any]:
        """Return all of it."""
        world = self._world
        return {
            "workspaces": _sorted(map(self._workspace, world.fabric.workspaces.values())),
            "pipelines": _sorted(map(self._pipeline, world.fabric.pipelines.values())),
            "connections": _sorted(
                {
                    "name": c.name,
                    "type": c.type,
                    "path": c.path,
                    "credentials": c.credential_type,
                    "connectivity": c.connectivity_type,
                    "roles": self._roles(c.roles),
                }
                for c in world.fabric.connections.values()
            ),
            "repositories": _sorted(self._repositories()),
            "endpoints": _sorted(
                {"name": e.name, "type": e.type, "url": e.url, "in": e.organization}
                for e in world.azdo.endpoints.values()
            ),
        }

    def _roles(self, roles: list[RoleAssignment]) -> list[Any]:
        return _sorted([r.principal_id, r.principal_type, r.role] for r in roles)

    def _workspace(self, workspace: Workspace) -> dict[str, Any]:
        return {
            "name": workspace.name,
            "description": workspace.description,
            "capacity": self._name(workspace.capacity_id),
            "assigning": workspace.capacity_progress,
            "roles": self._roles(workspace.roles),
            "folders": _sorted(self._named(folder) for folder in workspace.folders),
            "items": _sorted(map(self._item, workspace.items.values())),
            "git": None if workspace.git is None else self._binding(workspace.git),
        }

    def _item(self, item: Item) -> dict[str, Any]:
        return {
            "type": item.type,
            "name": item.name,
            "description": item.description,
            "folder": self._name(item.folder_id),
            "parent": self._name(item.parent_id),
            "parts": {
                path: self._content(self._world.blobs.get(blob))
                for path, blob in item.parts.items()
            },
        }

    def _content(self, content: bytes) -> str:
        return self._named(content.decode(errors="backslashreplace"))

    def _binding(self, git: GitBinding) -> dict[str, Any]:
        repos = self._world.repos
        tip = repos.tip(git.repo_key, git.branch) if repos.exists(git.repo_key) else None

        def tree(commit: str | None) -> str | None:
            return repos.tree_id(git.repo_key, commit, git.directory.strip("/")) if commit else None

        return {
            "provider": git.provider,
            "place": [git.organization, git.owner, git.project, git.repository],
            "branch": git.branch,
            "directory": git.directory,
            "state": git.state,
            "head": "the tip" if git.head == tip else "no commit" if not git.head else "behind",
            "content": "of the tip" if tree(git.base) == tree(tip) else "of another commit",
            "partial": git.partial,
            "credentials": {
                caller: [c.source, self._name(c.connection_id)]
                for caller, c in git.credentials.items()
            },
        }

    def _pipeline(self, pipeline: Pipeline) -> dict[str, Any]:
        return {
            "name": pipeline.name,
            "description": pipeline.description,
            "roles": self._roles(pipeline.roles),
            "running": pipeline.active is not None,
            "stages": [
                {
                    "name": stage.name,
                    "description": stage.description,
                    "public": stage.public,
                    "workspace": self._name(stage.workspace_id),
                    "deployed": _sorted(self._named(item) for item in stage.deployed),
                }
                for stage in pipeline.stages
            ],
            "pairs": _sorted(
                [edge.stage, self._named(edge.source_id), self._named(edge.target_id)]
                for edge in pipeline.edges
            ),
        }

    def _repositories(self) -> Iterator[dict[str, Any]]:
        azdo = self._world.azdo
        for repository in azdo.repositories.values():
            requests = sorted(
                (r for r in azdo.imports.values() if r.repository_id == repository.id),
                key=lambda r: r.id,
            )
            live = [r for r in requests if r.status != "abandoned"]
            yield {
                "name": self._named(repository.id),
                "default": repository.default_branch,
                "disabled": repository.is_disabled,
                "deleted": repository.deleted_at is not None,
                "imports": [[r.url, r.status] for r in live],
                "branches": self._branches(repository.key),
            }
        for key, found in self._world.github.repositories.items():
            yield {"name": f"github {found.owner}/{found.name}", "branches": self._branches(key)}

    def _branches(self, key: str) -> dict[str, Any]:
        repos = self._world.repos
        if not repos.exists(key):
            return {}
        return {
            ref: {
                "commits": [_OF_THE_RUN.sub(r"\1: any", c.message) for c in repos.log(key, commit)],
                "files": {
                    path: self._content(repos.blob(key, entry.blob_sha))
                    for path, entry in repos.files(key, commit).items()
                },
            }
            for ref, commit in repos.refs(key).items()
        }


def _names(world: World) -> Iterator[tuple[str, str]]:
    fabric = world.fabric
    for capacity in fabric.capacities.values():
        yield capacity.id, f"capacity {capacity.name}"
    for connection in fabric.connections.values():
        yield connection.id, f"connection {connection.name}"
    for pipeline in fabric.pipelines.values():
        yield pipeline.id, f"pipeline {pipeline.name}"
        for stage in pipeline.stages:
            yield stage.id, f"stage {pipeline.name}/{stage.name}"
    for repository in world.azdo.repositories.values():
        project = world.azdo.projects[repository.project_id]
        yield repository.id, f"{project.organization}/{project.name}/{repository.name}"
    for workspace in fabric.workspaces.values():
        yield workspace.id, f"workspace {workspace.name}"
        for folder in workspace.folders.values():
            yield folder.id, f"folder {workspace.name}/{_path(workspace, folder.id)}"
        for item in workspace.items.values():
            yield item.logical_id, f"logical id of {item.type} {item.name}"
            yield item.id, f"{item.type} {item.name} of {workspace.name}"


def _path(workspace: Workspace, folder_id: str | None) -> str:
    folder = workspace.folders.get(folder_id or "")
    if folder is None:
        return ""
    return f"{_path(workspace, folder.parent_id)}/{folder.name}"


def _sorted(entries: Any) -> list[Any]:
    return sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True))
