"""Variables: what ``${var.NAME}`` and ``${metadata.name}`` stand for, put into the data.

Only text is searched; what is put in is not searched again. A text that is one reference and
nothing else takes the value with its type, so that ``create: ${var.create}`` can be true. A
secret's place is left alone: nothing but ``${env.NAME}`` may stand there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.diagnostics import SourceSpan
from reconciler.spec.findings import Finding, Hints, is_secret_path
from reconciler.spec.places import Path

__all__ = ["GivenValue", "Substitution", "substitute"]

_TOKEN = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class GivenValue:
    """A value from a variable file, and where it stands."""

    value: Any
    span: SourceSpan | None


@dataclass(frozen=True, slots=True)
class Substitution:
    """The data with references replaced.

    ``unresolved`` are the paths whose text could not be replaced and is still as written: their
    values say nothing about what the user meant.
    """

    data: dict[str, Any]
    unresolved: frozenset[Path]
    findings: tuple[Finding, ...]


def substitute(
    data: dict[str, Any],
    given: Mapping[str, str],
    from_files: Mapping[str, GivenValue] | None = None,
) -> Substitution:
    """Replace the references in ``data``; ``given`` (``--var``) wins over ``from_files``."""
    worker = _Substituter()
    worker.read_variables(data.get("variables"), given, from_files or {})
    metadata = data.get("metadata")
    if isinstance(metadata, dict) and isinstance(metadata.get("name"), str):
        name = worker.walk(metadata["name"], ("metadata", "name"))
        worker.name = name if ("metadata", "name") not in worker.unresolved else _NOTHING
    out: dict[str, Any] = {}
    for key, value in data.items():
        if key == "variables":
            out[key] = value
        elif key == "metadata" and worker.name is not _NOTHING:
            rest = {k: worker.walk(v, (key, k)) for k, v in value.items() if k != "name"}
            out[key] = {k: worker.name if k == "name" else rest[k] for k in value}
        else:
            out[key] = worker.walk(value, (key,))
    findings = tuple(dict.fromkeys(worker.findings))
    return Substitution(out, frozenset(worker.unresolved), findings)


class _Substituter:
    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.declared: set[str] = set()
        self.name: Any = _NOTHING
        self.findings: list[Finding] = []
        self.unresolved: set[Path] = set()
        self.hints = Hints()

    def read_variables(
        self, declared: object, given: Mapping[str, str], from_files: Mapping[str, GivenValue]
    ) -> None:
        """Fix the value of each declared variable."""
        variables = declared if isinstance(declared, dict) else {}
        self.declared = set(variables)
        for name in given:
            if name not in self.declared:
                self._report(
                    ("variables",),
                    "unknown_variable",
                    f'The spec declares no variable "{name[:60]}", which --var gives'
                    + self.hints.hint(name, self.declared),
                    "Declare it under variables, or remove the flag.",
                )
        for name, entry in variables.items():
            if isinstance(entry, dict):
                self._read_variable(name, entry, given.get(name), from_files.get(name))

    def _read_variable(
        self, name: str, entry: dict[str, Any], text: str | None, from_file: GivenValue | None
    ) -> None:
        path: Path = ("variables", name)
        default = entry.get("default")
        allowed = entry.get("allowed")
        allowed = [x for x in allowed if _is_scalar(x)] if isinstance(allowed, list) else []
        if text is not None:
            value = _typed(text, default, allowed)
        elif from_file is not None:
            value = from_file.value
        elif default is not None:
            value = default
        else:
            self._report(
                path,
                "missing_variable",
                f'The variable "{name}" has no value.',
                f"Give one with --var {name}=VALUE or a variable file, or declare a default.",
            )
            return
        if not _is_scalar(value):
            if default is not value:  # a malformed default is reported as such
                self._report(
                    path,
                    "bad_variable",
                    f'The value given for the variable "{name}" is no text, number, true or false.',
                )
            return
        if allowed and not any(type(x) is type(value) and x == value for x in allowed):
            # The value itself is not repeated: it came from outside and may be anything.
            source = "given" if text is not None or from_file is not None else "default"
            choices = ", ".join(_text(x) for x in allowed)
            self._report(
                path,
                "variable_not_allowed",
                f'The {source} value of the variable "{name}" is not one of {choices}.',
                "Give one of these, or add it to allowed.",
            )
            return
        self.values[name] = value

    def walk(self, node: Any, path: Path) -> Any:  # noqa: ANN401 - any data
        """Return a copy of ``node`` with the references replaced."""
        if isinstance(node, str):
            if "${" not in node or is_secret_path(path):
                return node
            return self._replace(node, path)
        if isinstance(node, dict):
            return {k: self.walk(v, (*path, k)) for k, v in node.items()}
        if isinstance(node, list):
            return [self.walk(v, (*path, i)) for i, v in enumerate(node)]
        return node

    def _replace(self, text: str, path: Path) -> Any:  # noqa: ANN401 - any scalar
        whole = _TOKEN.fullmatch(text)
        before = len(self.findings)
        if whole is not None and whole[1] is not None:
            value = self._look_up(whole[1], path)
            if len(self.findings) > before or value is _NOTHING:
                self.unresolved.add(path)
                return text
            return value
        out: list[str] = []
        end = 0
        for match in _TOKEN.finditer(text):
            out.append(text[end : match.start()])
            end = match.end()
            if match[0] == "$${":
                out.append("${")
                continue
            value = self._look_up(match[1] if match[1] is not None else "", path)
            if value is _NOTHING:
                self.unresolved.add(path)
            else:
                out.append(_text(value))
        out.append(text[end:])
        return text if path in self.unresolved else "".join(out)

    def _look_up(self, reference: str, path: Path) -> Any:  # noqa: ANN401 - any scalar
        kind, dot, name = reference.partition(".")
        if kind == "var" and dot:
            if name in self.values:
                return self.values[name]
            if name not in self.declared:
                self._report(
                    path,
                    "unknown_variable",
                    f'The spec declares no variable "{name[:60]}"'
                    + self.hints.hint(name, self.declared),
                    "Declare it under variables.",
                )
            return _NOTHING  # declared without a usable value: reported where it is declared
        if reference == "metadata.name":
            if self.name is not _NOTHING:
                return _text(self.name)
            if path == ("metadata", "name"):
                self._report(path, "bad_reference", "The name refers to itself.")
            return _NOTHING
        if kind == "env" and dot:
            self._report(
                path,
                "env_not_allowed",
                f"The environment is read only for secrets, and {_field(path)} is none.",
                "Use a variable: ${var.NAME} with --var NAME=VALUE.",
            )
            return _NOTHING
        self._report(
            path,
            "bad_reference",
            "This ${...} is not a reference the reconciler knows.",
            "There are ${var.NAME} and ${metadata.name}, and ${env.NAME} where a secret stands. "
            "Write $${ for a literal ${.",
        )
        return _NOTHING

    def _report(self, path: Path, code: str, summary: str, detail: str = "") -> None:
        self.findings.append(Finding(path, code, summary, detail))


def _typed(text: str, default: object, allowed: list[Any]) -> Any:  # noqa: ANN401 - any scalar
    """Give a value from the command line the type of the default and the allowed values."""
    for choice in [*allowed, default]:
        if choice is not None and _text(choice) == text:
            return choice
    if isinstance(default, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(default, int | float) and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if isinstance(default, int | float) and re.fullmatch(r"-?[0-9]{1,18}\.[0-9]{1,18}", text):
        return float(text)
    return text


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _field(path: Path) -> str:
    return next((str(part) for part in reversed(path) if isinstance(part, str)), "this")
