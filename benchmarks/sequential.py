"""What a script does that calls the services one after another: the baseline of the benchmarks.

The order of calls is that of Microsoft's published samples (github.com/microsoft/fabric-samples,
features-samples/git-integration/GitIntegration-UpdateFromGit.ps1 and
features-samples/fabric-apis/DeploymentPipelines-SelectiveDeploy.ps1, DeploymentPipelines-DeployAll
.ps1, LongRunningOperation-Polling.ps1), written anew: each script finds its workspace or pipeline
by listing all, and both stages by listing the stages twice. One connection is kept open, which
those scripts do too.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx


class Script:
    """One connection, one call at a time."""

    def __init__(self, ready: Mapping[str, str]) -> None:
        self.calls = 0
        self._http = httpx.Client(
            base_url=f"{ready['fabric_url']}/v1",
            headers={"Authorization": f"Bearer {ready['token']}"},
            timeout=300,
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _get(self, path: str) -> dict[str, Any]:
        self.calls += 1
        found: dict[str, Any] = self._http.get(path).raise_for_status().json()
        return found

    def _find(self, path: str, name: str) -> dict[str, Any]:
        """List, page by page, until a name is found."""
        following: str | None = path
        while following:
            page = self._get(following)
            entries: list[dict[str, Any]] = page["value"]
            for entry in entries:
                if entry["displayName"] == name:
                    return entry
            following = page.get("continuationUri")
        raise SystemExit(f"{path}: no {name}")

    def _start(self, path: str, body: object) -> None:
        """Start an operation and poll it to its end."""
        self.calls += 1
        answer = self._http.post(path, json=body).raise_for_status()
        operation = answer.headers.get("x-ms-operation-id")
        if answer.status_code != 202 or operation is None:
            return
        wait_s = float(answer.headers.get("Retry-After", "1"))
        while (state := self._get(f"/operations/{operation}")["status"]) in (
            "NotStarted",
            "Running",
        ):
            time.sleep(wait_s)
        if state != "Succeeded":
            raise SystemExit(f"{path}: {state}")

    def look_at_workspace(self, name: str) -> dict[str, Any]:
        """Find a workspace and tell how it stands to its branch."""
        workspace = self._find("/workspaces", name)
        self._get(f"/workspaces/{workspace['id']}/git/connection")
        status = self._get(f"/workspaces/{workspace['id']}/git/status")
        return {"workspace": workspace["id"], **status}

    def look_at_pipeline(self, name: str, stages: tuple[str, ...]) -> dict[str, str]:
        """Find a pipeline and what its stages hold."""
        pipeline = self._find("/deploymentPipelines", name)["id"]
        found = {}
        for stage in stages:
            entry = self._find(f"/deploymentPipelines/{pipeline}/stages", stage)
            self._get(f"/deploymentPipelines/{pipeline}/stages/{entry['id']}/items")
            found[stage] = entry["id"]
        return {"pipeline": pipeline, **found}

    def update(self, name: str) -> None:
        """Bring a workspace to its branch, as the sample does."""
        workspace = self._find("/workspaces", name)["id"]
        status = self._get(f"/workspaces/{workspace}/git/status")
        self._start(
            f"/workspaces/{workspace}/git/updateFromGit",
            {
                "remoteCommitHash": status["remoteCommitHash"],
                "workspaceHead": status["workspaceHead"],
                "options": {"allowOverrideItems": True},
            },
        )

    def deploy(self, name: str, source: str, target: str) -> None:
        """Deploy everything from one stage to another, as the sample does."""
        pipeline = self._find("/deploymentPipelines", name)["id"]
        path = f"/deploymentPipelines/{pipeline}"
        here, there = (self._find(f"{path}/stages", s)["id"] for s in (source, target))
        self._start(f"{path}/deploy", {"sourceStageId": here, "targetStageId": there})
