"""Deployments against the emulator: by evidence, once for a source, in order, and within limits."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
from bench import Bench, write_notebooks
from small_estate import SCENARIO, edit, exists, pipeline, push, spec, write_spec

WHERE = "pipelines/Sales/deployments/Development:Test"
GET_DEFINITION = "/v1/workspaces/{workspaceId}/items/{itemId}/getDefinition"


def notes(bench: Bench, name: str = "Sales") -> list[str]:
    """Return the notes of a pipeline's deployments, newest first."""
    listed = bench.fabric("GET", "/deploymentPipelines")["value"]
    found = next(p["id"] for p in listed if p["displayName"] == name)
    operations = bench.fabric("GET", f"/deploymentPipelines/{found}/operations")["value"]
    return [o.get("note", {}).get("content", "") for o in operations]


def unbound(**changes: Any) -> dict[str, Any]:
    """Return the small spec without a binding."""
    out = spec(**changes)
    del out["workspaces"][0]["git"]
    return out


# -- provenance --


def test_notes_and_comments_say_where_they_come_from(bench: Bench) -> None:
    """Estate, run and commit end the user's own text, and one run has one id."""
    exists(bench)
    tip = push(bench)
    data = pipeline(deployments=[{"from": "Development", "to": "Test", "note": "release 4"}])
    bench.apply(write_spec(bench, data))
    own, trailer = notes(bench)[0].split("\n\n")
    lines = dict(line.split(": ", 1) for line in trailer.splitlines())
    assert ("release 4", "sales", tip) == (
        own,
        lines["Reconciler-Estate"],
        lines["Reconciler-Source"],
    )
    data["workspaces"][0]["git"]["sync"] = {"direction": "commit"}
    edit(bench)
    bench.apply(write_spec(bench, data))
    clone = bench.folder / "clone-fabric-sales"
    bench.git("pull", "--quiet", cwd=clone)
    message = bench.git("log", "-1", "--format=%B", cwd=clone)
    assert f"Reconciler-Source: {tip}" in message
    run = lines["Reconciler-Run"]
    second = next(x for x in notes(bench)[0].splitlines() if x.startswith("Reconciler-Run"))
    assert second in message
    assert run not in message


def test_a_note_that_is_too_long_is_cut_and_says_so(bench: Bench) -> None:
    """The service refuses more than 1,024 characters; the trailer stays whole."""
    exists(bench)
    edit(bench)
    data = unbound()
    data["pipelines"][0]["deployments"][0]["note"] = "n" * 1024
    file = write_spec(bench, data)
    assert ["note_cut"] == [d["code"] for d in bench.plan(file)["diagnostics"]]
    bench.apply(file)
    (note,) = notes(bench)
    assert 1024 >= len(note)
    assert "n…\n\nReconciler-Estate: sales\nReconciler-Run: " in note


# -- evidence --


def refuse_definitions(bench: Bench) -> None:
    """Let the service refuse every definition, as it does for types without one."""
    bench.fault(
        {"route": "items.get_definition", "times": None},
        answer={
            "status": 400,
            "body": {
                "requestId": "r",
                "errorCode": "OperationNotSupportedForItem",
                "message": "Operation not supported for requested item",
            },
        },
    )


@pytest.mark.parametrize("returned", [True, False], ids=["with notes", "without notes"])
def test_items_without_definitions_follow_the_commits_of_their_source(
    bench: Bench, returned: bool
) -> None:
    """Deployed once from a commit, and again when the source has moved on."""
    exists(bench, settings={"noteReturned": returned})
    refuse_definitions(bench)
    data = pipeline(deployments=[{"from": "Development", "to": "Test", "unproven": "deploy"}])
    file = write_spec(bench, data)
    bench.control("POST", "/clock", {"advance_s": 60})
    first = bench.plan(file)
    assert ["Unproven", "Unproven"] == [i["change"] for i in first["actions"][0]["items"]]
    bench.apply(file)
    bench.control("POST", "/clock", {"advance_s": 60})
    assert [] == bench.kinds(file)
    push(bench)
    bench.apply(file)
    assert 2 == len(notes(bench))
    bench.control("POST", "/clock", {"advance_s": 60})
    assert [] == bench.kinds(file)


