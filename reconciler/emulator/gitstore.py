"""Real bare git repositories, read and written in process.

Commits are made by editing trees, never by checking files out, so what a change does not touch
keeps its blobs byte for byte. Branches move by compare-and-swap under git's own ref lock, because
a ``git push`` may run beside us in another process.
"""

from __future__ import annotations

import copy
import itertools
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import pygit2
from pygit2.enums import FileMode, ObjectType, SortMode

from reconciler.emulator.gitrefs import RefReader
from reconciler.emulator.lru import Lru

__all__ = ["HIDDEN_REFS", "CommitInfo", "FileEntry", "GitStore", "RefMoved", "UnknownRepository"]

# Refs of an unfinished import live here; neither git clients nor ``refs`` see them.
HIDDEN_REFS = "refs/hidden/"

_OBJECT_ID = re.compile(r"[0-9a-fA-F]{40}")
_CACHED_FILES = 20_000
_CACHED_TREE_IDS = 20_000
_OPEN_REPOSITORIES = 64
_Changes = dict[tuple[str, ...], bytes | None]


# The library would keep 256 MiB of objects and map packs without end; a cache of ours stands above.
pygit2.settings.cache_max_size(16 * 1024 * 1024)
pygit2.settings.mwindow_mapped_limit = 32 * 1024 * 1024


class RefMoved(Exception):
    """A branch is not where the writer believed it to be."""

    def __init__(self, ref: str, expected: str | None, actual: str | None) -> None:
        super().__init__(f"{ref} is at {actual or 'nothing'}, expected {expected or 'nothing'}")
        self.ref = ref
        self.expected = expected
        self.actual = actual


class UnknownRepository(Exception):
    """No repository has this key."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a tree.

    Attributes:
        blob_sha: 40 hex digits.
        mode: Git file mode, such as 0o100644.
    """

    blob_sha: str
    mode: int


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """What a commit says of itself.

    Attributes:
        authored_s: Epoch seconds of the author's own date.
        time_s: Epoch seconds of the committer's date.
    """

    sha: str
    parents: tuple[str, ...]
    message: str
    author_name: str
    author_email: str
    authored_s: int
    committer_name: str
    committer_email: str
    time_s: int
    tree_id: str


