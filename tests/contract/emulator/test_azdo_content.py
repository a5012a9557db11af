"""Azure DevOps: items, pushes, commits, and stock git against the same repositories."""

import base64
import os

import pytest

ZERO = "0" * 40
VERSION = {"api-version": "7.1"}


@pytest.fixture
def url(loaded):
    """The repository with content."""
    return f"{loaded.urls.devops_url}/contoso/Sales/_apis/git/repositories/fabric-sales"


def change(kind, path, text=None, **extra):
    """One change of a commit."""
    body = {"changeType": kind, "item": {"path": path}, **extra}
    if text is not None:
        body["newContent"] = {"content": text, "contentType": "rawtext"}
    return body


async def push(http, url, old, *changes, branch="main", comment="a push"):
    """Push one commit."""
    return await http.post(
        f"{url}/pushes",
        json={
            "refUpdates": [{"name": f"refs/heads/{branch}", "oldObjectId": old}],
            "commits": [{"comment": comment, "changes": list(changes)}],
        },
        params=VERSION,
    )


async def tip(http, url, branch="main"):
    """The commit a branch is at."""
    refs = (await http.get(f"{url}/refs", params={"filter": f"heads/{branch}"})).json()["value"]
    return refs[0]["objectId"]


@pytest.mark.parametrize(
    ("recursion", "paths"),
    [
        ("none", ["/fabric"]),
        ("oneLevel", ["/fabric", "/fabric/Hello.Notebook", "/fabric/README.md"]),
        (
            "Full",
            [
                "/fabric",
                "/fabric/Hello.Notebook",
                "/fabric/Hello.Notebook/notebook-content.py",
                "/fabric/README.md",
            ],
        ),
    ],
)
async def test_items_are_listed_below_a_scope(http, url, recursion, paths):
    """The scope itself comes first; paths are absolute."""
    answer = await http.get(
        f"{url}/items",
        params={
            "scopePath": "/fabric",
            "recursionLevel": recursion,
            "versionDescriptor.version": "main",
            "versionDescriptor.versionType": "branch",
        },
    )
    items = answer.json()["value"]
    assert paths == [item["path"] for item in items]
    assert True is items[0]["isFolder"]
    assert "tree" == items[0]["gitObjectType"]
    assert all("blob" == item["gitObjectType"] for item in items if "isFolder" not in item)


@pytest.mark.parametrize(
    ("params", "key", "code"),
    [
        ({"scopePath": "/Fabric"}, "GitItemNotFoundException", "TF401174"),
        ({"versionDescriptor.version": "nope"}, "GitUnresolvableToCommitException", "TF401175"),
        (
            {"versionDescriptor.version": "1" * 40, "versionDescriptor.versionType": "commit"},
            "GitUnresolvableToCommitException",
            "TF401175",
        ),
    ],
)
async def test_a_missing_path_and_a_missing_version_are_told_apart(http, url, params, key, code):
    """Both are 404; the key differs; paths are case-sensitive."""
    answer = await http.get(f"{url}/items", params=params)
    assert 404 == answer.status_code
    assert key == answer.json()["typeKey"]
    assert answer.json()["message"].startswith(code)


async def test_content_comes_raw_or_inside_json(http, url):
    """Bytes are untouched, line endings included."""
    path = "/fabric/Hello.Notebook/notebook-content.py"
    raw = await http.get(f"{url}/items", params={"path": path, "$format": "octetStream"})
    assert b"print('hello')\r\n" == raw.content
    inside = await http.get(f"{url}/items", params={"path": path, "includeContent": "true"})
    assert "print('hello')\r\n" == inside.json()["content"]


async def test_a_push_adds_edits_renames_and_deletes(http, url):
    """One commit moves the branch; base64 content is decoded."""
    encoded = base64.b64encode(b"\x00\x01").decode()
    before = await tip(http, url)
    answer = await push(
        http,
        url,
        before,
        {
            "changeType": "add",
            "item": {"path": "/bin"},
            "newContent": {"content": encoded, "contentType": "base64encoded"},
        },
        change("edit", "/fabric/README.md", "new"),
        change(
            "rename", "/moved.py", sourceServerItem="/fabric/Hello.Notebook/notebook-content.py"
        ),
    )
    assert 201 == answer.status_code
    after = answer.json()["refUpdates"][0]["newObjectId"]
    assert after == await tip(http, url)
    listed = await http.get(f"{url}/items", params={"recursionLevel": "full"})
    files = [item["path"] for item in listed.json()["value"] if "isFolder" not in item]
    assert ["/bin", "/fabric/README.md", "/moved.py"] == files
    raw = await http.get(f"{url}/items", params={"path": "/bin", "download": "true"})
    assert b"\x00\x01" == raw.content
    commits = (await http.get(f"{url}/commits")).json()["value"]
    assert [after, before] == [commit["commitId"] for commit in commits]
    touched = await http.get(f"{url}/commits", params={"searchCriteria.itemPath": "/bin"})
    assert [after] == [commit["commitId"] for commit in touched.json()["value"]]
    one = (await http.get(f"{url}/commits/{after}")).json()
    assert ("a push", [before]) == (one["comment"], one["parents"])


