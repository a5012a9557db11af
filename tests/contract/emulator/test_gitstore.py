"""The bare repositories behind the emulator, in process."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.emulator.gitstore import (
    HIDDEN_REFS,
    FileEntry,
    GitStore,
    RefMoved,
    UnknownRepository,
)

KEY = "azdo/1"
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    """A store with one empty repository."""
    made = GitStore(tmp_path / "git")
    made.create(KEY)
    return made


def commit(store, base, changes, branch="main"):
    """Commit to a branch of the one repository."""
    return store.commit(
        KEY,
        branch,
        base=base,
        changes=changes,
        message="a commit",
        author_name="A",
        author_email="a@example.invalid",
        when=WHEN,
    )


def test_a_new_repository_has_no_refs_and_names_its_default_branch(store):
    """Emptiness is read from refs, not from HEAD."""
    assert {} == store.refs(KEY)
    assert store.tip(KEY, "main") is None
    assert "main" == store.head(KEY)


def test_a_commit_lists_its_files_relative_to_a_directory(store):
    """Listings below a directory are relative and recursive."""
    sha = commit(store, None, {"fabric/a.txt": b"a", "fabric/deep/b.txt": b"b", "c.txt": b"c"})
    assert ["a.txt", "deep/b.txt"] == sorted(store.files(KEY, sha, "/fabric/"))
    assert ["c.txt", "fabric/a.txt", "fabric/deep/b.txt"] == sorted(store.files(KEY, sha))
    assert b"b" == store.blob(KEY, store.files(KEY, sha, "fabric")["deep/b.txt"].blob_sha)


def test_untouched_files_keep_their_blob_and_mode(store):
    """A commit edits trees only: what it does not name stays byte-identical."""
    first = commit(store, None, {"a/x": b"\r\nx", "a/y": b"y", "z": b"z"})
    second = commit(store, first, {"a/y": b"changed", "z": None})
    before, after = store.files(KEY, first), store.files(KEY, second)
    assert before["a/x"] == after["a/x"] == FileEntry(before["a/x"].blob_sha, 0o100644)
    assert ["a/y", "z"] == store.diff_paths(KEY, first, second)
    assert ["y"] == store.diff_paths(KEY, first, second, "a")


def test_a_directory_vanishes_with_its_last_file(store):
    """Git keeps no empty folders."""
    first = commit(store, None, {"a/b/c": b"1", "d": b"2"})
    second = commit(store, first, {"a/b/c": None})
    assert store.has_directory(KEY, first, "/a/b")
    assert not store.has_directory(KEY, second, "a")
    assert store.has_directory(KEY, second, "/")


@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({"a/b": b"1"}, {"a/b": None, "a": b"2"}),
        ({"a": b"1"}, {"a": None, "a/b": b"2"}),
    ],
)
def test_a_file_and_a_folder_can_change_places(store, before, changes):
    """Deleting one and adding the other under the same name is one commit."""
    first = commit(store, None, before)
    second = commit(store, first, changes)
    assert [path for path, content in changes.items() if content] == list(store.files(KEY, second))


def test_directories_are_case_sensitive(store):
    """The services compare directories case-sensitively."""
    sha = commit(store, None, {"Fabric/a": b"1"})
    assert not store.has_directory(KEY, sha, "fabric")
    assert {} == store.files(KEY, sha, "fabric")


def test_a_commit_on_a_moved_branch_is_refused(store):
    """Branches move by compare-and-swap."""
    first = commit(store, None, {"a": b"1"})
    second = commit(store, first, {"a": b"2"})
    with pytest.raises(RefMoved) as caught:
        commit(store, first, {"a": b"3"})
    assert (first, second) == (caught.value.expected, caught.value.actual)
    assert second == store.tip(KEY, "main")
    with pytest.raises(RefMoved):
        commit(store, None, {"a": b"4"})


def test_refs_are_made_and_deleted_by_compare_and_swap(store):
    """A branch made from a commit shares it; a stale delete is refused."""
    first = commit(store, None, {"a": b"1"})
    store.update_ref(KEY, "refs/heads/feature", None, first)
    assert {"refs/heads/feature": first, "refs/heads/main": first} == store.refs(KEY)
    with pytest.raises(RefMoved):
        store.update_ref(KEY, "refs/heads/feature", "0" * 39 + "1", None)
    store.update_ref(KEY, "refs/heads/feature", first, None)
    assert ["refs/heads/main"] == list(store.refs(KEY))


def test_ancestry_follows_parents(store):
    """A commit descends from itself and from its parents only."""
    first = commit(store, None, {"a": b"1"})
    second = commit(store, first, {"a": b"2"})
    assert store.is_ancestor(KEY, first, second)
    assert store.is_ancestor(KEY, first, first)
    assert not store.is_ancestor(KEY, second, first)
    assert [second, first] == [found.sha for found in store.log(KEY, second)]


def test_hidden_refs_appear_only_when_they_are_published(store):
    """What an import fetched is not there before it completes."""
    sha = commit(store, None, {"a": b"1"})
    hidden = f"{HIDDEN_REFS}import-1/"
    store.update_ref(KEY, f"{hidden}heads/new", None, sha)
    assert ["refs/heads/main"] == list(store.refs(KEY))
    store.publish(KEY, hidden)
    assert {"refs/heads/main": sha, "refs/heads/new": sha} == store.refs(KEY)
    assert {} == store.refs(KEY, hidden)


def test_another_store_on_the_same_folder_sees_the_same_world(store, tmp_path):
    """Nothing is remembered in memory only."""
    sha = commit(store, None, {"a": b"1"})
    again = GitStore(tmp_path / "git")
    assert sha == again.tip(KEY, "main")
    assert b"1" == again.blob(KEY, again.files(KEY, sha)["a"].blob_sha)


def test_a_deleted_repository_is_gone(store):
    """Deleting removes the files; a second time is no error."""
    path: Path = store.path(KEY)
    store.delete(KEY)
    store.delete(KEY)
    assert not path.exists()
    with pytest.raises(UnknownRepository):
        store.refs(KEY)
