"""Branches and directories that bindings want made in Azure Repos."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.live.models import LiveBinding
from reconciler.plan.actions import CreateBranch

from .world import (
    MAIN,
    before,
    bound,
    codes,
    incoming,
    kinds,
    local,
    only,
    plan,
    snapshot,
    unbound,
    workspace,
    workspaces,
)

BRANCH, DIRECTORY = "repository.branch.create", "repository.directory.create"
CONNECT, INIT, UPDATE, COMMIT = "git.connect", "git.initialize", "git.update", "git.commit"
AT = "repositories/Sales/r"
PLACE = "provider: AzureDevOps, organization: contoso, project: Sales, repository: r"
NO_BRANCH = {"branch_exists": False}
REPOSITORY = "azureDevOps: {organization: contoso, repositories: [{project: Sales, name: r, %s}]}\n"


def entry(name: str, branch: str, git: str = "") -> str:
    """Return a workspace bound to a branch of r."""
    return f"{{name: {name}, git: {{{PLACE}, branch: {branch}{git}}}}}"


def spec(*entries: str, head: str = "") -> str:
    """Return a spec of these workspaces."""
    return f"{head}workspaces: [{', '.join(entries)}]"


FEATURE = entry("A", "f", ", createBranchFrom: main")


def from_main(*, folders: int = 2, tip: str | None = "abc", **content: bool) -> LiveBinding:
    """Return no binding; the branch is missing, and main holds items at ``tip``."""
    return unbound(folders=folders, branch_exists=False, source_tip=tip, **content)


def one(live: LiveBinding, text: str = FEATURE, *, items: tuple[str, ...] = (), head: str = ""):
    """Plan one workspace A that is not bound yet."""
    parts = {"workspaces": {"A": workspace("A", items=items)}, "bindings": {"A": live}}
    return plan(spec(text, head=head), snapshot(**parts))


def test_missing_branch_is_made_from_the_named_one_before_the_connect():
    """A feature workspace is filled with what its branch is made from."""
    found = one(from_main())
    assert [BRANCH, CONNECT, INIT, UPDATE] == kinds(found)
    made = only(found, BRANCH)
    assert (f"{BRANCH}:{AT}#f", AT) == (made.id, made.address)
    assert {"source_commit": "abc"} == made.preconditions
    assert not made.after_unknown
    assert (made.id,) == only(found, CONNECT).depends_on
    assert "2 items" in only(found, UPDATE).reason.text


def test_branch_that_is_there_is_left_alone():
    """The word speaks of a missing branch only."""
    assert [CONNECT, INIT, UPDATE] == kinds(one(unbound(folders=2)))


def test_content_of_the_source_counts_as_content_of_the_new_branch():
    """Who wins the first sync is asked before anything is made."""
    found = one(from_main(), items=("n",))
    assert ["both_sides_have_content"] == codes(found)


def test_source_that_is_missing_is_an_error_that_names_it():
    """There is nothing to make the branch from."""
    found = one(from_main(tip=None))
    assert ["git_target_missing"] == codes(found)
    assert "no branch main in r to make f from" in found.diagnostics[0].summary
    assert [] == kinds(found)


def test_missing_directory_is_made_by_a_commit_on_the_tip_that_was_seen():
    """The first commit of a workspace needs a directory to go to."""
    live = unbound(directory_exists=False, tip="abc")
    found = one(live, entry("A", "main", ", directory: /a, createDirectory: true"), items=("n",))
    assert [DIRECTORY, CONNECT, INIT, COMMIT] == kinds(found)
    assert {"branch_tip": "abc"} == only(found, DIRECTORY).preconditions


def test_directory_is_made_on_the_branch_that_is_made_first():
    """Branch before directory before connect, and the directory goes on the copied commit."""
    git = ", directory: /a, createBranchFrom: main, createDirectory: true"
    found = one(from_main(folders=0, directory_exists=False), entry("A", "f", git))
    assert [BRANCH, DIRECTORY, CONNECT, INIT] == kinds(found)
    assert [1, 2, 3, 4] == [a.wave for a in found.actions]
    assert {"branch_tip": "abc"} == only(found, DIRECTORY).preconditions


def test_directory_of_an_empty_repository_is_its_first_commit():
    """A repository without a commit gets its branch with the directory."""
    live = unbound(branch_exists=False, directory_exists=False, empty=True)
    found = one(live, entry("A", "main", ", createDirectory: true"), items=("n",))
    assert [DIRECTORY, CONNECT, INIT, COMMIT] == kinds(found)
    assert {"branch_tip": None} == only(found, DIRECTORY).preconditions
    assert "no commit yet" in only(found, DIRECTORY).reason.text


def test_directory_alone_makes_no_branch_beside_others():
    """A missing branch of a repository with content may be a misspelt one."""
    live = unbound(branch_exists=False, directory_exists=False)
    found = one(live, entry("A", "mian", ", createDirectory: true"))
    assert (["git_target_missing"], []) == (codes(found), kinds(found))
    assert "createBranchFrom" in found.diagnostics[0].detail


def test_new_repository_is_known_to_be_empty():
    """Nothing fills a repository that is only created, so the first sync is known."""
    live = unbound(repository_exists=False)
    text = entry("A", "main", ", directory: /a, createDirectory: true")
    found = one(live, text, items=("n",), head=REPOSITORY % "create: true")
    assert ["repository.create", DIRECTORY, CONNECT, INIT, COMMIT] == kinds(found)
    assert not only(found, DIRECTORY).after_unknown
    assert 1 == len(only(found, INIT).outcomes)


def test_branch_of_an_imported_repository_is_settled_when_the_import_is_done():
    """What the import brings is not known, so the outcomes are named."""
    imported = "create: true, import: {url: 'https://github.com/o/r.git'}"
    text = entry("A", "f", ", createBranchFrom: main, createDirectory: true, directory: /a")
    found = one(unbound(repository_exists=False), text, head=REPOSITORY % imported)
    expected = ["repository.create", "repository.import", BRANCH, DIRECTORY, CONNECT, INIT, UPDATE]
    assert expected == kinds(found)
    assert [True, True] == [only(found, k).after_unknown for k in (BRANCH, DIRECTORY)]
    assert {} == only(found, BRANCH).preconditions
    assert "refused: no branch main" in only(found, BRANCH).outcomes
    assert only(found, "repository.import").id in before(found, only(found, BRANCH))


def test_place_that_cannot_be_read_is_warned_of_and_nothing_is_made():
    """Unreadable is never absent."""
    found = one(unbound(folders=None))
    assert ["git_target_unseen"] == codes(found)
    assert [CONNECT, INIT, UPDATE] == kinds(found)


def two(first: str, second: str, **bindings: LiveBinding):
    """Plan the workspaces A and B, both empty and not bound."""
    live = snapshot(workspaces=workspaces("A", "B", items=()), bindings=bindings)
    return plan(spec(first, second), live)


@pytest.mark.parametrize("second", [", createBranchFrom: main", ""])
def test_branch_two_workspaces_share_is_made_once(second):
    """Both wait for the one action, also where only one of them says how to make it."""
    seen = from_main() if second else unbound(branch_exists=False, directory_exists=False)
    found = two(entry("B", "f", second), FEATURE, A=from_main(), B=seen)
    assert 1 == kinds(found).count(BRANCH)
    connects = [a for a in found.actions if a.kind == CONNECT]
    assert 2 == len(connects)
    assert all(only(found, BRANCH).id in before(found, c) for c in connects)
    assert [] == codes(found)


def test_branch_is_made_from_one_that_this_plan_makes():
    """The order in the spec does not matter; what the second holds shows later."""
    second = entry("B", "g", ", createBranchFrom: f")
    found = two(second, FEATURE, A=from_main(), B=from_main(tip=None))
    first, after = (a for a in found.actions if a.kind == BRANCH)
    assert isinstance(after.op, CreateBranch)
    assert ("f", True, (first.id,)) == (after.op.source, after.after_unknown, after.depends_on)


def test_branches_made_from_each_other_are_refused():
    """Neither can be first."""
    a, b = entry("A", "f", ", createBranchFrom: g"), entry("B", "g", ", createBranchFrom: f")
    found = two(a, b, A=from_main(tip=None), B=from_main(tip=None))
    assert ["git_target_missing"] * 2 == codes(found)


def beside_main(main: LiveBinding, feature: LiveBinding, text: str = FEATURE, git: str = ""):
    """Plan A beside B, which is bound to main."""
    live = snapshot(workspaces=workspaces("A", "B", items=()), bindings={"A": feature, "B": main})
    return plan(spec(text, entry("B", "main", git)), live)


def test_commits_to_the_source_come_after_the_copy():
    """The branch is made from the commit the plan saw."""
    found = beside_main(bound(local("n")), from_main(), git=", sync: {direction: commit}")
    assert only(found, BRANCH).id in before(found, only(found, COMMIT))


def test_push_that_makes_a_directory_comes_before_others_look_at_the_branch():
    """An update goes to the tip that the placeholder leaves, which nobody knows yet."""
    text = entry("A", "main", ", directory: /a, createDirectory: true")
    found = beside_main(bound(incoming("n")), unbound(directory_exists=False, tip="tip"), text)
    update = only(found, UPDATE, "workspaces/B")
    assert only(found, DIRECTORY).id in before(found, update)
    assert {"workspace_head": "head"} == update.preconditions


def test_second_directory_of_a_branch_is_made_after_the_first():
    """Two pushes to one branch never race; the second builds on what the first leaves."""
    live = unbound(directory_exists=False, tip="abc")
    found = two(
        entry("A", "main", ", directory: /a, createDirectory: true"),
        entry("B", "main", ", directory: /b, createDirectory: true"),
        A=live,
        B=live,
    )
    first, second = (a for a in found.actions if a.kind == DIRECTORY)
    assert (first.id,) == second.depends_on
    assert ({"branch_tip": "abc"}, {}) == (first.preconditions, second.preconditions)


def test_switch_waits_for_the_branch_it_goes_to():
    """The target is seen, through its source, before anything is disconnected."""
    live = replace(bound(target=replace(MAIN, branch="old")), content=from_main().content)
    found = one(live, entry("A", "f", ", createBranchFrom: main, initialize: PreferRemote"))
    assert [BRANCH, "git.switch", UPDATE] == kinds(found)
    assert (only(found, BRANCH).id,) == only(found, "git.switch").depends_on
