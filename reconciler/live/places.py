"""Which Azure DevOps root, project and repository a part of the spec speaks of. Pure."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from reconciler.live.models import GitTarget
from reconciler.spec.models import AzureDevOps, GitSpec

__all__ = [
    "devops_root",
    "devops_version",
    "normal_directory",
    "organization_root",
    "target_of",
]


def devops_root(azure_devops: AzureDevOps) -> str:
    """Return the path below the Azure DevOps base URL: ``/contoso``, ``/tfs/DefaultCollection``.

    Source: azure-devops-import.md section 1 (addressing), docs.
    """
    if azure_devops.organization is not None:
        return organization_root(azure_devops.organization)
    return urlsplit(azure_devops.url or "").path.rstrip("/")


def organization_root(organization: str) -> str:
    """Return the root of an organization on Azure DevOps Services."""
    return "/" + quote(organization, safe="")


def devops_version(azure_devops: AzureDevOps | None, organization: str) -> str:
    """Return the server release to speak to an organization a binding names."""
    if azure_devops is not None and (azure_devops.organization or "").casefold() == (
        organization.casefold()
    ):
        return azure_devops.api_version
    return "7.1"


def normal_directory(directory: str | None) -> str:
    """Return the directory with one leading slash and no trailing one; the root is ``/``.

    The service answers ``""`` for the root in examples while clients send ``/folder``.
    Source: fabric-api.md section 6.2, spec examples.
    """
    return "/" + (directory or "").strip("/")


def target_of(git: GitSpec) -> GitTarget:
    """Return where the spec wants the binding to point."""
    return GitTarget(
        provider=git.provider,
        repository=git.repository,
        branch=git.branch,
        directory=normal_directory(git.directory),
        organization=git.organization or "",
        project=git.project or "",
        owner=git.owner or "",
        custom_domain=git.custom_domain or "",
    )
