"""The command line as data: commands, flags, and what a wrong one is answered with.

Imports nothing heavy: ``--help`` and shell completion must be instant. Each command names the
module that runs it; that module is imported only when the command is.
"""

from __future__ import annotations

import argparse
import math
import os
import sys

from reconciler._version import __version__
from reconciler.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing and what it brings take half the time of --help
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import NoReturn

    from typing_extensions import override
else:

    def override(method):  # noqa: ANN001, ANN202 - the real one is seen by type checkers
        return method


__all__ = ["AUTH_MODES", "PLANNING_FLAGS", "SCHEMA_NAMES", "build_parser", "nearest", "parse"]

AUTH_MODES = ("environment", "workload", "managed", "cli", "interactive", "device-code")
"""As ``reconciler.clients.auth.AUTH_MODES``, which is too heavy to import here."""

SCHEMA_NAMES = ("spec", "plan", "drift", "events", "findings")
"""As ``reconciler.render.schemas.SCHEMAS``, which is too heavy to import here."""

PLANNING_FLAGS = {
    "target": "--target",
    "exclude": "--exclude",
    "var": "--var",
    "var_file": "--var-file",
    "allow_deletes": "--allow-deletes",
    "allow_overwrites": "--allow-overwrites",
    "beta": "--beta",
}
"""Flags that shape a plan, by attribute; they mean nothing for a plan that is already made."""

JOURNALS = ".reconciler/journals"
"""Where journals are kept, in the working folder."""

_FORMATS = ("text", "json", "markdown", "html")

_EXIT_CODES = """\
exit codes:
  0    success; with --detailed-exitcode: nothing to do
  1    invalid, unreadable or failed
  2    changes (plan --detailed-exitcode) or drift (drift)
  3    valid, but refused before any write: policy, stale plan, --expect, lock held,
       approval missing
  64   wrong usage
  130  interrupted
"""


class _Help(argparse.HelpFormatter):
    """A formatter that measures the terminal itself.

    argparse makes one for every argument that is added, and asks shutil, which loads every
    compression library.
    """

    @override
    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


class _HelpAsWritten(_Help, argparse.RawDescriptionHelpFormatter):
    """The same, keeping the lines of descriptions as they are."""


class _Parser(argparse.ArgumentParser):
    """A parser that raises instead of exiting with 2, which would read as "changes found"."""

    @override
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, remedy=f"run: {self.prog} --help")

    @override
    def _check_value(self, action: argparse.Action, value: object) -> None:
        choices = [str(c) for c in action.choices or ()]
        if choices and str(value) not in choices:
            near = nearest(str(value), choices)
            raise argparse.ArgumentError(
                action, f"{str(value)!r} is not one of {', '.join(choices)}{near}"
            )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line.

    Raises:
        UsageError: it makes no sense; the message names the argument.
        SystemExit: with 0, after ``--help`` or ``--version`` was answered.
    """
    words = sys.argv[1:] if argv is None else argv
    parser = build_parser(words)
    args, rest = parser.parse_known_args(words)
    flags = [word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"]
    if not flags and hasattr(args, "paths"):
        # argparse takes one run of files; people also name some after a flag.
        args.paths = [*args.paths, *(_path(word) for word in rest)]
        return args
    if not rest:
        return args
    command: argparse.ArgumentParser = args.parser
    if flags:
        known = [s for a in command._actions for s in a.option_strings]
        message = f"unknown flag {flags[0]}{nearest(flags[0], known)}"
    else:
        message = f"unexpected argument {rest[0]!r}"
    raise UsageError(message, remedy=f"run: {command.prog} --help")


def build_parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Build the parser of all commands.

    Args:
        words: what will be parsed. Only the commands named among them get their arguments: those
            of all commands take longer than anything else that ``--help`` does. None for all.
    """
    parser = _Parser(
        prog="reconciler",
        description="Declarative GitOps for Microsoft Fabric and Azure DevOps.",
        epilog=_EXIT_CODES,
        formatter_class=_HelpAsWritten,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"reconciler {__version__}")
    commands = parser.add_subparsers(
        metavar="COMMAND", required=True, dest="command", parser_class=_Parser
    )
    for name, (help_, add_arguments) in _COMMANDS.items():
        is_named = words is None or name in words
        sub = commands.add_parser(
            name,
            help=help_,
            description=help_,
            formatter_class=_Help,
            add_help=is_named,
            allow_abbrev=False,
        )
        if is_named:
            sub.set_defaults(module=f"reconciler.cli.{name.replace('-', '_')}", parser=sub)
            add_arguments(sub)
    return parser


