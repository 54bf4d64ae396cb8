"""A storage under test: opened, held, crashed and opened again, whatever its kind."""

import asyncio
import importlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from perdure.contracts.errors import Unavailable
from perdure.contracts.records import Committed, CreateOutcome, Hold, PartitionLease, Replaceable, ReusePolicy, Round
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Checkpoint, Creation, NewActivity
from perdure.core.events import HistoryEvent
from perdure.core.instance import InstanceRecord
from perdure.core.messages import Envelope
from perdure.core.status import RuntimeStatus
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_storage import SharedMemoryStorage
from perdure.storage.memory.storage import MemoryStorage
from perdure.storage.options import Placement, StorageOptions
from perdure.storage.postgres.storage import PostgresStorage
from perdure.storage.sqlite.storage import SqliteStorage
from support.postgres_server import looking_at, shared_server
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


class MemoryFactory:
    def make(self, folder: Path) -> Storage:
        return MemoryStorage(StorageOptions(waiting_max=20_000))

    async def crashed(self, storage: Storage, folder: Path) -> Storage:
        assert isinstance(storage, MemoryStorage)
        storage.crash()
        return storage


class SqliteFactory:
    """A crash is what the disk holds: a copy of file and log, taken between two commits."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._path = Path()

    def make(self, folder: Path) -> Storage:
        return self._at(folder / "hub.db")

    async def crashed(self, storage: Storage, folder: Path) -> Storage:
        copy = folder / f"crashed{len(os.listdir(folder))}.db"
        for end in ("", "-wal"):
            shutil.copyfile(f"{self._path}{end}", f"{copy}{end}")
        await storage.close()
        return self._at(copy)

    def _at(self, path: Path) -> Storage:
        self._path = path
        options = StorageOptions(placement=self._placement, waiting_max=20_000)
        return SqliteStorage(str(path), WallClock(), options)


class SharedMemoryFactory:
    """One process on a hub that many may share. After a crash its time is over at once."""

    PARTITIONS = 8

    def __init__(self) -> None:
        self._clock = _MovedClock()

    def make(self, folder: Path) -> Storage:
        return self._over(SharedMemory(self._clock, self.PARTITIONS))

    async def crashed(self, storage: Storage, folder: Path) -> Storage:
        assert isinstance(storage, SharedMemoryStorage)
        storage.crash()
        self._clock.moved += timedelta(seconds=60)
        return self._over(storage.tables.memory)

    def _over(self, memory: SharedMemory) -> Storage:
        return SharedMemoryStorage(memory, self._clock, StorageOptions(waiting_max=20_000))


class PostgresFactory:
    """One process on a hub of its own, on the server of the test run. After a crash its time is over at once."""

    PARTITIONS = 8

    def __init__(self) -> None:
        self._hub = f"t{uuid.uuid4().hex}"

    def make(self, folder: Path) -> Storage:
        options = StorageOptions(waiting_max=20_000, partitions=self.PARTITIONS)
        return PostgresStorage(shared_server(), self._hub, WallClock(), options)

    async def crashed(self, storage: Storage, folder: Path) -> Storage:
        assert isinstance(storage, PostgresStorage)
        storage.abandon(Unavailable("The process that used the store was killed."))
        await storage.tables.close()
        async with looking_at(shared_server()) as connection:
            await connection.execute(f"update perdure_{self._hub}.process set expires_at = now()")
        return self.make(folder)


class _MovedClock:
    """The time, and then some."""

    def __init__(self) -> None:
        self.moved = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.moved


FACTORIES: dict[str, Callable[[], StoreFactory]] = {
    "memory": MemoryFactory,
    "postgres": PostgresFactory,
    "shared-memory": SharedMemoryFactory,
    "sqlite": lambda: SqliteFactory(Placement.ADAPTIVE),
    "sqlite-thread": lambda: SqliteFactory(Placement.THREAD),
}


def known_factories() -> dict[str, Callable[[], StoreFactory]]:
    """Ours, and what PERDURE_STORAGE_FACTORIES names as ``module:attribute``, separated by commas."""
    known = dict(FACTORIES)
    for name in filter(None, os.environ.get("PERDURE_STORAGE_FACTORIES", "").split(",")):
        module, _, attribute = name.partition(":")
        known[name] = getattr(importlib.import_module(module), attribute)
    return known


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
