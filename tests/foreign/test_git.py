"""Stock git, through the proxy, under the real host names."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_bench import Foreign

SCENARIO = {
    "azureDevOps": [
        {
            "organization": "contoso",
            "projects": [
                {
                    "name": "Sales",
                    "repositories": [{"name": "fabric-sales", "content": "items"}],
                }
            ],
        }
    ],
    "github": [{"owner": "contoso", "repository": "fabric-sales", "content": "items"}],
}
REMOTES = (
    "https://user:pat@dev.azure.com/contoso/Sales/_git/fabric-sales",
    "https://user:pat@contoso.visualstudio.com/Sales/_git/fabric-sales",
    "https://user:pat@github.com/contoso/fabric-sales.git",
)


@pytest.mark.parametrize("remote", REMOTES, ids=["azure-repos", "visualstudio.com", "github"])
def test_git_clones_pushes_and_fetches(foreign: Foreign, items_folder: Path, remote: str):
    """What one clone pushes, another fetches."""
    foreign.scenario(SCENARIO)
    git = ("git", "-c", "user.name=Test", "-c", "user.email=test@example.invalid")
    foreign.execute("git", "clone", "--quiet", remote, "one")
    foreign.execute("git", "clone", "--quiet", remote, "two")
    (foreign.folder / "one" / "NOTES.md").write_text("notes\n")
    foreign.execute("git", "-C", "one", "add", "NOTES.md")
    foreign.execute(*git, "-C", "one", "commit", "--quiet", "--message", "Add notes")
    foreign.execute("git", "-C", "one", "push", "--quiet", "origin", "HEAD")
    pushed = foreign.execute("git", "-C", "one", "rev-parse", "HEAD")
    foreign.execute("git", "-C", "two", "fetch", "--quiet")
    assert pushed == foreign.execute("git", "-C", "two", "rev-parse", "origin/HEAD")
    listed = foreign.execute("git", "-C", "two", "ls-tree", "--name-only", "origin/HEAD")
    assert ["Hello.Notebook", "NOTES.md", "World.Notebook"] == listed.split("\n")[:-1]


def test_a_host_that_is_not_played_is_out_of_reach(foreign: Foreign):
    """The proxy leads nowhere else, so nothing can leave the machine."""
    script = "! git ls-remote https://gitlab.com/contoso/fabric-sales.git 2>&1"
    assert "403" in foreign.execute("sh", "-c", script)