def _columns() -> int:
    """Return the width of the terminal as shutil does: ``COLUMNS``, the terminal, or else 80."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    if columns <= 0 and sys.__stdout__ is not None:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns
        except (ValueError, OSError):  # closed, detached, or no terminal
            columns = 0
    return columns or 80


def _validate(sub: argparse.ArgumentParser) -> None:
    _spec(sub)
    _variables(sub)
    _format(sub, "text", "json", "markdown")
    _output(sub)


def _plan(sub: argparse.ArgumentParser) -> None:
    _spec(sub)
    sub.add_argument(
        "--out", type=_path, metavar="FILE", help="also save the plan as JSON, for: apply FILE"
    )
    sub.add_argument(
        "--explain-requests", action="store_true", help="also tell what each request was for"
    )
    sub.add_argument(
        "--detailed-exitcode", action="store_true", help="exit with 2 when there are changes"
    )
    _merge(sub)
    _variables(sub)
    _selection(sub)
    _admin(sub)
    _caps(sub)
    _format(sub, *_FORMATS)
    _events(sub)
    _services(sub)
    _output(sub)


def _merge(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("merge preview")
    group.add_argument(
        "--merge-preview",
        nargs="?",
        const="HEAD",
        metavar="REV",
        help="plan for the time after this revision of the checkout is merged (default: HEAD); "
        "stands after SPEC",
    )
    group.add_argument(
        "--merge-into",
        metavar="BRANCH",
        help="the branch it is merged into (default: the pull request's target, in CI)",
    )


def _apply(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "paths",
        nargs="+",
        type=_path,
        metavar="SPEC|PLANFILE",
        help="spec files and directories, or one plan file",
    )
    sub.add_argument(
        "--auto-approve",
        action="store_true",
        help="do not ask; needed for a plan file that is destructive",
    )
    sub.add_argument(
        "--expect",
        type=_path,
        metavar="FILE",
        help="do nothing that this reviewed plan or preview did not announce",
    )
    _variables(sub)
    _selection(sub)
    _caps(sub)
    _lock(sub)
    _events(sub)
    _journal(sub)
    _services(sub)
    _output(sub)


def _drift(sub: argparse.ArgumentParser) -> None:
    _spec(sub)
    _variables(sub)
    _selection(sub)
    _admin(sub)
    _format(sub, *_FORMATS)
    _events(sub)
    _services(sub)
    _output(sub)


def _show(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("file", type=_path, metavar="PLANFILE", help="a file written by plan --out")
    _format(sub, *_FORMATS)
    _output(sub)


def _graph(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "paths",
        nargs="+",
        type=_path,
        metavar="SPEC|PLANFILE",
        help="spec files and directories, or one plan file",
    )
    _variables(sub)
    _selection(sub)
    _admin(sub)
    _format(sub, "mermaid", "dot")
    _services(sub)
    _output(sub)


def _runs(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "what",
        nargs="*",
        metavar="show ID",
        help="nothing for the list; 'show ID' for one run (the beginning of its id is enough)",
    )
    sub.add_argument(
        "--operation",
        metavar="ID",
        help="with show: how a long-running operation stands, asked of the service",
    )
    _format(sub, "text", "json")
    _journal(sub)
    _services(sub)
    _output(sub)


def _schema(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "name",
        nargs="?",
        default="spec",
        metavar="NAME",
        help=f"one of {', '.join(SCHEMA_NAMES)} (default: spec)",
    )


def _adopt(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("what to adopt", "names, ids, or patterns with * and ?")
    group.add_argument(
        "--workspace", action="append", type=_name, default=[], metavar="N", help="workspaces"
    )
    group.add_argument(
        "--pipeline",
        action="append",
        type=_name,
        default=[],
        metavar="N",
        help="deployment pipelines; their workspaces are named, not adopted",
    )
    group.add_argument(
        "--repository",
        action="append",
        type=_repository,
        default=[],
        metavar="P/N",
        help="Azure DevOps repositories, by project and name",
    )
    group.add_argument(
        "--all",
        action="store_true",
        help="every visible workspace and pipeline; with --organization every repository too",
    )
    group.add_argument(
        "--organization",
        type=_name,
        metavar="NAME|URL",
        help="Azure DevOps organization, or URL of a Server collection (default: the one that "
        "the adopted workspaces are bound to)",
    )
    group.add_argument(
        "--api-version", metavar="V", help="release of the Azure DevOps Server (default: 7.1)"
    )
    sub.add_argument(
        "--out", type=_path, metavar="FILE", help="write here instead of stdout; never overwrites"
    )
    _services(sub)
    _output(sub)


def _init(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "folder",
        nargs="?",
        type=_path,
        default=".",
        metavar="DIR",
        help="root of the Git repository (default: this directory)",
    )
    sub.add_argument(
        "--ci",
        choices=("github", "azure", "both", "none"),
        default="both",
        help="for GitHub Actions, Azure Pipelines, both or none (default: both)",
    )
    _output(sub)


def _force_unlock(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("id", type=_lock_id, metavar="ID", help="as the run that was refused says")
    _where(sub)
    sub.add_argument("--auto-approve", action="store_true", help="do not ask")
    sub.add_argument(
        "--auth", choices=AUTH_MODES, help="how to sign in to the storage account of azblob://"
    )
    _output(sub)


def _emulator(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--port", type=_port, default=0, metavar="N", help="loopback port; 0 takes a free one"
    )
    sub.add_argument("--data", type=_path, metavar="DIR", help="keep everything here over restarts")
    sub.add_argument("--scenario", type=_path, metavar="FILE", help="what exists at the start")
    sub.add_argument(
        "--ready-file", type=_path, metavar="FILE", help="written, with the URLs, once it listens"
    )
    sub.add_argument(
        "--speed",
        choices=("instant", "fast", "real"),
        default="fast",
        help="how long operations take (default: fast)",
    )
    sub.add_argument(
        "--auth",
        choices=("any", "entra"),
        default="any",
        help="accept any token, or only those of its own Entra (default: any)",
    )
    sub.add_argument(
        "--tls", action="store_true", help="serve https; the ready file names the CA as ca_file"
    )
    sub.add_argument(
        "--proxy",
        action="store_true",
        help="lead the real host names here; the ready file names it as proxy_url",
    )
    sub.add_argument("--seed", type=int, metavar="N", help="the same requests get the same ids")
    sub.add_argument(
        "--latency",
        type=_milliseconds,
        default=0.0,
        metavar="MS",
        help="how long every request is on its way, as over a network (default: 0)",
    )
    sub.add_argument("--verbose", action="store_true", help="the traceback of an internal error")


def _spec(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "paths", nargs="+", type=_path, metavar="SPEC", help="spec files, and directories of them"
    )


def _variables(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("variables")
    group.add_argument(
        "--var",
        action="append",
        type=_pair,
        default=[],
        metavar="NAME=VALUE",
        help="give a variable its value; wins over files",
    )
    group.add_argument(
        "--var-file",
        action="append",
        type=_path,
        default=[],
        metavar="FILE",
        help="YAML or JSON mapping of variables to values",
    )


def _selection(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("selection")
    text = "an address or a prefix of one"
    group.add_argument(
        "--target",
        action="append",
        type=_address,
        default=[],
        metavar="ADDRESS",
        help=f"only {text}, and what it depends on",
    )
    group.add_argument(
        "--exclude",
        action="append",
        type=_address,
        default=[],
        metavar="ADDRESS",
        help=f"without {text}, and what depends on it",
    )
    group.add_argument("--beta", action="store_true", help="may use preview APIs of the services")


def _admin(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--admin", action="store_true", help="may use lists that are for Fabric administrators"
    )


def _caps(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("policy")
    for flag, verb in (("--allow-deletes", "delete"), ("--allow-overwrites", "overwrite")):
        group.add_argument(
            flag,
            type=_whole,
            metavar="N",
            help=f"this run may {verb} up to N items, in place of the share in policies",
        )


def _lock(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("lock", "One apply at a time for each estate.")
    choice = group.add_mutually_exclusive_group()
    _where(choice)
    choice.add_argument(
        "--no-lock", action="store_true", help="take none; only when no other run can be under way"
    )
    group.add_argument(
        "--lock-timeout",
        type=_duration,
        default=0.0,
        metavar="TIME",
        help="how long to wait for another run, as 30s, 5m or 1h (default: 0s)",
    )


def _where(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--lock",
        type=_place,
        default="local",
        metavar="PLACE",
        help="local (default), or azblob://ACCOUNT/CONTAINER for runs on several machines",
    )


def _format(sub: argparse.ArgumentParser, *choices: str) -> None:
    sub.add_argument(
        "--format",
        choices=choices,
        default=choices[0],
        metavar="FORMAT",
        help=f"one of {', '.join(choices)} (default: {choices[0]})",
    )


def _events(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--events",
        metavar="FILE",
        help="also write what happens as JSON lines; with -, to stdout, and text goes to stderr",
    )


def _journal(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--journal",
        type=_path,
        default=JOURNALS,
        metavar="DIR",
        help=f"where the journals of runs are kept (default: {JOURNALS})",
    )


def _services(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("services")
    group.add_argument("--auth", choices=AUTH_MODES, help="how to sign in when no token is set")
    group.add_argument("--fabric-url", type=_url, metavar="URL", help="or RECONCILER_FABRIC_URL")
    group.add_argument("--devops-url", type=_url, metavar="URL", help="or RECONCILER_DEVOPS_URL")
    group.add_argument(
        "--parallelism",
        type=_at_least_one,
        default=10,
        metavar="N",
        help="most actions at a time (default: 10)",
    )
    group.add_argument(
        "--reads",
        type=_at_least_one,
        default=16,
        metavar="N",
        help="most requests on their way to a service at a time (default: 16)",
    )
    group.add_argument(
        "--timeout",
        type=_seconds,
        default=3600.0,
        metavar="SECONDS",
        help="longest wait for one operation (default: 3600)",
    )


def _output(sub: argparse.ArgumentParser) -> None:
    group = sub.add_argument_group("output")
    group.add_argument("--no-color", action="store_true", help="no colours; NO_COLOR does the same")
    amount = group.add_mutually_exclusive_group()
    amount.add_argument("--quiet", action="store_true", help="only errors and the last line")
    amount.add_argument("--verbose", action="store_true", help="log every request on stderr")


_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "validate": ("Check a spec: schema and references, offline.", _validate),
    "plan": ("Read the live state and show what an apply would do.", _plan),
    "apply": ("Carry out a plan: of a spec, after approval, or of a plan file.", _apply),
    "drift": ("Tell how live differs from the spec; reads only.", _drift),
    "show": ("Show a plan file again.", _show),
    "graph": ("Print the graph of a plan: what waits for what.", _graph),
    "runs": ("List the journals of past applies, or show one run or operation.", _runs),
    "schema": ("Print the JSON Schema of a spec, or of what the commands write.", _schema),
    "adopt": ("Write the spec of what is live; planning it gives no changes.", _adopt),
    "init": ("Write a starter spec and the CI files around it.", _init),
    "force-unlock": ("Remove a lock left behind, after saying whose it is.", _force_unlock),
    "emulator": ("Run the local emulator of Fabric and Azure DevOps.", _emulator),
    "demo": ("Play the whole story on the emulator, in under a minute.", _output),
}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        # The value may be meant to stay private, so it is not repeated.
        raise argparse.ArgumentTypeError("expected NAME=VALUE")
    return name.strip(), value


def _path(text: str) -> Path:
    from pathlib import Path  # noqa: PLC0415 - not needed for --help

    return Path(text)


def _number(kind: Callable[[str], float], text: str, wanted: str, lowest: float) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = math.nan
    if not (number >= lowest and math.isfinite(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return number


def _at_least_one(text: str) -> int:
    return int(_number(int, text, "a whole number of 1 or more", 1))


def _whole(text: str) -> int:
    return int(_number(int, text, "a whole number of 0 or more", 0))


def _port(text: str) -> int:
    number = int(_number(int, text, "a port between 0 and 65535", 0))
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port between 0 and 65535")
    return number


def _seconds(text: str) -> float:
    return _number(float, text, "a number of seconds above 0", math.ulp(0.0))


def _duration(text: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    if not number[:1].isdigit():  # float() takes blanks, signs and names too
        number = ""
    try:
        return _number(float, number, "", 0.0) * units[unit]
    except argparse.ArgumentTypeError:
        message = f"{text!r} is not a time such as 30s, 5m or 1h"
        raise argparse.ArgumentTypeError(message) from None


def _place(text: str) -> str:
    from reconciler.locks.target import blob_target  # noqa: PLC0415 - not needed for --help

    try:
        blob_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _lock_id(text: str) -> str:
    from uuid import UUID  # noqa: PLC0415 - not needed for --help

    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no lock's id; the run that was refused names it"
        ) from None


def _milliseconds(text: str) -> float:
    return _number(float, text, "a number of milliseconds of 0 or more", 0.0)


def _address(text: str) -> str:
    if not text.strip("/ "):
        raise argparse.ArgumentTypeError("expected an address such as 'workspaces/Sales Dev'")
    return text


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("expected a name")
    return text


def _repository(text: str) -> tuple[str, str]:
    project, slash, name = text.partition("/")
    if not (slash and project.strip() and name.strip()):
        raise argparse.ArgumentTypeError(f"expected PROJECT/NAME, not {text!r}")
    return project, name


def _url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme.lower() not in {"http", "https"} or not separator or not rest.strip("/"):
        raise argparse.ArgumentTypeError("expected a URL that starts with https://")
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Return a question for the word that was probably meant, or ``""``."""
    import difflib  # noqa: PLC0415 - only for a word that is wrong

    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""
