"""Which repository a remote means, in every form that providers and people write it."""

from __future__ import annotations

import pytest

from reconciler.live.models import GitTarget
from reconciler.live.remotes import repository_key

AZURE = GitTarget("AzureDevOps", "fabric-sales", "", organization="contoso", project="Sales")
SPACED = GitTarget("AzureDevOps", "my repo", "", organization="contoso", project="My Project")
NAMESAKE = GitTarget("AzureDevOps", "Sales", "", organization="contoso", project="Sales")
HUB = GitTarget("GitHub", "fabric-sales", "", owner="contoso")
RESIDENT = GitTarget("GitHub", "fabric-sales", "", owner="contoso", custom_domain="contoso.ghe.com")
LOCAL = "http://127.0.0.1:8765"
ENDPOINTS = (f"{LOCAL}/fabric", f"{LOCAL}/devops", "https://tfs.contoso.com")

KNOWN = [
    ("https://dev.azure.com/contoso/Sales/_git/fabric-sales", AZURE),
    ("https://contoso@dev.azure.com/contoso/Sales/_git/fabric-sales", AZURE),
    ("https://x:hunter2@DEV.azure.com/Contoso/sales/_git/Fabric-Sales/", AZURE),
    ("https://dev.azure.com/contoso/My%20Project/_git/my%20repo", SPACED),
    ("https://dev.azure.com/contoso/_git/Sales", NAMESAKE),
    ("https://contoso.visualstudio.com/Sales/_git/fabric-sales", AZURE),
    ("https://contoso.visualstudio.com/DefaultCollection/Sales/_git/fabric-sales", AZURE),
    ("https://contoso.visualstudio.com/_git/Sales", NAMESAKE),
    ("git@ssh.dev.azure.com:v3/contoso/Sales/fabric-sales", AZURE),
    ("ssh://git@ssh.dev.azure.com/v3/contoso/Sales/fabric-sales", AZURE),
    ("contoso@vs-ssh.visualstudio.com:v3/contoso/My%20Project/my%20repo", SPACED),
    ("https://github.com/contoso/fabric-sales", HUB),
    ("https://github.com/Contoso/Fabric-Sales.git", HUB),
    ("https://x-access-token:hunter2@github.com/contoso/fabric-sales.git/", HUB),
    ("git@github.com:contoso/fabric-sales.git", HUB),
    ("github.com:contoso/fabric-sales", HUB),
    ("ssh://git@github.com/contoso/fabric-sales.git", HUB),
    ("ssh://git@ssh.github.com:443/contoso/fabric-sales.git", HUB),
    ("git://github.com/contoso/fabric-sales", HUB),
    ("https://contoso.ghe.com/contoso/fabric-sales.git", RESIDENT),
    ("git@contoso.ghe.com:contoso/fabric-sales.git", RESIDENT),
    (f"{LOCAL}/devops/contoso/Sales/_git/fabric-sales", AZURE),
    (f"{LOCAL}/github/contoso/fabric-sales.git", HUB),
    ("https://tfs.contoso.com/contoso/Sales/_git/fabric-sales", AZURE),
]

UNKNOWN = [
    "",
    "/srv/git/fabric-sales.git",
    "../fabric-sales",
    "C:/git/fabric-sales",
    "file:///srv/contoso/fabric-sales",
    "https://gitlab.com/contoso/fabric-sales.git",
    "https://github.com/contoso",
    "https://github.com/contoso/fabric-sales/tree/main",
    "https://github.com.evil.example/contoso/fabric-sales",
    "https://evil.example/dev.azure.com/contoso/Sales/_git/fabric-sales",
    "https://dev.azure.com/contoso/Sales",
    "git@ssh.dev.azure.com:v2/contoso/Sales/fabric-sales",
    "http://127.0.0.1:9999/github/contoso/fabric-sales.git",
    "https://127.0.0.1:8765/github/contoso/fabric-sales.git",
    "https://tfs.contoso.com/contoso/fabric-sales.git",
    "https://[::1/contoso/fabric-sales",
    "https://github.com:port/contoso/fabric-sales",
]


@pytest.mark.parametrize(("url", "target"), KNOWN)
def test_every_form_of_a_url_means_one_repository(url, target):
    """Names without case; user info, .git and slashes are no part of it."""
    assert target.repository_key() == repository_key(url, ENDPOINTS)


@pytest.mark.parametrize("url", UNKNOWN)
def test_what_is_no_repository_of_the_providers_is_none(url):
    """A look-alike must not count, nor another port of this machine."""
    assert None is repository_key(url, ENDPOINTS)
