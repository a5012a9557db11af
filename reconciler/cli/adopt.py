"""``reconciler adopt``: the spec of what is live; reads only, and never overwrites a file."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from pathlib import Path

from pydantic import ValidationError

from reconciler import engine
from reconciler.adopt.found import Selection
from reconciler.cli.common import settings_of
from reconciler.cli.console import Console
from reconciler.errors import ReconcilerError, UsageError
from reconciler.render.terminal import escape
from reconciler.spec.models import AzureDevOps
from reconciler.words import count

__all__ = ["run"]

_PLURALS = {"repository": "repositories"}


def run(args: Namespace) -> int:
    """Write the spec; 1 when something that was asked for could not be found or read."""
    console = Console.of(args)
    selection = _selection(args)
    out: Path | None = args.out
    if out is not None:
        _check_out(out)
    adopted = asyncio.run(engine.adopt(selection, settings_of(args)))
    if out is None:
        console.write(adopted.text)
    else:
        _write_new(out, adopted.text)
    for text in adopted.missing:
        console.complain(f"{console.paint_err.yellow('warning')}: {escape(text)}\n")
    if not console.quiet:
        console.complain(_summary(adopted, out))
    return 1 if adopted.missing else 0


def _selection(args: Namespace) -> Selection:
    """Return what to adopt.

    Raises:
        UsageError: nothing is selected, or what is selected cannot be found without more.
    """
    azure_devops = _azure_devops(args)
    # None selects everything: a workspace may be called *.
    workspaces = [*args.workspace, *([None] if args.all else ())]
    pipelines = [*args.pipeline, *([None] if args.all else ())]
    repositories = [*args.repository]
    if args.all and azure_devops is not None:
        repositories.append((None, None))
    if not (workspaces or pipelines or repositories):
        raise UsageError(
            "nothing to adopt is named",
            remedy="name it with --workspace, --pipeline or --repository, or give --all",
        )
    if repositories and azure_devops is None and not workspaces:
        raise UsageError(
            "argument --repository: the organization is not known",
            remedy="give --organization NAME, or adopt a workspace bound to it as well",
        )
    return Selection(tuple(workspaces), tuple(pipelines), tuple(repositories), azure_devops)


def _azure_devops(args: Namespace) -> AzureDevOps | None:
    where: str | None = args.organization
    if where is None:
        if args.api_version is not None:
            raise UsageError(
                "argument --api-version: it belongs to a server, and none is named",
                remedy="give --organization URL",
            )
        return None
    fields = {"url" if "://" in where else "organization": where}
    if args.api_version is not None:
        fields["apiVersion"] = args.api_version
    try:
        return AzureDevOps.model_validate(fields)
    except ValidationError as error:
        found = error.errors()[0]
        flag = "--api-version" if "apiVersion" in found["loc"] else "--organization"
        raise UsageError(
            f"argument {flag}: {found['msg']}",
            remedy="an organization is a name such as contoso, or a URL such as "
            "https://tfs.contoso.com/tfs/DefaultCollection",
        ) from None


def _check_out(path: Path) -> None:
    """Refuse a place that is taken or not there, before minutes of reading."""
    if path.is_dir() or not path.name:
        raise UsageError(f"argument --out: {path} is a directory", remedy="name a file in it")
    if not path.parent.is_dir():
        raise UsageError(
            f"argument --out: there is no directory {path.parent}", remedy="make it first"
        )
    if path.exists() or path.is_symlink():
        raise _taken(path)


def _taken(path: Path) -> ReconcilerError:
    return ReconcilerError(
        f"{path} is there already, and adopt overwrites nothing",
        remedy="name another file, or remove this one first",
    )


def _write_new(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise ReconcilerError(f"cannot write {path}: {error.strerror or error}") from error


def _summary(adopted: engine.Adopted, out: Path | None) -> str:
    kinds = ", ".join(
        count(number, kind, _PLURALS.get(kind)) for kind, number in adopted.counts.items() if number
    )
    told = ""
    if adopted.missing:
        told = f" {count(len(adopted.missing), 'thing')} could not be read; the comments say what."
    where = f" Wrote {escape(str(out))}." if out is not None else ""
    return f"Adopted {kinds or 'nothing'} with {count(adopted.requests, 'request')}.{told}{where}\n"
