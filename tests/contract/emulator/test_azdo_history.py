"""Azure DevOps: filters on commits, how far branches are apart, and zips."""

import io
import zipfile

import pytest

VERSION = {"api-version": "7.1"}


@pytest.fixture
async def url(loaded, http, git, tmp_path) -> str:
    """A repository with two authors, a merged branch, a tag and a deleted file.

    main: 1 (a) - 2 (b, by Bea) - 5 merge of side - 6 (b is deleted); side: 1 - 3 (c) - 4 (a).
    """
    root = f"{loaded.urls.devops_url}/contoso/Sales/_apis/git/repositories"
    remote = (await http.get(f"{root}/empty")).json()["webUrl"]
    remote = remote.replace("://", f"://any:{loaded.token}@")
    await git("init", "-q", "-b", "main", "work")
    work = tmp_path / "work"

    async def commit(message, path, text, author="Ann <ann@example.invalid>"):
        day = f"2026-03-0{message} 12:00 +0000"
        if text is None:
            (work / path).unlink()
        else:
            (work / path).parent.mkdir(exist_ok=True)
            (work / path).write_text(text)
        await git("add", "-A", cwd=work)
        await git("commit", "-q", "-m", message, "--author", author, "--date", day, cwd=work)

    await commit("1", "folder/a", "1")
    await git("checkout", "-q", "-b", "side", cwd=work)
    await commit("3", "c", "3")
    await commit("4", "folder/a", "4")
    await git("checkout", "-q", "main", cwd=work)
    await commit("2", "b", "2", "Bea <bea@example.invalid>")
    await git("merge", "-q", "--no-ff", "-m", "5", "side", cwd=work)
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    await commit("6", "b", None)
    await git("tag", "v1", "HEAD~1", cwd=work)
    await git("push", "-q", remote, "main", "side", "v1", cwd=work)
    return f"{root}/empty"


async def comments(http, url, **criteria):
    """The comments of the commits that a search finds, newest first."""
    query = {name.replace("_", "."): value for name, value in criteria.items()}
    query = {f"searchCriteria.{name}": value for name, value in query.items()}
    answer = await http.get(f"{url}/commits", params={**VERSION, **query})
    assert 200 == answer.status_code, answer.text
    return [commit["comment"] for commit in answer.json()["value"]]


async def ids(http, url):
    """Commit ids by comment."""
    found = (await http.get(f"{url}/commits", params=VERSION)).json()["value"]
    return {commit["comment"]: commit["commitId"] for commit in found}


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"author": "BEA"}, {"2"}),
        ({"author": "ann@example"}, {"1", "3", "4", "6"}),
        ({"user": "test@EXAMPLE"}, {"1", "2", "3", "4", "5", "6"}),
        ({"user": "bea"}, set()),
        ({"itemPath": "/folder/a"}, {"1", "4"}),
        ({"itemPath": "/folder"}, {"1", "4"}),
        ({"itemPath": "b"}, {"2", "6"}),
        ({"itemPath": "/b", "excludeDeletes": "true"}, {"2"}),
        ({"itemPath": "/c", "historyMode": "firstParent"}, {"5"}),
        ({"itemPath": "/c", "historyMode": "fullHistory"}, {"3"}),
        ({"itemVersion_version": "side"}, {"1", "3", "4"}),
        (
            {"itemVersion_version": "v1", "itemVersion_versionType": "tag"},
            {"1", "2", "3", "4", "5"},
        ),
        (
            {"itemVersion_version": "main", "itemVersion_versionOptions": "firstParent"},
            {"1", "2", "3", "4", "5"},
        ),
        ({"itemVersion_version": "side", "compareVersion_version": "main"}, {"2", "5", "6"}),
        ({"itemVersion_version": "main", "compareVersion_version": "side"}, set()),
        ({"fromDate": "2099-01-01"}, set()),
        ({"toDate": "6/14/2018 12:00:00 AM"}, set()),
        ({"toDate": "2099-01-01T00:00:00Z"}, {"1", "2", "3", "4", "5", "6"}),
        ({"fromCommitId": "g"}, set()),
        ({"toCommitId": "f" * 40}, {"1", "2", "3", "4", "5", "6"}),
    ],
)
async def test_commits_are_found_by_every_documented_criterion(http, url, criteria, expected):
    """Guards each filter on a history with a merge, two authors and a deleted file."""
    assert expected == set(await comments(http, url, **criteria))


async def test_commits_are_paged_ordered_and_found_by_id(http, url):
    """Guards top and skip with and without the prefix, the oldest first, and exact ids."""
    everything = await comments(http, url)
    assert everything[1:3] == await comments(http, url, **{"$top": 2, "$skip": 1})
    plain = await http.get(f"{url}/commits", params={**VERSION, "$top": "1"})
    assert ["6"] == [commit["comment"] for commit in plain.json()["value"]]
    assert everything[::-1] == await comments(http, url, showOldestCommitsFirst="true")
    known = await ids(http, url)
    chosen = f"{known['3']},{known['1']}"
    assert ["3", "1"] == await comments(http, url, ids=chosen)
    for query in ({"$top": "x"}, {"$skip": "-1"}, {"fromDate": "soon"}, {"historyMode": "x"}):
        name, value = next(iter(query.items()))
        answer = await http.get(f"{url}/commits", params={f"searchCriteria.{name}": value})
        assert 400 == answer.status_code, query
    assert 404 == (await http.get(f"{url}/commits", params={"ids": "0" * 40})).status_code


