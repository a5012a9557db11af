"""From what was found to a spec: what cannot be written or acted on becomes a comment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.adopt.build import write_found
from reconciler.adopt.found import (
    Found,
    FoundPipeline,
    FoundRepository,
    FoundWorkspace,
    NotRead,
    pick,
)
from reconciler.live.models import (
    ConnectionState,
    CredentialSource,
    GitTarget,
    LiveBinding,
    LiveCapacity,
    LiveConnection,
    LiveImport,
    LivePipeline,
    LiveRepository,
    LiveRole,
    LiveStage,
    LiveStageItem,
    LiveStatus,
)
from reconciler.spec.load import load_spec
from reconciler.spec.models import AzureDevOps

IDS = [f"{n:08d}-0000-4000-8000-000000000000" for n in range(10)]
TARGET = GitTarget("AzureDevOps", "fabric-sales", "main", "/fabric", "contoso", "Sales")
BOUND = LiveBinding(
    ConnectionState.INITIALIZED,
    TARGET,
    credential_source=CredentialSource.AUTOMATIC,
    status=LiveStatus("a" * 40, "a" * 40),
)
SPACE = FoundWorkspace(IDS[0], "Dev", "Workspace", "", None)
LINE = LivePipeline(
    IDS[5],
    "Sales",
    "",
    (
        LiveStage(IDS[6], 0, "One", "", False, IDS[0], "Dev"),
        LiveStage(IDS[7], 1, "Two", "", True, IDS[1], "Test"),
    ),
)
VISIBLE = {IDS[0]: "Dev", IDS[1]: "Test"}


def written(tmp_path: Path, found: Found) -> tuple[dict[str, Any], str]:
    """Return a written spec as our reader sees it, and its comments as one line."""
    path = tmp_path / "spec.yaml"
    path.write_text(write_found(found).text, encoding="utf-8")
    loaded = load_spec([path])
    assert loaded.resolved is not None, loaded.diagnostics
    comments = [x.partition("# ")[2] for x in path.read_text().splitlines() if "# " in x]
    return loaded.resolved, " ".join(comments)


def workspace(tmp_path: Path, *, among: Any = None, **fields: Any) -> tuple[dict[str, Any], str]:
    """Return the entry of one workspace, and the comments."""
    found = Found(workspaces=(replace(SPACE, **fields),), visible=dict(VISIBLE), **(among or {}))
    data, comments = written(tmp_path, found)
    return data.get("workspaces", [{}])[0], comments


def test_a_name_that_is_not_the_only_one_is_written_as_an_id(tmp_path: Path) -> None:
    """Guards that the plan finds the same thing again."""
    twice = {IDS[0]: "Dev", IDS[1]: "Dev"}
    pipelines = (FoundPipeline(IDS[5], "Sales", LINE, items={IDS[6]: (), IDS[7]: ()}),)
    found = Found(
        workspaces=(SPACE,), pipelines=pipelines, visible=twice, pipeline_names=("Sales", "Sales")
    )
    data, comments = written(tmp_path, found)
    assert [{"id": IDS[0]}] == data["workspaces"]
    assert IDS[5] == data["pipelines"][0]["id"]
    assert [IDS[0], IDS[1]] == [s["workspace"] for s in data["pipelines"][0]["stages"]]
    assert "Dev" in comments
    assert "Sales" in comments


@pytest.mark.parametrize(
    ("capacities", "wanted", "said"),
    [
        ((LiveCapacity(IDS[2], "F8", "F8", "", "Active"),), "F8", ""),
        ((), IDS[2], "not visible to this caller"),
        (
            (
                LiveCapacity(IDS[2], "F8", "F8", "", "Active"),
                LiveCapacity(IDS[3], "F8", "F8", "", "Active"),
            ),
            IDS[2],
            "F8",
        ),
        (NotRead("the capacities", "403."), None, f"Left out: the capacity {IDS[2]}. Not read:"),
    ],
)
def test_a_capacity_is_named_where_its_name_is_clear(
    tmp_path: Path, capacities: Any, wanted: str | None, said: str
) -> None:
    """Guards capacities that others see and this caller does not."""
    among = {"capacities": capacities}
    entry, comments = workspace(tmp_path, capacity_id=IDS[2], among=among)
    assert wanted == entry.get("capacity")
    assert said in comments


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        (replace(BOUND, state=ConnectionState.CONNECTED), "was never initialised"),
        (replace(BOUND, partial=True, status=None), "Its last update stopped half way"),
        (replace(BOUND, credentials_missing=True, status=None), "takes this caller's credentials"),
        (replace(BOUND, target=None), "does not tell the place"),
        (replace(BOUND, target=replace(TARGET, branch="a b")), "which a spec cannot hold"),
        (NotRead("the Git binding", "403."), "Not read: the Git binding: 403."),
    ],
)
def test_a_binding_that_a_plan_would_act_on_is_a_comment(
    tmp_path: Path, binding: Any, said: str
) -> None:
    """Guards the promise of an empty plan, and that what is known is told."""
    entry, comments = workspace(tmp_path, binding=binding)
    assert {"name": "Dev"} == entry
    assert said in comments


@pytest.mark.parametrize(
    ("source", "connections", "wanted"),
    [
        ("Automatic", None, "automatic"),
        ("None", None, "none"),
        (None, None, None),
        ("ConfiguredConnection", (), None),
        ("ConfiguredConnection", NotRead("the connections", "403."), None),
        ("ConfiguredConnection", ("git",), {"connection": "git"}),
        ("ConfiguredConnection", ("git", "git"), {"connection": IDS[3]}),
    ],
)
def test_credentials_are_those_of_the_caller(
    tmp_path: Path, source: str | None, connections: Any, wanted: Any
) -> None:
    """Guards that a connection is written only where a plan can find it."""
    if isinstance(connections, tuple):
        connections = tuple(
            LiveConnection(IDS[3 + n], name, "AzureDevOpsSourceControl", "")
            for n, name in enumerate(connections)
        )
    binding = replace(
        BOUND,
        credential_source=source and CredentialSource(source),
        credential_connection_id=IDS[3] if source == "ConfiguredConnection" else None,
        credentials_missing=source == "None",
    )
    entry, _ = workspace(tmp_path, binding=binding, among={"connections": connections})
    assert wanted == entry["git"].get("credentials")
    assert {"direction": "none"} == entry["git"]["sync"]


def test_what_a_spec_cannot_hold_is_left_out_field_by_field(tmp_path: Path) -> None:
    """Guards odd values of the services: the rest of the resource is written."""
    roles = (
        LiveRole(IDS[2], IDS[2], "Group", "Viewer", "Team\n# evil"),
        LiveRole(IDS[3], IDS[3], "Robot", "Viewer", "R2"),
        LiveRole(IDS[2], IDS[2], "Group", "Viewer"),
    )
    entry, comments = workspace(tmp_path, description="x" * 4001, roles=roles)
    assert {"name", "roles"} == set(entry)
    assert [IDS[2]] == [r["principal"]["id"] for r in entry["roles"]]
    assert "Left out: description, which a spec cannot hold" in comments
    assert "Left out: role Viewer of Robot R2" in comments


def test_a_personal_workspace_is_left_out(tmp_path: Path) -> None:
    """Guards --all: My workspace takes part in nothing the spec speaks of."""
    entry, comments = workspace(tmp_path, kind="Personal")
    assert {} == entry
    assert "Left out: workspace Dev, which is of type Personal." in comments


def pipeline(tmp_path: Path, live: Any = LINE, **fields: Any) -> tuple[dict[str, Any], str]:
    """Return the entry of one pipeline, and the comments."""
    visible = fields.pop("visible", VISIBLE)
    items = fields.pop("items", {IDS[6]: (), IDS[7]: ()})
    found = FoundPipeline(IDS[5], "Sales", live, items=items, **fields)
    data, comments = written(
        tmp_path, Found(pipelines=(found,), visible=visible, pipeline_names=("Sales",))
    )
    return data.get("pipelines", [{}])[0], comments


def item(number: int, name: str, *, source: str | None = None) -> LiveStageItem:
    """Return a notebook of a stage."""
    return LiveStageItem(f"i{number}", "Notebook", name, source, None, None)


def test_neighbouring_stages_get_a_deployment_that_is_held(tmp_path: Path) -> None:
    """Guards that adopting consents to nothing that runs by itself."""
    entry, _ = pipeline(tmp_path, items={IDS[6]: (item(1, "A"),), IDS[7]: (item(2, "B"),)})
    assert [{"from": "One", "to": "Two", "when": "manual"}] == entry["deployments"]
    assert [False, True] == [s["public"] for s in entry["stages"]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"items": {IDS[6]: (item(1, "A"),), IDS[7]: (item(2, "A"),)}},
            "that are not paired (Notebook A), of which a deployment would make duplicates",
        ),
        (
            {"items": {IDS[6]: NotRead("the items of stage One", "403."), IDS[7]: ()}},
            "the items of stage One could not be read: 403.",
        ),
        ({"visible": {IDS[0]: "Dev"}}, "the workspace of stage Two, Test, which this caller"),
        (
            {
                "live": replace(
                    LINE, stages=(LINE.stages[0], replace(LINE.stages[1], workspace_id=None))
                )
            },
            "Two has no workspace",
        ),
    ],
)
def test_a_deployment_that_a_plan_would_stop_at_is_a_comment(
    tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    """Guards the promise of an empty plan where stages cannot be compared."""
    entry, comments = pipeline(tmp_path, **fields)
    assert "deployments" not in entry
    assert "Left out: the deployment from One to Two" in comments
    assert said in comments


def test_a_pipeline_that_a_spec_cannot_hold_is_left_out(tmp_path: Path) -> None:
    """Guards stages of one name, which a spec could not tell apart."""
    same = tuple(replace(s, name="Same") for s in LINE.stages)
    entry, comments = pipeline(tmp_path, replace(LINE, stages=same))
    assert {} == entry
    assert "2 of its stages are called Same" in comments


@pytest.mark.parametrize(
    ("imports", "empty", "wanted", "said"),
    [
        ([("completed", "https://x/a")], False, "https://x/a", ""),
        ([("completed", "https://x/a"), ("abandoned", "https://x/b")], False, "https://x/a", ""),
        ([("completed", "https://x/a")], True, None, "the repository is empty by now"),
        ([("completed", "https://x/a"), ("queued", "https://x/b")], False, None, "is running"),
        ([("failed", "https://x/a")], True, None, "from https://x/a, which is failed (no host)"),
        ([("completed", "https://u:p@x/a")], False, None, "Left out: import, which a spec cannot"),
        ([("failed", "https://u:p@x/a")], True, None, "Left out: import, which a spec cannot"),
        ([("abandoned", "https://x/a")], True, None, ""),
    ],
)
def test_an_import_is_written_where_it_is_settled(
    tmp_path: Path, imports: Any, empty: bool, wanted: str | None, said: str
) -> None:
    """Guards that no import starts because a repository was adopted, and no password shows."""
    live = LiveRepository(
        "p",
        id="r",
        name="repo",
        empty=empty,
        default_branch="main",
        imports=tuple(
            LiveImport(n, status, url, "no host") for n, (status, url) in enumerate(imports)
        ),
    )
    found = Found(
        azure_devops=AzureDevOps(organization="contoso"),
        repositories=(FoundRepository("Sales", live),),
    )
    data, comments = written(tmp_path, found)
    (entry,) = data["azureDevOps"]["repositories"]
    assert wanted == entry.get("import", {}).get("url")
    assert said in comments
    assert "u:p" not in comments
    disabled = replace(
        found, repositories=(FoundRepository("Sales", replace(live, disabled=True)),)
    )
    data, comments = written(tmp_path, disabled)
    assert {"organization": "contoso"} == data["azureDevOps"]
    assert "repository Sales/repo, which is disabled." in comments


@pytest.mark.parametrize(
    ("selector", "picked"),
    [(None, [0, 1, 2]), ("*", [1]), ("a*", [0]), ("ID2", [2]), ("?", [1, 2]), ("x", [])],
)
def test_selectors_mean_names_ids_and_patterns(selector: str | None, picked: list[int]) -> None:
    """Guards that a thing called exactly so wins over the pattern."""
    assert picked == pick(selector, [("id0", "ab"), ("id1", "*"), ("id2", "b")])
