"""A hub's shared tables under test, as several processes use them, whatever their kind."""

import asyncio
import uuid
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from perdure.contracts.records import PendingActivity
from perdure.core.checkpoint import Checkpoint, Creation
from perdure.core.messages import Envelope
from perdure.core.partitions import partition_of
from perdure.core.status import TERMINAL, RuntimeStatus
from perdure.storage.changes import Changes, NumberedCheckpoint, NumberedCreation, Outcome, Placed
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_tables import SharedMemoryTables
from perdure.storage.options import StorageOptions
from perdure.storage.postgres.tables import PostgresTables
from perdure.storage.shared.tables import SharedTables
from support.postgres_server import shared_server
from support.store_stage import WallClock
from support.stored_instances import T0, creation, episode, first_events

LONG = 3_600.0
SECONDS_MAX = 30


class Hub(Protocol):
    """The database of one hub."""

    def tables(self) -> SharedTables:
        """As one process uses it, not opened."""
        ...


class MemoryHub:
    def __init__(self) -> None:
        self._memory = SharedMemory(WallClock())

    def tables(self) -> SharedTables:
        return SharedMemoryTables(self._memory)


class PostgresHub:
    """``url``: the way to the server; ``name``: that of a hub which others go to another way."""

    def __init__(self, url: str | None = None, options: StorageOptions | None = None, name: str | None = None) -> None:
        self.url = shared_server() if url is None else url
        self.name = f"t{uuid.uuid4().hex}" if name is None else name
        self._options = StorageOptions() if options is None else options

    def tables(self) -> PostgresTables:
        return PostgresTables(self.url, self.name, self._options)


HUBS: dict[str, Callable[[], Hub]] = {"memory": MemoryHub, "postgres": PostgresHub}


class Party:
    """One process of a hub: its tables, its number, what it holds, and short forms of what every test does."""

    process: int

    def __init__(self, tables: SharedTables) -> None:
        self.tables = tables
        self.epochs: dict[int, int] = {}
        self._numbers = iter(range(0))

    async def begin(self, partitions: Collection[int] = (), lease_seconds: float = LONG) -> None:
        """Open, announce, take these partitions."""
        await self.tables.open()
        self.process = await self.tables.announce("party", lease_seconds)
        self._numbers = iter(await self.tables.reserve_numbers())
        if partitions:
            await self.claim(partitions)

    async def claim(self, partitions: Collection[int]) -> None:
        self.epochs.update(await self.tables.claim(self.process, partitions))

    def number(self) -> int:
        return next(self._numbers)

    def fence(self, *ids: str) -> dict[int, int]:
        """Of the partitions of these instances that are held."""
        partitions = {self.partition_of(each) for each in ids}
        return {partition: self.epochs[partition] for partition in partitions if partition in self.epochs}

    def partition_of(self, instance_id: str) -> int:
        return partition_of(instance_id, self.tables.partition_count)

    async def write(self, changes: Changes, *ids: str) -> Outcome:
        """Fenced by the partitions of these instances that are held."""
        return await self.tables.write(self.process, changes, self.fence(*ids))

    def placed(self, *envelopes: Envelope) -> list[Placed]:
        return [Placed(self.number(), envelope) for envelope in envelopes]

    async def send(self, *envelopes: Envelope) -> None:
        await self.write(Changes(kept=self.placed(*envelopes)), *(envelope.target for envelope in envelopes))

    def numbered(self, made: Creation) -> NumberedCreation:
        return NumberedCreation(self.number(), self.number(), made)

    async def create(self, made: Creation) -> NumberedCreation:
        """Its row and its start's."""
        numbered = self.numbered(made)
        await self.write(Changes(created=[numbered]), made.record.origin.instance_id)
        made.record.origin.number = numbered.number
        made.start.position = numbered.position
        return numbered

    async def start(self, instance_id: str, status: RuntimeStatus = RuntimeStatus.Running) -> Checkpoint:
        """An instance with its first episode, in one transaction."""
        made = creation(instance_id)
        checkpoint = episode(made.record, [], first_events(made.record), status=status)
        number = self.number()
        numbered = NumberedCheckpoint(number, checkpoint)
        finished = [numbered] if status in TERMINAL else []
        await self.write(Changes(inserted=[numbered], history=[numbered], finished=finished), instance_id)
        checkpoint.origin.number = number
        return checkpoint

    async def advance(
        self,
        before: Checkpoint,
        *,
        consumed: Sequence[int] = (),
        activities: Sequence[PendingActivity] = (),
        status: RuntimeStatus = RuntimeStatus.Running,
    ) -> Checkpoint:
        """The next episode."""
        checkpoint = episode(before, [], [*first_events(before)][:1], status=status)  # type: ignore[arg-type]
        number = before.origin.number
        assert number is not None
        numbered = NumberedCheckpoint(number, checkpoint)
        changes = Changes(
            consumed=list(consumed),
            updated=[numbered],
            history=[numbered],
            finished=[numbered] if status in TERMINAL else [],
            activities=list(activities),
            activity_numbers=[number] * len(activities),
        )
        await self.write(changes, before.origin.instance_id)
        return checkpoint

    def activity(self, of: Checkpoint, seq: int = 2, name: str = "work") -> PendingActivity:
        return PendingActivity(self.number(), of.origin.instance_id, of.origin.execution_id, seq, 0, name)

    async def inbox(self, instance_id: str) -> list[Envelope]:
        return await self.tables.read_inbox(instance_id, T0)


class Parties:
    """The processes of one hub, as ``hub`` reaches it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._all: list[Party] = []

    async def join(
        self, partitions: Collection[int] = (), lease_seconds: float = LONG, hub: Hub | None = None
    ) -> Party:
        """``hub``: the same one, by another way."""
        party = Party((self.hub if hub is None else hub).tables())
        self._all.append(party)
        await party.begin(partitions, lease_seconds)
        return party

    async def close(self) -> None:
        for party in self._all:
            await party.tables.close()


def id_in(party: Party, partitions: Collection[int], name: str = "i") -> str:
    """An id that belongs to one of these partitions."""
    return next(each for n in range(10_000) if party.partition_of(each := f"{name}{n}") in partitions)


async def gathered(*calls: "asyncio.Future[object]") -> list[object]:
    return await asyncio.gather(*calls, return_exceptions=True)
