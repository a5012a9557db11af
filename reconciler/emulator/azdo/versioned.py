"""Which commit a request means, and what is said when there is none.

Source: git.json (spec) for ``versionDescriptor``; message texts TF401174 and TF401175 are known,
their exact wording is assumed.
"""

from __future__ import annotations

from reconciler.emulator.azdo.errors import bad_request, error
from reconciler.emulator.azdo.state import GitRepository
from reconciler.emulator.http import Answer, Call, Refused
from reconciler.emulator.world import World

__all__ = ["item_not_found", "resolve_version"]


def resolve_version(
    world: World, call: Call, repository: GitRepository, prefix: str = "versionDescriptor."
) -> tuple[str, str]:
    """Return the commit and how an error message names the version.

    Args:
        world: Everything.
        call: The request; without a version the default branch is meant.
        repository: Where to look.
        prefix: What stands before ``version`` and ``versionType`` in the query.

    Raises:
        Refused: 404 for a version that is not there, 400 for an unknown version type.
    """
    kind = call.query.get(f"{prefix}versionType", "branch").lower()
    version = call.query.get(f"{prefix}version", "")
    if not version:
        kind, version = "branch", (repository.default_branch or "").removeprefix("refs/heads/")
    if kind not in {"branch", "tag", "commit"}:
        raise Refused(bad_request(f"{kind} is not a version type."))
    label = f"<{kind.capitalize()}: {version} >"
    commit = _commit(world, repository, kind, version) if version else None
    if commit is None:
        raise Refused(
            error(
                404,
                "GitUnresolvableToCommitException",
                f"TF401175:The version descriptor {label} could not be resolved to a version in "
                f"the repository {repository.name}",
            )
        )
    return commit, label


def _commit(world: World, repository: GitRepository, kind: str, version: str) -> str | None:
    if kind == "branch":
        return world.repos.tip(repository.key, version)
    if kind == "tag":
        tag = world.repos.refs(repository.key, "refs/tags/").get(f"refs/tags/{version}")
        return None if tag is None else world.repos.peel(repository.key, tag)
    if len(version) != 40:
        return None
    return world.repos.peel(repository.key, version.lower())


def item_not_found(repository: GitRepository, path: str, label: str, commit: str) -> Answer:
    """Return the 404 for a path that the version does not have [wording assumed]."""
    return error(
        404,
        "GitItemNotFoundException",
        f"TF401174: The item '{path}' could not be found in the repository '{repository.name}' at "
        f"the version specified by '{label}' (resolved to commit '{commit}')",
    )
