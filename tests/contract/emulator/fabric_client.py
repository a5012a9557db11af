"""Helpers of the Fabric tests: a thin client, a small folder of items, schema checks."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from reconciler.emulator.server import Emulator

ZERO = "00000000-0000-0000-0000-000000000000"
LAKEHOUSE, NOTEBOOK, MODEL, REPORT = (
    "11111111-0000-4000-8000-000000000001",
    "11111111-0000-4000-8000-000000000002",
    "11111111-0000-4000-8000-000000000003",
    "11111111-0000-4000-8000-000000000004",
)
NOTEBOOK_TEXT = (
    "# Fabric notebook source\n\n# META {\n"
    f'# META   "default_lakehouse": "{LAKEHOUSE}",\n'
    f'# META   "default_lakehouse_workspace_id": "{ZERO}"\n'
    "# META }\n\nprint('hello')\n"
)


def platform(kind: str, name: str, logical_id: str, end: str = "") -> str:
    """Return a .platform as Fabric writes it."""
    document = {
        "$schema": "https://developer.microsoft.com/json-schemas/fabric/gitIntegration/platformProperties/2.0.0/schema.json",
        "metadata": {"type": kind, "displayName": name},
        "config": {"version": "2.0", "logicalId": logical_id},
    }
    return json.dumps(document, indent=2) + end


ITEMS = {
    "Raw.Lakehouse/.platform": platform("Lakehouse", "Raw", LAKEHOUSE),
    "Raw.Lakehouse/lakehouse.metadata.json": "{}",
    "Ingest.Notebook/.platform": platform("Notebook", "Ingest", NOTEBOOK, "\n"),
    "Ingest.Notebook/notebook-content.py": NOTEBOOK_TEXT,
    "reports/Sales.SemanticModel/.platform": platform("SemanticModel", "Sales", MODEL),
    "reports/Sales.SemanticModel/definition.pbism": '{"version": "4.0"}',
    "reports/Sales.SemanticModel/definition/model.tmdl": "model Model\n",
    "reports/Sales.Report/.platform": platform("Report", "Sales", REPORT),
    "reports/Sales.Report/definition.pbir": (
        '{"version": "4.0", "datasetReference": {"byPath": {"path": "../Sales.SemanticModel"}}}'
    ),
    "reports/Sales.Report/report.json": '{"config": "{}"}',
}


def write_items(folder: Path, items: dict[str, str] = ITEMS) -> Path:
    """Write items as files and return the folder."""
    for path, content in items.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode())
    return folder


class Fabric:
    """Calls to a real emulator; every method returns the parsed answer."""

    def __init__(self, emulator: Emulator, client: httpx.AsyncClient) -> None:
        self.emulator = emulator
        self.client = client
        self.root = f"{emulator.urls.fabric_url}/v1"

    @property
    def world(self):
        return self.emulator.world

    async def call(
        self, method: str, path: str, body: Any = None, *, status: int = 200, token: str = ""
    ) -> httpx.Response:
        """Send one request and check its status."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await self.client.request(method, f"{self.root}{path}", json=body, headers=headers)
        assert status == answer.status_code, (answer.status_code, answer.text)
        return answer

    async def get(self, path: str, **more: Any) -> Any:
        return (await self.call("GET", path, **more)).json()

    async def all(self, path: str) -> list[Any]:
        """Return a whole list, following the token as it stands (it is URL-encoded)."""
        found: list[Any] = []
        token = ""
        while True:
            joint = "&" if "?" in path else "?"
            more = f"{joint}continuationToken={token}" if token else ""
            page = await self.get(f"{path}{more}")
            found += page["value"]
            token = page.get("continuationToken") or ""
            if not token:
                return found

    async def code(
        self, method: str, path: str, body: Any = None, *, status: int, **more: Any
    ) -> str:
        """Return the error code of a refused request; header and body must agree."""
        answer = await self.call(method, path, body, status=status, **more)
        found = answer.json()["errorCode"]
        assert found == answer.headers["x-ms-public-api-error-code"]
        assert answer.json()["requestId"] == answer.headers["RequestId"]
        return found

    async def run(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Start an operation, poll it, return its state and, if it has one, its result."""
        answer = await self.call(method, path, body, status=202, **more)
        assert b"null" == answer.content
        operation = answer.headers["x-ms-operation-id"]
        polled = await self.call("GET", f"/operations/{operation}")
        state = polled.json()
        if state["status"] == "Succeeded" and "Location" in polled.headers:
            return state, await self.get(f"/operations/{operation}/result")
        return state, None

    async def done(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Run an operation that has to succeed and return its result."""
        state, result = await self.run(method, path, body, **more)
        assert "Succeeded" == state["status"], state
        return result

    async def portal(self, action: str, **data: Any) -> Any:
        """Do something by hand."""
        url = f"{self.emulator.urls.control_url}/portal"
        answer = await self.client.post(url, json={"action": action, **data})
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def scenario(self, base: Path, **data: Any) -> None:
        """Load a scenario."""
        url = f"{self.emulator.urls.control_url}/scenario"
        answer = await self.client.post(url, json={**data, "base": str(base)})
        assert 200 == answer.status_code, answer.text

    async def workspace(self, name: str) -> str:
        """Return the id of a workspace."""
        return next(w["id"] for w in await self.all("/workspaces") if w["displayName"] == name)

    async def items(self, workspace: str) -> dict[str, Any]:
        """Return items by ``Name.Type``."""
        found = await self.all(f"/workspaces/{workspace}/items")
        return {f"{item['displayName']}.{item['type']}": item for item in found}

    async def definition(self, workspace: str, item: str) -> dict[str, bytes]:
        """Return the parts of a definition, whichever way it is handed out."""
        path = f"/workspaces/{workspace}/items/{item}/getDefinition"
        answer = await self.client.post(f"{self.root}{path}")
        body = answer.json() if answer.status_code == 200 else await self.done("POST", path)
        parts = body["definition"]["parts"]
        return {part["path"]: base64.b64decode(part["payload"]) for part in parts}

    def push(
        self, files: dict[str, str | None], branch: str = "main", directory: str = "fabric"
    ) -> str:
        """Commit to the bound repository as a developer would and return the commit."""
        repository = self.world.azdo.locate("contoso", "Sales", "fabric-sales")
        return self.world.repos.commit(
            repository.key,
            branch,
            base=self.world.repos.tip(repository.key, branch),
            changes={
                f"{directory}/{path}": None if text is None else text.encode()
                for path, text in files.items()
            },
            message="A change",
            author_name="Dev",
            author_email="dev@example.com",
            when=self.world.clock.now(),
        )

    def tip(self, branch: str = "main") -> str:
        repository = self.world.azdo.locate("contoso", "Sales", "fabric-sales")
        return self.world.repos.tip(repository.key, branch)

    def files(self, branch: str = "main", directory: str = "fabric") -> dict[str, str]:
        """Return the blob ids of the bound directory."""
        repository = self.world.azdo.locate("contoso", "Sales", "fabric-sales")
        entries = self.world.repos.files(repository.key, self.tip(branch), directory)
        return {path: entry.blob_sha for path, entry in entries.items()}

    def text(self, path: str, branch: str = "main", directory: str = "fabric") -> str:
        repository = self.world.azdo.locate("contoso", "Sales", "fabric-sales")
        return self.world.repos.blob(repository.key, self.files(branch, directory)[path]).decode()


GIT = {
    "provider": "AzureDevOps",
    "organization": "contoso",
    "project": "Sales",
    "repository": "fabric-sales",
    "branch": "main",
    "directory": "/fabric",
}
DETAILS = {
    "gitProviderType": "AzureDevOps",
    "organizationName": "CONTOSO",
    "projectName": "sales",
    "repositoryName": "Fabric-Sales",
    "branchName": "main",
    "directoryName": "/fabric",
}


def estate(**more: Any) -> dict[str, Any]:
    """Return a scenario with a capacity and a repository of items."""
    return {
        "capacities": [{"name": "F8", "sku": "F8"}],
        "azureDevOps": [
            {
                "organization": "contoso",
                "projects": [
                    {
                        "name": "Sales",
                        "repositories": [
                            {"name": "fabric-sales", "content": "items", "directory": "fabric"}
                        ],
                    }
                ],
            }
        ],
        **more,
    }


def shared_folder() -> Path | None:
    """Return the folder with the official contracts and the sample workspace, if it is there."""
    root = Path(__file__).parents[3]
    found = Path(os.environ.get("RECONCILER_SHARED", root.parent / "shared"))
    return found if found.is_dir() else None


class Contract:
    """Checks answers against the official swagger definitions."""

    def __init__(self) -> None:
        shared = shared_folder()
        if shared is None:
            pytest.skip("the official contracts are not beside the repository")
        self._folder = shared / "contracts" / "fabric"

    def check(self, name: str, body: Any) -> None:
        """Validate a body, ``name`` as in ``gitIntegration.json#GitConnection``."""
        file, _, definition = name.partition("#")
        place = "common" if file.startswith("common/") else "platform/definitions"
        path = self._folder / place / file.removeprefix("common/")
        registry = Registry(retrieve=self._retrieve)
        schema = {"$ref": f"{path.as_uri()}#/definitions/{definition}"}
        jsonschema.Draft4Validator(schema, registry=registry).validate(body)

    def _retrieve(self, uri: str) -> Resource:
        path = Path(uri.removeprefix("file://").replace("/Common/", "/common/"))
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        return Resource(contents=content, specification=DRAFT4)
