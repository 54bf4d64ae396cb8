"""A SQLite file as source and as target of a copy."""

import os
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from perdure.contracts.errors import StoreUnusable
from perdure.storage.copying.parts import Batch, Counts, Part, Reached, Row
from perdure.storage.migrations import check_version, migrate_sqlite, read_migrations
from perdure.storage.rows import (
    ACTIVITY_COLUMNS,
    HISTORY_COLUMNS,
    INBOX_COLUMNS,
    INSTANCE_COLUMNS,
    checksum,
)
from perdure.storage.sqlite.connections import connect, prepare_file, require_file
from perdure.storage.sqlite.lock_file import LockFile
from perdure.storage.sqlite.statements import SQL
from perdure.storage.sqlite.tables import APPLICATION_ID, MIGRATIONS

ROWS_AT_ONCE = 500
HISTORY_BYTES_AT_ONCE = 16 * 1024 * 1024
LOCK_SECONDS_MAX = 0.2
_COUNTS = (
    "select (select count(*) from instance), (select count(*) from history), (select count(*) from activity), "
    "(select count(*) from inbox)"
)
_FINGERPRINT, _PART, _AFTER = "copy_fingerprint", "copy_part", "copy_after"
"""Settings of a file that is not whole yet."""


class SqliteSource:
    """See ``Source``; held like a host holds it."""

    def __init__(self, path: Path) -> None:
        self._path = os.path.abspath(path)
        self._place = f"sqlite:{path}"
        self._lock = LockFile(self._path + ".lock", self._place)
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """See ``Source``."""
        require_file(self._path)
        await self._lock.hold(LOCK_SECONDS_MAX, datetime.now(UTC).isoformat())
        try:
            self._connection = self._connected()
        except sqlite3.Error as error:
            await self.close()
            raise StoreUnusable(f"The store {self._place} cannot be read: {error}.") from error
        except BaseException:
            await self.close()
            raise

    def _connected(self) -> sqlite3.Connection:
        connection, found = self._opened()
        version, known = connection.execute("pragma user_version").fetchone()[0], len(read_migrations(MIGRATIONS))
        if found != APPLICATION_ID:
            raise StoreUnusable(f"{self._place} is no store of perdure's.")
        check_version(self._place, version, known)
        if version < known:
            raise StoreUnusable(
                f"The store {self._place} has the older schema version {version}; first: perdure hub upgrade."
            )
        return connection

    def _opened(self) -> tuple[sqlite3.Connection, int]:
        try:
            connection = connect(self._path, "ro", sqlite3.Connection)
            return connection, connection.execute("pragma application_id").fetchone()[0]
        except sqlite3.OperationalError:
            # The log's index cannot be made here; nobody writes, so the file may be taken as it is.
            connection = connect(self._path, "immutable", sqlite3.Connection)
            return connection, connection.execute("pragma application_id").fetchone()[0]

    async def close(self) -> None:
        """See ``Source``."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    async def fingerprint(self) -> int:
        """See ``Source``."""
        # Our own reading leaves them as they are.
        text = self._path
        for ending in ("", "-wal"):
            with suppress(FileNotFoundError):
                state = os.stat(self._path + ending)
                text += f"|{state.st_size}|{state.st_mtime_ns}" if state.st_size else ""
        return crc32(text.encode())

    async def counts(self) -> Counts:
        """See ``Source``."""
        return Counts(*self._rows(_COUNTS)[0])

    async def number_bound(self) -> int:
        """See ``Source``."""
        [[reserved]] = self._rows("select value from setting where name = 'numbers_reserved'")
        [[highest]] = self._rows(SQL["highest_number"])
        return max(reserved, highest + 1)

    async def read(self, reached: Reached) -> Batch | None:
        """See ``Source``."""
        rows = self._rows(_READ[reached.part], reached.after, ROWS_AT_ONCE)
        if not rows:
            return None
        if reached.part is not Part.INSTANCES:
            return Batch(rows, rows[-1][0])
        rows = rows[: self._affordable(rows)]
        last = rows[-1][0]
        return Batch(rows, last, self._rows(_HISTORY, reached.after, last))

    def _affordable(self, rows: list[Row]) -> int:
        """How many of these instances have histories that may be in memory together; at least one."""
        sizes: dict[int, int] = {row[0]: row[1] for row in self._rows(_HISTORY_SIZES, rows[0][0] - 1, rows[-1][0])}
        total = 0
        for count, row in enumerate(rows):
            total += sizes.get(row[0], 0)
            if total > HISTORY_BYTES_AT_ONCE:
                return max(1, count)
        return len(rows)

    def _rows(self, statement: str, *values: int) -> list[Row]:
        assert self._connection is not None, "not open"
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreUnusable(
                f"The store {self._place} cannot be read: {error}. What is damaged: perdure verify"
            ) from error


class SqliteTarget:
    """See ``Target``; another file until it is whole, which then takes the name."""

    def __init__(self, path: Path) -> None:
        self._path = os.path.abspath(path)
        self._part = self._path + ".part"
        self._place = f"sqlite:{path}"
        self._lock = LockFile(self._path + ".lock", self._place)
        self._connection: sqlite3.Connection | None = None

    async def open(self, fingerprint: int) -> Reached:
        """See ``Target``."""
        prepare_file(self._part)
        await self._lock.hold(LOCK_SECONDS_MAX, datetime.now(UTC).isoformat())
        self._check_empty()
        try:
            settings = self._connected()
            if settings.get(_FINGERPRINT) != fingerprint:
                self._begin_anew()
                self._execute("insert into setting (name, value) values (?, ?)", _FINGERPRINT, fingerprint)
                return Reached()
            return Reached(Part(settings[_PART]), settings[_AFTER]) if _PART in settings else Reached()
        except sqlite3.Error as error:
            raise StoreUnusable(f"{self._part} cannot be written: {error}.") from error

    def _check_empty(self) -> None:
        if not os.path.exists(self._path) or os.path.getsize(self._path) == 0:
            return
        try:
            connection = connect(self._path, "rw", sqlite3.Connection)
            try:
                is_empty = not any(connection.execute(_COUNTS).fetchone())
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StoreUnusable(f"{self._place} is there, and no store that can be read: {error}.") from error
        if not is_empty:
            raise StoreUnusable(f"The store {self._place} is not empty; name another file, or delete it first.")

    def _connected(self) -> dict[str, int]:
        connection = self._connection = connect(self._part, "rw", sqlite3.Connection)
        connection.execute("pragma journal_mode = wal").fetchall()
        connection.execute("pragma synchronous = full").fetchall()
        migrate_sqlite(connection, self._place, read_migrations(MIGRATIONS), APPLICATION_ID)
        return dict(connection.execute("select name, value from setting").fetchall())

    def _begin_anew(self) -> None:
        assert self._connection is not None
        self._connection.close()
        _remove(self._part)
        prepare_file(self._part)
        self._connected()

    async def close(self) -> None:
        """See ``Target``."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    async def write(self, part: Part, batch: Batch) -> None:
        """See ``Target``."""
        connection = self._connection
        assert connection is not None, "not open"
        rows = self._renumbered(connection, batch.rows) if part is Part.MESSAGES else batch.rows
        try:
            connection.execute("begin immediate")
            connection.executemany(_WRITE[part], rows)
            connection.executemany(_WRITE_HISTORY, batch.history)
            for name, value in ((_PART, part.value), (_AFTER, batch.after)):
                connection.execute("insert or replace into setting (name, value) values (?, ?)", (name, value))
            connection.execute("commit")
        except (sqlite3.Error, UnicodeError) as error:
            raise StoreUnusable(f"{self._part} cannot be written: {error}.") from error
        finally:
            if connection.in_transaction:
                connection.execute("rollback")

    def _renumbered(self, connection: sqlite3.Connection, rows: list[Row]) -> list[Row]:
        """Here a message's position is its place in the order of arrival."""
        [position] = connection.execute("select coalesce(max(position), 0) from inbox").fetchone()
        renumbered: list[Row] = []
        for row in rows:
            if checksum(tuple(row[:5])) != row[5]:
                raise StoreUnusable(
                    f"The message at position {row[0]} of the source is damaged. What else is: perdure verify"
                )
            position += 1
            values = (position, *row[1:5])
            renumbered.append((*values, checksum(values)))
        return renumbered

    async def counts(self) -> Counts:
        """See ``Target``."""
        assert self._connection is not None, "not open"
        return Counts(*self._connection.execute(_COUNTS).fetchone())

    async def finish(self, number_bound: int) -> None:
        """See ``Target``."""
        assert self._connection is not None, "not open"
        try:
            self._execute("delete from setting where name like 'copy\\_%' escape '\\'")
            [highest] = self._connection.execute("select coalesce(max(position), 0) from inbox").fetchone()
            self._execute(
                "update setting set value = ? where name = 'numbers_reserved'", max(number_bound, highest + 1)
            )
            self._connection.execute("pragma wal_checkpoint(truncate)").fetchall()
            self._connection.close()
            self._connection = None
            for path in (self._path, self._part):
                for ending in ("-wal", "-shm"):
                    with suppress(FileNotFoundError):
                        os.unlink(path + ending)
            os.replace(self._part, self._path)
            _sync(self._path)
            _sync(os.path.dirname(self._path))
        except (sqlite3.Error, OSError) as error:
            raise StoreUnusable(f"{self._place} cannot be written: {error}.") from error

    def _execute(self, statement: str, *values: str | int) -> None:
        assert self._connection is not None, "not open"
        self._connection.execute(statement, values)


