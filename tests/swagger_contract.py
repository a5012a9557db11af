"""Recorded exchanges of the emulator against the official swagger files.

Every answer's status and body, and every request body the service took, must fit the contract:
types, formats, enums, required members, and no member that the contract lacks. Where the service
is known to differ from its swagger, the difference stands in ``DIFFERENCES`` with its source.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

__all__ = ["DIFFERENCES", "Difference", "contracts_folder", "violations"]

_ROOT = Path(__file__).parents[1]
_OWN = "fabric-reconciler/"
_LENIENT = re.compile(r"unknown members|: None is not")
_VALUES = ("type", "format", "enum", "minLength", "maxLength", "maxItems", "minimum")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_VARYING = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{40}|\d{4}-\d\d-\d\dT[\d:.]+|:\d{4,5}/",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One known difference between a service and its swagger.

    Attributes:
        route: Regular expression on ``METHOD route-name``.
        problem: Regular expression on the problem's text.
        source: Who says so.
    """

    route: str
    problem: str
    source: str


DIFFERENCES = [
    Difference(
        r".*",
        r"^response \S*continuation(Token|Uri): None",
        "fabric-api.md section 5, docs: both members may be null on the last page",
    ),
    Difference(
        r"GET operations\.get",
        r"^response (percentComplete|error): None",
        "fabric-api.md section 2.2, recorded: operation states keep explicit nulls",
    ),
    Difference(
        r"GET operations\.get",
        r"^response : unknown member.*(blobInfoId|resultContentType)",
        "fabric-api.md section 2.2, field: two more keys, both null",
    ),
    Difference(
        r"GET operations\.result",
        r"^response : a result of an operation that has none",
        "fabric-api.md section 2.3, recorded: the item is the result of updateDefinition",
    ),
    Difference(
        r".* connections\.(get|list|create|update)",
        r"^response (value\.\d+\.)?gatewayId: None",
        "fabric-api.md section 6.8, recorded: gatewayId null",
    ),
    Difference(
        r".* connections\.(get|list|create|update)",
        r"^response (value\.\d+)?: unknown member.*gatewayId",
        "fabric-api.md section 6.8, recorded: cloud connections have a gatewayId too",
    ),
    Difference(
        r"POST workspaces\.create",
        r"^response : 'description' is a required property",
        "fabric-api.md section 8, recorded: an empty description is left out",
    ),
    Difference(
        r"POST (workspaces|pipelines)\.roles\.add",
        r"^response moreDetails\.\d+: '(message|errorCode)' is a required property",
        "fabric-api.md section 3.1, recorded: details may hold a relatedResource only",
    ),
    Difference(
        r"GET git\.connection",
        r"^response (gitProviderDetails|gitSyncDetails): None",
        "fabric-api.md section 6.2: both objects null when not connected",
    ),
    Difference(
        r"POST git\.initialize|GET operations\.result",
        r"^response (workspaceHead|remoteCommitHash): None",
        "fabric-api.md section 6.4, field verified: the head of the side without content is null",
    ),
    Difference(
        r"GET git\.status",
        r"^response workspaceHead: None",
        "fabric-api.md section 6.7: no head right after initializeConnection",
    ),
    Difference(
        r"POST git\.update",
        r"^request workspaceHead: None",
        "fabric-api.md section 6.7: may be null right after initializeConnection",
    ),
    Difference(
        r"POST (workspaces\.roles\.add|pipelines\.roles\.add|connections\.roles\.add)",
        r"^request role: .* is not one of",
        "fabric-api.md section 8, recorded: roles are accepted in any case",
    ),
    Difference(
        r"POST workspaces\.(assign|unassign)",
        r"^headers: 202 without",
        "fabric-api.md section 2.1, recorded: capacity assignment has no operation headers",
    ),
    Difference(
        r"POST jobs\.(run|run_by_query|cancel)",
        r"^headers: 202 without",
        "fabric-api.md section 2.1, recorded: a job instance has no operation",
    ),
    Difference(
        r"POST jobs\.run_by_query",
        r"^no such operation",
        "fabric-api.md section 2.1, and the note of RunOnDemandItemJob on the earlier URL",
    ),
    Difference(
        r"GET jobs\.(get|list)",
        r"^response (value\.\d+\.)?failureReason: None",
        "fabric-api.md section 2.1; example GetItemJobInstance: null where nothing failed",
    ),
    Difference(
        r"POST (git\.update|pipelines\.deploy|items\.bulk_import)",
        r"^request options: unknown member.*deploymentPlan",
        "fabric-api.md section 6.2, docs: newer than the swagger",
    ),
    Difference(
        r".*",
        r"^response .*: 'DeploymentPlan' is not one of",
        "fabric-api.md section 6.2, docs: an item type newer than the swagger",
    ),
    Difference(
        r"POST azdo\.imports\.create",
        r"^status 201",
        "azure-devops-import.md section 2, recorded: 201",
    ),
    Difference(
        r"GET azdo\.commits\.get",
        r"^response changes\.\d+\.item: .* is not of type 'string'",
        "git.json 7.1, example of Commits Get: the item of a change is an object with a path",
    ),
    Difference(
        r"GET azdo\.commits\.get",
        r"^response changeCounts: unknown members",
        "git.json 7.1, example of Commits Get: counts by the name of the change, such as Add",
    ),
    Difference(
        r"GET azdo\.operations\.get",
        r"^no such operation",
        "operations.json 7.1 (Operations Get) is not among the contracts",
    ),
    Difference(
        r"POST azdo\.pushes\.create",
        r"^status 201",
        "git.json 7.1, example of Pushes Create: 201",
    ),
    Difference(
        r"POST azdo\.pushes\.create",
        r"^request commits\.\d+\.changes\.\d+\.item: .* is not of type 'string'",
        "git.json 7.1, example of Pushes Create: the item of a change is an object with a path",
    ),
    Difference(
        r"POST azdo\.pushes\.create",
        r"^request .*contentType: '(rawtext|base64encoded)' is not one of",
        "git.json 7.1, example of Pushes Create: enum values in lower case",
    ),
    Difference(
        r"DELETE azdo\..*",
        r"^status 204",
        "azure-devops-import.md sections 3 and 5, recorded and examples: 204",
    ),
    Difference(
        r".* azdo\..*",
        r"^response \S*_links: unknown member",
        "azure-devops-import.md sections 2.1 to 4, recorded: _links holds the links by name",
    ),
    Difference(
        r".* azdo\.endpoints\..*",
        r"^response (\d+)?: unknown member.*(creationDate|isOutdated)",
        "azure-devops-import.md section 5 lists both fields",
    ),
    Difference(
        r".* azdo\.endpoints\..*",
        r"^response (\d+\.)?operationStatus: unknown member",
        "azure-devops-import.md section 5: operationStatus is free JSON",
    ),
    Difference(
        r".* azdo\.endpoints\..*",
        r"^no such operation: .*/distributedtask/serviceendpoints",
        "azure-devops-import.md section 1: where TFS 2017 has its service endpoints",
    ),
    Difference(
        r".* azdo\..*",
        r"^no such operation: .*/_apis/repos/git/",
        "azure-devops-import.md section 1: URL templates of an older documentation page",
    ),
    Difference(
        r"GET azdo\.endpoints\.get",
        r"^response : None is not of type",
        "azure-devops-import.md section 5: an unknown id answers null",
    ),
    Difference(
        r"(OPTIONS azdo\.locations|GET azdo\.areas(\.get)?)",
        r"^no such operation",
        "azure-devops-import.md section 10 item 11: for SDKs; no swagger describes it",
    ),
    Difference(
        r".* (typed\.\w+|environments\.publish)",
        r"^no such operation",
        "fabric-api.md section 2.6, recorded: routes by item type, whose swagger is not at hand",
    ),
    Difference(
        r"POST (items\.(create|move)|folders\.(create|move))",
        r"^request (folderId|targetFolderId|parentFolderId): '' is not",
        "client behaviour: fabric-cicd sends an empty text for the root",
    ),
]


def contracts_folder() -> Path | None:
    """Return the official contracts, None if they are not beside the repository."""
    shared = Path(os.environ.get("RECONCILER_SHARED", _ROOT.parent / "shared"))
    found = shared / "contracts"
    return found if found.is_dir() else None


class _Schemas:
    """JSON schemas made of swagger definitions, with inheritance and closed objects.

    Swagger lets a discriminator choose the child of a definition and says nothing of unknown
    members. Here a definition has two forms: *open* for those that inherit from it, and *closed*,
    which follows the discriminator. Each stands in two kinds of schema: ``values`` checks types,
    formats, enums and required members, ``shape`` nothing but that every member is known, so that
    one wrong value does not make its whole object unknown.
    """

    def __init__(self) -> None:
        self._files: dict[Path, dict[str, Any]] = {}
        self._shape = False

    def read(self, path: Path) -> dict[str, Any]:
        if path not in self._files:
            self._files[path] = json.loads(path.read_text(encoding="utf-8-sig"))
        return self._files[path]

    def validator(self, file: Path, schema: dict[str, Any], kind: str) -> jsonschema.Validator:
        self._shape = kind == "shape"
        registry: Registry[Any] = Registry(retrieve=self._retrieve)
        checker = jsonschema.FormatChecker(formats=[])
        checker.checks("uuid")(lambda value: not isinstance(value, str) or _is_uuid(value))
        checker.checks("date-time")(lambda value: not isinstance(value, str) or _is_time(value))
        return jsonschema.Draft202012Validator(
            self._closed(file, schema), registry=registry, format_checker=checker
        )

    def _reference(self, form: str, file: Path, name: str) -> dict[str, Any]:
        return {"$ref": f"{form}::{'shape' if self._shape else 'values'}::{file}::{name}"}

    def _retrieve(self, uri: str) -> Resource[Any]:
        form, kind, place, name = uri.split("::")
        self._shape = kind == "shape"
        file = Path(place)
        definition = self.read(file)["definitions"][name]
        if form == "open":
            content = self._object(file, definition)
        else:
            content = self._closed_definition(file, name, definition)
        return Resource(contents=content, specification=DRAFT202012)

    def _target(self, file: Path, reference: str) -> tuple[Path, str]:
        place, _, pointer = reference.partition("#")
        other = file if not place else (file.parent / place.replace("/Common/", "/common/"))
        return other.resolve(), pointer.rpartition("/")[2]

    def _closed(self, file: Path, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema as it stands in a property, a list or a body."""
        if "$ref" in schema:
            other, name = self._target(file, schema["$ref"])
            # Of the admin API only a part of the definitions was published beside its swagger.
            return self._reference("closed", other, name) if other.exists() else {}
        if "allOf" in schema or "properties" in schema:
            return self._sealed(self._object(file, schema))
        return self._plain(file, schema)

    def _sealed(self, schema: dict[str, Any]) -> dict[str, Any]:
        return {**schema, "unevaluatedProperties": False} if self._shape else schema

    def _plain(self, file: Path, schema: dict[str, Any]) -> dict[str, Any]:
        kept = {key: schema[key] for key in _VALUES if key in schema and not self._shape}
        if "items" in schema:
            kept["items"] = self._closed(file, schema["items"])
        if isinstance(schema.get("additionalProperties"), dict):
            kept["additionalProperties"] = self._closed(file, schema["additionalProperties"])
        return kept

    def _object(self, file: Path, schema: dict[str, Any]) -> dict[str, Any]:
        found = self._plain(file, schema)
        found.pop("additionalProperties", None)
        if "properties" in schema:
            found["properties"] = {
                name: self._closed(file, member) for name, member in schema["properties"].items()
            }
        if "required" in schema and not self._shape:
            found["required"] = schema["required"]
        bases = []
        for base in schema.get("allOf", []):
            if "$ref" in base:
                other, name = self._target(file, base["$ref"])
                bases.append(self._reference("open", other, name))
            else:
                bases.append(self._object(file, base))
        return {**found, "allOf": bases} if bases else found

    def _closed_definition(
        self, file: Path, name: str, definition: dict[str, Any]
    ) -> dict[str, Any]:
        if not {"properties", "allOf"} & definition.keys():
            return self._plain(file, definition)
        parts: list[dict[str, Any]] = [self._reference("open", file, name)]
        member = definition.get("discriminator")
        if member is not None:
            for value, child in self._children(file, name):
                parts.append(
                    {
                        "if": {"properties": {member: {"const": value}}, "required": [member]},
                        "then": self._reference("open", file, child),
                    }
                )
        return self._sealed({"allOf": parts})

    def _children(self, file: Path, name: str) -> Iterator[tuple[str, str]]:
        for child, definition in self.read(file)["definitions"].items():
            for base in definition.get("allOf", []):
                if base.get("$ref", "").rpartition("/")[2] == name:
                    yield definition.get("x-ms-discriminator-value", child), child
                    yield from self._children(file, child)


def _is_uuid(value: str) -> bool:
    return _UUID.fullmatch(value) is not None


def _is_time(value: str) -> bool:
    """Whether a text is an ISO time; the official examples have some without a Z."""
    trimmed = re.sub(r"(\.\d{6})\d", r"\1", value)
    try:
        datetime.fromisoformat(trimmed)
    except ValueError:
        return False
    return "T" in value


@dataclass(frozen=True)
class _Operation:
    file: Path
    template: str
    spec: Mapping[str, Any]

    @property
    def body(self) -> dict[str, Any] | None:
        for parameter in self.spec.get("parameters", []):
            if parameter.get("in") == "body":
                schema: dict[str, Any] = parameter["schema"]
                return schema
        return None


class _Contracts:
    """Finds the operation of an exchange and checks it."""

    def __init__(self, folder: Path) -> None:
        self._schemas = _Schemas()
        self._validators: dict[tuple[Path, str, str], jsonschema.Validator] = {}
        self.started: dict[str, Mapping[str, Any]] = {}
        self._operations: dict[str, list[tuple[re.Pattern[str], str, _Operation]]] = {
            "fabric": [],
            "azdo": [],
        }
        fabric = folder / "fabric"
        self._add("fabric", fabric / "platform" / "swagger.json", "/v1")
        self._add("fabric", fabric / "admin" / "swagger.json", "/v1/admin")
        for name in ("git", "core", "serviceEndpoint"):
            self._add("azdo", folder / "azure-devops" / name / "7.1" / f"{name}.json", "")

    def _add(self, service: str, file: Path, base: str) -> None:
        for template, methods in self._schemas.read(file)["paths"].items():
            path = template.partition("?")[0].rstrip("/")
            if service == "azdo":
                path = path[path.index("_apis") :]
            literal = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(f"{base}{path}"))
            pattern = re.compile(literal, re.IGNORECASE)
            for method, spec in methods.items():
                if method != "parameters":
                    operation = _Operation(file.resolve(), template, spec)
                    self._operations[service].append((pattern, method.upper(), operation))
        # Of two that fit, the one with fewer variables is meant.
        self._operations[service].sort(key=lambda entry: entry[0].pattern.count("[^/]+"))

    def operation(self, exchange: Mapping[str, Any]) -> _Operation | None:
        path = exchange["path"].rstrip("/")
        if exchange["service"] == "azdo":
            at = path.lower().find("/_apis")
            if at < 0:
                return None
            # A server has its prefix before the collection, the service has the organization only.
            roots = 2 if path.lower().startswith("/tfs/") else 1
            in_project = path[:at].count("/") > roots
            path = path[at + 1 :]
        else:
            in_project = False
        fitting = [
            operation
            for pattern, method, operation in self._operations[exchange["service"]]
            if method == exchange["method"] and pattern.fullmatch(path)
        ]
        wanted = [found for found in fitting if ("{project}" in found.template) == in_project]
        return next(iter(wanted or fitting), None)

    def _result(self, exchange: Mapping[str, Any]) -> tuple[Path, dict[str, Any]] | None:
        """Return the schema of an operation's result: the 200 of the call that started it."""
        starter = self.started.get(exchange["path"].rstrip("/").split("/")[-2].lower())
        started = None if starter is None else self.operation(starter)
        if started is None:
            return None
        answers = started.spec["responses"]
        schema = (answers.get("200") or answers.get("201") or {}).get("schema")
        return None if schema is None else (started.file, schema)

    def problems(self, exchange: Mapping[str, Any]) -> Iterator[str]:
        """Yield what is wrong with an exchange, in words."""
        operation = self.operation(exchange)
        if operation is None:
            if exchange["status"] < 400:
                yield f"no such operation: {exchange['path']}"
            return
        ours = exchange["agent"].startswith(_OWN)
        if (exchange["status"] < 400 or ours) and exchange["request"]:
            yield from self._request(operation, exchange)
        if not exchange["faulty"]:
            yield from self._response(operation, exchange)

    def _request(self, operation: _Operation, exchange: Mapping[str, Any]) -> Iterator[str]:
        sent = exchange["request"].get("json")
        if operation.body is None:
            # Foreign clients do as they like: fabric-cicd sends a JSON text with every GET.
            if exchange["agent"].startswith(_OWN) and sent not in (None, {}):
                yield "request : a body is sent, and there is none in the contract"
            return
        for problem in self._check("request", operation.file, operation.body, sent):
            # Tests may send more than they need; what the reconciler sends must fit to the letter.
            if exchange["agent"].startswith(_OWN) or not _LENIENT.search(problem):
                yield problem

    def _response(self, operation: _Operation, exchange: Mapping[str, Any]) -> Iterator[str]:
        status, answers = exchange["status"], operation.spec["responses"]
        azdo = exchange["service"] == "azdo"
        if azdo and status >= 400:
            yield from _azdo_error(exchange)
            return
        found = answers.get(str(status)) or (answers.get("default") if status >= 400 else None)
        if found is None:
            yield f"status {status} is not in the contract"
            found = next(iter(answers.values())) if azdo and status == 201 else {}
        if status == 202 and "x-ms-operation-id" not in exchange["headers"]:
            yield "headers: 202 without operation headers"
        schema, file = found.get("schema"), operation.file
        if (schema or {}).get("type") == "file" and operation.template.endswith("/result"):
            known = self._result(exchange)
            if known is None:
                yield "response : a result of an operation that has none"
                return
            file, schema = known
        yield from self._body(exchange, file, schema)

    def _body(
        self, exchange: Mapping[str, Any], file: Path, schema: dict[str, Any] | None
    ) -> Iterator[str]:
        got, azdo = exchange["response"], exchange["service"] == "azdo"
        if schema is None:
            if got.get("json") is not None or "bytes" in got:
                yield "response : a body is sent, and there is none in the contract"
        elif "json" not in got:
            # The content of a file comes as it is (git.json, Items Get, application/octet-stream).
            if not azdo or "json" in exchange["headers"].get("content-type", "json"):
                yield "response : no JSON"
        elif schema.get("type") != "file":
            body = _without_nulls(got["json"]) if azdo else got["json"]
            if azdo and schema.get("type") == "array" and isinstance(body, dict):
                # Lists of Azure DevOps are wrapped (azure-devops-import.md section 2, recorded);
                # one item of a repository answers at the list's own URL (git.json, x-ms-paths).
                body = body.get("value", [body])
            yield from self._check("response", file, schema, body)

    def _check(self, side: str, file: Path, schema: dict[str, Any], body: object) -> Iterator[str]:
        text = json.dumps(schema)
        for error in self._validator(file, text, "values").iter_errors(body):
            yield f"{side} {_place(error)}: {error.message}"
        unknown = list(self._validator(file, text, "shape").iter_errors(body))
        for error in unknown:
            place = list(error.absolute_path)
            # An object with an unknown member makes those around it unknown too.
            if not any(
                other is not error and list(other.absolute_path)[: len(place)] == place
                for other in unknown
            ):
                yield f"{side} {_place(error)}: unknown members: {error.message}"

    def _validator(self, file: Path, schema: str, kind: str) -> jsonschema.Validator:
        key = (file, schema, kind)
        if key not in self._validators:
            self._validators[key] = self._schemas.validator(file, json.loads(schema), kind)
        return self._validators[key]


def _place(error: jsonschema.ValidationError) -> str:
    return ".".join(str(step) for step in error.absolute_path)


_ERROR_KEYS = {"$id", "innerException", "message", "typeName", "typeKey", "errorCode", "eventId"}


def _azdo_error(exchange: Mapping[str, Any]) -> Iterator[str]:
    """Check an error body; swagger has none (azure-devops-import.md section 8, recorded)."""
    body = exchange["response"].get("json")
    if body is not None and not (isinstance(body, dict) and body.keys() == _ERROR_KEYS):
        yield f"response : not the recorded error shape: {str(body)[:80]}"


def _without_nulls(value: object) -> object:
    """Drop nulls: recorded answers hold them where the swagger knows only the type."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _relevant(exchange: Mapping[str, Any]) -> bool:
    """Whether the contract speaks of an exchange: that of Azure DevOps is 7.1 only."""
    version = exchange["version"] or "7.1"
    return exchange["service"] == "fabric" or version.startswith("7.1")


def violations(folder: Path, record: Path) -> list[str]:
    """Return what a recorded run holds against the contracts, each problem once."""
    contracts = _Contracts(folder)
    seen: set[str] = set()
    found: dict[str, None] = {}
    lines = record.read_text(encoding="utf-8").splitlines()
    for line in lines:
        if '"status": 202' in line:
            # In the order of the record: emulators with the same seed give the same ids again.
            exchange = json.loads(line)
            contracts.started[exchange["headers"].get("x-ms-operation-id", "")] = exchange
        key = _VARYING.sub("", line)
        if key in seen:
            continue
        seen.add(key)
        exchange = json.loads(line)
        if not _relevant(exchange):
            continue
        route = f"{exchange['method']} {exchange['route']}"
        for problem in contracts.problems(exchange):
            if not any(
                re.fullmatch(known.route, route) and re.search(known.problem, problem)
                for known in DIFFERENCES
            ):
                found[f"{route} {exchange['status']}: {problem[:300]}"] = None
    return list(found)
