"""Ctrl-C and SIGTERM: the first lets an apply finish what is under way, the second leaves at once.

While nothing is being written, the first one leaves at once too.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from reconciler.execute.stop import Stop
from reconciler.render.words import count

__all__ = ["run_until_stopped"]

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_until_stopped(work: Coroutine[Any, Any, T], stop: Stop, *, say: Callable[[str], None]) -> T:
    """Run a coroutine to its end.

    Args:
        say: is given what the person who pressed Ctrl-C should know.

    Raises:
        KeyboardInterrupt: it was left; what a service has accepted goes on there.
    """
    try:
        return asyncio.run(_until_stopped(work, stop, say))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _until_stopped(work: Coroutine[Any, Any, T], stop: Stop, say: Callable[[str], None]) -> T:
    task = asyncio.ensure_future(work)

    def interrupted() -> None:
        if stop.executing and not stop.requested:
            stop.requested = True
            say(
                f"\nInterrupted: nothing more is started; waiting for "
                f"{count(stop.under_way, 'action')} under way. Once more to leave at once.\n"
            )
        else:
            task.cancel()

    with _on_signals(interrupted):
        return await task


@contextlib.contextmanager
def _on_signals(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` on each signal; where the platform cannot, Python raises as it always does."""
    loop = asyncio.get_running_loop()
    taken: list[signal.Signals] = []
    for number in _SIGNALS:
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, act)
            taken.append(number)
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)
