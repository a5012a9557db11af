"""The file that keeps the state: one row per object, written in one transaction per request.

SQLite in write-ahead mode: a process that is killed between two requests loses nothing that was
answered, and the file belongs to one process at a time. This module knows rows and bytes only;
what they mean stands in ``journal``.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["FILE", "InUse", "Store"]

FILE = "state.sqlite"
_VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS objects (
  n INTEGER PRIMARY KEY AUTOINCREMENT, shelf TEXT NOT NULL, key TEXT NOT NULL,
  value TEXT NOT NULL, UNIQUE (shelf, key));
CREATE TABLE IF NOT EXISTS derived (
  shelf TEXT NOT NULL, key TEXT NOT NULL, tag TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (shelf, key));
CREATE TABLE IF NOT EXISTS blobs (digest TEXT PRIMARY KEY, content BLOB NOT NULL);
"""


class InUse(ValueError):
    """Another emulator has the folder."""


class Store:
    """Rows and blobs in a folder.

    Args:
        root: The folder.
        kept: False for a folder that goes when the process does: then nothing has to survive.
    """

    def __init__(self, root: Path, *, kept: bool) -> None:
        self.path = root / FILE
        self.kept = kept
        self._connection: sqlite3.Connection | None = None
        self._changed = False

    def open(self) -> None:
        """Take the file, and make it when there is none.

        Raises:
            InUse: if another emulator has it.
            ValueError: if it is no state file of this version; it is left as it is.
        """
        if self._connection is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        try:
            self._prepare(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if getattr(error, "sqlite_errorcode", None) in {
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_LOCKED,
            }:
                raise InUse(f"{self.path.parent} is in use by {self._holder()}") from error
            raise ValueError(f"{self.path} can not be read: {error}") from error
        except ValueError:
            connection.close()
            raise
        self._connection = connection
        if self.kept:
            self._holder_file.write_text(str(os.getpid()))

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # The lock is taken with the first transaction and held until the file is closed.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("COMMIT")
        if version not in {0, _VERSION}:
            raise ValueError(f"{self.path} was written by another version of the emulator")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"PRAGMA journal_mode={'WAL' if self.kept else 'MEMORY'}")
        if version == 0:
            connection.execute("BEGIN")
            for statement in filter(str.strip, _TABLES.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={_VERSION}")
            connection.execute("COMMIT")
        if self.kept:
            # What was committed survives the process; only a power cut may take the last seconds.
            connection.execute("PRAGMA synchronous=NORMAL")

    @property
    def _holder_file(self) -> Path:
        return self.path.with_suffix(".pid")

    def _holder(self) -> str:
        try:
            return f"another emulator (process {int(self._holder_file.read_text())})"
        except (OSError, ValueError):
            return "another emulator"

    def _read(self) -> sqlite3.Connection:
        if self._connection is None:
            self.open()
        if self._connection is None:
            raise AssertionError("open() raises if it can not open")
        return self._connection

    def _write(self) -> sqlite3.Connection:
        connection = self._read()
        if not self._changed:
            connection.execute("BEGIN")
            self._changed = True
        return connection

    def meta(self) -> dict[str, str]:
        """Return the values that belong to no object."""
        return dict(self._read().execute("SELECT key, value FROM meta"))

    def put_meta(self, key: str, value: str) -> None:
        """Write a value that belongs to no object."""
        self._write().execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def rows(self, shelf: str) -> Iterator[tuple[str, str]]:
        """Return key and value of a shelf's rows in the order in which they were first written."""
        yield from self._read().execute(
            "SELECT key, value FROM objects WHERE shelf = ? ORDER BY n", (shelf,)
        )

    def row(self, shelf: str, key: str) -> str | None:
        """Return one row's value."""
        found = self._read().execute(
            "SELECT value FROM objects WHERE shelf = ? AND key = ?", (shelf, key)
        )
        first = found.fetchone()
        return None if first is None else str(first[0])

    def put_rows(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Write rows of shelf, key, value; a row that is there keeps its place in the order."""
        connection = self._write()
        for shelf, key, value in rows:
            connection.execute(
                "INSERT INTO objects (shelf, key, value) VALUES (?, ?, ?) "
                "ON CONFLICT (shelf, key) DO UPDATE SET value = excluded.value",
                (shelf, key, value),
            )
            connection.execute("DELETE FROM derived WHERE shelf = ? AND key = ?", (shelf, key))

    def drop_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Remove rows, and what was derived from them."""
        connection = self._write()
        for row in rows:
            connection.execute("DELETE FROM objects WHERE shelf = ? AND key = ?", row)
            connection.execute("DELETE FROM derived WHERE shelf = ? AND key = ?", row)

    def derived(self, shelf: str, key: str, tag: str) -> str | None:
        """Return what was derived from a row under this tag and is still true."""
        found = self._read().execute(
            "SELECT value FROM derived WHERE shelf = ? AND key = ? AND tag = ?", (shelf, key, tag)
        )
        first = found.fetchone()
        return None if first is None else str(first[0])

    def put_derived(self, shelf: str, key: str, tag: str, value: str) -> None:
        """Keep what follows from a row, until the row is written again."""
        self._write().execute(
            "INSERT OR REPLACE INTO derived VALUES (?, ?, ?, ?)", (shelf, key, tag, value)
        )

    def put_blob(self, digest: str, content: bytes) -> None:
        """Keep bytes under their hash; putting them again changes nothing."""
        self._write().execute("INSERT OR IGNORE INTO blobs VALUES (?, ?)", (digest, content))

    def blob(self, digest: str) -> bytes | None:
        """Return bytes by their hash."""
        found = self._read().execute("SELECT content FROM blobs WHERE digest = ?", (digest,))
        first = found.fetchone()
        return None if first is None else bytes(first[0])

    def clear(self) -> None:
        """Remove everything."""
        connection = self._write()
        for table in ("meta", "objects", "derived", "blobs"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names

    def commit(self) -> None:
        """Make what was written final."""
        if self._changed and self._connection is not None:
            self._connection.execute("COMMIT")
            self._changed = False

    def rollback(self) -> None:
        """Take back what was written since the last commit."""
        if self._changed and self._connection is not None:
            self._connection.execute("ROLLBACK")
            self._changed = False

    def close(self) -> None:
        """Let the file go; what was not committed is lost."""
        if self._connection is not None:
            self.rollback()
            self._connection.close()
            self._connection = None
            if self.kept:
                self._holder_file.unlink(missing_ok=True)
