"""What every example prints, in every format: as it is kept beside the tests, and as the schemas say.

``UPDATE_GOLDEN=1`` writes the files instead; the diff of them is then what a reviewer reads.
"""

from __future__ import annotations

import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import yaml
from in_process import in_process
from jsonschema import Draft202012Validator

from reconciler import engine
from reconciler._version import __version__
from reconciler.cli.apply import exit_code
from reconciler.cli.event_stream import EventStream
from reconciler.execute.events import ApplyResult
from reconciler.plan.plan import Plan
from reconciler.render.as_html import drift_html, plan_html
from reconciler.render.as_json import drift_json, findings_json
from reconciler.render.as_markdown import drift_markdown, plan_markdown
from reconciler.render.as_text import render_drift, render_plan
from reconciler.render.graph import build_graph, to_dot, to_mermaid
from reconciler.render.result_text import render_result
from reconciler.spec.load import LoadResult

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples" / "specs"
KEPT = Path(__file__).parent / "kept"
SECRETS = {
    name: f"{name.lower()}-never-shown" for name in ("SP_SECRET", "GITHUB_PAT", "SOURCE_PAT")
}


@dataclass(frozen=True)
class Example:
    """An example: its name in ``kept``, its spec, and the overlays given after it."""

    name: str
    spec: str
    overlays: tuple[str, ...] = ()

    @property
    def paths(self) -> list[Path]:
        """The files as a user in ``examples/specs`` names them."""
        return [Path(self.spec), *(Path("overlays") / name for name in self.overlays)]


CASES = [
    *(Example(path.stem, path.name) for path in sorted(EXAMPLES.glob("*.yaml"))),
    Example("24-dev-test-prod-overlays", "24-dev-test-prod.yaml", ("test.yaml", "prod.yaml")),
]


@dataclass(frozen=True)
class Shown:
    """All that one example prints, by the name of its file in ``kept``."""

    loaded: LoadResult
    texts: dict[str, str]
    events: list[str]
    result: ApplyResult
    codes: tuple[int, int]


async def _show(example: Example) -> Shown:
    """Plan an example against its scenario, apply it, and plan it again."""
    scenario = EXAMPLES / "scenarios" / example.spec
    loaded = engine.load(example.paths)
    lines = io.StringIO()
    async with in_process(seed=crc32(example.name.encode())) as world:  # ids of its own
        world.environ.update(SECRETS)
        await world.scenario(yaml.safe_load(scenario.read_text()), str(scenario.parent))
        events = EventStream(lines, world.clock, complain=pytest.fail)
        settings = world.settings(on_read=events.on_read)
        events.begin("apply")
        events.found(loaded.diagnostics)
        plan = await engine.make_plan(loaded, settings, patient=True)
        events.planned(plan)
        result = await engine.apply_spec(loaded, plan, settings, listener=events.on_action)
        events.applied(result, exit_code(plan, result))
        again = await engine.make_plan(loaded, settings)
    codes = (exit_code(plan, result), engine.exit_code_of(again))
    return Shown(loaded, _texts(plan, again, result), lines.getvalue().splitlines(), result, codes)


def _texts(plan: Plan, again: Plan, result: ApplyResult) -> dict[str, str]:
    graph = build_graph(plan)
    return {
        "plan.txt": render_plan(plan),
        "plan.json": plan.to_json(),
        "plan.md": plan_markdown(plan),
        "plan.html": plan_html(plan),
        "plan.mmd": to_mermaid(graph),
        "plan.dot": to_dot(graph),
        "drift.txt": render_drift(plan),
        "drift.json": drift_json(plan),
        "drift.md": drift_markdown(plan),
        "drift.html": drift_html(plan),
        "apply.txt": render_result(result),
        "after.txt": render_plan(again) + "\n" + render_drift(again),
    }


_MEANINGLESS = (
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://emulator"),
    (re.compile(rf'(?<="reconciler_version": "){re.escape(__version__)}(?=")'), "0.0.0"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "(sha256)"),
    (re.compile(r"(?<=plan `)[0-9a-f]{12}(?=`)"), "0123456789ab"),
    (re.compile(r"(?<=reconciler )" + re.escape(__version__)), "0.0.0"),
    (re.compile(r"(?s)<style>.*?</style>"), "<style>(kept elsewhere)</style>"),
    (re.compile(r"(?s)<script>.*?</script>"), "<script>(kept elsewhere)</script>"),
    (re.compile(r"'sha256-[^']+'"), "'sha256-(of it)'"),
)


def _kept_form(text: str) -> str:
    """Take out what says nothing of this example: where the emulator listens, hashes, versions."""
    for pattern, put in _MEANINGLESS:
        text = pattern.sub(put, text)
    return text


def _validator(name: str) -> Draft202012Validator:
    schema = json.loads((REPOSITORY / "schemas" / f"{name}.schema.json").read_text())
    return Draft202012Validator(schema)


@pytest.mark.parametrize("example", CASES, ids=lambda example: example.name)
async def test_an_example_prints_what_is_kept_in_every_format(
    example: Example, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guards every word a user reads, and that every JSON fits its published schema."""
    monkeypatch.chdir(EXAMPLES)
    shown = await _show(example)
    assert (0, 0) == shown.codes, shown.texts["apply.txt"]
    for name in ("plan", "drift"):
        _validator(name).validate(json.loads(shown.texts[f"{name}.json"]))
    _validator("findings").validate(json.loads(findings_json(shown.loaded.diagnostics)))
    events = _validator("events")
    for line in shown.events:
        events.validate(json.loads(line))
    everything = "\n".join([*shown.texts.values(), *shown.events])
    assert [] == [name for name, secret in SECRETS.items() if secret in everything]
    told: dict[str, Any] = {name: _kept_form(text) for name, text in shown.texts.items()}
    folder = KEPT / example.name
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in told.items():
            (folder / name).write_text(text, encoding="utf-8")
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == told


def test_nothing_is_kept_of_an_example_that_is_gone() -> None:
    """Guards that a renamed example takes its golden files along."""
    assert {example.name for example in CASES} == {path.name for path in KEPT.iterdir()}
