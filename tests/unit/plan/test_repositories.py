"""Repositories: what is created, imported, retried, abandoned, and what is refused."""

from __future__ import annotations

import pytest

from reconciler.live.models import LiveImport, LiveRepository

from .world import codes, kinds, only, plan, snapshot

URL = "https://github.com/contoso/source.git"


def spec(*, fields: str = "", source: str = "") -> str:
    """Return a spec with one repository that is imported."""
    return f"""
    azureDevOps:
      organization: contoso
      repositories:
        - {{project: Sales, name: r, create: true{fields}, import: {{url: "{URL}"{source}}}}}
    """


def request(status: str, url: str = URL, number: int = 7) -> LiveImport:
    """Return an import request."""
    return LiveImport(number, status, url, "TF401019" if status == "failed" else "")


def live(*imports: LiveImport, **fields: object) -> LiveRepository:
    """Return an empty repository with these import requests."""
    return LiveRepository(
        **{"project_id": "p", "id": "r-1", "name": "r", "imports": imports} | fields
    )  # type: ignore[arg-type]


OTHER = "https://github.com/contoso/other.git"
INLINE = ', credentials: {username: x, password: "${env.PAT}"}'
NAMED = ", credentials: {serviceEndpoint: imp}"
CREATE, IMPORT = "repository.create", "repository.import"
RETRY, ABANDON = "repository.import.retry", "repository.import.abandon"

TABLE = {
    "missing": (live(id=None), "", [CREATE, IMPORT], []),
    "missing from the snapshot": (None, "", [CREATE, IMPORT], []),
    "empty, never imported": (live(), "", [IMPORT], []),
    "empty, import abandoned": (live(request("abandoned")), "", [IMPORT], []),
    "import queued": (live(request("queued")), "", [IMPORT], []),
    "import in progress, refs arriving": (
        live(request("inprogress"), empty=False),
        "",
        [IMPORT],
        [],
    ),
    "other import running": (live(request("queued", OTHER)), "", [], ["import_running"]),
    "imported": (live(request("completed"), empty=False), "", [], []),
    "imported, other spelling of the URL": (
        live(request("completed", "https://GitHub.com/contoso/source/"), empty=False),
        "",
        [],
        [],
    ),
    "imported from another path case": (
        live(request("completed", "https://github.com/contoso/Source.git"), empty=False),
        "",
        [],
        ["repository_not_empty"],
    ),
    "content from elsewhere": (live(empty=False), "", [], ["repository_not_empty"]),
    "content from elsewhere, adopted": (live(empty=False), ", adopt: true", [], []),
    "failed, public": (live(request("failed")), "", [RETRY], []),
    "failed, replace": (live(request("failed")), ", onFailure: replace", [ABANDON, IMPORT], []),
    "failed, fail": (live(request("failed")), ", onFailure: fail", [], ["import_failed"]),
    "failed, inline credentials": (live(request("failed")), INLINE, [ABANDON, IMPORT], []),
    "failed, named endpoint": (live(request("failed"), endpoint_id="e"), NAMED, [RETRY], []),
    "failed from another source": (live(request("failed", OTHER)), "", [ABANDON, IMPORT], []),
    "failed, older than a completed one": (
        live(request("failed", number=3), request("completed", number=5), empty=False),
        "",
        [],
        [],
    ),
    "endpoint missing": (live(), NAMED, [], ["endpoint_missing"]),
    "endpoint gone while its import runs": (live(request("queued")), NAMED, [IMPORT], []),
    "disabled": (live(disabled=True), "", [], ["repository_disabled"]),
    "project missing": (live(id=None, project_exists=False), "", [], ["project_missing"]),
}


@pytest.mark.parametrize("name", TABLE)
def test_an_import_is_planned_from_the_newest_request(name):
    """Every state of a repository leads to the steps of the reference, or to a refusal."""
    repository, source, expected, errors = TABLE[name]
    found = plan(
        spec(source=source),
        snapshot(repositories={} if repository is None else {"r": repository}),
    )
    assert expected == kinds(found)
    assert errors == codes(found)


def test_running_import_is_attached_to_and_not_asked_for_again():
    """An import under way is waited for; a second request would be refused."""
    found = plan(spec(), snapshot(repositories={"r": live(request("queued"))}))
    assert only(found, IMPORT).op.attach is True


def test_retry_is_conditional_on_the_request_it_saw():
    """The retry names the request and the status it was planned from."""
    found = plan(spec(), snapshot(repositories={"r": live(request("failed"))}))
    assert {"import_request_id": 7, "import_status": "failed"} == only(found, RETRY).preconditions


def test_abandon_comes_before_the_import_that_replaces_it():
    """A failed request counts as active until it is abandoned."""
    found = plan(spec(source=INLINE), snapshot(repositories={"r": live(request("failed"))}))
    assert (only(found, ABANDON).id,) == only(found, IMPORT).depends_on


def test_outcome_of_an_import_is_not_known_before():
    """The commit an import brings cannot be announced."""
    action = only(plan(spec(), snapshot(repositories={"r": live()})), IMPORT)
    assert action.after_unknown
    assert 2 == len(action.outcomes)


def test_secret_of_an_import_never_stands_in_the_plan():
    """A plan says that there is a secret, not where it is in the environment of the request."""
    found = plan(spec(source=INLINE), snapshot(repositories={"r": live()}))
    assert "inline" == only(found, IMPORT).op.credentials
    assert "(sensitive)" == only(found, IMPORT).changes[0].after


BRANCH = ", defaultBranch: dev"
DEFAULTS = {
    "differs": (
        live(request("completed"), empty=False, default_branch="main"),
        "default_branch_differs",
    ),
    "not set": (live(request("completed"), empty=False), "default_branch_differs"),
    "after import": (live(), "default_branch_after_import"),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_default_branch_is_set_when_it_differs_and_after_an_import(name):
    """The service picks a default branch by its own rule, so it is set explicitly."""
    repository, reason = DEFAULTS[name]
    found = plan(spec(fields=BRANCH), snapshot(repositories={"r": repository}))
    assert reason == only(found, "repository.update").reason.code


def test_equal_default_branch_needs_nothing():
    """A default branch that is as wanted is left alone."""
    repository = live(request("completed"), empty=False, default_branch="dev")
    assert [] == kinds(plan(spec(fields=BRANCH), snapshot(repositories={"r": repository})))


def test_default_branch_that_does_not_exist_is_an_error():
    """A branch the repository does not have cannot become its default."""
    repository = live(request("completed"), empty=False, wanted_branch_exists=False)
    found = plan(spec(fields=BRANCH), snapshot(repositories={"r": repository}))
    assert ["default_branch_missing"] == codes(found)
    assert not found.applyable


def test_missing_repository_without_create_is_an_error():
    """Nothing is created that the spec does not ask for."""
    text = "azureDevOps: {organization: contoso, repositories: [{project: Sales, name: r}]}"
    found = plan(text, snapshot(repositories={"r": live(id=None)}))
    assert ["repository_missing"] == codes(found)


def test_unreadable_repository_is_unknown_and_so_is_what_is_bound_to_it():
    """A failed read is no absence: neither the repository nor the binding is planned on."""
    text = (
        spec()
        + """
    workspaces:
      - {name: A, capacity: F8, create: true, git: {provider: AzureDevOps, project: Sales, repository: R, branch: main}}
    """
    )
    found = plan(text, snapshot(unreadable=("repositories/Sales/r",)))
    assert ["workspace.create"] == kinds(found)
    assert ("repositories/Sales/r", "workspaces/A/git") == found.unknown
    assert not found.complete
