"""Processes on one hub in memory whose partitions go at a moment of the test's choice: on each way to the store."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import Any

from perdure.contracts.records import (
    Backlog,
    Committed,
    DamagedInstance,
    Hold,
    PartitionLease,
    Round,
    StoredInstance,
)
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.core.status import RuntimeStatus
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_storage import SharedMemoryStorage
from perdure.storage.memory.shared_tables import SharedMemoryTables
from perdure.storage.shared.tables import Hint
from perdure.testing.in_process_hub import InProcessHub, counted_ids
from perdure.testing.simulated_loop import SimulatedClock
from support.small_hub import Functions

Meanwhile = Callable[[Any], Awaitable[None]]
"""What happens on the way; it is told what is asked for."""


class _Tables(SharedMemoryTables):
    def __init__(self, memory: SharedMemory) -> None:
        super().__init__(memory)
        self.answering: dict[str, Meanwhile] = {}

    async def after(self, operation: str) -> None:
        if (happens := self.answering.pop(operation, None)) is not None:
            await happens(operation)


class LosingStorage(SharedMemoryStorage):
    """``asking``: happens before the store looks at what the engine asks for; ``answering``: before the answer comes.

    Each happens once, at the next call of that name.
    """

    def __init__(self, memory: SharedMemory, clock: SimulatedClock) -> None:
        tables = _Tables(memory)
        super().__init__(tables, clock)
        self.memory = memory
        self.answering = tables.answering
        self.asking: dict[str, Meanwhile] = {}
        self._owner = ""

    async def lose(self, *instance_ids: str) -> None:
        """The partitions of these go, and the process has been told; what runs here may not have followed yet."""
        process = self.process
        assert process is not None
        rows = [self.memory.partitions[partition_of(i, self.partition_count)] for i in instance_ids]
        leases = [PartitionLease(row.partition, row.epoch, self._owner) for row in rows]
        assert await self.renew(leases) == leases, "it holds what it is to lose"
        self.memory.give_back(process, {lease.partition: lease.epoch for lease in leases})
        await self.tables.hint(process, Hint(sender=0, has_partitions=True))
        while await self.renew(leases):  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.001)

    async def acquire(self, owner: str) -> list[PartitionLease]:
        self._owner = owner
        return await super().acquire(owner)

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        await self._asked("recover", leases)
        return await super().recover(leases, now, horizon)

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        await self._asked("read_due", until)
        return await super().read_due(hold, after, until)

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        await self._asked("read_inbox", instance_id)
        return await super().read_inbox(hold, instance_id, now)

    async def load(self, hold: Hold, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        await self._asked("load", instance_ids)
        return await super().load(hold, instance_ids)

    async def get(self, instance_id: str) -> InstanceRecord | None:
        await self._asked("get", instance_id)
        return await super().get(instance_id)

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        await self._asked("commit", round_)
        return await super().commit(hold, round_)

    async def _asked(self, operation: str, what: Any) -> None:
        if (happens := self.asking.pop(operation, None)) is not None:
            await happens(what)


class LosingHosts:
    """Two of them, each with half of the partitions; the first is the one that loses."""

    def __init__(self, functions: Functions, clock: SimulatedClock, **parts: Any) -> None:
        self.memory = SharedMemory(clock)
        self.stores = [LosingStorage(self.memory, clock) for _ in range(2)]
        ids = counted_ids()
        self.hubs = [
            InProcessHub(functions.registry, clock, store=store, client_options=ids, **parts) for store in self.stores
        ]
        self.loser, self.other = self.hubs
        self.store = self.stores[0]
        self.client = self.other.client

    async def __aenter__(self) -> "LosingHosts":
        for hub in self.hubs:
            await hub.start()
        await asyncio.sleep(20)
        return self

    async def __aexit__(self, error: type[BaseException] | None, *rest: object) -> None:
        for hub in self.hubs:
            assert hub.worker is not None
            assert hub.worker.failed is not None
            assert not hub.worker.failed.done(), hub.worker.failed.result()
            await hub.stop()
        if error is None:
            assert [finding async for finding in self.store.verify(liveness=True)] == []
            assert self.store.asking == self.store.answering == {}, "it did not happen"
        for hub in self.hubs:
            await hub.store.close()

    def ids(self, count: int, host: int = 0, prefix: str = "order") -> list[str]:
        """Ids of so many different partitions that this host has."""
        found: dict[int, str] = {}
        for number in range(10_000):
            partition = partition_of(f"{prefix}-{number}", self.memory.partition_count)
            if self.memory.partitions[partition].owner == self.stores[host].process:
                found.setdefault(partition, f"{prefix}-{number}")
        assert len(found) >= count
        return list(found.values())[:count]

    def partition_of(self, instance_id: str) -> int:
        return partition_of(instance_id, self.memory.partition_count)

    async def all_end(self, instance_ids: Sequence[str], output: str | None = None) -> None:
        """All complete, with this output if one is given."""
        for instance_id in instance_ids:
            record = await self.client.wait_for_completion(instance_id, 600)
            assert record is not None, f"{instance_id} has not ended"
            assert record.progress.status is RuntimeStatus.Completed, record.progress.failure
            assert output is None or record.progress.output == output
