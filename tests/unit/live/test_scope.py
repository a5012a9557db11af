"""Scopes of deployments, and where a binding points."""

from __future__ import annotations

import pytest

from reconciler.live.models import GitTarget, LiveStageItem
from reconciler.live.places import devops_root, devops_version, normal_directory, target_of
from reconciler.live.scope import ScopePattern, StageSide, in_scope, name_matches, pairs_to_read
from reconciler.spec.models import AzureDevOps, GitSpec

NAMES = [
    ("Ingest orders", "Ingest *", True),
    ("ingest orders", "Ingest *", False),
    ("a1", "a?", True),
    ("a12", "a?", False),
    ("Report [old]", "Report [old]", True),
    ("Report o", "Report [old]", False),
    ("[x", "[*", True),
    ("", "*", True),
]


@pytest.mark.parametrize(("name", "pattern", "expected"), NAMES)
def test_name_patterns_know_stars_and_question_marks_only(name, pattern, expected):
    """Case counts, brackets are letters."""
    assert expected is name_matches(name, pattern)


def test_exclude_wins_over_scope_and_children_are_never_in_it():
    """The service makes SQL endpoints itself."""
    anything = (ScopePattern(),)
    assert in_scope("Notebook", "a", None, ())
    assert not in_scope("Notebook", "a", anything, anything)
    assert not in_scope("Notebook", "a", (ScopePattern("Report"),), ())
    assert not in_scope("SQLEndpoint", "a", None, ())


def item(name: str, target: str | None = None) -> LiveStageItem:
    """Return an item of a stage."""
    return LiveStageItem(name, "Notebook", name, None, target, None)


def test_definitions_are_read_for_pairs_in_scope_only():
    """An edge to an item that is not there is no pair."""
    source = StageSide("s", (item("a", "x"), item("b", "gone"), item("c"), item("d", "y")))
    target = StageSide("t", (item("x"), item("y")))
    assert [("a", "x")] == pairs_to_read(source, target, None, (ScopePattern(name="d"),))


@pytest.mark.parametrize("written", [None, "", "/", "//"])
def test_root_directory_has_one_spelling(written):
    """The service answers an empty text for it."""
    assert "/" == normal_directory(written)


def test_directories_start_with_a_slash_and_end_without():
    """Both spellings name one directory."""
    assert "/a/b" == normal_directory("a/b/") == normal_directory("/a/b")


def test_targets_compare_as_the_provider_compares_names():
    """Organization, project, repository without case; branch and directory with it."""
    one = GitTarget("AzureDevOps", "R", "main", "/d", "Org", "P")
    assert one.key() == GitTarget("AzureDevOps", "r", "main", "/d", "ORG", "p").key()
    assert one.key() != GitTarget("AzureDevOps", "R", "Main", "/d", "Org", "P").key()
    assert one.key() != GitTarget("AzureDevOps", "R", "main", "/D", "Org", "P").key()
    assert one.key() != GitTarget("GitHub", "R", "main", "/d", owner="Org").key()
    assert "Org/P/R@main:/d" == one.describe()


def test_binding_of_the_spec_becomes_a_target():
    """A GitHub binding has an owner in place of organization and project."""
    git = GitSpec(provider="GitHub", owner="contoso", repository="r", branch="b", directory="/x")
    assert GitTarget("GitHub", "r", "b", "/x", owner="contoso") == target_of(git)


def test_roots_of_services_and_servers():
    """An organization is a path segment; a server's collection is the path of its URL."""
    server = AzureDevOps(url="https://tfs.contoso.com/tfs/Default", api_version="5.0")
    cloud = AzureDevOps(organization="Contoso Ltd", api_version="7.2")
    assert "/tfs/Default" == devops_root(server)
    assert "/Contoso%20Ltd" == devops_root(cloud)
    assert "7.2" == devops_version(cloud, "contoso ltd")
    assert "7.1" == devops_version(server, "contoso")
    assert "7.1" == devops_version(None, "contoso")
