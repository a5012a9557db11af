"""A merge preview says in every format that it is one, whatever its names are."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from reconciler.plan.plan import Plan, PlanPreview, finish
from reconciler.render.as_html import plan_html
from reconciler.render.as_markdown import plan_markdown
from reconciler.render.as_text import render_plan
from reconciler.render.graph import build_graph, to_dot, to_mermaid
from reconciler.render.stream import ChangeSummary, line_of, planned_records

from .samples import plan, story

NOTE = "Preview of merging"


def preview(made: Plan, revision: str = "HEAD", into: str = "main") -> Plan:
    """Return a plan as the preview of a merge."""
    looked = PlanPreview(revision=revision, commit="1f2e3d4c" + "0" * 32, into=into)
    return finish(made.model_copy(update={"preview": looked, "applyable": False}))


def summary(made: Plan) -> ChangeSummary:
    """Return the event that tells what a plan comes to."""
    return next(r for r in planned_records(made) if isinstance(r, ChangeSummary))


def written(made: Plan) -> dict[str, str]:
    """Return a plan in every form people read."""
    return {
        "text": render_plan(made),
        "quiet": render_plan(made, quiet=True),
        "markdown": plan_markdown(made),
        "html": plan_html(made),
        "mermaid": to_mermaid(build_graph(made)),
        "dot": to_dot(build_graph(made)),
        "event": line_of(summary(made), "2026-01-01T00:00:00Z"),
    }


@pytest.mark.parametrize("made", [story(), plan()], ids=["story", "empty"])
def test_every_format_says_it_and_no_other_plan_does(made):
    """Nobody takes what would be for what is."""
    for form, text in written(preview(made)).items():
        assert NOTE in text, form
        assert "1f2e3d4c" in text, form
        assert "--expect" in text.replace("#45;", "-"), form
    for form, text in written(made).items():
        assert NOTE not in text, form
    assert '"preview": {' in preview(made).to_json()
    assert '"preview": null' in made.to_json()
    assert summary(preview(made)).preview
    assert not summary(made).preview


def test_the_last_line_stays_the_answer():
    """Scripts that read it need not know of previews."""
    assert render_plan(story()).splitlines()[-1] == render_plan(preview(story())).splitlines()[-1]


def test_a_commit_that_was_named_by_its_id_is_not_named_twice():
    """Eight digits are enough."""
    assert "merging 1f2e3d4c into main" in render_plan(preview(plan(), revision="1f2e3d4c00"))


def test_hostile_names_steer_no_format():
    """Branch and revision come from whoever opens the pull request."""
    hostile = preview(plan(), revision='<b>"x\x1b[31m', into="main](http://evil) @team `")
    shown = written(hostile)
    assert "\x1b" not in "".join(shown.values())
    assert "<b>" not in shown["html"]
    page = MarkdownIt().render(shown["markdown"])
    assert "<a " not in page
    assert "<b>" not in page
    assert '"x' not in shown["mermaid"]
    assert '\\"x' in shown["dot"]
