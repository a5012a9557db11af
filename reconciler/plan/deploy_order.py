"""Items of a deployment in the order and number a request takes."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.diff.deployments import (
    ItemVerdict,
)

__all__ = ["MAX_ITEMS", "deploy_order"]


# Source: fabric-api.md section 7.2, spec (NumberOfItemsInDeployRequestExceededLimit).
MAX_ITEMS = 300

# What an item may refer to is deployed before it.
# Source: fabric-api.md section 7.3 (dataflow, datamart, model, report, dashboard), spec.
_ORDER = (
    "VariableLibrary",
    "Environment",
    "Lakehouse",
    "Warehouse",
    "SQLDatabase",
    "MirroredDatabase",
    "CosmosDBDatabase",
    "Eventhouse",
    "KQLDatabase",
    "Dataflow",
    "Datamart",
    "SemanticModel",
    "UserDataFunction",
    "Notebook",
    "SparkJobDefinition",
    "KQLQueryset",
    "Eventstream",
    "CopyJob",
    "DataPipeline",
    "Report",
    "PaginatedReport",
    "KQLDashboard",
    "Dashboard",
)

_RANK = {name: n for n, name in enumerate(_ORDER)}


def deploy_order(verdicts: Sequence[ItemVerdict]) -> list[ItemVerdict]:
    """Sort items so that what others refer to comes first; unknown types last."""
    return sorted(verdicts, key=lambda v: (_RANK.get(v.type, len(_ORDER)), v.type, v.name))
