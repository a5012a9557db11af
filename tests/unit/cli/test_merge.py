"""``--merge-preview``, ``--merge-into`` and ``--expect`` on the command line."""

from __future__ import annotations

from argparse import Namespace

import pytest

from reconciler.cli.merge import merge_request_of
from reconciler.errors import UsageError


def flags(revision=None, into=None):
    """Return the parsed flags."""
    return Namespace(merge_preview=revision, merge_into=into)


@pytest.mark.parametrize(
    ("into", "environ", "branch"),
    [
        ("main", {}, "main"),
        ("refs/heads/release/1", {}, "release/1"),
        ("main", {"GITHUB_BASE_REF": "other"}, "main"),
        (None, {"GITHUB_BASE_REF": "main"}, "main"),
        (None, {"SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/main"}, "main"),
        (
            None,
            {"GITHUB_BASE_REF": "", "SYSTEM_PULLREQUEST_TARGETBRANCH": "refs/heads/rel"},
            "rel",
        ),
    ],
)
def test_the_target_comes_from_the_flag_or_from_ci(into, environ, branch):
    """The flag wins; an empty variable is none, as on a push in GitHub Actions."""
    found = merge_request_of(flags("HEAD", into), environ)
    assert ("HEAD", branch) == (found.revision, found.into)


def test_without_the_flag_there_is_no_merge():
    """Whatever CI says."""
    assert None is merge_request_of(flags(), {"GITHUB_BASE_REF": "main"})


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["plan", "x", "--merge-into", "main"], "--merge-into: nothing is to be merged"),
        (["plan", "x", "--merge-preview=", "--merge-into", "main"], "expected a branch, tag"),
        (["plan", "x", "--merge-preview=--all", "--merge-into", "m"], "expected a branch, tag"),
        (["plan", "x", "--merge-preview"], "no branch is named to merge into"),
        (["plan", "x", "--merge-preview", "--merge-into", ""], "no branch is named"),
        (["plan", "--merge-preview", "x"], "SPEC"),
        (["drift", "x", "--merge-preview"], "unknown flag --merge-preview"),
        (["apply", "x", "--merge-preview"], "unknown flag --merge-preview"),
        (["plan", "x", "--expect", "f"], "unknown flag --expect"),
        (["apply", "x", "--expect"], "--expect: expected one argument"),
    ],
)
def test_wrong_usage_says_what_and_how(cli, monkeypatch, words, phrase):
    """Exit 64 before anything is read."""
    for name in ("GITHUB_BASE_REF", "SYSTEM_PULLREQUEST_TARGETBRANCH"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = cli(*words)
    assert 64 == code
    assert phrase in err
    assert "hint: " in err


def test_both_variables_are_named_where_neither_is_set():
    """Whoever runs it by hand learns what CI would have told."""
    with pytest.raises(UsageError) as refused:
        merge_request_of(flags("HEAD"), {})
    assert "GITHUB_BASE_REF or SYSTEM_PULLREQUEST_TARGETBRANCH" in refused.value.remedy
