"""``reconciler emulator``: the local stand-in for Fabric and Azure DevOps.

The emulator needs libraries that the reconciler itself does without.
"""

from __future__ import annotations

from argparse import Namespace

from reconciler.errors import ReconcilerError

__all__ = ["missing_extra", "run"]

_EXTRA = frozenset({"cryptography", "jwt", "pygit2", "trustme"})


def run(args: Namespace) -> int:
    """Run the emulator until it is interrupted."""
    try:
        from reconciler.emulator.options import EmulatorOptions  # noqa: PLC0415 - optional extra
        from reconciler.emulator.server import main  # noqa: PLC0415 - optional extra

        # Inside as well: TLS and Entra load their libraries when they are first needed.
        return main(
            EmulatorOptions(
                port=args.port,
                data=args.data,
                scenario=args.scenario,
                ready_file=args.ready_file,
                speed=args.speed,
                auth=args.auth,
                tls=args.tls,
                proxy=args.proxy,
                seed=args.seed,
                latency_ms=args.latency,
            )
        )
    except ImportError as error:
        raise missing_extra(error) from error


def missing_extra(error: ImportError) -> Exception:
    """Return what to raise when the emulator cannot be imported."""
    if (error.name or "").partition(".")[0] not in _EXTRA:
        return error
    return ReconcilerError(
        f"the emulator needs {error.name}, which is not installed",
        remedy="pip install 'fabric-reconciler[emulator]'",
    )
