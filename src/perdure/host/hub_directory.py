"""The task hubs of a server: each a store, an engine and a client of its own, all on one loop.

Hubs can be made and dropped while the server runs; those that are kept are found again at the next start, and those
that another process makes or drops on a shared store are noticed (hub_stores.py).
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from perdure.client import TaskHubClient
from perdure.client.options import ClientOptions
from perdure.contracts.clock import Clock
from perdure.contracts.errors import InvalidInput, StorageError, StoreInUse
from perdure.contracts.observer import Observer
from perdure.contracts.storage import Storage
from perdure.core.decisions import DecisionLimits
from perdure.core.identifiers import check_portable_id
from perdure.core.versioning import Versioning
from perdure.engine.options import EngineOptions
from perdure.engine.worker import TaskHubWorker
from perdure.execution.offering_executor import offering
from perdure.execution.remote import RemoteExecutor
from perdure.execution.remote_items import RemoteOptions
from perdure.grpc_api.hub_choice import ServedHub
from perdure.grpc_api.item_format import ProtocolItems
from perdure.grpc_api.work_item_service import WorkItemService
from perdure.host.hub_changes import HubChanges
from perdure.host.hub_stores import HubStores, MemoryHubs, hub_stores
from perdure.host.serve_options import HUB_NAME, ServeOptions
from perdure.storage.opening import name_url, open_storage
from perdure.storage.options import StorageOptions
from perdure.storage.places import FilePlace, place_of

MEMORY = "memory:"
logger = logging.getLogger("perdure.host")


class RunningHub:
    """One hub that runs. ``open``, ``start`` and ``stop`` belong to one loop."""

    def __init__(self, name: str, store_url: str, options: ServeOptions, clock: Clock, observers: Sequence[Observer]):
        self.name = name
        self.store_url = store_url
        self.place = place_of(store_url)
        kept = StorageOptions(durability=options.durability, lease_seconds=options.lease_seconds)
        self.storage: Storage = open_storage(store_url, clock, kept, hub=name.lower())
        clock = self.storage.clock
        limits = DecisionLimits(
            history_events_max=options.history_events_max,
            payload_bytes_max=options.payload_bytes_max,
            check_child_id=check_portable_id,
        )
        remote = RemoteOptions(hub=name, payload_bytes_max=options.payload_bytes_max)
        executor = RemoteExecutor(ProtocolItems(), remote.with_items_up_to(options.item_bytes_max))
        self.executor = executor
        self.worker = TaskHubWorker(
            self.storage,
            offering(executor, self.storage, serves=executor.serves, leaves=executor.leaves, observers=observers),
            clock,
            EngineOptions(limits, Versioning()),
            f"{socket.gethostname()}/{os.getpid()}",
            observers,
        )
        self.client = TaskHubClient(
            self.storage,
            clock,
            ClientOptions(
                check_id=check_portable_id, payload_bytes_max=options.payload_bytes_max, serves=executor.serves
            ),
        )
        self.served = ServedHub(name, self.client, WorkItemService(executor), options.replaceable)

    @property
    def file(self) -> Path | None:
        """Where it is kept; None where it is no file."""
        return self.place.path if isinstance(self.place, FilePlace) else None

    def name_url(self, url: str) -> None:
        """Tell whoever finds the store held where this process can be reached."""
        name_url(self.storage, url)

    async def start(self) -> None:
        """Open the store and run what it holds. Raises StoreInUse, StoreUnusable."""
        await self.storage.open()
        await self.worker.start()

    async def stop(self, grace_seconds: float) -> bool:
        """Commit, release, close; False when workers still had something of it. Twice-safe."""
        drained = await self.worker.stop(grace_seconds)
        await self.storage.close()
        return drained


@dataclass(frozen=True, slots=True)
class HubFailure:
    """A hub's engine or store failed, and the process should not go on."""

    hub: str
    error: BaseException


