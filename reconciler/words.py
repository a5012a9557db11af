"""Numbers with their nouns, for every layer that writes a sentence."""

from __future__ import annotations

__all__ = ["count", "named_commit", "short_commit"]


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 update``, ``2 updates``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def short_commit(commit: str | None) -> str:
    """Return the first eight digits of a commit, or ``no commit``."""
    return commit[:8] if commit else "no commit"


def named_commit(revision: str, commit: str) -> str:
    """Return a revision with the commit it means: ``HEAD (1f2e3d4c)``; a commit id alone."""
    short = short_commit(commit)
    return short if commit.startswith(revision) else f"{revision} ({short})"
