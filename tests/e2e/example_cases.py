"""What each example in ``examples/specs`` promises: its actions, its words, its effect."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from bench import Bench
from example_witness import (
    CALENDAR,
    SALES,
    activity_notebook,
    azdo,
    azure_url,
    connection,
    definition,
    deploy_posts,
    deployments,
    endpoints,
    git_connection,
    github_url,
    imports,
    item_id,
    my_credentials,
    pipeline_id,
    refs,
)

SOURCE = "https://github.com/contoso/fabric-sales.git"
LOAD = "fabric/Load sales.Notebook/notebook-content.py"
NEW_LOAD = 'dropDuplicates(["OrderId"])'
SECRETS = {
    "SP_SECRET": "sp-Qm7-never-shown",
    "GITHUB_PAT": "ghp-Zx4-never-shown",
    "SOURCE_PAT": "pat-Vb9-never-shown",
}
TEAM = "6f1c0f5e-0000-4000-8000-000000000001"
RELEASE = "6f1c0f5e-0000-4000-8000-000000000002"
KIM = "6f1c0f5e-0000-4000-8000-000000000003"


@dataclass(frozen=True)
class Case:
    """One example.

    Attributes:
        kinds: the kinds of the plan's actions, in the order of the plan.
        says: what the text of the plan has to name.
        check: looks at the emulator after the apply.
        drift: the exit code of ``drift`` afterwards.
        overlays: files of ``examples/specs/overlays`` that are given after the spec.
    """

    name: str
    kinds: tuple[str, ...]
    says: tuple[str, ...]
    check: Callable[[Bench], None]
    drift: int = 0
    overlays: tuple[str, ...] = ()


def _latest_commit(bench: Bench) -> tuple[str, list[str]]:
    """Return subject and changed files of the branch's newest commit; there is one more."""
    clone = bench.clone("Sales", "fabric-sales")
    assert "2" == bench.git("rev-list", "--count", "HEAD", cwd=clone).strip()
    shown = bench.git("show", "--name-only", "--format=%s", "HEAD", cwd=clone)
    subject, _, files = shown.partition("\n\n")
    return subject, sorted(files.split("\n")[:-1])


def _committed_all(bench: Bench) -> None:
    subject, files = _latest_commit(bench)
    assert "Sales Dev: the day's work" == subject
    added = "fabric/Explore returns.Notebook"
    assert [f"{added}/.platform", f"{added}/notebook-content.py", LOAD] == files
    assert "display(sales)" in (bench.folder / "clone-fabric-sales" / LOAD).read_text()


def _committed_selected(bench: Bench) -> None:
    subject, files = _latest_commit(bench)
    assert "Sales Dev: the load notebooks" == subject
    assert [LOAD] == files
    assert ("Notebook", "Explore returns") in bench.items("Sales Dev")


def _updated(bench: Bench) -> None:
    assert sorted([*SALES, ("Notebook", "Clean sales")]) == bench.items("Sales Dev")
    files = definition(bench, "Sales Dev", "Notebook", "Load sales")
    assert NEW_LOAD in files["notebook-content.py"]


def _connected(bench: Bench) -> None:
    assert SALES == bench.items("Sales Dev")
    found = git_connection(bench, "Sales Dev")
    assert "ConnectedAndInitialized" == found["gitConnectionState"]
    assert found["gitSyncDetails"]["head"] in refs(bench, azure_url(bench))
    notebook = item_id(bench, "Sales Dev", "Notebook", "Load sales")
    assert notebook == activity_notebook(bench, "Sales Dev")


def _service_principal_stored(bench: Bench) -> None:
    found = connection(bench, "sales-git")
    assert "AzureDevOpsSourceControl" == found["connectionDetails"]["type"]
    assert "ServicePrincipal" == found["credentialDetails"]["credentialType"]
    assert SECRETS["SP_SECRET"] not in json.dumps(found)


def _key_stored(bench: Bench) -> None:
    found = connection(bench, "sales-github")
    assert "GitHubSourceControl" == found["connectionDetails"]["type"]
    assert "Key" == found["credentialDetails"]["credentialType"]
    assert SECRETS["GITHUB_PAT"] not in json.dumps(found)


