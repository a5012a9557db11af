"""The real host names that the proxy leads here, and which service each of them is.

Source: fabric-api.md sections 1 and 2.1, azure-devops-import.md sections 1 and 6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote

from reconciler.emulator.urls import Urls

__all__ = ["CERTIFICATE_HOSTS", "Place", "is_played", "place_of"]

_REGIONAL = re.compile(r"wabi-[a-z0-9-]+\.analysis\.windows\.net")
_OLD_DEVOPS = re.compile(r"([a-z0-9][a-z0-9-]*)\.visualstudio\.com")

_FABRIC = frozenset({"api.fabric.microsoft.com", "api.powerbi.com"})
_MOUNTS = {
    **dict.fromkeys(_FABRIC, "fabric"),
    "dev.azure.com": "devops",
    "github.com": "github",
    "login.microsoftonline.com": "entra",
}

CERTIFICATE_HOSTS = (*_MOUNTS, "*.analysis.windows.net", "*.visualstudio.com")
"""Names in the certificate that the proxy's side of a connection shows."""

_REAL = Urls(
    fabric_url="https://api.fabric.microsoft.com",
    location_url="https://wabi-west-europe-redirect.analysis.windows.net",
    devops_url="https://dev.azure.com",
    github_url="https://github.com",
    entra_url="https://login.microsoftonline.com",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the path of a real host continues in the emulator.

    Attributes:
        prefix: Stands before the path, without a trailing slash.
        urls: What answers name.
    """

    prefix: str
    urls: Urls


def is_played(host: str) -> bool:
    """Whether the emulator plays this host (without a port, any casing)."""
    host = host.lower()
    return (
        host in _MOUNTS
        or _REGIONAL.fullmatch(host) is not None
        or _OLD_DEVOPS.fullmatch(host) is not None
    )


def place_of(authority: str, own: Urls) -> Place | None:
    """Return where a request to a real host belongs, None if the emulator does not play it.

    Args:
        authority: The ``Host`` header.
        own: For the control routes, which no real host has.
    """
    host, _, port = authority.lower().partition(":")
    if port not in {"", "443"} or not is_played(host):
        return None
    urls = replace(_REAL, control_url=own.control_url)
    if host in _FABRIC:
        # The legacy alias answers the same routes (section 1, recorded); it names itself.
        urls = replace(urls, fabric_url=f"https://{host}")
    elif _REGIONAL.fullmatch(host):
        # A state asked of a regional host names that host again (section 2.2, recorded).
        return Place("/fabric", replace(urls, location_url=f"https://{host}"))
    elif (old := _OLD_DEVOPS.fullmatch(host)) is not None:
        return Place(f"/devops/{quote(old[1])}", urls)
    return Place(f"/{_MOUNTS[host]}", urls)
