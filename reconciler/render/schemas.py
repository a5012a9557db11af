"""JSON Schemas of everything the command line writes, generated from the models that write it.

What a model says in its docstring is what the schema says: the first paragraph describes the
object, the Attributes section its members. Objects allow members they do not know, as readers
must: a new minor version adds some.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, TypeAdapter

from reconciler.plan.plan import Plan
from reconciler.render import as_json, stream
from reconciler.spec.schema import DIALECT, to_text
from reconciler.spec.schema import schema_text as spec_schema_text

__all__ = ["SCHEMAS", "schema_text"]

_MEMBER = re.compile(r"^ {4}(\w[\w, ]*): (.*(?:\n {8}.*)*)", re.MULTILINE)
_CODE = re.compile(r"``(.*?)``")
_ROLE = re.compile(r":\w+:`~?(?:[\w.]*\.)?(\w+)`")


def schema_text(name: str) -> str:
    """Return one schema as JSON text.

    Raises:
        KeyError: there is none of this name; :data:`SCHEMAS` has them all.
    """
    return SCHEMAS[name]()


def _plan() -> str:
    return _published("plan", "Plan of the reconciler", TypeAdapter(Plan))


def _drift() -> str:
    return _published("drift", "Drift report of the reconciler", TypeAdapter(as_json.DriftReport))


def _findings() -> str:
    return _published("findings", "Findings in a spec", TypeAdapter(as_json.FindingsReport))


def _events() -> str:
    adapter: TypeAdapter[Any] = TypeAdapter(stream.Record)
    return _published("events", "One line of the event stream", adapter)


SCHEMAS: Mapping[str, Callable[[], str]] = {
    "spec": spec_schema_text,
    "plan": _plan,
    "drift": _drift,
    "events": _events,
    "findings": _findings,
}
"""The schemas by name, in the order they are offered."""


def _published(name: str, title: str, adapter: TypeAdapter[Any]) -> str:
    raw = adapter.json_schema(by_alias=True, mode="serialization")
    documented = {model.__name__: model for model in _models()}
    definitions = raw.pop("$defs", {})
    if name in {"plan", "drift"}:
        _loosen(raw, definitions)
    root = {
        "$schema": DIALECT,
        "$id": f"urn:fabric-reconciler:{name}:v1",
        **_tidy(raw, documented.get(raw.get("title", ""))),
        "title": title,
    }
    used = _reachable(root, definitions)
    if used:
        root["$defs"] = {n: _tidy(definitions[n], documented.get(n)) for n in sorted(used)}
    return to_text(root)


def _loosen(raw: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Promise of an action's ``op`` only what plan-format.md does: that it has a kind."""
    op = {
        "description": "what the executor needs; it serves the tool itself",
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string"}},
    }
    for owner in (raw, *definitions.values()):
        if "op" in owner.get("properties", {}):
            owner["properties"]["op"] = op


def _models() -> Iterator[type[BaseModel]]:
    waiting: list[type[BaseModel]] = [BaseModel]
    while waiting:
        for model in waiting.pop().__subclasses__():
            waiting.append(model)
            # Other layers have models of the same names, if they happen to be loaded.
            if model.__module__.startswith(("reconciler.plan.", "reconciler.render.")):
                yield model


def _tidy(node: dict[str, Any], model: type[BaseModel] | None) -> dict[str, Any]:
    """Describe an object and its members in the words of the model's docstring."""
    out = {k: v for k, v in node.items() if k not in {"title", "description", "discriminator"}}
    text = inspect.cleandoc(model.__doc__ or "") if model else ""
    if text:
        out["description"] = _plain(text.split("\n\n")[0])
    told = {
        name.strip(): _plain(words)
        for names, words in _MEMBER.findall(_inherited(model))
        for name in names.split(",")
    }
    if "properties" in node:
        out["properties"] = {
            key: _member(value, told.get(key, "")) for key, value in node["properties"].items()
        }
        if model is not as_json.FindingEntry:  # all others are written with every member they have
            out["required"] = list(node["properties"])
    return out


def _inherited(model: type[BaseModel] | None) -> str:
    docs = (m.__doc__ or "" for m in (model.__mro__ if model else ()) if m is not BaseModel)
    return "\n".join(inspect.cleandoc(doc) for doc in docs)


def _member(node: dict[str, Any], told: str) -> dict[str, Any]:
    """Drop what pydantic derives, and write ``null`` as one more type."""
    out = {k: v for k, v in node.items() if k not in {"title", "default"}}
    kinds = [branch.get("type") for branch in out.get("anyOf", [])]
    if len(kinds) == 2 and kinds[1] == "null" and isinstance(kinds[0], str):
        out = {**out.pop("anyOf")[0], **out, "type": kinds}
    return {**out, "description": told} if told and "description" not in out else out


def _plain(text: str) -> str:
    return " ".join(_ROLE.sub(r"\1", _CODE.sub(r"\1", text)).split())


def _reachable(root: Mapping[str, Any], definitions: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting: list[Any] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict):
            name = str(node.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(definitions[name])
            waiting.extend(node.values())
    return found