class GitStore:
    """All repositories of one emulator, by key.

    Keys look like ``azdo/<repository id>`` or ``github/<owner>/<name>``; the caller makes sure
    that they are safe path segments.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self._open: Lru[str, pygit2.Repository] = Lru(
            _OPEN_REPOSITORIES, gone=lambda repository: repository.free()
        )
        self._files: Lru[str, Mapping[str, FileEntry]] = Lru(
            _CACHED_FILES, size=lambda files: len(files) + 1
        )
        # By repository, commit and directory; "" where there is none.
        self._tree_ids: Lru[tuple[str, str, str], str] = Lru(_CACHED_TREE_IDS)
        self._refs = RefReader()
        self._sizes: Lru[str, tuple[Mapping[str, str], int]] = Lru(_OPEN_REPOSITORIES * 4)
        self._past: Mapping[str, Mapping[str, str]] | None = None

    def at(self, refs: Mapping[str, Mapping[str, str]]) -> GitStore:
        """Return a view of the same objects under refs as they were; for reading only."""
        found = copy.copy(self)
        found._past = refs
        return found

    def path(self, key: str) -> Path:
        """Return the repository's folder; it need not exist."""
        return self.root / f"{key}.git"

    def exists(self, key: str) -> bool:
        """Whether the repository exists."""
        return self._open.get(key) is not None or (self.path(key) / "HEAD").is_file()

    def create(self, key: str, default_branch: str = "main") -> Path:
        """Make an empty bare repository and return its folder.

        Raises:
            FileExistsError: if there is one already.
        """
        if self.exists(key):
            raise FileExistsError(key)
        path = self.path(key)
        repository = pygit2.init_repository(str(path), bare=True, initial_head=default_branch)
        repository.config["http.receivepack"] = True
        repository.config["uploadpack.allowAnySHA1InWant"] = True
        # A repacking process left behind would outlive the emulator and its temporary folder.
        repository.config["gc.auto"] = 0
        repository.config["transfer.hideRefs"] = HIDDEN_REFS
        repository.config["receive.autogc"] = False
        self._open.put(key, repository)
        return path

    def delete(self, key: str) -> None:
        """Remove a repository for good; removing a missing one is no error."""
        self._open.drop(key)
        self._refs.forget(key)
        self._tree_ids.clear()
        shutil.rmtree(self.path(key), ignore_errors=True)

    def clear(self) -> None:
        """Remove every repository."""
        self._open.clear()
        self._files.clear()
        self._refs.clear()
        self._sizes.clear()
        self._tree_ids.clear()
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True, exist_ok=True)

    def refs(self, key: str, prefix: str = "refs/") -> dict[str, str]:
        """Return ref name to object id for refs under ``prefix``, sorted by name.

        Hidden refs are only there when ``prefix`` names them. An annotated tag maps to its tag
        object; ``peel`` gives the commit.
        """
        if self._past is not None:
            known = self._past.get(key, {})
            return {name: known[name] for name in sorted(known) if name.startswith(prefix)}
        hidden = prefix.startswith(HIDDEN_REFS)
        return {
            name: target
            for name, target in self._all_refs(key).items()
            if name.startswith(prefix) and (hidden or not name.startswith(HIDDEN_REFS))
        }

    def _all_refs(self, key: str) -> Mapping[str, str]:
        return self._refs.read(key, self._repository(key))

    def tip(self, key: str, branch: str) -> str | None:
        """Return the commit of ``refs/heads/<branch>``, None if there is no such branch."""
        if self._past is not None:
            return self._past.get(key, {}).get(f"refs/heads/{branch}")
        return self._all_refs(key).get(f"refs/heads/{branch}")

    def peel(self, key: str, object_id: str) -> str | None:
        """Return the commit behind a whole object id (itself, or a tag's), None if none is."""
        if _OBJECT_ID.fullmatch(object_id) is None:
            return None
        found = self._repository(key).get(object_id)
        if found is None:
            return None
        try:
            return str(found.peel(pygit2.Commit).id)
        except (pygit2.InvalidSpecError, ValueError, pygit2.GitError):
            return None

    def head(self, key: str) -> str:
        """Return the branch HEAD names, without ``refs/heads/``; it need not exist."""
        target = self._repository(key).lookup_reference("HEAD").target
        return str(target).removeprefix("refs/heads/")

    def set_head(self, key: str, branch: str) -> None:
        """Let HEAD name this branch; it need not exist yet."""
        self._repository(key).set_head(f"refs/heads/{branch}")

    def files(self, key: str, commit: str, directory: str = "") -> Mapping[str, FileEntry]:
        """Return every file below a directory, by path relative to it.

        ``directory`` may have slashes around it; "" and "/" are the root. A missing directory
        gives an empty mapping: ask ``has_directory`` to tell it from an empty one.
        """
        repository = self._repository(key)
        tree = self._tree(repository, commit, directory)
        if tree is None:
            return MappingProxyType({})
        cached = self._files.get(str(tree.id))
        if cached is None:
            found: dict[str, FileEntry] = {}
            _collect(tree, "", found)
            cached = MappingProxyType(found)
            self._files.put(str(tree.id), cached)
        return cached

    def tree_id(self, key: str, commit: str, directory: str = "") -> str | None:
        """Return the id of a directory's tree, None if there is no such directory."""
        place = (key, commit, directory.strip("/"))
        found = self._tree_ids.get(place)
        if found is None:
            tree = self._tree(self._repository(key), commit, directory)
            found = "" if tree is None else sys.intern(str(tree.id))
            self._tree_ids.put(place, found)
        return found or None

    def has_directory(self, key: str, commit: str, directory: str) -> bool:
        """Whether the commit has this directory (case-sensitive); the root always exists."""
        return self.tree_id(key, commit, directory) is not None

    def entry(self, key: str, commit: str, path: str) -> tuple[str, int] | None:
        """Return object id and mode of what is at a path (a folder too), None if nothing is."""
        root = self._repository(key)[commit].peel(pygit2.Tree)
        if not path.strip("/"):
            return str(root.id), int(FileMode.TREE)
        try:
            found = root[path.strip("/")]
        except KeyError:
            return None
        return str(found.id), int(found.filemode)

    def children(self, key: str, commit: str, directory: str) -> list[tuple[str, str, int]]:
        """Return name, object id and mode of what is directly in a directory, in git's order."""
        tree = self._tree(self._repository(key), commit, directory)
        if tree is None:
            return []
        return [(str(entry.name), str(entry.id), int(entry.filemode)) for entry in tree]

    def blob(self, key: str, sha: str) -> bytes:
        """Return a blob's bytes."""
        found = self._repository(key)[sha]
        if not isinstance(found, pygit2.Blob):
            raise KeyError(sha)
        return found.data

    def commit(
        self,
        key: str,
        branch: str,
        *,
        base: str | None,
        changes: Mapping[str, bytes | None],
        message: str,
        author_name: str,
        author_email: str,
        when: datetime,
    ) -> str:
        """Commit changes on top of ``base`` and move the branch there.

        Args:
            key: The repository.
            branch: Without ``refs/heads/``.
            base: The tip the changes were made for; None makes the branch with a root commit.
            changes: Path from the repository's root to new content, None to delete. Directories
                appear and vanish with their files; deleting a missing file is no error.
            message: Commit message.
            author_name: Author and committer.
            author_email: Author and committer.
            when: Aware time of the commit.

        Returns:
            The new commit's id.

        Raises:
            RefMoved: if the branch is not at ``base``; nothing was changed.
        """
        sha = self.write_commit(
            key,
            parent=base,
            changes=changes,
            message=message,
            author_name=author_name,
            author_email=author_email,
            when=when,
        )
        self.update_ref(key, f"refs/heads/{branch}", base, sha)
        return sha

    def write_commit(
        self,
        key: str,
        *,
        parent: str | None,
        changes: Mapping[str, bytes | None],
        message: str,
        author_name: str,
        author_email: str,
        when: datetime,
    ) -> str:
        """Write a commit that no ref names yet and return its id; see ``commit``."""
        repository = self._repository(key)
        tree = None if parent is None else repository[parent].peel(pygit2.Tree)
        split: _Changes = {
            tuple(piece for piece in path.split("/") if piece): content
            for path, content in changes.items()
        }
        root = _edited(repository, tree, split)
        if root is None:
            root = repository.TreeBuilder().write()
        author = pygit2.Signature(author_name, author_email, int(when.timestamp()), 0)
        parents: list[str | pygit2.Oid] = [] if parent is None else [parent]
        return str(repository.create_commit(None, author, author, message, root, parents))

    def update_ref(self, key: str, ref: str, old: str | None, new: str | None) -> None:
        """Move, make (``old=None``) or delete (``new=None``) a ref by compare-and-swap.

        Raises:
            RefMoved: if the ref is not at ``old``.
        """
        repository = self._repository(key)
        try:
            with repository.transaction() as transaction:
                transaction.lock_ref(ref)
                actual = self._ref(repository, ref)
                if actual != old:
                    raise RefMoved(ref, old, actual)
                if new is not None:
                    transaction.set_target(ref, new)
                elif actual is not None:
                    transaction.remove(ref)
        except pygit2.GitError as error:
            # A lock held by a concurrent push: it will move the ref, so this writer is late.
            raise RefMoved(ref, old, self._ref(repository, ref)) from error

    def publish(self, key: str, hidden: str) -> None:
        """Turn everything under a hidden prefix into the refs it stands for, in one transaction.

        ``refs/hidden/x/heads/main`` becomes ``refs/heads/main``.
        """
        repository = self._repository(key)
        refs = self.refs(key, hidden)
        with repository.transaction() as transaction:
            for name, target in refs.items():
                visible = f"refs/{name.removeprefix(hidden)}"
                transaction.lock_ref(visible)
                transaction.set_target(visible, target)
        self.drop(key, hidden)

    def drop(self, key: str, hidden: str) -> None:
        """Remove everything under a hidden prefix."""
        repository = self._repository(key)
        for name in self.refs(key, hidden):
            repository.references.delete(name)

    def is_ancestor(self, key: str, ancestor: str, descendant: str) -> bool:
        """Whether ``ancestor`` is ``descendant`` or one of its ancestors."""
        if ancestor == descendant:
            return True
        return self._repository(key).descendant_of(descendant, ancestor)

    def diff_paths(self, key: str, old: str, new: str, directory: str = "") -> list[str]:
        """Return the paths that differ between two commits, sorted, relative to a directory."""
        before, after = self.files(key, old, directory), self.files(key, new, directory)
        return sorted(
            path for path in before.keys() | after.keys() if before.get(path) != after.get(path)
        )

    def log(
        self,
        key: str,
        tip: str,
        limit: int = 100,
        *,
        without: str | None = None,
        first_parent: bool = False,
    ) -> list[CommitInfo]:
        """Return commits reachable from ``tip``, newest first.

        Args:
            key: The repository.
            tip: Where to start.
            limit: At most so many.
            without: What is reachable from this commit is left out.
            first_parent: Follow the first parent of a merge only.
        """
        walker = self._repository(key).walk(pygit2.Oid(hex=tip), SortMode.TOPOLOGICAL)
        if without is not None:
            walker.hide(pygit2.Oid(hex=without))
        if first_parent:
            walker.simplify_first_parent()
        return [_info(commit) for commit in itertools.islice(walker, limit)]

    def ahead_behind(self, key: str, tip: str, base: str) -> tuple[int, int]:
        """Return how many commits ``tip`` has that ``base`` lacks, and the other way round."""
        return self._repository(key).ahead_behind(tip, base)

    def take(self, key: str, source: str, refs: Mapping[str, str]) -> None:
        """Bring refs of another repository of this store in, objects and all.

        Args:
            key: The repository that gets them.
            source: The key of the one that has them.
            refs: Name there to name here; a ref that is here already is moved.
        """
        repository = self._repository(key)
        remote = repository.remotes.create_anonymous(str(self.path(source)))
        remote.fetch([f"+{there}:{here}" for there, here in refs.items()])

    def object_type(self, key: str, object_id: str) -> str | None:
        """Return commit, tree, blob or tag for an object id, None if it is unknown."""
        found = self._repository(key).get(object_id)
        if found is None:
            return None
        return ObjectType(found.type).name.lower()

    def size_bytes(self, key: str) -> int:
        """Return what the repository's objects take on disk, measured anew when a ref moved."""
        refs = self._all_refs(key)
        known = self._sizes.get(key)
        if known is None or known[0] is not refs:
            objects = self.path(key) / "objects"
            size = sum(path.stat().st_size for path in objects.rglob("*") if path.is_file())
            known = (refs, size)
            self._sizes.put(key, known)
        return known[1]

    def _repository(self, key: str) -> pygit2.Repository:
        opened = self._open.get(key)
        if opened is None:
            if not self.exists(key):
                raise UnknownRepository(key)
            opened = pygit2.Repository(str(self.path(key)))
            self._open.put(key, opened)
        return opened

    @staticmethod
    def _ref(repository: pygit2.Repository, name: str) -> str | None:
        found = repository.references.get(name)
        if found is None or not isinstance(found.target, pygit2.Oid):
            return None
        return str(found.target)

    @staticmethod
    def _tree(repository: pygit2.Repository, commit: str, directory: str) -> pygit2.Tree | None:
        tree = repository[commit].peel(pygit2.Tree)
        path = directory.strip("/")
        if not path:
            return tree
        try:
            found = tree[path]
        except KeyError:
            return None
        return found if isinstance(found, pygit2.Tree) else None


