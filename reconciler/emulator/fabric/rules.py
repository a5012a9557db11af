"""What a deployment does to a definition: other ids, or none, and the rules of the stage.

Source: fabric-api.md section 7.4 (docs); deployment rules: create-rules and
understand-the-deployment-process, docs of 2023 to 2025. Rules have no API, so the portal makes
them. How a rule finds its place in a definition is assumed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from reconciler.emulator.fabric.content import CONTENTS, Exchange
from reconciler.emulator.fabric.errors import OperationFailed
from reconciler.emulator.fabric.state import Item, Rule

if TYPE_CHECKING:
    from reconciler.emulator.world import World

__all__ = ["RULE_TYPES", "copied_parts", "is_direct_lake"]

RULE_TYPES: Mapping[str, frozenset[str]] = {
    "dataSource": frozenset({"Dataflow", "SemanticModel", "Datamart", "PaginatedReport"}),
    "parameter": frozenset({"Dataflow", "SemanticModel", "Datamart"}),
    "defaultLakehouse": frozenset({"Notebook"}),
}
"""Item types by kind of rule (docs)."""

_DIRECT_LAKE = re.compile(rb"\bmode\"?\s*:\s*\"?directLake\b", re.IGNORECASE)
_LAKEHOUSE = re.compile(rb"(\"?default_lakehouse\"?\s*:\s*\")[0-9a-f-]{36}(\")", re.IGNORECASE)


def is_direct_lake(world: World, item: Item) -> bool:
    """Whether an item is a semantic model with tables in Direct Lake mode.

    The mode stands in the model's TMDL or TMSL files.
    """
    return item.type == "SemanticModel" and any(
        path.endswith((".tmdl", ".bim")) and _DIRECT_LAKE.search(world.blobs.get(digest))
        for path, digest in item.parts.items()
    )


def copied_parts(
    world: World, item: Item, exchange: Exchange, rules: Sequence[Rule]
) -> dict[str, str]:
    """Return an item's definition as a stage gets it.

    A Direct Lake model keeps pointing to where its source points (section 7.4, docs).

    Raises:
        OperationFailed: if what a rule replaces is not in the source any more (docs; code
            assumed).
    """
    parts = dict(item.parts)
    if not is_direct_lake(world, item):
        parts = {
            path: CONTENTS.exchange(world.blobs, digest, exchange) for path, digest in parts.items()
        }
    for rule in rules:
        changed = _applied(world, rule, parts)
        if not changed:
            raise OperationFailed(
                "InvalidDeploymentRule",
                f"The deployment rule for {rule.old or 'the default lakehouse'} of {item.name} is "
                "not valid any more: the source does not have it",
            )
        parts |= changed
    return parts


def _applied(world: World, rule: Rule, parts: Mapping[str, str]) -> dict[str, str]:
    """Return the parts in which a rule finds its place, as it leaves them."""
    found: dict[str, str] = {}
    new = rule.new.encode()
    for path, digest in parts.items():
        content = world.blobs.get(digest)
        if rule.kind == "dataSource":
            count = content.count(rule.old.encode())
            changed = content.replace(rule.old.encode(), new)
        elif rule.kind == "parameter":
            changed, count = _parameter(rule.old).subn(lambda hit: hit[1] + new + hit[2], content)
        else:
            changed, count = _LAKEHOUSE.subn(lambda hit: hit[1] + new + hit[2], content)
        if count:
            found[path] = world.blobs.put(changed)
    return found


def _parameter(name: str) -> re.Pattern[bytes]:
    """Return what finds a text parameter in TMDL or in a dataflow's M."""
    quoted = re.escape(name.encode())
    return re.compile(
        rb"((?:expression|shared)\s+(?:#?[\"']?)" + quoted + rb"[\"']?\s*=\s*\")[^\"]*(\")"
    )
