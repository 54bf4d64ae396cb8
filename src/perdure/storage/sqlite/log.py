"""How long the write-ahead log has grown, and folding it into the file.

SQLite would do this by itself within a commit, but a sync that fails there would go unheard, and the next one would
seem to succeed for pages that never reached the disk (reliability.md D6).
"""

import os
import sqlite3

ROWS_MAX = 10_000
"""Some thousand pages: a row changes one to three, and rows that are written together share theirs."""
BYTES_MAX = 32 * 1024 * 1024
ROWS_BETWEEN = 500
"""A log that a reader keeps from being folded is not tried again at each commit."""


class Log:
    """The log of one file, as its writer sees it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._changes = 0
        self._changes_folded = 0
        self._bytes = 0

    def grown(self, changes: int) -> None:
        """A commit was written; ``changes`` counts the connection's changed rows so far."""
        self._changes = changes
        self._bytes = os.stat(self._path).st_size

    @property
    def is_long(self) -> bool:
        rows = self._changes - self._changes_folded
        return rows >= ROWS_MAX or (self._bytes > BYTES_MAX and rows >= ROWS_BETWEEN)

    def fold(self, cursor: sqlite3.Cursor) -> None:
        """Bring all of it that no reader needs into the file, synced. Raises sqlite3.Error."""
        self._changes_folded = self._changes
        cursor.execute("pragma wal_checkpoint(passive)").fetchall()