def _signs_in_by_connection(bench: Bench) -> None:
    wanted = {
        "source": "ConfiguredConnection",
        "connectionId": connection(bench, "sales-git")["id"],
    }
    assert wanted == my_credentials(bench)


def _signs_in_automatically(bench: Bench) -> None:
    assert {"source": "Automatic"} == my_credentials(bench)


def _signs_in_no_more(bench: Bench) -> None:
    assert {"source": "None"} == my_credentials(bench)
    assert "ConnectedAndInitialized" == git_connection(bench, "Sales Dev")["gitConnectionState"]


def _deployed_all(bench: Bench) -> None:
    assert SALES == bench.items("Sales Test")
    notebook = item_id(bench, "Sales Test", "Notebook", "Load sales")
    assert notebook == activity_notebook(bench, "Sales Test")
    (deployment,) = deployments(bench, "Sales")
    assert deployment["note"]["content"].startswith("Deployed by reconciler")
    assert 5 == deployment["preDeploymentDiffInformation"]["newItemsCount"]


def _deployed_selected(bench: Bench) -> None:
    assert [("Lakehouse", "Sales"), ("Notebook", "Load sales")] == bench.items("Sales Test")
    files = definition(bench, "Sales Test", "Notebook", "Load sales")
    assert item_id(bench, "Sales Test", "Lakehouse", "Sales") in files["notebook-content.py"]


def _made_pipeline_and_workspace(bench: Bench) -> None:
    assert SALES == bench.items("Sales Prod")
    stages = bench.fabric("GET", f"/deploymentPipelines/{pipeline_id(bench, 'Sales')}/stages")
    assert [("Development", "Sales Dev", False), ("Production", "Sales Prod", True)] == [
        (s["displayName"], s["workspaceName"], s["isPublic"]) for s in stages["value"]
    ]
    made = bench.fabric("GET", f"/workspaces/{bench.workspace_id('Sales Prod')}")
    (capacity,) = bench.fabric("GET", "/capacities")["value"]
    assert capacity["id"] == made["capacityId"]
    assert 1 == len(deployments(bench, "Sales"))


def _imported(bench: Bench) -> None:
    copied = refs(bench, azure_url(bench))
    assert refs(bench, github_url(bench)) == copied
    assert copied.startswith("ref: refs/heads/main\tHEAD\n")
    found = azdo(bench, "Sales/_apis/git/repositories/fabric-sales")
    assert "refs/heads/main" == found["defaultBranch"]
    assert [(1, "completed", SOURCE)] == imports(bench, "fabric-sales")


def _imported_without_a_trace(bench: Bench) -> None:
    _imported(bench)
    assert [] == endpoints(bench)


def _imported_with_a_made_endpoint(bench: Bench) -> None:
    _imported_without_a_trace(bench)
    made = [r for r in bench.writes() if r["path"].endswith("/serviceendpoint/endpoints")]
    assert [("POST", 200)] == [(r["method"], r["status"]) for r in made]


def _replaced(bench: Bench) -> None:
    for repository in ("fabric-sales", "fabric-sales-mirror"):
        assert refs(bench, github_url(bench)) == refs(bench, azure_url(bench, repository))
        (_, *replaced), (_, *made) = imports(bench, repository)
        assert "abandoned" == replaced[0]
        assert ["completed", SOURCE] == made
    first = imports(bench, "fabric-sales")[0]
    assert (1, "abandoned", "https://github.com/contoso/fabric-seils.git") == first


