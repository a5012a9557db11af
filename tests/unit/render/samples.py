"""Plans to render: one that shows everything, and builders for small ones."""

from typing import Any, get_args

from pydantic import BaseModel

from reconciler.plan import actions as a
from reconciler.plan.plan import (
    DriftEntry,
    HeldEntry,
    Plan,
    PlanDiagnostic,
    PlanSpec,
    UnknownEntry,
    finish,
    summarise,
)

OPS: tuple[type[BaseModel], ...] = get_args(get_args(a.Op)[0])
TARGET = a.BranchTarget(
    provider="AzureDevOps",
    organization="contoso",
    project="Sales",
    repository="fabric-sales",
    branch="main",
    directory="/fabric",
)
DEV, TEST = "workspaces/Sales Dev", "workspaces/Sales Test"
REPOSITORY, PIPELINE = "repositories/Sales/fabric-sales", "pipelines/Sales"


def op_of(kind: str, text: str = "x") -> Any:
    """Return an op of this kind with every required text set to ``text``."""
    model = next(op for op in OPS if op.model_fields["kind"].default == kind)
    target = model.model_fields.get("target")
    values: dict[str, Any] = {
        "target": TARGET if target and target.annotation is a.BranchTarget else text,
        "before": TARGET,
        "credentials": a.GitCredentialChoice(source="Automatic") if "git" in kind else None,
        "strategy": "PreferRemote",
        "import_request_id": 7,
        "source_order": 0,
        "target_order": 1,
        "stages": (a.NewStage(name=text),),
    }
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    return model.model_validate({name: values.get(name, text) for name in required})


def action(kind: str, address: str = DEV, *, text: str = "x", **fields: Any) -> a.Action:
    """Return an action of this kind."""
    reason = a.Reason(code="because", text=fields.pop("why", f"why {kind}"))
    return a.Action(
        id=f"{kind}:{address}",
        kind=kind,
        address=address,
        reason=reason,
        op=fields.pop("op", None) or op_of(kind, text),
        **fields,
    )


def plan(*actions: a.Action, **fields: Any) -> Plan:
    """Return a finished plan of these actions."""
    errors = any(d.severity == "error" for d in fields.get("diagnostics", ()))
    base: dict[str, Any] = {
        "reconciler_version": "0.1.0",
        "created_at": "2026-01-01T00:00:00Z",
        "spec": PlanSpec(name="sales", digest="0" * 64, files=("sales.yaml",)),
        "endpoints": {},
        "summary": summarise(actions),
        "actions": actions,
        "applyable": bool(actions) and not errors,
        "complete": not fields.get("unknown"),
    }
    return finish(Plan(**{**base, **fields}))


def error(code: str = "unpaired_name_clash", **fields: Any) -> PlanDiagnostic:
    """Return an error of this code."""
    return PlanDiagnostic(severity="error", code=code, summary=f"{code} happened.", **fields)


def story() -> Plan:
    """Return a plan that shows every symbol and every section."""
    deploy = f"{PIPELINE}/deployments/Development:Test"
    create_repository = action("repository.create", REPOSITORY, why="no repository is visible")
    load = action(
        "repository.import",
        REPOSITORY,
        op=a.ImportRepository(project="Sales", url="https://github.com/contoso/sales.git"),
        wave=2,
        depends_on=(create_repository.id,),
    )
    create = action(
        "workspace.create",
        why="no workspace Sales Dev is visible to this caller",
        changes=(
            a.FieldChange(path="description", after="Where the team works"),
            a.FieldChange(path="capacity", after="F8-dev"),
        ),
    )
    update = action(
        "git.update",
        f"{TEST}/git",
        why="main is at 1f2e3d4c, the workspace at 0a1b2c3d",
        items=(
            a.ItemChange(type="Notebook", name="Ingest orders", change="Added"),
            a.ItemChange(
                type="Report",
                name="Sales",
                change="Modified",
                conflict="Conflict",
                detail="report.json: /config",
            ),
            a.ItemChange(type="Lakehouse", name="Old", change="Deleted"),
        ),
        destructive=True,
    )
    connect = action(
        "git.connect",
        f"{DEV}/git",
        wave=3,
        depends_on=(load.id, create.id),
        changes=(a.FieldChange(path="git", after="contoso/Sales/fabric-sales main /fabric"),),
    )
    commit = action(
        "git.commit",
        f"{DEV}/git",
        wave=4,
        depends_on=(connect.id,),
        after_unknown=True,
        outcomes=("commit: the workspace has changes", "nothing: it has none"),
        changes=(a.FieldChange(path="head"),),
    )
    unassign = action(
        "stage.unassign",
        f"{PIPELINE}/stages/Test",
        wave=3,
        destructive=True,
        changes=(a.FieldChange(path="workspace", before="Elsewhere"),),
    )
    rename = action(
        "connection.create",
        "connections/sales-git",
        changes=(a.FieldChange(path="credentials", after="(sensitive)"),),
    )
    assign = action("stage.assign", f"{PIPELINE}/stages/Test", wave=4, depends_on=(unassign.id,))
    deployment = action(
        "deployment.deploy",
        deploy,
        op=a.Deploy(
            pipeline=PIPELINE,
            source="Development",
            target="Test",
            source_order=0,
            target_order=1,
            source_workspace=DEV,
            target_workspace=TEST,
        ),
        wave=5,
        depends_on=(commit.id, assign.id),
        items=tuple(
            a.ItemChange(type="Notebook", name=f"Notebook {n:02}", change="New") for n in range(23)
        ),
    )
    held = f"{PIPELINE}/deployments/Test:Production"
    held_text = f"Production differs from Test: 1 new; when: manual, run with --target '{held}'"
    return plan(
        create_repository,
        create,
        update,
        rename,
        load,
        connect,
        unassign,
        commit,
        assign,
        deployment,
        drift=(
            DriftEntry(
                address=f"{TEST}/git",
                cause="local",
                text="1 item changed in the workspace and not committed",
                items=(a.ItemChange(type="Report", name="Sales", change="Modified"),),
            ),
            DriftEntry(address=DEV, cause="field", text="missing", planned=True),
            DriftEntry(address=held, cause="held", text=held_text),
        ),
        held=(HeldEntry(address=held, text=held_text),),
        unknown=("workspaces/Sales Prod",),
        unreadable=(
            UnknownEntry(
                address="workspaces/Sales Prod",
                text="the workspace: forbidden",
                remedy="ask an admin of the workspace for the Contributor role",
            ),
        ),
        diagnostics=(
            PlanDiagnostic(
                severity="warning",
                code="orphans",
                summary="1 items of Test have lost their source: Report Old.",
                detail="A deployment never deletes.\nDelete it by hand if it should go.",
                address=deploy,
            ),
        ),
        requests={"devops": 3, "fabric": 20},
    )