async def test_a_commit_tells_its_changes_and_its_push(http, url):
    """Guards treeId, changeCount, links, and the commits of one push."""
    known = await ids(http, url)
    one = f"{url}/commits/{known['6']}"
    assert "changes" not in (await http.get(one, params=VERSION)).json()
    body = (await http.get(one, params={**VERSION, "changeCount": "1"})).json()
    assert {"Add": 1, "Delete": 1} == body["changeCounts"]
    assert [("/b", "delete")] == [(c["item"]["path"], c["changeType"]) for c in body["changes"]]
    assert body["treeId"] in body["_links"]["tree"]["href"]
    assert ("Ann", "Test") == (body["author"]["name"], body["committer"]["name"])
    assert body["author"]["date"].startswith("2026-03-06T12:00:00")
    change = {
        "changeType": "add",
        "item": {"path": "/new"},
        "newContent": {"content": "x", "contentType": "rawtext"},
    }
    pushed = await http.post(
        f"{url}/pushes",
        params=VERSION,
        json={
            "refUpdates": [{"name": "refs/heads/main", "oldObjectId": known["6"]}],
            "commits": [{"comment": "7", "changes": [change]}],
        },
    )
    number = pushed.json()["pushId"]
    listed = await http.get(f"{url}/commits", params={**VERSION, "pushId": number})
    assert ["7"] == [commit["comment"] for commit in listed.json()["value"]]
    query = {**VERSION, "searchCriteria.includePushData": "true", "searchCriteria.$top": "2"}
    found = (await http.get(f"{url}/commits", params=query)).json()["value"]
    assert [number, None] == [commit.get("push", {}).get("pushId") for commit in found]
    assert [] == (await http.get(f"{url}/commits", params={"pushId": "99"})).json()["value"]


async def test_branches_say_how_far_they_are_from_the_base(http, url):
    """Guards the default base, one branch, another base, and what is not there."""
    stats = f"{url}/stats/branches"
    found = (await http.get(stats, params=VERSION)).json()["value"]
    assert [("main", 0, 0, True), ("side", 0, 3, False)] == [
        (one["name"], one["aheadCount"], one["behindCount"], one["isBaseVersion"]) for one in found
    ]
    query = {**VERSION, "name": "main", "baseVersionDescriptor.version": "side"}
    one = (await http.get(stats, params=query)).json()
    assert (3, 0, False, "6") == (
        one["aheadCount"],
        one["behindCount"],
        one["isBaseVersion"],
        one["commit"]["comment"],
    )
    tag = {"baseVersionDescriptor.version": "v1", "baseVersionDescriptor.versionType": "tag"}
    against = (await http.get(stats, params={**VERSION, **tag})).json()["value"]
    assert [(1, 0), (0, 2)] == [(one["aheadCount"], one["behindCount"]) for one in against]
    assert 404 == (await http.get(stats, params={**VERSION, "name": "gone"})).status_code


async def test_an_empty_repository_has_no_statistics(loaded, http):
    """Guards the list without branches."""
    root = f"{loaded.urls.devops_url}/contoso/Sales/_apis/git/repositories/empty"
    found = await http.get(f"{root}/stats/branches", params=VERSION)
    assert {"value": [], "count": 0} == found.json()


@pytest.mark.parametrize(
    ("query", "accept", "names"),
    [
        ({"$format": "zip"}, "application/json", ["c", "folder/a", "run.sh"]),
        ({"scopePath": "/folder"}, "application/zip", ["folder/a"]),
        ({"path": "/folder/a", "$format": "zip"}, "*/*", ["a"]),
        ({"scopePath": "/", "versionDescriptor.version": "side"}, "application/zip",
         ["c", "folder/a"]),
    ],
)  # fmt: skip
async def test_items_come_as_a_zip(http, url, query, accept, names):
    """Guards the format by query and by header; a zip is always a download."""
    answer = await http.get(f"{url}/items", params={**VERSION, **query}, headers={"Accept": accept})
    assert "application/zip" == answer.headers["Content-Type"]
    assert answer.headers["Content-Disposition"].startswith("attachment")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert names == archive.namelist()
        assert b"4" == archive.read(names[-1] if len(names) < 3 else "folder/a")


@pytest.mark.parametrize(("flag", "mode"), [("true", 0o100755), ("false", 0o600)])
async def test_a_zip_for_unix_keeps_executables(http, url, flag, mode):
    """Guards zipForUnix."""
    query = {**VERSION, "$format": "zip", "zipForUnix": flag}
    answer = await http.get(f"{url}/items", params=query)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert mode == archive.getinfo("run.sh").external_attr >> 16


async def test_an_item_names_the_commit_that_changed_it_last(http, url):
    """Guards latestProcessedChange and the two version options."""
    query = {**VERSION, "path": "/folder/a", "latestProcessedChange": "true"}
    item = (await http.get(f"{url}/items", params=query)).json()
    assert "4" == item["latestProcessedChange"]["comment"]
    known = await ids(http, url)
    for option, comment in (("previousChange", "1"), ("firstParent", "5")):
        options = {"versionDescriptor.versionOptions": option}
        item = await http.get(f"{url}/items", params={**query, **options})
        assert known[comment] == item.json()["commitId"]
    options = {
        "versionDescriptor.versionOptions": "firstParent",
        "versionDescriptor.version": known["1"],
        "versionDescriptor.versionType": "commit",
    }
    assert 404 == (await http.get(f"{url}/items", params={**VERSION, **options})).status_code
    options["versionDescriptor.versionOptions"] = "grandparent"
    assert 400 == (await http.get(f"{url}/items", params={**VERSION, **options})).status_code
