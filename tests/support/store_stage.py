"""A storage under test: opened, held, crashed and opened again, whatever its kind.

Imports no storage: child processes that use one kind are started by the hundred.
"""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from perdure.contracts.records import Committed, CreateOutcome, Hold, PartitionLease, Replaceable, ReusePolicy, Round
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Checkpoint, Creation, NewActivity
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from support.stored_instances import HOUR, T0, episode, first_events


class WallClock:
    """The time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class StoreFactory(Protocol):
    """What a kind of storage must offer to be put through the contract suite."""

    def make(self, folder: Path) -> Storage:
        """A new, empty store in a folder of its own, not opened."""
        ...

    async def crashed(self, storage: Storage, folder: Path) -> Storage:
        """What is found after the process that uses ``storage`` was killed now; not opened."""
        ...


class Stage:
    """One store and the leases on all its partitions, with short forms of what every test does."""

    leases: list[PartitionLease]

    def __init__(self, factory: StoreFactory, folder: Path) -> None:
        self._factory = factory
        self._folder = folder
        self.storage = factory.make(folder)
        self._set_aside: list[Envelope] = []

    async def open(self) -> None:
        await self.storage.open()

    async def close(self) -> None:
        await self.storage.close()

    async def reopen(self) -> None:
        """Close in order and open again."""
        await self.storage.close()
        await self.storage.open()

    async def crash(self) -> None:
        """Lose what a killed process loses and open what is left."""
        self._set_aside.clear()
        self.storage = await self._factory.crashed(self.storage, self._folder)
        await self.storage.open()

    async def hold(self, owner: str = "test") -> PartitionLease:
        """Take the partitions and recover nothing that is looked at; one of the leases."""
        self.leases = await self.storage.acquire(owner)
        assert len(self.leases) == self.storage.partition_count
        await self.storage.recover(self.leases, T0, T0)
        return self.leases[0]

    @property
    def lease(self) -> PartitionLease:
        """One of them."""
        return self.leases[0]

    @lease.setter
    def lease(self, lease: PartitionLease) -> None:
        """The only one."""
        self.leases = [lease]

    @property
    def held(self) -> Hold:
        """What the newest leases allow."""
        return self.holding(*self.leases)

    def holding(self, *leases: PartitionLease) -> Hold:
        """What these leases allow."""
        return Hold.of(*leases, count=self.storage.partition_count)

    async def create(self, made: Creation, reuse: Replaceable = ReusePolicy.NON_RUNNING) -> CreateOutcome:
        return await self.storage.create_instance(made, reuse)

    def creating(self, made: Creation, reuse: Replaceable = ReusePolicy.NON_RUNNING) -> "asyncio.Task[CreateOutcome]":
        """A client that waits for its answer."""
        return asyncio.create_task(self.create(made, reuse))

    def sending(self, envelope: Envelope) -> "asyncio.Task[None]":
        return asyncio.create_task(self.storage.send(envelope))

    async def receive(self, count: int = 1) -> list[Envelope]:
        """Exactly this many messages."""
        received, self._set_aside = self._set_aside, []
        while len(received) < count:
            received += await self.storage.receive(self.held)
        assert len(received) == count, received
        return received

    async def commit(
        self, *checkpoints: Checkpoint, kept: Sequence[Envelope] = (), discarded: Sequence[Envelope] = ()
    ) -> Committed:
        return await self.storage.commit(self.held, Round(list(checkpoints), list(kept), list(discarded)))

    def record_of(self, start: Envelope) -> InstanceRecord | None:
        """The record of the instance that a start message makes."""
        made = self.storage.creation_of(start)
        return None if made is None else made.record

    async def begin(
        self,
        made: Creation,
        events: Iterable[HistoryEvent] = (),
        *,
        status: RuntimeStatus = RuntimeStatus.Running,
        activities: Iterable[NewActivity] = (),
        reuse: ReusePolicy = ReusePolicy.NON_RUNNING,
        **fields: Any,
    ) -> Checkpoint:
        """A client's start and the first episode of it, in one commit."""
        client = self.creating(made, reuse)
        start = made.start
        while start not in self._set_aside:
            self._set_aside += await self.storage.receive(self.held)
        self._set_aside.remove(start)
        record = self.record_of(start)
        assert record is not None
        checkpoint = episode(
            record, [start], [*first_events(record), *events], status=status, activities=activities, **fields
        )
        await self.commit(checkpoint)
        await client
        return checkpoint

    async def backlog(self, now: datetime = T0, horizon: datetime = T0 + HOUR) -> Any:
        """What a new holder finds; the leases are taken anew."""
        self.leases = await self.storage.acquire("next")
        return await self.storage.recover(self.leases, now, horizon)

    async def findings(self, *, liveness: bool = True) -> list[Any]:
        return [finding async for finding in self.storage.verify(liveness)]
