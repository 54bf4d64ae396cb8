"""``python -m perdure.testing.scale``: how one hub grows with its hosts, computed on virtual time.

Engines, storages and clients are the real ones. What takes time is modelled from measured figures: the store's
processors for each transaction, the disk for each commit, and one processor of each host for each episode. So the table
shows what the design costs: waiting for each other, messages between hosts, and where the store is full.
"""

import argparse
import asyncio
import heapq
import random
import sys
from collections.abc import Sequence

import msgspec

from perdure.client import ClientOptions, TaskHubClient
from perdure.contracts.records import Committed, Hold, Round
from perdure.core.registry import Registry
from perdure.engine.worker import TaskHubWorker
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local import ExecutionLimits, LocalExecutor, inline_turns
from perdure.execution.user_loop import UserLoop
from perdure.storage.changes import Changes, Outcome
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_tables import SharedMemoryTables
from perdure.storage.options import StorageOptions
from perdure.storage.shared.storage import ManyProcessStorage
from perdure.storage.shared.tables import Epochs, Hint
from perdure.testing.in_process_hub import at_once, counted_ids, default_options
from perdure.testing.simulated_loop import SimulatedClock, SimulatedLoop, SimulatedProcess, run_simulated
from perdure.testing.simulation.programs import Activities, simulated_registry, write_json
from perdure.testing.storage_shell import StorageShell

HOSTS = (1, 2, 4, 8, 16)
STEPS = 3
WARM_UP_SECONDS, MEASURED_SECONDS = 7.5, 0.4
"""Hosts that come later get their partitions within two renewals."""


class Costs(msgspec.Struct, frozen=True):
    """Seconds. The store's are those of docs/decisions/0017-postgres-commits.md, the host's of benchmarks/results."""

    store_processors: int = 4
    transaction: float = 430e-6
    episode_in_store: float = 37e-6
    read: float = 130e-6
    disk: float = 700e-6
    episode_in_host: float = 200e-6
    waiting_per_host: int = 128
    """Orchestrations that clients of one host have under way."""


class Measured(msgspec.Struct, frozen=True):
    """What came of one number of hosts; each a second."""

    hosts: int
    orchestrations: float
    episodes: float
    transactions: float
    store_load: float
    """How much of its processors' time the store needed."""


