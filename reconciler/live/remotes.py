"""Which repository the URL of a Git remote means, compared as the providers compare names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from reconciler.live.models import GitTarget

__all__ = ["repository_key"]

# git@github.com:contoso/sales.git, as git writes and reads it; a drive letter is no host.
_SCP_LIKE = re.compile(r"(?:[^@/:]+@)?(?P<host>[^@/:]{2,}):(?P<path>(?!//).+)")
_AZURE_SSH = frozenset({"ssh.dev.azure.com", "vs-ssh.visualstudio.com"})
_GITHUB = frozenset({"github.com", "www.github.com", "ssh.github.com"})
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_OLD_AZURE = ".visualstudio.com"
_OWN_GITHUB = ".ghe.com"


def repository_key(url: str, endpoints: Iterable[str] = ()) -> tuple[str, ...] | None:
    """Return what :meth:`GitTarget.repository_key` returns for the repository a URL means.

    Knows the forms in which Azure DevOps and GitHub hand out URLs, over https and ssh, with or
    without a user, ``.git`` and a trailing slash; None for any other.

    Args:
        endpoints: base URLs in force. A repository below one of them is one of Azure DevOps
            (``/_git/``); on a loopback one, where an emulator plays all services at one address,
            also one of GitHub.

    Source: azure-devops-import.md section 1 (hosts), section 3 (``remoteUrl``, recorded), section
    6.2 of fabric-api.md (``*.ghe.com``, spec); the ssh forms are assumed.
    """
    text = url.strip()
    if "://" not in text:
        short = _SCP_LIKE.fullmatch(text)
        return _known_host(short["host"].lower(), _segments(short["path"])) if short else None
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if parts.scheme.lower() not in {"http", "https", "ssh", "git"} or not host:
        return None
    steps = _segments(parts.path)
    return _known_host(host, steps) or _below_endpoint(host, port, parts, steps, endpoints)


def _segments(path: str) -> list[str]:
    return [unquote(s) for s in path.strip().split("/") if s]


def _known_host(host: str, steps: Sequence[str]) -> tuple[str, ...] | None:
    if host in _AZURE_SSH:
        return _azure(*steps[1:]) if len(steps) == 4 and steps[0] == "v3" else None
    if host == "dev.azure.com":
        return _azure_path(steps)
    if host.endswith(_OLD_AZURE):
        below = steps[1:] if steps and steps[0].casefold() == "defaultcollection" else steps
        return _azure_path([host.removesuffix(_OLD_AZURE), *below])
    if host in _GITHUB:
        return _github(steps)
    return _github(steps, host) if host.endswith(_OWN_GITHUB) else None


def _below_endpoint(
    host: str, port: int | None, parts: SplitResult, steps: Sequence[str], endpoints: Iterable[str]
) -> tuple[str, ...] | None:
    """Return the repository below a base URL in force: another server's, or an emulator's."""
    for endpoint in endpoints:
        base = urlsplit(endpoint)
        if (base.scheme, (base.hostname or "").lower(), base.port) != (
            parts.scheme.lower(),
            host,
            port,
        ):
            continue
        above = _segments(base.path)
        if list(steps[: len(above)]) == above:
            found = _azure_path(steps[len(above) :])
            if found is not None:
                return found
        if host in _LOOPBACK and len(steps) >= 2 and "_git" not in steps:
            return _github(steps[-2:])
    return None


def _azure_path(steps: Sequence[str]) -> tuple[str, ...] | None:
    """Read ``org/project/_git/repo``, or ``org/_git/repo`` for the one of the project's name."""
    if len(steps) == 4 and steps[2] == "_git":
        return _azure(steps[0], steps[1], steps[3])
    if len(steps) == 3 and steps[1] == "_git":
        return _azure(steps[0], steps[2], steps[2])
    return None


def _azure(organization: str, project: str, repository: str) -> tuple[str, ...]:
    return GitTarget(
        "AzureDevOps", repository, "", organization=organization, project=project
    ).repository_key()


def _github(steps: Sequence[str], domain: str = "") -> tuple[str, ...] | None:
    if len(steps) != 2:
        return None
    name = steps[1].removesuffix(".git")
    return GitTarget("GitHub", name, "", owner=steps[0], custom_domain=domain).repository_key()
