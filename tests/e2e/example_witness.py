"""Looking at the emulator without the reconciler: definitions, git refs, endpoints, requests."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
from bench import Bench

SALES = [
    ("DataPipeline", "Nightly"),
    ("Lakehouse", "Sales"),
    ("Notebook", "Load sales"),
    ("Report", "Sales"),
    ("SemanticModel", "Sales"),
]
CALENDAR = [("Lakehouse", "Calendar"), ("Notebook", "Fill calendar")]


def azdo(
    bench: Bench, path: str, *, organization: str = "contoso", version: str = "7.1", **query: str
) -> Any:
    """Return what the Azure DevOps API answers to a GET."""
    answer = httpx.get(
        f"{bench.ready['devops_url']}/{organization}/{path}",
        params={"api-version": version, **query},
        headers={"Authorization": f"Bearer {bench.ready['token']}"},
        timeout=30,
        trust_env=False,
    )
    assert 200 == answer.status_code, answer.text
    return answer.json()


def imports(
    bench: Bench, repository: str, *, organization: str = "contoso", version: str = "7.1"
) -> list[tuple[int, str, str]]:
    """Return (id, status, source) of every import request, abandoned ones too."""
    found = azdo(
        bench,
        f"Sales/_apis/git/repositories/{repository}/importRequests",
        organization=organization,
        version=version,
        includeAbandoned="true",
    )
    return sorted(
        (r["importRequestId"], r["status"], r["parameters"]["gitSource"]["url"])
        for r in found["value"]
    )


def endpoints(bench: Bench, *, organization: str = "contoso") -> list[str]:
    """Return the names of the project's service endpoints."""
    path = "Sales/_apis/serviceendpoint/endpoints"
    return [e["name"] for e in azdo(bench, path, organization=organization)["value"]]


def refs(bench: Bench, url: str) -> str:
    """Return what ``git ls-remote`` prints: every ref, and where HEAD points."""
    return bench.git("ls-remote", "--symref", url)


def github_url(bench: Bench) -> str:
    """Return the source that the imports read, as stock git reaches it."""
    return f"{bench.ready['github_url']}/contoso/fabric-sales.git"


def azure_url(
    bench: Bench, repository: str = "fabric-sales", *, organization: str = "contoso"
) -> str:
    """Return a repository in Azure Repos, as stock git reaches it."""
    return f"{bench.ready['devops_url']}/{organization}/Sales/_git/{repository}"


def item_id(bench: Bench, workspace: str, kind: str, name: str) -> str:
    """Return the id of an item."""
    listed = bench.fabric("GET", f"/workspaces/{bench.workspace_id(workspace)}/items")["value"]
    return next(  # type: ignore[no-any-return]
        i["id"] for i in listed if (i["type"], i["displayName"]) == (kind, name)
    )


def definition(bench: Bench, workspace: str, kind: str, name: str) -> dict[str, str]:
    """Return an item's files by path, waiting for the operation where there is one."""
    root = f"{bench.ready['fabric_url']}/v1"
    headers = {"Authorization": f"Bearer {bench.ready['token']}"}
    item = item_id(bench, workspace, kind, name)
    where = f"/workspaces/{bench.workspace_id(workspace)}/items/{item}/getDefinition"
    with httpx.Client(headers=headers, trust_env=False, timeout=30) as client:
        answer = client.post(root + where)
        if answer.status_code == 202:
            operation = answer.headers["x-ms-operation-id"]
            state = client.get(f"{root}/operations/{operation}").json()
            assert "Succeeded" == state["status"], state
            answer = client.get(f"{root}/operations/{operation}/result")
        assert 200 == answer.status_code, answer.text
    parts = answer.json()["definition"]["parts"]
    return {p["path"]: base64.b64decode(p["payload"]).decode() for p in parts}


def my_credentials(bench: Bench) -> dict[str, Any]:
    """Return the caller's own Git credentials in Sales Dev."""
    path = f"/workspaces/{bench.workspace_id('Sales Dev')}/git/myGitCredentials"
    return bench.fabric("GET", path)  # type: ignore[no-any-return]


def connection(bench: Bench, name: str) -> dict[str, Any]:
    """Return a connection as the service lists it."""
    listed = bench.fabric("GET", "/connections")["value"]
    return next(c for c in listed if c["displayName"] == name)  # type: ignore[no-any-return]


def git_connection(bench: Bench, workspace: str) -> dict[str, Any]:
    """Return a workspace's Git connection."""
    path = f"/workspaces/{bench.workspace_id(workspace)}/git/connection"
    return bench.fabric("GET", path)  # type: ignore[no-any-return]


def pipeline_id(bench: Bench, name: str) -> str:
    """Return the id of the one pipeline with this name."""
    listed = bench.fabric("GET", "/deploymentPipelines")["value"]
    (found,) = [p["id"] for p in listed if p["displayName"] == name]
    return found  # type: ignore[no-any-return]


def deployments(bench: Bench, pipeline: str) -> list[dict[str, Any]]:
    """Return the deployments of a pipeline, oldest first."""
    path = f"/deploymentPipelines/{pipeline_id(bench, pipeline)}/operations"
    listed = bench.fabric("GET", path)["value"]
    return sorted(
        (o for o in listed if o["type"] == "Deploy"), key=lambda o: o["executionStartTime"]
    )


def activity_notebook(bench: Bench, workspace: str) -> str:
    """Return the id of the notebook that the data pipeline of a workspace runs."""
    files = definition(bench, workspace, "DataPipeline", "Nightly")
    content = json.loads(files["pipeline-content.json"])
    (activity,) = content["properties"]["activities"]
    return activity["typeProperties"]["notebookId"]  # type: ignore[no-any-return]


def deploy_posts(bench: Bench) -> list[dict[str, Any]]:
    """Return the deploy requests of the log, in the order they came in."""
    return [r for r in bench.requests(method="POST") if r["path"].endswith("/deploy")]