class HubDirectory:
    """See ``grpc_api.hub_choice.Hubs``."""

    def __init__(self, options: ServeOptions, clock: Clock, observers: Sequence[Observer] = ()) -> None:
        self._options = options
        self._clock = clock
        self._observers = observers
        self._hubs: dict[str, RunningHub] = {}
        self._stores: HubStores = MemoryHubs()
        self._changes = HubChanges()
        self._looking: asyncio.Task[None] | None = None
        self._judging: set[asyncio.Task[None]] = set()
        self.failed: asyncio.Future[HubFailure] = asyncio.get_running_loop().create_future()
        """Done when a hub failed for good."""
        self.added: Callable[[RunningHub], None] = lambda hub: None
        """Told of each hub that runs now."""

    @property
    def default_name(self) -> str:
        return self._options.hubs[0]

    def running(self) -> list[RunningHub]:
        """All hubs, the default one first, the others by name."""
        first = self.default_name.lower()
        return [self._hubs[name] for name in sorted(self._hubs, key=lambda name: (name != first, name))]

    def now(self, name: str) -> RunningHub | None:
        """The hub of that name, if it runs."""
        return self._hubs.get(name.lower())

    async def open(self) -> None:
        """Start the hubs that are named and those that are there. Raises StorageError, naming the hub."""
        self._stores = hub_stores(self._options.store_url, self.default_name)
        named = {name.lower(): name for name in self._options.hubs}
        for name, is_served in (await self._stores.found()).items():
            if is_served:
                named.setdefault(name, name)
        for name in named.values():
            try:
                await self._start(name)
            except StorageError as error:
                error.add_note(f"task hub {name}")
                raise
        if self._stores.look_seconds is not None:
            self._looking = asyncio.create_task(self._look_for_hubs(self._stores.look_seconds))

    async def find(self, name: str) -> ServedHub | None:
        hub = self._hubs.get(name.lower())
        # Who calls while a hub is made anew means the new one.
        if hub is None and await self._changes.finished(name.lower()):
            hub = self._hubs.get(name.lower())
        if hub is None and self._stores.look_seconds is not None and name.lower() in await self._stores.found():
            # Another process has made it a moment ago, or runs an app on it.
            await self._run(name)
            hub = self._hubs.get(name.lower())
        if hub is None and self._options.creates_hubs and HUB_NAME.fullmatch(name):
            await self.create(name, recreate=False)
            hub = self._hubs.get(name.lower())
        return None if hub is None else hub.served

    async def _run(self, name: str) -> None:
        """Run a hub that is there."""

        async def change() -> None:
            if name.lower() not in self._hubs:
                await self._start(name)

        await self._changes.make(name.lower(), change)

    async def create(self, name: str, *, recreate: bool) -> None:
        if not HUB_NAME.fullmatch(name):
            raise InvalidInput(
                f"'{name}' is no name of a task hub: 1 to 100 letters, digits, '-' and '_', the first no sign."
            )

        async def change() -> None:
            if recreate:
                await self._drop(name)
            if name.lower() not in self._hubs:
                await self._start(name)
                await self._stores.made(name)

        await self._changes.make(name.lower(), change)

    async def drop(self, name: str) -> None:
        await self._changes.make(name.lower(), lambda: self._drop(name))

    def leave(self) -> None:
        """Let others who share a store go on with what runs here; ``stop`` is to follow. Twice-safe."""
        for hub in self._hubs.values():
            hub.worker.leave()

    async def stop(self, grace_seconds: float) -> bool:
        """Stop all hubs at once; False when some worker still had something. Twice-safe."""
        if self._looking is not None:
            self._looking.cancel()
            with suppress(asyncio.CancelledError):
                await self._looking
        await self._changes.close()
        hubs = list(self._hubs.values())
        ended = await asyncio.gather(*(hub.stop(grace_seconds) for hub in hubs), return_exceptions=True)
        for result in ended:
            if isinstance(result, BaseException):
                raise result
        return all(ended)

    async def _start(self, name: str) -> None:
        hub = RunningHub(name, self._stores.url_of(name), self._options, self._clock, self._observers)
        try:
            await hub.start()
        except BaseException:
            await hub.stop(0)
            raise
        failed = hub.worker.failed
        assert failed is not None, "the worker runs"
        failed.add_done_callback(lambda future: self._note_failure(name, future))
        self._hubs[name.lower()] = hub
        self.added(hub)

    async def _drop(self, name: str) -> None:
        hub = self._hubs.pop(name.lower(), None)
        if hub is None:
            return
        # Nothing of what workers still do of it would be kept.
        await hub.stop(0)
        try:
            await self._stores.delete(name)
        except StoreInUse:
            # Other processes work on it: so do we, then.
            await self._start(hub.name)
            raise

    def _note_failure(self, name: str, future: "asyncio.Future[BaseException]") -> None:
        if future.cancelled() or name.lower() not in self._hubs:
            return
        judging = asyncio.create_task(self._judge_failure(name.lower(), HubFailure(name, future.result())))
        self._judging.add(judging)
        judging.add_done_callback(self._judging.discard)

    async def _judge_failure(self, name: str, failure: HubFailure) -> None:
        """A hub that somebody has dropped is let go; anything else concerns the whole process."""
        if self._stores.look_seconds is not None:
            try:
                if name not in await self._stores.found():
                    await self._changes.make(name, partial(self._let_go, name))
                    return
            except StorageError as error:
                failure.error.add_note(f"whether the hub is still there could not be asked: {error}")
        if not self.failed.done():
            self.failed.set_result(failure)

    async def _look_for_hubs(self, seconds: float) -> None:
        """Run the hubs that other processes have made, and let go of those that they have dropped."""
        while True:
            await asyncio.sleep(seconds)
            try:
                there = await self._stores.found()
                for name in sorted(name for name, is_served in there.items() if is_served):
                    await self._run(name)
                for name in sorted(self._hubs.keys() - there.keys()):
                    await self._changes.make(name, partial(self._let_go, name))
            except StorageError as error:
                logger.info("Looking for task hubs that others made failed, and is done again: %s", error)

    async def _let_go(self, name: str) -> None:
        # It may have been made anew since.
        if name in self._hubs and name not in await self._stores.found():
            logger.warning("Task hub '%s' was dropped by another process.", name)
            await self._hubs.pop(name).stop(0)
