"""One task hub running in this process: its store, engine, executor and client, without any door."""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from perdure.client import TaskHubClient
from perdure.client.options import ClientOptions, LostEvents, known_in
from perdure.contracts.clock import Clock
from perdure.contracts.errors import StoreUnusable
from perdure.contracts.observer import Observer
from perdure.contracts.records import ReusePolicy
from perdure.contracts.storage import Storage
from perdure.core.decisions import DecisionLimits
from perdure.core.registry import FailedOperations, Registry
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.engine.worker import TaskHubWorker
from perdure.execution.black_box import BlackBox, said
from perdure.execution.local import ExecutionLimits, LocalExecutor, RunningTurn, turn_threads
from perdure.execution.turns import TurnPatience
from perdure.execution.user_loop import UserLoop
from perdure.host.system_clock import SystemClock
from perdure.storage.opening import open_storage
from perdure.storage.options import StorageOptions
from perdure.storage.sqlite.storage import SqliteStorage

logger = logging.getLogger("perdure.host")


def threads_by_default() -> int:
    """Threads for users' plain functions when no setting says otherwise (functions-host.md §11.1)."""
    return min(32, (os.cpu_count() or 1) + 4)


def activities_by_default() -> int:
    """Activities at once when host.json says nothing (semantics.md §17)."""
    return 10 * (os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class HubOptions:
    """How a hub is run."""

    store_url: str
    storage: StorageOptions = field(default_factory=StorageOptions)
    decisions: DecisionLimits = field(default_factory=DecisionLimits)
    versioning: Versioning = field(default_factory=Versioning)
    reuse: ReusePolicy = ReusePolicy.NON_RUNNING
    lost_events: LostEvents = LostEvents.REFUSED
    failed_operations: FailedOperations = FailedOperations.ROLLED_BACK
    entity_batch_max: int = 5000
    execution: ExecutionLimits = field(
        default_factory=lambda: ExecutionLimits(threads_by_default(), activities_by_default())
    )


class Hub:
    """A running hub; ``start`` and ``stop`` belong to one event loop, the engine loop."""

    def __init__(
        self,
        registry: Registry,
        options: HubOptions,
        observers: Sequence[Observer] = (),
        clock: Clock | None = None,
        make_client: Callable[[Storage, Clock, ClientOptions], TaskHubClient] = TaskHubClient,
    ) -> None:
        clock = SystemClock() if clock is None else clock
        self.storage = open_storage(options.store_url, clock, options.storage)
        self.user_loop = UserLoop()
        self._box = BlackBox(self.storage.path) if isinstance(self.storage, SqliteStorage) else None
        executor = self._executor = LocalExecutor(
            registry,
            self.user_loop,
            options.execution,
            turn_threads(TurnPatience(overrun=options.execution.activity_seconds_max), observers),
            box=self._box,
        )
        self.worker = TaskHubWorker(
            self.storage,
            executor,
            clock,
            EngineOptions(options.decisions, options.versioning, entity_batch_max=options.entity_batch_max),
            f"{socket.gethostname()}/{os.getpid()}",
            observers,
        )
        self.client = make_client(
            self.storage,
            clock,
            ClientOptions(
                known=known_in(registry),
                default_version=options.decisions.default_version,
                reuse=options.reuse,
                lost_events=options.lost_events,
                payload_bytes_max=options.decisions.payload_bytes_max,
                versioning=options.versioning,
            ),
        )

    async def open(self) -> None:
        """Open the store. Raises StoreInUse, StoreUnusable."""
        await self.storage.open()
        if self._box is not None:
            try:
                named = self._box.open()
            except OSError as error:
                await self.storage.close()
                raise StoreUnusable(f"The file {error.filename} cannot be opened: {error.strerror}.") from error
            for key in named:
                logger.warning("The process died in user code of %s; it is tried again.", said(key))

    def turn_here(self) -> RunningTurn | None:
        """Whose turn the calling thread is in, for those who write log lines."""
        return self._executor.turn_here()

    def name_url(self, url: str) -> None:
        """Tell whoever finds the store held where this process can be reached."""
        if isinstance(self.storage, SqliteStorage):
            self.storage.name_url(url)

    async def start(self) -> None:
        """Run what the store holds; ``open`` came before."""
        self.user_loop.start()
        await self.worker.start()

    async def drain(self) -> None:
        """Begin no more activities and wait for the running ones; what is left runs after the next start."""
        await self._executor.drain(float("inf"))

    async def stop(self, grace_seconds: float) -> bool:
        """Let running activities end, commit, release, close.

        Answers whether all activities ended within the grace period. Twice-safe.
        """
        drained = await self.worker.stop(grace_seconds)
        self.user_loop.stop()
        if self._box is not None:
            self._box.close()
        await self.storage.close()
        return drained
