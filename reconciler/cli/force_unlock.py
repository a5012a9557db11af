"""``reconciler force-unlock``: end a lock that was left behind, after saying whose it is."""

from __future__ import annotations

import asyncio
import os
from argparse import Namespace

from reconciler import engine
from reconciler.cli.console import Console
from reconciler.errors import PlanRefused
from reconciler.locks.choose import LockPlace
from reconciler.locks.holder import LockHolder
from reconciler.render.terminal import escape

__all__ = ["run"]

_PROMPT = """
Do you want to end this lock? A run that still holds it stops before its next write.
  Only 'yes' is accepted to approve.

  Enter a value: """


def run(args: Namespace) -> int:
    """Find the lock, say whose it is, ask, and end it."""
    console = Console.of(args)
    place = engine.lock_place(args.lock, engine.Settings(environ=os.environ, auth=args.auth))
    holder = asyncio.run(place.find(args.id))
    whose = f"The estate {holder.estate} is locked by {holder.describe()}."
    if not console.quiet or not args.auto_approve:
        console.write(f"{escape(whose)}\n")
    if not args.auto_approve:
        _approve(console)
    return _end(place, holder, console)


def _approve(console: Console) -> None:
    if not console.can_ask():
        raise PlanRefused(
            "approval is missing: the input is no terminal, so nobody can be asked",
            remedy="see that the run is gone, then use --auto-approve",
        )
    if console.ask(_PROMPT) != "yes":
        raise PlanRefused("the lock was left as it is")


def _end(place: LockPlace, holder: LockHolder, console: Console) -> int:
    ended = asyncio.run(place.force_unlock(holder))
    name = escape(holder.estate)
    console.write(
        f"The lock of the estate {name} is removed.\n"
        if ended
        else f"The lock of the estate {name} had ended by itself; there was nothing to remove.\n"
    )
    return 0
