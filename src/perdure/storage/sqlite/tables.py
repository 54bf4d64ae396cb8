"""Joins lock file, connections, writer and readers into ``Tables``."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime
from itertools import islice
from typing import TypeVar

from perdure.contracts.clock import Clock
from perdure.contracts.errors import StoreFailed, StoreUnusable, Unavailable
from perdure.contracts.lanes import Lane
from perdure.contracts.records import (
    Backlog,
    DamagedInstance,
    EndedFilter,
    EndedKey,
    EndedPage,
    Finding,
    InstanceFilter,
    Page,
    PageKey,
    StoredInstance,
)
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.changes import Changes, Outcome
from perdure.storage.filters import PurgeKey
from perdure.storage.migrations import check_version, migrate_sqlite, read_migrations
from perdure.storage.options import Access, Placement, StorageOptions
from perdure.storage.sqlite import reading
from perdure.storage.sqlite.connections import (
    check_durable,
    connect,
    prepare_file,
    read_tolerantly,
    require_file,
    set_durable,
    set_pragma,
)
from perdure.storage.sqlite.lanes import AdaptiveLane, InlineLane, ThreadLane
from perdure.storage.sqlite.lock_file import LockFile
from perdure.storage.sqlite.log import Log
from perdure.storage.sqlite.statements import SQL
from perdure.storage.sqlite.verifying import Verification
from perdure.storage.sqlite.writer import Writer

T = TypeVar("T")

APPLICATION_ID = 0x50455244
"""Marks a SQLite file as ours."""
MIGRATIONS = "perdure.storage.sqlite.migrations"
IN_TURN_EVENTS_MAX = 2_000
IN_TURN_INSTANCES_MAX = 64
"""Loads up to these sizes are read in the loop's turn."""
FINDINGS_AT_ONCE = 100


class SqliteTables:
    """Implements ``Tables``.

    Reads by key run in the loop's turn on a connection of their own, which sees the newest commit whatever the
    writer does; long ones run in a reader thread.
    """

    def __init__(
        self,
        path: str,
        clock: Clock,
        options: StorageOptions,
        connection_type: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self._path = os.path.abspath(path)
        self._place = f"sqlite:{path}"
        self._clock = clock
        self._options = options
        self._connection_type = connection_type
        self._lock = LockFile(self._path + ".lock", self._place)
        self._connections: list[sqlite3.Connection] = []
        self._lanes: list[Lane] = []

    def describe(self) -> str:
        return f"store {self._place}, durability {self._options.durability.value}"

    def name_url(self, url: str) -> None:
        """Write where this process can be reached into the lock file."""
        self._lock.name_url(url)

    # Life

    async def open(self) -> None:
        read_only = self._options.access is Access.READ_ONLY
        (require_file if read_only else prepare_file)(self._path)
        await self._lock.hold(self._options.lock_seconds_max, self._clock.now().isoformat())
        try:
            if read_only:
                self._open_to_read()
            else:
                self._open_to_write()
        except sqlite3.Error as error:
            await self.close()
            raise StoreUnusable(f"The store {self._place} cannot be opened: {error}.") from error
        except BaseException:
            await self.close()
            raise

    def _open_to_write(self) -> None:
        options = self._options
        writing = self._connect("rw")
        set_durable(writing, options.durability, self._place)
        migrate_sqlite(writing, self._place, read_migrations(MIGRATIONS), APPLICATION_ID)
        check_durable(writing, options.durability, self._place)
        lane = self._lane({Placement.THREAD: ThreadLane, Placement.ADAPTIVE: AdaptiveLane}, "perdure-writer")
        log = Log(self._path + "-wal")
        self._writer = Writer(writing, lane, self._place, log, options.busy_seconds_max)
        self._open_readers("rw")

    def _open_to_read(self) -> None:
        try:
            self._open_readers("ro")
            version = self._cursor.execute("pragma user_version").fetchone()[0]
        except sqlite3.OperationalError:
            # The write-ahead log's index cannot be made here; nobody writes, so the file may be taken as it is.
            self._open_readers("immutable")
            version = self._cursor.execute("pragma user_version").fetchone()[0]
        known = len(read_migrations(MIGRATIONS))
        check_version(self._place, version, known)
        if version < known:
            raise StoreUnusable(f"The store {self._place} has schema version {version}; open it to write first.")

    def _open_readers(self, mode: str) -> None:
        self._mode = mode
        self._cursor = self._reader(mode)
        self._reading = self._lane({Placement.THREAD: ThreadLane, Placement.ADAPTIVE: ThreadLane}, "perdure-reader")
        inline = isinstance(self._reading, InlineLane)
        self._far_cursor = self._cursor if inline else self._reader(mode)

    def _reader(self, mode: str) -> sqlite3.Cursor:
        connection = self._connect(mode)
        read_tolerantly(connection)
        connection.create_function("casefold", 1, str.casefold, deterministic=True)
        set_pragma(connection, self._place, "query_only", 1, 1)
        return connection.cursor()

    def _connect(self, mode: str) -> sqlite3.Connection:
        connection = connect(self._path, mode, self._connection_type)
        self._connections.append(connection)
        return connection

    def _lane(self, kinds: dict[Placement, Callable[[str], Lane]], name: str) -> Lane:
        kind = kinds.get(self._options.placement)
        lane: Lane = InlineLane() if kind is None else kind(name)
        self._lanes.append(lane)
        return lane

    async def close(self) -> None:
        if self._connections and self._options.access is Access.HOLD and hasattr(self, "_writer"):
            await self._writer.idle()
        for lane in self._lanes:
            lane.close()
        # The writer's connection goes last, so that it folds the log into the file.
        for connection in reversed(self._connections):
            connection.close()
        self._lanes.clear()
        self._connections.clear()
        self._lock.release()

    # Facts of the hub

    def first_number(self) -> int:
        highest = self._cursor.execute(SQL["highest_number"]).fetchone()[0]
        return max(self._setting("numbers_reserved"), highest + 1)

    def epoch(self) -> int:
        return self._setting("epoch")

    def _setting(self, name: str) -> int:
        return int(self._cursor.execute(SQL["read_setting"], (name,)).fetchone()[0])

    # Writing

    def write(self, changes: Changes, *, at_once: bool) -> asyncio.Future[Outcome]:
        if self._options.access is Access.READ_ONLY:
            refused: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
            refused.set_exception(Unavailable("The store was opened to be read only."))
            return refused
        return self._writer.write(changes, at_once=at_once)

    # Reading

    def status_of(self, instance_id: str) -> RuntimeStatus | None:
        return self._near(lambda cursor: reading.read_status(cursor, instance_id))

    async def get(self, instance_id: str) -> InstanceRecord | None:
        return self._near(lambda cursor: reading.read_record(cursor, instance_id))

    async def load(self, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        if len(instance_ids) > IN_TURN_INSTANCES_MAX:
            ids = list(instance_ids)
            return await self._far(lambda cursor: reading.read_histories(cursor, reading.read_records(cursor, ids)))
        found = self._near(lambda cursor: reading.read_records(cursor, instance_ids))
        events = sum(record.progress.last_seq for record in found if isinstance(record, InstanceRecord))
        if events > IN_TURN_EVENTS_MAX:
            return await self._far(lambda cursor: reading.read_histories(cursor, found))
        return self._near(lambda cursor: reading.read_histories(cursor, found))

    async def history(self, instance_id: str) -> list[HistoryEvent]:
        def read(cursor: sqlite3.Cursor) -> list[HistoryEvent]:
            # One transaction, so that record and rows are of one commit.
            cursor.execute("begin")
            try:
                record = reading.read_record(cursor, instance_id)
                return [] if record is None else reading.read_history_of(cursor, record)
            finally:
                cursor.execute("rollback")

        return await self._far(read)

    async def query(self, filter_: InstanceFilter, limit: int, after: PageKey | None) -> Page:
        return await self._far(lambda cursor: reading.read_page(cursor, filter_, limit, after))

    async def ended(self, filter_: EndedFilter, limit: int, after: EndedKey | None) -> EndedPage:
        return await self._far(lambda cursor: reading.read_ended(cursor, filter_, limit, after))

    async def backlog_sizes(self, instance_ids: Collection[str]) -> dict[str, int]:
        return await self._far(lambda cursor: reading.read_backlog_sizes(cursor, instance_ids))

    async def purgeable(self, filter_: InstanceFilter, limit: int, after: PurgeKey | None) -> list[PurgeKey]:
        return await self._far(lambda cursor: reading.read_purgeable(cursor, filter_, limit, after))

    async def recover(self, now: datetime, horizon: datetime) -> Backlog:
        return await self._far(lambda cursor: reading.read_backlog(cursor, now, horizon))

    async def read_due(self, after: datetime, until: datetime) -> list[Envelope]:
        return await self._far(lambda cursor: reading.read_due(cursor, after, until))

    async def read_inbox(self, instance_id: str, now: datetime) -> list[Envelope]:
        return self._near(lambda cursor: reading.read_inbox(cursor, instance_id, now))

    def _near(self, read: Callable[[sqlite3.Cursor], T]) -> T:
        """Read in the loop's turn."""
        try:
            return read(self._cursor)
        except sqlite3.Error as error:
            raise self._meaning(error) from error

    async def _far(self, read: Callable[[sqlite3.Cursor], T]) -> T:
        """Read in the reader thread."""
        cursor = self._far_cursor
        try:
            return await self._reading.run(lambda: read(cursor))
        except sqlite3.Error as error:
            raise self._meaning(error) from error

    def _meaning(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Unavailable(f"Another program keeps the store {self._place} locked.")
        return StoreFailed(f"Reading the store {self._place} failed: {error}.")

    async def verify(self, liveness: bool) -> AsyncIterator[Finding]:
        """Reads one commit's state; what is committed meanwhile is not looked at."""
        cursor = self._reader(self._mode)
        lane = InlineLane() if self._options.placement is Placement.INLINE else ThreadLane("perdure-verify")
        findings = Verification(cursor, liveness).findings()
        try:
            while found := await lane.run(lambda: list(islice(findings, FINDINGS_AT_ONCE))):
                for finding in found:
                    yield finding
        finally:
            await lane.run(findings.close)
            lane.close()
            self._connections.remove(cursor.connection)
            cursor.connection.close()
