"""Reading a checkout with stock git: real repositories, and nothing taken for an option."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.clients.gitrepo import GitRepository, is_commit_id
from reconciler.errors import CheckoutError

ENVIRON = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *words: str) -> str:
    """Run stock git as a person would."""
    names = ("-c", "user.name=Ada", "-c", "user.email=ada@contoso.example")
    allow = ("-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main")
    done = subprocess.run(
        ["git", *names, *allow, *words], cwd=folder, env=ENVIRON, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def write(folder: Path, path: str, content: str | bytes) -> None:
    """Write a file."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())


def committed(folder: Path, **files: str) -> str:
    """Commit these files, ``__`` for ``/``; returns the commit."""
    for path, content in files.items():
        write(folder, path.replace("__", "/"), content)
    git(folder, "add", "-A")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "x")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty repository."""
    path = tmp_path / "repo"
    path.mkdir()
    git(path, "init", "--quiet")
    return path


def opened(folder: Path, **environ: str) -> GitRepository:
    """Open a repository."""
    return GitRepository(folder, {**ENVIRON, **environ})


def test_files_are_listed_below_a_directory_with_whatever_names_they_have(folder):
    """Newlines, quotes, blanks and letters beyond ASCII; a namesake directory does not count."""
    names = ["fab/a b.py", 'fab/"q".py', "fab/über.py", "fab/new\nline.py", "fabric/other.py"]
    for name in names:
        write(folder, name, name)
    commit = committed(folder, top="t")
    repository = opened(folder)
    assert {"a b.py", '"q".py', "über.py", "new\nline.py"} == set(repository.files(commit, "/fab"))
    assert {*names, "top"} == set(repository.files(commit, "/"))
    assert {} == repository.files(commit, "/nowhere")
    assert {} == repository.files(commit, "/top")
    assert {} == repository.files(commit, "/*")
    assert ["other.py"] == list(repository.files(commit, "fabric/"))


def test_a_directory_that_looks_like_an_option_is_a_directory(folder):
    """A name starts as it likes."""
    commit = committed(folder, **{"--name-only__x": "1"})
    assert ["x"] == list(opened(folder).files(commit, "/--name-only"))


def test_submodules_are_no_files(folder, tmp_path):
    """Fabric does not sync them. Source: fabric-api.md section 6.9, docs."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    committed(other, x="1")
    git(folder, "submodule", "--quiet", "add", str(other), "sub")
    commit = committed(folder, y="1")
    assert {".gitmodules", "y"} == set(opened(folder).files(commit, "/"))


def test_blobs_come_whole_and_huge_ones_not_at_all(folder):
    """Binary content and empty files survive; a file of megabytes is no system file."""
    contents = {"a": b"\x00\n\xff\n\n", "b": b"", "c": b"x" * (1024 * 1024 + 1)}
    for name, content in contents.items():
        write(folder, name, content)
    repository = opened(folder)
    files = repository.files(committed(folder), "/")
    found = repository.blobs(files.values())
    assert {files["a"]: contents["a"], files["b"]: b""} == found
    assert {} == repository.blobs([])


@pytest.mark.parametrize(
    "revision", ["", "-h", "--all", "--output=x", "no-such", "HEAD\x00", "HEAD\n", "a" * 40, "..."]
)
def test_what_names_no_commit_is_none(folder, revision):
    """An option is never passed on; neither is what no command line can hold."""
    committed(folder, x="1")
    assert None is opened(folder).commit(revision)
    assert not (folder / "x=").exists()


def test_revisions_name_commits(folder):
    """Branches, tags, short ids and relatives; a tree or a file is none."""
    first = committed(folder, x="1")
    git(folder, "tag", "-a", "v1", "-m", "x")
    second = committed(folder, x="2")
    repository = opened(folder)
    assert [second, first, first, first] == [
        repository.commit(r) for r in ("main", "v1", "HEAD~1", first[:10])
    ]
    assert None is repository.commit("HEAD:x")
    assert repository.has(first)
    assert not repository.has("f" * 40)
    assert not repository.has("main")
    assert not repository.has("--all")


def test_ancestry_and_where_two_branches_parted(folder):
    """Unrelated histories parted nowhere."""
    base = committed(folder, x="1")
    one = committed(folder, y="1")
    git(folder, "switch", "--quiet", "-c", "two", base)
    two = committed(folder, z="1")
    git(folder, "switch", "--quiet", "--orphan", "alone")
    alone = committed(folder, w="1")
    repository = opened(folder)
    assert repository.is_ancestor(base, one)
    assert not repository.is_ancestor(one, base)
    assert base == repository.merge_base(one, two)
    assert None is repository.merge_base(one, alone)
    for foreign in ("main", "--all", ""):
        with pytest.raises(CheckoutError, match="is no commit id"):
            repository.is_ancestor(foreign, one)


