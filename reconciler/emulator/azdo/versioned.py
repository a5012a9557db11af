"""Which commit a request means, and what is said when there is none.

Source: git.json (spec) for ``versionDescriptor``; message texts TF401174 and TF401175 are known,
their exact wording is assumed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from reconciler.emulator.azdo.errors import bad_request, error
from reconciler.emulator.azdo.state import GitRepository
from reconciler.emulator.gitstore import CommitInfo
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.world import World

__all__ = ["find_version", "history", "item_not_found", "resolve_version"]

_LARGEST_WALK = 10_000


def resolve_version(
    world: World,
    call: Call,
    repository: GitRepository,
    prefix: str = "versionDescriptor.",
    *,
    path: str = "/",
) -> tuple[str, str]:
    """Return the commit and how an error message names the version.

    Args:
        world: Everything.
        call: The request; without a version the default branch is meant.
        repository: Where to look.
        prefix: What stands before ``version``, ``versionType`` and ``versionOptions``.
        path: The item that ``previousChange`` is about.

    Raises:
        Refused: 404 for a version that is not there, 400 for an unknown version type or option.
    """
    kind = call.query.get(f"{prefix}versionType", "branch").lower()
    version = call.query.get(f"{prefix}version", "")
    if not version:
        kind, version = "branch", (repository.default_branch or "").removeprefix("refs/heads/")
    commit, label = find_version(world, repository, kind, version)
    options = call.query.get(f"{prefix}versionOptions", "none").lower()
    if options == "none":
        return commit, label
    modified = _modified(world, repository, commit, options, path)
    if modified is None:
        raise Refused(_unresolvable(repository, label))
    return modified, label


def find_version(
    world: World, repository: GitRepository, kind: str, version: str
) -> tuple[str, str]:
    """Return the commit of a branch, a tag or a commit id, and how a message names it.

    Raises:
        Refused: as ``resolve_version`` does.
    """
    if kind not in {"branch", "tag", "commit"}:
        raise Refused(bad_request(f"{kind} is not a version type."))
    label = f"<{kind.capitalize()}: {version} >"
    commit = _commit(world, repository, kind, version) if version else None
    if commit is None:
        raise Refused(_unresolvable(repository, label))
    return commit, label


def _unresolvable(repository: GitRepository, label: str) -> Answer:
    return error(
        404,
        "GitUnresolvableToCommitException",
        f"TF401175:The version descriptor {label} could not be resolved to a version in the "
        f"repository {repository.name}",
    )


def _commit(world: World, repository: GitRepository, kind: str, version: str) -> str | None:
    if kind == "branch":
        return world.repos.tip(repository.key, version)
    if kind == "tag":
        tag = world.repos.refs(repository.key, "refs/tags/").get(f"refs/tags/{version}")
        return None if tag is None else world.repos.peel(repository.key, tag)
    return world.repos.peel(repository.key, version.lower())


def _modified(
    world: World, repository: GitRepository, commit: str, options: str, path: str
) -> str | None:
    """Return the commit that ``versionOptions`` make of another, None if there is none.

    ``firstParent`` is HEAD^, ``previousChange`` the commit that changed the item before the
    version that is current (git.json, spec).
    """
    if options == "firstparent":
        parents = world.repos.log(repository.key, commit, 1)[0].parents
        return parents[0] if parents else None
    if options == "previouschange":
        changes = (found.sha for found in history(world, repository, commit, path))
        return next(itertools.islice(changes, 1, None), None)
    raise Refused(bad_request(f"{options} is not a version option."))


def history(
    world: World,
    repository: GitRepository,
    tip: str,
    path: str,
    *,
    without: str | None = None,
    mode: str = "simplifiedhistory",
) -> Iterator[CommitInfo]:
    """Yield the commits that changed a path, newest first; of the root every commit did.

    Args:
        world: Everything.
        repository: Where to look.
        tip: Where to start.
        path: A file or folder.
        without: What is reachable from this commit is left out.
        mode: As ``historyMode``, in lower case. The simplified one is that of ``git log``: where a
            merge took a path from one parent as it was, only that parent is followed.
    """
    simplified, everything = mode == "simplifiedhistory", not path.strip("/")
    followed = {tip}
    for commit in world.repos.log(
        repository.key, tip, _LARGEST_WALK, without=without, first_parent=mode == "firstparent"
    ):
        if everything:
            yield commit
            continue
        if simplified and commit.sha not in followed:
            continue
        here = world.repos.entry(repository.key, commit.sha, path)
        same = [
            parent
            for parent in (commit.parents[:1] if mode == "firstparent" else commit.parents)
            if world.repos.entry(repository.key, parent, path) == here
        ]
        followed.update(same[:1] or commit.parents)
        if not same and (commit.parents or here is not None):
            yield commit


def item_not_found(repository: GitRepository, path: str, label: str, commit: str) -> Answer:
    """Return the 404 for a path that the version does not have [wording assumed]."""
    return error(
        404,
        "GitItemNotFoundException",
        f"TF401174: The item '{path}' could not be found in the repository '{repository.name}' at "
        f"the version specified by '{label}' (resolved to commit '{commit}')",
    )
