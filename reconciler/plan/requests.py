"""Why a plan asks what it asks, by API: what ``--explain-requests`` tells.

``docs/performance.md`` has the same as a formula, and a test holds reading to it.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["REASONS", "explained"]

REASONS: Mapping[str, str] = {
    "workspaces.list": "all workspaces the caller sees, page by page: ids, names, capacities",
    "capacities.list": "all capacities, since some are named or a deployment may cross regions",
    "connections.list": "all connections, since some are in the spec or hold Git credentials",
    "pipelines.list": "all deployment pipelines: which of the spec exist, and their ids",
    "workspaces.roles.list": "one per workspace with roles in the spec",
    "git.connections.discover": "all Git connections of the tenant, 1,000 a page (--admin)",
    "git.connection": "one per binding: where it points, and whether it is initialised",
    "git.status": "one per initialised binding: what is incoming, and what was changed by hand",
    "git.credentials.get": "one per binding whose credentials the spec names, or that moves",
    "git.relations.list": "one per workspace that names a base (--beta)",
    "items.list": "one per workspace that is to be bound, deleted, compared or may lose items",
    "folders.list": "one per workspace whose items are listed: they are placed by folder",
    "pipelines.get": "one per pipeline of the spec that exists: its stages and their workspaces",
    "pipelines.stages.list": "one per pipeline that came without its stages",
    "pipelines.stages.items": "one per stage that a deployment leaves or enters: items and pairs",
    "pipelines.operations.list": "one per pipeline with deployments: is one running, what was last",
    "pipelines.operations.get": "past deployments, for items that have no definition to compare",
    "pipelines.roles.list": "one per pipeline with roles in the spec",
    "items.get_definition": "two per pair of items that is compared by definition",
    "items.bulk_export": "one per workspace with items to compare by definition (--beta)",
    "operations.get": "polls of answers that the service takes longer to make",
    "operations.result": "one per such answer, once it is made",
    "azdo.repositories.list": "one per project with repositories in the spec",
    "azdo.refs.list": "one per repository: is it empty; more for branches that must exist",
    "azdo.imports.list": "one per repository with an import in the spec",
    "azdo.endpoints.list": "one per project in which imports name a service endpoint",
    "azdo.repositories.get": "one per repository to be bound to, in a project that is not listed",
    "azdo.items.list": "one per directory to be bound to: what it holds",
}
"""What each API is asked for while live is read."""


def explained(requests: Mapping[str, int]) -> dict[str, str]:
    """Return the reason of each API that was asked, in the order of the names."""
    return {api: REASONS.get(api, "see --verbose") for api in sorted(requests)}
