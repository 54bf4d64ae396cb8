"""Rows that other processes write for our partitions: read when a hint or a look says that there may be some."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable

from perdure.core.messages import Envelope
from perdure.storage.shared.tables import SharedTables


class _Mark:
    """Of one time that a partition is held; compared by identity."""

    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


class ArrivalReading:
    """Remembers from which mark on to read, and which rows the next reading may tell of again.

    ``deliver`` gets each row once, with the partitions that count: others were lost meanwhile.
    One reading may be under way at a time.
    """

    def __init__(self, tables: SharedTables, deliver: Callable[[Iterable[Envelope], Collection[int]], None]) -> None:
        self._tables = tables
        self._deliver = deliver
        self._marks: dict[int, _Mark] = {}
        """Partition whose backlog was read → from where on to read."""
        self._told: set[int] = set()
        """Positions that the next reading may tell of again."""
        self._reading = asyncio.Lock()

    def begin(self, partitions: Iterable[int], mark: int, known: Iterable[Envelope]) -> None:
        """The backlog of these partitions was read, and these rows were in it."""
        for partition in partitions:
            self._marks[partition] = _Mark(mark)
        self._told.update(envelope.position for envelope in known if envelope.position is not None)

    def end(self, partitions: Collection[int]) -> None:
        """These are not ours any more."""
        for partition in partitions:
            self._marks.pop(partition, None)

    def stop(self) -> None:
        """Nothing is ours any more."""
        self._marks.clear()
        self._told.clear()

    async def without_unheard(
        self, partitions: Collection[int], read: Callable[[], Awaitable[list[Envelope]]]
    ) -> list[Envelope]:
        """The rows of these partitions that ``read`` gives, without those still to be delivered: each comes once.

        Raises Unavailable.
        """
        async with self._reading:
            rows = await read()
            asked = {partition: self._marks[partition].value for partition in partitions if partition in self._marks}
            unheard: set[int | None] = set()
            for value in sorted(set(asked.values())) if rows else ():
                arrived = await self._tables.arrivals([p for p, mark in asked.items() if mark == value], value)
                unheard.update(envelope.position for envelope in arrived.envelopes)
            unheard -= self._told
            return [row for row in rows if row.position not in unheard] if unheard else rows

    async def read(self) -> None:
        """Deliver what is new. Raises Unavailable."""
        async with self._reading:
            await self._read()

    async def _read(self) -> None:
        if not self._marks:
            return
        asked = dict(self._marks)
        told, self._told = self._told, set()
        marks: list[int] = []
        try:
            # Each from its own mark on: a backlog that was read for long has an older one than the other partitions,
            # and what was told of those since is not remembered any more.
            for value in sorted({mark.value for mark in asked.values()}):
                partitions = [partition for partition, mark in asked.items() if mark.value == value]
                arrived = await self._tables.arrivals(partitions, value)
                marks.append(arrived.mark)
                self._told.update(e.position for e in arrived.envelopes if e.position is not None)
                still = [partition for partition in partitions if self._marks.get(partition) is asked[partition]]
                self._deliver([e for e in arrived.envelopes if e.position not in told], still)
        except BaseException:
            self._told |= told
            raise
        # One for all again; none of the readings looked further back than the first one sees from here on.
        for mark in asked.values():
            mark.value = marks[0]