def _remove(path: str) -> None:
    for ending in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(path + ending)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _select(table: str, columns: tuple[str, ...]) -> str:
    return f"select {', '.join(columns)} from {table} where {columns[0]} > ? order by {columns[0]} limit ?"


def _insert(table: str, columns: tuple[str, ...]) -> str:
    return f"insert into {table} ({', '.join(columns)}) values ({', '.join('?' * len(columns))})"


_READ = {
    Part.INSTANCES: _select("instance", INSTANCE_COLUMNS),
    Part.ACTIVITIES: _select("activity", ACTIVITY_COLUMNS),
    Part.MESSAGES: _select("inbox", INBOX_COLUMNS),
}
_HISTORY = (
    f"select {', '.join(HISTORY_COLUMNS)} from history where instance > ? and instance <= ? "
    "order by instance, first_seq"
)
_HISTORY_SIZES = (
    "select instance, sum(length(events)) from history where instance > ? and instance <= ? group by instance"
)
_WRITE = {
    Part.INSTANCES: _insert("instance", INSTANCE_COLUMNS),
    Part.ACTIVITIES: _insert("activity", ACTIVITY_COLUMNS),
    Part.MESSAGES: _insert("inbox", INBOX_COLUMNS),
}
_WRITE_HISTORY = _insert("history", HISTORY_COLUMNS)
