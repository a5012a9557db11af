"""What the validators found, in plain sentences.

Neither library's messages reach a user: they speak of schemas and repeat values, which may be
secrets that were put in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from pydantic import ValidationError

from reconciler.spec.findings import Finding, close_match, hint, is_secret_path
from reconciler.spec.places import Path, Place, find_place

__all__ = ["explain_model_error", "explain_schema_error"]

# jsonschema's ValidationError, which types most of its attributes as possibly unset; it is
# imported only where the validator runs, since it costs start-up time.
SchemaError: TypeAlias = Any

_TYPES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "empty",
}
_PATTERNS = {
    "maxDelete": "a percentage from 0% to 100%",
    "maxOverwrite": "a percentage from 0% to 100%",
    "customDomain": "a domain such as contoso.ghe.com",
}
_LITERAL_DETAIL = (
    'Secrets are never written into the spec. Write "${env.NAME}" and nothing else, and set the '
    "environment variable NAME where the reconciler runs."
)


def explain_schema_error(error: SchemaError, root: Place) -> Iterator[Finding]:
    """Rewrite one finding of the JSON Schema validator; ``root`` gives the text as written."""
    for finding in _explain(error, root):
        starts_in_words = finding.summary.startswith(("the spec ", "entry "))
        first = finding.summary[0].upper() if starts_in_words else finding.summary[0]
        yield replace(finding, summary=first + finding.summary[1:])


def _explain(error: SchemaError, root: Place) -> Iterator[Finding]:
    path: Path = tuple(error.absolute_path)
    if is_secret_path(path):
        yield Finding(
            path,
            "secret_literal",
            f"{_name(path)} must be a reference to the environment.",
            _LITERAL_DETAIL,
        )
        return
    explain = _EXPLAINERS.get(str(error.validator))
    if explain is None:
        yield Finding(path, "invalid", f"{_name(path)} is not valid.")
    else:
        yield from explain(error, path, root)


def explain_model_error(error: ValidationError, data: object) -> Iterator[Finding]:
    """Rewrite the findings of the models; only rules between fields come with own sentences."""
    for entry in error.errors(include_url=False, include_input=False):
        path = _path_in(data, entry["loc"])
        if entry["type"] != "finding":
            yield Finding(path, "invalid", f"{_name(path)} is not valid: {entry['type']}.")
            continue
        context = entry["ctx"]
        below: list[str | int] = [
            int(part) if part.isdigit() else part for part in context["at"].split(".") if part
        ]
        yield Finding(
            (*path, *below),
            context["code"],
            context["text"] + ".",
        )


def _path_in(data: object, loc: tuple[int | str, ...]) -> Path:
    """Drop the parts of a location that name a branch of a union, not a place in the data."""
    path: list[str | int] = []
    node: Any = data
    for part in loc:
        is_key = isinstance(node, dict) and part in node
        if is_key or (isinstance(node, list) and isinstance(part, int) and part < len(node)):
            node = node[part]
            path.append(part)
    return tuple(path)


def _unknown_keys(error: SchemaError, path: Path, root: Place) -> Iterator[Finding]:
    del root
    known = error.schema.get("properties", {})
    patterns = error.schema.get("patternProperties", {})
    for key in error.instance:
        if key in known or any(re.search(p, key) for p in patterns):
            continue
        if patterns:
            yield Finding(
                (*path, key),
                "bad_variable_name",
                f'"{_short(key)}" is not a name for a variable.',
                "Names are letters, digits, - and _, and start with a letter or _.",
                at_key=True,
            )
            continue
        owners = [k for k, sub in known.items() if key in _properties(sub)]
        detail = f"It belongs under {owners[0]}." if owners else ""
        allowed = "Allowed here: " + ", ".join(sorted(known)) + "."
        yield Finding(
            (*path, key),
            "unknown_key",
            f'"{_short(key)}" is not a key of {_name(path)}'
            + ("." if owners else _unknown_key_hint(key, known)),
            detail or allowed,
            at_key=True,
        )


def _unknown_key_hint(key: str, known: dict[str, Any]) -> str:
    """Suggest a key of this object, or else one of an object below it."""
    if close_match(key, known) is None:
        for owner, below in known.items():
            match = close_match(key, _properties(below))
            if match is not None:
                return f'; did you mean "{match}", under {owner}?'
    return hint(key, known)


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of an object schema, also where it may be left empty."""
    found: dict[str, Any] = schema.get("properties", {})
    for branch in schema.get("anyOf", []):
        found = found or branch.get("properties", {})
    return found


def _missing_keys(error: SchemaError, path: Path, root: Place) -> Iterator[Finding]:
    del root
    known = error.schema.get("properties", {})
    misspelt = {close_match(key, known) for key in error.instance if key not in known}
    for key in error.validator_value:
        if key not in error.instance and key not in misspelt:
            yield Finding(
                path, "missing_key", f'{_name(path)} needs the key "{key}".', _example(error, key)
            )


def _example(error: SchemaError, key: str) -> str:
    node = error.schema.get("properties", {}).get(key, {})
    choices = [c for c in node.get("enum", [node.get("const")]) if c is not None]
    return f"It takes {_listed(choices)}." if choices else ""


def _wrong_type(error: SchemaError, path: Path, root: Place) -> Iterator[Finding]:
    wanted = error.validator_value
    yield _type_finding([wanted] if isinstance(wanted, str) else wanted, error, path, root)


