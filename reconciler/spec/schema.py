"""The JSON Schema of the spec, generated from the models.

What is published in ``schemas/spec.schema.json`` is what validation runs: the models are the
only source of both. Editors read the published text; :func:`compiled_schema` is the same
schema with references resolved and annotations left out, which validates faster.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from reconciler.spec.models import Estate

__all__ = ["DIALECT", "build_schema", "compiled_schema", "schema_text", "to_text"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_ID = "urn:fabric-reconciler:spec:v1"
_ANNOTATIONS = frozenset({"$id", "$schema", "$defs", "title", "description", "default", "examples"})
_ORDER = (
    "$schema",
    "$id",
    "$ref",
    "title",
    "description",
    "type",
    "enum",
    "const",
    "anyOf",
    "default",
    "examples",
    "required",
    "properties",
    "additionalProperties",
)


def build_schema() -> dict[str, Any]:
    """Generate the JSON Schema (2020-12) of a spec, in its written (camelCase) form."""
    raw = Estate.model_json_schema(by_alias=True, mode="validation")
    definitions = raw.pop("$defs")
    schema = {
        "$schema": DIALECT,
        "$id": _ID,
        **_tidy_object(raw, title="Reconciler estate"),
    }
    tidy = {name: _tidy_object(definitions[name]) for name in sorted(definitions)}
    for owner in (schema, *tidy.values()):
        for prop in owner.get("properties", {}).values():
            # pydantic leaves a field's description out when it equals that of its model.
            if "$ref" in prop and "description" not in prop:
                prop["description"] = tidy[prop["$ref"].rpartition("/")[2]]["description"]
    schema["$defs"] = tidy
    return schema


def schema_text() -> str:
    """Return the schema as stable, readable JSON text with a final newline."""
    return to_text(build_schema())


def to_text(schema: dict[str, Any]) -> str:
    """Write any schema with its keywords in a stable, readable order."""
    return json.dumps(_ordered(schema), indent=2, ensure_ascii=False) + "\n"


@lru_cache(maxsize=1)
def compiled_schema() -> dict[str, Any]:
    """Return the schema with references resolved and annotations dropped; do not modify it."""
    schema = build_schema()
    definitions = schema["$defs"]
    done: dict[str, Any] = {}

    def compile_(node: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(node, list):
            return [compile_(x) for x in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:  # what stands beside a reference are annotations
            name = node["$ref"].rpartition("/")[2]
            if name not in done:
                done[name] = compile_(definitions[name])
            return done[name]
        out: dict[str, Any] = {}
        for key, value in node.items():
            if key == "properties":
                out[key] = {name: compile_(sub) for name, sub in value.items()}
            elif key not in _ANNOTATIONS:
                out[key] = compile_(value)
        return out

    result = compile_(schema)
    assert isinstance(result, dict)  # noqa: S101 - narrows the type
    return result


def _tidy_object(node: dict[str, Any], *, title: str = "") -> dict[str, Any]:
    """Give an object schema a title and a description without the notes for maintainers."""
    out = {k: v for k, v in node.items() if k != "properties"}
    if title:
        out["title"] = title
    if "description" in out:
        out["description"] = " ".join(out["description"].split("\n\n")[0].split())
    if "properties" in node:
        out["properties"] = {k: _tidy_property(v) for k, v in node["properties"].items()}
    return out


def _tidy_property(node: dict[str, Any]) -> dict[str, Any]:
    """Drop the title pydantic derives from the name, and write ``null`` as one more type."""
    out = {k: v for k, v in node.items() if k != "title"}
    if "patternProperties" in out:
        out["additionalProperties"] = False
    branches = out.get("anyOf", [])
    if len(branches) != 2 or {"type": "null"} not in branches:
        return out
    (other,) = [b for b in branches if b != {"type": "null"}]
    if "type" not in other or isinstance(other["type"], list):
        return out
    del out["anyOf"]
    merged = {**other, "type": [other["type"], "null"]}
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return {**merged, **out}


def _ordered(node: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(node, list):
        return [_ordered(x) for x in node]
    if not isinstance(node, dict):
        return node
    rank = {key: i for i, key in enumerate(_ORDER)}
    keys = sorted(node, key=lambda k: rank.get(k, len(rank)))
    return {k: _ordered(node[k]) if k not in {"default", "examples"} else node[k] for k in keys}