async def test_a_push_on_a_moved_branch_is_a_conflict(http, url):
    """409 with the stale-reference key, and nothing is written."""
    first = await tip(http, url)
    await push(http, url, first, change("add", "/a", "1"))
    late = await push(http, url, first, change("add", "/b", "2"))
    assert 409 == late.status_code
    assert "GitReferenceStaleException" == late.json()["typeKey"]
    assert 404 == (await http.get(f"{url}/items", params={"path": "/b"})).status_code


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ([change("add", "/fabric/README.md", "x")], 400),
        ([change("edit", "/missing", "x")], 404),
        ([change("delete", "/missing")], 404),
        ([change("add", "/../x", "x")], 400),
        ([change("add", "/a/.git/x", "x")], 400),
        ([change("merge", "/x", "x")], 400),
        ([change("add", "/x")], 400),
        ([], 400),
    ],
)
async def test_a_change_that_can_not_be_is_refused(http, url, changes, status):
    """The branch stays where it is."""
    before = await tip(http, url)
    answer = await push(http, url, before, *changes)
    assert status == answer.status_code
    assert before == await tip(http, url)


async def test_a_first_push_gives_an_empty_repository_its_default_branch(loaded, http, url):
    """The branch that comes first becomes the default one."""
    empty = url.replace("fabric-sales", "empty")
    answer = await push(http, empty, ZERO, change("add", "/README.md", "hi"), branch="trunk")
    assert 201 == answer.status_code
    assert "refs/heads/trunk" == (await http.get(empty)).json()["defaultBranch"]


async def test_stock_git_clones_commits_and_pushes(loaded, http, url, git, tmp_path):
    """The same repository over smart HTTP and over the API."""
    remote = f"{loaded.urls.devops_url}/contoso/Sales/_git/fabric-sales"
    remote = remote.replace("://", f"://any:{loaded.token}@")
    await git("clone", "-q", remote, "work")
    work = tmp_path / "work"
    assert (
        b"print('hello')\r\n" == (work / "fabric/Hello.Notebook/notebook-content.py").read_bytes()
    )
    (work / "large.bin").write_bytes(bytes(range(256)) * 8192)
    await git("add", ".", cwd=work)
    await git("commit", "-q", "-m", "from git", cwd=work)
    await git("push", "-q", "origin", "HEAD:main", cwd=work)
    pushed = (await git("rev-parse", "HEAD", cwd=work)).strip()
    assert pushed == await tip(http, url)
    await push(http, url, pushed, change("add", "/api.txt", "api"))
    await git("pull", "-q", "origin", "main", cwd=work)
    assert "api" == (work / "api.txt").read_text()
    log = (await http.get(f"{loaded.urls.control_url}/requests")).json()["requests"]
    assert [True] == [e["effect"] for e in log if e["path"].endswith("git-receive-pack")]


async def test_a_client_that_goes_away_in_the_middle_of_a_clone_does_no_harm(
    loaded, http, git, tmp_path
):
    """Git is ended with its helpers, and the next clone works."""
    remote = f"{loaded.urls.github_url}/contoso/source.git"
    await git("clone", "-q", remote, "work")
    (tmp_path / "work" / "large.bin").write_bytes(os.urandom(8_000_000))
    await git("add", ".", cwd=tmp_path / "work")
    await git("commit", "-q", "-m", "large", cwd=tmp_path / "work")
    await git(
        "push", "-q", remote.replace("://", "://any:pat@"), "HEAD:main", cwd=tmp_path / "work"
    )
    tip = loaded.world.repos.tip("github/contoso/source", "main")
    want = f"want {tip} no-progress\n"
    body = f"{len(want) + 4:04x}{want}00000009done\n"
    async with http.stream("POST", f"{remote}/git-upload-pack", content=body) as answer:
        assert b"NAK" in await anext(answer.aiter_raw(100))
    await git("clone", "-q", remote, "again")
    assert (tmp_path / "again" / "large.bin").is_file()


@pytest.mark.parametrize("version", ["0", "1", "2"])
async def test_every_protocol_version_of_git_works(loaded, git, tmp_path, version):
    """Old clients speak version 0, new ones 2."""
    remote = f"{loaded.urls.github_url}/contoso/source.git"
    out = await git("-c", f"protocol.version={version}", "ls-remote", remote)
    assert "refs/heads/main" in out
    await git("-c", f"protocol.version={version}", "clone", "-q", remote, f"work{version}")
    assert (tmp_path / f"work{version}" / "README.md").is_file()


async def test_a_long_negotiation_with_a_compressed_body_works(loaded, git, tmp_path):
    """Git compresses a request with many refs; the server must unpack it."""
    remote = f"{loaded.urls.github_url}/contoso/source"
    await git("clone", "-q", remote, "work")
    work = tmp_path / "work"
    for number in range(40):
        await git("commit", "-q", "--allow-empty", "-m", f"c{number}", cwd=work)
        await git("branch", f"b{number}", cwd=work)
    other = remote.replace("://", "://any:token@")
    await git("push", "-q", other, "--all", cwd=work)
    await git("clone", "-q", "-c", "protocol.version=0", remote, "again")
    assert "c39" in await git("log", "-1", "--format=%s", cwd=tmp_path / "again")


async def test_azure_repos_ask_everybody_and_github_only_for_private(loaded, git):
    """Anonymous reads work on public GitHub repositories alone; nobody pushes anonymously."""
    github, devops = loaded.urls.github_url, loaded.urls.devops_url
    assert "main" in await git("ls-remote", f"{github}/contoso/source.git")
    for remote in (
        f"{github}/contoso/private.git",
        f"{github}/contoso/missing.git",
        f"{devops}/contoso/Sales/_git/fabric-sales",
    ):
        with pytest.raises(AssertionError, match=r"could not read Username|Authentication failed"):
            await git("ls-remote", remote)
    with_token = f"{github}/contoso/private.git".replace("://", "://any:pat@")
    assert "main" in await git("ls-remote", with_token)
    await git("clone", "-q", f"{github}/contoso/source.git", "anonymous")
    with pytest.raises(AssertionError, match=r"could not read Username|Authentication failed"):
        await git("-C", "anonymous", "push", "origin", "HEAD:other")
