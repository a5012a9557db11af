"""The JSON Schema of the spec, generated from the models.

What is published in ``schemas/spec.schema.json`` is what validation runs: the models are the
only source of both. Editors read the published text, which knows both kinds of file;
:func:`compiled_schema` is its estate with references resolved and annotations left out, which
validates faster. Overlays are validated as part of the estate they are laid over. What is
compiled is kept in a file beside this one: making it at every start takes longer than reading a
spec. ``make schema`` writes it, and a test compares.

An overlay's objects are those of an estate of which nothing is required but what names them.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from reconciler.spec.model_base import NAME_OR_ID
from reconciler.spec.models import Estate

__all__ = [
    "DIALECT",
    "build_schema",
    "compiled_schema",
    "compiled_text",
    "schema_text",
    "to_text",
]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_COMPILED = Path(__file__).with_name("compiled.schema.json")
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


_KINDS = {
    "description": "What the file declares: an estate (or part of one), or changes to it.",
    "enum": ["Estate", "Overlay"],
    "default": "Estate",
    "examples": ["Estate", "Overlay"],
}
# What names an entry of an overlay, where it is more or less than what an estate requires.
_NAMES: dict[str, dict[str, Any]] = {
    "RepositorySpec": {"anyOf": [{"required": ["project", "name"]}, {"required": ["id"]}]},
    "ConnectionSpec": {"required": ["name"]},
    "WorkspaceSpec": NAME_OR_ID,
    "PipelineSpec": NAME_OR_ID,
    "StageSpec": {"required": ["name"]},
    "DeploymentSpec": {"required": ["from", "to"]},
    "RoleSpec": {"required": ["principal"]},
    "PrincipalSpec": {"required": ["id"]},
}
# Entries of lists that an overlay replaces as a whole, so they are complete.
_WHOLE = frozenset({"ItemPattern", "IgnoreRule"})
_RULES = ("required", "anyOf", "allOf")


def build_schema() -> dict[str, Any]:
    """Generate the JSON Schema (2020-12) of a spec's files, in their written (camelCase) form.

    Which kind applies is told by ``kind`` and not tried out, so that an editor's messages are
    about the kind that was meant.
    """
    estate, definitions = _estate_schema()
    overlay = _overlay_schema(estate, definitions)
    is_overlay = {"properties": {"kind": {"const": "Overlay"}}, "required": ["kind"]}
    return {
        "$schema": DIALECT,
        "$id": _ID,
        "title": "Reconciler spec",
        "description": "A file of a spec.",
        "type": "object",
        "properties": {"kind": _KINDS},
        "if": is_overlay,
        "then": {"$ref": "#/$defs/Overlay"},
        "else": {"$ref": "#/$defs/Estate"},
        "$defs": {**definitions, "Estate": estate, "Overlay": overlay},
    }


def _estate_schema() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the schema of an estate, and of the objects it refers to."""
    raw = Estate.model_json_schema(by_alias=True, mode="validation")
    definitions = raw.pop("$defs")
    schema = _tidy_object(raw, title="Reconciler estate")
    tidy = {name: _tidy_object(definitions[name]) for name in sorted(definitions)}
    for owner in (schema, *tidy.values()):
        for prop in owner.get("properties", {}).values():
            # pydantic leaves a field's description out when it equals that of its model.
            if "$ref" in prop and "description" not in prop:
                prop["description"] = tidy[prop["$ref"].rpartition("/")[2]]["description"]
    return schema, tidy


def _overlay_schema(estate: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an overlay, which holds those of its own objects.

    Objects that are the same in an estate are shared with it.
    """
    changed = {n for n, d in definitions.items() if n not in _WHOLE and d.keys() & {*_RULES}}
    while True:  # and what refers to those
        more = {n for n, d in definitions.items() if n not in _WHOLE and _refs(d) & changed}
        if more <= changed:
            break
        changed |= more

    def own(node: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(node, list):
            return [own(x) for x in node]
        if not isinstance(node, dict):
            return node
        out = {k: v if k in {"default", "examples"} else own(v) for k, v in node.items()}
        if "$ref" in out and (name := out["$ref"].rpartition("/")[2]) in changed:
            out["$ref"] = f"#/$defs/Overlay/$defs/{name}"
        return out

    def relaxed(name: str, node: dict[str, Any]) -> dict[str, Any]:
        kept = {k: v for k, v in node.items() if k not in _RULES}
        return {**own(kept), **_NAMES.get(name, {})}

    overlay = {
        **relaxed("Estate", estate),
        "title": "Reconciler overlay",
        "description": "Changes to an estate that other files declare.",
        "required": ["apiVersion", "kind"],
    }
    fields = overlay["properties"]
    kind = {**fields["kind"], "const": "Overlay", "examples": ["Overlay"]}
    metadata = {
        **fields["metadata"],
        "description": "The name of the estate, where the overlay is for no other.",
        "default": {},
    }
    overlay["properties"] = {**fields, "kind": kind, "metadata": metadata}
    overlay["$defs"] = {n: relaxed(n, definitions[n]) for n in sorted(changed)}
    return overlay


def _refs(node: Any) -> set[str]:  # noqa: ANN401 - any JSON
    """Return the names of the objects that a schema refers to."""
    if isinstance(node, list):
        return set().union(*map(_refs, node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].rpartition("/")[2]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*(_refs(v) for k, v in node.items() if k not in {"default", "examples"}))


def schema_text() -> str:
    """Return the schema as stable, readable JSON text with a final newline."""
    return to_text(build_schema())


def to_text(schema: dict[str, Any]) -> str:
    """Write any schema with its keywords in a stable, readable order."""
    return json.dumps(_ordered(schema), indent=2, ensure_ascii=False) + "\n"


@lru_cache(maxsize=1)
def compiled_schema() -> dict[str, Any]:
    """Return an estate's schema, references resolved, annotations dropped; do not modify it."""
    schema: dict[str, Any] = json.loads(_COMPILED.read_text(encoding="utf-8"))
    return schema


def compiled_text() -> str:
    """Return what the file of :func:`compiled_schema` holds, made from the models."""
    return json.dumps(_compile(), indent=1, ensure_ascii=True) + "\n"


def _compile() -> dict[str, Any]:
    schema, definitions = _estate_schema()
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
