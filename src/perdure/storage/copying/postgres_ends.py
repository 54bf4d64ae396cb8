"""A hub in PostgreSQL as source and as target of a copy."""

from collections.abc import Callable
from typing import Any
from zlib import crc32

import asyncpg

from perdure.contracts.errors import StoreInUse, StoreUnusable
from perdure.core.partitions import partition_of
from perdure.storage.copying.parts import Batch, Counts, Part, Reached, Row
from perdure.storage.options import Access
from perdure.storage.postgres.address import read_address
from perdure.storage.postgres.copies import AFTER, FINGERPRINT, PART, read_copy
from perdure.storage.postgres.meanings import LOST_ERRORS, meaning, unusable
from perdure.storage.postgres.schema import Schema
from perdure.storage.postgres.sessions import session_settings
from perdure.storage.postgres.tables import NUMBERS_BITS
from perdure.storage.rows import ACTIVITY_COLUMNS, HISTORY_COLUMNS, INBOX_COLUMNS, INSTANCE_COLUMNS
from perdure.storage.sql_files import named_statements, read_text

ROWS_AT_ONCE = 500
HISTORY_BYTES_AT_ONCE = 16 * 1024 * 1024
CONNECT_SECONDS_MAX = 10
_SQL = named_statements(read_text("perdure.storage.copying", "postgres.sql"))
_ERRORS = (asyncpg.PostgresError, *LOST_ERRORS)


