"""How far branches are ahead of and behind a base. Source: git.json Stats (spec)."""

from __future__ import annotations

from typing import Any

from reconciler.emulator.azdo.commits import commit_json
from reconciler.emulator.azdo.render import listing, open_repository
from reconciler.emulator.azdo.state import GitRepository, Project
from reconciler.emulator.azdo.versioned import find_version, resolve_version
from reconciler.emulator.http import Answer, Call
from reconciler.emulator.world import World

__all__ = ["read_branch_stats"]

_HEADS = "refs/heads/"
_BASE = "baseVersionDescriptor."


async def read_branch_stats(world: World, call: Call) -> Answer:
    """List all branches against the base, or return the one that ``name`` says.

    The base is the default branch unless ``baseVersionDescriptor`` names another version. An empty
    repository has an empty list (assumed); a name that is no branch is a 404 like that of any
    version that is not there.
    """
    repository, project = open_repository(world, call)
    name = call.query.get("name")
    heads = world.repos.refs(repository.key, _HEADS)
    if name is None and not heads:
        return listing([])
    base, _ = resolve_version(world, call, repository, _BASE)
    chosen = _base_branch(call, repository)
    if name is None:
        branches = {full.removeprefix(_HEADS): tip for full, tip in heads.items()}
        return listing(
            [
                _stats(world, repository, project, (branch, tip), base, is_base=branch == chosen)
                for branch, tip in branches.items()
            ]
        )
    tip, _ = find_version(world, repository, "branch", name)
    return Answer(
        200, _stats(world, repository, project, (name, tip), base, is_base=name == chosen)
    )


def _base_branch(call: Call, repository: GitRepository) -> str | None:
    """Return the branch that is the base, None if a tag or a commit is."""
    given = call.query.get(f"{_BASE}version")
    if not given:
        return (repository.default_branch or "").removeprefix(_HEADS)
    is_branch = call.query.get(f"{_BASE}versionType", "branch").lower() == "branch"
    return given if is_branch else None


def _stats(
    world: World,
    repository: GitRepository,
    project: Project,
    branch: tuple[str, str],
    base: str,
    *,
    is_base: bool,
) -> dict[str, Any]:
    name, tip = branch
    ahead, behind = world.repos.ahead_behind(repository.key, tip, base)
    commit = world.repos.log(repository.key, tip, 1)[0]
    return {
        "commit": commit_json(world, repository, project, commit),
        "name": name,
        "aheadCount": ahead,
        "behindCount": behind,
        "isBaseVersion": is_base,
    }
