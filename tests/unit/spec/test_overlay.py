"""Overlays: what they change, what they name, whose place a finding has, and their order."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.spec.load import LoadResult, load_spec
from reconciler.spec.merge import merge_sources
from reconciler.spec.source import Source, read_source

from .helpers import GUID, brief, full

OVERLAY = "apiVersion: reconciler/v1\nkind: Overlay\n"
OTHER = "6f1c0f5e-0000-4000-8000-000000000002"


def load(folder: Path, *overlays: str, **options: Any) -> LoadResult:
    """Load the full spec under overlays, each given without its two first lines."""
    (folder / "a.yaml").write_text(yaml.safe_dump(full(), sort_keys=False))
    for number, text in enumerate(overlays):
        (folder / f"o{number}.yaml").write_text(OVERLAY + text)
    return load_spec([folder], **options)


def resolved(folder: Path, *overlays: str, **options: Any) -> dict[str, Any]:
    """Return the resolved spec; there must be no finding."""
    result = load(folder, *overlays, **options)
    assert () == result.diagnostics
    assert result.resolved is not None
    return result.resolved


def test_an_overlay_changes_only_what_it_gives(tmp_path: Path):
    """Guards the deep merge of mappings: siblings of a changed field stay."""
    wanted = full()
    wanted["workspaces"][0]["capacity"] = "F64"
    wanted["workspaces"][0]["git"]["sync"]["direction"] = "update"
    wanted["azureDevOps"]["repositories"][0]["import"]["onFailure"] = "fail"
    wanted["pipelines"][0]["deployments"][0]["note"] = "release dev"
    found = resolved(
        tmp_path,
        "workspaces: [{name: Sales Dev, capacity: F64, git: {sync: {direction: update}}}]\n"
        "azureDevOps: {repositories: [{project: SALES, name: Fabric-Sales, "
        "import: {onFailure: fail}}]}\n",
    )

    assert wanted == found


def test_things_are_found_by_what_identifies_them(tmp_path: Path):
    """Guards each keyed list, by name, by ends, and by principal."""
    found = resolved(
        tmp_path,
        f"""
workspaces:
  - name: Sales Dev
    roles:
      - {{principal: {{id: {GUID.upper()}}}, role: Viewer}}
      - {{principal: {{id: {OTHER}, type: User}}, role: Admin}}
connections: [{{name: sales-git, create: {{url: 'https://dev.azure.com/other'}}}}]
pipelines:
  - name: Sales
    stages: [{{name: Test, reassign: false}}]
    deployments: [{{from: Test, to: Production, when: manual}}]
