"""Rows that other processes write for our partitions: read when a hint or a look says that there may be some."""

from collections.abc import Callable, Collection, Iterable

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

    async def read(self) -> None:
        """Deliver what is new. Raises Unavailable."""
        if not self._marks:
            return
        # From the oldest mark on, for all at once: what some are told of again is known by its position.
        asked = dict(self._marks)
        told, self._told = self._told, set()
        try:
            arrived = await self._tables.arrivals(asked.keys(), min(mark.value for mark in asked.values()))
        except BaseException:
            self._told |= told
            raise
        still = [partition for partition, mark in asked.items() if self._marks.get(partition) is mark]
        for partition in still:
            asked[partition].value = arrived.mark
        new = [envelope for envelope in arrived.envelopes if envelope.position not in told]
        self._told.update(envelope.position for envelope in arrived.envelopes if envelope.position is not None)
        self._deliver(new, still)
