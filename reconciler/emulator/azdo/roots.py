"""What stands before ``_apis`` and ``_git``: organization or collection, and the project.

Both ``/{organization}/{project}`` and the server form ``/{prefix...}/{collection}/{project}`` are
one rule here: the last known organization wins, what follows it is the project.
Source: azure-devops-import.md section 1.
"""

from __future__ import annotations

from reconciler.emulator.azdo.errors import missing_project, project_not_found
from reconciler.emulator.http import Refused
from reconciler.emulator.world import World

__all__ = ["locate_api", "locate_git"]


def locate_api(world: World, segments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split a path at ``_apis``; ``organization``, ``project`` and ``project_id`` are parameters.

    Raises:
        Refused: 404 for an organization or project that does not exist.
    """
    return _split(world, segments, "_apis", check_project=True)


def locate_git(world: World, segments: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split a path at ``_git``; the project may be missing (then it has the repository's name)."""
    return _split(world, segments, "_git", check_project=False)


def _split(
    world: World, segments: list[str], marker: str, *, check_project: bool
) -> tuple[dict[str, str], list[str]]:
    positions = [index for index, text in enumerate(segments) if text.lower() == marker]
    if not positions:
        return {}, segments
    root, rest = segments[: positions[0]], segments[positions[0] :]
    if [text.lower() for text in rest[1:3]] == ["repos", "git"]:
        # An older page of the documentation has this template (section 1).
        rest = [rest[0], *rest[2:]]
    organization, project = _organization(world, root)
    if organization is None:
        raise Refused(project_not_found("/".join(root)))
    params = {"organization": organization}
    if project is not None:
        params["project"] = project
        found = world.azdo.find_project(organization, project)
        if found is not None and found.state == "wellFormed":
            params["project_id"] = found.id
        elif check_project:
            raise Refused(missing_project(world, project))
    return params, rest


def _organization(world: World, root: list[str]) -> tuple[str | None, str | None]:
    """Return organization (in the server's casing) and project as written."""
    for skipped in (1, 0):
        if len(root) > skipped:
            found = world.azdo.find_organization(root[len(root) - 1 - skipped])
            if found is not None:
                return found.name, root[-1] if skipped else None
    # Old links have /DefaultCollection between the organization and the project.
    without = [text for text in root if text.lower() != "defaultcollection"]
    return _organization(world, without) if len(without) < len(root) else (None, None)
