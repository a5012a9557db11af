"""The command line: parse, run one command, and turn whatever happens into an exit code.

Nothing heavy is imported here at module level. No exception a user or a service can cause ends
in a traceback; a bug says that it is one.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

from reconciler.cli.parser import parse
from reconciler.errors import PlanError, ReconcilerError, SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing takes half the time of --help
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn, TextIO

__all__ = ["collect_seldom", "entry_point", "main"]

_INTERRUPTED = 130
_OBJECTS = 70_000


def entry_point() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_encode(stream)
    collect_seldom()
    code = main()
    _flush()
    sys.exit(code)


def collect_seldom() -> None:
    """Look for garbage in cycles a hundred times less often than Python does by itself.

    A large estate is hundreds of thousands of objects that stay until the end and form no cycles;
    going through them again and again takes half the time of planning it.
    """
    gc.set_threshold(_OBJECTS, 10, 10)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; raises nothing but ``GeneratorExit`` and kin.

    Args:
        argv: the arguments without the program's name; those of the process when None.
    """
    try:
        args = parse(argv)
    except ReconcilerError as error:
        return _fail(error)
    except SystemExit as answered:  # --help and --version
        return answered.code if isinstance(answered.code, int) else 0
    try:
        return int(importlib.import_module(args.module).run(args))
    except ReconcilerError as error:
        return _fail(error)
    except KeyboardInterrupt:
        _let_it_end()
        sys.stderr.write("\nInterrupted. What a service has accepted goes on there; plan again.\n")
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return 1
    except Exception as error:  # noqa: BLE001 - the last line of defence against a traceback
        return _bug(error, args)


def _fail(error: ReconcilerError) -> int:
    """Show an error with its findings, if it has any, and return its exit code."""
    if isinstance(error, (SpecError, PlanError)) and error.diagnostics:
        # Findings need the renderer, which costs start-up time that other errors do not.
        from reconciler.render.findings import render_findings  # noqa: PLC0415

        sys.stderr.write(render_findings(error.diagnostics) + "\n")
    sys.stderr.write(f"error: {_safe(error.message)}\n")
    if error.remedy:
        sys.stderr.write(f"  hint: {_safe(error.remedy)}\n")
    return error.exit_code


def _safe(text: str) -> str:
    from reconciler.render.terminal import escape  # noqa: PLC0415 - only when something failed

    return "\n  ".join(escape(line) for line in text.splitlines())


def _bug(error: Exception, args: argparse.Namespace) -> int:
    """Say that this is a bug; the traceback only on request, since it may be long and is ours."""
    sys.stderr.write(
        f"error: unexpected {type(error).__name__}. This is a bug in reconciler, not in your "
        "spec.\n"
    )
    if getattr(args, "verbose", False):
        import traceback  # noqa: PLC0415 - only when asked for

        sys.stderr.write(_masked("".join(traceback.format_exception(error)), args))
    else:
        sys.stderr.write("  hint: run it again with --verbose and report what it prints\n")
    return 1


def _masked(text: str, args: argparse.Namespace) -> str:
    """Take every secret of this process out of a traceback: messages may quote what was sent."""
    import re  # noqa: PLC0415 - only for a bug

    from reconciler.clients.secrets import secrets_of  # noqa: PLC0415

    names: set[str] = set()
    for path in getattr(args, "paths", None) or ():
        files = sorted(path.glob("*.y*ml")) if path.is_dir() else [path]
        for file in files:
            try:
                found = file.read_text(encoding="utf-8", errors="replace")
            except OSError:  # what cannot be read now may have been, but then it is no spec
                continue
            names.update(re.findall(r"\$\{env\.([^}]*)\}", found))
    return secrets_of(os.environ, names).masked(text)


def _never_fail_to_encode(stream: TextIO) -> None:
    """Let characters that the terminal's encoding lacks appear escaped instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _let_it_end() -> None:
    """Ignore further signals: the process is ending, and another one would only add noise."""
    import signal  # noqa: PLC0415 - only when interrupted

    for number in (signal.SIGINT, signal.SIGTERM):
        try:  # noqa: SIM105 - contextlib costs start-up time
            signal.signal(number, signal.SIG_IGN)
        except ValueError:  # not in the main thread: nobody signals it
            pass


def _flush() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()


def _discard_output() -> None:
    """Point stdout nowhere, so that the interpreter does not complain of a reader that left."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # stdout is no file: nothing to redirect
        return
    finally:
        os.close(nowhere)
