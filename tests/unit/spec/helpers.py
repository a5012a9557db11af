"""Specs for the tests, and how to load them from a text."""

from __future__ import annotations

import copy
import textwrap
from pathlib import Path
from typing import Any

from reconciler.diagnostics import Diagnostic
from reconciler.spec.load import LoadResult, load_spec
from reconciler.spec.models import Estate

HEADER = "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: sales}\n"
GUID = "6f1c0f5e-0000-4000-8000-000000000001"

FULL: dict[str, Any] = {
    "apiVersion": "reconciler/v1",
    "kind": "Estate",
    "metadata": {"name": "sales"},
    "variables": {"env": {"default": "dev", "allowed": ["dev", "prod"]}},
    "azureDevOps": {
        "organization": "contoso",
        "apiVersion": "7.1",
        "repositories": [
            {
                "project": "Sales",
                "name": "fabric-sales",
                "create": True,
                "defaultBranch": "main",
                "import": {
                    "url": "https://github.com/contoso/fabric-sales.git",
                    "credentials": {"username": "x", "password": "${env.SOURCE_PAT}"},
                    "onFailure": "replace",
                },
            }
        ],
    },
    "connections": [
        {
            "name": "sales-git",
            "type": "AzureDevOpsSourceControl",
            "create": {
                "url": "https://dev.azure.com/contoso/Sales/_git/fabric-sales",
                "credentials": {
                    "servicePrincipal": {
                        "tenantId": GUID,
                        "clientId": GUID,
                        "secret": "${env.SP_SECRET}",
                    }
                },
            },
        }
    ],
    "workspaces": [
        {
            "name": "Sales Dev",
            "create": True,
            "capacity": "F8-dev",
            "roles": [{"principal": {"id": GUID, "type": "Group"}, "role": "Contributor"}],
            "git": {
                "provider": "AzureDevOps",
                "project": "Sales",
                "repository": "fabric-sales",
                "branch": "main",
                "directory": "/fabric",
                "credentials": {"connection": "sales-git"},
                "sync": {
                    "direction": "both",
                    "commit": {
                        "mode": "Selective",
                        "items": [{"type": "Notebook", "name": "Ingest *"}],
                    },
                },
            },
        },
        {
            "name": "Sales GitHub",
            "git": {
                "provider": "GitHub",
                "owner": "contoso",
                "repository": "r",
                "branch": "main",
                "credentials": {"connection": "gh"},
            },
        },
    ],
    "pipelines": [
        {
            "name": "Sales",
            "roles": [{"principal": {"id": GUID, "type": "ServicePrincipal"}, "role": "Admin"}],
            "stages": [
                {"name": "Development", "workspace": "Sales Dev"},
                {"name": "Test", "workspace": "Sales Test", "reassign": True},
                {
                    "name": "Production",
                    "workspace": {"name": "Sales Prod", "createOnDeploy": True},
                    "public": True,
                },
            ],
            "deployments": [
                {"from": "Development", "to": "Test", "note": "release ${var.env}"},
                {"from": "Test", "to": "Production", "items": [{"type": "Report"}]},
            ],
        }
    ],
    "ignore": [{"address": "workspaces/*/git", "items": [{"type": "Report", "name": "*"}]}],
    "policies": {"maxDelete": "10%", "above": 5},
}


def load_text(tmp_path: Path, text: str, **options: Any) -> LoadResult:
    """Load a spec from a text, in a file named ``s.yaml``."""
    file = tmp_path / "s.yaml"
    file.write_bytes(textwrap.dedent(text).encode())
    return load_spec([file], **options)


def full() -> dict[str, Any]:
    """Return a valid spec that uses most fields, to change as a test likes."""
    return copy.deepcopy(FULL)


def estate(**parts: Any) -> Estate:
    """Build an estate from parts in their written form."""
    header = {"apiVersion": "reconciler/v1", "kind": "Estate", "metadata": {"name": "sales"}}
    return Estate.model_validate({**header, **parts})


def brief(diagnostic: Diagnostic) -> tuple[str, str | None, int | None, int | None]:
    """Return what a table of expectations compares: code, path, line, column."""
    span = diagnostic.span
    line, column = (span.line, span.column) if span else (None, None)
    return diagnostic.code, diagnostic.path, line, column