def test_remotes_are_told_as_written_and_as_rewritten(folder):
    """People shorten URLs with insteadOf, and put mirrors in."""
    git(folder, "remote", "add", "origin", "hub:contoso/sales.git")
    git(folder, "remote", "add", "other", "https://x:y@dev.azure.com/contoso/Sales/_git/a b")
    git(folder, "config", "url.https://github.com/.insteadOf", "hub:")
    git(folder, "config", "remote.other.pushurl", "https://elsewhere.example/a")
    assert {
        "hub:contoso/sales.git",
        "https://github.com/contoso/sales.git",
        "https://x:y@dev.azure.com/contoso/Sales/_git/a b",
        "https://elsewhere.example/a",
    } == set(opened(folder).remote_urls())


def test_a_repository_without_remotes_or_commits_is_one(folder):
    """Nothing to compare is no error here."""
    repository = opened(folder)
    assert () == repository.remote_urls()
    assert None is repository.commit("HEAD")
    assert not repository.shallow


def test_a_shallow_clone_says_so_and_lacks_what_it_lacks(folder, tmp_path):
    """The caller turns it into advice on the fetch depth."""
    first = committed(folder, x="1")
    second = committed(folder, x="2")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{folder}", "shallow")
    repository = opened(tmp_path / "shallow")
    assert repository.shallow
    assert repository.has(second)
    assert not repository.has(first)


def test_a_partial_clone_is_told_and_nothing_is_fetched(folder, tmp_path):
    """A read must not turn into a download."""
    git(folder, "config", "uploadpack.allowFilter", "true")
    commit = committed(folder, x="1")
    words = ("clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{folder}", "part")
    git(tmp_path, *words)
    git(tmp_path / "part", "remote", "set-url", "origin", f"file://{tmp_path}/gone")
    repository = opened(tmp_path / "part")
    files = repository.files(commit, "/")
    with pytest.raises(CheckoutError, match=r"partial clone|failed in the checkout"):
        repository.blobs(files.values())


def test_no_checkout_no_git_and_no_time_are_errors_with_a_way_out(folder, tmp_path):
    """Never a traceback; the first line of what git says."""
    (tmp_path / "plain").mkdir()
    with pytest.raises(CheckoutError, match="not a git repository") as found:
        opened(tmp_path / "plain", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert "--merge-preview" in found.value.remedy
    with pytest.raises(CheckoutError, match="no git program on PATH"):
        opened(folder, PATH=str(tmp_path))
    fake = tmp_path / "bin" / "git"
    write(tmp_path, "bin/git", "#!/bin/sh\nexec tail -f /dev/null\n")
    fake.chmod(0o755)
    with pytest.raises(CheckoutError, match="took longer than 0 s"):
        GitRepository(
            folder, {**ENVIRON, "PATH": f"{fake.parent}:{ENVIRON['PATH']}"}, timeout_s=0.05
        )
    write(tmp_path, "bin/git", "no program")
    with pytest.raises(CheckoutError, match="git cannot be started"):
        opened(folder, PATH=str(fake.parent))


def test_a_damaged_checkout_is_an_error_that_names_the_command(folder):
    """An object that is gone."""
    commit = committed(folder, x="1")
    tree = git(folder, "rev-parse", "HEAD^{tree}")
    (folder / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(CheckoutError, match="git ls-tree failed in the checkout"):
        opened(folder).files(commit, "/")


def test_git_is_given_no_tokens(folder, tmp_path):
    """It needs none to look at what is there."""
    write(tmp_path, "bin/git", f"#!/bin/sh\nenv >> {tmp_path}/seen\nexec /usr/bin/env true\n")
    (tmp_path / "bin" / "git").chmod(0o755)
    secrets = {"RECONCILER_FABRIC_TOKEN": "t0ken", "SYSTEM_ACCESSTOKEN": "t0ken", "GIT_X": "kept"}
    opened(folder, PATH=f"{tmp_path}/bin:{ENVIRON['PATH']}", **secrets)
    seen = (tmp_path / "seen").read_text()
    assert "t0ken" not in seen
    assert "GIT_X=kept" in seen
    assert "GIT_NO_LAZY_FETCH=1" in seen


def test_commit_ids_are_full_and_in_lower_case():
    """Of both object formats."""
    assert is_commit_id("a" * 40)
    assert is_commit_id("0" * 64)
    for text in ("", "a" * 39, "A" * 40, "a" * 41, "-" * 40, "a" * 40 + "\n"):
        assert not is_commit_id(text)
