"""``--merge-preview`` and ``--merge-into``: what is merged into what, from flags and CI."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.errors import UsageError

if TYPE_CHECKING:  # only a preview looks at a checkout
    from reconciler.live.checkout import MergeRequest

__all__ = ["merge_request_of"]

# What names a pull request's target: GitHub Actions, Azure Pipelines. Source: their docs.
_TARGETS = ("GITHUB_BASE_REF", "SYSTEM_PULLREQUEST_TARGETBRANCH")


def merge_request_of(args: Namespace, environ: Mapping[str, str]) -> MergeRequest | None:
    """Return the merge a plan should look ahead to, None for what is there now.

    Raises:
        UsageError: a flag makes no sense, or nothing names the branch that is merged into.
    """
    revision, into = args.merge_preview, args.merge_into
    if revision is None:
        if into is not None:
            raise UsageError(
                "argument --merge-into: nothing is to be merged",
                remedy="add --merge-preview, or leave --merge-into out",
            )
        return None
    if not revision or revision.startswith("-") or not revision.isprintable():
        raise UsageError(
            "argument --merge-preview: expected a branch, tag or commit",
            remedy="leave REV out for HEAD, or write --merge-preview=REV",
        )
    given = into if into is not None else next(filter(None, map(environ.get, _TARGETS)), "")
    branch = given.removeprefix("refs/heads/")
    if not branch:
        raise UsageError(
            "argument --merge-preview: no branch is named to merge into",
            remedy=f"add --merge-into BRANCH; in CI {' or '.join(_TARGETS)} tells it",
        )
    from reconciler.live.checkout import MergeRequest  # noqa: PLC0415 - only for a preview

    return MergeRequest(revision, branch, Path.cwd())
