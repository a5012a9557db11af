"""The main job on 40 items that were exported from real workspaces."""

import base64
import json
import os
import shutil
from pathlib import Path

import pytest
from bench import REPOSITORY, Bench

SHARED = Path(os.environ.get("RECONCILER_SHARED", REPOSITORY.parent / "shared"))
ITEMS = SHARED / "data" / "fabric-workspace"

pytestmark = pytest.mark.skipif(
    not ITEMS.is_dir(),
    reason=f"the exported items are not at {ITEMS}; set RECONCILER_SHARED to their parent",
)

SPEC = """\
    apiVersion: reconciler/v1
    kind: Estate
    metadata: {name: real}
    azureDevOps: {organization: contoso}
    workspaces:
      - name: Real Dev
        git:
          provider: AzureDevOps
          project: Real
          repository: items
          branch: main
          directory: /workspace
          sync: {direction: both}
      - name: Real Test
    pipelines:
      - name: Real
        stages:
          - {name: Development, workspace: Real Dev}
          - {name: Test, workspace: Real Test}
        deployments:
          - {from: Development, to: Test}
"""


def _start(bench: Bench) -> tuple[Path, Path]:
    """Push the items with stock git; return the spec and the clone."""
    bench.scenario(
        {
            "capacities": [{"name": "F8", "sku": "F8", "region": "West Europe"}],
            "azureDevOps": [
                {
                    "organization": "contoso",
                    "projects": [{"name": "Real", "repositories": [{"name": "items"}]}],
                }
            ],
            "workspaces": [
                {"name": "Real Dev", "capacity": "F8"},
                {"name": "Real Test", "capacity": "F8"},
            ],
        }
    )
    clone = bench.folder / "clone"
    bench.git("init", "--quiet", "--initial-branch=main", str(clone))
    shutil.copytree(ITEMS, clone / "workspace")
    (clone / "README.md").write_text("beside the items\n")
    url = f"{bench.ready['devops_url']}/contoso/Real/_git/items"
    bench.git("add", "-A", "--force", cwd=clone)
    bench.git("commit", "--quiet", "-m", "exported items", cwd=clone)
    bench.git("push", "--quiet", url, "main", cwd=clone)
    bench.git("remote", "add", "origin", url, cwd=clone)
    return bench.write("real.yaml", SPEC), clone


def _logical_ids(folder: Path) -> dict[tuple[str, str], str]:
    found = {}
    for path in folder.rglob(".platform"):
        platform = json.loads(path.read_text(encoding="utf-8-sig"))
        metadata = platform["metadata"]
        key = (metadata["type"], metadata["displayName"])
        found[key] = platform["config"]["logicalId"]
    return found


def _blobs(bench: Bench, clone: Path, commit: str) -> dict[str, str]:
    """Return the blob of every path of a commit, byte-identity by content address."""
    listing = bench.git("ls-tree", "-r", "-z", commit, cwd=clone)
    rows = (row.split("\t") for row in listing.split("\0") if row)
    return {path: meta.split()[2] for meta, path in rows}


def test_forty_real_items_come_in_go_out_and_are_deployed(bench: Bench) -> None:
    """Guards that real definitions survive update, commit and deploy unchanged and unmixed."""
    spec, clone = _start(bench)
    wanted = _logical_ids(clone / "workspace")
    assert 40 == len(wanted)

    applied = bench.apply(spec)
    assert "Apply complete." in applied.out
    assert sorted(wanted) == bench.items("Real Dev")

    # Exported with bulkExportDefinitions, the definitions carry their real logicalIds.
    workspace = bench.workspace_id("Real Dev")
    exported = bench.fabric(
        "POST", f"/workspaces/{workspace}/items/bulkExportDefinitions?beta=true", {"mode": "All"}
    )
    assert wanted == _exported_ids(bench, exported)

    # Deploying paired all of them.
    pipeline = bench.fabric("GET", "/deploymentPipelines")["value"][0]["id"]
    stages = bench.fabric("GET", f"/deploymentPipelines/{pipeline}/stages")["value"]
    items = bench.fabric("GET", f"/deploymentPipelines/{pipeline}/stages/{stages[0]['id']}/items")
    paired = [i for i in items["value"] if i["itemType"] != "SQLEndpoint"]
    assert 40 == len(paired)
    assert all(i.get("targetItemId") for i in paired)
    assert sorted(wanted) == bench.items("Real Test")

    assert [] == bench.kinds(spec)

    # One hand edit changes exactly that item's files in Git.
    bench.git("fetch", "--quiet", "origin", "main", cwd=clone)
    before = _blobs(bench, clone, "FETCH_HEAD")
    bench.portal(
        action="edit",
        workspace="Real Dev",
        item="Hello World",
        type="Notebook",
        path="notebook-content.py",
        append="\nprint('edited')\n",
    )
    assert ["git.commit", "deployment.deploy"] == bench.kinds(spec)
    bench.apply(spec)
    bench.git("fetch", "--quiet", "origin", "main", cwd=clone)
    after = _blobs(bench, clone, "FETCH_HEAD")
    assert {"workspace/Hello World.Notebook/notebook-content.py"} == {
        path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
    }
    assert [] == bench.kinds(spec)


def _exported_ids(bench: Bench, answer: object) -> dict[tuple[str, str], str]:
    """Read logicalIds out of an export."""
    assert isinstance(answer, dict)
    found = {}
    for part in answer["definitionParts"]:
        if part["path"].endswith("/.platform"):
            platform = json.loads(base64.b64decode(part["payload"]).decode("utf-8-sig"))
            metadata = platform["metadata"]
            key = (metadata["type"], metadata["displayName"])
            found[key] = platform["config"]["logicalId"]
    return found