def _imported_on_the_server(bench: Bench) -> None:
    collection = {"organization": "DefaultCollection", "version": "3.0-preview"}
    assert [(1, "completed", SOURCE)] == imports(bench, "fabric-sales", **collection)
    copied = refs(bench, azure_url(bench, organization="DefaultCollection"))
    assert refs(bench, github_url(bench)) == copied
    log = [r for r in bench.requests(service="azdo") if "/_apis/" in r["path"]]
    ours = [r for r in log if r["path"].startswith("/tfs/DefaultCollection/")]
    assert {"1.0", "3.0-preview", "3.0-preview.1"} == {r["query"]["api-version"] for r in ours}
    old = [r for r in ours if "/distributedtask/serviceendpoints" in r["path"]]
    assert {"POST", "GET"} <= {r["method"] for r in old}
    assert [] == [r for r in log if "/serviceendpoint/endpoints" in r["path"]]


def _both_deployed(bench: Bench) -> None:
    assert CALENDAR == bench.items("Calendar Test")
    assert SALES == bench.items("Sales Test")


def _deployed_one_after_the_other(bench: Bench) -> None:
    _both_deployed(bench)
    (first,), (second,) = deployments(bench, "Calendar"), deployments(bench, "Sales")
    assert first["executionEndTime"] <= second["executionStartTime"]
    posted = [r["path"].split("/")[-2] for r in deploy_posts(bench)]
    assert [pipeline_id(bench, "Calendar"), pipeline_id(bench, "Sales")] == posted


def _cascaded(bench: Bench) -> None:
    assert SALES == bench.items("Sales Test")
    assert SALES == bench.items("Sales Prod")
    notebook = item_id(bench, "Sales Prod", "Notebook", "Load sales")
    assert notebook == activity_notebook(bench, "Sales Prod")
    to_test, to_production = deployments(bench, "Sales")
    assert to_test["targetStageId"] == to_production["sourceStageId"]


def _bound_to_github(bench: Bench) -> None:
    assert SALES == bench.items("Sales Dev")
    details = git_connection(bench, "Sales Dev")["gitProviderDetails"]
    assert ("GitHub", "contoso") == (details["gitProviderType"], details["ownerName"])
    _key_stored(bench)
    assert connection(bench, "sales-github")["id"] == my_credentials(bench)["connectionId"]


def _roles_given(bench: Bench) -> None:
    sizes = {c["id"]: c["displayName"] for c in bench.fabric("GET", "/capacities")["value"]}

    def look(workspace: str) -> tuple[str, str, dict[str, str]]:
        at = f"/workspaces/{bench.workspace_id(workspace)}"
        found, roles = bench.fabric("GET", at), bench.fabric("GET", f"{at}/roleAssignments")
        given = {r["principal"]["id"]: r["role"] for r in roles["value"]}
        others = {k: v for k, v in given.items() if k in (TEAM, RELEASE, KIM)}
        return found["description"], sizes[found["capacityId"]], others

    dev, prod = look("Sales Dev"), look("Sales Prod")
    assert ("Where the sales team works", "F8-dev", {TEAM: "Contributor"}) == dev
    roles = {TEAM: "Viewer", RELEASE: "Admin"}
    assert ("What the company sees", "F64-prod", roles) == prod


def _look(bench: Bench, workspace: str) -> tuple[str, dict[str, str]]:
    """Return a workspace's capacity, and the roles of those the examples know."""
    sizes = {c["id"]: c["displayName"] for c in bench.fabric("GET", "/capacities")["value"]}
    at = f"/workspaces/{bench.workspace_id(workspace)}"
    found, roles = bench.fabric("GET", at), bench.fabric("GET", f"{at}/roleAssignments")
    given = {r["principal"]["id"]: r["role"] for r in roles["value"]}
    return sizes[found["capacityId"]], {k: v for k, v in given.items() if k in (TEAM, RELEASE)}


def _made_dev(bench: Bench) -> None:
    assert ("F8-dev", {TEAM: "Contributor"}) == _look(bench, "Sales Dev")
    assert SALES == bench.items("Sales Dev")


def _made_prod(bench: Bench) -> None:
    assert ("F64-prod", {TEAM: "Viewer", RELEASE: "Admin"}) == _look(bench, "Sales Prod")
    assert SALES == bench.items("Sales Prod")
    assert ["Sales Prod"] == [w["displayName"] for w in bench.fabric("GET", "/workspaces")["value"]]


