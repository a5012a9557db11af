"""What the commands share: settings from flags, reading a spec, plan files."""

from __future__ import annotations

import contextlib
import os
import tempfile
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from reconciler import engine
from reconciler.cli.console import Console
from reconciler.cli.documents import findings_document
from reconciler.cli.findings_file import tell_where_all_are
from reconciler.cli.parser import PLANNING_FLAGS
from reconciler.diagnostics import Diagnostic, Severity
from reconciler.errors import PlanFileError, ReconcilerError, UsageError
from reconciler.plan.plan import Allowed, Plan, load_plan
from reconciler.policies.judge import POLICY_CODES
from reconciler.render.findings import render_findings
from reconciler.spec.load import LoadResult, load_spec
from reconciler.words import count

__all__ = [
    "blocked",
    "is_plan_file",
    "plan_file_of",
    "read_plan",
    "read_spec",
    "report_invalid",
    "settings_of",
    "tell_warnings",
    "write_private",
]

_HEAD_BYTES = 65_536


def settings_of(args: Namespace) -> engine.Settings:
    """Return how to reach the services, from the flags and this process's environment."""
    return engine.Settings(
        environ=os.environ,
        fabric_url=args.fabric_url,
        devops_url=args.devops_url,
        auth=args.auth,
        parallelism=args.parallelism,
        reads=args.reads,
        timeout_s=args.timeout,
        journals=getattr(args, "journal", None),
        allowed=Allowed(
            deletes=getattr(args, "allow_deletes", None),
            overwrites=getattr(args, "allow_overwrites", None),
        ),
        beta=getattr(args, "beta", False),
        admin=getattr(args, "admin", False),
        lock=None if getattr(args, "no_lock", True) else args.lock,
        lock_timeout_s=getattr(args, "lock_timeout", 0.0),
    )


def read_spec(args: Namespace) -> LoadResult:
    """Read the spec named on the command line; what is wrong in it stands in the result.

    Raises:
        UsageError: a plan file stands where a spec should.
    """
    for path in args.paths:
        if is_plan_file(path):
            raise UsageError(
                f"{path} is a plan file, not a spec",
                remedy=f"run: reconciler show {path}, or: reconciler apply {path}",
            )
    return load_spec(args.paths, variables=dict(args.var), var_files=args.var_file)


def report_invalid(loaded: LoadResult, console: Console, form: str = "text") -> int:
    """Show all findings of an invalid spec together, and return the exit code.

    Args:
        form: one of the values of ``--format``; anything but text goes to stdout as a document.
    """
    if form != "text":
        console.write(findings_document(loaded, form))
        return 1
    errors = sum(d.severity is Severity.ERROR for d in loaded.diagnostics)
    console.complain(render_findings(loaded.diagnostics, paint=console.paint_err) + "\n")
    tell_where_all_are(loaded.diagnostics, console)
    console.complain(f"The spec is invalid: {count(errors, 'error')}.\n")
    return 1


def tell_warnings(
    found: Iterable[Diagnostic], plan: Plan, console: Console
) -> tuple[Diagnostic, ...]:
    """Show the spec's warnings on stderr, but for those the plan repeats, and return them."""
    repeated = {(d.code, d.summary) for d in plan.diagnostics}
    fresh = tuple(d for d in found if (d.code, d.summary) not in repeated)
    if fresh and not console.quiet:
        console.complain(render_findings(fresh, paint=console.paint_err) + "\n")
    return fresh


def blocked(plan: Plan) -> int:
    """Return the exit code of a plan that must not be carried out, 0 when it may.

    3 when policy alone stands against it, 1 for any other error. What could not be read does not
    block: nothing was planned on top of it.
    """
    errors = [d for d in plan.diagnostics if d.severity != "warning"]
    if not errors:
        return 0
    return 3 if all(d.code in POLICY_CODES for d in errors) else 1


def is_plan_file(path: Path) -> bool:
    """Tell a plan file from a spec, by content.

    Both may be JSON objects. A plan states its ``format_version`` before anything else, a spec
    has an ``apiVersion``; an object with neither is taken for a damaged plan, so that the message
    is about plans. What cannot be read is left to the spec's reader to report.
    """
    try:
        if not path.is_file():  # opening a pipe would wait for somebody to write into it
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if not text.startswith("{"):
        return False
    version, spec = text.find('"format_version"'), text.find("apiVersion")
    return spec < 0 or 0 <= version < spec


def plan_file_of(args: Namespace) -> Path | None:
    """Return the one plan file among ``args.paths``, None when they are a spec.

    Raises:
        UsageError: a plan file stands beside something else, or beside a flag that shapes a plan.
    """
    found: list[Path] = [path for path in args.paths if is_plan_file(path)]
    if not found:
        return None
    name = args.command
    if len(args.paths) > 1:
        raise UsageError(
            f"{found[0]} is a plan file, and a plan file stands alone",
            remedy=f"run: reconciler {name} {found[0]}",
        )
    for attribute, flag in PLANNING_FLAGS.items():
        given = getattr(args, attribute, None)
        if given is not None and given is not False and given != []:  # a cap of 0 is given too
            raise UsageError(
                f"argument {flag}: the plan is already made and is taken as it is",
                remedy=f"give {flag} to reconciler plan, or {name} the spec instead",
            )
    return found[0]


def read_plan(path: Path) -> Plan:
    """Read a plan file.

    Raises:
        PlanFileError: it cannot be read or is not a plan this tool reads.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise PlanFileError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise PlanFileError(
            f"{path} is not a plan file: it is not UTF-8 text",
            remedy="make a new plan with: reconciler plan SPEC --out FILE",
        ) from error
    return load_plan(text, name=str(path))


def write_private(path: Path, text: str | Iterable[str]) -> None:
    """Write a file that only this user may read, whole or not at all.

    Args:
        text: what it will hold, or the pieces of it.

    Raises:
        ReconcilerError: it cannot be written; a file that was there before is untouched.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.writelines([text] if isinstance(text, str) else text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise ReconcilerError(
            f"cannot write {path}: {error.strerror or error}",
            remedy="the plan was made and is shown, but not saved",
        ) from error
