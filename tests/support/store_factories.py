"""The kinds of storage that are put through the contract suite, and what a crash is to each."""

import importlib
import os
import shutil
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perdure.contracts.errors import Unavailable
from perdure.contracts.storage import Storage
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_storage import SharedMemoryStorage
from perdure.storage.memory.storage import MemoryStorage
from perdure.storage.options import Placement, StorageOptions
from perdure.storage.postgres.storage import PostgresStorage
from perdure.storage.sqlite.storage import SqliteStorage
from support.postgres_server import looking_at, shared_server
from support.store_stage import StoreFactory, WallClock


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
