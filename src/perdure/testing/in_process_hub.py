"""A whole task hub in one object: storage, engine, executor and client, without threads, for tests."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from perdure.client import ClientOptions, TaskHubClient
from perdure.contracts.executor import Executor
from perdure.contracts.observer import Observer
from perdure.contracts.records import PendingActivity
from perdure.contracts.storage import Storage
from perdure.core.decisions import DecisionLimits
from perdure.core.registry import Registry
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.engine.worker import TaskHubWorker
from perdure.execution.inline_activities import InlineActivities
from perdure.execution.local import ExecutionLimits, LocalExecutor, inline_turns
from perdure.execution.offering_executor import offering
from perdure.execution.turns import RunTurn, TurnLane
from perdure.execution.user_loop import UserLoop
from perdure.storage.memory.storage import MemoryStorage
from perdure.testing.simulated_loop import SimulatedClock, SimulatedProcess


class CrashableStorage(Storage, Protocol):
    """A storage that can lose what a killed process would lose."""

    def crash(self) -> None:
        """Forget everything without a row; closed afterwards, to be opened again."""
        ...


def at_once(activity: PendingActivity) -> float:
    """Activities take no time."""
    return 0.0


def default_options() -> EngineOptions:
    """The engine's own defaults."""
    return EngineOptions(DecisionLimits(), Versioning())


def counted_ids() -> ClientOptions:
    """Client options whose ids are the same in every run."""
    counts = {"instance": 0, "execution": 0}

    def number(kind: str) -> int:
        counts[kind] += 1
        return counts[kind]

    return ClientOptions(
        new_id=lambda: f"instance-{number('instance')}",
        new_execution_id=lambda: str(UUID(int=number("execution"))),
    )


@dataclass
class InProcessHub:
    """One process and its store, on a simulated loop. ``start``, ``stop``, ``kill`` and ``start`` again.

    ``storage`` is what engine and client are given; ``store`` is what survives a kill.
    """

    registry: Registry
    clock: SimulatedClock
    store: CrashableStorage = field(default_factory=MemoryStorage)
    storage: Storage | None = None
    options: EngineOptions = field(default_factory=default_options)
    turns: Callable[[RunTurn], TurnLane] = inline_turns
    activity_delay: Callable[[PendingActivity], float] = at_once
    wrap_executor: Callable[[Executor], Executor] = lambda executor: executor
    observers: Sequence[Observer] = ()
    client_options: ClientOptions = field(default_factory=counted_ids)
    worker: TaskHubWorker | None = field(default=None, init=False)
    client: TaskHubClient = field(init=False)
    _process: SimulatedProcess | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.client = TaskHubClient(self._used(), self.clock, self.client_options)

    async def __aenter__(self) -> "InProcessHub":
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self.worker is not None:
            await self.stop()
        await self.store.close()

    async def start(self) -> None:
        """Open the store and run the hub. Raises StorageError."""
        storage = self._used()
        await storage.open()
        activities = InlineActivities(self.registry, self.activity_delay)
        limits = ExecutionLimits(threads_max=1, activities_max=1)
        local = LocalExecutor(self.registry, UserLoop(), limits, self.turns, activities)
        executor = offering(self.wrap_executor(local), storage, serves=local.serves)
        self._process = SimulatedProcess()
        worker = TaskHubWorker(storage, executor, self.clock, self.options, "simulated", self.observers)
        await self._process.run(worker.start)
        self.worker = worker

    async def stop(self, grace_seconds: float = 30.0) -> bool:
        """Stop as on SIGTERM; the store stays open. Answers whether all activities ended in time."""
        assert self.worker is not None
        worker, self.worker = self.worker, None
        process = self._process
        drained = await worker.stop(grace_seconds)
        if process is not None:
            # What is left of this process; it may have been killed meanwhile, and another one run.
            await process.kill()
        return drained

    async def kill(self) -> None:
        """Stop as on SIGKILL: whatever has no row is gone, and no code of the process runs any more."""
        self.store.crash()
        self.worker = None
        process, self._process = self._process, None
        if process is not None:
            await process.kill()

    async def restart(self) -> None:
        """Kill and start."""
        await self.kill()
        await self.start()

    async def failed(self) -> BaseException:
        """Wait for the engine to end by an error."""
        assert self.worker is not None
        assert self.worker.failed is not None
        return await asyncio.shield(self.worker.failed)

    def _used(self) -> Storage:
        return self.store if self.storage is None else self.storage