""",
    )
    workspace, pipeline = found["workspaces"][0], found["pipelines"][0]

    assert [(GUID, "Viewer"), (OTHER, "Admin")] == [
        (r["principal"]["id"].lower(), r["role"]) for r in workspace["roles"]
    ]
    assert ["Development", "Test", "Production"] == [s["name"] for s in pipeline["stages"]]
    assert pipeline["stages"][1]["reassign"] is False
    assert "Sales Test" == pipeline["stages"][1]["workspace"]
    assert [None, "manual"] == [d.get("when") for d in pipeline["deployments"]]
    assert "https://dev.azure.com/other" == found["connections"][0]["create"]["url"]
    assert "secret" in found["connections"][0]["create"]["credentials"]["servicePrincipal"]


def test_lists_without_names_are_replaced(tmp_path: Path):
    """Guards patterns, ignore rules and plain lists: an overlay can also take entries out."""
    found = resolved(
        tmp_path,
        "ignore: []\n"
        "variables: {env: {allowed: [dev]}}\n"
        "pipelines: [{name: Sales, deployments: [{from: Test, to: Production, "
        "items: [{type: Lakehouse}]}]}]\n",
    )

    assert [] == found["ignore"]
    assert ["dev"] == found["variables"]["env"]["allowed"]
    assert [{"type": "Lakehouse"}] == found["pipelines"][0]["deployments"][1]["items"]


@pytest.mark.parametrize(
    ("stage", "change", "expected"),
    [
        ("Test", "{capacity: F8, createOnDeploy: true}", ("Sales Test", "F8", True)),
        ("Production", "Sales Live", ("Sales Live", None, True)),
        ("Production", "{capacity: F64}", ("Sales Prod", "F64", True)),
    ],
)
def test_a_stages_workspace_is_laid_over_in_both_forms(tmp_path: Path, stage, change, expected):
    """Guards that a name alone means the same as a mapping with this name."""
    found = resolved(
        tmp_path,
        f"pipelines: [{{name: Sales, stages: [{{name: {stage}, workspace: {change}}}]}}]\n",
    )
    (workspace,) = [s["workspace"] for s in found["pipelines"][0]["stages"] if s["name"] == stage]

    assert expected == (
        workspace["name"],
        workspace.get("capacity"),
        workspace.get("createOnDeploy"),
    )


def test_an_empty_value_unsets_a_field(tmp_path: Path):
    """Guards the way from one of two choices to the other."""
    found = load(
        tmp_path,
        "azureDevOps: {repositories: [{project: Sales, name: fabric-sales, import: {credentials: "
        "{username: , password: , serviceEndpoint: sales-import}}}]}\n",
    ).require()

    assert found.azure_devops is not None
    credentials = found.azure_devops.repositories[0].import_.credentials
    assert ("sales-import", None) == (credentials.service_endpoint, credentials.password)


def test_variables_and_tombstones_work_in_overlays(tmp_path: Path):
    """Guards that variables are put in after everything is laid over."""
    text = (
        "variables: {env: {default: prod}, size: {default: F64}}\n"
        "workspaces: [{name: Sales Dev, capacity: '${var.size}', description: '${var.env}'}, "
        "{name: Sales GitHub, state: absent, protect: false}]\n"
    )
    found = resolved(tmp_path, text)

    assert ("F64", "prod") == (
        found["workspaces"][0]["capacity"],
        found["workspaces"][0]["description"],
    )
    assert "absent" == found["workspaces"][1]["state"]
    assert "release prod" == found["pipelines"][0]["deployments"][0]["note"]
    assert (
        "dev" == resolved(tmp_path, text, variables={"env": "dev"})["workspaces"][0]["description"]
    )


def test_a_thing_with_an_id_is_found_by_it_and_may_get_another_name(tmp_path: Path):
    """Guards that the id goes before the name, as it does at the services."""
    (tmp_path / "a.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: e}\n"
        f"workspaces: [{{id: {GUID}, name: Old}}, {{name: Plain}}]\n"
    )
    (tmp_path / "b.yaml").write_text(
        f"{OVERLAY}workspaces: [{{id: {GUID.upper()}, name: New}}, {{name: Plain, id: {OTHER}}}]\n"
    )
    found = load_spec([tmp_path]).require()

    assert [(GUID, "New"), (OTHER, "Plain")] == [(w.id, w.name) for w in found.workspaces]


def test_the_later_overlay_wins_and_estates_are_read_before_any(tmp_path: Path):
    """Guards the order of files: as given, of a directory by name."""
    one, two = (f"workspaces: [{{name: Sales Dev, capacity: {c}}}]\n" for c in ("F2", "F4"))

    assert "F4" == resolved(tmp_path, one, two)["workspaces"][0]["capacity"]
    files = [tmp_path / name for name in ("o1.yaml", "o0.yaml", "a.yaml")]
    assert "F2" == load_spec(files).require().workspaces[0].capacity


@pytest.mark.parametrize(
    ("text", "code", "path", "line", "says"),
    [
        ("workspaces: [{name: Sales dev}]", "overlay_unknown", "workspaces[0]", 3, '"Sales Dev"?'),
        ("workspaces:\n  - {name: X}", "overlay_unknown", "workspaces[0]", 4, '"X"'),
        ("connections: [{name: salesgit}]", "overlay_unknown", "connections[0]", 3, "sales-git"),
        (
            "azureDevOps: {repositories: [{project: Sales, name: fabric}]}",
            "overlay_unknown",
            "azureDevOps.repositories[0]",
            3,
            '"Sales/fabric"',
        ),
        (
            "pipelines: [{name: Sales, stages: [{name: Prodction}]}]",
            "overlay_unknown",
            "pipelines[0].stages[0]",
            3,
            '"Production"?',
        ),
        (
            "pipelines: [{name: Sales, deployments: [{from: Test, to: Prod}]}]",
            "overlay_unknown",
            "pipelines[0].deployments[0]",
            3,
            '"Test:Production"?',
        ),
        ("workspaces: [{capacity: F8}]", "overlay_unnamed", "workspaces[0]", 3, "workspace"),
        ("workspaces: [Sales Dev]", "overlay_unnamed", "workspaces[0]", 3, "workspace"),
        ("metadata: {name: other}", "files_disagree", "metadata.name", 3, "a.yaml, line"),
        ("workspaces: [{name: Sales Dev, capcity: F8}]", "unknown_key", "workspaces[0].capcity", 3,
         '"capacity"?'),
        ("capacities: []", "unknown_key", "capacities", 3, "capacities"),
        ("workspaces: [{name: Sales Dev, capacity: 8}]", "wrong_type", "workspaces[0].capacity", 3,
         "text"),
        ("workspaces: [{name: Sales Dev, git: {branch: 'a..b'}}]", "bad_branch",
         "workspaces[0].git.branch", 3, "a..b"),
        ("workspaces: [{name: Sales Dev, description: '${var.no}'}]", "unknown_variable",
         "workspaces[0].description", 3, "no"),
        ("pipelines: [{name: Sales, stages: [{name: Test, state: absent}]}]", "absent_unsupported",
         "pipelines[0].stages[1].state", 3, "stage"),
    ],
)  # fmt: skip
def test_a_finding_about_what_an_overlay_says_stands_in_its_file(
    tmp_path: Path, text, code, path, line, says
):
    """Guards file and line of everything an overlay can get wrong."""
    (found,) = load(tmp_path, text + "\n").diagnostics

    assert (code, path, line) == (found.code, found.path, found.span.line)
    assert "o0.yaml" == Path(found.span.file).name
    assert says in found.summary + found.detail


def test_a_rule_that_an_overlay_breaks_between_resources_is_found(tmp_path: Path):
    """Guards that rules hold for the estate as it is laid over, not as it is written."""
    (found,) = load(
        tmp_path,
        "pipelines: [{name: Sales, stages: [{name: Test, workspace: Sales Dev}]}]\n",
    ).diagnostics

    assert ("workspace_in_two_stages", "pipelines[0].stages[1].workspace") == brief(found)[:2]
    assert "o0.yaml" == Path(found.span.file).name


def test_what_one_alias_shares_is_changed_in_one_place_only(tmp_path: Path):
    """Guards that nothing is changed in place: two entries may be the same object."""
    (tmp_path / "a.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: e}\nworkspaces:\n"
        "  - {name: A, git: &git {provider: GitHub, owner: o, repository: r, branch: main}}\n"
        "  - {name: B, git: *git}\n"
    )
    (tmp_path / "b.yaml").write_text(OVERLAY + "workspaces: [{name: B, git: {branch: test}}]\n")

    assert ["main", "test"] == [
        w.git.branch for w in load_spec([tmp_path]).require().workspaces if w.git
    ]


def test_a_file_that_cannot_be_read_does_not_make_overlays_wrong(tmp_path: Path):
    """Guards that what an overlay names may stand in the file that cannot be read."""
    (tmp_path / "a.yaml").write_text("workspaces: [")
    (tmp_path / "b.yaml").write_text(OVERLAY + "workspaces: [{name: A, capacity: F8}]\n")
    assert ["yaml_syntax"] == [d.code for d in load_spec([tmp_path]).diagnostics]

    (tmp_path / "c.yaml").write_text(
        "apiVersion: reconciler/v1\nkind: Estate\nmetadata: {name: e}\n"
    )
    assert ["yaml_syntax"] == [d.code for d in load_spec([tmp_path]).diagnostics]


# -- properties --

_FIELDS: list[tuple[tuple[str, ...], list[Any]]] = [
    (("description",), ["x", "y", ""]),
    (("capacity",), ["F2", "F4"]),
    (("git", "branch"), ["main", "test"]),
    (("git", "sync", "direction"), ["update", "none"]),
    (("git", "sync", "commit", "items"), [[], [{"type": "Report"}]]),
]
_ASSIGNMENTS = st.lists(
    st.sampled_from(["Sales Dev", "Sales GitHub"]).flatmap(
        lambda name: st.sampled_from(_FIELDS).flatmap(
            lambda f: st.tuples(st.just(name), st.just(f[0]), st.sampled_from(f[1]))
        )
    ),
    max_size=12,
)


def _source(data: dict[str, Any], file: str) -> Source:
    return read_source(yaml.safe_dump(data).encode(), file)


def _put(into: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        into = into.setdefault(key, {})
    into[path[-1]] = copy.deepcopy(value)


def _overlay(assignments: list[tuple[str, tuple[str, ...], Any]], file: str) -> Source:
    """Write one overlay that makes these assignments; of two to one field the later stands."""
    entries: dict[str, dict[str, Any]] = {}
    for name, path, value in assignments:
        _put(entries.setdefault(name, {"name": name}), path, value)
    return _source({**yaml.safe_load(OVERLAY), "workspaces": list(entries.values())}, file)


@settings(max_examples=60, deadline=None)
@given(_ASSIGNMENTS, st.lists(st.integers(0, 12), max_size=4))
def test_it_does_not_matter_how_changes_are_split_into_files(assignments, cuts):
    """Guards that laying over is associative: only the order of the changes counts."""
    wanted = full()
    for name, path, value in assignments:
        (entry,) = [w for w in wanted["workspaces"] if w["name"] == name]
        _put(entry, path, value)
    at = [0, *sorted(min(c, len(assignments)) for c in cuts), len(assignments)]
    overlays = [
        _overlay(assignments[start:end], f"{n}.yaml") for n, (start, end) in enumerate(pairwise(at))
    ]
    data, place, found = merge_sources([_source(full(), "e.yaml"), *overlays])

    assert [] == found
    assert wanted == data
    assert set(place.children) == set(wanted)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["Sales Dev", "Sales GitHub"]), max_size=3))
def test_an_overlay_without_fields_changes_nothing(names):
    """Guards the neutral element: naming things is no change, of values or of places."""
    estate = _source(full(), "e.yaml")
    data = {**yaml.safe_load(OVERLAY), "workspaces": [{"name": n} for n in names]}

    assert merge_sources([estate]) == merge_sources([estate, _source(data, "o.yaml")])
