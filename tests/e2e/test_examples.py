"""Every example: valid, planned, applied, seen from outside, and then nothing left to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench import EXAMPLES, REPOSITORY, Bench
from example_cases import CASES, SECRETS, Case
from example_witness import SALES, deploy_posts, deployments, endpoints, imports

SCENARIOS = EXAMPLES / "scenarios"
_SCHEMA = json.loads((REPOSITORY / "schemas" / "spec.schema.json").read_text())
_RELEASES = _SCHEMA["$defs"]["AzureDevOps"]["properties"]["apiVersion"]["enum"]


@dataclass
class Example:
    """A bench with the scenario of a case loaded; it keeps everything that was printed."""

    bench: Bench
    case: Case
    printed: list[str]

    @property
    def spec(self) -> tuple[Path, ...]:
        """The example's files."""
        overlays = (EXAMPLES / "overlays" / name for name in self.case.overlays)
        return (EXAMPLES / f"{self.case.name}.yaml", *overlays)

    def run(self, *args: str | Path, expect: int = 0) -> str:
        """Run a command and return what it wrote on stdout."""
        result = self.bench.run(*args, expect=expect)
        self.printed.append(result.text)
        return result.out

    def forget_requests(self) -> None:
        """Empty the request log."""
        self.bench.control("DELETE", "/requests")


@pytest.fixture(params=CASES, ids=lambda case: "-".join((case.name, *case.overlays)))
def example(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Example]:
    """Load a case's scenario; at the end no secret may stand in anything that was written."""
    case: Case = request.param
    bench.environ.update(SECRETS)
    bench.scenario(SCENARIOS / f"{case.name}.yaml")
    bench.control("DELETE", "/requests")
    found = Example(bench, case, [])
    yield found
    written = [p.read_text() for p in bench.folder.rglob("*.json")]
    for text in (*found.printed, *written):
        assert not [name for name, secret in SECRETS.items() if secret in text]


def test_every_example_has_a_scenario_and_a_case() -> None:
    """Guards that no example is added without being tried."""
    names = sorted({case.name for case in CASES})
    assert names == sorted(p.stem for p in EXAMPLES.glob("*.yaml"))
    assert names == sorted(p.stem for p in SCENARIOS.glob("*.yaml"))
    overlays = {overlay for case in CASES for overlay in case.overlays}
    assert overlays == {p.name for p in (EXAMPLES / "overlays").iterdir()}


def test_every_example_names_the_schema_and_is_listed_in_the_readme() -> None:
    """Guards that an editor can complete each example, and that a reader finds it."""
    readme = (EXAMPLES / "README.md").read_text()
    for case in CASES:
        first = (EXAMPLES / f"{case.name}.yaml").read_text().split("\n", 1)[0]
        assert "# yaml-language-server: $schema=../../schemas/spec.schema.json" == first
        assert f"({case.name}.yaml)" in readme


def test_an_example_does_its_job_once_and_then_finds_nothing_to_do(example: Example) -> None:
    """Guards the whole way of a user: validate, plan, apply, and an empty second plan."""
    assert "is valid" in example.run("validate", *example.spec)

    text = example.run("plan", *example.spec, "--out", "p.json")
    plan = json.loads((example.bench.folder / "p.json").read_text())
    assert list(example.case.kinds) == [a["kind"] for a in plan["actions"]]
    assert [] == [words for words in example.case.says if words not in text]
    assert [] == example.bench.writes()

    assert "Apply complete." in example.run("apply", *example.spec, "--auto-approve")
    example.case.check(example.bench)

    assert "No changes." in example.run("plan", *example.spec, "--detailed-exitcode")
    example.run("drift", *example.spec, expect=example.case.drift)
    example.forget_requests()
    assert "No changes." in example.run("apply", *example.spec, "--auto-approve")
    assert [] == example.bench.writes()


def test_an_example_does_the_same_through_a_plan_file(example: Example) -> None:
    """Guards that a saved plan does exactly the job, once: the file is refused afterwards."""
    example.run("plan", *example.spec, "--out", "p.json")
    assert "Apply complete." in example.run("apply", "p.json", "--auto-approve", "--verbose")
    example.case.check(example.bench)

    example.forget_requests()
    example.run("apply", "p.json", "--auto-approve", expect=3)
    assert [] == example.bench.writes()
    assert "No changes." in example.run("plan", *example.spec, "--detailed-exitcode")


@pytest.mark.parametrize("release", _RELEASES)
def test_an_import_works_with_every_server_release_a_spec_may_name(
    bench: Bench, release: str
) -> None:
    """Guards example 18 for all of ``apiVersion``, those between two known releases too."""
    text = (EXAMPLES / "18-server-collection.yaml").read_text()
    spec = bench.folder / "server.yaml"
    spec.write_text(text.replace('apiVersion: "3.0"', f'apiVersion: "{release}"'))
    bench.scenario(SCENARIOS / "18-server-collection.yaml")
    bench.apply(spec, **SECRETS)
    assert "No changes." in bench.run("plan", spec, **SECRETS).out
    found = imports(bench, "fabric-sales", organization="DefaultCollection")
    assert ["completed"] == [status for _, status, _ in found]
    assert [] == endpoints(bench, organization="DefaultCollection")


