"""Rules between resources, which hold whatever file they come from."""

from __future__ import annotations

import pytest

from reconciler.spec.check import check_estate
from reconciler.spec.resolve import with_defaults

from .helpers import GUID, estate, full

OTHER = GUID.replace("1", "2")


def codes(**parts):
    """Return code and path of each finding for an estate made of ``parts``."""
    checked = with_defaults(estate(**parts))
    return [(d.code, d.path) for d in check_estate(checked, lambda _: None)]


def binding(**fields):
    """Return a Git binding in its written form."""
    base = {
        "provider": "AzureDevOps",
        "organization": "o",
        "project": "P",
        "repository": "r",
        "branch": "main",
    }
    return {**base, **fields}


def pipeline(*stages, deployments=(), **fields):
    """Return a pipeline in its written form; a stage may be its name only."""
    named = [s if isinstance(s, dict) else {"name": s} for s in stages]
    return {"name": "P", "stages": named, "deployments": list(deployments), **fields}


def test_the_full_spec_breaks_no_rule():
    """The spec that uses most fields passes."""
    assert [] == codes(**{k: v for k, v in full().items() if k not in {"apiVersion", "kind"}})


NAMES = [
    ({"workspaces": [{"name": "A"}, {"name": "A"}]}, "workspaces[1]"),
    ({"workspaces": [{"id": GUID}, {"id": GUID.upper()}]}, "workspaces[1]"),
    ({"workspaces": [{"name": "A", "id": GUID}, {"id": GUID}]}, "workspaces[1]"),
    (
        {"connections": [{"name": "c", "type": "GitHubSourceControl"}] * 2},
        "connections[1]",
    ),
    (
        {
            "azureDevOps": {
                "organization": "o",
                "repositories": [{"project": "P", "name": "R"}, {"project": "p", "name": "r"}],
            }
        },
        "azureDevOps.repositories[1]",
    ),
    ({"pipelines": [pipeline("A", "B"), pipeline("A", "B")]}, "pipelines[1]"),
    ({"pipelines": [pipeline("A", "B", "A")]}, "pipelines[0].stages[2]"),
    (
        {"pipelines": [pipeline("A", "B", deployments=[{"from": "A", "to": "B"}] * 2)]},
        "pipelines[0].deployments[1]",
    ),
    (
        {
            "workspaces": [
                {
                    "name": "A",
                    "roles": [
                        {"principal": {"id": GUID, "type": "User"}, "role": "Admin"},
                        {"principal": {"id": GUID.upper(), "type": "User"}, "role": "Viewer"},
                    ],
                }
            ]
        },
        "workspaces[0].roles[1]",
    ),
]


@pytest.mark.parametrize(("parts", "path"), NAMES, ids=[path for _, path in NAMES])
def test_what_is_declared_twice_is_reported_once_at_the_second_place(parts, path):
    """Ids, and names of Azure DevOps, do not differ by case alone."""
    assert [("duplicate_name", path)] == codes(**parts)


def test_names_that_differ_by_case_are_two_workspaces_and_two_stages():
    """Fabric names and stages are compared as written."""
    assert [] == codes(
        workspaces=[{"name": "A"}, {"name": "a"}], pipelines=[pipeline("Test", "test")]
    )


ABSENT = [
    (
        {"workspaces": [{"name": "A", "state": "absent", "protect": False, "create": True}]},
        "absent_and_create",
        "workspaces[0].create",
    ),
    (
        {"pipelines": [pipeline("A", {"name": "B", "state": "absent"})]},
        "absent_unsupported",
        "pipelines[0].stages[1].state",
    ),
    (
        {"connections": [{"name": "c", "type": "GitHubSourceControl", "state": "absent"}]},
        "absent_unsupported",
        "connections[0].state",
    ),
    (
        {
            "azureDevOps": {
                "organization": "o",
                "repositories": [{"project": "P", "name": "r", "state": "absent"}],
            }
        },
        "absent_unsupported",
        "azureDevOps.repositories[0].state",
    ),
]


@pytest.mark.parametrize(("parts", "code", "path"), ABSENT, ids=[row[2] for row in ABSENT])
def test_removing_needs_a_call_that_exists(parts, code, path):
    """state: absent is refused where it is contradicted or impossible."""
    assert [(code, path)] == codes(**parts)


