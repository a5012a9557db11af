"""``adopt`` against a real emulator: the spec of what is live, whose plan is empty."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench import EXAMPLES, Bench, Result
from example_cases import CASES, SECRETS, Case
from small_estate import GROUP, SCENARIO, SOURCE, edit, exists, push, spec, write_spec

FORBIDDEN = {
    "status": 403,
    "body": {"errorCode": "InsufficientPrivileges", "message": "Not for you."},
}
SERVER = "https://tfs.contoso.com/tfs/DefaultCollection"


def adopt(bench: Bench, *args: str, expect: int = 0, out: str = "adopted.yaml") -> Result:
    """Adopt into a file that is made anew."""
    (bench.folder / out).unlink(missing_ok=True)
    return bench.run("adopt", *args, "--out", out, expect=expect)


def written(bench: Bench, out: str = "adopted.yaml") -> dict[str, Any]:
    """Return the adopted spec as any YAML reader sees it."""
    return yaml.safe_load((bench.folder / out).read_text())  # type: ignore[no-any-return]


def changes_nothing(bench: Bench, out: str = "adopted.yaml", **environ: str) -> dict[str, Any]:
    """Return the plan of the adopted spec, which has to be valid, complete and empty."""
    plan = bench.plan(out, "--detailed-exitcode", **environ)
    assert [] == plan["actions"]
    assert plan["complete"]
    assert [] == [d for d in plan["diagnostics"] if d["severity"] == "error"]
    return plan


def everything(scenario: dict[str, Any]) -> list[str]:
    """Return the flags that adopt all that a scenario holds."""
    organizations = [o["organization"] for o in scenario.get("azureDevOps", ())]
    if organizations == ["DefaultCollection"]:
        return ["--all", "--organization", SERVER, "--api-version", "3.0"]
    return ["--all", *(f for o in organizations for f in ("--organization", o))]


def declared(scenario: dict[str, Any], data: dict[str, Any]) -> None:
    """See that everything of a scenario stands in an adopted spec."""
    for key in ("workspaces", "pipelines"):
        names = {w["name"] for w in scenario.get(key, ())}
        assert names <= {w["name"] for w in data.get(key, ())}
    repositories = {
        (project["name"], repository["name"])
        for organization in scenario.get("azureDevOps", ())
        for project in organization["projects"]
        for repository in project.get("repositories", ())
    }
    adopted = (data.get("azureDevOps") or {}).get("repositories", ())
    assert repositories <= {(r["project"], r["name"]) for r in adopted}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_example_can_be_adopted_before_and_after_it_is_applied(
    bench: Bench, case: Case
) -> None:
    """Guards the promise of adopt: whatever state live is in, planning its spec gives no action."""
    path = EXAMPLES / "scenarios" / f"{case.name}.yaml"
    scenario = yaml.safe_load(path.read_text())
    bench.scenario(path)
    flags = everything(scenario)
    before = adopt(bench, *flags)
    declared(scenario, written(bench))
    changes_nothing(bench)

    bench.apply(EXAMPLES / f"{case.name}.yaml", **SECRETS)
    after = adopt(bench, *flags)
    declared(scenario, written(bench))
    changes_nothing(bench)
    shown = (bench.folder / "adopted.yaml").read_text() + before.text + after.text
    assert not [name for name, secret in SECRETS.items() if secret in shown]


def test_a_live_estate_is_written_whole_with_few_requests(bench: Bench) -> None:
    """Guards every field of an adopted workspace, pipeline and repository."""
    roles = [{"principal": {"id": GROUP, "type": "Group"}, "role": "Contributor"}]
    first, *others = SCENARIO["workspaces"]
    exists(bench, workspaces=[{**first, "description": "Where we work", "roles": roles}, *others])
    bench.apply(
        write_spec(
            bench,
            spec(
                azureDevOps={
                    "organization": "contoso",
                    "repositories": [
                        {"project": "Sales", "name": "empty", "import": {"url": SOURCE}}
                    ],
                }
            ),
        )
    )
    bench.control("DELETE", "/requests")
    selected = ("--workspace", "Sales Dev", "--pipeline", "Sales", "--repository", "sales/*")
    result = adopt(bench, *selected)
    assert "Adopted 1 workspace, 1 pipeline, 2 repositories with 15 requests." in result.err
    assert 15 == len(bench.requests())
    assert [] == bench.writes()
    log = [(r["path"], str(r["query"])) for r in bench.requests()]
    assert sorted(set(log)) == sorted(log)

    data = written(bench)
    assert [
        {"project": "Sales", "name": "empty", "defaultBranch": "main", "import": {"url": SOURCE}},
        {"project": "Sales", "name": "fabric-sales", "defaultBranch": "main"},
    ] == data["azureDevOps"]["repositories"]
    (workspace,) = data["workspaces"]
    assert ("Where we work", "F8") == (workspace["description"], workspace["capacity"])
    assert roles[0] in workspace["roles"]
    assert {
        "provider": "AzureDevOps",
        "organization": "contoso",
        "project": "Sales",
        "repository": "fabric-sales",
        "branch": "main",
        "directory": "/fabric",
        "credentials": "automatic",
        "sync": {"direction": "none"},
    } == workspace["git"]
    (pipeline,) = data["pipelines"]
    assert [
        {"name": "Development", "workspace": "Sales Dev", "public": False},
        {"name": "Test", "workspace": "Sales Test", "public": False},
    ] == pipeline["stages"]
    held = [{"from": "Development", "to": "Test", "when": "manual"}]
    assert held == pipeline["deployments"]
    text = (bench.folder / "adopted.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=spec.schema.json\n")
    assert "# Sales team" in text
    assert "# in sync at " in text
    bench.run("validate", "adopted.yaml")
    changes_nothing(bench)
    bench.control("DELETE", "/requests")
    bench.apply("adopted.yaml")
    assert [] == bench.writes()


def test_what_is_out_of_sync_is_told_and_left_alone(bench: Bench) -> None:
    """Guards an estate that drifts: commits, edits and conflicts give comments and no actions."""
    exists(bench)
    push(bench)
    edit(bench)
    edit(bench, item="Clean")
    edit(bench, workspace="Sales Test", item="Clean")
    adopt(bench, "--all")
    text = (bench.folder / "adopted.yaml").read_text()
    assert "2 items out of sync when this was written: 1 uncommitted, 1 in conflict" in text
    plan = changes_nothing(bench)
    assert ["pipelines/Sales/deployments/Development:Test"] == [h["address"] for h in plan["held"]]
    assert {"incoming", "held"} <= {d["class"] for d in plan["drift"]}
    assert 2 == bench.run("drift", "adopted.yaml", expect=2).code


def test_what_a_plan_would_act_on_is_left_out_and_told(bench: Bench) -> None:
    """Guards states that a declaration would not leave as they are."""
    exists(
        bench,
        **{
            "azureDevOps": [
                {
                    "organization": "contoso",
                    "projects": [
                        {
                            "name": "Sales",
                            "repositories": [
                                {
                                    "name": "fabric-sales",
                                    "branch": "main",
                                    "content": "items",
                                    "directory": "fabric",
                                },
                                {
                                    "name": "failed",
                                    "imports": [
                                        {"url": SOURCE, "status": "failed", "error": "no such host"}
                                    ],
                                },
                            ],
                        }
                    ],
                }
            ],
            "pipelines": [
                {
                    "name": "Sales",
                    "stages": [
                        {"name": "Development", "workspace": "Sales Dev"},
                        {"name": "Test", "workspace": "Sales Test"},
                        {"name": "Production"},
                    ],
                }
            ],
        },
    )
    loose = bench.workspace_id("Loose")
    provider = {
        "organizationName": "contoso",
        "projectName": "Sales",
        "gitProviderType": "AzureDevOps",
        "repositoryName": "fabric-sales",
        "branchName": "main",
        "directoryName": "/fabric",
    }
    bench.fabric("POST", f"/workspaces/{loose}/git/connect", {"gitProviderDetails": provider})
    bench.portal(action="add", workspace="Sales Dev", type="Notebook", name="Twin")
    bench.portal(action="add", workspace="Sales Test", type="Notebook", name="Twin")
    result = adopt(bench, "--all", "--organization", "contoso")
    assert "warning" not in result.err
    text = " ".join((bench.folder / "adopted.yaml").read_text().replace("#", " ").split())
    for said in (
        f"Left out: the import from {SOURCE}, which is failed (no such host)",
        "Left out: the Git binding to contoso/Sales/fabric-sales@main:/fabric. It is connected and "
        "was never initialised",
        "Left out: the deployment from Development to Test: both have items of the same type and "
        "name that are not paired (Notebook Twin)",
        "Left out: the deployment from Test to Production: Production has no workspace",
    ):
        assert said in text
    data = written(bench)
    assert "deployments" not in data["pipelines"][0]
    assert ["git" in w for w in data["workspaces"]] == [False, False, True, False]
    changes_nothing(bench)


ROUTES = [
    ("workspaces.roles.list", ["Not read: the roles: "], ("roles",)),
    ("git.connection", ["Not read: the Git binding: "], ("git",)),
    ("git.credentials.get", ["Not read: the Git binding: "], ("git",)),
    ("git.status", ["Not read: the Git binding: "], ("git",)),
    ("capacities.list", ["Left out: the capacity", "Not read: the capacities: "], ("capacity",)),
    ("pipelines.get", ["Left out: pipeline Sales. Not read: the pipeline: "], ("stages",)),
    ("pipelines.stages.items", ["the items of stage Development could not be"], ("deployments",)),
    ("pipelines.roles.list", ["Not read: the roles: "], ("roles",)),
    ("workspaces.list", ["Not read: the workspaces: "], ("capacity", "deployments")),
    ("pipelines.list", ["Not read: the pipelines: "], ("stages",)),
    ("azdo.imports.list", ["Not read: the imports of empty: "], ("import",)),
    ("azdo.repositories.list", ["of Sales"], ("defaultBranch",)),
    ("azdo.projects.list", ["Not read: the projects: "], ("defaultBranch",)),
]


@pytest.mark.parametrize(
    ("route", "said", "fields", "status"),
    [(*row, status) for row, status in zip(ROUTES, itertools.cycle([403, 404]), strict=False)],
    ids=[row[0] for row in ROUTES],
)
def test_what_cannot_be_read_is_a_comment_and_never_a_field(
    bench: Bench, route: str, said: list[str], fields: tuple[str, ...], status: int
) -> None:
    """Guards that a failed read is told, exits with 1, and leaves a spec that changes nothing."""
    exists(bench)
    bench.fault({"route": route, "times": None}, answer={**FORBIDDEN, "status": status})
    result = adopt(bench, "--all", "--organization", "contoso", expect=1)
    assert "could not be read; the comments say what." in result.err
    text = (bench.folder / "adopted.yaml").read_text()
    flat = " ".join(text.replace("#", " ").split())
    assert [] == [words for words in said if words not in flat]
    code = [line.strip() for line in text.splitlines() if not line.strip().startswith("#")]
    keys = {line.removeprefix("- ").partition(":")[0] for line in code}
    shared = {"roles"} if "roles" in fields else set()
    assert [] == [f for f in fields if f in keys - shared]
    bench.control("DELETE", "/faults")
    changes_nothing(bench)


def test_names_of_any_kind_come_back_as_they_are(bench: Bench) -> None:
    """Guards names that look like numbers, truth values, references, comments or other YAML."""
    names = ["true", "12.0", "0x1F", "${var.x}", "$${y}", "a: b", "# no", "null", "~", "Größe ⇒ 2"]
    names += ["- item", "*", "2026-01-02", 'with "quotes"', "it's", "[x]", "{y}", "x/y\\z", "@me"]
    exists(
        bench,
        workspaces=[
            {"name": n, "capacity": "F8", "description": f"{n}\nsecond line\t: {n}"} for n in names
        ],
        pipelines=[
            {"name": n, "stages": [{"name": n, "workspace": n}, {"name": "1e3", "workspace": m}]}
            for n, m in zip(names[::2], names[1::2], strict=False)
        ],
    )
    adopt(bench, "--all")
    changes_nothing(bench)
    assert len(names) == len(written(bench)["workspaces"])
    adopt(bench, "--workspace", "*", expect=0)
    assert ["*"] == [w["name"] for w in written(bench)["workspaces"]]


def test_a_pattern_an_id_and_a_name_select(bench: Bench) -> None:
    """Guards the selectors, and that one which means nothing is told."""
    exists(bench)
    adopt(bench, "--workspace", "Sales *", "--workspace", bench.workspace_id("Bare").upper())
    assert ["Bare", "Sales Dev", "Sales Test"] == [w["name"] for w in written(bench)["workspaces"]]
    result = adopt(bench, "--workspace", "Bare", "--workspace", "Nope", expect=1)
    assert "The workspace Nope does not exist or is not visible to this caller." in result.err
    assert ["Bare"] == [w["name"] for w in written(bench)["workspaces"]]
    result = adopt(bench, "--workspace", "Bare", "--repository", "Sales/empty", expect=1)
    assert "the adopted workspaces are bound to none. Name it with --organization." in result.err


def test_a_workspace_with_a_connection_that_is_hidden_keeps_its_credentials(bench: Bench) -> None:
    """Guards that credentials nobody can name are not written, and stay as they are."""
    bench.scenario(EXAMPLES / "scenarios" / "08-my-credentials-automatic.yaml")
    bench.fault(
        {"route": "connections.list", "times": 1}, answer={"status": 200, "body": {"value": []}}
    )
    adopt(bench, "--all")
    (workspace,) = written(bench)["workspaces"]
    assert "credentials" not in workspace["git"]
    assert (
        "Left out: git.credentials; the connection" in (bench.folder / "adopted.yaml").read_text()
    )
    changes_nothing(bench)
    adopt(bench, "--all")
    assert {"connection": "sales-git"} == written(bench)["workspaces"][0]["git"]["credentials"]
    assert [{"name": "sales-git", "type": "AzureDevOpsSourceControl"}] == written(bench)[
        "connections"
    ]
    changes_nothing(bench)


def test_nothing_is_overwritten(bench: Bench) -> None:
    """Guards a file that is there already: refused before a single request."""
    exists(bench)
    there = bench.write("mine.yaml", "keep: me\n")
    result = bench.run("adopt", "--all", "--out", "mine.yaml", expect=1)
    assert "mine.yaml is there already, and adopt overwrites nothing" in result.err
    assert "keep: me\n" == there.read_text()
    assert [] == bench.requests()


def test_on_stdout_there_is_the_spec_and_nothing_else(bench: Bench) -> None:
    """Guards ``adopt … > file``, and a caller who is not signed in."""
    exists(bench)
    result = bench.run("adopt", "--workspace", "Bare")
    assert "Adopted 1 workspace with " in result.err
    (bench.folder / "piped.yaml").write_text(result.out)
    changes_nothing(bench, "piped.yaml")
    assert "" == bench.run("adopt", "--workspace", "Bare", "--quiet").err
    bench.fault({"route": "workspaces.list", "times": None}, answer={"status": 401})
    result = bench.run("adopt", "--workspace", "Bare", "--out", "none.yaml", expect=1)
    assert "401" in result.err
    assert not Path(bench.folder / "none.yaml").exists()
