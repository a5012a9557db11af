"""What names a run, in its journal and in its lock. Imports none of the journal's records."""

from __future__ import annotations

import secrets

__all__ = ["new_run_id"]


def new_run_id() -> str:
    """Return an id for a run: 12 hexadecimal digits, random."""
    return secrets.token_hex(6)