class _End:
    """One hub, on one connection that is kept from ``open`` to ``close``."""

    def __init__(self, url: str, hub: str) -> None:
        self._address = read_address(url)
        self._schema = Schema(hub)
        self._sql = {name: self._schema.placed(text) for name, text in _SQL.items()}
        self._place = f"{self._address.shown} (task hub '{hub}')"
        self._connection: asyncpg.Connection | None = None

    async def _connect(self) -> asyncpg.Connection:
        settings = {**session_settings(0, None, 0), "idle_in_transaction_session_timeout": "0"}
        try:
            connection = self._connection = await asyncpg.connect(
                self._address.dsn, timeout=CONNECT_SECONDS_MAX, server_settings=settings
            )
        except (*_ERRORS, ValueError) as error:
            raise unusable(error, self._place) from error
        assert connection is not None
        return connection

    async def close(self) -> None:
        """See ``Source``."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # A transaction of ours that reads ends with it.
            connection.terminate()

    async def counts(self) -> Counts:
        """See ``Source``."""
        [row] = await self._fetch("counts")
        return Counts(*row.values())

    async def _fetch(self, name: str, *values: Any) -> list[asyncpg.Record]:
        assert self._connection is not None, "not open"
        try:
            return await self._connection.fetch(self._sql[name], *values)
        except _ERRORS as error:
            raise meaning(error, self._place) from error


class PostgresSource(_End):
    """See ``Source``. While it is read no host can come to the hub: to be on its list it would have to be written."""

    async def open(self) -> None:
        """See ``Source``."""
        connection = await self._connect()
        await self._schema.ready(connection, self._place, Access.READ_ONLY, None)
        try:
            await connection.execute("begin isolation level repeatable read read only")
            await connection.execute(self._schema.placed("lock table hub.process in share mode nowait"))
        except asyncpg.LockNotAvailableError as error:
            raise StoreInUse(f"The hub at {self._place} is being used; stop what uses it first.") from error
        except _ERRORS as error:
            raise meaning(error, self._place) from error
        working = [row["name"] for row in await self._fetch("working")]
        if working:
            others = f" and {len(working) - 1} more" if len(working) > 1 else ""
            raise StoreInUse(
                f"The hub at {self._place} is being worked on by {working[0]}{others}. Stop them first; one that was "
                "killed is off the list when its lease has ended, after 10 seconds."
            )

    async def fingerprint(self) -> int:
        """See ``Source``."""
        [row] = await self._fetch("fingerprint")
        return crc32(f"{self._place}|{list(row.values())}".encode())

    async def number_bound(self) -> int:
        """See ``Source``."""
        [row] = await self._fetch("last_block")
        return (row[0] + 1) << NUMBERS_BITS

    async def read(self, reached: Reached) -> Batch | None:
        """See ``Source``."""
        rows = await self._fetch(_READ[reached.part], reached.after, ROWS_AT_ONCE)
        if not rows:
            return None
        last: int = rows[-1][0]
        if reached.part is not Part.INSTANCES:
            return Batch([tuple(row)[1:] for row in rows], last)
        count = _affordable(rows)
        last = rows[count - 1][0]
        history = await self._fetch("history", reached.after, last)
        return Batch([tuple(row)[2:] for row in rows[:count]], last, [tuple(row) for row in history])


class PostgresTarget(_End):
    """See ``Target``."""

    def __init__(self, url: str, hub: str, partitions: int | None = None) -> None:
        super().__init__(url, hub)
        self._asked_partitions = partitions
        self._partitions = 0

    async def open(self, fingerprint: int) -> Reached:
        """See ``Target``."""
        connection = await self._connect()
        # It ends with the connection; a copy is no business for a pooler.
        if not await connection.fetchval("select pg_try_advisory_lock(hashtextextended($1, 1))", self._schema.name):
            raise StoreInUse(f"Somebody else copies to the hub at {self._place} at this moment.")
        self._partitions = await self._schema.ready(connection, self._place, Access.HOLD, self._asked_partitions)
        settings = await read_copy(connection, self._schema)
        if settings.get(FINGERPRINT) == fingerprint:
            return Reached(Part(settings[PART]), settings[AFTER]) if PART in settings else Reached()
        if not settings and ((await self.counts()).total or await self._fetch("working")):
            raise StoreUnusable(f"The hub at {self._place} is not empty; name another one, or drop it first.")
        await self._run(lambda: self._begin_anew(connection, fingerprint))
        return Reached()

    async def _begin_anew(self, connection: asyncpg.Connection, fingerprint: int) -> None:
        async with connection.transaction():
            await connection.execute(self._sql["empty"])
            await connection.execute(self._sql["forget_copy"])
            await connection.execute(self._sql["note_copy"], FINGERPRINT, fingerprint)

    async def write(self, part: Part, batch: Batch) -> None:
        """See ``Target``."""
        await self._run(lambda: self._write(part, batch))

    async def _write(self, part: Part, batch: Batch) -> None:
        connection = self._connection
        assert connection is not None, "not open"
        table, columns = _TABLES[part]
        rows = await self._placed_rows(part, batch.rows)
        async with connection.transaction():
            await self._copy_in(connection, table, columns, rows)
            if batch.history:
                await self._copy_in(connection, "history", HISTORY_COLUMNS, batch.history)
            await connection.execute(self._sql["note_copy"], PART, part.value)
            await connection.execute(self._sql["note_copy"], AFTER, batch.after)

    async def _copy_in(
        self, connection: asyncpg.Connection, table: str, columns: tuple[str, ...], rows: list[Row]
    ) -> None:
        await connection.copy_records_to_table(
            table, records=[tuple(row) for row in rows], columns=columns, schema_name=self._schema.name
        )

    async def _placed_rows(self, part: Part, rows: list[Row]) -> list[Row]:
        """With what the columns of this store need besides: the partition, and the name for comparing."""
        count = self._partitions
        match part:
            case Part.INSTANCES:
                return [(*row, partition_of(row[1], count), _folded(row[3])) for row in rows]
            case Part.MESSAGES:
                return [(*row, partition_of(row[1], count)) for row in rows]
            case _:
                # An activity without an instance is damage; it comes along, for `verify` to find.
                numbers = list({row[1] for row in rows})
                found = {r["number"]: r["partition"] for r in await self._fetch("partitions_of", numbers)}
                return [(*row, found.get(row[1], 0)) for row in rows]

    async def finish(self, number_bound: int) -> None:
        """See ``Target``."""
        await self._run(lambda: self._finish(number_bound))

    async def _finish(self, number_bound: int) -> None:
        connection = self._connection
        assert connection is not None, "not open"
        async with connection.transaction():
            # The blocks below are given to nobody: numbers of the source stay its own.
            await connection.execute(self._sql["skip_blocks"], number_bound >> NUMBERS_BITS)
            await connection.execute(self._sql["forget_copy"])
        await connection.execute(self._sql["look_at_tables"])

    async def _run(self, step: Callable[[], Any]) -> None:
        try:
            await step()
        except (asyncpg.DataError, UnicodeError) as error:
            raise StoreUnusable(
                f"The source holds a text that PostgreSQL cannot keep ({str(error).splitlines()[0]}). "
                "What is damaged: perdure verify"
            ) from error
        except _ERRORS as error:
            raise meaning(error, self._place) from error


def _affordable(rows: list[asyncpg.Record]) -> int:
    """How many of these instances have histories that may be in memory together; at least one."""
    total = 0
    for count, row in enumerate(rows):
        total += row["history_bytes"]
        if total > HISTORY_BYTES_AT_ONCE:
            return max(1, count)
    return len(rows)


def _folded(name: str) -> str | None:
    folded = name.casefold()
    return None if folded == name else folded


_READ = {Part.INSTANCES: "instances", Part.ACTIVITIES: "activities", Part.MESSAGES: "messages"}
_TABLES = {
    Part.INSTANCES: ("instance", (*INSTANCE_COLUMNS, "partition", "folded_name")),
    Part.ACTIVITIES: ("activity", (*ACTIVITY_COLUMNS, "partition")),
    Part.MESSAGES: ("inbox", (*INBOX_COLUMNS, "partition")),
}
