"""What an apply did, as text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.execute.events import ActionOutcome, ApplyResult, Outcome
from reconciler.plan.plan import DriftEntry
from reconciler.render.result_text import is_verified, render_result

from . import golden
from .samples import DEV, TEST, action, error, plan, story


def ended(outcome, kind="workspace.create", address=DEV, **fields):
    """Return an action that ended like this."""
    return ActionOutcome(f"{kind}:{address}", kind, address, outcome, **fields)


DONE = ended(Outcome.DONE, text="created")


def test_an_apply_that_failed_reads_as_agreed():
    """A table of done, failed and skipped, with reasons and remedies."""
    result = ApplyResult(
        (
            DONE,
            ended(Outcome.SKIPPED, "git.connect", f"{TEST}/git", text="waits for a failed action"),
            ended(
                Outcome.FAILED,
                address=TEST,
                text="POST /v1/workspaces: 400\nCapacityNotFound",
                remedy="name a capacity this caller may use",
            ),
            ended(Outcome.NOT_NEEDED, "git.update", f"{DEV}/git", text="at the tip"),
        )
    )
    golden.check("render-apply-failed.txt", render_result(result))


def test_an_apply_that_leaves_differences_lists_them():
    """Complete means that everything planned is done; what remains is still told."""
    result = ApplyResult((DONE,), after=story().model_copy(update={"unknown": ()}))
    text = render_result(result)
    assert "What remains" in text
    assert "not committed" in text
    assert "Held" not in text
    assert "when: manual" in text


def test_apply_complete_is_the_last_line_with_the_counts_before_it():
    """The sentence scripts look for."""
    result = ApplyResult((DONE, ended(Outcome.NOT_NEEDED, address=TEST)), after=plan())
    assert "1 done, 1 not needed.\nApply complete.\n" == render_result(result)


@pytest.mark.parametrize(
    "result",
    [
        ApplyResult((DONE,)),
        ApplyResult((DONE,), after=plan(unknown=("workspaces/X",))),
        ApplyResult((DONE,), after=plan(diagnostics=(error(),))),
        ApplyResult(
            (DONE,), after=plan(action("workspace.create")), still_needed=(DONE.action_id,)
        ),
        *(ApplyResult((ended(o),), after=plan()) for o in Outcome if not ended(o).ok),
    ],
)
def test_apply_complete_is_said_only_when_a_second_plan_confirms_it(result):
    """Nothing failed, unknown, unverified or undone may end in Apply complete."""
    assert not is_verified(result)
    assert "Apply complete." not in render_result(result)


def test_an_action_whose_effect_did_not_last_is_named():
    """Carried out and still needed is an error, not a remainder."""
    result = ApplyResult(
        (DONE,), after=plan(action("workspace.create")), still_needed=(DONE.action_id,)
    )
    text = render_result(result)
    assert f"error: {DONE.action_id} was carried out and is still needed" in text
    assert "What remains" not in text


def test_a_residual_deployment_is_a_warning_and_the_apply_is_complete():
    """Deployment rules make stages differ for good; that is told, not failed."""
    deploy = ended(Outcome.DONE, "deployment.deploy", "pipelines/S/deployments/A:B")
    text = render_result(ApplyResult((deploy,), after=plan(), residual=(deploy.action_id,)))
    assert f"warning: {deploy.action_id} succeeded and its items still differ" in text
    assert "Apply complete." == text.splitlines()[-1]


@given(text=st.text(max_size=60), outcome=st.sampled_from(Outcome))
def test_no_answer_of_a_service_reaches_the_terminal_unescaped(text, outcome):
    """Error texts come from outside, as names do."""
    entry = DriftEntry(address=text, cause=text, text=text)
    one = ended(outcome, address=text, text=text, remedy=text)
    rendered = render_result(ApplyResult((one,), after=plan(drift=(entry,)), residual=(text,)))
    bad = {c for c in rendered if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"}} - {"\n"}
    assert set() == bad
