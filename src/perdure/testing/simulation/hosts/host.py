"""One host: a process with its own clock and its own way to the store, in it storage, engine and client."""

import asyncio
from collections.abc import Callable, Iterable
from enum import Enum

from perdure.client import ClientOptions, TaskHubClient
from perdure.contracts.errors import Unavailable
from perdure.contracts.executor import Executor
from perdure.contracts.observer import Observer
from perdure.contracts.storage import Storage
from perdure.engine.options import EngineOptions
from perdure.engine.worker import TaskHubWorker
from perdure.storage.options import StorageOptions
from perdure.storage.shared.storage import ManyProcessStorage
from perdure.testing.simulated_loop import SimulatedClock, SimulatedProcess
from perdure.testing.simulation.hosts.audit import HostView
from perdure.testing.simulation.hosts.code import Code, Name
from perdure.testing.simulation.hosts.storage import AuditedMemory, HostStorage
from perdure.testing.simulation.hosts.tables import HintFates, TravellingTables
from perdure.testing.simulation.hosts.way import Delays, Way

MakeExecutor = Callable[[HostView, Storage, Code], Executor]

SHORTEST_GRACE = 0.999
"""So much of a grace period has passed at least when a host's own clock says that all of it has."""


class HostState(Enum):
    """Where a host is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    GONE = "gone"


class Host:
    """From its start to its end; what comes after a crash is another host."""

    def __init__(
        self,
        *,
        view: HostView,
        memory: AuditedMemory,
        clock: SimulatedClock,
        rate: float,
        delays: Delays,
        fates: HintFates,
        code: Code,
        make_executor: MakeExecutor,
        options: EngineOptions,
        client_options: ClientOptions,
        observer: Observer,
    ) -> None:
        self.view = view
        self.clock = clock
        self.code = code
        self.state = HostState.STARTING
        self.process = SimulatedProcess(rate)
        self.way = Way(delays, self._begin_at_store)
        self._memory = memory
        tables = TravellingTables(memory, self.way, fates, self.process)
        self.store = ManyProcessStorage(tables, clock, StorageOptions(), monotonic=asyncio.get_running_loop().time)
        storage = HostStorage(self.store, view, memory)
        self.client = TaskHubClient(storage, self.store.clock, client_options)
        self._storage = storage
        self._new_worker = lambda: TaskHubWorker(
            storage, make_executor(view, storage, code), self.store.clock, options, view.name, [observer]
        )
        self._worker = self._new_worker()

    @property
    def is_running(self) -> bool:
        """Whether it is there to be asked; it may stand still."""
        return self.state is HostState.RUNNING

    async def start(self) -> None:
        """Open the store and run; tries until the store can be reached."""
        starting = self.process.run(self._start)
        await asyncio.wait([starting])
        if not self.view.is_dead:
            starting.result()
            self.state = HostState.RUNNING

    async def stop(self, grace_seconds: float) -> None:
        """As on SIGTERM."""
        self.state = HostState.STOPPING
        asyncio.get_running_loop().call_later(grace_seconds * SHORTEST_GRACE, self._grace_ends)
        stopping = self.process.run(lambda: self._stop(grace_seconds))
        await asyncio.wait([stopping])
        if not self.view.is_dead:
            stopping.result()
            await self._end()

    async def kill(self) -> None:
        """As on SIGKILL: nothing of it runs any more; what it has asked of the store may still arrive there."""
        self.view.is_dead = True
        await self._end()

    def pause(self) -> None:
        """As on SIGSTOP."""
        self.process.pause()

    def wake(self) -> None:
        """As on SIGCONT."""
        self.view.has_overslept = True
        asyncio.get_running_loop().call_later(0.5, self._is_awake)
        self.process.wake()

    def gets_code(self, names: Iterable[Name]) -> None:
        """Its workers have come and gone, and that is what they have."""
        self.process.call_soon(self.code.become, frozenset(names))

    async def _end(self) -> None:
        self.view.is_dead = True
        self.state = HostState.GONE
        self.way.close()
        await self.process.kill()

    async def _start(self) -> None:
        while True:
            try:
                await self._storage.open()
                await self._worker.start()
                return
            except Unavailable:
                await self._worker.stop(0.0)
                self._worker = self._new_worker()
                await asyncio.sleep(0.5)

    async def _stop(self, grace_seconds: float) -> None:
        while True:
            try:
                await self._worker.stop(grace_seconds)
                break
            except Unavailable:
                await asyncio.sleep(0.5)
        await self._storage.close()

    def _begin_at_store(self) -> None:
        self._memory.asker = self.view

    def _grace_ends(self) -> None:
        self.view.is_out_of_grace = True

    def _is_awake(self) -> None:
        self.view.has_overslept = False