def test_the_history_is_opened_for_items_without_definitions_only(bench: Bench) -> None:
    """Requests are dear: where definitions can be read, nothing else is."""
    exists(bench)
    edit(bench, workspace="Sales Test")
    file = write_spec(bench, spec())
    bench.apply(file)
    bench.control("DELETE", "/requests")
    bench.plan(file)
    assert [] == bench.requests(
        route="/v1/deploymentPipelines/{pipelineId}/operations/{operationId}"
    )
    refuse_definitions(bench)
    bench.plan(file)
    opened = bench.requests(route="/v1/deploymentPipelines/{pipelineId}/operations/{operationId}")
    assert 1 == len(opened)


def test_every_definition_is_read_once(bench: Bench) -> None:
    """Four notebooks, four reads."""
    exists(bench)
    bench.plan(write_spec(bench, spec()))
    read = [r["path"] for r in bench.requests(route=GET_DEFINITION)]
    assert (4, 4) == (len(read), len(set(read)))


def test_a_hand_edit_is_told_from_a_moved_source(bench: Bench) -> None:
    """The target is blamed only where the note of its deployment proves it."""
    exists(bench)
    file = write_spec(bench, spec())

    def classes() -> list[str]:
        return [d["class"] for d in bench.plan(file)["drift"] if d["address"] == WHERE]

    edit(bench, workspace="Sales Test")
    found = [d for d in bench.plan(file)["drift"] if d["address"] == WHERE]
    assert ["incoming"] == [d["class"] for d in found]
    assert "cause unknown" in found[0]["text"]
    bench.apply(file)
    edit(bench, workspace="Sales Test", item="Load")
    bench.portal(
        action="edit",
        workspace="Sales Test",
        item="Load",
        type="Notebook",
        path="notebook-content.py",
        append="\nprint('once more')\n",
    )
    assert ["local"] == classes()
    bench.apply(file)
    assert [] == classes()
    assert [] == bench.kinds(file)


# -- residual --


def crossing(bench: Bench) -> None:
    """Let a notebook name one of another pipeline, which deployments bind to the next stage.

    The reconciler knows the pairs of its own pipeline only, so the item differs for ever.
    """
    write_notebooks(bench.folder / "items", ["Clean", "Load"])
    write_notebooks(bench.folder / "shared", ["Common"])
    scenario = copy.deepcopy(SCENARIO)
    scenario["workspaces"] += [
        {"name": f"Shared {n}", "capacity": "F8", "items": "shared"} for n in ("Dev", "Test")
    ]
    scenario["pipelines"].append(
        {
            "name": "Shared",
            "stages": [
                {"name": "Development", "workspace": "Shared Dev"},
                {"name": "Test", "workspace": "Shared Test"},
            ],
        }
    )
    bench.scenario(scenario)
    listed = bench.fabric("GET", f"/workspaces/{bench.workspace_id('Shared Dev')}/items")["value"]
    bench.portal(
        action="edit",
        workspace="Sales Dev",
        item="Load",
        type="Notebook",
        path="notebook-content.py",
        append=f"\nrun('{listed[0]['id']}')\n",
    )


def test_what_a_deployment_leaves_different_is_residual_and_not_deployed_for_ever(
    bench: Bench,
) -> None:
    """Warned straight after, with the entry to paste; then not deployed from this source again."""
    crossing(bench)
    data = unbound()
    file = write_spec(bench, data)
    first = bench.apply(file)
    entry = (
        f'{{address: "{WHERE}", items: [{{type: Notebook, name: "Load"}}], '
        'path: "notebook-content.py"}'
    )
    assert "its items still differ" in first.out
    assert f"- {entry}" in first.out
    bench.apply(file)
    plan = bench.plan(file)
    assert ([], ["residual"]) == (plan["actions"], [d["code"] for d in plan["diagnostics"]])
    assert f"- {entry}" in plan["diagnostics"][0]["detail"]
    assert 2 == bench.run("drift", file, expect=2).code
    bench.write("ignored.yaml", file.read_text() + f"ignore:\n- {entry}\n")
    left = bench.plan("ignored.yaml")
    assert ([], []) == (left["actions"], left["diagnostics"])
    edit(bench)
    assert ["deployment.deploy"] == bench.kinds(file)


