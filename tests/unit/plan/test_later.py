"""What a spec may ask for and this version does not do is never passed over in silence."""

from datetime import UTC, datetime

import pytest

from reconciler.live.models import Snapshot
from reconciler.plan.build import PlanInput, build_plan
from reconciler.spec.load import estate_from_resolved

GIT = {"provider": "AzureDevOps", "organization": "o", "project": "P", "repository": "r"}


@pytest.mark.parametrize(
    ("git", "named"),
    [
        ({"createBranchFrom": "main"}, "createBranchFrom"),
        ({"createDirectory": True}, "createDirectory"),
        ({"relation": {"base": "B"}}, "relation"),
        ({"sync": {"drift": "resync"}}, "sync.drift: resync"),
    ],
)
def test_what_is_not_carried_out_is_a_warning_in_the_plan(git, named):
    """Guards that no wish of the spec is dropped without a word."""
    resolved = {
        "apiVersion": "reconciler/v1",
        "kind": "Estate",
        "metadata": {"name": "e"},
        "workspaces": [
            {"name": "A", "create": True, "git": {**GIT, "branch": "main", **git}},
            {"name": "B", "create": True},
        ],
    }
    wanted = PlanInput(estate_from_resolved(resolved), resolved, "digest")

    plan = build_plan(wanted, Snapshot(datetime(2026, 1, 1, tzinfo=UTC)))

    warned = [d.summary for d in plan.diagnostics if d.code == "not_carried_out"]
    assert [f"{named} is not carried out in this version."] == warned
