"""Ignore rules: which addresses and items they reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.diff.ignore import NOTHING_IGNORED, IgnoredPath, IgnoreRules, pattern_matches
from reconciler.ids import address
from reconciler.live.scope import name_matches
from reconciler.spec.models import IgnoreRule, ItemPattern

PATTERNS = [
    ("workspaces/A/git", "workspaces/*/git", True),
    ("workspaces/A/B/git", "workspaces/*/git", False),
    (r"workspaces/A\/B/git", "workspaces/*/git", True),
    ("workspaces/A", "workspaces/*/git", False),
    ("workspaces/Sales Dev/git", "workspaces/Sales */git", True),
    ("workspaces/sales dev/git", "workspaces/Sales */git", False),
    ("pipelines/S/deployments/A:B", "pipelines/**", True),
    ("pipelines/S", "pipelines/**", True),
    ("pipelines", "pipelines/**", True),
    ("pipelines/S/stages/A", "pipelines/**/stages/?", True),
    ("pipelines/stages/A", "pipelines/**/stages/?", True),
    ("pipelines/S/stages/AB", "pipelines/**/stages/?", False),
    ("workspaces/A", "**", True),
    ("workspaces/A [old]", "workspaces/A [old]", True),
    ("workspaces/A o", "workspaces/A [old]", False),
    ("workspaces/A/git", "workspaces/A", False),
    ("a/b/c/d", "**/b/**/d", True),
    ("a/c/d", "**/b/**/d", False),
]


@pytest.mark.parametrize(("where", "pattern", "expected"), PATTERNS)
def test_address_patterns_reach_as_far_as_their_stars(where, pattern, expected):
    """One star stays within a part, two cross parts."""
    assert expected is pattern_matches(where, pattern)


@given(
    st.lists(st.text(min_size=1).filter(lambda t: not set(t) & set("*?")), min_size=1, max_size=5)
)
def test_every_address_matches_itself(parts):
    """Names without stars mean themselves, whatever they hold."""
    assert pattern_matches(address(*parts), address(*parts))


@given(
    st.lists(st.sampled_from(["**", "a", "*"]), max_size=12), st.lists(st.just("a"), max_size=12)
)
def test_many_stars_end_in_no_time(pattern, parts):
    """A pattern costs its length times the address's, not more."""
    fixed = sum(p != "**" for p in pattern)
    joined = "/".join(pattern)
    expected = len(parts) == fixed or (len(parts) >= fixed and "**" in pattern)
    if pattern and parts:
        assert expected is pattern_matches("/".join(parts), joined)


@given(st.text(alphabet="ab[]!-^", min_size=1))
def test_brackets_in_names_stand_for_themselves(name):
    """Names are not sets of letters."""
    assert name_matches(name, name)


def test_rules_without_items_or_path_cover_everything():
    """And only those."""
    at = "workspaces/A/git"
    bare = IgnoreRule(address=at)
    items = IgnoreRule(address=at, items=(ItemPattern(type="Report"),))
    path = IgnoreRule(address=at, path="f.json")
    assert IgnoreRules([bare]).at(at).everything
    assert IgnoreRules([items]).at(at).item("Report", "x")
    assert not IgnoreRules([items]).at(at).item("Notebook", "x")
    assert not IgnoreRules([path]).at(at).item("Report", "x")
    assert NOTHING_IGNORED is IgnoreRules([bare]).at("workspaces/B/git")


def test_path_of_a_rule_with_items_counts_for_those_items_only():
    """Items narrows path."""
    rule = IgnoreRule(address="**", path="f.json:/a", items=(ItemPattern(name="x"),))
    found = IgnoreRules([rule]).at("pipelines/S/deployments/A:B")
    assert 1 == len(found.paths_in("Report", "x"))
    assert () == found.paths_in("Report", "y")


POINTERS = [
    ("f.json", "f.json", ()),
    ("f.json:/a/b", "f.json", ("a", "b")),
    ("d/f.json:/a~1b/~0", "d/f.json", ("a/b", "~")),
    ("f.json:/", "f.json", ("",)),
]


@pytest.mark.parametrize(("text", "file", "tokens"), POINTERS)
def test_paths_are_a_file_and_a_json_pointer(text, file, tokens):
    """RFC 6901 after the first colon and slash."""
    found = IgnoredPath.parse(text)
    assert (file, tokens) == (found.file, found.tokens())
