"""Guards over plans that people have looked at: previews, and applies held to a reviewed plan."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler._version import __version__
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.errors import PlanRefused
from reconciler.plan.expect import beyond_reviewed
from reconciler.plan.plan import Plan

__all__ = ["beyond", "check_expected", "made_for_another", "refuse_preview"]


def refuse_preview(plan: Plan) -> None:
    """Refuse to carry out a look ahead.

    Raises:
        PlanRefused: the plan is for the time after a merge.
    """
    preview = plan.preview
    if preview is not None:
        raise PlanRefused(
            f"this plan is a preview of merging {preview.revision} into {preview.into}: it tells "
            "what an apply would do after the merge, and cannot be applied itself",
            remedy="merge, then run: reconciler apply SPEC --expect FILE; or make a plan of what "
            "is there now",
        )


def check_expected(reviewed: Plan, plan: Plan) -> None:
    """See that a plan does nothing beyond a reviewed one.

    Raises:
        PlanRefused: it does, or the reviewed one is of another estate, service or tool version.
    """
    other = made_for_another(reviewed, plan.endpoints)
    if reviewed.spec.name != plan.spec.name:
        other.insert(0, f"it is of the estate {reviewed.spec.name}, this is {plan.spec.name}")
    if other:
        raise PlanRefused(
            f"the reviewed plan says nothing about this one: {'; '.join(other)}",
            remedy="give --expect the file of this estate, or make and review a new one",
        )
    found = beyond(reviewed, plan)
    if found:
        raise PlanRefused(
            "the plan does more than the reviewed one announced, so nothing was written",
            remedy="look at the difference; then review a new plan or preview, undo what came "
            "since, or leave out what was not announced with --target or --exclude",
            diagnostics=found,
        )


def beyond(reviewed: Plan, plan: Plan) -> tuple[Diagnostic, ...]:
    """Return what a plan does beyond a reviewed one, as findings."""
    return tuple(
        Diagnostic(Severity.ERROR, "beyond_reviewed", f"{b.text}.", address=b.address)
        for b in beyond_reviewed(reviewed, plan)
    )


def made_for_another(plan: Plan, endpoints: Mapping[str, str]) -> list[str]:
    """Say what a plan was made with or for, where that is not this tool or these services."""
    moved: list[str] = []
    if plan.reconciler_version.split(".")[0] != __version__.split(".")[0]:
        moved.append(f"it was made by version {plan.reconciler_version}, this is {__version__}")
    for name, url in endpoints.items():
        if plan.endpoints.get(name) != url:
            moved.append(f"it was made for {plan.endpoints.get(name)}, the {name} URL is now {url}")
    return moved
