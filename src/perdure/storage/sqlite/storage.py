"""The storage in a SQLite file: the default."""

import sqlite3
from pathlib import Path

from perdure.contracts.clock import Clock
from perdure.storage.one_process import OneProcessStorage
from perdure.storage.options import StorageOptions
from perdure.storage.sqlite.tables import SqliteTables


class SqliteStorage(OneProcessStorage):
    """One process at a time; write-ahead log; synced as ``options.durability`` says."""

    def __init__(
        self,
        path: str,
        clock: Clock,
        options: StorageOptions | None = None,
        connection_type: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        options = StorageOptions() if options is None else options
        self.path = Path(path)
        self._rows = SqliteTables(path, clock, options, connection_type)
        super().__init__(self._rows, clock, options)

    def name_url(self, url: str) -> None:
        """Tell other processes, in the lock file, where this one can be reached. Valid while open."""
        self._rows.name_url(url)
