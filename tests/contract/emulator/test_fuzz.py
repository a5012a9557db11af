"""Whatever is sent to any route: an answer of the service, never a 500 and never a traceback."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from fuzz_target import ROOTS, Target
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.emulator.faults import Faults
from reconciler.emulator.http import Route
from reconciler.emulator.limits import Limits
from reconciler.emulator.scenario_error import ScenarioError
from reconciler.emulator.server import mounts

# These may break what follows on purpose, so their bodies are fuzzed apart from the others.
APART = {"control.faults.add", "control.limits.add", "control.reset"}
ROUTES: list[tuple[str, Route]] = [
    (service.name, route)
    for services in mounts().values()
    for _, service in services
    for route in service.routes
    if route.name not in APART
]
NASTY = [
    "..",
    ".",
    "%2e%2e",
    "..\\..\\etc",
    "../../etc/passwd",
    "nothing",
    "\0",
    "-1",
    "99999999999999999999",
    "é\u202e",
    "x" * 3000,
    "00000000-0000-0000-0000-000000000000",
    "*",
    "'; --",
    "",
]
WORDS = [
    *("main", "refs/heads/main", "Dev", "Sales", "fabric-sales", "/fabric", "Notebook", "Admin"),
    *("All", "Selective", "User", "AzureDevOps", "GitHub", "PreferRemote", "queued", "abandoned"),
    *("ConfiguredConnection", "Automatic", "None", "ShareableCloud", "InlineBase64", "aGk=", "add"),
    *("edit", "rename", "delete", "rawtext", "base64Encoded", "0" * 40, "true", "7.1", "10"),
]
KEYS = [
    "displayName",
    "description",
    "capacityId",
    "workspaceId",
    "principal",
    "id",
    "type",
    "role",
    "definition",
    "parts",
    "path",
    "payload",
    "payloadType",
    "folderId",
    "parentFolderId",
    "targetFolderId",
    "gitProviderDetails",
    "gitProviderType",
    "ownerName",
    "organizationName",
    "projectName",
    "repositoryName",
    "branchName",
    "directoryName",
    "myGitCredentials",
    "source",
    "connectionId",
    "initializationStrategy",
    "mode",
    "items",
    "objectId",
    "logicalId",
    "comment",
    "workspaceHead",
    "remoteCommitHash",
    "options",
    "allowOverrideItems",
    "conflictResolution",
    "conflictResolutionType",
    "conflictResolutionPolicy",
    "stages",
    "isPublic",
    "sourceStageId",
    "targetStageId",
    "sourceItemId",
    "itemType",
    "note",
    "createdWorkspaceDetails",
    "name",
    "connectivityType",
    "connectionDetails",
    "creationMethod",
    "parameters",
    "value",
    "credentialDetails",
    "credentials",
    "credentialType",
    "key",
    "relationType",
    "relatedWorkspaceId",
    "project",
    "defaultBranch",
    "isDisabled",
    "deleted",
    "gitSource",
    "tfvcSource",
    "url",
    "serviceEndpointId",
    "status",
    "refUpdates",
    "oldObjectId",
    "newObjectId",
    "commits",
    "changes",
    "changeType",
    "item",
    "newContent",
    "content",
    "contentType",
    "author",
    "sourceServerItem",
    "authorization",
    "scheme",
    "serviceEndpointProjectReferences",
    "projectReference",
    "action",
    "workspace",
    "pipeline",
    "stage",
    "folder",
    "append",
    "contentBase64",
    "state",
    "capacity",
    "advance_s",
    "base",
    "pageSize",
]
QUERY = [
    "continuationToken",
    "roles",
    "type",
    "recursive",
    "rootFolderId",
    "api-version",
    "$top",
    "$skip",
    "filter",
    "filterContains",
    "peelTags",
    "includeLinks",
    "includeHidden",
    "includeAbandoned",
    "scopePath",
    "path",
    "recursionLevel",
    "versionDescriptor.version",
    "versionDescriptor.versionType",
    "searchCriteria.itemPath",
    "hardDelete",
    "beta",
    "searchCriteria.$top",
    "updateMetadata",
    "service",
    "endpointNames",
    "endpointIds",
    "projectIds",
    "includeContent",
]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One emulator for all examples; each starts with the same world."""
    found = Target(tmp_path_factory.mktemp("fuzz"))
    yield found
    found.close()


# A text is a word, or "#n" for the n-th id of the world: examples must not know random ids.
references = st.integers(0, 24).map(lambda n: f"#{n}")
texts = st.one_of(references, st.sampled_from([*WORDS, *NASTY]), st.text(max_size=6))
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), texts, texts
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
        st.just(
            {
                "gitProviderType": "AzureDevOps",
                "organizationName": "contoso",
                "projectName": "Sales",
                "repositoryName": "fabric-sales",
                "branchName": "main",
                "directoryName": "/fabric",
            }
        ),
    ),
    max_leaves=12,
)
bodies = st.one_of(
    st.dictionaries(st.sampled_from(KEYS), values, max_size=8).map(
        lambda v: json.dumps(v).encode()
    ),
    values.map(lambda v: json.dumps(v).encode()),
    st.binary(max_size=20),
    st.sampled_from([b"", b"{", b"[" * 5000, b'{"displayName":"\\ud800"}', b"\xff\xfe", b"null"]),
)
requests = st.tuples(
    st.sampled_from(ROUTES),
    st.lists(texts, min_size=4, max_size=4),
    st.dictionaries(st.sampled_from(QUERY), texts, max_size=3),
    bodies,
)


def filled(text: str, ids: list[str]) -> str:
    """Return the id that a reference stands for, any other text as it is."""
    return ids[int(text[1:]) % len(ids)] if text[:1] == "#" and text[1:].isdigit() else text


def written(route: Route, params: list[str], ids: list[str]) -> str:
    """Return the path of a route with its variables filled in."""
    rest = iter(params)
    pieces = [
        quote(filled(next(rest), ids), safe="") if piece.startswith("{") else piece
        for piece in route.pattern.split("/")
    ]
    return "/".join(pieces)


def with_ids(body: bytes, ids: list[str]) -> bytes:
    """Return a body with its references filled in."""
    for number in range(24, -1, -1):
        body = body.replace(f'"#{number}"'.encode(), f'"{filled(f"#{number}", ids)}"'.encode())
    return body


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(asked=st.lists(requests, min_size=1, max_size=8))
def test_no_request_to_any_route_is_a_server_error(target: Target, asked: list[Any]):
    """Guards malformed bodies, wrong types, ids that are none, and paths that try to escape."""
    ids = target.restart()
    for (service, route), params, query, body in asked:
        path = f"{ROOTS[service]}{written(route, params, ids)}"
        given = {key: filled(value, ids) for key, value in query.items()}
        given.setdefault("api-version", "7.1-preview")
        url = f"{path}?{urlencode(given, errors='replace')}"
        status = target.ask(route.method, url, with_ids(body, ids))
        assert (True, []) == (500 > status, target.failures()), (route.method, url, body)


@pytest.mark.parametrize("kind", [Faults, Limits])
@settings(max_examples=200, deadline=None)
@given(
    data=st.one_of(
        values,
        st.dictionaries(
            st.sampled_from(
                [
                    "match",
                    "answer",
                    "delay_s",
                    "drop",
                    "hang",
                    "stale",
                    "token",
                    "import",
                    "headers",
                    "count",
                    "window_s",
                ]
            ),
            values,
            max_size=4,
        ),
    )
)
def test_a_fault_or_a_limit_is_understood_or_refused(kind: type, data: Any):
    """Guards the control calls that steer everything else."""
    try:
        kind().add(data)
    except ScenarioError as error:
        assert str(error)
