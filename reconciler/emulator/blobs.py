"""Item content, kept once per content.

A thousand workspaces that were synced from the same folder share their bytes here; state refers to
content by hash only, which keeps it small. The bytes lie in the store's file; only those that were
used lately are in memory.
"""

from __future__ import annotations

import hashlib
import sys

from reconciler.emulator.lru import Lru
from reconciler.emulator.store import Store

__all__ = ["BlobStore"]

_IN_MEMORY_BYTES = 16 * 1024 * 1024


class BlobStore:
    """Bytes by the SHA-256 of their content."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cache: Lru[str, bytes] = Lru(_IN_MEMORY_BYTES, size=len)

    def put(self, content: bytes) -> str:
        """Keep content and return its hash."""
        # One text per content, however many items refer to it.
        digest = sys.intern(hashlib.sha256(content).hexdigest())
        if self._cache.get(digest) is None:
            self._store.put_blob(digest, content)
            self._cache.put(digest, content)
        return digest

    def get(self, digest: str) -> bytes:
        """Return content by its hash.

        Raises:
            KeyError: if nothing has this hash.
        """
        cached = self._cache.get(digest)
        if cached is not None:
            return cached
        content = self._store.blob(digest)
        if content is None:
            raise KeyError(digest)
        self._cache.put(digest, content)
        return content