def _branched_out(bench: Bench) -> None:
    assert SALES == bench.items("Sales returns")
    found = git_connection(bench, "Sales returns")
    assert "feature/returns" == found["gitProviderDetails"]["branchName"]
    heads = refs(bench, azure_url(bench)).splitlines()
    tips = {line.split("\t")[0] for line in heads if not line.startswith("ref:")}
    assert {found["gitSyncDetails"]["head"]} == tips


def _committed_first(bench: Bench) -> None:
    clone = bench.clone("Sales", "fabric-sales")
    log = bench.git("log", "--format=%s", cwd=clone).splitlines()
    assert ["Sales Dev: commit by first-commit", "Make the directory /fabric"] == log
    folders = sorted(p.name for p in (clone / "fabric").iterdir() if p.is_dir())
    assert [f"{name}.{kind}" for kind, name in sorted(SALES, key=lambda i: (i[1], i[0]))] == folders


def _dropped(bench: Bench) -> None:
    assert SALES == bench.items("Sales Dev")
    files = definition(bench, "Sales Dev", "Notebook", "Load sales")
    assert "display(sales)" not in files["notebook-content.py"]


_SYNC = "workspaces/Sales Dev/git"
_REPOSITORY = "repositories/Sales/fabric-sales"
_IMPORT = ("repository.create", "repository.import", "repository.update")
_DEPLOY = ("deployment.deploy",)
_MADE_AND_REMOVED = "a service endpoint is made for it and removed after it"

