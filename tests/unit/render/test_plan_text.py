"""Plans as text: sections, last line, escaping."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.plan import actions as a
from reconciler.plan.plan import DriftEntry, HeldEntry, IgnoredEntry, PlanDiagnostic
from reconciler.plan.requests import explained
from reconciler.render.as_text import render_drift, render_plan
from reconciler.render.terminal import Paint, escape
from reconciler.render.words import SYMBOLS, doing, elapsed, phrase, summary_line

from . import golden
from .samples import DEV, OPS, action, error, op_of, plan, story

KINDS = sorted(op.model_fields["kind"].default for op in OPS)


def last_line(text):
    """Return the last line, which is the answer."""
    assert text.endswith("\n")
    return text.splitlines()[-1]


def test_the_whole_plan_reads_as_agreed():
    """Layout, order of sections and wording change only on purpose."""
    golden.check("render-plan.txt", render_plan(story()))


def test_colour_adds_escape_sequences_and_nothing_else():
    """A coloured plan without its colours is the plain plan."""
    coloured = render_plan(story(), paint=Paint(enabled=True))
    assert "\x1b[" in coloured
    assert render_plan(story()) == re.sub(r"\x1b\[\d+m", "", coloured)


def test_a_quiet_plan_keeps_what_must_not_be_missed():
    """Quiet leaves out actions and warnings, never errors or what could not be read."""
    noisy = story().model_copy(update={"diagnostics": (*story().diagnostics, error())})
    text = render_plan(noisy, quiet=True)
    assert "unpaired_name_clash happened." in text
    assert "workspaces/Sales Prod" in text
    assert "Wave" not in text
    assert "orphans" not in text
    assert summary_line(noisy.actions) == last_line(text)


def test_the_summary_line_has_the_documented_form():
    """People and scripts read the last line; its form is a promise."""
    kinds = ["workspace.create", "pipeline.create", "git.update", "workspace.update"]
    kinds += ["deployment.deploy", "repository.import"]
    listed = [action(k) for k in kinds]
    expected = (
        "Plan: 2 to create, 1 to change, 0 to destroy; 1 update, 0 commits, 1 deployment, 1 import."
    )
    assert expected == summary_line(listed)
    assert expected == last_line(render_plan(plan(*listed)))


def test_an_empty_plan_says_that_the_estate_matches():
    """Nothing to do, nothing reported: the one sentence people wait for."""
    assert "No changes. The estate matches the spec.\n" == render_plan(plan())


def test_an_empty_plan_of_a_part_does_not_speak_for_the_whole():
    """With --target, only what was selected was compared."""
    text = render_plan(plan(target=(DEV,)))
    assert "No changes. What was selected matches the spec." == last_line(text)


def test_what_is_reported_and_unknown_stands_in_the_last_line():
    """No changes is not the same as no differences."""
    held = "pipelines/Sales/deployments/A:B"
    some = plan(
        drift=(
            DriftEntry(address=DEV, cause="local", text="1 item"),
            DriftEntry(address=held, cause="held", text="waits"),
        ),
        held=(HeldEntry(address=held, text="waits"),),
        unknown=("workspaces/X",),
    )
    text = render_plan(some)
    expected = (
        "Nothing to apply. 2 differences are reported and left alone. 1 resource could not be read."
    )
    assert expected == last_line(text)
    assert 1 == text.count(held)


def test_a_plan_with_errors_never_ends_in_no_changes():
    """An error that prevents planning must not look like success."""
    text = render_plan(plan(diagnostics=(error(), error("too_many"))))
    assert "No changes" not in text
    assert "This plan cannot be applied: 2 errors are reported above." == last_line(text)


def test_requests_are_told_by_api():
    """Guards the request budget in text: each API with its number, most first, in short lines."""
    few = plan(requests={"git.status": 40, "git.connection": 41})
    assert "Read with 81 requests: 41 git.connection, 40 git.status.\n" in render_plan(few)
    apis = {
        "git.status": 1000,
        "git.connection": 1004,
        "a": 1,
        "pipelines.operations.list": 2,
        "c": 3,
        "workspaces.list": 4,
    }
    text = render_plan(plan(requests=apis))
    assert (
        "Read with 2,014 requests: 1,004 git.connection, 1,000 git.status, 4 workspaces.list, 3 c,\n"
        "  2 pipelines.operations.list, 1 a; --explain-requests says why.\n" in text
    )


def test_explained_requests_stand_one_below_the_other():
    """Guards --explain-requests: every API with its number and reason, most first."""
    apis = {"git.status": 3, "workspaces.list": 12}
    text = render_plan(plan(requests=apis, request_reasons=explained(apis)))
    lines = [line.split(None, 2) for line in text.splitlines() if line.startswith("      ")]
    assert [["12", "workspaces.list"], ["3", "git.status"]] == [line[:2] for line in lines]
    assert all(line[2] for line in lines)


def test_what_is_ignored_is_counted():
    """An ignore rule that hides too much must not go unnoticed."""
    one = IgnoredEntry(address=DEV, text="1 item")
    for render in (render_plan, render_drift):
        assert "2 entries ignored by the spec's rules; --format" in render(plan(ignored=(one, one)))
        assert "ignored" not in render(plan())


def test_findings_show_where_they_are():
    """A finding names file, line, column and path, then says what to do."""
    found = PlanDiagnostic(
        severity="error",
        code="c",
        summary="It is wrong.",
        detail="First.\nSecond.",
        file="sales.yaml",
        line=3,
        column=5,
        path="workspaces[0].git",
    )
    expected = (
        "error: It is wrong.\n  --> sales.yaml:3:5 (workspaces[0].git)\n  First.\n  Second.\n"
    )
    assert expected in render_plan(plan(diagnostics=(found,)))


def test_long_item_lists_are_capped_and_say_how_many_more():
    """Three hundred items must not hide the plan, nor disappear uncounted."""
    items = tuple(a.ItemChange(type="T", name=f"n{n}", change="Added") for n in range(21))
    text = render_plan(plan(action("git.update", items=items)))
    assert "n19" in text
    assert "n20" not in text
    assert "… and 1 more" in text


def test_an_action_names_the_kind_it_waits_for_when_an_address_is_shared():
    """Two actions at one address are told apart."""
    connect = action("git.connect", f"{DEV}/git")
    first = action("git.initialize", f"{DEV}/git", wave=2, depends_on=(connect.id,))
    assert f"waits for: {DEV}/git (git.connect)" in render_plan(plan(connect, first))


def test_secrets_appear_only_as_sensitive():
    """The marker is shown as it is, not as a quoted value."""
    change = a.FieldChange(path="key", before="(sensitive)", after="(sensitive)")
    text = render_plan(plan(action("connection.create", changes=(change,))))
    assert "key: (sensitive) -> (sensitive)" in text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_action_has_words_of_its_own(kind):
    """A kind without a phrase would print its code name."""
    assert kind != phrase(action(kind))
    assert kind != doing(kind)
    assert "{" not in phrase(action(kind))


def test_every_family_has_its_own_symbol():
    """Symbols are told apart at a glance."""
    assert set(a.Verb) == set(SYMBOLS)
    assert len(SYMBOLS) == len(set(SYMBOLS.values()))


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(KINDS), text=st.text(max_size=40), data=st.data())
def test_no_name_reaches_the_terminal_unescaped(kind, text, data):
    """Whatever a service calls its things, rendering neither fails nor passes control on."""
    value = data.draw(st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text())))
    one = action(
        kind,
        f"workspaces/{text}",
        op=op_of(kind, text),
        why=text,
        changes=(a.FieldChange(path=text, before=value, after=text),),
        items=(a.ItemChange(type=text, name=text, change=text, conflict=text, detail=text),),
        after_unknown=True,
        outcomes=(text,),
        depends_on=(text,),
    )
    found = PlanDiagnostic(severity="warning", code="c", summary=text, detail=text, path=text)
    entry = DriftEntry(address=text, cause=text, text=text)
    whole = plan(one, drift=(entry,), diagnostics=(found,), unknown=(text,))
    rendered = render_plan(whole)
    bad = {c for c in rendered if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"}} - {"\n"}
    assert set() == bad
    assert summary_line(whole.actions) == last_line(rendered)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain name é ↻", "plain name é ↻"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202eevil", "\\u202eevil"),
        ("\u2028", "\\u2028"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
    ],
)
def test_control_and_direction_characters_are_made_visible(text, expected):
    """No name can move the cursor or turn a line around."""
    assert expected == escape(text)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.2, "less than 1 s"), (1, "1 s"), (59.4, "59 s"), (72, "1 min 12 s"), (7260, "2 h 1 min")],
)
def test_durations_are_said_the_way_people_do(seconds, expected):
    """Long waits show their elapsed time readably."""
    assert expected == elapsed(seconds)
