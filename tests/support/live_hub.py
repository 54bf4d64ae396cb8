"""Several processes on one hub in real time, whatever its store: what follows is the same on all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack

from perdure.contracts.errors import Unavailable
from perdure.contracts.records import Hold
from perdure.core.messages import Envelope
from perdure.storage.options import StorageOptions
from perdure.storage.shared.keeping import LeaseTimes, times_of_lease
from perdure.storage.shared.storage import ManyProcessStorage
from perdure.storage.shared.tables import Epochs, Sight
from support.shared_hub import Process
from support.shared_tables_stage import HUBS, Hub
from support.store_stage import WallClock

LEASE_SECONDS = 1.5
TIMES = times_of_lease(LEASE_SECONDS)


class LiveProcess(Process):
    """As on virtual time; its store is any, and its renewals may stop."""

    def __init__(self, hub: Hub, name: str, times: LeaseTimes) -> None:
        self.name = name
        self.store_tables = hub.tables()
        self.storage = ManyProcessStorage(self.store_tables, WallClock(), StorageOptions(), times)  # type: ignore[assignment]
        self.received = []
        self.gained = []
        self.does = self._let_lie
        self._tasks = []
        self._in_order: asyncio.Queue[Envelope] = asyncio.Queue()

    async def start(self) -> None:
        await self.storage.open()
        self.hold = Hold(self.storage.partition_count)
        await super().start()
        self._tasks.append(asyncio.create_task(self._work()))

    async def _got(self, envelope: Envelope) -> None:
        """A backlog comes before what is received for its partitions."""
        self._in_order.put_nowait(envelope)

    async def _work(self) -> None:
        while True:
            await super()._got(await self._in_order.get())

    def freeze(self) -> None:
        """Renew no more, as a process that is paused; it does not know."""

        async def never(process: int, lease_seconds: float, *, runs: bool) -> Sight | None:
            await asyncio.Event().wait()
            raise AssertionError("it waits for ever")

        self.store_tables.renew = never  # type: ignore[method-assign]

    def epochs(self) -> Epochs:
        return {partition: lease.epoch for partition, lease in self.hold.leases.items()}

    async def kill(self) -> None:
        await self._end_tasks()
        self.storage.abandon(Unavailable("The process was killed."))

    async def close(self) -> None:
        await self._end_tasks()
        await self.storage.close()
        await self.store_tables.close()


class LiveHub:
    """The hub and its processes."""

    def __init__(self, kind: str) -> None:
        self.processes: list[LiveProcess] = []
        self._hub = HUBS[kind]()
        self._exits = AsyncExitStack()

    def make(self, times: LeaseTimes = TIMES) -> LiveProcess:
        process = LiveProcess(self._hub, f"host{len(self.processes) + 1}", times)
        self.processes.append(process)
        self._exits.push_async_callback(process.close)
        return process

    async def join(self, count: int) -> Sequence[LiveProcess]:
        """So many that run, once each has its share."""
        joined = [self.make() for _ in range(count)]
        for process in joined:
            await process.start()
        await even(*joined)
        return joined

    async def close(self) -> None:
        await self._exits.aclose()


def id_for(process: Process, prefix: str = "i") -> str:
    """The id of an instance that this process runs."""
    return next(
        name
        for name in (f"{prefix}{number}" for number in range(10_000))
        if process.hold.partition_of(name) in process.hold.leases
    )


async def even(*processes: Process) -> None:
    """Wait until these hold everything, and equal shares of it."""
    count = processes[0].hold.count
    shares = {count // len(processes), -(-count // len(processes))}
    await until(lambda: sum(len(p.hold.leases) for p in processes) == count)
    await until(lambda: {len(p.hold.leases) for p in processes} <= shares)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> float:
    """Wait for it; how long it took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while not condition():
        assert loop.time() - begun < seconds, "it does not come true"
        await asyncio.sleep(0.002)
    return loop.time() - begun


def on_live_hub(kind: str, scenario: Callable[[LiveHub], Awaitable[None]]) -> None:
    async def main() -> None:
        hub = LiveHub(kind)
        try:
            async with asyncio.timeout(60):
                await scenario(hub)
        finally:
            await hub.close()

    asyncio.run(main())
