"""Which item types Git integration and deployment pipelines take, and who says so.

Source: fabric-api.md section 9: the Git list is Learn of 8 Jul 2026, the deployment list of
17 Jul 2026, both through Microsoft's field notes; the type names are the ItemType enum of
common/definitions.json (spec). A type that the lists do not settle is taken and marked assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from reconciler.emulator.fabric.wire import ordered_words, words

__all__ = [
    "BY_LOGICAL_ID",
    "GIT_UNSUPPORTED",
    "ITEM_TYPES",
    "PIPELINE_UNSUPPORTED",
    "SUPPORT",
    "Support",
]

Evidence = Literal["docs", "assumed"]


@dataclass(frozen=True, slots=True)
class Support:
    """What is known of one type, and how well."""

    git: bool
    git_source: Evidence
    pipelines: bool
    pipelines_source: Evidence


_TYPES = ordered_words(
    "Dashboard Report SemanticModel PaginatedReport Datamart Lakehouse Eventhouse Environment "
    "KQLDatabase KQLQueryset KQLDashboard DataPipeline Notebook SparkJobDefinition MLExperiment "
    "MLModel Warehouse Eventstream SQLEndpoint MirroredWarehouse MirroredDatabase Reflex "
    "GraphQLApi MountedDataFactory SQLDatabase CopyJob VariableLibrary Dataflow ApacheAirflowJob "
    "WarehouseSnapshot DigitalTwinBuilder DigitalTwinBuilderFlow MirroredAzureDatabricksCatalog "
    "Map AnomalyDetector UserDataFunction GraphModel GraphQuerySet SnowflakeDatabase "
    "OperationsAgent CosmosDBDatabase Ontology EventSchemaSet DataAgent MirroredCatalog "
    "AppBackend OrgApp OrgAppAudience DataBuildToolJob AzureDatabricksStorage Plan"
)
_NEWER = ("DeploymentPlan",)
"""Types that are documented, but not in the enum at hand: deployment plans (docs of Sep 2026)."""
ITEM_TYPES = frozenset(_TYPES) | frozenset(_NEWER)
"""The ItemType enum, 51 values (spec), and newer types."""

_IN_GIT = words(
    "Environment GraphQLApi Lakehouse Notebook SparkJobDefinition UserDataFunction MLExperiment "
    "MLModel DataAgent CopyJob Dataflow DataPipeline MirroredDatabase MountedDataFactory "
    "SnowflakeDatabase Reflex Eventhouse Eventstream KQLDatabase KQLQueryset KQLDashboard "
    "EventSchemaSet Map AnomalyDetector Warehouse MirroredAzureDatabricksCatalog OrgApp "
    "PaginatedReport Report SemanticModel SQLDatabase CosmosDBDatabase GraphModel GraphQuerySet "
    "VariableLibrary DeploymentPlan"
)
_NOT_IN_GIT = words("Dashboard Datamart SQLEndpoint")
_DEPLOYED = _IN_GIT | words(
    "Dashboard Datamart DigitalTwinBuilder ApacheAirflowJob DataBuildToolJob OperationsAgent "
    "Ontology Plan"
)
# A SQL endpoint is a child of its lakehouse and follows it (section 9).
_NOT_DEPLOYED = words("SQLEndpoint")

SUPPORT: Mapping[str, Support] = {
    name: Support(
        git=name not in _NOT_IN_GIT,
        git_source="docs" if name in _IN_GIT | _NOT_IN_GIT else "assumed",
        pipelines=name not in _NOT_DEPLOYED,
        pipelines_source="docs" if name in _DEPLOYED | _NOT_DEPLOYED else "assumed",
    )
    for name in (*_TYPES, *_NEWER)
}
"""Every type."""

BY_LOGICAL_ID = frozenset({"DeploymentPlan"})
"""Types whose definition names items by logical id in a workspace too (docs of Sep 2026)."""

GIT_UNSUPPORTED = frozenset(name for name, found in SUPPORT.items() if not found.git)
"""Types that Git integration ignores on both sides."""

PIPELINE_UNSUPPORTED = frozenset(name for name, found in SUPPORT.items() if not found.pipelines)
"""Types that deployments skip."""