class _Store:
    """The processors of the store: whoever asks waits for one that is free."""

    def __init__(self, costs: Costs) -> None:
        self.costs = costs
        self.busy_seconds = 0.0
        self.episodes = 0
        self.transactions = 0
        self._free_at = [0.0] * costs.store_processors

    async def work(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        begins = max(now, heapq.heappop(self._free_at))
        heapq.heappush(self._free_at, begins + seconds)
        self.busy_seconds += seconds
        await asyncio.sleep(begins + seconds - now)


class _Tables(SharedMemoryTables):
    """Rows that take their time."""

    def __init__(self, memory: SharedMemory, store: _Store) -> None:
        super().__init__(memory)
        self._store = store

    async def before(self, operation: str) -> None:
        if operation != "write":
            await self._store.work(self._store.costs.read)

    async def write(self, process: int, changes: Changes, fence: Epochs) -> Outcome:
        store, costs = self._store, self._store.costs
        episodes = len(changes.updated) + len(changes.inserted)
        rows = episodes + len(changes.created) + len(changes.kept)
        await store.work(costs.transaction + rows * costs.episode_in_store)
        await asyncio.sleep(costs.disk)
        store.episodes += episodes
        store.transactions += 1
        return await super().write(process, changes, fence)

    async def carry(self, process: int, hint: Hint) -> None:
        await asyncio.sleep(200e-6)


class _OneProcessor(StorageShell):
    """A host whose processor runs one round at a time."""

    def __init__(self, inner: ManyProcessStorage, costs: Costs) -> None:
        super().__init__(inner)
        self._costs = costs

    async def commit(self, hold: Hold, round_: Round) -> Committed:
        await asyncio.sleep(len(round_.checkpoints) * self._costs.episode_in_host)
        return await self.inner.commit(hold, round_)


class _Scale:
    """One hub of so many hosts."""

    def __init__(self, loop: SimulatedLoop, hosts: int, costs: Costs) -> None:
        self._loop = loop
        self._hosts = hosts
        self._costs = costs
        self._clock = SimulatedClock(loop)
        self._memory = SharedMemory(self._clock)
        self._store = _Store(costs)
        self._done = 0

    async def measure(self, registry: Registry) -> Measured:
        clients: list[TaskHubClient] = []
        processes = [SimulatedProcess() for _ in range(self._hosts)]
        for number, process in enumerate(processes):
            clients.append(await process.run(lambda number=number: self._host(registry, number)))
        await asyncio.sleep(WARM_UP_SECONDS)
        asking = [
            process.run(lambda client=client: self._ask(client))
            for process, client in zip(processes, clients, strict=True)
            for _ in range(self._costs.waiting_per_host)
        ]
        await asyncio.sleep(MEASURED_SECONDS / 2)
        store = self._store
        before = (self._done, store.episodes, store.transactions, store.busy_seconds)
        await asyncio.sleep(MEASURED_SECONDS)
        after = (self._done, store.episodes, store.transactions, store.busy_seconds)
        rates = [(last - first) / MEASURED_SECONDS for first, last in zip(before, after, strict=True)]
        for process in processes:
            await process.kill()
        await asyncio.gather(*asking, return_exceptions=True)
        return Measured(self._hosts, rates[0], rates[1], rates[2], rates[3] / self._costs.store_processors)

    async def _host(self, registry: Registry, number: int) -> TaskHubClient:
        tables = _Tables(self._memory, self._store)
        inner = ManyProcessStorage(tables, self._clock, StorageOptions(), monotonic=self._loop.time)
        storage = _OneProcessor(inner, self._costs)
        await storage.open()
        activities = InlineActivities(registry, at_once)
        executor = LocalExecutor(registry, UserLoop(), ExecutionLimits(1, 1), inline_turns, activities)
        worker = TaskHubWorker(storage, executor, storage.clock, default_options(), f"host-{number}")
        await worker.start()
        ids = counted_ids()
        here = ClientOptions(
            new_id=lambda: f"{number}-{ids.new_id()}", new_execution_id=lambda: f"{number}-{ids.new_execution_id()}"
        )
        return TaskHubClient(storage, storage.clock, here)

    async def _ask(self, client: TaskHubClient) -> None:
        given = write_json({"program": [["activity"]] * STEPS})
        while True:
            started = await client.start("program_at_yield", input=given)
            await client.wait_for_completion(started, 60.0)
            self._done += 1


def measure(hosts: int, costs: Costs) -> Measured:
    """One row of the table."""

    async def main(loop: SimulatedLoop) -> Measured:
        return await _Scale(loop, hosts, costs).measure(simulated_registry(Activities(random.Random(hosts))))

    return run_simulated(main)


def table(rows: Sequence[Measured]) -> str:
    """Text; the share is of what so many hosts would do if each did what one alone does."""
    lines = ["hosts | orchestrations/s | episodes/s | transactions/s | of linear | store busy"]
    for row in rows:
        share = row.orchestrations / row.hosts / (rows[0].orchestrations / rows[0].hosts)
        lines.append(
            f"{row.hosts:5} | {row.orchestrations:16,.0f} | {row.episodes:10,.0f} | {row.transactions:14,.0f} | "
            f"{share:9.2f} | {row.store_load:10.0%}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m perdure.testing.scale", description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=list(HOSTS))
    parser.add_argument("--store-processors", type=int, default=Costs().store_processors)
    given = parser.parse_args(arguments)
    costs = Costs(store_processors=given.store_processors)
    rows = [measure(hosts, costs) for hosts in given.hosts]
    print(f"{costs}\n{table(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
