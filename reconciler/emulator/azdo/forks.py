"""Forks: made with a repository, filled and kept in step by sync requests.

Source: git.json Forks and the examples of Repositories Create (spec). What a sync does to a branch
that went its own way, and how long it takes, is assumed.
"""

from __future__ import annotations

from typing import Any

import pygit2

from reconciler.emulator.azdo.branches import settle_default
from reconciler.emulator.azdo.errors import bad_request, error, repository_not_found
from reconciler.emulator.azdo.members import text
from reconciler.emulator.azdo.render import (
    listing,
    open_repository,
    repository_reference,
    repository_url,
)
from reconciler.emulator.azdo.state import ForkSync, GitRepository, Project
from reconciler.emulator.gitstore import HIDDEN_REFS
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.ids import is_guid
from reconciler.emulator.world import World, effect

__all__ = [
    "create_sync",
    "find_parent",
    "get_sync",
    "list_forks",
    "list_syncs",
    "refs_to_fork",
    "start_sync",
    "sync_url",
]

# Assumed: no page names the steps of a fork or how long it takes.
_STEPS = ["Processing request", "Copying refs", "Completed"]
_DURATION_S = {"instant": 0.0, "fast": 0.2, "real": 5.0}
_CURRENT = {"queued": 1, "failed": 2, "completed": 3}
_HEADS, _TAGS = "refs/heads/", "refs/tags/"


def find_parent(world: World, call: Call, given: object) -> GitRepository:
    """Return the repository that a ``parentRepository`` or a ``source`` names by its id.

    Raises:
        Refused: 400 if it has no id, 404 TF401019 if there is no such repository here.
    """
    identity = given.get("id", given.get("repositoryId")) if isinstance(given, dict) else None
    if not isinstance(identity, str) or not is_guid(identity):
        raise Refused(bad_request("The id of the other repository is needed."))
    found = world.azdo.repositories.get(identity.lower())
    organization = call.params["organization"]
    if (
        found is None
        or found.deleted_at is not None
        or found.is_disabled
        or world.azdo.project_by_id(organization, found.project_id) is None
    ):
        raise Refused(repository_not_found(identity))
    return found


def refs_to_fork(world: World, source: GitRepository, given: str | None) -> list[dict[str, str]]:
    """Return what ``sourceRef`` limits a fork to, [] for everything.

    Raises:
        Refused: 400 for a ref that the source does not have.
    """
    if not given:
        return []
    known = world.repos.refs(source.key)
    for name in (given, f"refs/{given}", f"{_HEADS}{given}"):
        if name in known:
            return [{"sourceRef": name, "targetRef": name}]
    raise Refused(bad_request(f"The ref {given} does not exist in the repository {source.name}."))


async def create_sync(world: World, call: Call) -> Answer:
    """Queue a sync of refs from another repository of the same family."""
    repository, project = open_repository(world, call)
    body = call.fields()
    source = find_parent(world, call, body.get("source"))
    if source.id == repository.id or _root(world, source) != _root(world, repository):
        return bad_request("The source must be another repository of the same forks.")
    given = body.get("sourceToTargetRefs") or []
    if not isinstance(given, list) or not all(isinstance(pair, dict) for pair in given):
        return bad_request("sourceToTargetRefs must be a list of objects.")
    known = world.repos.refs(source.key)
    refs = []
    for pair in given:
        there, here = text(pair, "sourceRef"), text(pair, "targetRef")
        if there not in known or not _is_ref(here):
            return bad_request(f"The ref {there} can not be copied to {here}.")
        refs.append({"sourceRef": there, "targetRef": here})
    sync = start_sync(world, repository, source, refs, first=False)
    return Answer(200, _json(world, repository, project, sync, links=_links(call)))


def _is_ref(name: str) -> bool:
    return name.startswith((_HEADS, _TAGS)) and pygit2.reference_is_valid_name(name)


def _root(world: World, repository: GitRepository) -> str:
    """Return the id of the repository that a family of forks started with."""
    found = repository
    while (parent := world.azdo.repositories.get(found.parent_id or "")) is not None:
        found = parent
    return found.parent_id or found.id


async def list_syncs(world: World, call: Call) -> Answer:
    """List what was synced into a repository; nothing is ever abandoned here."""
    repository, project = open_repository(world, call)
    return listing(
        [
            _json(world, repository, project, sync, links=_links(call))
            for sync in sorted(world.azdo.fork_syncs.values(), key=lambda sync: sync.id)
            if sync.repository_id == repository.id
        ]
    )


async def get_sync(world: World, call: Call) -> Answer:
    """Return one sync of a repository."""
    repository, project = open_repository(world, call)
    sync = world.azdo.fork_syncs.get(call.params["sync"])
    if sync is None or sync.repository_id != repository.id:
        return error(
            404,
            "GitAsyncOperationNotFoundException",
            f"The fork sync request {call.params['sync']} was not found.",
        )
    return Answer(200, _json(world, repository, project, sync, links=_links(call)))


