"""The words and symbols of a plan: one place decides how every kind of action is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from reconciler.plan.actions import Action, Verb, verb_of
from reconciler.words import count

__all__ = ["SYMBOLS", "count", "doing", "elapsed", "phrase", "summary_line", "summary_of"]

SYMBOLS = {
    Verb.CREATE: "+",
    Verb.CHANGE: "~",
    Verb.DESTROY: "-",
    Verb.UPDATE: "↻",
    Verb.COMMIT: "↑",
    Verb.DEPLOY: "⇒",
    Verb.IMPORT: "⇓",
}


class _Words(NamedTuple):
    phrase: str
    """What the action does; a format string over ``op``."""

    doing: str
    """What is said while it is under way."""


_WORDS = {
    "repository.create": _Words("create the repository", "creating"),
    "repository.import": _Words("import from {op.url}", "importing"),
    "repository.import.retry": _Words("retry the failed import from {op.url}", "importing again"),
    "repository.import.abandon": _Words(
        "abandon the failed import {op.import_request_id}", "abandoning the failed import"
    ),
    "repository.update": _Words("set the default branch", "setting the default branch"),
    "repository.branch.create": _Words(
        "create the branch {op.target.branch} from {op.source}", "creating the branch"
    ),
    "repository.directory.create": _Words(
        "create the directory {op.target.directory} on {op.target.branch}",
        "creating the directory",
    ),
    "connection.create": _Words("create the connection ({op.type})", "creating"),
    "workspace.create": _Words("create the workspace", "creating"),
    "workspace.update": _Words("update the workspace", "updating"),
    "workspace.assign_capacity": _Words("assign the capacity", "assigning the capacity"),
    "workspace.delete": _Words("delete the workspace and everything in it", "deleting"),
    "workspace.role.add": _Words("make the {op.principal_type} {op.role}", "adding the role"),
    "workspace.role.update": _Words("change the role to {op.role}", "changing the role"),
    "workspace.role.remove": _Words("remove the role", "removing the role"),
    "git.connect": _Words("connect to Git", "connecting"),
    "git.initialize": _Words("initialise the connection", "initialising"),
    "git.switch": _Words("bind to another branch or directory", "switching"),
    "git.resync": _Words(
        "resync: disconnect, connect again, take everything from Git", "resyncing"
    ),
    "git.relation": _Words("relate to the base workspace", "relating to the base workspace"),
    "git.disconnect": _Words("disconnect from Git; the items stay", "disconnecting"),
    "git.credentials": _Words("choose the Git credentials", "setting the credentials"),
    "git.update": _Words("update from Git", "updating from Git"),
    "git.commit": _Words("commit to Git", "committing"),
    "pipeline.create": _Words("create the pipeline", "creating"),
    "pipeline.update": _Words("update the pipeline", "updating"),
    "pipeline.delete": _Words("delete the pipeline; its workspaces stay", "deleting"),
    "pipeline.role.add": _Words("make the {op.principal_type} {op.role}", "adding the role"),
    "pipeline.role.remove": _Words("remove the role", "removing the role"),
    "stage.update": _Words("update the stage", "updating"),
    "stage.assign": _Words("assign the workspace", "assigning the workspace"),
    "stage.unassign": _Words("take the workspace out of the stage", "unassigning the workspace"),
    "deployment.deploy": _Words("deploy {op.source_stage} to {op.target_stage}", "deploying"),
}


def phrase(action: Action) -> str:
    """Return what an action does, in a few words; not escaped."""
    words = _WORDS.get(action.kind)
    return words.phrase.format(op=action.op) if words else action.kind


def doing(kind: str) -> str:
    """Return what is said while an action of this kind is under way."""
    words = _WORDS.get(kind)
    return words.doing if words else kind


def elapsed(seconds: float) -> str:
    """Return a duration the way people say it."""
    whole = round(seconds)
    if whole < 1:
        return "less than 1 s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def summary_of(actions: Iterable[Action]) -> str:
    """Return the counts of a plan, without label or full stop."""
    n = Counter(verb_of(a.kind) for a in actions)
    return (
        f"{n[Verb.CREATE]:,} to create, {n[Verb.CHANGE]:,} to change, "
        f"{n[Verb.DESTROY]:,} to destroy; "
        f"{count(n[Verb.UPDATE], 'update')}, {count(n[Verb.COMMIT], 'commit')}, "
        f"{count(n[Verb.DEPLOY], 'deployment')}, {count(n[Verb.IMPORT], 'import')}"
    )


def summary_line(actions: Iterable[Action]) -> str:
    """Return the line a plan with actions ends in."""
    return f"Plan: {summary_of(actions)}."
