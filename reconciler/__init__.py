"""Reconciler: declarative GitOps for Microsoft Fabric's application lifecycle and Azure DevOps.

The names in ``__all__`` are the public API; everything else may change. They are imported on
first use, so that ``import reconciler`` and ``reconciler --help`` stay instant.
"""

from __future__ import annotations

import importlib

from reconciler._version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from reconciler.engine import (
        Settings,
        apply_plan,
        apply_spec,
        check_plan_file,
        exit_code_of,
        load,
        make_plan,
    )
    from reconciler.errors import ReconcilerError
    from reconciler.execute.events import ApplyResult
    from reconciler.plan.plan import Plan, load_plan

__all__ = [
    "ApplyResult",
    "Plan",
    "ReconcilerError",
    "Settings",
    "__version__",
    "apply_plan",
    "apply_spec",
    "check_plan_file",
    "exit_code_of",
    "load",
    "load_plan",
    "make_plan",
]

_HOMES = {
    "ApplyResult": "reconciler.execute.events",
    "Plan": "reconciler.plan.plan",
    "ReconcilerError": "reconciler.errors",
    "load_plan": "reconciler.plan.plan",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "reconciler.engine")), name)
