"""Azure DevOps: imports from TFVC."""

import pytest

VERSION = {"api-version": "7.1"}


@pytest.fixture
async def imports(emulator, http, tmp_path) -> str:
    """The imports of an empty repository beside four changesets: 300, 100, 20 and 0 days old."""
    for number, files in enumerate(
        [{"Main/a.txt": "1"}, {"Main/b.txt": "2"}, {"Other/c.txt": "3"}, {"Main/a.txt": "4"}], 1
    ):
        for name, text in files.items():
            path = tmp_path / f"set{number}" / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
    tfvc = [
        {"content": "set1", "daysAgo": 300, "comment": "First", "author": "Ann Example"},
        {"content": "set2", "daysAgo": 100, "comment": "Second"},
        {"content": "set3", "daysAgo": 20, "comment": "Elsewhere"},
        {"content": "set4", "delete": ["Main/b.txt"], "comment": "Last"},
    ]
    scenario = {
        "azureDevOps": [
            {
                "organization": "contoso",
                "projects": [{"name": "Sales", "tfvc": tfvc}, {"name": "B"}],
            }
        ],
        "base": str(tmp_path),
    }
    answer = await http.post(f"{emulator.urls.control_url}/scenario", json=scenario)
    assert 200 == answer.status_code, answer.text
    root = f"{emulator.urls.devops_url}/contoso/B/_apis/git/repositories/B"
    return f"{root}/importRequests"


async def start(http, imports, **source):
    """Ask for an import of a folder."""
    body = {"parameters": {"tfvcSource": {"path": "$/Sales/Main", **source}}}
    return await http.post(imports, json=body, params=VERSION)


async def history(http, imports):
    """Message and paths of each commit, oldest first."""
    base = imports.removesuffix("/importRequests")
    found = []
    for commit in reversed((await http.get(f"{base}/commits", params=VERSION)).json()["value"]):
        query = {
            "recursionLevel": "full",
            "versionDescriptor.version": commit["commitId"],
            "versionDescriptor.versionType": "commit",
        }
        items = (await http.get(f"{base}/items", params=query)).json()["value"]
        found.append((commit["comment"], [item["path"] for item in items[1:]]))
    return found


async def test_a_folder_comes_as_it_is_without_history(http, imports):
    """Guards the first documented way: one commit, which names where the history is."""
    made = await start(http, imports)
    assert 201 == made.status_code
    assert {
        "tfvcSource": {
            "path": "$/Sales/Main",
            "importHistory": False,
            "importHistoryDurationInDays": 0,
        },
        "gitSource": None,
    } == made.json()["parameters"]
    done = (await http.get(f"{imports}/{made.json()['importRequestId']}", params=VERSION)).json()
    assert ("completed", 6) == (done["status"], done["detailedStatus"]["currentStep"])
    ((message, paths),) = await history(http, imports)
    assert ["/a.txt"] == paths
    assert message.startswith("Last\n\nMigrated from ")
    assert message.endswith("/contoso/Sales/_versionControl?path=%24%2FSales%2FMain&version=C4")
    base = imports.removesuffix("/importRequests")
    assert "refs/heads/main" == (await http.get(base)).json()["defaultBranch"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (180, [("Second", ["/a.txt", "/b.txt"]), ("Last", ["/a.txt"])]),
        (99, [("Last", ["/a.txt"])]),
        (0, [("Last", ["/a.txt"])]),
    ],
)
async def test_history_goes_back_as_far_as_asked_for(http, imports, days, expected):
    """Guards days counted from the latest changeset; those of other folders are left out."""
    await start(http, imports, importHistory=True, importHistoryDurationInDays=days)
    found = await history(http, imports)
    assert expected == [(message.partition("\n")[0], paths) for message, paths in found]
    assert [True] + [False] * (len(found) - 1) == ["Migrated from" in text for text, _ in found]


async def test_a_server_path_is_found_in_any_case(http, imports, emulator):
    """Guards the whole project as source, and the authors of the changesets."""
    made = await start(http, imports, path="$/SALES/")
    assert 201 == made.status_code
    ((_, paths),) = await history(http, imports)
    assert ["/Main", "/Main/a.txt", "/Other", "/Other/c.txt"] == paths
    base = imports.removesuffix("/importRequests")
    found = await http.get(f"{base}/commits", params={**VERSION, "searchCriteria.author": "scen"})
    assert 1 == found.json()["count"]


@pytest.mark.parametrize(
    ("source", "length"),
    [
        ({"path": "$/Nope"}, 0),
        ({"path": "$/Sales/Main/a.txt"}, 0),
        ({"path": "$/B"}, 0),
        ({"path": "$/"}, 0),
        ({"path": "$/Sales/../B"}, 0),
        ({"path": "Sales"}, 1),
        ({"path": None}, 1),
        ({"importHistory": "yes"}, 1),
        ({"importHistory": True, "importHistoryDurationInDays": 181}, 1),
        ({"importHistory": True, "importHistoryDurationInDays": -1}, 1),
        ({"importHistoryDurationInDays": "9"}, 1),
    ],
)
async def test_a_tfvc_source_that_can_not_be_is_a_400(http, imports, source, length):
    """Guards a path that leads nowhere, an empty body like git's, and wrong parameters with one."""
    answer = await start(http, imports, **source)
    assert (400, length) == (answer.status_code, min(1, len(answer.content)))
    assert [] == (await http.get(imports, params=VERSION)).json()["value"]


async def test_a_failed_tfvc_import_can_be_retried(emulator, http, imports):
    """Guards the same state machine as that of git sources, without partial refs."""
    fault = {"match": {"route": "azdo.imports.create"}, "import": {"step": 3, "error": "no"}}
    await http.post(f"{emulator.urls.control_url}/faults", json=fault)
    made = (await start(http, imports)).json()
    one = f"{imports}/{made['importRequestId']}"
    failed = (await http.get(one, params=VERSION)).json()
    assert ("failed", "no") == (failed["status"], failed["detailedStatus"]["errorMessage"])
    assert 409 == (await start(http, imports)).status_code
    await http.patch(one, json={"status": "queued"}, params=VERSION)
    assert "completed" == (await http.get(one, params=VERSION)).json()["status"]
    assert 409 == (await start(http, imports)).status_code


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({}, "content or delete is needed"),
        ({"delete": ["/"]}, "paths of files"),
        ({"delete": ["../x"]}, "not a usable path"),
        ({"path": "$/Other", "delete": ["x"]}, "a path below $/Sales"),
        ({"delete": ["x"], "daysAgo": -1}, "a number of days"),
        ({"delete": ["x"], "author": "a\nb"}, "a single line"),
        ({"delete": ["x"], "when": 1}, "unknown"),
    ],
)
async def test_a_changeset_of_a_scenario_that_can_not_be_is_named(emulator, http, entry, text):
    """Guards mistakes in scenarios: the place and what is expected."""
    projects = [{"name": "Sales", "tfvc": [entry]}]
    body = {"azureDevOps": [{"organization": "contoso", "projects": projects}]}
    answer = await http.post(f"{emulator.urls.control_url}/scenario", json=body)
    assert 400 == answer.status_code
    assert "azureDevOps[0].projects[0].tfvc[0]" in answer.json()["error"]
    assert text in answer.json()["error"]