def _type_finding(wanted: list[str], error: SchemaError, path: Path, root: Place) -> Finding:
    types = [t for t in wanted if t != "null"] or ["null"]
    got = _type_of(error.instance)
    want = " or ".join(dict.fromkeys(_TYPES[t] for t in types))
    if got == "null":
        return Finding(
            path,
            "empty_value",
            f"{_name(path)} has no value; it must be {want}.",
            "Give a value, or remove the key.",
        )
    summary = f"{_name(path)} must be {want}, and this is {_TYPES[got]}."
    if got == "boolean":
        summary = f"{_name(path)} must be {want}, not true or false."
    return Finding(path, "wrong_type", summary, _type_detail(types, error.instance, path, root))


def _type_detail(types: list[str], value: object, path: Path, root: Place) -> str:
    raw = find_place(root, path).raw
    if "string" in types and raw and isinstance(value, bool | int | float):
        return f'Without quotes YAML reads it as {_TYPES[_type_of(value)]}. Write "{raw[:60]}".'
    if isinstance(value, str):
        if "boolean" in types and value.lower() in {"yes", "on", "y", "true"}:
            return "Write true, without quotes."
        if "boolean" in types and value.lower() in {"no", "off", "n", "false"}:
            return "Write false, without quotes."
        if {"integer", "number"} & set(types) and re.fullmatch(r"-?[0-9.]{1,20}", value):
            return "Remove the quotes."
    if "array" in types and not isinstance(value, list):
        return "Start each entry on a line of its own with `- `."
    return ""


def _not_allowed(error: SchemaError, path: Path, root: Place) -> Iterator[Finding]:
    """A value outside a closed list; it is shown only where no secret can have strayed to."""
    del root
    choices = (
        [error.validator_value]
        if error.validator == "const"
        else [c for c in error.validator_value if c is not None]
    )
    text = error.instance
    if not isinstance(text, str):
        return  # closed lists hold text, and the wrong type is a finding of its own
    is_shown = 0 < len(text) <= 20 and "credentials" not in path
    end = hint(text, [str(c) for c in choices])
    shown = f', not "{text}"' if is_shown else ""
    yield Finding(path, "not_allowed", f"{_name(path)} must be {_listed(choices)}{shown}{end}")


def _length(error: SchemaError, path: Path, root: Place) -> Iterator[Finding]:
    del root
    limit, size = error.validator_value, len(error.instance)
    noun = "characters" if isinstance(error.instance, str) else "entries"
    if str(error.validator).startswith("min"):
        yield Finding(path, "too_short", f"{_name(path)} must not be empty.")
    else:
        yield Finding(
            path,
            "too_long",
            f"{_name(path)} has {size:,} {noun}; at most {limit:,} are allowed.",
            "The service refuses more.",
        )


def _pattern(error: SchemaError, path: Path, root: Place) -> Iterator[Finding]:
    del root
    expected = _PATTERNS.get(str(path[-1]) if path else "", "written differently")
    yield Finding(path, "bad_value", f"{_name(path)} must be {expected}.")


def _bound(error: SchemaError, path: Path, root: Place) -> Iterator[Finding]:
    del root
    side = "or more" if error.validator == "minimum" else "or less"
    yield Finding(path, "bad_value", f"{_name(path)} must be {error.validator_value:,} {side}.")


def _any_of(error: SchemaError, path: Path, root: Place) -> Iterator[Finding]:
    """Explain the branch the value was meant for, which is the one of its type."""
    branches: list[dict[str, Any]] = error.validator_value
    if all(branch.keys() == {"required"} for branch in branches):
        keys = [key for branch in branches for key in branch["required"]]
        yield Finding(path, "missing_key", f"{_name(path)} needs one of the keys {_listed(keys)}.")
        return
    got = _type_of(error.instance)
    for index, branch in enumerate(branches):
        if got in _types(branch) or (got == "integer" and "number" in _types(branch)):
            other = [k for b in branches if b is not branch for k in b.get("required", [])]
            for below in error.context or ():
                if below.schema_path and below.schema_path[0] == index:
                    for finding in _explain(below, root):
                        yield _with_other_form(finding, path, other)
            return
    wanted = [t for branch in branches for t in _types(branch)]
    yield _type_finding(wanted, error, path, root)


def _with_other_form(finding: Finding, path: Path, keys: list[str]) -> Finding:
    """Mention that the value may also be a mapping, when it is the value that is wrong."""
    if finding.path != path or finding.detail or not keys:
        return finding
    return replace(finding, detail=f"It may also be a mapping with {_listed(keys)}.")


def _types(branch: dict[str, Any]) -> list[str]:
    types = branch.get("type", [])
    return [types] if isinstance(types, str) else list(types)


_EXPLAINERS = {
    "additionalProperties": _unknown_keys,
    "required": _missing_keys,
    "type": _wrong_type,
    "enum": _not_allowed,
    "const": _not_allowed,
    "maxLength": _length,
    "minLength": _length,
    "maxItems": _length,
    "minItems": _length,
    "pattern": _pattern,
    "minimum": _bound,
    "maximum": _bound,
    "anyOf": _any_of,
}


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _name(path: Path) -> str:
    """Name a value in a sentence: its key, or the list it is an entry of."""
    if not path:
        return "the spec"
    last = path[-1]
    if isinstance(last, str):
        return _short(last)
    owner = next((str(p) for p in reversed(path) if isinstance(p, str)), "the spec")
    return f"entry {last + 1} of {owner}"


def _listed(choices: list[Any]) -> str:
    words = [str(c) for c in choices]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
