"""TaskHubWorker: owns the partitions of this process, from start to graceful stop."""

import asyncio
from collections.abc import Sequence

from perdure.contracts.clock import Clock
from perdure.contracts.executor import Executor
from perdure.contracts.observer import Observer, PartitionFailed
from perdure.contracts.storage import Storage
from perdure.engine.options import EngineOptions
from perdure.engine.partition import Partition


class TaskHubWorker:
    """Runs a task hub's instances in this process. The storage is open already and stays open."""

    def __init__(
        self,
        storage: Storage,
        executor: Executor,
        clock: Clock,
        options: EngineOptions,
        owner: str,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._storage = storage
        self._executor = executor
        self._clock = clock
        self._options = options
        self._owner = owner
        self._observers = observers
        self._partitions: list[Partition] = []
        self._runs: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self.failed: asyncio.Future[BaseException] | None = None
        """Done when a partition ended with an error that the process should not survive."""

    async def start(self) -> None:
        """Acquire the partitions and run them. Raises StorageError; ``stop`` is to be called then, too."""
        self._is_stopping = False
        self.failed = asyncio.get_running_loop().create_future()
        await self._executor.start()
        for lease in await self._storage.acquire(self._owner):
            partition = Partition(lease, self._storage, self._executor, self._clock, self._options, self._observers)
            self._partitions.append(partition)
            run = asyncio.create_task(partition.run())
            run.add_done_callback(self._ended)
            self._runs.append(run)

    async def stop(self, grace_seconds: float = 30.0) -> bool:
        """Begin nothing new, let running activities end, commit, release.

        Answers whether all activities ended within the grace period; those that did not run again after
        the next start. Twice-safe.
        """
        self._is_stopping = True
        drained = await self._executor.drain(grace_seconds)
        for partition in self._partitions:
            partition.stop()
        try:
            await self._end_runs(grace_seconds)
        finally:
            await self._executor.stop()
        return drained

    async def _end_runs(self, grace_seconds: float) -> None:
        if self._runs:
            _, unfinished = await asyncio.wait(self._runs, timeout=max(1.0, grace_seconds))
            for run in unfinished:
                run.cancel()
            await asyncio.gather(*self._runs, return_exceptions=True)
        self._runs.clear()
        if self._partitions and not (self.failed is not None and self.failed.done()):
            leases = [partition.lease for partition in self._partitions]
            self._partitions.clear()
            await self._storage.release(leases)
        self._partitions.clear()

    def observe(self, observer: Observer) -> None:
        """Tell one more observer from now on."""
        self._observers = [*self._observers, observer]
        for partition in self._partitions:
            partition.observe(observer)

    def live_count(self) -> int:
        """How many instances are in memory."""
        return sum(partition.live_count() for partition in self._partitions)

    def _ended(self, run: "asyncio.Task[None]") -> None:
        error = RuntimeError("A part of the engine was cancelled.") if run.cancelled() else run.exception()
        if error is None or (run.cancelled() and self._is_stopping):
            return
        for observer in self._observers:
            if PartitionFailed in observer.wants:
                observer.announce(PartitionFailed(0, error))
        if self.failed is not None and not self.failed.done():
            self.failed.set_result(error)
