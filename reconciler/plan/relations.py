"""Plan branched-out relations: a workspace and its base. A preview API, used with ``--beta``.

Source: fabric-api.md section 6.2, spec: a workspace has one base, both are bound to the same
repository and directory, and the branches differ.
"""

from __future__ import annotations

from reconciler.diff.changes import FieldDiff
from reconciler.ids import Address, address
from reconciler.live.models import LiveRelation
from reconciler.plan.actions import SetGitRelation
from reconciler.plan.draft import Draft, field_changes, git_of
from reconciler.plan.plan import DriftEntry
from reconciler.spec.models import WorkspaceSpec
from reconciler.spec.resolve import git_address, workspace_address

__all__ = ["plan_relations"]

# Actions that unbind a workspace, and with that may take its relations (assumed).
_UNBIND = ("git.switch", "git.resync")


def plan_relations(draft: Draft, made_by_deployment: frozenset[str], *, late: bool) -> None:
    """Plan the relation of every workspace that names a base.

    Args:
        made_by_deployment: names of workspaces that a first deployment creates.
        late: plan only those where such a workspace is on one side, else only the others.
    """
    for spec in draft.estate.workspaces:
        git = spec.git
        if git is None or git.relation is None or "absent" in (git.state, spec.state):
            continue
        base = draft.workspace_spec(git.relation.base)
        waits = any(
            s is not None
            and s.name in made_by_deployment
            and draft.snapshot.workspaces.get(workspace_address(s)) is None
            for s in (spec, base)
        )
        if waits is late:
            _plan_one(draft, spec, git.relation.base, base)


def _plan_one(
    draft: Draft, spec: WorkspaceSpec, reference: str, base_spec: WorkspaceSpec | None
) -> None:
    where = git_address(spec)
    if not draft.beta:
        draft.warn(
            "needs_beta",
            f"The relation to {reference} needs --beta; without it, it is neither read nor set.",
            "Relations have a preview API only. Give --beta, or relate the workspaces in the "
            "portal's source control pane.",
            where,
        )
        return
    base = _base(draft, where, reference, base_spec)
    own = Address(f"{where}/relation")
    if base is None or where in draft.unknown or draft.skip_unknown(own, base):
        return
    workspace = workspace_address(spec)
    planned = draft.doers(where)
    live = draft.snapshot.bindings.get(where)
    relations = live.relations if live is not None else None
    if not planned and relations is None:
        return  # it is not bound, and why is told already
    current = next((r for r in relations or () if r.kind == "Base"), None)
    unbound = any(draft.actions[i].kind in _UNBIND for i in planned)
    right = current is not None and current.other_id == draft.bindings.get(base)
    if right and not unbound:
        return
    change = FieldDiff("relation", _name(draft, current), reference)
    draft.add(
        SetGitRelation(
            workspace=workspace,
            base=base,
            replaces=current.id if current is not None and not right else None,
        ),
        where,
        after=[*draft.lane_tail(workspace), *planned[-1:], *draft.doers(git_of(base))[-1:]],
        code="relation_differs" if current is not None else "relation_missing",
        why="binding it anew may take the relation to its base"
        if right
        else f"its base is {_name(draft, current) or 'not set'}",
        changes=() if right else field_changes(change),
        after_unknown=right,
        outcomes=("set again", "nothing: the relation is still there") if right else (),
        requests=3,
    )
    if not right and not planned:
        draft.drift.append(
            DriftEntry(
                address=where,
                cause="field",
                text="the relation to its base workspace differs",
                changes=field_changes(change),
                planned=True,
            )
        )


def _base(
    draft: Draft, where: Address, reference: str, spec: WorkspaceSpec | None
) -> Address | None:
    """Return the base's address with its id known, or to be known; None: there is none."""
    if spec is not None:
        found = workspace_address(spec)
        there = draft.bindings.get(found) or draft.lane_tail(found) or found in draft.unknown
        return found if there else None  # why it is not there is told with the workspace
    if draft.skip_unknown(Address(f"{where}/relation"), address("workspaces")):
        return None
    workspace_id = draft.visible_workspace_id(reference)
    if workspace_id is None:
        draft.error(
            "relation_base_missing",
            f"The base workspace {reference} does not exist or is not visible to this caller.",
            "Correct relation.base, give the caller a role in that workspace (contributor to "
            "relate to it), or take relation out.",
            where,
        )
        return None
    found = address("workspaces", reference)
    draft.bindings[found] = workspace_id
    return found


def _name(draft: Draft, relation: LiveRelation | None) -> str | None:
    if relation is None:
        return None
    return draft.workspace_name(relation.other_id) or relation.other_id