def test_removing_is_valid_whether_protected_or_not():
    """Protect is a policy over plans (exit 3), no error of the spec; stages may be left out."""
    assert [] == codes(
        workspaces=[{"name": "A", "state": "absent", "protect": False}],
        pipelines=[{"name": "P", "state": "absent"}],
    )


@pytest.mark.parametrize(
    ("second", "is_reported"),
    [
        ({"repository": "R", "organization": "O", "project": "p"}, True),
        ({"branch": "Main"}, False),
        ({"directory": "/Fabric"}, False),
        ({"sync": {"direction": "update"}}, False),
        ({"sync": {"direction": "both"}}, True),
        ({"state": "absent"}, False),
        ({"organization": None}, True),
    ],
)
def test_two_workspaces_do_not_commit_to_the_same_place(second, is_reported):
    """Repository names ignore case, branch and directory do not; only committing counts."""
    commit = {"sync": {"direction": "commit"}, "directory": "/fabric"}
    found = codes(
        azureDevOps={"organization": "o"},
        workspaces=[
            {"name": "A", "git": binding(**commit)},
            {"name": "B", "git": binding(**{**commit, **second})},
        ],
    )
    expected = [("shared_commit_target", "workspaces[1].git.sync.direction")]

    assert (expected if is_reported else []) == found


@pytest.mark.parametrize(
    ("devops", "expected"),
    [
        ({"organization": "contoso"}, "contoso"),
        ({"url": "https://dev.azure.com/contoso/"}, "contoso"),
        ({"url": "https://contoso.visualstudio.com/DefaultCollection"}, "contoso"),
        ({"url": "https://tfs.contoso.com/tfs/DefaultCollection"}, None),
    ],
)
def test_a_binding_takes_the_organization_of_the_estate(devops, expected):
    """Left out, it comes from the top; a Server has none, which is an error."""
    parts = {
        "azureDevOps": devops,
        "workspaces": [{"name": "A", "git": binding(organization=None)}],
    }

    assert expected == with_defaults(estate(**parts)).workspaces[0].git.organization
    assert ([] if expected else [("missing_key", "workspaces[0].git")]) == codes(**parts)


def test_a_binding_needs_a_connection_of_its_provider():
    """A connection declared in the spec has to fit; an undeclared one is resolved live."""
    bound = binding(credentials={"connection": "c"})
    parts = {"workspaces": [{"name": "A", "git": bound}]}

    assert [] == codes(**parts)
    assert [("wrong_connection_type", "workspaces[0].git.credentials.connection")] == codes(
        connections=[{"name": "c", "type": "GitHubSourceControl"}], **parts
    )


@pytest.mark.parametrize(
    ("base", "is_reported"),
    [
        (None, False),
        ({"git": binding(branch="main")}, False),
        ({"git": binding(branch="main", repository="R")}, False),
        ({"git": binding(branch="work")}, True),
        ({"git": binding(branch="main", directory="/other")}, True),
        ({"git": binding(branch="main", relation={"base": "Elsewhere"})}, True),
        ({"state": "absent", "protect": False}, True),
    ],
)
def test_a_branched_out_workspace_fits_its_base(base, is_reported):
    """Same repository and directory, another branch, and no chain; undeclared bases are live."""
    workspaces = [{"name": "Work", "git": binding(branch="work", relation={"base": "Base"})}]
    if base is not None:
        workspaces.append({"name": "Base", **base})
    expected = [("bad_relation", "workspaces[0].git.relation.base")] if is_reported else []

    assert expected == codes(workspaces=workspaces)


def test_a_workspace_is_not_its_own_base():
    """Nothing branches out from itself."""
    git = binding(relation={"base": "A"})

    assert [("bad_relation", "workspaces[0].git.relation.base")] == codes(
        workspaces=[{"name": "A", "git": git}]
    )


def test_a_workspace_is_in_one_stage_only():
    """Across pipelines, and whether it is named or given by its id."""
    found = codes(
        workspaces=[{"name": "A", "id": GUID}],
        pipelines=[
            pipeline({"name": "D", "workspace": "A"}, {"name": "T", "workspace": {"name": GUID}}),
            {**pipeline("D", {"name": "T", "workspace": "A"}), "name": "Q"},
        ],
    )

    assert [
        ("workspace_in_two_stages", "pipelines[0].stages[1].workspace"),
        ("workspace_in_two_stages", "pipelines[1].stages[1].workspace"),
    ] == found