def test_pipelines_without_a_tie_deploy_at_the_same_time(bench: Bench) -> None:
    """Guards real concurrency: the second deployment starts while the first is being asked for."""
    name = "19-pipelines-side-by-side"
    bench.scenario(SCENARIOS / f"{name}.yaml")
    spec = EXAMPLES / f"{name}.yaml"
    assert [1, 1] == [a["wave"] for a in bench.plan(spec)["actions"]]
    bench.fault({"route": "pipelines.deploy", "times": 1}, delay_s=2)
    bench.apply(spec)
    first, second = deploy_posts(bench)
    ended = datetime.fromisoformat(first["time"]) + timedelta(milliseconds=first["duration_ms"])
    assert first["duration_ms"] >= 2000
    assert datetime.fromisoformat(second["time"]) < ended


def test_a_deployment_that_others_wait_for_and_that_fails_keeps_them_from_starting(
    bench: Bench,
) -> None:
    """Guards dependsOn across pipelines: the waiting deployment is skipped, and says for what."""
    name = "20-pipeline-waits-for-pipeline"
    bench.scenario(SCENARIOS / f"{name}.yaml")
    bench.fault(
        {"route": "pipelines.deploy", "times": 1},
        answer={
            "status": 400,
            "body": {"errorCode": "InvalidDeploymentOperationRequest", "message": "Not today."},
        },
    )
    result = bench.apply(EXAMPLES / f"{name}.yaml", expect=1)
    assert "Not today." in result.text
    assert "pipelines/Sales/deployments/Development:Test" in result.text
    assert "skipped" in result.text
    assert 1 == len(deploy_posts(bench))
    assert [] == bench.items("Sales Test")
    bench.apply(EXAMPLES / f"{name}.yaml")
    assert 1 == len(deployments(bench, "Sales"))


def test_an_inline_import_that_fails_leaves_no_endpoint_behind(bench: Bench) -> None:
    """Guards example 14 when the source goes away: the endpoint goes, the next run recovers."""
    name = "14-import-private"
    scenario = yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text())
    scenario["github"][0]["failImports"] = 1
    bench.control("POST", "/scenario", {**scenario, "base": str(SCENARIOS)})
    spec = EXAMPLES / f"{name}.yaml"
    result = bench.apply(spec, expect=1, **SECRETS)
    assert "this remote has never connected" in result.text
    assert [] == endpoints(bench)
    kinds = bench.kinds(spec, **SECRETS)
    assert ["repository.import.abandon", "repository.import", "repository.update"] == kinds
    bench.apply(spec, **SECRETS)
    requests = imports(bench, "fabric-sales")
    assert ["abandoned", "completed"] == [status for _, status, _ in requests]
    assert [] == endpoints(bench)


def test_a_named_endpoint_stays_for_the_retry_and_goes_after_it(bench: Bench) -> None:
    """Guards example 15 when the import fails first: the retry still has its credentials."""
    name = "15-import-through-endpoint"
    scenario = yaml.safe_load((SCENARIOS / f"{name}.yaml").read_text())
    scenario["github"][0]["failImports"] = 1
    bench.control("POST", "/scenario", {**scenario, "base": str(SCENARIOS)})
    spec = EXAMPLES / f"{name}.yaml"
    bench.apply(spec, expect=1)
    assert ["sales-import"] == endpoints(bench)
    assert ["repository.import.retry", "repository.update"] == bench.kinds(spec)
    assert "sales-import, which is removed" in bench.run("plan", spec).out
    bench.apply(spec)
    assert [(1, "completed")] == [(n, status) for n, status, _ in imports(bench, "fabric-sales")]
    assert [] == endpoints(bench)


@pytest.mark.parametrize(
    "fault",
    [{"drop": "before"}, {"answer": {"status": 400, "body": {"message": "No."}}}],
    ids=["unknown", "refused"],
)
def test_a_named_endpoint_stays_while_its_import_has_not_been_taken(
    bench: Bench, fault: dict[str, Any]
) -> None:
    """Guards example 15 when the request itself goes wrong: nobody else could make it again."""
    name = "15-import-through-endpoint"
    bench.scenario(SCENARIOS / f"{name}.yaml")
    match = {"method": "POST", "route": "azdo.imports.create", "times": 2}
    bench.control("POST", "/faults", [{"match": match, **fault}])
    bench.apply(EXAMPLES / f"{name}.yaml", expect=1)
    assert ["sales-import"] == endpoints(bench)
    bench.control("DELETE", "/faults")
    bench.apply(EXAMPLES / f"{name}.yaml")
    assert [(1, "completed")] == [(n, status) for n, status, _ in imports(bench, "fabric-sales")]
    assert [] == endpoints(bench)


def test_a_cascade_goes_on_after_its_first_step_was_applied_alone(bench: Bench) -> None:
    """Guards example 21 cut in two: new items are not compared, though their source was read."""
    name = "21-cascade-to-production"
    bench.scenario(SCENARIOS / f"{name}.yaml")
    first = "pipelines/Sales/deployments/Development:Test"
    bench.apply(EXAMPLES / f"{name}.yaml", "--target", first)
    assert SALES == bench.items("Sales Test")
    bench.apply(EXAMPLES / f"{name}.yaml")
    assert SALES == bench.items("Sales Prod")
