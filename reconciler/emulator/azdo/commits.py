"""Commits, newest first. Source: git.json Commits (spec); only what is asked for is given."""

from __future__ import annotations

from typing import Any

from reconciler.emulator.azdo.errors import bad_request, error
from reconciler.emulator.azdo.render import listing, moment, open_repository, repository_url
from reconciler.emulator.azdo.state import GitRepository
from reconciler.emulator.azdo.versioned import resolve_version
from reconciler.emulator.gitstore import CommitInfo
from reconciler.emulator.http import Answer, Call
from reconciler.emulator.world import World

__all__ = ["get_commit", "list_commits"]

_DEFAULT_TOP = 100
_LARGEST_WALK = 10_000


async def list_commits(world: World, call: Call) -> Answer:
    """List the commits of a version, optionally those that changed one path."""
    repository, project = open_repository(world, call)
    if repository.default_branch is None and "searchCriteria.itemVersion.version" not in call.query:
        return listing([])
    tip, _ = resolve_version(world, call, repository, "searchCriteria.itemVersion.")
    try:
        top = int(call.query.get("searchCriteria.$top", call.query.get("$top", _DEFAULT_TOP)))
        skip = int(call.query.get("searchCriteria.$skip", call.query.get("$skip", 0)))
    except ValueError:
        return bad_request("$top and $skip must be numbers.")
    path = call.query.get("searchCriteria.itemPath", "/")
    found = [
        commit
        for commit in world.repos.log(repository.key, tip, _LARGEST_WALK)
        if path.strip("/") == "" or _touches(world, repository, commit, path)
    ]
    url = repository_url(world, repository, project)
    return listing([_commit(url, commit) for commit in found[skip : skip + top]])


async def get_commit(world: World, call: Call) -> Answer:
    """Return one commit by its full id."""
    repository, project = open_repository(world, call)
    text = call.params["commit"].lower()
    sha = world.repos.peel(repository.key, text) if len(text) == 40 else None
    if sha is None:
        return error(
            404,
            "GitCommitDoesNotExistException",
            f"TF401175: The commit {text} does not exist in the repository {repository.name}.",
        )
    return Answer(
        200,
        _commit(
            repository_url(world, repository, project),
            world.repos.log(repository.key, sha, 1)[0],
        ),
    )


def _touches(world: World, repository: GitRepository, commit: CommitInfo, path: str) -> bool:
    here = world.repos.entry(repository.key, commit.sha, path)
    if not commit.parents:
        return here is not None
    return all(here != world.repos.entry(repository.key, parent, path) for parent in commit.parents)


def _commit(url: str, commit: CommitInfo) -> dict[str, Any]:
    who = {
        "name": commit.author_name,
        "email": commit.author_email,
        "date": moment(commit.time_s),
    }
    return {
        "commitId": commit.sha,
        "author": who,
        "committer": who,
        "comment": commit.message.rstrip("\n"),
        "parents": list(commit.parents),
        "url": f"{url}/commits/{commit.sha}",
    }