def test_a_workspace_taken_off_one_stage_may_be_in_another():
    """state: absent on a stage's workspace, or on the pipeline, frees it."""
    off = {"name": "D", "workspace": {"name": "A", "state": "absent"}}
    gone = pipeline({"name": "X", "workspace": "A"}, "Y", state="absent", protect=False)

    assert [] == codes(
        pipelines=[pipeline(off, {"name": "T", "workspace": "A"}), {**gone, "name": "Q"}]
    )


def test_a_workspace_is_created_by_one_means():
    """Either the deployment makes it, or the workspaces section."""
    stages = pipeline("D", {"name": "T", "workspace": {"name": "A", "createOnDeploy": True}})

    assert [] == codes(workspaces=[{"name": "A"}], pipelines=[stages])
    assert [("created_twice", "pipelines[0].stages[1].workspace")] == codes(
        workspaces=[{"name": "A", "create": True}], pipelines=[stages]
    )


def test_a_workspace_to_delete_is_in_no_stage():
    """The service refuses to delete it while it is assigned."""
    assert [("workspace_absent", "pipelines[0].stages[0].workspace")] == codes(
        workspaces=[{"name": "A", "state": "absent", "protect": False}],
        pipelines=[pipeline({"name": "D", "workspace": "A"}, "T")],
    )


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        (("A", "B"), []),
        (("B", "A"), []),
        (("A", "C"), [("stages_not_adjacent", "pipelines[0].deployments[0].to")]),
        (("A", "A"), [("same_stage", "pipelines[0].deployments[0].to")]),
        (("A", "X"), [("unknown_stage", "pipelines[0].deployments[0].to")]),
        (
            ("X", "Y"),
            [
                ("unknown_stage", "pipelines[0].deployments[0].from"),
                ("unknown_stage", "pipelines[0].deployments[0].to"),
            ],
        ),
    ],
)
def test_a_deployment_joins_neighbouring_stages(ends, expected):
    """Both stages exist and stand side by side; backwards is possible."""
    deployment = {"from": ends[0], "to": ends[1]}

    assert expected == codes(pipelines=[pipeline("A", "B", "C", deployments=[deployment])])


def test_deployments_wait_only_for_what_exists():
    """A misspelt address is reported with the closest one."""
    deployment = {"from": "A", "to": "B", "dependsOn": ["pipelines/P/deployments/A:C", "x"]}
    checked = estate(pipelines=[pipeline("A", "B", deployments=[deployment])])
    found = check_estate(checked, lambda _: None)

    assert ["unknown_reference"] * 2 == [d.code for d in found]
    assert "pipelines/P/deployments/A:B" in found[0].summary
    assert "pipelines/P/deployments/A:B" == found[0].address


def test_deployments_do_not_wait_for_each_other_in_a_circle():
    """The cascade of a pipeline counts; the detail walks the circle."""
    deployments = [
        {"from": "A", "to": "B", "dependsOn": ["pipelines/P/deployments/B:C"]},
        {"from": "B", "to": "C"},
    ]
    checked = estate(pipelines=[pipeline("A", "B", "C", deployments=deployments)])
    (found,) = check_estate(checked, lambda _: None)

    assert ("dependency_cycle", "pipelines[0].deployments[0]") == (found.code, found.path)
    assert (
        "pipelines/P/deployments/A:B waits for pipelines/P/deployments/B:C waits for "
        "pipelines/P/deployments/A:B."
    ) == found.detail


def test_forward_and_backward_deployments_are_no_circle():
    """A backward deployment fills an empty stage once; it does not wait for the forward one."""
    deployments = [{"from": "A", "to": "B"}, {"from": "B", "to": "A", "when": "manual"}]

    assert [] == codes(pipelines=[pipeline("A", "B", deployments=deployments)])


@pytest.mark.parametrize(
    ("pattern", "is_reported"),
    [("workspaces/*/git", False), ("**", False), ("work*/x", False), ("workspace/A", True)],
)
def test_an_ignore_rule_that_can_never_match_is_an_error(pattern, is_reported):
    """Its first part is a kind of resource or a wildcard."""
    expected = [("unknown_reference", "ignore[0].address")] if is_reported else []

    assert expected == codes(ignore=[{"address": pattern}])


def test_a_reserved_name_is_refused_before_the_service_does():
    """Fabric keeps one name for itself."""
    assert [("reserved_name", "workspaces[0].name")] == codes(
        workspaces=[{"name": "Admin monitoring", "create": True}]
    )