# -- bulk export --


def test_beta_reads_definitions_in_one_export_per_workspace(bench: Bench) -> None:
    """The verdicts are the same, also when a plan file is carried out."""
    exists(bench)
    edit(bench, workspace="Sales Test")
    file = write_spec(bench, spec())
    without = bench.plan(file)["actions"]
    bench.control("DELETE", "/requests")
    bench.run("plan", file, "--beta", "--out", "plan.json")
    exports = [r for r in bench.requests() if r["path"].endswith("bulkExportDefinitions")]
    assert (2, []) == (len(exports), bench.requests(route=GET_DEFINITION))
    assert [a["items"] for a in without] == [
        a["items"] for a in bench.plan(file, "--beta")["actions"]
    ]
    bench.apply("plan.json")
    assert [] == bench.requests(route=GET_DEFINITION)
    assert [] == bench.kinds(file, "--beta")
    assert [] == bench.kinds(file)


def test_beta_reads_one_by_one_what_the_export_refuses(bench: Bench) -> None:
    """One item with a protected label must not hide the others."""
    exists(bench)
    bench.fault(
        {"route": "items.bulk_export", "times": None},
        answer={
            "status": 400,
            "body": {"requestId": "r", "errorCode": "ItemsHaveProtectedLabels", "message": "No"},
        },
    )
    bench.run("plan", write_spec(bench, spec()), "--beta")
    assert 4 == len(bench.requests(route=GET_DEFINITION))


# -- order, size, stages --


def stages(bench: Bench, *names: str, count: int = 2, **workspaces: Any) -> dict[str, Any]:
    """Make a pipeline over workspaces; the first has notebooks. Returns the spec."""
    items = [f"n{i:03}" for i in range(count)]
    write_notebooks(bench.folder / "many", items)
    capacities = [{"name": "F8", "sku": "F8", "region": "West Europe"}]
    capacities.append({"name": "F8-us", "sku": "F8", "region": "West US"})
    made = [{"name": n, "capacity": "F8", **workspaces.get(n, {})} for n in names]
    made[0]["items"] = "many"
    listed = [{"name": n, "workspace": n} for n in names]
    bench.scenario(
        {
            "capacities": capacities,
            "workspaces": made,
            "pipelines": [{"name": "P", "stages": listed}],
        }
    )
    return {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": "sales"},
        "pipelines": [
            {
                "name": "P",
                "stages": listed,
                "deployments": [{"from": a, "to": b} for a, b in pairwise(names)],
            }
        ],
    }


def test_a_cascade_reaches_production_in_one_run(bench: Bench) -> None:
    """Dev to Test to Prod, in order, and nothing is left."""
    file = write_spec(bench, stages(bench, "Dev", "Test", "Prod"))
    bench.apply(file)
    assert bench.items("Dev") == bench.items("Prod")
    assert 2 == len(notes(bench, "P"))
    assert [] == bench.kinds(file)


def test_more_than_300_items_go_in_batches_with_dependencies_in_front(bench: Bench) -> None:
    """The service takes 300 a request; the variable library comes with the first."""
    data = stages(bench, "Dev", "Test", count=301)
    bench.portal(action="add", workspace="Dev", type="VariableLibrary", name="zz settings")
    file = write_spec(bench, data)
    planned = bench.plan(file)["actions"]
    assert [300, 2] == [len(a["items"]) for a in planned]
    assert "VariableLibrary" == planned[0]["items"][0]["type"]
    bench.apply(file)
    bench.portal(action="settings", pageSize=1000)
    assert 302 == len(bench.items("Test"))
    assert 2 == len(notes(bench, "P"))
    assert [] == bench.kinds(file)


def test_a_manual_deployment_runs_when_it_is_targeted(bench: Bench) -> None:
    """Held otherwise, with exit code 0 and nothing written."""
    data = stages(bench, "Dev", "Test")
    data["pipelines"][0]["deployments"][0]["when"] = "manual"
    file = write_spec(bench, data)
    where = "pipelines/P/deployments/Dev:Test"
    assert [where] == [h["address"] for h in bench.plan(file)["held"]]
    bench.apply(file)
    assert [] == bench.items("Test")
    bench.apply(file, "--target", where)
    assert bench.items("Dev") == bench.items("Test")


