"""Hosts that share a hub in memory on virtual time: each a whole process, with functions of its own or with workers."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from perdure.client import ClientOptions, TaskHubClient
from perdure.contracts.errors import Unavailable
from perdure.contracts.executor import EntityTurn, Executor, OrchestrationTurn
from perdure.contracts.records import PendingActivity
from perdure.core.registry import Registry
from perdure.engine.worker import TaskHubWorker
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local import ExecutionLimits, LocalExecutor, inline_turns
from perdure.execution.offering_executor import OfferingExecutor
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import ItemKind, RemoteOptions
from perdure.execution.remote_leases import Lease
from perdure.execution.remote_sessions import session_of
from perdure.execution.user_loop import UserLoop
from perdure.execution.worker_terms import WorkerTerms, WorkFilters
from perdure.storage.memory.shared_memory import SharedMemory
from perdure.storage.memory.shared_storage import SharedMemoryStorage
from perdure.testing.in_process_hub import default_options
from perdure.testing.simulated_loop import SimulatedClock, SimulatedLoop, SimulatedProcess, run_simulated
from support.remote_in_process import KeptPast, TokensOnly
from support.shared_hub import SteeredTables

_LIMITS = ExecutionLimits(threads_max=1, activities_max=1)


class _Here:
    worker = peer = "virtual"


class VirtualServer(RemoteExecutor):
    """An executor whose workers are ``VirtualWorker``s."""

    def __init__(self) -> None:
        super().__init__(TokensOnly(), RemoteOptions(turn_grace_seconds=1.0, activity_grace_seconds=1.0))


class VirtualWorker:
    """A worker process: it takes only what it has registered, and may vanish.

    ``versions``: of activities; None for all.
    """

    def __init__(
        self,
        server: VirtualServer,
        registry: Registry,
        seconds: float = 0.0,
        limit: int = 20,
        *,
        versions: frozenset[str] | None = None,
    ) -> None:
        self.ran: Counter[str] = Counter()
        self._server = server
        self._code = LocalExecutor(registry, UserLoop(), _LIMITS, inline_turns, InlineActivities(registry, self._takes))
        self._seconds = seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._activities: dict[int, Lease] = {}
        self._taken: list[Lease] = []
        filters = WorkFilters(
            orchestrations={d.name: None for d in registry.orchestrators.values()},
            activities={d.name: versions for d in registry.activities.values()},
            entities=frozenset(registry.entities),
        )
        self._stream = server.connect(
            WorkerTerms(f"virtual{uuid4()}", "virtual", limits=(limit, limit, limit), filters=filters)
        )
        for work in (self._serve(), self._take_results()):
            self._begin(work)

    async def vanish(self) -> None:
        """Killed: its stream is lost and nothing of it is answered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.disconnect(self._stream)

    async def leave(self) -> None:
        """Stopped: it gives back what it has not answered."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lease in self._taken:
            held = self._server.lease_of(lease.token, _Here(), kind=lease.work.lane.kind, instance_id="")
            if held is not None:
                self._server.give_back(held)
        self._server.disconnect(self._stream)

    def _takes(self, activity: PendingActivity) -> float:
        return self._seconds

    def _begin(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self) -> None:
        while (item := await self._server.next_item(self._stream)) is not None:
            lease = self._server.lease_of(item.decode(), _Here(), kind=ItemKind.ORCHESTRATION, instance_id="")
            if lease is None:
                continue
            self._taken.append(lease)
            subject = lease.work.subject
            self.ran[lease.work.lane.name] += 1
            if isinstance(subject, PendingActivity):
                self._activities[subject.number] = lease
                self._code.start_activities([subject])
            else:
                self._begin(self._run(lease))

    async def _run(self, lease: Lease) -> None:
        given = lease.work.subject
        await asyncio.sleep(self._seconds)
        try:
            if isinstance(given, EntityTurn):
                batch = EntityTurn(given.entity, given.state, given.operations[: lease.sent])
                await self._code.advance([batch])
                assert batch.result is not None
                await self._server.finish_batch(lease, batch.result)
                return
            assert isinstance(given, OrchestrationTurn)
            past = session_of(lease.work).past()
            assert isinstance(past, KeptPast)
            turn = OrchestrationTurn(self._code.open(session_of(lease.work).origin, past.events), given.events)
            await self._code.advance([turn])
            turn.session.close()
            assert turn.result is not None
            await self._server.finish_turn(lease, turn.result)
        except Unavailable:
            # The server stopped first.
            return

    async def _take_results(self) -> None:
        while True:
            for result in await self._code.activity_results():
                lease = self._activities.pop(result.activity.number)
                self._begin(self._finish(lease, result.result, result.failure))

    async def _finish(self, lease: Lease, *ended: object) -> None:
        try:
            await self._server.finish_activity(lease, *ended)  # type: ignore[arg-type]
        except Unavailable:
            return


@dataclass
class SharingHost:
    """One process. ``started``: which activities its own functions began, by input."""

    storage: SharedMemoryStorage
    tables: SteeredTables
    worker: TaskHubWorker
    client: TaskHubClient
    executor: OfferingExecutor
    inner: Executor
    process: SimulatedProcess
    ran: Counter[str] = field(default_factory=Counter)
    is_dead: bool = False

    async def start(self) -> None:
        await self.storage.open()
        await self.process.run(self.worker.start)

    async def stop(self, grace_seconds: float = 30.0) -> bool:
        """As on SIGTERM."""
        drained = await self.worker.stop(grace_seconds)
        await self.storage.close()
        return drained

    async def kill(self) -> None:
        """As on SIGKILL."""
        self.is_dead = True
        self.storage.crash()
        await self.process.kill()

    @property
    def server(self) -> VirtualServer:
        assert isinstance(self.inner, VirtualServer)
        return self.inner


class SharingHub:
    """The store and the hosts on it."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.clock = SimulatedClock(loop)
        self.memory = SharedMemory(self.clock)
        self.hosts: list[SharingHost] = []

    async def app(self, registry: Registry, *, at_once: int = 20, seconds: float = 0.05) -> SharingHost:
        """A host with functions of its own; each of its activities takes so long."""
        ran: Counter[str] = Counter()

        def takes(activity: PendingActivity) -> float:
            if not host.is_dead:
                ran[activity.input or ""] += 1
            return seconds

        lane = InlineActivities(registry, takes, concurrent_max=at_once)
        inner = LocalExecutor(registry, UserLoop(), _LIMITS, inline_turns, lane)
        host = self._host(inner, lambda storage: OfferingExecutor(inner, storage, serves=inner.serves))
        host.ran = ran
        await host.start()
        return host

    async def server(self) -> SharingHost:
        """A host without functions, for workers."""
        inner = VirtualServer()
        host = self._host(
            inner, lambda storage: OfferingExecutor(inner, storage, serves=inner.serves, leaves=inner.leaves)
        )
        await host.start()
        return host

    def _host(self, inner: Executor, around: Callable[[SharedMemoryStorage], OfferingExecutor]) -> SharingHost:
        tables = SteeredTables(self.memory)
        storage = SharedMemoryStorage(tables, self.clock)
        executor = around(storage)
        name = f"host{len(self.hosts) + 1}"
        worker = TaskHubWorker(storage, executor, storage.clock, default_options(), name)
        client = TaskHubClient(storage, storage.clock, ClientOptions())
        host = SharingHost(storage, tables, worker, client, executor, inner, SimulatedProcess())
        self.hosts.append(host)
        return host

    async def close(self) -> None:
        for host in self.hosts:
            await host.kill()

    def held(self, host: SharingHost) -> int:
        """How many partitions it has by the rows."""
        return sum(row.owner == host.storage.process for row in self.memory.partitions.values())

    async def until_even(self) -> None:
        """Until every host has its share."""
        alive = [host for host in self.hosts if host.storage.process is not None]
        async with asyncio.timeout(60):
            while min(self.held(host) for host in alive) < 32 // len(alive):  # noqa: ASYNC110 - virtual time
                await asyncio.sleep(0.01)


def on_sharing_hub(scenario: Callable[[SharingHub], Awaitable[None]], seconds: float = 3_600) -> None:
    """Run it on virtual time."""

    async def main(loop: SimulatedLoop) -> None:
        hub = SharingHub(loop)
        try:
            async with asyncio.timeout(seconds):
                await scenario(hub)
        finally:
            await hub.close()

    run_simulated(main)
