"""Item content, kept once per content.

A thousand workspaces that were synced from the same folder share their bytes here; state refers to
content by hash only, which keeps the state file small.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["BlobStore"]


class BlobStore:
    """Bytes by the SHA-256 of their content, in memory and, with a folder, on disk too."""

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._cache: dict[str, bytes] = {}

    def put(self, content: bytes) -> str:
        """Keep content and return its hash."""
        digest = hashlib.sha256(content).hexdigest()
        if digest in self._cache:
            return digest
        self._cache[digest] = content
        if self._root is not None:
            path = self._path(self._root, digest)
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_suffix(".partial")
                partial.write_bytes(content)
                partial.replace(path)
        return digest

    def get(self, digest: str) -> bytes:
        """Return content by its hash.

        Raises:
            KeyError: if nothing has this hash.
        """
        cached = self._cache.get(digest)
        if cached is not None:
            return cached
        if self._root is None:
            raise KeyError(digest)
        try:
            content = self._path(self._root, digest).read_bytes()
        except FileNotFoundError as error:
            raise KeyError(digest) from error
        self._cache[digest] = content
        return content

    @staticmethod
    def _path(root: Path, digest: str) -> Path:
        return root / digest[:2] / digest
