"""One task hub running in this process: its store, engine, executor and client, without any door."""

import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perdure.client import TaskHubClient
from perdure.client.options import ClientOptions, LostEvents, known_in
from perdure.contracts.clock import Clock
from perdure.contracts.errors import StoreUnusable
from perdure.contracts.executor import Executor, RemoteWorkers
from perdure.contracts.observer import Observer
from perdure.contracts.records import ReusePolicy
from perdure.contracts.storage import Storage
from perdure.contracts.work_load import WorkLoad
from perdure.core.decisions import DecisionLimits
from perdure.core.identifiers import check_portable_id
from perdure.core.registry import FailedOperations, Registry
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.engine.worker import TaskHubWorker
from perdure.execution.black_box import said
from perdure.execution.local import ExecutionLimits, LocalExecutor, RunningTurn, turn_threads
from perdure.execution.offering_executor import offering
from perdure.execution.router import RoutedExecutor
from perdure.execution.turns import TurnPatience
from perdure.execution.user_loop import UserLoop
from perdure.host.box_places import box_place
from perdure.host.hub_status import status_body, status_of_one
from perdure.storage.opening import DEFAULT_HUB, hub_server, name_url, open_storage
from perdure.storage.options import StorageOptions
from perdure.storage.places import ServerPlace, StorePlace, place_of
from perdure.storage.system_clock import SystemClock

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
    name: str = DEFAULT_HUB
    """Which of a server's hubs; a file holds only one."""
    state_folder: Path = Path(".perdure")
    """Of the app on this machine, for what is no business of other machines."""
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

    @property
    def place(self) -> StorePlace:
        """Where the store lies. Raises StoreUnusable for a URL that names none."""
        return place_of(self.store_url)


class Hub:
    """A running hub; ``start`` and ``stop`` belong to one event loop, the engine loop."""

    def __init__(
        self,
        registry: Registry,
        options: HubOptions,
        observers: Sequence[Observer] = (),
        clock: Clock | None = None,
        make_client: Callable[[Storage, Clock, ClientOptions], TaskHubClient] = TaskHubClient,
        remote: RemoteWorkers | None = None,
    ) -> None:
        self._make_client = make_client
        self._name = options.name
        self.worker_name = f"{socket.gethostname()}/{os.getpid()}"
        self.place = options.place
        self.storage: Storage = open_storage(
            options.store_url, SystemClock() if clock is None else clock, options.storage, hub=options.name
        )
        clock = self._clock = self.storage.clock
        self.user_loop = UserLoop()
        self._box = box_place(self.place, options.state_folder, options.name)
        executor = self._executor = LocalExecutor(
            registry,
            self.user_loop,
            options.execution,
            turn_threads(TurnPatience(overrun=options.execution.activity_seconds_max), observers),
            box=None if self._box is None else self._box.box,
        )
        # With remote workers, whatever the app does not have is theirs.
        routed = None if remote is None else RoutedExecutor(registry, executor, remote)
        versioning = options.versioning if routed is None else replace(options.versioning, is_own=routed.is_local)
        self._runs: Executor = (
            offering(executor, self.storage, serves=executor.serves, observers=observers)
            if routed is None
            else offering(routed, self.storage, serves=routed.serves, leaves=routed.leaves, observers=observers)
        )
        self.worker = TaskHubWorker(
            self.storage,
            self._runs,
            clock,
            EngineOptions(options.decisions, versioning, entity_batch_max=options.entity_batch_max),
            self.worker_name,
            observers,
        )
        client_options = ClientOptions(
            known=known_in(registry),
            default_version=options.decisions.default_version,
            reuse=options.reuse,
            lost_events=options.lost_events,
            payload_bytes_max=options.decisions.payload_bytes_max,
            versioning=versioning,
        )
        if routed is not None:
            client_options = replace(client_options, known=None, serves=routed.serves, is_local=routed.is_local)
        self.client = make_client(self.storage, clock, client_options)

    def portable_client(self) -> TaskHubClient:
        """A client by the rules of the portable SDKs: their ids, and an event that nobody takes is told."""
        options = replace(self.client.options, check_id=check_portable_id, lost_events=LostEvents.REFUSED)
        return self._make_client(self.storage, self._clock, options)

    async def open(self) -> None:
        """Open the store. Raises StoreInUse, StoreUnusable."""
        await self.storage.open()
        if self._box is not None:
            try:
                named = await self._box.open()
            except OSError as error:
                await self.storage.close()
                raise StoreUnusable(f"The file {error.filename} cannot be opened: {error.strerror}.") from error
            for key in named:
                logger.warning("The process died in user code of %s; it is tried again.", said(key))

    def turn_here(self) -> RunningTurn | None:
        """Whose turn the calling thread is in, for those who write log lines."""
        return self._executor.turn_here()

    def work_loads(self) -> list[WorkLoad]:
        """What waits and runs of the app's own functions."""
        return self._executor.work_loads()

    def name_url(self, url: str) -> None:
        """Tell whoever finds the store held where this process can be reached."""
        name_url(self.storage, url)

    async def status(self) -> dict[str, Any]:
        """Who works on the hub and what waits in it, as JSON. Raises StorageError."""
        place = self.place
        if isinstance(place, ServerPlace):
            return status_body(await hub_server(place).status(self._name), place.shown)
        return status_of_one(self._name, place.shown, self.worker_name)

    async def start(self) -> None:
        """Run what the store holds; ``open`` came before."""
        self.user_loop.start()
        await self.worker.start()

    async def drain(self) -> None:
        """Begin no more activities and wait for the running ones; what is left runs after the next start."""
        await self._runs.drain(float("inf"))

    def leave(self) -> None:
        """Let others who share the store go on with what runs here; ``stop`` is to follow. Twice-safe."""
        self.worker.leave()

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
