"""A hub of several partitions that several processes share, over one memory store; tests say who holds what."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Self

from perdure.contracts.clock import Clock
from perdure.contracts.errors import LeaseLost
from perdure.contracts.records import (
    Backlog,
    Committed,
    DamagedInstance,
    Hold,
    PartitionLease,
    Round,
    StoredInstance,
    Turnover,
)
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.storage.memory.storage import MemoryStorage
from perdure.testing.storage_shell import StorageShell


class SplitStore:
    """What the processes share. ``async with`` opens and closes it."""

    def __init__(self, clock: Clock, count: int = 4) -> None:
        self.inner = MemoryStorage(clock=clock)
        self.count = count
        self.hold = Hold()
        self.owners: dict[int, tuple[PartitionLease, SplitView]] = {}
        self._epoch = 0
        self._queues: dict[int, list[Envelope]] = {partition: [] for partition in range(count)}
        self._undecided: dict[int, Envelope] = {}
        self._views: list[SplitView] = []
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.inner.open()
        self.hold = Hold.of(*await self.inner.acquire("all"))
        self._pump = asyncio.create_task(self._spread_all())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._pump is not None
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        await self.inner.close()

    def view(self) -> "SplitView":
        """The store as one more process has it."""
        self._views.append(SplitView(self))
        return self._views[-1]

    def partition_of(self, instance_id: str) -> int:
        return partition_of(instance_id, self.count)

    def give(self, view: "SplitView", partitions: Iterable[int]) -> list[PartitionLease]:
        """The process holds them from here on, whoever did before."""
        leases: list[PartitionLease] = []
        for partition in partitions:
            self._epoch += 1
            leases.append(PartitionLease(partition, self._epoch, view.name))
            self.owners[partition] = (leases[-1], view)
        self.tell_all()
        return leases

    async def take_over(self, partition: int, view: "SplitView") -> None:
        """The holder is thought dead: what it had in hand without a row gets one, and another has the partition."""
        self.owners.pop(partition, None)
        await self.write_down([partition])
        self.give(view, [partition])

    async def write_down(self, partitions: Collection[int]) -> None:
        """Give rows to messages of these partitions that were handed out, or queued, and not decided on."""
        mine = [e for e in self._undecided.values() if self.partition_of(e.target) in partitions]
        for partition in partitions:
            self._queues[partition].clear()
        if mine:
            await self.commit(Round([], mine, []))

    async def commit(self, round_: Round) -> Committed:
        committed = await self.inner.commit(self.hold, round_)
        consumed = (envelope for checkpoint in round_.checkpoints for envelope in checkpoint.consumed)
        for envelope in (*round_.kept, *round_.discarded, *consumed):
            self._undecided.pop(id(envelope), None)
        self.spread(self.inner.receive_now(self.hold))
        return committed

    def spread(self, envelopes: Iterable[Envelope]) -> None:
        """Queue them where they belong."""
        for envelope in envelopes:
            self._queues[self.partition_of(envelope.target)].append(envelope)
            if envelope.position is None:
                self._undecided[id(envelope)] = envelope
            self.tell_all()

    def take(self, partitions: Collection[int]) -> list[Envelope]:
        """What is queued for them."""
        self.spread(self.inner.receive_now(self.hold))
        taken = [envelope for partition in partitions for envelope in self._queues[partition]]
        for partition in partitions:
            self._queues[partition] = []
        return taken

    def without_rows_queued(self, partitions: Collection[int]) -> None:
        """Their rows are read from the store next: take them out of the queues."""
        for partition in partitions:
            self._queues[partition] = [e for e in self._queues[partition] if e.position is None]

    def lost(self, leases: Iterable[PartitionLease]) -> frozenset[int]:
        """Those of these that are not in force."""
        held = {lease for lease, _ in self.owners.values()}
        return frozenset(lease.partition for lease in leases if lease not in held)

    def tell_all(self) -> None:
        for view in self._views:
            view.stirred.set()

    async def _spread_all(self) -> None:
        while True:
            self.spread(await self.inner.receive(self.hold))


class SplitView(StorageShell):
    """Implements ``Storage`` for one process."""

    def __init__(self, store: SplitStore) -> None:
        super().__init__(store.inner)
        self.name = "nobody"
        self.stirred = asyncio.Event()
        self.wanted_back: set[int] = set()
        self.released: list[PartitionLease] = []
        self.has_released = asyncio.Event()
        self.rounds: list[Round] = []
        self._store = store

    @property
    def partition_count(self) -> int:
        return self._store.count

    async def acquire(self, owner: str) -> list[PartitionLease]:
        """Those that nobody has."""
        self.name = owner
        return self._store.give(self, sorted(set(range(self._store.count)) - self._store.owners.keys()))

    async def release(self, leases: Sequence[PartitionLease]) -> None:
        lost = self._store.lost(leases)
        mine = [lease for lease in leases if lease.partition not in lost]
        for lease in mine:
            del self._store.owners[lease.partition]
        await self._store.write_down([lease.partition for lease in mine])
        self.released += mine
        self.has_released.set()
        self._store.tell_all()

    async def turnover(self, hold: Hold) -> Turnover:
        while True:
            mine = [lease for lease, view in self._store.owners.values() if view is self]
            gained = [lease for lease in mine if hold.leases.get(lease.partition) != lease]
            lost = self._store.lost(hold.leases.values())
            wanted = frozenset(self.wanted_back & hold.partitions)
            if gained or lost or wanted:
                self.wanted_back -= wanted
                return Turnover(gained, lost, wanted)
            await self._stir()

    async def recover(self, leases: Sequence[PartitionLease], now: datetime, horizon: datetime) -> Backlog:
        self._check(leases)
        partitions = {lease.partition for lease in leases}
        self._store.without_rows_queued(partitions)
        found = await self.inner.recover(list(self._store.hold.leases.values()), now, horizon)
        of = self._store.partition_of
        return Backlog(
            [e for e in found.ready if of(e.target) in partitions],
            [e for e in found.due if of(e.target) in partitions],
            [a for a in found.activities if of(a.instance_id) in partitions],
        )

    async def receive(self, hold: Hold) -> list[Envelope]:
        while not (taken := self.receive_now(hold)):
            await self._stir()
        return taken

    def receive_now(self, hold: Hold) -> list[Envelope]:
        self._check(hold.leases.values())
        return self._store.take(hold.partitions)

    async def read_due(self, hold: Hold, after: datetime, until: datetime) -> list[Envelope]:
        self._check(hold.leases.values())
        rows = await self.inner.read_due(self._store.hold, after, until)
        return [row for row in rows if hold.partition_of(row.target) in hold.partitions]

    async def read_inbox(self, hold: Hold, instance_id: str, now: datetime) -> list[Envelope]:
        self._check(hold.leases.values())
        return await self.inner.read_inbox(self._store.hold, instance_id, now)

    async def load(self, hold: Hold, instance_ids: Collection[str]) -> dict[str, StoredInstance | DamagedInstance]:
        self._check(hold.leases.values())
        return await self.inner.load(self._store.hold, instance_ids)

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        await self.before_commit(round_)
        self._check(hold.leases.values())
        messages = (*round_.kept, *round_.discarded)
        ids = [checkpoint.origin.instance_id for checkpoint in round_.checkpoints] + [e.target for e in messages]
        if missing := {self._store.partition_of(instance_id) for instance_id in ids} - hold.partitions:
            raise LeaseLost(f"Nothing guards what is written for {sorted(missing)}.", frozenset(missing))
        committed = await self._store.commit(round_)
        self.rounds.append(round_)
        await self.after_commit(round_)
        return committed

    async def before_commit(self, round_: Round) -> None:
        """What happens in the meantime."""

    async def after_commit(self, round_: Round) -> None:
        """What happens before the answer arrives."""

    def _check(self, leases: Iterable[PartitionLease]) -> None:
        if lost := self._store.lost(leases):
            raise LeaseLost(f"{sorted(lost)} are held by another process.", lost)

    async def _stir(self) -> None:
        # Several wait for the same event, so nobody may clear it but to wait anew.
        self.stirred.clear()
        await self.stirred.wait()