CASES = (
    Case(
        "01-commit-all",
        ("git.commit",),
        (_SYNC, "Notebook Explore returns", "Notebook Load sales", "1 commit"),
        _committed_all,
    ),
    Case(
        "02-commit-selected-items",
        ("git.commit",),
        (_SYNC, "Notebook Load sales", "1 commit"),
        _committed_selected,
        drift=2,
    ),
    Case(
        "03-update-from-git",
        ("git.update",),
        (_SYNC, "+ Notebook Clean sales", "~ Notebook Load sales", "1 update"),
        _updated,
    ),
    Case(
        "04-connect-and-update",
        ("git.connect", "git.initialize", "git.update"),
        (_SYNC, "contoso/Sales/fabric-sales@main:/fabric", "5 items"),
        _connected,
    ),
    Case(
        "05-store-credentials-azure-devops",
        ("connection.create",),
        ("connections/sales-git", "AzureDevOpsSourceControl", "(sensitive)"),
        _service_principal_stored,
    ),
    Case(
        "06-store-credentials-github",
        ("connection.create",),
        ("connections/sales-github", "GitHubSourceControl", "(sensitive)"),
        _key_stored,
    ),
    Case(
        "07-my-credentials-connection",
        ("git.credentials",),
        (_SYNC, '"Automatic" -> "connection sales-git"'),
        _signs_in_by_connection,
    ),
    Case(
        "08-my-credentials-automatic",
        ("git.credentials",),
        (_SYNC, '-> "Automatic"'),
        _signs_in_automatically,
    ),
    Case(
        "09-my-credentials-none",
        ("git.credentials",),
        (_SYNC, '-> "None"'),
        _signs_in_no_more,
    ),
    Case(
        "10-deploy-all",
        _DEPLOY,
        ("pipelines/Sales/deployments/Development:Test", *(f"{k} {n}" for k, n in SALES)),
        _deployed_all,
    ),
    Case(
        "11-deploy-selected-items",
        _DEPLOY,
        ("pipelines/Sales/deployments/Development:Test", "2 new", "Notebook Load sales"),
        _deployed_selected,
    ),
    Case(
        "12-new-pipeline-new-workspace",
        ("pipeline.create", "stage.assign", "deployment.deploy"),
        ("the deployment creates the workspace Sales Prod", "pipelines/Sales/stages/Development"),
        _made_pipeline_and_workspace,
    ),
    Case("13-import-public", _IMPORT, (_REPOSITORY, SOURCE, "1 import"), _imported),
    Case(
        "14-import-private",
        _IMPORT,
        (_REPOSITORY, SOURCE, "(sensitive)", _MADE_AND_REMOVED),
        _imported_with_a_made_endpoint,
    ),
    Case(
        "15-import-through-endpoint",
        _IMPORT,
        (_REPOSITORY, SOURCE, "the service endpoint sales-import, which is removed"),
        _imported_without_a_trace,
    ),
    Case(
        "16-import-retry",
        ("repository.import.retry", "repository.update"),
        (_REPOSITORY, SOURCE, "import 1 failed: this remote has never connected"),
        _imported,
    ),
    Case(
        "17-import-abandon-and-replace",
        (
            *("repository.import.abandon",) * 2,
            *("repository.import",) * 2,
            *("repository.update",) * 2,
        ),
        ("fabric-seils.git", f"{_REPOSITORY}-mirror", "abandon the failed import 2", "2 imports"),
        _replaced,
    ),
    Case(
        "18-server-collection",
        _IMPORT,
        (_REPOSITORY, SOURCE, "(sensitive)", _MADE_AND_REMOVED),
        _imported_on_the_server,
    ),
    Case(
        "19-pipelines-side-by-side",
        _DEPLOY * 2,
        ("pipelines/Calendar/deployments/Development:Test", "2 deployments"),
        _both_deployed,
    ),
    Case(
        "20-pipeline-waits-for-pipeline",
        _DEPLOY * 2,
        ("waits for: pipelines/Calendar/deployments/Development:Test", "2 deployments"),
        _deployed_one_after_the_other,
    ),
    Case(
        "21-cascade-to-production",
        _DEPLOY * 2,
        ("waits for: pipelines/Sales/deployments/Development:Test", "Test:Production"),
        _cascaded,
    ),
    Case(
        "22-github-workspace",
        ("connection.create", "workspace.create", "git.connect", "git.initialize", "git.update"),
        ("contoso/fabric-sales@main:/fabric", '"connection sales-github"'),
        _bound_to_github,
    ),
    Case(
        "23-workspace-roles-and-capacity",
        (
            "workspace.create",
            "workspace.update",
            "workspace.role.add",
            "workspace.assign_capacity",
            "workspace.role.update",
            "workspace.role.add",
            "workspace.role.remove",
        ),
        ('"F8-dev" -> "F64-prod"', '"Member" -> "Viewer"', "DESTRUCTIVE", TEAM, RELEASE, KIM),
        _roles_given,
    ),
    Case(
        "24-dev-test-prod",
        (
            "workspace.create",
            "workspace.role.add",
            "git.connect",
            "git.initialize",
            "git.update",
        ),
        ("workspaces/Sales Dev", "The Dev workspace of the sales team", '"F8-dev"'),
        _made_dev,
    ),
    Case(
        "24-dev-test-prod",
        (
            "workspace.create",
            "workspace.role.add",
            "workspace.role.add",
            "git.connect",
            "git.initialize",
            "git.update",
        ),
        ("workspaces/Sales Prod", "The Prod workspace of the sales team", '"F64-prod"', RELEASE),
        _made_prod,
        overlays=("test.yaml", "prod.yaml"),
    ),
    Case(
        "25-feature-workspace",
        (
            "workspace.create",
            "repository.branch.create",
            "git.connect",
            "git.initialize",
            "git.update",
        ),
        (
            f"{_REPOSITORY}: create the branch feature/returns from main",
            "contoso/Sales/fabric-sales@feature/returns:/fabric",
            "The relation to Sales Main needs --beta",
        ),
        _branched_out,
    ),
    Case(
        "26-first-commit",
        (
            "repository.create",
            "repository.directory.create",
            "git.connect",
            "git.initialize",
            "git.commit",
        ),
        (f"{_REPOSITORY}: create the directory /fabric on main", "fabric-sales has no commit yet"),
        _committed_first,
    ),
    Case(
        "27-drop-hand-edits",
        ("git.resync",),
        (_SYNC, "DESTRUCTIVE", "- Notebook Explore returns", "~ Notebook Load sales"),
        _dropped,
    ),
)
