"""TaskHubWorker: runs the partitions of this process, from start to graceful stop."""

import asyncio
from collections.abc import Sequence

from perdure.contracts.clock import Clock
from perdure.contracts.executor import Executor
from perdure.contracts.observer import Observer, PartitionFailed
from perdure.contracts.records import Hold
from perdure.contracts.storage import Storage
from perdure.engine.options import EngineOptions
from perdure.engine.runner import Runner

LAST_ROUNDS_SECONDS = 5.0
"""So long what is in hand may be committed when the grace period is over."""


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
        self._runner: Runner | None = None
        self._run: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._is_stopping = False
        self.failed: asyncio.Future[BaseException] | None = None
        """Done when the runner ended with an error that the process should not survive."""

    async def start(self) -> None:
        """Acquire partitions; run them, and those that come later.

        Raises StorageError; ``stop`` is to be called then, too.
        """
        self._is_stopping = False
        self.failed = asyncio.get_running_loop().create_future()
        await self._executor.start()
        hold = Hold.of(*await self._storage.acquire(self._owner), count=self._storage.partition_count)
        runner = Runner(hold, self._storage, self._executor, self._clock, self._options, self._observers)
        self._runner = runner
        self._leaving = None
        self._run = asyncio.create_task(runner.run())
        self._run.add_done_callback(self._ended)

    def leave(self) -> None:
        """Begin nothing new and let others who share the store have the partitions, from now on; ``stop`` is to follow.

        What runs goes on. Nothing happens where nobody shares the store. Twice-safe.
        """
        if self._storage.offers is not None and self._runner is not None and self._leaving is None:
            self._leaving = asyncio.create_task(self._leave(self._runner))

    async def stop(self, grace_seconds: float = 30.0) -> bool:
        """Begin nothing new, let running activities end, commit, release.

        Where others share the store, they have the partitions at once, and what runs ends for them.
        Answers whether all activities ended within the grace period; those that did not run again after
        the next start, or elsewhere. Twice-safe.
        """
        self._is_stopping = True
        deadline = asyncio.get_running_loop().time() + grace_seconds
        self.leave()
        try:
            if self._leaving is not None and self._run is not None:
                ends = [self._leaving, self._run]
                await asyncio.wait(ends, timeout=max(1.0, grace_seconds), return_when=asyncio.FIRST_COMPLETED)
                if self._leaving.done():
                    self._leaving.result()
            drained = await self._executor.drain(max(deadline - asyncio.get_running_loop().time(), 0))
        finally:
            if self._leaving is not None:
                self._leaving.cancel()
                await asyncio.wait([self._leaving])
            if self._runner is not None:
                self._runner.stop()
            try:
                await self._end_run(max(LAST_ROUNDS_SECONDS, deadline - asyncio.get_running_loop().time()))
            finally:
                await self._executor.stop()
        return drained

    async def _leave(self, runner: Runner) -> None:
        """Give all partitions back while results are still taken here."""
        # Waiting for no activity; what is handed over is waited for when the partitions are gone.
        await asyncio.gather(self._executor.drain(0.0), runner.leave())

    async def _end_run(self, seconds: float) -> None:
        run, self._run = self._run, None
        if run is not None:
            await asyncio.wait([run], timeout=seconds)
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        runner, self._runner = self._runner, None
        if runner is not None and not (self.failed is not None and self.failed.done()):
            await self._storage.release(runner.leases())

    def observe(self, observer: Observer) -> None:
        """Tell one more observer from now on."""
        self._observers = [*self._observers, observer]
        if self._runner is not None:
            self._runner.observe(observer)

    def live_count(self) -> int:
        """How many instances are in memory."""
        return 0 if self._runner is None else self._runner.live_count()

    def _ended(self, run: "asyncio.Task[None]") -> None:
        error = RuntimeError("A part of the engine was cancelled.") if run.cancelled() else run.exception()
        if error is None or (run.cancelled() and self._is_stopping):
            return
        for observer in self._observers:
            if PartitionFailed in observer.wants:
                observer.announce(PartitionFailed(0, error))
        if self.failed is not None and not self.failed.done():
            self.failed.set_result(error)
