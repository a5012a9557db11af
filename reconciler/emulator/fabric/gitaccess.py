"""Who gets to Git, and by which credentials.

Source: fabric-api.md sections 6.1, 6.3, 6.8 and 6.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.emulator.fabric.access import usable_by
from reconciler.emulator.fabric.errors import refuse
from reconciler.emulator.fabric.state import GitBinding, GitCredential, Workspace
from reconciler.emulator.http import Caller

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = [
    "CONNECTION_TYPES",
    "check_caller",
    "check_geography",
    "check_guest",
    "check_kind",
    "credential_of",
    "working_credential",
]

CONNECTION_TYPES = {"AzureDevOps": "AzureDevOpsSourceControl", "GitHub": "GitHubSourceControl"}


def credential_of(binding: GitBinding, caller: Caller) -> GitCredential:
    """Return how the caller authenticates to Git here; source ``None`` if not at all.

    ``Automatic`` means single sign-on and never serves a service principal (section 6.1, docs).
    """
    found = binding.credentials.get(caller.id) or binding.credentials.get("*")
    if found is None or (found.source == "Automatic" and caller.kind == "ServicePrincipal"):
        return GitCredential("None")
    return found


def working_credential(world: World, binding: GitBinding, caller: Caller) -> GitCredential:
    """Return what a call to Git really uses.

    Where single sign-on fails, a configured connection that the caller may use serves instead
    (section 6.8, docs of Dec 2025); that it must be one to this repository is assumed.
    """
    found = credential_of(binding, caller)
    failing = world.fabric.settings.automatic_git_fails
    if found.source != "Automatic" or {caller.id, "*"}.isdisjoint(failing):
        return found
    for connection in world.fabric.connections.values():
        fits = connection.type == CONNECTION_TYPES[binding.provider]
        if fits and usable_by(connection, caller) and _leads_to(connection.path, binding):
            return GitCredential("ConfiguredConnection", connection.id)
    return GitCredential("None")


def _leads_to(path: str, binding: GitBinding) -> bool:
    pieces = [piece.lower() for piece in path.split("/") if piece]
    wanted = [binding.organization, binding.project, "_git", binding.repository]
    return pieces[-4:] == [piece.lower() for piece in wanted]


def check_caller(world: World, binding: GitBinding, caller: Caller) -> None:
    """Refuse a caller who cannot authenticate to Git."""
    check_guest(world, caller)
    if working_credential(world, binding, caller).source == "None":
        raise refuse(
            400,
            "GitCredentialsNotConfigured",
            "Git credentials are not configured for the caller in this workspace.",
            retriable=False,
        )


def check_guest(world: World, caller: Caller) -> None:
    """Refuse a guest of the tenant (section 6.9, docs: B2B; code SDK, status assumed)."""
    known = world.fabric.principals.get(caller.id)
    if known is not None and known.guest:
        raise refuse(
            403,
            "GitProviderGuestAccessDenied",
            "Guest users cannot access the Git provider.",
            retriable=False,
        )


def check_kind(workspace: Workspace) -> None:
    """Refuse workspaces that Git cannot be connected to (section 6.3, docs).

    The codes are SDK constants; which one a "My workspace" gets, and both statuses, are assumed.
    """
    codes = {
        "Personal": ("MyWorkspaceCantBeChanged", "My workspace"),
        "TemplateApp": ("TemplateAppsWorkspacesNotSupported", "A workspace of a template app"),
    }
    if workspace.kind in codes:
        code, what = codes[workspace.kind]
        raise refuse(400, code, f"{what} cannot be connected to Git", retriable=False)


def check_geography(world: World, workspace: Workspace, binding: GitBinding) -> None:
    """Refuse a repository in another region, unless the tenant allows it.

    Source: section 6.9, docs; GitHub's cannot be checked (git-limitations, docs of Dec 2025). The
    code is an SDK constant, the status assumed. The emulator knows a region only of organizations
    whose scenario names one.
    """
    if binding.provider != "AzureDevOps" or world.fabric.settings.cross_geo_git:
        return
    organization = world.azdo.find_organization(binding.organization)
    capacity = world.fabric.capacities.get(workspace.capacity_id or "")
    if organization is None or organization.region is None or capacity is None:
        return
    if organization.region.lower() != capacity.region.lower():
        raise refuse(
            403,
            "CrossGeographyOperationIsNotAllowed",
            "The Git repository and the capacity of the workspace are in different regions.",
            retriable=False,
        )