def test_a_deployment_waits_for_one_of_another_pipeline(bench: Bench) -> None:
    """A dependsOn orders across pipelines, and what is held holds what waits for it."""
    crossing(bench)
    bench.portal(action="add", workspace="Shared Dev", type="Notebook", name="New")
    data = unbound()
    shared = "pipelines/Shared/deployments/Development:Test"
    data["pipelines"][0]["deployments"][0]["dependsOn"] = [shared]
    data["pipelines"].append(
        {
            "name": "Shared",
            "stages": [
                {"name": "Development", "workspace": "Shared Dev"},
                {"name": "Test", "workspace": "Shared Test"},
            ],
            "deployments": [{"from": "Development", "to": "Test"}],
        }
    )
    file = write_spec(bench, data)
    assert [shared, WHERE] == [a["address"] for a in bench.plan(file)["actions"]]
    bench.apply(file)
    assert ("Notebook", "New") in bench.items("Shared Test")


def test_a_deployment_backward_fills_an_empty_stage_and_no_other(bench: Bench) -> None:
    """It is refused at plan time where the earlier stage has items."""
    data = stages(bench, "Test", "Dev")  # the filled one comes second in the pipeline below
    data["pipelines"][0]["stages"].reverse()
    bench.portal(action="unassign", pipeline="P", stage="Test")
    bench.portal(action="reassign", pipeline="P", stage="Dev", workspace="Test")
    bench.portal(action="reassign", pipeline="P", stage="Test", workspace="Dev")
    data["pipelines"][0]["stages"] = [
        {"name": "Test", "workspace": "Dev"},
        {"name": "Dev", "workspace": "Test"},
    ]
    data["pipelines"][0]["deployments"] = [{"from": "Dev", "to": "Test"}]
    file = write_spec(bench, data)
    bench.apply(file)
    assert bench.items("Test") == bench.items("Dev")
    edit(bench, "Test", "n000")
    text = bench.apply(file, expect=1).text
    assert "deploys backward only into an empty stage" in text


def test_a_vacant_stage_gets_its_workspace_from_the_deployment(bench: Bench) -> None:
    """With createOnDeploy it does; without it the plan says what to write."""
    data = stages(bench, "Dev", "Test")
    bench.portal(action="unassign", pipeline="P", stage="Test")
    last = data["pipelines"][0]["stages"][1]
    last["workspace"] = {"name": "Made", "createOnDeploy": True, "capacity": "F8"}
    file = write_spec(bench, data)
    bench.apply(file)
    assert bench.items("Dev") == bench.items("Made")
    assert [] == bench.kinds(file)


def test_another_region_needs_consent(bench: Bench) -> None:
    """Without it the plan is refused before anything is written, and names the words."""
    data = stages(bench, "Dev", "Test", Test={"capacity": "F8-us"})
    file = write_spec(bench, data)
    text = bench.apply(file, expect=1).text
    assert "Dev is in West Europe and Test in West US" in text
    assert "allowCrossRegion: true" in text
    assert [] == bench.writes()
    assert [] == bench.items("Test")
    data["pipelines"][0]["deployments"][0]["allowCrossRegion"] = True
    bench.apply(write_spec(bench, data))
    assert bench.items("Dev") == bench.items("Test")
    data["pipelines"][0]["deployments"][0]["allowCrossRegion"] = False
    still = bench.plan(write_spec(bench, data))
    assert ([], []) == (still["actions"], still["diagnostics"])  # nothing to deploy, no consent


def test_orphans_are_listed_and_stay(bench: Bench) -> None:
    """A deployment never deletes."""
    file = write_spec(bench, stages(bench, "Dev", "Test"))
    bench.apply(file)
    bench.portal(action="delete", workspace="Dev", item="n000", type="Notebook")
    found = bench.plan(file)
    assert ([], ["orphans"]) == (found["actions"], [d["code"] for d in found["diagnostics"]])
    assert "Notebook n000" in found["diagnostics"][0]["summary"]
    assert ("Notebook", "n000") in bench.items("Test")
