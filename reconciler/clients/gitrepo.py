"""Read a local Git checkout with stock ``git``: commits, trees and files as they are stored.

Plumbing only: it looks at objects that are there, never at the index or the working tree, and
fetches nothing. Every command is given as a list, in bounded time; what is passed on is a
revision that was checked or a commit id, so that nothing can be taken for an option.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reconciler.clients.text import clean
from reconciler.errors import CheckoutError

__all__ = ["GitRepository", "is_commit_id"]

_TIMEOUT_S = 60.0
_MOST_BYTES = 1024 * 1024
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REMOTE = re.compile(r"[^\t]+\t(.*) \((?:fetch|push)\)(?: \[.*\])?")
_FILES = frozenset({"100644", "100755", "120000"})
# What git needs of the environment: where it and its settings are. Tokens are not passed on.
_ENVIRONMENT = frozenset(
    {"PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "TEMP", "TMP", "USERPROFILE", "SYSTEMROOT"}
)
_OWN = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def is_commit_id(text: str) -> bool:
    """Tell whether a text is a full commit id, in SHA-1 or SHA-256."""
    return _COMMIT.fullmatch(text) is not None


class GitRepository:
    """The repository that a folder lies in."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], *, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """Find the repository.

        Raises:
            CheckoutError: there is no git, or the folder is in no repository that it may read.
        """
        program = shutil.which("git", path=environ.get("PATH"))
        if program is None:
            raise CheckoutError(
                "there is no git program on PATH, and a merge preview reads the checkout with it",
                remedy="install git, or plan without --merge-preview",
            )
        self._timeout_s = timeout_s
        self._environ = {
            **{k: v for k, v in environ.items() if k in _ENVIRONMENT or k.startswith("GIT_")},
            **_OWN,
        }
        self._command = [program, "--no-replace-objects", "-C", str(folder)]
        found = self._run("rev-parse", "--is-shallow-repository", ok=range(256))
        if found.returncode != 0:
            raise CheckoutError(
                f"no Git checkout can be read here: {_first_line(found.stderr)}",
                remedy="run it inside the checkout of the pull request, or plan without "
                "--merge-preview",
            )
        self.shallow = found.stdout.strip() == b"true"

    def remote_urls(self) -> tuple[str, ...]:
        """Return the URLs of all remotes, as written and as ``insteadOf`` rewrites them.

        They may hold credentials: compare them, never show them.
        """
        written = self._run(
            "config", "--null", "--get-regexp", r"^remote\..*\.(push)?url$", ok=(0, 1)
        )
        entries = (e.partition("\n")[2] for e in _text(written.stdout).split("\0") if e)
        used = self._run("remote", "--verbose")
        rewritten = (
            m[1] for line in _text(used.stdout).splitlines() if (m := _REMOTE.fullmatch(line))
        )
        return tuple(sorted({*entries, *rewritten}))

    def commit(self, revision: str) -> str | None:
        """Return the commit a revision names, None when it names none."""
        if not revision or revision.startswith("-") or not revision.isprintable():
            return None
        found = self._run(
            "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", ok=range(256)
        )
        commit = _text(found.stdout).strip()
        return commit if found.returncode == 0 and is_commit_id(commit) else None

    def has(self, commit: str) -> bool:
        """Tell whether a commit is in this checkout."""
        return is_commit_id(commit) and self.commit(commit) == commit

    def is_ancestor(self, commit: str, of: str) -> bool:
        """Tell whether ``of`` holds a commit; both must be here."""
        done = self._run("merge-base", "--is-ancestor", _id(commit), _id(of), ok=(0, 1))
        return done.returncode == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """Return where two commits parted, None when nothing here tells."""
        found = self._run("merge-base", _id(one), _id(other), ok=(0, 1))
        return _text(found.stdout).strip() or None

    def files(self, commit: str, directory: str) -> dict[str, str]:
        """Return blob ids by path below a directory of a commit; empty when there is none.

        Args:
            directory: from the root of the repository, ``""`` for the root itself.
        """
        place = directory.strip("/")
        paths = ["--", f"{place}/"] if place else []
        listed = self._run("ls-tree", "-r", "-z", "--full-tree", _id(commit), *paths)
        out = {}
        cut = len(place) + 1 if place else 0
        for entry in _text(listed.stdout).split("\0"):
            meta, _, path = entry.partition("\t")
            mode, _, blob = meta.partition(" blob ")
            if mode in _FILES and blob:
                out[path[cut:]] = blob
        return out

    def blobs(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Return the content of blobs, but for those of more than 1 MiB.

        Raises:
            CheckoutError: one is not here, as in a partial clone.
        """
        wanted = sorted(set(ids))
        if not wanted:
            return {}
        sizes = _text(self._batch("--batch-check", wanted)).splitlines()
        small = []
        for line in sizes:
            blob, _, rest = line.partition(" ")
            kind, _, size = rest.partition(" ")
            if kind != "blob":
                raise CheckoutError(
                    f"the checkout lacks the content of a file ({blob[:8]}): it is a partial clone",
                    remedy="clone without --filter, or fetch the objects first",
                )
            if int(size) <= _MOST_BYTES:
                small.append(blob)
        return _parse_batch(self._batch("--batch", small)) if small else {}

    def _batch(self, how: str, ids: Sequence[str]) -> bytes:
        return self._run("cat-file", how, given="\n".join([*ids, ""]).encode()).stdout

    def _run(
        self, *words: str, ok: Sequence[int] = (0,), given: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        try:
            done = subprocess.run(  # noqa: S603 - a list, and no word of it is foreign
                [*self._command, *words],
                input=given,
                capture_output=True,
                env=self._environ,
                timeout=self._timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as e:
            raise CheckoutError(
                f"git {words[0]} took longer than {self._timeout_s:.0f} s in the checkout",
                remedy="run it again; a fetch or a repack may be under way",
            ) from e
        except OSError as e:
            raise CheckoutError(f"git cannot be started: {e.strerror or e}") from e
        if done.returncode not in ok:
            raise CheckoutError(
                f"git {words[0]} failed in the checkout: {_first_line(done.stderr)}",
                remedy="see that the checkout is whole: git fsck --connectivity-only",
            )
        return done


def _id(commit: str) -> str:
    if not is_commit_id(commit):
        raise CheckoutError(f"{clean(commit, limit=80)!r} is no commit id")
    return commit


def _text(output: bytes) -> str:
    return output.decode("utf-8", "replace")


def _first_line(output: bytes) -> str:
    return clean((_text(output).strip().splitlines() or ["git gave no reason"])[0], limit=300)


def _parse_batch(output: bytes) -> dict[str, bytes]:
    """Read what ``cat-file --batch`` wrote: a line with id, type and size, the bytes, a newline."""
    out = {}
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        blob, _, size = _text(output[at:end]).split(" ")
        out[blob] = output[end + 1 : end + 1 + int(size)]
        at = end + 2 + int(size)
    return out
