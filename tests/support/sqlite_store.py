"""A SQLite store opened in a test: inline unless said otherwise, and its file looked at from outside."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from perdure.storage.options import Placement, StorageOptions
from perdure.storage.sqlite.storage import SqliteStorage
from support.store_stage import Stage, WallClock


class AtPath:
    """A factory of one given file."""

    def __init__(self, options: StorageOptions, connection_type: type[sqlite3.Connection]) -> None:
        self._options = options
        self._connection_type = connection_type

    def make(self, folder: Path) -> SqliteStorage:
        return SqliteStorage(str(folder), WallClock(), self._options, self._connection_type)

    async def crashed(self, storage: object, folder: Path) -> SqliteStorage:
        raise NotImplementedError("a file of its own is not copied")


@asynccontextmanager
async def opened(
    path: Path, connection_type: type[sqlite3.Connection] = sqlite3.Connection, **options: Any
) -> AsyncIterator[Stage]:
    """A stage on this file."""
    options.setdefault("placement", Placement.INLINE)
    stage = Stage(AtPath(StorageOptions(**options), connection_type), path)
    await stage.open()
    try:
        yield stage
    finally:
        await stage.close()


@contextmanager
def outside(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else, in autocommit."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection
