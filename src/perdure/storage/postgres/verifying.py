"""Reads a whole hub and names what is wrong with it, in bounded memory, as of one moment."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress

import asyncpg

from perdure.contracts.records import Finding, FindingKind
from perdure.core.events import HistoryEvent
from perdure.core.instance import Instance, InstanceKind, InstanceRecord, OpenLock, WorkKind
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.storage.postgres.meanings import state_of
from perdure.storage.postgres.reading import history_of
from perdure.storage.postgres.server import Connection
from perdure.storage.rows import (
    INSTANCE_COLUMNS,
    DamagedRow,
    Row,
    read_envelope,
    read_instance,
    salvage_instance,
)
from perdure.storage.soundness import activity_finding, disagreements, stuck

ROWS_AT_ONCE = 200
_RECORD_END = len(INSTANCE_COLUMNS)


class Verification:
    """One reading within a snapshot of ``connection``."""

    def __init__(self, connection: Connection, sql: dict[str, str], partition_count: int, liveness: bool) -> None:
        self._connection = connection
        self._sql = sql
        self._count = partition_count
        self._liveness = liveness

    async def findings(self) -> AsyncIterator[Finding]:
        """A part that cannot be read is a finding and ends the reading: its transaction is over."""
        try:
            for part in (self._instances, self._orphans, self._messages, self._activities):
                async for finding in part():
                    yield finding
        except asyncpg.PostgresError as error:
            yield Finding(FindingKind.FILE, None, f"the database cannot be read: {error} ({state_of(error)})")

    async def _instances(self) -> AsyncIterator[Finding]:
        async for row in self._pages("instances_by_number"):
            try:
                record = read_instance(row)
            except DamagedRow as error:
                yield Finding(FindingKind.RECORD, salvage_instance(row).origin.instance_id, str(error))
                continue
            async for finding in self._instance(record, row):
                yield finding

    async def _instance(self, record: InstanceRecord, row: Row) -> AsyncIterator[Finding]:
        instance_id = record.origin.instance_id
        partition = partition_of(instance_id, self._count)
        if row[_RECORD_END + 1] != partition:
            what = f"it belongs to partition {partition}, but stands in {row[_RECORD_END + 1]}"
            yield Finding(FindingKind.RECORD, instance_id, what)
        try:
            history = history_of(record, row[_RECORD_END])
        except DamagedRow as error:
            yield Finding(FindingKind.HISTORY, instance_id, str(error))
            return
        if record.origin.kind is InstanceKind.ENTITY:
            return
        for finding in disagreements(record, history):
            yield finding
        if self._liveness and not record.progress.status.is_terminal:
            around = await self._around(record, history)
            for finding in stuck(record, history, around):
                yield finding

    async def _around(self, record: InstanceRecord, history: Sequence[HistoryEvent]) -> "_Around":
        """What lies around an instance, read at once."""
        ids = [record.origin.instance_id, *_named(Instance.loaded(record, history))]
        partitions = [partition_of(each, self._count) for each in ids]
        around = _Around()
        for row in await self._connection.fetch(self._sql["messages_to_many"], partitions, ids):
            # Damaged ones are named when the messages are read; whatever they said will not be taken.
            with suppress(DamagedRow):
                around.inboxes.setdefault(row[1], []).append(read_envelope(row))
        for row in await self._connection.fetch(self._sql["instances_by_id"], ids):
            with suppress(DamagedRow):
                around.records[row[1]] = read_instance(row)
        pending = await self._connection.fetch(self._sql["activities_of"], partitions[0], record.origin.number)
        around.activities = frozenset((execution_id, seq) for execution_id, seq in pending)
        return around

    async def _orphans(self) -> AsyncIterator[Finding]:
        for (number,) in await self._connection.fetch(self._sql["orphan_histories"]):
            what = f"there is a history of instance number {number}, but no such instance"
            yield Finding(FindingKind.ORPHAN, None, what)

    async def _messages(self) -> AsyncIterator[Finding]:
        async for row in self._pages("all_messages"):
            try:
                read_envelope(row[:6])
            except DamagedRow as error:
                yield Finding(FindingKind.RECORD, row[1], str(error))
                continue
            partition = partition_of(row[1], self._count)
            if row[6] != partition:
                what = f"message {row[0]} belongs to partition {partition}, but stands in {row[6]}"
                yield Finding(FindingKind.RECORD, row[1], what)

    async def _activities(self) -> AsyncIterator[Finding]:
        async for row in self._pages("all_activities"):
            if (finding := activity_finding(row)) is not None:
                yield finding

    async def _pages(self, name: str) -> AsyncIterator[Row]:
        """All rows of a query by its rising integer key, some at a time."""
        # Below every key, since a damaged one may be negative.
        last = -(1 << 63)
        while rows := await self._connection.fetch(self._sql[name], last, ROWS_AT_ONCE):
            for row in rows:
                yield row
            last = rows[-1][0]


class _Around:
    """Implements ``Surroundings`` for one instance."""

    def __init__(self) -> None:
        self.inboxes: dict[str, list[Envelope]] = {}
        self.records: dict[str, InstanceRecord] = {}
        self.activities: frozenset[tuple[str, int]] = frozenset()

    def inbox_of(self, instance_id: str) -> list[Envelope]:
        return self.inboxes.get(instance_id, [])

    def activities_of(self, record: InstanceRecord) -> frozenset[tuple[str, int]]:
        return self.activities

    def record_of(self, instance_id: str) -> InstanceRecord | None:
        return self.records.get(instance_id)


def _named(instance: Instance) -> Iterator[str]:
    """Children and entities that an instance waits for."""
    for work in instance.open_work.values():
        if isinstance(work, OpenLock):
            yield from work.entity_ids
        elif work.kind in (WorkKind.CHILD, WorkKind.ENTITY):
            yield work.name
