"""Several processes on one hub in memory, on virtual time: each with a way to the store that can be steered."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from perdure.contracts.errors import LeaseLost, StorageError, Unavailable
from perdure.contracts.records import Hold, PartitionLease, Round
from perdure.core.checkpoint import Checkpoint
from perdure.core.messages import Envelope
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_storage import SharedMemoryStorage
from perdure.storage.memory.shared_tables import SharedMemoryTables
from perdure.storage.shared.tables import Hint
from perdure.testing.simulated_loop import SimulatedClock, SimulatedLoop, run_simulated
from support.stored_instances import HOUR, episode, first_events

PARTITIONS = 32
WAY_SECONDS = 0.0005
"""How long a question to the store takes, there and back each."""


class SteeredTables(SharedMemoryTables):
    """Counts what is asked; slow, cut off and deaf as a test wants it."""

    def __init__(self, memory: SharedMemory) -> None:
        super().__init__(memory)
        self.asked: Counter[str] = Counter()
        self.slow: dict[str, float] = {}
        """Operation → how long its way takes."""
        self.is_cut = False
        self.loses_hints = False

    async def before(self, operation: str) -> None:
        self.asked[operation] += 1
        await self._way(operation)

    async def after(self, operation: str) -> None:
        await self._way(operation)

    async def carry(self, process: int, hint: Hint) -> None:
        await self._way("hint")
        if self.loses_hints:
            raise Unavailable("The hint is lost.")

    async def _way(self, operation: str) -> None:
        await asyncio.sleep(self.slow.get(operation, WAY_SECONDS))
        if self.is_cut:
            raise Unavailable("The store cannot be reached.")


class Process:
    """One process that runs what it gets: it follows the turnover and keeps what it receives."""

    def __init__(self, memory: SharedMemory, clock: SimulatedClock, name: str) -> None:
        self.name = name
        self.tables = SteeredTables(memory)
        self.storage = SharedMemoryStorage(self.tables, clock)
        self.hold = Hold(memory.partition_count)
        self.received: list[Envelope] = []
        self.gained: list[int] = []
        """Partitions in the order of their coming."""
        self.does: Callable[[Envelope], Awaitable[None]] = self._let_lie
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.storage.open()
        await self._gain(await self.storage.acquire(self.name))
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._take())]

    async def stop(self) -> None:
        """In order, as a host that is told to."""
        await self._end_tasks()
        leases = list(self.hold.leases.values())
        self.hold.leases.clear()
        await self.storage.release(leases)
        await self.storage.close()

    async def kill(self) -> None:
        await self._end_tasks()
        self.storage.crash()

    async def close(self) -> None:
        """The end of a test."""
        await self._end_tasks()
        self.tables.is_cut = False
        await self.storage.close()

    async def run(self, start: Envelope, **fields: object) -> Checkpoint:
        """Commit the first episode of a start that was received."""
        made = self.storage.creation_of(start)
        if made is not None:
            record = made.record
        else:
            record = (await self.storage.load(self.hold, [start.target]))[start.target].record
        checkpoint = episode(record, [start], first_events(record), **fields)  # type: ignore[arg-type]
        await self.commit(checkpoint)
        return checkpoint

    async def commit(self, *checkpoints: Checkpoint, kept: list[Envelope] | None = None) -> None:
        await self.storage.commit(self.hold, Round(list(checkpoints), kept or []))

    async def _gain(self, leases: Sequence[PartitionLease]) -> None:
        if leases:
            now = self.storage.clock.now()
            backlog = await self.storage.recover(leases, now, now + HOUR)
            for lease in leases:
                self.hold.leases[lease.partition] = lease
                self.gained.append(lease.partition)
            for envelope in [*backlog.ready, *backlog.due]:
                await self._got(envelope)

    async def _follow(self) -> None:
        while True:
            turnover = await self.storage.turnover(self.hold)
            for partition in turnover.lost:
                self.hold.leases.pop(partition, None)
            asked = [self.hold.leases.pop(partition) for partition in turnover.wanted_back]
            if asked:
                await self.storage.release(asked)
            try:
                await self._gain(turnover.gained)
            except StorageError:
                continue

    async def _take(self) -> None:
        while True:
            try:
                for envelope in await self.storage.receive(self.hold):
                    await self._got(envelope)
            except LeaseLost:
                # The turnover tells it, too.
                await asyncio.sleep(0.001)

    async def _got(self, envelope: Envelope) -> None:
        self.received.append(envelope)
        await self.does(envelope)

    async def _let_lie(self, envelope: Envelope) -> None:
        pass

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []


class SharedHub:
    """The hub and its processes."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.clock = SimulatedClock(loop)
        self.store_clock = SimulatedClock(loop)
        self.memory = SharedMemory(self.store_clock, PARTITIONS)
        self.processes: list[Process] = []
        self._exits = AsyncExitStack()

    async def join(self, name: str = "") -> Process:
        """One process more, that runs."""
        process = self.make(name)
        await process.start()
        return process

    def make(self, name: str = "") -> Process:
        """One process more, not opened."""
        process = Process(self.memory, self.clock, name or f"host{len(self.processes) + 1}")
        self.processes.append(process)
        self._exits.push_async_callback(process.close)
        return process

    async def close(self) -> None:
        await self._exits.aclose()

    def held(self) -> list[int]:
        """How many partitions each process has by the rows, in the order of joining; those without any left out."""
        owners = Counter(row.owner for row in self.memory.partitions.values() if row.owner is not None)
        return [owners[owner] for owner in sorted(owners)]

    def id_for(self, process: Process, prefix: str = "i") -> str:
        """The id of an instance that this process runs."""
        number = 0
        while process.hold.partition_of(f"{prefix}{number}") not in process.hold.leases:
            number += 1
        return f"{prefix}{number}"


def on_shared_hub(scenario: Callable[[SharedHub], Awaitable[None]]) -> None:
    """Run it on virtual time."""

    async def main(loop: SimulatedLoop) -> None:
        hub = SharedHub(loop)
        try:
            async with asyncio.timeout(3_600):
                await scenario(hub)
        finally:
            await hub.close()

    run_simulated(main)


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> float:
    """Wait for it; how long it took, to a millisecond."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not condition():
        assert loop.time() - begun < seconds, "it does not come true"
        await asyncio.sleep(0.001)
    return loop.time() - begun
