"""Definition bytes: hashing, finding the ids in them, and exchanging ids.

Inside a definition, references to items of the same workspace are object ids in the workspace and
logical ids in Git, and the own workspace is a zero id in Git (fabric-api.md section 9, samples and
docs). A mapping from id to id is all that export, import and deployment need.

The zero id also stands for "nothing" in many places, so it is exchanged with the workspace's id
only where the key before it speaks of a workspace (assumed; the service knows it per item type).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from reconciler.emulator.lru import Lru

if TYPE_CHECKING:
    from reconciler.emulator.blobs import BlobStore

__all__ = ["CONTENTS", "ZERO_ID", "Contents", "Exchange", "git_id"]

ZERO_ID = "00000000-0000-0000-0000-000000000000"

_GUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WORKSPACE = re.compile(
    rb"(workspace(?:_?id)?[\\\"' ]*[:=][\\\"' ]*)"
    rb"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.IGNORECASE,
)
_CACHED = 16_384
_Key = tuple[str, tuple[tuple[str, str], ...]]


def git_id(content: bytes) -> str:
    """Return the id that git gives a blob with this content."""
    header = b"blob %d\0" % len(content)
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()


class Exchange:
    """Ids to exchange in definitions: items anywhere, the workspace where a key names one."""

    def __init__(self, ids: Mapping[str, str], workspace: tuple[str, str] | None = None) -> None:
        self.ids = ids
        self.workspace = workspace

    def relevant(self, found: frozenset[str]) -> tuple[tuple[str, str], ...]:
        """Return the pairs that concern a content with these ids, as a cache key."""
        pairs = [(guid, self.ids[guid]) for guid in found if guid in self.ids]
        if self.workspace is not None and self.workspace[0] in found:
            pairs.append(self.workspace)
        return tuple(sorted(pairs))

    def apply(self, content: bytes) -> bytes:
        """Return the content with all ids exchanged."""
        if self.workspace is not None:
            old, new = self.workspace[0].encode(), self.workspace[1].encode()
            content = _WORKSPACE.sub(
                lambda hit: hit[1] + new if hit[2].lower() == old else hit[0], content
            )
        if not self.ids:
            return content
        return _GUID.sub(self._replacement, content)

    def _replacement(self, hit: re.Match[bytes]) -> bytes:
        new = self.ids.get(hit[0].decode().lower())
        return hit[0] if new is None else new.encode()


class Contents:
    """What can be known of blobs, remembered by their hash: a content never changes."""

    def __init__(self) -> None:
        self._git_ids: Lru[str, str] = Lru(_CACHED)
        self._guids: Lru[str, frozenset[str]] = Lru(_CACHED)
        # By store: what an exchange made is kept in the store it was asked for only.
        self._exchanged: WeakKeyDictionary[BlobStore, Lru[_Key, str]] = WeakKeyDictionary()

    def git_id(self, blobs: BlobStore, digest: str) -> str:
        """Return the git id of a kept blob."""
        found = self._git_ids.get(digest)
        if found is None:
            found = git_id(blobs.get(digest))
            self._git_ids.put(digest, found)
        return found

    def guids(self, blobs: BlobStore, digest: str) -> frozenset[str]:
        """Return the ids that stand in a kept blob, in lower case; none for binary content."""
        found = self._guids.get(digest)
        if found is None:
            content = blobs.get(digest)
            text = b"" if b"\0" in content else content
            found = frozenset(hit.decode().lower() for hit in _GUID.findall(text))
            self._guids.put(digest, found)
        return found

    def exchange(self, blobs: BlobStore, digest: str, exchange: Exchange) -> str:
        """Return the blob that a kept one becomes when ids are exchanged."""
        pairs = exchange.relevant(self.guids(blobs, digest))
        if not pairs:
            return digest
        known = self._exchanged.setdefault(blobs, Lru(_CACHED))
        key = (digest, pairs)
        found = known.get(key)
        if found is None:
            found = blobs.put(exchange.apply(blobs.get(digest)))
            known.put(key, found)
        return found


CONTENTS = Contents()
"""Shared by all worlds of a process: its entries are facts about hashes."""