def _info(commit: pygit2.Commit) -> CommitInfo:
    return CommitInfo(
        sha=str(commit.id),
        parents=tuple(str(parent) for parent in commit.parent_ids),
        message=commit.message,
        author_name=commit.author.name,
        author_email=commit.author.email,
        authored_s=commit.author.time,
        committer_name=commit.committer.name,
        committer_email=commit.committer.email,
        time_s=commit.commit_time,
        tree_id=str(commit.tree_id),
    )


def _collect(tree: pygit2.Tree, prefix: str, found: dict[str, FileEntry]) -> None:
    for entry in tree:
        path = f"{prefix}{entry.name}"
        if isinstance(entry, pygit2.Tree):
            _collect(entry, f"{path}/", found)
        elif isinstance(entry, pygit2.Blob):
            # The same paths and often the same blobs stand in a thousand directories.
            found[sys.intern(path)] = FileEntry(sys.intern(str(entry.id)), int(entry.filemode))


def _edited(
    repository: pygit2.Repository, tree: pygit2.Tree | None, changes: _Changes
) -> pygit2.Oid | None:
    """Write the tree that the changes make of ``tree``; None when nothing is left in it."""
    builder = repository.TreeBuilder() if tree is None else repository.TreeBuilder(tree)
    files = {path[0]: content for path, content in changes.items() if len(path) == 1}
    folders: dict[str, _Changes] = {}
    for path, content in changes.items():
        if len(path) > 1:
            folders.setdefault(path[0], {})[path[1:]] = content
    before = {} if tree is None else {entry.name: entry for entry in tree}
    for name, content in files.items():
        if content is None and isinstance(before.get(name), pygit2.Blob):
            builder.remove(name)
    for name, nested in folders.items():
        old = before.get(name)
        inner = _edited(repository, old if isinstance(old, pygit2.Tree) else None, nested)
        if inner is not None:
            builder.insert(name, inner, FileMode.TREE)
        elif isinstance(old, pygit2.Tree):
            builder.remove(name)
    for name, content in files.items():
        if content is not None:
            old = before.get(name)
            mode = old.filemode if isinstance(old, pygit2.Blob) else FileMode.BLOB
            builder.insert(name, repository.create_blob(content), mode)
    return builder.write() if len(builder) else None
