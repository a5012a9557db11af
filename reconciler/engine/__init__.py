"""The composition root: joins spec, live, plan and execute, and knows no terminal.

Everything that talks to a service starts here; commands only parse, call, render and exit. The
names in ``__all__`` are imported on first use: a plan starts without what only an apply needs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.engine.adopting import Adopted, adopt
    from reconciler.engine.applying import apply_plan, apply_spec
    from reconciler.engine.checking import check_plan_file
    from reconciler.engine.locking import lock_place, locked
    from reconciler.engine.planning import estate_of, exit_code_of, load, make_plan
    from reconciler.engine.resuming import Takeover, take_over
    from reconciler.engine.services import look_at_operation
    from reconciler.engine.settings import Purpose, ReadFinished, ReadStarted, Settings

__all__ = [
    "Adopted",
    "Purpose",
    "ReadFinished",
    "ReadStarted",
    "Settings",
    "Takeover",
    "adopt",
    "apply_plan",
    "apply_spec",
    "check_plan_file",
    "estate_of",
    "exit_code_of",
    "load",
    "lock_place",
    "locked",
    "look_at_operation",
    "make_plan",
    "take_over",
]

_MODULES = {
    "adopting": ("Adopted", "adopt"),
    "applying": ("apply_plan", "apply_spec"),
    "checking": ("check_plan_file",),
    "locking": ("lock_place", "locked"),
    "planning": ("estate_of", "exit_code_of", "load", "make_plan"),
    "resuming": ("Takeover", "take_over"),
    "services": ("look_at_operation",),
    "settings": ("Purpose", "ReadFinished", "ReadStarted", "Settings"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found