async def list_forks(world: World, call: Call) -> Answer:
    """List the forks of a repository that are in a collection; an unknown one has none."""
    repository, _ = open_repository(world, call)
    if not is_guid(call.params["collection"]):
        return bad_request("The collection must be given by its id.")
    organization = world.azdo.find_organization(call.params["organization"])
    here = organization is not None and organization.id == call.params["collection"].lower()
    return listing(
        [
            repository_reference(world, fork)
            for fork in world.azdo.repositories.values()
            if here and fork.parent_id == repository.id and fork.deleted_at is None
        ]
    )


def start_sync(
    world: World,
    repository: GitRepository,
    source: GitRepository,
    refs: list[dict[str, str]],
    *,
    first: bool,
) -> ForkSync:
    """Queue a copy of refs, [] for all branches and tags."""
    sync = ForkSync(
        id=world.azdo.next_fork_sync_id,
        repository_id=repository.id,
        source_id=source.id,
        refs=refs,
        first=first,
    )
    world.azdo.next_fork_sync_id += 1
    world.azdo.fork_syncs[str(sync.id)] = sync
    delay_s = _DURATION_S[world.options.speed]
    world.schedule("azdo.fork.due", {"id": sync.id}, delay_s=delay_s)
    return sync


@effect("azdo.fork.due")
def _due(world: World, args: dict[str, Any]) -> None:
    sync = world.azdo.fork_syncs[str(args["id"])]
    repository = world.azdo.repositories.get(sync.repository_id)
    source = world.azdo.repositories.get(sync.source_id)
    if repository is None or source is None:
        sync.status, sync.error = "failed", "one of the repositories is gone"
        return
    problem = _copy(world, sync, repository, source)
    if problem:
        sync.status, sync.error = "failed", problem
        return
    sync.status = "completed"
    branch = (source.default_branch or "").removeprefix(_HEADS)
    if sync.first and branch and world.repos.tip(repository.key, branch) is not None:
        repository.default_branch = f"{_HEADS}{branch}"
        repository.filled_at = world.clock.timestamp()
        world.repos.set_head(repository.key, branch)
    settle_default(world, repository)


def _copy(world: World, sync: ForkSync, repository: GitRepository, source: GitRepository) -> str:
    """Bring the refs over, all or none; return "" or why that can not be."""
    known = world.repos.refs(source.key)
    pairs = {pair["targetRef"]: pair["sourceRef"] for pair in sync.refs}
    if not pairs:
        pairs = {name: name for name in known if name.startswith((_HEADS, _TAGS))}
    gone = [there for there in pairs.values() if there not in known]
    if gone:
        return f"{gone[0]} is no longer in the source"
    hidden = f"{HIDDEN_REFS}fork-{sync.id}/"
    world.repos.take(
        repository.key,
        source.key,
        {there: f"{hidden}{here.removeprefix('refs/')}" for here, there in pairs.items()},
    )
    try:
        mine = world.repos.refs(repository.key)
        for here, there in pairs.items():
            if not _follows(world, repository, mine.get(here), known[there]):
                return f"{here} has what the source lacks"
        world.repos.publish(repository.key, hidden)
    except pygit2.GitError as failure:
        return f"the refs can not be written: {failure}"
    finally:
        world.repos.drop(repository.key, hidden)
    return ""


def _follows(world: World, repository: GitRepository, old: str | None, new: str) -> bool:
    """Whether a ref can move from one object to another without losing anything."""
    if old is None or old == new:
        return True
    kinds = {world.repos.object_type(repository.key, found) for found in (old, new)}
    return kinds == {"commit"} and world.repos.is_ancestor(repository.key, old, new)


def sync_url(world: World, repository: GitRepository, project: Project, sync: ForkSync) -> str:
    """Return the URL of a sync request."""
    return f"{repository_url(world, repository, project)}/forkSyncRequests/{sync.id}"


def _links(call: Call) -> bool:
    return call.query.get("includeLinks", "").lower() == "true"


def _json(
    world: World, repository: GitRepository, project: Project, sync: ForkSync, *, links: bool
) -> dict[str, Any]:
    """Return a GitForkSyncRequest."""
    source = world.azdo.repositories.get(sync.source_id)
    organization = world.azdo.find_organization(project.organization)
    key: dict[str, str] = {"repositoryId": sync.source_id}
    if organization is not None:
        key["collectionId"] = organization.id
    if source is not None:
        key["projectId"] = source.project_id
    detailed: dict[str, Any] = {"currentStep": _CURRENT[sync.status], "allSteps": _STEPS}
    if sync.error is not None:
        detailed["errorMessage"] = sync.error
    body: dict[str, Any] = {
        "operationId": sync.id,
        "source": key,
        "sourceToTargetRefs": [dict(pair) for pair in sync.refs],
        "status": sync.status,
        "detailedStatus": detailed,
    }
    if links:
        body["_links"] = {
            "self": {"href": sync_url(world, repository, project, sync)},
            "repository": {"href": repository_url(world, repository, project)},
        }
    return body
